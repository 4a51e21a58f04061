/* ops/common.h - what several families of operators share: checks of quantization and the ranges of
 * fused activations.
 *
 * Memory: keeps nothing. Threads: no shared state. */
#ifndef SCREE_OPS_COMMON_H
#define SCREE_OPS_COMMON_H

#include "kernels/fixed.h"
#include "plan/op.h"

/* The least and the greatest value of u8, i8, i16 or i32; any other type is our mistake. */
void scree_integer_range(enum scree_type type, int32_t *ret_min, int32_t *ret_max);

/* Checks that the operand has one scale and one zero point for the whole tensor. `what` names it in
 * the message ("input 2", "output"). Errors: EBADMSG. */
int scree_quant_check(const struct scree_operand *operand, const char *what,
                      struct scree_error *err);

/* scree_quant_check for every input and output of the call that is there. Errors: EBADMSG. */
int scree_quant_check_all(const struct scree_call *call, struct scree_error *err);

/* Checks that every quantized operand of the call has zero point 0, as TFLite's int16 kernels
 * require. Errors: EBADMSG. */
int scree_quant_check_symmetric(const struct scree_call *call, struct scree_error *err);

/* The multiplier of a real factor found in the model, with an error instead of `false`.
 * Errors: EBADMSG, if it is not finite, negative, or 2^31 or more. */
int scree_multiplier_check(double real, struct scree_multiplier *ret, struct scree_error *err);

/* True if a scale is a power of two to within 1e-3 of its logarithm, which is *ret_log2.
 * Source: TFLite quantization_util.cc, CheckedLog2. */
bool scree_scale_log2(float scale, int *ret_log2);

/* The range to which a fused activation clamps a quantized output (u8, i8, i16), which has passed
 * scree_quant_check. TANH and SIGN_BIT clamp nothing, as in TFLite.
 * Source: TFLite kernel_util.cc, CalculateActivationRangeQuantized. */
void scree_activation_range_quantized(enum scree_activation activation,
                                      const struct scree_operand *output, int32_t *ret_min,
                                      int32_t *ret_max);

/* The range to which a fused activation clamps a float output: without one, the finite floats.
 * Source: TFLite kernel_util.h, CalculateActivationRange. */
void scree_activation_range_f32(enum scree_activation activation, float *ret_min, float *ret_max);

/* The same for an integer output that is not quantized, of range [min, max]. */
void scree_activation_range_integer(enum scree_activation activation, int64_t min, int64_t max,
                                    int64_t *ret_min, int64_t *ret_max);

/* One dimension of a sliding window. */
struct scree_window {
    int32_t in, filter, stride, dilation; /* given; in > 0 is not required */
    int32_t out, pad; /* computed: output size, padding before the first element */
};

/* Computes out and pad: SAME: out = ceil(in / stride), VALID: out = ceil((in - extent + 1) /
 * stride) with extent = (filter - 1) * dilation + 1; pad is half of what is missing, rounded down.
 * As TFLite's ComputeOutSize() and ComputePaddingWithOffset(). Errors: EBADMSG if filter, stride or
 * dilation is < 1, the extent overflows, or out would be negative. */
int scree_window_compute(enum scree_padding padding, struct scree_window *window,
                         struct scree_error *err);

/* An axis in [-rank, rank) to [0, rank). Errors: EBADMSG. */
int scree_need_axis(int64_t axis, int32_t rank, int32_t *ret_axis, struct scree_error *err);

#endif
