/* ops/slice.c - a part of a tensor read or written: SLICE, STRIDED_SLICE, DYNAMIC_UPDATE_SLICE. */
#include <string.h>

#include "base/checked.h"
#include "ops/layout.h"
#include "ops/ops.h"

/* ---- SLICE --------------------------------------------------------------------------------- */

/* Dimension i from `begin`, `size` elements, -1 for all that are left. */
static int slice_dim(const struct scree_call *call, int32_t i, int64_t *ret_begin,
                     int64_t *ret_size, struct scree_error *err)
{
    int64_t dim = call->inputs[0]->shape.dims[i];
    int64_t begin = scree_operand_int(call->inputs[1], (size_t)i);
    int64_t size = scree_operand_int(call->inputs[2], (size_t)i);

    if (begin < 0 || begin > dim || size < -1 || size > dim - begin)
        return scree_fail(err, EBADMSG, "%lld elements from %lld of dimension %d, which has %lld",
                          (long long)size, (long long)begin, i, (long long)dim);
    *ret_begin = begin;
    *ret_size = size == -1 ? dim - begin : size;
    return 0;
}

int scree_slice_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0];
    size_t element = scree_type_bytes(in->type);
    ptrdiff_t src[SCREE_MAX_RANK], dst[SCREE_MAX_RANK];
    struct scree_shape shape = {0};
    struct scree_layout *layout;
    int64_t begin = 0, size = 0;
    int rc;

    if ((rc = scree_vector_check(call->inputs[1], "the list of begins", in->shape.rank, err)) < 0 ||
        (rc = scree_vector_check(call->inputs[2], "the list of sizes", in->shape.rank, err)) < 0)
        return rc;
    if (!scree_operand_known(call->inputs[1]) || !scree_operand_known(call->inputs[2]))
        return SCREE_DEFER;
    if ((rc = scree_layout_new(call, &layout, err)) < 0)
        return rc;
    scree_shape_strides(&in->shape, element, src);
    for (int32_t i = 0; i < in->shape.rank; i++) {
        if ((rc = slice_dim(call, i, &begin, &size, err)) < 0 ||
            (rc = scree_shape_append(&shape, size, err)) < 0)
            return rc;
        layout->src += (ptrdiff_t)begin * src[i];
    }
    scree_shape_strides(&shape, element, dst);
    scree_layout_block(layout, &shape, src, dst);
    return scree_layout_done(call, &shape, err);
}

/* ---- STRIDED_SLICE ------------------------------------------------------------------------- */

/* The entries of begin, end and strides, with their masks, as TFLite's strided_slice.cc reads them:
 * an entry under new_axis_mask adds a dimension of one, the entry under ellipsis_mask stands for as
 * many dimensions as are left over for it (one at least), and dimensions behind the last entry are
 * taken whole. */
struct spec {
    const struct scree_call *call;
    uint32_t begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask;
    int32_t n_entries;
    int32_t n_dims;         /* of the input, and those added */
    int32_t ellipsis_first; /* its dimensions, from and up to; 0 and 0 if there is none */
    int32_t ellipsis_end;
};

/* What is done along one dimension: indices start, start + stride, ... while on this side of stop.
 */
struct range {
    int64_t start, stop, stride;
    bool shrink; /* the output does not have this dimension */
};

static bool bit(uint32_t mask, int32_t i)
{
    return i < 32 && mask >> i & 1;
}

static int spec_read(struct spec *spec, const struct scree_call *call, struct scree_error *err)
{
    const struct scree_strided_slice_options *options = &call->node->options.strided_slice;
    uint32_t entries;
    int32_t n = (int32_t)call->inputs[1]->n_elements, added = 0;
    int rc = 0;

    if (n > 31)
        return scree_fail(err, EBADMSG, "%d indices, more than 31", n);
    for (uint32_t i = 1; i <= 3 && rc == 0; i++)
        rc = scree_vector_check(call->inputs[i], "a list of indices", n, err);
    if (rc < 0)
        return rc;
    entries = (1u << n) - 1;
    spec->call = call;
    spec->n_entries = n;
    spec->begin_mask = (uint32_t)options->begin_mask & entries;
    spec->end_mask = (uint32_t)options->end_mask & entries;
    spec->ellipsis_mask = (uint32_t)options->ellipsis_mask & entries;
    spec->shrink_axis_mask = (uint32_t)options->shrink_axis_mask & entries;
    spec->new_axis_mask = (uint32_t)options->new_axis_mask & entries & ~spec->ellipsis_mask;
    if (spec->ellipsis_mask & (spec->ellipsis_mask - 1))
        return scree_fail(err, EBADMSG, "more than one ellipsis");
    for (int32_t i = 0; i < n; i++)
        added += bit(spec->new_axis_mask, i);
    spec->n_dims = call->inputs[0]->shape.rank + added;
    if (spec->ellipsis_mask) {
        spec->ellipsis_first = __builtin_ctz(spec->ellipsis_mask);
        spec->ellipsis_end =
            scree_min_i32(spec->ellipsis_first + 1 + spec->n_dims - n, spec->n_dims);
        spec->ellipsis_end = scree_max_i32(spec->ellipsis_end, spec->ellipsis_first + 1);
    }
    return 0;
}

/* The entry that speaks of dimension d of those with the added ones; -1 if it is taken whole. */
static int32_t spec_entry(const struct spec *spec, int32_t d)
{
    int32_t entry = d;

    if (spec->ellipsis_mask && d >= spec->ellipsis_first) {
        if (d < spec->ellipsis_end)
            return -1;
        entry = d - (spec->ellipsis_end - spec->ellipsis_first - 1);
    }
    return entry < spec->n_entries ? entry : -1;
}

/* An index counted from the end if negative, then limited to where a walk with the stride can
 * begin or end. */
static int64_t range_limit(int64_t index, int64_t dim, int64_t stride)
{
    int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? dim : dim - 1;

    if (index < 0)
        index += dim;
    return index < low ? low : index > high ? high : index;
}

static int spec_range(const struct spec *spec, int32_t entry, int64_t dim, struct range *range,
                      struct scree_error *err)
{
    const struct scree_operand *const *in = (const struct scree_operand *const *)spec->call->inputs;
    int64_t end;

    *range = (struct range){0, dim, 1, false};
    if (entry < 0)
        return 0;
    end = scree_operand_int(in[2], (size_t)entry);
    range->stride = scree_operand_int(in[3], (size_t)entry);
    range->shrink = bit(spec->shrink_axis_mask, entry);
    if (range->stride == 0)
        return scree_fail(err, EBADMSG, "stride %d is 0", entry);
    if (bit(spec->begin_mask, entry))
        range->start = range->stride > 0 ? 0 : dim - 1;
    else
        range->start = range_limit(scree_operand_int(in[1], (size_t)entry), dim, range->stride);
    if (range->shrink && (range->stride < 0 || range->start >= dim))
        return scree_fail(err, EBADMSG, "index %d (%lld) picks nothing of %lld elements", entry,
                          (long long)range->start, (long long)dim);
    if (spec->call->node->options.strided_slice.offset)
        end += range->start;
    range->stop = range_limit(end, dim, range->stride);
    if (bit(spec->end_mask, entry))
        range->stop = range->stride > 0 ? dim : -1;
    if (range->shrink)
        range->stop = range->start + 1;
    return 0;
}

/* The number of indices in a range. */
static int64_t range_count(const struct range *range)
{
    int64_t way = range->stop - range->start;

    if (way == 0 || (way < 0) != (range->stride < 0))
        return 0;
    return range->stride > 0 ? (way - 1) / range->stride + 1 : (way + 1) / range->stride + 1;
}

/* The output's shape; counts [rank] and strides (of *layout) of the walk through the input. */
static int spec_walk(const struct spec *spec, struct scree_layout *layout,
                     struct scree_shape *ret_counts, ptrdiff_t *strides,
                     struct scree_shape *ret_shape, struct scree_error *err)
{
    const struct scree_shape *in = &spec->call->inputs[0]->shape;
    struct range range;
    int32_t axis = 0;
    int rc = 0;

    for (int32_t d = 0; d < spec->n_dims && rc == 0; d++) {
        int32_t entry = spec_entry(spec, d);

        if (entry >= 0 && bit(spec->new_axis_mask, entry)) {
            rc = scree_shape_append(ret_shape, 1, err);
            continue;
        }
        if (axis == in->rank)
            return scree_fail(err, EBADMSG, "more indices than dimensions");
        if ((rc = spec_range(spec, entry, in->dims[axis], &range, err)) < 0)
            return rc;
        layout->src += (ptrdiff_t)range.start * strides[axis];
        ret_counts->dims[axis] = (int32_t)range_count(&range);
        strides[axis] = ret_counts->dims[axis] > 1 ? strides[axis] * (ptrdiff_t)range.stride : 0;
        if (!range.shrink)
            rc = scree_shape_append(ret_shape, ret_counts->dims[axis], err);
        axis++;
    }
    ret_counts->rank = axis;
    return rc;
}

int scree_strided_slice_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0];
    size_t element = scree_type_bytes(in->type);
    ptrdiff_t src[SCREE_MAX_RANK], dst[SCREE_MAX_RANK];
    struct scree_shape counts = {0}, shape = {0};
    struct spec spec = {0};
    struct scree_layout *layout;
    int rc;

    if ((rc = spec_read(&spec, call, err)) < 0)
        return rc;
    for (uint32_t i = 1; i <= 3; i++)
        if (!scree_operand_known(call->inputs[i]))
            return SCREE_DEFER;
    if ((rc = scree_layout_new(call, &layout, err)) < 0)
        return rc;
    scree_shape_strides(&in->shape, element, src);
    if ((rc = spec_walk(&spec, layout, &counts, src, &shape, err)) < 0)
        return rc;
    scree_shape_strides(&counts, element, dst);
    scree_layout_block(layout, &counts, src, dst);
    return scree_layout_done(call, &shape, err);
}

/* ---- DYNAMIC_UPDATE_SLICE ------------------------------------------------------------------ */

int scree_dynamic_update_slice_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape, *update = &call->inputs[1]->shape;
    size_t element = scree_type_bytes(call->inputs[0]->type);
    ptrdiff_t src[SCREE_MAX_RANK], dst[SCREE_MAX_RANK];
    struct scree_layout *layout;
    int rc;

    if ((rc = scree_vector_check(call->inputs[2], "the list of starts", in->rank, err)) < 0)
        return rc;
    if (update->rank != in->rank)
        return scree_fail(err, EBADMSG, "the update is of rank %d, the input of %d", update->rank,
                          in->rank);
    for (int32_t i = 0; i < in->rank; i++)
        if (update->dims[i] > in->dims[i])
            return scree_fail(err, EBADMSG, "the update has %d elements in dimension %d, of %d",
                              update->dims[i], i, in->dims[i]);
    if ((rc = scree_layout_new(call, &layout, err)) < 0)
        return rc;
    scree_shape_strides(update, element, src);
    scree_shape_strides(in, element, dst);
    scree_layout_block(layout, update, src, dst);
    return scree_call_set_shape(call, 0, in, err);
}

int scree_dynamic_update_slice_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_layout *layout = call->params;
    const struct scree_operand *in = call->inputs[0], *update = call->inputs[1];
    ptrdiff_t strides[SCREE_MAX_RANK], at = 0;
    size_t element = scree_type_bytes(in->type);

    if (in->n_elements == 0)
        return 0;
    memcpy(call->outputs[0]->data, in->data, in->bytes);
    if (update->n_elements == 0)
        return 0;
    scree_shape_strides(&in->shape, element, strides);
    for (int32_t i = 0; i < in->shape.rank; i++) {
        int64_t start = scree_operand_int(call->inputs[2], (size_t)i);
        int64_t last = in->shape.dims[i] - update->shape.dims[i];

        at += (ptrdiff_t)(start < 0 ? 0 : start > last ? last : start) * strides[i];
    }
    scree_move_run(&layout->move, element, update->data, (uint8_t *)call->outputs[0]->data + at);
    return 0;
}
