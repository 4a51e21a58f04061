#include "serve/measure.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "device/discover.h"
#include "serve/server.h"

/* ---- models ---- */

/* Series of one model, of all its versions together. */
static void measure_queue(struct scree_metrics *metrics, struct scree_served *served)
{
    uint32_t waiting, busy;
    char labels[160];

    (void)snprintf(labels, sizeof labels, "model=\"%s\"", served->name);
    scree_served_count(served, &waiting, &busy);
    scree_metrics_add(metrics, SCREE_METRIC_QUEUE_DEPTH, labels, waiting);
    scree_metrics_add(metrics, SCREE_METRIC_INSTANCES, labels, served->n_instances);
    scree_metrics_add(metrics, SCREE_METRIC_INSTANCES_BUSY, labels, busy);
    scree_metrics_set(metrics, SCREE_METRIC_MODEL_LOAD_SECONDS, labels,
                      (double)served->load_ns * 1e-9);
    (void)snprintf(labels, sizeof labels, "model=\"%s\",reason=\"bad_run\"", served->name);
    scree_metrics_add(metrics, SCREE_METRIC_FALLBACKS, labels, (double)served->stats.n_repeated);
    (void)snprintf(labels, sizeof labels, "model=\"%s\",reason=\"resting\"", served->name);
    scree_metrics_add(metrics, SCREE_METRIC_FALLBACKS, labels, (double)served->stats.n_rested);
}

static void measure_errors(struct scree_metrics *metrics, const struct scree_served *served)
{
    const struct scree_served_stats *stats = &served->stats;

    scree_metrics_add(metrics, SCREE_METRIC_DEVICE_ERRORS, "kind=\"timeout\"",
                      (double)stats->n_late);
    scree_metrics_add(metrics, SCREE_METRIC_DEVICE_ERRORS, "kind=\"reset\"", (double)stats->n_lost);
    scree_metrics_add(metrics, SCREE_METRIC_DEVICE_ERRORS, "kind=\"enodev\"",
                      (double)stats->n_gave_up);
    scree_metrics_add(metrics, SCREE_METRIC_DEVICE_ERRORS, "kind=\"died\"", (double)stats->n_died);
}

/* What a label may hold: paths are somebody's else. */
static const char *to_label(const char *text, char *label, size_t n)
{
    size_t i = 0;

    for (; text[i] && i + 1 < n; i++)
        label[i] = text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\' ? '?'
                                                                                       : text[i];
    label[i] = '\0';
    return label;
}

static void measure_version(struct scree_metrics *metrics, struct scree_served *served)
{
    char labels[640], delegate[256];

    (void)snprintf(labels, sizeof labels,
                   "model=\"%s\",version=\"%s\",sha256=\"%s\",format=\"tflite\",delegate=\"%s\","
                   "npu_nodes=\"%u\",cpu_nodes=\"%u\"",
                   served->name, served->version, served->sha256,
                   to_label(served->delegate, delegate, sizeof delegate), served->n_npu_nodes,
                   served->n_cpu_nodes);
    scree_metrics_set(metrics, SCREE_METRIC_MODEL_INFO, labels, 1);
    (void)snprintf(labels, sizeof labels, "model=\"%s\",version=\"%s\"", served->name,
                   served->version);
    scree_metrics_set(metrics, SCREE_METRIC_MODEL_MEMORY, labels, (double)served->n_bytes);
    for (uint32_t i = 0; i < served->n_instances; i++) {
        (void)snprintf(labels, sizeof labels, "model=\"%s\",version=\"%s\",instance=\"%u\"",
                       served->name, served->version, i);
        scree_metrics_set(metrics, SCREE_METRIC_BUSY_SECONDS, labels,
                          (double)served->instances[i].busy_ns * 1e-9);
    }
}

static void measure_model(void *context, const struct scree_repository_entry *entry)
{
    struct scree_metrics *metrics = context;
    char labels[160];

    (void)snprintf(labels, sizeof labels, "model=\"%s\",version=\"%s\"", entry->name,
                   entry->version);
    scree_metrics_set(metrics, SCREE_METRIC_MODEL_LOADED, labels, entry->served != NULL);
    if (entry->served) {
        measure_queue(metrics, entry->served);
        measure_version(metrics, entry->served);
        measure_errors(metrics, entry->served);
    }
}

static void measure_models(struct scree_server *server)
{
    static const enum scree_metric of_models[] = {
        SCREE_METRIC_MODEL_LOADED,   SCREE_METRIC_QUEUE_DEPTH,        SCREE_METRIC_INSTANCES,
        SCREE_METRIC_INSTANCES_BUSY, SCREE_METRIC_MODEL_LOAD_SECONDS, SCREE_METRIC_MODEL_INFO,
        SCREE_METRIC_MODEL_MEMORY,   SCREE_METRIC_BUSY_SECONDS,       SCREE_METRIC_FALLBACKS,
        SCREE_METRIC_DEVICE_ERRORS};

    for (size_t i = 0; i < sizeof of_models / sizeof of_models[0]; i++)
        scree_metrics_clear(server->metrics, of_models[i]);
    scree_repository_visit(server->repository, measure_model, server->metrics);
}

/* ---- the process ---- */

/* Memory by /proc; 0 where that is not. */
static void measure_memory(struct scree_metrics *metrics)
{
    FILE *file = fopen("/proc/self/statm", "re");
    double page = (double)sysconf(_SC_PAGESIZE);
    unsigned long size = 0, resident = 0;

    if (file && fscanf(file, "%lu %lu", &size, &resident) != 2)
        size = resident = 0;
    if (file)
        (void)fclose(file);
    scree_metrics_set(metrics, SCREE_METRIC_RESIDENT, "", (double)resident * page);
    scree_metrics_set(metrics, SCREE_METRIC_VIRTUAL, "", (double)size * page);
}

static void measure_descriptors(struct scree_metrics *metrics)
{
    DIR *dir = opendir("/proc/self/fd");
    const struct dirent *at;
    struct rlimit limit;
    int n = -1; /* the folder's own */

    while (dir && (at = readdir(dir)))
        n += at->d_name[0] != '.';
    if (dir) {
        closedir(dir);
        scree_metrics_set(metrics, SCREE_METRIC_OPEN_FDS, "", n);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        scree_metrics_set(metrics, SCREE_METRIC_MAX_FDS, "", (double)limit.rlim_cur);
}

static void measure_process(struct scree_server *server)
{
    struct scree_metrics *metrics = server->metrics;
    uint32_t connections, requests;
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    scree_metrics_set(metrics, SCREE_METRIC_CPU_SECONDS, "",
                      (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                          (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6);
    measure_memory(metrics);
    measure_descriptors(metrics);
    scree_metrics_set(metrics, SCREE_METRIC_START_TIME, "", (double)server->start_s);
    scree_metrics_set(metrics, SCREE_METRIC_BUILD,
                      "version=\"" SCREE_VERSION "\",commit=\"" SCREE_COMMIT "\"", 1);
    scree_metrics_set(metrics, SCREE_METRIC_QUEUE_CAPACITY, "", server->options.queue);
    scree_http_count(server->http, &connections, &requests);
    scree_metrics_set(metrics, SCREE_METRIC_CONNECTIONS, "", connections);
    scree_metrics_set(metrics, SCREE_METRIC_IN_FLIGHT, "", requests);
    scree_metrics_set(metrics, SCREE_METRIC_LISTENERS, "", scree_events_count(server->events));
}

/* ---- the chip ---- */

/* A number of a file, times `scale`; false if it is not there. */
static bool read_number(const struct scree_tree *tree, const char *folder, const char *name,
                        double scale, double *ret)
{
    char path[SCREE_TREE_PATH], text[32], *end;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (scree_tree_text(tree, path, text, sizeof text) <= 0)
        return false;
    *ret = strtod(text, &end) * scale;
    return end != text && *end == '\0';
}

static void measure_core(const struct scree_tree *tree, const struct scree_npu_core *core,
                         uint32_t index, struct scree_metrics *metrics)
{
    char folder[160], labels[32];
    double seconds;

    (void)snprintf(labels, sizeof labels, "core=\"%u\"", index);
    (void)snprintf(folder, sizeof folder, "/sys/bus/platform/devices/%s/power", core->name);
    scree_metrics_set(metrics, SCREE_METRIC_CORE_POWERED, labels,
                      strcmp(core->state, "active") == 0);
    if (read_number(tree, folder, "runtime_active_time", 1e-3, &seconds))
        scree_metrics_set(metrics, SCREE_METRIC_CORE_SECONDS, labels, seconds);
}

static void measure_npu(const struct scree_tree *tree, struct scree_metrics *metrics)
{
    uint64_t tasks[SCREE_NPU_MAX_CORES];
    struct scree_npu npu;
    char labels[32];
    double hertz;

    scree_npu_discover(tree, &npu);
    scree_metrics_set(metrics, SCREE_METRIC_DEVICE_AVAILABLE, "", npu.node[0] != '\0');
    for (uint32_t i = 0; i < npu.n_cores; i++)
        measure_core(tree, &npu.cores[i], i, metrics);
    if (npu.n_cores > 0 && scree_npu_interrupts(tree, &npu, tasks) >= 0)
        for (uint32_t i = 0; i < npu.n_cores; i++) {
            (void)snprintf(labels, sizeof labels, "core=\"%u\"", i);
            scree_metrics_set(metrics, SCREE_METRIC_CORE_TASKS, labels, (double)tasks[i]);
        }
    if (read_number(tree, "/sys/kernel/debug/clk/scmi_clk_npu", "clk_rate", 1, &hertz))
        scree_metrics_set(metrics, SCREE_METRIC_CLOCK, "", hertz);
}

static void measure_temperatures(const struct scree_tree *tree, struct scree_metrics *metrics)
{
    char folder[160], type[64], path[SCREE_TREE_PATH], labels[128], zone[64];
    struct scree_names names;
    double degrees;

    if (scree_tree_list(tree, "/sys/class/thermal", "thermal_zone", &names) < 0)
        return;
    for (uint32_t i = 0; i < names.n; i++) {
        (void)snprintf(folder, sizeof folder, "/sys/class/thermal/%s", names.name[i]);
        (void)snprintf(path, sizeof path, "%s/type", folder);
        if (scree_tree_text(tree, path, type, sizeof type) <= 0 ||
            !read_number(tree, folder, "temp", 1e-3, &degrees))
            continue;
        (void)snprintf(labels, sizeof labels, "zone=\"%s\"", to_label(type, zone, sizeof zone));
        scree_metrics_set(metrics, SCREE_METRIC_TEMPERATURE, labels, degrees);
    }
}

void scree_measure_chip(const struct scree_tree *tree, struct scree_metrics *metrics)
{
    static const enum scree_metric of_cores[] = {SCREE_METRIC_CORE_POWERED,
                                                 SCREE_METRIC_CORE_SECONDS, SCREE_METRIC_CORE_TASKS,
                                                 SCREE_METRIC_CLOCK, SCREE_METRIC_TEMPERATURE};

    for (size_t i = 0; i < sizeof of_cores / sizeof of_cores[0]; i++)
        scree_metrics_clear(metrics, of_cores[i]);
    measure_npu(tree, metrics);
    measure_temperatures(tree, metrics);
}

void scree_measure(struct scree_server *server)
{
    measure_models(server);
    measure_process(server);
    if (server->tree)
        scree_measure_chip(server->tree, server->metrics);
}
