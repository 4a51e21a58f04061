#include "plan/exact.h"

static enum scree_type type_of(const struct scree_subgraph *subgraph, int32_t tensor)
{
    return subgraph->tensors[tensor].type;
}

static bool is_input(const struct scree_subgraph *subgraph, int32_t tensor)
{
    for (uint32_t i = 0; i < subgraph->n_inputs; i++)
        if (subgraph->inputs[i] == tensor)
            return true;
    return false;
}

/* Types of both inputs of a product: float and an integer. */
static bool is_hybrid(const struct scree_subgraph *subgraph, const struct scree_node *node,
                      uint32_t first, uint32_t second)
{
    return node->n_inputs > first && node->n_inputs > second && node->inputs[first] >= 0 &&
           node->inputs[second] >= 0 &&
           type_of(subgraph, node->inputs[first]) == SCREE_TYPE_FLOAT32 &&
           type_of(subgraph, node->inputs[second]) != SCREE_TYPE_FLOAT32;
}

static bool makes_integers(const struct scree_subgraph *subgraph, const struct scree_node *node)
{
    switch (node->opcode) {
    case SCREE_OP_QUANTIZE:
        return node->n_inputs > 0 && node->n_outputs > 0 && node->inputs[0] >= 0 &&
               type_of(subgraph, node->inputs[0]) == SCREE_TYPE_FLOAT32 &&
               type_of(subgraph, node->outputs[0]) != SCREE_TYPE_FLOAT32 &&
               !is_input(subgraph, node->inputs[0]);
    case SCREE_OP_TRANSPOSE_CONV:
        return is_hybrid(subgraph, node, 2, 1);
    case SCREE_OP_UNIDIRECTIONAL_SEQUENCE_LSTM:
    case SCREE_OP_LSTM:
        return is_hybrid(subgraph, node, 0, 2);
    case SCREE_OP_CONV_2D:
    case SCREE_OP_DEPTHWISE_CONV_2D:
    case SCREE_OP_FULLY_CONNECTED:
    case SCREE_OP_BATCH_MATMUL:
    case SCREE_OP_SVDF:
        return is_hybrid(subgraph, node, 0, 1);
    default:
        return false;
    }
}

bool scree_graph_wants_exact_floats(const struct scree_subgraph *subgraph)
{
    for (uint32_t i = 0; i < subgraph->n_nodes; i++)
        if (makes_integers(subgraph, &subgraph->nodes[i]))
            return true;
    return false;
}
