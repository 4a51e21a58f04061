/* CONV_2D: uint8 and int8 (per tensor and per channel) and float32. */
#include "base/checked.h"
#include "ops/common.h"
#include "ops/matrix.h"
#include "ops/ops.h"

struct conv_params {
    struct scree_conv_shape shape;
    struct scree_conv_quant quant;
    float min_f32, max_f32;
};

static int check_shapes(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape, *filter = &call->inputs[1]->shape;
    const struct scree_operand *bias = scree_call_input(call, 2);

    if (in->rank != 4 || filter->rank != 4)
        return scree_fail(err, EBADMSG, "input of rank %d and filter of rank %d, 4 are wanted",
                          in->rank, filter->rank);
    if (filter->dims[3] < 1 || in->dims[3] % filter->dims[3] != 0)
        return scree_fail(err, EBADMSG, "input has %d channels, filter %d", in->dims[3],
                          filter->dims[3]);
    if (in->dims[3] == 0 || filter->dims[0] % (in->dims[3] / filter->dims[3]) != 0)
        return scree_fail(err, EBADMSG, "%d output channels do not divide into %d groups",
                          filter->dims[0], in->dims[3] / filter->dims[3]);
    if (bias && bias->n_elements != (size_t)filter->dims[0])
        return scree_fail(err, EBADMSG, "%zu biases for %d output channels", bias->n_elements,
                          filter->dims[0]);
    return 0;
}

static int compute_shape(struct scree_call *call, struct scree_conv_shape *s,
                         struct scree_error *err)
{
    const struct scree_conv2d_options *options = &call->node->options.conv2d;
    const struct scree_shape *in = &call->inputs[0]->shape, *filter = &call->inputs[1]->shape;
    struct scree_window h = {in->dims[1], filter->dims[1], options->stride_h, options->dilation_h};
    struct scree_window w = {in->dims[2], filter->dims[2], options->stride_w, options->dilation_w};
    struct scree_shape out = {.rank = 4};
    int rc = scree_window_compute(options->padding, &h, err);

    if (rc >= 0)
        rc = scree_window_compute(options->padding, &w, err);
    if (rc < 0)
        return rc;
    *s = (struct scree_conv_shape){
        .n = in->dims[0],
        .in_h = in->dims[1],
        .in_w = in->dims[2],
        .in_c = in->dims[3],
        .filter_h = filter->dims[1],
        .filter_w = filter->dims[2],
        .filter_c = filter->dims[3],
        .out_h = h.out,
        .out_w = w.out,
        .out_c = filter->dims[0],
        .stride_h = options->stride_h,
        .stride_w = options->stride_w,
        .dilation_h = options->dilation_h,
        .dilation_w = options->dilation_w,
        .pad_top = h.pad,
        .pad_left = w.pad,
        .n_groups = in->dims[3] / filter->dims[3],
    };
    out.dims[0] = s->n;
    out.dims[1] = s->out_h;
    out.dims[2] = s->out_w;
    out.dims[3] = s->out_c;
    return scree_call_set_shape(call, 0, &out, err);
}

/* TFLite multiplies the scales of uint8 models as floats, all others as doubles. */
static double real_multiplier(const struct scree_operand *input, const struct scree_operand *filter,
                              const struct scree_operand *output, uint32_t channel)
{
    float in = input->quant->scale[0], weight = filter->quant->scale[channel];
    double product = input->type == SCREE_TYPE_UINT8 ? (double)(in * weight)
                                                     : (double)in * (double)weight;

    return product / (double)output->quant->scale[0];
}

int scree_conv_quantize(struct scree_call *call, enum scree_activation activation, int32_t out_c,
                        struct scree_conv_quant *quant, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *filter = call->inputs[1];
    const struct scree_operand *output = call->outputs[0];
    uint32_t n = filter->quant->n;
    struct scree_multiplier *multipliers;
    int rc = scree_quant_check(input, "input", err);

    if (rc >= 0)
        rc = scree_quant_check(output, "output", err);
    if (rc < 0)
        return rc;
    scree_activation_range_quantized(activation, output, &quant->min, &quant->max);
    if (n != 1 && (n != (uint32_t)out_c || filter->type == SCREE_TYPE_UINT8))
        return scree_fail(err, EBADMSG, "%u filter scales for %d output channels", n, out_c);
    multipliers = scree_arena_new(call->arena, struct scree_multiplier, n);
    if (!multipliers)
        return scree_fail_memory(err, n * sizeof *multipliers);
    for (uint32_t i = 0; rc >= 0 && i < n; i++)
        rc =
            scree_multiplier_check(real_multiplier(input, filter, output, i), &multipliers[i], err);
    quant->input_zp = input->quant->zero_point[0];
    quant->filter_zp = filter->type == SCREE_TYPE_UINT8 ? filter->quant->zero_point[0] : 0;
    quant->output_zp = output->quant->zero_point[0];
    quant->multipliers = multipliers;
    quant->multiplier_stride = n > 1;
    return rc;
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
    call->macs = call->outputs[0]->n_elements * (size_t)params->shape.filter_h *
                 (size_t)params->shape.filter_w * (size_t)params->shape.filter_c;
    if (call->inputs[0]->type == SCREE_TYPE_FLOAT32) {
        call->thread_scratch_bytes = scree_conv_patch_bytes(&params->shape, sizeof(float));
        scree_activation_range_f32(activation, &params->min_f32, &params->max_f32);
        return 0;
    }
    call->thread_scratch_bytes = scree_conv_patch_bytes(&params->shape, sizeof(int16_t));
    return scree_conv_quantize(call, activation, params->shape.out_c, &params->quant, err);
}

/* Threads share the rows of the output. */
static void conv_row(void *arg, size_t row, int thread)
{
    const struct scree_call *call = arg;
    const struct conv_params *params = call->params;
    const struct scree_operand *bias = scree_call_input(call, 2);
    const void *in = call->inputs[0]->data, *filter = call->inputs[1]->data;
    void *patch = scree_call_thread_scratch(call, thread);

    switch (call->inputs[0]->type) {
    case SCREE_TYPE_UINT8:
        scree_conv_u8(&params->shape, &params->quant, in, filter, bias ? bias->data : NULL,
                      call->outputs[0]->data, patch, row, 1);
        break;
    case SCREE_TYPE_INT8:
        scree_conv_s8(&params->shape, &params->quant, in, filter, bias ? bias->data : NULL,
                      call->outputs[0]->data, patch, row, 1);
        break;
    default:
        scree_conv_f32(&params->shape, params->min_f32, params->max_f32, in, filter,
                       bias ? bias->data : NULL, call->outputs[0]->data, patch, row, 1);
        break;
    }
}

int scree_conv2d_run(const struct scree_call *call, struct scree_error *err)
{
    const struct conv_params *params = call->params;
    size_t n_rows = (size_t)params->shape.n * (size_t)params->shape.out_h;

    (void)err;
    scree_pool_run(call->pool, n_rows, conv_row, (void *)(uintptr_t)call);
    return 0;
}
