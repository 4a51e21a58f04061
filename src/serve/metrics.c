#include "serve/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Upper bounds of the buckets, in seconds: fine where an NPU answers, coarse behind. */
static const double seconds[] = {.001, .002, .005, .0075, .01, .0125, .015, .02,
                                 .025, .033, .05,  .1,    .25, .5,    1,    2.5};

#define N_BOUNDS (sizeof seconds / sizeof seconds[0])

/* The same for numbers of things. */
static const double sizes[] = {1, 2, 4, 8, 16, 32, 64};

#define N_SIZES (sizeof sizes / sizeof sizes[0])

enum kind { COUNTER, GAUGE, HISTOGRAM, SIZES };

static const struct {
    enum kind kind;
    const char *name, *help;
} descriptions[] = {
#define METRIC(id, kind, name, help) {kind, name, help},
#include "serve/metrics.inc"
#undef METRIC
};

struct series {
    struct series *next;
    double value;                   /* of a histogram: the sum */
    uint64_t buckets[N_BOUNDS + 1]; /* of a histogram: each by itself; the last one has no bound */
    char labels[];
};

struct scree_metrics {
    pthread_mutex_t lock;
    struct series *series[SCREE_N_METRICS]; /* in the order of their making */
    uint32_t n_series;
};

int scree_metrics_new(struct scree_metrics **ret_metrics, struct scree_error *err)
{
    struct scree_metrics *metrics = calloc(1, sizeof *metrics);

    if (!metrics)
        return scree_fail_memory(err, sizeof *metrics);
    pthread_mutex_init(&metrics->lock, NULL);
    *ret_metrics = metrics;
    return 0;
}

/* Frees those of which is_gone() says true. The lock is held. */
static void free_series(struct scree_metrics *metrics, enum scree_metric metric,
                        bool (*is_gone)(void *context, const char *labels), void *context)
{
    struct series **at = &metrics->series[metric];

    while (*at) {
        struct series *series = *at;

        if (!is_gone(context, series->labels)) {
            at = &series->next;
            continue;
        }
        *at = series->next;
        free(series);
        metrics->n_series--;
    }
}

static bool are_all_gone(void *context, const char *labels)
{
    (void)context;
    (void)labels;
    return true;
}

void scree_metrics_free(struct scree_metrics *metrics)
{
    if (!metrics)
        return;
    for (int i = 0; i < SCREE_N_METRICS; i++)
        free_series(metrics, (enum scree_metric)i, are_all_gone, NULL);
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

/* The series, made if need be; NULL over the limit, or without memory. The lock is held. */
static struct series *find(struct scree_metrics *metrics, enum scree_metric metric,
                           const char *labels)
{
    struct series **at = &metrics->series[metric];
    size_t n = strlen(labels) + 1;

    while (*at && strcmp((*at)->labels, labels) != 0)
        at = &(*at)->next;
    if (*at || metrics->n_series == SCREE_METRICS_MAX_SERIES)
        return *at;
    *at = calloc(1, sizeof **at + n);
    if (*at) {
        memcpy((*at)->labels, labels, n);
        metrics->n_series++;
    }
    return *at;
}

void scree_metrics_add(struct scree_metrics *metrics, enum scree_metric metric, const char *labels,
                       double more)
{
    struct series *series;

    pthread_mutex_lock(&metrics->lock);
    series = find(metrics, metric, labels);
    if (series)
        series->value += more;
    pthread_mutex_unlock(&metrics->lock);
}

void scree_metrics_set(struct scree_metrics *metrics, enum scree_metric metric, const char *labels,
                       double value)
{
    struct series *series;

    pthread_mutex_lock(&metrics->lock);
    series = find(metrics, metric, labels);
    if (series)
        series->value = value;
    pthread_mutex_unlock(&metrics->lock);
}

/* The upper bounds of a histogram's buckets, double[*ret_n]. */
static const double *bounds_of(enum scree_metric metric, size_t *ret_n)
{
    bool is_size = descriptions[metric].kind == SIZES;

    *ret_n = is_size ? N_SIZES : N_BOUNDS;
    return is_size ? sizes : seconds;
}

void scree_metrics_observe(struct scree_metrics *metrics, enum scree_metric metric,
                           const char *labels, double value)
{
    size_t i = 0, n_bounds;
    const double *bounds = bounds_of(metric, &n_bounds);
    struct series *series;

    while (i < n_bounds && value > bounds[i])
        i++;
    pthread_mutex_lock(&metrics->lock);
    series = find(metrics, metric, labels);
    if (series) {
        series->value += value;
        series->buckets[i]++;
    }
    pthread_mutex_unlock(&metrics->lock);
}

void scree_metrics_clear(struct scree_metrics *metrics, enum scree_metric metric)
{
    scree_metrics_forget(metrics, metric, are_all_gone, NULL);
}

void scree_metrics_forget(struct scree_metrics *metrics, enum scree_metric metric,
                          bool (*is_gone)(void *context, const char *labels), void *context)
{
    pthread_mutex_lock(&metrics->lock);
    free_series(metrics, metric, is_gone, context);
    pthread_mutex_unlock(&metrics->lock);
}

double scree_metrics_get(struct scree_metrics *metrics, enum scree_metric metric,
                         const char *labels)
{
    double value = 0;

    pthread_mutex_lock(&metrics->lock);
    for (const struct series *s = metrics->series[metric]; s; s = s->next)
        if (strcmp(s->labels, labels) == 0)
            value = s->value;
    pthread_mutex_unlock(&metrics->lock);
    return value;
}

/* ---- text ---- */

static void add_line(struct scree_buffer *text, const char *name, const char *suffix,
                     const char *labels, const char *more, const char *value)
{
    bool any = *labels || *more;
    const char *parts[] = {
        name, suffix,           any ? "{" : "", labels, *labels && *more ? "," : "",
        more, any ? "} " : " ", value,          "\n"};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        scree_buffer_add(text, parts[i], strlen(parts[i]));
}

/* Whole numbers as such; times with the six digits that the old service had. */
static void format_value(double value, char *text, size_t n)
{
    if (value == (double)(int64_t)value && value < 1e15 && value > -1e15)
        (void)snprintf(text, n, "%lld", (long long)value);
    else
        (void)snprintf(text, n, "%.6f", value);
}

static void add_histogram(struct scree_buffer *text, enum scree_metric metric,
                          const struct series *series)
{
    const char *name = descriptions[metric].name;
    size_t n_bounds;
    const double *bounds = bounds_of(metric, &n_bounds);
    uint64_t total = 0;
    char value[32], le[32];

    for (size_t i = 0; i <= n_bounds; i++) {
        total += series->buckets[i];
        (void)snprintf(value, sizeof value, "%llu", (unsigned long long)total);
        if (i < n_bounds)
            (void)snprintf(le, sizeof le, "le=\"%g\"", bounds[i]);
        else
            (void)snprintf(le, sizeof le, "le=\"+Inf\"");
        add_line(text, name, "_bucket", series->labels, le, value);
    }
    add_line(text, name, "_count", series->labels, "", value);
    (void)snprintf(value, sizeof value, "%.6f", series->value);
    add_line(text, name, "_sum", series->labels, "", value);
}

static void add_metric(struct scree_buffer *text, enum scree_metric metric,
                       const struct series *series)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram", "histogram"};
    const char *name = descriptions[metric].name;
    char head[512], value[32];
    int n = snprintf(head, sizeof head, "# HELP %s %s\n# TYPE %s %s\n", name,
                     descriptions[metric].help, name, kinds[descriptions[metric].kind]);

    scree_buffer_add(text, head, (size_t)n);
    for (; series; series = series->next) {
        if (descriptions[metric].kind >= HISTOGRAM) {
            add_histogram(text, metric, series);
            continue;
        }
        format_value(series->value, value, sizeof value);
        add_line(text, name, "", series->labels, "", value);
    }
}

void scree_metrics_write(struct scree_metrics *metrics, struct scree_buffer *text)
{
    pthread_mutex_lock(&metrics->lock);
    for (int i = 0; i < SCREE_N_METRICS; i++)
        if (metrics->series[i])
            add_metric(text, (enum scree_metric)i, metrics->series[i]);
    pthread_mutex_unlock(&metrics->lock);
}
