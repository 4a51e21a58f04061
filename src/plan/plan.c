#include "plan/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "plan/exact.h"
#include "plan/fuse.h"
#include "plan/memory.h"
#include "plan/pad.h"
#include "plan/unread.h"

/* Operands, calls and parameters of a plan: far above what any model needs. */
#define MAX_PLAN_BYTES ((size_t)1 << 30)
/* What folding may add: computed constants are small (shapes, tables) or weights unpacked (float16,
 * int4). */
#define FOLD_FREE_BYTES ((size_t)16 << 20)
#define FOLD_FACTOR     8
/* Matrix products over constants are folded only when they take less than about 0.1 s. */
#define FOLD_MAX_MACS ((uint64_t)1 << 26)

/* Working memory of planning. */
struct planner {
    struct scree_plan *plan;
    const struct scree_op_set *ops;
    size_t fold_limit;
    bool *fused;
    const struct scree_margin **margins; /* of each node, NULL: none */
    bool exact_floats;
    struct scree_arena arena;
};

static int fail_memory(struct scree_error *err)
{
    return scree_fail(err, ENOMEM, "no memory for the plan");
}

static int set_operand(struct scree_plan *plan, uint32_t tensor, struct scree_error *err)
{
    const struct scree_tensor_def *def = &plan->subgraph->tensors[tensor];
    struct scree_operand *operand = &plan->operands[tensor];
    int rc;

    *operand = (struct scree_operand){
        .type = def->type,
        .constant = def->data != NULL,
        .variable = def->is_variable,
        .quant = &def->quant,
        .data = (void *)(uintptr_t)def->data,
        .name = def->name,
    };
    rc = scree_operand_set_shape(operand, &def->shape, err);
    if (rc < 0)
        return scree_wrap(err, rc, "tensor %u", tensor);
    if (def->data)
        operand->bytes = def->bytes;
    plan->offsets[tensor] = SCREE_NOT_IN_ARENA;
    return 0;
}

static int set_inputs(struct scree_plan *plan, const struct scree_shape *shapes,
                      struct scree_error *err)
{
    for (uint32_t i = 0; i < plan->subgraph->n_inputs; i++) {
        struct scree_operand *operand = &plan->operands[plan->subgraph->inputs[i]];
        int rc;

        if (scree_type_bytes(operand->type) == 0)
            return scree_fail(err, ENOTSUP, "input %u has type %s", i,
                              scree_type_name(operand->type));
        if (!shapes || shapes[i].rank == -1)
            continue;
        rc = scree_operand_set_shape(operand, &shapes[i], err);
        if (rc < 0) {
            rc = scree_wrap(err, rc, "input %u", i);
            return rc == -EBADMSG ? -EINVAL : rc;
        }
    }
    return 0;
}

static int alloc_tables(struct planner *planner, struct scree_error *err)
{
    struct scree_plan *plan = planner->plan;
    uint32_t n_nodes = plan->subgraph->n_nodes, n_tensors = plan->subgraph->n_tensors;
    uint32_t *uses = scree_arena_new(&planner->arena, uint32_t, n_tensors);

    planner->fused = scree_arena_new(&planner->arena, bool, n_nodes);
    planner->margins = scree_arena_new(&planner->arena, const struct scree_margin *, n_nodes);
    plan->nodes = scree_arena_new(&plan->arena, struct scree_node, n_nodes);
    plan->operands = scree_arena_new(&plan->arena, struct scree_operand, n_tensors);
    plan->offsets = scree_arena_new(&plan->arena, size_t, n_tensors);
    plan->steps = scree_arena_new(&plan->arena, struct scree_step, n_nodes);
    if (!uses || !planner->fused || !planner->margins || !plan->nodes || !plan->operands ||
        !plan->offsets || !plan->steps)
        return fail_memory(err);
    plan->n_steps = n_nodes;
    if (n_nodes > 0)
        memcpy(plan->nodes, plan->subgraph->nodes, n_nodes * sizeof plan->nodes[0]);
    scree_fuse_activations(plan->subgraph, plan->nodes, uses, planner->fused);
    return scree_absorb_pads(plan->subgraph, plan->nodes, uses, &plan->arena, planner->margins,
                             planner->fused, err);
}

static struct scree_operand **operand_list(struct scree_plan *plan, const int32_t *tensors,
                                           uint32_t n)
{
    struct scree_operand **list = scree_arena_new(&plan->arena, struct scree_operand *, n);

    for (uint32_t i = 0; list && i < n; i++)
        list[i] = tensors[i] < 0 ? NULL : &plan->operands[tensors[i]];
    return list;
}

static int make_call(struct planner *planner, uint32_t index, struct scree_error *err)
{
    struct scree_plan *plan = planner->plan;
    const struct scree_node *node = &plan->nodes[index];
    struct scree_call *call = &plan->steps[index].call;

    call->node = node;
    call->n_inputs = node->n_inputs;
    call->n_outputs = node->n_outputs;
    call->arena = &plan->arena;
    call->kernels = planner->ops->kernels;
    call->once = true;
    call->margin = planner->margins[index];
    call->exact_floats = planner->exact_floats;
    call->inputs = operand_list(plan, node->inputs, node->n_inputs);
    call->outputs = operand_list(plan, node->outputs, node->n_outputs);
    call->n_intermediates = node->n_intermediates;
    call->intermediates = operand_list(plan, node->intermediates, node->n_intermediates);
    if (!call->inputs || !call->outputs || !call->intermediates)
        return fail_memory(err);
    return planner->ops->find(node, &call->op, err);
}

static bool inputs_are_dynamic(const struct scree_call *call)
{
    for (uint32_t i = 0; i < call->n_inputs; i++)
        if (call->inputs[i] && call->inputs[i]->dynamic)
            return true;
    return false;
}

static bool can_fold(const struct planner *planner, const struct scree_call *call)
{
    size_t bytes = planner->plan->constants_bytes;
    bool of_shapes = call->op->flags & SCREE_OP_OF_SHAPES;

    if (call->op->flags & (SCREE_OP_NO_FOLD | SCREE_OP_STATEFUL) || call->macs > FOLD_MAX_MACS)
        return false;
    for (uint32_t i = 0; i < call->n_inputs; i++)
        if (call->inputs[i] && !call->inputs[i]->constant && !of_shapes)
            return false;
    for (uint32_t i = 0; i < call->n_outputs; i++)
        if (!scree_add_size(bytes, call->outputs[i]->bytes, &bytes))
            return false;
    return bytes <= planner->fold_limit && call->scratch_bytes <= planner->fold_limit &&
           call->thread_scratch_bytes <= planner->fold_limit;
}

/* Runs a call on this thread, with scratch for just that. */
static int run_alone(const struct planner *planner, struct scree_call *call,
                     struct scree_error *err)
{
    int rc;

    call->scratch = aligned_alloc(64, (call->scratch_bytes + 64) / 64 * 64);
    call->thread_scratch = aligned_alloc(64, (call->thread_scratch_bytes + 64) / 64 * 64);
    if (call->scratch && call->thread_scratch)
        rc = planner->ops->run(call, err);
    else
        rc = fail_memory(err);
    free(call->thread_scratch);
    free(call->scratch);
    call->scratch = call->thread_scratch = NULL;
    return rc;
}

static int fold(struct planner *planner, struct scree_call *call, struct scree_error *err)
{
    struct scree_plan *plan = planner->plan;
    int rc;

    for (uint32_t i = 0; i < call->n_outputs; i++) {
        call->outputs[i]->data = scree_arena_calloc(&plan->constants, 1, call->outputs[i]->bytes);
        if (!call->outputs[i]->data)
            return fail_memory(err);
        plan->constants_bytes += call->outputs[i]->bytes;
    }
    rc = run_alone(planner, call, err);
    for (uint32_t i = 0; rc >= 0 && i < call->n_outputs; i++)
        call->outputs[i]->constant = true;
    return rc;
}

static void defer(struct scree_step *step)
{
    step->kind = SCREE_STEP_DEFERRED;
    for (uint32_t i = 0; i < step->call.n_outputs; i++)
        step->call.outputs[i]->dynamic = true;
}

static void tell_consumed(const struct planner *planner, const struct scree_call *call)
{
    for (uint32_t i = 0; planner->ops->consumed && i < call->n_inputs && i < 32; i++)
        if (call->consumed >> i & 1) {
            const struct scree_tensor_def *def =
                &planner->plan->subgraph->tensors[call->inputs[i] - planner->plan->operands];

            if (def->data) /* else it is one of the plan's own */
                planner->ops->consumed(planner->ops->arg, def->data, def->bytes);
        }
}

static int plan_step(struct planner *planner, struct scree_step *step, struct scree_error *err)
{
    int rc = inputs_are_dynamic(&step->call) ? SCREE_DEFER
                                             : planner->ops->prepare(&step->call, err);

    if (rc < 0)
        return rc;
    if (rc == SCREE_DEFER) {
        defer(step);
        return 0;
    }
    if (can_fold(planner, &step->call)) {
        step->kind = SCREE_STEP_FOLDED;
        return fold(planner, &step->call, err);
    }
    step->kind = SCREE_STEP_RUN;
    tell_consumed(planner, &step->call);
    if (step->call.thread_scratch_bytes > planner->plan->thread_scratch_bytes)
        planner->plan->thread_scratch_bytes = step->call.thread_scratch_bytes;
    return 0;
}

static int plan_steps(struct planner *planner, struct scree_error *err)
{
    struct scree_plan *plan = planner->plan;

    for (uint32_t i = 0; i < plan->n_steps; i++) {
        int rc = make_call(planner, i, err);

        plan->steps[i].index = i;
        if (rc >= 0 && planner->fused[i])
            plan->steps[i].kind = SCREE_STEP_FUSED;
        else if (rc >= 0)
            rc = plan_step(planner, &plan->steps[i], err);
        if (rc < 0)
            return scree_wrap(err, rc, "operator %u", i);
    }
    return 0;
}

static size_t count_weights(const struct scree_subgraph *subgraph)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < subgraph->n_tensors; i++)
        bytes += subgraph->tensors[i].bytes;
    return bytes;
}

static int make_plan(struct planner *planner, const struct scree_shape *shapes,
                     struct scree_error *err)
{
    struct scree_plan *plan = planner->plan;
    int rc = alloc_tables(planner, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++) {
        rc = set_operand(plan, i, err);
        if (rc < 0)
            return rc;
    }
    plan->weights_bytes = count_weights(plan->subgraph);
    planner->exact_floats = scree_graph_wants_exact_floats(plan->subgraph);
    planner->fold_limit = FOLD_FREE_BYTES + FOLD_FACTOR * plan->weights_bytes;
    rc = set_inputs(plan, shapes, err);
    if (rc >= 0)
        rc = plan_steps(planner, err);
    if (rc >= 0)
        rc = scree_drop_unread(plan, &planner->arena, err);
    return rc < 0 ? rc : scree_plan_place(plan, &planner->arena, err);
}

int scree_plan_new(const struct scree_subgraph *subgraph, const struct scree_op_set *ops,
                   const struct scree_shape *shapes, struct scree_plan *ret_plan,
                   struct scree_error *err)
{
    struct scree_plan plan = {.subgraph = subgraph};
    struct planner planner = {.plan = &plan, .ops = ops};
    int rc;

    scree_arena_init(&plan.arena, MAX_PLAN_BYTES);
    scree_arena_init(&plan.constants, SIZE_MAX);
    scree_arena_init(&planner.arena, MAX_PLAN_BYTES);
    rc = make_plan(&planner, shapes, err);
    scree_arena_done(&planner.arena);
    if (rc < 0) {
        scree_plan_done(&plan);
        return rc;
    }
    *ret_plan = plan;
    return 0;
}

static int divide(struct planner *planner, const struct scree_plan *whole,
                  const struct scree_parts *parts, struct scree_error *err)
{
    struct scree_plan *plan = planner->plan;

    plan->steps = scree_arena_new(&plan->arena, struct scree_step, plan->n_steps);
    plan->offsets = scree_arena_new(&plan->arena, size_t, plan->subgraph->n_tensors);
    if (!plan->steps || !plan->offsets)
        return fail_memory(err);
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        struct scree_step *step = &plan->steps[i];

        *step = whole->steps[parts->order[i]];
        step->part = parts->part[parts->order[i]];
        assert(step->part < 0 || step->kind == SCREE_STEP_RUN || step->kind == SCREE_STEP_VIEW);
        if (step->part >= 0)
            step->kind = SCREE_STEP_DELEGATE;
    }
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        plan->offsets[i] = SCREE_NOT_IN_ARENA;
    return scree_plan_place(plan, &planner->arena, err);
}

int scree_plan_divide(const struct scree_plan *plan, const struct scree_parts *parts,
                      struct scree_plan *ret_plan, struct scree_error *err)
{
    struct scree_plan divided = *plan;
    struct planner planner = {.plan = &divided};
    int rc;

    scree_arena_init(&divided.arena, MAX_PLAN_BYTES);
    scree_arena_init(&divided.constants, SIZE_MAX);
    scree_arena_init(&planner.arena, MAX_PLAN_BYTES);
    rc = divide(&planner, plan, parts, err);
    scree_arena_done(&planner.arena);
    if (rc < 0) {
        scree_plan_done(&divided);
        return rc;
    }
    *ret_plan = divided;
    return 0;
}

void scree_plan_done(struct scree_plan *plan)
{
    scree_arena_done(&plan->constants);
    scree_arena_done(&plan->arena);
    *plan = (struct scree_plan){0};
}
