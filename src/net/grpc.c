/* A call is a stream of HTTP/2, which libnghttp2 keeps; here are messages, status and limits.
 *
 *            opened                    finish()            stream closed
 *     (none) ------> open, sending ------------> finished -------------> closed(), freed
 *                      |   cancel(), reset by the peer, limit crossed        ^
 *                      +-----------------------------------------------------+
 *
 * A call is freed in one place, when its stream is closed, which happens only while feeding, while
 * output is made, and in scree_grpc_free(): never under the feet of a caller that answers an event.
 */
#include "net/grpc.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/buffer.h"

#define PREFIX_BYTES            5 /* of a message: compressed or not, length in 4 bytes, the highest first */
#define OUTPUT_BYTES            ((size_t)64 << 10) /* is collected before it is asked to be sent */
#define STREAM_WINDOW_BYTES     (256 << 10)
#define CONNECTION_WINDOW_BYTES (1 << 20)
#define MAX_TEXT_BYTES          256
#define MAX_ADDED_HEADERS       4

/* Streams that a peer may reset: so many at once, so many a second. Source: nghttp2 1.57's
 * defaults. */
#define RESET_BURST     1000
#define RESETS_A_SECOND 33
#define NS_A_SECOND     UINT64_C(1000000000)

const struct scree_grpc_limits scree_grpc_default_limits = {
    .max_message_bytes = (size_t)16 << 20,
    .max_waiting_bytes = (size_t)32 << 20,
    .max_calls = 64,
    .max_header_bytes = 8 << 10,
};

struct scree_grpc {
    nghttp2_session *session;
    bool is_server;
    bool flooded; /* why a callback failed */
    struct scree_grpc_limits limits;
    const struct scree_grpc_events *events;
    void *context;
    struct scree_grpc_call *calls; /* newest first */
    uint32_t n_calls;
    struct scree_buffer output;
    uint64_t now_ns, resets_since_ns;
    uint32_t resets_left;
};

struct scree_grpc_call {
    struct scree_grpc *grpc;
    struct scree_grpc_call *next, *prev;
    int32_t stream;
    struct scree_buffer headers; /* "name\0value\0" ... */
    struct scree_buffer in;      /* the message that is arriving, with its prefix */
    struct scree_buffer out;     /* messages that wait, with their prefixes */
    size_t n_out_read;           /* of these, what nghttp2 has taken */
    struct scree_buffer added;   /* headers of the answer, as above */
    bool has_encoding;           /* messages may come compressed */
    bool opened;                 /* the event was sent */
    bool answered;               /* server: headers were submitted */
    bool finished;               /* by us */
    bool ended;                  /* by the peer */
    bool deferred;               /* nghttp2 waits to be told of more data */
    enum scree_grpc_status status;
    char text[MAX_TEXT_BYTES];
    uint64_t timeout_ns;
    void *user;
};

/* ---- calls ---- */

static struct scree_grpc_call *new_call(struct scree_grpc *grpc, int32_t stream)
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
        .in.limit = grpc->limits.max_message_bytes + PREFIX_BYTES,
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

static void free_call(struct scree_grpc_call *call)
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

static struct scree_grpc_call *find_call(struct scree_grpc *grpc, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(grpc->session, stream);
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

struct scree_grpc *scree_grpc_of(const struct scree_grpc_call *call)
{
    return call->grpc;
}

/* ---- text of a status: percent-encoded on the wire ---- */

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '%';
}

/* Text into to char[3 * MAX_TEXT_BYTES]. */
static void encode_text(const char *text, char *to)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text; text++) {
        uint8_t byte = (uint8_t)*text;

        if (is_plain(*text)) {
            *to++ = *text;
            continue;
        }
        *to++ = '%';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
    *to = 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What is wrongly encoded stays as it is, as gRPC asks. */
static void decode_text(const char *from, char *to, size_t n)
{
    size_t k = 0;

    while (*from && k + 1 < n) {
        int high = from[0] == '%' ? hex_value(from[1]) : -1;
        int low = high >= 0 ? hex_value(from[2]) : -1;

        to[k++] = (char)(low >= 0 ? high << 4 | low : *from);
        from += low >= 0 ? 3 : 1;
    }
    to[k] = 0;
}

/* ---- sending ---- */

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/* The status and its text as headers; `code` char[4], `encoded` char[3 * MAX_TEXT_BYTES]. Returns
 * how many. */
static size_t status_pairs(const struct scree_grpc_call *call, nghttp2_nv *pairs, char *code,
                           char *encoded)
{
    int status = call->status;
    char *to = code;

    if (status >= 10)
        *to++ = (char)('0' + status / 10);
    *to++ = (char)('0' + status % 10);
    *to = 0;
    encode_text(call->text, encoded);
    pairs[0] = pair("grpc-status", code);
    pairs[1] = pair("grpc-message", encoded);
    return call->text[0] ? 2 : 1;
}

static void submit_trailers(struct scree_grpc_call *call)
{
    char code[4], encoded[3 * MAX_TEXT_BYTES];
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

/* Headers that every answer begins with. */
#define MAX_PAIRS (3 + MAX_ADDED_HEADERS)

/* Those of this call into pairs[MAX_PAIRS]; returns how many. */
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
    char code[4], encoded[3 * MAX_TEXT_BYTES];
    nghttp2_nv pairs[MAX_PAIRS + 2];
    size_t n = first_pairs(call, pairs);

    n += status_pairs(call, pairs + n, code, encoded);

    call->answered = true;
    (void)nghttp2_submit_response(call->grpc->session, call->stream, pairs, n, NULL);
}

/* An answer of HTTP to what is no gRPC. */
static void submit_http(struct scree_grpc_call *call, const char *http_status)
{
    nghttp2_nv pairs[] = {pair(":status", http_status)};

    call->answered = call->finished = true;
    (void)nghttp2_submit_response(call->grpc->session, call->stream, pairs, 1, NULL);
}

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
    if (n > UINT32_MAX || room < PREFIX_BYTES || n > room - PREFIX_BYTES)
        return scree_fail(err, E2BIG, "%zu bytes wait already for a peer that does not read",
                          call->out.n);
    to = scree_buffer_extend(&call->out, PREFIX_BYTES + n);
    if (!to) {
        call->out.failed = false; /* nothing was added: what was there can still be sent */
        return scree_fail_memory(err, n);
    }
    to[0] = 0;
    for (int i = 0; i < 4; i++)
        to[1 + i] = (uint8_t)(n >> (24 - 8 * i));
    if (n > 0)
        memcpy(to + PREFIX_BYTES, bytes, n);
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
        size_t n = text ? strnlen(text, MAX_TEXT_BYTES - 1) : 0;

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

/* ---- receiving ---- */

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
        grpc->context, call, call->in.bytes + PREFIX_BYTES, call->in.n - PREFIX_BYTES);
    call->in.n = 0;
}

/* A server's call that is refused, or any that is answered to the end, hears no more. */
static bool is_deaf(const struct scree_grpc_call *call)
{
    return !call->opened || call->in.failed || (call->grpc->is_server && call->finished);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t n, void *user)
{
    struct scree_grpc_call *call = find_call(user, stream);

    (void)session, (void)flags;
    while (call && n > 0 && !is_deaf(call)) {
        bool has_prefix = call->in.n >= PREFIX_BYTES;
        size_t whole = PREFIX_BYTES + (has_prefix ? message_bytes(call->in.bytes) : 0);
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
    return 0;
}

static void peer_ended(struct scree_grpc_call *call)
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

/* ---- headers ---- */

/* "100m" and the like to nanoseconds; UINT64_MAX for what is none. */
static uint64_t parse_timeout(const char *text)
{
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'H', 3600 * NS_A_SECOND},
                 {'M', 60 * NS_A_SECOND},
                 {'S', NS_A_SECOND},
                 {'m', 1000000},
                 {'u', 1000},
                 {'n', 1}};
    uint64_t value = 0;
    int n = 0;

    for (; text[n] >= '0' && text[n] <= '9' && n < 8; n++)
        value = 10 * value + (uint64_t)(text[n] - '0');
    for (size_t i = 0; n > 0 && i < sizeof units / sizeof units[0]; i++)
        if (text[n] == units[i].unit && text[n + 1] == 0)
            return value * units[i].ns;
    return UINT64_MAX;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct scree_grpc *grpc = user;
    struct scree_grpc_call *call;

    if (!grpc->is_server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    call = grpc->n_calls < grpc->limits.max_calls ? new_call(grpc, frame->hd.stream_id) : NULL;
    if (!call) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    (void)nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    return 0;
}

/* Adds a pair, or nothing, so that what is there is always whole. */
static void add_pair(struct scree_buffer *pairs, const void *name, size_t n_name, const void *value,
                     size_t n_value)
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
    add_pair(&call->added, name, strlen(name), value, strlen(value));
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags, void *user)
{
    struct scree_grpc_call *call = find_call(user, frame->hd.stream_id);

    (void)session, (void)flags;
    if (call && !memchr(name, 0, n_name) && !memchr(value, 0, n_value))
        add_pair(&call->headers, name, n_name, value, n_value);
    return 0;
}

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
        submit_http(call, "405");
        return;
    }
    if (!type || strncmp(type, "application/grpc", 16) != 0) {
        submit_http(call, "415");
        return;
    }
    timeout = scree_grpc_header(call, "grpc-timeout");
    if (timeout)
        call->timeout_ns = parse_timeout(timeout);
    call->opened = true;
    if (grpc->events->opened)
        status = grpc->events->opened(grpc->context, call);
    if (status != SCREE_GRPC_OK)
        refuse(call, status, "");
    else if (!read_encoding(call))
        refuse(call, SCREE_GRPC_UNIMPLEMENTED, "this grpc-encoding is not understood");
}

/* Client: what an answer without a status of gRPC means. Source: grpc/doc/http-grpc-status-mapping.
 */
static enum scree_grpc_status status_of_http(const char *http)
{
    static const struct {
        const char *http;
        enum scree_grpc_status status;
    } map[] = {{"401", SCREE_GRPC_UNAUTHENTICATED}, {"403", SCREE_GRPC_PERMISSION_DENIED},
               {"404", SCREE_GRPC_UNIMPLEMENTED},   {"429", SCREE_GRPC_UNAVAILABLE},
               {"502", SCREE_GRPC_UNAVAILABLE},     {"503", SCREE_GRPC_UNAVAILABLE},
               {"504", SCREE_GRPC_UNAVAILABLE}};

    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (strcmp(http, map[i].http) == 0)
            return map[i].status;
    return SCREE_GRPC_UNKNOWN;
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
        decode_text(text ? text : "", call->text, sizeof call->text);
    } else if (http && strcmp(http, "200") != 0) {
        call->status = status_of_http(http);
        (void)snprintf(call->text, sizeof call->text, "HTTP status %.3s", http);
    }
}

/* ---- what nghttp2 tells ---- */

static bool may_reset(struct scree_grpc *grpc)
{
    uint64_t since = grpc->now_ns - grpc->resets_since_ns;
    uint64_t more = since / (NS_A_SECOND / RESETS_A_SECOND);

    if (more > 0) {
        grpc->resets_left = more >= RESET_BURST - grpc->resets_left
                                ? RESET_BURST
                                : grpc->resets_left + (uint32_t)more;
        grpc->resets_since_ns = grpc->now_ns;
    }
    if (grpc->resets_left == 0)
        return false;
    grpc->resets_left--;
    return true;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct scree_grpc *grpc = user;
    struct scree_grpc_call *call = find_call(grpc, frame->hd.stream_id);

    (void)session;
    if (frame->hd.type == NGHTTP2_RST_STREAM && grpc->is_server && !may_reset(grpc)) {
        grpc->flooded = true;
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (!call)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS) {
        if (!grpc->is_server)
            read_status(call);
        else if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            open_call(call);
    }
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        peer_ended(call);
    return 0;
}

/* A server that is through with a call does not wait for the rest of the request. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct scree_grpc *grpc = user;
    struct scree_grpc_call *call = find_call(grpc, frame->hd.stream_id);

    if (grpc->is_server && call && !call->ended && frame->hd.type == NGHTTP2_HEADERS &&
        frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_NO_ERROR);
    return 0;
}

static int on_closed(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
    struct scree_grpc_call *call = find_call(user, stream);

    (void)session, (void)error;
    if (call)
        free_call(call);
    return 0;
}

/* ---- connections ---- */

static int new_session(struct scree_grpc *grpc)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int rc = nghttp2_session_callbacks_new(&callbacks);

    if (rc == 0)
        rc = nghttp2_option_new(&option);
    if (rc == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_closed);
        /* Kubelets before 1.26 send a socket's path as :authority, which strict checks refuse. */
        nghttp2_option_set_no_http_messaging(option, 1);
        rc = grpc->is_server ? nghttp2_session_server_new2(&grpc->session, callbacks, grpc, option)
                             : nghttp2_session_client_new2(&grpc->session, callbacks, grpc, option);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return rc;
}

static int submit_settings(struct scree_grpc *grpc)
{
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, grpc->limits.max_header_bytes},
        {grpc->is_server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
         grpc->is_server ? grpc->limits.max_calls : 0},
    };
    int rc = nghttp2_submit_settings(grpc->session, NGHTTP2_FLAG_NONE, entries, 3);

    return rc != 0 ? rc
                   : nghttp2_session_set_local_window_size(grpc->session, NGHTTP2_FLAG_NONE, 0,
                                                           CONNECTION_WINDOW_BYTES);
}

static int new_connection(bool is_server, const struct scree_grpc_limits *limits,
                          const struct scree_grpc_events *events, void *context,
                          struct scree_grpc **ret_grpc, struct scree_error *err)
{
    struct scree_grpc *grpc = calloc(1, sizeof *grpc);

    if (!grpc)
        return scree_fail_memory(err, sizeof *grpc);
    *grpc = (struct scree_grpc){
        .is_server = is_server,
        .limits = *limits,
        .events = events,
        .context = context,
        .output.limit = SIZE_MAX,
        .resets_left = RESET_BURST,
    };
    if (new_session(grpc) != 0 || submit_settings(grpc) != 0) {
        nghttp2_session_del(grpc->session);
        free(grpc);
        return scree_fail(err, ENOMEM, "no memory for a connection");
    }
    *ret_grpc = grpc;
    return 0;
}

int scree_grpc_new_server(const struct scree_grpc_limits *limits,
                          const struct scree_grpc_events *events, void *context,
                          struct scree_grpc **ret_grpc, struct scree_error *err)
{
    return new_connection(true, limits, events, context, ret_grpc, err);
}

int scree_grpc_new_client(const struct scree_grpc_limits *limits,
                          const struct scree_grpc_events *events, void *context,
                          struct scree_grpc **ret_grpc, struct scree_error *err)
{
    return new_connection(false, limits, events, context, ret_grpc, err);
}

void scree_grpc_free(struct scree_grpc *grpc)
{
    if (!grpc)
        return;
    while (grpc->calls)
        free_call(grpc->calls);
    nghttp2_session_del(grpc->session);
    scree_buffer_done(&grpc->output);
    free(grpc);
}

int scree_grpc_feed(struct scree_grpc *grpc, const uint8_t *bytes, size_t n, uint64_t now_ns,
                    struct scree_error *err)
{
    ssize_t rc;

    grpc->now_ns = now_ns;
    if (grpc->resets_since_ns == 0)
        grpc->resets_since_ns = now_ns;
    rc = nghttp2_session_mem_recv(grpc->session, bytes, n);
    if (rc >= 0)
        return 0;
    if (grpc->flooded || rc == NGHTTP2_ERR_FLOODED)
        return scree_fail(err, E2BIG, "a flood of HTTP/2 frames");
    if (rc == NGHTTP2_ERR_NOMEM)
        return scree_fail(err, ENOMEM, "no memory for a connection");
    return scree_fail(err, EBADMSG, "not HTTP/2: %s", nghttp2_strerror((int)rc));
}

const uint8_t *scree_grpc_output(struct scree_grpc *grpc, size_t *ret_n)
{
    while (grpc->output.n < OUTPUT_BYTES && !grpc->output.failed) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(grpc->session, &bytes);

        if (n <= 0)
            break;
        scree_buffer_add(&grpc->output, bytes, (size_t)n);
    }
    *ret_n = grpc->output.n;
    return grpc->output.n > 0 ? grpc->output.bytes : NULL;
}

void scree_grpc_sent(struct scree_grpc *grpc, size_t n)
{
    scree_buffer_drop(&grpc->output, n);
}

void scree_grpc_go_away(struct scree_grpc *grpc)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(grpc->session);

    (void)nghttp2_submit_goaway(grpc->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0);
}

bool scree_grpc_is_idle(const struct scree_grpc *grpc)
{
    return grpc->n_calls == 0 && grpc->output.n == 0 && !nghttp2_session_want_write(grpc->session);
}

bool scree_grpc_is_done(const struct scree_grpc *grpc)
{
    return grpc->output.failed ||
           (grpc->output.n == 0 && !nghttp2_session_want_read(grpc->session) &&
            !nghttp2_session_want_write(grpc->session));
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
    call = new_call(grpc, 0);
    if (!call)
        return scree_fail_memory(err, sizeof *call);
    provider.source.ptr = call;
    stream = nghttp2_submit_request(grpc->session, NULL, pairs, sizeof pairs / sizeof pairs[0],
                                    &provider, call);
    if (stream < 0) {
        free_call(call);
        return scree_fail(err, stream == NGHTTP2_ERR_NOMEM ? ENOMEM : EAGAIN,
                          "no call can be made: %s", nghttp2_strerror(stream));
    }
    call->stream = stream;
    call->opened = true;
    *ret_call = call;
    return 0;
}
