/* ops/pad.c - tensors with more around them: PAD, PADV2, MIRROR_PAD. */
#include "ops/common.h"
#include "ops/layout.h"
#include "ops/ops.h"

/* The elements before and behind the input in each dimension. */
struct paddings {
    int32_t before[SCREE_MAX_RANK], behind[SCREE_MAX_RANK];
};

/* Reads input 1, paddings int[rank][2], and adds them up to the output's shape.
 * Errors: EBADMSG. SCREE_DEFER: not known yet. */
static int paddings_read(const struct scree_call *call, struct paddings *ret,
                         struct scree_shape *ret_shape, struct scree_error *err)
{
    const struct scree_operand *in = call->inputs[0], *pairs = call->inputs[1];
    char text[96];
    int rc = 0;

    if (pairs->shape.rank != 2 || pairs->shape.dims[0] != in->shape.rank ||
        pairs->shape.dims[1] != 2)
        return scree_fail(err, EBADMSG, "paddings are of shape %s, not %dx2",
                          scree_shape_text(&pairs->shape, text, sizeof text), in->shape.rank);
    if (!scree_operand_known(pairs))
        return SCREE_DEFER;
    for (int32_t i = 0; i < in->shape.rank && rc == 0; i++) {
        int64_t before = scree_operand_index(pairs, 2 * (size_t)i);
        int64_t behind = scree_operand_index(pairs, 2 * (size_t)i + 1);

        if (before < 0 || behind < 0 || before > INT32_MAX || behind > INT32_MAX)
            return scree_fail(err, EBADMSG, "paddings of %lld and %lld in dimension %d",
                              (long long)before, (long long)behind, i);
        ret->before[i] = (int32_t)before;
        ret->behind[i] = (int32_t)behind;
        rc = scree_shape_append(ret_shape, before + behind + in->shape.dims[i], err);
    }
    return rc;
}

/* The move of the whole input into its place in the output, whose shape has been accepted: so its
 * strides fit. */
static void place_input(struct scree_layout *layout, const struct scree_operand *in,
                        const struct paddings *paddings, const struct scree_shape *out)
{
    size_t element = scree_type_bytes(in->type);
    ptrdiff_t src[SCREE_MAX_RANK], dst[SCREE_MAX_RANK];

    scree_shape_strides(&in->shape, element, src);
    scree_shape_strides(out, element, dst);
    for (int32_t i = 0; i < out->rank; i++)
        layout->dst += paddings->before[i] * dst[i];
    scree_layout_block(layout, &in->shape, src, dst);
}

/* ---- PAD, PADV2 ---------------------------------------------------------------------------- */

/* Whether zero is the output's zero point and not the number 0: for signed types the input says. */
static bool pads_quantized(const struct scree_call *call)
{
    enum scree_type type = call->inputs[0]->type;

    return type == SCREE_TYPE_UINT8 ||
           ((type == SCREE_TYPE_INT8 || type == SCREE_TYPE_INT16) && call->inputs[0]->quant->n > 0);
}

/* PADV2's third input is one element of the input's type; where the output is quantized, it must be
 * so in the same way. */
static int pad_value_check(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *value = scree_call_input(call, 2);

    if (!value)
        return 0;
    if (value->n_elements != 1)
        return scree_fail(err, EBADMSG, "the value to pad with has %zu elements, not one",
                          value->n_elements);
    return pads_quantized(call) ? scree_quant_check_same(value, call->outputs[0], err) : 0;
}

struct pad_params {
    struct paddings paddings;
    int32_t n_dims; /* the dimensions behind these are not padded */
};

int scree_pad_prepare(struct scree_call *call, struct scree_error *err)
{
    struct scree_shape shape = {0};
    struct pad_params *params = scree_call_params(call, sizeof *params);
    int rc;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    if ((rc = pad_value_check(call, err)) < 0 ||
        (rc = paddings_read(call, &params->paddings, &shape, err)) != 0 ||
        (rc = scree_call_set_shape(call, 0, &shape, err)) < 0)
        return rc;
    for (int32_t i = 0; i < shape.rank; i++)
        if (params->paddings.before[i] > 0 || params->paddings.behind[i] > 0)
            params->n_dims = i + 1;
    return 0;
}

/* Where a part of the output is written and what of the input is in it. */
struct pad_cursor {
    const struct scree_call *call;
    const void *value;
    size_t element;
    const uint8_t *from;
    uint8_t *to;
};

static void pad_elements(struct pad_cursor *cursor, size_t n)
{
    scree_fill_elements(cursor->to, cursor->value, n, cursor->element);
    cursor->to += n * cursor->element;
}

/* The output in order from dimension d on: before, the input's part, behind. */
static void pad_dim(struct pad_cursor *cursor, int32_t d)
{
    const struct pad_params *params = cursor->call->params;
    const struct scree_shape *in = &cursor->call->inputs[0]->shape;
    const struct scree_shape *out = &cursor->call->outputs[0]->shape;
    size_t inner = scree_shape_span(out, d + 1, out->rank);

    pad_elements(cursor, (size_t)params->paddings.before[d] * inner);
    if (d == params->n_dims - 1) {
        size_t bytes = (size_t)in->dims[d] * inner * cursor->element;

        scree_copy_rows(cursor->to, 0, cursor->from, 0, 1, bytes);
        cursor->from += bytes;
        cursor->to += bytes;
    } else {
        for (int32_t i = 0; i < in->dims[d]; i++)
            pad_dim(cursor, d + 1);
    }
    pad_elements(cursor, (size_t)params->paddings.behind[d] * inner);
}

/* Writes the output, which is not empty. */
static void fill_around(const struct scree_call *call, const void *value)
{
    const struct pad_params *params = call->params;
    const struct scree_operand *in = call->inputs[0], *out = call->outputs[0];
    struct pad_cursor cursor = {call, value, scree_type_bytes(out->type), in->data, out->data};

    if (params->n_dims == 0)
        scree_copy_rows(out->data, 0, in->data, 0, 1, out->bytes);
    else if (in->n_elements == 0)
        pad_elements(&cursor, out->n_elements);
    else
        pad_dim(&cursor, 0);
}

int scree_pad_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *value = scree_call_input(call, 2), *out = call->outputs[0];
    int32_t zero_point = pads_quantized(call) ? scree_operand_zero_point(out) : 0;
    int8_t zero8 = (int8_t)zero_point;
    int16_t zero16 = (int16_t)zero_point;
    int64_t zero = 0;
    const void *with = &zero;

    if (out->n_elements == 0)
        return 0;
    if (value)
        with = value->data;
    else if (scree_type_bytes(out->type) == 1)
        with = &zero8;
    else if (out->type == SCREE_TYPE_INT16)
        with = &zero16;
    fill_around(call, with);
    return 0;
}

/* ---- MIRROR_PAD ---------------------------------------------------------------------------- */

struct mirror_params {
    struct scree_layout layout;
    struct paddings paddings;
    int32_t skip; /* 1: the element at the edge is not repeated (REFLECT) */
};

int scree_mirror_pad_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[0]->shape;
    struct scree_shape shape = {0};
    struct mirror_params *params = scree_call_params(call, sizeof *params);
    int rc;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    if ((rc = paddings_read(call, &params->paddings, &shape, err)) != 0 ||
        (rc = scree_call_set_shape(call, 0, &shape, err)) < 0)
        return rc;
    params->skip = call->node->options.mirror_pad.mode == SCREE_MIRROR_REFLECT;
    for (int32_t i = 0; i < in->rank; i++) {
        int32_t most = in->dims[i] - params->skip;

        if (params->paddings.before[i] > most || params->paddings.behind[i] > most)
            return scree_fail(err, EBADMSG, "paddings of %d and %d in dimension %d of %d elements",
                              params->paddings.before[i], params->paddings.behind[i], i,
                              in->dims[i]);
    }
    place_input(&params->layout, call->inputs[0], &params->paddings, &shape);
    return 0;
}

/* Fills the padding of dimension d out of the part of the output that is there already: all of the
 * dimensions behind d, and the input's place in those before it. */
static void mirror_dim(const struct scree_call *call, const ptrdiff_t *strides, int32_t d)
{
    const struct mirror_params *params = call->params;
    const struct paddings *paddings = &params->paddings;
    const struct scree_shape *in = &call->inputs[0]->shape, *out = &call->outputs[0]->shape;
    int32_t before = paddings->before[d], behind = paddings->behind[d];
    ptrdiff_t stride = strides[d];
    size_t element = scree_type_bytes(call->outputs[0]->type);
    uint8_t *place = call->outputs[0]->data; /* of the input's first element in dimension d */
    struct scree_move move = {0};

    for (int32_t i = 0; i <= d; i++)
        place += paddings->before[i] * strides[i];
    scree_move_add(&move, (size_t)before, stride, -stride);
    for (int32_t i = 0; i < out->rank; i++)
        if (i != d)
            scree_move_add(&move, (size_t)(i < d ? in->dims[i] : out->dims[i]), strides[i],
                           strides[i]);
    if (before > 0)
        scree_move_run(&move, element, place + params->skip * stride, place - stride);
    place += (in->dims[d] - 1) * stride;
    move.dims[0] = (size_t)behind;
    move.src[0] = -stride;
    move.dst[0] = stride;
    if (behind > 0)
        scree_move_run(&move, element, place - params->skip * stride, place + stride);
}

int scree_mirror_pad_run(const struct scree_call *call, struct scree_error *err)
{
    const struct mirror_params *params = call->params;
    const struct scree_operand *in = call->inputs[0], *out = call->outputs[0];
    size_t element = scree_type_bytes(out->type);
    ptrdiff_t strides[SCREE_MAX_RANK];

    if (out->n_elements == 0)
        return 0;
    scree_move_run(&params->layout.move, element, in->data,
                   (uint8_t *)out->data + params->layout.dst);
    scree_shape_strides(&out->shape, element, strides);
    for (int32_t d = out->shape.rank - 1; d >= 0; d--)
        mirror_dim(call, strides, d);
    return 0;
}
