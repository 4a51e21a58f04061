#include "plan/alias.h"

#include "base/checked.h"

uint32_t scree_alias_root(struct scree_residence *residences, uint32_t tensor, size_t *ret_offset)
{
    uint32_t root = tensor;
    size_t offset = 0;

    while (residences[root].root != root) {
        offset += residences[root].offset;
        root = residences[root].root;
    }
    if (ret_offset)
        *ret_offset = offset;
    while (residences[tensor].root != root && tensor != root) {
        struct scree_residence *residence = &residences[tensor];
        size_t own = residence->offset;

        tensor = residence->root;
        residence->root = root;
        residence->offset = offset;
        offset -= own;
    }
    return root;
}

struct aliasing {
    struct scree_plan *plan;
    struct scree_residence *residences;
};

static uint32_t tensor_of(const struct aliasing *aliasing, const struct scree_operand *operand)
{
    return (uint32_t)(operand - aliasing->plan->operands);
}

/* Root `inner` from now on lies in root `outer`, at `offset`. */
static void join(struct aliasing *aliasing, uint32_t inner, uint32_t outer, size_t offset)
{
    struct scree_residence *in = &aliasing->residences[inner], *out = &aliasing->residences[outer];

    in->root = outer;
    in->offset = offset;
    out->first = in->first < out->first ? in->first : out->first;
    out->last = in->last > out->last ? in->last : out->last;
}

/* A tensor that this step makes, and that may be made anywhere. */
static bool is_free(const struct aliasing *aliasing, const struct scree_operand *operand)
{
    const struct scree_residence *residence = &aliasing->residences[tensor_of(aliasing, operand)];

    return residence->placed && !residence->held && residence->root == tensor_of(aliasing, operand);
}

/* ---- parts of an input -------------------------------------------------------------------------
 */

/* The input may be held, if it is by the graph's caller; a variable changes between reads. */
static bool alias_outputs(struct aliasing *aliasing, const struct scree_call *call)
{
    const struct scree_operand *input = call->inputs[call->alias_input];
    size_t offset, at = call->alias_start;
    uint32_t root;

    if (input->constant || input->dynamic || input->variable)
        return false;
    for (uint32_t i = 0; i < call->n_outputs; i++)
        if (!is_free(aliasing, call->outputs[i]))
            return false;
    root = scree_alias_root(aliasing->residences, tensor_of(aliasing, input), &offset);
    for (uint32_t i = 0; i < call->n_outputs; i++) {
        join(aliasing, tensor_of(aliasing, call->outputs[i]), root, offset + at);
        at += call->outputs[i]->bytes;
    }
    return true;
}

/* ---- parts of an output ------------------------------------------------------------------------
 */

/* Only what fills its memory alone can be moved elsewhere with it. Returns whether it has been. */
static bool alias_input(struct aliasing *aliasing, const struct scree_operand *input,
                        uint32_t output, size_t at)
{
    uint32_t root;
    size_t offset;

    if (!input || input->constant || input->dynamic || input->variable)
        return false;
    root = scree_alias_root(aliasing->residences, tensor_of(aliasing, input), &offset);
    if (root == output || aliasing->residences[root].held ||
        aliasing->plan->operands[root].bytes != input->bytes || offset != 0)
        return false;
    join(aliasing, root, output, at);
    return true;
}

static bool alias_inputs(struct aliasing *aliasing, const struct scree_call *call)
{
    uint32_t output = tensor_of(aliasing, call->outputs[0]);
    bool all = true;
    size_t at = 0;

    if (!is_free(aliasing, call->outputs[0]))
        return false;
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        all = alias_input(aliasing, call->inputs[i], output, at) && all;
        at += call->inputs[i] ? call->inputs[i]->bytes : 0;
    }
    return all;
}

/* ---- in place ----------------------------------------------------------------------------------
 */

/* Whether another input has bytes of the memory of input `index`, other than just the same. */
static bool is_read_crosswise(struct aliasing *aliasing, const struct scree_call *call,
                              uint32_t index, uint32_t root, size_t offset)
{
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        size_t other;

        if (i != index && call->inputs[i] &&
            scree_alias_root(aliasing->residences, tensor_of(aliasing, call->inputs[i]), &other) ==
                root &&
            (other != offset || call->inputs[i]->bytes != call->inputs[index]->bytes))
            return true;
    }
    return false;
}

static bool alias_in_place(struct aliasing *aliasing, const struct scree_call *call, uint32_t at)
{
    const struct scree_operand *output = call->outputs[0];

    if (!is_free(aliasing, output))
        return false;
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        const struct scree_operand *input = call->inputs[i];
        uint32_t root;
        size_t offset;

        if (!input || input->constant || input->dynamic || input->variable ||
            input->bytes != output->bytes || !scree_shape_equal(&input->shape, &output->shape))
            continue;
        root = scree_alias_root(aliasing->residences, tensor_of(aliasing, input), &offset);
        if (aliasing->residences[root].held || aliasing->residences[root].last != at ||
            is_read_crosswise(aliasing, call, i, root, offset))
            continue;
        join(aliasing, tensor_of(aliasing, output), root, offset);
        return true;
    }
    return false;
}

void scree_alias(struct scree_plan *plan, struct scree_residence *residences)
{
    struct aliasing aliasing = {plan, residences};

    for (uint32_t i = 0; i < plan->n_steps; i++) {
        struct scree_step *step = &plan->steps[i];
        bool moved = false;

        step->in_place = false;
        if (step->kind != SCREE_STEP_RUN && step->kind != SCREE_STEP_VIEW)
            continue;
        if (step->call.alias == SCREE_ALIAS_OUTPUTS)
            moved = alias_outputs(&aliasing, &step->call);
        else if (step->call.alias == SCREE_ALIAS_INPUTS)
            moved = alias_inputs(&aliasing, &step->call);
        else if (step->call.op->flags & SCREE_OP_IN_PLACE)
            step->in_place = alias_in_place(&aliasing, &step->call, i);
        step->kind = moved ? SCREE_STEP_VIEW : SCREE_STEP_RUN;
    }
}
