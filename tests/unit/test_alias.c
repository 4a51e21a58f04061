/* Tensors that share memory: each case of plan/alias.h, and random graphs whose results must be
 * those that the same steps give with memory of its own for each tensor. */
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

struct planned {
    struct tw *tw;
    struct scree_graph graph;
    struct scree_plan plan;
};

static void plan_it(struct planned *p)
{
    size_t n_bytes;
    const uint8_t *bytes = tw_finish(p->tw, &n_bytes);
    struct scree_error err;

    scree_kernels_init(&kernels, 0);
    if (scree_graph_read(bytes, n_bytes, &p->graph, &err) < 0 ||
        scree_plan_new(&p->graph.subgraphs[0], &ops, NULL, &p->plan, &err) < 0)
        fail_msg("%s", err.text);
}

static void done(struct planned *p)
{
    scree_plan_done(&p->plan);
    scree_graph_done(&p->graph);
    tw_free(p->tw);
}

static int32_t vector(struct tw *tw, int32_t n)
{
    return tw_tensor(tw, "", SCREE_TYPE_INT32, TW_SHAPE(n));
}

static int32_t numbers(struct tw *tw, struct scree_i32s list)
{
    return tw_constant(tw, "", SCREE_TYPE_INT32, TW_SHAPE((int32_t)list.n), list.v,
                       list.n * sizeof list.v[0]);
}

static void concatenate(struct tw *tw, struct scree_i32s parts, int32_t whole)
{
    const union scree_options options = {.concatenation = {.axis = 0}};

    tw_node(tw, SCREE_OP_CONCATENATION, parts, TW_LIST(whole), &options);
}

static void split(struct tw *tw, int32_t whole, struct scree_i32s parts)
{
    const union scree_options options = {.split = {.num_splits = (int32_t)parts.n}};
    int32_t axis = tw_constant(tw, "", SCREE_TYPE_INT32, TW_SCALAR, &(int32_t){0}, 4);

    tw_node(tw, SCREE_OP_SPLIT, TW_LIST(axis, whole), parts, &options);
}

static void add(struct tw *tw, int32_t x, int32_t y, int32_t sum)
{
    tw_node(tw, SCREE_OP_ADD, TW_LIST(x, y), TW_LIST(sum), NULL);
}

static void negate(struct tw *tw, int32_t x, int32_t y)
{
    tw_node(tw, SCREE_OP_NEG, TW_LIST(x), TW_LIST(y), NULL);
}

static enum scree_step_kind kind(const struct planned *p, int32_t node)
{
    return p->plan.steps[node].kind;
}

/* ---- cases -------------------------------------------------------------------------------------
 */

static void test_sums_are_made_where_the_last_reader_read(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = vector(p.tw, 4), a = vector(p.tw, 4), b = vector(p.tw, 4), c = vector(p.tw, 4);

    (void)state;
    negate(p.tw, in, a);
    add(p.tw, in, a, b);
    add(p.tw, b, a, c); /* the last to read both */
    tw_ports(p.tw, TW_LIST(in), TW_LIST(c));
    plan_it(&p);
    assert_false(p.plan.steps[0].in_place); /* the input is the caller's */
    assert_false(p.plan.steps[1].in_place); /* a is wanted once more */
    assert_true(p.plan.steps[2].in_place);
    assert_int_not_equal(p.plan.offsets[a], p.plan.offsets[b]);
    assert_int_equal(p.plan.offsets[c], p.plan.offsets[b]);
    assert_int_equal(p.plan.arena_bytes, 3 * 64);
    done(&p);
}

static void test_an_output_of_the_graph_is_not_written_over(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = vector(p.tw, 4), a = vector(p.tw, 4), b = vector(p.tw, 4);

    (void)state;
    negate(p.tw, in, a);
    negate(p.tw, a, b);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(a, b));
    plan_it(&p);
    assert_false(p.plan.steps[1].in_place);
    assert_int_not_equal(p.plan.offsets[a], p.plan.offsets[b]);
    done(&p);
}

static void test_parts_are_made_where_the_whole_is(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = vector(p.tw, 3), a = vector(p.tw, 3), b = vector(p.tw, 3);
    int32_t all = vector(p.tw, 9), out = vector(p.tw, 9);

    (void)state;
    negate(p.tw, in, a);
    add(p.tw, in, a, b);
    concatenate(p.tw, TW_LIST(b, in, a), all); /* the input has to be copied */
    concatenate(p.tw, TW_LIST(all), out);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(out));
    plan_it(&p);
    assert_int_equal(kind(&p, 2), SCREE_STEP_RUN);
    assert_int_equal(kind(&p, 3), SCREE_STEP_VIEW);
    assert_int_equal(p.plan.offsets[b], p.plan.offsets[out]);
    assert_int_equal(p.plan.offsets[a], p.plan.offsets[out] + 24);
    assert_int_equal(p.plan.offsets[all], p.plan.offsets[out]);
    done(&p);
}

static void test_parts_that_are_wanted_twice_are_copied(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = vector(p.tw, 3), a = vector(p.tw, 3), twice = vector(p.tw, 6);
    int32_t again = vector(p.tw, 6);

    (void)state;
    negate(p.tw, in, a);
    concatenate(p.tw, TW_LIST(a, a), twice);
    concatenate(p.tw, TW_LIST(a, a), again);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(twice, again));
    plan_it(&p);
    assert_int_equal(kind(&p, 1), SCREE_STEP_RUN);
    assert_int_equal(kind(&p, 2), SCREE_STEP_RUN);
    assert_int_equal(p.plan.offsets[a], p.plan.offsets[twice]);
    assert_int_not_equal(p.plan.offsets[twice], p.plan.offsets[again]);
    done(&p);
}

static void test_parts_of_a_whole_are_where_it_is(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = vector(p.tw, 8), a = vector(p.tw, 4), b = vector(p.tw, 4), c = vector(p.tw, 2);
    int32_t sum = vector(p.tw, 4);

    (void)state;
    split(p.tw, in, TW_LIST(a, b));
    tw_node(p.tw, SCREE_OP_SLICE, TW_LIST(b, numbers(p.tw, TW_LIST(1)), numbers(p.tw, TW_LIST(2))),
            TW_LIST(c), NULL);
    add(p.tw, a, b, sum);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(c, sum));
    plan_it(&p);
    assert_int_equal(kind(&p, 0), SCREE_STEP_VIEW);
    assert_int_equal(kind(&p, 1), SCREE_STEP_VIEW);
    assert_int_equal(p.plan.offsets[a], p.plan.offsets[in]);
    assert_int_equal(p.plan.offsets[b], p.plan.offsets[in] + 16);
    assert_int_equal(p.plan.offsets[c], p.plan.offsets[in] + 20);
    assert_false(p.plan.steps[2].in_place);
    done(&p);
}

/* [1:5] + [0:4] of one tensor: made in place, an element would be gone before it is read. */
static void test_overlapping_parts_are_not_written_over(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = vector(p.tw, 5), x = vector(p.tw, 5), a = vector(p.tw, 4), b = vector(p.tw, 4);
    int32_t four = numbers(p.tw, TW_LIST(4)), sum = vector(p.tw, 4);

    (void)state;
    negate(p.tw, in, x);
    tw_node(p.tw, SCREE_OP_SLICE, TW_LIST(x, numbers(p.tw, TW_LIST(1)), four), TW_LIST(a), NULL);
    tw_node(p.tw, SCREE_OP_SLICE, TW_LIST(x, numbers(p.tw, TW_LIST(0)), four), TW_LIST(b), NULL);
    add(p.tw, a, b, sum);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(sum));
    plan_it(&p);
    assert_int_equal(kind(&p, 1), SCREE_STEP_VIEW);
    assert_int_equal(kind(&p, 2), SCREE_STEP_VIEW);
    assert_false(p.plan.steps[3].in_place);
    done(&p);
}

static void test_steps_that_nobody_reads_are_dropped(void **state)
{
    struct planned p = {.tw = tw_new()};
    int32_t in = vector(p.tw, 4), a = vector(p.tw, 4), b = vector(p.tw, 4), c = vector(p.tw, 4);

    (void)state;
    negate(p.tw, in, a);
    add(p.tw, a, in, b); /* read by nobody, so neither is a */
    negate(p.tw, in, c);
    tw_ports(p.tw, TW_LIST(in), TW_LIST(c));
    plan_it(&p);
    assert_int_equal(kind(&p, 0), SCREE_STEP_UNREAD);
    assert_int_equal(kind(&p, 1), SCREE_STEP_UNREAD);
    assert_int_equal(kind(&p, 2), SCREE_STEP_RUN);
    assert_int_equal(p.plan.offsets[a], SCREE_NOT_IN_ARENA);
    assert_int_equal(p.plan.arena_bytes, 2 * 64);
    done(&p);
}

/* ---- random graphs -----------------------------------------------------------------------------
 */

#define MAX_TENSORS 64
#define MAX_LENGTH  48

struct random_graph {
    struct tw *tw;
    uint32_t state;
    int32_t tensors[MAX_TENSORS], lengths[MAX_TENSORS];
    int n_tensors;
};

static int below(struct random_graph *graph, int limit)
{
    graph->state = graph->state * 1664525u + 1013904223u;
    return (int)((graph->state >> 8) % (uint32_t)limit);
}

static int32_t new_tensor(struct random_graph *graph, int32_t length)
{
    int32_t tensor = vector(graph->tw, length);

    graph->tensors[graph->n_tensors] = tensor;
    graph->lengths[graph->n_tensors++] = length;
    return tensor;
}

/* Mostly one of the last tensors, so that lives end. */
static int some_tensor(struct random_graph *graph)
{
    int reach = below(graph, 4) ? 5 : graph->n_tensors;

    return graph->n_tensors - 1 - below(graph, reach < graph->n_tensors ? reach : graph->n_tensors);
}

static void add_concatenation(struct random_graph *graph)
{
    int32_t parts[3], length = 0, n = 1 + below(graph, 3);

    for (int32_t i = 0; i < n; i++) {
        int k = some_tensor(graph);

        parts[i] = graph->tensors[k];
        length += graph->lengths[k];
    }
    if (length <= MAX_LENGTH)
        concatenate(graph->tw, (struct scree_i32s){(uint32_t)n, parts}, new_tensor(graph, length));
}

static void add_slice(struct random_graph *graph)
{
    int k = some_tensor(graph);
    int32_t begin = below(graph, graph->lengths[k]);
    int32_t size = 1 + below(graph, graph->lengths[k] - begin);
    int32_t from = graph->tensors[k];

    tw_node(graph->tw, SCREE_OP_SLICE,
            TW_LIST(from, numbers(graph->tw, TW_LIST(begin)), numbers(graph->tw, TW_LIST(size))),
            TW_LIST(new_tensor(graph, size)), NULL);
}

static void add_split(struct random_graph *graph)
{
    int k = some_tensor(graph);
    int32_t from = graph->tensors[k], half = graph->lengths[k] / 2;

    if (graph->lengths[k] % 2 == 0) {
        int32_t first = new_tensor(graph, half), second = new_tensor(graph, half);

        split(graph->tw, from, TW_LIST(first, second));
    }
}

static void add_sum(struct random_graph *graph)
{
    int a = some_tensor(graph), b = some_tensor(graph);

    if (graph->lengths[a] == graph->lengths[b])
        add(graph->tw, graph->tensors[a], graph->tensors[b], new_tensor(graph, graph->lengths[a]));
    else
        negate(graph->tw, graph->tensors[a], new_tensor(graph, graph->lengths[a]));
}

static void make_graph(struct random_graph *graph)
{
    int32_t outputs[MAX_TENSORS], n = 0;
    int32_t in = new_tensor(graph, 1 + below(graph, 12));
    int n_nodes = 3 + below(graph, 25);

    for (int i = 0; i < n_nodes && graph->n_tensors < MAX_TENSORS - 2; i++) {
        static void (*const makers[])(struct random_graph *) = {
            add_sum, add_sum, add_sum, add_concatenation, add_concatenation, add_slice, add_split};

        makers[below(graph, sizeof makers / sizeof makers[0])](graph);
    }
    for (int i = 1; i < graph->n_tensors; i++)
        if (below(graph, 6) == 0 || (n == 0 && i == graph->n_tensors - 1))
            outputs[n++] = graph->tensors[i];
    if (n == 0)
        outputs[n++] = in;
    tw_ports(graph->tw, TW_LIST(in), (struct scree_i32s){(uint32_t)n, outputs});
}

/* Runs the plan as a session does, in one arena, or each step on memory of its own; outputs go to
 * results, one behind the other. */
static void run_plan(struct scree_plan *plan, bool apart, int32_t *results)
{
    const struct scree_subgraph *subgraph = plan->subgraph;
    uint8_t *arena = calloc(1, plan->arena_bytes + 64);
    struct scree_error err;

    assert_non_null(arena);
    for (uint32_t i = 0; i < subgraph->n_tensors; i++) {
        struct scree_operand *operand = &plan->operands[i];

        if (apart && !operand->constant)
            operand->data = calloc(1, operand->bytes);
        else if (plan->offsets[i] != SCREE_NOT_IN_ARENA)
            operand->data = arena + plan->offsets[i];
    }
    for (size_t i = 0; i < plan->operands[subgraph->inputs[0]].n_elements; i++)
        ((int32_t *)plan->operands[subgraph->inputs[0]].data)[i] = (int32_t)(i * 7919 + 13);
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (apart || plan->steps[i].kind == SCREE_STEP_RUN)
            assert_int_equal(scree_op_run(&plan->steps[i].call, &err), 0);
    for (uint32_t i = 0; i < subgraph->n_outputs; i++) {
        const struct scree_operand *operand = &plan->operands[subgraph->outputs[i]];

        memcpy(results, operand->data, operand->bytes);
        results += operand->n_elements;
    }
    for (uint32_t i = 0; apart && i < subgraph->n_tensors; i++)
        if (!plan->operands[i].constant)
            free(plan->operands[i].data);
    free(arena);
}

static void test_random_graphs_give_the_same_results(void **state)
{
    uint32_t n_views = 0, n_in_place = 0, n_unread = 0;

    (void)state;
    for (uint32_t seed = 1; seed <= 3000; seed++) {
        int32_t shared[MAX_TENSORS * MAX_LENGTH] = {0}, apart[MAX_TENSORS * MAX_LENGTH] = {0};
        struct planned p = {.tw = tw_new()};
        struct random_graph graph = {.tw = p.tw, .state = seed};

        make_graph(&graph);
        plan_it(&p);
        for (uint32_t i = 0; i < p.plan.n_steps; i++) {
            n_views += p.plan.steps[i].kind == SCREE_STEP_VIEW;
            n_in_place += p.plan.steps[i].in_place;
            n_unread += p.plan.steps[i].kind == SCREE_STEP_UNREAD;
        }
        run_plan(&p.plan, false, shared);
        run_plan(&p.plan, true, apart);
        if (memcmp(shared, apart, sizeof shared) != 0)
            fail_msg("graph %u", seed);
        done(&p);
    }
    assert_true(n_views > 3000 && n_in_place > 1000 && n_unread > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums_are_made_where_the_last_reader_read),
        cmocka_unit_test(test_an_output_of_the_graph_is_not_written_over),
        cmocka_unit_test(test_parts_are_made_where_the_whole_is),
        cmocka_unit_test(test_parts_that_are_wanted_twice_are_copied),
        cmocka_unit_test(test_parts_of_a_whole_are_where_it_is),
        cmocka_unit_test(test_overlapping_parts_are_not_written_over),
        cmocka_unit_test(test_steps_that_nobody_reads_are_dropped),
        cmocka_unit_test(test_random_graphs_give_the_same_results),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
