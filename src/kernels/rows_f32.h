/* kernels/rows_f32.h - the elementwise functions of floats that whole models spend time in.
 *
 * Rows as kernels/rows.h has them. The same bits on every instruction set: no operation is fused,
 * and the logistic function has no library in it. Memory: keeps nothing. Threads: pure functions.
 */
#ifndef SCREE_KERNELS_ROWS_F32_H
#define SCREE_KERNELS_ROWS_F32_H

#include "kernels/rows.h"

#define SCREE_LOGISTIC_MIN (-88.0f)
#define SCREE_LOGISTIC_MAX 87.0f

struct scree_rows_f32 {
    /* clamp(x + y), clamp(x - y), clamp(x * y) to [min_f32, max_f32] of struct
     * scree_binary_params */
    scree_row_fn *add, *sub, *mul;
    /* of struct scree_unary_params: x clamped to [min_f32, max_f32]; x * min(6, max(0, x + 3)) / 6
     */
    scree_row_fn *clamp, *hard_swish;
    /* 1 / (1 + e^-x) of x clamped to [min_f32, max_f32], which must be SCREE_LOGISTIC_MIN and _MAX:
     * beyond them the result does not change, or is below 2^-126. By a polynomial, within 4 units
     * in the last place: not the bits of scree_logistic_f32() */
    scree_row_fn *logistic;
};

#endif
