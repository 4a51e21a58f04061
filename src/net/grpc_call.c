#include "net/grpc_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- from the beginning to the end ---- */

struct scree_grpc_call *scree_grpc_call_new(struct scree_grpc *grpc, int32_t stream)
{
    struct scree_grpc_call *call = calloc(1, sizeof *call);

    if (!call)
        return NULL;
    *call = (struct scree_grpc_call){
        .grpc = grpc,
        .next = grpc->calls,
        .stream = stream,
        .headers.limit = grpc->limits.max_header_bytes,
        .added.limit = grpc->limits.max_header_bytes,
        .in.limit = grpc->limits.max_message_bytes + SCREE_GRPC_PREFIX_BYTES,
        .out.limit = grpc->limits.max_waiting_bytes,
        .status = grpc->is_server ? SCREE_GRPC_CANCELLED : SCREE_GRPC_UNAVAILABLE,
        .timeout_ns = UINT64_MAX,
    };
    if (call->next)
        call->next->prev = call;
    grpc->calls = call;
    grpc->n_calls++;
    return call;
}

void scree_grpc_call_free(struct scree_grpc_call *call)
{
    struct scree_grpc *grpc = call->grpc;

    if (call->next)
        call->next->prev = call->prev;
    if (call->prev)
        call->prev->next = call->next;
    else
        grpc->calls = call->next;
    grpc->n_calls--;
    if (call->opened)
        grpc->events->closed(grpc->context, call, call->status, call->text);
    scree_buffer_done(&call->headers);
    scree_buffer_done(&call->added);
    scree_buffer_done(&call->in);
    scree_buffer_done(&call->out);
    free(call);
}

/* ---- headers ---- */

void scree_grpc_add_pair(struct scree_buffer *pairs, const void *name, size_t n_name,
                         const void *value, size_t n_value)
{
    uint8_t *to = scree_buffer_extend(pairs, n_name + n_value + 2);

    if (!to)
        return;
    memcpy(to, name, n_name);
    to[n_name] = 0;
    memcpy(to + n_name + 1, value, n_value);
    to[n_name + 1 + n_value] = 0;
}

void scree_grpc_add_header(struct scree_grpc_call *call, const char *name, const char *value)
{
    assert(!call->answered);
    scree_grpc_add_pair(&call->added, name, strlen(name), value, strlen(value));
}

const char *scree_grpc_header(const struct scree_grpc_call *call, const char *name)
{
    const char *at = (const char *)call->headers.bytes;
    const char *end = at ? at + call->headers.n : NULL;

    while (at < end) {
        const char *value = at + strlen(at) + 1;

        if (strcmp(at, name) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

const char *scree_grpc_path(const struct scree_grpc_call *call)
{
    return scree_grpc_header(call, ":path");
}

/* ---- what the caller has of it ---- */

uint64_t scree_grpc_timeout_ns(const struct scree_grpc_call *call)
{
    return call->timeout_ns;
}

void scree_grpc_set_user(struct scree_grpc_call *call, void *user)
{
    call->user = user;
}

void *scree_grpc_user(const struct scree_grpc_call *call)
{
    return call->user;
}
