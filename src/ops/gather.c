/* ops/gather.c - slices picked by index: GATHER, GATHER_ND, EMBEDDING_LOOKUP, and put back by it:
 * SCATTER_ND. */
#include <string.h>

#include "ops/common.h"
#include "ops/layout.h"
#include "ops/ops.h"

/* Index i of `indices`, which must be in [0, n). Errors: EBADMSG. */
static int read_index(const struct scree_operand *indices, size_t i, int32_t n, size_t *ret,
                      struct scree_error *err)
{
    int64_t index = scree_operand_index(indices, i);

    if (index < 0 || index >= n)
        return scree_fail(err, EBADMSG, "index %lld of %d elements", (long long)index, n);
    *ret = (size_t)index;
    return 0;
}

/* ---- GATHER, EMBEDDING_LOOKUP -------------------------------------------------------------- */

/* out[batch][outer][i] = in[batch][outer][index[batch][i]], slices of `bytes` bytes. */
struct gather_params {
    size_t n_batches, n_outer, n_indices, bytes;
    int32_t axis_dim;
};

int scree_gather_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_gather_options *options = &call->node->options.gather;
    const struct scree_shape *in = &call->inputs[0]->shape, *at = &call->inputs[1]->shape;
    struct scree_shape shape = {0};
    struct gather_params *params = scree_call_params(call, sizeof *params);
    int32_t axis, batch_dims = options->batch_dims;
    int rc;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    if ((rc = scree_need_axis(options->axis, in->rank, &axis, err)) < 0)
        return rc;
    batch_dims += batch_dims < 0 ? at->rank : 0;
    if (batch_dims < 0 || batch_dims > axis || batch_dims > at->rank)
        return scree_fail(err, EBADMSG, "%d batch dimensions before axis %d, indices of rank %d",
                          options->batch_dims, axis, at->rank);
    for (int32_t i = 0; i < axis && rc == 0; i++) {
        if (i < batch_dims && in->dims[i] != at->dims[i])
            return scree_fail(err, EBADMSG, "batch dimension %d is of %d elements and of %d", i,
                              in->dims[i], at->dims[i]);
        rc = scree_shape_append(&shape, in->dims[i], err);
    }
    for (int32_t i = batch_dims; i < at->rank && rc == 0; i++)
        rc = scree_shape_append(&shape, at->dims[i], err);
    for (int32_t i = axis + 1; i < in->rank && rc == 0; i++)
        rc = scree_shape_append(&shape, in->dims[i], err);
    *params = (struct gather_params){
        .n_batches = scree_shape_span(in, 0, batch_dims),
        .n_outer = scree_shape_span(in, batch_dims, axis),
        .n_indices = scree_shape_span(at, batch_dims, at->rank),
        .bytes = scree_shape_span(in, axis + 1, in->rank) * scree_type_bytes(call->inputs[0]->type),
        .axis_dim = in->dims[axis],
    };
    return rc < 0 ? rc : scree_call_set_shape(call, 0, &shape, err);
}

static int gather_run(const struct scree_call *call, const struct gather_params *p,
                      const struct scree_operand *in, const struct scree_operand *indices,
                      struct scree_error *err)
{
    size_t in_pitch = (size_t)p->axis_dim * p->bytes, out_pitch = p->n_indices * p->bytes;
    const uint8_t *from = in->data;
    uint8_t *to = call->outputs[0]->data;
    size_t index;
    int rc;

    for (size_t i = 0; i < indices->n_elements; i++)
        if ((rc = read_index(indices, i, p->axis_dim, &index, err)) < 0)
            return rc;
    if (call->outputs[0]->n_elements == 0)
        return 0;
    for (size_t batch = 0; batch < p->n_batches; batch++) {
        for (size_t i = 0; i < p->n_indices; i++) {
            index = (size_t)scree_operand_index(indices, batch * p->n_indices + i);
            scree_copy_rows(to + i * p->bytes, out_pitch, from + index * p->bytes, in_pitch,
                            p->n_outer, p->bytes);
        }
        from += p->n_outer * in_pitch;
        to += p->n_outer * out_pitch;
    }
    return 0;
}

int scree_gather_run(const struct scree_call *call, struct scree_error *err)
{
    return gather_run(call, call->params, call->inputs[0], call->inputs[1], err);
}

int scree_embedding_lookup_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *at = &call->inputs[0]->shape, *table = &call->inputs[1]->shape;
    struct gather_params *params = scree_call_params(call, sizeof *params);
    struct scree_shape shape = *table;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    if (at->rank != 1 || table->rank < 2)
        return scree_fail(err, EBADMSG, "indices of rank %d into a table of rank %d", at->rank,
                          table->rank);
    shape.dims[0] = at->dims[0];
    *params = (struct gather_params){
        .n_batches = 1,
        .n_outer = 1,
        .n_indices = (size_t)at->dims[0],
        .bytes = scree_shape_span(table, 1, table->rank) * scree_type_bytes(call->inputs[1]->type),
        .axis_dim = table->dims[0],
    };
    return scree_call_set_shape(call, 0, &shape, err);
}

int scree_embedding_lookup_run(const struct scree_call *call, struct scree_error *err)
{
    return gather_run(call, call->params, call->inputs[1], call->inputs[0], err);
}

/* ---- GATHER_ND, SCATTER_ND ----------------------------------------------------------------- */

/* Tuple i of the indices, each as long as their last dimension, as a slice of a tensor of `shape`:
 * the slice's number, counted in slices. Errors: EBADMSG. */
static int read_tuple(const struct scree_operand *indices, size_t i,
                      const struct scree_shape *shape, size_t *ret_slice, struct scree_error *err)
{
    size_t n = (size_t)indices->shape.dims[indices->shape.rank - 1], slice = 0, index = 0;
    int rc;

    for (size_t d = 0; d < n; d++) {
        if ((rc = read_index(indices, i * n + d, shape->dims[d], &index, err)) < 0)
            return rc;
        slice = slice * (size_t)shape->dims[d] + index;
    }
    *ret_slice = slice;
    return 0;
}

int scree_gather_nd_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape, *at = &call->inputs[1]->shape;
    struct scree_shape shape = {0};
    int rc = 0;

    if (in->rank < 1 || at->rank < 1 || at->dims[at->rank - 1] > in->rank)
        return scree_fail(err, EBADMSG, "indices of rank %d, last dimension %d, into rank %d",
                          at->rank, at->rank > 0 ? at->dims[at->rank - 1] : 0, in->rank);
    for (int32_t i = 0; i < at->rank - 1 && rc == 0; i++)
        rc = scree_shape_append(&shape, at->dims[i], err);
    for (int32_t i = at->dims[at->rank - 1]; i < in->rank && rc == 0; i++)
        rc = scree_shape_append(&shape, in->dims[i], err);
    return rc < 0 ? rc : scree_call_set_shape(call, 0, &shape, err);
}

int scree_gather_nd_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *at = call->inputs[1];
    size_t bytes =
        scree_shape_span(&in->shape, at->shape.dims[at->shape.rank - 1], in->shape.rank) *
        scree_type_bytes(in->type);
    size_t n = scree_shape_span(&at->shape, 0, at->shape.rank - 1);
    uint8_t *to = call->outputs[0]->data;
    size_t slice;
    int rc;

    if (call->outputs[0]->n_elements == 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if ((rc = read_tuple(at, i, &in->shape, &slice, err)) < 0)
            return rc;
        memcpy(to + i * bytes, (const uint8_t *)in->data + slice * bytes, bytes);
    }
    return 0;
}

static int scatter_shape(const struct scree_call *call, struct scree_shape *ret_shape,
                         struct scree_error *err)
{
    const struct scree_operand *dims = call->inputs[2];
    const struct scree_shape *at = &call->inputs[0]->shape, *updates = &call->inputs[1]->shape;
    int32_t outer = at->rank - 1, depth;
    int rc = 0;

    if (at->rank < 1 || updates->rank < 1 || dims->shape.rank != 1)
        return scree_fail(err, EBADMSG, "indices of rank %d, updates of rank %d", at->rank,
                          updates->rank);
    depth = at->dims[outer];
    for (size_t i = 0; i < dims->n_elements && rc == 0; i++)
        rc = scree_shape_append(ret_shape, scree_operand_int(dims, i), err);
    if (rc < 0)
        return rc;
    if (depth > ret_shape->rank || updates->rank - outer != ret_shape->rank - depth)
        return scree_fail(err, EBADMSG, "updates of rank %d by indices of %d into rank %d",
                          updates->rank, depth, ret_shape->rank);
    for (int32_t i = 0; i < updates->rank; i++) {
        int32_t want = i < outer ? at->dims[i] : ret_shape->dims[depth + i - outer];

        if (updates->dims[i] != want)
            return scree_fail(err, EBADMSG, "dimension %d of the updates has %d elements, not %d",
                              i, updates->dims[i], want);
    }
    return 0;
}

int scree_scatter_nd_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape shape = {0};
    int rc;

    if (!scree_operand_known(call->inputs[2]))
        return SCREE_DEFER;
    rc = scatter_shape(call, &shape, err);
    return rc < 0 ? rc : scree_call_set_shape(call, 0, &shape, err);
}

/* to[i] += from[i]: integers wrap, booleans are or'd, as in TFLite. */
static void add_slice(enum scree_type type, void *to, const void *from, size_t n)
{
    switch (type) {
    case SCREE_TYPE_FLOAT32:
        for (size_t i = 0; i < n; i++)
            ((float *)to)[i] += ((const float *)from)[i];
        break;
    case SCREE_TYPE_INT32:
        for (size_t i = 0; i < n; i++)
            ((uint32_t *)to)[i] += ((const uint32_t *)from)[i];
        break;
    case SCREE_TYPE_INT64:
        for (size_t i = 0; i < n; i++)
            ((uint64_t *)to)[i] += ((const uint64_t *)from)[i];
        break;
    case SCREE_TYPE_BOOL:
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)to)[i] |= ((const uint8_t *)from)[i] != 0;
        break;
    default:
        for (size_t i = 0; i < n; i++)
            ((uint8_t *)to)[i] = (uint8_t)(((uint8_t *)to)[i] + ((const uint8_t *)from)[i]);
        break;
    }
}

int scree_scatter_nd_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *at = call->inputs[0], *updates = call->inputs[1];
    const struct scree_operand *out = call->outputs[0];
    size_t slice_size =
        scree_shape_span(&out->shape, at->shape.dims[at->shape.rank - 1], out->shape.rank);
    size_t n = scree_shape_span(&at->shape, 0, at->shape.rank - 1);
    size_t element = scree_type_bytes(out->type), slice;
    int rc;

    if (out->n_elements == 0)
        return 0;
    memset(out->data, 0, out->bytes);
    for (size_t i = 0; i < n; i++) {
        if ((rc = read_tuple(at, i, &out->shape, &slice, err)) < 0)
            return rc;
        add_slice(out->type, (uint8_t *)out->data + slice * slice_size * element,
                  (const uint8_t *)updates->data + i * slice_size * element, slice_size);
    }
    return 0;
}
