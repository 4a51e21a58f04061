/* TRANSPOSE_CONV. As TFLite's transpose_conv.cc with kernel kReference. Its inputs are the output's
 * shape, weights, activations and perhaps a bias. */
#include "ops/common.h"
#include "ops/matrix.h"
#include "ops/matrix_f32.h"
#include "ops/ops.h"

struct transpose_conv_params {
    struct scree_conv_shape shape;
    struct scree_conv_quant quant;
    struct scree_conv_hybrid hybrid;
    struct scree_gemm *gemm; /* NULL: by kernels/conv.h */
    struct scree_matrix_scratch scratch;
    struct scree_matrix_f32 f32;
    bool is_hybrid;
};

/* What the threads of a run share. */
struct transpose_conv_run {
    const struct scree_call *call;
    const struct transpose_conv_params *params;
    const void *in, *weights, *bias;
    void *out;
    struct scree_conv_hybrid hybrid;
};

/* The call with its inputs in the order of other convolutions. inputs [3] is for the result to
 * point to. */
static struct scree_call reorder(const struct scree_call *call, struct scree_operand **inputs)
{
    struct scree_call view = *call;

    inputs[0] = call->inputs[2];
    inputs[1] = call->inputs[1];
    inputs[2] = scree_call_input(call, 3);
    view.inputs = inputs;
    view.n_inputs = 3;
    return view;
}

static int read_output_shape(const struct scree_operand *operand, struct scree_shape *ret_shape,
                             struct scree_error *err)
{
    if (operand->shape.rank != 1 || operand->n_elements != 4)
        return scree_fail(err, EBADMSG, "an output shape of %zu dimensions, 4 are wanted",
                          operand->n_elements);
    if (!operand->data)
        return SCREE_DEFER;
    ret_shape->rank = 4;
    for (int32_t i = 0; i < 4; i++)
        ret_shape->dims[i] = (int32_t)scree_operand_int(operand, (size_t)i);
    return 0;
}

static int check_shapes(const struct scree_call *view, const struct scree_shape *out,
                        struct scree_error *err)
{
    const struct scree_shape *in = &view->inputs[0]->shape, *filter = &view->inputs[1]->shape;

    if (in->rank != 4 || filter->rank != 4)
        return scree_fail(err, EBADMSG, "input of rank %d and filter of rank %d, 4 are wanted",
                          in->rank, filter->rank);
    if (in->dims[3] != filter->dims[3] || in->dims[3] < 1)
        return scree_fail(err, EBADMSG, "input has %d channels, filter %d", in->dims[3],
                          filter->dims[3]);
    if (out->dims[0] != in->dims[0] || out->dims[3] != filter->dims[0] || out->dims[1] < 1 ||
        out->dims[2] < 1)
        return scree_fail(err, EBADMSG, "output shape %dx%dx%dx%d for %d images, %d channels",
                          out->dims[0], out->dims[1], out->dims[2], out->dims[3], in->dims[0],
                          filter->dims[0]);
    return scree_matrix_check_bias(view, filter->dims[0],
                                   view->node->options.transpose_conv.quantized_bias_type, err);
}

/* The window slides over the output, and must have as many places as the input has pixels. */
static int compute_padding(const struct scree_call *view, const struct scree_shape *out,
                           struct scree_conv_shape *s, struct scree_error *err)
{
    enum scree_padding padding = view->node->options.transpose_conv.padding;
    struct scree_window h = {out->dims[1], s->filter_h, s->stride_h, 1, 0, 0};
    struct scree_window w = {out->dims[2], s->filter_w, s->stride_w, 1, 0, 0};
    int rc = scree_window_compute(padding, &h, err);

    if (rc >= 0)
        rc = scree_window_compute(padding, &w, err);
    if (rc >= 0 && (h.out != s->in_h || w.out != s->in_w))
        rc = scree_fail(err, EBADMSG, "an output of %dx%d needs an input of %dx%d, not %dx%d",
                        out->dims[1], out->dims[2], h.out, w.out, s->in_h, s->in_w);
    s->pad_top = h.pad;
    s->pad_left = w.pad;
    return rc;
}

static int compute_shape(struct scree_call *call, const struct scree_call *view,
                         const struct scree_shape *out, struct scree_conv_shape *s,
                         struct scree_error *err)
{
    const struct scree_transpose_conv_options *options = &call->node->options.transpose_conv;
    const struct scree_shape *in = &view->inputs[0]->shape, *filter = &view->inputs[1]->shape;
    int rc;

    *s = (struct scree_conv_shape){
        .n = in->dims[0],
        .in_h = in->dims[1],
        .in_w = in->dims[2],
        .in_c = in->dims[3],
        .filter_h = filter->dims[1],
        .filter_w = filter->dims[2],
        .filter_c = filter->dims[3],
        .out_h = out->dims[1],
        .out_w = out->dims[2],
        .out_c = filter->dims[0],
        .stride_h = options->stride_h,
        .stride_w = options->stride_w,
        .dilation_h = 1,
        .dilation_w = 1,
        .n_groups = 1,
        .transposed = true,
    };
    rc = compute_padding(view, out, s, err);
    if (rc >= 0)
        rc = scree_call_set_shape(call, 0, out, err);
    call->macs = view->inputs[0]->n_elements * (size_t)s->filter_h * (size_t)s->filter_w *
                 (size_t)s->out_c;
    return rc;
}

static int prepare_kind(struct scree_call *view, struct transpose_conv_params *params,
                        struct scree_error *err)
{
    enum scree_activation activation = view->node->options.transpose_conv.activation;
    int32_t out_c = params->shape.out_c;
    int rc;

    params->is_hybrid = scree_matrix_is_hybrid(view);
    if (view->inputs[0]->type == SCREE_TYPE_FLOAT32 && !params->is_hybrid)
        return scree_matrix_f32_prepare(view, &params->shape, activation, &params->f32, err);
    if (params->is_hybrid)
        rc = scree_matrix_hybrid(view, activation, out_c, true, &params->hybrid, err);
    else
        rc = scree_matrix_quantize(view, activation, out_c, &params->quant, err);
    if (rc >= 0 && !params->is_hybrid)
        rc = scree_matrix_set_multipliers(view, &params->quant, err);
    if (rc >= 0 && !params->is_hybrid)
        rc = scree_matrix_pack(view, &params->shape, &params->quant, &params->gemm, err);
    if (rc < 0)
        return rc;
    return scree_matrix_plan_scratch(view, params->is_hybrid ? params->shape.n : 0,
                                     &params->scratch, err);
}

int scree_transpose_conv_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_operand *inputs[3];
    struct scree_call view = reorder(call, inputs);
    struct transpose_conv_params *params;
    struct scree_shape out = {0};
    int rc = read_output_shape(call->inputs[0], &out, err);

    if (rc != 0)
        return rc;
    rc = check_shapes(&view, &out, err);
    if (rc < 0)
        return rc;
    params = scree_call_params(call, sizeof *params);
    if (!params)
        return scree_fail_memory(err, sizeof *params);
    rc = compute_shape(call, &view, &out, &params->shape, err);
    if (rc >= 0)
        rc = prepare_kind(&view, params, err);
    call->scratch_bytes = view.scratch_bytes;
    call->thread_scratch_bytes = view.thread_scratch_bytes;
    /* Weights are input 1 here too, the bias is input 3. */
    call->consumed = (view.consumed & 1 << 1) | (view.consumed & 1 << 2) << 1;
    return rc;
}

static void transpose_conv_tile(void *arg, size_t tile, int thread)
{
    const struct transpose_conv_run *run = arg;
    const struct transpose_conv_params *params = run->params;
    const struct scree_conv_shape *shape = &params->shape;

    (void)thread;
    switch (run->call->outputs[0]->type) {
    case SCREE_TYPE_UINT8:
        scree_conv_u8(shape, &params->quant, run->in, run->weights, run->bias, run->out, tile);
        break;
    case SCREE_TYPE_INT8:
        scree_conv_s8(shape, &params->quant, run->in, run->weights, run->bias, run->out, tile);
        break;
    case SCREE_TYPE_INT16:
        if (run->call->node->options.transpose_conv.quantized_bias_type == SCREE_TYPE_INT32)
            scree_conv_s16_bias32(shape, &params->quant, run->in, run->weights, run->bias, run->out,
                                  tile);
        else
            scree_conv_s16(shape, &params->quant, run->in, run->weights, run->bias, run->out, tile);
        break;
    default:
        scree_conv_hybrid_transposed(shape, &run->hybrid, run->in, run->weights, run->bias,
                                     run->out, tile);
        break;
    }
}

static void run_tiles(const struct scree_call *call, const struct scree_call *view)
{
    const struct transpose_conv_params *params = call->params;
    struct transpose_conv_run run = {
        .call = call,
        .params = params,
        .in = view->inputs[0]->data,
        .weights = scree_matrix_weights(view, &params->scratch),
        .bias = scree_matrix_bias(view),
        .out = call->outputs[0]->data,
        .hybrid = params->hybrid,
    };

    if (params->is_hybrid)
        run.in =
            scree_matrix_quantize_input(view, &params->scratch, params->shape.n, true, &run.hybrid);
    scree_pool_run(call->pool, scree_conv_tiles(&params->shape), transpose_conv_tile, &run);
}

int scree_transpose_conv_run(const struct scree_call *call, struct scree_error *err)
{
    const struct transpose_conv_params *params = call->params;
    struct scree_operand *inputs[3];
    const struct scree_call view = reorder(call, inputs);

    (void)err;
    if (call->outputs[0]->type == SCREE_TYPE_FLOAT32 && !params->is_hybrid)
        scree_matrix_f32_run(&view, &params->f32);
    else if (params->gemm)
        scree_matrix_run_packed(&view, params->gemm);
    else
        run_tiles(call, &view);
    return 0;
}
