/* DEPTHWISE_CONV_2D. As TFLite's depthwise_conv.cc with kernel kReference. */
#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/common.h"
#include "ops/depthwise_hybrid.h"
#include "ops/matrix.h"
#include "ops/ops.h"

struct depthwise_params {
    struct scree_conv_shape shape;
    struct scree_conv_quant quant;
    struct scree_conv_hybrid hybrid;
    struct scree_matrix_scratch scratch;
    struct scree_depthwise_hybrid_packed hybrid_packed;
    float min_f32, max_f32;
    bool is_hybrid;
    const struct scree_depthwise_kernel *kernel; /* NULL: the definition */
    void *packed;
};

/* What the threads of a run share. */
struct depthwise_run {
    const struct scree_call *call;
    const struct depthwise_params *params;
    const void *in, *weights, *bias;
    void *out;
    struct scree_conv_hybrid hybrid;
};

static int check_shapes(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape, *filter = &call->inputs[1]->shape;

    if (in->rank != 4 || filter->rank != 4 || filter->dims[0] != 1)
        return scree_fail(err, EBADMSG,
                          "input of rank %d and filter of rank %d for %d images, 4 and 4 for 1 are "
                          "wanted",
                          in->rank, filter->rank, filter->rank > 0 ? filter->dims[0] : 0);
    if (in->dims[3] < 1 || filter->dims[3] < 1 || filter->dims[3] % in->dims[3] != 0)
        return scree_fail(err, EBADMSG, "input has %d channels, filter %d", in->dims[3],
                          filter->dims[3]);
    return scree_matrix_check_bias(call, filter->dims[3], SCREE_TYPE_INT64, err);
}

static int compute_shape(struct scree_call *call, struct scree_conv_shape *s,
                         struct scree_error *err)
{
    const struct scree_depthwise_conv2d_options *options = &call->node->options.depthwise_conv2d;
    const struct scree_shape *in = &call->inputs[0]->shape, *filter = &call->inputs[1]->shape;
    int rc;

    *s = (struct scree_conv_shape){
        .n = in->dims[0],
        .in_h = in->dims[1],
        .in_w = in->dims[2],
        .in_c = in->dims[3],
        .filter_h = filter->dims[1],
        .filter_w = filter->dims[2],
        .filter_c = 1,
        .out_c = filter->dims[3],
        .stride_h = options->stride_h,
        .stride_w = options->stride_w,
        .dilation_h = options->dilation_h,
        .dilation_w = options->dilation_w,
        .n_groups = in->dims[3],
    };
    rc = scree_matrix_set_window(call, options->padding, s, err);
    if (rc >= 0)
        call->macs = call->outputs[0]->n_elements * (size_t)s->filter_h * (size_t)s->filter_w;
    return rc;
}

static int prepare_kind(struct scree_call *call, struct depthwise_params *params,
                        struct scree_error *err)
{
    enum scree_activation activation = call->node->options.depthwise_conv2d.activation;
    int32_t out_c = params->shape.out_c;
    int rc;

    params->is_hybrid = scree_matrix_is_hybrid(call);
    scree_activation_range_f32(activation, &params->min_f32, &params->max_f32);
    if (params->is_hybrid)
        return scree_matrix_hybrid(call, activation, out_c, true, &params->hybrid, err);
    if (call->inputs[0]->type == SCREE_TYPE_FLOAT32)
        return 0;
    rc = scree_matrix_quantize(call, activation, out_c, &params->quant, err);
    return rc < 0 ? rc : scree_matrix_set_multipliers(call, &params->quant, err);
}

/* Packs the weights for the kernel of this machine, where it has one for such a call. */
static int prepare_kernel(struct scree_call *call, struct depthwise_params *params,
                          struct scree_error *err)
{
    const struct scree_depthwise_kernel *kernel = call->kernels->depthwise_8;
    const struct scree_operand *input = call->inputs[0], *weights = call->inputs[1];
    const struct scree_operand *bias = scree_call_input(call, 2);
    bool is_signed = input->type == SCREE_TYPE_INT8;
    size_t bytes, room;
    char *memory;

    if (!call->once || weights->type != input->type || !weights->constant ||
        (bias && !bias->constant) || (!is_signed && input->type != SCREE_TYPE_UINT8))
        return 0;
    bytes = kernel->packed_bytes(&params->shape);
    if (bytes == 0)
        return 0;
    memory = scree_add_size(bytes, 63, &room) ? scree_arena_calloc(call->arena, room, 1) : NULL;
    if (!memory)
        return scree_fail_memory(err, bytes);
    memory += -(uintptr_t)memory % 64;
    if (!kernel->pack(memory, &params->shape, &params->quant, is_signed, weights->data,
                      bias ? bias->data : NULL))
        return 0;
    params->kernel = kernel;
    params->packed = memory;
    if (kernel != &scree_depthwise_8)
        call->consumed = 1 << 1;
    return 0;
}

int scree_depthwise_prepare(struct scree_call *call, struct scree_error *err)
{
    struct depthwise_params *params;
    int rc = check_shapes(call, err);

    if (rc < 0)
        return rc;
    params = scree_call_params(call, sizeof *params);
    if (!params)
        return scree_fail_memory(err, sizeof *params);
    rc = compute_shape(call, &params->shape, err);
    if (rc >= 0)
        rc = prepare_kind(call, params, err);
    if (rc >= 0)
        rc = prepare_kernel(call, params, err);
    if (rc >= 0 && params->is_hybrid)
        rc = scree_depthwise_hybrid_pack(call, &params->shape, &params->hybrid_packed, err);
    if (rc < 0 || params->hybrid_packed.filter)
        return rc;
    return scree_matrix_plan_scratch(call, params->is_hybrid ? params->shape.n : 0,
                                     &params->scratch, err);
}

static void depthwise_row(void *arg, size_t row, int thread)
{
    const struct depthwise_run *run = arg;
    const struct depthwise_params *params = run->params;

    (void)thread;
    switch (run->call->inputs[0]->type) {
    case SCREE_TYPE_UINT8:
        scree_depthwise_u8(&params->shape, &params->quant, run->in, run->weights, run->bias,
                           run->out, row);
        break;
    case SCREE_TYPE_INT8:
        scree_depthwise_s8(&params->shape, &params->quant, run->in, run->weights, run->bias,
                           run->out, row);
        break;
    case SCREE_TYPE_INT16:
        scree_depthwise_s16(&params->shape, &params->quant, run->in, run->weights, run->bias,
                            run->out, row);
        break;
    default:
        if (params->is_hybrid)
            scree_depthwise_hybrid(&params->shape, &run->hybrid, run->in, run->weights, run->bias,
                                   run->out, row);
        else
            run->call->kernels->depthwise_f32(&params->shape, NULL, params->min_f32,
                                              params->max_f32, run->in, run->weights, run->bias,
                                              run->out, row);
        break;
    }
}

static void depthwise_tile(void *arg, size_t tile, int thread)
{
    const struct depthwise_run *run = arg;

    (void)thread;
    run->params->kernel->run(run->params->packed, run->in, run->out, tile);
}

int scree_depthwise_run(const struct scree_call *call, struct scree_error *err)
{
    const struct depthwise_params *params = call->params;
    const struct scree_conv_shape *shape = &params->shape;
    struct depthwise_run run = {
        .call = call,
        .params = params,
        .in = call->inputs[0]->data,
        .weights = scree_matrix_weights(call, &params->scratch),
        .bias = scree_matrix_bias(call),
        .out = call->outputs[0]->data,
        .hybrid = params->hybrid,
    };

    (void)err;
    if (call->outputs[0]->n_elements == 0)
        return 0;
    if (params->kernel) {
        scree_pool_run(call->pool, params->kernel->n_tiles(params->packed), depthwise_tile, &run);
        return 0;
    }
    if (params->hybrid_packed.filter) {
        scree_depthwise_hybrid_run(call, shape, &params->hybrid_packed, &params->hybrid);
        return 0;
    }
    if (params->is_hybrid)
        run.in = scree_matrix_quantize_input(call, &params->scratch, shape->n, true, &run.hybrid);
    scree_pool_run(call->pool, (size_t)shape->n * (size_t)shape->out_h, depthwise_row, &run);
    return 0;
}
