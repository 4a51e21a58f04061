#include "model/reader.h"

#include <string.h>

#include "base/checked.h"
#include "base/text.h"
#include "model/reading.h"

#define MAX_FILE_BYTES    ((size_t)1 << 40)
#define MAX_SUBGRAPHS     64
#define MAX_TENSORS       65536
#define MAX_OPERATORS     65536
#define MAX_OPERANDS      4096
#define SCHEMA_VERSION    3
#define IDENTIFIER_OFFSET 4
#define IDENTIFIER        "TFL3"

/* Memory and work for a file: this many times its bytes, plus a constant. */
#define COST_FACTOR   64
#define COST_CONSTANT ((size_t)1 << 20)

/* Bytes of a tensor's name in an error. */
#define NAME_BYTES 64

/* Slots of the tables. */
enum {
    MODEL_VERSION,
    MODEL_OPERATOR_CODES,
    MODEL_SUBGRAPHS,
    MODEL_DESCRIPTION,
    MODEL_BUFFERS,
    MODEL_METADATA_BUFFER,
    MODEL_METADATA,
    MODEL_SIGNATURE_DEFS,
};
enum { CODE_DEPRECATED_BUILTIN, CODE_CUSTOM, CODE_VERSION, CODE_BUILTIN };
enum {
    SUBGRAPH_TENSORS,
    SUBGRAPH_INPUTS,
    SUBGRAPH_OUTPUTS,
    SUBGRAPH_OPERATORS,
    SUBGRAPH_NAME,
};
enum { BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE };
enum { METADATA_NAME, METADATA_BUFFER };
enum { SIGNATURE_INPUTS, SIGNATURE_OUTPUTS, SIGNATURE_KEY, SIGNATURE_TAG, SIGNATURE_SUBGRAPH };
enum { TENSOR_MAP_NAME, TENSOR_MAP_TENSOR };

/* ---- what the parts share ---------------------------------------------------------------------*/

int scree_reading_full(const struct scree_reading *reading, size_t n, size_t size,
                       struct scree_error *err)
{
    const struct scree_arena *arena = &reading->graph->arena;
    size_t need;

    if (!scree_mul_size(n, size, &need) || need >= arena->limit_bytes - arena->total_bytes)
        return scree_fail(err, E2BIG,
                          "its description needs over %zu bytes, the limit for this file",
                          arena->limit_bytes);
    return scree_fail_memory(err, need);
}

int scree_reading_limit(size_t n, size_t most, const char *things, struct scree_error *err)
{
    if (n > most)
        return scree_fail(err, E2BIG, "%zu %s, the limit is %zu", n, things, most);
    return 0;
}

int scree_reading_name(struct scree_reading *reading, const struct scree_fb_table *table,
                       unsigned slot, const char **ret_name, struct scree_error *err)
{
    size_t n;
    const char *text = scree_fb_get_string(table, slot, &n);
    char *copy;

    *ret_name = text ? text : "";
    if (!text || scree_text_is_safe(text, n))
        return scree_fb_status(&reading->fb, err);
    copy = scree_arena_strndup(&reading->graph->arena, text, n);
    if (!copy)
        return scree_reading_full(reading, n + 1, 1, err);
    scree_text_make_safe(copy, n);
    *ret_name = copy;
    return 0;
}

int scree_reading_i32s(struct scree_reading *reading, const struct scree_fb_table *table,
                       unsigned slot, struct scree_i32s *ret_values, struct scree_error *err)
{
    struct scree_fb_vector vector = scree_fb_get_vector(table, slot, 4);
    int32_t *values;

    *ret_values = (struct scree_i32s){0};
    if (vector.n == 0)
        return scree_fb_status(&reading->fb, err);
    values = scree_reading_new(reading, int32_t, vector.n);
    if (!values)
        return scree_reading_full(reading, vector.n, sizeof *values, err);
    for (uint32_t i = 0; i < vector.n; i++)
        values[i] = scree_fb_i32_at(&vector, i);
    *ret_values = (struct scree_i32s){.n = vector.n, .v = values};
    return 0;
}

int scree_reading_buffer(struct scree_reading *reading, uint32_t index,
                         struct scree_buffer *ret_buffer, struct scree_error *err)
{
    const struct scree_graph *graph = reading->graph;
    struct scree_fb_table table;
    struct scree_fb_vector data;
    uint64_t offset, n;

    if (index >= reading->buffers.n)
        return scree_fail(err, EBADMSG, "buffer %u of %u", index, reading->buffers.n);
    table = scree_fb_table_at(&reading->buffers, index);
    data = scree_fb_get_vector(&table, BUFFER_DATA, 1);
    offset = scree_fb_get_u64(&table, BUFFER_OFFSET, 0);
    n = scree_fb_get_u64(&table, BUFFER_SIZE, 0);
    *ret_buffer = (struct scree_buffer){.bytes = data.data, .n_bytes = data.n};
    /* Offset 1 marks a place that its writer meant to fill in. */
    if (!data.data && offset > 1) {
        if (!scree_range_fits(offset, n, graph->n_file))
            return scree_fail(err, EBADMSG,
                              "buffer %u, %llu bytes at byte %llu, lies beyond the file's end",
                              index, (unsigned long long)n, (unsigned long long)offset);
        *ret_buffer = (struct scree_buffer){.bytes = graph->file + offset, .n_bytes = n};
    }
    return scree_fb_status(&reading->fb, err);
}

/* ---- subgraphs --------------------------------------------------------------------------------*/

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

/* The inputs or outputs of a subgraph. */
static int read_ports(struct scree_reading *reading, const struct scree_fb_table *table,
                      unsigned slot, const char *what, uint32_t n_tensors, uint32_t *ret_n,
                      const int32_t **ret_ports, struct scree_error *err)
{
    struct scree_i32s ports;
    int rc = scree_reading_i32s(reading, table, slot, &ports, err);

    if (rc == 0 && ports.n > MAX_OPERANDS)
        return scree_fail(err, E2BIG, "%u %ss, the limit is %d", ports.n, what, MAX_OPERANDS);
    for (uint32_t i = 0; rc == 0 && i < ports.n; i++)
        if (ports.v[i] < 0 || ports.v[i] >= (int64_t)n_tensors)
            return scree_fail(err, EBADMSG, "%s %u is tensor %d of %u", what, i, ports.v[i],
                              n_tensors);
    *ret_n = ports.n;
    *ret_ports = ports.v;
    return rc;
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

static int read_subgraph(struct scree_reading *reading, const struct scree_fb_table *table,
                         struct scree_subgraph *subgraph, struct scree_error *err)
{
    struct scree_tensor_def *tensors = NULL;
    int rc = scree_reading_name(reading, table, SUBGRAPH_NAME, &subgraph->name, err);

    if (rc == 0)
        rc = read_tensors(reading, table, subgraph, &tensors, err);
    if (rc == 0)
        rc = read_nodes(reading, table, subgraph, err);
    if (rc == 0)
        rc = read_ports(reading, table, SUBGRAPH_INPUTS, "input", subgraph->n_tensors,
                        &subgraph->n_inputs, &subgraph->inputs, err);
    if (rc == 0)
        rc = read_ports(reading, table, SUBGRAPH_OUTPUTS, "output", subgraph->n_tensors,
                        &subgraph->n_outputs, &subgraph->outputs, err);
    return rc < 0 ? rc : follow_operators(reading, subgraph, tensors, err);
}

/* ---- the model --------------------------------------------------------------------------------*/

static int read_code(struct scree_reading *reading, const struct scree_fb_table *table,
                     struct scree_operator_code *code, struct scree_error *err)
{
    /* The old field is a byte and stops at 127; a newer number is in the new field alone. */
    int32_t deprecated = (int8_t)scree_fb_get_u8(table, CODE_DEPRECATED_BUILTIN, 0);
    int32_t builtin = scree_fb_get_i32(table, CODE_BUILTIN, 0);
    int rc;

    code->opcode = scree_max_i32(deprecated, builtin);
    code->version = scree_fb_get_i32(table, CODE_VERSION, 1);
    if (code->opcode != SCREE_OP_CUSTOM)
        return 0;
    rc = scree_reading_name(reading, table, CODE_CUSTOM, &code->custom_name, err);
    if (rc == 0 && !*code->custom_name)
        return scree_fail(err, EBADMSG, "a custom operator without a name");
    return rc;
}

static int read_codes(struct scree_reading *reading, const struct scree_fb_table *model,
                      struct scree_error *err)
{
    struct scree_fb_vector vector = scree_fb_get_vector(model, MODEL_OPERATOR_CODES, 4);
    struct scree_operator_code *codes =
        scree_reading_new(reading, struct scree_operator_code, vector.n);
    int rc = 0;

    if (!codes)
        return scree_reading_full(reading, vector.n, sizeof *codes, err);
    reading->n_codes = vector.n;
    reading->codes = codes;
    for (uint32_t i = 0; i < vector.n; i++) {
        struct scree_fb_table code = scree_fb_table_at(&vector, i);

        rc = read_code(reading, &code, &codes[i], err);
        if (rc < 0)
            return scree_wrap(err, rc, "operator code %u", i);
    }
    return scree_fb_status(&reading->fb, err);
}

static int read_subgraphs(struct scree_reading *reading, const struct scree_fb_table *model,
                          struct scree_error *err)
{
    struct scree_fb_vector vector = scree_fb_get_vector(model, MODEL_SUBGRAPHS, 4);
    struct scree_subgraph *subgraphs;
    int rc = scree_fb_status(&reading->fb, err);

    if (rc == 0 && vector.n == 0)
        return scree_fail(err, EBADMSG, "no subgraph");
    if (rc == 0)
        rc = scree_reading_limit(vector.n, MAX_SUBGRAPHS, "subgraphs", err);
    if (rc < 0)
        return rc;
    subgraphs = scree_reading_new(reading, struct scree_subgraph, vector.n);
    if (!subgraphs)
        return scree_reading_full(reading, vector.n, sizeof *subgraphs, err);
    reading->graph->n_subgraphs = vector.n;
    reading->graph->subgraphs = subgraphs;
    for (uint32_t i = 0; i < vector.n; i++) {
        struct scree_fb_table subgraph = scree_fb_table_at(&vector, i);

        rc = read_subgraph(reading, &subgraph, &subgraphs[i], err);
        if (rc < 0)
            return vector.n == 1 ? rc : scree_wrap(err, rc, "subgraph %u", i);
    }
    return scree_fb_status(&reading->fb, err);
}

/* The inputs or outputs of a signature. */
static int read_tensor_maps(struct scree_reading *reading, const struct scree_fb_table *table,
                            unsigned slot, uint32_t n_tensors, uint32_t *ret_n,
                            const struct scree_tensor_map **ret_maps, struct scree_error *err)
{
    struct scree_fb_vector vector = scree_fb_get_vector(table, slot, 4);
    struct scree_tensor_map *maps = scree_reading_new(reading, struct scree_tensor_map, vector.n);
    int rc = 0;

    if (!maps)
        return scree_reading_full(reading, vector.n, sizeof *maps, err);
    for (uint32_t i = 0; i < vector.n; i++) {
        struct scree_fb_table map = scree_fb_table_at(&vector, i);

        maps[i].tensor = scree_fb_get_u32(&map, TENSOR_MAP_TENSOR, 0);
        rc = scree_reading_name(reading, &map, TENSOR_MAP_NAME, &maps[i].name, err);
        if (rc < 0)
            return rc;
        if (maps[i].tensor >= n_tensors)
            return scree_fail(err, EBADMSG, "a name for tensor %u of %u", maps[i].tensor,
                              n_tensors);
    }
    *ret_n = vector.n;
    *ret_maps = maps;
    return scree_fb_status(&reading->fb, err);
}

static int read_signature(struct scree_reading *reading, const struct scree_fb_table *table,
                          struct scree_signature *signature, struct scree_error *err)
{
    const struct scree_graph *graph = reading->graph;
    uint32_t n_tensors;
    int rc = scree_reading_name(reading, table, SIGNATURE_KEY, &signature->key, err);

    if (rc < 0)
        return rc;
    signature->subgraph = scree_fb_get_u32(table, SIGNATURE_SUBGRAPH, 0);
    if (signature->subgraph >= graph->n_subgraphs)
        return scree_fail(err, EBADMSG, "of subgraph %u, there are %u", signature->subgraph,
                          graph->n_subgraphs);
    n_tensors = graph->subgraphs[signature->subgraph].n_tensors;
    rc = read_tensor_maps(reading, table, SIGNATURE_INPUTS, n_tensors, &signature->n_inputs,
                          &signature->inputs, err);
    if (rc < 0)
        return rc;
    return read_tensor_maps(reading, table, SIGNATURE_OUTPUTS, n_tensors, &signature->n_outputs,
                            &signature->outputs, err);
}

static int read_signatures(struct scree_reading *reading, const struct scree_fb_table *model,
                           struct scree_error *err)
{
    struct scree_fb_vector vector = scree_fb_get_vector(model, MODEL_SIGNATURE_DEFS, 4);
    struct scree_signature *signatures =
        scree_reading_new(reading, struct scree_signature, vector.n);
    int rc = 0;

    if (!signatures)
        return scree_reading_full(reading, vector.n, sizeof *signatures, err);
    for (uint32_t i = 0; rc == 0 && i < vector.n; i++) {
        struct scree_fb_table signature = scree_fb_table_at(&vector, i);

        rc = read_signature(reading, &signature, &signatures[i], err);
        if (rc < 0)
            return scree_wrap(err, rc, "signature %u", i);
    }
    if (rc < 0)
        return rc;
    reading->graph->n_signatures = vector.n;
    reading->graph->signatures = signatures;
    return scree_fb_status(&reading->fb, err);
}

static int read_blob(struct scree_reading *reading, const struct scree_fb_table *table,
                     struct scree_metadata *metadata, struct scree_error *err)
{
    struct scree_buffer buffer = {0};
    uint32_t index = scree_fb_get_u32(table, METADATA_BUFFER, 0);
    int rc = scree_reading_name(reading, table, METADATA_NAME, &metadata->name, err);

    /* Models cut out of larger ones name buffers that are gone: such a blob is empty. */
    if (rc == 0 && index > 0 && index < reading->buffers.n)
        rc = scree_reading_buffer(reading, index, &buffer, err);
    metadata->bytes = buffer.bytes;
    metadata->n_bytes = buffer.n_bytes;
    return rc;
}

static int read_metadata(struct scree_reading *reading, const struct scree_fb_table *model,
                         struct scree_error *err)
{
    struct scree_fb_vector vector = scree_fb_get_vector(model, MODEL_METADATA, 4);
    struct scree_metadata *metadata = scree_reading_new(reading, struct scree_metadata, vector.n);
    int rc = 0;

    if (!metadata)
        return scree_reading_full(reading, vector.n, sizeof *metadata, err);
    for (uint32_t i = 0; rc == 0 && i < vector.n; i++) {
        struct scree_fb_table blob = scree_fb_table_at(&vector, i);

        rc = read_blob(reading, &blob, &metadata[i], err);
        if (rc < 0)
            return scree_wrap(err, rc, "metadata %u", i);
    }
    if (rc < 0)
        return rc;
    reading->graph->n_metadata = vector.n;
    reading->graph->metadata = metadata;
    return scree_fb_status(&reading->fb, err);
}

static int read_model(struct scree_reading *reading, struct scree_error *err)
{
    struct scree_fb_table model = scree_fb_root(&reading->fb);
    uint32_t version = scree_fb_get_u32(&model, MODEL_VERSION, 0);
    int rc = scree_fb_status(&reading->fb, err);

    if (rc == 0 && version != SCHEMA_VERSION)
        return scree_fail(err, ENOTSUP, "schema version %u, this reader knows version %d", version,
                          SCHEMA_VERSION);
    reading->buffers = scree_fb_get_vector(&model, MODEL_BUFFERS, 4);
    if (rc == 0)
        rc = scree_reading_name(reading, &model, MODEL_DESCRIPTION, &reading->graph->description,
                                err);
    if (rc == 0)
        rc = read_codes(reading, &model, err);
    if (rc == 0)
        rc = read_subgraphs(reading, &model, err);
    if (rc == 0)
        rc = read_signatures(reading, &model, err);
    if (rc == 0)
        rc = read_metadata(reading, &model, err);
    return rc;
}

int scree_graph_read(const uint8_t *file, size_t n_file, struct scree_graph *ret_graph,
                     struct scree_error *err)
{
    struct scree_graph graph = {.file = file, .n_file = n_file};
    struct scree_reading reading = {.graph = &graph};
    int rc;

    if (n_file > MAX_FILE_BYTES)
        return scree_fail(err, E2BIG, "%zu bytes, the limit is 2^40", n_file);
    if (n_file < IDENTIFIER_OFFSET + strlen(IDENTIFIER) ||
        memcmp(file + IDENTIFIER_OFFSET, IDENTIFIER, strlen(IDENTIFIER)) != 0)
        return scree_fail(err, EBADMSG, "not a .tflite file: no \"" IDENTIFIER "\" at byte %d",
                          IDENTIFIER_OFFSET);
    scree_arena_init(&graph.arena, COST_FACTOR * n_file + COST_CONSTANT);
    scree_fb_init(&reading.fb, file, n_file, COST_FACTOR * n_file + COST_CONSTANT);
    rc = read_model(&reading, err);
    if (rc < 0) {
        scree_arena_done(&graph.arena);
        return rc;
    }
    *ret_graph = graph;
    return 0;
}

void scree_graph_done(struct scree_graph *graph)
{
    scree_arena_done(&graph->arena);
    *graph = (struct scree_graph){0};
}
