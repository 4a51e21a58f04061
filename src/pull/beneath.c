#include "pull/beneath.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int scree_beneath_open(int folder, const char *name, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC | O_NOFOLLOW),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd;

    if (!*name || strchr(name, '/') || strcmp(name, "..") == 0) {
        errno = EINVAL;
        return -1;
    }
    fd = syscall(SYS_openat2, folder, name, &how, sizeof how);
    /* Containers' filters of system calls that are older than this one answer EPERM. */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        return openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
    return (int)fd;
}

int scree_beneath_folder(int folder, const char *name)
{
    if (mkdirat(folder, name, 0777) < 0 && errno != EEXIST)
        return -1;
    return scree_beneath_open(folder, name, O_RDONLY | O_DIRECTORY, 0);
}

int scree_beneath_write(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        ssize_t written = write(fd, at, n);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        at += written;
        n -= (size_t)written;
    }
    return 0;
}

static void close_keeping_errno(int fd)
{
    int code = errno;

    close(fd);
    errno = code;
}

int scree_beneath_put(int folder, const char *name, const void *bytes, size_t n, mode_t mode)
{
    int fd;

    if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
        return -1;
    fd = scree_beneath_open(folder, name, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (fd < 0)
        return -1;
    if (scree_beneath_write(fd, bytes, n) < 0 || fsync(fd) < 0) {
        close_keeping_errno(fd);
        return -1;
    }
    return close(fd);
}

void scree_beneath_get(int folder, const char *name, char *text, size_t n)
{
    int fd = scree_beneath_open(folder, name, O_RDONLY | O_NONBLOCK, 0);
    ssize_t got = fd >= 0 ? read(fd, text, n - 1) : 0;

    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

static int remove_files(int fd)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *at;
    int rc = 0;

    if (!dir) {
        close_keeping_errno(fd);
        return -1;
    }
    while (rc == 0 && (at = readdir(dir)))
        if (strcmp(at->d_name, ".") != 0 && strcmp(at->d_name, "..") != 0)
            rc = unlinkat(fd, at->d_name, 0);
    if (rc < 0 && errno == ENOENT)
        rc = 0;
    closedir(dir);
    return rc;
}

int scree_beneath_remove(int folder, const char *name)
{
    int fd;

    if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR)
        return -1;
    fd = scree_beneath_open(folder, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0 || remove_files(fd) < 0)
        return -1;
    return unlinkat(folder, name, AT_REMOVEDIR);
}

/* Whether the descriptor is still the file of that name: who had the lock before removes it. */
static bool is_current(int folder, const char *name, int fd)
{
    struct stat own, named;

    return fstat(fd, &own) == 0 && fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

int scree_beneath_lock(int folder, const char *name, bool wait)
{
    for (;;) {
        int fd = scree_beneath_open(folder, name, O_RDWR | O_CREAT, 0600);

        if (fd < 0)
            return -1;
        while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0)
            if (errno != EINTR) {
                close_keeping_errno(fd);
                return -1;
            }
        if (is_current(folder, name, fd))
            return fd;
        close(fd);
    }
}

void scree_beneath_unlock(int folder, const char *name, int lock)
{
    (void)unlinkat(folder, name, 0);
    close(lock);
}
