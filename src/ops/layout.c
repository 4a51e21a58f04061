#include "ops/layout.h"

#include "ops/common.h"
#include "ops/ops.h"

bool scree_operand_known(const struct scree_operand *operand)
{
    return operand->data != NULL || operand->n_elements == 0;
}

int64_t scree_operand_index(const struct scree_operand *operand, size_t i)
{
    switch (operand->type) {
    case SCREE_TYPE_INT8:
        return ((const int8_t *)operand->data)[i];
    case SCREE_TYPE_INT16:
        return ((const int16_t *)operand->data)[i];
    default:
        return scree_operand_int(operand, i);
    }
}

int scree_vector_check(const struct scree_operand *operand, const char *what, int32_t n,
                       struct scree_error *err)
{
    char text[96];

    if (operand->shape.rank == 1 && operand->shape.dims[0] == n)
        return 0;
    return scree_fail(err, EBADMSG, "%s is of shape %s, not a vector of %d", what,
                      scree_shape_text(&operand->shape, text, sizeof text), n);
}

int scree_axis_read(const struct scree_operand *operand, int32_t rank, int32_t *ret_axis,
                    struct scree_error *err)
{
    if (operand->n_elements != 1)
        return scree_fail(err, EBADMSG, "the axis has %zu elements, not one", operand->n_elements);
    if (!scree_operand_known(operand))
        return SCREE_DEFER;
    return scree_need_axis(scree_operand_index(operand, 0), rank, ret_axis, err);
}

size_t scree_shape_span(const struct scree_shape *shape, int32_t from, int32_t to)
{
    size_t n = 1;

    for (int32_t i = from; i < to; i++)
        n *= (size_t)shape->dims[i];
    return n;
}

void scree_shape_strides(const struct scree_shape *shape, size_t element_bytes,
                         ptrdiff_t *ret_strides)
{
    size_t stride = element_bytes;

    for (int32_t i = 0; i < shape->rank; i++)
        if (shape->dims[i] == 0)
            stride = 0;
    for (int32_t i = shape->rank - 1; i >= 0; i--) {
        ret_strides[i] = (ptrdiff_t)stride;
        stride *= (size_t)shape->dims[i];
    }
}

int scree_shape_append(struct scree_shape *shape, int64_t dim, struct scree_error *err)
{
    if (shape->rank >= SCREE_MAX_RANK)
        return scree_fail(err, EBADMSG, "the output has more than %d dimensions", SCREE_MAX_RANK);
    if (dim < 0 || dim > INT32_MAX)
        return scree_fail(err, EBADMSG, "the output has a dimension of %lld", (long long)dim);
    shape->dims[shape->rank++] = (int32_t)dim;
    return 0;
}

float scree_operand_scale(const struct scree_operand *operand)
{
    return operand->quant->n == 1 ? operand->quant->scale[0] : 0;
}

int32_t scree_operand_zero_point(const struct scree_operand *operand)
{
    return operand->quant->n == 1 ? operand->quant->zero_point[0] : 0;
}

int scree_quant_check_same(const struct scree_operand *a, const struct scree_operand *b,
                           struct scree_error *err)
{
    if (scree_operand_scale(a) == scree_operand_scale(b) &&
        scree_operand_zero_point(a) == scree_operand_zero_point(b))
        return 0;
    return scree_fail(err, EBADMSG, "%.60s and %.60s differ in scale or zero point", a->name,
                      b->name);
}

int scree_layout_new(struct scree_call *call, struct scree_layout **ret_layout,
                     struct scree_error *err)
{
    struct scree_layout *layout = scree_call_params(call, sizeof *layout);

    if (!layout)
        return scree_fail_memory(err, sizeof *layout);
    *ret_layout = layout;
    return 0;
}

void scree_layout_block(struct scree_layout *layout, const struct scree_shape *shape,
                        const ptrdiff_t *src, const ptrdiff_t *dst)
{
    for (int32_t i = 0; i < shape->rank; i++)
        scree_move_add(&layout->move, (size_t)shape->dims[i], src[i], dst[i]);
    scree_move_simplify(&layout->move);
}

int scree_layout_done(struct scree_call *call, const struct scree_shape *shape,
                      struct scree_error *err)
{
    const struct scree_layout *layout = call->params;
    const struct scree_move *move = &layout->move;
    ptrdiff_t element = (ptrdiff_t)scree_type_bytes(call->inputs[0]->type);
    int rc = scree_call_set_shape(call, 0, shape, err);

    if (rc >= 0 && layout->dst == 0 &&
        (move->rank == 0 ||
         (move->rank == 1 && move->src[0] == element && move->dst[0] == element)))
        scree_call_alias_outputs(call, 0, (size_t)layout->src);
    return rc;
}

int scree_layout_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_layout *layout = call->params;
    const struct scree_operand *in = call->inputs[0], *out = call->outputs[0];

    if (in->n_elements > 0 && out->n_elements > 0)
        scree_move_run(&layout->move, scree_type_bytes(in->type),
                       (const uint8_t *)in->data + layout->src, (uint8_t *)out->data + layout->dst);
    return 0;
}
