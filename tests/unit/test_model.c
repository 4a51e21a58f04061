/* The reader: what it takes, what it refuses and in which words. Each row of the tables changes one
 * thing in a small good model. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/reader.h"
#include "support/fb_writer.h"
#include "support/graph_check.h"
#include "support/tflite_writer.h"

/* How many more calls of calloc succeed; negative: all. Linked with --wrap. */
static long allowed = -1;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
    if (allowed == 0)
        return NULL;
    allowed -= allowed > 0;
    return __real_calloc(n, size);
}

/* The tensors of small_model(). */
enum { IN, WEIGHTS, BIAS, OUT };

/* A model with one of each thing: a quantized convolution, its constants, a named signature. */
static struct tw *small_model(void)
{
    static const int8_t weights[2 * 1 * 1 * 3] = {1, -2, 3, -4, 5, -6};
    static const int32_t bias[2] = {100, -100};
    static const float scales[2] = {0.5f, 0.25f};
    static const int64_t zeros[2] = {0, 0};
    union scree_options options = {.conv2d = {.padding = SCREE_PADDING_VALID,
                                              .stride_w = 2,
                                              .stride_h = 1,
                                              .activation = SCREE_ACTIVATION_RELU6,
                                              .dilation_w = 1,
                                              .dilation_h = 1}};
    struct tw *tw = tw_new();

    tw_model(tw, "a small model", 3);
    tw_tensor(tw, "in", SCREE_TYPE_INT8, TW_SHAPE(1, 4, 4, 3));
    tw_constant(tw, "w", SCREE_TYPE_INT8, TW_SHAPE(2, 1, 1, 3), weights, sizeof weights);
    tw_constant(tw, "b", SCREE_TYPE_INT32, TW_SHAPE(2), bias, sizeof bias);
    tw_tensor(tw, "out", SCREE_TYPE_INT8, TW_SHAPE(1, 4, 2, 2));
    tw_quantize(tw, IN, 0.1f, -5);
    tw_quantize_axis(tw, WEIGHTS, 0, 2, scales, zeros);
    tw_quantize(tw, OUT, 0.2f, 7);
    tw_node(tw, SCREE_OP_CONV_2D, TW_LIST(IN, WEIGHTS, BIAS), TW_LIST(OUT), &options);
    tw_ports(tw, TW_LIST(IN), TW_LIST(OUT));
    tw_signature(tw, "serving_default", 0, &(struct tw_map){"image", IN}, 1,
                 &(struct tw_map){"score", OUT}, 1);
    tw_metadata(tw, "min_runtime_version", "1.5.0", 6);
    return tw;
}

/* Reads what the writer holds; the test fails if that fails. */
static void read_good(struct tw *tw, struct scree_graph *graph)
{
    struct scree_error err;
    const char *broken;
    size_t n;
    const uint8_t *bytes = tw_finish(tw, &n);

    if (scree_graph_read(bytes, n, graph, &err) < 0)
        fail_msg("%s", err.text);
    broken = graph_check(graph);
    if (broken)
        fail_msg("%s", broken);
}

static void test_reads_what_was_written(void **state)
{
    struct tw *tw = small_model();
    const struct scree_subgraph *subgraph;
    const struct scree_tensor_def *tensor;
    const struct scree_node *node;
    struct scree_graph graph;

    (void)state;
    read_good(tw, &graph);
    assert_string_equal(graph.description, "a small model");
    assert_int_equal(graph.n_subgraphs, 1);
    subgraph = &graph.subgraphs[0];
    assert_string_equal(subgraph->name, "main");
    assert_int_equal(subgraph->n_tensors, 4);
    assert_int_equal(subgraph->n_inputs, 1);
    assert_int_equal(subgraph->outputs[0], OUT);

    tensor = &subgraph->tensors[WEIGHTS];
    assert_string_equal(tensor->name, "w");
    assert_int_equal(tensor->quant.n, 2);
    assert_int_equal(tensor->quant.axis, 0);
    assert_true(tensor->quant.scale[0] == 0.5f && tensor->quant.scale[1] == 0.25f);
    assert_int_equal(tensor->bytes, 6);
    assert_int_equal(((const int8_t *)tensor->data)[5], -6);
    tensor = &subgraph->tensors[OUT];
    assert_true(tensor->type == SCREE_TYPE_INT8 && tensor->data == NULL);
    assert_true(scree_shape_equal(&tensor->shape, &TW_SHAPE(1, 4, 2, 2)));
    assert_int_equal(tensor->signature.rank, -1);
    assert_int_equal(tensor->quant.zero_point[0], 7);

    node = &subgraph->nodes[0];
    assert_int_equal(node->opcode, SCREE_OP_CONV_2D);
    assert_int_equal(node->version, 1);
    assert_int_equal(node->n_inputs, 3);
    assert_int_equal(node->inputs[2], BIAS);
    assert_true(node->has_options);
    assert_int_equal(node->options.conv2d.padding, SCREE_PADDING_VALID);
    assert_int_equal(node->options.conv2d.stride_w, 2);
    assert_int_equal(node->options.conv2d.stride_h, 1);
    assert_int_equal(node->options.conv2d.activation, SCREE_ACTIVATION_RELU6);

    assert_int_equal(graph.n_signatures, 1);
    assert_string_equal(graph.signatures[0].key, "serving_default");
    assert_string_equal(graph.signatures[0].inputs[0].name, "image");
    assert_string_equal(graph.signatures[0].outputs[0].name, "score");
    assert_int_equal(graph.signatures[0].outputs[0].tensor, OUT);
    assert_int_equal(graph.n_metadata, 1);
    assert_string_equal(graph.metadata[0].name, "min_runtime_version");
    assert_memory_equal(graph.metadata[0].bytes, "1.5.0", 6);
    scree_graph_done(&graph);
    scree_graph_done(&graph);
    tw_free(tw);
}

/* ---- what is taken leniently ------------------------------------------------------------------*/

static void set_wide_buffer(struct tw *tw)
{
    tw_tensor_at(tw, BIAS)->buffer = tw_buffer(tw, "0123456789ab", 12);
}

static void set_empty_buffer(struct tw *tw)
{
    tw_tensor_at(tw, OUT)->buffer = tw_buffer(tw, "", 0);
}

static void set_buffer_without_data(struct tw *tw)
{
    tw_tensor_at(tw, OUT)->buffer = tw_buffer(tw, NULL, 0);
}

static void set_no_zero_points(struct tw *tw)
{
    tw_tensor_at(tw, WEIGHTS)->n_zero_points = 0;
}

static void set_odd_bias(struct tw *tw)
{
    tw_quantize(tw, BIAS, 0.25f, INT64_C(0x123456789));
}

static void set_scale_of_float(struct tw *tw)
{
    int32_t extra = tw_tensor(tw, "unused", SCREE_TYPE_FLOAT32, TW_SHAPE(4));

    tw_quantize(tw, extra, NAN, 1000);
}

static void set_custom_details(struct tw *tw)
{
    tw_tensor_at(tw, IN)->details = 1;
}

static void set_short_signature(struct tw *tw)
{
    tw_tensor_at(tw, IN)->signature_rank = 2;
}

static void set_missing_metadata(struct tw *tw)
{
    tw_metadata_buffer(tw, "gone", 77);
}

static void set_empty_input(struct tw *tw)
{
    int32_t empty = tw_tensor(tw, "empty", SCREE_TYPE_FLOAT32, TW_SHAPE(3, 0));
    int32_t copy = tw_tensor(tw, "copy", SCREE_TYPE_FLOAT32, TW_SHAPE(3, 0));

    tw_node(tw, SCREE_OP_RELU, TW_LIST(empty), TW_LIST(copy), NULL);
}

static void set_optional_input(struct tw *tw)
{
    tw_node_at(tw, 0)->inputs = TW_EMPTY;
}

static void set_foreign_options(struct tw *tw)
{
    tw_node_at(tw, 0)->options_number = tw_options_number(SCREE_OP_RESHAPE);
    tw_node_at(tw, 0)->options.reshape.new_shape = TW_EMPTY;
}

static void set_bools(struct tw *tw)
{
    tw_constant(tw, "flags", SCREE_TYPE_BOOL, TW_SHAPE(3), "\1\0\1", 3);
}

static void set_text_constant(struct tw *tw)
{
    tw_constant(tw, "words", SCREE_TYPE_STRING, TW_SHAPE(2), "\1\0\0\0", 4);
}

static void test_takes_what_tflite_takes(void **state)
{
    static void (*const changes[])(struct tw *) = {
        set_wide_buffer,      set_empty_buffer,   set_buffer_without_data, set_no_zero_points,
        set_odd_bias,         set_scale_of_float, set_custom_details,      set_short_signature,
        set_missing_metadata, set_empty_input,    set_optional_input,      set_foreign_options,
        set_text_constant,    set_bools,
    };

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct tw *tw = small_model();
        struct scree_graph graph;

        changes[i](tw);
        print_message("[ change %zu ]\n", i);
        read_good(tw, &graph);
        assert_int_equal(graph.subgraphs[0].tensors[BIAS].bytes, 8);
        assert_null(graph.subgraphs[0].tensors[OUT].data);
        scree_graph_done(&graph);
        tw_free(tw);
    }
}

static void test_reads_quantization_as_it_is_meant(void **state)
{
    static const float scales[] = {0.5f, 0.0f};
    struct tw *tw = small_model();
    const struct scree_tensor_def *tensors;
    struct scree_graph graph;

    (void)state;
    tw_quantize(tw, IN, 0.0f, 3);
    tw_quantize_axis(tw, WEIGHTS, 0, 2, scales, NULL);
    tw_quantize(tw, BIAS, 0.25f, INT64_C(0x100000007));
    read_good(tw, &graph);
    tensors = graph.subgraphs[0].tensors;
    assert_int_equal(tensors[IN].quant.n, 0);
    assert_true(tensors[WEIGHTS].quant.scale[1] > 0.0f);
    assert_true(tensors[WEIGHTS].quant.scale[1] < 1e-37f);
    assert_int_equal(tensors[WEIGHTS].quant.zero_point[1], 0);
    assert_int_equal(tensors[BIAS].quant.zero_point[0], 7);
    scree_graph_done(&graph);
    tw_free(tw);
}

static void test_reads_int4_packed(void **state)
{
    struct tw *tw = tw_new();
    struct scree_graph graph;

    (void)state;
    tw_constant(tw, "w", SCREE_TYPE_INT4, TW_SHAPE(5), "\x21\x43\x05", 3);
    tw_quantize(tw, 0, 1.0f, -8);
    read_good(tw, &graph);
    assert_int_equal(graph.subgraphs[0].tensors[0].bytes, 3);
    scree_graph_done(&graph);
    tw_free(tw);
}

static void test_reads_variables_and_open_dimensions(void **state)
{
    struct tw *tw = tw_new();
    struct scree_graph graph;
    const struct scree_subgraph *subgraph;

    (void)state;
    tw_tensor(tw, "x", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 3));
    tw_tensor(tw, "state", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 3));
    tw_tensor(tw, "y", SCREE_TYPE_FLOAT32, TW_SCALAR);
    tw_tensor_at(tw, 0)->signature_rank = 2;
    tw_tensor_at(tw, 0)->signature[0] = -1;
    tw_tensor_at(tw, 0)->signature[1] = 3;
    tw_tensor_at(tw, 1)->is_variable = true;
    tw_node(tw, SCREE_OP_ADD, TW_LIST(0, 1), TW_LIST(2), NULL);
    tw_node_at(tw, 0)->intermediates = tw_list(tw, TW_LIST(1, -1));
    tw_ports(tw, TW_LIST(0), TW_LIST(2));
    read_good(tw, &graph);
    subgraph = &graph.subgraphs[0];
    assert_int_equal(subgraph->tensors[0].signature.rank, 2);
    assert_int_equal(subgraph->tensors[0].signature.dims[0], -1);
    assert_true(subgraph->tensors[1].is_variable);
    assert_int_equal(subgraph->tensors[2].shape.rank, 0);
    assert_int_equal(subgraph->nodes[0].n_intermediates, 2);
    scree_graph_done(&graph);
    tw_free(tw);
}

/* Operators without inputs, so that a test may list any of them. */
static void test_reads_operator_codes(void **state)
{
    static const struct {
        int32_t opcode;
        const char *name;
    } rows[] = {
        {SCREE_OP_ADD, "ADD"},    {126, "BATCH_MATMUL"},     {SCREE_OP_CUMSUM, "CUMSUM"},
        {SCREE_OP_GELU, "GELU"},  {127, "unknown operator"}, {5000, "unknown operator"},
        {-3, "unknown operator"},
    };
    struct tw *tw = tw_new();
    struct scree_graph graph;
    const struct scree_node *nodes;
    size_t n = sizeof rows / sizeof rows[0];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        tw_node(tw, rows[i].opcode, TW_EMPTY, TW_EMPTY, NULL);
        tw_node_at(tw, (int32_t)i)->version = (int32_t)i + 2;
    }
    tw_custom(tw, "My\x1b[31mOp", TW_EMPTY, TW_EMPTY, "abc", 3);
    read_good(tw, &graph);
    nodes = graph.subgraphs[0].nodes;
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(scree_node_name(&nodes[i]), rows[i].name);
        assert_int_equal(nodes[i].version, i + 2);
        assert_null(nodes[i].custom_name);
    }
    assert_string_equal(scree_node_name(&nodes[n]), "My?[31mOp");
    assert_int_equal(nodes[n].n_custom, 3);
    assert_memory_equal(nodes[n].custom, "abc", 3);
    scree_graph_done(&graph);
    tw_free(tw);
}

static void test_reads_data_outside_the_flatbuffer(void **state)
{
    static const float data[4] = {1, 2, 3, 4};
    struct tw *tw = tw_new();
    struct scree_graph graph;
    const struct scree_node *node;

    (void)state;
    tw_constant(tw, "w", SCREE_TYPE_FLOAT32, TW_SHAPE(4), data, sizeof data);
    tw_buffer_at(tw, 1)->outside = true;
    tw_custom(tw, "Large", TW_EMPTY, TW_EMPTY, NULL, 0);
    tw_node_at(tw, 0)->large_custom_offset = 4;
    tw_node_at(tw, 0)->large_custom_bytes = 4;
    read_good(tw, &graph);
    assert_memory_equal(graph.subgraphs[0].tensors[0].data, data, sizeof data);
    node = &graph.subgraphs[0].nodes[0];
    assert_int_equal(node->n_custom, 4);
    assert_memory_equal(node->custom, "TFL3", 4);
    scree_graph_done(&graph);
    tw_free(tw);
}

/* The same file at each of 16 alignments: constants are aligned all the same. */
static void test_aligns_constants(void **state)
{
    struct tw *tw = small_model();
    size_t n;
    const uint8_t *bytes = tw_finish(tw, &n);
    uint8_t *room = malloc(n + 16);

    (void)state;
    assert_non_null(room);
    for (size_t shift = 0; shift < 16; shift++) {
        struct scree_graph graph;

        memcpy(room + shift, bytes, n);
        assert_int_equal(scree_graph_read(room + shift, n, &graph, NULL), 0);
        assert_null(graph_check(&graph));
        assert_int_equal(((const int32_t *)graph.subgraphs[0].tensors[BIAS].data)[1], -100);
        scree_graph_done(&graph);
    }
    free(room);
    tw_free(tw);
}

static void test_makes_names_safe(void **state)
{
    static const struct {
        const char *name, *safe;
    } rows[] = {
        {"conv/bias;0", "conv/bias;0"},
        {"Gr\xc3\xb6\xc3\x9f"
         "e",
         "Gr\xc3\xb6\xc3\x9f"
         "e"},
        {"a\nb\x7f", "a?b?"},
        {"\x1b]0;title\x07", "?]0;title?"},
        {"\xc2\x9b"
         "31m",
         "??31m"},
        {"\xe2\x80\xae"
         "abc",
         "???abc"},
        {"\xff\xc3", "??"},
        {"\xc0\xaf\xed\xa0\x80", "?????"},
        {"\xf0\x9f\x90\xb1", "\xf0\x9f\x90\xb1"},
        {"\xf5\x80\x80\x80", "????"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tw *tw = tw_new();
        struct scree_graph graph;

        tw_tensor(tw, rows[i].name, SCREE_TYPE_INT8, TW_SCALAR);
        tw_tensor(tw, NULL, SCREE_TYPE_INT8, TW_SCALAR);
        tw_model(tw, rows[i].name, 3);
        read_good(tw, &graph);
        assert_string_equal(graph.subgraphs[0].tensors[0].name, rows[i].safe);
        assert_string_equal(graph.subgraphs[0].tensors[1].name, "");
        assert_string_equal(graph.description, rows[i].safe);
        scree_graph_done(&graph);
        tw_free(tw);
    }
}

static void test_reads_several_subgraphs(void **state)
{
    struct tw *tw = small_model();
    struct scree_graph graph;

    (void)state;
    tw_subgraph(tw, "body");
    tw_tensor(tw, "only", SCREE_TYPE_INT32, TW_SCALAR);
    tw_ports(tw, TW_LIST(0), TW_LIST(0));
    tw_signature(tw, "other", 1, &(struct tw_map){"a", 0}, 1, NULL, 0);
    read_good(tw, &graph);
    assert_int_equal(graph.n_subgraphs, 2);
    assert_string_equal(graph.subgraphs[1].name, "body");
    assert_int_equal(graph.signatures[1].subgraph, 1);
    assert_int_equal(graph.signatures[1].n_outputs, 0);
    scree_graph_done(&graph);
    tw_free(tw);
}

/* ---- what is refused --------------------------------------------------------------------------*/

#define CHANGE(name, statement)     \
    static void name(struct tw *tw) \
    {                               \
        statement;                  \
    }

CHANGE(bad_version, tw_model(tw, "", 2))
CHANGE(bad_type, tw_tensor_at(tw, OUT)->type = 22)
CHANGE(bad_type_sign, tw_tensor_at(tw, OUT)->type = 0x80)
CHANGE(bad_rank, tw_tensor_at(tw, OUT)->rank = 9)
CHANGE(bad_dimension, tw_tensor_at(tw, OUT)->dims[2] = -1)
CHANGE(bad_elements, tw_tensor_at(tw, OUT)->dims[2] = 1 << 29)
CHANGE(bad_elements_of_empty, tw_tensor_at(tw, OUT)->dims[0] = 0;
       tw_tensor_at(tw, OUT)->dims[1] = INT32_MAX; tw_tensor_at(tw, OUT)->dims[2] = INT32_MAX)
CHANGE(bad_signature_shape, tw_tensor_at(tw, IN)->signature_rank = 4;
       tw_tensor_at(tw, IN)->signature[3] = -2)
CHANGE(bad_buffer, tw_tensor_at(tw, WEIGHTS)->buffer = 77)
CHANGE(bad_buffer_place, tw_buffer_at(tw, 1)->bytes = NULL; tw_buffer_at(tw, 1)->offset = 1 << 20;
       tw_buffer_at(tw, 1)->outside_bytes = 6)
CHANGE(bad_buffer_wrap, tw_buffer_at(tw, 1)->bytes = NULL; tw_buffer_at(tw, 1)->offset = 64;
       tw_buffer_at(tw, 1)->outside_bytes = UINT64_MAX - 32)
CHANGE(bad_data_bytes, tw_tensor_at(tw, BIAS)->buffer = tw_buffer(tw, "1234567", 7))
CHANGE(bad_variable, tw_tensor_at(tw, BIAS)->is_variable = true)
CHANGE(bad_sparsity, tw_tensor_at(tw, WEIGHTS)->is_sparse = true)
CHANGE(bad_external, tw_tensor_at(tw, WEIGHTS)->external_buffer = 1)
CHANGE(bad_bool, tw_constant(tw, "flags", SCREE_TYPE_BOOL, TW_SHAPE(3), "\0\1\2", 3))
CHANGE(bad_scale_nan, tw_quantize(tw, IN, NAN, 0))
CHANGE(bad_scale_negative, tw_quantize(tw, IN, -0.5f, 0))
CHANGE(bad_scale_infinite, tw_quantize(tw, IN, INFINITY, 0))
CHANGE(bad_zero_point, tw_quantize(tw, IN, 0.5f, 128))
CHANGE(bad_zero_point_wide, tw_quantize(tw, IN, 0.5f, INT64_C(1) << 32))
CHANGE(bad_zero_point_count, tw_tensor_at(tw, WEIGHTS)->n_zero_points = 1)
CHANGE(bad_scale_count, tw_tensor_at(tw, WEIGHTS)->dims[0] = 1;
       tw_tensor_at(tw, WEIGHTS)->dims[1] = 2)
CHANGE(bad_axis, tw_tensor_at(tw, WEIGHTS)->axis = 4)
CHANGE(bad_axis_sign, tw_tensor_at(tw, WEIGHTS)->axis = -1)
CHANGE(bad_blockwise, tw_tensor_at(tw, WEIGHTS)->details = 2)
CHANGE(bad_multi_axis, tw_tensor_at(tw, WEIGHTS)->details = 3)
CHANGE(bad_details, tw_tensor_at(tw, WEIGHTS)->details = 9)
CHANGE(bad_code, tw_node_at(tw, 0)->code = 5)
CHANGE(bad_input, tw_node_at(tw, 0)->inputs = tw_list(tw, TW_LIST(IN, WEIGHTS, 4)))
CHANGE(bad_input_sign, tw_node_at(tw, 0)->inputs = tw_list(tw, TW_LIST(IN, -2)))
CHANGE(bad_output, tw_node_at(tw, 0)->outputs = tw_list(tw, TW_LIST(-1)))
CHANGE(bad_intermediate, tw_node_at(tw, 0)->intermediates = tw_list(tw, TW_LIST(4)))
CHANGE(bad_padding, memset(&tw_node_at(tw, 0)->options.conv2d.padding, 2, 1))
CHANGE(bad_activation, memset(&tw_node_at(tw, 0)->options.conv2d.activation, 6, 1))
CHANGE(bad_type_option, memset(&tw_node_at(tw, 0)->options.conv2d.quantized_bias_type, 19, 1))
CHANGE(bad_custom_name, tw_custom(tw, NULL, TW_EMPTY, TW_EMPTY, NULL, 0))
CHANGE(bad_custom_place, tw_custom(tw, "C", TW_EMPTY, TW_EMPTY, NULL, 0);
       tw_node_at(tw, 1)->large_custom_offset = 2; tw_node_at(tw, 1)->large_custom_bytes = 1 << 20)
CHANGE(bad_graph_input, tw_ports(tw, TW_LIST(4), TW_LIST(OUT)))
CHANGE(bad_graph_output, tw_ports(tw, TW_LIST(IN), TW_LIST(OUT, -1)))
CHANGE(bad_constant_input, tw_ports(tw, TW_LIST(IN, BIAS), TW_LIST(OUT)))
CHANGE(bad_read, tw_ports(tw, TW_EMPTY, TW_LIST(OUT)))
CHANGE(bad_own_output, tw_node_at(tw, 0)->inputs = tw_list(tw, TW_LIST(IN, WEIGHTS, OUT)))
CHANGE(bad_write_twice, tw_node_at(tw, 0)->outputs = tw_list(tw, TW_LIST(OUT, OUT)))
CHANGE(bad_write_input, tw_node_at(tw, 0)->outputs = tw_list(tw, TW_LIST(OUT, IN)))
CHANGE(bad_write_constant, tw_node_at(tw, 0)->outputs = tw_list(tw, TW_LIST(BIAS)))
CHANGE(bad_write_variable, int32_t v = tw_tensor(tw, "v", SCREE_TYPE_INT8, TW_SCALAR);
       tw_tensor_at(tw, v)->is_variable = true;
       tw_node_at(tw, 0)->outputs = tw_list(tw, TW_LIST(OUT, 4)))
CHANGE(bad_unwritten, tw_tensor(tw, "", SCREE_TYPE_INT8, TW_SCALAR);
       tw_ports(tw, TW_LIST(IN), TW_LIST(OUT, 4)))
CHANGE(bad_signature_subgraph, tw_signature(tw, "s", 1, NULL, 0, NULL, 0))
CHANGE(bad_signature_tensor, tw_signature(tw, "s", 0, NULL, 0, &(struct tw_map){"y", 4}, 1))
CHANGE(bad_second_subgraph, tw_subgraph(tw, "two");
       tw_tensor_at(tw, tw_tensor(tw, "t", SCREE_TYPE_INT8, TW_SCALAR))->type = 99)
CHANGE(bad_metadata_place, tw_metadata(tw, "m", NULL, 0); tw_buffer_at(tw, 4)->offset = 1 << 20;
       tw_buffer_at(tw, 4)->outside_bytes = 1)

static const struct {
    void (*change)(struct tw *);
    int rc;
    const char *text;
} refusals[] = {
    {bad_version, -ENOTSUP, "schema version 2, this reader knows version 3"},
    {bad_type, -ENOTSUP, "tensor 3 \"out\": element type 22"},
    {bad_type_sign, -ENOTSUP, "tensor 3 \"out\": element type 128"},
    {bad_rank, -E2BIG, "tensor 3 \"out\": rank 9, the limit is 8"},
    {bad_dimension, -EBADMSG, "tensor 3 \"out\": dimension 2 is -1"},
    {bad_elements, -E2BIG, "tensor 3 \"out\": over 2^31 - 1 elements"},
    {bad_elements_of_empty, -E2BIG, "tensor 3 \"out\": over 2^31 - 1 elements"},
    {bad_signature_shape, -EBADMSG, "tensor 0 \"in\": shape signature: dimension 3 is -2"},
    {bad_buffer, -EBADMSG, "tensor 1 \"w\": buffer 77 of 4"},
    {bad_buffer_place, -EBADMSG,
     "tensor 1 \"w\": buffer 1, 6 bytes at byte 1048576, lies beyond the file's end"},
    {bad_buffer_wrap, -EBADMSG,
     "tensor 1 \"w\": buffer 1, 18446744073709551583 bytes at byte 64, lies beyond the file's end"},
    {bad_data_bytes, -EBADMSG, "tensor 2 \"b\": 7 bytes of data, its shape 2 of int32 needs 8"},
    {bad_variable, -EBADMSG, "tensor 2 \"b\": a variable with constant data"},
    {bad_sparsity, -ENOTSUP, "tensor 1 \"w\": sparse data"},
    {bad_external, -ENOTSUP, "tensor 1 \"w\": its data is in another file"},
    {bad_bool, -EBADMSG, "tensor 4 \"flags\": element 2 is 2, a bool is 0 or 1"},
    {bad_scale_nan, -EBADMSG, "tensor 0 \"in\": its scale is nan"},
    {bad_scale_negative, -EBADMSG, "tensor 0 \"in\": its scale is -0.5"},
    {bad_scale_infinite, -EBADMSG, "tensor 0 \"in\": its scale is inf"},
    {bad_zero_point, -EBADMSG, "tensor 0 \"in\": its zero point 128 is not in [-128, 127] of int8"},
    {bad_zero_point_wide, -EBADMSG,
     "tensor 0 \"in\": its zero point 4294967296 is not in [-128, 127] of int8"},
    {bad_zero_point_count, -EBADMSG, "tensor 1 \"w\": 2 scales and 1 zero points"},
    {bad_scale_count, -EBADMSG, "tensor 1 \"w\": 2 scales for dimension 0 of shape 1x2x1x3"},
    {bad_axis, -EBADMSG, "tensor 1 \"w\": quantized along dimension 4, its shape is 2x1x1x3"},
    {bad_axis_sign, -EBADMSG, "tensor 1 \"w\": quantized along dimension -1, its shape is 2x1x1x3"},
    {bad_blockwise, -ENOTSUP, "tensor 1 \"w\": blockwise quantization"},
    {bad_multi_axis, -ENOTSUP, "tensor 1 \"w\": multi-axis quantization"},
    {bad_details, -ENOTSUP, "tensor 1 \"w\": quantization details of kind 9"},
    {bad_code, -EBADMSG, "operator 0: its operator code is number 5 of 0"},
    {bad_input, -EBADMSG, "operator 0: CONV_2D: input 2 is tensor 4 of 4"},
    {bad_input_sign, -EBADMSG, "operator 0: CONV_2D: input 1 is tensor -2 of 4"},
    {bad_output, -EBADMSG, "operator 0: CONV_2D: output 0 is tensor -1 of 4"},
    {bad_intermediate, -EBADMSG, "operator 0: CONV_2D: intermediate 0 is tensor 4 of 4"},
    {bad_padding, -EBADMSG, "operator 0: CONV_2D: its option padding is 2, not in [0, 1]"},
    {bad_activation, -EBADMSG, "operator 0: CONV_2D: its option activation is 6, not in [0, 5]"},
    {bad_type_option, -EBADMSG,
     "operator 0: CONV_2D: its option quantized_bias_type is 19, not in [0, 18]"},
    {bad_custom_name, -EBADMSG, "operator code 1: a custom operator without a name"},
    {bad_custom_place, -EBADMSG,
     "operator 1: C: its options, 1048576 bytes at byte 2, lie beyond the file's end"},
    {bad_graph_input, -EBADMSG, "input 0 is tensor 4 of 4"},
    {bad_graph_output, -EBADMSG, "output 1 is tensor -1 of 4"},
    {bad_constant_input, -EBADMSG, "tensor 2 \"b\": an input of the graph, but it is constant"},
    {bad_read, -EBADMSG,
     "operator 0: CONV_2D: tensor 0 \"in\": read, but it has no data and nothing before has "
     "written "
     "it"},
    {bad_own_output, -EBADMSG,
     "operator 0: CONV_2D: tensor 3 \"out\": read, but it has no data and nothing before has "
     "written it"},
    {bad_write_twice, -EBADMSG,
     "operator 0: CONV_2D: tensor 3 \"out\": written, but it is already written"},
    {bad_write_input, -EBADMSG,
     "operator 0: CONV_2D: tensor 0 \"in\": written, but it is an input of the graph"},
    {bad_write_constant, -EBADMSG,
     "operator 0: CONV_2D: tensor 2 \"b\": written, but it is constant"},
    {bad_write_variable, -EBADMSG,
     "operator 0: CONV_2D: tensor 4 \"v\": written, but it is a variable"},
    {bad_unwritten, -EBADMSG, "tensor 4: an output of the graph, but not written"},
    {bad_signature_subgraph, -EBADMSG, "signature 1: of subgraph 1, there are 1"},
    {bad_signature_tensor, -EBADMSG, "signature 1: a name for tensor 4 of 4"},
    {bad_second_subgraph, -ENOTSUP, "subgraph 1: tensor 0 \"t\": element type 99"},
    {bad_metadata_place, -EBADMSG,
     "metadata 1: buffer 4, 1 bytes at byte 1048576, lies beyond the file's end"},
};

static void test_refuses_in_clear_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct tw *tw = small_model();
        struct scree_graph graph;
        struct scree_error err;
        const uint8_t *bytes;
        size_t n;
        int rc;

        refusals[i].change(tw);
        bytes = tw_finish(tw, &n);
        memset(&graph, 0x5a, sizeof graph);
        rc = scree_graph_read(bytes, n, &graph, &err);
        if (rc != refusals[i].rc || strcmp(err.text, refusals[i].text) != 0)
            fail_msg("row %zu: %d \"%s\", not %d \"%s\"", i, rc, rc < 0 ? err.text : "",
                     refusals[i].rc, refusals[i].text);
        for (size_t k = 0; k < sizeof graph; k++)
            assert_int_equal(((const uint8_t *)&graph)[k], 0x5a);
        tw_free(tw);
    }
}

static void test_refuses_a_model_of_nothing(void **state)
{
    struct fbw_slot version[] = {FBW_U32(3)};
    struct fbw out = {0};
    struct scree_graph graph;
    struct scree_error err;

    (void)state;
    fbw_number(&out, 0, 4);
    fbw_put(&out, "TFL3", 4);
    fbw_table(&out, 0, version, 1);
    assert_int_equal(scree_graph_read(out.bytes, out.n, &graph, &err), -EBADMSG);
    assert_string_equal(err.text, "no subgraph");
    free(out.bytes);
}

static void test_refuses_what_is_no_model(void **state)
{
    static const char *const rows[] = {"", "TFL", "\x1c\0\0\0TFL2 and more", "\x89PNG\r\n\x1a\n"};
    struct scree_graph graph;
    struct scree_error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(scree_graph_read((const uint8_t *)rows[i], strlen(rows[i]), &graph, &err),
                         -EBADMSG);
        assert_string_equal(err.text, "not a .tflite file: no \"TFL3\" at byte 4");
    }
    assert_int_equal(scree_graph_read((const uint8_t *)"\xff\xff\xff\x7fTFL3", 8, &graph, &err),
                     -EBADMSG);
    assert_string_equal(err.text, "the root at byte 0 does not fit the file's 8 bytes");
    assert_int_equal(scree_graph_read(NULL, ((size_t)1 << 40) + 1, &graph, &err), -E2BIG);
    assert_string_equal(err.text, "1099511627777 bytes, the limit is 2^40");
}

/* ---- limits -----------------------------------------------------------------------------------*/

static int read_and_free(struct tw *tw, struct scree_error *err)
{
    struct scree_graph graph = {0};
    size_t n;
    const uint8_t *bytes = tw_finish(tw, &n);
    int rc = scree_graph_read(bytes, n, &graph, err);

    if (rc == 0)
        assert_null(graph_check(&graph));
    scree_graph_done(&graph);
    tw_free(tw);
    return rc;
}

static struct tw *with_tensors(uint32_t n)
{
    struct tw *tw = tw_new();

    for (uint32_t i = 0; i < n; i++)
        tw_tensor(tw, NULL, SCREE_TYPE_INT8, TW_SCALAR);
    return tw;
}

static struct tw *with_operators(uint32_t n)
{
    struct tw *tw = tw_new();

    for (uint32_t i = 0; i < n; i++)
        tw_node(tw, SCREE_OP_ADD, TW_EMPTY, TW_EMPTY, NULL);
    return tw;
}

static struct tw *with_subgraphs(uint32_t n)
{
    struct tw *tw = tw_new();

    for (uint32_t i = 1; i < n; i++)
        tw_subgraph(tw, "s");
    return tw;
}

static int32_t many_zeros[4097];

static struct tw *with_inputs(uint32_t n)
{
    struct tw *tw = tw_new();

    tw_constant(tw, "c", SCREE_TYPE_INT8, TW_SCALAR, "1", 1);
    tw_node(tw, SCREE_OP_ADD_N, (struct scree_i32s){n, many_zeros}, TW_EMPTY, NULL);
    return tw;
}

static struct tw *with_graph_inputs(uint32_t n)
{
    struct tw *tw = tw_new();

    tw_tensor(tw, "x", SCREE_TYPE_INT8, TW_SCALAR);
    tw_ports(tw, (struct scree_i32s){n, many_zeros}, TW_EMPTY);
    return tw;
}

static void test_keeps_its_limits(void **state)
{
    static const struct {
        struct tw *(*make)(uint32_t n);
        uint32_t most;
        const char *text;
    } rows[] = {
        {with_tensors, 65536, "65537 tensors, the limit is 65536"},
        {with_operators, 65536, "65537 operators, the limit is 65536"},
        {with_subgraphs, 64, "65 subgraphs, the limit is 64"},
        {with_inputs, 4096, "operator 0: ADD_N: 4097 inputs, the limit is 4096"},
        {with_graph_inputs, 4096, "4097 inputs, the limit is 4096"},
    };
    struct scree_error err;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(read_and_free(rows[i].make(rows[i].most), &err), 0);
        assert_int_equal(read_and_free(rows[i].make(rows[i].most + 1), &err), -E2BIG);
        assert_string_equal(err.text, rows[i].text);
    }
}

/* The reader allocates whole blocks. A description that must be copied shifts where one ends, so
 * that in the end each part of the graph is the one for which memory is out. */
static int read_with(size_t n_description, long n_allowed, struct scree_error *err)
{
    char description[4096];
    struct tw *tw = small_model();
    struct scree_graph graph = {0};
    const uint8_t *bytes;
    size_t n;
    int rc;

    memset(description, '\n', sizeof description);
    description[n_description] = '\0';
    tw_model(tw, description, 3);
    bytes = tw_finish(tw, &n);
    allowed = n_allowed;
    rc = scree_graph_read(bytes, n, &graph, err);
    allowed = -1;
    scree_graph_done(&graph);
    tw_free(tw);
    return rc;
}

static void test_each_allocation_fails_cleanly(void **state)
{
    (void)state;
    for (size_t n = 0; n < 4096; n += 16) {
        struct scree_error err;
        long n_allowed = 0;

        while (read_with(n, n_allowed, &err) < 0) {
            assert_non_null(strstr(err.text, "no memory for "));
            n_allowed++;
        }
        assert_true(n_allowed >= 1 && n_allowed <= 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_takes_what_tflite_takes),
        cmocka_unit_test(test_reads_quantization_as_it_is_meant),
        cmocka_unit_test(test_reads_int4_packed),
        cmocka_unit_test(test_reads_variables_and_open_dimensions),
        cmocka_unit_test(test_reads_operator_codes),
        cmocka_unit_test(test_reads_data_outside_the_flatbuffer),
        cmocka_unit_test(test_aligns_constants),
        cmocka_unit_test(test_makes_names_safe),
        cmocka_unit_test(test_reads_several_subgraphs),
        cmocka_unit_test(test_refuses_in_clear_words),
        cmocka_unit_test(test_refuses_a_model_of_nothing),
        cmocka_unit_test(test_refuses_what_is_no_model),
        cmocka_unit_test(test_keeps_its_limits),
        cmocka_unit_test(test_each_allocation_fails_cleanly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
