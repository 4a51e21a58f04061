#include "plugin/registrar.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/journal.h"

#define METHOD       "/v1beta1.Registration/Register"
#define NS_A_MS      UINT64_C(1000000)
#define SECOND_NS    (1000 * NS_A_MS)
#define FIRST_TRY_NS (10 * NS_A_MS)
#define LAST_TRY_NS  (5 * SECOND_NS)
#define ANSWER_NS    (30 * SECOND_NS)
#define ALONE_NS     (3 * SECOND_NS)

static void check(struct scree_registrar *r);

/* ---- the call -------------------------------------------------------------------------------- */

static void drop_call(struct scree_registrar *r)
{
    struct scree_peer *peer = r->peer;

    r->peer = NULL;
    r->call_ns = 0;
    scree_peer_free(peer);
}

static void try_again(struct scree_registrar *r, const char *reason)
{
    uint64_t wait = FIRST_TRY_NS << (r->n_retries < 10 ? r->n_retries : 10);

    if (wait > LAST_TRY_NS)
        wait = LAST_TRY_NS;
    r->stats.n_failed++;
    r->n_retries++;
    r->retry.at_ns = scree_now_ns() + wait;
    SCREE_JOURNAL(WARNING, "not registered", {"reason", reason},
                  {"again_ms", NULL, (int64_t)(wait / NS_A_MS)});
}

static void registered(struct scree_registrar *r)
{
    r->registered = true;
    r->n_retries = 0;
    r->alone_ns = 0;
    r->stats.n_registered++;
    r->stats.last_ns = scree_now_ns() - r->seen_ns;
    SCREE_JOURNAL(INFO, "registered", {"resource", r->offer->resource},
                  {"ms", NULL, (int64_t)(r->stats.last_ns / NS_A_MS)});
}

static void message(void *context, struct scree_grpc_call *call, const uint8_t *bytes, size_t n)
{
    (void)context, (void)call, (void)bytes, (void)n;
}

/* The connection is freed later, by what it returns to. While it is being freed by us, nobody is
 * told. */
static void call_closed(void *context, struct scree_grpc_call *call, enum scree_grpc_status status,
                        const char *text)
{
    struct scree_peer *peer = context;
    struct scree_registrar *r = peer->owner;

    (void)call;
    if (r->peer != peer)
        return;
    r->call_ns = 0;
    if (status == SCREE_GRPC_OK)
        registered(r);
    else
        try_again(r, text && text[0] ? text : "the kubelet refuses");
    scree_grpc_go_away(peer->grpc);
}

static void peer_closed(struct scree_peer *peer)
{
    struct scree_registrar *r = peer->owner;
    bool calling = r->call_ns > 0;

    drop_call(r);
    if (calling)
        try_again(r, "the kubelet has closed the connection");
}

static const struct scree_grpc_events events = {.message = message, .closed = call_closed};

static int begin_call(struct scree_registrar *r, struct scree_error *err)
{
    struct scree_buffer request = {.limit = 1024};
    struct scree_grpc_call *call;
    int rc = scree_grpc_call(r->peer->grpc, "localhost", METHOD, &call, err);

    if (rc < 0)
        return rc;
    scree_ask_register(r->offer, r->endpoint, &request);
    rc = request.failed ? scree_fail_memory(err, request.limit)
                        : scree_grpc_send(call, request.bytes, request.n, err);
    scree_buffer_done(&request);
    scree_grpc_finish(call, SCREE_GRPC_OK, NULL);
    return rc;
}

static void start_call(struct scree_registrar *r, const char *path)
{
    int fd = scree_unix_connect(path);
    struct scree_error err;

    if (fd < 0) {
        try_again(r, strerror(-fd));
        return;
    }
    drop_call(r);
    if (scree_peer_new(r->loop, fd, false, &events, r, peer_closed, &r->peer, &err) < 0 ||
        begin_call(r, &err) < 0) {
        drop_call(r);
        try_again(r, err.text);
        return;
    }
    r->call_ns = scree_now_ns();
    scree_peer_flush(r->peer);
}

/* ---- the kubelet's socket -------------------------------------------------------------------- */

static bool is_same(const struct scree_registrar *r, const struct stat *st)
{
    return st->st_ino == r->inode && st->st_ctim.tv_sec == r->changed.tv_sec &&
           st->st_ctim.tv_nsec == r->changed.tv_nsec;
}

/* A kubelet that has let go of the stream, or never opened one, does not count our devices. */
static bool is_forgotten(struct scree_registrar *r)
{
    uint64_t now = scree_now_ns();

    if (*r->n_streams > 0)
        r->alone_ns = 0;
    else if (r->alone_ns == 0)
        r->alone_ns = now;
    return r->alone_ns > 0 && now - r->alone_ns > ALONE_NS;
}

static void check(struct scree_registrar *r)
{
    char path[512];
    struct stat st;

    (void)snprintf(path, sizeof path, "%s/kubelet.sock", r->dir);
    if (stat(path, &st) < 0) {
        if (r->registered)
            SCREE_JOURNAL(WARNING, "the kubelet is gone", {"socket", path});
        r->registered = false;
        r->seen_ns = 0;
        r->retry.at_ns = 0;
        r->inode = 0;
        return;
    }
    if (!is_same(r, &st)) {
        r->inode = st.st_ino;
        r->changed = st.st_ctim;
        r->seen_ns = scree_now_ns();
        r->registered = false;
        r->n_retries = 0;
        r->retry.at_ns = 0;
        drop_call(r);
    } else if (r->registered && is_forgotten(r)) {
        SCREE_JOURNAL(WARNING, "the kubelet does not watch", {"resource", r->offer->resource});
        r->registered = false;
        r->seen_ns = scree_now_ns();
    }
    /* The kubelet would be told of the other instance's socket, and let go of it to call it anew.
     */
    if (!r->registered && r->call_ns == 0 && r->retry.at_ns == 0 && !r->server->displaced)
        start_call(r, path);
}

/* ---- when to look ---------------------------------------------------------------------------- */

static void watch_dir(struct scree_registrar *r)
{
    if (r->watch.fd >= 0 && r->watched < 0)
        r->watched = inotify_add_watch(r->watch.fd, r->dir,
                                       IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM |
                                           IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
}

static void on_change(void *context, uint32_t what)
{
    struct scree_registrar *r = context;
    _Alignas(struct inotify_event) char bytes[4096];
    ssize_t n = read(r->watch.fd, bytes, sizeof bytes);

    (void)what;
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const void *)(bytes + at);

        if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF))
            (void)inotify_rm_watch(r->watch.fd, event->wd);
        if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED))
            r->watched = -1;
        at += (ssize_t)(sizeof *event + event->len);
    }
    (void)scree_unix_server_check(r->server);
    check(r);
}

static void on_second(void *context)
{
    struct scree_registrar *r = context;

    r->second.at_ns = scree_now_ns() + SECOND_NS;
    watch_dir(r);
    (void)scree_unix_server_check(r->server);
    if (r->call_ns > 0 && scree_now_ns() - r->call_ns > ANSWER_NS) {
        drop_call(r);
        try_again(r, "the kubelet does not answer");
    }
    check(r);
}

static void on_retry(void *context)
{
    check(context);
}

int scree_registrar_start(struct scree_registrar *registrar, struct scree_loop *loop,
                          const struct scree_offer *offer, struct scree_unix_server *server,
                          const uint32_t *n_streams, const char *dir, const char *endpoint,
                          struct scree_error *err)
{
    struct scree_registrar *r = registrar;
    int rc = 0;

    *r = (struct scree_registrar){.loop = loop,
                                  .offer = offer,
                                  .server = server,
                                  .n_streams = n_streams,
                                  .dir = dir,
                                  .endpoint = endpoint,
                                  .watched = -1};
    r->second = (struct scree_timer){.due = on_second, .context = r};
    r->retry = (struct scree_timer){.due = on_retry, .context = r};
    r->watch = (struct scree_source){
        .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .ready = on_change, .context = r};
    if (r->watch.fd >= 0)
        rc = scree_loop_add(loop, &r->watch, EPOLLIN, err);
    else /* a node has few of them for all of its programs */
        SCREE_JOURNAL(WARNING, "no inotify: the kubelet is looked for every second",
                      {"reason", strerror(errno)});
    scree_loop_add_timer(loop, &r->second);
    scree_loop_add_timer(loop, &r->retry);
    on_second(r);
    return rc;
}

void scree_registrar_done(struct scree_registrar *registrar)
{
    if (!registrar->loop)
        return;
    drop_call(registrar);
    scree_loop_close(registrar->loop, &registrar->watch);
}
