/* The reader: what it takes, what it refuses and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "model/reader.h"
#include "support/tflite_writer.h"

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
    int32_t in = tw_tensor(tw, "in", SCREE_TYPE_INT8, TW_SHAPE(1, 4, 4, 3));
    int32_t w =
        tw_constant(tw, "w", SCREE_TYPE_INT8, TW_SHAPE(2, 1, 1, 3), weights, sizeof weights);
    int32_t b = tw_constant(tw, "b", SCREE_TYPE_INT32, TW_SHAPE(2), bias, sizeof bias);
    int32_t out = tw_tensor(tw, "out", SCREE_TYPE_INT8, TW_SHAPE(1, 4, 2, 2));

    tw_model(tw, "a small model", 3);
    tw_quantize(tw, in, 0.1f, -5);
    tw_quantize_axis(tw, w, 0, 2, scales, zeros);
    tw_quantize(tw, out, 0.2f, 7);
    tw_node(tw, SCREE_OP_CONV_2D, TW_LIST(in, w, b), TW_LIST(out), &options);
    tw_ports(tw, TW_LIST(in), TW_LIST(out));
    tw_signature(tw, "serving_default", 0, &(struct tw_map){"image", 0}, 1,
                 &(struct tw_map){"score", 3}, 1);
    tw_metadata(tw, "min_runtime_version", "1.5.0", 6);
    return tw;
}

static void test_reads_what_was_written(void **state)
{
    struct tw *tw = small_model();
    struct scree_error err = {{0}};
    struct scree_graph graph;
    const struct scree_subgraph *main_graph;
    const struct scree_node *node;
    size_t n;
    const uint8_t *bytes = tw_finish(tw, &n);

    (void)state;
    if (scree_graph_read(bytes, n, &graph, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(graph.description, "a small model");
    assert_int_equal(graph.n_subgraphs, 1);
    main_graph = &graph.subgraphs[0];
    assert_int_equal(main_graph->n_tensors, 4);
    assert_string_equal(main_graph->tensors[1].name, "w");
    assert_int_equal(main_graph->tensors[1].quant.n, 2);
    assert_true(main_graph->tensors[1].quant.scale[1] == 0.25f);
    assert_int_equal(((const int32_t *)main_graph->tensors[2].data)[1], -100);
    node = &main_graph->nodes[0];
    assert_int_equal(node->opcode, SCREE_OP_CONV_2D);
    assert_true(node->has_options);
    assert_int_equal(node->options.conv2d.stride_w, 2);
    assert_int_equal(node->options.conv2d.activation, SCREE_ACTIVATION_RELU6);
    assert_string_equal(graph.signatures[0].outputs[0].name, "score");
    assert_string_equal(graph.metadata[0].name, "min_runtime_version");
    scree_graph_done(&graph);
    tw_free(tw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
