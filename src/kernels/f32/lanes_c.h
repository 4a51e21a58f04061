/* kernels/f32/lanes_c.h - four floats side by side, in the compiler's own vectors.
 *
 * The vocabulary of kernels/f32/lanes.h. There is no fused multiply-add here. */
#ifndef SCREE_KERNELS_F32_LANES_C_H
#define SCREE_KERNELS_F32_LANES_C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/f32/lanes.h"

#define LANES      4
#define LANES_ROWS 3 /* 3 x 8 sums, leaving room in 16 registers */

typedef float lanes __attribute__((vector_size(16)));
typedef int32_t lanes_mask __attribute__((vector_size(16)));

LANES_INLINE lanes lanes_set(float x)
{
    return (lanes){x, x, x, x};
}

LANES_INLINE lanes lanes_load(const float *x)
{
    lanes v;

    memcpy(&v, x, sizeof v);
    return v;
}

/* The first n of a vector, n <= LANES; the others are 0. */
LANES_INLINE lanes lanes_load_first(const float *x, size_t n)
{
    lanes v = {0};

    for (size_t i = 0; i < LANES && i < n; i++)
        v[i] = x[i];
    return v;
}

LANES_INLINE void lanes_store(float *to, lanes v)
{
    memcpy(to, &v, sizeof v);
}

LANES_INLINE void lanes_store_first(float *to, lanes v, size_t n)
{
    for (size_t i = 0; i < LANES && i < n; i++)
        to[i] = v[i];
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    return a + b;
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    return a * b;
}

/* sum + a * b, rounded twice */
LANES_INLINE lanes lanes_add_product(lanes a, lanes b, lanes sum)
{
    return sum + a * b;
}

/* v < min ? min : v, then v > max ? max : v. */
LANES_INLINE lanes lanes_clamp(lanes v, lanes min, lanes max)
{
    lanes_mask below = v < min, above;

    v = (lanes)((below & (lanes_mask)min) | (~below & (lanes_mask)v));
    above = max < v;
    return (lanes)((above & (lanes_mask)max) | (~above & (lanes_mask)v));
}

/* a < b ? a : b, and a > b ? a : b: the second where they do not compare. */
LANES_INLINE lanes lanes_lesser(lanes a, lanes b)
{
    lanes_mask less = a < b;

    return (lanes)((less & (lanes_mask)a) | (~less & (lanes_mask)b));
}

LANES_INLINE lanes lanes_greater(lanes a, lanes b)
{
    lanes_mask greater = a > b;

    return (lanes)((greater & (lanes_mask)a) | (~greater & (lanes_mask)b));
}

/* v rounded to a whole number, halves away from zero; |v| < 2^22. */
LANES_INLINE lanes lanes_round(lanes v)
{
    const lanes almost_half = lanes_set(0x1.fffffep-2f);
    const lanes_mask sign = (lanes_mask)lanes_set(-0.0f);

    v += (lanes)((lanes_mask)almost_half | ((lanes_mask)v & sign));
    return (lanes){(float)(int32_t)v[0], (float)(int32_t)v[1], (float)(int32_t)v[2],
                   (float)(int32_t)v[3]};
}

/* The whole numbers of v, in [-128, 127], as bytes: the first n of them, n <= LANES. */
LANES_INLINE void lanes_store_s8(int8_t *to, lanes v, size_t n)
{
    for (size_t i = 0; i < LANES && i < n; i++)
        to[i] = (int8_t)v[i];
}

/* sums[i] - zero_point * weights[i] modulo 2^32, as floats: the first n, n <= LANES. */
LANES_INLINE lanes lanes_from_sums(const int32_t *sums, const int32_t *weights, int32_t zero_point,
                                   size_t n)
{
    lanes v = {0};

    for (size_t i = 0; i < LANES && i < n; i++)
        v[i] = (float)(int32_t)((uint32_t)sums[i] - (uint32_t)zero_point * (uint32_t)weights[i]);
    return v;
}

#endif
