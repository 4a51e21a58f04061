/* kernels/binary_q8.h - what the vector variants of the quantized 8-bit kernels of kernels/binary.h
 * share: the parameters as they use them, and for which of them they are proved.
 *
 * ADD and SUB bring both inputs to twice the larger scale. The multiplier of the input that has it
 * is 1/2, so (x - zp) << 20 becomes (x - zp) << 19 without rounding; only the other one is rounded.
 *
 * Memory: keeps nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_BINARY_Q8_H
#define SCREE_KERNELS_BINARY_Q8_H

#include "kernels/binary.h"

/* The scaling of sums and products to the output, clamp(zp + round(high(x, q) / 2^right)), with
 * high = scree_mul_high(). Where high(x, q) is below 2^30, round is
 * (high + half + (high < 0 ? -1 : 0)) >> right. */
struct scree_out_q8 {
    int32_t q, right, half;
    int32_t zp, min, max;
};

/* A sum is (x - zp_plain) << 19, added to or subtracted from round(high((y - zp) << left, q) /
 * 2^right), where x is input `plain` and y the other one. */
struct scree_sum_q8 {
    int plain;
    int32_t zp_plain;
    int32_t zp, left, q, right, half;
    struct scree_out_q8 out;
};

/* With zero points of 9 bits a difference has 10, so that shifted by 21 it stays below 2^31. */
static inline bool scree_zero_point_is_small(int32_t zp)
{
    return zp >= -255 && zp <= 255;
}

/* False if the output's scaling is not what vector variants do: a multiplier of 1/2 or more, which
 * would need a left shift or no right one. The sums and products must be below 2^30. */
static inline bool scree_out_q8_init(struct scree_out_q8 *out, const struct scree_binary_params *p)
{
    int32_t shift = p->out_multiplier.shift;

    if (shift > -1 || shift < -31 || !scree_zero_point_is_small(p->out_zero_point))
        return false;
    *out = (struct scree_out_q8){p->out_multiplier.q, -shift, (int32_t)1 << (-shift - 1),
                                 p->out_zero_point,   p->min, p->max};
    return true;
}

/* False if the parameters are not those of ADD and SUB as ops/binary.c makes them: neither input
 * has the common scale, or zero points or the output's scale are out of the ordinary. A sum is
 * below 2 * 510 * 2^19 < 2^30. */
static inline bool scree_sum_q8_init(struct scree_sum_q8 *sum, const struct scree_binary_params *p)
{
    const struct scree_multiplier *m = p->multiplier;
    const int32_t half = (int32_t)1 << 30;
    int other;

    sum->plain = m[0].q == half && m[0].shift == 0 ? 0 : 1;
    other = 1 - sum->plain;
    if (m[sum->plain].q != half || m[sum->plain].shift != 0 || p->left_shift != 20 ||
        m[other].shift > 0 || m[other].shift < -31 || (m[other].shift == 0 && m[other].q != half) ||
        !scree_zero_point_is_small(p->zero_point[0]) ||
        !scree_zero_point_is_small(p->zero_point[1]))
        return false;
    sum->zp_plain = p->zero_point[sum->plain];
    sum->zp = p->zero_point[other];
    sum->q = m[other].q;
    /* A factor of 1/2 without shift is the same as one bit more and a shift of one: exact. */
    sum->left = m[other].shift == 0 ? 21 : 20;
    sum->right = m[other].shift == 0 ? 1 : -m[other].shift;
    sum->half = (int32_t)1 << (sum->right - 1);
    return scree_out_q8_init(&sum->out, p);
}

/* False if the variants do not do this product: it must be below 510 * 510 < 2^30. */
static inline bool scree_product_q8_init(struct scree_out_q8 *out,
                                         const struct scree_binary_params *p)
{
    return scree_zero_point_is_small(p->zero_point[0]) &&
           scree_zero_point_is_small(p->zero_point[1]) && scree_out_q8_init(out, p);
}

#endif
