#include "conv.h"

#include <math.h>

/* The numbers of a convolution, whichever operator. */
struct conv {
    const struct scree_tfl_tensor *in, *weights, *bias, *out;
    int in_h, in_w, in_c, out_h, out_w, out_c, kernel_h, kernel_w;
    int stride_h, stride_w, pad_top, pad_left, in_zp, weights_zp;
    double factor;
    bool is_depthwise;
};

static int zero_point(const struct scree_tfl_tensor *tensor)
{
    const struct scree_tfl_affine *affine = tensor->quantization.params;

    return affine->zero_point->data[0];
}

static double scale(const struct scree_tfl_tensor *tensor)
{
    const struct scree_tfl_affine *affine = tensor->quantization.params;

    return (double)affine->scale->data[0];
}

static bool is_plain(const struct scree_tfl_tensor *tensor, int type)
{
    const struct scree_tfl_affine *affine = tensor->quantization.params;

    return tensor->type == type && tensor->quantization.type == SCREE_TFL_AFFINE && affine &&
           affine->scale->size == 1 && affine->zero_point->size == 1 && tensor->data;
}

static int before(int in, int out, int kernel, int stride, int padding)
{
    int total = (out - 1) * stride + kernel - in;

    return padding == SCREE_TFL_SAME && total > 0 ? total / 2 : 0;
}

/* What filter n sees at one place of the input. */
static int tap(const struct conv *conv, const uint8_t *in, int ky, int kx, int n)
{
    const uint8_t *weights = conv->weights->data;
    int sum = 0;

    if (conv->is_depthwise)
        return (in[n / (conv->out_c / conv->in_c)] - conv->in_zp) *
               (weights[(ky * conv->kernel_w + kx) * conv->out_c + n] - conv->weights_zp);
    weights += ((n * conv->kernel_h + ky) * conv->kernel_w + kx) * conv->in_c;
    for (int c = 0; c < conv->in_c; c++)
        sum += (in[c] - conv->in_zp) * (weights[c] - conv->weights_zp);
    return sum;
}

static uint8_t pixel(const struct conv *conv, int y, int x, int n)
{
    const uint8_t *in = conv->in->data;
    const int32_t *bias = conv->bias->data;
    double value;
    int sum = bias[n];

    for (int ky = 0; ky < conv->kernel_h; ky++)
        for (int kx = 0; kx < conv->kernel_w; kx++) {
            int at_y = y * conv->stride_h + ky - conv->pad_top;
            int at_x = x * conv->stride_w + kx - conv->pad_left;

            if (at_y >= 0 && at_y < conv->in_h && at_x >= 0 && at_x < conv->in_w)
                sum += tap(conv, in + (at_y * conv->in_w + at_x) * conv->in_c, ky, kx, n);
        }
    value = floor(sum * conv->factor + 0.5) + zero_point(conv->out);
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static bool read_conv(const struct scree_tfl_context *context, const struct scree_tfl_node *node,
                      const struct scree_tfl_registration *registration, struct conv *conv)
{
    const struct scree_tfl_conv *options = node->builtin_data;
    const struct scree_tfl_depthwise *depthwise = node->builtin_data;

    if (node->inputs->size != 3 || node->outputs->size != 1 || !options)
        return false;
    conv->in = &context->tensors[node->inputs->data[0]];
    conv->weights = &context->tensors[node->inputs->data[1]];
    conv->bias = &context->tensors[node->inputs->data[2]];
    conv->out = &context->tensors[node->outputs->data[0]];
    conv->is_depthwise = registration->builtin_code == 4;
    if (!is_plain(conv->in, 3) || !is_plain(conv->weights, 3) || !is_plain(conv->bias, 2) ||
        !is_plain(conv->out, 3) || conv->in->dims->size != 4)
        return false;
    conv->in_zp = zero_point(conv->in);
    conv->weights_zp = zero_point(conv->weights);
    conv->factor = scale(conv->in) * scale(conv->weights) / scale(conv->out);
    conv->in_h = conv->in->dims->data[1];
    conv->in_w = conv->in->dims->data[2];
    conv->in_c = conv->in->dims->data[3];
    conv->out_h = conv->out->dims->data[1];
    conv->out_w = conv->out->dims->data[2];
    conv->out_c = conv->out->dims->data[3];
    conv->kernel_h = conv->weights->dims->data[1];
    conv->kernel_w = conv->weights->dims->data[2];
    conv->stride_h = options->stride_height;
    conv->stride_w = options->stride_width;
    conv->pad_top =
        before(conv->in_h, conv->out_h, conv->kernel_h, conv->stride_h, options->padding);
    conv->pad_left =
        before(conv->in_w, conv->out_w, conv->kernel_w, conv->stride_w, options->padding);
    return !conv->is_depthwise || depthwise->depth_multiplier == conv->out_c / conv->in_c;
}

int test_conv(const struct scree_tfl_context *context, const struct scree_tfl_node *node,
              const struct scree_tfl_registration *registration)
{
    struct conv conv;
    uint8_t *out;

    if (!read_conv(context, node, registration, &conv))
        return SCREE_TFL_ERROR;
    out = conv.out->data;
    for (int y = 0; y < conv.out_h; y++)
        for (int x = 0; x < conv.out_w; x++)
            for (int n = 0; n < conv.out_c; n++)
                *out++ = pixel(&conv, y, x, n);
    return SCREE_TFL_OK;
}
