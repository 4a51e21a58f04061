/* kernels/hybrid.h - float activations made int8 at run time, for weights that are int8.
 *
 * Memory: keeps nothing. Threads: pure functions. Source: TFLite's
 * reference/portable_tensor_utils.cc. */
#ifndef SCREE_KERNELS_HYBRID_H
#define SCREE_KERNELS_HYBRID_H

#include "kernels/requantize.h"

/* How floats become integers: q = round(x * inverse + zero_point), halves away from zero, limited
 * to [min, 127]; NaN becomes min. */
struct scree_hybrid_step {
    float inverse, zero_point, min;
};

/* How sums of products of quantized activations and weights become outputs: from channel o of one
 * pixel on,
 *
 *     clamp((sums[i] - zero_point * weight_sums[i]) * scale + bias[i])
 *
 * with input_scale and filter_scales[i] multiplied as struct scree_conv_hybrid says. Differences of
 * integers wrap at 32 bits. */
struct scree_hybrid_row {
    const struct scree_conv_hybrid *hybrid; /* how, and the clamp; its arrays are not read */
    float input_scale;
    int32_t zero_point;
    const int32_t *weight_sums; /* from channel o on: the sum of its weights */
    const float *filter_scales; /* likewise, or [1] if hybrid says that there is one for all */
    const float *bias;          /* likewise, or NULL */
};

/* What of it is worth an instruction set. The same bits in all. */
struct scree_hybrid_kernel {
    /* The least and the greatest of x f32[n], n > 0. NaN is passed over, unless it is x[0]. */
    void (*range)(const float *x, size_t n, float *ret_min, float *ret_max);
    /* q s8[n], x f32[n] */
    void (*quantize)(int8_t *q, const float *x, size_t n, const struct scree_hybrid_step *step);
    /* The same less the zero point, as floats. q f32[n] */
    void (*quantize_f32)(float *q, const float *x, size_t n, const struct scree_hybrid_step *step);
    /* out f32[n] from sums s32[n], which may be the same memory */
    void (*rescale)(float *out, const void *sums, const struct scree_hybrid_row *row, size_t n);
};

/* How x is quantized. */
struct scree_hybrid_range {
    struct scree_hybrid_step step;
    float scale;
    int32_t zero_point;
    bool all_zero; /* then all q are 0 */
};

/* x is about scale * (q - zero_point). Symmetric: scale = max |x| / 127, q in [-127, 127], zero
 * point 0. Asymmetric: [min(x, 0), max(x, 0)] fills [-128, 127] and zero is exact. All zeros: scale
 * 1, zero point 0. x f32[n], n > 0. */
struct scree_hybrid_range scree_hybrid_find_range(const struct scree_hybrid_kernel *kernel,
                                                  const float *x, size_t n, bool asymmetric);

/* Quantizes by it: to q s8[n], or with the zero point taken off to f32[n]. */
void scree_hybrid_quantize(const struct scree_hybrid_kernel *kernel, int8_t *q, const float *x,
                           size_t n, const struct scree_hybrid_range *range);
void scree_hybrid_quantize_f32(const struct scree_hybrid_kernel *kernel, float *q, const float *x,
                               size_t n, const struct scree_hybrid_range *range);

/* Finds the range of each of n_rows rows and quantizes it: q s8[n_rows][n], scales f32[n_rows],
 * zero_points s32[n_rows] (0 if symmetric), x f32[n_rows][n]. */
void scree_hybrid_quantize_rows(const struct scree_hybrid_kernel *kernel, int8_t *q, float *scales,
                                int32_t *zero_points, const float *x, size_t n_rows, size_t n,
                                bool asymmetric);

/* out[i] = the i-th signed number of 4 bits, the low half of a byte first. packed u8[(n + 1) / 2],
 * out s8[n]. */
void scree_unpack_s4(int8_t *out, const uint8_t *packed, size_t n);

/* The definition. */
extern const struct scree_hybrid_kernel scree_hybrid_c;

#endif
