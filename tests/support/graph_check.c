#include "support/graph_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define CHECK(condition, what) \
    do {                       \
        if (!(condition))      \
            return what;       \
    } while (0)

static const char *check_name(const char *name)
{
    CHECK(name, "a name is NULL");
    CHECK(scree_text_is_safe(name, strlen(name)), "a name is not safe to print");
    return NULL;
}

static const char *check_shape(const struct scree_shape *shape, int32_t least)
{
    int64_t n = 1;

    CHECK(shape->rank >= 0 && shape->rank <= SCREE_MAX_RANK, "rank");
    for (int32_t i = 0; i < shape->rank; i++) {
        CHECK(shape->dims[i] >= least, "dimension");
        n *= shape->dims[i] > 0 ? shape->dims[i] : 1;
        CHECK(n <= INT32_MAX, "too many elements");
    }
    return NULL;
}

static const char *check_quant(const struct scree_tensor_def *tensor)
{
    const struct scree_quant *quant = &tensor->quant;

    if (quant->n > 1) {
        CHECK(quant->axis >= 0 && quant->axis < tensor->shape.rank, "axis");
        CHECK(quant->n == (uint32_t)tensor->shape.dims[quant->axis], "number of scales");
    }
    for (uint32_t i = 0; i < quant->n; i++) {
        int32_t zero_point = quant->zero_point[i];

        CHECK(isfinite(quant->scale[i]) && quant->scale[i] > 0, "scale");
        CHECK(tensor->type != SCREE_TYPE_UINT8 || (zero_point >= 0 && zero_point <= 255),
              "zero point of uint8");
        CHECK(tensor->type != SCREE_TYPE_INT8 || (zero_point >= -128 && zero_point <= 127),
              "zero point of int8");
        CHECK(tensor->type != SCREE_TYPE_INT16 || (zero_point >= -32768 && zero_point <= 32767),
              "zero point of int16");
        CHECK(tensor->type != SCREE_TYPE_INT4 || (zero_point >= -8 && zero_point <= 7),
              "zero point of int4");
    }
    return NULL;
}

static const char *check_data(const struct scree_tensor_def *tensor)
{
    const volatile uint8_t *bytes = tensor->data;
    size_t element = scree_type_bytes(tensor->type);
    size_t n = scree_shape_elements(&tensor->shape);

    if (!bytes) {
        CHECK(tensor->bytes == 0, "bytes without data");
        return NULL;
    }
    CHECK(!tensor->is_variable, "a constant variable");
    if (element > 0) {
        CHECK(tensor->bytes == n * element, "bytes of a constant");
        CHECK((uintptr_t)bytes % (element > 8 ? 8 : element) == 0, "alignment of a constant");
    }
    if (tensor->type == SCREE_TYPE_INT4)
        CHECK(tensor->bytes == (n + 1) / 2, "bytes of an int4 constant");
    if (tensor->type == SCREE_TYPE_BOOL)
        for (size_t i = 0; i < n; i++)
            CHECK(bytes[i] <= 1, "a bool");
    if (tensor->bytes > 0)
        (void)(bytes[0] + bytes[tensor->bytes - 1]);
    return NULL;
}

static const char *check_tensor(const struct scree_tensor_def *tensor)
{
    const char *what = check_name(tensor->name);

    if (!what)
        what = check_shape(&tensor->shape, 0);
    if (!what && tensor->signature.rank != -1)
        what = check_shape(&tensor->signature, -1);
    if (!what)
        what = check_quant(tensor);
    return what ? what : check_data(tensor);
}

#define MOST_I32(x)
#define MOST_F32(x)
#define MOST_BOOL(x)
#define MOST_I32S(x)                     \
    for (uint32_t i = 0; i < (x).n; i++) \
        (void)*(const volatile int32_t *)&(x).v[i];
#define MOST_PADDING(x)    CHECK((unsigned)(x) <= 1, "padding");
#define MOST_ACTIVATION(x) CHECK((unsigned)(x) <= 5, "activation");
#define MOST_TYPE(x)       CHECK((unsigned)(x) <= 18, "type option");
#define MOST_LSTM(x)       CHECK((unsigned)(x) <= 1, "LSTM kernel");
#define MOST_MIRROR(x)     CHECK((unsigned)(x) <= 1, "mirror mode");
#define MOST_WEIGHTS(x)    CHECK((unsigned)(x) <= 1, "weights format");

#define FIELD(slot, name, kind, value) MOST_##kind(o->name)
#define OPTIONS(number, table, member, fields)                                    \
    static const char *options_##member(const struct scree_##member##_options *o) \
    {                                                                             \
        (void)o;                                                                  \
        fields return NULL;                                                       \
    }
#include "model/options.inc"
#undef OPTIONS
#undef FIELD

/* Operators without options. */
static const char *options_none(const union scree_options *options)
{
    (void)options;
    return NULL;
}

static const char *check_options(const struct scree_node *node)
{
    const union scree_options *options = &node->options;

    switch (node->opcode) {
#define OPERATOR(number, name, member) \
    case number:                       \
        return options_##member((const void *)options);
#include "model/operators.inc"
#undef OPERATOR
    default:
        return NULL;
    }
}

static const char *check_range(const int32_t *v, uint32_t n, int32_t least, uint32_t end)
{
    CHECK(n <= 4096, "too many operands");
    for (uint32_t i = 0; i < n; i++)
        CHECK(v[i] >= least && v[i] < (int64_t)end, "a tensor number");
    return NULL;
}

static const char *check_node(const struct scree_subgraph *subgraph, const struct scree_node *node)
{
    const volatile uint8_t *custom = node->custom;
    const char *what = check_range(node->inputs, node->n_inputs, -1, subgraph->n_tensors);

    if (!what)
        what = check_range(node->outputs, node->n_outputs, 0, subgraph->n_tensors);
    if (!what)
        what = check_range(node->intermediates, node->n_intermediates, -1, subgraph->n_tensors);
    if (!what && node->opcode == SCREE_OP_CUSTOM)
        what = check_name(node->custom_name);
    if (!what)
        what = check_options(node);
    CHECK(what || node->opcode == SCREE_OP_CUSTOM || !node->custom_name, "a builtin's custom name");
    if (custom && node->n_custom > 0)
        (void)(custom[0] + custom[node->n_custom - 1]);
    return what;
}

/* Invariant 4, with the constants of tensors that have data. `written` u8[n_tensors], zeroed. */
static const char *check_order(const struct scree_subgraph *subgraph, uint8_t *written)
{
    for (uint32_t i = 0; i < subgraph->n_tensors; i++)
        written[i] = subgraph->tensors[i].data || subgraph->tensors[i].is_variable;
    for (uint32_t i = 0; i < subgraph->n_inputs; i++)
        written[subgraph->inputs[i]] = 1;
    for (uint32_t i = 0; i < subgraph->n_nodes; i++) {
        const struct scree_node *node = &subgraph->nodes[i];

        for (uint32_t k = 0; k < node->n_inputs; k++)
            CHECK(node->inputs[k] < 0 || written[node->inputs[k]], "read before written");
        for (uint32_t k = 0; k < node->n_outputs; k++) {
            CHECK(!written[node->outputs[k]], "written twice");
            written[node->outputs[k]] = 1;
        }
    }
    for (uint32_t i = 0; i < subgraph->n_outputs; i++)
        CHECK(written[subgraph->outputs[i]], "an output that is not written");
    return NULL;
}

static const char *check_subgraph(const struct scree_subgraph *subgraph)
{
    const char *what = check_name(subgraph->name);
    uint8_t *written;

    for (uint32_t i = 0; !what && i < subgraph->n_tensors; i++)
        what = check_tensor(&subgraph->tensors[i]);
    for (uint32_t i = 0; !what && i < subgraph->n_nodes; i++)
        what = check_node(subgraph, &subgraph->nodes[i]);
    if (!what)
        what = check_range(subgraph->inputs, subgraph->n_inputs, 0, subgraph->n_tensors);
    if (!what)
        what = check_range(subgraph->outputs, subgraph->n_outputs, 0, subgraph->n_tensors);
    if (what)
        return what;
    written = calloc(subgraph->n_tensors + 1, 1);
    if (!written)
        abort();
    what = check_order(subgraph, written);
    free(written);
    return what;
}

static const char *check_maps(const struct scree_tensor_map *maps, uint32_t n, uint32_t n_tensors)
{
    const char *what = NULL;

    for (uint32_t i = 0; !what && i < n; i++) {
        CHECK(maps[i].tensor < n_tensors, "a signature's tensor number");
        what = check_name(maps[i].name);
    }
    return what;
}

static const char *check_signature(const struct scree_graph *graph,
                                   const struct scree_signature *signature)
{
    const char *what = check_name(signature->key);
    uint32_t n_tensors;

    if (what)
        return what;
    CHECK(signature->subgraph < graph->n_subgraphs, "a signature's subgraph");
    n_tensors = graph->subgraphs[signature->subgraph].n_tensors;
    what = check_maps(signature->inputs, signature->n_inputs, n_tensors);
    return what ? what : check_maps(signature->outputs, signature->n_outputs, n_tensors);
}

const char *graph_check(const struct scree_graph *graph)
{
    const char *what = check_name(graph->description);

    CHECK(graph->n_subgraphs >= 1, "no subgraph");
    CHECK(graph->arena.total_bytes <= 64 * graph->n_file + (1 << 20), "memory of the graph");
    for (uint32_t i = 0; !what && i < graph->n_subgraphs; i++)
        what = check_subgraph(&graph->subgraphs[i]);
    for (uint32_t i = 0; !what && i < graph->n_signatures; i++)
        what = check_signature(graph, &graph->signatures[i]);
    for (uint32_t i = 0; !what && i < graph->n_metadata; i++) {
        const volatile uint8_t *bytes = graph->metadata[i].bytes;

        what = check_name(graph->metadata[i].name);
        if (graph->metadata[i].n_bytes > 0)
            (void)(bytes[0] + bytes[graph->metadata[i].n_bytes - 1]);
    }
    return what;
}
