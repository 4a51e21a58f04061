/* kernels/x86/softmax_avx512.h - fixed point for softmax of bytes, 16 numbers at a time.
 *
 *     inverse = scree_invert_sums(sums, &exponent);
 *     share[i] = (mul_high(inverse, exps[i]) + 2^(exponent - 1)) >> exponent
 *
 * Inline functions for files that are compiled for AVX-512. The formulas are those of
 * kernels/c/fixed_math.c. Memory: keeps nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_X86_SOFTMAX_AVX512_H
#define SCREE_KERNELS_X86_SOFTMAX_AVX512_H

#include <immintrin.h>

/* x in all lanes. */
static inline __m512i scree_words(int32_t x)
{
    return _mm512_set1_epi32(x);
}

/* scree_mul_high() */
static inline __m512i scree_mul_high_avx512(__m512i a, __m512i b)
{
    const __m512i nudge = _mm512_set1_epi64((int64_t)1 << 30);
    __m512i even = _mm512_add_epi64(_mm512_mul_epi32(a, b), nudge);
    __m512i odd = _mm512_add_epi64(
        _mm512_mul_epi32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32)), nudge);

    return _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 31), _mm512_add_epi64(odd, odd));
}

/* scree_fixed_one_over_one_plus() of x >= 0: (x + 1) / 2 is in [1/2, 1), the guess in [1, 2], so
 * that only the last doubling can saturate. */
static inline __m512i scree_one_over_one_plus_avx512(__m512i x)
{
    __m512i half = _mm512_add_epi32(_mm512_srli_epi32(x, 1), scree_words(1 << 30));
    __m512i guess = _mm512_add_epi32(scree_words(1515870810),
                                     scree_mul_high_avx512(half, scree_words(-1010580540)));

    for (int i = 0; i < 3; i++) {
        __m512i error = _mm512_sub_epi32(scree_words(1 << 29), scree_mul_high_avx512(half, guess));

        guess = _mm512_add_epi32(guess, _mm512_slli_epi32(scree_mul_high_avx512(guess, error), 2));
    }
    return _mm512_min_epu32(_mm512_slli_epi32(guess, 1), scree_words(INT32_MAX));
}

/* scree_fixed_reciprocal() of sums of exponentials, u32 in Q12.19, and what shares are shifted by:
 * 12 - zeros + 31 - 8. */
static inline __m512i scree_invert_sums(__m512i sums, __m512i *ret_exponent)
{
    __m512i zeros = _mm512_lzcnt_epi32(sums);
    __m512i x = _mm512_xor_si512(_mm512_sllv_epi32(sums, zeros), scree_words(INT32_MIN));

    *ret_exponent = _mm512_sub_epi32(scree_words(12 + 31 - 8), zeros);
    return scree_one_over_one_plus_avx512(x);
}

#endif
