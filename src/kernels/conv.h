/* kernels/conv.h - two-dimensional convolution, the definition in plain C.
 *
 *     out[n][oy][ox][o] = f(bias[o] + sum over ky, kx, i of
 *                             (in[n][oy*sh - ph + ky*dh][ox*sw - pw + kx*dw][i] - input_zp)
 *                           * (filter[o][ky][kx][i] - filter_zp))
 *
 * NHWC and OHWI; what lies outside the input counts as real zero. With groups, channel o sees the
 * filter_c input channels that begin at o / (out_c / n_groups) * filter_c.
 *
 * Each function computes rows [row, row + n_rows) of the n * out_h rows of the output, so that
 * threads can share one call. Memory: keeps nothing. Cannot fail. Source: TFLite's reference/conv.h
 * and reference/integer_ops/conv.h. */
#ifndef SCREE_KERNELS_CONV_H
#define SCREE_KERNELS_CONV_H

#include "kernels/fixed.h"

struct scree_conv_shape {
    int32_t n, in_h, in_w, in_c;
    int32_t filter_h, filter_w, filter_c; /* filter_c * n_groups == in_c */
    int32_t out_h, out_w, out_c;          /* out_c is a multiple of n_groups */
    int32_t stride_h, stride_w, dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t n_groups;
};

/* From the accumulator to the output's quantized numbers:
 * clamp(output_zp + acc * multiplier[o], min, max), by scree_multiply(). */
struct scree_conv_quant {
    int32_t input_zp, filter_zp, output_zp; /* zero points in the range of their types */
    int32_t min, max;
    const struct scree_multiplier *multipliers; /* [out_c], or [1] with multiplier_stride 0 */
    int32_t multiplier_stride;                  /* 1: one per output channel, 0: one for all */
};

/* Bytes of working memory a thread: the patch of input under one output pixel, s16 or f32. */
size_t scree_conv_patch_bytes(const struct scree_conv_shape *shape, size_t element_bytes);

/* uint8 in, filter and out; bias s32[out_c] or NULL; patch s16[filter_h * filter_w * in_c]. Sums
 * wrap. */
void scree_conv_u8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                   const uint8_t *in, const uint8_t *filter, const int32_t *bias, uint8_t *out,
                   int16_t *patch, size_t row, size_t n_rows);

/* The same for int8. */
void scree_conv_s8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                   const int8_t *in, const int8_t *filter, const int32_t *bias, int8_t *out,
                   int16_t *patch, size_t row, size_t n_rows);

/* float32; clamp(sum + bias, min, max), the sum in the order ky, kx, i; patch f32[...]. */
void scree_conv_f32(const struct scree_conv_shape *shape, float min, float max, const float *in,
                    const float *filter, const float *bias, float *out, float *patch, size_t row,
                    size_t n_rows);

#endif
