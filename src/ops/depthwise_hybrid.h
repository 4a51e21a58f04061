/* ops/depthwise_hybrid.h - depthwise convolutions of float activations and int8 weights, by the
 * float kernel.
 *
 * Activations less their zero point are whole numbers of at most 255, weights of at most 128:
 * floats hold their products and sums of 512 of these exactly (2^24), so the float kernel gives the
 * integer sums. It takes weights as floats, packed once, and one scale a channel for each image.
 * Memory: in the call's arena and its scratch. */
#ifndef SCREE_OPS_DEPTHWISE_HYBRID_H
#define SCREE_OPS_DEPTHWISE_HYBRID_H

#include "kernels/depthwise.h"
#include "plan/op.h"

struct scree_depthwise_hybrid_packed {
    const float *filter;  /* f32[filter_h][filter_w][out_c]; NULL: it is not one for this */
    size_t input, scales; /* in the scratch: f32 as the input, f32[n][out_c] */
};

/* Packs the weights (input 1), if they are constant int8 and few enough, and lays out the call's
 * scratch then. Errors: ENOMEM, E2BIG. */
int scree_depthwise_hybrid_pack(struct scree_call *call, const struct scree_conv_shape *shape,
                                struct scree_depthwise_hybrid_packed *packed,
                                struct scree_error *err);

/* Computes output 0, which is not empty, with the scales and the clamp of `hybrid`. */
void scree_depthwise_hybrid_run(const struct scree_call *call, const struct scree_conv_shape *shape,
                                const struct scree_depthwise_hybrid_packed *packed,
                                const struct scree_conv_hybrid *hybrid);

#endif
