#include "base/text.h"
#include "model/reading.h"

#define MAX_TENSORS   65536
#define MAX_OPERATORS 65536

/* Bytes of a tensor's name in an error. */
#define NAME_BYTES 64

/* Slots of table SubGraph. */
enum {
    SUBGRAPH_TENSORS,
    SUBGRAPH_INPUTS,
    SUBGRAPH_OUTPUTS,
    SUBGRAPH_OPERATORS,
    SUBGRAPH_NAME,
};

/* Puts the tensor's number and name before the text. */
static int wrap_tensor(const struct scree_subgraph *subgraph, uint32_t i, int rc,
                       struct scree_error *err)
{
    const char *name = subgraph->tensors[i].name;
    char quoted[NAME_BYTES];

    if (!name || !*name)
        return scree_wrap(err, rc, "tensor %u", i);
    return scree_wrap(err, rc, "tensor %u %s", i, scree_text_quote(name, quoted, sizeof quoted));
}

static int read_tensors(struct scree_reading *reading, const struct scree_fb_table *table,
                        struct scree_subgraph *subgraph, struct scree_tensor_def **ret_tensors,
                        struct scree_error *err)
{
    struct scree_fb_vector vector = scree_fb_get_vector(table, SUBGRAPH_TENSORS, 4);
    struct scree_tensor_def *tensors;
    int rc = scree_reading_limit(vector.n, MAX_TENSORS, "tensors", err);

    if (rc < 0)
        return rc;
    tensors = scree_reading_new(reading, struct scree_tensor_def, vector.n);
    if (!tensors)
        return scree_reading_full(reading, vector.n, sizeof *tensors, err);
    subgraph->n_tensors = vector.n;
    subgraph->tensors = tensors;
    *ret_tensors = tensors;
    for (uint32_t i = 0; i < vector.n; i++) {
        struct scree_fb_table tensor = scree_fb_table_at(&vector, i);

        rc = scree_reading_tensor(reading, &tensor, &tensors[i], err);
        if (rc < 0)
            return wrap_tensor(subgraph, i, rc, err);
    }
    return scree_fb_status(&reading->fb, err);
}

static int read_nodes(struct scree_reading *reading, const struct scree_fb_table *table,
                      struct scree_subgraph *subgraph, struct scree_error *err)
{
    struct scree_fb_vector vector = scree_fb_get_vector(table, SUBGRAPH_OPERATORS, 4);
    struct scree_node *nodes;
    int rc = scree_reading_limit(vector.n, MAX_OPERATORS, "operators", err);

    if (rc < 0)
        return rc;
    nodes = scree_reading_new(reading, struct scree_node, vector.n);
    if (!nodes)
        return scree_reading_full(reading, vector.n, sizeof *nodes, err);
    subgraph->n_nodes = vector.n;
    subgraph->nodes = nodes;
    for (uint32_t i = 0; i < vector.n; i++) {
        struct scree_fb_table node = scree_fb_table_at(&vector, i);

        rc = scree_reading_node(reading, &node, subgraph->n_tensors, &nodes[i], err);
        if (rc < 0)
            return scree_wrap(err, rc, "operator %u", i);
    }
    return scree_fb_status(&reading->fb, err);
}

static int read_ports(struct scree_reading *reading, const struct scree_fb_table *table,
                      struct scree_subgraph *subgraph, struct scree_error *err)
{
    struct scree_i32s inputs, outputs;
    int rc = scree_reading_operands(reading, table, SUBGRAPH_INPUTS, "input", 0,
                                    subgraph->n_tensors, &inputs, err);

    if (rc == 0)
        rc = scree_reading_operands(reading, table, SUBGRAPH_OUTPUTS, "output", 0,
                                    subgraph->n_tensors, &outputs, err);
    if (rc < 0)
        return rc;
    subgraph->n_inputs = inputs.n;
    subgraph->inputs = inputs.v;
    subgraph->n_outputs = outputs.n;
    subgraph->outputs = outputs.v;
    return 0;
}

/* ---- the order of operators -------------------------------------------------------------------*/

/* Where the value of a tensor comes from, as far as the operators have been followed. */
enum origin { ORIGIN_NONE, ORIGIN_CONSTANT, ORIGIN_VARIABLE, ORIGIN_INPUT, ORIGIN_OPERATOR };

static const char *const origin_names[] = {
    [ORIGIN_CONSTANT] = "constant",
    [ORIGIN_VARIABLE] = "a variable",
    [ORIGIN_INPUT] = "an input of the graph",
    [ORIGIN_OPERATOR] = "already written",
};

struct following {
    const struct scree_subgraph *subgraph;
    struct scree_tensor_def *tensors; /* the subgraph's */
    uint8_t *origins;                 /* enum origin of each tensor */
};

static int fail_tensor(const struct following *f, int32_t tensor, const char *verb,
                       const char *state, struct scree_error *err)
{
    int rc = scree_fail(err, EBADMSG, "%s%s", verb, state);

    return wrap_tensor(f->subgraph, (uint32_t)tensor, rc, err);
}

static int start_following(const struct following *f, struct scree_error *err)
{
    for (uint32_t i = 0; i < f->subgraph->n_tensors; i++)
        f->origins[i] = f->tensors[i].data          ? ORIGIN_CONSTANT
                        : f->tensors[i].is_variable ? ORIGIN_VARIABLE
                                                    : ORIGIN_NONE;
    for (uint32_t i = 0; i < f->subgraph->n_inputs; i++) {
        int32_t tensor = f->subgraph->inputs[i];

        if (f->origins[tensor] == ORIGIN_CONSTANT)
            return fail_tensor(f, tensor, "an input of the graph, but it is ", "constant", err);
        f->origins[tensor] = ORIGIN_INPUT;
    }
    return 0;
}

/* True if the tensor has a value. One without elements needs no writer: it becomes a constant. */
static bool has_value(const struct following *f, int32_t tensor)
{
    if (f->origins[tensor] == ORIGIN_NONE && scree_shape_elements(&f->tensors[tensor].shape) == 0) {
        f->tensors[tensor].data = scree_reading_no_elements;
        f->origins[tensor] = ORIGIN_CONSTANT;
    }
    return f->origins[tensor] != ORIGIN_NONE;
}

static int follow_node(const struct following *f, const struct scree_node *node,
                       struct scree_error *err)
{
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (node->inputs[i] >= 0 && !has_value(f, node->inputs[i]))
            return fail_tensor(f, node->inputs[i],
                               "read, but it has no data and nothing before has written it", "",
                               err);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        enum origin origin = f->origins[node->outputs[i]];

        if (origin != ORIGIN_NONE)
            return fail_tensor(f, node->outputs[i], "written, but it is ", origin_names[origin],
                               err);
        f->origins[node->outputs[i]] = ORIGIN_OPERATOR;
    }
    return 0;
}

/* Checks invariant 4 of graph.h in one pass over the operators. */
static int follow_operators(struct scree_reading *reading, const struct scree_subgraph *subgraph,
                            struct scree_tensor_def *tensors, struct scree_error *err)
{
    struct following f = {.subgraph = subgraph, .tensors = tensors};
    int rc;

    f.origins = scree_reading_new(reading, uint8_t, subgraph->n_tensors);
    if (!f.origins)
        return scree_reading_full(reading, subgraph->n_tensors, 1, err);
    rc = start_following(&f, err);
    for (uint32_t i = 0; rc == 0 && i < subgraph->n_nodes; i++) {
        rc = follow_node(&f, &subgraph->nodes[i], err);
        if (rc < 0)
            return scree_wrap(err, rc, "operator %u: %.64s", i,
                              scree_node_name(&subgraph->nodes[i]));
    }
    for (uint32_t i = 0; rc == 0 && i < subgraph->n_outputs; i++)
        if (!has_value(&f, subgraph->outputs[i]))
            return fail_tensor(&f, subgraph->outputs[i], "an output of the graph, but not written",
                               "", err);
    return rc;
}

int scree_reading_subgraph(struct scree_reading *reading, const struct scree_fb_table *table,
                           struct scree_subgraph *subgraph, struct scree_error *err)
{
    struct scree_tensor_def *tensors = NULL;
    int rc = scree_reading_name(reading, table, SUBGRAPH_NAME, &subgraph->name, err);

    if (rc == 0)
        rc = read_tensors(reading, table, subgraph, &tensors, err);
    if (rc == 0)
        rc = read_nodes(reading, table, subgraph, err);
    if (rc == 0)
        rc = read_ports(reading, table, subgraph, err);
    return rc < 0 ? rc : follow_operators(reading, subgraph, tensors, err);
}
