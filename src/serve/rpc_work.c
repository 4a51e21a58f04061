#include "serve/rpc_internal.h"

#include <string.h>
#include <unistd.h>

#include "net/inflate.h"

#define MAX_QUICK_BYTES ((size_t)64 << 10) /* that the event loop decompresses */

/* ---- a message's turn ---- */

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

    if (!scree_rpc_reserve(call->connection->rpc, n)) {
        scree_rpc_call_finish(call, SCREE_GRPC_UNAVAILABLE, "too many messages are at work");
        return false;
    }
    call->message->n_reserved += n;
    return true;
}

/* Decompresses the message; false: it cannot be, and the call fails. */
static bool unpack(struct scree_rpc_call *call)
{
    const struct scree_rpc_message *message = call->message;
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

    if (!call->grpc || scree_grpc_is_finished(call->grpc))
        return false;
    if (call->status == SCREE_GRPC_OK && call->reply.failed)
        scree_rpc_fail(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "no memory for the answer");
    if (call->status == SCREE_GRPC_OK && !scree_rpc_call_hold(call, call->reply.n))
        scree_rpc_fail(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "answers wait that are not taken");
    if (call->status == SCREE_GRPC_OK &&
        scree_grpc_send(call->grpc, call->reply.bytes, call->reply.n, &err) < 0)
        scree_rpc_fail(call, SCREE_GRPC_RESOURCE_EXHAUSTED, err.text);
    if (call->status != SCREE_GRPC_OK)
        scree_rpc_call_finish(call, call->status, call->text);
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
        call->reply = (struct scree_buffer){.limit = SCREE_RPC_MAX_ANSWER_BYTES};
        return;
    }
    scree_buffer_done(&call->reply);
    scree_rpc_call_drop(call);
    if (is_stream && call->first)
        scree_rpc_work_start(call);
    else if (!is_stream || call->has_ended)
        scree_rpc_call_finish(call, SCREE_GRPC_OK, NULL);
}

void scree_rpc_work_complete(struct scree_rpc_call *call)
{
    set_working(call, false);
    if (send_reply(call)) {
        go_on(call);
    } else {
        /* What was sent before may wait for long yet: others' messages are not to wait for it. */
        scree_rpc_call_drop(call);
        scree_rpc_call_forget(call);
    }
    if (!call->grpc)
        scree_rpc_call_end(call);
}

void scree_rpc_work_start(struct scree_rpc_call *call)
{
    struct scree_rpc *rpc = call->connection->rpc;

    if (call->is_working || !call->first)
        return;
    if (call->connection->n_working >= rpc->limits.max_calls) {
        /* Of calls that were cancelled, perhaps: a peer cannot have more at work by that. */
        scree_rpc_call_finish(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "too many calls are at work");
        return;
    }
    scree_rpc_call_pop(call);
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
        scree_rpc_call_finish(call, SCREE_GRPC_UNAVAILABLE, "no thread can be started");
    }
}

void scree_rpc_work_watch(struct scree_rpc_call *call)
{
    call->method->handle(call->connection->rpc->options.context, call);
    if (call->reply.n == call->told.n &&
        (call->reply.n == 0 || memcmp(call->reply.bytes, call->told.bytes, call->reply.n) == 0))
        scree_buffer_done(&call->reply);
    else if (send_reply(call))
        go_on(call);
}

struct scree_job *scree_rpc_work_take(struct scree_rpc *rpc)
{
    struct scree_job *job;
    uint64_t n;

    (void)!read(rpc->event, &n, sizeof n);
    pthread_mutex_lock(&rpc->lock);
    job = rpc->done;
    rpc->done = NULL;
    pthread_mutex_unlock(&rpc->lock);
    return job;
}
