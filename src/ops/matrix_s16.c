#include "ops/matrix_s16.h"

#include <string.h>

#include "kernels/kernels.h"
#include "ops/matrix.h"

#define SPLIT_AT_ONCE 16384 /* elements of the input that a thread cuts at a time */

static bool is_constant(const struct scree_operand *operand, enum scree_type type)
{
    return operand->constant && operand->data && operand->type == type;
}

static bool can_pack(const struct scree_call *call, const struct scree_conv_quant *quant)
{
    const struct scree_operand *bias = scree_call_input(call, 2);

    return call->once && call->inputs[0]->type == SCREE_TYPE_INT16 &&
           call->outputs[0]->type == SCREE_TYPE_INT16 &&
           is_constant(call->inputs[1], SCREE_TYPE_INT8) && quant->filter_zp == 0 &&
           (!bias || is_constant(bias, SCREE_TYPE_INT64));
}

/* The sum of the weights of a channel, and that of their absolute values. */
static void sum_weights(const int8_t *weights, size_t n, int64_t *ret_sum, int64_t *ret_absolute)
{
    int64_t sum = 0, absolute = 0;

    for (size_t i = 0; i < n; i++) {
        sum += weights[i];
        absolute += weights[i] < 0 ? -weights[i] : weights[i];
    }
    *ret_sum = sum;
    *ret_absolute = absolute;
}

/* The bias and factor of channel o; false if its sums could be out of bounds. */
static bool describe_channel(const struct scree_call *call, const struct scree_conv_quant *quant,
                             size_t o, size_t depth, double *ret_bias, double *ret_factor)
{
    const struct scree_operand *operand = scree_call_input(call, 2);
    int64_t bias = operand ? ((const int64_t *)operand->data)[o] : 0, sum, bound;
    size_t index = o * (size_t)quant->multiplier_stride;

    sum_weights((const int8_t *)call->inputs[1]->data + o * depth, depth, &sum, &bound);
    if (bias < -SCREE_SPLIT_BOUND || bias > SCREE_SPLIT_BOUND ||
        bound > SCREE_SPLIT_BOUND / (INT16_MAX + 1))
        return false;
    bound = bound * (INT16_MAX + 1) + (bias < 0 ? -bias : bias);
    *ret_bias = (double)(bias + 128 * sum);
    *ret_factor = quant->factors ? quant->factors[index]
                                 : scree_split_factor(quant->multipliers[index]);
    return bound <= SCREE_SPLIT_BOUND && *ret_factor >= 0 &&
           (double)bound * *ret_factor < SCREE_SPLIT_OUTPUT;
}

/* The constants of all channels; *ret_usable: all are within bounds. */
static int describe_channels(struct scree_call *call, const struct scree_conv_shape *shape,
                             const struct scree_conv_quant *quant, struct scree_matrix_s16 *packed,
                             bool *ret_usable, struct scree_error *err)
{
    size_t n = (size_t)shape->out_c, depth = call->inputs[1]->n_elements / n;
    double *bias = scree_arena_new(call->arena, double, n);
    double *factors = scree_arena_new(call->arena, double, n);
    bool usable = true;

    if (!bias || !factors)
        return scree_fail_memory(err, 2 * n * sizeof *bias);
    for (size_t o = 0; usable && o < n; o++)
        usable = describe_channel(call, quant, o, depth, &bias[o], &factors[o]);
    packed->bias = bias;
    packed->factors = factors;
    *ret_usable = usable;
    return 0;
}

static bool take_scratch(struct scree_call *call, struct scree_matrix_s16 *packed)
{
    size_t in = call->inputs[0]->n_elements, out = call->outputs[0]->n_elements;

    packed->outside_bytes = scree_gemm_outside_bytes(packed->gemm);
    return scree_matrix_take(call, in, 1, &packed->high) &&
           scree_matrix_take(call, in, 1, &packed->low) &&
           scree_matrix_take(call, out, sizeof(int32_t), &packed->high_sums) &&
           scree_matrix_take(call, out, sizeof(int32_t), &packed->low_sums) &&
           scree_matrix_take(call, packed->outside_bytes, 2, &packed->outside);
}

int scree_matrix_s16_pack(struct scree_call *call, const struct scree_conv_shape *shape,
                          const struct scree_conv_quant *quant, struct scree_matrix_s16 *packed,
                          struct scree_error *err)
{
    bool usable = false;
    int rc;

    *packed = (struct scree_matrix_s16){
        .halves_up = !quant->factors, .min = quant->min, .max = quant->max};
    if (shape->out_c < 1 || !can_pack(call, quant))
        return 0;
    rc = describe_channels(call, shape, quant, packed, &usable, err);
    if (rc < 0 || !usable)
        return rc;
    rc = scree_gemm_new_sums(call->arena, call->kernels->gemm, shape, call->inputs[1]->data,
                             &packed->gemm);
    if (rc < 0)
        return scree_fail_memory(err, call->inputs[1]->bytes);
    if (!packed->gemm)
        return 0;
    call->thread_scratch_bytes = packed->gemm->scratch_bytes;
    call->consumed = 1 << 1 | (scree_call_input(call, 2) ? 1 << 2 : 0);
    return take_scratch(call, packed) ? 0
                                      : scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
}

/* What the threads of a run share. */
struct s16_run {
    const struct scree_call *call;
    const struct scree_matrix_s16 *packed;
    int8_t *high, *low, *outside;
    int32_t *high_sums, *low_sums;
};

static void split_some(void *arg, size_t index, int thread)
{
    const struct s16_run *run = arg;
    const struct scree_operand *in = run->call->inputs[0];
    size_t at = index * SPLIT_AT_ONCE, rest = in->n_elements - at;

    (void)thread;
    run->call->kernels->split->split(run->high + at, run->low + at, (const int16_t *)in->data + at,
                                     rest < SPLIT_AT_ONCE ? rest : SPLIT_AT_ONCE);
}

/* The high plane's sums stay where they are. */
static void keep_row(void *arg, size_t pixel, int32_t o, int32_t n, void *sums)
{
    (void)arg;
    (void)pixel;
    (void)o;
    (void)n;
    (void)sums;
}

/* The low plane's come second: outputs can be had. */
static void finish_row(void *arg, size_t pixel, int32_t o, int32_t n, void *sums)
{
    const struct s16_run *run = arg;
    const struct scree_matrix_s16 *packed = run->packed;
    size_t at = pixel * (size_t)packed->gemm->shape.out_c + (size_t)o;
    const struct scree_split_row row = {packed->bias + o, packed->factors + o, packed->halves_up,
                                        packed->min, packed->max};

    run->call->kernels->split->finish((int16_t *)run->call->outputs[0]->data + at,
                                      run->high_sums + at, sums, &row, (size_t)n);
}

static void run_tile(void *arg, size_t tile, int thread)
{
    const struct s16_run *run = arg;
    const struct scree_gemm *gemm = run->packed->gemm;
    void *scratch = scree_call_thread_scratch(run->call, thread);

    scree_gemm_run_sums(gemm, run->high, run->outside, run->high_sums, tile, scratch, keep_row,
                        arg);
    scree_gemm_run_sums(gemm, run->low, run->outside + run->packed->outside_bytes, run->low_sums,
                        tile, scratch, finish_row, arg);
}

void scree_matrix_s16_run(const struct scree_call *call, const struct scree_matrix_s16 *packed)
{
    char *scratch = call->scratch;
    struct s16_run run = {
        .call = call,
        .packed = packed,
        .high = (int8_t *)(scratch + packed->high),
        .low = (int8_t *)(scratch + packed->low),
        .outside = (int8_t *)(scratch + packed->outside),
        .high_sums = (int32_t *)(void *)(scratch + packed->high_sums),
        .low_sums = (int32_t *)(void *)(scratch + packed->low_sums),
    };
    size_t n = call->inputs[0]->n_elements;

    memset(run.outside, 0, packed->outside_bytes);
    memset(run.outside + packed->outside_bytes, SCREE_SPLIT_LOW_ZERO, packed->outside_bytes);
    scree_pool_run(call->pool, (n + SPLIT_AT_ONCE - 1) / SPLIT_AT_ONCE, split_some, &run);
    scree_pool_run(call->pool, packed->gemm->n_tiles, run_tile, &run);
}
