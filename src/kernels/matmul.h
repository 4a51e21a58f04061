/* kernels/matmul.h - matrix products that are not convolutions.
 *
 * Memory: keeps nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_MATMUL_H
#define SCREE_KERNELS_MATMUL_H

#include "kernels/requantize.h"

/* A fully connected layer with weights of 16 bits:
 *
 *     out[b][o] = requantize(bias[o] + sum over i of in[b][i] * (weights[o][i] - filter_zp))
 *
 * in s16[n_rows][depth], weights s16[n_out][depth], out s16[n_rows][n_out]; bias s32[n_out] or
 * s64[n_out], exactly one of them, or neither. Sums of 64 bits; scree_requantize_row_i64().
 *
 * Cannot fail. Source: TFLite's fully_connected.cc, FullyConnectedInt16FilterInt16Impl. */
void scree_matmul_s16s16(const struct scree_conv_quant *quant, const int16_t *in,
                         const int16_t *weights, const int32_t *bias32, const int64_t *bias64,
                         int16_t *out, size_t n_rows, size_t depth, size_t n_out);

/* Quantized rows of activations times int8 weights:
 *
 *     total(b, o) = sum over i of in[b][i] * weights[o][i] - weight_sums[o] * zero_points[b]
 *     out[b][o] = input_scales[b] * filter_scales[o] * total(b, o)
 *
 * in s8[n_rows][depth], weights s8[n_out][depth], weight_sums s32[n_out], input_scales f32[n_rows],
 * zero_points s32[n_rows], filter_scales f32[n_out], or [1] with filter_stride 0, out
 * f32[n_rows][n_out]. Sums wrap at 32 bits; the zero points are taken off in float, as there.
 *
 * Cannot fail. Source: TFLite's reference/batch_matmul.h. */
struct scree_matmul_hybrid {
    const int8_t *in, *weights;
    const int32_t *weight_sums, *zero_points;
    const float *input_scales, *filter_scales;
    size_t filter_stride;
    size_t n_rows, depth, n_out;
};

void scree_matmul_hybrid(const struct scree_matmul_hybrid *matmul, float *out);

/* sums[r] = sum over i of x[r][i], x s8[n_rows][n], sums s32[n_rows]; they wrap. Cannot fail. */
void scree_sum_rows_s8(int32_t *sums, const int8_t *x, size_t n_rows, size_t n);

#endif
