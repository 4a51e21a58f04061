/* What a delegate is offered: one convolution that Teflon computes right, and for each row of the
 * guard's table the change that makes it a case of that row; and how Mesa cuts convolutions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "delegate/check.h"
#include "delegate/guard.h"
#include "delegate/split.h"

enum { IN, WEIGHTS, BIAS, OUT, N_TENSORS };

/* 3x3, stride 1, SAME, 16 channels to 32 on 20x20, uint8, RELU6. */
struct graph {
    struct scree_subgraph subgraph;
    struct scree_node node;
    struct scree_tensor_def tensors[N_TENSORS];
    float scales[N_TENSORS][2];
    int32_t zero_points[N_TENSORS][2];
    int32_t inputs[3], output;
};

static void set_tensor(struct graph *graph, int index, enum scree_type type,
                       struct scree_shape shape, float scale, int32_t zero_point)
{
    static const uint8_t some_data[1];

    for (int i = 0; i < 2; i++) {
        graph->scales[index][i] = scale;
        graph->zero_points[index][i] = zero_point;
    }
    graph->tensors[index] = (struct scree_tensor_def){
        .name = "",
        .type = type,
        .shape = shape,
        .quant = {1, graph->scales[index], graph->zero_points[index], 0},
        .data = index == WEIGHTS || index == BIAS ? some_data : NULL,
    };
}

#define SHAPE4(a, b, c, d)                       \
    (struct scree_shape)                         \
    {                                            \
        .rank = 4, .dims = {(a), (b), (c), (d) } \
    }

static void make(struct graph *graph)
{
    memset(graph, 0, sizeof *graph);
    set_tensor(graph, IN, SCREE_TYPE_UINT8, SHAPE4(1, 20, 20, 16), 0.02f, 0);
    set_tensor(graph, WEIGHTS, SCREE_TYPE_UINT8, SHAPE4(32, 3, 3, 16), 0.01f, 120);
    set_tensor(graph, BIAS, SCREE_TYPE_INT32, (struct scree_shape){.rank = 1, .dims = {32}},
               0.0002f, 0);
    set_tensor(graph, OUT, SCREE_TYPE_UINT8, SHAPE4(1, 20, 20, 32), 0.0235f, 0);
    graph->inputs[0] = IN;
    graph->inputs[1] = WEIGHTS;
    graph->inputs[2] = BIAS;
    graph->output = OUT;
    graph->node = (struct scree_node){
        .opcode = SCREE_OP_CONV_2D,
        .version = 1,
        .n_inputs = 3,
        .n_outputs = 1,
        .inputs = graph->inputs,
        .outputs = &graph->output,
        .options.conv2d = {.stride_w = 1,
                           .stride_h = 1,
                           .dilation_w = 1,
                           .dilation_h = 1,
                           .activation = SCREE_ACTIVATION_RELU6},
    };
    graph->subgraph = (struct scree_subgraph){
        .n_tensors = N_TENSORS, .n_nodes = 1, .tensors = graph->tensors, .nodes = &graph->node};
}

/* Height, width and channels of input and output. */
static void resize(struct graph *graph, int32_t in_side, int32_t in_c, int32_t out_side,
                   int32_t out_c)
{
    graph->tensors[IN].shape = SHAPE4(1, in_side, in_side, in_c);
    graph->tensors[OUT].shape = SHAPE4(1, out_side, out_side, out_c);
    graph->tensors[WEIGHTS].shape.dims[0] = out_c;
    graph->tensors[WEIGHTS].shape.dims[3] = in_c;
}

static void make_depthwise(struct graph *graph)
{
    graph->node.opcode = SCREE_OP_DEPTHWISE_CONV_2D;
    graph->node.options.depthwise_conv2d =
        (struct scree_depthwise_conv2d_options){.stride_w = 1,
                                                .stride_h = 1,
                                                .depth_multiplier = 1,
                                                .dilation_w = 1,
                                                .dilation_h = 1,
                                                .activation = SCREE_ACTIVATION_RELU6};
    graph->tensors[WEIGHTS].shape = SHAPE4(1, 3, 3, 16);
    graph->tensors[OUT].shape = SHAPE4(1, 20, 20, 16);
}

static void make_int8(struct graph *graph)
{
    static const int tensors[] = {IN, WEIGHTS, OUT};

    for (size_t i = 0; i < 3; i++) {
        graph->tensors[tensors[i]].type = SCREE_TYPE_INT8;
        graph->zero_points[tensors[i]][0] -= 128;
        graph->zero_points[tensors[i]][1] -= 128;
    }
}

/* ---- one function a row ------------------------------------------------------------------------
 */

static void is_add(struct graph *g)
{
    g->node.opcode = SCREE_OP_ADD;
}

static void has_odd_shape(struct graph *g)
{
    g->tensors[IN].shape.rank = 3;
}

static void has_batch(struct graph *g)
{
    g->tensors[IN].shape.dims[0] = 2;
}

static void has_other_type(struct graph *g)
{
    g->tensors[IN].type = SCREE_TYPE_FLOAT32;
    g->tensors[WEIGHTS].type = SCREE_TYPE_FLOAT32;
    g->tensors[OUT].type = SCREE_TYPE_FLOAT32;
}

static void has_variable_weights(struct graph *g)
{
    g->tensors[WEIGHTS].data = NULL;
}

static void has_no_bias(struct graph *g)
{
    g->node.n_inputs = 2;
}

static void is_not_quantized(struct graph *g)
{
    g->tensors[OUT].quant.n = 0;
}

static void has_scales_per_channel(struct graph *g)
{
    g->tensors[WEIGHTS].quant.n = 2;
    g->scales[WEIGHTS][1] *= 2;
}

static void is_not_square(struct graph *g)
{
    g->tensors[IN].shape.dims[1] = 24;
    g->tensors[OUT].shape.dims[1] = 24;
}

static void has_other_size(struct graph *g)
{
    g->node.options.conv2d.padding = SCREE_PADDING_VALID;
}

static void has_unequal_strides(struct graph *g)
{
    g->node.options.conv2d.stride_w = 2;
}

static void is_dilated(struct graph *g)
{
    g->node.options.conv2d.dilation_h = 2;
    g->node.options.conv2d.dilation_w = 2;
}

static void has_other_activation(struct graph *g)
{
    g->node.options.conv2d.activation = SCREE_ACTIVATION_TANH;
}

static void has_relu_inside(struct graph *g)
{
    g->node.options.conv2d.activation = SCREE_ACTIVATION_RELU;
    g->zero_points[OUT][0] = 3;
}

static void has_relu6_inside(struct graph *g)
{
    g->scales[OUT][0] = 0.05f;
}

static void has_one_channel(struct graph *g)
{
    resize(g, 20, 1, 20, 8);
}

static void has_groups(struct graph *g)
{
    g->tensors[WEIGHTS].shape.dims[3] = 8;
}

static void is_too_large(struct graph *g)
{
    resize(g, 20, 8208, 20, 16);
}

static void has_odd_padding(struct graph *g)
{
    g->zero_points[IN][0] = 0x90;
}

static void has_odd_scale(struct graph *g)
{
    g->scales[IN][0] = 1.0f;
    g->scales[WEIGHTS][0] = 0.99999f; /* all of its first 14 bits are ones */
    g->scales[OUT][0] = 1.0f;
    g->node.options.conv2d.activation = SCREE_ACTIVATION_NONE;
}

static void does_not_fit(struct graph *g)
{
    /* A row takes all of a bank: 7 to 10 rows for a kernel of 31. */
    resize(g, 256, 64, 256, 2);
    g->tensors[WEIGHTS].shape.dims[1] = g->tensors[WEIGHTS].shape.dims[2] = 31;
}

static void is_cut_with_large_weights(struct graph *g)
{
    resize(g, 56, 256, 56, 256);
}

static const struct {
    const char *name;
    void (*change)(struct graph *graph);
} changes[] = {
#define CHANGE(name) \
    {                \
#name, name  \
    }
    CHANGE(is_add),
    CHANGE(has_odd_shape),
    CHANGE(has_batch),
    CHANGE(has_other_type),
    CHANGE(has_variable_weights),
    CHANGE(has_no_bias),
    CHANGE(is_not_quantized),
    CHANGE(has_scales_per_channel),
    CHANGE(is_not_square),
    CHANGE(has_other_size),
    CHANGE(has_unequal_strides),
    CHANGE(is_dilated),
    CHANGE(has_other_activation),
    CHANGE(has_relu_inside),
    CHANGE(has_relu6_inside),
    CHANGE(has_one_channel),
    CHANGE(has_groups),
    CHANGE(is_too_large),
    CHANGE(has_odd_padding),
    CHANGE(has_odd_scale),
    CHANGE(does_not_fit),
    CHANGE(is_cut_with_large_weights),
};

#define N_CHANGES (sizeof changes / sizeof changes[0])

static void test_each_row_has_a_case(void **state)
{
    uint32_t n_rules;
    const struct scree_guard_rule *rules = scree_guard_rules(&n_rules);

    (void)state;
    assert_int_equal(n_rules, N_CHANGES);
    for (uint32_t i = 0; i < n_rules; i++) {
        static const uint32_t versions[] = {0, SCREE_MESA(25, 3), SCREE_MESA(26, 2),
                                            SCREE_MESA(30, 0)};
        size_t k = 0;

        while (k < N_CHANGES && strcmp(changes[k].name, rules[i].name) != 0)
            k++;
        assert_true(k < N_CHANGES);
        for (size_t v = 0; v < sizeof versions / sizeof versions[0]; v++) {
            struct graph graph;
            const char *reason;

            make(&graph);
            changes[k].change(&graph);
            reason = scree_guard_check(&graph.subgraph, 0, versions[v]);
            if (!reason)
                fail_msg("%s is offered", rules[i].name);
            assert_string_equal(reason, rules[i].reason);
        }
    }
}

static const char *check(struct graph *graph)
{
    return scree_guard_check(&graph->subgraph, 0, SCREE_MESA(26, 2));
}

static void test_what_is_right_is_offered(void **state)
{
    struct graph graph;

    (void)state;
    make(&graph);
    assert_null(check(&graph));
    make_int8(&graph);
    assert_null(check(&graph));
    make(&graph);
    make_depthwise(&graph);
    assert_null(check(&graph));
    make_int8(&graph);
    assert_null(check(&graph));
    make(&graph);
    graph.node.options.conv2d.activation = SCREE_ACTIVATION_NONE;
    graph.zero_points[OUT][0] = 77;
    assert_null(check(&graph));
    make(&graph);
    graph.tensors[WEIGHTS].quant.n = 2; /* two scales, the same */
    assert_null(check(&graph));
    make(&graph);
    graph.zero_points[IN][0] = 0x80;
    assert_null(check(&graph));
    make(&graph);
    make_depthwise(&graph);
    graph.zero_points[IN][0] = 0x8b;
    assert_null(check(&graph));
    make(&graph);
    graph.zero_points[IN][0] = 0x90; /* odd, but nothing is padded */
    graph.node.options.conv2d.padding = SCREE_PADDING_VALID;
    graph.tensors[OUT].shape = SHAPE4(1, 18, 18, 32);
    assert_null(check(&graph));
}

static void test_what_is_left_to_the_cpu_for_other_reasons(void **state)
{
    struct graph graph;

    (void)state;
    make(&graph);
    graph.node.opcode = SCREE_OP_SOFTMAX;
    assert_string_equal(check(&graph), "delegates are offered convolutions only");
    make(&graph);
    assert_string_equal(scree_guard_check(&graph.subgraph, 0, SCREE_MESA(25, 2)),
                        "Mesa before 25.3 has no driver for the NPU");
    make_depthwise(&graph);
    resize(&graph, 20, 16, 20, 32);
    graph.tensors[WEIGHTS].shape = SHAPE4(1, 3, 3, 32);
    assert_string_equal(check(&graph), "Teflon knows no groups and no depth multiplier");
}

/* Tasks as Mesa 26.2 submitted them for convolutions of these sizes. */
static void test_convolutions_are_cut_as_mesa_cuts_them(void **state)
{
    static const struct {
        int32_t side, in_c, out_c, kernel, stride;
        bool depthwise;
        uint32_t n_tasks;
        bool keeps_weights;
    } cases[] = {
        {16, 16, 16, 3, 1, false, 1, true},    {224, 3, 32, 3, 2, false, 3, true},
        {112, 64, 64, 3, 1, false, 3, true},   {28, 256, 256, 3, 1, false, 1, false},
        {56, 256, 256, 3, 1, false, 4, false}, {112, 32, 32, 3, 1, true, 2, true},
        {14, 512, 512, 1, 1, false, 2, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct graph graph;
        struct scree_split split;

        make(&graph);
        resize(&graph, cases[i].side, cases[i].in_c, cases[i].side, cases[i].out_c);
        graph.tensors[WEIGHTS].shape.dims[1] = graph.tensors[WEIGHTS].shape.dims[2] =
            cases[i].kernel;
        graph.node.options.conv2d.stride_w = graph.node.options.conv2d.stride_h = cases[i].stride;
        if (cases[i].depthwise) {
            make_depthwise(&graph);
            graph.tensors[IN].shape = SHAPE4(1, cases[i].side, cases[i].side, cases[i].in_c);
            graph.tensors[WEIGHTS].shape = SHAPE4(1, 3, 3, cases[i].in_c);
        }
        split = scree_split_conv(&graph.subgraph, &graph.node);
        if (split.n_tasks != cases[i].n_tasks || split.keeps_weights != cases[i].keeps_weights)
            fail_msg("case %zu: %u tasks, keeps weights %d", i, split.n_tasks, split.keeps_weights);
    }
}

/* ---- the check of runs -------------------------------------------------------------------------
 */

static enum scree_delegate_end judge(struct scree_run_check *c, uint8_t in, const uint8_t *wanted,
                                     size_t n, size_t n_written,
                                     const struct scree_delegate_measure *measure)
{
    uint8_t out[1024];

    assert_true(n <= sizeof out);
    scree_check_begin(c);
    scree_check_input(c, &in, 1);
    scree_check_fill(c, out, n);
    memcpy(out, wanted, n_written);
    scree_check_output(c, out, n);
    return scree_check_end(c, measure);
}

static void test_runs_are_judged(void **state)
{
    struct scree_run_check c = {.expected = {.run_ns = 20000000, .interrupts = 28}};
    const struct scree_delegate_measure good = {20000000, 28}, late = {530000000, 29};
    const struct scree_delegate_measure slow = {300000000, 29}, lost = {20000000, 27};
    const struct scree_delegate_measure busy = {900000000, 28};
    uint8_t a[1024], b[1024];

    (void)state;
    for (size_t i = 0; i < sizeof a; i++) {
        a[i] = (uint8_t)(i * 7);
        b[i] = (uint8_t)(i * 11);
    }
    assert_int_equal(judge(&c, 1, a, 1024, 1024, &good), SCREE_DELEGATE_OK);
    assert_int_equal(judge(&c, 1, a, 1024, 1024, &good), SCREE_DELEGATE_OK); /* the same input */
    assert_int_equal(judge(&c, 2, a, 1024, 1024, &good), SCREE_DELEGATE_STALE);
    assert_int_equal(judge(&c, 2, a, 1024, 1024, &good), SCREE_DELEGATE_STALE);
    scree_check_trust(&c);
    assert_int_equal(judge(&c, 2, a, 1024, 1024, &good), SCREE_DELEGATE_OK);
    assert_int_equal(judge(&c, 3, a, 1024, 1024, &good), SCREE_DELEGATE_STALE);
    assert_int_equal(judge(&c, 2, b, 1024, 1024, &good), SCREE_DELEGATE_OK);
    assert_int_equal(judge(&c, 3, a, 1024, 1024, &late), SCREE_DELEGATE_LATE);
    assert_int_equal(judge(&c, 3, a, 1024, 1024, &slow), SCREE_DELEGATE_OK);
    assert_int_equal(judge(&c, 4, b, 1024, 1024, &busy), SCREE_DELEGATE_OK);
    assert_int_equal(judge(&c, 5, a, 1024, 1024, &lost), SCREE_DELEGATE_LOST);
    assert_int_equal(judge(&c, 4, b, 1024, 0, &good), SCREE_DELEGATE_UNTOUCHED);
    assert_int_equal(judge(&c, 4, b, 1024, 1000, &good), SCREE_DELEGATE_UNTOUCHED);
    assert_int_equal(judge(&c, 4, b, 1001, 1001, &good), SCREE_DELEGATE_OK);
    for (size_t n = 1; n < 40; n++) {
        assert_int_equal(judge(&c, 5, b, n, 0, &good), SCREE_DELEGATE_UNTOUCHED);
        assert_int_equal(judge(&c, 6, b, n, n, &good), SCREE_DELEGATE_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_row_has_a_case),
        cmocka_unit_test(test_what_is_right_is_offered),
        cmocka_unit_test(test_what_is_left_to_the_cpu_for_other_reasons),
        cmocka_unit_test(test_convolutions_are_cut_as_mesa_cuts_them),
        cmocka_unit_test(test_runs_are_judged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
