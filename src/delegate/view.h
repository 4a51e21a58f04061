/* delegate/view.h - the part of a graph that a delegate is shown.
 *
 * It sees the offered nodes and their tensors and nothing else, numbered anew in the same order.
 * An int8 graph is shown as uint8, which is the same numbers written otherwise:
 *
 *     real = scale * (q - zp) = scale * ((q + 128) - (zp + 128)),  and q + 128 is q xor 0x80
 *
 * so constants are copied with that bit flipped, zero points are 128 more, and the bytes of
 * activations are flipped on their way in and out (delegate/instance.c). Scales that are all the
 * same along an axis are shown as one. A bias is shown with the scale that it has by definition.
 *
 * Memory: all in the view's arena; constants that are not copied stay where they are.
 * Threads: one. */
#ifndef SCREE_DELEGATE_VIEW_H
#define SCREE_DELEGATE_VIEW_H

#include "delegate/abi.h"
#include "model/graph.h"

struct scree_view {
    uint32_t n_nodes, n_tensors;
    uint32_t *node_of;           /* u32[n_nodes]: numbers in the graph */
    int32_t *tensor_of;          /* s32[n_tensors] */
    int32_t *index_of;           /* of each tensor of the graph: its number here, -1: not shown */
    bool *flipped;               /* bool[n_tensors]: int8 shown as uint8 */
    struct scree_tfl_ints *plan; /* all nodes, in order */
    struct scree_tfl_node *nodes;
    struct scree_tfl_node_registration *registrations;
    struct scree_tfl_tensor *tensors;
    struct scree_arena arena;
};

/* Shows the nodes of `subgraph` that offered bool[n_nodes] names. These are CONV_2D and
 * DEPTHWISE_CONV_2D that delegate/guard.h has passed. `ret_view` is given back with
 * scree_view_done(). Errors: ENOMEM. */
int scree_view_new(const struct scree_subgraph *subgraph, const bool *offered,
                   struct scree_view *ret_view, struct scree_error *err);

/* Frees a view. Accepts an all-zero one. */
void scree_view_done(struct scree_view *view);

/* A list of n numbers, values s32[n] or zeros if NULL, in the arena; NULL without memory. */
struct scree_tfl_ints *scree_tfl_ints_new(struct scree_arena *arena, uint32_t n,
                                          const int32_t *values);

/* to[i] = from[i] ^ 0x80 for i < n: int8 to uint8 and back. from and to may be the same. */
void scree_flip_bytes(const void *from, void *to, size_t n);

#endif
