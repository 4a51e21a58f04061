/* The bytes of four rows, interleaved, are what VPDPBUSD multiplies and adds up at once. */
#include "kernels/kernels.h"
#include "kernels/x86/resample_digits.h"

/* The fours of rows that are prepared; for more rows the variant for AVX2 is taken. */
#define MAX_FOURS 16

struct fours {
    const uint8_t *rows[MAX_FOURS][4];
    int32_t digits[MAX_FOURS][4]; /* the last is 0 */
    int32_t n;
};

/* Rows that are not there are the last one with weight 0. */
static void prepare(struct fours *fours, const uint8_t *const *rows, const int32_t *weights,
                    int32_t n_rows)
{
    fours->n = (n_rows + 3) / 4;
    for (int32_t q = 0; q < fours->n; q++) {
        int32_t n = n_rows - 4 * q;
        __mmask16 mask = _cvtu32_mask16(n < 4 ? (1u << n) - 1 : 15);
        __m512i w = _mm512_maskz_loadu_epi32(mask, weights + 4 * q);

        _mm_storeu_si128((__m128i *)fours->digits[q],
                         _mm512_castsi512_si128(scree_resample_digits(w)));
        for (int32_t j = 0; j < 4; j++)
            fours->rows[q][j] = rows[4 * q + (j < n ? j : n - 1)];
    }
}

/* Bytes [i, i + 64). */
static inline __m512i blend(const struct fours *fours, size_t i)
{
    __m512i sums[3][4];

    for (int k = 0; k < 4; k++) {
        sums[0][k] = sums[1][k] = _mm512_setzero_si512();
        sums[2][k] = _mm512_set1_epi32(SCREE_RESAMPLE_START);
    }
    for (int32_t q = 0; q < fours->n; q++) {
        __m512i a = _mm512_loadu_si512(fours->rows[q][0] + i);
        __m512i b = _mm512_loadu_si512(fours->rows[q][1] + i);
        __m512i c = _mm512_loadu_si512(fours->rows[q][2] + i);
        __m512i d = _mm512_loadu_si512(fours->rows[q][3] + i);
        __m512i ab[2] = {_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)};
        __m512i cd[2] = {_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d)};
        __m512i bytes[4] = {
            _mm512_unpacklo_epi16(ab[0], cd[0]), _mm512_unpackhi_epi16(ab[0], cd[0]),
            _mm512_unpacklo_epi16(ab[1], cd[1]), _mm512_unpackhi_epi16(ab[1], cd[1])};

        for (int digit = 0; digit < 3; digit++)
            for (int k = 0; k < 4; k++)
                sums[digit][k] = _mm512_dpbusd_epi32(sums[digit][k], bytes[k],
                                                     _mm512_set1_epi32(fours->digits[q][digit]));
    }
    for (int k = 0; k < 4; k++) {
        __m512i high = _mm512_add_epi32(_mm512_slli_epi32(sums[2][k], 8), sums[1][k]);

        sums[0][k] = _mm512_add_epi32(_mm512_slli_epi32(high, 8), sums[0][k]);
        sums[0][k] = _mm512_srli_epi32(sums[0][k], SCREE_RESAMPLE_BITS);
    }
    return _mm512_packus_epi16(_mm512_packus_epi32(sums[0][0], sums[0][1]),
                               _mm512_packus_epi32(sums[0][2], sums[0][3]));
}

void scree_resample_rows_avx512vnni(const uint8_t *const *rows, const int32_t *weights,
                                    int32_t n_rows, uint8_t *out, size_t n)
{
    struct fours fours;
    size_t i = 0;

    if (n_rows > 4 * MAX_FOURS || n < 64) {
        scree_resample_rows_avx2(rows, weights, n_rows, out, n);
        return;
    }
    prepare(&fours, rows, weights, n_rows);
    for (; i + 64 <= n; i += 64)
        _mm512_storeu_si512(out + i, blend(&fours, i));
    if (i < n) /* the last 64 again, in part */
        _mm512_storeu_si512(out + n - 64, blend(&fours, n - 64));
}
