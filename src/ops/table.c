#include "ops/table.h"

#include <string.h>

#include "kernels/kernels.h"
#include "ops/broadcast.h"

/* A look-up is so fast that only large tensors are worth a thread. */
#define GRAIN ((size_t)1 << 18)

static const uint8_t *identity(void)
{
#define FOUR(x)    (x), (x) + 1, (x) + 2, (x) + 3
#define SIXTEEN(x) FOUR(x), FOUR((x) + 4), FOUR((x) + 8), FOUR((x) + 12)
#define LOT(x)     SIXTEEN(x), SIXTEEN((x) + 16), SIXTEEN((x) + 32), SIXTEEN((x) + 48)
    static const uint8_t bytes[SCREE_LUT_8_SIZE] = {LOT(0), LOT(64), LOT(128), LOT(192)};

    return bytes;
}

static bool is_bytes(const struct scree_operand *operand)
{
    return operand->type == SCREE_TYPE_INT8 || operand->type == SCREE_TYPE_UINT8;
}

/* Where the operand's chain begins; *ret_table leads from there. */
static struct scree_operand *chain_source(struct scree_operand *operand, const uint8_t **ret_table)
{
    *ret_table = operand->source ? operand->table : identity();
    return operand->source ? operand->source : operand;
}

/* Tells the next operator of the chain. A variable's bytes may change before it runs. A table that
 * changes nothing makes the output the input's memory. */
static void publish(struct scree_call *call, const uint8_t *table)
{
    if (memcmp(table, identity(), SCREE_LUT_8_SIZE) == 0)
        scree_call_alias_outputs(call, 0, 0);
    if (call->inputs[0]->variable)
        return;
    call->outputs[0]->source = call->inputs[0];
    call->outputs[0]->table = table;
}

void scree_table_chain(struct scree_call *call, uint8_t *table)
{
    const uint8_t *before;

    if (!call->once)
        return;
    call->inputs[0] = chain_source(call->inputs[0], &before);
    if (before != identity()) {
        uint8_t own[SCREE_LUT_8_SIZE];

        memcpy(own, table, sizeof own);
        for (size_t i = 0; i < SCREE_LUT_8_SIZE; i++)
            table[i] = own[before[i]];
    }
    publish(call, table);
}

bool scree_table_of_two(struct scree_call *call, scree_row_fn *row, const void *params,
                        uint8_t *table)
{
    const struct scree_operand *output = call->outputs[0];
    struct scree_operand *source = NULL;
    const void *columns[2];
    size_t steps[2];

    if (!call->once || !is_bytes(output))
        return false;
    for (uint32_t k = 0; k < 2; k++) {
        struct scree_operand *input = call->inputs[k], *begin;
        const uint8_t *column;

        if (!is_bytes(input))
            return false;
        steps[k] = !(input->constant && input->n_elements == 1);
        columns[k] = input->data;
        if (steps[k] == 0)
            continue;
        begin = chain_source(input, &column);
        if (input->n_elements != output->n_elements || (source && source != begin))
            return false;
        source = begin;
        columns[k] = column;
    }
    if (!source)
        return false;
    row(table, columns, steps, SCREE_LUT_8_SIZE, params);
    call->inputs[0] = source;
    call->n_inputs = 1;
    publish(call, table);
    return true;
}

void scree_table_to_floats(struct scree_call *call, scree_row_fn *row, const void *params,
                           float *table)
{
    const uint8_t *bytes;
    struct scree_operand *source = chain_source(call->inputs[0], &bytes);
    const size_t steps[1] = {1};

    row(table, (const void *const[]){bytes}, steps, SCREE_LUT_8_SIZE, params);
    if (source->variable)
        return;
    call->outputs[0]->source = source;
    call->outputs[0]->table = table;
}

void scree_table_through_floats(struct scree_call *call, scree_row_fn *row, const void *params,
                                float *table)
{
    const struct scree_operand *input = call->inputs[0];
    const size_t steps[1] = {1};

    if (!call->once || !input->source)
        return;
    row(table, &input->table, steps, SCREE_LUT_8_SIZE, params);
    call->outputs[0]->source = input->source;
    call->outputs[0]->table = table;
}

bool scree_table_of_floats(struct scree_call *call, scree_row_fn *row, const void *params,
                           uint8_t *table)
{
    const struct scree_operand *input = call->inputs[0];
    const size_t steps[1] = {1};

    if (!call->once || !input->source || !is_bytes(input->source))
        return false;
    row(table, &input->table, steps, SCREE_LUT_8_SIZE, params);
    call->inputs[0] = input->source;
    publish(call, table);
    return true;
}

void scree_table_run(const struct scree_call *call, const uint8_t *table)
{
    const void *data[1] = {call->inputs[0]->data};
    struct scree_broadcast flat;

    scree_broadcast_init_flat(&flat, call->outputs[0]->n_elements, 1, 1);
    flat.grain = GRAIN;
    scree_broadcast_run(&flat, call->pool, data, call->outputs[0]->data, call->kernels->lut_8,
                        table);
}
