/* QUANTIZE (also between integer types), DEQUANTIZE, FAKE_QUANT, CAST. */
#include "kernels/convert.h"

#include <math.h>

#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/common.h"
#include "ops/table.h"
#include "ops/unary.h"

/* ---- between floats and quantized values -------------------------------------------------------
 */

/* The tensor as outer x channels x inner, of which each channel has its scale; one channel if the
 * scale is the whole tensor's. */
struct scaled {
    scree_row_fn *row;
    size_t outer, inner;
    uint32_t n_channels;
    struct scree_scale scales[]; /* [n_channels] */
};

/* The params for the operand whose quantization counts: the output of QUANTIZE, the input of
 * DEQUANTIZE. */
static int prepare_scaled(struct scree_call *call, const struct scree_operand *quantized,
                          scree_row_fn *row, struct scree_error *err)
{
    const struct scree_shape *shape = &call->inputs[0]->shape;
    const struct scree_quant *quant = quantized->quant;
    struct scaled *scaled;
    size_t bytes;
    int rc = scree_call_set_shape(call, 0, shape, err);

    if (rc < 0)
        return rc;
    if (quant->n == 0)
        return scree_fail(err, EBADMSG, "a quantized tensor without a scale");
    if (quant->n > 1 && (quant->axis < 0 || quant->axis >= shape->rank ||
                         (uint32_t)shape->dims[quant->axis] != quant->n))
        return scree_fail(err, EBADMSG, "%u scales do not fit dimension %d", quant->n, quant->axis);
    if (!scree_mul_size(quant->n, sizeof scaled->scales[0], &bytes) ||
        !scree_add_size(bytes, sizeof *scaled, &bytes))
        return scree_fail_memory(err, SIZE_MAX);
    scaled = scree_call_params(call, bytes);
    if (!scaled)
        return scree_fail_memory(err, bytes);
    *scaled = (struct scaled){
        .row = row, .outer = 1, .inner = quantized->n_elements, .n_channels = quant->n};
    for (uint32_t i = 0; i < quant->n; i++)
        scaled->scales[i] = (struct scree_scale){quant->scale[i], quant->zero_point[i]};
    if (quant->n > 1) {
        scaled->inner = 1;
        for (int32_t i = 0; i < shape->rank; i++) {
            if (i < quant->axis)
                scaled->outer *= (size_t)shape->dims[i];
            else if (i > quant->axis)
                scaled->inner *= (size_t)shape->dims[i];
        }
    }
    return 0;
}

static void run_scaled(const struct scaled *scaled, const struct scree_operand *output,
                       const void *in, size_t in_bytes)
{
    const size_t steps[1] = {1};
    size_t out_bytes = scree_type_bytes(output->type);
    const char *from = in;
    char *to = output->data;

    for (size_t o = 0; o < scaled->outer; o++) {
        for (uint32_t c = 0; c < scaled->n_channels; c++) {
            const void *data[1] = {from};

            scaled->row(to, data, steps, scaled->inner, &scaled->scales[c]);
            from += scaled->inner * in_bytes;
            to += scaled->inner * out_bytes;
        }
    }
}

/* QUANTIZE to 8 bits, by a table if the floats are functions of bytes (DEQUANTIZE before it). */
static int prepare_quantize(struct scree_call *call, scree_row_fn *row, struct scree_error *err)
{
    int rc = prepare_scaled(call, call->outputs[0], row, err);
    const struct scaled *scaled = call->params;
    struct scree_unary *unary = NULL;

    if (rc < 0 || !call->inputs[0]->source || scaled->n_channels > 1)
        return rc;
    rc = scree_unary_prepare(call, &unary, err);
    if (rc < 0)
        return rc;
    unary->row = call->kernels->lut_8;
    if (!scree_table_of_floats(call, row, &scaled->scales[0], unary->table.bytes))
        return prepare_scaled(call, call->outputs[0], row, err);
    return 0;
}

/* DEQUANTIZE of 8 bits. */
static int prepare_dequantize(struct scree_call *call, scree_row_fn *row, struct scree_error *err)
{
    int rc = prepare_scaled(call, call->inputs[0], row, err);
    const struct scaled *scaled = call->params;
    float *table;

    if (rc < 0 || !call->once || scaled->n_channels > 1)
        return rc;
    table = scree_arena_new(call->arena, float, SCREE_LUT_8_SIZE);
    if (!table)
        return scree_fail_memory(err, SCREE_LUT_8_SIZE * sizeof table[0]);
    scree_table_to_floats(call, row, &scaled->scales[0], table);
    return 0;
}

static bool is_integer(enum scree_type type)
{
    return type != SCREE_TYPE_FLOAT32 && type != SCREE_TYPE_FLOAT16;
}

/* The kernel from one quantized type to another, of those that are not both 8-bit. */
static scree_row_fn *requantize_row(enum scree_type in, enum scree_type out)
{
    switch (in) {
    case SCREE_TYPE_UINT8:
        return scree_requantize_u8_i16;
    case SCREE_TYPE_INT8:
        return scree_requantize_i8_i16;
    case SCREE_TYPE_INT16:
        return out == SCREE_TYPE_INT8    ? scree_requantize_i16_i8
               : out == SCREE_TYPE_INT16 ? scree_rescale_i16
                                         : scree_requantize_i16_i32;
    default:
        return out == SCREE_TYPE_INT8 ? scree_requantize_i32_i8 : scree_requantize_i32_i16;
    }
}

static int prepare_requantize(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *out = call->outputs[0];
    struct scree_unary_params *params;
    struct scree_unary *unary = NULL;
    int rc = scree_unary_prepare(call, &unary, err);

    if (rc == 0)
        rc = scree_quant_check_all(call, err);
    if (rc == 0 && in->type == SCREE_TYPE_INT16 && out->type == SCREE_TYPE_INT16)
        rc = scree_quant_check_symmetric(call, err);
    if (rc < 0)
        return rc;
    params = &unary->params;
    params->zero_point = in->quant->zero_point[0];
    params->out_zero_point = out->quant->zero_point[0];
    scree_integer_range(out->type, &params->min, &params->max);
    rc = scree_multiplier_check((double)in->quant->scale[0] / (double)out->quant->scale[0],
                                &params->multiplier, err);
    if (rc < 0)
        return rc;
    if (scree_type_bytes(in->type) == 1 && scree_type_bytes(out->type) == 1)
        scree_unary_use_table(call, unary, scree_rescale_quantized);
    else
        unary->row = requantize_row(in->type, out->type);
    return 0;
}

int scree_quantize_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *output = call->outputs[0];

    if (is_integer(call->inputs[0]->type))
        return prepare_requantize(call, err);
    switch (output->type) {
    case SCREE_TYPE_UINT8:
        return prepare_quantize(call, call->kernels->quantize_u8, err);
    case SCREE_TYPE_INT8:
        return prepare_quantize(call, call->kernels->quantize_i8, err);
    default:
        return prepare_scaled(call, output, scree_quantize_i16, err);
    }
}

int scree_quantize_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0];

    if (is_integer(input->type))
        return scree_unary_run(call, err);
    run_scaled(call->params, call->outputs[0], input->data, sizeof(float));
    return 0;
}

int scree_dequantize_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0];
    struct scree_unary *unary = NULL;
    int rc;

    switch (input->type) {
    case SCREE_TYPE_FLOAT16:
        rc = scree_unary_prepare(call, &unary, err);
        if (rc == 0)
            unary->row = scree_widen_f16;
        return rc;
    case SCREE_TYPE_UINT8:
        return prepare_dequantize(call, call->kernels->dequantize_u8, err);
    case SCREE_TYPE_INT16:
        rc = scree_quant_check_symmetric(call, err);
        return rc < 0 ? rc : prepare_scaled(call, input, scree_dequantize_i16, err);
    case SCREE_TYPE_INT4:
        if (!input->constant)
            return scree_fail(err, ENOTSUP, "int4 that is not constant");
        call->scratch_bytes = input->n_elements;
        return prepare_scaled(call, input, scree_dequantize_i8, err);
    default:
        return prepare_dequantize(call, call->kernels->dequantize_i8, err);
    }
}

int scree_dequantize_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0];

    if (input->type == SCREE_TYPE_FLOAT16)
        return scree_unary_run(call, err);
    if (input->type == SCREE_TYPE_INT4) {
        scree_unpack_i4(call->scratch, input->data, input->n_elements);
        run_scaled(call->params, call->outputs[0], call->scratch, 1);
    } else {
        run_scaled(call->params, call->outputs[0], input->data, scree_type_bytes(input->type));
    }
    return 0;
}

/* ---- FAKE_QUANT --------------------------------------------------------------------------------
 */

/* Moves [min, max] so that 0, or the end nearest to it, is one of its 2^bits points. */
static void nudge_range(float min, float max, int bits, struct scree_fake_quant *ret)
{
    float last = (float)((1 << bits) - 1);
    float scale = (max - min) / last;
    float zero = roundf(fminf(fmaxf(-min / scale, 0), last));

    *ret = (struct scree_fake_quant){(0 - zero) * scale, (last - zero) * scale, scale};
}

int scree_fake_quant_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_fake_quant_options *options = &call->node->options.fake_quant;
    struct scree_fake_quant *params = scree_call_params(call, sizeof *params);

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    if (options->narrow_range)
        return scree_fail(err, ENOTSUP, "a narrow range");
    if (options->num_bits < 1 || options->num_bits > 16)
        return scree_fail(err, EBADMSG, "%d bits are not in 1 to 16", options->num_bits);
    if (!(options->max > options->min) || !isfinite(options->max - options->min))
        return scree_fail(err, EBADMSG, "%g to %g is no range", (double)options->min,
                          (double)options->max);
    nudge_range(options->min, options->max, options->num_bits, params);
    if (!(params->scale > 0))
        return scree_fail(err, EBADMSG, "the range %g to %g is too narrow", (double)options->min,
                          (double)options->max);
    return scree_call_set_shape(call, 0, &call->inputs[0]->shape, err);
}

int scree_fake_quant_run(const struct scree_call *call, struct scree_error *err)
{
    const void *data[1] = {call->inputs[0]->data};
    const size_t steps[1] = {1};

    scree_fake_quantize(call->outputs[0]->data, data, steps, call->inputs[0]->n_elements,
                        call->params);
    return 0;
}

/* ---- CAST --------------------------------------------------------------------------------------
 */

/* How a type is read and written; the loader that is NULL is the one it does not use. */
struct cast_type {
    scree_load_integer_fn *load_integer;
    scree_load_float_fn *load_float;
    scree_store_integer_fn *store_integer;
    scree_store_float_fn *store_float;
};

static const struct cast_type *cast_type_of(enum scree_type type)
{
    static const struct cast_type types[] = {
        [SCREE_TYPE_FLOAT32] = {NULL, scree_load_f32, scree_store_f32, scree_store_float_f32},
        [SCREE_TYPE_FLOAT16] = {NULL, scree_load_f16, scree_store_f16, scree_store_float_f16},
        [SCREE_TYPE_INT32] = {scree_load_i32, NULL, scree_store_i32, scree_store_float_i32},
        [SCREE_TYPE_UINT8] = {scree_load_u8, NULL, scree_store_u8, scree_store_float_u8},
        [SCREE_TYPE_INT64] = {scree_load_i64, NULL, scree_store_i64, scree_store_float_i64},
        [SCREE_TYPE_BOOL] = {scree_load_bool, NULL, scree_store_bool, scree_store_float_bool},
        [SCREE_TYPE_INT16] = {scree_load_i16, NULL, scree_store_i16, scree_store_float_i16},
        [SCREE_TYPE_INT8] = {scree_load_i8, NULL, scree_store_i8, scree_store_float_i8},
        [SCREE_TYPE_UINT16] = {scree_load_u16, NULL, scree_store_u16, scree_store_float_u16},
        [SCREE_TYPE_UINT32] = {scree_load_u32, NULL, scree_store_u32, scree_store_float_u32},
    };

    return &types[type];
}

int scree_cast_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_scale as_is = {1, 0};
    enum scree_type type = call->inputs[0]->type;
    bool is_byte = type == SCREE_TYPE_UINT8 || type == SCREE_TYPE_INT8;
    float *table;

    if (call->once && is_byte && call->outputs[0]->type == SCREE_TYPE_FLOAT32) {
        table = scree_arena_new(call->arena, float, SCREE_LUT_8_SIZE);
        if (!table)
            return scree_fail_memory(err, SCREE_LUT_8_SIZE * sizeof table[0]);
        scree_table_to_floats(call,
                              type == SCREE_TYPE_UINT8 ? scree_dequantize_u8 : scree_dequantize_i8,
                              &as_is, table);
    }
    return scree_call_set_shape(call, 0, &call->inputs[0]->shape, err);
}

int scree_cast_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *output = call->outputs[0];
    const struct cast_type *in = cast_type_of(input->type), *out = cast_type_of(output->type);
    size_t in_bytes = scree_type_bytes(input->type), out_bytes = scree_type_bytes(output->type);
    union {
        int64_t integers[256];
        float floats[256];
    } block;
    size_t n;

    for (size_t i = 0; i < input->n_elements; i += n) {
        const char *from = (const char *)input->data + i * in_bytes;
        char *to = (char *)output->data + i * out_bytes;

        n = input->n_elements - i < 256 ? input->n_elements - i : 256;
        if (in->load_integer) {
            in->load_integer(block.integers, from, n);
            out->store_integer(to, block.integers, n);
        } else {
            in->load_float(block.floats, from, n);
            out->store_float(to, block.floats, n);
        }
    }
    return 0;
}
