/* The int8 LSTM: multipliers from the scales of all that takes part. As TFLite's
 * PopulateQuantizedLstmParams8x8_16(), in single precision where it is. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "ops/common.h"
#include "ops/lstm.h"
#include "ops/matrix.h"

static float scale_of(const struct scree_operand *operand)
{
    return operand->quant->scale[0];
}

/* Every quantized operand but the biases must have one scale. */
static int check_scales(const struct scree_call *call, struct scree_error *err)
{
    for (uint32_t i = 0; i < call->n_inputs; i++) {
        const struct scree_operand *operand = call->inputs[i];

        if (operand && operand->type != SCREE_TYPE_INT32 && operand->quant->n != 1)
            return scree_fail(err, EBADMSG, "input %u is not quantized per tensor", i);
    }
    return scree_quant_check(call->outputs[0], "output", err);
}

/* The scale of intermediate `index`. Errors: EBADMSG. */
static int intermediate_scale(const struct scree_call *call, uint32_t index, float *ret_scale,
                              struct scree_error *err)
{
    const struct scree_operand *operand = index < call->n_intermediates ? call->intermediates[index]
                                                                        : NULL;

    if (!operand || operand->quant->n != 1)
        return scree_fail(err, EBADMSG, "intermediate %u is missing or not quantized", index);
    *ret_scale = scale_of(operand);
    return 0;
}

static int set_multiplier(float real, struct scree_multiplier *ret, struct scree_error *err)
{
    return scree_multiplier_check((double)real, ret, err);
}

static int prepare_norm(const struct scree_operand *norm, struct scree_lstm_gate_s8 *gate,
                        struct scree_error *err)
{
    float scale = norm ? scale_of(norm) : 1, guard = 10000 * scale;
    int rc = set_multiplier(scale, &gate->norm_multiplier, err);

    if (rc >= 0 && gate->norm_multiplier.shift > 19)
        rc = scree_fail(err, EBADMSG, "layer normalization of scale %g", (double)scale);
    gate->variance_guard = guard >= 2147483648.0f ? INT32_MAX : scree_max_i32(1, (int32_t)guard);
    return rc;
}

static int prepare_gate(const struct scree_call *call, const struct scree_lstm_params *params,
                        enum scree_lstm_gate_name name, struct scree_lstm_gate_s8 *gate,
                        struct scree_error *err)
{
    const struct scree_operand *input = scree_lstm_operand_of(call, SCREE_LSTM_INPUT_WEIGHTS, name);
    const struct scree_operand *recurrent =
        scree_lstm_operand_of(call, SCREE_LSTM_RECURRENT_WEIGHTS, name);
    const struct scree_operand *peephole =
        scree_lstm_operand_of(call, SCREE_LSTM_PEEPHOLE_WEIGHTS, name);
    float x_scale = scale_of(call->inputs[SCREE_LSTM_X]);
    float h_scale = scale_of(call->inputs[SCREE_LSTM_OUTPUT_STATE]);
    float sum_scale = 1.0f / 4096;
    int rc = 0;

    if (params->has_norm)
        rc = intermediate_scale(call, (uint32_t)name, &sum_scale, err);
    if (rc >= 0)
        rc = set_multiplier(scale_of(input) * x_scale / sum_scale, &gate->input_multiplier, err);
    if (rc >= 0)
        rc = set_multiplier(scale_of(recurrent) * h_scale / sum_scale, &gate->recurrent_multiplier,
                            err);
    if (rc >= 0 && peephole)
        rc = set_multiplier((float)(ldexp(1, params->s8.cell_exponent) *
                                    (double)scale_of(peephole) / (double)sum_scale),
                            &gate->peephole_multiplier, err);
    if (rc >= 0)
        rc = prepare_norm(scree_lstm_operand_of(call, SCREE_LSTM_NORM, name), gate, err);
    return rc < 0 ? scree_wrap(err, rc, "gate %d", (int)name) : 0;
}

/* The cell state's scale must be a power of two, as TFLite finds it. */
static int find_cell_exponent(float scale, int *ret_exponent, struct scree_error *err)
{
    float exponent = logf(scale) * (1.0f / logf(2.0f)), rounded = roundf(exponent);

    if (!(fabsf(exponent - rounded) < 1e-3f) || rounded < -15 || rounded > -9)
        return scree_fail(err, EBADMSG, "a cell state of scale %g, not 2^-15 ... 2^-9",
                          (double)scale);
    *ret_exponent = (int)rounded;
    return 0;
}

static int prepare_output(const struct scree_call *call, struct scree_lstm_s8 *lstm,
                          struct scree_error *err)
{
    const struct scree_operand *projection = scree_call_input(call, SCREE_LSTM_PROJECTION);
    const struct scree_operand *state = call->inputs[SCREE_LSTM_OUTPUT_STATE];
    float hidden_scale = 1;
    int rc = intermediate_scale(call, 4, &hidden_scale, err);

    if (rc >= 0)
        rc = set_multiplier((float)(ldexp(1, -15) / (double)hidden_scale * ldexp(1, -15)),
                            &lstm->hidden_multiplier, err);
    if (rc >= 0 && projection)
        rc = set_multiplier(scale_of(projection) * hidden_scale / scale_of(state),
                            &lstm->projection_multiplier, err);
    if (rc < 0)
        return rc;
    lstm->hidden_zero_point = call->intermediates[4]->quant->zero_point[0];
    lstm->output_zero_point = state->quant->zero_point[0];
    return 0;
}

static int plan_scratch(struct scree_call *call, struct scree_lstm_params *params,
                        struct scree_error *err)
{
    const struct scree_lstm_sizes *sizes = &params->sizes;
    size_t n = params->n_batch * sizes->n_cell;
    size_t n_biases = 2 * SCREE_LSTM_N_GATES * sizes->n_cell + sizes->n_output;

    if (scree_matrix_take(call, n, SCREE_LSTM_N_GATES * sizeof(int16_t), &params->gates) &&
        scree_matrix_take(call, n, sizeof(int16_t), &params->hidden) &&
        scree_matrix_take(call, n, 1, &params->q_cell) &&
        scree_matrix_take(call, n_biases, sizeof(int32_t), &params->biases))
        return 0;
    return scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
}

int scree_lstm_prepare_s8(struct scree_call *call, struct scree_lstm_params *params,
                          struct scree_error *err)
{
    struct scree_lstm_s8 *lstm = &params->s8;
    float cell_scale;
    int rc = check_scales(call, err);

    if (rc < 0)
        return rc;
    cell_scale = scale_of(call->inputs[SCREE_LSTM_CELL_STATE]);
    rc = find_cell_exponent(cell_scale, &lstm->cell_exponent, err);
    for (int i = params->coupled; rc >= 0 && i < SCREE_LSTM_N_GATES; i++)
        rc = prepare_gate(call, params, (enum scree_lstm_gate_name)i, &lstm->gates[i], err);
    if (rc >= 0)
        rc = prepare_output(call, lstm, err);
    if (rc < 0)
        return rc;
    lstm->sizes = params->sizes;
    lstm->coupled = params->coupled;
    if (params->cell_clip > 0)
        lstm->cell_clip = (int16_t)fminf(params->cell_clip / cell_scale, INT16_MAX);
    if (params->projection_clip > 0)
        lstm->projection_clip =
            (int8_t)fminf(params->projection_clip / scale_of(call->outputs[0]), INT8_MAX);
    return plan_scratch(call, params, err);
}

static const void *data_of(const struct scree_operand *operand)
{
    return operand ? operand->data : NULL;
}

/* Points the gate to its operands, and folds the zero points of x and h into its biases. */
static void collect_gate(const struct scree_call *call, enum scree_lstm_gate_name name,
                         struct scree_lstm_s8 *lstm, int32_t *biases)
{
    struct scree_lstm_gate_s8 *gate = &lstm->gates[name];
    const struct scree_lstm_sizes *sizes = &lstm->sizes;
    int32_t x_zp = call->inputs[SCREE_LSTM_X]->quant->zero_point[0];
    int32_t h_zp = call->inputs[SCREE_LSTM_OUTPUT_STATE]->quant->zero_point[0];

    gate->input = data_of(scree_lstm_operand_of(call, SCREE_LSTM_INPUT_WEIGHTS, name));
    gate->recurrent = data_of(scree_lstm_operand_of(call, SCREE_LSTM_RECURRENT_WEIGHTS, name));
    gate->peephole = data_of(scree_lstm_operand_of(call, SCREE_LSTM_PEEPHOLE_WEIGHTS, name));
    gate->norm = data_of(scree_lstm_operand_of(call, SCREE_LSTM_NORM, name));
    gate->bias = data_of(scree_lstm_operand_of(call, SCREE_LSTM_BIAS, name));
    gate->input_bias = biases;
    gate->recurrent_bias = biases + sizes->n_cell;
    scree_lstm_fold_zero_point(gate->input_bias, gate->input, sizes->n_cell, sizes->n_input, -x_zp,
                               gate->norm ? NULL : gate->bias);
    scree_lstm_fold_zero_point(gate->recurrent_bias, gate->recurrent, sizes->n_cell,
                               sizes->n_output, -h_zp, NULL);
}

static struct scree_lstm_s8 collect(const struct scree_call *call)
{
    const struct scree_lstm_params *params = call->params;
    struct scree_lstm_s8 lstm = params->s8;
    int32_t *biases = (int32_t *)(void *)((char *)call->scratch + params->biases);
    size_t n = lstm.sizes.n_cell;

    for (int i = lstm.coupled; i < SCREE_LSTM_N_GATES; i++)
        collect_gate(call, (enum scree_lstm_gate_name)i, &lstm, biases + 2 * (size_t)i * n);
    lstm.projection = data_of(scree_call_input(call, SCREE_LSTM_PROJECTION));
    lstm.projection_bias = biases + 2 * SCREE_LSTM_N_GATES * n;
    if (lstm.projection)
        scree_lstm_fold_zero_point(lstm.projection_bias, lstm.projection, lstm.sizes.n_output, n,
                                   lstm.hidden_zero_point,
                                   data_of(scree_call_input(call, SCREE_LSTM_PROJECTION_BIAS)));
    return lstm;
}

void scree_lstm_run_s8(const struct scree_call *call)
{
    const struct scree_lstm_params *params = call->params;
    const struct scree_lstm_sizes *sizes = &params->sizes;
    struct scree_lstm_s8 lstm = collect(call);
    char *memory = call->scratch;
    int16_t *gates = (int16_t *)(void *)(memory + params->gates);
    struct scree_lstm_scratch_s8 scratch = {
        .hidden = (int16_t *)(void *)(memory + params->hidden),
        .projected = (int8_t *)memory + params->q_cell,
    };
    /* a step takes all sequences if they lie side by side */
    size_t n_batch = params->time_major ? params->n_batch : 1;
    size_t n_runs = params->time_major ? params->n_steps : params->n_batch * params->n_steps;

    for (size_t i = 0; i < SCREE_LSTM_N_GATES; i++)
        scratch.gates[i] = gates + i * n_batch * sizes->n_cell;
    for (size_t i = 0; i < n_runs; i++) {
        size_t b = params->time_major ? 0 : i / params->n_steps;
        int8_t *h = (int8_t *)call->inputs[SCREE_LSTM_OUTPUT_STATE]->data + b * sizes->n_output;
        int16_t *c = (int16_t *)call->inputs[SCREE_LSTM_CELL_STATE]->data + b * sizes->n_cell;

        scree_lstm_step_s8(&lstm, n_batch,
                           (const int8_t *)call->inputs[SCREE_LSTM_X]->data +
                               i * n_batch * sizes->n_input,
                           h, c, &scratch);
        memcpy((int8_t *)call->outputs[0]->data + i * n_batch * sizes->n_output, h,
               n_batch * sizes->n_output);
    }
}
