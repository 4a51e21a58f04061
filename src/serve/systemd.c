#include "serve/systemd.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3

void scree_systemd_notify(const char *lines)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = path ? strlen(path) : 0;
    int fd;

    if (n < 2 || n >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(to.sun_path, path, n);
    if (path[0] == '@')
        to.sun_path[0] = '\0'; /* of the kernel's own names */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&to,
                 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    (void)close(fd);
}

/* A number of the environment; -1 if there is none. */
static long long read_variable(const char *name)
{
    const char *text = getenv(name);
    char *end;
    long long n = text ? strtoll(text, &end, 10) : -1;

    return text && *text && !*end ? n : -1;
}

/* Variables that name a process are for that one alone. */
static bool is_for_us(const char *name, bool if_absent)
{
    long long pid = read_variable(name);

    return pid < 0 ? if_absent : pid == getpid();
}

uint32_t scree_systemd_watchdog_ms(void)
{
    long long us = read_variable("WATCHDOG_USEC");

    if (us <= 0 || us > 86400000000 || !is_for_us("WATCHDOG_PID", true))
        return 0;
    return us < 2000 ? 1 : (uint32_t)(us / 2000);
}

int scree_systemd_listener(void)
{
    int flags, listens = 0;
    socklen_t n = sizeof listens;

    if (read_variable("LISTEN_FDS") < 1 || !is_for_us("LISTEN_PID", false))
        return -1;
    if (getsockopt(FIRST_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) < 0 || !listens)
        return -1;
    flags = fcntl(FIRST_FD, F_GETFL);
    if (flags < 0 || fcntl(FIRST_FD, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    return FIRST_FD;
}
