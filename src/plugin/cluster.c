#include "plugin/cluster.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "plugin/journal.h"
#include "plugin/tls.h"

#define MAX_WAITING    64
#define MAX_ANSWER     ((size_t)1 << 20)
#define MAX_REQUEST    ((size_t)1 << 19)
#define MAX_CREDENTIAL ((size_t)256 << 10)
#define PATIENCE_NS    UINT64_C(10000000000)

struct request {
    struct request *next;
    const char *method;
    char path[512];
    struct scree_buffer body;
    scree_cluster_answer_fn *answer;
    void *context;
};

struct scree_cluster {
    struct scree_loop *loop;
    struct scree_cluster_place place;
    struct sockaddr_storage address;
    socklen_t n_address;
    char host[80];
    struct request *first; /* under way, if there is a connection; then those that wait */
    uint32_t n_requests;
    struct scree_source source;
    struct scree_timer timer, soon;
    struct scree_tls *tls;
    struct scree_buffer out, in;
    size_t n_sent;
};

/* ---- answers --------------------------------------------------------------------------------- */

static const uint8_t *find(const uint8_t *bytes, const uint8_t *end, const char *text)
{
    return bytes < end ? memmem(bytes, (size_t)(end - bytes), text, strlen(text)) : NULL;
}

/* Puts the pieces of a chunked body u8[n] together at `to`. Returns the length, or -1. */
static ssize_t join_chunks(uint8_t *to, const uint8_t *at, const uint8_t *end)
{
    uint8_t *start = to;

    for (;;) {
        const uint8_t *line = find(at, end, "\r\n");
        size_t n = 0;

        if (!line || line == at || line - at > 8)
            return -1;
        for (; at < line && *at != ';'; at++) {
            static const char digits[] = "0123456789abcdef";
            const char *digit = memchr(digits, *at | 0x20, 16);

            if (!digit)
                return -1;
            n = n * 16 + (size_t)(digit - digits);
        }
        at = line + 2;
        if (n == 0)
            return to - start;
        if ((size_t)(end - at) < n + 2)
            return -1;
        memmove(to, at, n);
        to += n;
        at += n + 2;
    }
}

static bool has_header(const uint8_t *bytes, const uint8_t *end, const char *text)
{
    size_t n = strlen(text);

    for (; bytes + n <= end; bytes++)
        if (strncasecmp((const char *)bytes, text, n) == 0)
            return true;
    return false;
}

int scree_cluster_parse(uint8_t *bytes, size_t *n)
{
    uint8_t *end = bytes + *n;
    const uint8_t *head_end = find(bytes, end, "\r\n\r\n"), *body;
    ssize_t n_body;
    int status = 0;

    if (!head_end || *n < 12 || memcmp(bytes, "HTTP/1.1 ", 9) != 0)
        return -EBADMSG;
    for (int i = 9; i < 12; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return -EBADMSG;
        status = status * 10 + bytes[i] - '0';
    }
    body = head_end + 4;
    if (has_header(bytes, head_end, "\r\ntransfer-encoding: chunked")) {
        n_body = join_chunks(bytes, body, end);
        if (n_body < 0)
            return -EBADMSG;
        *n = (size_t)n_body;
    } else {
        *n = (size_t)(end - body);
        memmove(bytes, body, *n);
    }
    return status;
}

/* ---- requests -------------------------------------------------------------------------------- */

static void free_request(struct request *request)
{
    scree_buffer_done(&request->body);
    free(request);
}

static void disconnect(struct scree_cluster *api)
{
    scree_tls_free(api->tls);
    api->tls = NULL;
    scree_loop_close(api->loop, &api->source);
    scree_buffer_done(&api->out);
    scree_buffer_done(&api->in);
    api->timer.at_ns = 0;
}

/* Ends the first request and lets the next begin, from the loop. */
static void finish(struct scree_cluster *api, int status, const char *body, size_t n)
{
    struct request *request = api->first;

    api->first = request->next;
    api->n_requests--;
    if (request->answer)
        request->answer(request->context, status, body, n);
    free_request(request);
    if (api->first)
        api->soon.at_ns = 1;
}

static void fail(struct scree_cluster *api, const char *text)
{
    SCREE_JOURNAL(WARNING, "the API server was not asked", {"method", api->first->method},
                  {"path", api->first->path}, {"reason", text});
    disconnect(api);
    finish(api, -EIO, text, strlen(text));
}

static void complete(struct scree_cluster *api)
{
    struct scree_buffer in = api->in;
    size_t n = in.n;
    int status = in.n > 0 ? scree_cluster_parse(in.bytes, &n) : -EBADMSG;

    if (status < 0) {
        fail(api, "the answer is not HTTP");
        return;
    }
    api->in = (struct scree_buffer){.limit = MAX_ANSWER};
    disconnect(api);
    finish(api, status, (const char *)in.bytes, n);
    scree_buffer_done(&in);
}

/* Sends, then receives until the end. Returns what to wait for, 0 when it is over. */
static uint32_t step(struct scree_cluster *api, struct scree_error *err, int *ret_rc)
{
    bool wants_write;
    int rc;

    while (api->n_sent < api->out.n) {
        rc = scree_tls_send(api->tls, api->out.bytes + api->n_sent, api->out.n - api->n_sent,
                            &wants_write, err);
        if (rc == -EAGAIN)
            return wants_write ? EPOLLOUT : EPOLLIN;
        if (rc < 0) {
            *ret_rc = rc;
            return 0;
        }
        api->n_sent += (size_t)rc;
    }
    for (;;) {
        uint8_t bytes[4096];

        rc = scree_tls_receive(api->tls, bytes, sizeof bytes, &wants_write, err);
        if (rc == -EAGAIN)
            return wants_write ? EPOLLOUT : EPOLLIN;
        *ret_rc = rc;
        if (rc <= 0)
            return 0;
        scree_buffer_add(&api->in, bytes, (size_t)rc);
        if (api->in.failed) {
            *ret_rc = scree_fail(err, E2BIG, "the answer is too long");
            return 0;
        }
    }
}

static void on_ready(void *context, uint32_t events)
{
    struct scree_cluster *api = context;
    struct scree_error err;
    int rc = 0;
    uint32_t wanted = step(api, &err, &rc);

    (void)events;
    if (wanted)
        scree_loop_change(api->loop, &api->source, wanted);
    else if (rc < 0)
        fail(api, err.text);
    else
        complete(api);
}

static void on_timer(void *context)
{
    fail(context, "no answer in 10 seconds");
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int read_credential(const struct scree_cluster *api, const char *name, char **ret_text,
                           size_t *ret_n, struct scree_error *err)
{
    char path[512];
    uint8_t *bytes;
    size_t n;
    int rc;

    (void)snprintf(path, sizeof path, "%s/%s", api->place.credentials, name);
    rc = scree_file_read(path, MAX_CREDENTIAL, &bytes, &n, err);
    if (rc < 0)
        return rc;
    *ret_text = realloc(bytes, n + 1);
    if (!*ret_text) {
        free(bytes);
        return scree_fail_memory(err, n + 1);
    }
    (*ret_text)[n] = '\0';
    *ret_n = n + 1;
    return 0;
}

static int write_request(struct scree_cluster *api, struct scree_error *err)
{
    const struct request *request = api->first;
    char *token, head[1024];
    size_t n;
    int rc = read_credential(api, "token", &token, &n, err), length;

    if (rc < 0)
        return rc;
    token[strcspn(token, "\r\n")] = '\0';
    api->out = (struct scree_buffer){.limit = MAX_REQUEST};
    length =
        snprintf(head, sizeof head,
                 "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAccept: application/json\r\n"
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n"
                 "User-Agent: scree-device-plugin\r\nAuthorization: Bearer ",
                 request->method, request->path, api->host, request->body.n);
    scree_buffer_add(&api->out, head, (size_t)length);
    scree_buffer_add(&api->out, token, strlen(token));
    scree_buffer_add(&api->out, "\r\n\r\n", 4);
    scree_buffer_add(&api->out, request->body.bytes, request->body.n);
    free(token);
    return api->out.failed ? scree_fail_memory(err, api->out.limit) : 0;
}

static int open_connection(struct scree_cluster *api, struct scree_error *err)
{
    char *ca;
    size_t n;
    int rc;

    api->source.fd = socket(api->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (api->source.fd < 0)
        return scree_fail(err, EIO, "no socket: %s", strerror(errno));
    if (connect(api->source.fd, (const struct sockaddr *)&api->address, api->n_address) < 0 &&
        errno != EINPROGRESS)
        return scree_fail(err, EIO, "%s: %s", api->host, strerror(errno));
    rc = read_credential(api, "ca.crt", &ca, &n, err);
    if (rc < 0)
        return rc;
    rc = scree_tls_new(api->source.fd, api->place.name, ca, n, &api->tls, err);
    free(ca);
    return rc < 0 ? rc : scree_loop_add(api->loop, &api->source, EPOLLOUT, err);
}

static void begin(void *context)
{
    struct scree_cluster *api = context;
    struct scree_error err;

    if (!api->first || api->source.fd >= 0)
        return;
    api->n_sent = 0;
    api->in = (struct scree_buffer){.limit = MAX_ANSWER};
    if (write_request(api, &err) < 0 || open_connection(api, &err) < 0)
        fail(api, err.text);
    else
        api->timer.at_ns = scree_now_ns() + PATIENCE_NS;
}

/* ---- the client ------------------------------------------------------------------------------ */

static int set_address(struct scree_cluster *api, const char *host, const char *port,
                       struct scree_error *err)
{
    struct sockaddr_in *v4 = (void *)&api->address;
    struct sockaddr_in6 *v6 = (void *)&api->address;
    char *after;
    unsigned long number = strtoul(port, &after, 10);

    if (after == port || *after || number == 0 || number > 65535)
        return scree_fail(err, EINVAL, "the API server's port is \"%s\"", port);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)number);
        api->n_address = sizeof *v4;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)number);
        api->n_address = sizeof *v6;
    } else {
        return scree_fail(err, EINVAL, "the API server's address is \"%s\"", host);
    }
    (void)snprintf(api->host, sizeof api->host,
                   api->address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return 0;
}

static int find_server(struct scree_cluster *api, struct scree_error *err)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST"), *server = api->place.server;
    const char *port = getenv("KUBERNETES_SERVICE_PORT"), *colon = strrchr(server, ':');
    bool bracket = server[0] == '[';
    char text[64];

    if (!server[0])
        return host && port ? set_address(api, host, port, err)
                            : scree_fail(err, EINVAL, "no API server is told: --api-server");
    if (!colon || colon - server >= (ptrdiff_t)sizeof text || (bracket && colon[-1] != ']'))
        return scree_fail(err, EINVAL, "--api-server: ADDRESS:PORT, not \"%s\"", server);
    (void)snprintf(text, sizeof text, "%.*s", (int)(colon - server) - 2 * bracket,
                   server + bracket);
    return set_address(api, text, colon + 1, err);
}

int scree_cluster_new(struct scree_loop *loop, const struct scree_cluster_place *place,
                      struct scree_cluster **ret_api, struct scree_error *err)
{
    struct scree_cluster *api = calloc(1, sizeof *api);
    int rc;

    if (!api)
        return scree_fail_memory(err, sizeof *api);
    api->loop = loop;
    api->place = *place;
    rc = find_server(api, err);
    if (rc < 0) {
        free(api);
        return rc;
    }
    api->source = (struct scree_source){.fd = -1, .ready = on_ready, .context = api};
    api->timer = (struct scree_timer){.due = on_timer, .context = api};
    api->soon = (struct scree_timer){.due = begin, .context = api};
    scree_loop_add_timer(loop, &api->timer);
    scree_loop_add_timer(loop, &api->soon);
    *ret_api = api;
    return 0;
}

void scree_cluster_free(struct scree_cluster *api)
{
    if (!api)
        return;
    disconnect(api);
    while (api->first) {
        struct request *request = api->first;

        api->first = request->next;
        free_request(request);
    }
    free(api);
}

int scree_cluster_ask(struct scree_cluster *api, const char *method, const char *path,
                      const struct scree_buffer *body, scree_cluster_answer_fn *answer,
                      void *context, struct scree_error *err)
{
    struct request *request, **at = &api->first;

    if (api->n_requests == MAX_WAITING)
        return scree_fail(err, EAGAIN, "too many requests wait for the API server");
    request = calloc(1, sizeof *request);
    if (!request)
        return scree_fail_memory(err, sizeof *request);
    request->method = method;
    request->answer = answer;
    request->context = context;
    request->body.limit = MAX_REQUEST;
    (void)snprintf(request->path, sizeof request->path, "%s", path);
    if (body)
        scree_buffer_add(&request->body, body->bytes, body->n);
    if (request->body.failed) {
        free_request(request);
        return scree_fail_memory(err, MAX_REQUEST);
    }
    while (*at)
        at = &(*at)->next;
    *at = request;
    api->n_requests++;
    api->soon.at_ns = 1;
    return 0;
}

void scree_cluster_forget(struct scree_cluster *api, const void *context)
{
    for (struct request *request = api->first; request; request = request->next)
        if (request->context == context)
            request->answer = NULL;
}
