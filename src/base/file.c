#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_errno(const char *path, struct scree_error *err)
{
    int code = errno == ENOENT || errno == EACCES || errno == ENOMEM ? errno : EIO;

    return scree_fail(err, code, "%s: %s", path, strerror(errno));
}

/* Non-blocking, so that a FIFO is refused instead of waited for. */
static int open_regular(const char *path, struct stat *ret_stat, struct scree_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int rc;

    if (fd < 0)
        return fail_errno(path, err);
    if (fstat(fd, ret_stat) < 0)
        rc = fail_errno(path, err);
    else if (!S_ISREG(ret_stat->st_mode))
        rc = scree_fail(err, EINVAL, "%s: not a regular file", path);
    else
        return fd;
    close(fd);
    return rc;
}

static int map_fd(int fd, size_t n_bytes, const char *path, struct scree_mapped *ret_mapped,
                  struct scree_error *err)
{
    void *bytes;

    if (n_bytes == 0) {
        *ret_mapped = (struct scree_mapped){0};
        return 0;
    }
    bytes = mmap(NULL, n_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return fail_errno(path, err);
    *ret_mapped = (struct scree_mapped){.bytes = bytes, .n_bytes = n_bytes};
    return 0;
}

int scree_mapped_open(const char *path, struct scree_mapped *ret_mapped, struct scree_error *err)
{
    struct stat st;
    int fd = open_regular(path, &st, err);
    int rc;

    if (fd < 0)
        return fd;
    rc = map_fd(fd, (size_t)st.st_size, path, ret_mapped, err);
    close(fd);
    return rc;
}

void scree_mapped_release(const struct scree_mapped *mapped, const void *bytes, size_t n_bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), base = (uintptr_t)mapped->bytes;
    uintptr_t first = (uintptr_t)bytes, end;

    if (first < base || first - base > mapped->n_bytes ||
        n_bytes > mapped->n_bytes - (first - base))
        return;
    end = (first + n_bytes) / page * page;
    first = (first + page - 1) / page * page;
    /* Advice: where it is not taken the pages stay, and that is all. */
    if (first < end)
        (void)madvise((void *)first, end - first, MADV_DONTNEED);
}

void scree_mapped_done(struct scree_mapped *mapped)
{
    if (mapped->bytes)
        munmap((void *)(uintptr_t)mapped->bytes, mapped->n_bytes);
    *mapped = (struct scree_mapped){0};
}

/* Reads up to n_bytes; fewer only at the end of the file. A count or -1 with errno. */
static ssize_t read_all(int fd, uint8_t *bytes, size_t n_bytes)
{
    size_t done = 0;

    while (done < n_bytes) {
        ssize_t n = read(fd, bytes + done, n_bytes - done);

        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static int read_fd(int fd, size_t n_bytes, const char *path, uint8_t **ret_bytes,
                   size_t *ret_n_bytes, struct scree_error *err)
{
    uint8_t *bytes = malloc(n_bytes ? n_bytes : 1);
    ssize_t n;
    int rc;

    if (!bytes)
        return scree_fail_memory(err, n_bytes);
    n = read_all(fd, bytes, n_bytes);
    if (n < 0) {
        rc = fail_errno(path, err);
        free(bytes);
        return rc;
    }
    *ret_bytes = bytes;
    *ret_n_bytes = (size_t)n;
    return 0;
}

int scree_file_read(const char *path, size_t max_bytes, uint8_t **ret_bytes, size_t *ret_n_bytes,
                    struct scree_error *err)
{
    struct stat st;
    int fd = open_regular(path, &st, err);
    int rc;

    if (fd < 0)
        return fd;
    if ((uint64_t)st.st_size > max_bytes)
        rc = scree_fail(err, E2BIG, "%s: %lld bytes are over the limit of %zu", path,
                        (long long)st.st_size, max_bytes);
    else
        rc = read_fd(fd, (size_t)st.st_size, path, ret_bytes, ret_n_bytes, err);
    close(fd);
    return rc;
}

static int write_all(int fd, const uint8_t *bytes, size_t n_bytes)
{
    size_t done = 0;

    while (done < n_bytes) {
        ssize_t n = write(fd, bytes + done, n_bytes - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    return 0;
}

/* Writes and closes `fd`. On failure errno is set. */
static int fill_fd(int fd, const void *bytes, size_t n_bytes)
{
    int code;

    if (write_all(fd, bytes, n_bytes) == 0)
        return close(fd);
    code = errno;
    close(fd);
    errno = code;
    return -1;
}

/* Creates a file beside `path` that nobody else has; its name, to be freed, in *ret_name. The
 * thread's number makes the name free in practice, `i` steps over what a crash left behind. */
static int create_beside(const char *path, char **ret_name)
{
    for (int i = 0; i < 100; i++) {
        int fd;

        if (asprintf(ret_name, "%s.%ld-%d.tmp", path, (long)gettid(), i) < 0) {
            errno = ENOMEM;
            return -1;
        }
        fd = open(*ret_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0)
            return fd;
        free(*ret_name);
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

static int write_beside(const char *path, const void *bytes, size_t n_bytes,
                        struct scree_error *err)
{
    char *name;
    int fd = create_beside(path, &name);
    int rc = 0;

    if (fd < 0)
        return fail_errno(path, err);
    if (fill_fd(fd, bytes, n_bytes) < 0 || rename(name, path) < 0) {
        rc = fail_errno(path, err);
        (void)unlink(name);
    }
    free(name);
    return rc;
}

int scree_file_write(const char *path, const void *bytes, size_t n_bytes, struct scree_error *err)
{
    struct stat st;
    int fd;

    if (lstat(path, &st) < 0 || S_ISREG(st.st_mode))
        return write_beside(path, bytes, n_bytes, err);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0 || fill_fd(fd, bytes, n_bytes) < 0)
        return fail_errno(path, err);
    return 0;
}
