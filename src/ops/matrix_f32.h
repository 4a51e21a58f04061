/* ops/matrix_f32.h - convolutions and matrix products of floats: kernels/conv_f32.h as an
 * operator's prepare and run use it.
 *
 * Constant weights are packed once, when the plan is made; others at each run. Memory: in the
 * call's arena and its scratch. */
#ifndef SCREE_OPS_MATRIX_F32_H
#define SCREE_OPS_MATRIX_F32_H

#include "kernels/conv_f32.h"
#include "plan/op.h"

/* The float product of one call. */
struct scree_matrix_f32 {
    struct scree_conv_f32 plan;
    const float *packed; /* NULL: packed at each run, into call->scratch + offset */
    size_t offset;
};

/* n * bytes of `arena`, aligned to 64, or NULL. */
float *scree_matrix_f32_allocate(struct scree_arena *arena, size_t n, size_t bytes);

/* True if the operand's values are known when a plan is made for many runs, or if it is NULL. */
bool scree_matrix_f32_is_known(const struct scree_call *call, const struct scree_operand *operand);

/* The kernel whose rounding the call's graph wants. */
const struct scree_gemm_f32 *scree_matrix_f32_kernel(const struct scree_call *call);

/* Plans `matrix` for a call of input 0, weights 1, bias 2 that has this shape, clamps its output to
 * the range of the activation, and sets the call's scratch. Errors: ENOMEM, E2BIG. */
int scree_matrix_f32_prepare(struct scree_call *call, const struct scree_conv_shape *shape,
                             enum scree_activation activation, struct scree_matrix_f32 *matrix,
                             struct scree_error *err);

/* Computes output 0 by the call's threads. */
void scree_matrix_f32_run(const struct scree_call *call, const struct scree_matrix_f32 *matrix);

#endif
