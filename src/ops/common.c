#include "ops/common.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

void scree_integer_range(enum scree_type type, int32_t *ret_min, int32_t *ret_max)
{
    switch (type) {
    case SCREE_TYPE_UINT8:
        *ret_min = 0;
        *ret_max = UINT8_MAX;
        break;
    case SCREE_TYPE_INT8:
        *ret_min = INT8_MIN;
        *ret_max = INT8_MAX;
        break;
    case SCREE_TYPE_INT16:
        *ret_min = INT16_MIN;
        *ret_max = INT16_MAX;
        break;
    default:
        *ret_min = INT32_MIN;
        *ret_max = INT32_MAX;
        break;
    }
}

int scree_quant_check(const struct scree_operand *operand, const char *what,
                      struct scree_error *err)
{
    if (operand->quant->n == 0)
        return scree_fail(err, EBADMSG, "%s is %s without a scale", what,
                          scree_type_name(operand->type));
    if (operand->quant->n > 1)
        return scree_fail(err, EBADMSG, "%s has %u scales, not one", what, operand->quant->n);
    return 0;
}

int scree_quant_check_all(const struct scree_call *call, struct scree_error *err)
{
    char what[24];
    int rc = 0;

    for (uint32_t i = 0; i < call->n_inputs && rc == 0; i++) {
        (void)snprintf(what, sizeof what, "input %u", i);
        if (call->inputs[i])
            rc = scree_quant_check(call->inputs[i], what, err);
    }
    for (uint32_t i = 0; i < call->n_outputs && rc == 0; i++) {
        (void)snprintf(what, sizeof what, "output %u", i);
        rc = scree_quant_check(call->outputs[i], what, err);
    }
    return rc;
}

static int check_symmetric(const struct scree_operand *operand, const char *kind, uint32_t index,
                           struct scree_error *err)
{
    for (uint32_t i = 0; i < operand->quant->n; i++)
        if (operand->quant->zero_point[i] != 0)
            return scree_fail(err, EBADMSG, "%s %u has zero point %d, %s needs 0", kind, index,
                              operand->quant->zero_point[i], scree_type_name(operand->type));
    return 0;
}

int scree_quant_check_symmetric(const struct scree_call *call, struct scree_error *err)
{
    int rc = 0;

    for (uint32_t i = 0; i < call->n_inputs && rc == 0; i++)
        if (call->inputs[i])
            rc = check_symmetric(call->inputs[i], "input", i, err);
    for (uint32_t i = 0; i < call->n_outputs && rc == 0; i++)
        rc = check_symmetric(call->outputs[i], "output", i, err);
    return rc;
}

int scree_multiplier_check(double real, struct scree_multiplier *ret, struct scree_error *err)
{
    if (!scree_multiplier_from_real(real, ret))
        return scree_fail(err, EBADMSG, "the scales ask for an impossible factor of %g", real);
    return 0;
}

bool scree_scale_log2(float scale, int *ret_log2)
{
    float log2 = logf(scale) * (1.0f / logf(2.0f));
    float rounded = roundf(log2);

    *ret_log2 = (int)rounded;
    return fabsf(log2 - rounded) < 1e-3f;
}

/* The quantized value of `real`, limited to [min, max]. */
static int32_t quantize_limited(float real, const struct scree_operand *output, int32_t min,
                                int32_t max)
{
    float q = roundf(real / output->quant->scale[0]) + (float)output->quant->zero_point[0];

    return q <= (float)min ? min : q >= (float)max ? max : (int32_t)q;
}

void scree_activation_range_quantized(enum scree_activation activation,
                                      const struct scree_operand *output, int32_t *ret_min,
                                      int32_t *ret_max)
{
    int32_t min, max;

    scree_integer_range(output->type, &min, &max);
    *ret_min = min;
    *ret_max = max;
    switch (activation) {
    case SCREE_ACTIVATION_RELU:
        *ret_min = quantize_limited(0, output, min, max);
        break;
    case SCREE_ACTIVATION_RELU6:
        *ret_min = quantize_limited(0, output, min, max);
        *ret_max = quantize_limited(6, output, min, max);
        break;
    case SCREE_ACTIVATION_RELU_N1_TO_1:
        *ret_min = quantize_limited(-1, output, min, max);
        *ret_max = quantize_limited(1, output, min, max);
        break;
    default:
        break;
    }
}

void scree_activation_range_f32(enum scree_activation activation, float *ret_min, float *ret_max)
{
    *ret_min = -FLT_MAX;
    *ret_max = FLT_MAX;
    if (activation == SCREE_ACTIVATION_RELU || activation == SCREE_ACTIVATION_RELU6)
        *ret_min = 0;
    if (activation == SCREE_ACTIVATION_RELU6)
        *ret_max = 6;
    if (activation == SCREE_ACTIVATION_RELU_N1_TO_1) {
        *ret_min = -1;
        *ret_max = 1;
    }
}

void scree_activation_range_integer(enum scree_activation activation, int64_t min, int64_t max,
                                    int64_t *ret_min, int64_t *ret_max)
{
    *ret_min = min;
    *ret_max = max;
    if (activation == SCREE_ACTIVATION_RELU || activation == SCREE_ACTIVATION_RELU6)
        *ret_min = 0;
    if (activation == SCREE_ACTIVATION_RELU6)
        *ret_max = 6;
    if (activation == SCREE_ACTIVATION_RELU_N1_TO_1) {
        *ret_min = min < -1 ? -1 : min;
        *ret_max = 1;
    }
}

int scree_window_compute(enum scree_padding padding, struct scree_window *window,
                         struct scree_error *err)
{
    int64_t extent, out, missing;

    if (window->filter < 1 || window->stride < 1 || window->dilation < 1)
        return scree_fail(err, EBADMSG, "filter size %d, stride %d, dilation %d: below 1",
                          window->filter, window->stride, window->dilation);
    extent = (int64_t)(window->filter - 1) * window->dilation + 1;
    if (extent > INT32_MAX)
        return scree_fail(err, EBADMSG, "a window of %lld elements", (long long)extent);
    if (padding == SCREE_PADDING_SAME)
        out = ((int64_t)window->in + window->stride - 1) / window->stride;
    else
        out = (window->in - extent + window->stride) / window->stride;
    if (out < 0)
        return scree_fail(err, EBADMSG, "a window of %d on %d elements", (int)extent, window->in);
    missing = (out - 1) * window->stride + extent - window->in;
    window->out = (int32_t)out;
    window->pad = missing > 0 ? (int32_t)(missing / 2) : 0;
    return 0;
}

int scree_need_axis(int64_t axis, int32_t rank, int32_t *ret_axis, struct scree_error *err)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return scree_fail(err, EBADMSG, "axis %lld of a tensor of rank %d", (long long)axis, rank);
    *ret_axis = (int32_t)(axis < 0 ? axis + rank : axis);
    return 0;
}
