/* Softmax of rows of 16 bytes, which detectors have that give a box's sides as distributions: four
 * rows in a vector, 16 at a time. Exponentials are looked up byte by byte in registers; gathering
 * them from memory takes longer than all else. */
#include "kernels/kernels.h"
#include "kernels/x86/softmax_avx512.h"
#include "kernels/x86/table_avx512vbmi.h"

#define DEPTH 16
#define ROWS  16 /* whose sums are inverted at once */

/* The exponentials, byte by byte. */
struct tables {
    struct scree_table_avx512 byte[4];
};

/* The exponentials of four rows: elements 4k ... 4k + 3 of each are in part[k]. */
struct exps {
    __m512i part[4];
};

static struct tables split(const int32_t *exps)
{
    struct tables ret;

    for (int k = 0; k < 4; k++)
        for (int i = 0; i < 4; i++) {
            uint8_t bytes[64];

            for (int j = 0; j < 64; j++)
                bytes[j] = (uint8_t)((uint32_t)exps[64 * i + j] >> 8 * k);
            ret.byte[k].part[i] = _mm512_loadu_si512(bytes);
        }
    return ret;
}

/* The largest byte of each 16, in all of them. */
static inline __m512i largest(__m512i x)
{
    const __m512i swapped = _mm512_set4_epi32(0x0e0f0c0d, 0x0a0b0809, 0x06070405, 0x02030001);

    x = _mm512_max_epu8(x, _mm512_shuffle_epi32(x, _MM_PERM_BADC));
    x = _mm512_max_epu8(x, _mm512_shuffle_epi32(x, _MM_PERM_CDAB));
    x = _mm512_max_epu8(x, _mm512_rol_epi32(x, 16));
    return _mm512_max_epu8(x, _mm512_shuffle_epi8(x, swapped));
}

static inline struct exps exps_of(__m512i x, const struct tables *tables)
{
    __m512i diff = _mm512_sub_epi8(largest(x), x), byte[4], low[2], high[2];

    for (int k = 0; k < 4; k++)
        byte[k] = scree_look_up_avx512(&tables->byte[k], diff);
    for (int k = 0; k < 2; k++) {
        low[k] = _mm512_unpacklo_epi8(byte[2 * k], byte[2 * k + 1]);
        high[k] = _mm512_unpackhi_epi8(byte[2 * k], byte[2 * k + 1]);
    }
    return (struct exps){{
        _mm512_unpacklo_epi16(low[0], low[1]),
        _mm512_unpackhi_epi16(low[0], low[1]),
        _mm512_unpacklo_epi16(high[0], high[1]),
        _mm512_unpackhi_epi16(high[0], high[1]),
    }};
}

/* The sum of each row, Q12.19, in four lanes. */
static inline __m512i sum_rows(const struct exps *exps)
{
    __m512i sum = _mm512_setzero_si512();

    for (int k = 0; k < 4; k++)
        sum = _mm512_add_epi32(
            sum, _mm512_srli_epi32(_mm512_add_epi32(exps->part[k], scree_words(1 << 11)), 12));
    sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_BADC));
    return _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_CDAB));
}

/* The shares of four rows, by inverse and exponent of each in four lanes: the two shifts of
 * products of 62 bits, with their halves, are one. Sums of 16 have exponents in [23, 27]. */
static inline __m512i divide_rows(const struct exps *exps, __m512i inverse, __m512i exponent)
{
    const __m512i low = _mm512_set1_epi64(UINT32_MAX);
    __m512i even_shift = _mm512_and_si512(_mm512_add_epi32(exponent, scree_words(31)), low);
    __m512i odd_shift = _mm512_sub_epi64(even_shift, _mm512_set1_epi64(32));
    __m512i half =
        _mm512_add_epi64(_mm512_set1_epi64(1 << 30),
                         _mm512_sllv_epi64(_mm512_set1_epi64(1),
                                           _mm512_sub_epi64(even_shift, _mm512_set1_epi64(1))));
    __m512i share[4];

    for (int k = 0; k < 4; k++) {
        __m512i even = _mm512_mul_epu32(exps->part[k], inverse);
        __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(exps->part[k], 32), inverse);

        even = _mm512_srlv_epi64(_mm512_add_epi64(even, half), even_shift);
        odd = _mm512_srlv_epi64(_mm512_add_epi64(odd, half), odd_shift);
        share[k] = _mm512_mask_blend_epi32(0xaaaa, even, odd);
    }
    return _mm512_packus_epi16(_mm512_packs_epi32(share[0], share[1]),
                               _mm512_packs_epi32(share[2], share[3]));
}

/* 16 rows. */
static inline void run(uint8_t *out, const uint8_t *in, __m512i flip, const struct tables *tables)
{
    struct exps exps[4];
    __m512i sums[4], inverse, exponent;

    for (int i = 0; i < 4; i++) {
        exps[i] = exps_of(_mm512_xor_si512(_mm512_loadu_si512(in + 64 * i), flip), tables);
        sums[i] = sum_rows(&exps[i]);
    }
    sums[0] = _mm512_mask_blend_epi32(0x2222, sums[0], sums[1]);
    sums[2] = _mm512_mask_blend_epi32(0x8888, sums[2], sums[3]);
    inverse = scree_invert_sums(_mm512_mask_blend_epi32(0xcccc, sums[0], sums[2]), &exponent);
#define DIVIDE(i, lane)                                                                           \
    _mm512_storeu_si512(                                                                          \
        out + 64 * i, _mm512_xor_si512(divide_rows(&exps[i], _mm512_shuffle_epi32(inverse, lane), \
                                                   _mm512_shuffle_epi32(exponent, lane)),         \
                                       flip))
    DIVIDE(0, _MM_PERM_AAAA);
    DIVIDE(1, _MM_PERM_BBBB);
    DIVIDE(2, _MM_PERM_CCCC);
    DIVIDE(3, _MM_PERM_DDDD);
#undef DIVIDE
}

void scree_softmax_8_8_avx512vbmi(uint8_t *out, const uint8_t *in, size_t n_rows, size_t depth,
                                  uint8_t flip, const struct scree_softmax_8 *softmax)
{
    size_t whole = depth == DEPTH ? n_rows / ROWS * ROWS : 0;

    if (whole > 0) {
        const struct tables tables = split(softmax->exps);
        const __m512i flips = _mm512_set1_epi8((char)flip);

        for (size_t i = 0; i < whole * DEPTH; i += ROWS * DEPTH)
            run(out + i, in + i, flips, &tables);
    }
    if (whole < n_rows)
        scree_softmax_8_8_avx512vnni(out + whole * depth, in + whole * depth, n_rows - whole, depth,
                                     flip, softmax);
}
