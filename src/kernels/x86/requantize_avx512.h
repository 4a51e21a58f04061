/* kernels/x86/requantize_avx512.h - from sums of products to bytes, 16 channels at a time.
 *
 *     v[i] = scree_requantize_avx512(sums[i], &lanes[i], relu);     for 64 channels, i < 4
 *
 * Inline functions for files that are compiled for AVX-512.
 * Memory: keeps nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_X86_REQUANTIZE_AVX512_H
#define SCREE_KERNELS_X86_REQUANTIZE_AVX512_H

#include <immintrin.h>

#include "kernels/lanes.h"

/* The clamp of a layer: bytes of the output as uint8, and what is exclusive-or'ed in the end. */
struct scree_clamp_avx512 {
    __m512i min, max, flip;
};

/* struct scree_lanes in registers: for loops whose stores a compiler cannot tell from constants. */
struct scree_lanes_avx512 {
    __m512i factor[2], offset[2], shift, threshold;
};

static inline struct scree_lanes_avx512 scree_lanes_load_avx512(const struct scree_lanes *lanes)
{
    return (struct scree_lanes_avx512){
        {_mm512_loadu_si512(lanes->factor[0]), _mm512_loadu_si512(lanes->factor[1])},
        {_mm512_loadu_si512(lanes->offset[0]), _mm512_loadu_si512(lanes->offset[1])},
        _mm512_loadu_si512(lanes->shift),
        _mm512_loadu_si512(lanes->threshold),
    };
}

/* Outputs before the clamp from sums s32[16] that have lanes' bounds added to them. relu: the clamp
 * begins at the output's zero point or above. Formula: kernels/lanes.h. */
static inline __m512i scree_lanes_apply_avx512(__m512i sums, const struct scree_lanes_avx512 *lanes,
                                               bool relu)
{
    __m512i even = _mm512_mul_epu32(sums, lanes->factor[0]);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(sums, 32), lanes->factor[1]);
    __m512i h;

    even = _mm512_add_epi64(even, lanes->offset[0]);
    odd = _mm512_add_epi64(odd, lanes->offset[1]);
    h = _mm512_mask_shuffle_epi32(odd, 0x5555, even, _MM_PERM_DDBB);
    if (!relu)
        h = _mm512_mask_sub_epi32(h, _mm512_cmplt_epi32_mask(h, lanes->threshold), h,
                                  _mm512_set1_epi32(1));
    return _mm512_srav_epi32(h, lanes->shift);
}

/* The same with constants from memory. */
static inline __m512i scree_requantize_avx512(__m512i sums, const struct scree_lanes *lanes,
                                              bool relu)
{
    struct scree_lanes_avx512 loaded = scree_lanes_load_avx512(lanes);

    return scree_lanes_apply_avx512(sums, &loaded, relu);
}

/* Clamps 64 outputs and gives them the bits of their type. */
static inline __m512i scree_clamp_bytes_avx512(__m512i bytes, struct scree_clamp_avx512 clamp)
{
    bytes = _mm512_min_epu8(_mm512_max_epu8(bytes, clamp.min), clamp.max);
    return _mm512_xor_si512(bytes, clamp.flip);
}

#endif
