/* plan/memory.h - how long each tensor is wanted, and where it lives meanwhile. Pure. */
#ifndef SCREE_PLAN_MEMORY_H
#define SCREE_PLAN_MEMORY_H

#include "plan/plan.h"

/* Gives every tensor that lives only during a run, and the scratch of each step, its place in the
 * arena: sets plan->offsets, plan->arena_bytes, scratch_offset and, as plan/alias.h has it, the
 * kinds of the steps that share memory. All steps are known, prepared, and in order. `arena` is
 * working memory. Errors: E2BIG (over SCREE_PLAN_MAX_ARENA_BYTES), ENOMEM. */
int scree_plan_place(struct scree_plan *plan, struct scree_arena *arena, struct scree_error *err);

#endif
