/* kernels/f32/lanes_neon.h - four floats side by side: AArch64's NEON.
 *
 * The vocabulary of kernels/f32/lanes.h. */
#ifndef SCREE_KERNELS_F32_LANES_NEON_H
#define SCREE_KERNELS_F32_LANES_NEON_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/f32/lanes.h"

#define LANES      4
#define LANES_ROWS 8 /* 8 x 8 sums, two vectors of weights, eight of inputs: 26 registers */

typedef float32x4_t lanes;

LANES_INLINE lanes lanes_set(float x)
{
    return vdupq_n_f32(x);
}

LANES_INLINE lanes lanes_load(const float *x)
{
    return vld1q_f32(x);
}

/* The first n of a vector, n <= LANES; the others are 0. */
LANES_INLINE lanes lanes_load_first(const float *x, size_t n)
{
    float first[LANES] = {0};

    for (size_t i = 0; i < LANES && i < n; i++)
        first[i] = x[i];
    return vld1q_f32(first);
}

LANES_INLINE void lanes_store(float *to, lanes v)
{
    vst1q_f32(to, v);
}

LANES_INLINE void lanes_store_first(float *to, lanes v, size_t n)
{
    float all[LANES];

    vst1q_f32(all, v);
    for (size_t i = 0; i < LANES && i < n; i++)
        to[i] = all[i];
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    return vaddq_f32(a, b);
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    return vmulq_f32(a, b);
}

/* sum + a * b, rounded once or twice */
LANES_INLINE lanes lanes_add_product(lanes a, lanes b, lanes sum)
{
    if (!LANES_FUSED)
        return vaddq_f32(sum, vmulq_f32(a, b));
    return vfmaq_f32(sum, a, b);
}

/* v < min ? min : v, then v > max ? max : v. Not FMAX, which has its own idea of zeros. */
LANES_INLINE lanes lanes_clamp(lanes v, lanes min, lanes max)
{
    v = vbslq_f32(vcltq_f32(v, min), min, v);
    return vbslq_f32(vcltq_f32(max, v), max, v);
}

/* a < b ? a : b, and a > b ? a : b: the second where they do not compare. */
LANES_INLINE lanes lanes_lesser(lanes a, lanes b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

LANES_INLINE lanes lanes_greater(lanes a, lanes b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

/* v rounded to a whole number, halves away from zero. */
LANES_INLINE lanes lanes_round(lanes v)
{
    return vrndaq_f32(v);
}

/* The whole numbers of v, in [-128, 127], as bytes: the first n of them, n <= LANES. */
LANES_INLINE void lanes_store_s8(int8_t *to, lanes v, size_t n)
{
    int16x4_t words = vmovn_s32(vcvtq_s32_f32(v));
    int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);

    memcpy(to, &four, n);
}

/* sums[i] - zero_point * weights[i] modulo 2^32, as floats: the first n, n <= LANES. */
LANES_INLINE lanes lanes_from_sums(const int32_t *sums, const int32_t *weights, int32_t zero_point,
                                   size_t n)
{
    int32_t sum[LANES] = {0}, weight[LANES] = {0};

    memcpy(sum, sums, n * sizeof *sums);
    memcpy(weight, weights, n * sizeof *weights);
    return vcvtq_f32_s32(vmlsq_n_s32(vld1q_s32(sum), vld1q_s32(weight), zero_point));
}

/* sum + a * b[lane], likewise; lane is a literal. */
#if LANES_FUSED
#define lanes_add_product_lane(a, b, lane, sum) vfmaq_laneq_f32(sum, a, b, lane)
#else
#define lanes_add_product_lane(a, b, lane, sum) vaddq_f32(sum, vmulq_laneq_f32(a, b, lane))
#endif

#endif
