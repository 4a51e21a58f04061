#include "serve/rpc_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* ---- messages, and the memory for them ---- */

bool scree_rpc_reserve(struct scree_rpc *rpc, size_t n)
{
    if (n > rpc->options.limits.max_bodies_bytes - rpc->n_bytes)
        return false;
    rpc->n_bytes += n;
    return true;
}

void scree_rpc_call_let_go(struct scree_rpc_call *call)
{
    size_t waiting = call->grpc ? scree_grpc_waiting(call->grpc) : 0;

    if (call->n_held <= waiting)
        return;
    call->connection->rpc->n_bytes -= call->n_held - waiting;
    call->n_held = waiting;
}

bool scree_rpc_call_hold(struct scree_rpc_call *call, size_t n)
{
    scree_rpc_call_let_go(call);
    if (scree_grpc_waiting(call->grpc) == 0)
        return true;
    if (!scree_rpc_reserve(call->connection->rpc, n))
        return false;
    call->n_held += n;
    return true;
}

/* How much a message adds to what holds reading up. That of a call of one message does not: it
 * waits for its call's end, which is to be read, and calls are few. */
static uint32_t weight(const struct scree_rpc_call *call)
{
    return call->method->flags & SCREE_RPC_STREAM ? 1 : 0;
}

bool scree_rpc_call_push(struct scree_rpc_call *call, const uint8_t *bytes, size_t n,
                         bool is_packed)
{
    struct scree_rpc_message *message = malloc(sizeof *message + n);

    if (!message)
        return false;
    *message = (struct scree_rpc_message){
        .start_ns = scree_now_ns(), .n = n, .n_reserved = call->n_reserved, .is_packed = is_packed};
    call->n_reserved = 0;
    if (n > 0)
        memcpy(message->bytes, bytes, n);
    if (call->last)
        call->last->next = message;
    else
        call->first = message;
    call->last = message;
    call->connection->n_queued += weight(call);
    return true;
}

void scree_rpc_call_pop(struct scree_rpc_call *call)
{
    assert(call->first && !call->message);
    call->message = call->first;
    call->first = call->message->next;
    if (!call->first)
        call->last = NULL;
    call->connection->n_queued -= weight(call);
}

void scree_rpc_call_drop(struct scree_rpc_call *call)
{
    if (call->message)
        call->connection->rpc->n_bytes -= call->message->n_reserved;
    free(call->message);
    call->message = NULL;
    scree_buffer_done(&call->plain);
}

void scree_rpc_call_forget(struct scree_rpc_call *call)
{
    while (call->first) {
        scree_rpc_call_pop(call);
        scree_rpc_call_drop(call);
    }
}

/* ---- from the beginning to the end ---- */

static const struct scree_rpc_method *find_method(const struct scree_rpc *rpc, const char *path)
{
    static const struct scree_rpc_method unknown = {0};

    for (const struct scree_rpc_method *m = rpc->options.methods; m->path; m++)
        if (strcmp(m->path, path) == 0)
            return m;
    return &unknown;
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

struct scree_rpc_call *scree_rpc_call_new(struct scree_rpc_connection *connection,
                                          struct scree_grpc_call *grpc)
{
    struct scree_rpc *rpc = connection->rpc;
    struct scree_rpc_call *call = calloc(1, sizeof *call);
    uint64_t timeout_ns = scree_grpc_timeout_ns(grpc);

    if (!call)
        return NULL;
    call->connection = connection;
    call->grpc = grpc;
    call->method = find_method(rpc, scree_grpc_path(grpc));
    call->start_ns = scree_now_ns();
    call->deadline_ns = timeout_ns < UINT64_MAX - call->start_ns ? call->start_ns + timeout_ns
                                                                 : UINT64_MAX;
    call->awaited_until_ns = call->start_ns + rpc->options.limits.body_ms * SCREE_RPC_NS_A_MS;
    call->reply.limit = call->told.limit = SCREE_RPC_MAX_ANSWER_BYTES;
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

void scree_rpc_call_finish(struct scree_rpc_call *call, enum scree_grpc_status status,
                           const char *text)
{
    if (call->grpc)
        scree_grpc_finish(call->grpc, status, text);
}

void scree_rpc_call_end(struct scree_rpc_call *call)
{
    struct scree_rpc *rpc = call->connection->rpc;

    rpc->options.ended(rpc->options.context, call, call->end);
    if (call->next)
        call->next->prev = call->prev;
    if (call->prev)
        call->prev->next = call->next;
    else
        rpc->calls = call->next;
    scree_rpc_call_drop(call);
    scree_rpc_call_forget(call);
    scree_rpc_call_let_go(call);
    rpc->n_bytes -= call->n_reserved;
    scree_buffer_done(&call->reply);
    scree_buffer_done(&call->told);
    free(call);
}

/* ---- as handlers see it ---- */

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
