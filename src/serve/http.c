#include "serve/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/checked.h"
#include "net/inflate.h"
#include "serve/ids.h"
#include "serve/listen.h"
#include "serve/strict.h"
#include "serve/tls.h"

/* Of a body that is too large, to answer politely. */
#define MAX_DISCARDED_BYTES ((size_t)1 << 20)
/* What a piece of it costs, besides its length. */
#define DISCARDED_PIECE_BYTES 64
/* libmicrohttpd's memory of a connection holds the headers, a row of 64 bytes for each of them, and
 * what it writes: so much besides. */
#define MORE_BYTES        ((size_t)8 << 10)
#define FIRST_BODY_BYTES  ((size_t)4 << 10)
#define STREAM_BYTES      4096
#define ASK_MS            1000
#define CHECK_MS          100 /* how often deadlines are looked at */
#define ACCEPTED_AT_ONCE  64
#define MAX_PARTS         4
#define MAX_ADDED_HEADERS 16
#define NS_A_MS           UINT64_C(1000000)

enum stage {
    STAGE_IDLE,
    STAGE_HEADERS,
    STAGE_BODY,
    STAGE_WORK,
    STAGE_SENDING,
};

/* A connection, from accept to close. */
struct connection {
    struct connection *next, *prev;
    int fd;
    enum stage stage;
    bool has_nul;       /* the path or a parameter, escaped: they end there for libmicrohttpd */
    const char *target; /* of the request whose headers are being read, in libmicrohttpd's memory */
    size_t n_target;
    uint64_t deadline_ns; /* UINT64_MAX: none */
};

struct pair {
    const char *name, *value;
};

struct scree_request {
    struct scree_job job; /* first: what a worker gets is the request */
    struct scree_http *http;
    struct MHD_Connection *mhd;
    struct connection *connection;
    const struct scree_route *route;
    struct scree_arena arena;
    const char *method, *path, *parts[MAX_PARTS];
    struct pair *headers, *query;
    size_t n_headers, n_query;
    int64_t announced;
    struct scree_buffer body;
    size_t n_reserved;  /* of the budget for bodies */
    size_t n_discarded; /* of a body that is too large */
    uint32_t n_pieces;  /* in which the body came */
    uint64_t start_ns;
    char peer[INET6_ADDRSTRLEN];
    const char *model, *version;
    char id[SCREE_ID_BYTES], trace[SCREE_TRACE_BYTES];
    size_t n_answered;
    /* the answer */
    int status; /* 0: none yet */
    const char *type;
    struct scree_buffer reply;
    const void *static_reply;
    size_t n_static;
    struct pair added[MAX_ADDED_HEADERS];
    size_t n_added;
    /* or an answer without an end */
    scree_stream_fn *more;
    void (*end)(void *stream);
    void *stream;
    struct scree_request *next_stream;
    bool is_waiting; /* for more of it */
};

struct scree_http {
    struct MHD_Daemon *mhd;
    int listener; /* -1 from the drain on */
    bool is_listening;
    uint64_t full_until_ns; /* when descriptors may be there again */
    uint64_t checked_ns;    /* when deadlines were last looked at */
    struct scree_http_limits limits;
    const struct scree_route *routes;
    scree_handler_fn *gate;
    scree_answered_fn *answered;
    void *context;
    int epoll, event; /* event: an answer is there */
    struct connection *connections;
    uint32_t n_connections, n_requests;
    uint64_t run, next_id; /* of a request: which start of the server, and the how many-th */
    size_t n_bodies_bytes;
    bool draining;
    struct scree_request *streams;
    uint64_t asked_ns; /* when streams were last asked for more */
    atomic_bool is_woken;
    struct scree_workers *workers;
    pthread_mutex_t lock; /* for: */
    struct scree_job *done;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_A_MS + (uint64_t)now.tv_nsec;
}

/* ---- connections and their deadlines ---- */

static void enter(struct connection *connection, enum stage stage, uint64_t ms)
{
    connection->stage = stage;
    connection->deadline_ns = ms == UINT64_MAX ? UINT64_MAX : now_ns() + ms * NS_A_MS;
}

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct scree_http *http = context;
    struct connection *connection = *socket_context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection = calloc(1, sizeof *connection);
        *socket_context = connection;
        if (!connection)
            return;
        connection->fd =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        enter(connection, STAGE_HEADERS, http->limits.header_ms);
        connection->next = http->connections;
        if (connection->next)
            connection->next->prev = connection;
        http->connections = connection;
        http->n_connections++;
    } else if (connection) {
        if (connection->next)
            connection->next->prev = connection->prev;
        if (connection->prev)
            connection->prev->next = connection->next;
        else
            http->connections = connection->next;
        http->n_connections--;
        free(connection);
    }
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static bool has_lenient_parser(void)
{
    return strncmp(MHD_get_version(), "0.", 2) == 0;
}

/* The first line of a request is there. What is returned becomes *request_context of on_access. */
static void *on_first_line(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct scree_http *http = context;
    struct connection *connection = connection_of(mhd);

    if (connection) {
        connection->has_nul = strstr(uri, "%00") != NULL;
        connection->target = scree_strict_target(uri) ? uri : NULL;
        connection->n_target = strlen(uri);
        enter(connection, STAGE_HEADERS, http->limits.header_ms);
    }
    return NULL;
}

/* True if the other side has sent all that it will, and all of it was read. */
static bool is_at_end(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* True if the other side is to send something. Right after an answer it may have done so already.
 */
static bool is_waiting(const struct scree_http *http, const struct connection *c, uint64_t now)
{
    uint64_t idle_ns = (uint64_t)http->limits.idle_ms * NS_A_MS;

    if (c->stage == STAGE_IDLE)
        return c->deadline_ns < now + idle_ns - CHECK_MS * NS_A_MS;
    return (c->stage == STAGE_HEADERS || c->stage == STAGE_BODY) && c->deadline_ns < UINT64_MAX;
}

/* Closes who is late, and who has gone away in the middle of a request: libmicrohttpd, whose epoll
 * is edge-triggered, misses an end that comes together with bytes. Not in each round of the event
 * loop: with a thousand slow connections that would be what others wait for. */
static void close_late(struct scree_http *http)
{
    uint64_t now = now_ns();

    if (now - http->checked_ns < CHECK_MS * NS_A_MS)
        return;
    http->checked_ns = now;
    for (struct connection *c = http->connections; c; c = c->next)
        if (c->deadline_ns < now || (http->draining && c->stage == STAGE_IDLE) ||
            (is_waiting(http, c, now) && is_at_end(c->fd))) {
            (void)shutdown(c->fd, SHUT_RDWR);
            c->deadline_ns = UINT64_MAX;
        }
}

/* ---- what a request says ---- */

/* What headers, or parameters, are before they are copied. */
struct census {
    size_t n, n_bytes, n_hosts, n_framing; /* framing: what says where the body ends */
};

static enum MHD_Result count_pair(void *context, enum MHD_ValueKind kind, const char *name,
                                  size_t n_name, const char *value, size_t n_value)
{
    struct census *census = context;

    census->n++;
    census->n_bytes += n_name + n_value + 4; /* ": " and the end of the line */
    (void)value;
    if (kind == MHD_HEADER_KIND &&
        (strcasecmp(name, "content-length") == 0 || strcasecmp(name, "transfer-encoding") == 0))
        census->n_framing++;
    census->n_hosts += kind == MHD_HEADER_KIND && strcasecmp(name, "host") == 0;
    return MHD_YES;
}

struct copying {
    struct scree_arena *arena;
    struct pair *to;
    bool failed;
};

static enum MHD_Result copy_pair(void *context, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct copying *copying = context;
    struct pair *to = copying->to++;

    (void)kind;
    value = value ? value : "";
    to->name = scree_arena_strndup(copying->arena, name, strlen(name));
    to->value = scree_arena_strndup(copying->arena, value, strlen(value));
    copying->failed = !to->name || !to->value;
    return copying->failed ? MHD_NO : MHD_YES;
}

/* Copies all headers, or all parameters of the query. */
static bool copy_pairs(struct scree_request *request, enum MHD_ValueKind kind,
                       struct pair **ret_pairs, size_t *ret_n)
{
    struct copying copying = {.arena = &request->arena};
    struct census census = {0};

    (void)MHD_get_connection_values_n(request->mhd, kind, count_pair, &census);
    copying.to = scree_arena_new(&request->arena, struct pair, census.n);
    if (!copying.to)
        return false;
    *ret_pairs = copying.to;
    (void)MHD_get_connection_values(request->mhd, kind, copy_pair, &copying);
    *ret_n = (size_t)(copying.to - *ret_pairs);
    return !copying.failed;
}

static const char *find_pair(const struct pair *pairs, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(pairs[i].name, name) == 0)
            return pairs[i].value;
    return NULL;
}

/* The length of Content-Length, which libmicrohttpd has checked to be a number. */
static int64_t read_announced(const struct scree_request *request)
{
    const char *text = scree_request_header(request, "content-length");
    char *end;
    long long n;

    if (!text)
        return scree_request_header(request, "transfer-encoding") ? -1 : 0;
    errno = 0;
    n = strtoll(text, &end, 10);
    return errno || *end || n < 0 ? INT64_MAX : n;
}

static void read_peer(struct scree_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;

    const struct in6_addr *v6;

    if (address && address->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
                        request->peer, sizeof request->peer);
    if (!address || address->sa_family != AF_INET6)
        return;
    v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6))
        (void)inet_ntop(AF_INET, &v6->s6_addr[12], request->peer, sizeof request->peer);
    else
        (void)inet_ntop(AF_INET6, v6, request->peer, sizeof request->peer);
}

static void leave_streams(struct scree_request *request)
{
    struct scree_request **at = &request->http->streams;

    while (*at && *at != request)
        at = &(*at)->next_stream;
    if (*at)
        *at = request->next_stream;
}

static void free_request(struct scree_request *request)
{
    if (request->more) {
        leave_streams(request);
        request->end(request->stream);
    }
    request->http->n_bodies_bytes -= request->n_reserved;
    request->http->n_requests--;
    scree_buffer_done(&request->body);
    scree_buffer_done(&request->reply);
    scree_arena_done(&request->arena);
    free(request);
}

static struct scree_request *new_request(struct scree_http *http, struct MHD_Connection *mhd,
                                         const char *method, const char *path)
{
    struct scree_request *request = calloc(1, sizeof *request);

    if (!request)
        return NULL;
    request->http = http;
    request->mhd = mhd;
    request->connection = connection_of(mhd);
    request->start_ns = now_ns();
    request->model = request->version = "";
    request->body.limit = http->limits.max_body_bytes;
    http->n_requests++;
    scree_arena_init(&request->arena, 4 * http->limits.max_header_bytes + MORE_BYTES);
    request->method = scree_arena_strndup(&request->arena, method, strlen(method));
    request->path = scree_arena_strndup(&request->arena, path, strlen(path));
    if (!request->method || !request->path || !request->connection ||
        !copy_pairs(request, MHD_HEADER_KIND, &request->headers, &request->n_headers) ||
        !copy_pairs(request, MHD_GET_ARGUMENT_KIND, &request->query, &request->n_query)) {
        free_request(request);
        return NULL;
    }
    request->announced = read_announced(request);
    read_peer(request);
    scree_trace_read(scree_request_header(request, "traceparent"), request->trace);
    scree_id_read(scree_request_header(request, "x-request-id"), http->run, ++http->next_id,
                  request->id);
    return request;
}

/* ---- routes ---- */

/* True if the path fits the pattern; parts of "*" are noted in the request. */
static bool path_fits(struct scree_request *request, const char *pattern)
{
    const char *at = request->path;
    int n_parts = 0;

    memset(request->parts, 0, sizeof request->parts);
    while (*pattern && *at) {
        if (*pattern == '*') {
            size_t n = strcspn(at, pattern[1] == ':' ? "/:" : "/");

            if (n == 0 || n_parts == MAX_PARTS)
                return false;
            request->parts[n_parts] = scree_arena_strndup(&request->arena, at, n);
            if (!request->parts[n_parts++])
                return false;
            at += n;
            pattern++;
        } else if (*pattern++ != *at++) {
            return false;
        }
    }
    return !*pattern && !*at;
}

static bool method_fits(const struct scree_request *request, const char *method)
{
    return strcmp(request->method, method) == 0 ||
           (strcmp(method, "GET") == 0 && strcmp(request->method, "HEAD") == 0);
}

static void reply_text(struct scree_request *request, int status, const char *text)
{
    char json[128];
    struct scree_buffer body = {.limit = sizeof json};

    (void)snprintf(json, sizeof json, "{\"error\":\"%s\"}\n", text);
    scree_buffer_add(&body, json, strlen(json));
    scree_reply(request, status, "application/json", &body);
}

/* Sets the route, or replies that there is none. */
static void find_route(struct scree_request *request)
{
    bool path_is_known = false;

    for (const struct scree_route *route = request->http->routes; route->path; route++) {
        if (!path_fits(request, route->path))
            continue;
        path_is_known = true;
        if (method_fits(request, route->method)) {
            request->route = route;
            return;
        }
    }
    if (path_is_known)
        reply_text(request, 405, "this method is not allowed here");
    else
        reply_text(request, 404, "there is nothing at this path");
}

/* ---- bodies ---- */

/* Takes n bytes of the budget for bodies, before memory is. */
static bool reserve(struct scree_request *request, size_t n)
{
    struct scree_http *http = request->http;

    if (n > http->limits.max_bodies_bytes - http->n_bodies_bytes)
        return false;
    http->n_bodies_bytes += n;
    request->n_reserved += n;
    return true;
}

/* Refuses, or makes ready for, the body that the headers announce. */
static void admit_body(struct scree_request *request)
{
    const struct scree_http_limits *limits = &request->http->limits;
    uint64_t ms = limits->body_ms;

    if (request->announced > (int64_t)limits->max_body_bytes) {
        reply_text(request, 413, "the body is too large");
        return;
    }
    if (!reserve(request, request->announced > 0 ? (size_t)request->announced : FIRST_BODY_BYTES)) {
        scree_request_add_retry(request, limits->retry_after_s);
        reply_text(request, 503, "too many bodies are being read");
        return;
    }
    if (request->announced > 0)
        scree_buffer_reserve(&request->body, (size_t)request->announced);
    ms += (request->announced > 0 ? (uint64_t)request->announced : limits->max_body_bytes) * 1000 /
          limits->min_rate;
    enter(request->connection, STAGE_BODY, ms);
}

/* Takes what the body may become when it is decompressed, too. */
static bool reserve_plain(struct scree_request *request)
{
    const struct scree_http_limits *limits = &request->http->limits;
    const char *encoding = scree_request_header(request, "content-encoding");

    return !encoding || !scree_inflate_knows(encoding) ||
           reserve(request, scree_inflate_bound(request->body.n, limits->max_inflation,
                                                limits->max_body_bytes));
}

/* A piece of the body; false: give up. */
static bool take_body(struct scree_request *request, const char *bytes, size_t n)
{
    size_t have = request->body.n;

    if (++request->n_pieces > request->http->limits.max_chunks + have / 1024)
        request->body.failed = true;
    if (request->status || request->body.failed) {
        request->n_discarded += n + DISCARDED_PIECE_BYTES;
        return request->n_discarded <= MAX_DISCARDED_BYTES;
    }
    if (have + n > request->n_reserved && !reserve(request, have + n)) {
        request->body.failed = true;
        return true;
    }
    scree_buffer_add(&request->body, bytes, n);
    return true;
}

/* ---- workers ---- */

static void handle(struct scree_request *request)
{
    request->route->handle(request->http->context, request);
    if (!request->status)
        reply_text(request, 500, "no answer was found");
}

/* On a worker; wakes the event loop if nobody has yet. */
static void run_job(struct scree_job *job)
{
    struct scree_request *request = (struct scree_request *)(void *)job;
    struct scree_http *http = request->http;
    uint64_t one = 1;
    bool is_first;

    handle(request);
    pthread_mutex_lock(&http->lock);
    is_first = !http->done;
    job->next = http->done;
    http->done = job;
    pthread_mutex_unlock(&http->lock);
    if (is_first)
        (void)!write(http->event, &one, sizeof one);
}

/* Hands a complete request to the workers, whose it is from then on; false: there are none, and it
 * is answered. */
static bool submit(struct scree_request *request)
{
    struct scree_workers *workers = request->http->workers;
    struct MHD_Connection *mhd = request->mhd;

    enter(request->connection, STAGE_WORK, UINT64_MAX);
    request->job.run = run_job;
    if (scree_workers_submit(workers, &request->job)) {
        /* It is resumed by this thread, hence later, however soon the worker is through. */
        MHD_suspend_connection(mhd);
        return true;
    }
    reply_text(request, 503, "no thread can be started");
    return false;
}

static void resume_done(struct scree_http *http)
{
    struct scree_job *job, *next;
    uint64_t n;

    (void)!read(http->event, &n, sizeof n);
    pthread_mutex_lock(&http->lock);
    job = http->done;
    http->done = NULL;
    pthread_mutex_unlock(&http->lock);
    for (; job; job = next) {
        next = job->next;
        MHD_resume_connection(((struct scree_request *)(void *)job)->mhd);
    }
}

/* ---- answers ---- */

/* More of an answer without an end. While there is nothing the connection is asleep, and no time
 * is kept of a client that reads all that there is. */
static ssize_t on_stream(void *context, uint64_t position, char *to, size_t max)
{
    struct scree_request *request = context;
    struct scree_http *http = request->http;
    ssize_t n;

    (void)position;
    if (http->draining || scree_request_is_gone(request))
        return MHD_CONTENT_READER_END_OF_STREAM;
    n = request->more(request->stream, (uint8_t *)to, max);
    if (n < 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    enter(request->connection, STAGE_SENDING, n > 0 ? http->limits.send_ms : UINT64_MAX);
    if (n == 0) {
        request->is_waiting = true;
        MHD_suspend_connection(request->mhd);
    }
    return n;
}

/* Streams that wait are asked again: after a call of scree_http_wake(), and once a second. */
static void ask_streams(struct scree_http *http)
{
    uint64_t now = now_ns();

    if (!atomic_exchange(&http->is_woken, false) && now - http->asked_ns < ASK_MS * NS_A_MS)
        return;
    http->asked_ns = now;
    for (struct scree_request *r = http->streams; r; r = r->next_stream)
        if (r->is_waiting) {
            r->is_waiting = false;
            MHD_resume_connection(r->mhd);
        }
}

static struct MHD_Response *make_response(struct scree_request *request)
{
    struct MHD_Response *response;

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
    return request->connection->stage == STAGE_HEADERS && request->announced != 0;
}

static enum MHD_Result answer(struct scree_request *request)
{
    struct scree_http *http = request->http;
    struct MHD_Response *response;
    enum MHD_Result rc;

    request->n_answered = request->static_reply ? request->n_static : request->reply.n;
    response = make_response(request);

    if (!response)
        return MHD_NO;
    if (request->type)
        (void)MHD_add_response_header(response, "Content-Type", request->type);
    (void)MHD_add_response_header(response, "X-Request-ID", request->id);
    for (size_t i = 0; i < request->n_added; i++)
        (void)MHD_add_response_header(response, request->added[i].name, request->added[i].value);
    if (http->draining || body_is_unread(request))
        (void)MHD_add_response_header(response, "Connection", "close");
    http->answered(http->context, request, request->status);
    enter(request->connection, STAGE_SENDING, http->limits.send_ms);
    rc = MHD_queue_response(request->mhd, (unsigned int)request->status, response);
    MHD_destroy_response(response);
    return rc;
}

/* The first line of a request: texts in libmicrohttpd's memory. */
struct first_line {
    const char *method, *version;
};

/* Whether nothing but one space is between the parts of the first line, and headers are as they
 * should be. libmicrohttpd before 1.0 reads them where they are, between the method and what it
 * says is the end of them. */
static bool is_strict(const struct scree_request *request, const struct first_line *line,
                      size_t n_headers)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *target = request->connection->target;
    const char *end = line->version + strlen(line->version);
    size_t n_first, n = info ? info->header_size : 0;

    if (!target || !has_lenient_parser())
        return target != NULL;
    if (target != line->method + strlen(line->method) + 1 ||
        line->version != target + request->connection->n_target + 1)
        return false;
    n_first = (size_t)(end - line->method);
    return n >= n_first + 2 && end[0] == 0 && end[1] == 0 &&
           scree_strict_headers(end + 2, n - n_first - 2, n_headers);
}

/* Refuses headers that are too many or too long, and requests that another server, in front of this
 * one, may read in another way, so that what is a body to one is a request to the other. Source:
 * RFC 9112, sections 3.2, 6.1, 6.3 and 11.2. */
static void check_headers(struct scree_request *request, const struct first_line *line)
{
    const struct scree_http_limits *limits = &request->http->limits;
    const char *encoding = scree_request_header(request, "transfer-encoding");
    struct census headers = {0}, query = {0};

    (void)MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, count_pair, &headers);
    (void)MHD_get_connection_values_n(request->mhd, MHD_GET_ARGUMENT_KIND, count_pair, &query);
    if (headers.n > limits->max_headers ||
        headers.n_bytes + query.n_bytes + strlen(request->path) > limits->max_header_bytes) {
        reply_text(request, 431, "the headers are too many, or too long");
        return;
    }
    if (headers.n_framing <= 1 && !request->connection->has_nul &&
        (!encoding || strcasecmp(encoding, "chunked") == 0) && headers.n_hosts <= 1 &&
        (headers.n_hosts == 1 || strcmp(line->version, "HTTP/1.1") < 0) &&
        is_strict(request, line, headers.n))
        return;
    request->announced = -1; /* whatever follows is not read */
    reply_text(request, 400, "this request can be read in two ways");
}

/* The headers are there. */
static enum MHD_Result begin(struct scree_http *http, struct MHD_Connection *mhd,
                             const struct first_line *line, const char *path,
                             void **request_context)
{
    struct scree_request *request = new_request(http, mhd, line->method, path);

    if (!request)
        return MHD_NO;
    *request_context = request;
    check_headers(request, line);
    if (!request->status)
        find_route(request);
    if (!request->status)
        http->gate(http->context, request);
    if (!request->status && request->route->admit)
        request->route->admit(http->context, request);
    if (!request->status && request->announced != 0)
        admit_body(request);
    /* libmicrohttpd ends a connection that is answered now; without a body it need not. */
    return request->status && request->announced != 0 ? answer(request) : MHD_YES;
}

/* The body is there, or the answer of a worker. */
static enum MHD_Result go_on(struct scree_request *request)
{
    if (!request->status && request->body.failed)
        reply_text(request, 413, "the body is too large, or in too many pieces");
    if (!request->status && request->body.n > 0 && !reserve_plain(request)) {
        scree_request_add_retry(request, request->http->limits.retry_after_s);
        reply_text(request, 503, "too many bodies are being read");
    }
    if (!request->status && request->route->flags & SCREE_ROUTE_QUICK)
        handle(request);
    if (!request->status && submit(request))
        return MHD_YES;
    return answer(request);
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *mhd, const char *path,
                                 const char *method, const char *version, const char *bytes,
                                 size_t *n, void **request_context)
{
    const struct first_line line = {method, version};
    struct scree_request *request = *request_context;

    if (!request)
        return begin(context, mhd, &line, path, request_context);
    if (*n > 0) {
        bool go = take_body(request, bytes, *n);

        *n = 0;
        return go ? MHD_YES : MHD_NO;
    }
    return go_on(request);
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **request_context,
                         enum MHD_RequestTerminationCode code)
{
    struct scree_http *http = context;
    struct scree_request *request = *request_context;

    (void)mhd, (void)code;
    if (!request)
        return;
    enter(request->connection, STAGE_IDLE, http->limits.idle_ms);
    free_request(request);
    *request_context = NULL;
}

/* ---- who comes in ---- */

/* Lets in who waits. libmicrohttpd does not: without a descriptor left it would try again at once,
 * for ever, or no more until one of its connections is closed. Here those who wait go on waiting
 * for a moment. */
static void accept_some(struct scree_http *http)
{
    for (int i = 0; i < ACCEPTED_AT_ONCE && http->n_connections < http->limits.max_connections;
         i++) {
        struct sockaddr_storage address = {0};
        socklen_t n = sizeof address;
        int fd = scree_listen_accept(http->listener, &address, &n);

        if (fd >= 0) /* libmicrohttpd closes it if it does not take it */
            (void)MHD_add_connection(http->mhd, fd, (const struct sockaddr *)&address, n);
        else if (scree_listen_is_exhausted(fd))
            http->full_until_ns = now_ns() + CHECK_MS * NS_A_MS;
        if (fd < 0)
            return;
    }
}

/* Looks at the listener while there is room, and no more while there is none. */
static void listen_if_free(struct scree_http *http)
{
    struct epoll_event event = {.data.fd = http->listener};
    bool want = http->n_connections < http->limits.max_connections &&
                http->full_until_ns <= now_ns();

    if (http->listener < 0 || want == http->is_listening)
        return;
    event.events = want ? EPOLLIN : 0;
    if (epoll_ctl(http->epoll, EPOLL_CTL_MOD, http->listener, &event) >= 0)
        http->is_listening = want;
}

/* ---- the server ---- */

static int start_daemon(struct scree_http *http, const struct scree_http_options *options,
                        struct scree_error *err)
{
    const unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
                               (options->tls ? MHD_USE_TLS : 0);
    /* The last row is the end of both. */
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)scree_tls_choose},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)SCREE_TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };

    errno = 0;
    http->mhd = MHD_start_daemon(
        flags, 0, NULL, NULL, on_access, http, MHD_OPTION_CONNECTION_LIMIT,
        http->limits.max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        http->limits.max_connections_per_ip, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        http->limits.max_header_bytes + http->limits.max_headers * 64 + MORE_BYTES,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, http, MHD_OPTION_URI_LOG_CALLBACK, on_first_line, http,
#if MHD_VERSION >= 0x01000000
        MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, /* the first of those that RFC 9112 allows */
#endif
        MHD_OPTION_ARRAY, options->tls ? tls : tls + 2, MHD_OPTION_END);
    if (http->mhd)
        return 0;
    return scree_fail(err, EIO, "libmicrohttpd does not start: %s", strerror(errno));
}

/* One descriptor for the listener, libmicrohttpd's and answers of the workers. */
static int join_events(struct scree_http *http, struct scree_error *err)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    struct epoll_event in = {.events = EPOLLIN};
    int flags = fcntl(http->listener, F_GETFL);

    scree_listen_limit_unsent(http->listener, http->limits.max_unsent_bytes);
    http->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    http->epoll = epoll_create1(EPOLL_CLOEXEC);
    /* A listener of systemd's blocks. */
    if (!info || http->event < 0 || http->epoll < 0 || flags < 0 ||
        fcntl(http->listener, F_SETFL, flags | O_NONBLOCK) < 0 ||
        epoll_ctl(http->epoll, EPOLL_CTL_ADD, http->listener, &in) < 0 ||
        epoll_ctl(http->epoll, EPOLL_CTL_ADD, http->event, &in) < 0 ||
        epoll_ctl(http->epoll, EPOLL_CTL_ADD, info->epoll_fd, &in) < 0)
        return scree_fail(err, EIO, "cannot poll: %s", strerror(errno));
    http->is_listening = true;
    return 0;
}

int scree_http_new(const struct scree_http_options *options, struct scree_http **ret_http,
                   struct scree_error *err)
{
    struct scree_http *http = calloc(1, sizeof *http);
    int rc;

    if (!http) {
        (void)close(options->listener);
        return scree_fail_memory(err, sizeof *http);
    }
    *http = (struct scree_http){.limits = options->limits,
                                .routes = options->routes,
                                .gate = options->gate,
                                .answered = options->answered,
                                .context = options->context,
                                .workers = options->workers,
                                .listener = options->listener,
                                .epoll = -1,
                                .event = -1};
    http->run = scree_id_run();
    pthread_mutex_init(&http->lock, NULL);
    rc = start_daemon(http, options, err);
    if (rc >= 0)
        rc = join_events(http, err);
    if (rc < 0) {
        scree_http_free(http);
        return rc;
    }
    *ret_http = http;
    return 0;
}

int scree_http_fd(const struct scree_http *http)
{
    return http->epoll;
}

int scree_http_wait_ms(const struct scree_http *http)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(http->mhd, &ms) == MHD_YES && ms < CHECK_MS)
        return (int)ms;
    return CHECK_MS;
}

void scree_http_run(struct scree_http *http)
{
    resume_done(http);
    ask_streams(http);
    if (http->is_listening)
        accept_some(http);
    (void)MHD_run(http->mhd);
    close_late(http);
    listen_if_free(http);
}

void scree_http_wake(struct scree_http *http)
{
    uint64_t one = 1;

    if (!atomic_exchange(&http->is_woken, true))
        (void)!write(http->event, &one, sizeof one);
}

void scree_http_drain(struct scree_http *http)
{
    if (http->draining)
        return;
    http->draining = true;
    scree_http_wake(http);
    (void)epoll_ctl(http->epoll, EPOLL_CTL_DEL, http->listener, NULL);
    (void)close(http->listener);
    http->listener = -1;
    http->is_listening = false;
}

bool scree_http_is_idle(const struct scree_http *http)
{
    return http->n_requests == 0;
}

void scree_http_count(const struct scree_http *http, uint32_t *ret_connections,
                      uint32_t *ret_requests)
{
    *ret_connections = http->n_connections;
    *ret_requests = http->n_requests;
}

void scree_http_free(struct scree_http *http)
{
    if (!http)
        return;
    if (http->mhd) {
        if (http->event >= 0) {
            resume_done(http);
            http->draining = true;
            http->is_woken = true;
            ask_streams(http);
        }
        MHD_stop_daemon(http->mhd);
    }
    if (http->listener >= 0)
        (void)close(http->listener);
    if (http->event >= 0)
        (void)close(http->event);
    if (http->epoll >= 0)
        (void)close(http->epoll);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

/* ---- requests, as handlers see them ---- */

const char *scree_request_method(const struct scree_request *request)
{
    return request->method;
}

const char *scree_request_path(const struct scree_request *request)
{
    return request->path;
}

const uint8_t *scree_request_body(const struct scree_request *request, size_t *ret_n)
{
    *ret_n = request->body.n;
    return request->body.n > 0 ? request->body.bytes : (const uint8_t *)"";
}

const struct scree_http_limits *scree_request_limits(const struct scree_request *request)
{
    return &request->http->limits;
}

uint32_t scree_request_flags(const struct scree_request *request)
{
    return request->route->flags;
}

const char *scree_request_part(const struct scree_request *request, int i)
{
    return i < MAX_PARTS && request->parts[i] ? request->parts[i] : "";
}

const char *scree_request_header(const struct scree_request *request, const char *name)
{
    return find_pair(request->headers, request->n_headers, name);
}

const char *scree_request_query(const struct scree_request *request, const char *name)
{
    return find_pair(request->query, request->n_query, name);
}

int64_t scree_request_announced(const struct scree_request *request)
{
    return request->announced;
}

uint64_t scree_request_start_ns(const struct scree_request *request)
{
    return request->start_ns;
}

const char *scree_request_peer(const struct scree_request *request)
{
    return request->peer;
}

const char *scree_request_id(const struct scree_request *request)
{
    return request->id;
}

const char *scree_request_trace(const struct scree_request *request)
{
    return request->trace[0] ? request->trace : NULL;
}

void scree_request_set_model(struct scree_request *request, const char *model, const char *version)
{
    const char *name = scree_arena_strndup(&request->arena, model, strlen(model));

    version = scree_arena_strndup(&request->arena, version, strlen(version));
    if (name && version) {
        request->model = name;
        request->version = version;
    }
}

const char *scree_request_model(const struct scree_request *request)
{
    return request->model;
}

const char *scree_request_version(const struct scree_request *request)
{
    return request->version;
}

size_t scree_request_n_answered(const struct scree_request *request)
{
    return request->n_answered;
}

bool scree_request_is_gone(const struct scree_request *request)
{
    return is_at_end(request->connection->fd);
}

void scree_request_add_header(struct scree_request *request, const char *name, const char *value)
{
    char *copy = scree_arena_strndup(&request->arena, value, strlen(value));

    name = scree_arena_strndup(&request->arena, name, strlen(name));
    if (request->n_added == MAX_ADDED_HEADERS || !name || !copy)
        return;
    request->added[request->n_added++] = (struct pair){name, copy};
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
        scree_buffer_done(body);
        reply_text(request, 500, "no memory for the answer");
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
    request->next_stream = request->http->streams;
    request->http->streams = request;
    request->type = type;
    request->status = 200;
}

bool scree_request_is_answered(const struct scree_request *request)
{
    return request->status != 0;
}
