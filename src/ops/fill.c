/* ops/fill.c - tensors made out of little: FILL, ONE_HOT, RANGE, RANK, SHAPE, ZEROS_LIKE,
 * MATRIX_DIAG, MATRIX_SET_DIAG. */
#include <math.h>
#include <string.h>

#include "ops/common.h"
#include "ops/layout.h"
#include "ops/ops.h"

/* ---- SHAPE, RANK, ZEROS_LIKE --------------------------------------------------------------- */

int scree_shape_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape shape = {1, {call->inputs[0]->shape.rank}};
    enum scree_type type = call->node->options.shape.out_type;

    if (type != call->outputs[0]->type)
        return scree_fail(err, EBADMSG, "the output is %s, the options say %s",
                          scree_type_name(call->outputs[0]->type), scree_type_name(type));
    return scree_call_set_shape(call, 0, &shape, err);
}

int scree_shape_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *shape = &call->inputs[0]->shape;

    for (int32_t i = 0; i < shape->rank; i++) {
        if (call->outputs[0]->type == SCREE_TYPE_INT32)
            ((int32_t *)call->outputs[0]->data)[i] = shape->dims[i];
        else
            ((int64_t *)call->outputs[0]->data)[i] = shape->dims[i];
    }
    return 0;
}

int scree_rank_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape scalar = {0};

    return scree_call_set_shape(call, 0, &scalar, err);
}

int scree_rank_run(const struct scree_call *call, struct scree_error *err)
{
    *(int32_t *)call->outputs[0]->data = call->inputs[0]->shape.rank;
    return 0;
}

int scree_zeros_prepare(struct scree_call *call, struct scree_error *err)
{
    return scree_call_set_shape(call, 0, &call->inputs[0]->shape, err);
}

int scree_zeros_run(const struct scree_call *call, struct scree_error *err)
{
    if (call->outputs[0]->bytes > 0)
        memset(call->outputs[0]->data, 0, call->outputs[0]->bytes);
    return 0;
}

/* ---- FILL ---------------------------------------------------------------------------------- */

int scree_fill_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *dims = call->inputs[0], *value = call->inputs[1];
    struct scree_shape shape = {0};
    int rc;

    if (dims->shape.rank != 1 || value->n_elements != 1)
        return scree_fail(err, EBADMSG, "a shape of rank %d, %zu values", dims->shape.rank,
                          value->n_elements);
    if ((rc = scree_quant_check_same(value, call->outputs[0], err)) < 0)
        return rc;
    if (!scree_operand_known(dims))
        return SCREE_DEFER;
    for (size_t i = 0; i < dims->n_elements && rc == 0; i++)
        rc = scree_shape_append(&shape, scree_operand_int(dims, i), err);
    return rc < 0 ? rc : scree_call_set_shape(call, 0, &shape, err);
}

int scree_fill_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *out = call->outputs[0];

    if (out->n_elements > 0)
        scree_fill_elements(out->data, call->inputs[1]->data, out->n_elements,
                            scree_type_bytes(out->type));
    return 0;
}

/* ---- RANGE --------------------------------------------------------------------------------- */

enum { START, LIMIT, DELTA };

/* The number of steps of `delta` from start until limit is reached or passed; false if the steps
 * lead away from it, or nowhere. */
static bool steps_int(int64_t start, int64_t limit, int64_t delta, uint64_t *ret)
{
    uint64_t way = start < limit ? (uint64_t)limit - (uint64_t)start
                                 : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta < 0 ? -(uint64_t)delta : (uint64_t)delta;

    if (delta == 0 || (start < limit && delta < 0) || (start > limit && delta > 0))
        return false;
    *ret = way / step + (way % step != 0);
    return true;
}

/* The same for floats, counted as TFLite counts; more than fit in a tensor are all the same. */
static bool steps_float(float start, float limit, float delta, uint64_t *ret)
{
    float steps = ceilf(fabsf((limit - start) / delta));

    if (!((start >= limit && delta < 0) || (start <= limit && delta > 0)))
        return false;
    *ret = steps < 4294967296.0f ? (uint64_t)steps : UINT32_MAX;
    return true;
}

static float float_of(const struct scree_operand *operand)
{
    return *(const float *)operand->data;
}

int scree_range_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_operand **in = call->inputs;
    struct scree_shape shape = {0};
    uint64_t n = 0;
    bool ok;
    int rc;

    for (int i = START; i <= DELTA; i++)
        if (in[i]->n_elements != 1)
            return scree_fail(err, EBADMSG, "input %d has %zu elements, not one", i,
                              in[i]->n_elements);
    for (int i = START; i <= DELTA; i++)
        if (!scree_operand_known(in[i]))
            return SCREE_DEFER;
    if (in[START]->type == SCREE_TYPE_FLOAT32)
        ok = steps_float(float_of(in[START]), float_of(in[LIMIT]), float_of(in[DELTA]), &n);
    else
        ok = steps_int(scree_operand_int(in[START], 0), scree_operand_int(in[LIMIT], 0),
                       scree_operand_int(in[DELTA], 0), &n);
    if (!ok)
        return scree_fail(err, EBADMSG, "the steps do not lead to the limit");
    if (n > INT32_MAX)
        return scree_fail(err, E2BIG, "a range of over 2147483647 elements");
    rc = scree_shape_append(&shape, (int64_t)n, err);
    return rc < 0 ? rc : scree_call_set_shape(call, 0, &shape, err);
}

/* Each element is the one before it and delta: floats gather the errors of that. */
int scree_range_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *out = call->outputs[0];

    if (out->type == SCREE_TYPE_FLOAT32) {
        float value = float_of(call->inputs[START]), delta = float_of(call->inputs[DELTA]);

        for (size_t i = 0; i < out->n_elements; i++, value += delta)
            ((float *)out->data)[i] = value;
        return 0;
    }
    for (size_t i = 0; i < out->n_elements; i++) {
        uint64_t value = (uint64_t)scree_operand_int(call->inputs[START], 0) +
                         i * (uint64_t)scree_operand_int(call->inputs[DELTA], 0);

        if (out->type == SCREE_TYPE_INT32)
            ((int32_t *)out->data)[i] = (int32_t)value;
        else
            ((int64_t *)out->data)[i] = (int64_t)value;
    }
    return 0;
}

/* ---- ONE_HOT ------------------------------------------------------------------------------- */

enum { INDICES, DEPTH, ON, OFF };

int scree_one_hot_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *indices = &call->inputs[INDICES]->shape;
    struct scree_shape shape = {0};
    int32_t axis, *params;
    int rc = 0;

    for (int i = DEPTH; i <= OFF; i++)
        if (call->inputs[i]->n_elements != 1)
            return scree_fail(err, EBADMSG, "input %d has %zu elements, not one", i,
                              call->inputs[i]->n_elements);
    axis = call->node->options.one_hot.axis;
    axis = axis == -1 ? indices->rank : axis;
    if (axis < 0 || axis > indices->rank)
        return scree_fail(err, EBADMSG, "axis %d for indices of rank %d", axis, indices->rank);
    if (!scree_operand_known(call->inputs[DEPTH]))
        return SCREE_DEFER;
    if (!(params = scree_call_params(call, sizeof *params)))
        return scree_fail_memory(err, sizeof *params);
    *params = axis;
    for (int32_t i = 0; i <= indices->rank && rc == 0; i++)
        rc = scree_shape_append(&shape,
                                i == axis ? scree_operand_int(call->inputs[DEPTH], 0)
                                          : indices->dims[i > axis ? i - 1 : i],
                                err);
    return rc < 0 ? rc : scree_call_set_shape(call, 0, &shape, err);
}

/* Indices outside the depth light nothing; of int64 the lower half counts, as in TFLite. */
int scree_one_hot_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *indices = call->inputs[INDICES], *out = call->outputs[0];
    int32_t axis = *(const int32_t *)call->params, depth = out->shape.dims[axis];
    size_t inner = scree_shape_span(&out->shape, axis + 1, out->shape.rank);
    size_t element = scree_type_bytes(out->type);
    uint8_t *to = out->data;

    if (out->n_elements == 0)
        return 0;
    scree_fill_elements(to, call->inputs[OFF]->data, out->n_elements, element);
    for (size_t i = 0; i < indices->n_elements; i++) {
        int32_t index = (int32_t)(uint32_t)scree_operand_int(indices, i);
        size_t at = i / inner * (size_t)depth * inner + i % inner;

        if (index >= 0 && index < depth)
            memcpy(to + (at + (size_t)index * inner) * element, call->inputs[ON]->data, element);
    }
    return 0;
}

/* ---- MATRIX_DIAG, MATRIX_SET_DIAG ---------------------------------------------------------- */

/* Writes the diagonals of all matrices [...][rows][cols] of the output. */
static void write_diagonals(const struct scree_operand *diagonals, const struct scree_operand *out)
{
    size_t rows = (size_t)out->shape.dims[out->shape.rank - 2];
    size_t cols = (size_t)out->shape.dims[out->shape.rank - 1];
    size_t n = rows < cols ? rows : cols, element = scree_type_bytes(out->type);
    const uint8_t *from = diagonals->data;
    uint8_t *to = out->data;

    for (size_t i = 0; i < diagonals->n_elements / n; i++) {
        scree_copy_rows(to, (cols + 1) * element, from, element, n, element);
        from += n * element;
        to += rows * cols * element;
    }
}

int scree_matrix_diag_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape shape = call->inputs[0]->shape;
    int rc;

    if (shape.rank < 1)
        return scree_fail(err, EBADMSG, "the diagonal is a scalar");
    rc = scree_shape_append(&shape, shape.dims[shape.rank - 1], err);
    return rc < 0 ? rc : scree_call_set_shape(call, 0, &shape, err);
}

int scree_matrix_diag_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *out = call->outputs[0];

    if (out->n_elements == 0)
        return 0;
    memset(out->data, 0, out->bytes);
    write_diagonals(call->inputs[0], out);
    return 0;
}

int scree_matrix_set_diag_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape;
    size_t rows, cols, n;

    if (in->rank < 2)
        return scree_fail(err, EBADMSG, "the input is of rank %d, no matrix", in->rank);
    rows = (size_t)in->dims[in->rank - 2];
    cols = (size_t)in->dims[in->rank - 1];
    n = scree_shape_span(in, 0, in->rank - 2) * (rows < cols ? rows : cols);
    if (call->inputs[1]->n_elements != n)
        return scree_fail(err, EBADMSG, "diagonals of %zu elements, not %zu",
                          call->inputs[1]->n_elements, n);
    return scree_call_set_shape(call, 0, in, err);
}

int scree_matrix_set_diag_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *out = call->outputs[0];

    if (out->n_elements == 0)
        return 0;
    memcpy(out->data, call->inputs[0]->data, out->bytes);
    write_diagonals(call->inputs[1], out);
    return 0;
}
