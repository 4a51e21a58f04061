#include <string.h>

#include "engine/offload.h"

static const struct {
    const char *device;
    const char *reason;
} kinds[] = {
    [SCREE_STEP_RUN] = {"cpu", ""},
    [SCREE_STEP_FOLDED] = {"none", "constant: computed once"},
    [SCREE_STEP_FUSED] = {"none", "done by an operator beside it"},
    [SCREE_STEP_VIEW] = {"none", "its outputs are in its input's memory"},
    [SCREE_STEP_UNREAD] = {"none", "nobody reads its output"},
    [SCREE_STEP_DEFERRED] = {"cpu", "its shape is known at run time"},
    [SCREE_STEP_DELEGATE] = {"delegate", ""},
};

/* Why a node is where it is. */
static const char *reason_of(const struct scree_step *step)
{
    if (step->kind == SCREE_STEP_VIEW && step->call.alias == SCREE_ALIAS_INPUTS)
        return "its inputs are made in its output's memory";
    if (step->kind == SCREE_STEP_RUN && step->in_place)
        return "its output is made over an input";
    return kinds[step->kind].reason;
}

uint32_t scree_session_n_nodes(const struct scree_session *session)
{
    return session->shared->plan.n_steps;
}

/* Where a step runs, and why there. */
static void tell_device(const struct scree_session *session, const struct scree_step *step,
                        struct scree_node_report *report)
{
    struct scree_run_stats stats;

    report->device = kinds[step->kind].device;
    report->reason = reason_of(step);
    if (!session->offload)
        return;
    scree_offload_stats(session->offload, &stats);
    if (step->kind == SCREE_STEP_DELEGATE)
        report->device = stats.device;
    if (step->kind == SCREE_STEP_RUN && scree_offload_reason(session->offload, step->index)[0])
        report->reason = scree_offload_reason(session->offload, step->index);
}

int scree_session_report(const struct scree_session *session, uint32_t index,
                         struct scree_node_report *ret_report)
{
    static const struct scree_shape unknown = {.rank = -1};
    const struct scree_plan *plan = &session->shared->plan;
    const struct scree_call *call;
    const struct scree_operand *output;

    if (index >= plan->n_steps)
        return -EINVAL;
    call = &session->calls[index];
    output = call->n_outputs > 0 ? call->outputs[0] : NULL;
    *ret_report = (struct scree_node_report){
        .op = scree_node_name(call->node),
        .index = plan->steps[index].index,
        .output_name = output ? output->name : "",
        .type = output ? output->type : SCREE_TYPE_FLOAT32,
        .shape = output && (!output->dynamic || session->has_run) ? output->shape : unknown,
        .macs = call->macs,
        .last_ns = session->step_ns[index],
    };
    tell_device(session, &plan->steps[index], ret_report);
    return 0;
}

void scree_session_stats(const struct scree_session *session, struct scree_run_stats *ret_stats)
{
    *ret_stats = (struct scree_run_stats){.device = "cpu"};
    if (session->offload)
        scree_offload_stats(session->offload, ret_stats);
}

void scree_session_profile(struct scree_session *session, bool on)
{
    session->profile = on;
}

void scree_session_memory(const struct scree_session *session, struct scree_memory *ret_memory)
{
    const struct scree_plan *plan = &session->shared->plan;

    *ret_memory = (struct scree_memory){
        .arena_bytes = plan->arena_bytes,
        .constants_bytes = plan->constants_bytes,
        .weights_bytes = plan->weights_bytes,
        .dynamic_bytes = session->scratch.capacity_bytes,
    };
    for (uint32_t i = 0; session->dynamic && i < plan->subgraph->n_tensors; i++)
        ret_memory->dynamic_bytes += session->dynamic[i].capacity_bytes;
}
