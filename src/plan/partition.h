/* plan/partition.h - which nodes go to a delegate together, and the order in which all nodes run.
 * Pure.
 *
 * A delegate takes whole parts of a graph: nodes that run one after the other, with nothing between
 * them that it leaves to the CPU. Chosen nodes are gathered into as few parts as a greedy walk
 * finds: as long as a chosen node has all its inputs it is taken, then as long as another one has,
 * and so on in turns. Both turns are tried first and the better order is kept. Nodes of one kind
 * never overtake each other more than that asks for; nodes that share a variable tensor stay in
 * the order of the file. */
#ifndef SCREE_PLAN_PARTITION_H
#define SCREE_PLAN_PARTITION_H

#include "model/graph.h"

/* A graph in parts. Nodes of one part are neighbours in `order`, parts are numbered as they run. */
struct scree_parts {
    uint32_t n_parts;
    uint32_t n_nodes;
    uint32_t *order; /* u32[n_nodes]: each node behind all those whose outputs it reads */
    int32_t *part;   /* s32[n_nodes]: the part of each node, -1: none */
};

/* The nodes of one part, in order, and the tensors at its border, rising: inputs are read but not
 * written inside, constants included; outputs are written inside and read outside, or outputs of
 * the graph, or read by none. */
struct scree_part {
    uint32_t n_nodes, n_inputs, n_outputs;
    uint32_t *nodes;
    int32_t *inputs, *outputs;
};

/* Gathers the nodes that chosen bool[n_nodes] names. A node without inputs and outputs counts as
 * done. The arrays live in `arena`. Errors: ENOMEM. */
int scree_partition(const struct scree_subgraph *subgraph, const bool *chosen,
                    struct scree_arena *arena, struct scree_parts *ret_parts,
                    struct scree_error *err);

/* Tells what part `index` is. The arrays live in `arena`. Errors: ENOMEM. */
int scree_part_describe(const struct scree_subgraph *subgraph, const struct scree_parts *parts,
                        uint32_t index, struct scree_arena *arena, struct scree_part *ret_part,
                        struct scree_error *err);

#endif
