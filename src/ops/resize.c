/* ops/resize.c - RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR. */
#include "kernels/resize.h"

#include "ops/layout.h"
#include "ops/ops.h"

/* Reads input 1, the height and width to come. Errors: EBADMSG. SCREE_DEFER: not known yet. */
static int resize_prepare(struct scree_call *call, bool align_corners, bool half_pixel_centers,
                          struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape;
    struct scree_shape out = {1, {in->dims[0]}};
    struct scree_resizing *params = scree_call_params(call, sizeof *params);
    int rc;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    if (in->rank != 4)
        return scree_fail(err, EBADMSG, "the input is of rank %d, not 4", in->rank);
    if ((rc = scree_vector_check(call->inputs[1], "the new size", 2, err)) < 0)
        return rc;
    if (!scree_operand_known(call->inputs[1]))
        return SCREE_DEFER;
    for (size_t i = 0; i < 2 && rc == 0; i++)
        rc = scree_shape_append(&out, scree_operand_int(call->inputs[1], i), err);
    if (rc < 0 || (rc = scree_shape_append(&out, in->dims[3], err)) < 0 ||
        (rc = scree_call_set_shape(call, 0, &out, err)) < 0)
        return rc;
    if (call->inputs[0]->n_elements == 0 && call->outputs[0]->n_elements > 0)
        return scree_fail(err, EBADMSG, "a picture of %dx%d pixels made larger", in->dims[1],
                          in->dims[2]);
    *params = (struct scree_resizing){in->dims[0], in->dims[1], in->dims[2],   in->dims[3],
                                      out.dims[1], out.dims[2], align_corners, half_pixel_centers};
    return 0;
}

int scree_resize_bilinear_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_resize_bilinear_options *options = &call->node->options.resize_bilinear;
    int rc;

    if (options->align_corners && options->half_pixel_centers)
        return scree_fail(err, EBADMSG, "both align_corners and half_pixel_centers");
    rc = resize_prepare(call, options->align_corners, options->half_pixel_centers, err);
    if (rc == 0 && (call->outputs[0]->shape.dims[1] == 0 || call->outputs[0]->shape.dims[2] == 0))
        return scree_fail(err, EBADMSG, "a new size of 0");
    return rc;
}

int scree_resize_nearest_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_resize_nearest_neighbor_options *options =
        &call->node->options.resize_nearest_neighbor;

    return resize_prepare(call, options->align_corners, options->half_pixel_centers, err);
}

static void bilinear_row(void *arg, size_t row, int thread)
{
    const struct scree_call *call = arg;
    const void *in = call->inputs[0]->data;
    void *out = call->outputs[0]->data;

    switch (call->inputs[0]->type) {
    case SCREE_TYPE_UINT8:
        scree_resize_bilinear_u8(call->params, in, out, row);
        break;
    case SCREE_TYPE_INT8:
        scree_resize_bilinear_i8(call->params, in, out, row);
        break;
    case SCREE_TYPE_INT16:
        scree_resize_bilinear_i16(call->params, in, out, row);
        break;
    default:
        scree_resize_bilinear_f32(call->params, in, out, row);
        break;
    }
}

static void nearest_row(void *arg, size_t row, int thread)
{
    const struct scree_call *call = arg;

    scree_resize_nearest(call->params, scree_type_bytes(call->inputs[0]->type),
                         call->inputs[0]->data, call->outputs[0]->data, row);
}

static int run_rows(const struct scree_call *call, scree_pool_fn *fn)
{
    const struct scree_resizing *params = call->params;

    if (call->outputs[0]->n_elements > 0)
        scree_pool_run(call->pool, (size_t)params->n * (size_t)params->out_h, fn,
                       (void *)(uintptr_t)call);
    return 0;
}

int scree_resize_bilinear_run(const struct scree_call *call, struct scree_error *err)
{
    return run_rows(call, bilinear_row);
}

int scree_resize_nearest_run(const struct scree_call *call, struct scree_error *err)
{
    return run_rows(call, nearest_row);
}
