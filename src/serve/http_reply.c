#include "serve/http_request.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define STREAM_BYTES 4096

/* ---- what is replied ---- */

void scree_request_add_header(struct scree_request *request, const char *name, const char *value)
{
    char *copy = scree_arena_strndup(&request->arena, value, strlen(value));

    name = scree_arena_strndup(&request->arena, name, strlen(name));
    if (request->n_added == SCREE_REQUEST_MAX_ADDED || !name || !copy)
        return;
    request->added[request->n_added++] = (struct scree_pair){name, copy};
    for (; *copy; copy++)
        if (*copy < ' ' || *copy > '~')
            *copy = '?';
}

void scree_request_add_retry(struct scree_request *request, uint32_t seconds)
{
    char text[16];

    (void)snprintf(text, sizeof text, "%u", seconds);
    scree_request_add_header(request, "Retry-After", text);
}

void scree_reply(struct scree_request *request, int status, const char *type,
                 struct scree_buffer *body)
{
    assert(!request->status);
    if (body && body->failed) {
        static const char why[] = "{\"error\":\"no memory for the answer\"}\n";

        scree_buffer_done(body);
        scree_reply_static(request, 500, "application/json", why, sizeof why - 1);
        return;
    }
    if (body) {
        request->reply = *body;
        *body = (struct scree_buffer){.limit = body->limit};
    }
    request->type = type;
    request->status = status;
}

void scree_reply_static(struct scree_request *request, int status, const char *type,
                        const void *bytes, size_t n)
{
    assert(!request->status);
    request->static_reply = bytes;
    request->n_static = n;
    request->type = type;
    request->status = status;
}

void scree_reply_stream(struct scree_request *request, const char *type, scree_stream_fn *more,
                        void (*end)(void *stream), void *stream)
{
    assert(!request->status && request->route->flags & SCREE_ROUTE_QUICK);
    request->more = more;
    request->end = end;
    request->stream = stream;
    request->next_stream = request->all->streams;
    request->all->streams = request;
    request->type = type;
    request->status = 200;
}

void scree_reply_text(struct scree_request *request, int status, const char *text)
{
    char json[128];
    struct scree_buffer body = {.limit = sizeof json};

    (void)snprintf(json, sizeof json, "{\"error\":\"%s\"}\n", text);
    scree_buffer_add(&body, json, strlen(json));
    scree_reply(request, status, "application/json", &body);
}

/* ---- an answer without an end ---- */

/* More of an answer without an end. While there is nothing the connection is asleep, and no time
 * is kept of a client that reads all that there is. */
static ssize_t on_stream(void *context, uint64_t position, char *to, size_t max)
{
    struct scree_request *request = context;
    const struct scree_requests *all = request->all;
    ssize_t n;

    (void)position;
    if (all->is_draining || scree_request_is_gone(request))
        return MHD_CONTENT_READER_END_OF_STREAM;
    n = request->more(request->stream, (uint8_t *)to, max);
    if (n < 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    scree_connection_enter(request->connection, SCREE_STAGE_SENDING,
                           n > 0 ? all->limits.send_ms : UINT64_MAX);
    if (n == 0) {
        request->is_waiting = true;
        MHD_suspend_connection(request->mhd);
    }
    return n;
}

void scree_reply_ask_streams(struct scree_requests *all)
{
    for (struct scree_request *r = all->streams; r; r = r->next_stream)
        if (r->is_waiting) {
            r->is_waiting = false;
            MHD_resume_connection(r->mhd);
        }
}

static void leave_streams(struct scree_request *request)
{
    struct scree_request **at = &request->all->streams;

    while (*at && *at != request)
        at = &(*at)->next_stream;
    if (*at)
        *at = request->next_stream;
}

/* ---- how it is sent ---- */

static struct MHD_Response *make_response(struct scree_request *request)
{
    struct MHD_Response *response;

    /* libmicrohttpd would send the end of the chunks to who asks for the headers. */
    if (request->more && strcmp(request->method, "HEAD") == 0)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (request->more)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BYTES, on_stream, request,
                                                 NULL);
    if (request->static_reply)
        return MHD_create_response_from_buffer(
            request->n_static, (void *)(uintptr_t)request->static_reply, MHD_RESPMEM_PERSISTENT);
    response = MHD_create_response_from_buffer(request->reply.n, request->reply.bytes,
                                               MHD_RESPMEM_MUST_FREE);
    if (response)
        request->reply = (struct scree_buffer){0};
    return response;
}

/* A body that was not read ends the connection: what follows could not be told from it. */
static bool body_is_unread(const struct scree_request *request)
{
    return request->connection->stage == SCREE_STAGE_HEADERS && request->announced != 0;
}

struct MHD_Response *scree_reply_make(struct scree_request *request)
{
    struct MHD_Response *response;

    request->n_answered = request->static_reply ? request->n_static : request->reply.n;
    response = make_response(request);
    if (!response)
        return NULL;
    if (request->type)
        (void)MHD_add_response_header(response, "Content-Type", request->type);
    (void)MHD_add_response_header(response, "X-Request-ID", request->id);
    for (size_t i = 0; i < request->n_added; i++)
        (void)MHD_add_response_header(response, request->added[i].name, request->added[i].value);
    if (request->all->is_draining || body_is_unread(request))
        (void)MHD_add_response_header(response, "Connection", "close");
    return response;
}

enum MHD_Result scree_reply_send(struct scree_request *request, struct MHD_Response *response)
{
    enum MHD_Result rc;

    scree_connection_enter(request->connection, SCREE_STAGE_SENDING, request->all->limits.send_ms);
    rc = MHD_queue_response(request->mhd, (unsigned int)request->status, response);
    MHD_destroy_response(response);
    return rc;
}

void scree_reply_done(struct scree_request *request)
{
    if (request->more) {
        leave_streams(request);
        request->end(request->stream);
    }
    scree_buffer_done(&request->reply);
}

size_t scree_request_n_answered(const struct scree_request *request)
{
    return request->n_answered;
}
