#include "kernels/matmul.h"

void scree_matmul_s16s16(const struct scree_conv_quant *quant, const int16_t *in,
                         const int16_t *weights, const int32_t *bias32, const int64_t *bias64,
                         int16_t *out, size_t n_rows, size_t depth, size_t n_out)
{
    for (size_t b = 0; b < n_rows; b++)
        for (size_t o = 0; o < n_out; o++) {
            const int16_t *x = in + b * depth, *w = weights + o * depth;
            uint64_t acc = bias64 ? (uint64_t)bias64[o] : bias32 ? (uint64_t)bias32[o] : 0;
            int64_t sum;
            int32_t value;

            for (size_t i = 0; i < depth; i++)
                acc += (uint64_t)((int64_t)x[i] * (w[i] - quant->filter_zp));
            sum = (int64_t)acc;
            scree_requantize_row_i64(quant, &sum, NULL, (int32_t)o, 1, &value);
            out[b * n_out + o] = (int16_t)value;
        }
}

static int32_t dot_s8(const int8_t *a, const int8_t *b, size_t n)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (uint32_t)(a[i] * b[i]);
    return (int32_t)sum;
}

/* sum - weight_sum * zero_point through float, back to an integer towards zero. */
static int32_t take_off(int32_t sum, int32_t weight_sum, int32_t zero_point)
{
    float value = (float)sum - (float)weight_sum * (float)zero_point;

    return value >= 2147483648.0f    ? INT32_MAX
           : value <= -2147483648.0f ? INT32_MIN
                                     : (int32_t)value;
}

void scree_matmul_hybrid(const struct scree_matmul_hybrid *m, float *out)
{
    for (size_t b = 0; b < m->n_rows; b++)
        for (size_t o = 0; o < m->n_out; o++) {
            int32_t total = dot_s8(m->in + b * m->depth, m->weights + o * m->depth, m->depth);
            float scale = m->input_scales[b] * m->filter_scales[o * m->filter_stride];

            total = take_off(total, m->weight_sums[o], m->zero_points[b]);
            out[b * m->n_out + o] = scale * (float)total;
        }
}

void scree_sum_rows_s8(int32_t *sums, const int8_t *x, size_t n_rows, size_t n)
{
    for (size_t r = 0; r < n_rows; r++) {
        uint32_t sum = 0;

        for (size_t i = 0; i < n; i++)
            sum += (uint32_t)x[r * n + i];
        sums[r] = (int32_t)sum;
    }
}
