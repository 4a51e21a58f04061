#include "serve/rpc.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/listen.h"
#include "serve/rpc_internal.h"

#define MAX_HEADER_BYTES (8u << 10)
#define EVENTS_A_RUN     64
#define CHECK_MS         100

/* ---- who comes in ---- */

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
        scree_rpc_connection_add(rpc, fd, &address);
    }
}

/* ---- what takes too long ---- */

/* Cancels a call whose answer is not taken: by a window that stays shut, say. */
static void check_unread(struct scree_rpc_call *call, uint64_t now)
{
    bool is_finished = scree_grpc_is_finished(call->grpc);
    size_t n = scree_grpc_waiting(call->grpc);

    scree_rpc_call_let_go(call);
    if ((n == 0 && !is_finished) || n < call->n_unread || call->unread_since_ns == 0)
        call->unread_since_ns = n > 0 || is_finished ? now : 0;
    else if (now - call->unread_since_ns >
             call->connection->rpc->options.limits.send_ms * SCREE_RPC_NS_A_MS)
        scree_grpc_cancel(call->grpc);
    call->n_unread = n;
}

/* What a call that is not at work, nor through, has to be told. */
static void check_call(struct scree_rpc_call *call, uint64_t now)
{
    bool is_watching = call->method->flags & SCREE_RPC_WATCH && call->message;
    bool is_waiting = call->method->flags & SCREE_RPC_STREAM && !call->first;

    if (call->connection->rpc->draining && (is_watching || is_waiting))
        scree_rpc_call_finish(call, SCREE_GRPC_UNAVAILABLE, "shutting down");
    else if (call->awaited_until_ns < now || call->deadline_ns < now)
        scree_rpc_call_finish(call, SCREE_GRPC_DEADLINE_EXCEEDED, "the time for this call is over");
    else if (is_watching)
        scree_rpc_work_watch(call);
}

static void check_calls(struct scree_rpc *rpc, uint64_t now)
{
    for (struct scree_rpc_call *call = rpc->calls; call; call = call->next) {
        if (!call->grpc)
            continue;
        if (!call->is_working && !scree_grpc_is_finished(call->grpc))
            check_call(call, now);
        check_unread(call, now);
    }
}

static void check_connections(struct scree_rpc *rpc, uint64_t now)
{
    for (struct scree_rpc_connection *c = rpc->connections, *next; c; c = next) {
        next = c->next;
        scree_rpc_connection_check(c, now);
    }
}

/* ---- the event loop ---- */

static int open_events(struct scree_rpc *rpc, struct scree_error *err)
{
    struct epoll_event on_listener = {.events = EPOLLIN, .data.ptr = NULL};
    struct epoll_event on_event = {.events = EPOLLIN, .data.ptr = rpc};

    scree_listen_keep_alive(rpc->options.listener);
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
        .max_waiting_bytes = SCREE_RPC_MAX_ANSWER_BYTES,
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

/* What workers are through with. With the last call may go what is left of its connection. */
static void complete_done(struct scree_rpc *rpc)
{
    for (struct scree_job *job = scree_rpc_work_take(rpc), *next; job; job = next) {
        struct scree_rpc_call *call = (struct scree_rpc_call *)(void *)job;
        struct scree_rpc_connection *connection = call->connection;

        next = job->next;
        scree_rpc_work_complete(call);
        scree_rpc_connection_release(connection);
    }
}

void scree_rpc_run(struct scree_rpc *rpc)
{
    struct epoll_event ready[EVENTS_A_RUN];
    int n = epoll_wait(rpc->epoll, ready, EVENTS_A_RUN, 0);
    uint64_t now;

    /* Nothing else frees a connection while these are served: each closes itself alone. */
    for (int i = 0; i < n; i++)
        if (ready[i].data.ptr != NULL && ready[i].data.ptr != rpc)
            scree_rpc_connection_serve(ready[i].data.ptr);
    for (int i = 0; i < n; i++)
        if (ready[i].data.ptr == NULL && !rpc->draining)
            accept_all(rpc);
    complete_done(rpc);
    /* Later than all that was noted above. */
    now = scree_now_ns();
    if (now - rpc->checked_ns > CHECK_MS * SCREE_RPC_NS_A_MS) {
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
    check_calls(rpc, scree_now_ns());
    check_connections(rpc, scree_now_ns());
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
        scree_rpc_connection_close(rpc->connections);
    if (rpc->options.listener >= 0)
        (void)close(rpc->options.listener);
    if (rpc->event >= 0)
        (void)close(rpc->event);
    if (rpc->epoll >= 0)
        (void)close(rpc->epoll);
    pthread_mutex_destroy(&rpc->lock);
    free(rpc);
}
