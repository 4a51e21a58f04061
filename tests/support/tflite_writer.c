/* The order in the file: root, operator codes, subgraphs, buffers, metadata, signatures; data
 * outside the FlatBuffer last. Slot numbers are those of schema.fbs. */
#include "support/tflite_writer.h"

#include <stdlib.h>
#include <string.h>

#include "support/fb_writer.h"

#define MEMORY_BYTES ((size_t)1 << 30)

/* Arrays grow by doubling in the writer's arena. */
#define LIST(type)  \
    struct {        \
        type *v;    \
        uint32_t n; \
    }

struct subgraph {
    const char *name;
    LIST(struct tw_tensor) tensors;
    LIST(struct tw_node) nodes;
    struct scree_i32s inputs, outputs;
};

struct signature {
    const char *key;
    uint32_t subgraph, n_inputs, n_outputs;
    const struct tw_map *inputs, *outputs;
};

struct metadata {
    const char *name;
    uint32_t buffer;
};

struct code {
    int32_t opcode, version;
    const char *custom_name;
};

struct tw {
    struct scree_arena arena;
    const char *description;
    uint32_t version;
    LIST(struct subgraph) subgraphs;
    LIST(struct tw_buffer) buffers;
    LIST(struct signature) signatures;
    LIST(struct metadata) metadata;
    LIST(struct code) codes;
    size_t *outside_at; /* of each buffer outside: the place of its offset in the file */
    struct fbw out;
};

/* ---- memory -----------------------------------------------------------------------------------*/

static void *take(struct tw *tw, size_t n, size_t size)
{
    void *memory = scree_arena_calloc(&tw->arena, n, size);

    if (!memory)
        abort();
    return memory;
}

static void *copy(struct tw *tw, const void *bytes, size_t n)
{
    void *memory = take(tw, n, 1);

    if (n > 0)
        memcpy(memory, bytes, n);
    return memory;
}

static const char *copy_text(struct tw *tw, const char *text)
{
    return text ? copy(tw, text, strlen(text) + 1) : NULL;
}

struct scree_i32s tw_list(struct tw *tw, struct scree_i32s list)
{
    return (struct scree_i32s){.n = list.n, .v = copy(tw, list.v, list.n * sizeof *list.v)};
}

/* The array, with room for one more than its n elements. */
static void *grow(struct tw *tw, void *v, uint32_t n, size_t size)
{
    void *bigger;

    if (n > 0 && (n & (n - 1)) != 0)
        return v;
    bigger = take(tw, n ? 2 * (size_t)n : 1, size);
    if (n > 0)
        memcpy(bigger, v, n * size);
    return bigger;
}

/* A pointer to a new zeroed element at the end of a list. */
#define APPEND(tw, list)                                              \
    ((list)->v = grow((tw), (list)->v, (list)->n, sizeof *(list)->v), \
     memset(&(list)->v[(list)->n], 0, sizeof *(list)->v), &(list)->v[(list)->n++])

/* ---- describing -------------------------------------------------------------------------------*/

static struct subgraph *present(struct tw *tw)
{
    return &tw->subgraphs.v[tw->subgraphs.n - 1];
}

struct tw *tw_new(void)
{
    struct tw *tw = calloc(1, sizeof *tw);

    if (!tw)
        abort();
    scree_arena_init(&tw->arena, MEMORY_BYTES);
    tw_model(tw, "", 3);
    tw_buffer(tw, NULL, 0);
    tw_subgraph(tw, "main");
    return tw;
}

void tw_free(struct tw *tw)
{
    if (!tw)
        return;
    free(tw->out.bytes);
    scree_arena_done(&tw->arena);
    free(tw);
}

void tw_model(struct tw *tw, const char *description, uint32_t version)
{
    tw->description = copy_text(tw, description);
    tw->version = version;
}

void tw_subgraph(struct tw *tw, const char *name)
{
    struct subgraph *subgraph = APPEND(tw, &tw->subgraphs);

    subgraph->name = copy_text(tw, name);
}

uint32_t tw_buffer(struct tw *tw, const void *bytes, size_t n_bytes)
{
    struct tw_buffer *buffer = APPEND(tw, &tw->buffers);

    if (bytes)
        *buffer = (struct tw_buffer){.bytes = copy(tw, bytes, n_bytes), .n_bytes = n_bytes};
    return tw->buffers.n - 1;
}

int32_t tw_tensor(struct tw *tw, const char *name, enum scree_type type, struct scree_shape shape)
{
    struct subgraph *subgraph = present(tw);
    struct tw_tensor *tensor = APPEND(tw, &subgraph->tensors);

    tensor->name = copy_text(tw, name);
    tensor->type = (uint8_t)type;
    tensor->rank = shape.rank;
    tensor->signature_rank = -1;
    memcpy(tensor->dims, shape.dims, sizeof shape.dims);
    return (int32_t)subgraph->tensors.n - 1;
}

int32_t tw_constant(struct tw *tw, const char *name, enum scree_type type, struct scree_shape shape,
                    const void *data, size_t n_bytes)
{
    int32_t tensor = tw_tensor(tw, name, type, shape);

    tw_tensor_at(tw, tensor)->buffer = tw_buffer(tw, data, n_bytes);
    return tensor;
}

void tw_quantize(struct tw *tw, int32_t tensor, float scale, int64_t zero_point)
{
    tw_quantize_axis(tw, tensor, 0, 1, &scale, &zero_point);
}

void tw_quantize_axis(struct tw *tw, int32_t tensor, int32_t axis, uint32_t n, const float *scales,
                      const int64_t *zero_points)
{
    struct tw_tensor *t = tw_tensor_at(tw, tensor);

    t->axis = axis;
    t->n_scales = n;
    t->scales = copy(tw, scales, n * sizeof *scales);
    t->n_zero_points = zero_points ? n : 0;
    t->zero_points = zero_points ? copy(tw, zero_points, n * sizeof *zero_points) : NULL;
}

uint8_t tw_options_number(int32_t opcode)
{
    enum {
        TABLE_none = 0,
#define OPTIONS(number, table, member, fields) TABLE_##member = number,
#include "model/options.inc"
#undef OPTIONS
    };

    switch (opcode) {
#define OPERATOR(number, name, member) \
    case number:                       \
        return TABLE_##member;
#include "model/operators.inc"
#undef OPERATOR
    default:
        return TABLE_none;
    }
}

int32_t tw_node(struct tw *tw, int32_t opcode, struct scree_i32s inputs, struct scree_i32s outputs,
                const union scree_options *options)
{
    struct subgraph *subgraph = present(tw);
    struct tw_node *node = APPEND(tw, &subgraph->nodes);

    node->opcode = opcode;
    node->version = 1;
    node->code = -1;
    node->inputs = tw_list(tw, inputs);
    node->outputs = tw_list(tw, outputs);
    if (options) {
        node->options = *options;
        node->options_number = tw_options_number(opcode);
    }
    return (int32_t)subgraph->nodes.n - 1;
}

int32_t tw_custom(struct tw *tw, const char *name, struct scree_i32s inputs,
                  struct scree_i32s outputs, const void *options, size_t n_options)
{
    int32_t index = tw_node(tw, SCREE_OP_CUSTOM, inputs, outputs, NULL);
    struct tw_node *node = tw_node_at(tw, index);

    node->custom_name = copy_text(tw, name);
    node->has_custom = options != NULL;
    node->custom = copy(tw, options, n_options);
    node->n_custom = n_options;
    return index;
}

void tw_ports(struct tw *tw, struct scree_i32s inputs, struct scree_i32s outputs)
{
    present(tw)->inputs = tw_list(tw, inputs);
    present(tw)->outputs = tw_list(tw, outputs);
}

static const struct tw_map *copy_maps(struct tw *tw, const struct tw_map *maps, uint32_t n)
{
    struct tw_map *result = copy(tw, maps, n * sizeof *maps);

    for (uint32_t i = 0; i < n; i++)
        result[i].name = copy_text(tw, maps[i].name);
    return result;
}

void tw_signature(struct tw *tw, const char *key, uint32_t subgraph, const struct tw_map *inputs,
                  uint32_t n_inputs, const struct tw_map *outputs, uint32_t n_outputs)
{
    struct signature *signature = APPEND(tw, &tw->signatures);

    signature->key = copy_text(tw, key);
    signature->subgraph = subgraph;
    signature->n_inputs = n_inputs;
    signature->inputs = copy_maps(tw, inputs, n_inputs);
    signature->n_outputs = n_outputs;
    signature->outputs = copy_maps(tw, outputs, n_outputs);
}

void tw_metadata(struct tw *tw, const char *name, const void *bytes, size_t n_bytes)
{
    tw_metadata_buffer(tw, name, tw_buffer(tw, bytes, n_bytes));
}

void tw_metadata_buffer(struct tw *tw, const char *name, uint32_t buffer)
{
    struct metadata *metadata = APPEND(tw, &tw->metadata);

    metadata->name = copy_text(tw, name);
    metadata->buffer = buffer;
}

struct tw_tensor *tw_tensor_at(struct tw *tw, int32_t tensor)
{
    return &present(tw)->tensors.v[tensor];
}

struct tw_node *tw_node_at(struct tw *tw, int32_t node)
{
    return &present(tw)->nodes.v[node];
}

struct tw_buffer *tw_buffer_at(struct tw *tw, uint32_t buffer)
{
    return &tw->buffers.v[buffer];
}

/* ---- options ----------------------------------------------------------------------------------*/

static uint64_t float_bits(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* A field of an options table: a value or a list. */
struct field {
    struct fbw_slot slot;
    const struct scree_i32s *list;
};

#define FIELD_I32(x)       \
    {                      \
        .slot = FBW_U32(x) \
    }
#define FIELD_F32(x)                                    \
    {                                                   \
        .slot = {.n_bytes = 4, .value = float_bits(x) } \
    }
#define FIELD_BOOL(x)     \
    {                     \
        .slot = FBW_U8(x) \
    }
#define FIELD_I32S(x)                 \
    {                                 \
        .slot = FBW_REF, .list = &(x) \
    }
#define FIELD_PADDING(x)  \
    {                     \
        .slot = FBW_U8(x) \
    }
#define FIELD_ACTIVATION(x) \
    {                       \
        .slot = FBW_U8(x)   \
    }
#define FIELD_TYPE(x)     \
    {                     \
        .slot = FBW_U8(x) \
    }
#define FIELD_LSTM(x)     \
    {                     \
        .slot = FBW_U8(x) \
    }
#define FIELD_MIRROR(x)   \
    {                     \
        .slot = FBW_U8(x) \
    }
#define FIELD_WEIGHTS(x)  \
    {                     \
        .slot = FBW_U8(x) \
    }

static void put_fields(struct fbw *out, size_t at, const struct field *fields, uint32_t n)
{
    struct fbw_slot slots[16];

    for (uint32_t i = 0; i < n; i++)
        slots[i] = fields[i].slot;
    fbw_table(out, at, slots, n);
    for (uint32_t i = 0; i < n; i++)
        if (fields[i].list)
            fbw_vector(out, slots[i].at, fields[i].list->v, fields[i].list->n, 4, 4);
}

#define FIELD(slot, name, kind, value) [slot] = FIELD_##kind(o->name),
#define OPTIONS(number, table, member, fields)                                                     \
    static void put_##member(struct fbw *out, size_t at, const struct scree_##member##_options *o) \
    {                                                                                              \
        const struct field list[] = {fields};                                                      \
                                                                                                   \
        put_fields(out, at, list, sizeof list / sizeof list[0]);                                   \
    }
#include "model/options.inc"
#undef OPTIONS
#undef FIELD

static void put_options(struct fbw *out, size_t at, uint8_t number,
                        const union scree_options *options)
{
    switch (number) {
#define OPTIONS(number, table, member, fields)   \
    case number:                                 \
        put_##member(out, at, &options->member); \
        break;
#include "model/options.inc"
#undef OPTIONS
    default:
        abort();
    }
}

/* ---- writing ----------------------------------------------------------------------------------*/

static void put_list(struct fbw *out, size_t at, struct scree_i32s list)
{
    fbw_vector(out, at, list.v, list.n, sizeof *list.v, 4);
}

static void put_quantization(struct fbw *out, size_t at, const struct tw_tensor *tensor)
{
    struct fbw_slot slots[] = {
        [2] = {.n_bytes = tensor->n_scales ? 4 : 0},
        [3] = {.n_bytes = tensor->n_zero_points ? 4 : 0},
        [4] = FBW_U8(tensor->details),
        [6] = FBW_U32(tensor->axis),
    };

    fbw_table(out, at, slots, sizeof slots / sizeof slots[0]);
    if (tensor->n_scales)
        fbw_vector(out, slots[2].at, tensor->scales, tensor->n_scales, 4, 4);
    if (tensor->n_zero_points)
        fbw_vector(out, slots[3].at, tensor->zero_points, tensor->n_zero_points, 8, 8);
}

static void put_tensor(struct fbw *out, size_t at, const struct tw_tensor *tensor)
{
    bool quantized = tensor->n_scales || tensor->n_zero_points || tensor->details;
    struct fbw_slot slots[] = {
        [0] = FBW_REF,
        [1] = FBW_U8(tensor->type),
        [2] = FBW_U32(tensor->buffer),
        [3] = {.n_bytes = tensor->name ? 4 : 0},
        [4] = {.n_bytes = quantized ? 4 : 0},
        [5] = FBW_U8(tensor->is_variable),
        [6] = {.n_bytes = tensor->is_sparse ? 4 : 0},
        [7] = {.n_bytes = tensor->signature_rank >= 0 ? 4 : 0},
        [8] = FBW_U8(1),
        [10] = FBW_U32(tensor->external_buffer),
    };

    fbw_table(out, at, slots, sizeof slots / sizeof slots[0]);
    fbw_vector(out, slots[0].at, tensor->dims, (size_t)tensor->rank, 4, 4);
    if (tensor->name)
        fbw_string(out, slots[3].at, tensor->name);
    if (quantized)
        put_quantization(out, slots[4].at, tensor);
    if (tensor->is_sparse)
        fbw_table(out, slots[6].at, NULL, 0);
    if (tensor->signature_rank >= 0)
        fbw_vector(out, slots[7].at, tensor->signature, (size_t)tensor->signature_rank, 4, 4);
}

static void put_node(struct fbw *out, size_t at, const struct tw_node *node)
{
    struct fbw_slot slots[] = {
        [0] = FBW_U32(node->code),
        [1] = FBW_REF,
        [2] = FBW_REF,
        [3] = FBW_U8(node->options_number),
        [4] = {.n_bytes = node->options_number ? 4 : 0},
        [5] = {.n_bytes = node->has_custom ? 4 : 0},
        [8] = FBW_REF,
        [9] = FBW_U64(node->large_custom_offset),
        [10] = FBW_U64(node->large_custom_bytes),
    };

    fbw_table(out, at, slots, sizeof slots / sizeof slots[0]);
    put_list(out, slots[1].at, node->inputs);
    put_list(out, slots[2].at, node->outputs);
    if (node->options_number)
        put_options(out, slots[4].at, node->options_number, &node->options);
    if (node->has_custom)
        fbw_vector(out, slots[5].at, node->custom, node->n_custom, 1, 16);
    put_list(out, slots[8].at, node->intermediates);
}

static void put_subgraph(struct fbw *out, size_t at, const struct subgraph *subgraph)
{
    struct fbw_slot slots[] = {FBW_REF, FBW_REF, FBW_REF, FBW_REF, FBW_REF};
    size_t first;

    fbw_table(out, at, slots, sizeof slots / sizeof slots[0]);
    first = fbw_references(out, slots[0].at, subgraph->tensors.n);
    for (uint32_t i = 0; i < subgraph->tensors.n; i++)
        put_tensor(out, first + 4 * (size_t)i, &subgraph->tensors.v[i]);
    put_list(out, slots[1].at, subgraph->inputs);
    put_list(out, slots[2].at, subgraph->outputs);
    first = fbw_references(out, slots[3].at, subgraph->nodes.n);
    for (uint32_t i = 0; i < subgraph->nodes.n; i++)
        put_node(out, first + 4 * (size_t)i, &subgraph->nodes.v[i]);
    fbw_string(out, slots[4].at, subgraph->name);
}

static void put_code(struct fbw *out, size_t at, const struct code *code)
{
    struct fbw_slot slots[] = {
        [0] = FBW_U8(code->opcode < 127 ? code->opcode : 127),
        [1] = {.n_bytes = code->custom_name ? 4 : 0},
        [2] = FBW_U32(code->version),
        [3] = FBW_U32(code->opcode),
    };

    fbw_table(out, at, slots, sizeof slots / sizeof slots[0]);
    if (code->custom_name)
        fbw_string(out, slots[1].at, code->custom_name);
}

static void put_buffer(struct tw *tw, size_t at, uint32_t index)
{
    const struct tw_buffer *buffer = &tw->buffers.v[index];
    bool inside = buffer->bytes && !buffer->outside;
    bool placed = buffer->outside || buffer->offset;
    struct fbw_slot slots[] = {
        [0] = {.n_bytes = inside ? 4 : 0},
        [1] = {.n_bytes = placed ? 8 : 0, .value = buffer->offset},
        [2] = {.n_bytes = placed ? 8 : 0,
               .value = buffer->offset ? buffer->outside_bytes : buffer->n_bytes},
    };

    fbw_table(&tw->out, at, slots, sizeof slots / sizeof slots[0]);
    tw->outside_at[index] = slots[1].at;
    if (inside)
        fbw_vector(&tw->out, slots[0].at, buffer->bytes, buffer->n_bytes, 1, 16);
}

static void put_maps(struct fbw *out, size_t at, const struct tw_map *maps, uint32_t n)
{
    size_t first = fbw_references(out, at, n);

    for (uint32_t i = 0; i < n; i++) {
        struct fbw_slot slots[] = {FBW_REF, FBW_U32(maps[i].tensor)};

        fbw_table(out, first + 4 * (size_t)i, slots, 2);
        fbw_string(out, slots[0].at, maps[i].name);
    }
}

static void put_signature(struct fbw *out, size_t at, const struct signature *signature)
{
    struct fbw_slot slots[] = {FBW_REF, FBW_REF, FBW_REF, {0}, FBW_U32(signature->subgraph)};

    fbw_table(out, at, slots, sizeof slots / sizeof slots[0]);
    put_maps(out, slots[0].at, signature->inputs, signature->n_inputs);
    put_maps(out, slots[1].at, signature->outputs, signature->n_outputs);
    fbw_string(out, slots[2].at, signature->key);
}

static void put_metadata(struct fbw *out, size_t at, const struct metadata *metadata)
{
    struct fbw_slot slots[] = {FBW_REF, FBW_U32(metadata->buffer)};

    fbw_table(out, at, slots, 2);
    fbw_string(out, slots[0].at, metadata->name);
}

/* Gives each operator without a code of its own choice the first code that fits, or a new one. */
static void number_codes(struct tw *tw, struct subgraph *subgraph)
{
    for (uint32_t i = 0; i < subgraph->nodes.n; i++) {
        struct tw_node *node = &subgraph->nodes.v[i];
        struct code code = {node->opcode, node->version, node->custom_name};
        uint32_t k = 0;

        if (node->code >= 0)
            continue;
        while (k < tw->codes.n && (tw->codes.v[k].opcode != code.opcode ||
                                   tw->codes.v[k].version != code.version || code.custom_name))
            k++;
        if (k == tw->codes.n)
            *APPEND(tw, &tw->codes) = code;
        node->code = (int32_t)k;
    }
}

/* The data outside comes last, and only then its place is known. */
static void put_outside(struct tw *tw)
{
    for (uint32_t i = 0; i < tw->buffers.n; i++) {
        const struct tw_buffer *buffer = &tw->buffers.v[i];

        if (!buffer->outside)
            continue;
        fbw_align(&tw->out, 16, 0);
        fbw_set(&tw->out, tw->outside_at[i], tw->out.n, 8);
        fbw_put(&tw->out, buffer->bytes, buffer->n_bytes);
    }
}

const uint8_t *tw_finish(struct tw *tw, size_t *ret_n_bytes)
{
    struct fbw *out = &tw->out;
    struct fbw_slot slots[] = {
        [0] = FBW_U32(tw->version),
        [1] = FBW_REF,
        [2] = FBW_REF,
        [3] = FBW_REF,
        [4] = FBW_REF,
        [6] = FBW_REF,
        [7] = FBW_REF,
    };
    size_t first;

    for (uint32_t i = 0; i < tw->subgraphs.n; i++)
        number_codes(tw, &tw->subgraphs.v[i]);
    tw->outside_at = take(tw, tw->buffers.n, sizeof *tw->outside_at);
    fbw_number(out, 0, 4);
    fbw_put(out, "TFL3", 4);
    fbw_table(out, 0, slots, sizeof slots / sizeof slots[0]);
    fbw_string(out, slots[3].at, tw->description);

#define PUT_ALL(slot, list, put)                           \
    first = fbw_references(out, slots[slot].at, (list).n); \
    for (uint32_t i = 0; i < (list).n; i++)                \
    put(out, first + 4 * (size_t)i, &(list).v[i])
    PUT_ALL(1, tw->codes, put_code);
    PUT_ALL(2, tw->subgraphs, put_subgraph);
    PUT_ALL(6, tw->metadata, put_metadata);
    PUT_ALL(7, tw->signatures, put_signature);
#undef PUT_ALL
    first = fbw_references(out, slots[4].at, tw->buffers.n);
    for (uint32_t i = 0; i < tw->buffers.n; i++)
        put_buffer(tw, first + 4 * (size_t)i, i);
    put_outside(tw);
    *ret_n_bytes = out->n;
    return out->bytes;
}

/* ---- FlexBuffers ------------------------------------------------------------------------------*/

enum { FLEX_INT = 1, FLEX_FLOAT = 3, FLEX_MAP = 9, FLEX_BOOL = 26 };
enum { FLEX_WIDTH_4 = 2 };

static int compare_options(const void *a, const void *b)
{
    return strcmp(((const struct tw_option *)a)->key, ((const struct tw_option *)b)->key);
}

static uint64_t flex_bits(const struct tw_option *option)
{
    return option->kind == TW_FLOAT ? float_bits((float)option->value)
                                    : (uint32_t)(int32_t)option->value;
}

/* Keys; vector of keys' distances; values, with the place and width of the keys before them; types;
 * and last the root. All numbers have 4 bytes. */
const uint8_t *tw_flexmap(struct tw *tw, const struct tw_option *options, uint32_t n,
                          size_t *ret_n_bytes)
{
    static const uint8_t types[] = {
        [TW_INT] = FLEX_INT, [TW_FLOAT] = FLEX_FLOAT, [TW_BOOL] = FLEX_BOOL};
    struct tw_option *sorted = copy(tw, options, n * sizeof *options);
    size_t *keys_at = take(tw, n, sizeof *keys_at);
    struct fbw out = {0};
    const uint8_t *result;
    size_t keys, values;

    qsort(sorted, n, sizeof *sorted, compare_options);
    for (uint32_t i = 0; i < n; i++) {
        keys_at[i] = out.n;
        fbw_put(&out, sorted[i].key, strlen(sorted[i].key) + 1);
    }
    fbw_align(&out, 4, 0);
    fbw_number(&out, n, 4);
    keys = out.n;
    for (uint32_t i = 0; i < n; i++)
        fbw_number(&out, out.n - keys_at[i], 4);
    fbw_number(&out, out.n - keys, 4);
    fbw_number(&out, 4, 4);
    fbw_number(&out, n, 4);
    values = out.n;
    for (uint32_t i = 0; i < n; i++)
        fbw_number(&out, flex_bits(&sorted[i]), 4);
    for (uint32_t i = 0; i < n; i++)
        fbw_number(&out, types[sorted[i].kind] << 2 | FLEX_WIDTH_4, 1);
    fbw_align(&out, 4, 0);
    fbw_number(&out, out.n - values, 4);
    fbw_number(&out, FLEX_MAP << 2 | FLEX_WIDTH_4, 1);
    fbw_number(&out, 4, 1);
    *ret_n_bytes = out.n;
    result = copy(tw, out.bytes, out.n);
    free(out.bytes);
    return result;
}
