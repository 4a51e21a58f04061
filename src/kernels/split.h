/* kernels/split.h - 16-bit activations as two planes of bytes, for products with 8-bit weights.
 *
 *     x = 256 * high + low + 128, high and low in [-128, 127]
 *     sum w x = 256 * sum w high + sum w low + 128 * sum w
 *
 * so that a convolution of int16 activations is two of int8 (kernels/gemm.h, layers of sums) on
 * any instruction set, and its sums are exact: those of a plane fit in 32 bits, both together in
 * the 53 bits of a double.
 *
 * Memory: keeps nothing. Threads: pure functions. Cannot fail. */
#ifndef SCREE_KERNELS_SPLIT_H
#define SCREE_KERNELS_SPLIT_H

#include <math.h>

#include "kernels/fixed.h"

/* What the low byte of activation 0 is, as of what lies outside of an input; the high one is 0. */
#define SCREE_SPLIT_LOW_ZERO (-128)

/* |sum w x + bias| is never over it, nor |sum w x + bias| * factor over SCREE_SPLIT_OUTPUT: then no
 * step below is rounded but the last one. */
#define SCREE_SPLIT_BOUND  ((int64_t)1 << 37)
#define SCREE_SPLIT_OUTPUT 0x1p31

/* How sums become outputs, for channels from one on:
 *
 *     out[i] = clamp(round((256 * high[i] + low[i] + bias[i]) * factors[i]), min, max)
 */
struct scree_split_row {
    const double *bias; /* integers: 128 * sum w, and the channel's bias */
    const double *factors;
    bool halves_up; /* round halves towards +infinity, else away from 0 */
    int32_t min, max;
};

/* The factor of a multiplier of 64-bit sums: round(acc * factor), halves upwards, is then
 * scree_multiply_i64(acc, m) within the bounds above, because acc * factor and 1/2 more have at
 * most 53 bits. */
double scree_split_factor(struct scree_multiplier m);

/* One output. */
static inline int16_t scree_split_output(int32_t high, int32_t low, double bias, double factor,
                                         const struct scree_split_row *row)
{
    double product = (high * 256.0 + low + bias) * factor;
    double output = row->halves_up ? floor(product + 0.5) : round(product);

    output = output < row->min ? row->min : output;
    return (int16_t)(output > row->max ? row->max : output);
}

/* What of it is worth an instruction set. */
struct scree_split_kernel {
    /* x s16[n] to high, low s8[n] */
    void (*split)(int8_t *high, int8_t *low, const int16_t *x, size_t n);
    /* out s16[n], high, low s32[n]: sums of products with both planes */
    void (*finish)(int16_t *out, const int32_t *high, const int32_t *low,
                   const struct scree_split_row *row, size_t n);
};

#endif
