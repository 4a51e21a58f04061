/* PAD that a convolution takes over: where it may, and that results are those of PAD by itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"
#include "model/reader.h"
#include "ops/ops.h"
#include "plan/plan.h"
#include "support/tflite_writer.h"

static struct scree_kernels kernels;
static const struct scree_op_set ops = {
    .find = scree_op_find, .prepare = scree_op_prepare, .run = scree_op_run, .kernels = &kernels};

#define MAX_RESULTS 4000

/* PAD, then a convolution of a 3x3 filter. */
struct padded {
    const char *what;
    bool taken; /* what is expected */
    enum scree_type type;
    bool is_depthwise, same;
    int32_t stride, dilation;
    int32_t paddings[8];
    int64_t pad_zero_point; /* of PAD's output; the input's is 5 */
    bool read_twice;
    enum scree_type weights;
};

#define U8 SCREE_TYPE_UINT8
#define I8 SCREE_TYPE_INT8
#define F  SCREE_TYPE_FLOAT32

static const struct padded cases[] = {
    {"valid", true, U8, false, false, 2, 1, {0, 0, 1, 1, 1, 1, 0, 0}, 5, false, U8},
    {"one side", true, I8, false, false, 2, 1, {0, 0, 0, 1, 0, 1, 0, 0}, 5, false, I8},
    {"as much as can be", true, I8, false, false, 1, 1, {0, 0, 2, 2, 2, 1, 0, 0}, 5, false, I8},
    {"a row too much", false, I8, false, false, 1, 1, {0, 0, 3, 2, 2, 2, 0, 0}, 5, false, I8},
    {"depthwise", true, I8, true, false, 2, 1, {0, 0, 1, 2, 0, 1, 0, 0}, 5, false, I8},
    {"depthwise of uint8", true, U8, true, false, 1, 1, {0, 0, 2, 0, 1, 1, 0, 0}, 5, false, U8},
    {"same", true, U8, false, true, 2, 1, {0, 0, 0, 1, 0, 1, 0, 0}, 5, false, U8},
    {"too much for same", false, U8, false, true, 2, 1, {0, 0, 0, 2, 0, 1, 0, 0}, 5, false, U8},
    {"dilated", true, I8, false, false, 1, 2, {0, 0, 4, 3, 2, 4, 0, 0}, 5, false, I8},
    {"float", true, F, false, false, 2, 1, {0, 0, 1, 1, 1, 1, 0, 0}, 0, false, F},
    {"depthwise of float", true, F, true, false, 2, 1, {0, 0, 1, 1, 1, 1, 0, 0}, 0, false, F},
    {"hybrid", false, F, false, false, 2, 1, {0, 0, 1, 1, 1, 1, 0, 0}, 0, false, I8},
    {"channels", false, I8, false, false, 1, 1, {0, 0, 1, 1, 1, 1, 0, 1}, 5, false, I8},
    {"images", false, I8, false, false, 1, 1, {1, 0, 1, 1, 1, 1, 0, 0}, 5, false, I8},
    {"another zero point", false, I8, false, false, 1, 1, {0, 0, 1, 1, 1, 1, 0, 0}, 6, false, I8},
    {"read twice", false, I8, false, false, 1, 1, {0, 0, 1, 1, 1, 1, 0, 0}, 5, true, I8},
};

struct planned {
    struct tw *tw;
    struct scree_graph graph;
    struct scree_plan plan;
};

static void quantize(struct tw *tw, enum scree_type type, int32_t tensor, float scale, int64_t zp)
{
    if (type != F)
        tw_quantize(tw, tensor, scale, zp);
}

static void add_conv(struct tw *tw, const struct padded *c, struct scree_i32s inputs, int32_t out)
{
    enum scree_padding padding = c->same ? SCREE_PADDING_SAME : SCREE_PADDING_VALID;
    union scree_options options = {.conv2d = {.padding = padding,
                                              .stride_h = c->stride,
                                              .stride_w = c->stride,
                                              .dilation_h = c->dilation,
                                              .dilation_w = c->dilation}};

    if (c->is_depthwise)
        options = (union scree_options){.depthwise_conv2d = {.padding = padding,
                                                             .stride_h = c->stride,
                                                             .stride_w = c->stride,
                                                             .depth_multiplier = 1,
                                                             .dilation_h = c->dilation,
                                                             .dilation_w = c->dilation}};
    tw_node(tw, c->is_depthwise ? SCREE_OP_DEPTHWISE_CONV_2D : SCREE_OP_CONV_2D, inputs,
            TW_LIST(out), &options);
}

/* The model, with the padded tensor as an output too if it is `shown`: nobody takes it over then.
 */
static void make_model(struct tw *tw, const struct padded *c, bool shown)
{
    int32_t channels = 3 + c->paddings[6] + c->paddings[7];
    struct scree_shape filter = c->is_depthwise ? TW_SHAPE(1, 3, 3, channels)
                                                : TW_SHAPE(4, 3, 3, channels);
    size_t element = scree_type_bytes(c->weights), n = scree_shape_elements(&filter);
    uint8_t weights[4 * 9 * 4 * 4];
    int32_t in, padded, again, by, w, out;

    for (size_t i = 0; i < n; i++) {
        float real = (float)(i % 7) - 3;

        weights[i] = (uint8_t)(i * 37 + 11);
        if (element == 4)
            memcpy(weights + i * 4, &real, 4);
    }
    in = tw_tensor(tw, "in", c->type, TW_SHAPE(1, 7, 8, 3));
    padded = tw_tensor(tw, "padded", c->type, TW_SHAPE(1, 1, 1, 1));
    again = tw_tensor(tw, "again", c->type, TW_SHAPE(1, 1, 1, 1));
    by = tw_constant(tw, "by", SCREE_TYPE_INT32, TW_SHAPE(4, 2), c->paddings, sizeof c->paddings);
    w = tw_constant(tw, "w", c->weights, filter, weights, n * element);
    out = tw_tensor(tw, "out", c->type, TW_SHAPE(1, 1, 1, 1));
    quantize(tw, c->type, in, 0.5f, 5);
    quantize(tw, c->type, padded, 0.5f, c->pad_zero_point);
    quantize(tw, c->type, again, 0.5f, 5);
    quantize(tw, c->weights, w, 0.25f, c->weights == U8 ? 100 : 0);
    quantize(tw, c->type, out, 16, 1);
    tw_node(tw, SCREE_OP_PAD, TW_LIST(in, by), TW_LIST(padded), NULL);
    add_conv(tw, c, TW_LIST(padded, w, -1), out);
    if (c->read_twice)
        tw_node(tw, SCREE_OP_PAD, TW_LIST(padded, by), TW_LIST(again), NULL);
    tw_ports(tw, TW_LIST(in),
             c->read_twice ? TW_LIST(out, again)
             : shown       ? TW_LIST(out, padded)
                           : TW_LIST(out));
}

static bool plan_case(struct planned *p, const struct padded *c, bool shown)
{
    const uint8_t *bytes;
    struct scree_error err;
    size_t n_bytes;

    *p = (struct planned){.tw = tw_new()};
    scree_kernels_init(&kernels, 0);
    make_model(p->tw, c, shown);
    bytes = tw_finish(p->tw, &n_bytes);
    if (scree_graph_read(bytes, n_bytes, &p->graph, &err) < 0 ||
        scree_plan_new(&p->graph.subgraphs[0], &ops, NULL, &p->plan, &err) < 0)
        fail_msg("%s: %s", c->what, err.text);
    return p->plan.steps[0].kind == SCREE_STEP_FUSED;
}

static void done(struct planned *p)
{
    scree_plan_done(&p->plan);
    scree_graph_done(&p->graph);
    tw_free(p->tw);
}

/* Runs the plan on bytes that are the same for every plan; returns output 0's bytes. */
static size_t run(struct planned *p, const struct padded *c, uint8_t *results)
{
    struct scree_plan *plan = &p->plan;
    uint8_t *arena = aligned_alloc(64, plan->arena_bytes + 64);
    void *thread_scratch = aligned_alloc(64, plan->thread_scratch_bytes / 64 * 64 + 64);
    const struct scree_operand *out = &plan->operands[p->graph.subgraphs[0].outputs[0]];
    struct scree_operand *in = &plan->operands[p->graph.subgraphs[0].inputs[0]];
    struct scree_error err;

    assert_non_null(arena);
    assert_non_null(thread_scratch);
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        if (plan->offsets[i] != SCREE_NOT_IN_ARENA)
            plan->operands[i].data = arena + plan->offsets[i];
    for (size_t i = 0; i < in->n_elements; i++) {
        if (c->type == F)
            ((float *)in->data)[i] = (float)(i * 29 % 64) - 20;
        else
            ((uint8_t *)in->data)[i] = (uint8_t)(i * 29 + 7);
    }
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        struct scree_call *call = &plan->steps[i].call;

        call->scratch = arena + plan->steps[i].scratch_offset;
        call->thread_scratch = thread_scratch;
        if (plan->steps[i].kind == SCREE_STEP_RUN)
            assert_int_equal(scree_op_run(call, &err), 0);
    }
    assert_in_range(out->bytes, 1, MAX_RESULTS);
    memcpy(results, out->data, out->bytes);
    free(thread_scratch);
    free(arena);
    return out->bytes;
}

static void test_pads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct padded *c = &cases[i];
        uint8_t taken[MAX_RESULTS], apart[MAX_RESULTS];
        struct planned p, reference;
        bool is_taken = plan_case(&p, c, false);

        if (is_taken != c->taken)
            fail_msg("%s: taken %d", c->what, is_taken);
        if (is_taken) {
            size_t n = run(&p, c, taken);

            assert_false(plan_case(&reference, c, true));
            if (run(&reference, c, apart) != n || memcmp(taken, apart, n) != 0)
                fail_msg("%s: results differ", c->what);
            assert_ptr_equal(p.plan.steps[1].call.inputs[0],
                             &p.plan.operands[p.graph.subgraphs[0].inputs[0]]);
            done(&reference);
        }
        done(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
