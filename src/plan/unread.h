/* plan/unread.h - steps that nobody needs. Pure. */
#ifndef SCREE_PLAN_UNREAD_H
#define SCREE_PLAN_UNREAD_H

#include "plan/plan.h"

/* Makes SCREE_STEP_UNREAD of each step that is run but whose outputs are read by no step that is
 * run and are no outputs of the graph, unless it has a state; SCREE_STEP_FUSED, if that is because
 * the steps behind it look its output up by a table of their own. They have been prepared like all
 * others: what is wrong with them has been found. `arena` is working memory. Errors: ENOMEM. */
int scree_drop_unread(struct scree_plan *plan, struct scree_arena *arena, struct scree_error *err);

#endif
