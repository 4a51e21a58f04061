#include "plugin/server.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/journal.h"

#define MAX_PEERS  16
#define SILENCE_NS UINT64_C(10000000000)
#define STUCK_NS   UINT64_C(30000000000)

/* ---- calls ----------------------------------------------------------------------------------- */

static const struct scree_service *service_of(const struct scree_peer *peer)
{
    return ((const struct scree_unix_server *)peer->owner)->service;
}

static const struct scree_method *find_method(const struct scree_service *service, const char *path)
{
    for (size_t i = 0; i < service->n_methods; i++)
        if (strcmp(service->methods[i].path, path) == 0)
            return &service->methods[i];
    return NULL;
}

static enum scree_grpc_status opened(void *context, struct scree_grpc_call *call)
{
    const struct scree_service *service = service_of(context);

    scree_grpc_set_user(call, context);
    return find_method(service, scree_grpc_path(call)) ? SCREE_GRPC_OK : SCREE_GRPC_UNIMPLEMENTED;
}

/* Every method has one request: a second message finds the call finished, or is not listened to. */
static void message(void *context, struct scree_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct scree_peer *peer = context;
    const struct scree_service *service = service_of(peer);

    if (scree_grpc_user(call) != peer)
        return;
    scree_grpc_set_user(call, NULL);
    peer->answered = true;
    find_method(service, scree_grpc_path(call))->run(service->context, call, bytes, n);
}

static void ended(void *context, struct scree_grpc_call *call)
{
    if (scree_grpc_user(call) == context)
        scree_grpc_finish(call, SCREE_GRPC_INVALID_ARGUMENT, "there is no request");
}

static void call_closed(void *context, struct scree_grpc_call *call, enum scree_grpc_status status,
                        const char *text)
{
    const struct scree_service *service = service_of(context);

    (void)text;
    if (service->closed)
        service->closed(service->context, call);
    if (service->ended)
        service->ended(service->context, scree_grpc_path(call), status);
}

static const struct scree_grpc_events events = {
    .opened = opened, .message = message, .ended = ended, .closed = call_closed};

static enum scree_grpc_status status_of(int rc)
{
    switch (rc) {
    case 0:
        return SCREE_GRPC_OK;
    case -EINVAL:
    case -EBADMSG:
        return SCREE_GRPC_INVALID_ARGUMENT;
    case -ENODEV:
        return SCREE_GRPC_FAILED_PRECONDITION;
    case -E2BIG:
    case -ENOMEM:
        return SCREE_GRPC_RESOURCE_EXHAUSTED;
    default:
        return SCREE_GRPC_INTERNAL;
    }
}

void scree_unix_server_answer(struct scree_grpc_call *call, int rc, struct scree_buffer *reply,
                              const struct scree_error *err)
{
    struct scree_error own;

    if (rc == 0 && reply->failed)
        rc = scree_fail_memory(&own, reply->limit), err = &own;
    if (rc == 0)
        rc = scree_grpc_send(call, reply->bytes, reply->n, &own), err = &own;
    scree_grpc_finish(call, status_of(rc), rc < 0 ? err->text : NULL);
    scree_buffer_done(reply);
}

/* ---- connections ----------------------------------------------------------------------------- */

static void peer_closed(struct scree_peer *peer)
{
    struct scree_unix_server *server = peer->owner;
    struct scree_peer **at = &server->peers;

    while (*at != peer)
        at = &(*at)->next;
    *at = peer->next;
    server->n_peers--;
    scree_peer_free(peer);
}

static void accept_one(void *context, uint32_t what)
{
    struct scree_unix_server *server = context;
    int fd = accept4(server->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct scree_peer *peer;
    struct scree_error err;

    (void)what;
    if (fd < 0)
        return;
    if (server->n_peers == MAX_PEERS) {
        SCREE_JOURNAL(WARNING, "connection refused", {"reason", "there are too many"});
        close(fd);
        return;
    }
    if (scree_peer_new(server->loop, fd, true, &events, server, peer_closed, &peer, &err) < 0) {
        SCREE_JOURNAL(ERROR, "connection refused", {"reason", err.text});
        return;
    }
    peer->next = server->peers;
    server->peers = peer;
    server->n_peers++;
    scree_peer_flush(peer);
}

static void cut_off(struct scree_unix_server *server)
{
    uint64_t now = scree_now_ns();

    for (struct scree_peer *peer = server->peers, *next; peer; peer = next) {
        bool silent = !peer->answered && now - peer->start_ns > SILENCE_NS;
        bool stuck = peer->stuck_ns > 0 && now - peer->stuck_ns > STUCK_NS;

        next = peer->next;
        if (!silent && !stuck)
            continue;
        SCREE_JOURNAL(WARNING, "connection closed",
                      {"reason", silent ? "it makes no call" : "it does not read"});
        peer_closed(peer);
    }
}

void scree_unix_server_flush(struct scree_unix_server *server)
{
    for (struct scree_peer *peer = server->peers, *next; peer; peer = next) {
        next = peer->next;
        scree_peer_flush(peer);
    }
}

/* ---- the socket ------------------------------------------------------------------------------ */

static int listen_anew(struct scree_unix_server *server, struct scree_error *err)
{
    int fd = scree_unix_listen(server->path, err), rc;
    struct stat st;

    if (fd < 0)
        return fd;
    scree_loop_close(server->loop, &server->source);
    server->source.fd = fd;
    if (stat(server->path, &st) == 0) {
        server->device = st.st_dev;
        server->inode = st.st_ino;
    }
    server->displaced = false;
    rc = scree_loop_add(server->loop, &server->source, EPOLLIN, err);
    if (rc < 0)
        scree_loop_close(server->loop, &server->source);
    return rc;
}

int scree_unix_server_start(struct scree_unix_server *server, struct scree_loop *loop,
                            const struct scree_service *service, const char *dir, const char *name,
                            struct scree_error *err)
{
    *server = (struct scree_unix_server){.loop = loop, .service = service};
    server->source = (struct scree_source){.fd = -1, .ready = accept_one, .context = server};
    if ((size_t)snprintf(server->path, sizeof server->path, "%s/%s", dir, name) >=
        sizeof server->path)
        return scree_fail(err, EINVAL, "%s/%s: too long a path for a socket", dir, name);
    return listen_anew(server, err);
}

int scree_unix_server_check(struct scree_unix_server *server)
{
    struct scree_error err;
    struct stat st;

    cut_off(server);
    if (stat(server->path, &st) == 0 && server->source.fd >= 0) {
        bool ours = st.st_dev == server->device && st.st_ino == server->inode;

        if (!ours && !server->displaced)
            SCREE_JOURNAL(ERROR, "another instance has taken the socket", {"socket", server->path});
        server->displaced = !ours;
        return 0;
    }
    if (listen_anew(server, &err) < 0) {
        SCREE_JOURNAL(DEBUG, "no socket", {"reason", err.text});
        return 0;
    }
    SCREE_JOURNAL(INFO, "listening again", {"socket", server->path});
    return 1;
}

void scree_unix_server_done(struct scree_unix_server *server)
{
    struct stat st;

    if (!server->loop)
        return;
    while (server->peers)
        peer_closed(server->peers);
    if (server->source.fd >= 0 && stat(server->path, &st) == 0 && st.st_dev == server->device &&
        st.st_ino == server->inode)
        (void)unlink(server->path);
    scree_loop_close(server->loop, &server->source);
    server->loop = NULL;
}
