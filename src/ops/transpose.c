/* ops/transpose.c - the same elements in another order: TRANSPOSE, REVERSE_V2, REVERSE_SEQUENCE. */
#include "kernels/kernels.h"
#include "ops/common.h"
#include "ops/layout.h"
#include "ops/ops.h"

/* ---- TRANSPOSE ----------------------------------------------------------------------------- */

int scree_transpose_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *order = call->inputs[1];
    size_t element = scree_type_bytes(in->type);
    ptrdiff_t strides[SCREE_MAX_RANK], src[SCREE_MAX_RANK], dst[SCREE_MAX_RANK];
    struct scree_shape shape = {0};
    struct scree_layout *layout;
    uint32_t seen = 0;
    int rc;

    if ((rc = scree_vector_check(order, "the permutation", in->shape.rank, err)) < 0)
        return rc;
    if (!scree_operand_known(order))
        return SCREE_DEFER;
    if ((rc = scree_layout_new(call, &layout, err)) < 0)
        return rc;
    scree_shape_strides(&in->shape, element, strides);
    for (int32_t i = 0; i < in->shape.rank; i++) {
        int32_t axis;

        if ((rc = scree_need_axis(scree_operand_int(order, (size_t)i), in->shape.rank, &axis,
                                  err)) < 0)
            return rc;
        if (seen >> axis & 1)
            return scree_fail(err, EBADMSG, "the permutation has axis %d twice", axis);
        seen |= 1u << axis;
        src[i] = strides[axis];
        shape.dims[shape.rank++] = in->shape.dims[axis];
    }
    scree_shape_strides(&shape, element, dst);
    scree_layout_block(layout, &shape, src, dst);
    layout->transposes = (element == 1 || element == 4) && in->n_elements > 0 &&
                         scree_move_transposes(&layout->move, element, &layout->transposing);
    return scree_layout_done(call, &shape, err);
}

/* Columns of transpositions that make a tile of a thread, and the bytes that are worth one. */
#define TILE         64
#define MIN_PARALLEL 65536

static void transpose_tile(void *arg, size_t tile, int thread)
{
    const struct scree_call *call = arg;
    const struct scree_transposing *transposing =
        &((const struct scree_layout *)call->params)->transposing;
    size_t element = scree_type_bytes(call->inputs[0]->type), from = tile * TILE;
    size_t to = transposing->cols - from < TILE ? transposing->cols : from + TILE;

    (void)thread;
    scree_transposing_run(transposing, element,
                          element == 1 ? call->kernels->transpose_8 : call->kernels->transpose_32,
                          from, to, call->inputs[0]->data, call->outputs[0]->data);
}

int scree_transpose_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_layout *layout = call->params;
    struct scree_pool *pool = call->inputs[0]->bytes < MIN_PARALLEL ? NULL : call->pool;

    if (!layout->transposes)
        return scree_layout_run(call, err);
    scree_pool_run(pool, (layout->transposing.cols + TILE - 1) / TILE, transpose_tile,
                   (void *)(uintptr_t)call);
    return 0;
}

/* ---- REVERSE_V2 ---------------------------------------------------------------------------- */

int scree_reverse_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *axes = call->inputs[1];
    int rc;

    if (axes->n_elements > SCREE_MAX_RANK)
        return scree_fail(err, EBADMSG, "%zu axes", axes->n_elements);
    if ((rc = scree_vector_check(axes, "the list of axes", (int32_t)axes->n_elements, err)) < 0)
        return rc;
    return scree_call_set_shape(call, 0, &call->inputs[0]->shape, err);
}

int scree_reverse_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *axes = call->inputs[1];
    ptrdiff_t src[SCREE_MAX_RANK], dst[SCREE_MAX_RANK], from = 0;
    struct scree_layout layout = {0};
    uint32_t seen = 0;
    int rc;

    if (in->n_elements == 0)
        return 0;
    scree_shape_strides(&in->shape, scree_type_bytes(in->type), src);
    scree_shape_strides(&in->shape, scree_type_bytes(in->type), dst);
    for (size_t i = 0; i < axes->n_elements; i++) {
        int32_t axis;

        if ((rc = scree_need_axis(scree_operand_int(axes, i), in->shape.rank, &axis, err)) < 0)
            return rc;
        if (seen >> axis & 1)
            return scree_fail(err, EBADMSG, "axis %d twice", axis);
        seen |= 1u << axis;
        from += (in->shape.dims[axis] - 1) * src[axis];
        src[axis] = -src[axis];
    }
    scree_layout_block(&layout, &in->shape, src, dst);
    scree_move_run(&layout.move, scree_type_bytes(in->type), (const uint8_t *)in->data + from,
                   call->outputs[0]->data);
    return 0;
}

/* ---- REVERSE_SEQUENCE ---------------------------------------------------------------------- */

int scree_reverse_sequence_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_reverse_sequence_options *options = &call->node->options.reverse_sequence;
    const struct scree_shape *in = &call->inputs[0]->shape;
    int rc;

    if (options->seq_dim < 0 || options->seq_dim >= in->rank || options->batch_dim < 0 ||
        options->batch_dim >= in->rank || options->seq_dim == options->batch_dim)
        return scree_fail(err, EBADMSG, "sequences along axis %d of batches along axis %d, of %d",
                          options->seq_dim, options->batch_dim, in->rank);
    if ((rc = scree_vector_check(call->inputs[1], "the list of lengths",
                                 in->dims[options->batch_dim], err)) < 0)
        return rc;
    return scree_call_set_shape(call, 0, in, err);
}

/* Batch entry b: its first `length` elements of the sequence backwards, the rest as they are. */
static void reverse_batch(const struct scree_call *call, size_t b, int32_t length)
{
    const struct scree_reverse_sequence_options *options = &call->node->options.reverse_sequence;
    const struct scree_operand *in = call->inputs[0];
    size_t element = scree_type_bytes(in->type);
    struct scree_shape head = in->shape, tail = in->shape;
    struct scree_layout heads = {0}, tails = {0};
    ptrdiff_t src[SCREE_MAX_RANK], dst[SCREE_MAX_RANK], at, stride;

    scree_shape_strides(&in->shape, element, src);
    scree_shape_strides(&in->shape, element, dst);
    at = (ptrdiff_t)b * dst[options->batch_dim];
    stride = dst[options->seq_dim];
    head.dims[options->batch_dim] = tail.dims[options->batch_dim] = 1;
    head.dims[options->seq_dim] = length;
    tail.dims[options->seq_dim] -= length;
    scree_layout_block(&tails, &tail, src, dst);
    scree_move_run(&tails.move, element, (const uint8_t *)in->data + at + length * stride,
                   (uint8_t *)call->outputs[0]->data + at + length * stride);
    if (length == 0)
        return;
    src[options->seq_dim] = -stride;
    scree_layout_block(&heads, &head, src, dst);
    scree_move_run(&heads.move, element, (const uint8_t *)in->data + at + (length - 1) * stride,
                   (uint8_t *)call->outputs[0]->data + at);
}

int scree_reverse_sequence_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_reverse_sequence_options *options = &call->node->options.reverse_sequence;
    const struct scree_operand *in = call->inputs[0];
    int32_t whole = in->shape.dims[options->seq_dim];

    if (in->n_elements == 0)
        return 0;
    for (size_t b = 0; b < call->inputs[1]->n_elements; b++) {
        int64_t length = scree_operand_int(call->inputs[1], b);

        if (length > whole)
            return scree_fail(err, EBADMSG, "sequence %zu is %lld long, of %d", b,
                              (long long)length, whole);
        reverse_batch(call, b, length < 0 ? 0 : (int32_t)length);
    }
    return 0;
}
