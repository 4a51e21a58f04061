#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* Sixteen channels of one pixel, as bytes. */
INLINE __m128i blend_channels(const uint16_t *first, const uint16_t *second, const __m256i *weights,
                              __m256i half, __m128i shift, bool is_signed)
{
    __m256i a = _mm256_mullo_epi16(_mm256_loadu_si256((const __m256i *)first), weights[0]);
    __m256i b = _mm256_mullo_epi16(_mm256_loadu_si256((const __m256i *)second), weights[1]);
    __m256i sum = _mm256_add_epi16(a, b), rounded = _mm256_add_epi16(sum, half);
    const __m256i low = _mm256_set1_epi16(0xff);

    if (is_signed) { /* without shift there is nothing to round: half is 0 */
        __m256i some = _mm256_cmpgt_epi16(half, _mm256_setzero_si256());

        rounded = _mm256_add_epi16(rounded, _mm256_and_si256(some, _mm256_srai_epi16(sum, 15)));
        rounded = _mm256_and_si256(_mm256_sra_epi16(rounded, shift), low);
    } else {
        rounded = _mm256_srl_epi16(rounded, shift);
    }
    return _mm_packus_epi16(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}

/* Sixteen bytes are stored where there is room, though the pixel has fewer: the next ones follow.
 */
INLINE void blend(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x, size_t n,
                  size_t c, int shift, bool is_signed)
{
    const __m256i half = _mm256_set1_epi16((short)(1 << shift >> 1));
    const __m128i count = _mm_cvtsi32_si128(shift);
    const uint8_t *end = out + n * c;

    for (size_t i = 0; i < n; i++, x++, out += c) {
        const __m256i weights[2] = {_mm256_set1_epi16((short)x->weights[0]),
                                    _mm256_set1_epi16((short)x->weights[1])};

        for (size_t k = 0; k < c; k += 16) {
            __m128i bytes = blend_channels(v + x->first + k, v + x->second + k, weights, half,
                                           count, is_signed);
            uint8_t rest[16];

            if ((size_t)(end - out) - k >= 16) {
                _mm_storeu_si128((__m128i *)(out + k), bytes);
            } else {
                _mm_storeu_si128((__m128i *)rest, bytes);
                memcpy(out + k, rest, c - k);
            }
        }
    }
}

void scree_blend_u8_avx2(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x,
                         size_t n, size_t c, int shift)
{
    blend(out, v, x, n, c, shift, false);
}

void scree_blend_i8_avx2(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x,
                         size_t n, size_t c, int shift)
{
    blend(out, v, x, n, c, shift, true);
}
