/* ops/pooling.c - AVERAGE_POOL_2D, MAX_POOL_2D, L2_POOL_2D. */
#include "kernels/pooling.h"

#include "kernels/kernels.h"
#include "ops/common.h"
#include "ops/ops.h"

struct pool_params {
    struct scree_pooling pooling;
    scree_pooling_row_fn *row;
};

/* What an operator has for each type; NULL where it has nothing. */
struct rows {
    scree_pooling_row_fn *u8, *i8, *i16, *f32;
};

static scree_pooling_row_fn *row_of(const struct rows *rows, enum scree_type type)
{
    switch (type) {
    case SCREE_TYPE_UINT8:
        return rows->u8;
    case SCREE_TYPE_INT8:
        return rows->i8;
    case SCREE_TYPE_INT16:
        return rows->i16;
    default:
        return rows->f32;
    }
}

static int pool_shape(struct scree_call *call, struct scree_pooling *p, struct scree_error *err)
{
    const struct scree_pool2d_options *options = &call->node->options.pool2d;
    const struct scree_shape *in = &call->inputs[0]->shape;
    struct scree_window h = {in->dims[1], options->filter_h, options->stride_h, 1};
    struct scree_window w = {in->dims[2], options->filter_w, options->stride_w, 1};
    struct scree_shape out = {4, {in->dims[0], 0, 0, in->dims[3]}};
    int rc;

    if (in->rank != 4)
        return scree_fail(err, EBADMSG, "the input is of rank %d, not 4", in->rank);
    if ((rc = scree_window_compute(options->padding, &h, err)) < 0 ||
        (rc = scree_window_compute(options->padding, &w, err)) < 0)
        return rc;
    *p = (struct scree_pooling){
        .n = in->dims[0],
        .in_h = in->dims[1],
        .in_w = in->dims[2],
        .c = in->dims[3],
        .out_h = h.out,
        .out_w = w.out,
        .filter_h = options->filter_h,
        .filter_w = options->filter_w,
        .stride_h = options->stride_h,
        .stride_w = options->stride_w,
        .pad_top = h.pad,
        .pad_left = w.pad,
    };
    out.dims[1] = h.out;
    out.dims[2] = w.out;
    return scree_call_set_shape(call, 0, &out, err);
}

/* As TFLite, the input's scale is not looked at: pooling moves within one scale. */
static int prepare(struct scree_call *call, const struct rows *rows, struct scree_error *err)
{
    enum scree_activation activation = call->node->options.pool2d.activation;
    struct scree_operand *out = call->outputs[0];
    struct pool_params *params = scree_call_params(call, sizeof *params);
    struct scree_pooling *p;
    int rc;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    p = &params->pooling;
    params->row = row_of(rows, call->inputs[0]->type);
    if ((rc = pool_shape(call, p, err)) < 0)
        return rc;
    if (out->type == SCREE_TYPE_FLOAT32) {
        scree_activation_range_f32(activation, &p->min_f32, &p->max_f32);
        return 0;
    }
    if (activation != SCREE_ACTIVATION_NONE && (rc = scree_quant_check(out, "output", err)) < 0)
        return rc;
    scree_activation_range_quantized(activation, out, &p->min, &p->max);
    return 0;
}

int scree_average_pool_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct rows rows = {.u8 = call->kernels->average_pool_u8,
                              .i8 = call->kernels->average_pool_i8,
                              .i16 = scree_average_pool_i16,
                              .f32 = scree_average_pool_f32};

    return prepare(call, &rows, err);
}

int scree_max_pool_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct rows rows = {.u8 = call->kernels->max_pool_u8,
                              .i8 = call->kernels->max_pool_i8,
                              .i16 = scree_max_pool_i16,
                              .f32 = scree_max_pool_f32};

    return prepare(call, &rows, err);
}

int scree_l2_pool_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct rows rows = {.f32 = scree_l2_pool_f32};

    return prepare(call, &rows, err);
}

static void run_row(void *arg, size_t row, int thread)
{
    const struct scree_call *call = arg;
    const struct pool_params *params = call->params;

    params->row(&params->pooling, call->inputs[0]->data, call->outputs[0]->data, row);
}

int scree_pool_2d_run(const struct scree_call *call, struct scree_error *err)
{
    const struct pool_params *params = call->params;
    const struct scree_pooling *p = &params->pooling;

    if (call->outputs[0]->n_elements > 0)
        scree_pool_run(call->pool, (size_t)p->n * (size_t)p->out_h, run_row,
                       (void *)(uintptr_t)call);
    return 0;
}
