/* kernels/f32/lanes_avx512.h - sixteen floats side by side: AVX-512 F.
 *
 * The vocabulary of kernels/f32/lanes.h. */
#ifndef SCREE_KERNELS_F32_LANES_AVX512_H
#define SCREE_KERNELS_F32_LANES_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/f32/lanes.h"

#define LANES 16
#if LANES_FUSED
#define LANES_ROWS 14 /* 14 x 32 sums, two vectors of weights and one of an input: 31 registers */
#else
#define LANES_ROWS 12 /* and products */
#endif

typedef __m512 lanes;

LANES_INLINE lanes lanes_set(float x)
{
    return _mm512_set1_ps(x);
}

LANES_INLINE lanes lanes_load(const float *x)
{
    return _mm512_loadu_ps(x);
}

LANES_INLINE __mmask16 lanes_first(size_t n)
{
    return (__mmask16)((UINT32_C(1) << n) - 1);
}

/* The first n of a vector, n <= LANES; the others are 0. */
LANES_INLINE lanes lanes_load_first(const float *x, size_t n)
{
    return _mm512_maskz_loadu_ps(lanes_first(n), x);
}

LANES_INLINE void lanes_store(float *to, lanes v)
{
    _mm512_storeu_ps(to, v);
}

LANES_INLINE void lanes_store_first(float *to, lanes v, size_t n)
{
    _mm512_mask_storeu_ps(to, lanes_first(n), v);
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_ps(a, b);
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    return _mm512_mul_ps(a, b);
}

/* sum + a * b, rounded once or twice */
LANES_INLINE lanes lanes_add_product(lanes a, lanes b, lanes sum)
{
    if (!LANES_FUSED)
        return _mm512_add_ps(sum, _mm512_mul_ps(a, b));
    return _mm512_fmadd_ps(a, b, sum);
}

/* v < min ? min : v, then v > max ? max : v: MAXPS gives its second operand where they do not
 * compare. */
LANES_INLINE lanes lanes_clamp(lanes v, lanes min, lanes max)
{
    return _mm512_min_ps(max, _mm512_max_ps(min, v));
}

/* a < b ? a : b, and a > b ? a : b: the second where they do not compare. */
LANES_INLINE lanes lanes_lesser(lanes a, lanes b)
{
    return _mm512_min_ps(a, b);
}

LANES_INLINE lanes lanes_greater(lanes a, lanes b)
{
    return _mm512_max_ps(a, b);
}

/* v rounded to a whole number, halves away from zero; |v| < 2^22: cut off after almost a half is
 * added. */
LANES_INLINE lanes lanes_round(lanes v)
{
    __m512 half =
        _mm512_or_ps(_mm512_set1_ps(0x1.fffffep-2f), _mm512_and_ps(v, _mm512_set1_ps(-0.0f)));

    return _mm512_roundscale_ps(_mm512_add_ps(v, half), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

/* The whole numbers of v, in [-128, 127], as bytes: the first n of them, n <= LANES. */
LANES_INLINE void lanes_store_s8(int8_t *to, lanes v, size_t n)
{
    __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(v));

    if (n == LANES)
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
    else
        _mm_mask_storeu_epi8(to, lanes_first(n), bytes);
}

/* sums[i] - zero_point * weights[i] modulo 2^32, as floats: the first n, n <= LANES. */
LANES_INLINE lanes lanes_from_sums(const int32_t *sums, const int32_t *weights, int32_t zero_point,
                                   size_t n)
{
    __mmask16 first = lanes_first(n);
    __m512i sum = _mm512_maskz_loadu_epi32(first, sums);

    if (zero_point != 0)
        sum = _mm512_sub_epi32(sum, _mm512_mullo_epi32(_mm512_maskz_loadu_epi32(first, weights),
                                                       _mm512_set1_epi32(zero_point)));
    return _mm512_cvtepi32_ps(sum);
}

#endif
