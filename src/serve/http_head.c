#include "serve/http_request.h"

#include <string.h>
#include <strings.h>

#include "serve/strict.h"

/* ---- is it to be read in one way only? ---- */

static bool has_lenient_parser(void)
{
    return strncmp(MHD_get_version(), "0.", 2) == 0;
}

void scree_head_see_target(struct scree_connection *connection, const char *target)
{
    connection->has_nul = strstr(target, "%00") != NULL;
    connection->target = scree_strict_target(target) ? target : NULL;
    connection->n_target = strlen(target);
}

/* What headers, or parameters, are. */
struct census {
    size_t n, n_bytes, n_hosts, n_framing; /* framing: what says where the body ends */
    size_t n_odd;                          /* headers with characters that they must not have */
};

static enum MHD_Result count_pair(void *context, enum MHD_ValueKind kind, const char *name,
                                  size_t n_name, const char *value, size_t n_value)
{
    struct census *census = context;

    census->n++;
    census->n_bytes += n_name + n_value + 4; /* ": " and the end of the line */
    if (kind != MHD_HEADER_KIND)
        return MHD_YES;
    census->n_odd += !scree_strict_header(name, n_name, value, n_value);
    census->n_framing += strcasecmp(name, "content-length") == 0 ||
                         strcasecmp(name, "transfer-encoding") == 0;
    census->n_hosts += strcasecmp(name, "host") == 0;
    return MHD_YES;
}

/* Whether nothing but one space is between the parts of the first line, and headers are as they
 * should be. libmicrohttpd before 1.0 reads them where they are, between the method and what it
 * says is the end of them. */
static bool is_strict(const struct scree_request *request, const struct scree_first_line *line,
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

void scree_head_check(struct scree_request *request, const struct scree_first_line *line)
{
    const struct scree_http_limits *limits = &request->all->limits;
    const char *encoding = scree_request_header(request, "transfer-encoding");
    struct census headers = {0}, query = {0};

    (void)MHD_get_connection_values_n(request->mhd, MHD_HEADER_KIND, count_pair, &headers);
    (void)MHD_get_connection_values_n(request->mhd, MHD_GET_ARGUMENT_KIND, count_pair, &query);
    if (headers.n > limits->max_headers ||
        headers.n_bytes + query.n_bytes + strlen(request->path) > limits->max_header_bytes) {
        scree_reply_text(request, 431, "the headers are too many, or too long");
        return;
    }
    if (headers.n_odd == 0 && headers.n_framing <= 1 && !request->connection->has_nul &&
        (!encoding || strcasecmp(encoding, "chunked") == 0) && headers.n_hosts <= 1 &&
        (headers.n_hosts == 1 || strcmp(line->version, "HTTP/1.1") < 0) &&
        is_strict(request, line, headers.n))
        return;
    request->announced = -1; /* whatever follows is not read */
    scree_reply_text(request, 400, "this request can be read in two ways");
}

/* ---- whose is it? ---- */

/* True if the path fits the pattern; parts of "*" are noted in the request. */
static bool path_fits(struct scree_request *request, const char *pattern)
{
    const char *at = request->path;
    int n_parts = 0;

    memset(request->parts, 0, sizeof request->parts);
    while (*pattern && *at) {
        if (*pattern == '*') {
            size_t n = strcspn(at, pattern[1] == ':' ? "/:" : "/");

            if (n == 0 || n_parts == SCREE_REQUEST_MAX_PARTS)
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

/* Tells which methods the path has: GET, POST, or both. */
static void refuse_method(struct scree_request *request, const struct scree_route *routes)
{
    bool can_get = false, can_post = false;

    for (const struct scree_route *route = routes; route->path; route++)
        if (path_fits(request, route->path)) {
            can_get = can_get || strcmp(route->method, "GET") == 0;
            can_post = can_post || strcmp(route->method, "POST") == 0;
        }
    scree_request_add_header(request, "Allow",
                             !can_get   ? "POST"
                             : can_post ? "GET, HEAD, POST"
                                        : "GET, HEAD");
    scree_reply_text(request, 405, "this method is not allowed here");
}

void scree_head_find_route(struct scree_request *request, const struct scree_route *routes)
{
    bool path_is_known = false;

    for (const struct scree_route *route = routes; route->path; route++) {
        if (!path_fits(request, route->path))
            continue;
        path_is_known = true;
        if (method_fits(request, route->method)) {
            request->route = route;
            return;
        }
    }
    if (path_is_known)
        refuse_method(request, routes);
    else
        scree_reply_text(request, 404, "there is nothing at this path");
}
