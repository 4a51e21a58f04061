/* plan/exact.h - whether the floats of a graph must have the bits of TFLite's reference kernels. */
#ifndef SCREE_PLAN_EXACT_H
#define SCREE_PLAN_EXACT_H

#include "model/graph.h"

/* True if a float that is computed at a run is made an integer at that run: by QUANTIZE, or
 * by a product of floats and 8-bit weights, which quantizes its activations by their extremes. A
 * difference in a float's last bit then moves some integers by a whole step, that moves the next
 * floats by far more, and so on: results of such graphs are only near the reference's if all floats
 * are the same. In other graphs a product and its sum may be rounded together, which is faster and
 * within 1e-5. Inputs of the graph that are quantized at once do not count. */
bool scree_graph_wants_exact_floats(const struct scree_subgraph *subgraph);

#endif
