/* serve/metrics.h - counters, gauges and histograms, and their text for Prometheus.
 *
 *     scree_metrics_add(metrics, SCREE_METRIC_REJECTED, "reason=\"queue_full\"", 1);
 *     scree_metrics_observe(metrics, SCREE_METRIC_QUEUE_SECONDS, "model=\"m\"", 0.0021);
 *
 * What there is to measure is listed in metrics.inc. A series is a metric with one text of labels,
 * made when it is first written; labels come from models that are loaded and from fixed lists,
 * never from a request as it came, so that nobody can make series without end; those of a version
 * go with it. There is a limit all the same: what comes after it is dropped.
 *
 * Memory: the owner's. Threads: any. Source: prometheus.io, "Exposition formats". */
#ifndef SCREE_SERVE_METRICS_H
#define SCREE_SERVE_METRICS_H

#include <stdbool.h>

#include "base/error.h"
#include "net/buffer.h"

enum scree_metric {
#define METRIC(id, kind, name, help) SCREE_METRIC_##id,
#include "serve/metrics.inc"
#undef METRIC
    SCREE_N_METRICS,
};

#define SCREE_METRICS_MAX_SERIES 4096

struct scree_metrics;

/* Errors: ENOMEM. */
int scree_metrics_new(struct scree_metrics **ret_metrics, struct scree_error *err);

/* Accepts NULL. */
void scree_metrics_free(struct scree_metrics *metrics);

/* labels: 'a="x",b="y"', values without quotes, backslashes and line breaks; "" for none. */
void scree_metrics_add(struct scree_metrics *metrics, enum scree_metric metric, const char *labels,
                       double more);
void scree_metrics_set(struct scree_metrics *metrics, enum scree_metric metric, const char *labels,
                       double value);

/* One measurement of a histogram: in seconds, or, of sizes, a number of things. */
void scree_metrics_observe(struct scree_metrics *metrics, enum scree_metric metric,
                           const char *labels, double value);

/* Forgets the series of a gauge, before those that are there now are set. */
void scree_metrics_clear(struct scree_metrics *metrics, enum scree_metric metric);

/* Forgets the series of a metric of whose labels is_gone() says true. It must not write metrics. */
void scree_metrics_forget(struct scree_metrics *metrics, enum scree_metric metric,
                          bool (*is_gone)(void *context, const char *labels), void *context);

/* A value, 0 if there is none; for tests and for pages that show some. */
double scree_metrics_get(struct scree_metrics *metrics, enum scree_metric metric,
                         const char *labels);

/* Everything as text, version 0.0.4 of the format. */
void scree_metrics_write(struct scree_metrics *metrics, struct scree_buffer *text);

#endif
