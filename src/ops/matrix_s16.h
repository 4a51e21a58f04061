/* ops/matrix_s16.h - convolutions and matrix products of int16 activations and int8 weights, by the
 * packed products of kernels/gemm.h.
 *
 * A run cuts the activations into two planes of bytes (kernels/split.h), multiplies each with the
 * weights, and makes outputs of both sums, tile by tile while they are in a cache. Memory: in the
 * call's arena and its scratch: 2 bytes for an element of the input, 8 for one of the output. */
#ifndef SCREE_OPS_MATRIX_S16_H
#define SCREE_OPS_MATRIX_S16_H

#include "kernels/gemm.h"
#include "plan/op.h"

/* The products of one call. gemm NULL: it is not one for this, kernels/conv.h computes it. */
struct scree_matrix_s16 {
    struct scree_gemm *gemm;
    const double *bias, *factors; /* f64[out_c], as in struct scree_split_row */
    bool halves_up;
    int32_t min, max;
    /* in the scratch */
    size_t high, low;           /* s8[elements of the input] */
    size_t high_sums, low_sums; /* s32[elements of the output] */
    size_t outside;             /* s8[2][outside_bytes]: what lies beside the planes */
    size_t outside_bytes;
};

/* Packs the weights (input 1) of a call with int16 activations, if they are constant int8 with zero
 * point 0, the bias (input 2) is NULL or constant int64, and each channel's sums are within the
 * bounds of kernels/split.h; adds to the call's scratch, which scree_matrix_plan_scratch() has laid
 * out. After scree_matrix_quantize and the multipliers or factors. shape is not transposed: all
 * weights of a channel meet each pixel, if it lies outside as one of 0. Errors: ENOMEM, E2BIG. */
int scree_matrix_s16_pack(struct scree_call *call, const struct scree_conv_shape *shape,
                          const struct scree_conv_quant *quant, struct scree_matrix_s16 *packed,
                          struct scree_error *err);

/* Computes output 0, by the threads of the call's pool. */
void scree_matrix_s16_run(const struct scree_call *call, const struct scree_matrix_s16 *packed);

#endif
