/* CONV_2D. As TFLite's conv.cc with kernel kReference. */
#include "base/checked.h"
#include "ops/common.h"
#include "ops/matrix.h"
#include "ops/matrix_f32.h"
#include "ops/matrix_hybrid.h"
#include "ops/matrix_s16.h"
#include "ops/ops.h"

struct conv_params {
    struct scree_conv_shape shape;
    struct scree_conv_quant quant;
    struct scree_conv_hybrid hybrid;
    struct scree_gemm *gemm; /* NULL: by kernels/conv.h */
    struct scree_matrix_scratch scratch;
    struct scree_matrix_f32 f32;
    struct scree_matrix_hybrid_packed packed;
    struct scree_matrix_s16 s16;
    bool is_hybrid, asymmetric;
};

/* What the threads of a run share. */
struct conv_run {
    const struct scree_call *call;
    const struct conv_params *params;
    const void *in, *weights, *bias;
    void *out;
    struct scree_conv_hybrid hybrid;
};

static int check_shapes(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape, *filter = &call->inputs[1]->shape;

    if (in->rank != 4 || filter->rank != 4)
        return scree_fail(err, EBADMSG, "input of rank %d and filter of rank %d, 4 are wanted",
                          in->rank, filter->rank);
    if (in->dims[3] < 1 || filter->dims[3] < 1 || in->dims[3] % filter->dims[3] != 0)
        return scree_fail(err, EBADMSG, "input has %d channels, filter %d", in->dims[3],
                          filter->dims[3]);
    if (filter->dims[0] % (in->dims[3] / filter->dims[3]) != 0)
        return scree_fail(err, EBADMSG, "%d output channels do not divide into %d groups",
                          filter->dims[0], in->dims[3] / filter->dims[3]);
    return scree_matrix_check_bias(call, filter->dims[0],
                                   call->node->options.conv2d.quantized_bias_type, err);
}

static int compute_shape(struct scree_call *call, struct scree_conv_shape *s,
                         struct scree_error *err)
{
    const struct scree_conv2d_options *options = &call->node->options.conv2d;
    const struct scree_shape *in = &call->inputs[0]->shape, *filter = &call->inputs[1]->shape;
    int rc;

    *s = (struct scree_conv_shape){
        .n = in->dims[0],
        .in_h = in->dims[1],
        .in_w = in->dims[2],
        .in_c = in->dims[3],
        .filter_h = filter->dims[1],
        .filter_w = filter->dims[2],
        .filter_c = filter->dims[3],
        .out_c = filter->dims[0],
        .stride_h = options->stride_h,
        .stride_w = options->stride_w,
        .dilation_h = options->dilation_h,
        .dilation_w = options->dilation_w,
        .n_groups = in->dims[3] / filter->dims[3],
    };
    rc = scree_matrix_set_window(call, options->padding, s, err);
    if (rc >= 0)
        call->macs = call->outputs[0]->n_elements * (size_t)s->filter_h * (size_t)s->filter_w *
                     (size_t)s->filter_c;
    return rc;
}

static int check_symmetric_weights(const struct scree_quant *quant, struct scree_error *err)
{
    for (uint32_t i = 0; i < quant->n; i++)
        if (quant->zero_point[i] != 0)
            return scree_fail(err, EBADMSG, "weights with zero point %d", quant->zero_point[i]);
    return 0;
}

/* TFLite takes per-channel arithmetic only where scales differ, or for groups, which its other
 * kernel lacks. uint8 weights of old hybrid models hold signed bytes, always with one scale. */
static bool hybrid_per_channel(const struct scree_operand *weights, int32_t n_groups)
{
    if (n_groups != 1)
        return true;
    for (uint32_t i = 1; i < weights->quant->n; i++)
        if (weights->quant->scale[i] != weights->quant->scale[0])
            return weights->type != SCREE_TYPE_UINT8;
    return false;
}

static int prepare_hybrid(struct scree_call *call, struct conv_params *params,
                          struct scree_error *err)
{
    int rc;

    params->is_hybrid = true;
    params->asymmetric = hybrid_per_channel(call->inputs[1], params->shape.n_groups);
    params->hybrid.filter_first = params->asymmetric;
    rc = scree_matrix_hybrid(call, call->node->options.conv2d.activation, params->shape.out_c,
                             params->asymmetric, &params->hybrid, err);
    if (rc >= 0)
        rc = scree_matrix_plan_scratch(call, params->shape.n, &params->scratch, err);
    return rc < 0 ? rc : scree_matrix_hybrid_pack(call, &params->shape, &params->packed, err);
}

static bool sums_wrap_at_32(const struct scree_call *call)
{
    return call->node->options.conv2d.quantized_bias_type == SCREE_TYPE_INT32;
}

int scree_conv2d_prepare(struct scree_call *call, struct scree_error *err)
{
    enum scree_activation activation = call->node->options.conv2d.activation;
    struct conv_params *params;
    int rc = check_shapes(call, err);

    if (rc < 0)
        return rc;
    params = scree_call_params(call, sizeof *params);
    if (!params)
        return scree_fail_memory(err, sizeof *params);
    rc = compute_shape(call, &params->shape, err);
    if (rc < 0)
        return rc;
    if (scree_matrix_is_hybrid(call))
        return prepare_hybrid(call, params, err);
    if (call->inputs[0]->type == SCREE_TYPE_FLOAT32)
        return scree_matrix_f32_prepare(call, &params->shape, activation, &params->f32, err);
    if (call->inputs[0]->type != SCREE_TYPE_UINT8)
        rc = check_symmetric_weights(call->inputs[1]->quant, err);
    if (rc >= 0)
        rc = scree_matrix_quantize(call, activation, params->shape.out_c, &params->quant, err);
    if (rc >= 0)
        rc = scree_matrix_set_multipliers(call, &params->quant, err);
    if (rc >= 0)
        rc = scree_matrix_pack(call, &params->shape, &params->quant, &params->gemm, err);
    if (rc >= 0)
        rc = scree_matrix_plan_scratch(call, 0, &params->scratch, err);
    if (rc >= 0 && !sums_wrap_at_32(call))
        rc = scree_matrix_s16_pack(call, &params->shape, &params->quant, &params->s16, err);
    return rc;
}

static void conv_tile(void *arg, size_t tile, int thread)
{
    const struct conv_run *run = arg;
    const struct conv_params *params = run->params;

    (void)thread;
    switch (run->call->inputs[0]->type) {
    case SCREE_TYPE_UINT8:
        scree_conv_u8(&params->shape, &params->quant, run->in, run->weights, run->bias, run->out,
                      tile);
        break;
    case SCREE_TYPE_INT8:
        scree_conv_s8(&params->shape, &params->quant, run->in, run->weights, run->bias, run->out,
                      tile);
        break;
    case SCREE_TYPE_INT16:
        if (sums_wrap_at_32(run->call))
            scree_conv_s16_bias32(&params->shape, &params->quant, run->in, run->weights, run->bias,
                                  run->out, tile);
        else
            scree_conv_s16(&params->shape, &params->quant, run->in, run->weights, run->bias,
                           run->out, tile);
        break;
    default:
        scree_conv_hybrid(&params->shape, &run->hybrid, run->in, run->weights, run->bias, run->out,
                          tile);
        break;
    }
}

static void run_tiles(const struct scree_call *call)
{
    const struct conv_params *params = call->params;
    struct conv_run run = {
        .call = call,
        .params = params,
        .in = call->inputs[0]->data,
        .weights = scree_matrix_weights(call, &params->scratch),
        .bias = scree_matrix_bias(call),
        .out = call->outputs[0]->data,
        .hybrid = params->hybrid,
    };

    if (params->is_hybrid)
        run.in = scree_matrix_quantize_input(call, &params->scratch, params->shape.n,
                                             params->asymmetric, &run.hybrid);
    if (params->packed.gemm)
        scree_matrix_hybrid_run(call, &params->packed, &run.hybrid, run.in);
    else
        scree_pool_run(call->pool, scree_conv_tiles(&params->shape), conv_tile, &run);
}

int scree_conv2d_run(const struct scree_call *call, struct scree_error *err)
{
    const struct conv_params *params = call->params;

    (void)err;
    if (call->inputs[0]->type == SCREE_TYPE_FLOAT32 && !params->is_hybrid)
        scree_matrix_f32_run(call, &params->f32);
    else if (params->gemm)
        scree_matrix_run_packed(call, params->gemm);
    else if (params->s16.gemm)
        scree_matrix_s16_run(call, &params->s16);
    else
        run_tiles(call);
    return 0;
}
