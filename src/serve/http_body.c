#include "serve/http_request.h"

#include <errno.h>

#include "net/inflate.h"

/* Of a body that is too large, to answer politely. */
#define MAX_DISCARDED_BYTES ((size_t)1 << 20)
/* What a piece of it costs, besides its length. */
#define DISCARDED_PIECE_BYTES 64
#define FIRST_BODY_BYTES      ((size_t)4 << 10)

/* Takes n bytes of the budget for bodies, before memory is. */
static bool reserve(struct scree_request *request, size_t n)
{
    struct scree_requests *all = request->all;

    if (n > all->limits.max_bodies_bytes - all->n_bodies_bytes)
        return false;
    all->n_bodies_bytes += n;
    request->n_reserved += n;
    return true;
}

static void refuse_size(struct scree_request *request, const char *text)
{
    request->refusal = -E2BIG;
    scree_reply_text(request, 413, text);
}

static void refuse_for_now(struct scree_request *request)
{
    request->refusal = -ENOMEM;
    scree_request_add_retry(request, request->all->limits.retry_after_s);
    scree_reply_text(request, 503, "too many bodies are being read");
}

void scree_body_admit(struct scree_request *request)
{
    const struct scree_http_limits *limits = &request->all->limits;
    uint64_t ms = limits->body_ms;

    if (request->announced > (int64_t)limits->max_body_bytes) {
        refuse_size(request, "the body is too large");
        return;
    }
    if (!reserve(request, request->announced > 0 ? (size_t)request->announced : FIRST_BODY_BYTES)) {
        refuse_for_now(request);
        return;
    }
    if (request->announced > 0)
        scree_buffer_reserve(&request->body, (size_t)request->announced);
    ms += (request->announced > 0 ? (uint64_t)request->announced : limits->max_body_bytes) * 1000 /
          limits->min_rate;
    scree_connection_enter(request->connection, SCREE_STAGE_BODY, ms);
}

/* Takes memory for a body that came without its length, twice as much each time. */
static void grow(struct scree_request *request, size_t n_wanted)
{
    size_t most = request->all->limits.max_body_bytes, more = n_wanted;

    if (n_wanted <= request->n_reserved)
        return;
    if (n_wanted > most) {
        request->body.failed = true;
        return;
    }
    if (more > most - request->n_reserved)
        more = most - request->n_reserved;
    if (!reserve(request, more))
        refuse_for_now(request);
}

bool scree_body_take(struct scree_request *request, const char *bytes, size_t n)
{
    size_t have = request->body.n;

    if (++request->n_pieces > request->all->limits.max_chunks + have / 1024)
        request->body.failed = true;
    if (!request->status && !request->body.failed)
        grow(request, have + n);
    if (request->status || request->body.failed) {
        request->n_discarded += n + DISCARDED_PIECE_BYTES;
        return request->n_discarded <= MAX_DISCARDED_BYTES;
    }
    scree_buffer_add(&request->body, bytes, n);
    return true;
}

/* Takes what the body may become when it is decompressed, too. */
static bool reserve_plain(struct scree_request *request)
{
    const struct scree_http_limits *limits = &request->all->limits;
    const char *encoding = scree_request_header(request, "content-encoding");

    return !encoding || !scree_inflate_knows(encoding) ||
           reserve(request, scree_inflate_bound(request->body.n, limits->max_inflation,
                                                limits->max_body_bytes));
}

void scree_body_end(struct scree_request *request)
{
    if (request->status)
        return;
    if (request->body.failed) {
        refuse_size(request, "the body is too large, or in too many pieces");
    } else if (request->body.n > 0 && !reserve_plain(request)) {
        refuse_for_now(request);
    }
}

int scree_request_refusal(const struct scree_request *request)
{
    return request->refusal;
}

void scree_body_done(struct scree_request *request)
{
    request->all->n_bodies_bytes -= request->n_reserved;
    scree_buffer_done(&request->body);
}
