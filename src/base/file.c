#include "base/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_errno(const char *path, struct scree_error *err)
{
    int code = errno == ENOENT || errno == EACCES || errno == ENOMEM ? errno : EIO;

    return scree_fail(err, code, "%s: %s", path, strerror(errno));
}

static int map_fd(int fd, const char *path, struct scree_mapped *ret_mapped,
                  struct scree_error *err)
{
    struct stat st;
    void *bytes;

    if (fstat(fd, &st) < 0)
        return fail_errno(path, err);
    if (!S_ISREG(st.st_mode))
        return scree_fail(err, EINVAL, "%s: not a regular file", path);
    if (st.st_size == 0) {
        *ret_mapped = (struct scree_mapped){0};
        return 0;
    }
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return fail_errno(path, err);
    *ret_mapped = (struct scree_mapped){.bytes = bytes, .n_bytes = (size_t)st.st_size};
    return 0;
}

int scree_mapped_open(const char *path, struct scree_mapped *ret_mapped, struct scree_error *err)
{
    /* Non-blocking, so that a FIFO is refused instead of waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc;

    if (fd < 0)
        return fail_errno(path, err);
    rc = map_fd(fd, path, ret_mapped, err);
    close(fd);
    return rc;
}

void scree_mapped_done(struct scree_mapped *mapped)
{
    if (mapped->bytes)
        munmap((void *)(uintptr_t)mapped->bytes, mapped->n_bytes);
    *mapped = (struct scree_mapped){0};
}
