#include "ops/broadcast.h"

#include <string.h>

/* Dimension `i` counted from the last one; 1 where the shape has none. */
static int32_t dim_from_last(const struct scree_shape *shape, int32_t i)
{
    return i < shape->rank ? shape->dims[shape->rank - 1 - i] : 1;
}

static int fail_shapes(const struct scree_shape *a, const struct scree_shape *b,
                       struct scree_error *err)
{
    char text_a[96], text_b[96];

    return scree_fail(err, EBADMSG, "shapes %s and %s do not broadcast",
                      scree_shape_text(a, text_a, sizeof text_a),
                      scree_shape_text(b, text_b, sizeof text_b));
}

/* Widens *shape so that `other` can be repeated to it too. */
static int join_shape(struct scree_shape *shape, const struct scree_shape *other,
                      struct scree_error *err)
{
    struct scree_shape joined = {.rank = shape->rank > other->rank ? shape->rank : other->rank};

    for (int32_t i = 0; i < joined.rank; i++) {
        int32_t a = dim_from_last(shape, i), b = dim_from_last(other, i);

        if (a != b && a != 1 && b != 1)
            return fail_shapes(shape, other, err);
        joined.dims[joined.rank - 1 - i] = a == 1 ? b : a;
    }
    *shape = joined;
    return 0;
}

int scree_broadcast_shape(const struct scree_operand *const *inputs, uint32_t n,
                          struct scree_shape *ret_shape, struct scree_error *err)
{
    struct scree_shape shape = inputs[0]->shape;
    int rc = 0;

    for (uint32_t i = 1; i < n && rc == 0; i++)
        rc = join_shape(&shape, &inputs[i]->shape, err);
    if (rc == 0)
        *ret_shape = shape;
    return rc;
}

/* A group of neighbouring dimensions: its size and each input's step from one to the next. */
struct group {
    size_t size;
    size_t steps[SCREE_BROADCAST_MAX]; /* in elements */
};

/* True if the dimension (`size`, `steps`) outside the group continues it for every input. */
static bool group_continues(const struct group *group, const size_t *steps, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        if (steps[k] != group->steps[k] * group->size)
            return false;
    return true;
}

/* Folds the dimensions into groups, innermost first. Returns how many there are. */
static uint32_t fold(const struct scree_operand *const *inputs, uint32_t n,
                     const struct scree_shape *shape, struct group *groups)
{
    size_t next[SCREE_BROADCAST_MAX] = {1, 1, 1}; /* the step of each input's next dimension */
    uint32_t n_groups = 0;

    for (int32_t i = 0; i < shape->rank; i++) {
        size_t size = (size_t)dim_from_last(shape, i);
        size_t steps[SCREE_BROADCAST_MAX];

        if (size == 1)
            continue;
        for (uint32_t k = 0; k < n; k++) {
            int32_t dim = dim_from_last(&inputs[k]->shape, i);

            steps[k] = dim == 1 ? 0 : next[k];
            next[k] *= (size_t)dim;
        }
        if (n_groups > 0 && group_continues(&groups[n_groups - 1], steps, n)) {
            groups[n_groups - 1].size *= size;
        } else {
            groups[n_groups].size = size;
            memcpy(groups[n_groups++].steps, steps, sizeof steps);
        }
    }
    return n_groups;
}

void scree_broadcast_init(struct scree_broadcast *broadcast,
                          const struct scree_operand *const *inputs, uint32_t n,
                          const struct scree_operand *output)
{
    struct group groups[SCREE_MAX_RANK] = {{0}};
    uint32_t n_groups = 0;

    *broadcast = (struct scree_broadcast){.n_inputs = n};
    if (output->n_elements > 0)
        n_groups = fold(inputs, n, &output->shape, groups);
    broadcast->row = n_groups > 0 ? groups[0].size : output->n_elements;
    broadcast->row_bytes = broadcast->row * scree_type_bytes(output->type);
    broadcast->n_loops = n_groups > 0 ? n_groups - 1 : 0;
    for (uint32_t k = 0; k < n; k++) {
        size_t bytes = scree_type_bytes(inputs[k]->type);

        broadcast->steps[k] = n_groups > 0 ? groups[0].steps[k] : 1;
        for (uint32_t i = 1; i < n_groups; i++)
            broadcast->strides[k][n_groups - 1 - i] = groups[i].steps[k] * bytes;
    }
    for (uint32_t i = 1; i < n_groups; i++)
        broadcast->loops[n_groups - 1 - i] = groups[i].size;
}

/* Steps to the next row. False after the last one. */
static bool next_row(const struct scree_broadcast *broadcast, size_t *index, const void **in)
{
    for (uint32_t i = broadcast->n_loops; i-- > 0;) {
        bool wraps = ++index[i] == broadcast->loops[i];

        for (uint32_t k = 0; k < broadcast->n_inputs; k++) {
            size_t stride = broadcast->strides[k][i];

            in[k] = wraps ? (const char *)in[k] - stride * (broadcast->loops[i] - 1)
                          : (const char *)in[k] + stride;
        }
        if (!wraps)
            return true;
        index[i] = 0;
    }
    return false;
}

void scree_broadcast_run(const struct scree_broadcast *broadcast, const void *const *data,
                         void *output, scree_row_fn *row, const void *params)
{
    size_t index[SCREE_MAX_RANK] = {0};
    const void *in[SCREE_BROADCAST_MAX] = {NULL};
    char *out = output;

    if (broadcast->row == 0)
        return;
    for (uint32_t k = 0; k < broadcast->n_inputs; k++)
        in[k] = data[k];
    do {
        row(out, in, broadcast->steps, broadcast->row, params);
        out += broadcast->row_bytes;
    } while (next_row(broadcast, index, in));
}
