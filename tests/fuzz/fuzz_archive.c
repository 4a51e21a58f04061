/* Any bytes as an archive with a model in it: never more is written than the limit allows. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "pull/unpack.h"

#define LIMIT (1u << 20)

static void unpack(int from, const char *member)
{
    int to = memfd_create("to", MFD_CLOEXEC);
    struct stat st;

    if (to < 0)
        abort();
    (void)scree_unpack(from, member, LIMIT, to, NULL);
    if (fstat(to, &st) < 0 || st.st_size > (off_t)LIMIT)
        abort();
    close(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    int from = memfd_create("from", MFD_CLOEXEC);

    if (from < 0 || write(from, bytes, n_bytes) != (ssize_t)n_bytes)
        abort();
    (void)scree_is_archive(from);
    unpack(from, NULL);
    unpack(from, "d/m.tflite");
    close(from);
    return 0;
}
