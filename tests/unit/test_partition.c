/* Dividing graphs for a delegate: random graphs against the rules, small ones against every order
 * there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "plan/partition.h"

#define MAX_NODES 40

/* A graph of nodes with one output each: tensor i is node i's, tensor n_nodes is the graph's input,
 * the one behind it a variable. */
struct graph {
    struct scree_subgraph subgraph;
    struct scree_node nodes[MAX_NODES];
    struct scree_tensor_def tensors[MAX_NODES + 2];
    int32_t inputs[MAX_NODES][3], outputs[MAX_NODES];
    int32_t graph_output;
    bool chosen[MAX_NODES];
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void make_graph(struct graph *graph, uint32_t n_nodes, uint32_t seed)
{
    uint32_t state = seed;

    memset(graph, 0, sizeof *graph);
    for (uint32_t i = 0; i < n_nodes; i++) {
        struct scree_node *node = &graph->nodes[i];

        node->n_inputs = 1 + next_random(&state) % 3;
        for (uint32_t k = 0; k < node->n_inputs; k++) {
            uint32_t from = next_random(&state) % (i + 2);

            graph->inputs[i][k] = (int32_t)(from < i ? from : n_nodes);
            if (next_random(&state) % 16 == 0)
                graph->inputs[i][k] = next_random(&state) % 2 ? -1 : (int32_t)n_nodes + 1;
        }
        graph->outputs[i] = (int32_t)i;
        node->inputs = graph->inputs[i];
        node->outputs = &graph->outputs[i];
        node->n_outputs = 1;
        graph->chosen[i] = next_random(&state) % 2;
    }
    graph->tensors[n_nodes + 1].is_variable = true;
    graph->graph_output = (int32_t)n_nodes - 1;
    graph->subgraph = (struct scree_subgraph){
        .n_tensors = n_nodes + 2,
        .n_nodes = n_nodes,
        .n_outputs = 1,
        .tensors = graph->tensors,
        .nodes = graph->nodes,
        .outputs = &graph->graph_output,
    };
}

/* True if node i must run before node k > i. */
static bool goes_before(const struct graph *graph, uint32_t i, uint32_t k)
{
    int32_t variable = (int32_t)graph->subgraph.n_nodes + 1;
    bool i_touches = false, k_touches = false;

    for (uint32_t n = 0; n < graph->nodes[k].n_inputs; n++) {
        if (graph->inputs[k][n] == (int32_t)i)
            return true;
        k_touches |= graph->inputs[k][n] == variable;
    }
    for (uint32_t n = 0; n < graph->nodes[i].n_inputs; n++)
        i_touches |= graph->inputs[i][n] == variable;
    return i_touches && k_touches;
}

static void check_order(const struct graph *graph, const struct scree_parts *parts)
{
    uint32_t place[MAX_NODES];
    int32_t last = -1;

    assert_int_equal(parts->n_nodes, graph->subgraph.n_nodes);
    memset(place, 0xff, sizeof place);
    for (uint32_t i = 0; i < parts->n_nodes; i++) {
        assert_true(parts->order[i] < parts->n_nodes);
        assert_int_equal(place[parts->order[i]], UINT32_MAX);
        place[parts->order[i]] = i;
    }
    for (uint32_t i = 0; i < parts->n_nodes; i++)
        for (uint32_t k = i + 1; k < parts->n_nodes; k++)
            assert_true(!goes_before(graph, i, k) || place[i] < place[k]);
    for (uint32_t i = 0; i < parts->n_nodes; i++) {
        int32_t part = parts->part[parts->order[i]];

        assert_int_equal(part >= 0, graph->chosen[parts->order[i]]);
        if (part < 0)
            continue;
        /* Neighbours, and numbered as they run. */
        assert_true(part == last || part == last + 1);
        if (i > 0 && part == last)
            assert_int_equal(parts->part[parts->order[i - 1]], part);
        last = part;
    }
    assert_int_equal(last + 1, parts->n_parts);
}

static bool has(const int32_t *list, uint32_t n, int32_t tensor)
{
    for (uint32_t i = 0; i < n; i++)
        if (list[i] == tensor)
            return true;
    return false;
}

static bool reads(const struct graph *graph, uint32_t node, int32_t tensor)
{
    return has(graph->inputs[node], graph->nodes[node].n_inputs, tensor);
}

/* The borders by their definition, one tensor after the other. */
static void check_part(const struct graph *graph, const struct scree_parts *parts, uint32_t index,
                       const struct scree_part *part)
{
    uint32_t n_inside = 0;

    for (uint32_t t = 0; t < graph->subgraph.n_tensors; t++) {
        int32_t tensor = (int32_t)t;
        bool written = t < parts->n_nodes && parts->part[t] == (int32_t)index;
        bool inside = false, outside = tensor == graph->graph_output;

        for (uint32_t i = 0; i < parts->n_nodes; i++)
            if (reads(graph, i, tensor))
                *(parts->part[i] == (int32_t)index ? &inside : &outside) = true;
        n_inside += written;
        assert_int_equal(has(part->inputs, part->n_inputs, tensor), inside && !written);
        assert_int_equal(has(part->outputs, part->n_outputs, tensor),
                         written && (outside || !inside));
    }
    assert_int_equal(n_inside, part->n_nodes);
    for (uint32_t i = 1; i < part->n_inputs; i++)
        assert_true(part->inputs[i - 1] < part->inputs[i]);
}

/* The least number of parts over all orders, by the set of nodes that have run and whether the last
 * of them was chosen. */
static uint32_t least_parts(const struct graph *graph)
{
    static uint8_t best[1 << 9][2];
    uint32_t n = graph->subgraph.n_nodes, all = (1u << n) - 1;

    memset(best, 0xff, sizeof best);
    best[0][0] = 0;
    for (uint32_t set = 0; set < all; set++)
        for (uint32_t i = 0; i < n; i++) {
            uint32_t before = 0, next = set | 1u << i;

            for (uint32_t k = 0; k < i; k++)
                before |= goes_before(graph, k, i) ? 1u << k : 0;
            if (set & 1u << i || (before & set) != before)
                continue;
            for (int last = 0; last < 2; last++) {
                bool chosen = graph->chosen[i];
                uint32_t parts = best[set][last] + (chosen && !last ? 1u : 0u);

                if (best[set][last] != 0xff && parts < best[next][chosen])
                    best[next][chosen] = (uint8_t)parts;
            }
        }
    return best[all][0] < best[all][1] ? best[all][0] : best[all][1];
}

static void test_random_graphs(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 2000; seed++) {
        static struct graph graph;
        struct scree_arena arena;
        struct scree_parts parts;

        scree_arena_init(&arena, SIZE_MAX);
        make_graph(&graph, 1 + seed % MAX_NODES, seed);
        assert_int_equal(scree_partition(&graph.subgraph, graph.chosen, &arena, &parts, NULL), 0);
        check_order(&graph, &parts);
        for (uint32_t i = 0; i < parts.n_parts; i++) {
            struct scree_part part;

            assert_int_equal(scree_part_describe(&graph.subgraph, &parts, i, &arena, &part, NULL),
                             0);
            check_part(&graph, &parts, i, &part);
        }
        scree_arena_done(&arena);
    }
}

static void test_there_are_as_few_parts_as_can_be(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 2000; seed++) {
        static struct graph graph;
        struct scree_arena arena;
        struct scree_parts parts;

        scree_arena_init(&arena, SIZE_MAX);
        make_graph(&graph, 1 + seed % 9, seed * 7);
        assert_int_equal(scree_partition(&graph.subgraph, graph.chosen, &arena, &parts, NULL), 0);
        assert_int_equal(parts.n_parts, least_parts(&graph));
        scree_arena_done(&arena);
    }
}

static void test_no_memory_is_an_error(void **state)
{
    static struct graph graph;
    struct scree_arena arena;
    struct scree_parts parts;

    (void)state;
    make_graph(&graph, 30, 5);
    scree_arena_init(&arena, 64);
    assert_int_equal(scree_partition(&graph.subgraph, graph.chosen, &arena, &parts, NULL), -ENOMEM);
    scree_arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_there_are_as_few_parts_as_can_be),
        cmocka_unit_test(test_no_memory_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
