/* kernels/f32/lanes_avx2.h - eight floats side by side: AVX2 and FMA.
 *
 * The vocabulary of kernels/f32/lanes.h. */
#ifndef SCREE_KERNELS_F32_LANES_AVX2_H
#define SCREE_KERNELS_F32_LANES_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/f32/lanes.h"

#define LANES 8
#if LANES_FUSED
#define LANES_ROWS 6 /* 6 x 16 sums, two vectors of weights and one of an input: 15 registers */
#else
#define LANES_ROWS 4 /* and a product */
#endif

typedef __m256 lanes;

LANES_INLINE lanes lanes_set(float x)
{
    return _mm256_set1_ps(x);
}

LANES_INLINE lanes lanes_load(const float *x)
{
    return _mm256_loadu_ps(x);
}

LANES_INLINE __m256i lanes_first(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first n of a vector, n <= LANES; the others are 0. Copied rather than loaded by VMASKMOV,
 * which qemu takes for a load of the whole vector, and faults where that leaves the page. */
LANES_INLINE lanes lanes_load_first(const float *x, size_t n)
{
    float part[LANES] = {0};

    memcpy(part, x, n * sizeof *x);
    return _mm256_loadu_ps(part);
}

LANES_INLINE void lanes_store(float *to, lanes v)
{
    _mm256_storeu_ps(to, v);
}

LANES_INLINE void lanes_store_first(float *to, lanes v, size_t n)
{
    _mm256_maskstore_ps(to, lanes_first(n), v);
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    return _mm256_add_ps(a, b);
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    return _mm256_mul_ps(a, b);
}

/* sum + a * b, rounded once or twice */
LANES_INLINE lanes lanes_add_product(lanes a, lanes b, lanes sum)
{
    if (!LANES_FUSED)
        return _mm256_add_ps(sum, _mm256_mul_ps(a, b));
    return _mm256_fmadd_ps(a, b, sum);
}

/* v < min ? min : v, then v > max ? max : v: MAXPS gives its second operand where they do not
 * compare. */
LANES_INLINE lanes lanes_clamp(lanes v, lanes min, lanes max)
{
    return _mm256_min_ps(max, _mm256_max_ps(min, v));
}

/* a < b ? a : b, and a > b ? a : b: the second where they do not compare. */
LANES_INLINE lanes lanes_lesser(lanes a, lanes b)
{
    return _mm256_min_ps(a, b);
}

LANES_INLINE lanes lanes_greater(lanes a, lanes b)
{
    return _mm256_max_ps(a, b);
}

/* v rounded to a whole number, halves away from zero; |v| < 2^22: cut off after almost a half is
 * added. */
LANES_INLINE lanes lanes_round(lanes v)
{
    __m256 half =
        _mm256_or_ps(_mm256_set1_ps(0x1.fffffep-2f), _mm256_and_ps(v, _mm256_set1_ps(-0.0f)));

    return _mm256_round_ps(_mm256_add_ps(v, half), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

/* The whole numbers of v, in [-128, 127], as bytes: the first n of them, n <= LANES. */
LANES_INLINE void lanes_store_s8(int8_t *to, lanes v, size_t n)
{
    __m256i whole = _mm256_cvttps_epi32(v);
    __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    int64_t bytes = _mm_cvtsi128_si64(_mm_packs_epi16(words, words));

    memcpy(to, &bytes, n);
}

LANES_INLINE __m256i lanes_load_words(const int32_t *x, size_t n)
{
    int32_t part[LANES] = {0};

    if (n == LANES)
        return _mm256_loadu_si256((const __m256i *)(const void *)x);
    memcpy(part, x, n * sizeof *x);
    return _mm256_loadu_si256((const __m256i *)(const void *)part);
}

/* sums[i] - zero_point * weights[i] modulo 2^32, as floats: the first n, n <= LANES. */
LANES_INLINE lanes lanes_from_sums(const int32_t *sums, const int32_t *weights, int32_t zero_point,
                                   size_t n)
{
    __m256i sum = lanes_load_words(sums, n);

    if (zero_point != 0)
        sum = _mm256_sub_epi32(
            sum, _mm256_mullo_epi32(lanes_load_words(weights, n), _mm256_set1_epi32(zero_point)));
    return _mm256_cvtepi32_ps(sum);
}

#endif
