/* 16 activations, 8 outputs at a time. */
#include <immintrin.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* The 16-bit numbers of two vectors, which fit in 8 bits, in order. */
INLINE __m256i pack(__m256i a, __m256i b)
{
    return _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8);
}

static void split(int8_t *high, int8_t *low, const int16_t *x, size_t n)
{
    const __m256i flip = _mm256_set1_epi16(0x80);
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256i a = _mm256_loadu_si256((const void *)(x + i));
        __m256i b = _mm256_loadu_si256((const void *)(x + i + 16));
        __m256i low_a = _mm256_srai_epi16(_mm256_slli_epi16(_mm256_xor_si256(a, flip), 8), 8);
        __m256i low_b = _mm256_srai_epi16(_mm256_slli_epi16(_mm256_xor_si256(b, flip), 8), 8);

        _mm256_storeu_si256((void *)(high + i),
                            pack(_mm256_srai_epi16(a, 8), _mm256_srai_epi16(b, 8)));
        _mm256_storeu_si256((void *)(low + i), pack(low_a, low_b));
    }
    for (; i < n; i++) {
        high[i] = (int8_t)(x[i] >> 8);
        low[i] = (int8_t)((x[i] & 255) - 128);
    }
}

/* Rounds halves away from 0: what is cut off decides. */
INLINE __m256d round_away(__m256d x)
{
    const __m256d sign = _mm256_set1_pd(-0.0), half = _mm256_set1_pd(0.5);
    __m256d whole = _mm256_round_pd(x, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    __m256d rest = _mm256_andnot_pd(sign, _mm256_sub_pd(x, whole));
    __m256d one = _mm256_or_pd(_mm256_and_pd(x, sign), _mm256_set1_pd(1));

    return _mm256_add_pd(whole, _mm256_and_pd(_mm256_cmp_pd(rest, half, _CMP_GE_OQ), one));
}

/* Four outputs, as 32 bits. */
INLINE __m128i finish_4(__m128i high, __m128i low, const double *bias, const double *factors,
                        const struct scree_split_row *row)
{
    __m256d h = _mm256_cvtepi32_pd(high), l = _mm256_cvtepi32_pd(low);
    __m256d x = _mm256_add_pd(_mm256_mul_pd(h, _mm256_set1_pd(256)), l);

    x = _mm256_mul_pd(_mm256_add_pd(x, _mm256_loadu_pd(bias)), _mm256_loadu_pd(factors));
    x = row->halves_up ? _mm256_floor_pd(_mm256_add_pd(x, _mm256_set1_pd(0.5))) : round_away(x);
    x = _mm256_max_pd(x, _mm256_set1_pd(row->min));
    return _mm256_cvttpd_epi32(_mm256_min_pd(x, _mm256_set1_pd(row->max)));
}

static void finish(int16_t *out, const int32_t *high, const int32_t *low,
                   const struct scree_split_row *row, size_t n)
{
    const struct scree_split_row by_value = *row; /* stores do not touch it */
    const double *bias = by_value.bias, *factors = by_value.factors;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        /* VCVTDQ2PD from registers: QEMU 7.2 reads twice its operand from memory */
        __m256i h = _mm256_loadu_si256((const void *)(high + i));
        __m256i l = _mm256_loadu_si256((const void *)(low + i));
        __m128i a = finish_4(_mm256_castsi256_si128(h), _mm256_castsi256_si128(l), bias + i,
                             factors + i, &by_value);
        __m128i b = finish_4(_mm256_extracti128_si256(h, 1), _mm256_extracti128_si256(l, 1),
                             bias + i + 4, factors + i + 4, &by_value);

        _mm_storeu_si128((void *)(out + i), _mm_packs_epi32(a, b));
    }
    for (; i < n; i++)
        out[i] = scree_split_output(high[i], low[i], bias[i], factors[i], &by_value);
}

const struct scree_split_kernel scree_split_avx2 = {split, finish};
