/* ops/tile.c - tensors repeated: TILE, BROADCAST_TO, BROADCAST_ARGS. */
#include "ops/layout.h"
#include "ops/ops.h"

/* ---- TILE ---------------------------------------------------------------------------------- */

/* Each dimension of the output is two walks: the repeats, which read the same again, and the
 * input's own. */
static int tile_layout(struct scree_call *call, struct scree_layout *layout,
                       struct scree_shape *ret_shape, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *repeats = call->inputs[1];
    size_t element = scree_type_bytes(in->type);
    ptrdiff_t src[SCREE_MAX_RANK], dst[SCREE_MAX_RANK];
    int rc;

    for (int32_t i = 0; i < in->shape.rank; i++) {
        int64_t n = scree_operand_int(repeats, (size_t)i), dim = in->shape.dims[i];

        if (n < 0 || n > INT32_MAX)
            return scree_fail(err, EBADMSG, "dimension %d %lld times", i, (long long)n);
        if ((rc = scree_shape_append(ret_shape, n * dim, err)) < 0)
            return rc;
    }
    if ((rc = scree_call_set_shape(call, 0, ret_shape, err)) < 0)
        return rc;
    scree_shape_strides(&in->shape, element, src);
    scree_shape_strides(ret_shape, element, dst);
    for (int32_t i = 0; i < in->shape.rank; i++) {
        int32_t dim = in->shape.dims[i];

        scree_move_add(&layout->move, (size_t)scree_operand_int(repeats, (size_t)i), 0,
                       dim * dst[i]);
        scree_move_add(&layout->move, (size_t)dim, src[i], dst[i]);
    }
    scree_move_simplify(&layout->move);
    return 0;
}

int scree_tile_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape shape = {0};
    struct scree_layout *layout;
    int rc;

    if ((rc = scree_vector_check(call->inputs[1], "the list of repeats",
                                 call->inputs[0]->shape.rank, err)) < 0)
        return rc;
    if (!scree_operand_known(call->inputs[1]))
        return SCREE_DEFER;
    rc = scree_layout_new(call, &layout, err);
    return rc < 0 ? rc : tile_layout(call, layout, &shape, err);
}

/* ---- BROADCAST_TO -------------------------------------------------------------------------- */

/* The output's shape, and the strides in the input that belong to it: 0 where it is repeated. */
static int broadcast_to_shape(const struct scree_call *call, struct scree_shape *ret_shape,
                              ptrdiff_t *ret_src, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *dims = call->inputs[1];
    int32_t added = (int32_t)dims->n_elements - in->shape.rank;
    ptrdiff_t strides[SCREE_MAX_RANK];
    int rc;

    scree_shape_strides(&in->shape, scree_type_bytes(in->type), strides);
    for (int32_t i = 0; i < (int32_t)dims->n_elements; i++) {
        int64_t dim = scree_operand_int(dims, (size_t)i);
        int32_t own = i < added ? 1 : in->shape.dims[i - added];

        if (own != 1 && own != dim)
            return scree_fail(err, EBADMSG, "dimension %d of %d elements made %lld", i - added, own,
                              (long long)dim);
        if ((rc = scree_shape_append(ret_shape, dim, err)) < 0)
            return rc;
        ret_src[i] = own == 1 ? 0 : strides[i - added];
    }
    return 0;
}

int scree_broadcast_to_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *dims = call->inputs[1];
    ptrdiff_t src[SCREE_MAX_RANK], dst[SCREE_MAX_RANK];
    struct scree_shape shape = {0};
    struct scree_layout *layout;
    int rc;

    if (dims->shape.rank != 1 || dims->shape.dims[0] < in->shape.rank ||
        dims->shape.dims[0] > SCREE_MAX_RANK)
        return scree_fail(err, EBADMSG, "a shape of %zu dimensions for a tensor of %d",
                          dims->n_elements, in->shape.rank);
    if (!scree_operand_known(dims))
        return SCREE_DEFER;
    if ((rc = scree_layout_new(call, &layout, err)) < 0 ||
        (rc = broadcast_to_shape(call, &shape, src, err)) < 0 ||
        (rc = scree_call_set_shape(call, 0, &shape, err)) < 0)
        return rc;
    scree_shape_strides(&shape, scree_type_bytes(in->type), dst);
    scree_layout_block(layout, &shape, src, dst);
    return 0;
}

/* ---- BROADCAST_ARGS ------------------------------------------------------------------------ */

int scree_broadcast_args_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *a = &call->inputs[0]->shape, *b = &call->inputs[1]->shape;

    if (a->rank != 1 || b->rank != 1)
        return scree_fail(err, EBADMSG, "shapes of rank %d and %d, not vectors", a->rank, b->rank);
    return scree_call_set_shape(call, 0, a->dims[0] > b->dims[0] ? a : b, err);
}

/* Element i from the end of a shape, 1 before its beginning. */
static int64_t dim_from_end(const struct scree_operand *shape, size_t i)
{
    return i < shape->n_elements ? scree_operand_int(shape, shape->n_elements - 1 - i) : 1;
}

int scree_broadcast_args_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *out = call->outputs[0];

    for (size_t i = 0; i < out->n_elements; i++) {
        int64_t a = dim_from_end(call->inputs[0], i), b = dim_from_end(call->inputs[1], i);
        int64_t dim = a == 1 ? b : a;

        if (a != 1 && b != 1 && a != b)
            return scree_fail(err, EBADMSG, "dimensions of %lld and %lld do not fit together",
                              (long long)a, (long long)b);
        if (out->type == SCREE_TYPE_INT32)
            ((int32_t *)out->data)[out->n_elements - 1 - i] = (int32_t)dim;
        else
            ((int64_t *)out->data)[out->n_elements - 1 - i] = dim;
    }
    return 0;
}
