/* kernels/requantize.h - from sums of products to outputs.
 *
 * What the convolutions and matrix products do behind their sums, a row of output channels at a
 * time. Memory: keeps nothing. Threads: pure functions. Cannot fail. Source: TFLite's
 * kernels/internal/common.cc and reference/integer_ops/. */
#ifndef SCREE_KERNELS_REQUANTIZE_H
#define SCREE_KERNELS_REQUANTIZE_H

#include "kernels/fixed.h"

/* From the accumulator to the output's quantized numbers:
 * clamp(output_zp + acc * multiplier[o], min, max), by scree_multiply(), or with `factors`
 * clamp(output_zp + round(acc * factor[o]), min, max) in double precision. */
struct scree_conv_quant {
    int32_t input_zp, filter_zp, output_zp; /* zero points in the range of their types */
    int32_t min, max;
    const struct scree_multiplier *multipliers; /* [out_c], or [1] with multiplier_stride 0 */
    const double *factors;                      /* likewise; NULL: multipliers count */
    int32_t multiplier_stride;                  /* 1: one per output channel, 0: one for all */
};

/* Float activations that were quantized on the way in, with int8 weights ("hybrid"). With the scale
 * of batch n si = input_scales[n] and that of channel o sf = filter_scales[o]:
 * clamp(acc * (sf * si) + bias[o], min, max), or with filter_first (acc * sf) * si. */
struct scree_conv_hybrid {
    const float *input_scales;   /* f32[n] */
    const int32_t *input_zps;    /* s32[n] in the range of int8, or NULL: all 0 */
    const float *filter_scales;  /* f32[out_c], or [1] with filter_scale_stride 0 */
    int32_t filter_scale_stride; /* 1 or 0 */
    bool filter_first;
    float min, max;
};

/* ret[i] = the output's quantized number for channel o + i from sums[i] + bias[o + i], which wraps
 * at 32 bits. sums u32[n], bias s32[o + n] or NULL, ret s32[n]. */
void scree_requantize_row(const struct scree_conv_quant *quant, const uint32_t *sums,
                          const int32_t *bias, int32_t o, int32_t n, int32_t *ret);

/* The same from sums of 64 bits, by scree_multiply_i64() or by the factors; |sum + bias| < 2^47.
 * sums s64[n], bias s64[o + n] or NULL. */
void scree_requantize_row_i64(const struct scree_conv_quant *quant, const int64_t *sums,
                              const int64_t *bias, int32_t o, int32_t n, int32_t *ret);

/* ret[i] = the float output of a hybrid product for channel o + i of image n_image from sums[i],
 * which is taken for 32 signed bits. sums u32[n], bias f32[o + n] or NULL, ret f32[n]. */
void scree_rescale_row(const struct scree_conv_hybrid *hybrid, const uint32_t *sums,
                       const float *bias, int32_t n_image, int32_t o, int32_t n, float *ret);

#endif
