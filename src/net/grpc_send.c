#include "net/grpc_internal.h"

#include <assert.h>
#include <string.h>

#include "net/grpc_text.h"

#define MAX_ADDED_HEADERS 4
#define MAX_PAIRS         (3 + MAX_ADDED_HEADERS) /* that an answer begins with */

/* ---- headers ---- */

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* The status and its text as headers; `code` char[4], `encoded` char[3 *
 * SCREE_GRPC_MAX_TEXT_BYTES]. Returns how many. */
static size_t status_pairs(const struct scree_grpc_call *call, nghttp2_nv *pairs, char *code,
                           char *encoded)
{
    int status = call->status;
    char *to = code;

    if (status >= 10)
        *to++ = (char)('0' + status / 10);
    *to++ = (char)('0' + status % 10);
    *to = 0;
    scree_grpc_text_encode(call->text, encoded);
    pairs[0] = pair("grpc-status", code);
    pairs[1] = pair("grpc-message", encoded);
    return call->text[0] ? 2 : 1;
}

/* Headers that the answer begins with, into pairs[MAX_PAIRS]. Returns how many. */
static size_t first_pairs(const struct scree_grpc_call *call, nghttp2_nv *pairs)
{
    const char *at = (const char *)call->added.bytes;
    const char *end = at ? at + call->added.n : NULL;
    size_t n = 0;

    pairs[n++] = pair(":status", "200");
    pairs[n++] = pair("content-type", "application/grpc");
    pairs[n++] = pair("grpc-accept-encoding",
                      call->grpc->events->packed ? "identity,deflate,gzip" : "identity");
    while (at < end && n < MAX_PAIRS) {
        const char *value = at + strlen(at) + 1;

        pairs[n++] = pair(at, value);
        at = value + strlen(value) + 1;
    }
    return n;
}

/* ---- answers ---- */

static void submit_trailers(struct scree_grpc_call *call)
{
    char code[4], encoded[3 * SCREE_GRPC_MAX_TEXT_BYTES];
    nghttp2_nv pairs[2];
    size_t n = status_pairs(call, pairs, code, encoded);

    (void)nghttp2_submit_trailer(call->grpc->session, call->stream, pairs, n);
}

/* nghttp2 asks for data of a stream. */
static ssize_t read_data(nghttp2_session *session, int32_t stream, uint8_t *to, size_t n,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct scree_grpc_call *call = source->ptr;
    size_t waiting = scree_grpc_waiting(call);

    (void)session, (void)stream, (void)user;
    if (waiting == 0 && !call->finished) {
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    n = n < waiting ? n : waiting;
    if (n > 0)
        memcpy(to, call->out.bytes + call->n_out_read, n);
    call->n_out_read += n;
    if (n == waiting && call->finished) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (call->grpc->is_server) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(call);
        }
    }
    return (ssize_t)n;
}

static void resume(struct scree_grpc_call *call)
{
    if (call->deferred)
        (void)nghttp2_session_resume_data(call->grpc->session, call->stream);
    call->deferred = false;
}

/* The headers of a response; data follow. */
static void submit_response(struct scree_grpc_call *call)
{
    nghttp2_nv pairs[MAX_PAIRS];
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_data};
    size_t n = first_pairs(call, pairs);

    call->answered = true;
    (void)nghttp2_submit_response(call->grpc->session, call->stream, pairs, n, &provider);
}

/* A response of headers alone: the call failed before it had anything to say. */
static void submit_status(struct scree_grpc_call *call)
{
    char code[4], encoded[3 * SCREE_GRPC_MAX_TEXT_BYTES];
    nghttp2_nv pairs[MAX_PAIRS + 2];
    size_t n = first_pairs(call, pairs);

    n += status_pairs(call, pairs + n, code, encoded);
    call->answered = true;
    (void)nghttp2_submit_response(call->grpc->session, call->stream, pairs, n, NULL);
}

void scree_grpc_send_http(struct scree_grpc_call *call, const char *http_status)
{
    nghttp2_nv pairs[] = {pair(":status", http_status)};

    call->answered = call->finished = true;
    (void)nghttp2_submit_response(call->grpc->session, call->stream, pairs, 1, NULL);
}

/* ---- as the caller says ---- */

int scree_grpc_send(struct scree_grpc_call *call, const void *bytes, size_t n,
                    struct scree_error *err)
{
    size_t room;
    uint8_t *to;

    if (call->finished)
        return 0;
    scree_buffer_drop(&call->out, call->n_out_read);
    call->n_out_read = 0;
    room = call->out.limit - call->out.n;
    if (n > UINT32_MAX || room < SCREE_GRPC_PREFIX_BYTES || n > room - SCREE_GRPC_PREFIX_BYTES)
        return scree_fail(err, E2BIG, "%zu bytes wait already for a peer that does not read",
                          call->out.n);
    to = scree_buffer_extend(&call->out, SCREE_GRPC_PREFIX_BYTES + n);
    if (!to) {
        call->out.failed = false; /* nothing was added: what was there can still be sent */
        return scree_fail_memory(err, n);
    }
    to[0] = 0;
    for (int i = 0; i < 4; i++)
        to[1 + i] = (uint8_t)(n >> (24 - 8 * i));
    if (n > 0)
        memcpy(to + SCREE_GRPC_PREFIX_BYTES, bytes, n);
    if (call->grpc->is_server && !call->answered)
        submit_response(call);
    resume(call);
    return 0;
}

size_t scree_grpc_waiting(const struct scree_grpc_call *call)
{
    return call->out.n - call->n_out_read;
}

void scree_grpc_finish(struct scree_grpc_call *call, enum scree_grpc_status status,
                       const char *text)
{
    if (call->finished)
        return;
    call->finished = true;
    if (call->grpc->is_server) {
        size_t n = text ? strnlen(text, SCREE_GRPC_MAX_TEXT_BYTES - 1) : 0;

        call->status = status;
        if (n > 0)
            memcpy(call->text, text, n);
        call->text[n] = 0;
        if (!call->answered)
            submit_status(call);
    }
    resume(call);
}

bool scree_grpc_is_finished(const struct scree_grpc_call *call)
{
    return call->finished;
}

void scree_grpc_cancel(struct scree_grpc_call *call)
{
    (void)nghttp2_submit_rst_stream(call->grpc->session, NGHTTP2_FLAG_NONE, call->stream,
                                    NGHTTP2_CANCEL);
}

int scree_grpc_call(struct scree_grpc *grpc, const char *authority, const char *path,
                    struct scree_grpc_call **ret_call, struct scree_error *err)
{
    nghttp2_nv pairs[] = {pair(":method", "POST"),
                          pair(":scheme", "http"),
                          pair(":path", path),
                          pair(":authority", authority),
                          pair("content-type", "application/grpc"),
                          pair("te", "trailers"),
                          pair("user-agent", "scree")};
    nghttp2_data_provider provider = {.read_callback = read_data};
    struct scree_grpc_call *call;
    int32_t stream;

    assert(!grpc->is_server);
    if (grpc->n_calls >= grpc->limits.max_calls)
        return scree_fail(err, EAGAIN, "%u calls are open", grpc->n_calls);
    call = scree_grpc_call_new(grpc, 0);
    if (!call)
        return scree_fail_memory(err, sizeof *call);
    provider.source.ptr = call;
    stream = nghttp2_submit_request(grpc->session, NULL, pairs, sizeof pairs / sizeof pairs[0],
                                    &provider, call);
    if (stream < 0) {
        scree_grpc_call_free(call);
        return scree_fail(err, stream == NGHTTP2_ERR_NOMEM ? ENOMEM : EAGAIN,
                          "no call can be made: %s", nghttp2_strerror(stream));
    }
    call->stream = stream;
    call->opened = true;
    *ret_call = call;
    return 0;
}
