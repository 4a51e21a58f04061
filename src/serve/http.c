#include "serve/http.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/http_request.h"
#include "serve/listen.h"
#include "serve/tls.h"

/* libmicrohttpd's memory of a connection holds the headers, a row of 64 bytes for each of them, and
 * what it writes: so much besides. */
#define MORE_BYTES       ((size_t)8 << 10)
#define ASK_MS           1000
#define PAUSE_MS         100 /* without descriptors, before one is tried again */
#define ACCEPTED_AT_ONCE 64
#define NS_A_MS          UINT64_C(1000000)

struct scree_http {
    struct scree_requests requests;
    struct scree_connections connections;
    struct MHD_Daemon *mhd;
    int listener; /* -1 from the drain on */
    bool is_listening;
    uint64_t full_until_ns; /* when descriptors may be there again */
    const struct scree_route *routes;
    scree_handler_fn *gate;
    scree_answered_fn *answered;
    void *context;
    int epoll, event;  /* event: an answer is there */
    uint64_t asked_ns; /* when streams were last asked for more */
    atomic_bool is_woken;
    struct scree_workers *workers;
    pthread_mutex_t lock; /* for: */
    struct scree_job *done;
};

/* ---- who comes in ---- */

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct scree_http *http = context;
    struct scree_connection *connection;

    if (code != MHD_CONNECTION_NOTIFY_STARTED) {
        scree_connection_remove(&http->connections, *socket_context);
        return;
    }
    connection = scree_connection_add(
        &http->connections,
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    *socket_context = connection;
    if (connection)
        scree_connection_enter(connection, SCREE_STAGE_HEADERS, http->requests.limits.header_ms);
}

static struct scree_connection *connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* Lets in who waits. libmicrohttpd does not: without a descriptor left it would try again at once,
 * for ever, or no more until one of its connections is closed. Here those who wait go on waiting
 * for a moment. */
static void accept_some(struct scree_http *http)
{
    for (int i = 0;
         i < ACCEPTED_AT_ONCE && http->connections.n < http->requests.limits.max_connections; i++) {
        struct sockaddr_storage address = {0};
        socklen_t n = sizeof address;
        int fd = scree_listen_accept(http->listener, &address, &n);

        if (fd >= 0) /* libmicrohttpd closes it if it does not take it */
            (void)MHD_add_connection(http->mhd, fd, (const struct sockaddr *)&address, n);
        else if (scree_listen_is_exhausted(fd))
            http->full_until_ns = scree_now_ns() + PAUSE_MS * NS_A_MS;
        if (fd < 0)
            return;
    }
}

/* Looks at the listener while there is room, and no more while there is none. */
static void listen_if_free(struct scree_http *http)
{
    struct epoll_event event = {.data.fd = http->listener};
    bool want = http->connections.n < http->requests.limits.max_connections &&
                http->full_until_ns <= scree_now_ns();

    if (http->listener < 0 || want == http->is_listening)
        return;
    event.events = want ? EPOLLIN : 0;
    if (epoll_ctl(http->epoll, EPOLL_CTL_MOD, http->listener, &event) >= 0)
        http->is_listening = want;
}

/* ---- workers ---- */

static void handle(struct scree_request *request)
{
    request->route->handle(request->http->context, request);
    if (!request->status)
        scree_reply_text(request, 500, "no answer was found");
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

    scree_connection_enter(request->connection, SCREE_STAGE_WORK, UINT64_MAX);
    request->job.run = run_job;
    if (scree_workers_submit(workers, &request->job)) {
        /* It is resumed by this thread, hence later, however soon the worker is through. */
        MHD_suspend_connection(mhd);
        return true;
    }
    scree_reply_text(request, 503, "no thread can be started");
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

/* ---- requests ---- */

/* The first line of a request is there. What is returned becomes *request_context of on_access. */
static void *on_first_line(void *context, const char *uri, struct MHD_Connection *mhd)
{
    struct scree_http *http = context;
    struct scree_connection *connection = connection_of(mhd);

    if (connection) {
        scree_head_see_target(connection, uri);
        scree_connection_enter(connection, SCREE_STAGE_HEADERS, http->requests.limits.header_ms);
    }
    return NULL;
}

static enum MHD_Result answer(struct scree_request *request)
{
    struct scree_http *http = request->http;
    struct MHD_Response *response = scree_reply_make(request);

    if (!response)
        return MHD_NO;
    http->answered(http->context, request, request->status);
    return scree_reply_send(request, response);
}

/* The headers are there. */
static enum MHD_Result begin(struct scree_http *http, struct MHD_Connection *mhd,
                             const struct scree_first_line *line, const char *path,
                             void **request_context)
{
    struct scree_request *request =
        scree_request_new(&http->requests, mhd, connection_of(mhd), line->method, path);

    if (!request)
        return MHD_NO;
    request->http = http;
    *request_context = request;
    scree_head_check(request, line);
    if (!request->status)
        scree_head_find_route(request, http->routes);
    if (!request->status)
        http->gate(http->context, request);
    if (!request->status && request->route->admit)
        request->route->admit(http->context, request);
    if (!request->status && request->announced != 0)
        scree_body_admit(request);
    /* libmicrohttpd ends a connection that is answered now; without a body it need not. */
    return request->status && request->announced != 0 ? answer(request) : MHD_YES;
}

/* The body is there, or the answer of a worker. */
static enum MHD_Result go_on(struct scree_request *request)
{
    scree_body_end(request);
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
    const struct scree_first_line line = {method, version};
    struct scree_request *request = *request_context;

    if (!request)
        return begin(context, mhd, &line, path, request_context);
    if (*n > 0) {
        bool go = scree_body_take(request, bytes, *n);

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
    scree_connection_enter(request->connection, SCREE_STAGE_IDLE, http->requests.limits.idle_ms);
    scree_request_free(request);
    *request_context = NULL;
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
        http->requests.limits.max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        http->requests.limits.max_connections_per_ip, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        http->requests.limits.max_header_bytes + http->requests.limits.max_headers * 64 +
            MORE_BYTES,
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

    scree_listen_keep_alive(http->listener);
    scree_listen_limit_unsent(http->listener, http->requests.limits.max_unsent_bytes);
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
    *http = (struct scree_http){.requests = {.limits = options->limits, .run = scree_id_run()},
                                .routes = options->routes,
                                .gate = options->gate,
                                .answered = options->answered,
                                .context = options->context,
                                .workers = options->workers,
                                .listener = options->listener,
                                .epoll = -1,
                                .event = -1};
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

    if (MHD_get_timeout(http->mhd, &ms) == MHD_YES && ms < SCREE_CONNECTION_CHECK_MS)
        return (int)ms;
    return SCREE_CONNECTION_CHECK_MS;
}

/* Streams that wait are asked again: after a call of scree_http_wake(), and once a second. */
static void ask_streams(struct scree_http *http)
{
    uint64_t now = scree_now_ns();

    if (!atomic_exchange(&http->is_woken, false) && now - http->asked_ns < ASK_MS * NS_A_MS)
        return;
    http->asked_ns = now;
    scree_reply_ask_streams(&http->requests);
}

void scree_http_run(struct scree_http *http)
{
    resume_done(http);
    ask_streams(http);
    if (http->is_listening)
        accept_some(http);
    (void)MHD_run(http->mhd);
    scree_connections_close_late(&http->connections, http->requests.limits.idle_ms,
                                 http->requests.is_draining);
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
    if (http->requests.is_draining)
        return;
    http->requests.is_draining = true;
    scree_http_wake(http);
    (void)epoll_ctl(http->epoll, EPOLL_CTL_DEL, http->listener, NULL);
    (void)close(http->listener);
    http->listener = -1;
    http->is_listening = false;
}

bool scree_http_is_idle(const struct scree_http *http)
{
    return http->requests.n == 0;
}

void scree_http_count(const struct scree_http *http, uint32_t *ret_connections,
                      uint32_t *ret_requests)
{
    *ret_connections = http->connections.n;
    *ret_requests = http->requests.n;
}

void scree_http_free(struct scree_http *http)
{
    if (!http)
        return;
    if (http->mhd) {
        if (http->event >= 0) {
            resume_done(http);
            http->requests.is_draining = true;
            scree_reply_ask_streams(&http->requests);
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
