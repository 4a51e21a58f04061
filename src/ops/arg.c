/* ops/arg.c - ARG_MAX, ARG_MIN. */
#include "kernels/arg.h"

#include "kernels/kernels.h"
#include "ops/layout.h"
#include "ops/ops.h"

int scree_arg_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *out = call->outputs[0];
    enum scree_type type = call->node->opcode == SCREE_OP_ARG_MAX
                               ? call->node->options.arg_max.output_type
                               : call->node->options.arg_min.output_type;
    struct scree_shape shape = {0};
    int32_t axis, *params;
    int rc;

    if (type != out->type)
        return scree_fail(err, EBADMSG, "the output is %s, the options say %s",
                          scree_type_name(out->type), scree_type_name(type));
    if ((rc = scree_axis_read(call->inputs[1], in->shape.rank, &axis, err)) != 0)
        return rc;
    if (in->shape.dims[axis] == 0)
        return scree_fail(err, EBADMSG, "no elements along axis %d", axis);
    if (!(params = scree_call_params(call, sizeof *params)))
        return scree_fail_memory(err, sizeof *params);
    *params = axis;
    for (int32_t i = 0; i < in->shape.rank; i++)
        if (i != axis)
            shape.dims[shape.rank++] = in->shape.dims[i];
    return scree_call_set_shape(call, 0, &shape, err);
}

static size_t arg_of(const struct scree_operand *in, size_t first, size_t n, size_t stride,
                     bool max)
{
    switch (in->type) {
    case SCREE_TYPE_FLOAT32:
        return scree_arg_f32((const float *)in->data + first, n, stride, max);
    case SCREE_TYPE_INT32:
        return scree_arg_i32((const int32_t *)in->data + first, n, stride, max);
    case SCREE_TYPE_INT8:
        return scree_arg_i8((const int8_t *)in->data + first, n, stride, max);
    default:
        return scree_arg_u8((const uint8_t *)in->data + first, n, stride, max);
    }
}

/* Outputs a thread computes at once. */
#define TILE 256

static bool is_8bit(const struct scree_operand *operand)
{
    return operand->type == SCREE_TYPE_INT8 || operand->type == SCREE_TYPE_UINT8;
}

/* Rows of neighbouring bytes go to a kernel of their own. */
static void arg_bytes(const struct scree_call *call, size_t first, size_t count, size_t n, bool max,
                      uint32_t *ret_indices)
{
    const struct scree_operand *in = call->inputs[0];
    uint8_t flip = in->type == SCREE_TYPE_INT8 ? 0x80 : 0;

    call->kernels->arg_rows(ret_indices, (const uint8_t *)in->data + first * n, count, n,
                            (uint8_t)(max ? flip : ~flip));
}

static void arg_tile(void *arg, size_t tile, int thread)
{
    const struct scree_call *call = arg;
    const struct scree_operand *in = call->inputs[0], *out = call->outputs[0];
    int32_t axis = *(const int32_t *)call->params;
    size_t n = (size_t)in->shape.dims[axis];
    size_t inner = scree_shape_span(&in->shape, axis + 1, in->shape.rank);
    size_t end = (tile + 1) * TILE < out->n_elements ? (tile + 1) * TILE : out->n_elements;
    bool max = call->node->opcode == SCREE_OP_ARG_MAX;
    size_t first = tile * TILE, count = end - first;
    uint32_t indices[TILE];

    if (inner == 1 && is_8bit(in))
        arg_bytes(call, first, count, n, max, indices);
    else
        for (size_t i = first; i < end; i++)
            indices[i - first] =
                (uint32_t)arg_of(in, i / inner * inner * n + i % inner, n, inner, max);
    for (size_t i = 0; i < count; i++) {
        if (out->type == SCREE_TYPE_INT32)
            ((int32_t *)out->data)[first + i] = (int32_t)indices[i];
        else
            ((int64_t *)out->data)[first + i] = (int64_t)indices[i];
    }
}

int scree_arg_run(const struct scree_call *call, struct scree_error *err)
{
    scree_pool_run(call->pool, (call->outputs[0]->n_elements + TILE - 1) / TILE, arg_tile,
                   (void *)(uintptr_t)call);
    return 0;
}
