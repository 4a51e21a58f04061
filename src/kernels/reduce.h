/* kernels/reduce.h - sums, products, extremes over some of a tensor's dimensions, row by row.
 *
 * The tensor is walked in order; each row of it is either reduced to one accumulator or goes,
 * element by element, to as many.
 * Source: TFLite kernels/internal/reference/reduce.h. */
#ifndef SCREE_KERNELS_REDUCE_H
#define SCREE_KERNELS_REDUCE_H

#include <stdbool.h>

#include "kernels/fixed.h"

/* acc[i * step] = f(acc[i * step], in[i]) for i < n, n >= 1, in this order; with `first`, an
 * accumulator's first element becomes its value instead.
 *
 * acc     the accumulator's type [n] if step is 1, [1] if step is 0; does not overlap in
 * in      the kernel's input type [n]
 * params  scree_prod_i8 and scree_prod_i16: struct scree_reduce_params; else not read
 *
 * Cannot fail. */
typedef void scree_reduce_fn(void *acc, const void *in, size_t n, size_t step, bool first,
                             const void *params);

/* Sums; integers wrap. To the same type, and 8 and 16 bits to i32, i32 to i64. */
scree_reduce_fn scree_sum_f32, scree_sum_i64, scree_sum_i32, scree_sum_i32_i64, scree_sum_u8_i32,
    scree_sum_i8_i32, scree_sum_i16_i32;

/* Products; integers wrap. */
scree_reduce_fn scree_prod_f32, scree_prod_i64, scree_prod_i32, scree_prod_i16, scree_prod_i8,
    scree_prod_u8;

/* The greatest and the least; a NaN is passed over unless it is the first element. */
scree_reduce_fn scree_max_f32, scree_max_i64, scree_max_i32, scree_max_i16, scree_max_i8,
    scree_max_u8;
scree_reduce_fn scree_min_f32, scree_min_i64, scree_min_i32, scree_min_i16, scree_min_i8,
    scree_min_u8;

/* True if one is, if all are: bool. */
scree_reduce_fn scree_any, scree_all;

/* How accumulators of quantized values become the output. */
struct scree_reduce_params {
    int32_t zero_point, out_zero_point;
    int32_t min, max; /* clamp of the output */
    struct scree_multiplier multiplier;
    float scale; /* of the input over that of the output */
};

/* Products of q - zero_point to i32, times multiplier after each factor but the first. */
scree_reduce_fn scree_prod_i8_i32, scree_prod_i16_i32;

/* clamp(out_zero_point + multiplier * (sums[i] - zero_point * n_summed)).
 * sums s32[n], which wrap as int32; out [n] of the type. */
void scree_sums_to_u8(uint8_t *out, const int32_t *sums, size_t n, size_t n_summed,
                      const struct scree_reduce_params *params);
void scree_sums_to_i8(int8_t *out, const int32_t *sums, size_t n, size_t n_summed,
                      const struct scree_reduce_params *params);
void scree_sums_to_i16(int16_t *out, const int32_t *sums, size_t n, size_t n_summed,
                       const struct scree_reduce_params *params);

/* The same in float: clamp(out_zero_point + round(sums[i] * scale - zero_point * scale *
 * n_summed)), halves away from 0. Source: TFLite's optimized/reduce.h. */
void scree_sums_to_i8_in_float(int8_t *out, const int32_t *sums, size_t n, size_t n_summed,
                               const struct scree_reduce_params *params);
void scree_sums_to_i16_in_float(int16_t *out, const int32_t *sums, size_t n, size_t n_summed,
                                const struct scree_reduce_params *params);

/* clamp(out_zero_point + multiplier * products[i]), by the 64-bit multiplication.
 * products s32[n]; out [n] of the type. */
void scree_products_to_i8(int8_t *out, const int32_t *products, size_t n,
                          const struct scree_reduce_params *params);
void scree_products_to_i16(int16_t *out, const int32_t *products, size_t n,
                           const struct scree_reduce_params *params);

/* out[i] = sums[i] / n_summed, integers towards zero. n_summed >= 1 */
void scree_sums_to_means_f32(float *out, const float *sums, size_t n, size_t n_summed);
void scree_sums_to_means_i32(int32_t *out, const int64_t *sums, size_t n, size_t n_summed);
void scree_sums_to_means_i64(int64_t *out, const int64_t *sums, size_t n, size_t n_summed);

#endif
