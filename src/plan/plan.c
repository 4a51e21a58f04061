#include "plan/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "plan/exact.h"
#include "plan/fuse.h"
#include "plan/place.h"

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
    plan->nodes = scree_arena_new(&plan->arena, struct scree_node, n_nodes);
    plan->operands = scree_arena_new(&plan->arena, struct scree_operand, n_tensors);
    plan->offsets = scree_arena_new(&plan->arena, size_t, n_tensors);
    plan->steps = scree_arena_new(&plan->arena, struct scree_step, n_nodes);
    if (!uses || !planner->fused || !plan->nodes || !plan->operands || !plan->offsets ||
        !plan->steps)
        return fail_memory(err);
    plan->n_steps = n_nodes;
    if (n_nodes > 0)
        memcpy(plan->nodes, plan->subgraph->nodes, n_nodes * sizeof plan->nodes[0]);
    scree_fuse_activations(plan->subgraph, plan->nodes, uses, planner->fused);
    return 0;
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
    if (step->call.op->flags & SCREE_OP_VIEW && !step->call.inputs[0]->constant &&
        !step->call.inputs[0]->variable)
        step->kind = SCREE_STEP_VIEW;
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

/* Drops the steps whose output nobody reads, because all readers look it up from its source. */
static int drop_unread(struct planner *planner, struct scree_error *err)
{
    const struct scree_plan *plan = planner->plan;
    bool *read = scree_arena_new(&planner->arena, bool, plan->subgraph->n_tensors);

    if (!read)
        return fail_memory(err);
    for (uint32_t i = 0; i < plan->subgraph->n_outputs; i++)
        read[plan->subgraph->outputs[i]] = true;
    for (uint32_t i = plan->n_steps; i-- > 0;) {
        struct scree_step *step = &plan->steps[i];
        const struct scree_operand *output = step->call.n_outputs ? step->call.outputs[0] : NULL;

        if (step->kind == SCREE_STEP_RUN && output && output->source &&
            !read[output - plan->operands])
            step->kind = SCREE_STEP_FUSED;
        for (uint32_t k = 0; k < step->call.n_inputs && step->kind != SCREE_STEP_FUSED; k++)
            if (step->call.inputs[k])
                read[step->call.inputs[k] - plan->operands] = true;
    }
    return 0;
}

/* ---- places -------------------------------------------------------------------------------------
 */

/* Tensors that share memory are known by one of them, the root: the input of the first view of a
 * chain. */
struct lifetimes {
    uint32_t *root;  /* of each tensor */
    uint32_t *first; /* of each root: the step that writes it */
    uint32_t *last;  /* of each root: the last step that reads it */
    bool *placed;    /* of each root: wants a place */
    int32_t *part;   /* of each tensor: that of the step that writes it, -1: none */
    bool *leaves;    /* of each tensor: is read outside of its part */
};

/* A step's place in the order, and the first and the last of its part: itself, if it has none. */
struct span {
    uint32_t at, first, last;
};

static int32_t part_of(const struct scree_step *step)
{
    return step->kind == SCREE_STEP_DELEGATE ? step->part : -1;
}

static bool is_idle(const struct scree_step *step)
{
    return step->kind == SCREE_STEP_FOLDED || step->kind == SCREE_STEP_FUSED;
}

static bool has_scratch(const struct scree_step *step)
{
    return (step->kind == SCREE_STEP_RUN || step->kind == SCREE_STEP_DELEGATE) &&
           step->call.scratch_bytes > 0;
}

/* Which tensors cross the border of a part. */
static void find_borders(const struct scree_plan *plan, struct lifetimes *lifetimes)
{
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        lifetimes->part[i] = -1;
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const struct scree_step *step = &plan->steps[i];

        for (uint32_t k = 0; k < step->call.n_inputs && !is_idle(step); k++) {
            const struct scree_operand *operand = step->call.inputs[k];

            if (operand && lifetimes->part[operand - plan->operands] != part_of(step))
                lifetimes->leaves[operand - plan->operands] = true;
        }
        for (uint32_t k = 0; k < step->call.n_outputs && !is_idle(step); k++)
            lifetimes->part[step->call.outputs[k] - plan->operands] = part_of(step);
    }
    for (uint32_t i = 0; i < plan->subgraph->n_outputs; i++)
        lifetimes->leaves[plan->subgraph->outputs[i]] = true;
}

static struct span span_of(const struct scree_plan *plan, uint32_t at)
{
    struct span span = {at, at, at};
    int32_t part = part_of(&plan->steps[at]);

    while (part >= 0 && span.first > 0 && part_of(&plan->steps[span.first - 1]) == part)
        span.first--;
    while (part >= 0 && span.last + 1 < plan->n_steps &&
           part_of(&plan->steps[span.last + 1]) == part)
        span.last++;
    return span;
}

static void live(struct lifetimes *lifetimes, uint32_t tensor, uint32_t step)
{
    uint32_t root = lifetimes->root[tensor];

    if (!lifetimes->placed[root] || step < lifetimes->first[root])
        lifetimes->first[root] = step;
    if (!lifetimes->placed[root] || step > lifetimes->last[root])
        lifetimes->last[root] = step;
    lifetimes->placed[root] = true;
}

static void live_operands(const struct scree_plan *plan, struct lifetimes *lifetimes,
                          const struct scree_step *step, struct span span)
{
    /* What a deferred step reads must be there when its turn comes, and its reader's, until the
     * end. What comes into a part must be there until the part has ended. */
    const struct scree_call *call = &step->call;
    uint32_t until = step->kind == SCREE_STEP_DEFERRED ? plan->n_steps : span.last;

    for (uint32_t i = 0; i < call->n_inputs; i++) {
        const struct scree_operand *operand = call->inputs[i];

        if (operand && !operand->constant && !operand->dynamic && !operand->variable) {
            uint32_t tensor = (uint32_t)(operand - plan->operands);
            bool inside = part_of(step) >= 0 && lifetimes->part[tensor] == part_of(step);

            live(lifetimes, tensor, inside ? span.at : until);
        }
    }
    for (uint32_t i = 0; i < call->n_outputs; i++) {
        uint32_t tensor = (uint32_t)(call->outputs[i] - plan->operands);

        if (step->kind == SCREE_STEP_VIEW && i == 0)
            lifetimes->root[tensor] = lifetimes->root[(uint32_t)(call->inputs[0] - plan->operands)];
        if (!call->outputs[i]->dynamic)
            live(lifetimes, tensor, lifetimes->leaves[tensor] ? span.first : span.at);
    }
}

static void find_lifetimes(const struct scree_plan *plan, struct lifetimes *lifetimes)
{
    const struct scree_subgraph *subgraph = plan->subgraph;

    for (uint32_t i = 0; i < subgraph->n_tensors; i++)
        lifetimes->root[i] = i;
    for (uint32_t i = 0; i < subgraph->n_inputs; i++)
        if (!plan->operands[subgraph->inputs[i]].constant)
            live(lifetimes, (uint32_t)subgraph->inputs[i], 0);
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (!is_idle(&plan->steps[i]))
            live_operands(plan, lifetimes, &plan->steps[i], span_of(plan, i));
    for (uint32_t i = 0; i < subgraph->n_outputs; i++) {
        const struct scree_operand *operand = &plan->operands[subgraph->outputs[i]];

        if (!operand->constant && !operand->dynamic)
            live(lifetimes, (uint32_t)subgraph->outputs[i], plan->n_steps);
    }
    for (uint32_t i = 0; i < subgraph->n_tensors; i++)
        if (plan->operands[i].variable) {
            live(lifetimes, i, 0);
            live(lifetimes, i, plan->n_steps);
        }
}

/* Fills blocks with the tensors, then the scratch of each step; returns how many. */
static uint32_t collect_blocks(const struct scree_plan *plan, const struct lifetimes *lifetimes,
                               struct scree_block *blocks)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        if (lifetimes->placed[i])
            blocks[n++] = (struct scree_block){plan->operands[i].bytes, lifetimes->first[i],
                                               lifetimes->last[i], 0};
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (has_scratch(&plan->steps[i]))
            blocks[n++] = (struct scree_block){plan->steps[i].call.scratch_bytes, i, i, 0};
    return n;
}

static void spread_offsets(struct scree_plan *plan, const struct lifetimes *lifetimes,
                           const struct scree_block *blocks)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        if (lifetimes->placed[i])
            plan->offsets[i] = blocks[n++].offset;
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (has_scratch(&plan->steps[i]))
            plan->steps[i].scratch_offset = blocks[n++].offset;
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        if (lifetimes->root[i] != i)
            plan->offsets[i] = plan->offsets[lifetimes->root[i]];
}

static int place(struct planner *planner, struct scree_error *err)
{
    struct scree_plan *plan = planner->plan;
    uint32_t n_tensors = plan->subgraph->n_tensors, n = n_tensors + plan->n_steps;
    struct lifetimes lifetimes = {
        .root = scree_arena_new(&planner->arena, uint32_t, n_tensors),
        .first = scree_arena_new(&planner->arena, uint32_t, n_tensors),
        .last = scree_arena_new(&planner->arena, uint32_t, n_tensors),
        .placed = scree_arena_new(&planner->arena, bool, n_tensors),
        .part = scree_arena_new(&planner->arena, int32_t, n_tensors),
        .leaves = scree_arena_new(&planner->arena, bool, n_tensors),
    };
    struct scree_block *blocks = scree_arena_new(&planner->arena, struct scree_block, n);
    uint32_t *order = scree_arena_new(&planner->arena, uint32_t, n);
    uint32_t *placed = scree_arena_new(&planner->arena, uint32_t, n);

    if (!lifetimes.root || !lifetimes.first || !lifetimes.last || !lifetimes.placed ||
        !lifetimes.part || !lifetimes.leaves || !blocks || !order || !placed)
        return fail_memory(err);
    find_borders(plan, &lifetimes);
    find_lifetimes(plan, &lifetimes);
    n = collect_blocks(plan, &lifetimes, blocks);
    plan->arena_bytes = scree_place(blocks, n, SCREE_PLAN_MAX_ARENA_BYTES, order, placed);
    if (plan->arena_bytes == SIZE_MAX)
        return scree_fail(err, E2BIG, "the model's activations need over %zu MiB",
                          SCREE_PLAN_MAX_ARENA_BYTES >> 20);
    spread_offsets(plan, &lifetimes, blocks);
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
        rc = drop_unread(planner, err);
    return rc < 0 ? rc : place(planner, err);
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
        assert(step->part < 0 || step->kind == SCREE_STEP_RUN);
        if (step->part >= 0)
            step->kind = SCREE_STEP_DELEGATE;
    }
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        plan->offsets[i] = SCREE_NOT_IN_ARENA;
    return place(planner, err);
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
