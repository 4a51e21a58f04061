/* ops/resize.c - RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR. */
#include "kernels/resize.h"

#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/layout.h"
#include "ops/ops.h"

/* Points are kept for pictures up to this size; below this many elements one thread does. */
#define MAX_POINTS   65536
#define MIN_PARALLEL 65536

struct resize {
    struct scree_resizing resizing;
    scree_blend_fn *blend; /* NULL: the general kernels */
    int shift;
    struct scree_blend_point points[]; /* of the columns, then of the lines */
};

/* Reads input 1, the height and width to come. Errors: EBADMSG. SCREE_DEFER: not known yet. */
static int resize_prepare(struct scree_call *call, bool align_corners, bool half_pixel_centers,
                          struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape;
    struct scree_shape out = {1, {in->dims[0]}};
    struct resize *resize;
    size_t n_points = 0;
    int rc;

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
    if (out.dims[1] <= MAX_POINTS && out.dims[2] <= MAX_POINTS)
        n_points = (size_t)out.dims[1] + (size_t)out.dims[2];
    resize = scree_call_params(call, sizeof *resize + n_points * sizeof resize->points[0]);
    if (!resize)
        return scree_fail_memory(err, sizeof *resize);
    resize->resizing = (struct scree_resizing){in->dims[0],   in->dims[1],       in->dims[2],
                                               in->dims[3],   out.dims[1],       out.dims[2],
                                               align_corners, half_pixel_centers};
    return 0;
}

/* Uses integers of 16 bits where they give the same result. */
static void prefer_blend(struct scree_call *call)
{
    struct resize *resize = call->params;
    const struct scree_resizing *r = &resize->resizing;
    bool is_signed = call->inputs[0]->type == SCREE_TYPE_INT8;
    int max_bits = is_signed ? SCREE_BLEND_MAX_BITS_I8 : SCREE_BLEND_MAX_BITS_U8, x_bits, y_bits;

    if ((!is_signed && call->inputs[0]->type != SCREE_TYPE_UINT8) || r->out_h > MAX_POINTS ||
        r->out_w > MAX_POINTS)
        return;
    x_bits = scree_blend_points(r, true, is_signed, max_bits, (uint32_t)r->c, resize->points);
    if (x_bits < 0)
        return;
    y_bits = scree_blend_points(r, false, is_signed, max_bits - x_bits, (uint32_t)(r->in_w * r->c),
                                resize->points + r->out_w);
    if (y_bits < 0)
        return;
    resize->shift = x_bits + y_bits;
    resize->blend = is_signed ? call->kernels->blend_i8 : call->kernels->blend_u8;
    /* A line, and what the kernel may read behind it. */
    call->thread_scratch_bytes = ((size_t)r->in_w * (size_t)r->c + 32) * sizeof(uint16_t);
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
    if (rc == 0 && call->outputs[0]->n_elements > 0)
        prefer_blend(call);
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
    const struct scree_resizing *r = &((const struct resize *)call->params)->resizing;
    const void *in = call->inputs[0]->data;
    void *out = call->outputs[0]->data;

    switch (call->inputs[0]->type) {
    case SCREE_TYPE_UINT8:
        scree_resize_bilinear_u8(r, in, out, row);
        break;
    case SCREE_TYPE_INT8:
        scree_resize_bilinear_i8(r, in, out, row);
        break;
    case SCREE_TYPE_INT16:
        scree_resize_bilinear_i16(r, in, out, row);
        break;
    default:
        scree_resize_bilinear_f32(r, in, out, row);
        break;
    }
}

/* The lines above and below are blended first, then the pixels of that line. */
static void blend_row(void *arg, size_t row, int thread)
{
    const struct scree_call *call = arg;
    const struct resize *resize = call->params;
    const struct scree_resizing *r = &resize->resizing;
    size_t c = (size_t)r->c, line = (size_t)r->in_w * c;
    const struct scree_blend_point *y = &resize->points[(size_t)r->out_w + row % (size_t)r->out_h];
    const uint8_t *picture = (const uint8_t *)call->inputs[0]->data +
                             row / (size_t)r->out_h * (size_t)r->in_h * line;
    uint8_t *out = (uint8_t *)call->outputs[0]->data + row * (size_t)r->out_w * c;
    uint16_t *v = scree_call_thread_scratch(call, thread);

    if (call->inputs[0]->type == SCREE_TYPE_UINT8)
        scree_blend_lines_u8(v, picture + y->first, picture + y->second, y->weights, line);
    else
        scree_blend_lines_i8(v, picture + y->first, picture + y->second, y->weights, line);
    resize->blend(out, v, resize->points, (size_t)r->out_w, c, resize->shift);
}

static void nearest_row(void *arg, size_t row, int thread)
{
    const struct scree_call *call = arg;

    scree_resize_nearest(&((const struct resize *)call->params)->resizing,
                         scree_type_bytes(call->inputs[0]->type), call->inputs[0]->data,
                         call->outputs[0]->data, row);
}

static int run_rows(const struct scree_call *call, scree_pool_fn *fn)
{
    const struct scree_resizing *r = &((const struct resize *)call->params)->resizing;
    size_t n = call->outputs[0]->n_elements;

    if (n > 0)
        scree_pool_run(n < MIN_PARALLEL ? NULL : call->pool, (size_t)r->n * (size_t)r->out_h, fn,
                       (void *)(uintptr_t)call);
    return 0;
}

int scree_resize_bilinear_run(const struct scree_call *call, struct scree_error *err)
{
    const struct resize *resize = call->params;

    return run_rows(call, resize->blend ? blend_row : bilinear_row);
}

int scree_resize_nearest_run(const struct scree_call *call, struct scree_error *err)
{
    return run_rows(call, nearest_row);
}
