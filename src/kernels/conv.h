/* kernels/conv.h - two-dimensional convolution, the definition in plain C.
 *
 *     out[n][oy][ox][o] = f(bias[o] + sum over ky, kx, i of
 *                             (in[n][oy*sh - ph + ky*dh][ox*sw - pw + kx*dw][i] - input_zp)
 *                           * (filter[o][ky][kx][i] - filter_zp))
 *
 * NHWC and OHWI; what lies outside the input counts as real zero. With groups, channel o sees the
 * filter_c input channels that begin at o / (out_c / n_groups) * filter_c. A matrix product is a
 * convolution of one row of pixels with a filter of one pixel.
 *
 * The output is cut into scree_conv_tiles() tiles; each function computes one, so that threads can
 * share a call: for (t = 0; t < scree_conv_tiles(&shape); t++) scree_conv_u8(..., t);
 *
 * Memory: keeps nothing; a few kilobytes of stack. Cannot fail. Source: TFLite's reference/conv.h,
 * reference/integer_ops/conv.h, reference/transpose_conv.h and, for factors,
 * reference/integer_ops/fully_connected.h. */
#ifndef SCREE_KERNELS_CONV_H
#define SCREE_KERNELS_CONV_H

#include "kernels/requantize.h"

struct scree_conv_shape {
    int32_t n, in_h, in_w, in_c;
    int32_t filter_h, filter_w, filter_c; /* filter_c * n_groups == in_c */
    int32_t out_h, out_w, out_c;          /* out_c is a multiple of n_groups */
    int32_t stride_h, stride_w, dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t n_groups;
    /* The other way round: an input pixel adds to out[y*sh - ph + ky][x*sw - pw + kx]. Sums are
     * then taken in the order of the input's pixels. Dilations are 1, n_groups is 1. */
    bool transposed;
};

/* The number of tiles of the output; 0 if it is empty. */
size_t scree_conv_tiles(const struct scree_conv_shape *shape);

/* The offset in elements of the first channel of pixel (y, x) of image n of the input, or -1 if
 * that pixel is outside. */
static inline ptrdiff_t scree_conv_offset(const struct scree_conv_shape *shape, int32_t n,
                                          int64_t y, int64_t x)
{
    if (y < 0 || y >= shape->in_h || x < 0 || x >= shape->in_w)
        return -1;
    return (ptrdiff_t)((((int64_t)n * shape->in_h + y) * shape->in_w + x) * shape->in_c);
}

/* in u8[n][in_h][in_w][in_c], filter u8[out_c][filter_h][filter_w][filter_c],
 * bias s32[out_c] or NULL, out u8[n][out_h][out_w][out_c]. Sums wrap at 32 bits. */
void scree_conv_u8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                   const uint8_t *in, const uint8_t *filter, const int32_t *bias, uint8_t *out,
                   size_t tile);

/* The same with out s16. */
void scree_conv_u8_s16(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                       const uint8_t *in, const uint8_t *filter, const int32_t *bias, int16_t *out,
                       size_t tile);

/* The same for int8. */
void scree_conv_s8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                   const int8_t *in, const int8_t *filter, const int32_t *bias, int8_t *out,
                   size_t tile);

/* in and filter s8, out s32: sums that wrap at 32 bits, with no zero points and as they are. */
void scree_conv_s8_s32(const struct scree_conv_shape *shape, const int8_t *in, const int8_t *filter,
                       int32_t *out, size_t tile);

/* in and out s16, filter s8, bias s64[out_c] or NULL; sums of 64 bits. input_zp is 0. */
void scree_conv_s16(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                    const int16_t *in, const int8_t *filter, const int64_t *bias, int16_t *out,
                    size_t tile);

/* The same with bias s32[out_c] or NULL and sums that wrap at 32 bits. */
void scree_conv_s16_bias32(const struct scree_conv_shape *shape,
                           const struct scree_conv_quant *quant, const int16_t *in,
                           const int8_t *filter, const int32_t *bias, int16_t *out, size_t tile);

/* in s8 (the quantized activations), filter s8, bias f32[out_c] or NULL, out f32. */
void scree_conv_hybrid(const struct scree_conv_shape *shape, const struct scree_conv_hybrid *hybrid,
                       const int8_t *in, const int8_t *filter, const float *bias, float *out,
                       size_t tile);

/* A transposed convolution as TFLite's HybridTransposeConv() has it: every product is scaled by
 * itself, (in * filter * sf) * si, and added up in float. filter_first has no meaning here. */
void scree_conv_hybrid_transposed(const struct scree_conv_shape *shape,
                                  const struct scree_conv_hybrid *hybrid, const int8_t *in,
                                  const int8_t *filter, const float *bias, float *out, size_t tile);

#endif
