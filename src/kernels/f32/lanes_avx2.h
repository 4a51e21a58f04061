/* kernels/f32/lanes_avx2.h - eight floats side by side: AVX2 and FMA.
 *
 * The vocabulary of kernels/f32/: see gemm.h there. */
#ifndef SCREE_KERNELS_F32_LANES_AVX2_H
#define SCREE_KERNELS_F32_LANES_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LANES 8
#if LANES_FUSED
#define LANES_ROWS 6 /* 6 x 16 sums, two vectors of weights and one of an input: 15 registers */
#else
#define LANES_ROWS 4 /* and a product */
#endif

typedef __m256 lanes;

static inline lanes lanes_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline lanes lanes_load(const float *x)
{
    return _mm256_loadu_ps(x);
}

static inline __m256i lanes_first(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* The first n of a vector, n <= LANES; the others are 0. */
static inline lanes lanes_load_first(const float *x, size_t n)
{
    return _mm256_maskload_ps(x, lanes_first(n));
}

static inline void lanes_store(float *to, lanes v)
{
    _mm256_storeu_ps(to, v);
}

static inline void lanes_store_first(float *to, lanes v, size_t n)
{
    _mm256_maskstore_ps(to, lanes_first(n), v);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm256_add_ps(a, b);
}

static inline lanes lanes_mul(lanes a, lanes b)
{
    return _mm256_mul_ps(a, b);
}

/* sum + a * b, rounded once or twice */
static inline lanes lanes_add_product(lanes a, lanes b, lanes sum)
{
    if (!LANES_FUSED)
        return _mm256_add_ps(sum, _mm256_mul_ps(a, b));
    return _mm256_fmadd_ps(a, b, sum);
}

/* v < min ? min : v, then v > max ? max : v: MAXPS gives its second operand where they do not
 * compare. */
static inline lanes lanes_clamp(lanes v, lanes min, lanes max)
{
    return _mm256_min_ps(max, _mm256_max_ps(min, v));
}

#endif
