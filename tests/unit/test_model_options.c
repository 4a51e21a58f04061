/* Every options table of options.inc: values that are not its defaults come back as written, and an
 * operator without options has the schema's defaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model/reader.h"
#include "support/tflite_writer.h"

static const int32_t numbers[] = {3, -1};

#define SOME_I32        7
#define SOME_F32        0.75f
#define SOME_BOOL       true
#define SOME_PADDING    SCREE_PADDING_VALID
#define SOME_ACTIVATION SCREE_ACTIVATION_TANH
#define SOME_TYPE       SCREE_TYPE_INT64
#define SOME_LSTM       SCREE_LSTM_BASIC
#define SOME_MIRROR     SCREE_MIRROR_SYMMETRIC
#define SOME_WEIGHTS    SCREE_WEIGHTS_SHUFFLED4X16
#define SOME_I32S       ((struct scree_i32s){2, numbers})

/* fill_X(options): sets each field */
#define FIELD(slot, name, kind, value) options->name = SOME_##kind;
#define OPTIONS(number, table, member, fields)                          \
    static void fill_##member(struct scree_##member##_options *options) \
    {                                                                   \
        fields                                                          \
    }
#include "model/options.inc"
#undef OPTIONS
#undef FIELD

#define SAME_SCALAR(x, y) assert_true((x) == (y))
#define SAME_I32          SAME_SCALAR
#define SAME_F32          SAME_SCALAR
#define SAME_BOOL         SAME_SCALAR
#define SAME_PADDING      SAME_SCALAR
#define SAME_ACTIVATION   SAME_SCALAR
#define SAME_TYPE         SAME_SCALAR
#define SAME_LSTM         SAME_SCALAR
#define SAME_MIRROR       SAME_SCALAR
#define SAME_WEIGHTS      SAME_SCALAR
#define SAME_I32S(x, y)             \
    assert_int_equal((x).n, (y).n); \
    assert_memory_equal((x).v, (y).v, (y).n * sizeof *(y).v)

/* expect_X(options): each field is as fill_X() set it */
#define FIELD(slot, name, kind, value) SAME_##kind(options->name, SOME_##kind);
#define OPTIONS(number, table, member, fields)                                  \
    static void expect_##member(const struct scree_##member##_options *options) \
    {                                                                           \
        fields                                                                  \
    }
#include "model/options.inc"
#undef OPTIONS
#undef FIELD

#undef SAME_I32S
#define SAME_I32S(x, y) assert_int_equal((x).n, y)

/* default_X(options): each field has the default of options.inc */
#define FIELD(slot, name, kind, value) SAME_##kind(options->name, value);
#define OPTIONS(number, table, member, fields)                                   \
    static void default_##member(const struct scree_##member##_options *options) \
    {                                                                            \
        fields                                                                   \
    }
#include "model/options.inc"
#undef OPTIONS
#undef FIELD

static void fill(uint8_t table, union scree_options *options)
{
    switch (table) {
#define OPTIONS(number, name, member, fields) \
    case number:                              \
        fill_##member(&options->member);      \
        return;
#include "model/options.inc"
#undef OPTIONS
    default:
        fail_msg("options table %u", table);
    }
}

static void expect(uint8_t table, const union scree_options *options, bool written)
{
    switch (table) {
#define OPTIONS(number, name, member, fields)                                             \
    case number:                                                                          \
        written ? expect_##member(&options->member) : default_##member(&options->member); \
        return;
#include "model/options.inc"
#undef OPTIONS
    default:
        fail_msg("options table %u", table);
    }
}

static void check_operator(int32_t opcode, uint8_t table)
{
    struct tw *tw = tw_new();
    union scree_options options = {0};
    const struct scree_node *nodes;
    struct scree_graph graph;
    struct scree_error err;
    const uint8_t *bytes;
    size_t n;

    fill(table, &options);
    tw_node(tw, opcode, TW_EMPTY, TW_EMPTY, &options);
    tw_node(tw, opcode, TW_EMPTY, TW_EMPTY, NULL);
    bytes = tw_finish(tw, &n);
    if (scree_graph_read(bytes, n, &graph, &err) < 0)
        fail_msg("%s: %s", scree_opcode_name(opcode), err.text);
    nodes = graph.subgraphs[0].nodes;
    assert_true(nodes[0].has_options);
    expect(table, &nodes[0].options, true);
    assert_false(nodes[1].has_options);
    expect(table, &nodes[1].options, false);
    scree_graph_done(&graph);
    tw_free(tw);
}

static void test_options_come_back(void **state)
{
    int n = 0;

    (void)state;
    for (int32_t opcode = 0; opcode < 256; opcode++) {
        uint8_t table = tw_options_number(opcode);

        if (table == 0)
            continue;
        check_operator(opcode, table);
        n++;
    }
    assert_true(n >= 45);
}

/* A few defaults of the schema that are not 0, by hand. */
static void test_defaults_are_the_schemas(void **state)
{
    struct tw *tw = tw_new();
    const struct scree_node *nodes;
    struct scree_graph graph;
    const uint8_t *bytes;
    size_t n;

    (void)state;
    tw_node(tw, SCREE_OP_CONV_2D, TW_EMPTY, TW_EMPTY, NULL);
    tw_node(tw, SCREE_OP_ADD, TW_EMPTY, TW_EMPTY, NULL);
    tw_node(tw, SCREE_OP_DEPTHWISE_CONV_2D, TW_EMPTY, TW_EMPTY, NULL);
    bytes = tw_finish(tw, &n);
    assert_int_equal(scree_graph_read(bytes, n, &graph, NULL), 0);
    nodes = graph.subgraphs[0].nodes;
    assert_int_equal(nodes[0].options.conv2d.dilation_w, 1);
    assert_int_equal(nodes[0].options.conv2d.stride_w, 0);
    assert_true(nodes[1].options.add.pot_scale_int16);
    assert_int_equal(nodes[2].options.depthwise_conv2d.dilation_h, 1);
    scree_graph_done(&graph);
    tw_free(tw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_come_back),
        cmocka_unit_test(test_defaults_are_the_schemas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
