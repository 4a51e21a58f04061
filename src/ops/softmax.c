/* SOFTMAX and LOG_SOFTMAX, over the last dimension. */
#include "kernels/softmax.h"

#include <math.h>

#include "kernels/kernels.h"
#include "ops/common.h"
#include "ops/ops.h"

struct softmax {
    size_t n_rows, depth;
    float beta;
    union {
        struct scree_softmax_8 bits_8;
        struct scree_softmax_16 bits_16;
    } table;
};

static bool is_8bit(const struct scree_operand *operand)
{
    return operand->type == SCREE_TYPE_UINT8 || operand->type == SCREE_TYPE_INT8;
}

/* Fails unless the operand has this quantization; the scale to within `tolerance` of it. */
static int need_quant(const struct scree_operand *output, double scale, double tolerance,
                      int32_t zero_point, struct scree_error *err)
{
    const struct scree_quant *quant = output->quant;

    if (fabs(quant->scale[0] - scale) > tolerance * scale || quant->zero_point[0] != zero_point)
        return scree_fail(err, EBADMSG, "output 0 is quantized by %g, %d, not by %g, %d",
                          (double)quant->scale[0], quant->zero_point[0], scale, zero_point);
    return 0;
}

static int prepare_rows(struct scree_call *call, struct softmax **ret_softmax,
                        struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0];
    struct softmax *softmax = scree_call_params(call, sizeof *softmax);

    if (!softmax)
        return scree_fail_memory(err, sizeof *softmax);
    if (input->shape.rank < 1)
        return scree_fail(err, EBADMSG, "input 0 is a scalar");
    softmax->depth = (size_t)input->shape.dims[input->shape.rank - 1];
    softmax->n_rows = softmax->depth ? input->n_elements / softmax->depth : 0;
    *ret_softmax = softmax;
    return scree_call_set_shape(call, 0, &input->shape, err);
}

/* The multiplier from a difference of inputs to beta * difference in Q5.26. */
static int prepare_8(const struct scree_call *call, double beta, struct softmax *softmax,
                     struct scree_multiplier *ret_multiplier, struct scree_error *err)
{
    double real = fmin(beta * (double)call->inputs[0]->quant->scale[0] * (1 << 26), 2147483647.0);
    int rc;

    if (!(real > 1))
        return scree_fail(err, EBADMSG, "beta %g and scale %g are too small", beta,
                          (double)call->inputs[0]->quant->scale[0]);
    rc = scree_multiplier_check(real, ret_multiplier, err);
    if (rc < 0)
        return rc;
    scree_softmax_8_init(&softmax->table.bits_8, *ret_multiplier);
    return 0;
}

static int prepare_16(const struct scree_call *call, struct softmax *softmax,
                      struct scree_error *err)
{
    int rc = scree_quant_check_symmetric(call, err);

    if (rc == 0)
        rc = scree_multiplier_check(call->inputs[0]->quant->scale[0] * softmax->beta /
                                        (10.0 / 65535.0),
                                    &softmax->table.bits_16.multiplier, err);
    if (rc == 0)
        rc = need_quant(call->outputs[0], 1. / 32768, 0.001, 0, err);
    if (rc == 0)
        scree_softmax_16_init(&softmax->table.bits_16);
    return rc;
}

int scree_softmax_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *input = call->inputs[0], *output = call->outputs[0];
    struct scree_multiplier multiplier;
    struct softmax *softmax = NULL;
    int rc = prepare_rows(call, &softmax, err);

    if (rc < 0)
        return rc;
    softmax->beta = call->node->options.softmax.beta;
    if (input->type == SCREE_TYPE_FLOAT32 || input->type == SCREE_TYPE_FLOAT16)
        return 0;
    rc = scree_quant_check_all(call, err);
    if (rc < 0)
        return rc;
    if (!is_8bit(input))
        return prepare_16(call, softmax, err);
    if (input->type == SCREE_TYPE_INT8 && output->type == SCREE_TYPE_INT8)
        rc = need_quant(output, 1. / 256, 0.001, INT8_MIN, err);
    return rc < 0 ? rc : prepare_8(call, softmax->beta, softmax, &multiplier, err);
}

/* Rows from `row` on, from the pointers to the first one. */
static void softmax_rows(const struct scree_call *call, size_t row, size_t n_rows)
{
    const struct softmax *softmax = call->params;
    const struct scree_operand *input = call->inputs[0], *output = call->outputs[0];
    size_t depth = softmax->depth, at = row * depth;
    const void *in = (const char *)input->data + at * scree_type_bytes(input->type);
    void *out = (char *)output->data + at * scree_type_bytes(output->type);

    switch (input->type) {
    case SCREE_TYPE_FLOAT32:
        scree_softmax_f32(out, in, n_rows, depth, softmax->beta);
        break;
    case SCREE_TYPE_FLOAT16:
        scree_softmax_f16(out, in, n_rows, depth, softmax->beta);
        break;
    case SCREE_TYPE_INT16:
        scree_softmax_i16(out, in, n_rows, depth, &softmax->table.bits_16);
        break;
    default:
        if (output->type != SCREE_TYPE_INT16)
            call->kernels->softmax_8(out, in, n_rows, depth,
                                     input->type == SCREE_TYPE_INT8 ? 0x80 : 0,
                                     &softmax->table.bits_8);
        else if (input->type == SCREE_TYPE_UINT8)
            scree_softmax_u8_i16(out, in, n_rows, depth, &softmax->table.bits_8);
        else
            scree_softmax_i8_i16(out, in, n_rows, depth, &softmax->table.bits_8);
        break;
    }
}

/* Elements that are worth a thread. */
#define GRAIN 8192

struct tiles {
    const struct scree_call *call;
    size_t n;
};

static void softmax_tile(void *arg, size_t tile, int thread)
{
    const struct tiles *tiles = arg;
    size_t n_rows = ((const struct softmax *)tiles->call->params)->n_rows;
    size_t first = n_rows * tile / tiles->n, end = n_rows * (tile + 1) / tiles->n;

    (void)thread;
    softmax_rows(tiles->call, first, end - first);
}

int scree_softmax_run(const struct scree_call *call, struct scree_error *err)
{
    size_t n_rows = ((const struct softmax *)call->params)->n_rows;
    size_t n_tiles = call->inputs[0]->n_elements / GRAIN + 1;
    struct tiles tiles = {call, n_tiles < n_rows ? n_tiles : n_rows};

    scree_pool_run(call->pool, tiles.n, softmax_tile, &tiles);
    return 0;
}

int scree_log_softmax_prepare(struct scree_call *call, struct scree_error *err)
{
    bool is_signed = call->inputs[0]->type == SCREE_TYPE_INT8;
    struct scree_multiplier multiplier = {0};
    struct softmax *softmax = NULL;
    int rc = prepare_rows(call, &softmax, err);

    if (rc < 0 || !is_8bit(call->inputs[0]))
        return rc;
    rc = scree_quant_check_all(call, err);
    if (rc == 0)
        rc = need_quant(call->outputs[0], 16. / 256, 0, is_signed ? INT8_MAX : UINT8_MAX, err);
    if (rc == 0)
        rc = prepare_8(call, 1, softmax, &multiplier, err);
    if (rc < 0)
        return rc;
    return scree_multiplier_check((double)((int64_t)1 << (31 - multiplier.shift)) / multiplier.q,
                                  &softmax->table.bits_8.log_to_diff, err);
}

int scree_log_softmax_run(const struct scree_call *call, struct scree_error *err)
{
    const struct softmax *softmax = call->params;
    const void *in = call->inputs[0]->data;
    void *out = call->outputs[0]->data;
    size_t n_rows = softmax->n_rows, depth = softmax->depth;

    if (call->inputs[0]->type == SCREE_TYPE_FLOAT32)
        scree_log_softmax_f32(out, in, n_rows, depth);
    else if (call->inputs[0]->type == SCREE_TYPE_UINT8)
        scree_log_softmax_u8(out, in, n_rows, depth, &softmax->table.bits_8);
    else
        scree_log_softmax_i8(out, in, n_rows, depth, &softmax->table.bits_8);
    return 0;
}
