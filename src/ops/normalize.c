/* L2_NORMALIZATION, LOCAL_RESPONSE_NORMALIZATION, CUMSUM, ADD_N. */
#include "kernels/normalize.h"

#include <string.h>

#include "kernels/binary.h"
#include "ops/common.h"
#include "ops/ops.h"

/* ---- L2_NORMALIZATION --------------------------------------------------------------------------
 */

int scree_l2_normalization_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *output = call->outputs[0];
    int32_t zero_point = input->type == SCREE_TYPE_UINT8 ? 128 : 0;
    int rc;

    if (input->shape.rank < 1)
        return scree_fail(err, EBADMSG, "input 0 is a scalar");
    if (call->node->options.l2_norm.activation != SCREE_ACTIVATION_NONE)
        return scree_fail(err, ENOTSUP, "a fused activation");
    if (input->type != SCREE_TYPE_FLOAT32) {
        rc = scree_quant_check_all(call, err);
        if (rc < 0)
            return rc;
        if (output->quant->scale[0] != 1.0f / 128 || output->quant->zero_point[0] != zero_point)
            return scree_fail(err, EBADMSG, "output 0 is quantized by %g, %d, not by 1/128, %d",
                              (double)output->quant->scale[0], output->quant->zero_point[0],
                              zero_point);
    }
    return scree_call_set_shape(call, 0, &input->shape, err);
}

int scree_l2_normalization_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0];
    size_t depth = (size_t)input->shape.dims[input->shape.rank - 1];
    size_t n_rows = depth ? input->n_elements / depth : 0;
    void *out = call->outputs[0]->data;

    if (input->type == SCREE_TYPE_FLOAT32)
        scree_l2_normalize_f32(out, input->data, n_rows, depth);
    else if (input->type == SCREE_TYPE_UINT8)
        scree_l2_normalize_u8(out, input->data, n_rows, depth, input->quant->zero_point[0]);
    else
        scree_l2_normalize_i8(out, input->data, n_rows, depth, input->quant->zero_point[0]);
    return 0;
}

/* ---- LOCAL_RESPONSE_NORMALIZATION --------------------------------------------------------------
 */

int scree_local_response_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *shape = &call->inputs[0]->shape;

    if (shape->rank != 4)
        return scree_fail(err, EBADMSG, "input 0 has rank %d, 4 is wanted", shape->rank);
    return scree_call_set_shape(call, 0, shape, err);
}

int scree_local_response_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_local_response_norm_options *options =
        &call->node->options.local_response_norm;
    const struct scree_operand *input = call->inputs[0];
    size_t depth = (size_t)input->shape.dims[3];

    scree_local_response_f32(call->outputs[0]->data, input->data,
                             depth ? input->n_elements / depth : 0, depth, options->radius,
                             options->bias, options->alpha, options->beta);
    return 0;
}

/* ---- CUMSUM ------------------------------------------------------------------------------------
 */

int scree_cumsum_prepare(struct scree_call *call, struct scree_error *err)
{
    if (call->inputs[0]->shape.rank < 1)
        return scree_fail(err, EBADMSG, "input 0 is a scalar");
    if (call->inputs[1]->n_elements != 1)
        return scree_fail(err, EBADMSG, "%zu axes, one is wanted", call->inputs[1]->n_elements);
    return scree_call_set_shape(call, 0, &call->inputs[0]->shape, err);
}

/* out = sums + in for n elements of the type. */
static void add_sums(enum scree_type type, void *out, const void *sums, const void *in, size_t n)
{
    if (type == SCREE_TYPE_FLOAT32)
        scree_add_sums_f32(out, sums, in, n);
    else if (type == SCREE_TYPE_INT32)
        scree_add_sums_i32(out, sums, in, n);
    else
        scree_add_sums_i64(out, sums, in, n);
}

/* One slice [depth][n] of elements, summed along depth: each row is the row before it plus an input
 * row, its own or, if exclusive, the one before. */
static void sum_slice(const struct scree_call *call, size_t offset, size_t depth, size_t n)
{
    const struct scree_cumsum_options *options = &call->node->options.cumsum;
    enum scree_type type = call->inputs[0]->type;
    size_t bytes = n * scree_type_bytes(type);
    const char *in = (const char *)call->inputs[0]->data + offset * bytes;
    char *out = (char *)call->outputs[0]->data + offset * bytes;

    for (size_t i = 0; i < depth; i++) {
        size_t row = options->reverse ? depth - 1 - i : i;
        size_t before = options->reverse ? row + 1 : row - 1;

        if (i == 0 && options->exclusive)
            memset(out + row * bytes, 0, bytes);
        else if (i == 0)
            memcpy(out + row * bytes, in + row * bytes, bytes);
        else
            add_sums(type, out + row * bytes, out + before * bytes,
                     in + (options->exclusive ? before : row) * bytes, n);
    }
}

int scree_cumsum_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *shape = &call->inputs[0]->shape;
    size_t outer = 1, inner = 1, depth;
    int32_t axis;
    int rc = scree_need_axis(scree_operand_int(call->inputs[1], 0), shape->rank, &axis, err);

    if (rc < 0)
        return rc;
    if (call->inputs[0]->n_elements == 0)
        return 0;
    depth = (size_t)shape->dims[axis];
    for (int32_t i = 0; i < axis; i++)
        outer *= (size_t)shape->dims[i];
    for (int32_t i = axis + 1; i < shape->rank; i++)
        inner *= (size_t)shape->dims[i];
    for (size_t o = 0; o < outer; o++)
        sum_slice(call, o * depth, depth, inner);
    return 0;
}

/* ---- ADD_N -------------------------------------------------------------------------------------
 */

int scree_add_n_prepare(struct scree_call *call, struct scree_error *err)
{
    if (call->n_inputs < 2)
        return scree_fail(err, EBADMSG, "%u inputs, two are wanted", call->n_inputs);
    for (uint32_t i = 1; i < call->n_inputs; i++)
        if (!scree_shape_equal(&call->inputs[0]->shape, &call->inputs[i]->shape))
            return scree_fail(err, EBADMSG, "inputs 0 and %u have different shapes", i);
    return scree_call_set_shape(call, 0, &call->inputs[0]->shape, err);
}

int scree_add_n_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *output = call->outputs[0];

    if (output->n_elements == 0)
        return 0;
    memcpy(output->data, call->inputs[0]->data, output->bytes);
    for (uint32_t i = 1; i < call->n_inputs; i++) {
        if (output->type == SCREE_TYPE_FLOAT32)
            scree_accumulate_f32(output->data, call->inputs[i]->data, output->n_elements);
        else
            scree_accumulate_i32(output->data, call->inputs[i]->data, output->n_elements);
    }
    return 0;
}
