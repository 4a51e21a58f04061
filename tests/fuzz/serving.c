#include "fuzz/serving.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

/* How often the server may look idle, with a request in its hands, before nothing more is waited
 * for: some milliseconds; and how often it may be looked at in all. Nobody sleeps meanwhile: to be
 * woken takes longer than most cases, above all where other things run. Where many do, each look
 * lets all of them have their turn, and takes as long: a few of these are enough then. */
#define IDLE_ROUNDS 2000
#define FEW_ROUNDS  20
#define FEW_NS      20000000
#define BUSY_ROUNDS 2000000

static const char *const models[] = {"classifier", "detector"};

static struct scree_config config;
static struct scree_server *server;
static char folder[] = "/tmp/scree-fuzz-XXXXXX";

/* FOLDER/NAME/1/FILE is a link to models/SOURCE. */
static void add_link(const char *name, const char *file, const char *source)
{
    char from[4096], to[256];

    (void)snprintf(from, sizeof from, "%s/%s", SCREE_TEST_MODELS, source);
    (void)snprintf(to, sizeof to, "%s/%s", folder, name);
    (void)mkdir(to, 0700);
    (void)snprintf(to, sizeof to, "%s/%s/1", folder, name);
    (void)mkdir(to, 0700);
    (void)snprintf(to, sizeof to, "%s/%s/1/%s", folder, name, file);
    if (symlink(from, to) < 0)
        abort();
}

static void remove_folder(void)
{
    static const char *const parts[] = {"/1/model.tflite", "/1/labels.txt", "/1", ""};
    char path[256];

    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++)
        for (size_t k = 0; k < sizeof parts / sizeof parts[0]; k++) {
            (void)snprintf(path, sizeof path, "%s/%s%s", folder, models[i], parts[k]);
            (void)remove(path);
        }
    (void)rmdir(folder);
}

static void end(void)
{
    scree_server_free(server);
    scree_config_done(&config);
    remove_folder();
}

/* One that nobody listens on now. */
static uint16_t free_port(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &n) < 0)
        abort();
    (void)close(fd);
    return ntohs(at.sin_port);
}

static void start(void)
{
    struct scree_server_options *options = &config.options;
    char name[64];

    if (!mkdtemp(folder))
        abort();
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        (void)snprintf(name, sizeof name, "shapes_%s.tflite", models[i]);
        add_link(models[i], "model.tflite", name);
        add_link(models[i], "labels.txt", "shapes_labels.txt");
    }
    scree_config_init(&config);
    options->models = folder;
    options->no_watch = true;
    options->address = "127.0.0.1";
    options->port = 0;
    options->grpc_port = free_port();
    options->zmq = "tcp://127.0.0.1:*";
    options->threads = options->instances = 1;
    options->device = "cpu";
    options->workers = 2;
    options->sandbox = 1; /* off: what this process does besides serving is not allowed in it */
    options->log_level = SCREE_LOG_ERROR;
    options->max_connections_per_ip = options->max_connections;
    options->max_body = (size_t)256 << 10;
    options->max_megapixels = 0.25;
    options->max_decoded = (size_t)1 << 20;
    if (scree_server_new(&config, &server, NULL) < 0)
        abort();
    (void)atexit(end);
}

/* A model that a request has unloaded comes back. */
static void load_all(void)
{
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct scree_served *served;

        if (scree_repository_get(server->repository, models[i], NULL, &served, NULL) >= 0)
            scree_served_unref(served);
        else if (scree_repository_load(server->repository, models[i], NULL) < 0)
            abort();
    }
}

struct scree_server *serving(void)
{
    if (!server)
        start();
    load_all();
    return server;
}

uint16_t serving_grpc_port(void)
{
    return (uint16_t)config.options.grpc_port;
}

uint16_t serving_zmq_port(void)
{
    return (uint16_t)strtol(strrchr(scree_zmq_endpoint(server->zmq), ':') + 1, NULL, 10);
}

int serving_connect(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct linger reset = {.l_onoff = 1};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0)
        abort();
    return fd;
}

/* One round of the event loop. Returns whether anything happened; *ret_readable: fd can be read. */
static bool run_once(int fd, bool *ret_readable)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                           {.fd = scree_http_fd(server->http), .events = POLLIN},
                           {.fd = scree_rpc_fd(server->rpc), .events = POLLIN}};
    bool now = scree_http_wait_ms(server->http) == 0 || scree_rpc_wait_ms(server->rpc) == 0;

    if (poll(fds, 3, 0) < 0 && errno != EINTR)
        abort();
    *ret_readable = fds[0].revents != 0;
    scree_http_run(server->http);
    scree_rpc_run(server->rpc);
    return now || fds[1].revents || fds[2].revents;
}

bool serving_wait(int fd)
{
    uint32_t n_connections, n_requests;
    uint64_t idle_ns = 0;
    int n_idle = 0;

    for (int i = 0; i < BUSY_ROUNDS; i++) {
        bool is_readable, busy = run_once(fd, &is_readable);

        if (is_readable)
            return true;
        if (n_idle > 0)
            (void)sched_yield();
        if (busy || server->n_at_work > 0) {
            n_idle = 0;
            continue;
        }
        scree_http_count(server->http, &n_connections, &n_requests);
        if (n_requests == 0 && scree_rpc_is_idle(server->rpc))
            return false;
        if (n_idle++ == 0)
            idle_ns = scree_now_ns();
        else if (n_idle == IDLE_ROUNDS ||
                 (n_idle >= FEW_ROUNDS && scree_now_ns() - idle_ns > FEW_NS))
            return false;
    }
    return false;
}
