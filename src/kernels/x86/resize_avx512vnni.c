#include <immintrin.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* Up to 32 channels of one pixel. */
INLINE void blend_channels(uint8_t *out, const uint16_t *first, const uint16_t *second,
                           const __m512i *weights, __mmask32 mask, __m512i half, __m128i shift,
                           bool is_signed)
{
    __m512i a = _mm512_mullo_epi16(_mm512_maskz_loadu_epi16(mask, first), weights[0]);
    __m512i b = _mm512_mullo_epi16(_mm512_maskz_loadu_epi16(mask, second), weights[1]);
    __m512i sum = _mm512_add_epi16(a, b), rounded = _mm512_add_epi16(sum, half);

    if (is_signed) /* without shift there is nothing to round: half is 0, and so is the sign's */
        rounded = _mm512_add_epi16(
            rounded, _mm512_mask_srai_epi16(half, _mm512_test_epi16_mask(half, half), sum, 15));
    rounded = is_signed ? _mm512_sra_epi16(rounded, shift) : _mm512_srl_epi16(rounded, shift);
    _mm512_mask_cvtepi16_storeu_epi8(out, mask, rounded);
}

INLINE void blend(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x, size_t n,
                  size_t c, int shift, bool is_signed)
{
    const __m512i half = _mm512_set1_epi16((short)(1 << shift >> 1));
    const __m128i count = _mm_cvtsi32_si128(shift);
    const size_t whole = c / 32 * 32;
    const __mmask32 rest = _cvtu32_mask32((UINT32_C(1) << c % 32) - 1);

    for (size_t i = 0; i < n; i++, x++, out += c) {
        const uint16_t *first = v + x->first, *second = v + x->second;
        const __m512i weights[2] = {_mm512_set1_epi16((short)x->weights[0]),
                                    _mm512_set1_epi16((short)x->weights[1])};

        for (size_t k = 0; k < whole; k += 32)
            blend_channels(out + k, first + k, second + k, weights, ~(__mmask32)0, half, count,
                           is_signed);
        if (whole < c)
            blend_channels(out + whole, first + whole, second + whole, weights, rest, half, count,
                           is_signed);
    }
}

void scree_blend_u8_avx512vnni(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x,
                               size_t n, size_t c, int shift)
{
    blend(out, v, x, n, c, shift, false);
}

void scree_blend_i8_avx512vnni(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x,
                               size_t n, size_t c, int shift)
{
    blend(out, v, x, n, c, shift, true);
}
