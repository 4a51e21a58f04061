#include "plan/pad.h"

#include <string.h>

/* How many rows and columns a convolution can take over, less than that: then what it has around
 * its input is, together with up to half a window that SAME adds, less than its window. */
struct limits {
    int64_t rows, columns;
};

static int64_t limit_of(int32_t filter, int64_t dilation, enum scree_padding padding)
{
    int64_t extent = (filter - 1) * dilation + 1;

    return padding == SCREE_PADDING_VALID ? extent : extent - extent / 2;
}

static bool read_limits(const struct scree_subgraph *subgraph, const struct scree_node *conv,
                        struct limits *ret)
{
    const struct scree_conv2d_options *plain = &conv->options.conv2d;
    const struct scree_depthwise_conv2d_options *depthwise = &conv->options.depthwise_conv2d;
    bool is_plain = conv->opcode == SCREE_OP_CONV_2D;
    int64_t dilation_h = is_plain ? plain->dilation_h : depthwise->dilation_h;
    int64_t dilation_w = is_plain ? plain->dilation_w : depthwise->dilation_w;
    enum scree_padding padding = is_plain ? plain->padding : depthwise->padding;
    const struct scree_shape *filter;

    if ((!is_plain && conv->opcode != SCREE_OP_DEPTHWISE_CONV_2D) || conv->n_inputs < 2 ||
        conv->inputs[1] < 0)
        return false;
    filter = &subgraph->tensors[conv->inputs[1]].shape;
    if (filter->rank != 4 || dilation_h < 1 || dilation_w < 1)
        return false;
    ret->rows = limit_of(filter->dims[1], dilation_h, padding);
    ret->columns = limit_of(filter->dims[2], dilation_w, padding);
    return true;
}

/* Element i of a constant list of numbers that PAD takes; -1 for what it does not. */
static int64_t number_at(const struct scree_tensor_def *def, size_t i)
{
    int32_t narrow;
    int64_t wide;

    if (def->type == SCREE_TYPE_INT64) {
        memcpy(&wide, (const char *)def->data + i * sizeof wide, sizeof wide);
        return wide;
    }
    if (def->type != SCREE_TYPE_INT32)
        return -1;
    memcpy(&narrow, (const char *)def->data + i * sizeof narrow, sizeof narrow);
    return narrow;
}

/* Rows and columns alone, within the limits. */
static bool read_margin(const struct scree_tensor_def *paddings, const struct limits *limits,
                        struct scree_margin *ret)
{
    int64_t n[8];

    if (!paddings->data || paddings->shape.rank != 2 || paddings->shape.dims[0] != 4 ||
        paddings->shape.dims[1] != 2)
        return false;
    for (size_t i = 0; i < 8; i++) {
        int64_t limit = i == 2 || i == 3 ? limits->rows : i == 4 || i == 5 ? limits->columns : 1;

        n[i] = number_at(paddings, i);
        if (n[i] < 0 || n[i] >= limit || n[i] > INT16_MAX)
            return false;
    }
    *ret = (struct scree_margin){.top = (int32_t)n[2],
                                 .bottom = (int32_t)n[3],
                                 .left = (int32_t)n[4],
                                 .right = (int32_t)n[5]};
    return true;
}

static bool fills_with_zero(const struct scree_tensor_def *in, const struct scree_tensor_def *out,
                            const struct scree_tensor_def *weights)
{
    if (in->type != out->type || in->shape.rank != 4 || in->data || in->is_variable)
        return false;
    switch (in->type) {
    case SCREE_TYPE_FLOAT32:
        return weights->type == SCREE_TYPE_FLOAT32;
    case SCREE_TYPE_UINT8:
    case SCREE_TYPE_INT8:
    case SCREE_TYPE_INT16:
        return in->quant.n == 1 && out->quant.n == 1 && in->quant.scale[0] == out->quant.scale[0] &&
               in->quant.zero_point[0] == out->quant.zero_point[0];
    default:
        return false;
    }
}

static bool can_absorb(const struct scree_subgraph *subgraph, const struct scree_node *pad,
                       const struct scree_node *conv, struct scree_margin *ret_margin)
{
    const struct scree_tensor_def *tensors = subgraph->tensors;
    struct limits limits;

    return read_limits(subgraph, conv, &limits) &&
           fills_with_zero(&tensors[pad->inputs[0]], &tensors[pad->outputs[0]],
                           &tensors[conv->inputs[1]]) &&
           read_margin(&tensors[pad->inputs[1]], &limits, ret_margin);
}

/* Makes the convolution read what the PAD read. */
static int rewire(const struct scree_node *pad, struct scree_node *conv,
                  const struct scree_margin *margin, struct scree_arena *arena,
                  const struct scree_margin **ret_margin, struct scree_error *err)
{
    int32_t *inputs = scree_arena_new(arena, int32_t, conv->n_inputs);
    struct scree_margin *kept = scree_arena_new(arena, struct scree_margin, 1);

    if (!inputs || !kept)
        return scree_fail(err, ENOMEM, "no memory for the plan");
    memcpy(inputs, conv->inputs, conv->n_inputs * sizeof inputs[0]);
    inputs[0] = pad->inputs[0];
    conv->inputs = inputs;
    *kept = *margin;
    *ret_margin = kept;
    return 0;
}

int scree_absorb_pads(const struct scree_subgraph *subgraph, struct scree_node *nodes,
                      const uint32_t *uses, struct scree_arena *arena,
                      const struct scree_margin **ret_margins, bool *fused, struct scree_error *err)
{
    /* Of each tensor, one more than the number of the PAD that writes it. */
    uint32_t *pads = scree_arena_new(arena, uint32_t, subgraph->n_tensors);
    int rc = 0;

    if (!pads)
        return scree_fail(err, ENOMEM, "no memory for the plan");
    for (uint32_t i = 0; i < subgraph->n_nodes && rc == 0; i++) {
        struct scree_node *node = &nodes[i];
        struct scree_margin margin;
        uint32_t pad;

        if (node->opcode == SCREE_OP_PAD && node->n_inputs == 2 && node->n_outputs == 1 &&
            node->inputs[0] >= 0 && node->inputs[1] >= 0)
            pads[node->outputs[0]] = i + 1;
        if (node->n_inputs == 0 || node->inputs[0] < 0)
            continue;
        pad = pads[node->inputs[0]];
        if (pad == 0 || uses[node->inputs[0]] != 1 ||
            !can_absorb(subgraph, &nodes[pad - 1], node, &margin))
            continue;
        fused[pad - 1] = true;
        rc = rewire(&nodes[pad - 1], node, &margin, arena, &ret_margins[i], err);
    }
    return rc;
}
