/* adversity.c - preloaded to a plugin under test: a clock that is set while it runs, and sockets
 * and files that take and give a few bytes at a time.
 *
 * SCREE_TEST_CLOCK=FILE  CLOCK_REALTIME is wrong by the seconds that are written in FILE, if any
 * SCREE_TEST_NO_INOTIFY  other programs have all instances of it
 * SCREE_TEST_CHOP=N      send, recv and write pass on at most N bytes; every other send would block
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))

PUBLIC int clock_gettime(clockid_t clock, struct timespec *now)
{
    const char *path = getenv("SCREE_TEST_CLOCK");
    char text[24] = "";
    long rc = syscall(SYS_clock_gettime, clock, now);
    int fd;

    if (rc < 0 || clock != CLOCK_REALTIME || !path || (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return (int)rc;
    if (read(fd, text, sizeof text - 1) > 0)
        now->tv_sec += strtol(text, NULL, 10);
    (void)close(fd);
    return 0;
}

PUBLIC int inotify_init1(int flags)
{
    if (!getenv("SCREE_TEST_NO_INOTIFY"))
        return (int)syscall(SYS_inotify_init1, flags);
    errno = EMFILE;
    return -1;
}

static size_t chopped(size_t n)
{
    const char *most = getenv("SCREE_TEST_CHOP");
    size_t limit = most ? strtoul(most, NULL, 10) : n;

    return n < limit ? n : limit;
}

PUBLIC ssize_t send(int fd, const void *bytes, size_t n, int flags)
{
    static unsigned calls;

    if (chopped(n) < n && calls++ % 2 == 0 && (flags & MSG_DONTWAIT)) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_sendto, fd, bytes, chopped(n), flags, NULL, 0);
}

PUBLIC ssize_t recv(int fd, void *bytes, size_t n, int flags)
{
    return syscall(SYS_recvfrom, fd, bytes, chopped(n), flags, NULL, NULL);
}

/* Not to the log, which is a line a call. */
PUBLIC ssize_t write(int fd, const void *bytes, size_t n)
{
    return syscall(SYS_write, fd, bytes, fd > STDERR_FILENO ? chopped(n) : n);
}
