/* plan/pad.h - PAD that the convolution behind it can do, with the same bits. Pure. */
#ifndef SCREE_PLAN_PAD_H
#define SCREE_PLAN_PAD_H

#include "plan/op.h"

/* Rewrites nodes[n_nodes] of `subgraph`, a copy of its nodes: a PAD of rows and columns by constant
 * numbers, whose output is read by one CONV_2D or DEPTHWISE_CONV_2D and nobody else, is
 * left out; the convolution then reads PAD's input, and ret_margins[i], NULL for all other nodes,
 * is what is around it. fused[i] becomes true for each PAD that is no longer needed.
 *
 * Exact, because it is done only where both tensors have one type, scale and zero point: PAD fills
 * with that zero point, the difference from which is 0, and what a convolution finds outside its
 * input is left out of its sums. In one that quantizes its input at each run (float input, integer
 * weights) it is not done. What is around the input, that of SAME included, is less than the
 * filter.
 *
 * uses u32[n_tensors] is how often each tensor is read, the graph's outputs included. Lists and
 * margins live in `arena`. Errors: ENOMEM. */
int scree_absorb_pads(const struct scree_subgraph *subgraph, struct scree_node *nodes,
                      const uint32_t *uses, struct scree_arena *arena,
                      const struct scree_margin **ret_margins, bool *fused,
                      struct scree_error *err);

#endif
