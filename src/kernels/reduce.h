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
scree_reduce_fn scree_greatest_f32, scree_greatest_i64, scree_greatest_i32, scree_greatest_i16,
    scree_greatest_i8, scree_greatest_u8;
scree_reduce_fn scree_least_f32, scree_least_i64, scree_least_i32, scree_least_i16, scree_least_i8,
    scree_least_u8;

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

/* What accumulators become, n outputs out of as many accumulators of n_summed >= 1 elements each.
 *
 * out     of the function's type [n]
 * accs    s32[n] but for means of floats, f32[n], and of s32 and s64, s64[n]; may be `out` where
 *         the types are the same
 * params  of quantized values; else not read
 *
 * Cannot fail. */
typedef void scree_reduce_finish_fn(void *out, const void *accs, size_t n, size_t n_summed,
                                    const struct scree_reduce_params *params);

/* clamp(out_zero_point + multiplier * (accs[i] - zero_point * n_summed)), which wrap as int32. */
scree_reduce_finish_fn scree_sums_to_u8, scree_sums_to_i8, scree_sums_to_i16;

/* The same in float: clamp(out_zero_point + round(accs[i] * scale - zero_point * scale *
 * n_summed)), halves away from 0. Source: TFLite's optimized/reduce.h. */
scree_reduce_finish_fn scree_sums_to_i8_in_float, scree_sums_to_i16_in_float;

/* clamp(out_zero_point + multiplier * accs[i]), by the 64-bit multiplication. */
scree_reduce_finish_fn scree_products_to_i8, scree_products_to_i16;

/* accs[i] / n_summed, integers towards zero. */
scree_reduce_finish_fn scree_sums_to_means_f32, scree_sums_to_means_i32, scree_sums_to_means_i64;

/* Sums and output in one: out[i] = clamp(out_zero_point + multiplier * (sum over r < n_rows of in[r
 * * n + i]
 * - zero_point * n_rows)), the sum modulo 2^32.
 *
 * out   u8[n], or s8[n]; does not overlap in
 * in    of the same type [n_rows][n], n_rows >= 1; nothing is read outside
 * params->min and max are in the range of the type
 *
 * Cannot fail. */
typedef void scree_sum_rows_fn(void *out, const void *in, size_t n_rows, size_t n,
                               const struct scree_reduce_params *params);
scree_sum_rows_fn scree_sum_rows_u8, scree_sum_rows_i8;

#endif
