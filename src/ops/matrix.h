/* ops/matrix.h - what the convolutions and matrix products share: input 0 meets weights (input 1)
 * and perhaps a bias (input 2), an accumulator becomes output 0.
 *
 * Three kinds: float; quantized (scree_matrix_quantize); hybrid, that is float activations and int8
 * weights, where the activations are quantized at each run (scree_matrix_hybrid). Weights of 4 bits
 * are unpacked at each run. Memory: in the call's arena and its scratch. */
#ifndef SCREE_OPS_MATRIX_H
#define SCREE_OPS_MATRIX_H

#include "kernels/gemm.h"
#include "plan/op.h"

/* Packs the weights of an 8-bit call for kernels/gemm.h, once for many runs, after
 * scree_matrix_quantize and the multipliers or factors; sets the scratch of its threads. *ret_gemm
 * is NULL where kernels/conv.h computes the call: another type, weights or a bias that are not
 * constant, a call that is prepared for each run, a layer that scree_gemm_new() declines.
 * Errors: ENOMEM. */
int scree_matrix_pack(struct scree_call *call, const struct scree_conv_shape *shape,
                      const struct scree_conv_quant *quant, struct scree_gemm **ret_gemm,
                      struct scree_error *err);

/* Runs a packed call on in and output 0, by the threads of its pool. */
void scree_matrix_run_packed(const struct scree_call *call, const struct scree_gemm *gemm);

/* Where a run keeps what in call->scratch: offsets in bytes. */
struct scree_matrix_scratch {
    size_t weights;     /* unpacked weights, if they have 4 bits */
    size_t input;       /* hybrid: quantized activations */
    size_t scales;      /* hybrid: f32, one an image */
    size_t zero_points; /* hybrid: s32, one an image */
};

/* True for float activations with integer weights. */
bool scree_matrix_is_hybrid(const struct scree_call *call);

/* Checks a bias, if there is one: out_c elements, zero point 0; for int16 activations that its type
 * is what the option quantized_bias_type says (int64 if it says nothing). Errors: EBADMSG. */
int scree_matrix_check_bias(const struct scree_call *call, int32_t out_c,
                            enum scree_type quantized_bias_type, struct scree_error *err);

/* Fills in output sizes and paddings of `shape`, whose other members are set, and sets the shape of
 * output 0. Errors: EBADMSG, E2BIG. */
int scree_matrix_set_window(struct scree_call *call, enum scree_padding padding,
                            struct scree_conv_shape *shape, struct scree_error *err);

/* Fills the zero points, the clamp and the stride of the multipliers of `quant` for a quantized
 * call. Weights of int8, int16 and int4 have zero point 0 here, whatever the file says. Errors:
 * EBADMSG (quantization missing or impossible, a bias whose scale does not fit). Source: TFLite
 * kernel_util.cc, PopulateConvolutionQuantizationParams. */
int scree_matrix_quantize(const struct scree_call *call, enum scree_activation activation,
                          int32_t out_c, struct scree_conv_quant *quant, struct scree_error *err);

/* Fills in the multipliers, one, or one per output channel, in the call's arena, after
 * scree_matrix_quantize.
 * Errors: EBADMSG (scales that ask for an impossible multiplier), ENOMEM. */
int scree_matrix_set_multipliers(struct scree_call *call, struct scree_conv_quant *quant,
                                 struct scree_error *err);

/* Checks that a bias has the scale of input times weights, as far as an output step can tell.
 * Errors: EBADMSG. Source: TFLite kernel_util.cc, GetQuantizedConvolutionMultipler. */
int scree_matrix_check_bias_scale(const struct scree_call *call, struct scree_error *err);

/* Fills `hybrid` for a call of hybrid kind: the scales of the weights (one per output channel if
 * per_channel, else the first) and the clamp of the activation. The input's scales are the run's
 * business. Errors: EBADMSG (weights not quantized, wrong number of scales). */
int scree_matrix_hybrid(const struct scree_call *call, enum scree_activation activation,
                        int32_t out_c, bool per_channel, struct scree_conv_hybrid *hybrid,
                        struct scree_error *err);

/* Takes n * size bytes, aligned to 64, at the end of call->scratch; *ret_offset is where they are.
 * False if their number does not fit in a size_t. */
bool scree_matrix_take(struct scree_call *call, size_t n, size_t size, size_t *ret_offset);

/* Lays out call->scratch for n_images images of activations that are quantized each by itself (0 if
 * the call is not hybrid). Errors: E2BIG. */
int scree_matrix_plan_scratch(struct scree_call *call, int32_t n_images,
                              struct scree_matrix_scratch *scratch, struct scree_error *err);

/* The weights of a run, a byte each at least: unpacked into the scratch if they have 4 bits. */
const void *scree_matrix_weights(const struct scree_call *call,
                                 const struct scree_matrix_scratch *scratch);

/* The bias of a run or NULL. */
const void *scree_matrix_bias(const struct scree_call *call);

/* Quantizes the activations of a run into the scratch, each image of n_images by itself, and makes
 * `hybrid` point to what came out. Returns the quantized activations. */
const int8_t *scree_matrix_quantize_input(const struct scree_call *call,
                                          const struct scree_matrix_scratch *scratch,
                                          int32_t n_images, bool asymmetric,
                                          struct scree_conv_hybrid *hybrid);

#endif
