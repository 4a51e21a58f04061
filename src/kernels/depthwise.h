/* kernels/depthwise.h - two-dimensional convolution of each channel by itself.
 *
 *     out[n][oy][ox][o] = f(bias[o] + sum over ky, kx of
 *                             (in[n][oy*sh - ph + ky*dh][ox*sw - pw + kx*dw][o / m] - input_zp)
 *                           * (filter[ky][kx][o] - filter_zp))      m = out_c / in_c
 *
 * The shape, quant and hybrid structs and f are those of kernels/conv.h; of the shape, filter_c and
 * n_groups are not looked at, and out_c is a multiple of in_c. Each function computes row `row` of
 * the n * out_h rows of the output, so that threads can share one call. Memory: keeps nothing.
 * Cannot fail. Source: TFLite's reference/depthwiseconv_uint8.h, depthwiseconv_float.h and
 * integer_ops/depthwise_conv.h. */
#ifndef SCREE_KERNELS_DEPTHWISE_H
#define SCREE_KERNELS_DEPTHWISE_H

#include "kernels/conv.h"

/* in u8[n][in_h][in_w][in_c], filter u8[filter_h][filter_w][out_c], bias s32[out_c] or NULL,
 * out u8[n][out_h][out_w][out_c]. Sums wrap at 32 bits. */
void scree_depthwise_u8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                        const uint8_t *in, const uint8_t *filter, const int32_t *bias, uint8_t *out,
                        size_t row);

/* The same for int8. */
void scree_depthwise_s8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                        const int8_t *in, const int8_t *filter, const int32_t *bias, int8_t *out,
                        size_t row);

/* in and out s16, filter s8, bias s64[out_c] or NULL; sums of 64 bits; zero points are 0. */
void scree_depthwise_s16(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                         const int16_t *in, const int8_t *filter, const int64_t *bias, int16_t *out,
                         size_t row);

/* in and filter s8, bias f32[out_c] or NULL, out f32. Sums wrap at 32 bits. */
void scree_depthwise_hybrid(const struct scree_conv_shape *shape,
                            const struct scree_conv_hybrid *hybrid, const int8_t *in,
                            const int8_t *filter, const float *bias, float *out, size_t row);

/* All f32: clamp(sum * scale + bias, min, max), the sum from 0 in the order ky, kx, over what of
 * the filter lies over the input.
 *
 * scales  f32[n][out_c], or NULL: 1. With scales, in and filter may hold integers, of which float
 *         sums are exact below 2^24: so the products of quantized activations are computed too.
 *
 * A member of struct scree_kernels. */
typedef void scree_depthwise_f32_fn(const struct scree_conv_shape *shape, const float *scales,
                                    float min, float max, const float *in, const float *filter,
                                    const float *bias, float *out, size_t row);

/* How a machine computes depthwise convolutions of bytes many times with the same weights, which it
 * packs once in an order of its own:
 *
 *     bytes = kernel->packed_bytes(&shape);
 *     if (bytes > 0 && kernel->pack(packed, &shape, &quant, is_signed, filter, bias))
 *         for (t = 0; t < kernel->n_tiles(packed); t++)
 *             kernel->run(packed, in, out, t);
 *
 * The results are those of scree_depthwise_u8(), or _s8() if is_signed; what a kernel does not do
 * is left to these. */
struct scree_depthwise_kernel {
    /* The size of `packed`; 0 if this kernel has nothing for the shape. */
    size_t (*packed_bytes)(const struct scree_conv_shape *shape);

    /* Fills in packed_bytes(shape) bytes, aligned to 64. False if the numbers are beyond what the
     * kernel is proven for. quant->factors is NULL. What the arguments point to is read now only,
     * but by the definition, which keeps the pointers. */
    bool (*pack)(void *packed, const struct scree_conv_shape *shape,
                 const struct scree_conv_quant *quant, bool is_signed, const void *filter,
                 const int32_t *bias);

    /* The number of tiles, which may be computed at once; 0 if the output is empty. */
    size_t (*n_tiles)(const void *packed);

    /* Computes a tile: in [n][in_h][in_w][in_c], out [n][out_h][out_w][out_c] of the type. */
    void (*run)(const void *packed, const void *in, void *out, size_t tile);
};

#endif
