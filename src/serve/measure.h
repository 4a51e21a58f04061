/* serve/measure.h - gauges and counters that are read when somebody asks: models, the process, the
 * NPU.
 *
 * Memory: none but the metrics' own. Threads: one at a time. */
#ifndef SCREE_SERVE_MEASURE_H
#define SCREE_SERVE_MEASURE_H

#include "device/tree.h"
#include "serve/metrics.h"

struct scree_server;

/* Sets all metrics that are states of now. */
void scree_measure(struct scree_server *server);

/* Of them those of the chip, by what `tree` tells: each core's tasks, time and power state, clock,
 * temperatures. What the tree does not tell has no series. */
void scree_measure_chip(const struct scree_tree *tree, struct scree_metrics *metrics);

#endif
