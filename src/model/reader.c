#include "model/reader.h"

#include <string.h>

#include "base/checked.h"
#include "model/reading.h"

#define MAX_FILE_BYTES    ((size_t)1 << 40)
#define MAX_SUBGRAPHS     64
#define SCHEMA_VERSION    3
#define IDENTIFIER_OFFSET 4
#define IDENTIFIER        "TFL3"

/* Memory and work for a file: this many times its bytes, plus a constant. */
#define COST_FACTOR   64
#define COST_CONSTANT ((size_t)1 << 20)

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
enum { METADATA_NAME, METADATA_BUFFER };
enum { SIGNATURE_INPUTS, SIGNATURE_OUTPUTS, SIGNATURE_KEY, SIGNATURE_TAG, SIGNATURE_SUBGRAPH };
enum { TENSOR_MAP_NAME, TENSOR_MAP_TENSOR };

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

        rc = scree_reading_subgraph(reading, &subgraph, &subgraphs[i], err);
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
