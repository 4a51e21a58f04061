#include "plugin/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/journal.h"

#define READ_BYTES ((size_t)16 << 10)
#define BACKLOG    64

/* The kubelet's own limit of a message is 16 MiB; the longest of ours lists 512 shares in 40 KiB.
 */
const struct scree_grpc_limits scree_peer_limits = {
    .max_message_bytes = (size_t)256 << 10,
    .max_waiting_bytes = (size_t)512 << 10,
    .max_calls = 32,
    .max_header_bytes = 8 << 10,
};

void scree_peer_free(struct scree_peer *peer)
{
    if (!peer)
        return;
    scree_grpc_free(peer->grpc);
    scree_loop_close(peer->loop, &peer->source);
    free(peer);
}

/* Sends; false if the connection is of no use any more. */
static bool send_output(struct scree_peer *peer)
{
    const uint8_t *bytes;
    size_t n;

    while ((bytes = scree_grpc_output(peer->grpc, &n))) {
        ssize_t sent = send(peer->source.fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (peer->stuck_ns == 0)
                peer->stuck_ns = scree_now_ns();
            scree_loop_change(peer->loop, &peer->source, EPOLLIN | EPOLLOUT);
            return true;
        }
        if (sent < 0)
            return false;
        peer->stuck_ns = 0;
        scree_grpc_sent(peer->grpc, (size_t)sent);
    }
    scree_loop_change(peer->loop, &peer->source, EPOLLIN);
    return !scree_grpc_is_done(peer->grpc);
}

void scree_peer_flush(struct scree_peer *peer)
{
    if (!send_output(peer))
        peer->closed(peer);
}

/* Takes what has come; false if the connection is over. */
static bool receive(struct scree_peer *peer)
{
    uint8_t bytes[READ_BYTES];
    ssize_t n = recv(peer->source.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    struct scree_error err;

    if (n < 0)
        return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
    if (n == 0)
        return false;
    if (scree_grpc_feed(peer->grpc, bytes, (size_t)n, scree_now_ns(), &err) < 0) {
        SCREE_JOURNAL(WARNING, "connection closed", {"reason", err.text});
        return false;
    }
    return true;
}

static void ready(void *context, uint32_t events)
{
    struct scree_peer *peer = context;

    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive(peer))
        peer->closed(peer);
    else
        scree_peer_flush(peer);
}

int scree_peer_new(struct scree_loop *loop, int fd, bool is_server,
                   const struct scree_grpc_events *events, void *owner,
                   void (*closed)(struct scree_peer *peer), struct scree_peer **ret_peer,
                   struct scree_error *err)
{
    struct scree_peer *peer = calloc(1, sizeof *peer);
    int rc;

    if (!peer) {
        close(fd);
        return scree_fail_memory(err, sizeof *peer);
    }
    *peer = (struct scree_peer){.source = {.fd = fd, .ready = ready, .context = peer},
                                .loop = loop,
                                .closed = closed,
                                .owner = owner,
                                .start_ns = scree_now_ns()};
    rc = is_server ? scree_grpc_new_server(&scree_peer_limits, events, peer, &peer->grpc, err)
                   : scree_grpc_new_client(&scree_peer_limits, events, peer, &peer->grpc, err);
    if (rc == 0)
        rc = scree_loop_add(loop, &peer->source, EPOLLIN, err);
    if (rc < 0)
        scree_peer_free(peer);
    else
        *ret_peer = peer;
    return rc;
}

/* ---- sockets --------------------------------------------------------------------------------- */

static int fill_address(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path)
        return -EINVAL;
    memcpy(address->sun_path, path, strlen(path));
    return 0;
}

static int new_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int scree_unix_connect(const char *path)
{
    struct sockaddr_un address;
    int fd, rc = fill_address(path, &address);

    if (rc < 0)
        return rc;
    fd = new_socket();
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    rc = -errno;
    close(fd);
    return rc;
}

/* True for a file that no server has left behind. */
static bool is_no_socket(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode);
}

/* Binds to a name with a dot before it and renames that: nobody finds a socket that refuses, and
 * the kubelet passes over such names. */
static int listen_aside(int fd, const char *path)
{
    const char *name = strrchr(path, '/');
    struct sockaddr_un address;
    char aside[sizeof address.sun_path];
    mode_t mask;
    int rc;

    name = name ? name + 1 : path;
    if ((size_t)snprintf(aside, sizeof aside, "%.*s.%s", (int)(name - path), path, name) >=
        sizeof aside)
        return -EINVAL;
    if (is_no_socket(path) || is_no_socket(aside))
        return -EEXIST;
    (void)fill_address(aside, &address);
    (void)unlink(aside);
    mask = umask(0177);
    rc = bind(fd, (const struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (rc < 0 || listen(fd, BACKLOG) < 0 || rename(aside, path) < 0) {
        rc = -errno;
        (void)unlink(aside);
        return rc;
    }
    return 0;
}

int scree_unix_listen(const char *path, struct scree_error *err)
{
    int fd = new_socket(), rc;

    if (fd < 0)
        return scree_fail(err, EIO, "no socket: %s", strerror(errno));
    rc = listen_aside(fd, path);
    if (rc == 0)
        return fd;
    close(fd);
    return scree_fail(err, rc == -EINVAL || rc == -EACCES || rc == -ENOENT ? -rc : EIO, "%s: %s",
                      path, rc == -EINVAL ? "too long a path" : strerror(-rc));
}
