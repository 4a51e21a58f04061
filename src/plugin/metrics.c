#include "plugin/metrics.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <scree/scree_version.h>

#include "plugin/json.h"
#include "plugin/plugin.h"

void scree_plugin_metric(struct scree_buffer *buffer, const char *name, const char *type,
                         const char *help)
{
    scree_json_add_raw(buffer, "# HELP ");
    scree_json_add_raw(buffer, name);
    scree_json_add_raw(buffer, " ");
    scree_json_add_raw(buffer, help);
    scree_json_add_raw(buffer, "\n# TYPE ");
    scree_json_add_raw(buffer, name);
    scree_json_add_raw(buffer, " ");
    scree_json_add_raw(buffer, type);
    scree_json_add_raw(buffer, "\n");
}

void scree_plugin_metric_value(struct scree_buffer *buffer, const char *name, const char *labels,
                               double value)
{
    char text[40];

    scree_json_add_raw(buffer, name);
    if (labels) {
        scree_json_add_raw(buffer, "{");
        scree_json_add_raw(buffer, labels);
        scree_json_add_raw(buffer, "}");
    }
    (void)snprintf(text, sizeof text, " %.15g\n", value);
    scree_json_add_raw(buffer, text);
}

void scree_plugin_metric_single(struct scree_buffer *buffer, const char *name, const char *type,
                                const char *help, double value)
{
    scree_plugin_metric(buffer, name, type, help);
    scree_plugin_metric_value(buffer, name, NULL, value);
}

/* ---- NPUs ------------------------------------------------------------------------------------ */

static void write_healthy(const struct scree_npus *npus, struct scree_buffer *buffer)
{
    char labels[160];

    scree_plugin_metric(buffer, "npu_plugin_healthy", "gauge", "Whether the NPU can be used");
    for (uint32_t i = 0; i < npus->n; i++) {
        (void)snprintf(labels, sizeof labels, "npu=\"%s\"", npus->v[i].node.name);
        scree_plugin_metric_value(buffer, "npu_plugin_healthy", labels, npus->v[i].health.healthy);
    }
    scree_plugin_metric(buffer, "npu_plugin_unhealthy_reason", "gauge",
                        "1 for the reason why the NPU cannot be used, else 0");
    for (uint32_t i = 0; i < npus->n; i++)
        for (int reason = SCREE_REASON_READY + 1; reason < SCREE_REASONS; reason++) {
            (void)snprintf(labels, sizeof labels, "npu=\"%s\",reason=\"%s\"", npus->v[i].node.name,
                           scree_reason_name((enum scree_reason)reason));
            scree_plugin_metric_value(buffer, "npu_plugin_unhealthy_reason", labels,
                                      !npus->v[i].health.healthy && npus->v[i].health.why.reason ==
                                                                        (enum scree_reason)reason);
        }
}

static void write_changes(const struct scree_npus *npus, struct scree_buffer *buffer)
{
    char labels[96];

    scree_plugin_metric(buffer, "npu_plugin_health_changes_total", "counter",
                        "Times that the NPU was lost and regained");
    for (uint32_t i = 0; i < npus->n; i++) {
        (void)snprintf(labels, sizeof labels, "npu=\"%s\",to=\"unhealthy\"", npus->v[i].node.name);
        scree_plugin_metric_value(buffer, "npu_plugin_health_changes_total", labels,
                                  (double)npus->v[i].health.n_lost);
        (void)snprintf(labels, sizeof labels, "npu=\"%s\",to=\"healthy\"", npus->v[i].node.name);
        scree_plugin_metric_value(buffer, "npu_plugin_health_changes_total", labels,
                                  (double)npus->v[i].health.n_regained);
    }
}

static void write_cores(const struct scree_plugin *plugin, struct scree_buffer *buffer)
{
    const struct scree_npus *npus = &plugin->npus;
    char labels[64];

    scree_plugin_metric(buffer, "npu_plugin_cores", "gauge", "Cores that the driver is bound to");
    for (uint32_t i = 0; i < npus->n; i++) {
        (void)snprintf(labels, sizeof labels, "npu=\"%s\"", npus->v[i].node.name);
        scree_plugin_metric_value(buffer, "npu_plugin_cores", labels, npus->v[i].n_cores);
    }
    scree_plugin_metric(buffer, "npu_plugin_shares", "gauge", "Shares of the NPU that are offered");
    for (uint32_t i = 0; i < npus->n; i++) {
        (void)snprintf(labels, sizeof labels, "npu=\"%s\"", npus->v[i].node.name);
        scree_plugin_metric_value(buffer, "npu_plugin_shares", labels, plugin->offer.n_shares);
    }
}

/* ---- where its health comes from ------------------------------------------------------------- */

static void write_probe(const struct scree_probe_stats *stats, struct scree_buffer *buffer)
{
    static const char name[] = "npu_plugin_probes_total";

    scree_plugin_metric(buffer, name, "counter",
                        "Test convolutions, and times that no core was idle");
    scree_plugin_metric_value(buffer, name, "result=\"good\"", (double)stats->n_good);
    scree_plugin_metric_value(buffer, name, "result=\"bad\"", (double)stats->n_bad);
    scree_plugin_metric_value(buffer, name, "result=\"busy\"", (double)stats->n_busy);
    scree_plugin_metric_single(buffer, "npu_plugin_probe_duration_seconds", "gauge",
                               "Time that the last good test convolution took",
                               (double)stats->last_us / 1e6);
}

static void write_kernel(const struct scree_kmsg *kmsg, struct scree_buffer *buffer)
{
    static const char name[] = "npu_plugin_kernel_events_total";
    char labels[32];

    scree_plugin_metric_single(buffer, "npu_plugin_kernel_log_read", "gauge",
                               "Whether the kernel's log is read",
                               kmsg->loop && kmsg->source.fd >= 0);
    scree_plugin_metric(buffer, name, "counter", "What the kernel's log said of the NPU");
    for (int event = 0; event < SCREE_KERNEL_EVENTS; event++) {
        (void)snprintf(labels, sizeof labels, "kind=\"%s\"",
                       scree_kernel_event_name((enum scree_kernel_event)event));
        scree_plugin_metric_value(buffer, name, labels, (double)kmsg->n_events[event]);
    }
}

/* ---- this process ---------------------------------------------------------------------------- */

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long pages = 0;

    if (!file)
        return 0;
    if (fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    (void)fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void write_process(struct scree_buffer *buffer)
{
    struct timespec spent = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    scree_plugin_metric_single(buffer, "process_resident_memory_bytes", "gauge", "Memory in use",
                               resident_bytes());
    scree_plugin_metric_single(buffer, "process_cpu_seconds_total", "counter", "Processor time",
                               (double)spent.tv_sec + (double)spent.tv_nsec / 1e9);
    scree_plugin_metric(buffer, "npu_plugin_build_info", "gauge", "1, with the version");
    scree_plugin_metric_value(buffer, "npu_plugin_build_info", "version=\"" SCREE_VERSION "\"", 1);
}

void scree_plugin_metrics_write(const struct scree_plugin *plugin, struct scree_buffer *buffer)
{
    write_healthy(&plugin->npus, buffer);
    write_changes(&plugin->npus, buffer);
    write_cores(plugin, buffer);
    write_probe(&plugin->prober.stats, buffer);
    write_kernel(&plugin->kmsg, buffer);
    scree_plugin_metric_single(buffer, "npu_plugin_cdi_writes_total", "counter",
                               "Times that the CDI specification was written",
                               (double)plugin->n_cdi_writes);
    write_process(buffer);
}
