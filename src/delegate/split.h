/* delegate/split.h - how Mesa's rocket driver cuts a convolution into tasks.
 *
 * A core's buffer (CBUF) is 12 banks of 32 KiB for rows of the input and for weights. An input that
 * does not fit beside the weights is cut into slices of rows, one task each.
 *
 * Source: rkt_split_tasks() and what it calls in Mesa 25.3 to 26.2,
 * src/gallium/drivers/rocket/rkt_task.c, restated. Pure. */
#ifndef SCREE_DELEGATE_SPLIT_H
#define SCREE_DELEGATE_SPLIT_H

#include "model/graph.h"

struct scree_split {
    uint32_t n_tasks;   /* 0: one slice cannot hold as many rows as the kernel needs */
    bool keeps_weights; /* the weights stay in the buffer from one slice to the next */
};

/* The split of a CONV_2D or DEPTHWISE_CONV_2D `node`, whose tensors have rank 4 and no dimension of
 * 0, with strides of at least 1. */
struct scree_split scree_split_conv(const struct scree_subgraph *subgraph,
                                    const struct scree_node *node);

#endif
