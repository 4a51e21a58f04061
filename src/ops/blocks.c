/* ops/blocks.c - blocks of pixels moved into channels or batches and back: SPACE_TO_DEPTH,
 * DEPTH_TO_SPACE, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND. */
#include "ops/common.h"
#include "ops/layout.h"
#include "ops/ops.h"

/* ---- SPACE_TO_DEPTH, DEPTH_TO_SPACE -------------------------------------------------------- */

/* The walk over n x h x w cells of b x b pixels of c channels, with the strides of the two sides:
 * in the picture a cell is b rows of b pixels, in the channels it is b * b * c of them. */
static void cells_layout(struct scree_layout *layout, const struct scree_shape *deep, int32_t b,
                         size_t element, bool to_depth)
{
    size_t c = (size_t)deep->dims[3] / (size_t)b / (size_t)b;
    size_t dims[6] = {(size_t)deep->dims[0],
                      (size_t)deep->dims[1],
                      (size_t)b,
                      (size_t)deep->dims[2],
                      (size_t)b,
                      c};
    ptrdiff_t space[6], depth[6];
    ptrdiff_t pixel = (ptrdiff_t)(c * element), row = pixel * b * deep->dims[2];
    ptrdiff_t cell = pixel * b * b;

    space[5] = depth[5] = (ptrdiff_t)element;
    space[4] = depth[4] = pixel;
    space[3] = pixel * b;
    depth[3] = cell;
    space[2] = row;
    depth[2] = pixel * b;
    space[1] = row * b;
    depth[1] = cell * deep->dims[2];
    space[0] = depth[0] = cell * deep->dims[1] * deep->dims[2];
    for (int i = 0; i < 6; i++)
        scree_move_add(&layout->move, dims[i], to_depth ? space[i] : depth[i],
                       to_depth ? depth[i] : space[i]);
    scree_move_simplify(&layout->move);
}

static int block_check(const struct scree_shape *in, int32_t block, struct scree_error *err)
{
    if (in->rank != 4)
        return scree_fail(err, EBADMSG, "the input is of rank %d, not 4", in->rank);
    if (block <= 0)
        return scree_fail(err, EBADMSG, "blocks of %d", block);
    return 0;
}

/* Sets the output's shape, n x h x w x c, and makes the params. */
static int block_output(struct scree_call *call, int64_t h, int64_t w, int64_t c,
                        struct scree_shape *ret_shape, struct scree_layout **ret_layout,
                        struct scree_error *err)
{
    int rc;

    *ret_shape = (struct scree_shape){1, {call->inputs[0]->shape.dims[0]}};
    if ((rc = scree_shape_append(ret_shape, h, err)) < 0 ||
        (rc = scree_shape_append(ret_shape, w, err)) < 0 ||
        (rc = scree_shape_append(ret_shape, c, err)) < 0 ||
        (rc = scree_call_set_shape(call, 0, ret_shape, err)) < 0)
        return rc;
    return scree_layout_new(call, ret_layout, err);
}

int scree_space_to_depth_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0];
    int32_t b = call->node->options.space_to_depth.block_size;
    const int32_t *dims = in->shape.dims;
    struct scree_layout *layout;
    struct scree_shape out;
    int rc;

    if ((rc = block_check(&in->shape, b, err)) < 0)
        return rc;
    if (dims[1] % b != 0 || dims[2] % b != 0)
        return scree_fail(err, EBADMSG, "%dx%d is not a whole number of blocks of %d", dims[1],
                          dims[2], b);
    if ((int64_t)b * b > INT32_MAX)
        return scree_fail(err, E2BIG, "blocks of %dx%d", b, b);
    rc = block_output(call, dims[1] / b, dims[2] / b, (int64_t)b * b * dims[3], &out, &layout, err);
    if (rc == 0 && in->n_elements > 0)
        cells_layout(layout, &out, b, scree_type_bytes(in->type), true);
    return rc;
}

int scree_depth_to_space_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0];
    int32_t b = call->node->options.depth_to_space.block_size;
    const int32_t *dims = in->shape.dims;
    struct scree_layout *layout;
    struct scree_shape out;
    int rc;

    if ((rc = block_check(&in->shape, b, err)) < 0)
        return rc;
    if (dims[3] % b != 0 || dims[3] / b % b != 0)
        return scree_fail(err, EBADMSG, "%d channels are not a whole number of blocks of %dx%d",
                          dims[3], b, b);
    rc = block_output(call, (int64_t)dims[1] * b, (int64_t)dims[2] * b, dims[3] / b / b, &out,
                      &layout, err);
    if (rc == 0 && in->n_elements > 0)
        cells_layout(layout, &in->shape, b, scree_type_bytes(in->type), false);
    return rc;
}

/* ---- SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND -------------------------------------------------- */

/* A picture of h x w pixels and its batches: batch (y * block[1] + x) * n + i holds, of picture i
 * with its margin, the pixels that are y and x from the upper left of their block. A tensor of rank
 * 3 is a picture one pixel wide. */
struct batches {
    int32_t block[2];
    int32_t margin[2]; /* above and left: padding on the way there, crop on the way back */
};

/* Reads input 1, block sizes int32[m], and input 2, margins int32[m][2], for an input of m + 2
 * dimensions. *ret_margins[i] is the sum of both margins of dimension i.
 * Errors: EBADMSG. SCREE_DEFER: not known yet. */
static int batches_read(const struct scree_call *call, struct batches *ret, int64_t *ret_margins,
                        struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *blocks = call->inputs[1];
    const struct scree_operand *margins = call->inputs[2];
    int32_t m = in->shape.rank - 2;
    int rc;

    if (in->shape.rank < 3 || in->shape.rank > 4)
        return scree_fail(err, EBADMSG, "the input is of rank %d, not 3 or 4", in->shape.rank);
    if ((rc = scree_vector_check(blocks, "the list of block sizes", m, err)) < 0)
        return rc;
    if (margins->shape.rank != 2 || margins->shape.dims[0] != m || margins->shape.dims[1] != 2)
        return scree_fail(err, EBADMSG, "the margins have %zu elements, not %dx2",
                          margins->n_elements, m);
    if (!scree_operand_known(blocks) || !scree_operand_known(margins))
        return SCREE_DEFER;
    *ret = (struct batches){{1, 1}, {0, 0}};
    for (int32_t i = 0; i < m; i++) {
        int64_t block = scree_operand_int(blocks, (size_t)i);
        int64_t first = scree_operand_int(margins, 2 * (size_t)i);
        int64_t second = scree_operand_int(margins, 2 * (size_t)i + 1);

        if (block <= 0 || first < 0 || second < 0)
            return scree_fail(err, EBADMSG, "blocks of %lld with margins of %lld and %lld",
                              (long long)block, (long long)first, (long long)second);
        ret->block[i] = (int32_t)block;
        ret->margin[i] = (int32_t)first;
        ret_margins[i] = first + second;
    }
    return 0;
}

/* Both operators only move: what is quantized stays as it is. */
static int batches_quant(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0];
    int rc = 0;

    if (in->type == SCREE_TYPE_UINT8 || in->type == SCREE_TYPE_INT8 || in->type == SCREE_TYPE_INT16)
        rc = scree_quant_check_same(in, call->outputs[0], err);
    if (rc == 0 && in->type == SCREE_TYPE_INT16)
        rc = scree_quant_check_symmetric(call, err);
    return rc;
}

int scree_space_to_batch_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape;
    struct scree_shape out = *in;
    struct batches *params = scree_call_params(call, sizeof *params);
    int64_t margins[2], n = in->rank > 0 ? in->dims[0] : 0;
    int rc;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    if ((rc = batches_quant(call, err)) < 0 || (rc = batches_read(call, params, margins, err)) != 0)
        return rc;
    for (int32_t i = 0; i < in->rank - 2; i++) {
        int64_t dim = in->dims[i + 1] + margins[i];

        if (dim % params->block[i] != 0 || dim / params->block[i] > INT32_MAX)
            return scree_fail(err, EBADMSG, "%lld pixels are not a whole number of blocks of %d",
                              (long long)dim, params->block[i]);
        out.dims[i + 1] = (int32_t)(dim / params->block[i]);
        n = n > INT32_MAX ? n : n * params->block[i];
    }
    if (n > INT32_MAX)
        return scree_fail(err, E2BIG, "%lld batches", (long long)n);
    out.dims[0] = (int32_t)n;
    return scree_call_set_shape(call, 0, &out, err);
}

int scree_batch_to_space_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape;
    struct scree_shape out = *in;
    struct batches *params = scree_call_params(call, sizeof *params);
    int64_t margins[2];
    int rc;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    if ((rc = batches_quant(call, err)) < 0 || (rc = batches_read(call, params, margins, err)) != 0)
        return rc;
    for (int32_t i = 0; i < in->rank - 2; i++) {
        int64_t dim = (int64_t)in->dims[i + 1] * params->block[i] - margins[i];

        if (out.dims[0] % params->block[i] != 0)
            return scree_fail(err, EBADMSG, "%d batches are not a multiple of %d", out.dims[0],
                              params->block[i]);
        if (dim < 0 || dim > INT32_MAX)
            return scree_fail(err, EBADMSG, "the output has %lld pixels in a row or column",
                              (long long)dim);
        out.dims[0] /= params->block[i];
        out.dims[i + 1] = (int32_t)dim;
    }
    return scree_call_set_shape(call, 0, &out, err);
}

/* Pixels of one place in their blocks, in one dimension: of the batch from `first`, of the picture
 * from `pixel` on, each block-th, n of them. */
struct places {
    int64_t n, first, pixel;
};

/* size  the picture's, without margins; n_cells  the batch's */
static struct places places_of(int32_t place, int32_t block, int32_t margin, int32_t size,
                               int32_t n_cells)
{
    int64_t first = margin > place ? ((int64_t)margin - place + block - 1) / block : 0;
    int64_t pixel = first * block + place - margin;
    int64_t n = pixel < size ? (size - pixel + block - 1) / block : 0;

    return (struct places){n < n_cells - first ? n : n_cells - first, first, pixel};
}

/* Moves the pixels at (y, x) of all blocks between picture and batches. `space` and `batch` have
 * rank 4; in the direction to_batch `src` is the picture. */
static void move_place(const struct batches *params, const struct scree_shape *space,
                       const struct scree_shape *batch, int32_t y, int32_t x, size_t element,
                       const uint8_t *src, uint8_t *dst, bool to_batch)
{
    struct places rows =
        places_of(y, params->block[0], params->margin[0], space->dims[1], batch->dims[1]);
    struct places cols =
        places_of(x, params->block[1], params->margin[1], space->dims[2], batch->dims[2]);
    ptrdiff_t s[SCREE_MAX_RANK], b[SCREE_MAX_RANK], in_space, in_batch;
    struct scree_move move = {0};

    if (rows.n <= 0 || cols.n <= 0)
        return;
    scree_shape_strides(space, element, s);
    scree_shape_strides(batch, element, b);
    in_space = rows.pixel * s[1] + cols.pixel * s[2];
    in_batch = ((ptrdiff_t)y * params->block[1] + x) * space->dims[0] * b[0] + rows.first * b[1] +
               cols.first * b[2];
    s[1] *= params->block[0];
    s[2] *= params->block[1];
    for (int i = 0; i < 4; i++)
        scree_move_add(&move,
                       i == 1   ? (size_t)rows.n
                       : i == 2 ? (size_t)cols.n
                                : (size_t)space->dims[i],
                       to_batch ? s[i] : b[i], to_batch ? b[i] : s[i]);
    scree_move_simplify(&move);
    scree_move_run(&move, element, src + (to_batch ? in_space : in_batch),
                   dst + (to_batch ? in_batch : in_space));
}

/* NHC as NH1C; NHWC as it is. */
static struct scree_shape as_picture(const struct scree_shape *shape)
{
    struct scree_shape picture = *shape;

    if (shape->rank == 3) {
        picture.rank = 4;
        picture.dims[3] = shape->dims[2];
        picture.dims[2] = 1;
    }
    return picture;
}

static void move_blocks(const struct scree_call *call, bool to_batch)
{
    const struct batches *params = call->params;
    const struct scree_operand *in = call->inputs[0], *out = call->outputs[0];
    struct scree_shape space = as_picture(to_batch ? &in->shape : &out->shape);
    struct scree_shape batch = as_picture(to_batch ? &out->shape : &in->shape);

    if (in->n_elements == 0 || out->n_elements == 0)
        return;
    for (int32_t y = 0; y < params->block[0]; y++)
        for (int32_t x = 0; x < params->block[1]; x++)
            move_place(params, &space, &batch, y, x, scree_type_bytes(in->type), in->data,
                       out->data, to_batch);
}

int scree_space_to_batch_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *out = call->outputs[0];
    int64_t zero = 0;
    int8_t zero8 = (int8_t)scree_operand_zero_point(out);

    if (out->n_elements == 0)
        return 0;
    scree_fill_elements(out->data, scree_type_bytes(out->type) == 1 ? (const void *)&zero8 : &zero,
                        out->n_elements, scree_type_bytes(out->type));
    move_blocks(call, true);
    return 0;
}

int scree_batch_to_space_run(const struct scree_call *call, struct scree_error *err)
{
    move_blocks(call, false);
    return 0;
}
