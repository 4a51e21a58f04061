/* Runs a fuzz target over files and folders of inputs: replay_NAME CORPUS...
 *
 * Each input is given in memory of exactly its size, and also cut short at a few places, so that a
 * read beyond the end is seen under a sanitizer. An empty corpus is a failure. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fuzz/fuzz.h"

static void run_bytes(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    if (!copy)
        abort();
    if (n > 0)
        memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static int run_file(const char *path)
{
    struct scree_mapped mapped;
    struct scree_error err;

    if (scree_mapped_open(path, &mapped, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    run_bytes(mapped.bytes, mapped.n_bytes);
    for (unsigned eighth = 0; eighth < 8; eighth++)
        run_bytes(mapped.bytes, mapped.n_bytes * eighth / 8);
    scree_mapped_done(&mapped);
    return 1;
}

static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char child[4096];
    int n = 0;

    if (!folder) {
        perror(path);
        return -1;
    }
    while (n >= 0 && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        n = run_file(child) < 0 ? -1 : n + 1;
    }
    closedir(folder);
    return n;
}

int main(int argc, char **argv)
{
    int n = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;
        int ran = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? run_folder(argv[i])
                                                                 : run_file(argv[i]);

        if (ran < 0)
            return 1;
        n += ran;
    }
    printf("%d inputs\n", n);
    return n > 0 ? 0 : 1;
}
