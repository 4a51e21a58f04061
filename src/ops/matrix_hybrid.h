/* ops/matrix_hybrid.h - convolutions and matrix products of float activations and int8 weights, by
 * the packed products of kernels/gemm.h.
 *
 * The activations are quantized at each run, multiplied as integers, and the sums made floats
 * again, row by row while they are in the first cache. Memory: in the call's arena and its scratch.
 */
#ifndef SCREE_OPS_MATRIX_HYBRID_H
#define SCREE_OPS_MATRIX_HYBRID_H

#include "kernels/gemm.h"
#include "ops/matrix.h"

/* The product of one call. gemm NULL: it is not one for this, kernels/conv.h computes it. */
struct scree_matrix_hybrid_packed {
    struct scree_gemm *gemm;    /* of n_images / n_runs images */
    int32_t n_runs;             /* of the product in a run of the call */
    size_t image_pixels;        /* pixels of the output that share an input scale */
    const int32_t *weight_sums; /* s32[out_c] */
    size_t outside;             /* in the scratch: s8[scree_gemm_outside_bytes()] */
};

/* Packs the weights (input 1), if they are constant int8, and adds to the call's scratch, which
 * scree_matrix_plan_scratch() has laid out. shape has an image for each scale of the input. Errors:
 * ENOMEM, E2BIG. */
int scree_matrix_hybrid_pack(struct scree_call *call, const struct scree_conv_shape *shape,
                             struct scree_matrix_hybrid_packed *packed, struct scree_error *err);

/* Computes output 0 from the quantized activations `in`, whose scales `hybrid` has. */
void scree_matrix_hybrid_run(const struct scree_call *call,
                             const struct scree_matrix_hybrid_packed *packed,
                             const struct scree_conv_hybrid *hybrid, const int8_t *in);

#endif
