#include "delegate/guard.h"

#include <string.h>

#include "delegate/split.h"

/* A convolution with its tensors, whichever of the two operators it is. */
struct conv {
    const struct scree_subgraph *subgraph;
    const struct scree_node *node;
    const struct scree_tensor_def *in, *weights, *bias, *out; /* bias NULL if there is none */
    bool is_depthwise;
    int32_t in_h, in_w, in_c, kernel_h, kernel_w, out_c;
    int32_t stride_h, stride_w, dilation_h, dilation_w;
    enum scree_padding padding;
    enum scree_activation activation;
};

typedef bool rule_fn(const struct conv *conv);

/* ---- the rules ---------------------------------------------------------------------------------
 * Each tells whether a convolution is a case of its row; those above it have found none. */

static bool is_add(const struct conv *conv)
{
    return conv->node->opcode == SCREE_OP_ADD;
}

static bool has_odd_shape(const struct conv *conv)
{
    const struct scree_tensor_def *tensors[] = {conv->in, conv->weights, conv->out};

    for (size_t i = 0; i < 3; i++) {
        if (tensors[i]->shape.rank != 4)
            return true;
        for (int k = 0; k < 4; k++)
            if (tensors[i]->shape.dims[k] < 1)
                return true;
    }
    return false;
}

static bool has_batch(const struct conv *conv)
{
    return conv->in->shape.dims[0] != 1;
}

static bool has_other_type(const struct conv *conv)
{
    enum scree_type type = conv->in->type;

    return (type != SCREE_TYPE_UINT8 && type != SCREE_TYPE_INT8) || conv->weights->type != type ||
           conv->out->type != type;
}

static bool has_variable_weights(const struct conv *conv)
{
    return !conv->weights->data || conv->in->data || conv->in->is_variable;
}

static bool has_no_bias(const struct conv *conv)
{
    return !conv->bias || !conv->bias->data || conv->bias->type != SCREE_TYPE_INT32;
}

static bool is_not_quantized(const struct conv *conv)
{
    return conv->in->quant.n != 1 || conv->out->quant.n != 1 || conv->weights->quant.n < 1;
}

static bool has_scales_per_channel(const struct conv *conv)
{
    const struct scree_quant *quant = &conv->weights->quant;

    for (uint32_t i = 1; i < quant->n; i++)
        if (quant->scale[i] != quant->scale[0] || quant->zero_point[i] != quant->zero_point[0])
            return true;
    return false;
}

static bool is_not_square(const struct conv *conv)
{
    return conv->in_h != conv->in_w || conv->kernel_h != conv->kernel_w ||
           conv->out->shape.dims[1] != conv->out->shape.dims[2];
}

/* A size that does not follow from the options: a PAD before the convolution has been made part of
 * it. */
static bool has_other_size(const struct conv *conv)
{
    int64_t in = conv->in_h, out = conv->out->shape.dims[1], stride = conv->stride_h;
    int64_t kernel = (int64_t)(conv->kernel_h - 1) * conv->dilation_h + 1;

    if (stride < 1)
        return true;
    return out != (conv->padding == SCREE_PADDING_SAME ? (in + stride - 1) / stride
                                                       : (in - kernel + stride) / stride);
}

static bool has_unequal_strides(const struct conv *conv)
{
    return conv->stride_h != conv->stride_w;
}

static bool is_dilated(const struct conv *conv)
{
    return conv->dilation_h != 1 || conv->dilation_w != 1;
}

static int32_t least_value(const struct scree_tensor_def *tensor)
{
    return tensor->type == SCREE_TYPE_INT8 ? -128 : 0;
}

static bool has_other_activation(const struct conv *conv)
{
    return conv->activation != SCREE_ACTIVATION_NONE && conv->activation != SCREE_ACTIVATION_RELU &&
           conv->activation != SCREE_ACTIVATION_RELU6;
}

/* Saturation of the output at its type's least value is a RELU only if that value is zero. */
static bool has_relu_inside(const struct conv *conv)
{
    return conv->activation != SCREE_ACTIVATION_NONE &&
           conv->out->quant.zero_point[0] != least_value(conv->out);
}

static bool has_relu6_inside(const struct conv *conv)
{
    return conv->activation == SCREE_ACTIVATION_RELU6 && 255 * conv->out->quant.scale[0] > 6.0f;
}

static bool has_one_channel(const struct conv *conv)
{
    return conv->in_c < 2 || conv->out_c < 2;
}

static bool has_groups(const struct conv *conv)
{
    return conv->is_depthwise ? conv->out_c != conv->in_c
                              : conv->weights->shape.dims[3] != conv->in_c;
}

/* Widths of the register fields: ROCKET registers of the TRM, chapter 36. */
static bool is_too_large(const struct conv *conv)
{
    int64_t kernel_bytes = (int64_t)conv->kernel_h * conv->kernel_w * ((conv->in_c + 15) / 16 * 16);

    return conv->kernel_h > 31 || conv->stride_h < 1 || conv->stride_h > 7 || conv->in_h > 2047 ||
           conv->out->shape.dims[1] > 2047 || conv->in_c > 8192 || conv->out_c > 8192 ||
           kernel_bytes >= 1 << 19;
}

/* What the input's border is padded with goes into the NPU as two bytes, and the driver sets both
 * only for some zero points; 0x7f and 0x80 give two equal bytes by themselves. */
static bool has_odd_padding(const struct conv *conv)
{
    int32_t zero_point = conv->in->quant.zero_point[0] - least_value(conv->in);
    int32_t out_h = conv->out->shape.dims[1];
    bool pads = conv->padding == SCREE_PADDING_SAME && conv->kernel_h > 1 &&
                (int64_t)(out_h - 1) * conv->stride_h + conv->kernel_h > conv->in_h;

    if (!pads || zero_point == 0x7f || zero_point == 0x80)
        return false;
    if (conv->is_depthwise && zero_point == 0x8b)
        return false;
    return zero_point != 0 || conv->kernel_h < 3;
}

/* The factor from accumulator to output as the driver sets it: 15 bits of mantissa plus one unit
 * in their last place, and a shift of 6 bits. */
static bool has_odd_scale(const struct conv *conv)
{
    float scale = conv->in->quant.scale[0] * conv->weights->quant.scale[0] /
                  conv->out->quant.scale[0];
    uint32_t bits, exponent;

    memcpy(&bits, &scale, sizeof bits);
    exponent = bits >> 23;
    return exponent < 78 || exponent > 140 || (bits >> 9 & 0x3fff) == 0x3fff;
}

static bool is_cut_with_large_weights(const struct conv *conv)
{
    struct scree_split split = scree_split_conv(conv->subgraph, conv->node);

    return split.n_tasks > 1 && !split.keeps_weights;
}

static bool does_not_fit(const struct conv *conv)
{
    return scree_split_conv(conv->subgraph, conv->node).n_tasks == 0;
}

/* ---- the table ---------------------------------------------------------------------------------
 * All cases were seen in Mesa 26.2, or read in its source; the driver came with 25.3, and no
 * release that is known has put any of them right. */

#define ROCKET_CAME SCREE_MESA(25, 3)
#define NOT_FIXED   0

/* RULE(case, first version, version that is right, what to tell) */
#define RULES                                                                                    \
    RULE(is_add, ROCKET_CAME, NOT_FIXED,                                                         \
         "Teflon crashes on some ADD and takes the scales of others from a table")               \
    RULE(has_odd_shape, ROCKET_CAME, NOT_FIXED, "its tensors do not all have 4 dimensions")      \
    RULE(has_batch, ROCKET_CAME, NOT_FIXED, "Teflon computes one picture of a batch")            \
    RULE(has_other_type, ROCKET_CAME, NOT_FIXED, "Teflon reads all tensors as 8 bits")           \
    RULE(has_variable_weights, ROCKET_CAME, NOT_FIXED, "Teflon crashes if weights are computed") \
    RULE(has_no_bias, ROCKET_CAME, NOT_FIXED, "Teflon crashes without an int32 bias")            \
    RULE(is_not_quantized, ROCKET_CAME, NOT_FIXED, "it is not quantized")                        \
    RULE(has_scales_per_channel, ROCKET_CAME, NOT_FIXED, "its weights have a scale per channel") \
    RULE(is_not_square, ROCKET_CAME, NOT_FIXED,                                                  \
         "Teflon computes square pictures and kernels only")                                     \
    RULE(has_other_size, ROCKET_CAME, NOT_FIXED, "Teflon does not take the PAD before it")       \
    RULE(has_unequal_strides, ROCKET_CAME, NOT_FIXED, "Teflon takes one stride for both ways")   \
    RULE(is_dilated, ROCKET_CAME, NOT_FIXED, "Teflon does not dilate")                           \
    RULE(has_other_activation, ROCKET_CAME, NOT_FIXED, "Teflon drops its activation")            \
    RULE(has_relu_inside, ROCKET_CAME, NOT_FIXED,                                                \
         "Teflon drops a RELU unless the output's zero point is the least value")                \
    RULE(has_relu6_inside, ROCKET_CAME, NOT_FIXED,                                               \
         "Teflon drops a RELU6 unless the output's range ends at 6")                             \
    RULE(has_one_channel, ROCKET_CAME, NOT_FIXED, "Teflon lays out single channels wrongly")     \
    RULE(has_groups, ROCKET_CAME, NOT_FIXED, "Teflon knows no groups and no depth multiplier")   \
    RULE(is_too_large, ROCKET_CAME, NOT_FIXED, "it is larger than the NPU's registers can say")  \
    RULE(has_odd_padding, ROCKET_CAME, NOT_FIXED,                                                \
         "Teflon is not known to pad right with this input zero point")                          \
    RULE(has_odd_scale, ROCKET_CAME, NOT_FIXED, "Teflon rounds its scale wrongly")               \
    RULE(does_not_fit, ROCKET_CAME, NOT_FIXED, "its rows do not fit the NPU's buffer")           \
    RULE(is_cut_with_large_weights, ROCKET_CAME, NOT_FIXED,                                      \
         "Teflon crashes if neither input nor weights fit the NPU's buffer")

static const struct scree_guard_rule rules[] = {
#define RULE(function, since, until, reason) {#function, since, until, reason},
    RULES
#undef RULE
};

static rule_fn *const functions[] = {
#define RULE(function, since, until, reason) function,
    RULES
#undef RULE
};

static const char too_old[] = "Mesa before 25.3 has no driver for the NPU";
static const char other_operator[] = "delegates are offered convolutions only";

#define N_RULES ((uint32_t)(sizeof rules / sizeof rules[0]))

const struct scree_guard_rule *scree_guard_rules(uint32_t *ret_n)
{
    *ret_n = N_RULES;
    return rules;
}

/* A version that is not known may be any. */
static bool applies(const struct scree_guard_rule *rule, uint32_t mesa)
{
    return mesa == 0 || (mesa >= rule->since && (rule->until == 0 || mesa < rule->until));
}

static void read_options(struct conv *conv)
{
    const union scree_options *options = &conv->node->options;

    if (conv->is_depthwise) {
        conv->stride_h = options->depthwise_conv2d.stride_h;
        conv->stride_w = options->depthwise_conv2d.stride_w;
        conv->dilation_h = options->depthwise_conv2d.dilation_h;
        conv->dilation_w = options->depthwise_conv2d.dilation_w;
        conv->padding = options->depthwise_conv2d.padding;
        conv->activation = options->depthwise_conv2d.activation;
    } else {
        conv->stride_h = options->conv2d.stride_h;
        conv->stride_w = options->conv2d.stride_w;
        conv->dilation_h = options->conv2d.dilation_h;
        conv->dilation_w = options->conv2d.dilation_w;
        conv->padding = options->conv2d.padding;
        conv->activation = options->conv2d.activation;
    }
}

static void read_conv(struct conv *conv)
{
    const struct scree_node *node = conv->node;
    const struct scree_tensor_def *tensors = conv->subgraph->tensors;

    conv->is_depthwise = node->opcode == SCREE_OP_DEPTHWISE_CONV_2D;
    conv->in = &tensors[node->inputs[0]];
    conv->weights = &tensors[node->inputs[1]];
    conv->bias = node->n_inputs > 2 && node->inputs[2] >= 0 ? &tensors[node->inputs[2]] : NULL;
    conv->out = &tensors[node->outputs[0]];
    conv->in_h = conv->in->shape.dims[1];
    conv->in_w = conv->in->shape.dims[2];
    conv->in_c = conv->in->shape.dims[3];
    conv->kernel_h = conv->weights->shape.dims[1];
    conv->kernel_w = conv->weights->shape.dims[2];
    conv->out_c = conv->weights->shape.dims[conv->is_depthwise ? 3 : 0];
    read_options(conv);
}

const char *scree_guard_check(const struct scree_subgraph *subgraph, uint32_t index, uint32_t mesa)
{
    struct conv conv = {.subgraph = subgraph, .node = &subgraph->nodes[index]};
    bool is_conv = conv.node->opcode == SCREE_OP_CONV_2D ||
                   conv.node->opcode == SCREE_OP_DEPTHWISE_CONV_2D;

    if (mesa != 0 && mesa < ROCKET_CAME)
        return too_old;
    if (!is_conv)
        return is_add(&conv) && applies(&rules[0], mesa) ? rules[0].reason : other_operator;
    read_conv(&conv);
    for (uint32_t i = 0; i < N_RULES; i++)
        if (applies(&rules[i], mesa) && functions[i](&conv))
            return rules[i].reason;
    return NULL;
}
