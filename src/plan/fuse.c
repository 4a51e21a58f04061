#include "plan/fuse.h"

#include <stddef.h>

static enum scree_activation activation_of(int32_t opcode)
{
    switch (opcode) {
    case SCREE_OP_RELU:
        return SCREE_ACTIVATION_RELU;
    case SCREE_OP_RELU6:
        return SCREE_ACTIVATION_RELU6;
    case SCREE_OP_RELU_N1_TO_1:
        return SCREE_ACTIVATION_RELU_N1_TO_1;
    default:
        return SCREE_ACTIVATION_NONE;
    }
}

/* Where a node keeps its activation, or NULL if it has none to keep. */
static enum scree_activation *activation_slot(struct scree_node *node)
{
    switch (node->opcode) {
    case SCREE_OP_CONV_2D:
        return &node->options.conv2d.activation;
    case SCREE_OP_DEPTHWISE_CONV_2D:
        return &node->options.depthwise_conv2d.activation;
    case SCREE_OP_FULLY_CONNECTED:
        return &node->options.fully_connected.activation;
    case SCREE_OP_ADD:
        return &node->options.add.activation;
    case SCREE_OP_SUB:
        return &node->options.sub.activation;
    case SCREE_OP_MUL:
        return &node->options.mul.activation;
    default:
        return NULL;
    }
}

static bool same_numbers(const struct scree_tensor_def *a, const struct scree_tensor_def *b)
{
    if (a->type != b->type || a->quant.n != b->quant.n || a->quant.n > 1)
        return false;
    switch (a->type) {
    case SCREE_TYPE_FLOAT32:
        return a->quant.n == 0;
    case SCREE_TYPE_UINT8:
    case SCREE_TYPE_INT8:
        return a->quant.n == 1 && a->quant.scale[0] == b->quant.scale[0] &&
               a->quant.zero_point[0] == b->quant.zero_point[0];
    default:
        return false;
    }
}

/* The producers come before the consumers, so the last writer seen is the only one. */
static void count_uses(const struct scree_subgraph *subgraph, uint32_t *uses)
{
    for (uint32_t i = 0; i < subgraph->n_nodes; i++) {
        const struct scree_node *node = &subgraph->nodes[i];

        for (uint32_t k = 0; k < node->n_inputs; k++)
            if (node->inputs[k] >= 0)
                uses[node->inputs[k]]++;
    }
    for (uint32_t k = 0; k < subgraph->n_outputs; k++)
        uses[subgraph->outputs[k]]++;
}

static bool fuse_into(const struct scree_subgraph *subgraph, struct scree_node *producer,
                      const struct scree_node *activation)
{
    enum scree_activation *slot = activation_slot(producer);

    if (!slot || *slot != SCREE_ACTIVATION_NONE || producer->n_outputs != 1)
        return false;
    if (!same_numbers(&subgraph->tensors[activation->inputs[0]],
                      &subgraph->tensors[activation->outputs[0]]))
        return false;
    *slot = activation_of(activation->opcode);
    producer->outputs = activation->outputs;
    return true;
}

void scree_fuse_activations(const struct scree_subgraph *subgraph, struct scree_node *nodes,
                            uint32_t *uses, bool *fused)
{
    count_uses(subgraph, uses);
    for (uint32_t i = 1; i < subgraph->n_nodes; i++) {
        const struct scree_node *node = &nodes[i];
        struct scree_node *producer = &nodes[i - 1];

        if (activation_of(node->opcode) == SCREE_ACTIVATION_NONE || node->n_inputs != 1 ||
            node->n_outputs != 1 || node->inputs[0] < 0)
            continue;
        if (producer->n_outputs == 1 && producer->outputs[0] == node->inputs[0] &&
            uses[node->inputs[0]] == 1)
            fused[i] = fuse_into(subgraph, producer, node);
    }
}
