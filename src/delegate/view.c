#include "delegate/view.h"

#include <string.h>

/* Copies of weights, at most: far above what any model has. */
#define MAX_VIEW_BYTES ((size_t)1 << 31)
/* Some delegates read four dimensions of any tensor, whatever its rank. */
#define MIN_INTS 4

void scree_flip_bytes(const void *from, void *to, size_t n)
{
    const uint8_t *in = from;
    uint8_t *out = to;

    for (size_t i = 0; i < n; i++)
        out[i] = in[i] ^ 0x80;
}

struct scree_tfl_ints *scree_tfl_ints_new(struct scree_arena *arena, uint32_t n,
                                          const int32_t *values)
{
    size_t room = n < MIN_INTS ? MIN_INTS : n;
    struct scree_tfl_ints *ints = scree_arena_calloc(arena, 1, sizeof *ints + room * sizeof(int));

    if (!ints)
        return NULL;
    ints->size = (int)n;
    if (values && n > 0)
        memcpy(ints->data, values, n * sizeof values[0]);
    return ints;
}

static int fail_memory(struct scree_error *err)
{
    return scree_fail(err, ENOMEM, "no memory to show the graph to the delegate");
}

/* Numbers the nodes and tensors that are shown. */
static int number(struct scree_view *view, const struct scree_subgraph *subgraph,
                  const bool *offered)
{
    view->index_of = scree_arena_new(&view->arena, int32_t, subgraph->n_tensors);
    view->node_of = scree_arena_new(&view->arena, uint32_t, subgraph->n_nodes);
    view->tensor_of = scree_arena_new(&view->arena, int32_t, subgraph->n_tensors);
    if (!view->index_of || !view->node_of || !view->tensor_of)
        return -ENOMEM;
    for (uint32_t i = 0; i < subgraph->n_nodes; i++) {
        const struct scree_node *node = &subgraph->nodes[i];

        if (!offered[i])
            continue;
        view->node_of[view->n_nodes++] = i;
        for (uint32_t k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] >= 0)
                view->index_of[node->inputs[k]] = 1;
        for (uint32_t k = 0; k < node->n_outputs; k++)
            view->index_of[node->outputs[k]] = 1;
    }
    for (uint32_t i = 0; i < subgraph->n_tensors; i++) {
        bool shown = view->index_of[i] != 0;

        view->index_of[i] = shown ? (int32_t)view->n_tensors : -1;
        if (shown)
            view->tensor_of[view->n_tensors++] = (int32_t)i;
    }
    return 0;
}

static int set_quantization(struct scree_view *view, struct scree_tfl_tensor *tensor, float scale,
                            int32_t zero_point)
{
    struct scree_tfl_affine *affine = scree_arena_new(&view->arena, struct scree_tfl_affine, 1);
    struct scree_tfl_floats *scales =
        scree_arena_calloc(&view->arena, 1, sizeof *scales + sizeof(float));

    if (!affine || !scales)
        return -ENOMEM;
    scales->size = 1;
    scales->data[0] = scale;
    affine->scale = scales;
    affine->zero_point = scree_tfl_ints_new(&view->arena, 1, &zero_point);
    tensor->params = (struct scree_tfl_scale){scale, zero_point};
    tensor->quantization = (struct scree_tfl_quantization){SCREE_TFL_AFFINE, affine};
    return affine->zero_point ? 0 : -ENOMEM;
}

static int set_constant(struct scree_view *view, struct scree_tfl_tensor *tensor,
                        const struct scree_tensor_def *def, bool flipped)
{
    tensor->allocation_type = SCREE_TFL_CONSTANT;
    tensor->data = (void *)(uintptr_t)def->data;
    if (!flipped)
        return 0;
    tensor->data = scree_arena_calloc(&view->arena, 1, def->bytes);
    if (!tensor->data)
        return -ENOMEM;
    scree_flip_bytes(def->data, tensor->data, def->bytes);
    return 0;
}

static int show_tensor(struct scree_view *view, uint32_t index, const struct scree_tensor_def *def)
{
    struct scree_tfl_tensor *tensor = &view->tensors[index];
    bool flipped = def->type == SCREE_TYPE_INT8;

    view->flipped[index] = flipped;
    *tensor = (struct scree_tfl_tensor){
        .type = flipped ? SCREE_TYPE_UINT8 : def->type,
        .dims = scree_tfl_ints_new(&view->arena, (uint32_t)def->shape.rank, def->shape.dims),
        .allocation_type = SCREE_TFL_ACTIVATION,
        .bytes = scree_shape_elements(&def->shape) * scree_type_bytes(def->type),
        .name = def->name,
        .buffer_handle = -1,
    };
    tensor->dims_signature = tensor->dims;
    if (!tensor->dims)
        return -ENOMEM;
    if (def->quant.n > 0 && set_quantization(view, tensor, def->quant.scale[0],
                                             def->quant.zero_point[0] + (flipped ? 128 : 0)) < 0)
        return -ENOMEM;
    return def->data ? set_constant(view, tensor, def, flipped) : 0;
}

static int show_tensors(struct scree_view *view, const struct scree_subgraph *subgraph)
{
    view->flipped = scree_arena_new(&view->arena, bool, view->n_tensors);
    view->tensors = scree_arena_new(&view->arena, struct scree_tfl_tensor, view->n_tensors);
    if (!view->flipped || !view->tensors)
        return -ENOMEM;
    for (uint32_t i = 0; i < view->n_tensors; i++)
        if (show_tensor(view, i, &subgraph->tensors[view->tensor_of[i]]) < 0)
            return -ENOMEM;
    return 0;
}

/* What a bias is scaled by follows from what it is added to. */
static int show_bias(struct scree_view *view, const struct scree_node *node,
                     const struct scree_subgraph *subgraph)
{
    const struct scree_tensor_def *in = &subgraph->tensors[node->inputs[0]];
    const struct scree_tensor_def *weights = &subgraph->tensors[node->inputs[1]];
    struct scree_tfl_tensor *bias = &view->tensors[view->index_of[node->inputs[2]]];

    if (bias->quantization.params)
        return 0;
    return set_quantization(view, bias, in->quant.scale[0] * weights->quant.scale[0], 0);
}

static enum scree_tfl_padding padding_of(enum scree_padding padding)
{
    return padding == SCREE_PADDING_SAME ? SCREE_TFL_SAME : SCREE_TFL_VALID;
}

static void *conv_data(struct scree_view *view, const struct scree_node *node)
{
    const struct scree_conv2d_options *options = &node->options.conv2d;
    struct scree_tfl_conv *conv = scree_arena_new(&view->arena, struct scree_tfl_conv, 1);

    if (conv)
        *conv = (struct scree_tfl_conv){
            .padding = padding_of(options->padding),
            .stride_width = options->stride_w,
            .stride_height = options->stride_h,
            .activation = (int)options->activation,
            .dilation_width = options->dilation_w,
            .dilation_height = options->dilation_h,
        };
    return conv;
}

static void *depthwise_data(struct scree_view *view, const struct scree_node *node,
                            const struct scree_subgraph *subgraph)
{
    const struct scree_depthwise_conv2d_options *options = &node->options.depthwise_conv2d;
    const struct scree_shape *in = &subgraph->tensors[node->inputs[0]].shape;
    const struct scree_shape *weights = &subgraph->tensors[node->inputs[1]].shape;
    struct scree_tfl_depthwise *depthwise =
        scree_arena_new(&view->arena, struct scree_tfl_depthwise, 1);

    if (depthwise)
        *depthwise = (struct scree_tfl_depthwise){
            .padding = padding_of(options->padding),
            .stride_width = options->stride_w,
            .stride_height = options->stride_h,
            .depth_multiplier = weights->dims[3] / in->dims[3],
            .activation = (int)options->activation,
            .dilation_width = options->dilation_w,
            .dilation_height = options->dilation_h,
        };
    return depthwise;
}

/* A node is not run by its registration here: whoever tries is told no. */
static int refuse_invoke(struct scree_tfl_context *context, struct scree_tfl_node *node)
{
    (void)context;
    (void)node;
    return SCREE_TFL_ERROR;
}

static struct scree_tfl_ints *show_list(struct scree_view *view, const int32_t *tensors, uint32_t n)
{
    struct scree_tfl_ints *list = scree_tfl_ints_new(&view->arena, n, NULL);

    for (uint32_t i = 0; list && i < n; i++)
        list->data[i] = tensors[i] < 0 ? -1 : view->index_of[tensors[i]];
    return list;
}

static int show_node(struct scree_view *view, uint32_t index, const struct scree_subgraph *subgraph)
{
    const struct scree_node *node = &subgraph->nodes[view->node_of[index]];
    bool is_conv = node->opcode == SCREE_OP_CONV_2D;

    view->plan->data[index] = (int)index;
    view->registrations[index].head = (struct scree_tfl_registration){
        .invoke = refuse_invoke,
        .builtin_code = node->opcode,
        .version = node->version,
    };
    view->nodes[index] = (struct scree_tfl_node){
        .inputs = show_list(view, node->inputs, node->n_inputs),
        .outputs = show_list(view, node->outputs, node->n_outputs),
        .intermediates = scree_tfl_ints_new(&view->arena, 0, NULL),
        .temporaries = scree_tfl_ints_new(&view->arena, 0, NULL),
        .builtin_data = is_conv ? conv_data(view, node) : depthwise_data(view, node, subgraph),
    };
    if (!view->nodes[index].inputs || !view->nodes[index].outputs ||
        !view->nodes[index].intermediates || !view->nodes[index].temporaries ||
        !view->nodes[index].builtin_data)
        return -ENOMEM;
    return show_bias(view, node, subgraph);
}

static int show(struct scree_view *view, const struct scree_subgraph *subgraph, const bool *offered)
{
    if (number(view, subgraph, offered) < 0 || show_tensors(view, subgraph) < 0)
        return -ENOMEM;
    view->plan = scree_tfl_ints_new(&view->arena, view->n_nodes, NULL);
    view->nodes = scree_arena_new(&view->arena, struct scree_tfl_node, view->n_nodes);
    view->registrations =
        scree_arena_new(&view->arena, struct scree_tfl_node_registration, view->n_nodes);
    if (!view->plan || !view->nodes || !view->registrations)
        return -ENOMEM;
    for (uint32_t i = 0; i < view->n_nodes; i++)
        if (show_node(view, i, subgraph) < 0)
            return -ENOMEM;
    return 0;
}

int scree_view_new(const struct scree_subgraph *subgraph, const bool *offered,
                   struct scree_view *ret_view, struct scree_error *err)
{
    struct scree_view view = {0};

    scree_arena_init(&view.arena, MAX_VIEW_BYTES);
    if (show(&view, subgraph, offered) < 0) {
        scree_view_done(&view);
        return fail_memory(err);
    }
    *ret_view = view;
    return 0;
}

void scree_view_done(struct scree_view *view)
{
    scree_arena_done(&view->arena);
    *view = (struct scree_view){0};
}
