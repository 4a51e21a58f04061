/* Activations that are nodes of their own: RELU and its kin, LOGISTIC, TANH, HARD_SWISH, GELU ...
 */
#include <math.h>

#include "kernels/kernels.h"
#include "ops/binary.h"
#include "ops/common.h"
#include "ops/unary.h"

static bool is_8bit(enum scree_type type)
{
    return type == SCREE_TYPE_UINT8 || type == SCREE_TYPE_INT8;
}

/* ---- RELU, RELU6, RELU_N1_TO_1, RELU_0_TO_1 ----------------------------------------------------
 */

/* The quantized value of `bound`, limited to [params->min, params->max]. */
static int32_t quantize_bound(const struct scree_call *call,
                              const struct scree_unary_params *params, float bound)
{
    float q = roundf(bound / call->outputs[0]->quant->scale[0]) + (float)params->out_zero_point;

    return q <= (float)params->min   ? params->min
           : q >= (float)params->max ? params->max
                                     : (int32_t)q;
}

/* A clamp to [min, max], INFINITY for none. Quantized, the scales may differ. */
static int prepare_clamp(struct scree_call *call, float min, float max, struct scree_error *err)
{
    struct scree_unary_params *params;
    struct scree_unary *unary = NULL;
    int32_t low, high;
    int rc = scree_unary_prepare(call, &unary, err);

    if (rc < 0)
        return rc;
    params = &unary->params;
    params->min_f32 = min;
    params->max_f32 = max;
    unary->row = call->kernels->rows_f32->clamp;
    if (call->inputs[0]->type == SCREE_TYPE_FLOAT32)
        return 0;
    rc = scree_unary_prepare_quantized(call, unary, err);
    if (rc == 0)
        rc = scree_multiplier_check(scree_unary_scale_ratio(call), &params->multiplier, err);
    if (rc < 0)
        return rc;
    low = quantize_bound(call, params, min);
    high = quantize_bound(call, params, max);
    params->min = low;
    params->max = high;
    unary->row = scree_rescale_i16;
    if (is_8bit(call->inputs[0]->type))
        scree_unary_use_table(call, unary, scree_rescale_quantized);
    return 0;
}

int scree_relu_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_clamp(call, 0, INFINITY, err);
}

int scree_relu6_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_clamp(call, 0, 6, err);
}

int scree_relu_n1_to_1_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_clamp(call, -1, 1, err);
}

int scree_relu_0_to_1_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_clamp(call, 0, 1, err);
}

int scree_leaky_relu_prepare(struct scree_call *call, struct scree_error *err)
{
    float alpha = call->node->options.leaky_relu.alpha;
    struct scree_unary_params *params;
    struct scree_unary *unary = NULL;
    int rc = scree_unary_prepare(call, &unary, err);

    if (rc < 0)
        return rc;
    params = &unary->params;
    params->alpha = alpha;
    unary->row = scree_leaky_relu_f32;
    if (call->inputs[0]->type == SCREE_TYPE_FLOAT32)
        return 0;
    rc = scree_unary_prepare_quantized(call, unary, err);
    if (rc == 0)
        rc = scree_multiplier_check(scree_unary_scale_ratio(call), &params->multiplier, err);
    if (rc == 0)
        rc = scree_multiplier_check(
            fabsf(call->inputs[0]->quant->scale[0] * alpha / call->outputs[0]->quant->scale[0]),
            &params->negative, err);
    if (rc < 0)
        return rc;
    params->negative_sign = alpha < 0 ? -1 : 1;
    unary->row = scree_leaky_relu_i16;
    if (is_8bit(call->inputs[0]->type))
        scree_unary_use_table(call, unary, scree_leaky_relu_quantized);
    return 0;
}

/* ---- PRELU -------------------------------------------------------------------------------------
 */

int scree_prelu_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {
        .f32 = scree_prelu_f32, .i16 = scree_prelu_i16, .i8 = scree_prelu_i8, .u8 = scree_prelu_u8};
    const struct scree_operand *input = call->inputs[0];
    struct scree_binary *binary = NULL;
    float ratio;
    int rc = scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);

    if (rc < 0)
        return rc;
    if (!scree_shape_equal(&input->shape, &call->outputs[0]->shape))
        return scree_fail(err, EBADMSG, "more slopes than values");
    if (input->type == SCREE_TYPE_FLOAT32)
        return 0;
    rc = scree_binary_prepare_quantized(call, SCREE_ACTIVATION_NONE, &binary->args, err);
    if (rc < 0)
        return rc;
    /* In float, as TFLite does. */
    ratio = input->quant->scale[0] * call->inputs[1]->quant->scale[0] /
            call->outputs[0]->quant->scale[0];
    rc = scree_multiplier_check(scree_unary_scale_ratio(call), &binary->args.out_multiplier, err);
    return rc < 0 ? rc : scree_multiplier_check(ratio, &binary->args.multiplier[1], err);
}

/* ---- LOGISTIC, TANH ----------------------------------------------------------------------------
 */

/* The multiplier and shift that bring an i16 input to steps of 1/12288 (1/24 of the table, 9 bits
 * between). A scale of 2^-12 * 2^k, k in [0, greatest_k], is exact: 3 * 2^k. */
static int prepare_table_input(const struct scree_call *call, int greatest_k,
                               struct scree_unary_params *params, struct scree_error *err)
{
    float scale = call->inputs[0]->quant->scale[0];
    double multiplier = (double)scale * 4096.0 * 3.0;
    int log2;

    if (scree_scale_log2(scale, &log2) && log2 >= -12 && log2 <= -12 + greatest_k) {
        params->input_multiplier = 3 << (log2 + 12);
        return 0;
    }
    while (multiplier <= 32767.0 / 2.0 && params->input_shift <= 30) {
        params->input_shift++;
        multiplier *= 2.0;
    }
    if (multiplier >= 2147483648.0)
        return scree_fail(err, EBADMSG, "input 0 has scale %g, which is too large", (double)scale);
    params->input_multiplier = (int32_t)multiplier;
    return 0;
}

int scree_logistic_prepare(struct scree_call *call, struct scree_error *err)
{
    enum scree_type type = call->inputs[0]->type;
    double scale = type == SCREE_TYPE_INT16 ? 1. / 32768 : 1. / 256;
    struct scree_unary *unary = NULL;
    int rc = scree_unary_prepare(call, &unary, err);

    if (rc < 0)
        return rc;
    unary->row = scree_logistic_f16;
    unary->params.min_f32 = SCREE_LOGISTIC_MIN;
    unary->params.max_f32 = SCREE_LOGISTIC_MAX;
    if (type == SCREE_TYPE_FLOAT32)
        unary->row = call->exact_floats ? scree_logistic_f32 : call->kernels->rows_f32->logistic;
    if (type == SCREE_TYPE_FLOAT32 || type == SCREE_TYPE_FLOAT16)
        return 0;
    rc = scree_unary_prepare_quantized(call, unary, err);
    if (rc < 0)
        return rc;
    if (call->outputs[0]->quant->scale[0] != scale)
        return scree_fail(err, EBADMSG, "output 0 has scale %g, not %g",
                          (double)call->outputs[0]->quant->scale[0], scale);
    if (is_8bit(type))
        return scree_unary_use_lut(call, unary, scree_logistic_of, NULL, err);
    unary->row = scree_logistic_i16;
    return prepare_table_input(call, 0, &unary->params, err);
}

int scree_tanh_prepare(struct scree_call *call, struct scree_error *err)
{
    enum scree_type type = call->inputs[0]->type;
    struct scree_unary *unary = NULL;
    int log2, rc = scree_unary_prepare(call, &unary, err);

    if (rc < 0)
        return rc;
    unary->row = type == SCREE_TYPE_FLOAT16 ? scree_tanh_f16 : scree_tanh_f32;
    if (type == SCREE_TYPE_FLOAT32 || type == SCREE_TYPE_FLOAT16)
        return 0;
    if (is_8bit(type))
        return scree_unary_use_lut(call, unary, scree_tanh_of, NULL, err);
    rc = scree_unary_prepare_quantized(call, unary, err);
    if (rc < 0)
        return rc;
    if (!scree_scale_log2(call->outputs[0]->quant->scale[0], &log2) || log2 != -15)
        return scree_fail(err, EBADMSG, "output 0 has scale %g, not 2^-15",
                          (double)call->outputs[0]->quant->scale[0]);
    unary->row = scree_tanh_i16;
    return prepare_table_input(call, 1, &unary->params, err);
}

/* ---- HARD_SWISH --------------------------------------------------------------------------------
 */

/* The upper half of a multiplier, rounded. */
static int16_t upper_half(struct scree_multiplier multiplier)
{
    return (int16_t)(multiplier.q >= INT32_MAX - (1 << 15) ? INT16_MAX
                                                           : (multiplier.q + (1 << 15)) >> 16);
}

static int prepare_hard_swish_quantized(struct scree_call *call, struct scree_unary *unary,
                                        struct scree_error *err)
{
    struct scree_unary_params *params = &unary->params;
    struct scree_multiplier swish = {0}, relu = {0};
    int rc = scree_unary_prepare_quantized(call, unary, err);
    float scale; /* of the input with seven more bits */

    if (rc < 0)
        return rc;
    scale = (1.0f / 128.0f) * call->inputs[0]->quant->scale[0];
    rc = scree_multiplier_check(scale / call->outputs[0]->quant->scale[0], &swish, err);
    if (rc == 0)
        rc = scree_multiplier_check(scale / (3.0f / 32768.0f), &relu, err);
    if (rc < 0)
        return rc;
    if (swish.shift > 0)
        return scree_fail(err, EBADMSG, "the output's scale is less than 1/128 of the input's");
    params->swish_q = upper_half(swish);
    params->swish_shift = swish.shift;
    params->reluish_q = upper_half(relu);
    params->reluish_shift = relu.shift;
    scree_unary_use_table(call, unary, scree_hard_swish_quantized);
    return 0;
}

int scree_hard_swish_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_unary *unary = NULL;
    int rc = scree_unary_prepare(call, &unary, err);

    if (rc < 0)
        return rc;
    unary->row = call->kernels->rows_f32->hard_swish;
    if (is_8bit(call->inputs[0]->type))
        rc = prepare_hard_swish_quantized(call, unary, err);
    return rc;
}

/* ---- ELU, GELU ---------------------------------------------------------------------------------
 */

static int prepare_lut(struct scree_call *call, scree_row_fn *f32, scree_lut_fn *f,
                       struct scree_error *err)
{
    struct scree_unary *unary = NULL;
    int rc = scree_unary_prepare(call, &unary, err);

    if (rc < 0)
        return rc;
    unary->row = f32;
    if (call->inputs[0]->type != SCREE_TYPE_FLOAT32)
        rc = scree_unary_use_lut(call, unary, f, NULL, err);
    return rc;
}

int scree_elu_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_lut(call, scree_elu_f32, scree_elu_of, err);
}

int scree_gelu_prepare(struct scree_call *call, struct scree_error *err)
{
    if (call->node->options.gelu.approximate)
        return prepare_lut(call, scree_gelu_tanh_f32, scree_gelu_tanh_of, err);
    return prepare_lut(call, scree_gelu_f32, scree_gelu_of, err);
}
