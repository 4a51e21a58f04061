/* ops/concat.c - tensors put together along an axis and taken apart again: CONCATENATION, PACK,
 * SPLIT, SPLIT_V, UNPACK.
 *
 * Seen from the axis, each of the parts is `rows` runs of bytes, and so is the whole; a part's run
 * lies in the whole's run behind those of the parts before it. */
#include <math.h>

#include "ops/common.h"
#include "ops/layout.h"
#include "ops/ops.h"

/* ---- CONCATENATION ------------------------------------------------------------------------- */

/* How one input gets into the output: as it is, or each byte through a table. */
struct concat_input {
    bool rescale;
    uint8_t table[256];
};

struct concat_params {
    int32_t axis;
    struct concat_input inputs[]; /* [n_inputs] */
};

/* What a u8 of the input's scale is in the output's, in float and rounded as in TFLite's
 * reference/concatenation.h. There a value out of int32's range is undefined; here it saturates. */
static uint8_t concat_rescale(uint8_t x, const struct scree_quant *in,
                              const struct scree_quant *out)
{
    float scale = in->scale[0] * (1.0f / out->scale[0]);
    float bias = (float)-in->zero_point[0] * scale;
    float value = roundf((float)x * scale + bias) + (float)out->zero_point[0];

    return (uint8_t)(value > 0 ? value < 255 ? value : 255 : 0);
}

/* uint8 inputs may have scales of their own; all other types are copied as they are, and TFLite
 * wants int8 to agree and int16 to be symmetric. */
static int concat_quant(const struct scree_call *call, struct concat_params *params,
                        struct scree_error *err)
{
    const struct scree_operand *out = call->outputs[0];
    int rc = 0;

    if (out->type == SCREE_TYPE_INT16)
        return scree_quant_check_symmetric(call, err);
    for (uint32_t i = 0; i < call->n_inputs && rc == 0; i++) {
        const struct scree_operand *in = call->inputs[i];
        struct concat_input *input = &params->inputs[i];

        if (out->type == SCREE_TYPE_INT8)
            rc = scree_quant_check_same(in, out, err);
        if (out->type != SCREE_TYPE_UINT8 || scree_quant_check_same(in, out, NULL) == 0)
            continue;
        if ((rc = scree_quant_check(in, in->name, err)) < 0 ||
            (rc = scree_quant_check(out, out->name, err)) < 0)
            return rc;
        input->rescale = true;
        for (int x = 0; x < 256; x++)
            input->table[x] = concat_rescale((uint8_t)x, in->quant, out->quant);
    }
    return rc;
}

static bool concat_rescales(const struct scree_call *call, const struct concat_params *params)
{
    for (uint32_t i = 0; i < call->n_inputs; i++)
        if (params->inputs[i].rescale)
            return true;
    return false;
}

/* The inputs' common shape with the sum of their sizes along the axis. */
static int concat_shape(const struct scree_call *call, int32_t axis, struct scree_shape *ret_shape,
                        struct scree_error *err)
{
    int64_t sum = 0;

    *ret_shape = call->inputs[0]->shape;
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        struct scree_shape shape = call->inputs[i]->shape;
        char text[96];

        if (shape.rank == ret_shape->rank) {
            sum += shape.dims[axis];
            shape.dims[axis] = ret_shape->dims[axis];
        }
        if (!scree_shape_equal(&shape, ret_shape))
            return scree_fail(err, EBADMSG,
                              "input %u is of shape %s, which does not fit axis %d of "
                              "input 0",
                              i, scree_shape_text(&call->inputs[i]->shape, text, sizeof text),
                              axis);
    }
    if (sum > INT32_MAX)
        return scree_fail(err, E2BIG, "the output has %lld elements along axis %d", (long long)sum,
                          axis);
    ret_shape->dims[axis] = (int32_t)sum;
    return 0;
}

/* Scalars make a vector, as TFLite has it for constants. */
static int concat_scalars(struct scree_call *call, int32_t axis, struct scree_error *err)
{
    struct scree_shape shape = {1, {(int32_t)call->n_inputs}};

    if (axis != 0)
        return scree_fail(err, EBADMSG, "axis %d of scalars", axis);
    for (uint32_t i = 1; i < call->n_inputs; i++)
        if (call->inputs[i]->shape.rank != 0)
            return scree_fail(err, EBADMSG, "input 0 is a scalar, input %u is not", i);
    return scree_call_set_shape(call, 0, &shape, err);
}

int scree_concatenation_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_concatenation_options *options = &call->node->options.concatenation;
    struct concat_params *params;
    struct scree_shape shape;
    size_t bytes = sizeof *params + call->n_inputs * sizeof params->inputs[0];
    int rc;

    if (options->activation != SCREE_ACTIVATION_NONE)
        return scree_fail(err, ENOTSUP, "a fused activation");
    if (!(params = scree_call_params(call, bytes)))
        return scree_fail_memory(err, bytes);
    if ((rc = concat_quant(call, params, err)) < 0)
        return rc;
    if (call->inputs[0]->shape.rank == 0)
        return concat_scalars(call, options->axis, err);
    if ((rc = scree_need_axis(options->axis, call->inputs[0]->shape.rank, &params->axis, err)) <
            0 ||
        (rc = concat_shape(call, params->axis, &shape, err)) < 0)
        return rc;
    if (scree_shape_span(&shape, 0, params->axis) == 1 && !concat_rescales(call, params))
        call->alias = SCREE_ALIAS_INPUTS;
    return scree_call_set_shape(call, 0, &shape, err);
}

int scree_concatenation_run(const struct scree_call *call, struct scree_error *err)
{
    const struct concat_params *params = call->params;
    const struct scree_operand *out = call->outputs[0];
    size_t element = scree_type_bytes(out->type);
    size_t rows = scree_shape_span(&out->shape, 0, params->axis);
    size_t pitch = scree_shape_span(&out->shape, params->axis, out->shape.rank) * element;
    uint8_t *to = out->data;

    for (uint32_t i = 0; i < call->n_inputs; i++) {
        const struct scree_operand *in = call->inputs[i];
        size_t bytes = scree_shape_span(&in->shape, params->axis, in->shape.rank) * element;

        if (in->n_elements == 0)
            continue;
        if (in->data == to) /* it has been made there */
            ;
        else if (params->inputs[i].rescale)
            scree_translate_rows(to, pitch, in->data, bytes, rows, bytes, params->inputs[i].table);
        else
            scree_copy_rows(to, pitch, in->data, bytes, rows, bytes);
        to += bytes;
    }
    return 0;
}

/* ---- PACK ---------------------------------------------------------------------------------- */

struct axis_params {
    int32_t axis;
};

/* Leaves the axis to run. */
static int keep_axis(struct scree_call *call, int32_t axis, struct scree_error *err)
{
    struct axis_params *params = scree_call_params(call, sizeof *params);

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    params->axis = axis;
    return 0;
}

static int pack_check(const struct scree_call *call, struct scree_error *err)
{
    int rc = 0;

    if (call->node->options.pack.values_count != (int64_t)call->n_inputs)
        return scree_fail(err, EBADMSG, "%u inputs, the options say %d", call->n_inputs,
                          call->node->options.pack.values_count);
    for (uint32_t i = 0; i < call->n_inputs && rc == 0; i++) {
        if (!scree_shape_equal(&call->inputs[i]->shape, &call->inputs[0]->shape))
            return scree_fail(err, EBADMSG, "inputs 0 and %u have different shapes", i);
        rc = scree_quant_check_same(call->inputs[i], call->outputs[0], err);
    }
    return rc;
}

int scree_pack_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape;
    struct scree_shape shape = {0};
    int32_t axis;
    int rc;

    if ((rc = pack_check(call, err)) < 0 ||
        (rc = scree_need_axis(call->node->options.pack.axis, in->rank + 1, &axis, err)) < 0)
        return rc;
    for (int32_t i = 0; i <= in->rank && rc == 0; i++)
        rc = scree_shape_append(
            &shape, i == axis ? (int32_t)call->n_inputs : in->dims[i > axis ? i - 1 : i], err);
    if (rc < 0 || (rc = keep_axis(call, axis, err)) < 0)
        return rc;
    if (scree_shape_span(&shape, 0, axis) == 1)
        call->alias = SCREE_ALIAS_INPUTS;
    return scree_call_set_shape(call, 0, &shape, err);
}

int scree_pack_run(const struct scree_call *call, struct scree_error *err)
{
    const struct axis_params *params = call->params;
    const struct scree_operand *out = call->outputs[0];
    size_t rows = scree_shape_span(&out->shape, 0, params->axis);
    size_t bytes = scree_shape_span(&out->shape, params->axis + 1, out->shape.rank) *
                   scree_type_bytes(out->type);

    if (out->n_elements == 0)
        return 0;
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        uint8_t *to = (uint8_t *)out->data + i * bytes;

        if (call->inputs[i]->data != to) /* else it has been made there */
            scree_copy_rows(to, call->n_inputs * bytes, call->inputs[i]->data, bytes, rows, bytes);
    }
    return 0;
}

/* ---- SPLIT, SPLIT_V, UNPACK ---------------------------------------------------------------- */

/* Where the parts are whole runs, the outputs lie in the input `index`. */
static void alias_split(struct scree_call *call, uint32_t index, int32_t axis)
{
    if (scree_shape_span(&call->inputs[index]->shape, 0, axis) == 1)
        scree_call_alias_outputs(call, index, 0);
}

/* Hands the input's runs out to the outputs: for all three, as an output's part of a run is what
 * its number of elements says. */
static void split_rows(const struct scree_call *call, const struct scree_operand *in, int32_t axis)
{
    size_t element = scree_type_bytes(in->type);
    size_t rows = scree_shape_span(&in->shape, 0, axis);
    size_t pitch = scree_shape_span(&in->shape, axis, in->shape.rank) * element;
    const uint8_t *from = in->data;

    if (in->n_elements == 0)
        return;
    for (uint32_t i = 0; i < call->n_outputs; i++) {
        size_t bytes = call->outputs[i]->n_elements / rows * element;

        scree_copy_rows(call->outputs[i]->data, bytes, from, pitch, rows, bytes);
        from += bytes;
    }
}

static int split_count(const struct scree_call *call, int32_t n, struct scree_error *err)
{
    if (n > 0 && call->n_outputs == (uint32_t)n)
        return 0;
    return scree_fail(err, EBADMSG, "%u outputs, the options say %d", call->n_outputs, n);
}

int scree_split_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape shape = call->inputs[1]->shape;
    int32_t n = call->node->options.split.num_splits, axis;
    int rc;

    if ((rc = split_count(call, n, err)) < 0 ||
        (rc = scree_axis_read(call->inputs[0], shape.rank, &axis, err)) != 0)
        return rc;
    if (shape.dims[axis] % n != 0)
        return scree_fail(err, EBADMSG, "%d elements along axis %d are not a multiple of %d",
                          shape.dims[axis], axis, n);
    shape.dims[axis] /= n;
    alias_split(call, 1, axis);
    rc = keep_axis(call, axis, err);
    for (uint32_t i = 0; i < call->n_outputs && rc == 0; i++)
        rc = scree_call_set_shape(call, i, &shape, err);
    return rc;
}

int scree_split_run(const struct scree_call *call, struct scree_error *err)
{
    split_rows(call, call->inputs[1], ((const struct axis_params *)call->params)->axis);
    return 0;
}

/* The size that -1 stands for, or -1 if none of the sizes is -1; all sizes add up to `whole`. */
static int split_v_rest(const struct scree_operand *sizes, int32_t whole, int64_t *ret_rest,
                        struct scree_error *err)
{
    uint64_t sum = 0;
    int n_open = 0;

    for (size_t i = 0; i < sizes->n_elements; i++) {
        int64_t size = scree_operand_int(sizes, i);

        if (size < -1 || size > whole)
            return scree_fail(err, EBADMSG, "a part of %lld of %d elements", (long long)size,
                              whole);
        n_open += size == -1;
        sum += size == -1 ? 0 : (uint64_t)size;
    }
    if (n_open > 1)
        return scree_fail(err, EBADMSG, "more than one size is -1");
    if (sum > (uint64_t)whole || (n_open == 0 && sum != (uint64_t)whole))
        return scree_fail(err, EBADMSG, "parts of %llu elements in all, of %d",
                          (unsigned long long)sum, whole);
    *ret_rest = n_open ? whole - (int64_t)sum : -1;
    return 0;
}

int scree_split_v_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *sizes = call->inputs[1];
    struct scree_shape shape = call->inputs[0]->shape;
    int64_t rest = -1;
    int32_t axis;
    int rc;

    if ((rc = split_count(call, call->node->options.split_v.num_splits, err)) < 0 ||
        (rc = scree_vector_check(sizes, "the list of sizes", (int32_t)call->n_outputs, err)) < 0 ||
        (rc = scree_axis_read(call->inputs[2], shape.rank, &axis, err)) != 0)
        return rc;
    if (!scree_operand_known(sizes))
        return SCREE_DEFER;
    if ((rc = split_v_rest(sizes, shape.dims[axis], &rest, err)) < 0 ||
        (rc = keep_axis(call, axis, err)) < 0)
        return rc;
    alias_split(call, 0, axis);
    for (uint32_t i = 0; i < call->n_outputs && rc == 0; i++) {
        int64_t size = scree_operand_int(sizes, i);

        shape.dims[axis] = (int32_t)(size == -1 ? rest : size);
        rc = scree_call_set_shape(call, i, &shape, err);
    }
    return rc;
}

int scree_split_v_run(const struct scree_call *call, struct scree_error *err)
{
    split_rows(call, call->inputs[0], ((const struct axis_params *)call->params)->axis);
    return 0;
}

int scree_unpack_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_unpack_options *options = &call->node->options.unpack;
    const struct scree_operand *in = call->inputs[0];
    struct scree_shape shape = {0};
    int32_t axis;
    int rc;

    if ((rc = split_count(call, options->num, err)) < 0 ||
        (rc = scree_need_axis(options->axis, in->shape.rank, &axis, err)) < 0)
        return rc;
    if (in->shape.dims[axis] != options->num)
        return scree_fail(err, EBADMSG, "%d elements along axis %d, the options say %d",
                          in->shape.dims[axis], axis, options->num);
    for (int32_t i = 0; i < in->shape.rank; i++)
        if (i != axis)
            shape.dims[shape.rank++] = in->shape.dims[i];
    alias_split(call, 0, axis);
    rc = keep_axis(call, axis, err);
    for (uint32_t i = 0; i < call->n_outputs && rc == 0; i++) {
        if ((rc = scree_quant_check_same(in, call->outputs[i], err)) == 0)
            rc = scree_call_set_shape(call, i, &shape, err);
    }
    return rc;
}

int scree_unpack_run(const struct scree_call *call, struct scree_error *err)
{
    split_rows(call, call->inputs[0], ((const struct axis_params *)call->params)->axis);
    return 0;
}
