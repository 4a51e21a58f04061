/* delegate/guard.h - which nodes a delegate is offered, and why not the others.
 *
 * Mesa's Teflon claims convolutions that it then computes wrongly, or on which it crashes. One row
 * of a table (guard.c) is one such case: how to see it, what to tell people, and the versions of
 * Mesa that have it. The rows also hold for delegates whose version is not known, and a Mesa
 * without a driver for the NPU is offered nothing.
 *
 * Pure. Memory: none. Threads: no state. */
#ifndef SCREE_DELEGATE_GUARD_H
#define SCREE_DELEGATE_GUARD_H

#include "delegate/library.h"
#include "model/graph.h"

/* Why node `index` is not offered to a Teflon of Mesa version `mesa` (0: not known), or NULL if it
 * is. The text is static. Shapes and constants are those of `subgraph`; a constant is a tensor with
 * data. */
const char *scree_guard_check(const struct scree_subgraph *subgraph, uint32_t index, uint32_t mesa);

/* A row, for tests and lists. */
struct scree_guard_rule {
    const char *name;
    uint32_t since, until; /* versions of Mesa: in [since, until); until 0: in all later ones */
    const char *reason;
};

/* All rows, *ret_n of them, in the order in which they are asked. Static. */
const struct scree_guard_rule *scree_guard_rules(uint32_t *ret_n);

#endif
