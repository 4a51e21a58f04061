/* ops/search.c - elements found by their values: TOPK_V2, UNIQUE, WHERE. */
#include <math.h>
#include <string.h>

#include "kernels/heap.h"

#include "ops/layout.h"
#include "ops/ops.h"

/* Elements that are sorted by their values: a row of a tensor. */
struct row {
    enum scree_type type;
    const void *data;
};

/* Less than 0, 0 or more than 0, as a is less than b, the same or more. A NaN is less than any
 * number. */
static int compare_f32(float a, float b)
{
    if (isnan(a) || isnan(b))
        return isnan(b) - isnan(a);
    return (a > b) - (a < b);
}

static int compare(const struct row *row, int32_t a, int32_t b)
{
    int64_t x, y;

    switch (row->type) {
    case SCREE_TYPE_FLOAT32:
        return compare_f32(((const float *)row->data)[a], ((const float *)row->data)[b]);
    case SCREE_TYPE_UINT8:
        return ((const uint8_t *)row->data)[a] - ((const uint8_t *)row->data)[b];
    case SCREE_TYPE_INT8:
        return ((const int8_t *)row->data)[a] - ((const int8_t *)row->data)[b];
    case SCREE_TYPE_INT16:
        return ((const int16_t *)row->data)[a] - ((const int16_t *)row->data)[b];
    case SCREE_TYPE_INT32:
        x = ((const int32_t *)row->data)[a];
        y = ((const int32_t *)row->data)[b];
        break;
    default:
        x = ((const int64_t *)row->data)[a];
        y = ((const int64_t *)row->data)[b];
        break;
    }
    return (x > y) - (x < y);
}

/* ---- TOPK_V2 ------------------------------------------------------------------------------- */

int scree_topk_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *wanted = call->inputs[1];
    struct scree_shape shape = call->inputs[0]->shape;
    int64_t k;
    int rc;

    if (shape.rank < 1 || wanted->n_elements != 1)
        return scree_fail(err, EBADMSG, "%zu counts for an input of rank %d", wanted->n_elements,
                          shape.rank);
    if (!scree_operand_known(wanted))
        return SCREE_DEFER;
    k = scree_operand_index(wanted, 0);
    if (k > shape.dims[shape.rank - 1])
        return scree_fail(err, EBADMSG, "the first %lld of %d elements", (long long)k,
                          shape.dims[shape.rank - 1]);
    if (call->outputs[1]->type == SCREE_TYPE_INT16 && k > 0 &&
        shape.dims[shape.rank - 1] > INT16_MAX)
        return scree_fail(err, EBADMSG, "int16 cannot hold indices of %d elements",
                          shape.dims[shape.rank - 1]);
    call->scratch_bytes = (size_t)shape.dims[shape.rank - 1] * sizeof(int32_t);
    shape.dims[shape.rank - 1] = k > 0 ? (int32_t)k : 0;
    rc = scree_call_set_shape(call, 0, &shape, err);
    return rc < 0 ? rc : scree_call_set_shape(call, 1, &shape, err);
}

/* Larger ones first; of equal ones the one with the smaller index. */
static bool larger_first(const void *context, int32_t a, int32_t b)
{
    int order = compare(context, a, b);

    return order > 0 || (order == 0 && a < b);
}

int scree_topk_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *out = call->outputs[0];
    const struct scree_operand *indices = call->outputs[1];
    size_t n = (size_t)in->shape.dims[in->shape.rank - 1];
    size_t k = (size_t)out->shape.dims[out->shape.rank - 1], element = scree_type_bytes(in->type);
    int32_t *items = call->scratch;

    for (size_t r = 0; out->n_elements > 0 && r < in->n_elements / n; r++) {
        struct row row = {in->type, (const uint8_t *)in->data + r * n * element};
        struct scree_order order = {larger_first, &row};

        for (size_t i = 0; i < n; i++)
            items[i] = (int32_t)i;
        scree_sort_first(&order, items, k, n);
        for (size_t i = 0; i < k; i++) {
            memcpy((uint8_t *)out->data + (r * k + i) * element,
                   (const uint8_t *)row.data + (size_t)items[i] * element, element);
            if (indices->type == SCREE_TYPE_INT32)
                ((int32_t *)indices->data)[r * k + i] = items[i];
            else
                ((int16_t *)indices->data)[r * k + i] = (int16_t)items[i];
        }
    }
    return 0;
}

/* ---- UNIQUE -------------------------------------------------------------------------------- */

struct unique_params {
    int32_t *first;  /* s32[n_unique]: where each value is met first */
    int32_t *number; /* s32[n]: which of the values each element is */
};

static bool smaller_first(const void *context, int32_t a, int32_t b)
{
    int order = compare(context, a, b);

    return order < 0 || (order == 0 && a < b);
}

/* Numbers the values of the n elements in the order in which they are met. `sorted` is s32[n]
 * scratch. Returns how many there are. */
static int32_t number_values(const struct row *row, int32_t n, int32_t *sorted,
                             struct unique_params *params)
{
    struct scree_order order = {smaller_first, row};
    int32_t n_unique = 0, head = 0;

    for (int32_t i = 0; i < n; i++)
        sorted[i] = i;
    scree_sort_first(&order, sorted, (size_t)n, (size_t)n);
    for (int32_t i = 0; i < n; i++) {
        if (i == 0 || compare(row, sorted[i - 1], sorted[i]) != 0)
            head = sorted[i];
        params->first[sorted[i]] = head; /* of all that are equal, the first */
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t same = params->first[i];

        params->number[i] = same == i ? n_unique : params->number[same];
        if (same == i)
            params->first[n_unique++] = i;
    }
    return n_unique;
}

/* How many values there are is known with the values only, so the work is done here. */
int scree_unique_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0];
    struct row row = {in->type, in->data};
    size_t bytes = in->n_elements * sizeof(int32_t);
    struct scree_shape shape = {1, {0}};
    struct unique_params *params;
    int32_t *sorted;
    int rc;

    if (in->shape.rank != 1)
        return scree_fail(err, EBADMSG, "the input is of rank %d, not 1", in->shape.rank);
    if (!scree_operand_known(in))
        return SCREE_DEFER;
    params = scree_call_params(call, sizeof *params);
    sorted = scree_arena_new(call->arena, int32_t, in->n_elements);
    if (!params || !sorted)
        return scree_fail_memory(err, bytes);
    params->first = scree_arena_new(call->arena, int32_t, in->n_elements);
    params->number = scree_arena_new(call->arena, int32_t, in->n_elements);
    if (!params->first || !params->number)
        return scree_fail_memory(err, bytes);
    shape.dims[0] = number_values(&row, in->shape.dims[0], sorted, params);
    rc = scree_call_set_shape(call, 0, &shape, err);
    return rc < 0 ? rc : scree_call_set_shape(call, 1, &in->shape, err);
}

int scree_unique_run(const struct scree_call *call, struct scree_error *err)
{
    const struct unique_params *params = call->params;
    const struct scree_operand *in = call->inputs[0], *values = call->outputs[0];
    const struct scree_operand *numbers = call->outputs[1];
    size_t element = scree_type_bytes(in->type);

    for (size_t i = 0; i < values->n_elements; i++)
        memcpy((uint8_t *)values->data + i * element,
               (const uint8_t *)in->data + (size_t)params->first[i] * element, element);
    for (size_t i = 0; i < numbers->n_elements; i++) {
        if (numbers->type == SCREE_TYPE_INT32)
            ((int32_t *)numbers->data)[i] = params->number[i];
        else
            ((int64_t *)numbers->data)[i] = params->number[i];
    }
    return 0;
}

/* ---- WHERE --------------------------------------------------------------------------------- */

static bool is_true(const struct scree_operand *operand, size_t i)
{
    switch (operand->type) {
    case SCREE_TYPE_FLOAT32:
        return ((const float *)operand->data)[i] != 0;
    case SCREE_TYPE_INT32:
    case SCREE_TYPE_UINT32:
        return ((const uint32_t *)operand->data)[i] != 0;
    case SCREE_TYPE_INT64:
        return ((const int64_t *)operand->data)[i] != 0;
    default:
        return ((const uint8_t *)operand->data)[i] != 0;
    }
}

int scree_where_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0];
    struct scree_shape shape = {2, {0, in->shape.rank}};

    if (in->shape.rank == 0)
        return scree_fail(err, EBADMSG, "the condition is a scalar");
    if (!scree_operand_known(in))
        return SCREE_DEFER;
    for (size_t i = 0; i < in->n_elements; i++)
        shape.dims[0] += is_true(in, i);
    return scree_call_set_shape(call, 0, &shape, err);
}

int scree_where_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0];
    int32_t rank = in->shape.rank;
    int64_t *to = call->outputs[0]->data;

    for (size_t i = 0; i < in->n_elements; i++) {
        size_t rest = i;

        if (!is_true(in, i))
            continue;
        for (int32_t d = rank - 1; d >= 0; d--) {
            to[d] = (int64_t)(rest % (size_t)in->shape.dims[d]);
            rest /= (size_t)in->shape.dims[d];
        }
        to += rank;
    }
    return 0;
}
