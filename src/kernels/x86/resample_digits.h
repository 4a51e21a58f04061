/* kernels/x86/resample_digits.h - weights of resample.h in the three factors that VPDPBUSD takes.
 *
 *     weight = digits[2] * 2^16 + digits[1] * 2^8 + digits[0]      each in [-128, 127]
 *
 * which any weight up to 0x7f7f7f has. A sum of bytes by digits[2] is shifted by 8, the sum by
 * digits[1] added, and so on; what leaves the 32 bits comes back, as the whole does not leave them.
 *
 * Memory: keeps nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_X86_RESAMPLE_DIGITS_H
#define SCREE_KERNELS_X86_RESAMPLE_DIGITS_H

#include <immintrin.h>

/* What such a sum starts with: shifted by 16, one half. */
#define SCREE_RESAMPLE_START (1 << (SCREE_RESAMPLE_BITS - 1 - 16))

/* Each four weights, s32, to {digits[0], digits[1], digits[2], 0} of them, s8[4] each. */
static inline __m512i scree_resample_digits(__m512i weights)
{
    const __m512i middle = _mm512_set1_epi32(0x808080);
    const __m512i order =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));

    weights = _mm512_xor_si512(_mm512_add_epi32(weights, middle), middle);
    return _mm512_shuffle_epi8(weights, order);
}

#endif
