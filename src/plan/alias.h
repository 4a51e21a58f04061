/* plan/alias.h - which tensors share memory. Pure.
 *
 * Tensors that share memory are known by one of them, the root, whose memory it is; each other one
 * begins at some byte of it. They come to share in three ways:
 *
 *   a part of an input   RESHAPE, SPLIT, a slice of whole rows: the output is where the input is;
 *   a part of an output  CONCATENATION of whole blocks: the inputs are made where the output is;
 *   in place             ADD, LOGISTIC ...: the output is made over an input that nobody reads any
 *                        more, neither itself nor any tensor that shares its memory.
 *
 * Only the third way writes over something, so only there it matters who still reads what. */
#ifndef SCREE_PLAN_ALIAS_H
#define SCREE_PLAN_ALIAS_H

#include "plan/plan.h"

/* What is known of one tensor. */
struct scree_residence {
    uint32_t root; /* itself, or one with which it shares memory: see scree_alias_root() */
    size_t offset; /* where in it, in bytes */
    bool placed;   /* has a life, hence wants a place in the arena */
    bool held; /* must stay where it is: an input of the graph, a variable, a constant, dynamic */
    /* Of a root: from the first step that writes one of those that share its memory to the last one
     * that reads one; of others: their own. */
    uint32_t first, last;
};

/* The root of a tensor; *ret_offset (may be NULL) is where in it the tensor begins. Shortens the
 * way to it. */
uint32_t scree_alias_root(struct scree_residence *residences, uint32_t tensor, size_t *ret_offset);

/* Lets tensors share memory, where they can, by the order of the plan's steps. residences
 * [n_tensors] has each tensor as its own root, with its life. Steps that have nothing left to do
 * become SCREE_STEP_VIEW, the others SCREE_STEP_RUN (of those that were one or the other); in_place
 * is set. */
void scree_alias(struct scree_plan *plan, struct scree_residence *residences);

#endif
