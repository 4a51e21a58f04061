/* Operators that give bytes another shape. The planner lets the output be the input's memory where
 * it can; where it cannot (the input is a variable or known at run time), the bytes are copied. */
#include <string.h>

#include "ops/common.h"
#include "ops/ops.h"

int scree_view_run(const struct scree_call *call, struct scree_error *err)
{
    (void)err;
    if (call->outputs[0]->data != call->inputs[0]->data && call->outputs[0]->bytes > 0)
        memcpy(call->outputs[0]->data, call->inputs[0]->data, call->outputs[0]->bytes);
    return 0;
}

static int set_view_shape(struct scree_call *call, const struct scree_shape *shape,
                          struct scree_error *err)
{
    int rc = scree_call_set_shape(call, 0, shape, err);

    if (rc < 0)
        return rc;
    if (call->outputs[0]->n_elements != call->inputs[0]->n_elements ||
        call->outputs[0]->type != call->inputs[0]->type)
        return scree_fail(err, EBADMSG, "%zu elements of %s into %zu of %s",
                          call->inputs[0]->n_elements, scree_type_name(call->inputs[0]->type),
                          call->outputs[0]->n_elements, scree_type_name(call->outputs[0]->type));
    scree_call_alias_outputs(call, 0, 0);
    return 0;
}

/* Replaces a dimension of -1 by what the other dimensions leave of n_elements. */
static int stretch(struct scree_shape *shape, size_t n_elements, struct scree_error *err)
{
    int32_t open = -1;
    size_t rest = 1;

    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] != -1) {
            rest *= shape->dims[i] > 0 ? (size_t)shape->dims[i] : 1;
            rest = rest > INT32_MAX ? INT32_MAX : rest;
        } else if (open >= 0) {
            return scree_fail(err, EBADMSG, "more than one open dimension in the new shape");
        } else {
            open = i;
        }
    }
    if (open >= 0)
        shape->dims[open] = (int32_t)(n_elements / rest);
    return 0;
}

static int read_shape(const struct scree_operand *operand, struct scree_shape *ret_shape,
                      struct scree_error *err)
{
    if (operand->shape.rank != 1 || operand->n_elements > SCREE_MAX_RANK)
        return scree_fail(err, EBADMSG, "the new shape has %zu dimensions", operand->n_elements);
    ret_shape->rank = (int32_t)operand->n_elements;
    for (int32_t i = 0; i < ret_shape->rank; i++)
        ret_shape->dims[i] = (int32_t)scree_operand_int(operand, (size_t)i);
    return 0;
}

/* The new shape: input 1, or else the options. A single 0 in the options means a scalar, as TFLite
 * has it. */
static int new_shape(const struct scree_call *call, struct scree_shape *ret_shape,
                     struct scree_error *err)
{
    const struct scree_i32s *option = &call->node->options.reshape.new_shape;
    const struct scree_operand *operand = scree_call_input(call, 1);

    if (operand && operand->shape.rank == 1) {
        if (!operand->data)
            return SCREE_DEFER;
        return read_shape(operand, ret_shape, err);
    }
    if (option->n > SCREE_MAX_RANK)
        return scree_fail(err, EBADMSG, "the new shape has %u dimensions", option->n);
    ret_shape->rank = option->n == 1 && option->v[0] == 0 ? 0 : (int32_t)option->n;
    for (int32_t i = 0; i < ret_shape->rank; i++)
        ret_shape->dims[i] = option->v[i];
    return 0;
}

int scree_reshape_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape shape = {0};
    int rc = new_shape(call, &shape, err);

    if (rc == 0)
        rc = stretch(&shape, call->inputs[0]->n_elements, err);
    return rc == 0 ? set_view_shape(call, &shape, err) : rc;
}

int scree_expand_dims_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *axis_operand = call->inputs[1];
    struct scree_shape shape = {.rank = input->shape.rank + 1};
    int32_t axis;
    int rc;

    if (axis_operand->n_elements != 1)
        return scree_fail(err, EBADMSG, "%zu axes, one is wanted", axis_operand->n_elements);
    if (!axis_operand->data)
        return SCREE_DEFER;
    if (shape.rank > SCREE_MAX_RANK)
        return scree_fail(err, E2BIG, "rank %d is over %d", shape.rank, SCREE_MAX_RANK);
    rc = scree_need_axis(scree_operand_int(axis_operand, 0), shape.rank, &axis, err);
    if (rc < 0)
        return rc;
    for (int32_t i = 0; i < shape.rank; i++)
        shape.dims[i] = i == axis ? 1 : input->shape.dims[i - (i > axis)];
    return set_view_shape(call, &shape, err);
}

int scree_squeeze_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *input = &call->inputs[0]->shape;
    const struct scree_i32s *axes = &call->node->options.squeeze.squeeze_dims;
    struct scree_shape shape = {0};
    bool squeezed[SCREE_MAX_RANK] = {false};

    for (uint32_t i = 0; i < axes->n; i++) {
        int32_t axis;
        int rc = scree_need_axis(axes->v[i], input->rank, &axis, err);

        if (rc < 0)
            return rc;
        if (input->dims[axis] != 1)
            return scree_fail(err, EBADMSG, "dimension %d is %d, not 1", axis, input->dims[axis]);
        squeezed[axis] = true;
    }
    for (int32_t i = 0; i < input->rank; i++)
        if (axes->n == 0 ? input->dims[i] != 1 : !squeezed[i])
            shape.dims[shape.rank++] = input->dims[i];
    return set_view_shape(call, &shape, err);
}

/* The bytes as another type: a smaller one adds a dimension behind the others, a larger one takes
 * the last away, which must have as many elements as make one. */
int scree_bitcast_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape shape = call->inputs[0]->shape;
    int32_t from = (int32_t)scree_type_bytes(call->inputs[0]->type);
    int32_t to = (int32_t)scree_type_bytes(call->outputs[0]->type);

    if (from > to) {
        if (shape.rank == SCREE_MAX_RANK)
            return scree_fail(err, E2BIG, "rank %d is over %d", shape.rank + 1, SCREE_MAX_RANK);
        shape.dims[shape.rank++] = from / to;
    } else if (from < to) {
        if (shape.rank == 0 || shape.dims[shape.rank - 1] != to / from)
            return scree_fail(err, EBADMSG, "the last dimension is not %d", to / from);
        shape.rank--;
    }
    scree_call_alias_outputs(call, 0, 0);
    return scree_call_set_shape(call, 0, &shape, err);
}
