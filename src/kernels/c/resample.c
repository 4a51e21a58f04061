#include "kernels/resample.h"

#include "base/checked.h"

#define HALF ((int32_t)1 << (SCREE_RESAMPLE_BITS - 1))

static inline uint8_t round_sum(int32_t sum)
{
    return (uint8_t)scree_clamp_i32(sum >> SCREE_RESAMPLE_BITS, 0, 255);
}

void scree_resample_rgb_part(const struct scree_resample_taps *taps, const uint8_t *in,
                             uint8_t *out, int32_t i, int32_t end)
{
    for (; i < end; i++) {
        const int32_t *weights = taps->weights + (size_t)i * (size_t)taps->stride;
        const uint8_t *p = in + 3 * (size_t)taps->first[i];
        int32_t n = taps->n_taps[i];
        int32_t r = HALF, g = HALF, b = HALF;

        for (int32_t j = 0; j < n; j++) {
            r += p[3 * j + 0] * weights[j];
            g += p[3 * j + 1] * weights[j];
            b += p[3 * j + 2] * weights[j];
        }
        out[3 * i + 0] = round_sum(r);
        out[3 * i + 1] = round_sum(g);
        out[3 * i + 2] = round_sum(b);
    }
}

void scree_resample_rgb(const struct scree_resample_taps *taps, const uint8_t *in, size_t in_stride,
                        int32_t n_in, int32_t n_rows, uint8_t *out, size_t out_stride)
{
    (void)n_in;
    for (int32_t y = 0; y < n_rows; y++)
        scree_resample_rgb_part(taps, in + (size_t)y * in_stride, out + (size_t)y * out_stride, 0,
                                taps->n_out);
}

void scree_resample_rows_from(const uint8_t *const *rows, const int32_t *weights, int32_t n_rows,
                              uint8_t *out, size_t i, size_t n)
{
    for (; i < n; i++) {
        int32_t sum = HALF;

        for (int32_t j = 0; j < n_rows; j++)
            sum += rows[j][i] * weights[j];
        out[i] = round_sum(sum);
    }
}

void scree_resample_rows(const uint8_t *const *rows, const int32_t *weights, int32_t n_rows,
                         uint8_t *out, size_t n)
{
    /* Sums of some bytes at a time, so that the inner loop is along a row. */
    enum { N = 64 };
    size_t i = 0;

    for (; i + N <= n; i += N) {
        int32_t sums[N];

        for (int k = 0; k < N; k++)
            sums[k] = HALF;
        for (int32_t j = 0; j < n_rows; j++)
            for (int k = 0; k < N; k++)
                sums[k] += rows[j][i + (size_t)k] * weights[j];
        for (int k = 0; k < N; k++)
            out[i + (size_t)k] = round_sum(sums[k]);
    }
    scree_resample_rows_from(rows, weights, n_rows, out, i, n);
}
