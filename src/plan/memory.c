#include "plan/memory.h"

#include "plan/alias.h"
#include "plan/place.h"

/* What is known of each tensor. */
struct lives {
    struct scree_residence *residences;
    int32_t *part; /* that of the step that writes it, -1: none */
    bool *leaves;  /* is read outside of its part */
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
    return step->kind == SCREE_STEP_FOLDED || step->kind == SCREE_STEP_FUSED ||
           step->kind == SCREE_STEP_UNREAD;
}

static bool has_scratch(const struct scree_step *step)
{
    return (step->kind == SCREE_STEP_RUN || step->kind == SCREE_STEP_DELEGATE) &&
           step->call.scratch_bytes > 0;
}

/* ---- lives -------------------------------------------------------------------------------------
 */

/* Which tensors cross the border of a part. */
static void find_borders(const struct scree_plan *plan, struct lives *lives)
{
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        lives->part[i] = -1;
    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const struct scree_step *step = &plan->steps[i];

        for (uint32_t k = 0; k < step->call.n_inputs && !is_idle(step); k++) {
            const struct scree_operand *operand = step->call.inputs[k];

            if (operand && lives->part[operand - plan->operands] != part_of(step))
                lives->leaves[operand - plan->operands] = true;
        }
        for (uint32_t k = 0; k < step->call.n_outputs && !is_idle(step); k++)
            lives->part[step->call.outputs[k] - plan->operands] = part_of(step);
    }
    for (uint32_t i = 0; i < plan->subgraph->n_outputs; i++)
        lives->leaves[plan->subgraph->outputs[i]] = true;
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

static void live(struct lives *lives, uint32_t tensor, uint32_t step)
{
    struct scree_residence *residence = &lives->residences[tensor];

    if (!residence->placed || step < residence->first)
        residence->first = step;
    if (!residence->placed || step > residence->last)
        residence->last = step;
    residence->placed = true;
}

static void live_operands(const struct scree_plan *plan, struct lives *lives,
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
            bool inside = part_of(step) >= 0 && lives->part[tensor] == part_of(step);

            live(lives, tensor, inside ? span.at : until);
        }
    }
    for (uint32_t i = 0; i < call->n_outputs; i++) {
        uint32_t tensor = (uint32_t)(call->outputs[i] - plan->operands);

        if (!call->outputs[i]->dynamic)
            live(lives, tensor, lives->leaves[tensor] ? span.first : span.at);
    }
}

/* The graph's inputs and outputs, and variables, are there all the time. */
static void live_ports(const struct scree_plan *plan, struct lives *lives)
{
    const struct scree_subgraph *subgraph = plan->subgraph;

    for (uint32_t i = 0; i < subgraph->n_inputs; i++) {
        lives->residences[subgraph->inputs[i]].held = true;
        if (!plan->operands[subgraph->inputs[i]].constant)
            live(lives, (uint32_t)subgraph->inputs[i], 0);
    }
    for (uint32_t i = 0; i < subgraph->n_outputs; i++) {
        const struct scree_operand *operand = &plan->operands[subgraph->outputs[i]];

        if (!operand->constant && !operand->dynamic)
            live(lives, (uint32_t)subgraph->outputs[i], plan->n_steps);
    }
    for (uint32_t i = 0; i < subgraph->n_tensors; i++)
        if (plan->operands[i].variable) {
            lives->residences[i].held = true;
            live(lives, i, 0);
            live(lives, i, plan->n_steps);
        }
}

static void find_lives(const struct scree_plan *plan, struct lives *lives)
{
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        lives->residences[i].root = i;
    find_borders(plan, lives);
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (!is_idle(&plan->steps[i]))
            live_operands(plan, lives, &plan->steps[i], span_of(plan, i));
    live_ports(plan, lives);
}

/* ---- places ------------------------------------------------------------------------------------
 */

static bool has_block(const struct lives *lives, uint32_t tensor)
{
    return lives->residences[tensor].placed && lives->residences[tensor].root == tensor;
}

/* Fills blocks with the tensors that are roots, then the scratch of each step; returns how many. */
static uint32_t collect_blocks(const struct scree_plan *plan, const struct lives *lives,
                               struct scree_block *blocks)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        if (has_block(lives, i))
            blocks[n++] = (struct scree_block){plan->operands[i].bytes, lives->residences[i].first,
                                               lives->residences[i].last, 0};
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (has_scratch(&plan->steps[i]))
            blocks[n++] = (struct scree_block){plan->steps[i].call.scratch_bytes, i, i, 0};
    return n;
}

static void spread_offsets(struct scree_plan *plan, const struct lives *lives,
                           const struct scree_block *blocks)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        if (has_block(lives, i))
            plan->offsets[i] = blocks[n++].offset;
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (has_scratch(&plan->steps[i]))
            plan->steps[i].scratch_offset = blocks[n++].offset;
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        if (lives->residences[i].placed && !has_block(lives, i)) {
            size_t offset;
            uint32_t root = scree_alias_root(lives->residences, i, &offset);

            plan->offsets[i] = plan->offsets[root] + offset;
        }
}

int scree_plan_place(struct scree_plan *plan, struct scree_arena *arena, struct scree_error *err)
{
    uint32_t n_tensors = plan->subgraph->n_tensors, n = n_tensors + plan->n_steps;
    struct lives lives = {
        .residences = scree_arena_new(arena, struct scree_residence, n_tensors),
        .part = scree_arena_new(arena, int32_t, n_tensors),
        .leaves = scree_arena_new(arena, bool, n_tensors),
    };
    struct scree_block *blocks = scree_arena_new(arena, struct scree_block, n);
    uint32_t *order = scree_arena_new(arena, uint32_t, n);
    uint32_t *placed = scree_arena_new(arena, uint32_t, n);

    if (!lives.residences || !lives.part || !lives.leaves || !blocks || !order || !placed)
        return scree_fail(err, ENOMEM, "no memory for the plan");
    find_lives(plan, &lives);
    scree_alias(plan, lives.residences);
    n = collect_blocks(plan, &lives, blocks);
    plan->arena_bytes = scree_place(blocks, n, SCREE_PLAN_MAX_ARENA_BYTES, order, placed);
    if (plan->arena_bytes == SIZE_MAX)
        return scree_fail(err, E2BIG, "the model's activations need over %zu MiB",
                          SCREE_PLAN_MAX_ARENA_BYTES >> 20);
    spread_offsets(plan, &lives, blocks);
    return 0;
}
