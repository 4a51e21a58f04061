#include "plan/partition.h"

#include <assert.h>

/* The walk: which node writes each tensor, and what has been taken so far. */
struct walk {
    const struct scree_subgraph *subgraph;
    const bool *chosen;
    int32_t *writer; /* of each tensor; -1: none */
    bool *taken;     /* of each node */
    struct scree_parts parts;
};

static int fail_memory(struct scree_error *err)
{
    return scree_fail(err, ENOMEM, "no memory to divide the graph");
}

static void find_writers(struct walk *walk)
{
    const struct scree_subgraph *subgraph = walk->subgraph;

    for (uint32_t i = 0; i < subgraph->n_tensors; i++)
        walk->writer[i] = -1;
    for (uint32_t i = 0; i < subgraph->n_nodes; i++)
        for (uint32_t k = 0; k < subgraph->nodes[i].n_outputs; k++)
            walk->writer[subgraph->nodes[i].outputs[k]] = (int32_t)i;
}

static bool touches(const struct scree_node *node, int32_t tensor)
{
    for (uint32_t k = 0; k < node->n_inputs; k++)
        if (node->inputs[k] == tensor)
            return true;
    return false;
}

/* A variable is changed by the nodes that read it: these keep their order. */
static bool variable_is_free(const struct walk *walk, uint32_t index, int32_t tensor)
{
    for (uint32_t i = 0; i < index; i++)
        if (!walk->taken[i] && touches(&walk->subgraph->nodes[i], tensor))
            return false;
    return true;
}

static bool is_ready(const struct walk *walk, uint32_t index)
{
    const struct scree_node *node = &walk->subgraph->nodes[index];

    for (uint32_t k = 0; k < node->n_inputs; k++) {
        int32_t tensor = node->inputs[k];

        if (tensor < 0)
            continue;
        if (walk->writer[tensor] >= 0 && !walk->taken[walk->writer[tensor]])
            return false;
        if (walk->subgraph->tensors[tensor].is_variable && !variable_is_free(walk, index, tensor))
            return false;
    }
    return true;
}

/* Takes every node of one kind that can be reached. Nodes are numbered in an order in which they
 * can run, so one sweep finds all. Returns how many there were. */
static uint32_t sweep(struct walk *walk, bool chosen, int32_t part)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < walk->subgraph->n_nodes; i++) {
        if (walk->taken[i] || walk->chosen[i] != chosen || !is_ready(walk, i))
            continue;
        walk->taken[i] = true;
        walk->parts.part[i] = chosen ? part : -1;
        walk->parts.order[walk->parts.n_nodes++] = i;
        n++;
    }
    return n;
}

static int run_walk(struct walk *walk, bool chosen_first, struct scree_arena *arena,
                    struct scree_parts *ret_parts)
{
    uint32_t n_nodes = walk->subgraph->n_nodes;
    bool chosen = chosen_first;

    walk->taken = scree_arena_new(arena, bool, n_nodes);
    walk->parts = (struct scree_parts){
        .order = scree_arena_new(arena, uint32_t, n_nodes),
        .part = scree_arena_new(arena, int32_t, n_nodes),
    };
    if (!walk->taken || !walk->parts.order || !walk->parts.part)
        return -ENOMEM;
    while (walk->parts.n_nodes < n_nodes) {
        uint32_t n = sweep(walk, chosen, (int32_t)walk->parts.n_parts);

        if (chosen && n > 0)
            walk->parts.n_parts++;
        chosen = !chosen;
    }
    *ret_parts = walk->parts;
    return 0;
}

int scree_partition(const struct scree_subgraph *subgraph, const bool *chosen,
                    struct scree_arena *arena, struct scree_parts *ret_parts,
                    struct scree_error *err)
{
    struct walk walk = {.subgraph = subgraph, .chosen = chosen};
    struct scree_parts first, second;

    walk.writer = scree_arena_new(arena, int32_t, subgraph->n_tensors);
    if (!walk.writer)
        return fail_memory(err);
    find_writers(&walk);
    if (run_walk(&walk, true, arena, &first) < 0 || run_walk(&walk, false, arena, &second) < 0)
        return fail_memory(err);
    *ret_parts = first.n_parts <= second.n_parts ? first : second;
    return 0;
}

/* ---- one part ----------------------------------------------------------------------------------
 */

/* What happens to a tensor with regard to a part. */
enum use {
    READ_INSIDE = 1,
    WRITTEN_INSIDE = 2,
    READ_OUTSIDE = 4,
};

static void mark(const struct scree_node *node, bool inside, uint8_t *uses)
{
    for (uint32_t k = 0; k < node->n_inputs; k++)
        if (node->inputs[k] >= 0)
            uses[node->inputs[k]] |= inside ? READ_INSIDE : READ_OUTSIDE;
    for (uint32_t k = 0; inside && k < node->n_outputs; k++)
        uses[node->outputs[k]] |= WRITTEN_INSIDE;
}

static bool is_input(uint8_t uses)
{
    return uses & READ_INSIDE && !(uses & WRITTEN_INSIDE);
}

static bool is_output(uint8_t uses)
{
    return uses & WRITTEN_INSIDE && (uses & READ_OUTSIDE || !(uses & READ_INSIDE));
}

/* The tensors whose uses satisfy `wanted`. */
static int32_t *list(const uint8_t *uses, uint32_t n, bool (*wanted)(uint8_t),
                     struct scree_arena *arena, uint32_t *ret_n)
{
    uint32_t n_wanted = 0;
    int32_t *tensors;

    for (uint32_t i = 0; i < n; i++)
        n_wanted += wanted(uses[i]);
    tensors = scree_arena_new(arena, int32_t, n_wanted);
    *ret_n = 0;
    for (uint32_t i = 0; tensors && i < n; i++)
        if (wanted(uses[i]))
            tensors[(*ret_n)++] = (int32_t)i;
    return tensors;
}

int scree_part_describe(const struct scree_subgraph *subgraph, const struct scree_parts *parts,
                        uint32_t index, struct scree_arena *arena, struct scree_part *ret_part,
                        struct scree_error *err)
{
    uint8_t *uses = scree_arena_new(arena, uint8_t, subgraph->n_tensors);
    struct scree_part part = {.nodes = scree_arena_new(arena, uint32_t, subgraph->n_nodes)};

    assert(index < parts->n_parts && parts->n_nodes == subgraph->n_nodes);
    if (!uses || !part.nodes)
        return fail_memory(err);
    for (uint32_t i = 0; i < subgraph->n_nodes; i++) {
        uint32_t node = parts->order[i];
        bool inside = parts->part[node] == (int32_t)index;

        mark(&subgraph->nodes[node], inside, uses);
        if (inside)
            part.nodes[part.n_nodes++] = node;
    }
    for (uint32_t i = 0; i < subgraph->n_outputs; i++)
        uses[subgraph->outputs[i]] |= READ_OUTSIDE;
    part.inputs = list(uses, subgraph->n_tensors, is_input, arena, &part.n_inputs);
    part.outputs = list(uses, subgraph->n_tensors, is_output, arena, &part.n_outputs);
    if (!part.inputs || !part.outputs)
        return fail_memory(err);
    *ret_part = part;
    return 0;
}
