/* The planner: places in the arena, folding, fusing, views, shapes that are known late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/convert.h"
#include "kernels/kernels.h"
#include "model/reader.h"
#include "ops/ops.h"
#include "plan/place.h"
#include "plan/plan.h"
#include "support/tflite_writer.h"

/* ---- place -------------------------------------------------------------------------------------
 */

#define N_BLOCKS 200

static uint32_t next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void check_disjoint(const struct scree_block *blocks, uint32_t n, size_t total)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(blocks[i].offset % 64, 0);
        assert_true(blocks[i].offset + blocks[i].bytes <= total);
        for (uint32_t k = 0; k < i; k++) {
            const struct scree_block *a = &blocks[i], *b = &blocks[k];
            bool same_time = a->first <= b->last && b->first <= a->last;
            bool same_place = a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;

            assert_false(same_time && same_place && a->bytes && b->bytes);
        }
    }
}

static void test_blocks_alive_together_do_not_overlap(void **state)
{
    struct scree_block blocks[N_BLOCKS];
    uint32_t order[N_BLOCKS], placed[N_BLOCKS], seed = 1;

    (void)state;
    for (int round = 0; round < 100; round++) {
        size_t total;

        for (int i = 0; i < N_BLOCKS; i++) {
            uint32_t first = next_number(&seed) % 100;

            blocks[i] = (struct scree_block){next_number(&seed) % 5000, first,
                                             first + next_number(&seed) % 20, 0};
        }
        total = scree_place(blocks, N_BLOCKS, SIZE_MAX / 2, order, placed);
        assert_true(total != SIZE_MAX);
        check_disjoint(blocks, N_BLOCKS, total);
    }
}

static void test_a_chain_needs_two_places(void **state)
{
    struct scree_block blocks[] = {{640, 0, 1, 0}, {640, 1, 2, 0}, {640, 2, 3, 0}, {640, 3, 4, 0}};
    uint32_t order[4], placed[4];

    (void)state;
    assert_int_equal(scree_place(blocks, 4, 10000, order, placed), 1280);
    assert_int_equal(scree_place(blocks, 4, 1279, order, placed), SIZE_MAX);
}

/* ---- plans -------------------------------------------------------------------------------------
 */

static struct scree_kernels kernels;
static const struct scree_op_set ops = {scree_op_find, scree_op_prepare, scree_op_run, &kernels};

struct planned {
    struct tw *tw;
    struct scree_graph graph;
    struct scree_plan plan;
    struct scree_error err;
};

/* Reads what the writer holds and plans it. */
static int plan_it(struct planned *planned, const struct scree_shape *shapes)
{
    size_t n_bytes;
    const uint8_t *bytes = tw_finish(planned->tw, &n_bytes);

    scree_kernels_init(&kernels, 0);
    assert_int_equal(scree_graph_read(bytes, n_bytes, &planned->graph, &planned->err), 0);
    return scree_plan_new(&planned->graph.subgraphs[0], &ops, shapes, &planned->plan,
                          &planned->err);
}

static void done(struct planned *planned)
{
    scree_plan_done(&planned->plan);
    scree_graph_done(&planned->graph);
    tw_free(planned->tw);
}

static void test_constants_are_folded(void **state)
{
    static const float values[] = {1, 2, 3, 4}, more[] = {10, 20, 30, 40};
    struct planned p = {.tw = tw_new()};
    int32_t a = tw_constant(p.tw, "a", SCREE_TYPE_FLOAT32, TW_SHAPE(4), values, sizeof values);
    int32_t b = tw_constant(p.tw, "b", SCREE_TYPE_FLOAT32, TW_SHAPE(4), more, sizeof more);
    int32_t sum = tw_tensor(p.tw, "sum", SCREE_TYPE_FLOAT32, TW_SHAPE(4));
    int32_t in = tw_tensor(p.tw, "in", SCREE_TYPE_FLOAT32, TW_SHAPE(4));
    int32_t out = tw_tensor(p.tw, "out", SCREE_TYPE_FLOAT32, TW_SHAPE(4));

    (void)state;
    tw_node(p.tw, SCREE_OP_ADD, TW_LIST(a, b), TW_LIST(sum), NULL);
    tw_node(p.tw, SCREE_OP_ADD, TW_LIST(sum, in), TW_LIST(out), NULL);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(out));
    assert_int_equal(plan_it(&p, NULL), 0);
    assert_int_equal(p.plan.steps[0].kind, SCREE_STEP_FOLDED);
    assert_int_equal(p.plan.steps[1].kind, SCREE_STEP_RUN);
    assert_true(p.plan.operands[sum].constant);
    assert_float_equal(((const float *)p.plan.operands[sum].data)[3], 44, 0);
    assert_int_equal(p.plan.constants_bytes, 16);
    assert_int_equal(p.plan.offsets[sum], SCREE_NOT_IN_ARENA);
    done(&p);
}

/* An operator set whose FULLY_CONNECTED has packed its weights and its bias. */
static int prepare_packing(struct scree_call *call, struct scree_error *err)
{
    int rc = scree_op_prepare(call, err);

    if (call->node->opcode == SCREE_OP_FULLY_CONNECTED)
        call->consumed = 1u << 1 | 1u << 2;
    return rc;
}

struct told {
    int n;
    const void *bytes;
    size_t n_bytes;
};

static void note_consumed(void *arg, const void *bytes, size_t n_bytes)
{
    struct told *told = arg;

    *told = (struct told){told->n + 1, bytes, n_bytes};
}

static void test_consumed_constants_of_the_file_are_told(void **state)
{
    static const float weights[6] = {1, 2, 3, 4, 5, 6}, zeros[2] = {0, 0};
    struct told told = {0};
    const struct scree_op_set packing = {scree_op_find, prepare_packing, scree_op_run,
                                         &kernels,      note_consumed,   &told};
    struct planned p = {.tw = tw_new()};
    int32_t in = tw_tensor(p.tw, "in", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 3));
    int32_t w = tw_constant(p.tw, "w", SCREE_TYPE_FLOAT32, TW_SHAPE(2, 3), weights, sizeof weights);
    int32_t a = tw_constant(p.tw, "a", SCREE_TYPE_FLOAT32, TW_SHAPE(2), zeros, sizeof zeros);
    int32_t sum = tw_tensor(p.tw, "sum", SCREE_TYPE_FLOAT32, TW_SHAPE(2));
    int32_t out = tw_tensor(p.tw, "out", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 2));
    const uint8_t *bytes;
    size_t n_bytes;

    (void)state;
    tw_node(p.tw, SCREE_OP_ADD, TW_LIST(a, a), TW_LIST(sum), NULL);
    tw_node(p.tw, SCREE_OP_FULLY_CONNECTED, TW_LIST(in, w, sum), TW_LIST(out), NULL);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(out));
    scree_kernels_init(&kernels, 0);
    bytes = tw_finish(p.tw, &n_bytes);
    assert_int_equal(scree_graph_read(bytes, n_bytes, &p.graph, &p.err), 0);
    assert_int_equal(scree_plan_new(&p.graph.subgraphs[0], &packing, NULL, &p.plan, &p.err), 0);
    /* The bias is one that the plan has computed: not the file's. */
    assert_int_equal(told.n, 1);
    assert_ptr_equal(told.bytes, p.graph.subgraphs[0].tensors[w].data);
    assert_int_equal(told.n_bytes, sizeof weights);
    done(&p);
}

/* ADD, then RELU6, with these scales; `extra` reads the sum once more. */
static void make_relu(struct planned *p, float sum_scale, float out_scale, bool extra)
{
    int32_t in = tw_tensor(p->tw, "in", SCREE_TYPE_INT8, TW_SHAPE(2, 3));
    int32_t sum = tw_tensor(p->tw, "sum", SCREE_TYPE_INT8, TW_SHAPE(2, 3));
    int32_t out = tw_tensor(p->tw, "out", SCREE_TYPE_INT8, TW_SHAPE(2, 3));

    tw_quantize(p->tw, in, 0.1f, 3);
    tw_quantize(p->tw, sum, sum_scale, -7);
    tw_quantize(p->tw, out, out_scale, -7);
    tw_node(p->tw, SCREE_OP_ADD, TW_LIST(in, in), TW_LIST(sum), NULL);
    tw_node(p->tw, SCREE_OP_RELU6, TW_LIST(sum), TW_LIST(out), NULL);
    if (extra)
        tw_ports(p->tw, TW_LIST(in), TW_LIST(out, sum));
    else
        tw_ports(p->tw, TW_LIST(in), TW_LIST(out));
}

static void test_an_activation_is_fused_only_where_exact(void **state)
{
    static const struct {
        float sum_scale, out_scale;
        bool extra;
        enum scree_step_kind kind;
    } cases[] = {
        {0.05f, 0.05f, false, SCREE_STEP_FUSED},
        {0.05f, 0.06f, false, SCREE_STEP_RUN}, /* it also rescales */
        {0.05f, 0.05f, true, SCREE_STEP_RUN},  /* somebody else wants the sum */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct planned p = {.tw = tw_new()};

        make_relu(&p, cases[i].sum_scale, cases[i].out_scale, cases[i].extra);
        assert_int_equal(plan_it(&p, NULL), 0);
        assert_int_equal(p.plan.steps[1].kind, cases[i].kind);
        done(&p);
    }
}

/* DEQUANTIZE of uint8, then QUANTIZE to `type`. Returns the result for each byte. */
static void round_trip(enum scree_type type, float scale, int64_t zero_point, uint8_t *results,
                       enum scree_step_kind *ret_kinds)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = tw_tensor(p.tw, "in", SCREE_TYPE_UINT8, TW_SHAPE(256));
    int32_t real = tw_tensor(p.tw, "real", SCREE_TYPE_FLOAT32, TW_SHAPE(256));
    int32_t mid = tw_tensor(p.tw, "mid", type, TW_SHAPE(256));
    int32_t out = tw_tensor(p.tw, "out", type, TW_SHAPE(256, 1));
    const struct scree_call *quantize;
    uint8_t bytes[256];

    tw_quantize(p.tw, in, 0.1f, 3);
    tw_quantize(p.tw, mid, scale, zero_point);
    tw_quantize(p.tw, out, scale, zero_point);
    tw_node(p.tw, SCREE_OP_DEQUANTIZE, TW_LIST(in), TW_LIST(real), NULL);
    tw_node(p.tw, SCREE_OP_QUANTIZE, TW_LIST(real), TW_LIST(mid), NULL);
    tw_node(p.tw, SCREE_OP_RESHAPE, TW_LIST(mid), TW_LIST(out),
            &(union scree_options){.reshape = {.new_shape = TW_LIST(256, 1)}});
    tw_ports(p.tw, TW_LIST(in), TW_LIST(out));
    assert_int_equal(plan_it(&p, NULL), 0);
    quantize = &p.plan.steps[1].call;
    assert_ptr_equal(quantize->inputs[0], &p.plan.operands[in]);
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    quantize->inputs[0]->data = bytes;
    quantize->outputs[0]->data = results;
    assert_int_equal(scree_op_run(quantize, &p.err), 0);
    ret_kinds[0] = p.plan.steps[0].kind;
    ret_kinds[1] = p.plan.steps[1].kind;
    done(&p);
}

static void test_floats_in_between_are_left_out(void **state)
{
    const struct scree_scale scales[] = {{0.1f, 3}, {0.07f, -5}};
    enum scree_step_kind kinds[2];
    uint8_t bytes[256], results[256];
    float floats[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    scree_dequantize_u8(floats, (const void *const[]){bytes}, (const size_t[]){1}, 256, &scales[0]);
    scree_quantize_i8(bytes, (const void *const[]){floats}, (const size_t[]){1}, 256, &scales[1]);
    round_trip(SCREE_TYPE_INT8, 0.07f, -5, results, kinds);
    assert_memory_equal(results, bytes, 256);
    assert_int_equal(kinds[0], SCREE_STEP_FUSED);
    assert_int_equal(kinds[1], SCREE_STEP_RUN);

    /* To the same numbers and back: nothing is left to do. */
    round_trip(SCREE_TYPE_UINT8, 0.1f, 3, results, kinds);
    for (int i = 0; i < 256; i++)
        assert_int_equal(results[i], i);
    assert_int_equal(kinds[0], SCREE_STEP_FUSED);
    assert_int_equal(kinds[1], SCREE_STEP_VIEW);
}

static void test_a_reshape_shares_memory(void **state)
{
    static const int32_t shape[] = {3, -1};
    struct planned p = {.tw = tw_new()};
    int32_t in = tw_tensor(p.tw, "in", SCREE_TYPE_FLOAT32, TW_SHAPE(2, 3));
    int32_t sum = tw_tensor(p.tw, "sum", SCREE_TYPE_FLOAT32, TW_SHAPE(2, 3));
    int32_t to = tw_constant(p.tw, "to", SCREE_TYPE_INT32, TW_SHAPE(2), shape, sizeof shape);
    int32_t out = tw_tensor(p.tw, "out", SCREE_TYPE_FLOAT32, TW_SHAPE(3, 2));

    (void)state;
    tw_node(p.tw, SCREE_OP_ADD, TW_LIST(in, in), TW_LIST(sum), NULL);
    tw_node(p.tw, SCREE_OP_RESHAPE, TW_LIST(sum, to), TW_LIST(out), NULL);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(out));
    assert_int_equal(plan_it(&p, NULL), 0);
    assert_int_equal(p.plan.steps[1].kind, SCREE_STEP_VIEW);
    assert_int_equal(p.plan.offsets[sum], p.plan.offsets[out]);
    assert_int_not_equal(p.plan.offsets[in], p.plan.offsets[out]);
    assert_int_equal(p.plan.operands[out].shape.dims[1], 2);
    done(&p);
}

static void test_a_shape_from_an_input_is_deferred(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = tw_tensor(p.tw, "in", SCREE_TYPE_FLOAT32, TW_SHAPE(6));
    int32_t to = tw_tensor(p.tw, "to", SCREE_TYPE_INT32, TW_SHAPE(2));
    int32_t mid = tw_tensor(p.tw, "mid", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 1));
    int32_t out = tw_tensor(p.tw, "out", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 1));

    (void)state;
    tw_node(p.tw, SCREE_OP_RESHAPE, TW_LIST(in, to), TW_LIST(mid), NULL);
    tw_node(p.tw, SCREE_OP_ADD, TW_LIST(mid, mid), TW_LIST(out), NULL);
    tw_ports(p.tw, TW_LIST(in, to), TW_LIST(out));
    assert_int_equal(plan_it(&p, NULL), 0);
    assert_int_equal(p.plan.steps[0].kind, SCREE_STEP_DEFERRED);
    assert_int_equal(p.plan.steps[1].kind, SCREE_STEP_DEFERRED);
    assert_true(p.plan.operands[out].dynamic);
    done(&p);
}

static void test_inputs_take_other_shapes(void **state)
{
    const struct scree_shape bigger = TW_SHAPE(5, 7), bad = TW_SHAPE(-2, 7);
    struct planned p = {.tw = tw_new()};
    int32_t in = tw_tensor(p.tw, "in", SCREE_TYPE_FLOAT32, TW_SHAPE(2, 3));
    int32_t out = tw_tensor(p.tw, "out", SCREE_TYPE_FLOAT32, TW_SHAPE(2, 3));

    (void)state;
    tw_node(p.tw, SCREE_OP_ADD, TW_LIST(in, in), TW_LIST(out), NULL);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(out));
    assert_int_equal(plan_it(&p, &bigger), 0);
    assert_true(scree_shape_equal(&p.plan.operands[out].shape, &bigger));
    scree_plan_done(&p.plan);
    assert_int_equal(scree_plan_new(&p.graph.subgraphs[0], &ops, &bad, &p.plan, &p.err), -EINVAL);
    assert_string_equal(p.err.text, "input 0: dimension 0 is -2");
    done(&p);
}

static void test_an_arena_over_the_limit_is_refused(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = tw_tensor(p.tw, "in", SCREE_TYPE_INT64, TW_SHAPE(600000000));
    int32_t out = tw_tensor(p.tw, "out", SCREE_TYPE_INT64, TW_SHAPE(600000000));

    (void)state;
    tw_node(p.tw, SCREE_OP_ADD, TW_LIST(in, in), TW_LIST(out), NULL);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(out));
    assert_int_equal(plan_it(&p, NULL), -E2BIG);
    assert_string_equal(p.err.text, "the model's activations need over 4096 MiB");
    done(&p);
}

static void test_strides_of_empty_tensors_fit(void **state)
{
    const struct scree_shape empty = TW_SHAPE(0, 65536, 65536), small = TW_SHAPE(0, 65536, 32767);
    struct scree_operand operand = {.type = SCREE_TYPE_INT64};
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_operand_set_shape(&operand, &empty, &err), -E2BIG);
    assert_int_equal(scree_operand_set_shape(&operand, &small, &err), 0);
    assert_int_equal(operand.n_elements, 0);
    assert_int_equal(operand.bytes, 0);
}

static void test_what_is_not_supported_is_named(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = tw_tensor(p.tw, "in", SCREE_TYPE_FLOAT32, TW_SHAPE(2));
    int32_t out = tw_tensor(p.tw, "out", SCREE_TYPE_FLOAT32, TW_SHAPE(2));

    (void)state;
    tw_node(p.tw, SCREE_OP_RFFT2D, TW_LIST(in), TW_LIST(out), NULL);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(out));
    assert_int_equal(plan_it(&p, NULL), -ENOTSUP);
    assert_string_equal(p.err.text, "operator 0: RFFT2D version 1 is not supported");
    done(&p);
}

static void test_types_that_do_not_go_together_are_named(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = tw_tensor(p.tw, "in", SCREE_TYPE_FLOAT32, TW_SHAPE(2));
    int32_t other = tw_tensor(p.tw, "other", SCREE_TYPE_INT32, TW_SHAPE(2));
    int32_t out = tw_tensor(p.tw, "out", SCREE_TYPE_FLOAT32, TW_SHAPE(2));

    (void)state;
    tw_node(p.tw, SCREE_OP_ADD, TW_LIST(in, other), TW_LIST(out), NULL);
    tw_ports(p.tw, TW_LIST(in, other), TW_LIST(out));
    assert_int_equal(plan_it(&p, NULL), -ENOTSUP);
    assert_string_equal(p.err.text, "operator 0: ADD version 1: (float32, int32) to (float32) is "
                                    "not supported");
    done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_alive_together_do_not_overlap),
        cmocka_unit_test(test_a_chain_needs_two_places),
        cmocka_unit_test(test_constants_are_folded),
        cmocka_unit_test(test_consumed_constants_of_the_file_are_told),
        cmocka_unit_test(test_an_activation_is_fused_only_where_exact),
        cmocka_unit_test(test_floats_in_between_are_left_out),
        cmocka_unit_test(test_a_reshape_shares_memory),
        cmocka_unit_test(test_a_shape_from_an_input_is_deferred),
        cmocka_unit_test(test_inputs_take_other_shapes),
        cmocka_unit_test(test_an_arena_over_the_limit_is_refused),
        cmocka_unit_test(test_strides_of_empty_tensors_fit),
        cmocka_unit_test(test_what_is_not_supported_is_named),
        cmocka_unit_test(test_types_that_do_not_go_together_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
