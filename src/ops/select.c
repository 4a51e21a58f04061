/* SELECT and SELECT_V2. */
#include "kernels/select.h"

#include "ops/broadcast.h"
#include "ops/ops.h"

struct select {
    struct scree_broadcast broadcast;
    scree_row_fn *row;
};

static scree_row_fn *row_of(enum scree_type type)
{
    switch (scree_type_bytes(type)) {
    case 1:
        return scree_select_8;
    case 2:
        return scree_select_16;
    case 4:
        return scree_select_32;
    default:
        return scree_select_64;
    }
}

static int prepare_select(struct scree_call *call, const struct scree_operand *const *inputs,
                          struct scree_error *err)
{
    struct select *select = scree_call_params(call, sizeof *select);
    struct scree_shape shape = call->outputs[0]->shape;
    bool single = call->outputs[0]->n_elements == 1;
    int rc = 0;

    if (!select)
        return scree_fail_memory(err, sizeof *select);
    for (int i = 0; i < 3; i++)
        single = single && inputs[i]->n_elements == 1;
    if (!single) /* else TFLite keeps the shape that the model states */
        rc = scree_broadcast_shape(inputs, 3, &shape, err);
    if (rc == 0)
        rc = scree_call_set_shape(call, 0, &shape, err);
    if (rc < 0)
        return rc;
    scree_broadcast_init(&select->broadcast, inputs, 3, call->outputs[0]);
    select->row = row_of(call->outputs[0]->type);
    return 0;
}

/* Both tensors have one shape; a condition of rank 1 chooses their slices of dimension 0. */
int scree_select_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *x = call->inputs[1], *y = call->inputs[2];
    struct scree_operand condition = *call->inputs[0];
    const struct scree_operand *inputs[3] = {&condition, x, y};

    if (!scree_shape_equal(&x->shape, &y->shape))
        return scree_fail(err, EBADMSG, "the two values have different shapes");
    if (condition.shape.rank == 1 && x->shape.rank > 1 &&
        condition.shape.dims[0] == x->shape.dims[0]) {
        condition.shape.rank = x->shape.rank;
        for (int32_t i = 1; i < x->shape.rank; i++)
            condition.shape.dims[i] = 1;
    } else if (condition.shape.rank != 0 && !scree_shape_equal(&condition.shape, &x->shape)) {
        return scree_fail(err, EBADMSG, "the condition's shape does not fit the values'");
    }
    return prepare_select(call, inputs, err);
}

int scree_select_v2_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *inputs[3] = {call->inputs[0], call->inputs[1], call->inputs[2]};

    return prepare_select(call, inputs, err);
}

int scree_select_run(const struct scree_call *call, struct scree_error *err)
{
    const struct select *select = call->params;
    const void *data[3] = {call->inputs[0]->data, call->inputs[1]->data, call->inputs[2]->data};

    scree_broadcast_run(&select->broadcast, call->pool, data, call->outputs[0]->data, select->row,
                        NULL);
    return 0;
}
