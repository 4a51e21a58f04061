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

#endif
