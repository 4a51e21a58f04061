/* kernels/x86/requantize_avx2.h - from sums of products to bytes, 8 channels at a time.
 *
 *     v[i] = scree_requantize_avx2(sums[i], &lanes[i / 2], i % 2, relu);   for 32 channels, i < 4
 *     bytes = scree_clamp_bytes_avx2(scree_narrow_avx2(v[0], v[1], v[2], v[3]), clamp);
 *
 * Outputs are taken for uint8 up to the last instruction: int8 outputs go by zero point + 128 and
 * have their top bit flipped at the end. Inline functions for files that are compiled for AVX2.
 * Memory: keeps nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_X86_REQUANTIZE_AVX2_H
#define SCREE_KERNELS_X86_REQUANTIZE_AVX2_H

#include <immintrin.h>

#include "kernels/lanes.h"

/* The clamp of a layer: bytes of the output as uint8, and what is exclusive-or'ed in the end. */
struct scree_clamp_avx2 {
    __m256i min, max, flip;
};

/* min and max are the layer's, in the range of its type; is_s8: that type is int8, and the lanes
 * were filled for output_zp + 128. */
static inline struct scree_clamp_avx2 scree_clamp_init_avx2(int32_t min, int32_t max, bool is_s8)
{
    int32_t base = is_s8 ? 128 : 0;

    return (struct scree_clamp_avx2){_mm256_set1_epi8((char)(min + base)),
                                     _mm256_set1_epi8((char)(max + base)),
                                     _mm256_set1_epi8((char)base)};
}

/* 32 bytes of constants. */
static inline __m256i scree_load_avx2(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

/* Outputs before the clamp of channels 8 half ... 8 half + 7 of `lanes`, from sums s32[8] that have
 * lanes' bounds added to them. relu: the clamp begins at the output's zero point or above.
 * Formula: kernels/lanes.h. */
static inline __m256i scree_requantize_avx2(__m256i sums, const struct scree_lanes *lanes, int half,
                                            bool relu)
{
    __m256i even = _mm256_mul_epu32(sums, scree_load_avx2(&lanes->factor[0][4 * half]));
    __m256i odd =
        _mm256_mul_epu32(_mm256_srli_epi64(sums, 32), scree_load_avx2(&lanes->factor[1][4 * half]));
    __m256i h;

    even = _mm256_add_epi64(even, scree_load_avx2(&lanes->offset[0][4 * half]));
    odd = _mm256_add_epi64(odd, scree_load_avx2(&lanes->offset[1][4 * half]));
    h = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
    if (!relu) {
        __m256i threshold = scree_load_avx2(&lanes->threshold[8 * half]);

        h = _mm256_add_epi32(h, _mm256_cmpgt_epi32(threshold, h));
    }
    return _mm256_srav_epi32(h, scree_load_avx2(&lanes->shift[8 * half]));
}

/* The 32 numbers of four vectors, saturated to uint8, in order. */
static inline __m256i scree_narrow_avx2(__m256i v0, __m256i v1, __m256i v2, __m256i v3)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(v0, v1), _mm256_packs_epi32(v2, v3));

    return _mm256_permutevar8x32_epi32(bytes, order);
}

/* Clamps 32 outputs and gives them the bits of their type. */
static inline __m256i scree_clamp_bytes_avx2(__m256i bytes, struct scree_clamp_avx2 clamp)
{
    bytes = _mm256_min_epu8(_mm256_max_epu8(bytes, clamp.min), clamp.max);
    return _mm256_xor_si256(bytes, clamp.flip);
}

#endif
