#include "serve/server.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "device/discover.h"
#include "serve/listen.h"
#include "serve/sandbox.h"
#include "serve/systemd.h"
#include "serve/tls.h"

#define GRPC_PORT        8001 /* Triton's */
#define MAX_DECODERS     64
#define MAX_WAIT_DECODER 256
#define NS_A_MS          UINT64_C(1000000)

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / NS_A_MS;
}

/* ---- what was answered ---- */

/* The API of a path, from a fixed list. */
static const char *api_of(const char *path)
{
    if (strncmp(path, "/v1/vision", 10) == 0 || strncmp(path, "/v1/status", 10) == 0)
        return "deepstack";
    if (strncmp(path, "/v2", 3) == 0)
        return "oip";
    if (strncmp(path, "/v1/models", 10) == 0)
        return "tfs";
    if (strcmp(path, "/infer") == 0 || strcmp(path, "/detect") == 0)
        return "plain";
    return "other";
}

static double seconds_since(uint64_t start_ns)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9 - (double)start_ns * 1e-9;
}

static void log_request(struct scree_server *server, const struct scree_request *request,
                        int status, double seconds)
{
    enum scree_log_level level = status >= 500   ? SCREE_LOG_WARNING
                                 : status >= 400 ? SCREE_LOG_INFO
                                                 : SCREE_LOG_DEBUG;
    const char *model = scree_request_model(request);
    char text[512], code[16], ms[32], n_bytes[32];

    (void)snprintf(code, sizeof code, "%d", status);
    (void)snprintf(ms, sizeof ms, "%.3f", seconds * 1e3);
    (void)snprintf(n_bytes, sizeof n_bytes, "%zu", scree_request_n_answered(request));
    (void)snprintf(text, sizeof text, "%s %s %.256s %s %sms", scree_request_peer(request),
                   scree_request_method(request), scree_request_path(request), code, ms);
    scree_log(&server->log, level, text, "request_id", scree_request_id(request), "trace_id",
              scree_request_trace(request), "peer", scree_request_peer(request), "method",
              scree_request_method(request), "path", scree_request_path(request), "status", code,
              "bytes", n_bytes, "ms", ms, "model", *model ? model : NULL, NULL);
}

static void on_answered(void *context, const struct scree_request *request, int status)
{
    struct scree_server *server = context;
    double seconds = seconds_since(scree_request_start_ns(request));
    const char *api = api_of(scree_request_path(request));
    const char *model = scree_request_model(request);
    char labels[192];

    (void)snprintf(labels, sizeof labels, "model=\"%s\",version=\"%s\",api=\"%s\",code=\"%d\"",
                   model, scree_request_version(request), api, status);
    scree_metrics_add(server->metrics, SCREE_METRIC_REQUESTS, labels, 1);
    (void)snprintf(labels, sizeof labels, "model=\"%s\",api=\"%s\"", model, api);
    scree_metrics_observe(server->metrics, SCREE_METRIC_REQUEST_SECONDS, labels, seconds);
    scree_api_count_refusal(server, scree_request_refusal(request));
    log_request(server, request, status, seconds);
}

/* ---- gRPC ---- */

static struct scree_http_limits http_limits(const struct scree_server_options *options)
{
    return (struct scree_http_limits){
        .max_connections = (uint32_t)options->max_connections,
        .max_connections_per_ip = (uint32_t)options->max_connections_per_ip,
        .max_header_bytes = options->max_header,
        .max_headers = (uint32_t)options->max_headers,
        .max_body_bytes = options->max_body,
        .max_bodies_bytes = options->max_bodies,
        .max_chunks = (uint32_t)options->max_chunks,
        .header_ms = (uint32_t)options->header_timeout_ms,
        .body_ms = (uint32_t)options->body_timeout_ms,
        .min_rate = (uint32_t)options->min_rate,
        .idle_ms = (uint32_t)options->idle_timeout_ms,
        .send_ms = (uint32_t)options->send_timeout_ms,
        .max_unsent_bytes = options->send_buffer,
        .max_parts = (uint32_t)options->max_parts,
        .max_json_depth = (uint32_t)options->max_json_depth,
        .max_inflation = (uint32_t)options->max_inflation,
        .max_calls = (uint32_t)options->max_calls,
        .retry_after_s = (uint32_t)options->retry_after_s,
    };
}

/* As for requests by HTTP: what is open to all is not counted. */
static int check_rate(struct scree_server *server, const char *peer, struct scree_error *err)
{
    if (!server->rate || scree_rate_take(server->rate, peer, scree_now_ns()) == 0)
        return 0;
    scree_metrics_add(server->metrics, SCREE_METRIC_REJECTED, "reason=\"rate_limit\"", 1);
    return scree_fail(err, E2BIG, "too many requests of this client");
}

static int rpc_gate(void *context, const struct scree_rpc_method *method, const char *peer,
                    const char *authorization, bool is_forwarded, struct scree_error *err)
{
    struct scree_server *server = context;
    const struct scree_credentials credentials = {
        .peer = peer, .authorization = authorization, .is_forwarded = is_forwarded};
    enum scree_scope scope = method->flags & SCREE_RPC_ADMIN  ? SCREE_SCOPE_ADMIN
                             : method->flags & SCREE_RPC_OPEN ? SCREE_SCOPE_OPEN
                                                              : SCREE_SCOPE_INFER;
    int rc = scope == SCREE_SCOPE_OPEN ? 0 : check_rate(server, peer, err);

    if (rc < 0)
        return rc;
    rc = scree_access_check(&server->access, scope, &credentials, err);
    if (rc < 0)
        scree_api_count_refusal(server, rc);
    return rc;
}

/* What would be a status of 5xx over HTTP is a warning. */
static enum scree_log_level level_of(enum scree_grpc_status status)
{
    switch (status) {
    case SCREE_GRPC_OK:
        return SCREE_LOG_DEBUG;
    case SCREE_GRPC_INTERNAL:
    case SCREE_GRPC_UNKNOWN:
    case SCREE_GRPC_UNAVAILABLE:
    case SCREE_GRPC_DEADLINE_EXCEEDED:
        return SCREE_LOG_WARNING;
    default:
        return SCREE_LOG_INFO;
    }
}

static void on_rpc_ended(void *context, const struct scree_rpc_call *call,
                         enum scree_grpc_status status)
{
    struct scree_server *server = context;
    struct scree_rpc_facts facts;
    double seconds;
    char labels[256], code[16], ms[32], n_bytes[32], text[320];

    scree_rpc_tell(call, &facts);
    seconds = seconds_since(facts.start_ns);
    (void)snprintf(code, sizeof code, "%d", (int)status);
    (void)snprintf(ms, sizeof ms, "%.3f", seconds * 1e3);
    (void)snprintf(n_bytes, sizeof n_bytes, "%zu", facts.n_answered);
    (void)snprintf(labels, sizeof labels, "model=\"%s\",version=\"%s\",api=\"grpc\",code=\"%s\"",
                   facts.model, facts.version, code);
    scree_metrics_add(server->metrics, SCREE_METRIC_REQUESTS, labels, 1);
    (void)snprintf(labels, sizeof labels, "model=\"%s\",api=\"grpc\"", facts.model);
    /* A stream is as long as its client likes. */
    if (!(facts.flags & (SCREE_RPC_STREAM | SCREE_RPC_WATCH)))
        scree_metrics_observe(server->metrics, SCREE_METRIC_REQUEST_SECONDS, labels, seconds);
    (void)snprintf(text, sizeof text, "%s %s %s %sms", facts.peer, facts.path, code, ms);
    scree_log(&server->log, level_of(status), text, "request_id", facts.id, "trace_id", facts.trace,
              "peer", facts.peer, "path", facts.path, "grpc_status", code, "bytes", n_bytes, "ms",
              ms, "model", *facts.model ? facts.model : NULL, NULL);
}

/* Listens for gRPC. Its usual port is somebody else's at times: that is said, and no more. */
static int open_rpc(struct scree_server *server, struct scree_error *err)
{
    const struct scree_server_options *options = &server->options;
    int port = options->grpc_port ? options->grpc_port : options->port ? GRPC_PORT : 0;
    struct scree_rpc_options rpc = {
        .methods = scree_rpc_methods,
        .gate = rpc_gate,
        .ended = on_rpc_ended,
        .context = server,
        .tls = server->tls,
        .limits = http_limits(options),
        .workers = server->workers,
    };
    char text[64];
    int rc;

    if (options->no_grpc)
        return 0;
    rc = rpc.listener = scree_listen(options->address, (uint16_t)port, err);
    if (rc == -EBUSY && !options->grpc_port) {
        scree_log(&server->log, SCREE_LOG_WARNING, err->text, "grpc", "off", NULL);
        return 0;
    }
    if (rc < 0)
        return rc;
    (void)snprintf(text, sizeof text, "gRPC on port %u", scree_listen_port(rpc.listener));
    rc = scree_rpc_new(&rpc, &server->rpc, err);
    if (rc >= 0)
        scree_log(&server->log, SCREE_LOG_ALWAYS, text, NULL);
    return rc;
}

/* ---- start ---- */

static int open_signals(struct scree_server *server, struct scree_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    server->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return server->signals < 0 ? scree_fail(err, EIO, "signals: %s", strerror(errno)) : 0;
}

static int read_tokens(struct scree_server *server, struct scree_error *err)
{
    const struct scree_server_options *options = &server->options;
    int rc = scree_access_read(&server->access, SCREE_SCOPE_INFER, options->token_file, err);

    return rc < 0 ? rc
                  : scree_access_read(&server->access, SCREE_SCOPE_ADMIN, options->admin_token_file,
                                      err);
}

/* Those of the NPU. */
static uint32_t count_cores(const struct scree_server *server)
{
    struct scree_npu npu = {0};

    if (server->tree)
        scree_npu_discover(server->tree, &npu);
    return npu.n_cores;
}

/* Before models, which strangers have made, and delegates. */
static void enter_sandbox(struct scree_server *server)
{
    char text[sizeof((struct scree_error *)0)->text + 64];
    const char *zmq = server->options.zmq;
    struct scree_error err;

    if (server->options.sandbox != 0 ||
        scree_sandbox_enter(zmq && strncmp(zmq, "ipc:", 4) == 0, &err) >= 0)
        return;
    (void)snprintf(text, sizeof text, "there is no sandbox: %s", err.text);
    scree_log(&server->log, SCREE_LOG_WARNING, text, NULL);
}

static int open_models(struct scree_server *server, struct scree_error *err)
{
    const struct scree_server_options *options = &server->options;
    const struct scree_repository_options repository = {
        .folder = options->models,
        .model = options->model,
        .labels = options->labels,
        .config = server->config,
        .decoders = &server->decoders,
        .crew = server->crew,
        .n_at_work = &server->n_at_work,
        .n_cores = count_cores(server),
        .log = &server->log,
        .metrics = server->metrics,
    };
    struct scree_error why;
    int rc = scree_repository_new(&repository, &server->repository, err);

    /* Frigate does not come again if nobody listens when it starts; loading may take a while. */
    if (rc >= 0 && options->zmq)
        rc =
            scree_zmq_new(options->zmq, scree_api_frigate, server, &server->log, &server->zmq, err);
    if (rc < 0)
        return rc;
    enter_sandbox(server);
    rc = scree_repository_scan(server->repository, &why);
    server->is_loaded = true;
    if (rc < 0)
        return scree_fail(err, -rc, "%s", why.text);
    return scree_reload_new(server->repository, options->no_watch ? NULL : options->models,
                            &server->log, &server->reload, err);
}

static uint32_t count_processors(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > MAX_DECODERS ? MAX_DECODERS : (uint32_t)n;
}

static int make_rate(struct scree_server *server, struct scree_error *err)
{
    server->rate = malloc(sizeof *server->rate);
    if (!server->rate)
        return scree_fail_memory(err, sizeof *server->rate);
    scree_rate_init(server->rate, server->options.rate, server->options.burst);
    return 0;
}

/* The socket that systemd has for us, or one of our own. */
static int open_listener(const struct scree_server_options *options, struct scree_error *err)
{
    int fd = scree_systemd_listener();

    return fd >= 0 ? fd : scree_listen(options->address, (uint16_t)options->port, err);
}

/* Where it listens is told at any level: with port 0, and when it is ready, nothing else tells. */
static void log_start(struct scree_server *server)
{
    struct scree_served *served = NULL;
    char text[SCREE_LOG_MAX_LINE / 2];

    if (server->zmq) {
        (void)snprintf(text, sizeof text, "zmq at %s", scree_zmq_endpoint(server->zmq));
        scree_log(&server->log, SCREE_LOG_ALWAYS, text, NULL);
    }
    (void)snprintf(text, sizeof text, "listening on port %u", server->port);
    scree_log(&server->log, SCREE_LOG_ALWAYS, text, NULL);
    (void)scree_repository_get(server->repository, NULL, NULL, &served, NULL);
    if (served)
        scree_log(&server->log, SCREE_LOG_INFO, "\u2713 Server ready", NULL);
    else
        scree_log(&server->log, SCREE_LOG_ERROR,
                  "\u2717 Failed to load model, server running in degraded state", NULL);
    scree_served_unref(served);
}

int scree_server_new(const struct scree_config *config, struct scree_server **ret_server,
                     struct scree_error *err)
{
    const struct scree_server_options *options = &config->options;
    struct scree_server *server = calloc(1, sizeof *server);
    struct scree_http_options http = {
        .routes = scree_routes,
        .gate = scree_api_gate,
        .answered = on_answered,
        .context = server,
        .limits = http_limits(options),
        .tls = options->tls_cert != NULL,
    };
    int rc;

    if (!server)
        return scree_fail_memory(err, sizeof *server);
    server->config = config;
    server->options = *options;
    server->signals = -1;
    server->start_s = (uint64_t)time(NULL);
    scree_access_init(&server->access);
    pthread_mutex_init(&server->findings.lock, NULL);
    scree_turns_init(&server->decoders, count_processors(), MAX_WAIT_DECODER);
    scree_log_init(&server->log, STDERR_FILENO, (enum scree_log_level)options->log_level,
                   (enum scree_log_format)options->log_format);
    (void)scree_tree_open("/", &server->tree, NULL);
    scree_listen_raise_limit();
    rc = open_signals(server, err);
    if (rc >= 0)
        rc = read_tokens(server, err);
    if (rc >= 0 && options->tls_cert)
        rc = scree_tls_new(options->tls_cert, options->tls_key, &server->tls, err);
    if (rc >= 0 && options->rate > 0)
        rc = make_rate(server, err);
    if (rc >= 0)
        rc = scree_metrics_new(&server->metrics, err);
    if (rc >= 0)
        rc = scree_events_new(&server->events, err);
    if (rc >= 0)
        rc = scree_workers_new((uint32_t)options->workers, &server->workers, err);
    if (rc >= 0)
        rc = scree_workers_new(count_processors(), &server->crew, err);
    if (rc >= 0)
        rc = open_models(server, err);
    if (rc >= 0)
        rc = http.listener = open_listener(options, err);
    if (rc >= 0) {
        server->port = scree_listen_port(http.listener);
        http.workers = server->workers;
        rc = scree_http_new(&http, &server->http, err);
    }
    if (rc >= 0)
        rc = open_rpc(server, err);
    if (rc < 0) {
        scree_server_free(server);
        return rc;
    }
    log_start(server);
    *ret_server = server;
    return 0;
}

/* ---- running ---- */

static void read_signals(struct scree_server *server)
{
    struct signalfd_siginfo info;

    while (read(server->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        struct scree_error err;

        if (info.ssi_signo != SIGHUP) {
            server->stopping = true;
            continue;
        }
        if (read_tokens(server, &err) < 0)
            scree_log(&server->log, SCREE_LOG_ERROR, err.text, NULL);
        if (server->tls && scree_tls_reload(server->tls, &err) < 0)
            scree_log(&server->log, SCREE_LOG_ERROR, err.text, NULL);
        scree_reload_now(server->reload);
    }
}

/* Tells the watchdog that the event loop goes round. */
static void ping(struct scree_server *server)
{
    uint64_t now = now_ms();

    if (server->watchdog_ms == 0 || now - server->ping_ms < server->watchdog_ms)
        return;
    server->ping_ms = now;
    scree_systemd_notify("WATCHDOG=1");
}

static int wait_for_events(struct scree_server *server, struct scree_error *err)
{
    /* poll() leaves a descriptor below 0 alone. */
    struct pollfd fds[] = {{.fd = scree_http_fd(server->http), .events = POLLIN},
                           {.fd = server->signals, .events = POLLIN},
                           {.fd = server->rpc ? scree_rpc_fd(server->rpc) : -1, .events = POLLIN}};
    int wait_ms = scree_http_wait_ms(server->http);

    if (server->rpc && scree_rpc_wait_ms(server->rpc) < wait_ms)
        wait_ms = scree_rpc_wait_ms(server->rpc);
    if (poll(fds, 3, wait_ms) < 0 && errno != EINTR)
        return scree_fail(err, EIO, "poll: %s", strerror(errno));
    if (fds[1].revents)
        read_signals(server);
    scree_http_run(server->http);
    if (server->rpc)
        scree_rpc_run(server->rpc);
    ping(server);
    return 0;
}

static bool is_idle(const struct scree_server *server)
{
    return scree_http_is_idle(server->http) && (!server->rpc || scree_rpc_is_idle(server->rpc));
}

int scree_server_run(struct scree_server *server, struct scree_error *err)
{
    uint64_t end;
    int rc = 0;

    server->watchdog_ms = scree_systemd_watchdog_ms();
    scree_systemd_notify("READY=1");
    while (rc >= 0 && !server->stopping)
        rc = wait_for_events(server, err);
    scree_systemd_notify("STOPPING=1");
    scree_http_drain(server->http);
    if (server->rpc)
        scree_rpc_drain(server->rpc);
    end = now_ms() + (uint64_t)server->options.drain_timeout_ms;
    while (rc >= 0 && !is_idle(server) && now_ms() < end)
        rc = wait_for_events(server, err);
    return rc;
}

void scree_server_free(struct scree_server *server)
{
    if (!server)
        return;
    scree_turns_close(&server->decoders);
    scree_zmq_free(server->zmq);
    scree_workers_free(server->workers);
    scree_workers_free(server->crew);
    scree_rpc_free(server->rpc);
    scree_http_free(server->http);
    scree_reload_free(server->reload);
    scree_repository_free(server->repository);
    scree_events_free(server->events);
    pthread_mutex_destroy(&server->findings.lock);
    scree_metrics_free(server->metrics);
    scree_tree_free(server->tree);
    scree_tls_free(server->tls);
    free(server->rate);
    scree_turns_done(&server->decoders);
    scree_access_done(&server->access);
    if (server->signals >= 0)
        (void)close(server->signals);
    free(server);
}
