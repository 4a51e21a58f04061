/* The graph of a model in Graphviz's language, from the file alone: it need not be runnable. */
#include "cli/graph.h"

/* Names come sanitized from the reader; what is left to escape is what quotes a string. */
static void put_escaped(const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text);
    }
}

static void print_end(const struct scree_subgraph *subgraph, int32_t tensor, const char *color)
{
    char shape[96];
    const struct scree_tensor_def *def = &subgraph->tensors[tensor];

    printf("  t%d [shape=box, style=filled, fillcolor=\"%s\", label=\"", tensor, color);
    put_escaped(def->name);
    printf("\\n%s %s\"];\n", scree_type_name(def->type),
           scree_shape_text(&def->shape, shape, sizeof shape));
}

/* Who writes a tensor: its node, or itself where it is an input of the graph. */
static void print_edges(const struct scree_subgraph *subgraph, const int32_t *writer)
{
    for (uint32_t i = 0; i < subgraph->n_nodes; i++) {
        const struct scree_node *node = &subgraph->nodes[i];

        printf("  n%u [label=\"%u ", i, i);
        put_escaped(scree_node_name(node));
        printf("\"];\n");
        for (uint32_t k = 0; k < node->n_inputs; k++) {
            int32_t tensor = node->inputs[k];
            char shape[96];

            if (tensor < 0 || subgraph->tensors[tensor].data)
                continue;
            scree_shape_text(&subgraph->tensors[tensor].shape, shape, sizeof shape);
            if (writer[tensor] < 0)
                printf("  t%d -> n%u [label=\"%s\"];\n", tensor, i, shape);
            else
                printf("  n%d -> n%u [label=\"%s\"];\n", writer[tensor], i, shape);
        }
    }
    for (uint32_t i = 0; i < subgraph->n_outputs; i++)
        if (writer[subgraph->outputs[i]] >= 0)
            printf("  n%d -> t%d;\n", writer[subgraph->outputs[i]], subgraph->outputs[i]);
}

static void print_graph(const struct scree_subgraph *subgraph, int32_t *writer)
{
    for (uint32_t i = 0; i < subgraph->n_tensors; i++)
        writer[i] = -1;
    for (uint32_t i = 0; i < subgraph->n_nodes; i++)
        for (uint32_t k = 0; k < subgraph->nodes[i].n_outputs; k++)
            writer[subgraph->nodes[i].outputs[k]] = (int32_t)i;
    printf("digraph model {\n  node [shape=ellipse, fontname=\"sans-serif\"];\n"
           "  edge [fontname=\"sans-serif\", fontsize=10];\n");
    for (uint32_t i = 0; i < subgraph->n_inputs; i++)
        print_end(subgraph, subgraph->inputs[i], "#cfe8ff");
    for (uint32_t i = 0; i < subgraph->n_outputs; i++)
        print_end(subgraph, subgraph->outputs[i], "#d5f5d5");
    print_edges(subgraph, writer);
    printf("}\n");
}

int scree_cli_print_dot(const char *path)
{
    struct scree_cli_graph file;
    struct scree_error err;
    int32_t *writer;
    int rc = scree_cli_graph_open(path, &file);

    if (rc)
        return rc;
    writer = scree_arena_new(&file.graph.arena, int32_t, file.graph.subgraphs[0].n_tensors);
    if (writer)
        print_graph(&file.graph.subgraphs[0], writer);
    else
        rc = scree_cli_fail(scree_fail_memory(&err, file.graph.subgraphs[0].n_tensors), &err);
    scree_cli_graph_done(&file);
    return rc;
}
