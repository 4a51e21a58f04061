#include "serve/listen.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKLOG 511

/* A peer that is gone without a word is noticed after two minutes, though nothing is to be sent. */
#define KEEP_IDLE_S     60
#define KEEP_INTERVAL_S 10
#define KEEP_PROBES     6

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_address(const char *address, uint16_t port, union address *ret)
{
    memset(ret, 0, sizeof *ret);
    if (address && inet_pton(AF_INET, address, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(port);
        return true;
    }
    ret->v6.sin6_family = AF_INET6;
    ret->v6.sin6_port = htons(port);
    return !address || !*address || inet_pton(AF_INET6, address, &ret->v6.sin6_addr) == 1;
}

static int fail(uint16_t port, struct scree_error *err)
{
    int code = errno == EADDRINUSE ? EBUSY : errno == EACCES ? EACCES : EIO;

    return scree_fail(err, code, "cannot listen on port %u: %s", port, strerror(errno));
}

static int listen_at(const union address *at, uint16_t port, struct scree_error *err)
{
    socklen_t n = at->any.sa_family == AF_INET ? sizeof at->v4 : sizeof at->v6;
    int fd = socket(at->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int on = 1, off = 0;
    int rc;

    if (fd < 0)
        return fail(port, err);
    /* So that connections of a server that was here before do not keep the port. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at->any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, &at->any, n) >= 0 && listen(fd, BACKLOG) >= 0)
        return fd;
    rc = fail(port, err);
    (void)close(fd);
    return rc;
}

int scree_listen(const char *address, uint16_t port, struct scree_error *err)
{
    union address at;
    int fd;

    if (!parse_address(address, port, &at))
        return scree_fail(err, EINVAL, "'%s' is not an address", address);
    fd = listen_at(&at, port, err);
    if (fd >= 0 || errno != EAFNOSUPPORT || (address && *address))
        return fd;
    (void)parse_address("0.0.0.0", port, &at); /* a machine without IPv6 */
    return listen_at(&at, port, err);
}

void scree_listen_keep_alive(int fd)
{
    const int on = 1, idle = KEEP_IDLE_S, interval = KEEP_INTERVAL_S, probes = KEEP_PROBES;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

int scree_listen_accept(int fd, struct sockaddr_storage *ret_address, socklen_t *n)
{
    int taken;

    do
        taken = accept4(fd, (struct sockaddr *)ret_address, n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (taken < 0 && (errno == ECONNABORTED || errno == EINTR));
    return taken < 0 ? -errno : taken;
}

bool scree_listen_is_exhausted(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOBUFS || error == -ENOMEM;
}

void scree_listen_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

void scree_listen_limit_unsent(int fd, size_t n)
{
    /* Who is accepted inherits it. */
    int bytes = n < INT_MAX ? (int)n : INT_MAX;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

uint16_t scree_listen_port(int fd)
{
    union address at = {0};
    socklen_t n = sizeof at;

    if (getsockname(fd, &at.any, &n) < 0)
        return 0;
    if (at.any.sa_family == AF_INET)
        return ntohs(at.v4.sin_port);
    return at.any.sa_family == AF_INET6 ? ntohs(at.v6.sin6_port) : 0;
}
