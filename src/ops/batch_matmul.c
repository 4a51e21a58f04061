/* BATCH_MATMUL. As TFLite's batch_matmul.cc. Rows of the left matrix are the pixels of a
 * convolution with a filter of one pixel, columns of the right one its filters; what does not lie
 * so in memory is transposed first. */
#include <math.h>

#include "kernels/hybrid.h"
#include "kernels/kernels.h"
#include "kernels/matmul.h"
#include "kernels/move.h"
#include "ops/common.h"
#include "ops/matrix.h"
#include "ops/matrix_f32.h"
#include "ops/ops.h"

#define BATCH_DIMS (SCREE_MAX_RANK - 2)

/* One side: how far to go for the next matrix along each batch dimension, 0 where it is repeated.
 */
struct side {
    size_t rows, columns; /* of a matrix as it is stored */
    size_t n_matrices;
    size_t steps[BATCH_DIMS]; /* in matrices, as the output's dimensions are */
    bool transpose;           /* before the product */
    size_t scratch;           /* where the transposed matrices are */
};

struct matmul_params {
    int32_t n_dims; /* batch dimensions of the output */
    int32_t dims[BATCH_DIMS];
    size_t n_products;
    struct side left, right;
    struct scree_conv_shape shape; /* of one product */
    struct scree_conv_quant quant;
    struct scree_multiplier multiplier;
    size_t quantized, scales, zero_points, sums; /* hybrid: in the scratch */
    bool is_hybrid, is_f32;
    struct scree_conv_f32 f32;
    const float *packed_once; /* the right matrices if they are constant */
    size_t packed;            /* else where they go, in the scratch */
};

/* What the threads of a run share. */
struct matmul_run {
    const struct scree_call *call;
    const struct matmul_params *params;
    const void *left, *right;
    const float *scales;
    const int32_t *zero_points, *sums;
    const float *packed; /* floats: the right matrices, each f32.packed_bytes */
    size_t tiles;        /* of one product */
};

/* Batch dimension i of the output (0 is the first) as one side has it. */
static int32_t batch_dim(const struct scree_shape *shape, int32_t n_dims, int32_t i)
{
    int32_t at = i - (n_dims + 2 - shape->rank);

    return at < 0 ? 1 : shape->dims[at];
}

static void find_steps(const struct scree_shape *shape, int32_t n_dims, struct side *side)
{
    size_t step = 1;

    for (int32_t i = n_dims - 1; i >= 0; i--) {
        int32_t dim = batch_dim(shape, n_dims, i);

        side->steps[i] = dim == 1 ? 0 : step;
        step *= (size_t)dim;
    }
    side->n_matrices = step;
    side->rows = (size_t)shape->dims[shape->rank - 2];
    side->columns = (size_t)shape->dims[shape->rank - 1];
}

static int broadcast(const struct scree_call *call, struct matmul_params *params,
                     struct scree_error *err)
{
    const struct scree_shape *left = &call->inputs[0]->shape, *right = &call->inputs[1]->shape;

    params->n_dims = (left->rank > right->rank ? left->rank : right->rank) - 2;
    params->n_products = 1;
    for (int32_t i = 0; i < params->n_dims; i++) {
        int32_t a = batch_dim(left, params->n_dims, i), b = batch_dim(right, params->n_dims, i);

        if (a != b && a != 1 && b != 1)
            return scree_fail(err, EBADMSG, "batches of %d and %d matrices", a, b);
        params->dims[i] = a == 1 ? b : a;
        params->n_products *= (size_t)params->dims[i];
    }
    find_steps(left, params->n_dims, &params->left);
    find_steps(right, params->n_dims, &params->right);
    return 0;
}

/* The product's own dimensions; rows of activations are images where each is quantized by itself.
 */
static int set_shapes(struct scree_call *call, struct matmul_params *params,
                      struct scree_error *err)
{
    const struct scree_batch_matmul_options *options = &call->node->options.batch_matmul;
    const struct side *left = &params->left, *right = &params->right;
    int32_t rows = (int32_t)(options->adj_x ? left->columns : left->rows);
    int32_t depth = (int32_t)(options->adj_x ? left->rows : left->columns);
    int32_t columns = (int32_t)(options->adj_y ? right->rows : right->columns);
    struct scree_shape out = {.rank = params->n_dims + 2};

    if (depth != (int32_t)(options->adj_y ? right->columns : right->rows))
        return scree_fail(err, EBADMSG, "%d columns of the left matrix, %zu rows of the right one",
                          depth, options->adj_y ? right->columns : right->rows);
    params->shape = (struct scree_conv_shape){
        .n = 1,
        .in_h = 1,
        .in_w = rows,
        .in_c = depth,
        .filter_h = 1,
        .filter_w = 1,
        .filter_c = depth,
        .out_h = 1,
        .out_w = rows,
        .out_c = columns,
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .n_groups = 1,
    };
    for (int32_t i = 0; i < params->n_dims; i++)
        out.dims[i] = params->dims[i];
    out.dims[params->n_dims] = rows;
    out.dims[params->n_dims + 1] = columns;
    params->left.transpose = options->adj_x;
    params->right.transpose = !options->adj_y;
    return scree_call_set_shape(call, 0, &out, err);
}

/* Packs matrix `index` of the right side. */
static void pack_matrix(const struct scree_call *call, const struct matmul_params *params,
                        size_t index, float *packed)
{
    const struct side *side = &params->right;
    const float *from = (const float *)call->inputs[1]->data + index * side->rows * side->columns;
    bool columns_apart = !side->transpose;

    scree_conv_f32_pack(&params->f32, from, columns_apart ? side->columns : 1,
                        columns_apart ? 1 : side->columns, NULL,
                        packed + index * (params->f32.packed_bytes / sizeof(float)));
}

/* Floats: what is multiplied, and the right matrices' packing if that can be done now. */
static int prepare_f32(struct scree_call *call, struct matmul_params *params,
                       struct scree_error *err)
{
    size_t n = params->right.n_matrices, bytes;
    float *packed;

    if (!scree_conv_f32_plan(&params->f32, &params->shape, scree_matrix_f32_kernel(call), -INFINITY,
                             INFINITY))
        return scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
    bytes = params->f32.packed_bytes;
    call->thread_scratch_bytes = params->f32.scratch_bytes;
    if (!scree_matrix_f32_is_known(call, call->inputs[1]))
        return scree_matrix_take(call, n, bytes, &params->packed)
                   ? 0
                   : scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
    packed = scree_matrix_f32_allocate(call->arena, n, bytes);
    if (!packed)
        return scree_fail_memory(err, bytes);
    for (size_t i = 0; i < n; i++)
        pack_matrix(call, params, i, packed);
    params->packed_once = packed;
    call->consumed = 1 << 1;
    return 0;
}

static int plan_scratch(struct scree_call *call, struct matmul_params *params,
                        struct scree_error *err)
{
    const struct scree_operand *left = call->inputs[0], *right = call->inputs[1];
    size_t n_rows = params->left.n_matrices * (size_t)params->shape.in_w;
    size_t n_columns = params->right.n_matrices * (size_t)params->shape.out_c;
    bool fits = true;

    if (params->left.transpose)
        fits = scree_matrix_take(call, left->bytes, 1, &params->left.scratch);
    if (fits && params->right.transpose && !params->is_f32)
        fits = scree_matrix_take(call, right->bytes, 1, &params->right.scratch);
    if (fits && params->is_hybrid)
        fits = scree_matrix_take(call, left->n_elements, 1, &params->quantized) &&
               scree_matrix_take(call, n_rows, sizeof(float), &params->scales) &&
               scree_matrix_take(call, n_rows, sizeof(int32_t), &params->zero_points) &&
               scree_matrix_take(call, n_columns, sizeof(int32_t), &params->sums);
    return fits ? 0 : scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
}

/* TFLite multiplies the scales as floats. Sums that stay sums (int32) are not rescaled. */
static int quantize(const struct scree_call *call, struct matmul_params *params,
                    struct scree_error *err)
{
    const struct scree_operand *left = call->inputs[0], *right = call->inputs[1];
    const struct scree_operand *output = call->outputs[0];
    struct scree_conv_quant *quant = &params->quant;
    int rc;

    if (output->type == SCREE_TYPE_INT32)
        return 0;
    rc = scree_quant_check_all(call, err);
    if (rc >= 0 && left->type == SCREE_TYPE_INT16)
        rc = scree_quant_check_symmetric(call, err);
    if (rc >= 0)
        rc = scree_multiplier_check((double)(left->quant->scale[0] * right->quant->scale[0]) /
                                        (double)output->quant->scale[0],
                                    &params->multiplier, err);
    if (rc >= 0 && left->type == SCREE_TYPE_INT16 && params->multiplier.shift > 7)
        rc = scree_fail(err, EBADMSG, "scales that ask for a factor of 128 or more");
    if (rc < 0)
        return rc;
    scree_integer_range(output->type, &quant->min, &quant->max);
    quant->input_zp = left->quant->zero_point[0];
    quant->filter_zp = right->quant->zero_point[0];
    quant->output_zp = output->quant->zero_point[0];
    quant->multipliers = &params->multiplier;
    return 0;
}

static int check_hybrid(const struct scree_call *call, const struct matmul_params *params,
                        struct scree_error *err)
{
    const struct scree_quant *quant = call->inputs[1]->quant;

    if (quant->n == 0 || (quant->n != 1 && quant->n != (uint32_t)params->shape.out_c))
        return scree_fail(err, EBADMSG, "%u scales for %d columns of weights", quant->n,
                          params->shape.out_c);
    return 0;
}

int scree_batch_matmul_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *left = call->inputs[0], *right = call->inputs[1];
    struct matmul_params *params;
    int rc;

    if (left->shape.rank < 2 || left->shape.rank > 5 || right->shape.rank < 2 ||
        right->shape.rank > 5)
        return scree_fail(err, EBADMSG, "matrices of rank %d and %d, 2 to 5 are wanted",
                          left->shape.rank, right->shape.rank);
    params = scree_call_params(call, sizeof *params);
    if (!params)
        return scree_fail_memory(err, sizeof *params);
    params->is_hybrid = left->type == SCREE_TYPE_FLOAT32 && right->type == SCREE_TYPE_INT8;
    params->is_f32 = left->type == SCREE_TYPE_FLOAT32 && !params->is_hybrid;
    rc = broadcast(call, params, err);
    if (rc >= 0)
        rc = set_shapes(call, params, err);
    if (rc >= 0 && params->is_hybrid)
        rc = check_hybrid(call, params, err);
    else if (rc >= 0 && params->is_f32)
        rc = prepare_f32(call, params, err);
    else if (rc >= 0)
        rc = quantize(call, params, err);
    call->macs = call->outputs[0]->n_elements * (size_t)params->shape.in_c;
    return rc < 0 ? rc : plan_scratch(call, params, err);
}

/* The matrices of one side, transposed where they must be. */
static const void *lay_out(const struct scree_call *call, const struct scree_operand *operand,
                           const struct side *side)
{
    size_t element = scree_type_bytes(operand->type), bytes = side->rows * side->columns * element;
    char *to = (char *)call->scratch + side->scratch;
    struct scree_move move = {0};

    if (!side->transpose)
        return operand->data;
    scree_move_add(&move, side->n_matrices, (ptrdiff_t)bytes, (ptrdiff_t)bytes);
    scree_move_add(&move, side->columns, (ptrdiff_t)element, (ptrdiff_t)(side->rows * element));
    scree_move_add(&move, side->rows, (ptrdiff_t)(side->columns * element), (ptrdiff_t)element);
    scree_move_run(&move, element, operand->data, to);
    return to;
}

/* Which matrix of the side goes into product `index`. */
static size_t find_matrix(const struct matmul_params *params, const struct side *side, size_t index)
{
    size_t matrix = 0;

    for (int32_t i = params->n_dims - 1; i >= 0; i--) {
        matrix += index % (size_t)params->dims[i] * side->steps[i];
        index /= (size_t)params->dims[i];
    }
    return matrix;
}

/* Where TFLite takes the scale of a row from, and the sums of the columns: it counts along several
 * batch dimensions as if each had one matrix a step. Only its squeezing of the last batch dimension
 * into the rows, where the right side has one matrix, makes some of that come out right. */
static void find_hybrid_offsets(const struct matmul_run *run, size_t product, size_t *ret_row,
                                size_t *ret_column)
{
    const struct matmul_params *params = run->params;
    const struct scree_shape *left = &run->call->inputs[0]->shape;
    const struct scree_shape *right = &run->call->inputs[1]->shape;
    size_t rows = (size_t)params->shape.in_w, unit = rows;
    bool squeezed = !params->left.transpose && left->rank > 2 && right->rank > 2 &&
                    right->dims[right->rank - 3] == 1;

    *ret_row = *ret_column = 0;
    for (int32_t i = params->n_dims - 1; i >= 0; i--) {
        size_t index = product % (size_t)params->dims[i];

        product /= (size_t)params->dims[i];
        *ret_row += params->left.steps[i] ? index * unit : 0;
        *ret_column += params->right.steps[i] ? index * (size_t)params->shape.out_c : 0;
        if (i == params->n_dims - 1 && squeezed)
            unit = rows * (size_t)left->dims[left->rank - 3];
    }
}

static void multiply_hybrid(const struct matmul_run *run, const void *left, const void *right,
                            size_t product, float *out)
{
    const struct matmul_params *params = run->params;
    const struct scree_quant *quant = run->call->inputs[1]->quant;
    size_t row, column;
    struct scree_matmul_hybrid matmul;

    find_hybrid_offsets(run, product, &row, &column);
    matmul = (struct scree_matmul_hybrid){
        .in = left,
        .weights = right,
        .weight_sums = run->sums + column,
        .zero_points = run->zero_points + row,
        .input_scales = run->scales + row,
        .filter_scales = quant->scale,
        .filter_stride = quant->n > 1,
        .n_rows = (size_t)params->shape.in_w,
        .depth = (size_t)params->shape.in_c,
        .n_out = (size_t)params->shape.out_c,
    };
    scree_matmul_hybrid(&matmul, out);
}

static void tile_quantized(const struct matmul_run *run, const void *left, const void *right,
                           void *out, size_t tile)
{
    const struct matmul_params *params = run->params;

    if (run->call->outputs[0]->type == SCREE_TYPE_INT32)
        scree_conv_s8_s32(&params->shape, left, right, out, tile);
    else if (run->call->inputs[0]->type == SCREE_TYPE_INT8)
        scree_conv_s8(&params->shape, &params->quant, left, right, NULL, out, tile);
    else if (run->call->inputs[1]->type == SCREE_TYPE_INT8)
        scree_conv_s16(&params->shape, &params->quant, left, right, NULL, out, tile);
    else
        scree_matmul_s16s16(&params->quant, left, right, NULL, NULL, out,
                            (size_t)params->shape.out_w, (size_t)params->shape.in_c,
                            (size_t)params->shape.out_c);
}

static void matmul_tile(void *arg, size_t index, int thread)
{
    const struct matmul_run *run = arg;
    const struct matmul_params *params = run->params;
    const struct scree_conv_shape *shape = &params->shape;
    const struct scree_call *call = run->call;
    size_t product = index / run->tiles, tile = index % run->tiles;
    size_t element = params->is_hybrid ? 1 : scree_type_bytes(call->inputs[0]->type);
    const char *left = (const char *)run->left + find_matrix(params, &params->left, product) *
                                                     params->left.rows * params->left.columns *
                                                     element;
    const char *right = (const char *)run->right + find_matrix(params, &params->right, product) *
                                                       params->right.rows * params->right.columns *
                                                       scree_type_bytes(call->inputs[1]->type);
    char *out = (char *)call->outputs[0]->data + product * (size_t)shape->out_w *
                                                     (size_t)shape->out_c *
                                                     scree_type_bytes(call->outputs[0]->type);

    if (params->is_f32)
        scree_conv_f32_run(&params->f32, (const float *)(const void *)left,
                           run->packed + find_matrix(params, &params->right, product) *
                                             (params->f32.packed_bytes / sizeof(float)),
                           (float *)(void *)out, scree_call_thread_scratch(call, thread), tile);
    else if (params->is_hybrid)
        multiply_hybrid(run, left, right, product, (float *)(void *)out);
    else
        tile_quantized(run, left, right, out, tile);
}

/* Quantizes each row of the left matrices by itself, and adds up the columns of the right ones. */
static void quantize_rows(struct matmul_run *run)
{
    const struct matmul_params *params = run->params;
    size_t depth = (size_t)params->shape.in_c;
    char *memory = run->call->scratch;
    int8_t *quantized = (int8_t *)(memory + params->quantized);
    float *scales = (float *)(void *)(memory + params->scales);
    int32_t *zero_points = (int32_t *)(void *)(memory + params->zero_points);
    int32_t *sums = (int32_t *)(void *)(memory + params->sums);

    scree_hybrid_quantize_rows(run->call->kernels->hybrid, quantized, scales, zero_points,
                               run->left, params->left.n_matrices * (size_t)params->shape.in_w,
                               depth,
                               run->call->node->options.batch_matmul.asymmetric_quantize_inputs);
    scree_sum_rows_s8(sums, run->right, params->right.n_matrices * (size_t)params->shape.out_c,
                      depth);
    run->left = quantized;
    run->scales = scales;
    run->zero_points = zero_points;
    run->sums = sums;
}

static void pack_one(void *arg, size_t index, int thread)
{
    const struct matmul_run *run = arg;
    char *packed = (char *)run->call->scratch + run->params->packed;

    (void)thread;
    pack_matrix(run->call, run->params, index, (float *)(void *)packed);
}

/* The right matrices, packed now or before. */
static void pack_right(struct matmul_run *run)
{
    const struct matmul_params *params = run->params;

    run->packed = params->packed_once;
    if (run->packed)
        return;
    run->packed = (float *)(void *)((char *)run->call->scratch + params->packed);
    scree_pool_run(run->call->pool, params->right.n_matrices, pack_one, run);
}

int scree_batch_matmul_run(const struct scree_call *call, struct scree_error *err)
{
    const struct matmul_params *params = call->params;
    struct matmul_run run = {
        .call = call,
        .params = params,
        .left = lay_out(call, call->inputs[0], &params->left),
        .right = params->is_f32 ? call->inputs[1]->data
                                : lay_out(call, call->inputs[1], &params->right),
        .tiles = params->is_f32 ? params->f32.n_items : scree_conv_tiles(&params->shape),
    };

    (void)err;
    if (call->outputs[0]->n_elements == 0)
        return 0;
    if (params->is_f32)
        pack_right(&run);
    if (params->is_hybrid)
        quantize_rows(&run);
    if (params->is_hybrid || call->inputs[1]->type == SCREE_TYPE_INT16)
        run.tiles = 1;
    scree_pool_run(call->pool, params->n_products * run.tiles, matmul_tile, &run);
    return 0;
}
