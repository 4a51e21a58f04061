#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"

/* The largest of 32 bytes is 255 less the smallest of their complements, for which there is an
 * instruction, if not of bytes: the smaller ones of pairs are words. */
static inline uint8_t largest(__m256i bytes)
{
    __m256i rest = _mm256_xor_si256(bytes, _mm256_set1_epi8(-1));
    __m128i least = _mm_min_epu8(_mm256_castsi256_si128(rest), _mm256_extracti128_si256(rest, 1));

    least = _mm_minpos_epu16(_mm_min_epu8(least, _mm_srli_epi16(least, 8)));
    return (uint8_t)~_mm_cvtsi128_si32(least);
}

static inline uint32_t equal_mask(__m256i bytes, uint8_t value)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8((char)value)));
}

static inline __m256i load(const uint8_t *from, __m256i flip)
{
    return _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)from), flip);
}

/* A row of 32 and more: the last 32 bytes overlap those before them. */
static uint32_t arg_long(const uint8_t *in, size_t n, __m256i flip)
{
    __m256i most = load(in + n - 32, flip);
    uint8_t best;

    for (size_t i = 0; i + 32 < n; i += 32)
        most = _mm256_max_epu8(most, load(in + i, flip));
    best = largest(most);
    for (size_t i = 0; i + 32 < n; i += 32) {
        uint32_t mask = equal_mask(load(in + i, flip), best);

        if (mask)
            return (uint32_t)i + (uint32_t)__builtin_ctz(mask);
    }
    return (uint32_t)(n - 32) + (uint32_t)__builtin_ctz(equal_mask(load(in + n - 32, flip), best));
}

/* A row of less than 32, of which 32 bytes can be read; `keep` has ones in the row's bytes. */
static inline uint32_t arg_short(const uint8_t *in, __m256i flip, __m256i keep)
{
    __m256i bytes = _mm256_and_si256(load(in, flip), keep);

    return (uint32_t)__builtin_ctz(equal_mask(bytes, largest(bytes)));
}

void scree_arg_rows_avx2(uint32_t *ret, const uint8_t *in, size_t n_rows, size_t n, uint8_t flip)
{
    const __m256i flips = _mm256_set1_epi8((char)flip);
    size_t n_inside = n_rows; /* rows of which 32 bytes can be read */
    uint8_t bytes[32] = {0};
    __m256i keep;

    if (n >= 32) {
        for (size_t r = 0; r < n_rows; r++)
            ret[r] = arg_long(in + r * n, n, flips);
        return;
    }
    memset(bytes, 0xff, n);
    keep = _mm256_loadu_si256((const __m256i *)bytes);
    while (n_inside > 0 && (n_rows - n_inside + 1) * n < 32)
        n_inside--;
    for (size_t r = 0; r < n_inside; r++)
        ret[r] = arg_short(in + r * n, flips, keep);
    for (size_t r = n_inside; r < n_rows; r++) {
        memcpy(bytes, in + r * n, n);
        ret[r] = arg_short(bytes, flips, keep);
    }
}
