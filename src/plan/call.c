#include "plan/op.h"

#include <string.h>

#include "base/checked.h"

void *scree_call_params(struct scree_call *call, size_t n)
{
    call->params = scree_arena_calloc(call->arena, 1, n);
    return call->params;
}

int scree_operand_set_shape(struct scree_operand *operand, const struct scree_shape *shape,
                            struct scree_error *err)
{
    size_t n = 1;

    if (shape->rank < 0 || shape->rank > SCREE_MAX_RANK)
        return scree_fail(err, EBADMSG, "rank %d is not in 0 to %d", shape->rank, SCREE_MAX_RANK);
    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0)
            return scree_fail(err, EBADMSG, "dimension %d is %d", i, shape->dims[i]);
        /* Without the zeros, so that the strides of empty tensors fit too. */
        if (!scree_mul_size(n, (size_t)scree_max_i32(shape->dims[i], 1), &n) || n > INT32_MAX)
            return scree_fail(err, E2BIG, "a tensor of over 2147483647 elements");
    }
    operand->shape = (struct scree_shape){.rank = shape->rank};
    for (int32_t i = 0; i < shape->rank; i++)
        operand->shape.dims[i] = shape->dims[i];
    operand->n_elements = scree_shape_elements(&operand->shape);
    operand->bytes = operand->n_elements * scree_type_bytes(operand->type);
    return 0;
}

int scree_call_set_shape(struct scree_call *call, uint32_t index, const struct scree_shape *shape,
                         struct scree_error *err)
{
    int rc = scree_operand_set_shape(call->outputs[index], shape, err);

    return rc < 0 ? scree_wrap(err, rc, "output %u", index) : 0;
}

int64_t scree_operand_int(const struct scree_operand *operand, size_t i)
{
    const char *bytes = operand->data;
    int32_t narrow;
    int64_t wide;

    if (operand->type == SCREE_TYPE_INT64) {
        memcpy(&wide, bytes + i * sizeof wide, sizeof wide);
        return wide;
    }
    memcpy(&narrow, bytes + i * sizeof narrow, sizeof narrow);
    return narrow;
}
