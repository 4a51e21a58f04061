/* vision/topk.h - the best classes of a vector of scores: scree_topk() of scree.h.
 *
 * The order is total, so that the answer never depends on the machine: higher score first, equal
 * scores by class, NaN last. Memory: none, the answer is built in place. */
#ifndef SCREE_VISION_TOPK_H
#define SCREE_VISION_TOPK_H

#include "base/error.h"

/* The largest k of scree_topk(), whose time is in proportion to it in the worst case. */
#define SCREE_TOPK_MAX 1000

/* True if `a` comes before `b`. */
bool scree_class_precedes(const struct scree_class *a, const struct scree_class *b);

#endif
