#include "plugin/device_plugin.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "plugin/journal.h"

#define SECOND_NS UINT64_C(1000000000)

/* ---- methods --------------------------------------------------------------------------------- */

static const struct scree_offer *offer_of(const struct scree_device_plugin *front)
{
    return &front->plugin->offer;
}

static void get_options(void *context, struct scree_grpc_call *call, const uint8_t *request,
                        size_t n)
{
    struct scree_buffer reply = {.limit = SCREE_ANSWER_BYTES};

    (void)context, (void)request, (void)n;
    scree_answer_options(&reply);
    scree_unix_server_answer(call, 0, &reply, NULL);
}

static void list_and_watch(void *context, struct scree_grpc_call *call, const uint8_t *request,
                           size_t n)
{
    struct scree_device_plugin *front = context;
    struct scree_buffer list = {.limit = SCREE_ANSWER_BYTES};

    (void)request, (void)n;
    scree_answer_list(offer_of(front), &list);
    scree_streams_add(&front->streams, call, &list);
    scree_buffer_done(&list);
    SCREE_JOURNAL(INFO, "the kubelet watches", {"streams", NULL, front->streams.n});
}

typedef int answer_fn(const struct scree_offer *offer, const uint8_t *request, size_t n,
                      struct scree_buffer *reply, struct scree_error *err);

static void answer(struct scree_device_plugin *front, struct scree_grpc_call *call,
                   const uint8_t *request, size_t n, answer_fn *write)
{
    struct scree_buffer reply = {.limit = SCREE_ANSWER_BYTES};
    struct scree_error err;
    int rc = write(offer_of(front), request, n, &reply, &err);

    if (rc < 0)
        SCREE_JOURNAL(WARNING, "call refused", {"method", scree_grpc_path(call)},
                      {"reason", err.text});
    scree_unix_server_answer(call, rc, &reply, &err);
}

static void get_preferred(void *context, struct scree_grpc_call *call, const uint8_t *request,
                          size_t n)
{
    answer(context, call, request, n, scree_answer_preferred);
}

static void allocate(void *context, struct scree_grpc_call *call, const uint8_t *request, size_t n)
{
    answer(context, call, request, n, scree_answer_allocate);
}

static void prestart(void *context, struct scree_grpc_call *call, const uint8_t *request, size_t n)
{
    answer(context, call, request, n, scree_answer_prestart);
}

static void get_info(void *context, struct scree_grpc_call *call, const uint8_t *request, size_t n)
{
    static const char *const versions[] = {"v1beta1", NULL};
    struct scree_device_plugin *front = context;
    struct scree_buffer reply = {.limit = SCREE_ANSWER_BYTES};

    (void)request, (void)n;
    scree_answer_info("DevicePlugin", offer_of(front)->resource, front->server.path, versions,
                      &reply);
    scree_unix_server_answer(call, 0, &reply, NULL);
}

static void notify(void *context, struct scree_grpc_call *call, const uint8_t *request, size_t n)
{
    struct scree_device_plugin *front = context;
    struct scree_buffer reply = {.limit = SCREE_ANSWER_BYTES};
    struct scree_error err;
    char text[256];
    int rc = scree_read_status(request, n, &front->watcher_registered, text, sizeof text, &err);

    if (rc == 0 && front->watcher_registered) {
        front->registrar.stats.n_registered++;
        SCREE_JOURNAL(INFO, "registered", {"resource", offer_of(front)->resource});
    } else {
        front->registrar.stats.n_failed++;
        SCREE_JOURNAL(WARNING, "not registered", {"reason", rc < 0 ? err.text : text});
    }
    scree_unix_server_answer(call, rc, &reply, &err);
}

/* In the order of SCREE_DEVICE_METHODS counters. */
static const struct scree_method methods[SCREE_DEVICE_METHODS] = {
    {"/v1beta1.DevicePlugin/GetDevicePluginOptions", get_options},
    {"/v1beta1.DevicePlugin/ListAndWatch", list_and_watch},
    {"/v1beta1.DevicePlugin/GetPreferredAllocation", get_preferred},
    {"/v1beta1.DevicePlugin/Allocate", allocate},
    {"/v1beta1.DevicePlugin/PreStartContainer", prestart},
    {"/pluginregistration.Registration/GetInfo", get_info},
    {"/pluginregistration.Registration/NotifyRegistrationStatus", notify},
};

static void closed(void *context, struct scree_grpc_call *call)
{
    struct scree_device_plugin *front = context;

    if (scree_streams_remove(&front->streams, call))
        SCREE_JOURNAL(INFO, "the kubelet watches no more", {"streams", NULL, front->streams.n});
}

static void ended(void *context, const char *path, enum scree_grpc_status status)
{
    struct scree_device_plugin *front = context;

    for (size_t i = 0; i < SCREE_DEVICE_METHODS; i++)
        if (strcmp(methods[i].path, path) == 0) {
            front->n_calls[i]++;
            /* A peer that goes away refuses nothing. */
            front->n_refused[i] += status != SCREE_GRPC_OK && status != SCREE_GRPC_UNAVAILABLE &&
                                   status != SCREE_GRPC_CANCELLED;
        }
}

/* ---- the front ------------------------------------------------------------------------------- */

static void on_second(void *context)
{
    struct scree_device_plugin *front = context;

    front->second.at_ns = scree_now_ns() + SECOND_NS;
    (void)scree_unix_server_check(&front->server);
}

static bool wants_watcher(const struct scree_plugin_options *options)
{
    return strcmp(options->route, "watcher") == 0 ||
           (strcmp(options->route, "auto") == 0 && access(options->kubelet_dir, F_OK) < 0 &&
            access(options->registry_dir, F_OK) == 0);
}

static int start(void *state, struct scree_plugin *plugin, struct scree_error *err)
{
    struct scree_device_plugin *front = state;
    const struct scree_plugin_options *options = plugin->options;
    const char *dir;
    int rc;

    front->plugin = plugin;
    front->by_watcher = wants_watcher(options);
    front->service = (struct scree_service){.methods = methods,
                                            .n_methods = SCREE_DEVICE_METHODS,
                                            .closed = closed,
                                            .ended = ended,
                                            .context = front};
    dir = front->by_watcher ? options->registry_dir : options->kubelet_dir;
    (void)snprintf(front->endpoint, sizeof front->endpoint, "%s.sock", options->resource);
    *strchr(front->endpoint, '/') = '-';
    rc = scree_unix_server_start(&front->server, &plugin->loop, &front->service, dir,
                                 front->endpoint, err);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (rc == -ENOENT)
        SCREE_JOURNAL(WARNING, "waiting for the kubelet's folder", {"dir", dir});
    if (!front->by_watcher)
        return scree_registrar_start(&front->registrar, &plugin->loop, &plugin->offer,
                                     &front->server, &front->streams.n, dir, front->endpoint, err);
    front->second = (struct scree_timer){.due = on_second, .context = front};
    scree_loop_add_timer(&plugin->loop, &front->second);
    on_second(front);
    return 0;
}

static void changed(void *state)
{
    struct scree_device_plugin *front = state;
    struct scree_buffer list = {.limit = SCREE_ANSWER_BYTES};

    scree_answer_list(offer_of(front), &list);
    scree_streams_send(&front->streams, &list);
    scree_buffer_done(&list);
    scree_unix_server_flush(&front->server);
}

static bool is_ready(const void *state)
{
    const struct scree_device_plugin *front = state;

    return front->streams.n > 0;
}

static void write_calls(const struct scree_device_plugin *front, struct scree_buffer *buffer)
{
    char labels[96];

    scree_plugin_metric(buffer, "npu_plugin_calls_total", "counter",
                        "Calls of the kubelet, by method");
    for (size_t i = 0; i < SCREE_DEVICE_METHODS; i++) {
        const char *name = strrchr(methods[i].path, '/') + 1;

        (void)snprintf(labels, sizeof labels, "method=\"%s\",result=\"ok\"", name);
        scree_plugin_metric_value(buffer, "npu_plugin_calls_total", labels,
                                  (double)(front->n_calls[i] - front->n_refused[i]));
        (void)snprintf(labels, sizeof labels, "method=\"%s\",result=\"refused\"", name);
        scree_plugin_metric_value(buffer, "npu_plugin_calls_total", labels,
                                  (double)front->n_refused[i]);
    }
}

static void metrics(void *state, struct scree_buffer *buffer)
{
    const struct scree_device_plugin *front = state;
    const struct scree_registrar_stats *stats = &front->registrar.stats;

    scree_plugin_metric_single(
        buffer, "npu_plugin_registered", "gauge", "Whether the kubelet has accepted this plugin",
        front->by_watcher ? front->watcher_registered : front->registrar.registered);
    scree_plugin_metric_single(buffer, "npu_plugin_streams", "gauge",
                               "Open streams of ListAndWatch", front->streams.n);
    scree_plugin_metric(buffer, "npu_plugin_registrations_total", "counter",
                        "Registrations with the kubelet");
    scree_plugin_metric_value(buffer, "npu_plugin_registrations_total", "result=\"ok\"",
                              (double)stats->n_registered);
    scree_plugin_metric_value(buffer, "npu_plugin_registrations_total", "result=\"failed\"",
                              (double)stats->n_failed);
    scree_plugin_metric_single(buffer, "npu_plugin_registration_seconds", "gauge",
                               "Time from the kubelet's socket until registered, last time",
                               (double)stats->last_ns / 1e9);
    write_calls(front, buffer);
}

static void done(void *state)
{
    struct scree_device_plugin *front = state;

    scree_registrar_done(&front->registrar);
    scree_unix_server_done(&front->server);
}

const struct scree_front scree_device_plugin_front = {
    .start = start, .changed = changed, .metrics = metrics, .is_ready = is_ready, .done = done};
