/* plan/plan.h - a graph and the shapes of its inputs to an executable plan.
 *
 * Planning walks the main subgraph once: each node's operator is found, its shapes are computed,
 * and what depends on constants alone is computed at once. Then every tensor that lives only during
 * a run gets its place in one block, the arena: tensors whose lifetimes do not overlap share
 * memory.
 *
 * A step is one of
 *   run       executed at each run, its operands at fixed places;
 *   folded    computed at planning; its outputs are constants of the plan;
 *   fused     an activation that the node before it does, a PAD that the node behind it does, or a
 *             function of bytes that is part of a table of the nodes behind it;
 *   view      its outputs are parts of its input's memory, or its inputs of its output's;
 *   unread    nobody reads its outputs, and it leaves nothing behind;
 *   delegate  run by a delegate, with the other steps of its part; it can be executed like one that
 * is run, should the delegate fail;
 *   deferred  prepared and executed at each run, because a shape depends on values. Its outputs
 * live outside the arena.
 *
 * Planning is pure: no device, no clock, no file. A plan is immutable and shared by all sessions of
 * the same shapes. Memory: its own arena and constants. */
#ifndef SCREE_PLAN_PLAN_H
#define SCREE_PLAN_PLAN_H

#include "plan/op.h"
#include "plan/partition.h"

/* The most an arena may take. A model that wants more is refused with E2BIG. */
#define SCREE_PLAN_MAX_ARENA_BYTES ((size_t)1 << 32)

enum scree_step_kind {
    SCREE_STEP_RUN,
    SCREE_STEP_FOLDED,
    SCREE_STEP_FUSED,
    SCREE_STEP_VIEW,
    SCREE_STEP_UNREAD,
    SCREE_STEP_DEFERRED,
    SCREE_STEP_DELEGATE,
};

struct scree_step {
    enum scree_step_kind kind;
    uint32_t index; /* the node's number in the subgraph */
    struct scree_call call;
    size_t scratch_offset; /* in the arena */
    bool in_place;         /* output 0 is where an input was */
    int32_t part;          /* of SCREE_STEP_DELEGATE: its part, see plan/partition.h */
};

/* The operators, as the planner is given them: ops/ops.h has the functions. kernels goes into each
 * call; the planner itself does not look at it. consumed (may be NULL) is told of each constant of
 * the file that a step has consumed, as soon as it has, so that memory is never taken twice for
 * long; the bytes are still read if another step wants them. */
struct scree_op_set {
    int (*find)(const struct scree_node *node, const struct scree_op **ret_op,
                struct scree_error *err);
    int (*prepare)(struct scree_call *call, struct scree_error *err);
    int (*run)(const struct scree_call *call, struct scree_error *err);
    const struct scree_kernels *kernels;
    void (*consumed)(void *arg, const void *bytes, size_t n_bytes);
    void *arg;
};

#define SCREE_NOT_IN_ARENA SIZE_MAX

struct scree_plan {
    const struct scree_subgraph *subgraph; /* borrowed */
    struct scree_node *nodes;              /* the subgraph's, with activations and paddings fused */
    struct scree_operand *operands;        /* one a tensor; data of constants only */
    size_t *offsets;                       /* of each tensor in the arena, or SCREE_NOT_IN_ARENA */
    struct scree_step *steps;              /* n_steps == subgraph->n_nodes, in order of execution */
    uint32_t n_steps;
    size_t arena_bytes;
    size_t
        thread_scratch_bytes; /* the most that a step that is not deferred wants for each thread */
    size_t constants_bytes;   /* computed at planning */
    size_t weights_bytes;     /* constants of the file */
    struct scree_arena arena;
    struct scree_arena constants;
};

/* Plans `subgraph`. shapes[n_inputs] replaces the inputs' shapes where its rank is not -1; NULL
 * keeps all. `ret_plan` is given back with scree_plan_done(). Errors: EINVAL (a shape that cannot
 * be), ENOTSUP, EBADMSG, E2BIG, ENOMEM; nothing remains then. */
int scree_plan_new(const struct scree_subgraph *subgraph, const struct scree_op_set *ops,
                   const struct scree_shape *shapes, struct scree_plan *ret_plan,
                   struct scree_error *err);

/* The same graph with the nodes of `parts` left to a delegate: the steps in the order of `parts`,
 * and an arena of their own, in which what a part reads is still there when the part has ended, so
 * that it can be run again without the delegate. All else belongs to `plan`, which must outlive the
 * result. The nodes of parts are steps of kind SCREE_STEP_RUN or SCREE_STEP_VIEW. `ret_plan` is
 * given back with scree_plan_done(). Errors: E2BIG, ENOMEM. */
int scree_plan_divide(const struct scree_plan *plan, const struct scree_parts *parts,
                      struct scree_plan *ret_plan, struct scree_error *err);

/* Frees a plan. Accepts an all-zero one. */
void scree_plan_done(struct scree_plan *plan);

#endif
