#include "plugin/plugin.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/cdi.h"
#include "plugin/condition.h"
#include "plugin/journal.h"

#define NS_A_MS UINT64_C(1000000)
#define TEND_NS (10000 * NS_A_MS)

/* ---- looking --------------------------------------------------------------------------------- */

static void log_health(const struct scree_plugin *plugin)
{
    for (uint32_t i = 0; i < plugin->npus.n; i++) {
        const struct scree_plugin_npu *npu = &plugin->npus.v[i];

        if (npu->health.healthy)
            SCREE_JOURNAL(INFO, "NPU healthy", {"npu", npu->node.name},
                          {"cores", NULL, npu->n_cores}, {"node", npu->node.path});
        else
            SCREE_JOURNAL(WARNING, "NPU unhealthy", {"npu", npu->node.name},
                          {"reason", scree_reason_name(npu->health.why.reason)},
                          {"message", npu->health.why.text});
    }
    if (plugin->npus.n == 0)
        SCREE_JOURNAL(WARNING, "no NPU", {"root", plugin->options->root});
}

static void update_kernel(struct scree_plugin *plugin, uint64_t now_ns)
{
    uint32_t n = scree_kmsg_recent(&plugin->kmsg, now_ns), most = plugin->options->max_timeouts;
    struct scree_npu_look look = {.reason = SCREE_REASON_READY};

    if (most > 0 && n >= most) {
        look.reason = SCREE_REASON_KERNEL_TIMEOUTS;
        (void)snprintf(look.text, sizeof look.text,
                       "%u timeouts and resets in a minute in the kernel's log", n);
    }
    plugin->npus.kernel = look;
}

/* Without the specification, devices are offered by their nodes alone. */
static void update_cdi(struct scree_plugin *plugin)
{
    struct scree_error err;
    char kind[sizeof plugin->offer.cdi_kind];
    int rc;

    if (!plugin->options->cdi_dir[0])
        return;
    scree_cdi_kind(plugin->options->resource, kind, sizeof kind);
    rc = scree_cdi_update(&plugin->npus, kind, plugin->rule.group, plugin->options->cdi_dir, &err);
    if (rc < 0 && !plugin->cdi_failed)
        SCREE_JOURNAL(ERROR, "no CDI specification", {"reason", err.text});
    if (rc > 0) {
        plugin->n_cdi_writes++;
        SCREE_JOURNAL(INFO, "CDI specification written", {"dir", plugin->options->cdi_dir},
                      {"kind", kind});
    }
    plugin->cdi_failed = rc < 0;
    (void)snprintf(plugin->offer.cdi_kind, sizeof plugin->offer.cdi_kind, "%s", rc < 0 ? "" : kind);
}

static void update_condition(struct scree_plugin *plugin)
{
    struct scree_error err;
    bool failed = plugin->options->condition_file[0] &&
                  scree_condition_write(&plugin->npus, plugin->options->condition_file, &err) < 0;

    if (failed && !plugin->condition_failed)
        SCREE_JOURNAL(ERROR, "no condition file", {"reason", err.text});
    plugin->condition_failed = failed;
}

/* One look at everything; true if something changed. */
static bool look(struct scree_plugin *plugin)
{
    uint64_t now = scree_now_ns();
    struct scree_tree *tree;
    struct scree_error err;
    bool changed;
    int rc = scree_tree_open(plugin->options->root, &tree, &err);

    if (rc < 0) {
        if (!plugin->tree_failed)
            SCREE_JOURNAL(ERROR, "the NPU cannot be looked at", {"reason", err.text});
        plugin->tree_failed = true;
        return false;
    }
    plugin->tree_failed = false;
    update_kernel(plugin, now);
    changed = scree_npus_look(&plugin->npus, tree, &plugin->rule, now);
    scree_tree_free(tree);
    if (changed) {
        log_health(plugin);
        update_cdi(plugin);
        update_condition(plugin);
    }
    return changed;
}

static void on_look(void *context)
{
    struct scree_plugin *plugin = context;

    plugin->look.at_ns = scree_now_ns() + plugin->options->check_ms * NS_A_MS;
    if (look(plugin))
        plugin->front->changed(plugin->front_state);
}

/* Somebody may have cleaned up the folder, and a disk that was full have room again. */
static void on_tend(void *context)
{
    struct scree_plugin *plugin = context;

    plugin->tend.at_ns = scree_now_ns() + TEND_NS;
    update_cdi(plugin);
    if (plugin->condition_failed)
        update_condition(plugin);
}

/* ---- the node's other files ------------------------------------------------------------------ */

static void on_signal(void *context, uint32_t events)
{
    struct scree_plugin *plugin = context;
    struct signalfd_siginfo info;

    (void)events;
    if (read(plugin->signals.fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGCHLD)
        return;
    SCREE_JOURNAL(INFO, "ending", {"signal", strsignal((int)info.ssi_signo)});
    plugin->loop.stopped = true;
}

static int watch_signals(struct scree_plugin *plugin, struct scree_error *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    plugin->signals = (struct scree_source){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
                                            .ready = on_signal,
                                            .context = plugin};
    if (plugin->signals.fd < 0)
        return scree_fail(err, EIO, "no signals: %s", strerror(errno));
    return scree_loop_add(&plugin->loop, &plugin->signals, EPOLLIN, err);
}

static unsigned page(void *context, const char *path, struct scree_buffer *body)
{
    struct scree_plugin *plugin = context;
    bool ready;

    if (strcmp(path, "/metrics") == 0) {
        scree_plugin_metrics_write(plugin, body);
        plugin->front->metrics(plugin->front_state, body);
        return 200;
    }
    if (strcmp(path, "/healthz") == 0) {
        scree_buffer_add(body, "ok\n", 3);
        return 200;
    }
    if (strcmp(path, "/readyz") != 0) {
        scree_buffer_add(body, "not found\n", 10);
        return 404;
    }
    ready = plugin->front->is_ready(plugin->front_state);
    scree_buffer_add(body, ready ? "ready\n" : "the kubelet does not know this plugin\n",
                     ready ? 6 : 38);
    return ready ? 200 : 503;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void init(struct scree_plugin *plugin, const struct scree_plugin_options *options,
                 const struct scree_front *front, void *front_state)
{
    *plugin = (struct scree_plugin){
        .options = options,
        .front = front,
        .front_state = front_state,
        .rule = {.dev = options->dev,
                 .group = options->require_group[0] ? strtol(options->require_group, NULL, 10) : -1,
                 .health = {options->bad_looks, options->good_looks}},
        .offer = {.npus = &plugin->npus,
                  .resource = options->resource,
                  .n_shares = options->exclusive ? 1 : options->shares,
                  .exclusive = options->exclusive},
        .signals.fd = -1};
    plugin->look = (struct scree_timer){.due = on_look, .context = plugin};
    plugin->tend = (struct scree_timer){.due = on_tend, .context = plugin};
}

static int start(struct scree_plugin *plugin, struct scree_error *err)
{
    const struct scree_plugin_options *options = plugin->options;
    int rc = watch_signals(plugin, err);

    if (rc == 0 && options->listen[0])
        rc = scree_pages_start(&plugin->http, &plugin->loop, options->listen, page, plugin, err);
    if (rc < 0)
        return rc;
    if (options->kmsg[0])
        (void)scree_kmsg_start(&plugin->kmsg, &plugin->loop, options->kmsg);
    if (options->probe_seconds > 0)
        scree_prober_start(&plugin->prober, &plugin->loop, &plugin->npus, options->probe_seconds);
    scree_loop_add_timer(&plugin->loop, &plugin->look);
    scree_loop_add_timer(&plugin->loop, &plugin->tend);
    if (!look(plugin) && !plugin->tree_failed) {
        log_health(plugin);
        update_condition(plugin);
    }
    on_tend(plugin);
    plugin->look.at_ns = scree_now_ns() + options->check_ms * NS_A_MS;
    return plugin->front->start(plugin->front_state, plugin, err);
}

int scree_plugin_run(struct scree_plugin *plugin, const struct scree_plugin_options *options,
                     const struct scree_front *front, void *front_state, struct scree_error *err)
{
    int rc;

    init(plugin, options, front, front_state);
    rc = scree_loop_init(&plugin->loop, err);
    if (rc < 0)
        return rc;
    rc = start(plugin, err);
    if (rc == 0)
        scree_loop_run(&plugin->loop);
    front->done(front_state);
    scree_pages_done(&plugin->http);
    scree_prober_done(&plugin->prober);
    scree_kmsg_done(&plugin->kmsg);
    scree_loop_close(&plugin->loop, &plugin->signals);
    scree_loop_done(&plugin->loop);
    return rc;
}
