/* Along a row VPMADDWD multiplies two taps of a channel by two weights, which are too long for it
 * and come in two parts, weight = high * 2^15 + low. Half a vector is a pixel of the result, whose
 * four lanes are the channels, the last of which counts for nothing. */
#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

#define HALF ((int32_t)1 << (SCREE_RESAMPLE_BITS - 1))

#define PIXELS 4

/* The fours of taps that are prepared; for more the definition is taken. */
#define MAX_FOURS 32

#define LOW_BITS 15

/* ---- along a row
 */

/* Four pixels of the result, the first and the third as a pair, and the others. */
struct group {
    __m256i weights[MAX_FOURS][2][4]; /* of two taps each: low, low of the other two, high, high */
    size_t at[PIXELS];                /* bytes of a row */
    size_t last;                      /* where the last 16 bytes of a row begin */
    int32_t n;                        /* fours of taps */
};

/* Rows of these pixels. */
struct rows {
    const uint8_t *in;
    uint8_t *out;
    size_t in_stride, out_stride;
    int32_t n;
};

INLINE __m256i load_two(const void *low, const void *high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)),
                                   _mm_loadu_si128(high), 1);
}

INLINE void split(__m256i *parts, const int32_t *first, const int32_t *second)
{
    __m256i w = load_two(first, second);
    __m256i low = _mm256_and_si256(w, _mm256_set1_epi32((1 << LOW_BITS) - 1));
    __m256i both = _mm256_packs_epi32(low, _mm256_srli_epi32(w, LOW_BITS));

    parts[0] = _mm256_shuffle_epi32(both, 0x00);
    parts[1] = _mm256_shuffle_epi32(both, 0x55);
    parts[2] = _mm256_shuffle_epi32(both, 0xaa);
    parts[3] = _mm256_shuffle_epi32(both, 0xff);
}

/* Fills a group for the pixels from i on; returns whether all 16 bytes of the last taps are in a
 * row. */
static bool prepare(struct group *group, const struct scree_resample_taps *taps, int32_t i,
                    size_t n_bytes)
{
    size_t stride = (size_t)taps->stride, end = 0;
    const int32_t *weights = taps->weights + (size_t)i * stride;
    int32_t n_taps = 1;

    for (int p = 0; p < PIXELS; p++) {
        n_taps = taps->n_taps[i + p] > n_taps ? taps->n_taps[i + p] : n_taps;
        group->at[p] = 3 * (size_t)taps->first[i + p];
        end = group->at[p] > end ? group->at[p] : end;
    }
    group->last = n_bytes - 16;
    group->n = (n_taps + 3) / 4;
    for (int32_t q = 0; q < group->n; q++, weights += 4)
        for (size_t k = 0; k < 2; k++)
            split(group->weights[q][k], weights + k * stride, weights + (k + 2) * stride);
    return end + 12 * (size_t)(group->n - 1) <= group->last;
}

/* How many bytes before `at` 16 bytes of a row have to begin; a great number of them means that no
 * weight is other than 0. */
INLINE size_t bytes_before(size_t at, size_t last)
{
    return at > last ? at - last : 0;
}

/* The sums of a pair, in two parts, and four taps more. `edge`: near the end of a row the same
 * bytes are farther behind in the last 16 of it. */
INLINE void add_taps(__m256i *low, __m256i *high, const struct group *group, const uint8_t *in,
                     size_t k, int32_t q, bool edge)
{
    const __m256i *weights = group->weights[q][k];
    size_t a = group->at[k] + 12 * (size_t)q, b = group->at[k + 2] + 12 * (size_t)q;
    __m256i order = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
    __m256i bytes, front, back;

    if (edge) {
        size_t before_a = bytes_before(a, group->last), before_b = bytes_before(b, group->last);
        __m128i shift_a = _mm_set1_epi8((char)(before_a < 100 ? before_a : 100));
        __m128i shift_b = _mm_set1_epi8((char)(before_b < 100 ? before_b : 100));

        order = _mm256_adds_epu8(
            order, _mm256_inserti128_si256(_mm256_castsi128_si256(shift_a), shift_b, 1));
        a -= before_a;
        b -= before_b;
    }
    bytes = load_two(in + a, in + b);
    front = _mm256_shuffle_epi8(bytes, order);
    back = _mm256_shuffle_epi8(bytes, _mm256_adds_epu8(order, _mm256_set1_epi8(6)));
    *low = _mm256_add_epi32(*low, _mm256_add_epi32(_mm256_madd_epi16(front, weights[0]),
                                                   _mm256_madd_epi16(back, weights[1])));
    *high = _mm256_add_epi32(*high, _mm256_add_epi32(_mm256_madd_epi16(front, weights[2]),
                                                     _mm256_madd_epi16(back, weights[3])));
}

/* Twelve bytes from the sums of two pairs. */
INLINE void store_pixels(uint8_t *out, __m256i first, __m256i second)
{
    const __m256i order = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                           -1, -1, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, -1, -1, -1,
                                           -1);
    __m256i words = _mm256_packus_epi32(_mm256_srli_epi32(first, SCREE_RESAMPLE_BITS),
                                        _mm256_srli_epi32(second, SCREE_RESAMPLE_BITS));
    __m256i halves = _mm256_shuffle_epi8(_mm256_packus_epi16(words, words), order);
    __m128i bytes =
        _mm_or_si128(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    int32_t last = _mm_extract_epi32(bytes, 2);

    _mm_storel_epi64((__m128i *)out, bytes);
    memcpy(out + 8, &last, sizeof last);
}

INLINE void run(const struct group *group, struct rows rows, int32_t n, bool edge)
{
    const uint8_t *in = rows.in;
    uint8_t *out = rows.out;

    for (int32_t y = 0; y < rows.n; y++) {
        __m256i low[2], high[2];

        low[0] = low[1] = _mm256_set1_epi32(HALF);
        high[0] = high[1] = _mm256_setzero_si256();
        for (int32_t q = 0; q < n; q++)
            for (size_t k = 0; k < 2; k++)
                add_taps(&low[k], &high[k], group, in, k, q, edge);
        for (size_t k = 0; k < 2; k++)
            low[k] = _mm256_add_epi32(low[k], _mm256_slli_epi32(high[k], LOW_BITS));
        store_pixels(out, low[0], low[1]);
        in += rows.in_stride;
        out += rows.out_stride;
    }
}

void scree_resample_rgb_avx2(const struct scree_resample_taps *taps, const uint8_t *in,
                             size_t in_stride, int32_t n_in, int32_t n_rows, uint8_t *out,
                             size_t out_stride)
{
    size_t n_bytes = 3 * (size_t)n_in;
    int32_t n_out = taps->n_out;
    struct group group;

    if (taps->stride > 4 * MAX_FOURS || n_out < PIXELS || n_bytes < 16) {
        scree_resample_rgb(taps, in, in_stride, n_in, n_rows, out, out_stride);
        return;
    }
    /* The last four begin where they are four. */
    for (int32_t i = 0; i < n_out; i += PIXELS) {
        int32_t from = i + PIXELS < n_out ? i : n_out - PIXELS;
        struct rows rows = {in, out + 3 * (size_t)from, in_stride, out_stride, n_rows};

        if (!prepare(&group, taps, from, n_bytes))
            run(&group, rows, group.n, true);
        else if (group.n == 1)
            run(&group, rows, 1, false);
        else if (group.n == 2)
            run(&group, rows, 2, false);
        else
            run(&group, rows, group.n, false);
    }
}

/* ---- along the columns
 */

static inline __m256i add_row(__m256i sums, const uint8_t *row, __m256i weight)
{
    __m256i bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)row));

    return _mm256_add_epi32(sums, _mm256_mullo_epi32(bytes, weight));
}

void scree_resample_rows_avx2(const uint8_t *const *rows, const int32_t *weights, int32_t n_rows,
                              uint8_t *out, size_t n)
{
    size_t i = 0;

    for (; i + 32 <= n; i += 32) {
        __m256i sums[4], low, high;

        for (int k = 0; k < 4; k++)
            sums[k] = _mm256_set1_epi32(HALF);
        for (int32_t j = 0; j < n_rows; j++) {
            __m256i weight = _mm256_set1_epi32(weights[j]);

            for (int k = 0; k < 4; k++)
                sums[k] = add_row(sums[k], rows[j] + i + 8 * k, weight);
        }
        for (int k = 0; k < 4; k++)
            sums[k] = _mm256_srai_epi32(sums[k], SCREE_RESAMPLE_BITS);
        low = _mm256_packs_epi32(sums[0], sums[1]);
        high = _mm256_packs_epi32(sums[2], sums[3]);
        /* Packing is within halves: their fours of bytes go where they belong. */
        _mm256_storeu_si256((__m256i *)(out + i),
                            _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high),
                                                        _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
    }
    scree_resample_rows_from(rows, weights, n_rows, out, i, n);
}
