#include "ops/matrix.h"

#include <math.h>

#include "base/checked.h"
#include "kernels/hybrid.h"
#include "kernels/kernels.h"
#include "ops/common.h"

bool scree_matrix_is_hybrid(const struct scree_call *call)
{
    return call->inputs[0]->type == SCREE_TYPE_FLOAT32 &&
           call->inputs[1]->type != SCREE_TYPE_FLOAT32;
}

int scree_matrix_check_bias(const struct scree_call *call, int32_t out_c,
                            enum scree_type quantized_bias_type, struct scree_error *err)
{
    const struct scree_operand *bias = scree_call_input(call, 2);
    /* 0, float32, says nothing */
    enum scree_type wanted = quantized_bias_type == SCREE_TYPE_FLOAT32 ? SCREE_TYPE_INT64
                                                                       : quantized_bias_type;

    if (!bias)
        return 0;
    if (bias->n_elements != (size_t)out_c)
        return scree_fail(err, EBADMSG, "%zu biases for %d output channels", bias->n_elements,
                          out_c);
    if (bias->type != SCREE_TYPE_FLOAT32 && bias->quant->n == 1 && bias->quant->zero_point[0] != 0)
        return scree_fail(err, EBADMSG, "a bias with zero point %d", bias->quant->zero_point[0]);
    if (call->inputs[0]->type == SCREE_TYPE_INT16 && bias->type != wanted)
        return scree_fail(err, EBADMSG, "a bias of %s where the options ask for %s",
                          scree_type_name(bias->type), scree_type_name(wanted));
    return 0;
}

/* The window goes over the input and what a PAD has put around it. */
static int compute_window(enum scree_padding padding, int32_t before, int32_t behind,
                          struct scree_window *window, struct scree_error *err)
{
    int64_t in = (int64_t)window->in + before + behind;
    int rc;

    if (in > INT32_MAX)
        return scree_fail(err, E2BIG, "an input of %lld rows or columns", (long long)in);
    window->in = (int32_t)in;
    rc = scree_window_compute(padding, window, err);
    window->pad += before;
    return rc;
}

int scree_matrix_set_window(struct scree_call *call, enum scree_padding padding,
                            struct scree_conv_shape *shape, struct scree_error *err)
{
    static const struct scree_margin none = {0};
    const struct scree_margin *margin = call->margin ? call->margin : &none;
    struct scree_window h = {shape->in_h, shape->filter_h, shape->stride_h, shape->dilation_h};
    struct scree_window w = {shape->in_w, shape->filter_w, shape->stride_w, shape->dilation_w};
    struct scree_shape out = {.rank = 4};
    int rc = compute_window(padding, margin->top, margin->bottom, &h, err);

    if (rc >= 0)
        rc = compute_window(padding, margin->left, margin->right, &w, err);
    if (rc < 0)
        return rc;
    shape->out_h = h.out;
    shape->out_w = w.out;
    shape->pad_top = h.pad;
    shape->pad_left = w.pad;
    out.dims[0] = shape->n;
    out.dims[1] = shape->out_h;
    out.dims[2] = shape->out_w;
    out.dims[3] = shape->out_c;
    return scree_call_set_shape(call, 0, &out, err);
}

/* TFLite multiplies the scales of uint8 models as floats, all others as doubles. */
static double real_multiplier(const struct scree_operand *input,
                              const struct scree_operand *weights,
                              const struct scree_operand *output, uint32_t channel)
{
    float in = input->quant->scale[0], weight = weights->quant->scale[channel];
    double product = input->type == SCREE_TYPE_UINT8 ? (double)(in * weight)
                                                     : (double)in * (double)weight;

    return product / (double)output->quant->scale[0];
}

int scree_matrix_check_bias_scale(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *bias = scree_call_input(call, 2);
    double product, scale, step;

    if (!bias)
        return 0;
    product = (double)call->inputs[0]->quant->scale[0] * (double)call->inputs[1]->quant->scale[0];
    scale = bias->quant->n == 1 ? (double)bias->quant->scale[0] : 0;
    step = (double)call->outputs[0]->quant->scale[0];
    if (fabs(product - scale) / step > 0.02)
        return scree_fail(err, EBADMSG, "a bias of scale %g to products of scale %g", scale,
                          product);
    return 0;
}

/* Errors with EBADMSG if a multiplier is too great for 64-bit accumulators (scree_multiply_i64). */
static int check_shift(const struct scree_multiplier *multiplier, struct scree_error *err)
{
    if (multiplier->shift <= 7)
        return 0;
    return scree_fail(err, EBADMSG, "scales that ask for a factor of 128 or more");
}

int scree_matrix_set_multipliers(struct scree_call *call, struct scree_conv_quant *quant,
                                 struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *output = call->outputs[0];
    uint32_t n = call->inputs[1]->quant->n;
    struct scree_multiplier *multipliers = scree_arena_new(call->arena, struct scree_multiplier, n);
    int rc = 0;

    if (!multipliers)
        return scree_fail_memory(err, n * sizeof *multipliers);
    for (uint32_t i = 0; rc >= 0 && i < n; i++) {
        rc = scree_multiplier_check(real_multiplier(input, call->inputs[1], output, i),
                                    &multipliers[i], err);
        if (rc >= 0 && input->type == SCREE_TYPE_INT16)
            rc = check_shift(&multipliers[i], err);
    }
    quant->multipliers = multipliers;
    return rc;
}

int scree_matrix_quantize(const struct scree_call *call, enum scree_activation activation,
                          int32_t out_c, struct scree_conv_quant *quant, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *weights = call->inputs[1];
    const struct scree_operand *output = call->outputs[0];
    bool is_u8 = input->type == SCREE_TYPE_UINT8;
    uint32_t n = weights->quant->n;
    int rc = scree_quant_check(input, "input", err);

    if (rc >= 0)
        rc = scree_quant_check(output, "output", err);
    if (rc >= 0 && n != 1 && (n != (uint32_t)out_c || is_u8))
        rc = scree_fail(err, EBADMSG, "%u scales of weights for %d output channels", n, out_c);
    if (rc >= 0 && input->type == SCREE_TYPE_INT16 &&
        (input->quant->zero_point[0] != 0 || output->quant->zero_point[0] != 0))
        rc = scree_fail(err, EBADMSG, "int16 with a zero point");
    if (rc >= 0 && is_u8)
        rc = scree_matrix_check_bias_scale(call, err);
    if (rc < 0)
        return rc;
    scree_activation_range_quantized(activation, output, &quant->min, &quant->max);
    quant->input_zp = input->quant->zero_point[0];
    quant->filter_zp = is_u8 ? weights->quant->zero_point[0] : 0;
    quant->output_zp = output->quant->zero_point[0];
    quant->multiplier_stride = n > 1;
    return 0;
}

int scree_matrix_hybrid(const struct scree_call *call, enum scree_activation activation,
                        int32_t out_c, bool per_channel, struct scree_conv_hybrid *hybrid,
                        struct scree_error *err)
{
    const struct scree_quant *quant = call->inputs[1]->quant;

    if (quant->n == 0)
        return scree_fail(err, EBADMSG, "integer weights are not quantized");
    if (per_channel && quant->n != 1 && quant->n != (uint32_t)out_c)
        return scree_fail(err, EBADMSG, "%u scales of weights for %d output channels", quant->n,
                          out_c);
    hybrid->filter_scales = quant->scale;
    hybrid->filter_scale_stride = per_channel && quant->n > 1;
    scree_activation_range_f32(activation, &hybrid->min, &hybrid->max);
    return 0;
}

bool scree_matrix_take(struct scree_call *call, size_t n, size_t size, size_t *ret_offset)
{
    size_t end;

    *ret_offset = call->scratch_bytes;
    return scree_mul_size(n, size, &n) && scree_add_size(call->scratch_bytes, n, &end) &&
           scree_align_size(end, 64, &call->scratch_bytes);
}

int scree_matrix_plan_scratch(struct scree_call *call, int32_t n_images,
                              struct scree_matrix_scratch *scratch, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *weights = call->inputs[1];
    size_t n = (size_t)n_images;
    bool fits = true;

    if (weights->type == SCREE_TYPE_INT4 && !weights->constant)
        return scree_fail(err, ENOTSUP, "int4 weights that are not constant");
    call->scratch_bytes = 0;
    if (weights->type == SCREE_TYPE_INT4)
        fits = scree_matrix_take(call, weights->n_elements, 1, &scratch->weights);
    if (fits && n > 0)
        fits = scree_matrix_take(call, input->n_elements, 1, &scratch->input) &&
               scree_matrix_take(call, n, sizeof(float), &scratch->scales) &&
               scree_matrix_take(call, n, sizeof(int32_t), &scratch->zero_points);
    return fits ? 0 : scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
}

const void *scree_matrix_weights(const struct scree_call *call,
                                 const struct scree_matrix_scratch *scratch)
{
    const struct scree_operand *weights = call->inputs[1];
    int8_t *unpacked = (int8_t *)call->scratch + scratch->weights;

    if (weights->type != SCREE_TYPE_INT4)
        return weights->data;
    scree_unpack_s4(unpacked, weights->data, weights->n_elements);
    return unpacked;
}

const void *scree_matrix_bias(const struct scree_call *call)
{
    const struct scree_operand *bias = scree_call_input(call, 2);

    return bias ? bias->data : NULL;
}

const int8_t *scree_matrix_quantize_input(const struct scree_call *call,
                                          const struct scree_matrix_scratch *scratch,
                                          int32_t n_images, bool asymmetric,
                                          struct scree_conv_hybrid *hybrid)
{
    char *memory = call->scratch;
    int8_t *quantized = (int8_t *)(memory + scratch->input);
    float *scales = (float *)(void *)(memory + scratch->scales);
    int32_t *zero_points = (int32_t *)(void *)(memory + scratch->zero_points);
    size_t n = n_images > 0 ? call->inputs[0]->n_elements / (size_t)n_images : 0;

    scree_hybrid_quantize_rows(call->kernels->hybrid, quantized, scales, zero_points,
                               call->inputs[0]->data, (size_t)n_images, n, asymmetric);
    hybrid->input_scales = scales;
    hybrid->input_zps = zero_points;
    return quantized;
}

static bool is_constant(const struct scree_operand *operand)
{
    return operand->constant && operand->data;
}

static bool can_pack(const struct scree_call *call)
{
    enum scree_type type = call->inputs[0]->type;
    const struct scree_operand *bias = scree_call_input(call, 2);

    return call->once && (type == SCREE_TYPE_UINT8 || type == SCREE_TYPE_INT8) &&
           call->inputs[1]->type == type && call->outputs[0]->type == type &&
           is_constant(call->inputs[1]) && (!bias || is_constant(bias));
}

int scree_matrix_pack(struct scree_call *call, const struct scree_conv_shape *shape,
                      const struct scree_conv_quant *quant, struct scree_gemm **ret_gemm,
                      struct scree_error *err)
{
    int rc;

    *ret_gemm = NULL;
    if (!can_pack(call))
        return 0;
    rc = scree_gemm_new(call->arena, call->kernels->gemm, shape, quant,
                        call->inputs[0]->type == SCREE_TYPE_UINT8, call->inputs[1]->data,
                        scree_matrix_bias(call), ret_gemm);
    if (rc < 0)
        return scree_fail_memory(err, call->inputs[1]->bytes);
    if (*ret_gemm) {
        call->thread_scratch_bytes = (*ret_gemm)->scratch_bytes;
        call->consumed = 1 << 1 | (scree_call_input(call, 2) ? 1 << 2 : 0);
    }
    return 0;
}

/* What the threads of a run share. */
struct packed_run {
    const struct scree_call *call;
    const struct scree_gemm *gemm;
};

static void run_tile(void *arg, size_t tile, int thread)
{
    const struct packed_run *run = arg;
    const struct scree_call *call = run->call;

    scree_gemm_run(run->gemm, call->inputs[0]->data, call->outputs[0]->data, tile,
                   scree_call_thread_scratch(call, thread));
}

void scree_matrix_run_packed(const struct scree_call *call, const struct scree_gemm *gemm)
{
    struct packed_run run = {call, gemm};

    scree_pool_run(call->pool, gemm->n_tiles, run_tile, &run);
}
