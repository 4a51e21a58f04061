#include "serve/rpc.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/inflate.h"
#include "serve/ids.h"
#include "serve/listen.h"
#include "serve/wire.h"

#define MAX_QUEUED       32 /* messages of a connection that wait; it is not read from then */
#define MAX_HEADER_BYTES (8u << 10)
#define MAX_ANSWER_BYTES ((size_t)256 << 20)
#define MAX_TEXT_BYTES   sizeof(struct scree_error)
#define MAX_PATH_BYTES   128                /* of methods, as logs tell them */
#define MAX_NAME_BYTES   65                 /* of models and versions */
#define MAX_QUICK_BYTES  ((size_t)64 << 10) /* that the event loop decompresses */
#define READ_BYTES       ((size_t)64 << 10)
#define READS_A_RUN      4 /* of one connection, so that others have their turn */
#define EVENTS_A_RUN     64
#define CHECK_MS         100
#define NS_A_MS          UINT64_C(1000000)

/* A message that waits for its turn, or is at work. */
struct message {
    struct message *next;
    uint64_t start_ns;
    size_t n, n_reserved; /* n_reserved: of the budget for bytes in flight */
    bool is_packed;
    uint8_t bytes[];
};

/* A connection, alive as long as its socket or what it has at work. */
struct connection {
    struct connection *next, *prev;
    struct scree_rpc *rpc;
    struct scree_grpc *grpc; /* NULL: closed */
    struct scree_wire wire;
    uint32_t n_calls, n_working, n_queued;
    uint32_t events;         /* epoll waits for */
    uint64_t idle_since_ns;  /* with no call open */
    uint64_t stuck_since_ns; /* when the peer began not to read; 0: it does */
    bool has_spoken, is_leaving;
    char peer[INET6_ADDRSTRLEN];
};

struct scree_rpc_call {
    struct scree_job job;
    struct scree_rpc_call *next, *prev; /* of all calls */
    struct connection *connection;
    struct scree_grpc_call *grpc; /* NULL: closed */
    const struct scree_rpc_method *method;
    struct message *first, *last; /* that wait */
    struct message *message;      /* at work, or watched with */
    uint64_t start_ns, deadline_ns;
    uint64_t awaited_until_ns; /* when the message that is due must be there; UINT64_MAX: none is */
    uint64_t unread_since_ns;  /* when the peer began not to take the answer; 0: it does */
    size_t n_unread;           /* then */
    size_t n_reserved;         /* of the budget, for messages that are not there yet */
    size_t n_answered;
    bool is_working, has_ended, is_finished;
    atomic_bool is_gone;
    struct scree_buffer plain;       /* the message at work, if it came compressed */
    struct scree_buffer reply, told; /* told: what a watcher knows */
    enum scree_grpc_status status;   /* of the handler */
    enum scree_grpc_status end;      /* that the peer knows */
    char text[MAX_TEXT_BYTES];
    char path[MAX_PATH_BYTES], id[SCREE_ID_BYTES], trace[SCREE_TRACE_BYTES];
    char model[MAX_NAME_BYTES], version[MAX_NAME_BYTES];
};

struct scree_rpc {
    struct scree_rpc_options options;
    struct scree_grpc_limits limits;
    int epoll, event;
    struct connection *connections;
    struct scree_rpc_call *calls;
    uint32_t n_connections, n_working;
    size_t n_bytes;        /* in flight */
    uint64_t run, next_id; /* of a call */
    uint64_t checked_ns;
    bool draining, is_deaf; /* deaf: to who comes, until the next check */
    pthread_mutex_t lock;   /* of done */
    struct scree_job *done;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_A_MS + (uint64_t)now.tv_nsec;
}

enum scree_grpc_status scree_rpc_status(int rc)
{
    static const struct {
        int rc;
        enum scree_grpc_status status;
    } table[] = {
        {-EINVAL, SCREE_GRPC_INVALID_ARGUMENT},
        {-EBADMSG, SCREE_GRPC_INVALID_ARGUMENT},
        {-ENOTSUP, SCREE_GRPC_INVALID_ARGUMENT},
        {-E2BIG, SCREE_GRPC_RESOURCE_EXHAUSTED},
        {-ENOENT, SCREE_GRPC_NOT_FOUND},
        {-EBUSY, SCREE_GRPC_UNAVAILABLE},
        {-EAGAIN, SCREE_GRPC_UNAVAILABLE},
        {-ENOMEM, SCREE_GRPC_RESOURCE_EXHAUSTED},
        {-ETIMEDOUT, SCREE_GRPC_DEADLINE_EXCEEDED},
        {-EACCES, SCREE_GRPC_UNAUTHENTICATED},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].rc == rc)
            return table[i].status;
    return SCREE_GRPC_INTERNAL;
}

/* ---- calls ---- */

static void free_message(struct scree_rpc_call *call, struct message *message)
{
    if (!message)
        return;
    call->connection->rpc->n_bytes -= message->n_reserved;
    free(message);
}

/* The message at work is of no use any more. */
static void drop_message(struct scree_rpc_call *call)
{
    free_message(call, call->message);
    call->message = NULL;
    scree_buffer_done(&call->plain);
}

static struct message *pop_message(struct scree_rpc_call *call)
{
    struct message *message = call->first;

    if (!message)
        return NULL;
    call->first = message->next;
    if (!call->first)
        call->last = NULL;
    call->connection->n_queued--;
    return message;
}

static void free_connection(struct connection *connection);

/* Tells of the end of a call that is closed and not at work, and frees it; with the last one goes
 * what is left of a connection. */
static void end_call(struct scree_rpc_call *call)
{
    struct connection *connection = call->connection;
    struct scree_rpc *rpc = connection->rpc;

    rpc->options.ended(rpc->options.context, call, call->end);
    if (call->next)
        call->next->prev = call->prev;
    if (call->prev)
        call->prev->next = call->next;
    else
        rpc->calls = call->next;
    while (call->first)
        free_message(call, pop_message(call));
    drop_message(call);
    rpc->n_bytes -= call->n_reserved;
    scree_buffer_done(&call->reply);
    scree_buffer_done(&call->told);
    free(call);
    if (!connection->grpc && connection->n_working == 0)
        free_connection(connection);
}

static const struct scree_rpc_method *find_method(const struct scree_rpc *rpc, const char *path)
{
    for (const struct scree_rpc_method *m = rpc->options.methods; m->path; m++)
        if (strcmp(m->path, path) == 0)
            return m;
    return NULL;
}

static void name_call(struct scree_rpc_call *call)
{
    struct scree_rpc *rpc = call->connection->rpc;

    (void)snprintf(call->path, sizeof call->path, "%s", scree_grpc_path(call->grpc));
    scree_trace_read(scree_grpc_header(call->grpc, "traceparent"), call->trace);
    scree_id_read(scree_grpc_header(call->grpc, "x-request-id"), rpc->run, ++rpc->next_id,
                  call->id);
    scree_grpc_add_header(call->grpc, "x-request-id", call->id);
}

static struct scree_rpc_call *new_call(struct connection *connection, struct scree_grpc_call *grpc,
                                       const struct scree_rpc_method *method)
{
    struct scree_rpc *rpc = connection->rpc;
    struct scree_rpc_call *call = calloc(1, sizeof *call);
    uint64_t timeout_ns = scree_grpc_timeout_ns(grpc);

    if (!call)
        return NULL;
    call->connection = connection;
    call->grpc = grpc;
    call->method = method;
    call->start_ns = now_ns();
    call->deadline_ns = timeout_ns < UINT64_MAX - call->start_ns ? call->start_ns + timeout_ns
                                                                 : UINT64_MAX;
    call->awaited_until_ns = call->start_ns + rpc->options.limits.body_ms * NS_A_MS;
    call->reply.limit = call->told.limit = MAX_ANSWER_BYTES;
    atomic_init(&call->is_gone, false);
    call->next = rpc->calls;
    if (call->next)
        call->next->prev = call;
    rpc->calls = call;
    connection->n_calls++;
    name_call(call);
    scree_grpc_set_user(grpc, call);
    return call;
}

static void finish(struct scree_rpc_call *call, enum scree_grpc_status status, const char *text)
{
    if (call->grpc)
        scree_grpc_finish(call->grpc, status, text);
    call->is_finished = true;
}

static enum scree_grpc_status on_opened(void *context, struct scree_grpc_call *grpc)
{
    static const struct scree_rpc_method unknown = {0};
    struct connection *connection = context;
    struct scree_rpc *rpc = connection->rpc;
    const struct scree_rpc_method *method = find_method(rpc, scree_grpc_path(grpc));
    struct scree_rpc_call *call = new_call(connection, grpc, method ? method : &unknown);
    struct scree_error err;
    int rc;

    if (!call)
        return SCREE_GRPC_RESOURCE_EXHAUSTED;
    if (!method) {
        finish(call, SCREE_GRPC_UNIMPLEMENTED, "there is no such method");
        return SCREE_GRPC_UNIMPLEMENTED;
    }
    if (rpc->draining) {
        finish(call, SCREE_GRPC_UNAVAILABLE, "shutting down");
        return SCREE_GRPC_UNAVAILABLE;
    }
    rc = rpc->options.gate(rpc->options.context, method, connection->peer,
                           scree_grpc_header(grpc, "authorization"), &err);
    if (rc < 0)
        finish(call, scree_rpc_status(rc), err.text);
    return rc < 0 ? scree_rpc_status(rc) : SCREE_GRPC_OK;
}

/* Takes n bytes of the budget. */
static bool reserve(struct scree_rpc *rpc, size_t n)
{
    if (n > rpc->options.limits.max_bodies_bytes - rpc->n_bytes)
        return false;
    rpc->n_bytes += n;
    return true;
}

static bool on_admit(void *context, struct scree_grpc_call *grpc, size_t n)
{
    struct scree_rpc *rpc = ((struct connection *)context)->rpc;
    const struct scree_http_limits *limits = &rpc->options.limits;
    struct scree_rpc_call *call = scree_grpc_user(grpc);

    if (!reserve(rpc, n))
        return false;
    call->n_reserved += n;
    call->awaited_until_ns = now_ns() + (limits->body_ms + n * 1000 / limits->min_rate) * NS_A_MS;
    return true;
}

static void start(struct scree_rpc_call *call);

static void take_message(void *context, struct scree_grpc_call *grpc, const uint8_t *bytes,
                         size_t n, bool is_packed)
{
    struct connection *connection = context;
    struct scree_rpc_call *call = scree_grpc_user(grpc);
    bool is_stream = call->method->flags & SCREE_RPC_STREAM;
    struct message *message;

    call->awaited_until_ns = UINT64_MAX;
    if (!is_stream && (call->first || call->message)) {
        finish(call, SCREE_GRPC_INVALID_ARGUMENT, "this call has one message");
        return;
    }
    message = malloc(sizeof *message + n);
    if (!message) {
        finish(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "no memory for the message");
        return;
    }
    *message = (struct message){
        .start_ns = now_ns(), .n = n, .n_reserved = call->n_reserved, .is_packed = is_packed};
    call->n_reserved = 0;
    if (n > 0)
        memcpy(message->bytes, bytes, n);
    if (call->last)
        call->last->next = message;
    else
        call->first = message;
    call->last = message;
    connection->n_queued++;
    if (is_stream)
        start(call);
    else
        call->awaited_until_ns = now_ns() + connection->rpc->options.limits.body_ms * NS_A_MS;
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
            finish(call, SCREE_GRPC_OK, NULL);
    } else if (!call->first) {
        finish(call, SCREE_GRPC_INVALID_ARGUMENT, "this call has one message");
    } else {
        start(call);
    }
}

static void on_closed(void *context, struct scree_grpc_call *grpc, enum scree_grpc_status status,
                      const char *text)
{
    struct connection *connection = context;
    struct scree_rpc_call *call = scree_grpc_user(grpc);

    (void)text;
    if (!call)
        return;
    call->end = status;
    call->grpc = NULL;
    call->is_gone = true;
    connection->n_calls--;
    if (connection->n_calls == 0)
        connection->idle_since_ns = now_ns();
    if (!call->is_working)
        end_call(call);
}

static const struct scree_grpc_events events = {
    .opened = on_opened,
    .admit = on_admit,
    .message = on_message,
    .ended = on_ended,
    .closed = on_closed,
    .packed = on_packed,
};

/* ---- work ---- */

/* How many bytes the message at work may become when it is decompressed. */
static size_t plain_bytes(const struct scree_rpc_call *call)
{
    const struct scree_http_limits *limits = &call->connection->rpc->options.limits;
    bool is_quick = call->method->flags & SCREE_RPC_QUICK;

    return scree_inflate_bound(call->message->n, limits->max_inflation,
                               is_quick && limits->max_body_bytes > MAX_QUICK_BYTES
                                   ? MAX_QUICK_BYTES
                                   : limits->max_body_bytes);
}

/* Takes them of the budget; false: there are none, and the call has failed. */
static bool make_room(struct scree_rpc_call *call)
{
    size_t n = call->message->is_packed ? plain_bytes(call) : 0;

    if (!reserve(call->connection->rpc, n)) {
        finish(call, SCREE_GRPC_UNAVAILABLE, "too many messages are at work");
        return false;
    }
    call->message->n_reserved += n;
    return true;
}

/* Decompresses the message; false: it cannot be, and the call fails. */
static bool unpack(struct scree_rpc_call *call)
{
    const struct message *message = call->message;
    struct scree_error err;
    int rc;

    if (!message->is_packed)
        return true;
    call->plain = (struct scree_buffer){.limit = plain_bytes(call)};
    rc = scree_inflate(message->bytes, message->n, &call->plain, &err);
    if (rc == -EINVAL)
        scree_rpc_fail(call, SCREE_GRPC_INTERNAL, "the message is not compressed as it says");
    else if (rc < 0)
        scree_rpc_fail(call, scree_rpc_status(rc), "the message is too large when decompressed");
    return rc >= 0;
}

static void handle(struct scree_rpc_call *call)
{
    if (unpack(call))
        call->method->handle(call->connection->rpc->options.context, call);
}

/* On a worker. */
static void run_job(struct scree_job *job)
{
    struct scree_rpc_call *call = (struct scree_rpc_call *)(void *)job;
    struct scree_rpc *rpc = call->connection->rpc;
    uint64_t one = 1;

    handle(call);
    pthread_mutex_lock(&rpc->lock);
    job->next = rpc->done;
    rpc->done = job;
    (void)!write(rpc->event, &one, sizeof one);
    pthread_mutex_unlock(&rpc->lock);
}

static void set_working(struct scree_rpc_call *call, bool is_working)
{
    uint32_t change = is_working ? 1 : UINT32_MAX;

    call->is_working = is_working;
    call->connection->n_working += change;
    call->connection->rpc->n_working += change;
}

/* The handler's answer to the peer. Returns false if the call has ended with it. */
static bool send_reply(struct scree_rpc_call *call)
{
    struct scree_error err;

    if (!call->grpc)
        return false;
    if (call->status == SCREE_GRPC_OK && call->reply.failed)
        scree_rpc_fail(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "no memory for the answer");
    if (call->status == SCREE_GRPC_OK &&
        scree_grpc_send(call->grpc, call->reply.bytes, call->reply.n, &err) < 0)
        scree_rpc_fail(call, SCREE_GRPC_RESOURCE_EXHAUSTED, err.text);
    if (call->status != SCREE_GRPC_OK)
        finish(call, call->status, call->text);
    else
        call->n_answered += call->reply.n;
    return call->status == SCREE_GRPC_OK;
}

/* What comes after an answer. */
static void go_on(struct scree_rpc_call *call)
{
    bool is_stream = call->method->flags & SCREE_RPC_STREAM;

    if (call->method->flags & SCREE_RPC_WATCH) {
        scree_buffer_done(&call->told);
        call->told = call->reply;
        call->reply = (struct scree_buffer){.limit = MAX_ANSWER_BYTES};
        return;
    }
    scree_buffer_done(&call->reply);
    drop_message(call);
    if (is_stream && call->first)
        start(call);
    else if (!is_stream || call->has_ended)
        finish(call, SCREE_GRPC_OK, NULL);
}

/* A handler is through; on the event loop. */
static void complete(struct scree_rpc_call *call)
{
    set_working(call, false);
    if (send_reply(call))
        go_on(call);
    if (!call->grpc)
        end_call(call);
}

/* Begins to work on the next message, if it is its turn. */
static void start(struct scree_rpc_call *call)
{
    struct scree_rpc *rpc = call->connection->rpc;

    if (call->is_working || !call->first)
        return;
    if (call->connection->n_working >= rpc->limits.max_calls) {
        /* Of calls that were cancelled, perhaps: a peer cannot have more at work by that. */
        finish(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "too many calls are at work");
        return;
    }
    call->message = pop_message(call);
    if (!make_room(call))
        return;
    if (call->method->flags & SCREE_RPC_QUICK) {
        handle(call);
        if (send_reply(call))
            go_on(call);
        return;
    }
    call->job.run = run_job;
    set_working(call, true);
    if (!scree_workers_submit(rpc->options.workers, &call->job)) {
        set_working(call, false);
        finish(call, SCREE_GRPC_UNAVAILABLE, "no thread can be started");
    }
}

/* Asks the handler of a watcher again; tells what is new. */
static void watch(struct scree_rpc_call *call)
{
    call->method->handle(call->connection->rpc->options.context, call);
    if (call->reply.n == call->told.n &&
        (call->reply.n == 0 || memcmp(call->reply.bytes, call->told.bytes, call->reply.n) == 0))
        scree_buffer_done(&call->reply);
    else if (send_reply(call))
        go_on(call);
}

static void complete_done(struct scree_rpc *rpc)
{
    struct scree_job *job, *next;
    uint64_t n;

    (void)!read(rpc->event, &n, sizeof n);
    pthread_mutex_lock(&rpc->lock);
    job = rpc->done;
    rpc->done = NULL;
    pthread_mutex_unlock(&rpc->lock);
    for (; job; job = next) {
        next = job->next;
        complete((struct scree_rpc_call *)(void *)job);
    }
}

/* ---- connections ---- */

static void free_connection(struct connection *connection)
{
    struct scree_rpc *rpc = connection->rpc;

    if (connection->next)
        connection->next->prev = connection->prev;
    if (connection->prev)
        connection->prev->next = connection->next;
    else
        rpc->connections = connection->next;
    free(connection);
}

/* Closes the socket; what is at work ends unheard. The connection is then gone, or will be. */
static void close_connection(struct connection *connection)
{
    struct scree_grpc *grpc = connection->grpc;

    scree_wire_close(&connection->wire);
    connection->rpc->n_connections--;
    connection->n_working++; /* so that it lives until all calls are told */
    scree_grpc_free(grpc);
    connection->grpc = NULL;
    connection->n_working--;
    if (connection->n_working == 0)
        free_connection(connection);
}

/* Has epoll wait for what makes sense now. */
static bool set_events(struct connection *connection, bool can_write)
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
static bool shake(struct connection *connection)
{
    int rc = scree_wire_shake(&connection->wire);

    if (rc < 0 || connection->is_leaving ||
        (rc == 0 && !set_events(connection, !scree_wire_wants_to_write(&connection->wire))))
        close_connection(connection);
    else
        return rc > 0;
    return false;
}

/* Sends what there is. Returns false if the connection is no more. */
static bool flush(struct connection *connection)
{
    const uint8_t *bytes;
    bool can_write = true;
    size_t n;

    while (can_write && (bytes = scree_grpc_output(connection->grpc, &n))) {
        ssize_t sent = scree_wire_write(&connection->wire, bytes, n);

        if (sent < 0 && sent != -EAGAIN) {
            close_connection(connection);
            return false;
        }
        can_write = sent > 0;
        if (sent > 0) {
            scree_grpc_sent(connection->grpc, (size_t)sent);
            connection->stuck_since_ns = 0;
        } else if (connection->stuck_since_ns == 0) {
            connection->stuck_since_ns = now_ns();
        }
    }
    if (scree_grpc_is_done(connection->grpc) || !set_events(connection, can_write) ||
        (connection->is_leaving && scree_grpc_is_idle(connection->grpc))) {
        close_connection(connection);
        return false;
    }
    return true;
}

/* Reads what there is, and answers. */
static void serve(struct connection *connection)
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
            close_connection(connection);
            return;
        }
        connection->has_spoken = true;
        if (scree_grpc_feed(connection->grpc, bytes, (size_t)n, now_ns(), &err) < 0) {
            close_connection(connection);
            return;
        }
    }
    (void)flush(connection);
}

static void set_peer(struct connection *connection, const struct sockaddr_storage *address)
{
    const void *v4 = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    const void *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

    if (address->ss_family == AF_INET || address->ss_family == AF_INET6)
        (void)inet_ntop(address->ss_family, address->ss_family == AF_INET ? v4 : v6,
                        connection->peer, sizeof connection->peer);
}

static bool may_connect(const struct scree_rpc *rpc, const struct connection *candidate)
{
    const struct scree_http_limits *limits = &rpc->options.limits;
    uint32_t n = 0;

    for (const struct connection *c = rpc->connections; c; c = c->next)
        n += c->grpc && strcmp(c->peer, candidate->peer) == 0;
    return rpc->n_connections < limits->max_connections && n < limits->max_connections_per_ip;
}

/* Makes a connection of a socket, which is taken over, on failure too; NULL: it may not come in, or
 * there is no memory. */
static struct connection *new_connection(struct scree_rpc *rpc, int fd,
                                         const struct sockaddr_storage *address)
{
    struct connection *connection = calloc(1, sizeof *connection);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};

    if (!connection) {
        (void)close(fd);
        return NULL;
    }
    *connection = (struct connection){.rpc = rpc, .events = EPOLLIN, .idle_since_ns = now_ns()};
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

/* Takes a socket over, or closes it. */
static void add_connection(struct scree_rpc *rpc, int fd, const struct sockaddr_storage *address)
{
    struct connection *connection;
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

/* Looks at the listener, or for a moment does not: while there are no descriptors it would be ready
 * without end. */
static void listen_or_not(struct scree_rpc *rpc, bool want)
{
    struct epoll_event event = {.events = want ? EPOLLIN : 0, .data.ptr = NULL};

    if (epoll_ctl(rpc->epoll, EPOLL_CTL_MOD, rpc->options.listener, &event) >= 0)
        rpc->is_deaf = !want;
}

static void accept_all(struct scree_rpc *rpc)
{
    for (;;) {
        struct sockaddr_storage address = {0};
        socklen_t n = sizeof address;
        int fd = scree_listen_accept(rpc->options.listener, &address, &n);

        if (scree_listen_is_exhausted(fd))
            listen_or_not(rpc, false);
        if (fd < 0)
            return;
        add_connection(rpc, fd, &address);
    }
}

/* ---- what takes too long ---- */

/* Cancels a call whose answer is not taken: by a window that stays shut, say. */
static void check_unread(struct scree_rpc_call *call, uint64_t now)
{
    size_t n = scree_grpc_waiting(call->grpc);

    if ((n == 0 && !call->is_finished) || n < call->n_unread || call->unread_since_ns == 0)
        call->unread_since_ns = n > 0 || call->is_finished ? now : 0;
    else if (now - call->unread_since_ns > call->connection->rpc->options.limits.send_ms * NS_A_MS)
        scree_grpc_cancel(call->grpc);
    call->n_unread = n;
}

/* What a call that is not at work, nor through, has to be told. */
static void check_call(struct scree_rpc_call *call, uint64_t now)
{
    bool is_watching = call->method->flags & SCREE_RPC_WATCH && call->message;
    bool is_waiting = call->method->flags & SCREE_RPC_STREAM && !call->first;

    if (call->connection->rpc->draining && (is_watching || is_waiting))
        finish(call, SCREE_GRPC_UNAVAILABLE, "shutting down");
    else if (call->awaited_until_ns < now || call->deadline_ns < now)
        finish(call, SCREE_GRPC_DEADLINE_EXCEEDED, "the time for this call is over");
    else if (is_watching)
        watch(call);
}

static void check_calls(struct scree_rpc *rpc, uint64_t now)
{
    for (struct scree_rpc_call *call = rpc->calls; call; call = call->next) {
        if (!call->grpc)
            continue;
        if (!call->is_working && !call->is_finished)
            check_call(call, now);
        check_unread(call, now);
    }
}

/* True if a connection has no right to live on. */
static bool is_late(const struct connection *connection, uint64_t now)
{
    const struct scree_http_limits *limits = &connection->rpc->options.limits;
    uint64_t idle_ns = connection->n_calls > 0 ? 0 : now - connection->idle_since_ns;

    if (!connection->has_spoken && idle_ns > limits->header_ms * NS_A_MS)
        return true;
    /* It was told to go when it had been idle for long: it has as long to do so. */
    if (idle_ns > 2 * limits->idle_ms * NS_A_MS)
        return true;
    return connection->stuck_since_ns > 0 &&
           now - connection->stuck_since_ns > limits->send_ms * NS_A_MS;
}

static void check_connections(struct scree_rpc *rpc, uint64_t now)
{
    for (struct connection *c = rpc->connections, *next; c; c = next) {
        next = c->next;
        if (!c->grpc)
            continue;
        if (is_late(c, now)) {
            close_connection(c);
            continue;
        }
        if (!c->is_leaving &&
            (rpc->draining ||
             (c->n_calls == 0 && now - c->idle_since_ns > rpc->options.limits.idle_ms * NS_A_MS))) {
            c->is_leaving = true;
            scree_grpc_go_away(c->grpc);
        }
        if (c->wire.is_shaken || shake(c))
            (void)flush(c);
    }
}

/* ---- the listener ---- */

static int open_events(struct scree_rpc *rpc, struct scree_error *err)
{
    struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = NULL};
    struct epoll_event on_event = {.events = EPOLLIN, .data.ptr = rpc};

    scree_listen_limit_unsent(rpc->options.listener, rpc->options.limits.max_unsent_bytes);
    rpc->epoll = epoll_create1(EPOLL_CLOEXEC);
    rpc->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (rpc->epoll < 0 || rpc->event < 0 ||
        epoll_ctl(rpc->epoll, EPOLL_CTL_ADD, rpc->options.listener, &on_listener) < 0 ||
        epoll_ctl(rpc->epoll, EPOLL_CTL_ADD, rpc->event, &on_event) < 0)
        return scree_fail(err, EIO, "cannot poll: %s", strerror(errno));
    return 0;
}

int scree_rpc_new(const struct scree_rpc_options *options, struct scree_rpc **ret_rpc,
                  struct scree_error *err)
{
    struct scree_rpc *rpc = calloc(1, sizeof *rpc);
    int rc;

    if (!rpc) {
        (void)close(options->listener);
        return scree_fail_memory(err, sizeof *rpc);
    }
    rpc->options = *options;
    rpc->epoll = rpc->event = -1;
    rpc->run = scree_id_run();
    rpc->limits = (struct scree_grpc_limits){
        .max_message_bytes = options->limits.max_body_bytes,
        .max_waiting_bytes = MAX_ANSWER_BYTES,
        .max_calls = options->limits.max_calls,
        .max_header_bytes = MAX_HEADER_BYTES,
    };
    pthread_mutex_init(&rpc->lock, NULL);
    rc = open_events(rpc, err);
    if (rc < 0) {
        scree_rpc_free(rpc);
        return rc;
    }
    *ret_rpc = rpc;
    return 0;
}

int scree_rpc_fd(const struct scree_rpc *rpc)
{
    return rpc->epoll;
}

int scree_rpc_wait_ms(const struct scree_rpc *rpc)
{
    (void)rpc;
    return CHECK_MS;
}

void scree_rpc_run(struct scree_rpc *rpc)
{
    struct epoll_event ready[EVENTS_A_RUN];
    int n = epoll_wait(rpc->epoll, ready, EVENTS_A_RUN, 0);
    uint64_t now;

    /* Nothing else frees a connection while these are served: each closes itself alone. */
    for (int i = 0; i < n; i++)
        if (ready[i].data.ptr != NULL && ready[i].data.ptr != rpc)
            serve(ready[i].data.ptr);
    for (int i = 0; i < n; i++)
        if (ready[i].data.ptr == NULL && !rpc->draining)
            accept_all(rpc);
    complete_done(rpc);
    /* Later than all that was noted above. */
    now = now_ns();
    if (now - rpc->checked_ns > CHECK_MS * NS_A_MS) {
        rpc->checked_ns = now;
        if (rpc->is_deaf && !rpc->draining)
            listen_or_not(rpc, true);
        check_calls(rpc, now);
    } else if (n == 0) {
        return;
    }
    check_connections(rpc, now);
}

void scree_rpc_drain(struct scree_rpc *rpc)
{
    if (rpc->draining)
        return;
    rpc->draining = true;
    (void)epoll_ctl(rpc->epoll, EPOLL_CTL_DEL, rpc->options.listener, NULL);
    (void)close(rpc->options.listener);
    rpc->options.listener = -1;
    check_calls(rpc, now_ns());
    check_connections(rpc, now_ns());
}

bool scree_rpc_is_idle(const struct scree_rpc *rpc)
{
    return !rpc->calls;
}

void scree_rpc_free(struct scree_rpc *rpc)
{
    if (!rpc)
        return;
    if (rpc->event >= 0)
        complete_done(rpc);
    assert(rpc->n_working == 0);
    while (rpc->connections)
        close_connection(rpc->connections);
    if (rpc->options.listener >= 0)
        (void)close(rpc->options.listener);
    if (rpc->event >= 0)
        (void)close(rpc->event);
    if (rpc->epoll >= 0)
        (void)close(rpc->epoll);
    pthread_mutex_destroy(&rpc->lock);
    free(rpc);
}

/* ---- calls, as handlers see them ---- */

const uint8_t *scree_rpc_message(const struct scree_rpc_call *call, size_t *ret_n)
{
    bool is_packed = call->message->is_packed;

    *ret_n = is_packed ? call->plain.n : call->message->n;
    if (*ret_n == 0)
        return (const uint8_t *)"";
    return is_packed ? call->plain.bytes : call->message->bytes;
}

void scree_rpc_set_model(struct scree_rpc_call *call, const char *model, const char *version)
{
    (void)snprintf(call->model, sizeof call->model, "%s", model);
    (void)snprintf(call->version, sizeof call->version, "%s", version);
}

void scree_rpc_tell(const struct scree_rpc_call *call, struct scree_rpc_facts *ret_facts)
{
    *ret_facts = (struct scree_rpc_facts){
        .path = call->path,
        .peer = call->connection->peer,
        .id = call->id,
        .trace = call->trace[0] ? call->trace : NULL,
        .model = call->model,
        .version = call->version,
        .flags = call->method->flags,
        .start_ns = call->start_ns,
        .n_answered = call->n_answered,
    };
}

struct scree_buffer *scree_rpc_reply(struct scree_rpc_call *call)
{
    return &call->reply;
}

void scree_rpc_fail(struct scree_rpc_call *call, enum scree_grpc_status status, const char *text)
{
    size_t n = strnlen(text, sizeof call->text - 1);

    call->status = status;
    memcpy(call->text, text, n);
    call->text[n] = 0;
}

uint64_t scree_rpc_start_ns(const struct scree_rpc_call *call)
{
    return call->message->start_ns;
}

uint64_t scree_rpc_deadline_ns(const struct scree_rpc_call *call)
{
    return call->deadline_ns;
}

bool scree_rpc_is_gone(const struct scree_rpc_call *call)
{
    return call->is_gone;
}
