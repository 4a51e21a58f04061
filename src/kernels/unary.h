/* kernels/unary.h - functions of one tensor, element by element.
 *
 * The rows are scree_row_fn (kernels/rows.h) with params = struct scree_unary_params, of which each
 * reads the fields named here. The functions of a quantized value are plain functions: of 8 bits
 * they are called once for each byte to fill a table (kernels/lut.h), of 16 bits by the rows here.
 * Source: TFLite kernels/{activations,elementwise,neg,sign,round}.cc and the reference kernels they
 * call. */
#ifndef SCREE_KERNELS_UNARY_H
#define SCREE_KERNELS_UNARY_H

#include "kernels/fixed.h"
#include "kernels/rows.h"

struct scree_unary_params {
    float alpha;                        /* leaky_relu of f32 */
    float min_f32, max_f32;             /* clamp of f32 */
    float scale, out_scale;             /* quantized sqrt */
    int32_t zero_point, out_zero_point; /* quantized */
    int32_t min, max;                   /* clamp of quantized results */
    struct scree_multiplier multiplier; /* quantized: to the output's scale */
    struct scree_multiplier negative;   /* leaky_relu: of |alpha|, for values below 0 */
    int32_t negative_sign;              /* leaky_relu: the sign of alpha, 1 or -1 */
    int32_t input_multiplier;           /* logistic, tanh of i16: to 1/12288 of a unit */
    int32_t input_shift;                /* their right shift after it, in [0, 31] */
    int16_t swish_q, reluish_q;         /* hard_swish: multipliers as Q0.15 */
    int32_t swish_shift, reluish_shift; /* their exponents, swish_shift <= 0 */
};

/* f32; more in kernels/rows_f32.h. round: halves to even. gelu_tanh: the
 * approximation by tanh. elu: e^x - 1 below 0. */
scree_row_fn scree_abs_f32, scree_neg_f32, scree_exp_f32, scree_log_f32, scree_sqrt_f32,
    scree_rsqrt_f32, scree_sin_f32, scree_cos_f32, scree_square_f32, scree_floor_f32,
    scree_ceil_f32, scree_round_f32, scree_sign_f32, scree_leaky_relu_f32, scree_elu_f32,
    scree_gelu_f32, scree_gelu_tanh_f32, scree_logistic_f32, scree_tanh_f32;

/* f16, through f32 */
scree_row_fn scree_neg_f16, scree_floor_f16, scree_round_f16, scree_sin_f16, scree_cos_f16,
    scree_logistic_f16, scree_tanh_f16;

/* Integers that are not quantized; the least value is its own negative and absolute value. */
scree_row_fn scree_abs_i32, scree_abs_i16, scree_neg_i64, scree_neg_i32, scree_neg_i16,
    scree_neg_i8, scree_sign_i32;

/* !x of bool */
scree_row_fn scree_logical_not;

/* A function of a quantized value q, clamped to [min, max]. */
typedef int32_t scree_quantized_fn(int32_t q, const struct scree_unary_params *p);

/* clamp(out_zero_point + multiplier * (q - zero_point)): RELU and its kin, and requantization. */
scree_quantized_fn scree_rescale_quantized;

/* The same, with `negative` and negative_sign for q < zero_point. */
scree_quantized_fn scree_leaky_relu_quantized;

/* clamp(out_zero_point + multiplier * |q - zero_point|) */
scree_quantized_fn scree_abs_quantized;

/* clamp(out_zero_point + trunc(sqrt(scale * (q - zero_point)) / out_scale)), q >= zero_point */
scree_quantized_fn scree_sqrt_quantized;

/* clamp(out_zero_point + multiplier / sqrt(q - zero_point)); max for q == zero_point; q >=
 * zero_point */
scree_quantized_fn scree_rsqrt_quantized;

/* x * relu6(x + 3) / 6 in 16-bit fixed point */
scree_quantized_fn scree_hard_swish_quantized;

/* The i16 rows of the functions above, and 1 / (1 + e^-x) and tanh(x) by a table of the logistic
 * function in 1/24 steps (output scale 2^-15). */
scree_row_fn scree_rescale_i16, scree_leaky_relu_i16, scree_abs_q16, scree_sqrt_i16,
    scree_logistic_i16, scree_tanh_i16;

/* The functions of a float of which tables are made; `arg` is not read unless said. */
float scree_exp_of(float x, const void *arg);
float scree_logistic_of(float x, const void *arg);
float scree_tanh_of(float x, const void *arg);
float scree_elu_of(float x, const void *arg);
float scree_gelu_of(float x, const void *arg);
float scree_gelu_tanh_of(float x, const void *arg);

/* ln(x), or *(const float *)arg for x <= 0. */
float scree_log_of(float x, const void *arg);

/* 1 / sqrt(x), or *(const float *)arg for x <= 0. */
float scree_rsqrt_of(float x, const void *arg);

#endif
