#include "serve/repository_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- what is told of it ---- */

static void count_load(struct scree_repository *repository, const struct scree_model_entry *entry,
                       bool ok)
{
    char labels[SCREE_MAX_NAME + 40];

    (void)snprintf(labels, sizeof labels, "model=\"%s\",result=\"%s\"", entry->name,
                   ok ? "ok" : "failed");
    scree_metrics_add(repository->options.metrics, SCREE_METRIC_RELOADS, labels, 1);
}

/* "1, 224, 224, 3" */
static void format_shape(const struct scree_tensor *tensor, char *text, size_t n)
{
    size_t at = 0;

    text[0] = '\0';
    for (int32_t i = 0; i < tensor->shape.rank && at + 16 < n; i++)
        at += (size_t)snprintf(text + at, n - at, "%s%d", i ? ", " : "", tensor->shape.dims[i]);
}

/* With the words of the service before scree, for those who look for them. */
static void log_loaded(struct scree_log *log, const struct scree_model_entry *entry,
                       const struct scree_served *served)
{
    char text[PATH_MAX + 64], shape[128], nodes[2][16], ms[24];
    struct scree_tensor input;

    (void)snprintf(nodes[0], sizeof nodes[0], "%u", served->n_npu_nodes);
    (void)snprintf(nodes[1], sizeof nodes[1], "%u", served->n_cpu_nodes);
    (void)snprintf(ms, sizeof ms, "%.1f", (double)served->load_ns / 1e6);
    if (served->note[0])
        scree_log(log, SCREE_LOG_WARNING, served->note, "model", served->name, NULL);
    if (served->batch_note[0])
        scree_log(log, SCREE_LOG_WARNING, served->batch_note, "model", served->name, NULL);
    if (served->delegate[0] && served->ran != SCREE_RAN_CPU)
        scree_log(log, SCREE_LOG_INFO, "\u2713 Teflon delegate loaded successfully", "delegate",
                  served->delegate, "model", served->name, NULL);
    (void)snprintf(text, sizeof text, "\u2713 Model loaded: %s", entry->path);
    scree_log(log, SCREE_LOG_INFO, text, "model", served->name, "version", served->version,
              "sha256", served->sha256, "device", scree_ran_name(served->ran), "npu_nodes",
              nodes[0], "cpu_nodes", nodes[1], "load_ms", ms, NULL);
    if (scree_model_input(served->model, 0, &input) >= 0) {
        format_shape(&input, shape, sizeof shape);
        (void)snprintf(text, sizeof text, "  Input shape: [%s]", shape);
        scree_log(log, SCREE_LOG_INFO, text, "model", served->name, NULL);
    }
    if (served->labels) {
        (void)snprintf(text, sizeof text, "\u2713 Loaded %u labels",
                       scree_labels_count(served->labels));
        scree_log(log, SCREE_LOG_INFO, text, "model", served->name, NULL);
    }
}

static void log_failed(struct scree_log *log, const struct scree_model_entry *entry,
                       const struct scree_error *why)
{
    char text[sizeof why->text + SCREE_MAX_NAME + 64];

    (void)snprintf(text, sizeof text, "\u2717 Failed to load model: %s %s: %s", entry->name,
                   entry->version, why->text);
    scree_log(log, SCREE_LOG_ERROR, text, "model", entry->name, "version", entry->version, NULL);
}

/* ---- loading ---- */

/* Whether there is room for one more version beside all that is loaded. */
static int check_memory(struct scree_repository *repository, const struct scree_served *served,
                        struct scree_error *err)
{
    size_t limit = repository->options.config->options.model_memory;
    uint64_t used = 0;

    for (const struct scree_model_entry *e = repository->entries; e; e = e->next)
        used += e->served ? e->served->n_bytes : 0;
    if (limit == 0 || (used <= limit && served->n_bytes <= limit - used))
        return 0;
    return scree_fail(
        err, ENOMEM, "it takes %.1f MiB, and of the %.1f MiB for all models %.1f are taken",
        (double)served->n_bytes / 1048576, (double)limit / 1048576, (double)used / 1048576);
}

static struct scree_session_options session_options(const struct scree_server_options *server,
                                                    const struct scree_model_options *model)
{
    return (struct scree_session_options){
        .n_threads = model->threads,
        .device = model->device,
        .delegate = server->delegate,
        .n_delegate_options = (uint32_t)server->delegate_options.n,
        .delegate_options = server->delegate_options.v,
        .delegate_timeout_ms = server->delegate_timeout_s * 1000,
        .require_npu = server->require_npu,
    };
}

/* Takes the folders of `path` (NULL: none) out of a text wherever they stand: clients are told why
 * a model does not load, not where it lies. */
static void hide_folders(char *text, const char *path)
{
    const char *name = path ? strrchr(path, '/') : NULL;
    size_t n = name ? (size_t)(name - path) + 1 : 0;

    for (char *at = text; n > 0 && (at = strstr(at, path)) != NULL;) {
        memmove(at, at + n, strlen(at + n) + 1);
        at += strlen(name + 1);
    }
}

int scree_repository_load_entry(struct scree_repository *repository,
                                struct scree_model_entry *entry, struct scree_error *err)
{
    const struct scree_repository_options *options = &repository->options;
    struct scree_model_options model;
    struct scree_served_options wanted = {
        .name = entry->name,
        .version = entry->version,
        .path = entry->path,
        .decoders = options->decoders,
        .crew = options->crew,
        .n_at_work = options->n_at_work,
        .n_cores = options->n_cores,
    };
    struct scree_served *served = NULL;
    struct scree_error why;
    int rc;

    scree_config_model(options->config, entry->name, &model);
    wanted.labels = model.labels ? model.labels : *entry->labels ? entry->labels : NULL;
    wanted.n_instances = (uint32_t)model.instances;
    wanted.batch = (uint32_t)model.batch;
    wanted.batch_delay_us = (uint32_t)model.batch_delay_us;
    wanted.metrics = options->metrics;
    wanted.session = session_options(&options->config->options, &model);
    wanted.max_waiting = (uint32_t)model.queue;
    wanted.deadline_ms = (uint32_t)model.deadline_ms;
    wanted.fast = model.resize == SCREE_RESIZE_FAST;
    wanted.image = (struct scree_image_options){
        .max_pixels = (uint64_t)(options->config->options.max_megapixels * 1e6),
        .max_side = options->config->options.max_side,
        .max_bytes = options->config->options.max_decoded,
    };
    scree_model_entry_try(entry);
    rc = scree_served_new(&wanted, &served, &why);
    if (rc >= 0)
        rc = check_memory(repository, served, &why);
    count_load(repository, entry, rc >= 0);
    if (rc >= 0) {
        log_loaded(repository->options.log, entry, served);
        scree_model_entry_set(repository, entry, served, "");
        return 0;
    }
    scree_served_unref(served);
    log_failed(options->log, entry, &why);
    hide_folders(why.text, wanted.path);
    hide_folders(why.text, wanted.labels);
    hide_folders(why.text, wanted.session.delegate);
    scree_model_entry_blame(repository, entry, why.text);
    return scree_fail(err, -rc, "%s %s: %s", entry->name, entry->version, why.text);
}
