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
