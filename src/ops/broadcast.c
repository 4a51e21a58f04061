#include "ops/broadcast.h"

#include <string.h>

/* A few microseconds of quantized arithmetic: below that, waking a thread costs more. */
#define DEFAULT_GRAIN 16384
/* Rows of fewer elements are joined; the bytes of a block of joined rows of one input. */
#define SHORT_ROW   128
#define BLOCK_BYTES 4096

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

    *broadcast = (struct scree_broadcast){.n_inputs = n, .grain = DEFAULT_GRAIN};
    if (output->n_elements > 0)
        n_groups = fold(inputs, n, &output->shape, groups);
    broadcast->row = n_groups > 0 ? groups[0].size : output->n_elements;
    broadcast->out_bytes = scree_type_bytes(output->type);
    broadcast->n_loops = n_groups > 0 ? n_groups - 1 : 0;
    for (uint32_t k = 0; k < n; k++) {
        size_t bytes = scree_type_bytes(inputs[k]->type);

        broadcast->in_bytes[k] = bytes;
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

void scree_broadcast_init_flat(struct scree_broadcast *broadcast, size_t n, size_t in_bytes,
                               size_t out_bytes)
{
    *broadcast = (struct scree_broadcast){.n_inputs = 1,
                                          .row = n,
                                          .grain = DEFAULT_GRAIN,
                                          .out_bytes = out_bytes,
                                          .in_bytes = {in_bytes},
                                          .steps = {1}};
}

/* ---- run ---------------------------------------------------------------------------------------
 */

struct run {
    const struct scree_broadcast *broadcast;
    const void *const *data;
    char *output;
    scree_row_fn *row;
    const void *params;
    size_t n_tiles;
};

/* Room for the rows of a block, of one input. */
struct block {
    _Alignas(16) char bytes[BLOCK_BYTES];
    const void *holds; /* the row that it repeats, or NULL */
};

/* `n` rows of input k, of which the first is at `from`, one behind the other: where they are, or in
 * the block. */
static const void *join_rows(const struct scree_broadcast *broadcast, uint32_t k, const char *from,
                             size_t n, struct block *block)
{
    size_t bytes = broadcast->in_bytes[k], row = broadcast->row;
    size_t stride = broadcast->strides[k][broadcast->n_loops - 1];

    if (broadcast->steps[k] == 1 && stride == row * bytes)
        return from;
    if (stride == 0 && block->holds == from)
        return block->bytes; /* blocks after the first are not longer */
    block->holds = stride == 0 ? from : NULL;
    for (size_t i = 0; i < n; i++, from += stride) {
        char *to = block->bytes + i * row * bytes;

        if (broadcast->steps[k] == 1)
            memcpy(to, from, row * bytes);
        else if (bytes == 1)
            memset(to, *from, row);
        else
            for (size_t e = 0; e < row; e++)
                memcpy(to + e * bytes, from, bytes);
    }
    return block->bytes;
}

/* The innermost loop, several rows at a time. */
static void run_joined(const struct run *run, const void *const *in, char *out, size_t block_rows,
                       struct block *blocks)
{
    const struct scree_broadcast *broadcast = run->broadcast;
    const size_t steps[SCREE_BROADCAST_MAX] = {1, 1, 1};
    uint32_t loop = broadcast->n_loops - 1;
    size_t n_rows = broadcast->loops[loop], n;

    for (uint32_t k = 0; k < broadcast->n_inputs; k++)
        blocks[k].holds = NULL;
    for (size_t i = 0; i < n_rows; i += n) {
        const void *joined[SCREE_BROADCAST_MAX] = {NULL};

        n = n_rows - i < block_rows ? n_rows - i : block_rows;
        for (uint32_t k = 0; k < broadcast->n_inputs; k++)
            joined[k] = join_rows(
                broadcast, k, (const char *)in[k] + i * broadcast->strides[k][loop], n, &blocks[k]);
        run->row(out, joined, steps, n * broadcast->row, run->params);
        out += n * broadcast->row * broadcast->out_bytes;
    }
}

/* How many rows are worth joining; 0: none. */
static size_t rows_of_block(const struct scree_broadcast *broadcast)
{
    size_t widest = 1, n;

    for (uint32_t k = 0; k < broadcast->n_inputs; k++)
        widest = broadcast->in_bytes[k] > widest ? broadcast->in_bytes[k] : widest;
    if (broadcast->n_loops == 0 || broadcast->row >= SHORT_ROW)
        return 0;
    n = BLOCK_BYTES / (widest * broadcast->row);
    return broadcast->loops[broadcast->n_loops - 1] < 2 ? 0 : n;
}

/* All rows, on one thread. */
static void run_rows(const struct run *run)
{
    struct scree_broadcast broadcast = *run->broadcast;
    size_t index[SCREE_MAX_RANK] = {0}, block_rows = rows_of_block(&broadcast);
    size_t bytes = broadcast.row * broadcast.out_bytes;
    const void *in[SCREE_BROADCAST_MAX] = {NULL};
    struct block blocks[SCREE_BROADCAST_MAX];
    char *out = run->output;

    for (uint32_t k = 0; k < broadcast.n_inputs; k++)
        in[k] = run->data[k];
    if (block_rows > 0)
        bytes *= broadcast.loops[--broadcast.n_loops];
    do {
        if (block_rows > 0)
            run_joined(run, in, out, block_rows, blocks);
        else
            run->row(out, in, broadcast.steps, broadcast.row, run->params);
        out += bytes;
    } while (next_row(&broadcast, index, in));
}

/* Part `tile` of the outermost loop, or of the only row. */
static void run_tile(void *arg, size_t tile, int thread)
{
    const struct run *run = arg;
    struct scree_broadcast part = *run->broadcast;
    const void *in[SCREE_BROADCAST_MAX] = {NULL};
    size_t *outer = part.n_loops > 0 ? &part.loops[0] : &part.row;
    size_t first = *outer * tile / run->n_tiles, end = *outer * (tile + 1) / run->n_tiles;
    size_t out_bytes = part.out_bytes;
    struct run own = *run;

    (void)thread;
    for (uint32_t k = 0; k < part.n_inputs; k++) {
        size_t stride = part.n_loops > 0 ? part.strides[k][0] : part.steps[k] * part.in_bytes[k];

        in[k] = (const char *)run->data[k] + first * stride;
    }
    for (uint32_t i = 1; i < part.n_loops; i++)
        out_bytes *= part.loops[i];
    if (part.n_loops > 0)
        out_bytes *= part.row;
    *outer = end - first;
    own.broadcast = &part;
    own.data = in;
    own.output = run->output + first * out_bytes;
    run_rows(&own);
}

void scree_broadcast_run(const struct scree_broadcast *broadcast, struct scree_pool *pool,
                         const void *const *data, void *output, scree_row_fn *row,
                         const void *params)
{
    struct run run = {broadcast, data, output, row, params, 1};
    size_t outer = broadcast->n_loops > 0 ? broadcast->loops[0] : broadcast->row;
    size_t n = broadcast->row;

    if (broadcast->row == 0)
        return;
    for (uint32_t i = 0; i < broadcast->n_loops; i++)
        n *= broadcast->loops[i];
    run.n_tiles = n / broadcast->grain < outer ? n / broadcast->grain : outer;
    if (run.n_tiles < 2 || scree_pool_n_threads(pool) < 2)
        run_rows(&run);
    else
        scree_pool_run(pool, run.n_tiles, run_tile, &run);
}
