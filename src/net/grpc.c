#include "net/grpc.h"

#include <stdlib.h>
#include <string.h>

#include "net/grpc_internal.h"

#define OUTPUT_BYTES            ((size_t)64 << 10) /* is collected before it is asked to be sent */
#define STREAM_WINDOW_BYTES     (256 << 10)
#define CONNECTION_WINDOW_BYTES (1 << 20)

/* Streams that a peer may reset: so many at once, so many a second. Source: nghttp2 1.57's
 * defaults. */
#define RESET_BURST     1000
#define RESETS_A_SECOND 33
#define NS_A_SECOND     UINT64_C(1000000000)

/* Frames that wait for a peer, besides those that answer its calls: refusals, say, of streams that
 * it opens before it has heard how many it may. As many as nghttp2 lets of those wait that
 * acknowledge something. */
#define MAX_WAITING_FRAMES 1000
#define FRAMES_A_CALL      4 /* headers, data, trailers, reset */

const struct scree_grpc_limits scree_grpc_default_limits = {
    .max_message_bytes = (size_t)16 << 20,
    .max_waiting_bytes = (size_t)32 << 20,
    .max_calls = 64,
    .max_header_bytes = 8 << 10,
};

/* ---- what nghttp2 tells ---- */

static struct scree_grpc_call *find_call(struct scree_grpc *grpc, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(grpc->session, stream);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct scree_grpc *grpc = user;
    struct scree_grpc_call *call;

    if (!grpc->is_server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    call = grpc->n_calls < grpc->limits.max_calls ? scree_grpc_call_new(grpc, frame->hd.stream_id)
                                                  : NULL;
    if (!call) {
        (void)nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                        NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    (void)nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t n_name, const uint8_t *value, size_t n_value, uint8_t flags, void *user)
{
    struct scree_grpc_call *call = find_call(user, frame->hd.stream_id);

    (void)session, (void)flags;
    if (call && !memchr(name, 0, n_name) && !memchr(value, 0, n_value))
        scree_grpc_add_pair(&call->headers, name, n_name, value, n_value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t n, void *user)
{
    struct scree_grpc_call *call = find_call(user, stream);

    (void)session, (void)flags;
    if (call)
        scree_grpc_receive_data(call, bytes, n);
    return 0;
}

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
    if (frame->hd.type == NGHTTP2_HEADERS &&
        (!grpc->is_server || frame->headers.cat == NGHTTP2_HCAT_REQUEST))
        scree_grpc_receive_headers(call);
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        scree_grpc_receive_end(call);
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
        scree_grpc_call_free(call);
    return 0;
}

/* ---- a connection ---- */

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
        scree_grpc_call_free(grpc->calls);
    nghttp2_session_del(grpc->session);
    scree_buffer_done(&grpc->output);
    free(grpc);
}

/* True if more waits for the peer than its calls account for: it speaks, and does not listen. */
static bool is_flooded(const struct scree_grpc *grpc)
{
    return grpc->flooded || nghttp2_session_get_outbound_queue_size(grpc->session) >
                                MAX_WAITING_FRAMES + FRAMES_A_CALL * (size_t)grpc->n_calls;
}

int scree_grpc_feed(struct scree_grpc *grpc, const uint8_t *bytes, size_t n, uint64_t now_ns,
                    struct scree_error *err)
{
    ssize_t rc;

    grpc->now_ns = now_ns;
    if (grpc->resets_since_ns == 0)
        grpc->resets_since_ns = now_ns;
    rc = nghttp2_session_mem_recv(grpc->session, bytes, n);
    if (rc >= 0 && !is_flooded(grpc))
        return 0;
    if (rc >= 0 || grpc->flooded || rc == NGHTTP2_ERR_FLOODED)
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
