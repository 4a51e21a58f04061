#include "plugin/pages.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/peer.h"

#define PATIENCE_NS UINT64_C(5000000000)

/* ---- requests -------------------------------------------------------------------------------- */

static bool starts(const uint8_t *bytes, size_t n, const char *word)
{
    return n >= strlen(word) && memcmp(bytes, word, strlen(word)) == 0;
}

int scree_pages_parse(const uint8_t *bytes, size_t n, char *path, size_t n_path, bool *ret_head)
{
    const uint8_t *line_end, *at, *end;
    size_t length;

    *ret_head = starts(bytes, n, "HEAD ");
    if (!memmem(bytes, n, "\r\n\r\n", 4))
        return n < SCREE_PAGES_REQUEST_BYTES ? 0 : -EBADMSG;
    line_end = memchr(bytes, '\r', n);
    if (!*ret_head && !starts(bytes, n, "GET "))
        return memmem(bytes, (size_t)(line_end - bytes), " HTTP/1.", 8) ? -ENOTSUP : -EBADMSG;
    at = bytes + (*ret_head ? 5 : 4);
    end = memchr(at, ' ', line_end > at ? (size_t)(line_end - at) : 0);
    if (!end || *at != '/' || !starts(end, (size_t)(line_end - end), " HTTP/1."))
        return -EBADMSG;
    length = (size_t)(end - at);
    if (memchr(at, '?', length))
        length = (size_t)((const uint8_t *)memchr(at, '?', length) - at);
    if (length >= n_path || memchr(at, 0, length))
        return -EBADMSG;
    memcpy(path, at, length);
    path[length] = '\0';
    return 1;
}

/* ---- connections ----------------------------------------------------------------------------- */

static void close_connection(struct scree_pages_connection *connection)
{
    scree_loop_close(connection->http->loop, &connection->source);
    scree_buffer_done(&connection->request);
    scree_buffer_done(&connection->answer);
}

static const char *status_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = {{200, "OK"},
                 {400, "Bad Request"},
                 {404, "Not Found"},
                 {405, "Method Not Allowed"},
                 {500, "Internal Server Error"},
                 {503, "Service Unavailable"}};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "";
}

static void write_answer(struct scree_pages_connection *connection, unsigned status,
                         struct scree_buffer *body, bool is_head)
{
    char head[256];
    int n;

    if (body->failed) {
        scree_buffer_done(body);
        status = 500;
    }
    n = snprintf(head, sizeof head,
                 "HTTP/1.1 %u %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                 "Content-Length: %zu\r\nConnection: close\r\n%s\r\n",
                 status, status_text(status), body->n, status == 405 ? "Allow: GET, HEAD\r\n" : "");
    scree_buffer_add(&connection->answer, head, (size_t)n);
    if (!is_head)
        scree_buffer_add(&connection->answer, body->bytes, body->n);
    scree_buffer_done(body);
}

static void send_answer(struct scree_pages_connection *connection)
{
    const struct scree_buffer *answer = &connection->answer;

    while (!answer->failed && connection->n_sent < answer->n) {
        ssize_t n = send(connection->source.fd, answer->bytes + connection->n_sent,
                         answer->n - connection->n_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            scree_loop_change(connection->http->loop, &connection->source, EPOLLOUT);
            return;
        }
        if (n < 0)
            break;
        connection->n_sent += (size_t)n;
    }
    (void)shutdown(connection->source.fd, SHUT_WR);
    close_connection(connection);
}

static void answer(struct scree_pages_connection *connection)
{
    const struct scree_pages *http = connection->http;
    struct scree_buffer body = {.limit = SCREE_PAGES_ANSWER_BYTES};
    unsigned status = 400;
    char path[64];
    bool is_head;
    int rc = scree_pages_parse(connection->request.bytes, connection->request.n, path, sizeof path,
                               &is_head);

    if (rc == 0)
        return;
    if (rc == 1)
        status = http->page(http->context, path, &body);
    else if (rc == -ENOTSUP)
        status = 405;
    write_answer(connection, status, &body, is_head);
    send_answer(connection);
}

static void on_ready(void *context, uint32_t events)
{
    struct scree_pages_connection *connection = context;
    uint8_t bytes[1024];
    ssize_t n;

    if (connection->answer.n > 0) {
        send_answer(connection);
        return;
    }
    (void)events;
    n = recv(connection->source.fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
        return;
    if (n > 0)
        scree_buffer_add(&connection->request, bytes, (size_t)n);
    if (n <= 0 || connection->request.failed)
        close_connection(connection);
    else
        answer(connection);
}

/* A free connection, or the oldest, whose time is over then. */
static struct scree_pages_connection *take_connection(struct scree_pages *http)
{
    struct scree_pages_connection *oldest = &http->connections[0];

    for (int i = 0; i < SCREE_PAGES_CONNECTIONS; i++) {
        struct scree_pages_connection *connection = &http->connections[i];

        if (connection->source.fd < 0)
            return connection;
        if (connection->start_ns < oldest->start_ns)
            oldest = connection;
    }
    close_connection(oldest);
    return oldest;
}

static void on_accept(void *context, uint32_t events)
{
    struct scree_pages *http = context;
    int fd = accept4(http->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct scree_pages_connection *connection;

    (void)events;
    if (fd < 0)
        return;
    connection = take_connection(http);
    *connection = (struct scree_pages_connection){
        .http = http,
        .source = {.fd = fd, .ready = on_ready, .context = connection},
        .start_ns = scree_now_ns(),
        .request.limit = SCREE_PAGES_REQUEST_BYTES + 1024,
        .answer.limit = SCREE_PAGES_ANSWER_BYTES + 1024};
    if (scree_loop_add(http->loop, &connection->source, EPOLLIN, NULL) < 0)
        close_connection(connection);
    if (http->timer.at_ns == 0)
        http->timer.at_ns = scree_now_ns() + PATIENCE_NS;
}

static void on_timer(void *context)
{
    struct scree_pages *http = context;
    uint64_t now = scree_now_ns();

    for (int i = 0; i < SCREE_PAGES_CONNECTIONS; i++) {
        struct scree_pages_connection *connection = &http->connections[i];

        if (connection->source.fd < 0)
            continue;
        if (now - connection->start_ns >= PATIENCE_NS)
            close_connection(connection);
        else
            http->timer.at_ns = now + PATIENCE_NS / 5;
    }
}

/* ---- listening ------------------------------------------------------------------------------- */

static int fail_listen(const char *listen, struct scree_error *err)
{
    int code = errno == EADDRINUSE ? EBUSY : errno == EACCES ? EACCES : EIO;

    return scree_fail(err, code, "--listen %s: %s", listen, strerror(errno));
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT" into *address; returns its length, or 0 if it is neither. */
static socklen_t parse_address(const char *text, struct sockaddr_storage *address)
{
    struct sockaddr_in *v4 = (void *)address;
    struct sockaddr_in6 *v6 = (void *)address;
    const char *colon = strrchr(text, ':');
    unsigned long port;
    char host[64], *after;
    bool is_v6 = text[0] == '[';
    size_t n = colon ? (size_t)(colon - text) : 0;

    *address = (struct sockaddr_storage){0};
    if (!colon || n >= sizeof host || (is_v6 && (n < 2 || colon[-1] != ']')))
        return 0;
    memcpy(host, text + is_v6, n - 2 * (size_t)is_v6);
    host[n - 2 * (size_t)is_v6] = '\0';
    port = strtoul(colon + 1, &after, 10);
    if (after == colon + 1 || *after || port > 65535)
        return 0;
    if (is_v6) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1 ? sizeof *v6 : 0;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &v4->sin_addr) == 1 ? sizeof *v4 : 0;
}

static int listen_tcp(const char *where, struct scree_error *err)
{
    struct sockaddr_storage address;
    socklen_t n = parse_address(where, &address);
    const int one = 1;
    int fd, rc;

    if (n == 0)
        return scree_fail(err, EINVAL,
                          "--listen: ADDRESS:PORT, [ADDRESS]:PORT or unix:PATH, not \"%s\"", where);
    fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return fail_listen(where, err);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&address, n) == 0 && listen(fd, 16) == 0)
        return fd;
    rc = fail_listen(where, err);
    close(fd);
    return rc;
}

static bool stat_socket(const struct scree_pages *http, struct stat *ret_stat)
{
    return http->socket[0] && stat(http->socket, ret_stat) == 0;
}

int scree_pages_start(struct scree_pages *http, struct scree_loop *loop, const char *listen,
                      unsigned (*page)(void *context, const char *path, struct scree_buffer *body),
                      void *context, struct scree_error *err)
{
    struct stat st;
    int fd, rc;

    *http = (struct scree_pages){.page = page, .context = context};
    for (int i = 0; i < SCREE_PAGES_CONNECTIONS; i++)
        http->connections[i] = (struct scree_pages_connection){.http = http, .source.fd = -1};
    if (strncmp(listen, "unix:", 5) == 0)
        (void)snprintf(http->socket, sizeof http->socket, "%s", listen + 5);
    fd = http->socket[0] ? scree_unix_listen(listen + 5, err) : listen_tcp(listen, err);
    if (fd < 0)
        return fd;
    if (stat_socket(http, &st)) {
        http->device = st.st_dev;
        http->inode = st.st_ino;
    }
    http->loop = loop;
    http->source = (struct scree_source){.fd = fd, .ready = on_accept, .context = http};
    http->timer = (struct scree_timer){.due = on_timer, .context = http};
    scree_loop_add_timer(loop, &http->timer);
    rc = scree_loop_add(loop, &http->source, EPOLLIN, err);
    if (rc < 0)
        scree_pages_done(http);
    return rc;
}

void scree_pages_done(struct scree_pages *http)
{
    struct stat st;

    if (!http->loop)
        return;
    for (int i = 0; i < SCREE_PAGES_CONNECTIONS; i++)
        close_connection(&http->connections[i]);
    /* Another instance may have put its own in the place. */
    if (stat_socket(http, &st) && st.st_dev == http->device && st.st_ino == http->inode)
        (void)unlink(http->socket);
    scree_loop_close(http->loop, &http->source);
}
