/* plan/fuse.h - activations that the node before them can do, with the same bits. */
#ifndef SCREE_PLAN_FUSE_H
#define SCREE_PLAN_FUSE_H

#include "model/graph.h"

/* Rewrites nodes[n_nodes] of `subgraph`, a copy of its nodes: a RELU, RELU6 or RELU_N1_TO_1 whose
 * input is the output of a node without activation, read by nobody else, moves into that node's
 * options, which then writes the activation's output. fused[i] becomes true for each node that is
 * no longer needed.
 *
 * Exact, because it is done only where input and output of the activation have the same type, scale
 * and zero point: TFLite's quantized RELU then multiplies by exactly 1 and clamps to the same
 * bounds. uses u32[n_tensors] is working memory. */
void scree_fuse_activations(const struct scree_subgraph *subgraph, struct scree_node *nodes,
                            uint32_t *uses, bool *fused);

#endif
