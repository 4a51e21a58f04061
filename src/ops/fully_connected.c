/* FULLY_CONNECTED. As TFLite's fully_connected.cc with kernel kReference, which rescales 8-bit
 * products in double precision and not in fixed point. Rows of activations are the pixels of a
 * convolution with a filter of one pixel. */
#include <string.h>

#include "kernels/matmul.h"
#include "ops/common.h"
#include "ops/matrix.h"
#include "ops/matrix_f32.h"
#include "ops/matrix_hybrid.h"
#include "ops/matrix_s16.h"
#include "ops/ops.h"

struct fc_params {
    struct scree_conv_shape shape;
    struct scree_conv_quant quant;
    struct scree_conv_hybrid hybrid;
    struct scree_gemm *gemm; /* NULL: by kernels/conv.h */
    struct scree_matrix_scratch scratch;
    struct scree_matrix_f32 f32;
    struct scree_matrix_hybrid_packed packed;
    struct scree_matrix_s16 s16;
    bool is_hybrid;
};

/* What the threads of a run share. */
struct fc_run {
    const struct scree_call *call;
    const struct fc_params *params;
    const void *in, *weights, *bias;
    void *out;
    struct scree_conv_hybrid hybrid;
};

static int check_options(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_fully_connected_options *options = &call->node->options.fully_connected;

    if (options->weights_format != SCREE_WEIGHTS_DEFAULT)
        return scree_fail(err, ENOTSUP, "shuffled weights");
    if (options->activation == SCREE_ACTIVATION_TANH ||
        options->activation == SCREE_ACTIVATION_SIGN_BIT)
        return scree_fail(err, ENOTSUP, "fused activation %d", (int)options->activation);
    return 0;
}

/* How many rows of `depth` activations there are. */
static int count_rows(const struct scree_call *call, int32_t depth, int32_t *ret_rows,
                      struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0];
    size_t n = input->n_elements;

    if (depth == 0) {
        n = 1;
        for (int32_t i = 0; i < input->shape.rank - 1; i++)
            n *= (size_t)input->shape.dims[i];
        if (n > INT32_MAX)
            return scree_fail(err, E2BIG, "%zu rows", n);
        *ret_rows = (int32_t)n;
        return 0;
    }
    if (n % (size_t)depth != 0)
        return scree_fail(err, EBADMSG, "%zu activations in rows of %d", n, depth);
    *ret_rows = (int32_t)(n / (size_t)depth);
    return 0;
}

static int set_output_shape(struct scree_call *call, int32_t n_rows, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape, *weights = &call->inputs[1]->shape;
    struct scree_shape out = {.rank = 2};

    if (call->node->options.fully_connected.keep_num_dims) {
        if (in->rank < 1 || in->dims[in->rank - 1] != weights->dims[1])
            return scree_fail(err, EBADMSG, "the last dimension of the input is not %d",
                              weights->dims[1]);
        out = *in;
        out.dims[out.rank - 1] = weights->dims[0];
    } else {
        out.dims[0] = n_rows;
        out.dims[1] = weights->dims[0];
    }
    return scree_call_set_shape(call, 0, &out, err);
}

static int compute_shape(struct scree_call *call, struct fc_params *params, struct scree_error *err)
{
    const struct scree_shape *weights = &call->inputs[1]->shape;
    int32_t n_rows = 0;
    int rc = count_rows(call, weights->dims[1], &n_rows, err);

    if (rc >= 0)
        rc = set_output_shape(call, n_rows, err);
    params->shape = (struct scree_conv_shape){
        /* images are what is quantized by itself, pixels what shares a pass over the weights */
        .n = params->is_hybrid ? n_rows : 1,
        .in_h = 1,
        .in_w = params->is_hybrid ? 1 : n_rows,
        .in_c = weights->dims[1],
        .filter_h = 1,
        .filter_w = 1,
        .filter_c = weights->dims[1],
        .out_h = 1,
        .out_w = params->is_hybrid ? 1 : n_rows,
        .out_c = weights->dims[0],
        .stride_h = 1,
        .stride_w = 1,
        .dilation_h = 1,
        .dilation_w = 1,
        .n_groups = 1,
    };
    call->macs = (uint64_t)n_rows * call->inputs[1]->n_elements;
    return rc;
}

/* Factors in place of the multipliers. */
static int fill_factors(struct scree_call *call, struct scree_conv_quant *quant,
                        struct scree_error *err)
{
    const struct scree_quant *weights = call->inputs[1]->quant;
    double input = (double)call->inputs[0]->quant->scale[0];
    double output = (double)call->outputs[0]->quant->scale[0];
    double *factors = scree_arena_new(call->arena, double, weights->n);

    if (!factors)
        return scree_fail_memory(err, weights->n * sizeof *factors);
    for (uint32_t i = 0; i < weights->n; i++)
        factors[i] = input * (double)weights->scale[i] / output;
    quant->factors = factors;
    return 0;
}

static int quantize(struct scree_call *call, struct fc_params *params, struct scree_error *err)
{
    const struct scree_quant *weights = call->inputs[1]->quant;
    struct scree_conv_quant *quant = &params->quant;
    int rc = scree_matrix_quantize(call, call->node->options.fully_connected.activation,
                                   params->shape.out_c, quant, err);

    if (rc < 0)
        return rc;
    /* TFLite counts the zero point of weights of one scale, though they should have none. */
    if (weights->n == 1) {
        quant->filter_zp = weights->zero_point[0];
        if (call->inputs[0]->type != SCREE_TYPE_UINT8)
            rc = scree_matrix_check_bias_scale(call, err);
    }
    if (rc >= 0 && call->inputs[1]->type == SCREE_TYPE_INT4 && quant->filter_zp != 0)
        rc = scree_fail(err, EBADMSG, "int4 weights with a zero point");
    if (rc < 0)
        return rc;
    return call->inputs[1]->type == SCREE_TYPE_INT16
               ? scree_matrix_set_multipliers(call, quant, err)
               : fill_factors(call, quant, err);
}

/* The type that quantized_bias_type stands for in check_bias: of int16 weights, nothing means
 * int32. */
static enum scree_type bias_type(const struct scree_call *call)
{
    enum scree_type type = call->node->options.fully_connected.quantized_bias_type;

    if (call->inputs[1]->type == SCREE_TYPE_INT16 && type == SCREE_TYPE_FLOAT32)
        return SCREE_TYPE_INT32;
    return type;
}

static int prepare_kind(struct scree_call *call, struct fc_params *params, struct scree_error *err)
{
    enum scree_activation activation = call->node->options.fully_connected.activation;
    int rc = 0;

    if (params->is_hybrid)
        rc = scree_matrix_hybrid(call, activation, params->shape.out_c, true, &params->hybrid, err);
    else if (call->inputs[0]->type == SCREE_TYPE_FLOAT32)
        return scree_matrix_f32_prepare(call, &params->shape, activation, &params->f32, err);
    else
        rc = quantize(call, params, err);
    if (rc >= 0 && !params->is_hybrid && params->shape.in_c > 0)
        rc = scree_matrix_pack(call, &params->shape, &params->quant, &params->gemm, err);
    if (rc >= 0)
        rc = scree_matrix_plan_scratch(call, params->is_hybrid ? params->shape.n : 0,
                                       &params->scratch, err);
    if (rc >= 0 && bias_type(call) != SCREE_TYPE_INT32 && params->shape.in_c > 0)
        rc = scree_matrix_s16_pack(call, &params->shape, &params->quant, &params->s16, err);
    if (rc >= 0 && params->is_hybrid && params->shape.in_c > 0)
        rc = scree_matrix_hybrid_pack(call, &params->shape, &params->packed, err);
    return rc;
}

int scree_fully_connected_prepare(struct scree_call *call, struct scree_error *err)
{
    struct fc_params *params;
    int rc = check_options(call, err);

    if (rc >= 0 && call->inputs[1]->shape.rank != 2)
        rc = scree_fail(err, EBADMSG, "weights of rank %d, 2 is wanted",
                        call->inputs[1]->shape.rank);
    if (rc >= 0)
        rc = scree_matrix_check_bias(call, call->inputs[1]->shape.dims[0], bias_type(call), err);
    if (rc < 0)
        return rc;
    params = scree_call_params(call, sizeof *params);
    if (!params)
        return scree_fail_memory(err, sizeof *params);
    params->is_hybrid = scree_matrix_is_hybrid(call);
    rc = compute_shape(call, params, err);
    return rc < 0 ? rc : prepare_kind(call, params, err);
}

static void fc_tile_s16(const struct fc_run *run, size_t tile)
{
    const struct fc_params *params = run->params;

    if (bias_type(run->call) == SCREE_TYPE_INT32)
        scree_conv_s16_bias32(&params->shape, &params->quant, run->in, run->weights, run->bias,
                              run->out, tile);
    else
        scree_conv_s16(&params->shape, &params->quant, run->in, run->weights, run->bias, run->out,
                       tile);
}

static void fc_tile(void *arg, size_t tile, int thread)
{
    const struct fc_run *run = arg;
    const struct fc_params *params = run->params;

    (void)thread;
    switch (run->call->inputs[0]->type) {
    case SCREE_TYPE_UINT8:
        if (run->call->outputs[0]->type == SCREE_TYPE_INT16)
            scree_conv_u8_s16(&params->shape, &params->quant, run->in, run->weights, run->bias,
                              run->out, tile);
        else
            scree_conv_u8(&params->shape, &params->quant, run->in, run->weights, run->bias,
                          run->out, tile);
        break;
    case SCREE_TYPE_INT8:
        scree_conv_s8(&params->shape, &params->quant, run->in, run->weights, run->bias, run->out,
                      tile);
        break;
    case SCREE_TYPE_INT16:
        fc_tile_s16(run, tile);
        break;
    default:
        scree_conv_hybrid(&params->shape, &run->hybrid, run->in, run->weights, run->bias, run->out,
                          tile);
        break;
    }
}

/* int16 weights, which no convolution has. */
static void run_s16s16(const struct fc_run *run)
{
    const struct scree_conv_shape *shape = &run->params->shape;
    bool wide = bias_type(run->call) == SCREE_TYPE_INT64;

    scree_matmul_s16s16(&run->params->quant, run->in, run->weights, wide ? NULL : run->bias,
                        wide ? run->bias : NULL, run->out, (size_t)shape->out_w,
                        (size_t)shape->in_c, (size_t)shape->out_c);
}

static void run_tiles(const struct scree_call *call)
{
    const struct fc_params *params = call->params;
    struct fc_run run = {
        .call = call,
        .params = params,
        .in = call->inputs[0]->data,
        .weights = scree_matrix_weights(call, &params->scratch),
        .bias = scree_matrix_bias(call),
        .out = call->outputs[0]->data,
        .hybrid = params->hybrid,
    };

    if (params->is_hybrid)
        run.in = scree_matrix_quantize_input(
            call, &params->scratch, params->shape.n,
            call->node->options.fully_connected.asymmetric_quantize_inputs, &run.hybrid);
    if (params->packed.gemm)
        scree_matrix_hybrid_run(call, &params->packed, &run.hybrid, run.in);
    else if (call->inputs[1]->type == SCREE_TYPE_INT16)
        run_s16s16(&run);
    else
        scree_pool_run(call->pool, scree_conv_tiles(&params->shape), fc_tile, &run);
}

int scree_fully_connected_run(const struct scree_call *call, struct scree_error *err)
{
    const struct fc_params *params = call->params;

    (void)err;
    if (params->shape.in_c == 0)
        /* nothing to add up; TFLite leaves out the bias too */
        memset(call->outputs[0]->data, 0, call->outputs[0]->bytes);
    else if (call->inputs[0]->type == SCREE_TYPE_FLOAT32 && !params->is_hybrid)
        scree_matrix_f32_run(call, &params->f32);
    else if (params->gemm)
        scree_matrix_run_packed(call, params->gemm);
    else if (params->s16.gemm)
        scree_matrix_s16_run(call, &params->s16);
    else
        run_tiles(call);
    return 0;
}
