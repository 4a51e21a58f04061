#include "serve/http_request.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"

/* What may be copied of a request, besides its headers and parameters a few times. */
#define ARENA_MORE_BYTES ((size_t)8 << 10)

/* ---- what it says is copied ---- */

struct copying {
    struct scree_arena *arena;
    struct scree_pair *to;
    bool failed;
};

static enum MHD_Result copy_pair(void *context, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct copying *copying = context;
    struct scree_pair *to = copying->to++;

    (void)kind;
    value = value ? value : "";
    to->name = scree_arena_strndup(copying->arena, name, strlen(name));
    to->value = scree_arena_strndup(copying->arena, value, strlen(value));
    copying->failed = !to->name || !to->value;
    return copying->failed ? MHD_NO : MHD_YES;
}

/* Copies all headers, or all parameters of the query. */
static bool copy_pairs(struct scree_request *request, enum MHD_ValueKind kind,
                       struct scree_pair **ret_pairs, size_t *ret_n)
{
    struct copying copying = {.arena = &request->arena};
    int n = MHD_get_connection_values(request->mhd, kind, NULL, NULL);

    copying.to = scree_arena_new(&request->arena, struct scree_pair, (size_t)n);
    if (!copying.to)
        return false;
    *ret_pairs = copying.to;
    (void)MHD_get_connection_values(request->mhd, kind, copy_pair, &copying);
    *ret_n = (size_t)(copying.to - *ret_pairs);
    return !copying.failed;
}

static const char *find_pair(const struct scree_pair *pairs, size_t n, const char *name)
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

void scree_request_free(struct scree_request *request)
{
    scree_reply_done(request);
    scree_body_done(request);
    scree_arena_done(&request->arena);
    request->all->n--;
    free(request);
}

struct scree_request *scree_request_new(struct scree_requests *all, struct MHD_Connection *mhd,
                                        struct scree_connection *connection, const char *method,
                                        const char *path)
{
    struct scree_request *request = calloc(1, sizeof *request);

    if (!request)
        return NULL;
    request->all = all;
    request->mhd = mhd;
    request->connection = connection;
    request->start_ns = scree_now_ns();
    request->model = request->version = "";
    request->body.limit = all->limits.max_body_bytes;
    all->n++;
    scree_arena_init(&request->arena, 4 * all->limits.max_header_bytes + ARENA_MORE_BYTES);
    request->method = scree_arena_strndup(&request->arena, method, strlen(method));
    request->path = scree_arena_strndup(&request->arena, path, strlen(path));
    if (!request->method || !request->path || !request->connection ||
        !copy_pairs(request, MHD_HEADER_KIND, &request->headers, &request->n_headers) ||
        !copy_pairs(request, MHD_GET_ARGUMENT_KIND, &request->query, &request->n_query)) {
        scree_request_free(request);
        return NULL;
    }
    request->announced = read_announced(request);
    read_peer(request);
    scree_trace_read(scree_request_header(request, "traceparent"), request->trace);
    scree_id_read(scree_request_header(request, "x-request-id"), all->run, ++all->next_id,
                  request->id);
    return request;
}

/* ---- as handlers see it ---- */

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
    return &request->all->limits;
}

uint32_t scree_request_flags(const struct scree_request *request)
{
    return request->route->flags;
}

const char *scree_request_part(const struct scree_request *request, int i)
{
    return i < SCREE_REQUEST_MAX_PARTS && request->parts[i] ? request->parts[i] : "";
}

const char *scree_request_header(const struct scree_request *request, const char *name)
{
    return find_pair(request->headers, request->n_headers, name);
}

const char *scree_request_query(const struct scree_request *request, const char *name)
{
    return find_pair(request->query, request->n_query, name);
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

bool scree_request_is_gone(const struct scree_request *request)
{
    return scree_connection_is_at_end(request->connection);
}
