/* kernels/f32/lanes_neon.h - four floats side by side: AArch64's NEON.
 *
 * The vocabulary of kernels/f32/: see gemm.h there. */
#ifndef SCREE_KERNELS_F32_LANES_NEON_H
#define SCREE_KERNELS_F32_LANES_NEON_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES      4
#define LANES_ROWS 8 /* 8 x 8 sums, two vectors of weights, eight of inputs: 26 registers */

typedef float32x4_t lanes;

static inline lanes lanes_set(float x)
{
    return vdupq_n_f32(x);
}

static inline lanes lanes_load(const float *x)
{
    return vld1q_f32(x);
}

/* The first n of a vector, n <= LANES; the others are 0. */
static inline lanes lanes_load_first(const float *x, size_t n)
{
    float first[LANES] = {0};

    for (size_t i = 0; i < LANES && i < n; i++)
        first[i] = x[i];
    return vld1q_f32(first);
}

static inline void lanes_store(float *to, lanes v)
{
    vst1q_f32(to, v);
}

static inline void lanes_store_first(float *to, lanes v, size_t n)
{
    float all[LANES];

    vst1q_f32(all, v);
    for (size_t i = 0; i < LANES && i < n; i++)
        to[i] = all[i];
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return vaddq_f32(a, b);
}

static inline lanes lanes_mul(lanes a, lanes b)
{
    return vmulq_f32(a, b);
}

/* sum + a * b, rounded once or twice */
static inline lanes lanes_add_product(lanes a, lanes b, lanes sum)
{
    if (!LANES_FUSED)
        return vaddq_f32(sum, vmulq_f32(a, b));
    return vfmaq_f32(sum, a, b);
}

/* v < min ? min : v, then v > max ? max : v. Not FMAX, which has its own idea of zeros. */
static inline lanes lanes_clamp(lanes v, lanes min, lanes max)
{
    v = vbslq_f32(vcltq_f32(v, min), min, v);
    return vbslq_f32(vcltq_f32(max, v), max, v);
}

/* sum + a * b[lane], likewise; lane is a literal. */
#if LANES_FUSED
#define lanes_add_product_lane(a, b, lane, sum) vfmaq_laneq_f32(sum, a, b, lane)
#else
#define lanes_add_product_lane(a, b, lane, sum) vaddq_f32(sum, vmulq_laneq_f32(a, b, lane))
#endif

#endif
