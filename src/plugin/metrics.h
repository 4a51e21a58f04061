/* plugin/metrics.h - text for Prometheus.
 *
 *     scree_plugin_metric(buffer, "npu_plugin_cores", "gauge", "Cores bound to the driver");
 *     scree_plugin_metric_value(buffer, "npu_plugin_cores", "npu=\"accel0\"", 3);
 *
 * Memory: the buffer's. Source: prometheus.io, "Exposition formats", version 0.0.4. */
#ifndef SCREE_PLUGIN_METRICS_H
#define SCREE_PLUGIN_METRICS_H

#include "net/buffer.h"

struct scree_plugin;

/* Begins a metric: its help and type. */
void scree_plugin_metric(struct scree_buffer *buffer, const char *name, const char *type,
                         const char *help);

/* A value of it; `labels` without braces, or NULL. Label values have no quotes or backslashes. */
void scree_plugin_metric_value(struct scree_buffer *buffer, const char *name, const char *labels,
                               double value);

/* A metric with one value and no labels. */
void scree_plugin_metric_single(struct scree_buffer *buffer, const char *name, const char *type,
                                const char *help, double value);

/* All metrics that do not depend on the front. */
void scree_plugin_metrics_write(const struct scree_plugin *plugin, struct scree_buffer *buffer);

#endif
