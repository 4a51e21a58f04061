#include "plan/unread.h"

static bool is_wanted(const struct scree_plan *plan, const struct scree_step *step,
                      const bool *read)
{
    const struct scree_call *call = &step->call;

    if (step->kind != SCREE_STEP_RUN && step->kind != SCREE_STEP_DEFERRED)
        return false;
    if (call->op->flags & SCREE_OP_STATEFUL)
        return true;
    for (uint32_t i = 0; i < call->n_outputs; i++)
        if (read[call->outputs[i] - plan->operands] || call->outputs[i]->variable)
            return true;
    return false;
}

int scree_drop_unread(struct scree_plan *plan, struct scree_arena *arena, struct scree_error *err)
{
    bool *read = scree_arena_new(arena, bool, plan->subgraph->n_tensors);

    if (!read)
        return scree_fail_memory(err, plan->subgraph->n_tensors * sizeof read[0]);
    for (uint32_t i = 0; i < plan->subgraph->n_outputs; i++)
        read[plan->subgraph->outputs[i]] = true;
    for (uint32_t i = plan->n_steps; i-- > 0;) {
        struct scree_step *step = &plan->steps[i];
        struct scree_call *call = &step->call;

        if (is_wanted(plan, step, read)) {
            for (uint32_t k = 0; k < call->n_inputs; k++)
                if (call->inputs[k])
                    read[call->inputs[k] - plan->operands] = true;
        } else if (step->kind == SCREE_STEP_RUN || step->kind == SCREE_STEP_DEFERRED) {
            bool by_table = call->n_outputs > 0 && call->outputs[0]->source;

            step->kind = by_table ? SCREE_STEP_FUSED : SCREE_STEP_UNREAD;
        }
    }
    return 0;
}
