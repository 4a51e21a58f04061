/* UNIDIRECTIONAL_SEQUENCE_LSTM, and LSTM, which is one step of it. As TFLite's
 * unidirectional_sequence_lstm.cc and lstm_eval.cc. */
#include "ops/lstm.h"

#include <string.h>

#include "ops/common.h"
#include "ops/matrix.h"
#include "ops/ops.h"

const struct scree_operand *scree_lstm_operand_of(const struct scree_call *call,
                                                  enum scree_lstm_operand first,
                                                  enum scree_lstm_gate_name gate)
{
    uint32_t index = (uint32_t)first + (uint32_t)gate;

    if (first == SCREE_LSTM_PEEPHOLE_WEIGHTS) {
        if (gate == SCREE_LSTM_CELL_GATE)
            return NULL;
        index -= gate > SCREE_LSTM_CELL_GATE;
    }
    return scree_call_input(call, index);
}

/* Checks an operand that may be left out: [rows], or [rows][columns] if columns is not 0. */
static int check_matrix(const struct scree_operand *operand, size_t rows, size_t columns,
                        const char *what, struct scree_error *err)
{
    const struct scree_shape *shape;
    char text[96];

    if (!operand)
        return 0;
    shape = &operand->shape;
    if (shape->rank == (columns ? 2 : 1) && (size_t)shape->dims[0] == rows &&
        (columns == 0 || (size_t)shape->dims[1] == columns))
        return 0;
    return scree_fail(err, EBADMSG, "%s of shape %s, %zux%zu is wanted", what,
                      scree_shape_text(shape, text, sizeof text), rows, columns ? columns : 1);
}

/* Checks that an operand is there exactly if it is wanted. */
static int check_presence(const struct scree_operand *operand, bool wanted, const char *what,
                          struct scree_error *err)
{
    if (!operand == !wanted)
        return 0;
    return scree_fail(err, EBADMSG, "%s: %s", what, wanted ? "missing" : "not expected");
}

static bool is_diagonal(const struct scree_operand *operand)
{
    return operand && operand->shape.rank == 1;
}

static int check_gate(const struct scree_call *call, const struct scree_lstm_params *params,
                      enum scree_lstm_gate_name gate, struct scree_error *err)
{
    const struct scree_operand *input = scree_lstm_operand_of(call, SCREE_LSTM_INPUT_WEIGHTS, gate);
    const struct scree_operand *recurrent =
        scree_lstm_operand_of(call, SCREE_LSTM_RECURRENT_WEIGHTS, gate);
    const struct scree_operand *peephole =
        scree_lstm_operand_of(call, SCREE_LSTM_PEEPHOLE_WEIGHTS, gate);
    const struct scree_operand *bias = scree_lstm_operand_of(call, SCREE_LSTM_BIAS, gate);
    const struct scree_operand *norm = scree_lstm_operand_of(call, SCREE_LSTM_NORM, gate);
    bool present = gate != SCREE_LSTM_INPUT_GATE || !params->coupled;
    size_t n = params->sizes.n_cell;
    int rc = check_presence(recurrent, present, "recurrent weights", err);

    if (rc >= 0)
        rc = check_presence(bias, present, "a bias", err);
    if (rc >= 0)
        rc = check_presence(peephole,
                            present && params->has_peephole && gate != SCREE_LSTM_CELL_GATE,
                            "peephole weights", err);
    if (rc >= 0)
        rc = check_presence(norm, present && params->has_norm, "layer normalization", err);
    if (rc >= 0)
        rc = check_matrix(input, n, params->sizes.n_input, "input weights", err);
    if (rc >= 0)
        rc = check_matrix(recurrent, n, is_diagonal(recurrent) ? 0 : params->sizes.n_output,
                          "recurrent weights", err);
    if (rc >= 0 && is_diagonal(recurrent) &&
        (params->sizes.n_output != n || recurrent->type != SCREE_TYPE_FLOAT32))
        rc = scree_fail(err, EBADMSG, "recurrent weights of rank 1");
    if (rc >= 0)
        rc = check_matrix(peephole, n, 0, "peephole weights", err);
    if (rc >= 0)
        rc = check_matrix(bias, n, 0, "bias", err);
    return rc < 0 ? rc : check_matrix(norm, n, 0, "layer normalization", err);
}

static int check_state(const struct scree_operand *state, size_t n, const char *what,
                       struct scree_error *err)
{
    if (!state->variable)
        return scree_fail(err, EBADMSG, "the %s is not a variable", what);
    if (state->n_elements != n)
        return scree_fail(err, EBADMSG, "a %s of %zu elements, %zu are wanted", what,
                          state->n_elements, n);
    return 0;
}

static int check_operands(const struct scree_call *call, const struct scree_lstm_params *params,
                          struct scree_error *err)
{
    const struct scree_operand *projection = scree_call_input(call, SCREE_LSTM_PROJECTION);
    const struct scree_operand *bias = scree_call_input(call, SCREE_LSTM_PROJECTION_BIAS);
    const struct scree_lstm_sizes *sizes = &params->sizes;
    int rc = 0;

    for (int gate = 0; rc >= 0 && gate < SCREE_LSTM_N_GATES; gate++) {
        rc = check_gate(call, params, (enum scree_lstm_gate_name)gate, err);
        if (rc < 0)
            return scree_wrap(err, rc, "gate %d", gate);
    }
    rc = check_matrix(projection, sizes->n_output, sizes->n_cell, "projection", err);
    if (rc >= 0)
        rc = check_matrix(bias, sizes->n_output, 0, "projection bias", err);
    if (rc >= 0 && !projection && (bias || sizes->n_output != sizes->n_cell))
        rc = scree_fail(err, EBADMSG, "%zu outputs of %zu cells without a projection",
                        sizes->n_output, sizes->n_cell);
    if (rc >= 0)
        rc = check_state(call->inputs[SCREE_LSTM_OUTPUT_STATE], params->n_batch * sizes->n_output,
                         "output state", err);
    return rc < 0 ? rc
                  : check_state(call->inputs[SCREE_LSTM_CELL_STATE],
                                params->n_batch * sizes->n_cell, "cell state", err);
}

/* Sizes from the shapes of input and weights. */
static int find_sizes(const struct scree_call *call, struct scree_lstm_params *params,
                      bool one_step, struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[SCREE_LSTM_X]->shape;
    const struct scree_shape *weights = &call->inputs[SCREE_LSTM_INPUT_WEIGHTS + 3]->shape;
    const struct scree_shape *recurrent = &call->inputs[SCREE_LSTM_RECURRENT_WEIGHTS + 3]->shape;

    if (in->rank != (one_step ? 2 : 3) || weights->rank != 2 || recurrent->rank < 1 ||
        recurrent->rank > 2 || weights->dims[0] < 1)
        return scree_fail(err, EBADMSG, "input of rank %d, weights of rank %d and %d", in->rank,
                          weights->rank, recurrent->rank);
    params->sizes.n_input = (size_t)in->dims[in->rank - 1];
    params->sizes.n_cell = (size_t)weights->dims[0];
    params->sizes.n_output = (size_t)recurrent->dims[recurrent->rank - 1];
    params->n_steps = one_step ? 1 : (size_t)in->dims[params->time_major ? 0 : 1];
    params->n_batch = (size_t)in->dims[!one_step && params->time_major ? 1 : 0];
    params->coupled = !call->inputs[SCREE_LSTM_INPUT_WEIGHTS];
    params->has_peephole = scree_call_input(call, SCREE_LSTM_PEEPHOLE_WEIGHTS + 2) != NULL;
    params->has_norm = scree_call_input(call, SCREE_LSTM_NORM + 1) != NULL;
    return 0;
}

int scree_lstm_find_activation(enum scree_activation activation, struct scree_lstm_activation *ret,
                               struct scree_error *err)
{
    if (activation == SCREE_ACTIVATION_SIGN_BIT)
        return scree_fail(err, ENOTSUP, "activation SIGN_BIT");
    ret->is_tanh = activation == SCREE_ACTIVATION_TANH;
    scree_activation_range_f32(activation, &ret->min, &ret->max);
    return 0;
}

static int set_output_shape(struct scree_call *call, const struct scree_lstm_params *params,
                            struct scree_error *err)
{
    struct scree_shape out = call->inputs[SCREE_LSTM_X]->shape;

    out.dims[out.rank - 1] = (int32_t)params->sizes.n_output;
    return scree_call_set_shape(call, 0, &out, err);
}

/* Weights of int8 need a scale each. */
static int check_hybrid(const struct scree_call *call, struct scree_error *err)
{
    for (uint32_t i = SCREE_LSTM_INPUT_WEIGHTS; i < call->n_inputs; i++) {
        const struct scree_operand *operand = call->inputs[i];

        if (operand && operand->type != SCREE_TYPE_FLOAT32 && operand->quant->n != 1)
            return scree_fail(err, EBADMSG, "input %u is not quantized per tensor", i);
    }
    return 0;
}

static int plan_scratch(struct scree_call *call, struct scree_lstm_params *params,
                        struct scree_error *err)
{
    const struct scree_lstm_sizes *sizes = &params->sizes;
    bool fits = scree_matrix_take(call, sizes->n_cell, SCREE_LSTM_N_GATES * sizeof(float),
                                  &params->gates) &&
                scree_matrix_take(call, sizes->n_cell, sizeof(float), &params->hidden);

    if (fits && params->is_hybrid)
        fits = scree_matrix_take(call, sizes->n_input, 1, &params->q_input) &&
               scree_matrix_take(call, sizes->n_output, 1, &params->q_output) &&
               scree_matrix_take(call, sizes->n_cell, 1, &params->q_cell);
    return fits ? 0 : scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
}

static uint64_t count_macs(const struct scree_lstm_params *params)
{
    const struct scree_lstm_sizes *sizes = &params->sizes;
    uint64_t gates = params->coupled ? 3 : 4;

    return (gates * sizes->n_cell * (sizes->n_input + sizes->n_output)) * params->n_batch *
           params->n_steps;
}

static int prepare(struct scree_call *call, struct scree_lstm_params *params, bool one_step,
                   enum scree_activation activation, struct scree_error *err)
{
    int rc;

    if (call->n_inputs != 20 && call->n_inputs != 24)
        return scree_fail(err, EBADMSG, "%u inputs, 20 or 24 are wanted", call->n_inputs);
    /* without an activation TFLite's kernel goes on with what a buffer happens to hold */
    if (activation == SCREE_ACTIVATION_NONE)
        return scree_fail(err, ENOTSUP, "activation NONE");
    if (!(params->cell_clip >= 0 && params->projection_clip >= 0))
        return scree_fail(err, EBADMSG, "clips at %g and %g", (double)params->cell_clip,
                          (double)params->projection_clip);
    rc = find_sizes(call, params, one_step, err);
    if (rc >= 0)
        rc = check_operands(call, params, err);
    if (rc >= 0)
        rc = scree_lstm_find_activation(activation, &params->activation, err);
    if (rc >= 0)
        rc = set_output_shape(call, params, err);
    if (rc < 0)
        return rc;
    call->macs = count_macs(params);
    if (call->inputs[SCREE_LSTM_X]->type == SCREE_TYPE_INT8)
        return scree_lstm_prepare_s8(call, params, err);
    params->is_hybrid = call->inputs[SCREE_LSTM_INPUT_WEIGHTS + 3]->type != SCREE_TYPE_FLOAT32;
    rc = check_hybrid(call, err);
    return rc < 0 ? rc : plan_scratch(call, params, err);
}

int scree_sequence_lstm_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_unidirectional_sequence_lstm_options *options =
        &call->node->options.unidirectional_sequence_lstm;
    struct scree_lstm_params *params = scree_call_params(call, sizeof *params);

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    params->time_major = options->time_major;
    params->cell_clip = options->cell_clip;
    params->projection_clip = options->proj_clip;
    params->asymmetric = options->asymmetric_quantize_inputs;
    return prepare(call, params, false, options->activation, err);
}

int scree_lstm_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_lstm_options *options = &call->node->options.lstm;
    struct scree_lstm_params *params;

    if (options->kernel_type != SCREE_LSTM_FULL)
        return scree_fail(err, ENOTSUP, "the basic kernel");
    params = scree_call_params(call, sizeof *params);
    if (!params)
        return scree_fail_memory(err, sizeof *params);
    params->time_major = true; /* all sequences in the one step */
    params->cell_clip = options->cell_clip;
    params->projection_clip = options->proj_clip;
    params->asymmetric = options->asymmetric_quantize_inputs;
    return prepare(call, params, true, options->activation, err);
}

struct scree_lstm_matrix scree_lstm_matrix_of(const struct scree_operand *operand)
{
    if (!operand)
        return (struct scree_lstm_matrix){0};
    return (struct scree_lstm_matrix){
        .weights = operand->data,
        .is_s8 = operand->type != SCREE_TYPE_FLOAT32,
        .scale = operand->quant->n == 1 ? operand->quant->scale[0] : 1,
    };
}

static const float *floats_of(const struct scree_operand *operand)
{
    return operand ? operand->data : NULL;
}

static struct scree_lstm collect(const struct scree_call *call)
{
    const struct scree_lstm_params *params = call->params;
    struct scree_lstm lstm = {
        .sizes = params->sizes,
        .projection = scree_lstm_matrix_of(scree_call_input(call, SCREE_LSTM_PROJECTION)),
        .projection_bias = floats_of(scree_call_input(call, SCREE_LSTM_PROJECTION_BIAS)),
        .activation = params->activation,
        .cell_clip = params->cell_clip,
        .projection_clip = params->projection_clip,
        .coupled = params->coupled,
        .is_hybrid = params->is_hybrid,
        .asymmetric = params->asymmetric,
    };

    for (int i = params->coupled; i < SCREE_LSTM_N_GATES; i++) {
        enum scree_lstm_gate_name gate = (enum scree_lstm_gate_name)i;
        const struct scree_operand *recurrent =
            scree_lstm_operand_of(call, SCREE_LSTM_RECURRENT_WEIGHTS, gate);

        lstm.gates[i] = (struct scree_lstm_gate){
            .input =
                scree_lstm_matrix_of(scree_lstm_operand_of(call, SCREE_LSTM_INPUT_WEIGHTS, gate)),
            .recurrent = scree_lstm_matrix_of(recurrent),
            .peephole = scree_lstm_matrix_of(
                scree_lstm_operand_of(call, SCREE_LSTM_PEEPHOLE_WEIGHTS, gate)),
            .diagonal = is_diagonal(recurrent),
            .norm = floats_of(scree_lstm_operand_of(call, SCREE_LSTM_NORM, gate)),
            .bias = floats_of(scree_lstm_operand_of(call, SCREE_LSTM_BIAS, gate)),
        };
    }
    return lstm;
}

static void run_float(const struct scree_call *call)
{
    const struct scree_lstm_params *params = call->params;
    const struct scree_lstm_sizes *sizes = &params->sizes;
    struct scree_lstm lstm = collect(call);
    char *memory = call->scratch;
    float *gates = (float *)(void *)(memory + params->gates);
    struct scree_lstm_scratch scratch = {
        .hidden = (float *)(void *)(memory + params->hidden),
        .q_input = (int8_t *)memory + params->q_input,
        .q_output = (int8_t *)memory + params->q_output,
        .q_cell = (int8_t *)memory + params->q_cell,
    };

    for (size_t i = 0; i < SCREE_LSTM_N_GATES; i++)
        scratch.gates[i] = gates + i * sizes->n_cell;
    for (size_t i = 0; i < params->n_batch * params->n_steps; i++) {
        /* sequences one after the other, or their steps side by side */
        size_t b = params->time_major ? i % params->n_batch : i / params->n_steps;
        float *h = (float *)call->inputs[SCREE_LSTM_OUTPUT_STATE]->data + b * sizes->n_output;
        float *c = (float *)call->inputs[SCREE_LSTM_CELL_STATE]->data + b * sizes->n_cell;

        scree_lstm_step(&lstm, (const float *)call->inputs[SCREE_LSTM_X]->data + i * sizes->n_input,
                        h, c, &scratch);
        memcpy((float *)call->outputs[0]->data + i * sizes->n_output, h,
               sizes->n_output * sizeof *h);
    }
}

int scree_lstm_run(const struct scree_call *call, struct scree_error *err)
{
    (void)err;
    if (call->inputs[SCREE_LSTM_X]->type == SCREE_TYPE_INT8)
        scree_lstm_run_s8(call);
    else
        run_float(call);
    return 0;
}
