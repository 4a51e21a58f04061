/* Options are read by functions made from options.inc, one a table: reading from no table gives the
 * schema's defaults, so both come from the same rows. */
#include "base/checked.h"
#include "model/reading.h"

/* Slots of table Operator. */
enum {
    OPERATOR_OPCODE_INDEX,
    OPERATOR_INPUTS,
    OPERATOR_OUTPUTS,
    OPERATOR_OPTIONS_TYPE,
    OPERATOR_OPTIONS,
    OPERATOR_CUSTOM_OPTIONS,
    OPERATOR_CUSTOM_OPTIONS_FORMAT,
    OPERATOR_MUTATING_VARIABLE_INPUTS,
    OPERATOR_INTERMEDIATES,
    OPERATOR_LARGE_CUSTOM_OPTIONS_OFFSET,
    OPERATOR_LARGE_CUSTOM_OPTIONS_SIZE,
};

/* An enum of one byte, whose members are 0 to most: the member, or EBADMSG. */
static int read_enum(const struct scree_fb_table *table, unsigned slot, uint8_t fallback,
                     uint8_t most, const char *name, struct scree_error *err)
{
    uint8_t value = scree_fb_get_u8(table, slot, fallback);

    if (value > most)
        return scree_fail(err, EBADMSG, "its option %s is %u, not in [0, %u]", name, value, most);
    return value;
}

#define READ_ENUM(kind, type, most)                                                           \
    static int read_##kind(struct scree_reading *reading, const struct scree_fb_table *table, \
                           unsigned slot, uint8_t fallback, const char *name, enum type *ret, \
                           struct scree_error *err)                                           \
    {                                                                                         \
        int value = read_enum(table, slot, fallback, most, name, err);                        \
                                                                                              \
        if (value < 0)                                                                        \
            return value;                                                                     \
        *ret = (enum type)value;                                                              \
        return 0;                                                                             \
    }

READ_ENUM(PADDING, scree_padding, SCREE_PADDING_VALID)
READ_ENUM(ACTIVATION, scree_activation, SCREE_ACTIVATION_SIGN_BIT)
READ_ENUM(TYPE, scree_type, SCREE_TYPE_BFLOAT16)
READ_ENUM(LSTM, scree_lstm_kernel, SCREE_LSTM_BASIC)
READ_ENUM(MIRROR, scree_mirror, SCREE_MIRROR_SYMMETRIC)
READ_ENUM(WEIGHTS, scree_weights_format, SCREE_WEIGHTS_SHUFFLED4X16)

static int read_I32(struct scree_reading *reading, const struct scree_fb_table *table,
                    unsigned slot, int32_t fallback, const char *name, int32_t *ret,
                    struct scree_error *err)
{
    *ret = scree_fb_get_i32(table, slot, fallback);
    return 0;
}

static int read_F32(struct scree_reading *reading, const struct scree_fb_table *table,
                    unsigned slot, float fallback, const char *name, float *ret,
                    struct scree_error *err)
{
    *ret = scree_fb_get_f32(table, slot, fallback);
    return 0;
}

static int read_BOOL(struct scree_reading *reading, const struct scree_fb_table *table,
                     unsigned slot, uint8_t fallback, const char *name, bool *ret,
                     struct scree_error *err)
{
    *ret = scree_fb_get_u8(table, slot, fallback) != 0;
    return 0;
}

static int read_I32S(struct scree_reading *reading, const struct scree_fb_table *table,
                     unsigned slot, int fallback, const char *name, struct scree_i32s *ret,
                     struct scree_error *err)
{
    return scree_reading_i32s(reading, table, slot, ret, err);
}

#define FIELD(slot, name, kind, value)                                         \
    rc = read_##kind(reading, table, slot, value, #name, &options->name, err); \
    if (rc < 0)                                                                \
        return rc;
#define OPTIONS(number, table_name, member, fields)                        \
    static int read_##member##_options(                                    \
        struct scree_reading *reading, const struct scree_fb_table *table, \
        struct scree_##member##_options *options, struct scree_error *err) \
    {                                                                      \
        int rc;                                                            \
                                                                           \
        fields return 0;                                                   \
    }
#include "model/options.inc"
#undef OPTIONS
#undef FIELD

/* The number of each table in union BuiltinOptions, by the member that operators.inc names. */
enum option_table {
    TABLE_none,
#define OPTIONS(number, table, member, fields) TABLE_##member = number,
#include "model/options.inc"
#undef OPTIONS
};

static enum option_table table_of_operator(int32_t opcode)
{
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

static int read_table(struct scree_reading *reading, enum option_table number,
                      const struct scree_fb_table *table, union scree_options *options,
                      struct scree_error *err)
{
    switch (number) {
#define OPTIONS(number, table_name, member, fields) \
    case TABLE_##member:                            \
        return read_##member##_options(reading, table, &options->member, err);
#include "model/options.inc"
#undef OPTIONS
    case TABLE_none:
        break;
    }
    return 0;
}

/* A file whose options are of another operator has none, as for TFLite. */
static int read_options(struct scree_reading *reading, const struct scree_fb_table *table,
                        struct scree_node *node, struct scree_error *err)
{
    enum option_table number = table_of_operator(node->opcode);
    struct scree_fb_table options = {0};

    if (number != TABLE_none &&
        scree_fb_get_u8(table, OPERATOR_OPTIONS_TYPE, TABLE_none) == (uint8_t)number)
        options = scree_fb_get_table(table, OPERATOR_OPTIONS);
    node->has_options = options.fb != NULL;
    return read_table(reading, number, &options, &node->options, err);
}

static int read_custom(struct scree_reading *reading, const struct scree_fb_table *table,
                       struct scree_node *node, struct scree_error *err)
{
    const struct scree_graph *graph = reading->graph;
    struct scree_fb_vector custom = scree_fb_get_vector(table, OPERATOR_CUSTOM_OPTIONS, 1);
    uint64_t offset = scree_fb_get_u64(table, OPERATOR_LARGE_CUSTOM_OPTIONS_OFFSET, 0);
    uint64_t n = scree_fb_get_u64(table, OPERATOR_LARGE_CUSTOM_OPTIONS_SIZE, 0);

    if (custom.data) {
        node->custom = custom.data;
        node->n_custom = custom.n;
    } else if (offset > 1) {
        if (!scree_range_fits(offset, n, graph->n_file))
            return scree_fail(err, EBADMSG,
                              "its options, %llu bytes at byte %llu, lie beyond the file's end",
                              (unsigned long long)n, (unsigned long long)offset);
        node->custom = graph->file + offset;
        node->n_custom = n;
    }
    return 0;
}

static int read_lists(struct scree_reading *reading, const struct scree_fb_table *table,
                      uint32_t n_tensors, struct scree_node *node, struct scree_error *err)
{
    struct scree_i32s inputs, outputs, intermediates;
    int rc = scree_reading_operands(reading, table, OPERATOR_INPUTS, "input", -1, n_tensors,
                                    &inputs, err);

    if (rc == 0)
        rc = scree_reading_operands(reading, table, OPERATOR_OUTPUTS, "output", 0, n_tensors,
                                    &outputs, err);
    if (rc == 0)
        rc = scree_reading_operands(reading, table, OPERATOR_INTERMEDIATES, "intermediate", -1,
                                    n_tensors, &intermediates, err);
    if (rc < 0)
        return rc;
    node->n_inputs = inputs.n;
    node->inputs = inputs.v;
    node->n_outputs = outputs.n;
    node->outputs = outputs.v;
    node->n_intermediates = intermediates.n;
    node->intermediates = intermediates.v;
    return 0;
}

int scree_reading_node(struct scree_reading *reading, const struct scree_fb_table *table,
                       uint32_t n_tensors, struct scree_node *node, struct scree_error *err)
{
    uint32_t index = scree_fb_get_u32(table, OPERATOR_OPCODE_INDEX, 0);
    int rc;

    if (index >= reading->n_codes)
        return scree_fail(err, EBADMSG, "its operator code is number %u of %u", index,
                          reading->n_codes);
    node->opcode = reading->codes[index].opcode;
    node->version = reading->codes[index].version;
    node->custom_name = reading->codes[index].custom_name;
    rc = read_lists(reading, table, n_tensors, node, err);
    if (rc == 0)
        rc = read_options(reading, table, node, err);
    if (rc == 0)
        rc = read_custom(reading, table, node, err);
    if (rc == 0)
        rc = scree_fb_status(&reading->fb, err);
    return rc < 0 ? scree_wrap(err, rc, "%.64s", scree_node_name(node)) : 0;
}
