/* Softmax of bytes: the sums of sixteen rows are inverted at once, which is most of the work where
 * rows are short. */
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/x86/softmax_avx512.h"

/* Sums of more exponentials, of 2^19 at most, might not fit 32 bits. */
#define MAX_DEPTH 8191
#define ROWS      16

/* Up to 16 elements as numbers; those that the mask leaves out are 0. */
static inline __m512i load(const uint8_t *in, __mmask16 mask, uint8_t flip)
{
    __m128i bytes = _mm_xor_si128(_mm_maskz_loadu_epi8(mask, in), _mm_set1_epi8((char)flip));

    return _mm512_maskz_cvtepu8_epi32(mask, bytes);
}

static inline __mmask16 mask_of(size_t n)
{
    return (__mmask16)(n < 16 ? (1u << n) - 1 : 0xffff);
}

/* The largest byte: 255 less the smallest complement, found among words. */
static inline int32_t largest(__m512i bytes)
{
    __m256i half =
        _mm256_max_epu8(_mm512_castsi512_si256(bytes), _mm512_extracti64x4_epi64(bytes, 1));
    __m128i rest = _mm_max_epu8(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));

    rest = _mm_xor_si128(rest, _mm_set1_epi8(-1));
    rest = _mm_minpos_epu16(_mm_min_epu8(rest, _mm_srli_epi16(rest, 8)));
    return 255 - (_mm_cvtsi128_si32(rest) & 0xff);
}

static inline int32_t row_max(const uint8_t *in, size_t depth, uint8_t flip)
{
    __m512i most = _mm512_setzero_si512();

    for (size_t i = 0; i < depth; i += 64) {
        size_t n = depth - i;
        __mmask64 mask = n < 64 ? _cvtu64_mask64((UINT64_C(1) << n) - 1) : ~(__mmask64)0;
        __m512i bytes =
            _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, in + i), _mm512_set1_epi8((char)flip));

        most = _mm512_mask_max_epu8(most, mask, most, bytes);
    }
    return largest(most);
}

/* e^(x - max) of up to 16 elements, 0 for those left out. */
static inline __m512i exps_of(const uint8_t *in, __mmask16 mask, uint8_t flip, int32_t max,
                              const struct scree_softmax_8 *softmax)
{
    __m512i diff = _mm512_sub_epi32(scree_words(max), load(in, mask, flip));

    return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), mask, diff, softmax->exps, 4);
}

/* Some rows at once: what is known of each. */
struct rows {
    int32_t max[ROWS];
    uint32_t sum[ROWS]; /* Q12.19 */
    int32_t inverse[ROWS], exponent[ROWS];
    __m512i exps[ROWS]; /* of the first 16 elements */
};

/* The sum of 16 numbers. _mm512_reduce_add_epi32() adds the last two as signed ones. */
static inline uint32_t sum_lanes(__m512i x)
{
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    __m128i rest = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));

    rest = _mm_add_epi32(rest, _mm_shuffle_epi32(rest, 0x4e));
    rest = _mm_add_epi32(rest, _mm_shuffle_epi32(rest, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(rest);
}

static void sum_row(const uint8_t *in, size_t depth, uint8_t flip,
                    const struct scree_softmax_8 *softmax, struct rows *rows, size_t r)
{
    int32_t max = row_max(in, depth, flip);
    __m512i sum = _mm512_setzero_si512();

    for (size_t i = 0; i < depth; i += 16) {
        __m512i exps = exps_of(in + i, mask_of(depth - i), flip, max, softmax);

        if (i == 0)
            rows->exps[r] = exps;
        sum = _mm512_add_epi32(sum,
                               _mm512_srli_epi32(_mm512_add_epi32(exps, scree_words(1 << 11)), 12));
    }
    rows->max[r] = max;
    rows->sum[r] = sum_lanes(sum);
}

/* Of all rows. */
static void invert(struct rows *rows)
{
    __m512i exponent;

    _mm512_storeu_si512(rows->inverse, scree_invert_sums(_mm512_loadu_si512(rows->sum), &exponent));
    _mm512_storeu_si512(rows->exponent, exponent);
}

/* The shares of a row. Exponents over 32 shift everything out, the half to be added too. */
static void divide_row(uint8_t *out, const uint8_t *in, size_t depth, uint8_t flip,
                       const struct scree_softmax_8 *softmax, const struct rows *rows, size_t r)
{
    __m512i inverse = scree_words(rows->inverse[r]), exponent = scree_words(rows->exponent[r]);
    __m512i half = _mm512_sllv_epi32(scree_words(1), _mm512_sub_epi32(exponent, scree_words(1)));

    for (size_t i = 0; i < depth; i += 16) {
        __mmask16 mask = mask_of(depth - i);
        __m512i exps = i == 0 ? rows->exps[r] : exps_of(in + i, mask, flip, rows->max[r], softmax);
        __m512i share = _mm512_add_epi32(scree_mul_high_avx512(inverse, exps), half);
        __m128i bytes;

        share = _mm512_min_epu32(_mm512_srlv_epi32(share, exponent), scree_words(255));
        bytes = _mm_xor_si128(_mm512_cvtepi32_epi8(share), _mm_set1_epi8((char)flip));
        _mm_mask_storeu_epi8(out + i, mask, bytes);
    }
}

void scree_softmax_8_8_avx512vnni(uint8_t *out, const uint8_t *in, size_t n_rows, size_t depth,
                                  uint8_t flip, const struct scree_softmax_8 *softmax)
{
    struct rows rows = {.sum = {1}};

    if (depth > MAX_DEPTH) {
        scree_softmax_8_8(out, in, n_rows, depth, flip, softmax);
        return;
    }
    for (size_t row = 0; row < n_rows; row += ROWS, in += ROWS * depth, out += ROWS * depth) {
        size_t n = n_rows - row < ROWS ? n_rows - row : ROWS;

        for (size_t r = 0; r < n; r++)
            sum_row(in + r * depth, depth, flip, softmax, &rows, r);
        invert(&rows);
        for (size_t r = 0; r < n; r++)
            divide_row(out + r * depth, in + r * depth, depth, flip, softmax, &rows, r);
    }
}
