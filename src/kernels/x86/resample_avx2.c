/* A pixel takes half a vector of four sums, so a vector has two pixels at once. */
#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"

#define HALF ((int32_t)1 << (SCREE_RESAMPLE_BITS - 1))

/* The last bytes that are loaded for four pixels, beyond the 12 that count. */
#define BEYOND 4

static inline __m256i multiply_add(__m256i sums, __m256i bytes, __m256i order, __m256i weights)
{
    return _mm256_add_epi32(sums, _mm256_mullo_epi32(_mm256_shuffle_epi8(bytes, order), weights));
}

/* The three bytes of a pixel from its sums, and one more. */
static inline int32_t round_pixel(__m256i a, __m256i b)
{
    __m256i both = _mm256_add_epi32(a, b);
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));

    sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(HALF)), SCREE_RESAMPLE_BITS);
    sum = _mm_packs_epi32(sum, sum);
    return _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum));
}

static void resample_row(const struct scree_resample_taps *taps, const uint8_t *in, int32_t n_in,
                         uint8_t *out)
{
    const __m256i front = _mm256_setr_epi8(0, -1, -1, -1, 1, -1, -1, -1, 2, -1, -1, -1, -1, -1, -1,
                                           -1, 3, -1, -1, -1, 4, -1, -1, -1, 5, -1, -1, -1, -1, -1,
                                           -1, -1);
    const __m256i back = _mm256_setr_epi8(6, -1, -1, -1, 7, -1, -1, -1, 8, -1, -1, -1, -1, -1, -1,
                                          -1, 9, -1, -1, -1, 10, -1, -1, -1, 11, -1, -1, -1, -1, -1,
                                          -1, -1);
    const __m256i first_two = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    const __m256i last_two = _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3);
    size_t n_bytes = 3 * (size_t)n_in;
    int32_t i = 0;

    /* Four bytes are stored, the last of which the next pixel writes over. */
    for (; i + 1 < taps->n_out; i++) {
        const int32_t *weights = taps->weights + (size_t)i * (size_t)taps->stride;
        size_t at = 3 * (size_t)taps->first[i], n = (size_t)(taps->n_taps[i] + 3) / 4;
        __m256i a = _mm256_setzero_si256(), b = a;
        int32_t pixel;

        if (at + 12 * n + BEYOND > n_bytes)
            break;
        for (size_t j = 0; j < n; j++) {
            __m256i bytes =
                _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(in + at + 12 * j)));
            __m256i w = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(weights + 4 * j)));

            a = multiply_add(a, bytes, front, _mm256_permutevar8x32_epi32(w, first_two));
            b = multiply_add(b, bytes, back, _mm256_permutevar8x32_epi32(w, last_two));
        }
        pixel = round_pixel(a, b);
        memcpy(out + 3 * (size_t)i, &pixel, sizeof pixel);
    }
    scree_resample_rgb_part(taps, in, out, i, taps->n_out);
}

void scree_resample_rgb_avx2(const struct scree_resample_taps *taps, const uint8_t *in,
                             size_t in_stride, int32_t n_in, int32_t n_rows, uint8_t *out,
                             size_t out_stride)
{
    for (int32_t y = 0; y < n_rows; y++)
        resample_row(taps, in + (size_t)y * in_stride, n_in, out + (size_t)y * out_stride);
}

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
