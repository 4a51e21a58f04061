#include "serve/rpc_internal.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"

#define MAX_QUEUED  32 /* messages of a connection that wait; it is not read from then */
#define READ_BYTES  ((size_t)64 << 10)
#define READS_A_RUN 4 /* of one connection, so that others have their turn */

static bool is_forwarded(const struct scree_grpc_call *grpc)
{
    return scree_grpc_header(grpc, "x-forwarded-for") || scree_grpc_header(grpc, "forwarded");
}

/* Whether the one who calls may; else the call ends, with the status that is returned. */
static enum scree_grpc_status ask_gate(struct scree_rpc_call *call)
{
    const struct scree_rpc_connection *connection = call->connection;
    const struct scree_rpc *rpc = connection->rpc;
    struct scree_error err;
    int rc = rpc->options.gate(rpc->options.context, call->method, connection->peer,
                               scree_grpc_header(call->grpc, "authorization"),
                               is_forwarded(call->grpc), &err);

    if (rc >= 0)
        return SCREE_GRPC_OK;
    scree_rpc_call_finish(call, scree_rpc_status(rc), err.text);
    return scree_rpc_status(rc);
}

/* ---- what net/grpc.h tells ---- */

static enum scree_grpc_status on_opened(void *context, struct scree_grpc_call *grpc)
{
    struct scree_rpc_connection *connection = context;
    struct scree_rpc *rpc = connection->rpc;
    struct scree_rpc_call *call = scree_rpc_call_new(connection, grpc);

    if (!call)
        return SCREE_GRPC_RESOURCE_EXHAUSTED;
    if (!call->method->path) {
        scree_rpc_call_finish(call, SCREE_GRPC_UNIMPLEMENTED, "there is no such method");
        return SCREE_GRPC_UNIMPLEMENTED;
    }
    if (rpc->draining) {
        scree_rpc_call_finish(call, SCREE_GRPC_UNAVAILABLE, "shutting down");
        return SCREE_GRPC_UNAVAILABLE;
    }
    return ask_gate(call);
}

static bool on_admit(void *context, struct scree_grpc_call *grpc, size_t n)
{
    struct scree_rpc *rpc = ((struct scree_rpc_connection *)context)->rpc;
    const struct scree_http_limits *limits = &rpc->options.limits;
    struct scree_rpc_call *call = scree_grpc_user(grpc);

    if (!scree_rpc_reserve(rpc, n))
        return false;
    call->n_reserved += n;
    call->awaited_until_ns = scree_now_ns() +
                             (limits->body_ms + n * 1000 / limits->min_rate) * SCREE_RPC_NS_A_MS;
    return true;
}

static void take_message(void *context, struct scree_grpc_call *grpc, const uint8_t *bytes,
                         size_t n, bool is_packed)
{
    const struct scree_rpc_connection *connection = context;
    struct scree_rpc_call *call = scree_grpc_user(grpc);
    bool is_stream = call->method->flags & SCREE_RPC_STREAM;

    call->awaited_until_ns = UINT64_MAX;
    if (is_stream && call->has_message && ask_gate(call) != SCREE_GRPC_OK)
        return;
    call->has_message = true;
    if (!is_stream && (call->first || call->message))
        scree_rpc_call_finish(call, SCREE_GRPC_INVALID_ARGUMENT, "this call has one message");
    else if (!scree_rpc_call_push(call, bytes, n, is_packed))
        scree_rpc_call_finish(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "no memory for the message");
    else if (is_stream)
        scree_rpc_work_start(call);
    else
        call->awaited_until_ns = scree_now_ns() +
                                 connection->rpc->options.limits.body_ms * SCREE_RPC_NS_A_MS;
}

static void on_message(void *context, struct scree_grpc_call *grpc, const uint8_t *bytes, size_t n)
{
    take_message(context, grpc, bytes, n, false);
}

static void on_packed(void *context, struct scree_grpc_call *grpc, const uint8_t *bytes, size_t n)
{
    take_message(context, grpc, bytes, n, true);
}

static void on_ended(void *context, struct scree_grpc_call *grpc)
{
    struct scree_rpc_call *call = scree_grpc_user(grpc);

    (void)context;
    call->has_ended = true;
    call->awaited_until_ns = UINT64_MAX;
    if (call->method->flags & SCREE_RPC_STREAM) {
        if (!call->is_working && !call->first)
            scree_rpc_call_finish(call, SCREE_GRPC_OK, NULL);
    } else if (!call->first) {
        scree_rpc_call_finish(call, SCREE_GRPC_INVALID_ARGUMENT, "this call has one message");
    } else {
        scree_rpc_work_start(call);
    }
}

static void on_closed(void *context, struct scree_grpc_call *grpc, enum scree_grpc_status status,
                      const char *text)
{
    struct scree_rpc_connection *connection = context;
    struct scree_rpc_call *call = scree_grpc_user(grpc);

    (void)text;
    if (!call)
        return;
    call->end = status;
    call->grpc = NULL;
    call->is_gone = true;
    connection->n_calls--;
    if (connection->n_calls == 0)
        connection->idle_since_ns = scree_now_ns();
    if (!call->is_working)
        scree_rpc_call_end(call);
}

static const struct scree_grpc_events events = {
    .opened = on_opened,
    .admit = on_admit,
    .message = on_message,
    .ended = on_ended,
    .closed = on_closed,
    .packed = on_packed,
};

/* ---- bytes in and out ---- */

void scree_rpc_connection_release(struct scree_rpc_connection *connection)
{
    struct scree_rpc *rpc = connection->rpc;

    if (connection->grpc || connection->n_working > 0)
        return;
    if (connection->next)
        connection->next->prev = connection->prev;
    if (connection->prev)
        connection->prev->next = connection->next;
    else
        rpc->connections = connection->next;
    free(connection);
}

void scree_rpc_connection_close(struct scree_rpc_connection *connection)
{
    scree_wire_close(&connection->wire);
    connection->rpc->n_connections--;
    scree_grpc_free(connection->grpc); /* all its calls are told */
    connection->grpc = NULL;
    scree_rpc_connection_release(connection);
}

/* Has epoll wait for what makes sense now. */
static bool set_events(struct scree_rpc_connection *connection, bool can_write)
{
    struct epoll_event event = {.data.ptr = connection};

    event.events = (connection->n_queued < MAX_QUEUED ? (uint32_t)EPOLLIN : 0) |
                   (can_write ? 0 : (uint32_t)EPOLLOUT);
    if (event.events == connection->events)
        return true;
    connection->events = event.events;
    return epoll_ctl(connection->rpc->epoll, EPOLL_CTL_MOD, connection->wire.fd, &event) == 0;
}

/* Shakes hands first. Returns true when that is done; else the connection waits, or is no more. */
static bool shake(struct scree_rpc_connection *connection)
{
    int rc = scree_wire_shake(&connection->wire);

    if (rc < 0 || connection->is_leaving ||
        (rc == 0 && !set_events(connection, !scree_wire_wants_to_write(&connection->wire))))
        scree_rpc_connection_close(connection);
    else
        return rc > 0;
    return false;
}

/* Sends what there is. Returns false if the connection is no more. */
static bool flush(struct scree_rpc_connection *connection)
{
    const uint8_t *bytes;
    bool can_write = true;
    size_t n;

    while (can_write && (bytes = scree_grpc_output(connection->grpc, &n))) {
        ssize_t sent = scree_wire_write(&connection->wire, bytes, n);

        if (sent < 0 && sent != -EAGAIN) {
            scree_rpc_connection_close(connection);
            return false;
        }
        can_write = sent > 0;
        if (sent > 0) {
            scree_grpc_sent(connection->grpc, (size_t)sent);
            connection->stuck_since_ns = 0;
        } else if (connection->stuck_since_ns == 0) {
            connection->stuck_since_ns = scree_now_ns();
        }
    }
    if (scree_grpc_is_done(connection->grpc) || !set_events(connection, can_write) ||
        (connection->is_leaving && scree_grpc_is_idle(connection->grpc))) {
        scree_rpc_connection_close(connection);
        return false;
    }
    return true;
}

void scree_rpc_connection_serve(struct scree_rpc_connection *connection)
{
    uint8_t bytes[READ_BYTES];
    struct scree_error err;

    if (!connection->wire.is_shaken && !shake(connection))
        return;
    for (int i = 0; i < READS_A_RUN && connection->n_queued < MAX_QUEUED; i++) {
        ssize_t n = scree_wire_read(&connection->wire, bytes, sizeof bytes);

        if (n == -EAGAIN)
            break;
        if (n <= 0) {
            scree_rpc_connection_close(connection);
            return;
        }
        connection->has_spoken = true;
        if (scree_grpc_feed(connection->grpc, bytes, (size_t)n, scree_now_ns(), &err) < 0) {
            scree_rpc_connection_close(connection);
            return;
        }
    }
    (void)flush(connection);
}

/* ---- who comes, and who has to go ---- */

static void set_peer(struct scree_rpc_connection *connection,
                     const struct sockaddr_storage *address)
{
    const void *v4 = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    bool is_mapped = address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6);

    if (address->ss_family == AF_INET || is_mapped)
        (void)inet_ntop(AF_INET, is_mapped ? &v6->s6_addr[12] : v4, connection->peer,
                        sizeof connection->peer);
    else if (address->ss_family == AF_INET6)
        (void)inet_ntop(AF_INET6, v6, connection->peer, sizeof connection->peer);
}

static bool may_connect(const struct scree_rpc *rpc, const struct scree_rpc_connection *candidate)
{
    const struct scree_http_limits *limits = &rpc->options.limits;
    uint32_t n = 0;

    for (const struct scree_rpc_connection *c = rpc->connections; c; c = c->next)
        n += c->grpc && strcmp(c->peer, candidate->peer) == 0;
    return rpc->n_connections < limits->max_connections && n < limits->max_connections_per_ip;
}

/* Makes a connection of a socket, which is taken over, on failure too; NULL: it may not come in, or
 * there is no memory. */
static struct scree_rpc_connection *new_connection(struct scree_rpc *rpc, int fd,
                                                   const struct sockaddr_storage *address)
{
    struct scree_rpc_connection *connection = calloc(1, sizeof *connection);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

    if (!connection) {
        (void)close(fd);
        return NULL;
    }
    *connection = (struct scree_rpc_connection){
        .rpc = rpc, .events = EPOLLIN, .idle_since_ns = scree_now_ns()};
    set_peer(connection, address);
    if (scree_wire_open(&connection->wire, fd, rpc->options.tls, "h2", NULL) >= 0) {
        if (may_connect(rpc, connection) &&
            scree_grpc_new_server(&rpc->limits, &events, connection, &connection->grpc, NULL) >=
                0 &&
            epoll_ctl(rpc->epoll, EPOLL_CTL_ADD, fd, &event) >= 0)
            return connection;
        scree_grpc_free(connection->grpc);
        scree_wire_close(&connection->wire);
    }
    free(connection);
    return NULL;
}

void scree_rpc_connection_add(struct scree_rpc *rpc, int fd, const struct sockaddr_storage *address)
{
    struct scree_rpc_connection *connection;
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection = new_connection(rpc, fd, address);
    if (!connection)
        return;
    connection->next = rpc->connections;
    if (connection->next)
        connection->next->prev = connection;
    rpc->connections = connection;
    rpc->n_connections++;
    if (connection->wire.is_shaken)
        (void)flush(connection);
}

/* True if a connection has no right to live on. */
static bool is_late(const struct scree_rpc_connection *connection, uint64_t now)
{
    const struct scree_http_limits *limits = &connection->rpc->options.limits;
    uint64_t idle_ns = connection->n_calls > 0 ? 0 : now - connection->idle_since_ns;

    if (!connection->has_spoken && idle_ns > limits->header_ms * SCREE_RPC_NS_A_MS)
        return true;
    /* It was told to go when it had been idle for long: it has as long to do so. */
    if (idle_ns > 2 * limits->idle_ms * SCREE_RPC_NS_A_MS)
        return true;
    return connection->stuck_since_ns > 0 &&
           now - connection->stuck_since_ns > limits->send_ms * SCREE_RPC_NS_A_MS;
}

void scree_rpc_connection_check(struct scree_rpc_connection *c, uint64_t now)
{
    const struct scree_rpc *rpc = c->rpc;

    if (!c->grpc)
        return;
    if (is_late(c, now)) {
        scree_rpc_connection_close(c);
        return;
    }
    if (!c->is_leaving &&
        (rpc->draining || (c->n_calls == 0 && now - c->idle_since_ns > rpc->options.limits.idle_ms *
                                                                           SCREE_RPC_NS_A_MS))) {
        c->is_leaving = true;
        scree_grpc_go_away(c->grpc);
    }
    if (c->wire.is_shaken || shake(c))
        (void)flush(c);
}
