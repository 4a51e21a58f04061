#include "net/grpc_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/grpc_text.h"

/* Server: the call ends here. Client: we do not want to hear more of it. */
static void refuse(struct scree_grpc_call *call, enum scree_grpc_status status, const char *text)
{
    if (call->grpc->is_server) {
        scree_grpc_finish(call, status, text);
        return;
    }
    call->status = status;
    (void)snprintf(call->text, sizeof call->text, "%s", text);
    scree_grpc_cancel(call);
}

/* ---- headers ---- */

/* Whether messages come in a way that is understood. Source: grpc/doc/compression.md. */
static bool read_encoding(struct scree_grpc_call *call)
{
    const char *encoding = scree_grpc_header(call, "grpc-encoding");

    if (!encoding || strcmp(encoding, "identity") == 0)
        return true;
    call->has_encoding = strcmp(encoding, "gzip") == 0 || strcmp(encoding, "deflate") == 0;
    return call->has_encoding && call->grpc->events->packed;
}

/* The headers of a request are complete. */
static void open_call(struct scree_grpc_call *call)
{
    struct scree_grpc *grpc = call->grpc;
    const char *method = scree_grpc_header(call, ":method"), *timeout;
    const char *type = scree_grpc_header(call, "content-type");
    enum scree_grpc_status status = SCREE_GRPC_OK;

    if (call->headers.failed) {
        refuse(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "the headers are too large");
        return;
    }
    if (!method || strcmp(method, "POST") != 0 || !scree_grpc_path(call)) {
        scree_grpc_send_http(call, "405");
        return;
    }
    if (!type || strncmp(type, "application/grpc", 16) != 0) {
        scree_grpc_send_http(call, "415");
        return;
    }
    timeout = scree_grpc_header(call, "grpc-timeout");
    if (timeout)
        call->timeout_ns = scree_grpc_text_timeout(timeout);
    call->opened = true;
    if (grpc->events->opened)
        status = grpc->events->opened(grpc->context, call);
    if (status != SCREE_GRPC_OK)
        refuse(call, status, "");
    else if (!read_encoding(call))
        refuse(call, SCREE_GRPC_UNIMPLEMENTED, "this grpc-encoding is not understood");
}

/* Client: headers or trailers of the answer. */
static void read_status(struct scree_grpc_call *call)
{
    const char *code = scree_grpc_header(call, "grpc-status");
    const char *text = scree_grpc_header(call, "grpc-message");
    const char *http = scree_grpc_header(call, ":status");

    if (code) {
        bool known = code[0] >= '0' && code[0] <= '9' && strlen(code) <= 2;

        call->status = known ? (enum scree_grpc_status)strtol(code, NULL, 10) : SCREE_GRPC_UNKNOWN;
        scree_grpc_text_decode(text ? text : "", call->text, sizeof call->text);
    } else if (http && strcmp(http, "200") != 0) {
        call->status = scree_grpc_text_http_status(http);
        (void)snprintf(call->text, sizeof call->text, "HTTP status %.3s", http);
    }
}

void scree_grpc_receive_headers(struct scree_grpc_call *call)
{
    if (call->grpc->is_server)
        open_call(call);
    else
        read_status(call);
}

/* ---- messages ---- */

static size_t message_bytes(const uint8_t *prefix)
{
    return (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
}

/* The prefix of a message is there. Returns false if the message is not wanted. */
static bool admit(struct scree_grpc_call *call)
{
    const struct scree_grpc *grpc = call->grpc;
    size_t n = message_bytes(call->in.bytes);

    if (call->in.bytes[0] != 0 && !grpc->events->packed) {
        refuse(call, SCREE_GRPC_UNIMPLEMENTED, "compressed messages are not understood");
        return false;
    }
    if (call->in.bytes[0] > 1 || (call->in.bytes[0] == 1 && !call->has_encoding)) {
        refuse(call, SCREE_GRPC_INTERNAL, "a compressed message, and grpc-encoding tells of none");
        return false;
    }
    if (n > grpc->limits.max_message_bytes ||
        (grpc->events->admit && !grpc->events->admit(grpc->context, call, n))) {
        refuse(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "the message is too large");
        return false;
    }
    return true;
}

/* Takes as much of bytes[n] as the prefix, or the message, still lacks; returns how much, or 0 if
 * memory is out. */
static size_t take(struct scree_grpc_call *call, const uint8_t *bytes, size_t n, size_t whole)
{
    size_t missing = whole - call->in.n;

    n = n < missing ? n : missing;
    scree_buffer_add(&call->in, bytes, n);
    if (!call->in.failed)
        return n;
    refuse(call, SCREE_GRPC_RESOURCE_EXHAUSTED, "no memory for the message");
    return 0;
}

static void deliver(struct scree_grpc_call *call)
{
    const struct scree_grpc *grpc = call->grpc;

    (call->in.bytes[0] ? grpc->events->packed : grpc->events->message)(
        grpc->context, call, call->in.bytes + SCREE_GRPC_PREFIX_BYTES,
        call->in.n - SCREE_GRPC_PREFIX_BYTES);
    call->in.n = 0;
}

/* A server's call that is refused, or any that is answered to the end, hears no more. */
static bool is_deaf(const struct scree_grpc_call *call)
{
    return !call->opened || call->in.failed || (call->grpc->is_server && call->finished);
}

void scree_grpc_receive_data(struct scree_grpc_call *call, const uint8_t *bytes, size_t n)
{
    while (n > 0 && !is_deaf(call)) {
        bool has_prefix = call->in.n >= SCREE_GRPC_PREFIX_BYTES;
        size_t whole = SCREE_GRPC_PREFIX_BYTES + (has_prefix ? message_bytes(call->in.bytes) : 0);
        size_t taken = take(call, bytes, n, whole);

        bytes += taken;
        n -= taken;
        if (taken == 0 || call->in.n < whole)
            break;
        if (!has_prefix && !admit(call))
            break;
        if (has_prefix || message_bytes(call->in.bytes) == 0)
            deliver(call);
    }
}

void scree_grpc_receive_end(struct scree_grpc_call *call)
{
    const struct scree_grpc *grpc = call->grpc;

    if (call->ended)
        return;
    call->ended = true;
    if (is_deaf(call))
        return;
    if (call->in.n > 0)
        refuse(call, SCREE_GRPC_INTERNAL, "the last message is cut off");
    else if (grpc->events->ended)
        grpc->events->ended(grpc->context, call);
}
