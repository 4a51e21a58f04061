/* Functions of one tensor that are not activations: ABS, NEG, EXP, LOG, SQRT, ROUND ... */
#include "ops/unary.h"

#include <math.h>

#include "kernels/kernels.h"
#include "ops/broadcast.h"
#include "ops/common.h"
#include "ops/table.h"

int scree_unary_prepare(struct scree_call *call, struct scree_unary **ret_unary,
                        struct scree_error *err)
{
    struct scree_unary *unary = scree_call_params(call, sizeof *unary);
    int rc;

    if (!unary)
        return scree_fail_memory(err, sizeof *unary);
    rc = scree_call_set_shape(call, 0, &call->inputs[0]->shape, err);
    if (rc < 0)
        return rc;
    unary->row_params = &unary->params;
    unary->lowest = INT32_MIN;
    *ret_unary = unary;
    return 0;
}

int scree_unary_prepare_quantized(const struct scree_call *call, struct scree_unary *unary,
                                  struct scree_error *err)
{
    struct scree_unary_params *params = &unary->params;
    int rc = scree_quant_check_all(call, err);

    if (rc == 0 && call->inputs[0]->type == SCREE_TYPE_INT16)
        rc = scree_quant_check_symmetric(call, err);
    if (rc < 0)
        return rc;
    params->zero_point = call->inputs[0]->quant->zero_point[0];
    params->out_zero_point = call->outputs[0]->quant->zero_point[0];
    scree_integer_range(call->outputs[0]->type, &params->min, &params->max);
    return 0;
}

int scree_unary_use_lut(struct scree_call *call, struct scree_unary *unary, scree_lut_fn *f,
                        const void *arg, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0];
    int rc = scree_unary_prepare_quantized(call, unary, err);
    struct scree_lut_scales scales;

    if (rc < 0)
        return rc;
    scales = (struct scree_lut_scales){
        .scale = input->quant->scale[0],
        .out_scale = call->outputs[0]->quant->scale[0],
        .zero_point = unary->params.zero_point,
        .out_zero_point = unary->params.out_zero_point,
    };
    unary->row_params = &unary->table;
    if (input->type == SCREE_TYPE_INT16) {
        unary->row = scree_lut_16;
        scree_lut_16_fill(unary->table.words, &scales, f, arg);
    } else {
        unary->row = call->kernels->lut_8;
        scree_lut_8_fill(unary->table.bytes, input->type == SCREE_TYPE_INT8, &scales, f, arg);
        scree_table_chain(call, unary->table.bytes);
    }
    return 0;
}

void scree_unary_use_table(struct scree_call *call, struct scree_unary *unary,
                           scree_quantized_fn *f)
{
    int32_t min, max;

    scree_integer_range(call->inputs[0]->type, &min, &max);
    for (int32_t q = min; q <= max; q++)
        if (q >= unary->lowest)
            unary->table.bytes[(uint8_t)q] = (uint8_t)f(q, &unary->params);
    unary->row = call->kernels->lut_8;
    unary->row_params = &unary->table;
    if (unary->lowest == INT32_MIN)
        scree_table_chain(call, unary->table.bytes);
}

float scree_unary_scale_ratio(const struct scree_call *call)
{
    return call->inputs[0]->quant->scale[0] / call->outputs[0]->quant->scale[0];
}

/* True if an element of the i8 or i16 operand is below `lowest`. */
static bool has_below(const struct scree_operand *operand, int32_t lowest)
{
    for (size_t i = 0; i < operand->n_elements; i++) {
        int32_t q = operand->type == SCREE_TYPE_INT8 ? ((const int8_t *)operand->data)[i]
                                                     : ((const int16_t *)operand->data)[i];

        if (q < lowest)
            return true;
    }
    return false;
}

int scree_unary_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_unary *unary = call->params;
    const struct scree_operand *input = call->inputs[0];
    const void *data[1] = {input->data};
    struct scree_broadcast flat;

    if (unary->lowest != INT32_MIN && has_below(input, unary->lowest))
        return scree_fail(err, EBADMSG, "a root of a negative number");
    if (unary->row == call->kernels->lut_8) {
        scree_table_run(call, unary->table.bytes);
        return 0;
    }
    scree_broadcast_init_flat(&flat, input->n_elements, scree_type_bytes(input->type),
                              scree_type_bytes(call->outputs[0]->type));
    scree_broadcast_run(&flat, call->pool, data, call->outputs[0]->data, unary->row,
                        unary->row_params);
    return 0;
}

static bool is_quantized_type(enum scree_type type)
{
    return type == SCREE_TYPE_INT8 || type == SCREE_TYPE_UINT8 || type == SCREE_TYPE_INT16;
}

/* An operator that has one kernel for each type. */
static int prepare_row(struct scree_call *call, scree_row_fn *row, struct scree_error *err)
{
    struct scree_unary *unary = NULL;
    int rc = scree_unary_prepare(call, &unary, err);

    if (rc < 0)
        return rc;
    unary->row = row;
    if (call->inputs[0]->type == SCREE_TYPE_FLOAT32)
        scree_table_through_floats(call, row, &unary->params, unary->table.floats);
    return 0;
}

/* The same, with a kernel for f16 beside that for f32. */
static int prepare_float(struct scree_call *call, scree_row_fn *f32, scree_row_fn *f16,
                         struct scree_error *err)
{
    return prepare_row(call, call->inputs[0]->type == SCREE_TYPE_FLOAT16 ? f16 : f32, err);
}

/* A kernel for f32, a table for quantized types. */
static int prepare_lut(struct scree_call *call, scree_row_fn *f32, scree_lut_fn *f, const void *arg,
                       struct scree_error *err)
{
    struct scree_unary *unary = NULL;
    int rc = scree_unary_prepare(call, &unary, err);

    if (rc < 0)
        return rc;
    if (is_quantized_type(call->inputs[0]->type))
        return scree_unary_use_lut(call, unary, f, arg, err);
    unary->row = f32;
    return 0;
}

int scree_abs_prepare(struct scree_call *call, struct scree_error *err)
{
    enum scree_type type = call->inputs[0]->type;
    struct scree_unary *unary = NULL;
    int rc;

    if (type == SCREE_TYPE_FLOAT32)
        return prepare_row(call, scree_abs_f32, err);
    if (type == SCREE_TYPE_INT32)
        return prepare_row(call, scree_abs_i32, err);
    if (type == SCREE_TYPE_INT16 && call->inputs[0]->quant->n == 0)
        return prepare_row(call, scree_abs_i16, err);
    rc = scree_unary_prepare(call, &unary, err);
    if (rc == 0)
        rc = scree_unary_prepare_quantized(call, unary, err);
    if (rc == 0)
        rc = scree_multiplier_check(scree_unary_scale_ratio(call), &unary->params.multiplier, err);
    if (rc < 0)
        return rc;
    unary->row = scree_abs_q16;
    if (type == SCREE_TYPE_INT8)
        scree_unary_use_table(call, unary, scree_abs_quantized);
    return 0;
}

int scree_neg_prepare(struct scree_call *call, struct scree_error *err)
{
    switch (call->inputs[0]->type) {
    case SCREE_TYPE_INT64:
        return prepare_row(call, scree_neg_i64, err);
    case SCREE_TYPE_INT32:
        return prepare_row(call, scree_neg_i32, err);
    case SCREE_TYPE_INT16:
        return prepare_row(call, scree_neg_i16, err);
    case SCREE_TYPE_INT8:
        return prepare_row(call, scree_neg_i8, err);
    default:
        return prepare_float(call, scree_neg_f32, scree_neg_f16, err);
    }
}

int scree_exp_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_lut(call, scree_exp_f32, scree_exp_of, NULL, err);
}

int scree_log_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_quant *quant = call->outputs[0]->quant;
    int32_t min, max;
    float lowest = 0; /* what the logarithm of 0 and less is: the least output */

    scree_integer_range(call->outputs[0]->type, &min, &max);
    if (is_quantized_type(call->inputs[0]->type) && quant->n > 0)
        lowest = (float)(min - quant->zero_point[0]) * quant->scale[0];
    return prepare_lut(call, scree_log_f32, scree_log_of, &lowest, err);
}

int scree_sqrt_prepare(struct scree_call *call, struct scree_error *err)
{
    enum scree_type type = call->inputs[0]->type;
    struct scree_unary *unary = NULL;
    int rc;

    if (type == SCREE_TYPE_FLOAT32)
        return prepare_row(call, scree_sqrt_f32, err);
    rc = scree_unary_prepare(call, &unary, err);
    if (rc == 0)
        rc = scree_quant_check_all(call, err);
    if (rc < 0)
        return rc;
    unary->params.zero_point = call->inputs[0]->quant->zero_point[0];
    unary->params.out_zero_point = call->outputs[0]->quant->zero_point[0];
    unary->params.scale = call->inputs[0]->quant->scale[0];
    unary->params.out_scale = call->outputs[0]->quant->scale[0];
    unary->lowest = unary->params.zero_point;
    scree_integer_range(type, &unary->params.min, &unary->params.max);
    unary->row = scree_sqrt_i16;
    if (type == SCREE_TYPE_INT8)
        scree_unary_use_table(call, unary, scree_sqrt_quantized);
    return 0;
}

int scree_rsqrt_prepare(struct scree_call *call, struct scree_error *err)
{
    enum scree_type type = call->inputs[0]->type;
    struct scree_unary *unary = NULL;
    float greatest, scale;
    int rc;

    if (type == SCREE_TYPE_FLOAT32)
        return prepare_row(call, scree_rsqrt_f32, err);
    rc = scree_unary_prepare(call, &unary, err);
    if (rc == 0)
        rc = scree_unary_prepare_quantized(call, unary, err);
    if (rc < 0)
        return rc;
    unary->lowest = unary->params.zero_point;
    scale = call->outputs[0]->quant->scale[0];
    if (type == SCREE_TYPE_INT16) {
        greatest = INT16_MAX * scale;
        return scree_unary_use_lut(call, unary, scree_rsqrt_of, &greatest, err);
    }
    rc = scree_multiplier_check(1. / (sqrtf(call->inputs[0]->quant->scale[0]) * scale),
                                &unary->params.multiplier, err);
    if (rc == 0)
        scree_unary_use_table(call, unary, scree_rsqrt_quantized);
    return rc;
}

int scree_sin_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_float(call, scree_sin_f32, scree_sin_f16, err);
}

int scree_cos_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_float(call, scree_cos_f32, scree_cos_f16, err);
}

int scree_square_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_row(call, scree_square_f32, err);
}

int scree_floor_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_float(call, scree_floor_f32, scree_floor_f16, err);
}

int scree_ceil_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_row(call, scree_ceil_f32, err);
}

int scree_round_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_float(call, scree_round_f32, scree_round_f16, err);
}

int scree_sign_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_row(
        call, call->inputs[0]->type == SCREE_TYPE_INT32 ? scree_sign_i32 : scree_sign_f32, err);
}

int scree_logical_not_prepare(struct scree_call *call, struct scree_error *err)
{
    return prepare_row(call, scree_logical_not, err);
}
