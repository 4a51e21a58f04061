#include "serve/zmq.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "serve/listen.h"

#define GREETING_MS  10000
#define REQUEST_MS   20000
#define SEND_MS      10000
#define SILENCE_MS   60000
#define EXHAUSTED_MS 100 /* until descriptors may be there again */
#define READ_BYTES   ((size_t)64 << 10)
#define KEPT_BYTES   ((size_t)1 << 20) /* of a peer's memory between requests */
#define STACK_BYTES  ((size_t)512 << 10)
#define MAX_ENDPOINT 160
#define NS_A_MS      UINT64_C(1000000)

enum place {
    PLACE_FREE,
    PLACE_TAKEN,
    PLACE_LEFT, /* its thread has ended and is to be joined */
};

struct scree_zmq_peer {
    struct scree_zmq *zmq;
    _Atomic enum place place;
    atomic_uint_fast64_t heard_ns; /* when its last request was answered, or it came */
    atomic_bool is_at_work;        /* a request is being answered */
    pthread_t thread;
    int fd;
    struct scree_zmtp wire;
    char note[SCREE_ZMQ_NOTE_BYTES];
    uint8_t bytes[READ_BYTES];
};

struct scree_zmq {
    scree_zmq_answer_fn *answer;
    void *context;
    struct scree_log *log;
    int listener, stop; /* stop: readable from when all is to end */
    char endpoint[MAX_ENDPOINT];
    const char *path; /* of ipc, in endpoint; NULL: tcp */
    dev_t device;     /* with the inode, which file there is ours; 0: none */
    ino_t inode;
    bool is_running;
    pthread_t thread;
    atomic_uint_fast64_t told_ns; /* when the last error was told */
    struct scree_zmq_peer *peers; /* [SCREE_ZMQ_MAX_PEERS] */
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 * NS_A_MS + (uint64_t)now.tv_nsec;
}

/* Tells what a peer did wrong, once a second at most. */
static void tell(struct scree_zmq *zmq, const char *text)
{
    uint_fast64_t now = now_ns(), last = zmq->told_ns;
    char line[MAX_ENDPOINT + sizeof((struct scree_error *)0)->text + 16];

    if (now - last < 1000 * NS_A_MS || !atomic_compare_exchange_strong(&zmq->told_ns, &last, now))
        return;
    (void)snprintf(line, sizeof line, "A peer at %s: %s", zmq->endpoint, text);
    scree_log(zmq->log, SCREE_LOG_WARNING, line, "api", "zmq", NULL);
}

/* ---- a peer's thread ---- */

/* Waits until the peer's socket is ready for `events`, the deadline passes (UINT64_MAX: none) or
 * all is to end. */
static bool wait_for(const struct scree_zmq_peer *peer, short events, uint64_t deadline_ns)
{
    struct pollfd fds[] = {{.fd = peer->fd, .events = events},
                           {.fd = peer->zmq->stop, .events = POLLIN}};

    for (;;) {
        uint64_t now = now_ns();
        int ms = -1, n;

        if (deadline_ns != UINT64_MAX) {
            if (now >= deadline_ns)
                return false;
            ms = (int)((deadline_ns - now) / NS_A_MS) + 1;
        }
        n = poll(fds, 2, ms);
        if (n < 0 && errno == EINTR)
            continue;
        return n > 0 && !fds[1].revents;
    }
}

static bool send_output(struct scree_zmq_peer *peer)
{
    struct scree_buffer *out = scree_zmtp_output(&peer->wire);
    uint64_t deadline = now_ns() + SEND_MS * NS_A_MS;

    if (out->failed)
        return false;
    while (out->n > 0) {
        ssize_t n = send(peer->fd, out->bytes, out->n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0)
            scree_buffer_drop(out, (size_t)n);
        else if (errno == EAGAIN ? !wait_for(peer, POLLOUT, deadline) : errno != EINTR)
            return false;
    }
    return true;
}

/* The wire says rc: an error, 0, or 1 for a request, which is then answered. */
static bool go_on(struct scree_zmq_peer *peer, int rc, const struct scree_error *err)
{
    if (rc < 0) {
        tell(peer->zmq, err->text);
        return false;
    }
    if (rc > 0) {
        peer->is_at_work = true;
        peer->zmq->answer(peer->zmq->context, peer);
        peer->heard_ns = now_ns();
        peer->is_at_work = false;
    }
    return send_output(peer);
}

/* What has come is read; requests in it are answered one by one. */
static bool take(struct scree_zmq_peer *peer, const uint8_t *bytes, size_t n)
{
    bool go = true;

    while (go && n > 0) {
        struct scree_error err;
        size_t used;
        int rc = scree_zmtp_feed(&peer->wire, bytes, n, &used, &err);

        bytes += used;
        n -= used;
        go = go_on(peer, rc, &err);
    }
    return go;
}

/* Reads once; waits if there is nothing. False: the peer has gone, or is too slow. */
static bool read_some(struct scree_zmq_peer *peer, uint64_t deadline_ns)
{
    size_t n_room = READ_BYTES;
    uint8_t *room = scree_zmtp_room(&peer->wire, &n_room);
    ssize_t n = recv(peer->fd, room ? room : peer->bytes, n_room, MSG_DONTWAIT);
    struct scree_error err;
    int rc;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return wait_for(peer, POLLIN, deadline_ns);
    if (n <= 0)
        return false;
    if (!room)
        return take(peer, peer->bytes, (size_t)n);
    rc = scree_zmtp_filled(&peer->wire, (size_t)n, &err);
    return go_on(peer, rc, &err);
}

/* Gives back what a large request has taken. */
static void shrink(struct scree_buffer *in)
{
    if (in->n == 0 && in->capacity > KEPT_BYTES)
        scree_buffer_done(in);
}

static void *serve_peer(void *arg)
{
    struct scree_zmq_peer *peer = arg;
    uint64_t deadline = now_ns() + GREETING_MS * NS_A_MS;
    bool go = send_output(peer);

    while (go) {
        uint64_t heard = peer->heard_ns;

        go = read_some(peer, deadline);
        if (!scree_zmtp_is_amid(&peer->wire)) {
            shrink(&peer->wire.in);
            deadline = UINT64_MAX;
        } else if (deadline == UINT64_MAX || peer->heard_ns != heard) {
            /* Of a new request, though the one before it may have ended in the same bytes. */
            deadline = now_ns() + REQUEST_MS * NS_A_MS;
        }
    }
    scree_zmtp_done(&peer->wire);
    (void)shutdown(peer->fd, SHUT_RDWR);
    peer->place = PLACE_LEFT;
    return NULL;
}

/* ---- coming and going ---- */

static void join_peer(struct scree_zmq_peer *peer)
{
    pthread_join(peer->thread, NULL);
    (void)close(peer->fd);
    peer->place = PLACE_FREE;
}

/* A place for a new peer; NULL: there is none. Who waits for an answer is not silent, and to wait
 * for its thread would keep all others out. */
static struct scree_zmq_peer *find_place(struct scree_zmq *zmq)
{
    struct scree_zmq_peer *silent = NULL;

    for (int i = 0; i < SCREE_ZMQ_MAX_PEERS; i++) {
        struct scree_zmq_peer *peer = &zmq->peers[i];

        if (peer->place == PLACE_LEFT)
            join_peer(peer);
        if (peer->place == PLACE_FREE)
            return peer;
        if (!peer->is_at_work && (!silent || peer->heard_ns < silent->heard_ns))
            silent = peer;
    }
    if (!silent || now_ns() - silent->heard_ns < SILENCE_MS * NS_A_MS)
        return NULL;
    (void)shutdown(silent->fd, SHUT_RDWR);
    join_peer(silent);
    return silent;
}

static bool start_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
    pthread_attr_t attributes;
    int rc;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    rc = pthread_create(thread, &attributes, run, arg);
    pthread_attr_destroy(&attributes);
    return rc == 0;
}

/* For a moment, or until all is to end: a listener that is ready without anybody being let in would
 * be so at once again. */
static void wait_a_moment(const struct scree_zmq *zmq)
{
    struct pollfd stop = {.fd = zmq->stop, .events = POLLIN};

    (void)poll(&stop, 1, EXHAUSTED_MS);
}

static void accept_peer(struct scree_zmq *zmq)
{
    int fd = accept4(zmq->listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
    struct scree_zmq_peer *peer;

    if (fd < 0) {
        if (scree_listen_is_exhausted(-errno)) {
            tell(zmq, "there is no descriptor left");
            wait_a_moment(zmq);
        }
        return;
    }
    peer = find_place(zmq);
    if (!peer) {
        tell(zmq, "all places are taken");
        (void)close(fd);
        return;
    }
    if (!zmq->path)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    peer->zmq = zmq;
    peer->fd = fd;
    peer->heard_ns = now_ns();
    memset(peer->note, 0, sizeof peer->note);
    scree_zmtp_init(&peer->wire, SCREE_ZMQ_MAX_REQUEST);
    peer->place = PLACE_TAKEN;
    if (!start_thread(&peer->thread, serve_peer, peer)) {
        tell(zmq, "no thread can be started");
        scree_zmtp_done(&peer->wire);
        (void)close(fd);
        peer->place = PLACE_FREE;
    }
}

static void *listen_for_peers(void *arg)
{
    struct scree_zmq *zmq = arg;
    struct pollfd fds[] = {{.fd = zmq->listener, .events = POLLIN},
                           {.fd = zmq->stop, .events = POLLIN}};

    while (!fds[1].revents) {
        if (poll(fds, 2, -1) > 0 && fds[0].revents)
            accept_peer(zmq);
    }
    return NULL;
}

/* ---- endpoints ---- */

/* An address of either family, and its length. */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } of;
    socklen_t n;
};

/* The port behind the last colon; -1: none. */
static int parse_port(const char *text)
{
    char *end;
    long port;

    if (strcmp(text, "*") == 0)
        return 0;
    port = strtol(text, &end, 10);
    return end == text || *end || port < 0 || port > 65535 ? -1 : (int)port;
}

static bool parse_tcp(const char *text, struct address *ret)
{
    const char *colon = strrchr(text, ':');
    int port = colon ? parse_port(colon + 1) : -1;
    size_t n = colon ? (size_t)(colon - text) : 0;
    char host[INET6_ADDRSTRLEN];

    if (port < 0 || n == 0 || n >= sizeof host)
        return false;
    memcpy(host, text, n);
    host[n] = 0;
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, host, &ret->of.v4.sin_addr) == 1) {
        ret->of.v4.sin_family = AF_INET;
        ret->of.v4.sin_port = htons((uint16_t)port);
        ret->n = sizeof ret->of.v4;
        return true;
    }
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = 0;
        memmove(host, host + 1, n - 1);
    }
    ret->of.v6.sin6_family = AF_INET6;
    ret->of.v6.sin6_port = htons((uint16_t)port);
    ret->n = sizeof ret->of.v6;
    return strcmp(host, "*") == 0 || inet_pton(AF_INET6, host, &ret->of.v6.sin6_addr) == 1;
}

static bool parse_ipc(const char *path, struct address *ret)
{
    size_t n = strlen(path);

    memset(ret, 0, sizeof *ret);
    if (n == 0 || n >= sizeof ret->of.un.sun_path)
        return false;
    ret->of.un.sun_family = AF_UNIX;
    memcpy(ret->of.un.sun_path, path, n + 1);
    ret->n = sizeof ret->of.un;
    return true;
}

/* Takes away a socket that nobody listens on any more. Any other file is refused in the same way,
 * and is not ours. A listener whose line is full is asked without waiting in it. */
static void remove_stale(const struct address *address)
{
    struct stat st;
    int fd;

    if (lstat(address->of.un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, &address->of.any, address->n) < 0 && errno == ECONNREFUSED)
        (void)unlink(address->of.un.sun_path);
    (void)close(fd);
}

static void note_own(struct scree_zmq *zmq)
{
    struct stat st;

    if (lstat(zmq->path, &st) < 0)
        return;
    zmq->device = st.st_dev;
    zmq->inode = st.st_ino;
}

/* Takes the socket away, if nobody has put another in its place. No other file has its number as
 * long as it is open. */
static void remove_own(const struct scree_zmq *zmq)
{
    struct stat st;

    if (zmq->inode && lstat(zmq->path, &st) == 0 && st.st_dev == zmq->device &&
        st.st_ino == zmq->inode)
        (void)unlink(zmq->path);
}

/* Writes the port that the system chose into the endpoint. */
static void tell_port(struct scree_zmq *zmq)
{
    char *colon = strrchr(zmq->endpoint, ':');
    struct address address = {.n = sizeof address.of};

    /* The port is at the same place in the addresses of both families. */
    if (getsockname(zmq->listener, &address.of.any, &address.n) == 0)
        (void)snprintf(colon + 1, sizeof zmq->endpoint - (size_t)(colon + 1 - zmq->endpoint), "%u",
                       ntohs(address.of.v4.sin_port));
}

static int open_listener(struct scree_zmq *zmq, struct scree_error *err)
{
    struct address address;
    int on = 1, off = 0;

    if (!(zmq->path
              ? parse_ipc(zmq->path, &address)
              : strncmp(zmq->endpoint, "tcp://", 6) == 0 && parse_tcp(zmq->endpoint + 6, &address)))
        return scree_fail(err, EINVAL, "'%s' is not tcp://ADDRESS:PORT or ipc://PATH",
                          zmq->endpoint);
    zmq->listener = socket(address.of.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (zmq->listener < 0)
        return scree_fail(err, EIO, "%s: %s", zmq->endpoint, strerror(errno));
    (void)setsockopt(zmq->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    scree_listen_keep_alive(zmq->listener);
    if (address.of.any.sa_family == AF_INET6)
        (void)setsockopt(zmq->listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (zmq->path)
        remove_stale(&address);
    if (bind(zmq->listener, &address.of.any, address.n) < 0 ||
        listen(zmq->listener, SCREE_ZMQ_MAX_PEERS) < 0)
        return scree_fail(err,
                          errno == EADDRINUSE ? EBUSY
                          : errno == EACCES   ? EACCES
                                              : EIO,
                          "cannot listen on %s: %s", zmq->endpoint, strerror(errno));
    if (zmq->path)
        note_own(zmq);
    else
        tell_port(zmq);
    return 0;
}

int scree_zmq_new(const char *endpoint, scree_zmq_answer_fn *answer, void *context,
                  struct scree_log *log, struct scree_zmq **ret_zmq, struct scree_error *err)
{
    struct scree_zmq *zmq = calloc(1, sizeof *zmq);
    int rc = 0;

    if (!zmq)
        return scree_fail_memory(err, sizeof *zmq);
    zmq->answer = answer;
    zmq->context = context;
    zmq->log = log;
    zmq->listener = -1;
    zmq->stop = eventfd(0, EFD_CLOEXEC);
    zmq->peers = calloc(SCREE_ZMQ_MAX_PEERS, sizeof *zmq->peers);
    (void)snprintf(zmq->endpoint, sizeof zmq->endpoint, "%s", endpoint);
    if (strncmp(zmq->endpoint, "ipc://", 6) == 0)
        zmq->path = zmq->endpoint + 6;
    if (strlen(endpoint) >= MAX_ENDPOINT - 8)
        rc = scree_fail(err, EINVAL, "an endpoint of over %d characters", MAX_ENDPOINT - 9);
    else if (!zmq->peers)
        rc = scree_fail_memory(err, SCREE_ZMQ_MAX_PEERS * sizeof *zmq->peers);
    else if (zmq->stop < 0)
        rc = scree_fail(err, EIO, "eventfd: %s", strerror(errno));
    if (rc >= 0)
        rc = open_listener(zmq, err);
    if (rc >= 0) {
        zmq->is_running = start_thread(&zmq->thread, listen_for_peers, zmq);
        rc = zmq->is_running ? 0 : scree_fail(err, EIO, "no thread can be started");
    }
    if (rc < 0) {
        scree_zmq_free(zmq);
        return rc;
    }
    *ret_zmq = zmq;
    return 0;
}

const char *scree_zmq_endpoint(const struct scree_zmq *zmq)
{
    return zmq->endpoint;
}

void scree_zmq_free(struct scree_zmq *zmq)
{
    uint64_t one = 1;

    if (!zmq)
        return;
    if (zmq->is_running) {
        (void)!write(zmq->stop, &one, sizeof one);
        pthread_join(zmq->thread, NULL);
        for (int i = 0; i < SCREE_ZMQ_MAX_PEERS; i++)
            if (zmq->peers[i].place != PLACE_FREE)
                join_peer(&zmq->peers[i]);
    }
    remove_own(zmq);
    if (zmq->listener >= 0)
        (void)close(zmq->listener);
    if (zmq->stop >= 0)
        (void)close(zmq->stop);
    free(zmq->peers);
    free(zmq);
}

/* ---- peers, as answer sees them ---- */

struct scree_zmtp *scree_zmq_wire(struct scree_zmq_peer *peer)
{
    return &peer->wire;
}

char *scree_zmq_note(struct scree_zmq_peer *peer)
{
    return peer->note;
}

bool scree_zmq_is_gone(const struct scree_zmq_peer *peer)
{
    struct pollfd stop = {.fd = peer->zmq->stop, .events = POLLIN};
    char byte;

    return poll(&stop, 1, 0) > 0 || recv(peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void scree_zmq_tell(struct scree_zmq_peer *peer, const char *text)
{
    tell(peer->zmq, text);
}
