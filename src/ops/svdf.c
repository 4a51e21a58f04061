/* SVDF. As TFLite's svdf.cc. Inputs: activations, features, time, bias, state. */
#include "kernels/svdf.h"

#include "ops/common.h"
#include "ops/lstm.h"
#include "ops/matrix.h"
#include "ops/ops.h"

enum { X, FEATURES, TIME, BIAS, STATE };

struct svdf_params {
    struct scree_svdf_sizes sizes;
    struct scree_lstm_activation activation;
    struct scree_multiplier state_multiplier, output_multiplier;
    size_t sums, quantized; /* in the scratch */
    bool is_hybrid;
};

static int find_sizes(const struct scree_call *call, struct scree_svdf_sizes *sizes,
                      struct scree_error *err)
{
    const struct scree_shape *in = &call->inputs[X]->shape;
    const struct scree_shape *features = &call->inputs[FEATURES]->shape;
    const struct scree_shape *time = &call->inputs[TIME]->shape;
    int32_t rank = call->node->options.svdf.rank;

    if (in->rank != 2 || features->rank != 2 || time->rank != 2)
        return scree_fail(err, EBADMSG, "input of rank %d, weights of rank %d and %d, 2 are wanted",
                          in->rank, features->rank, time->rank);
    if (features->dims[1] != in->dims[1] || time->dims[0] != features->dims[0] || time->dims[1] < 1)
        return scree_fail(err, EBADMSG, "features %dx%d and time %dx%d for %d inputs",
                          features->dims[0], features->dims[1], time->dims[0], time->dims[1],
                          in->dims[1]);
    if (rank < 1 || features->dims[0] % rank != 0)
        return scree_fail(err, EBADMSG, "rank %d of %d filters", rank, features->dims[0]);
    *sizes = (struct scree_svdf_sizes){
        .n_batch = (size_t)in->dims[0],
        .n_input = (size_t)in->dims[1],
        .n_filters = (size_t)features->dims[0],
        .n_memory = (size_t)time->dims[1],
        .rank = (size_t)rank,
    };
    return 0;
}

static int check_operands(const struct scree_call *call, const struct scree_svdf_sizes *sizes,
                          struct scree_error *err)
{
    const struct scree_operand *bias = scree_call_input(call, BIAS), *state = call->inputs[STATE];

    if (bias && bias->n_elements != sizes->n_filters / sizes->rank)
        return scree_fail(err, EBADMSG, "%zu biases for %zu units", bias->n_elements,
                          sizes->n_filters / sizes->rank);
    if (!state->variable)
        return scree_fail(err, EBADMSG, "the state is not a variable");
    if (state->shape.rank != 2 || (size_t)state->shape.dims[0] != sizes->n_batch ||
        (size_t)state->shape.dims[1] != sizes->n_filters * sizes->n_memory)
        return scree_fail(err, EBADMSG, "a state that is not %zux%zu", sizes->n_batch,
                          sizes->n_filters * sizes->n_memory);
    return 0;
}

static int prepare_s8(const struct scree_call *call, struct svdf_params *params,
                      struct scree_error *err)
{
    float in, features, time, state, output;
    int rc = 0;

    if (call->node->options.svdf.activation != SCREE_ACTIVATION_RELU)
        return scree_fail(err, ENOTSUP, "int8 without RELU");
    for (uint32_t i = 0; rc >= 0 && i < call->n_inputs; i++)
        if (i != BIAS)
            rc = scree_quant_check(call->inputs[i], "an input", err);
    if (rc >= 0)
        rc = scree_quant_check(call->outputs[0], "output", err);
    if (rc < 0)
        return rc;
    in = call->inputs[X]->quant->scale[0];
    features = call->inputs[FEATURES]->quant->scale[0];
    time = call->inputs[TIME]->quant->scale[0];
    state = call->inputs[STATE]->quant->scale[0];
    output = call->outputs[0]->quant->scale[0];
    rc = scree_multiplier_check((double)(in * features / state), &params->state_multiplier, err);
    return rc < 0 ? rc
                  : scree_multiplier_check((double)(state * time / output),
                                           &params->output_multiplier, err);
}

static int prepare_f32(struct scree_call *call, struct svdf_params *params, struct scree_error *err)
{
    enum scree_activation activation = call->node->options.svdf.activation;
    bool fits;
    int rc = scree_lstm_find_activation(activation, &params->activation, err);

    if (rc < 0)
        return rc;
    params->is_hybrid = call->inputs[FEATURES]->type != SCREE_TYPE_FLOAT32;
    if (params->is_hybrid &&
        (call->inputs[FEATURES]->quant->n != 1 || call->inputs[TIME]->quant->n != 1))
        return scree_fail(err, EBADMSG, "integer weights are not quantized per tensor");
    fits = scree_matrix_take(call, params->sizes.n_filters, sizeof(float), &params->sums) &&
           scree_matrix_take(call, params->sizes.n_input, 1, &params->quantized);
    return fits ? 0 : scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
}

int scree_svdf_prepare(struct scree_call *call, struct scree_error *err)
{
    struct svdf_params *params = scree_call_params(call, sizeof *params);
    struct scree_shape out = {.rank = 2};
    const struct scree_svdf_sizes *sizes;
    int rc;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    sizes = &params->sizes;
    rc = find_sizes(call, &params->sizes, err);
    if (rc >= 0)
        rc = check_operands(call, sizes, err);
    if (rc < 0)
        return rc;
    out.dims[0] = (int32_t)sizes->n_batch;
    out.dims[1] = (int32_t)(sizes->n_filters / sizes->rank);
    rc = scree_call_set_shape(call, 0, &out, err);
    if (rc < 0)
        return rc;
    call->macs = (uint64_t)sizes->n_batch * sizes->n_filters * (sizes->n_input + sizes->n_memory);
    if (call->inputs[X]->type == SCREE_TYPE_INT8)
        return prepare_s8(call, params, err);
    return prepare_f32(call, params, err);
}

static void run_f32(const struct scree_call *call, const struct svdf_params *params)
{
    const struct scree_operand *bias = scree_call_input(call, BIAS);
    char *memory = call->scratch;
    struct scree_svdf svdf = {
        .sizes = params->sizes,
        .features = scree_lstm_matrix_of(call->inputs[FEATURES]),
        .time = scree_lstm_matrix_of(call->inputs[TIME]),
        .bias = bias ? bias->data : NULL,
        .activation = params->activation,
        .asymmetric = call->node->options.svdf.asymmetric_quantize_inputs,
    };

    scree_svdf_f32(&svdf, call->inputs[X]->data, call->inputs[STATE]->data, call->outputs[0]->data,
                   (float *)(void *)(memory + params->sums),
                   params->is_hybrid ? (int8_t *)memory + params->quantized : NULL);
}

static void run_s8(const struct scree_call *call, const struct svdf_params *params)
{
    const struct scree_operand *bias = scree_call_input(call, BIAS);
    struct scree_svdf_s8 svdf = {
        .sizes = params->sizes,
        .features = call->inputs[FEATURES]->data,
        .time = call->inputs[TIME]->data,
        .bias = bias ? bias->data : NULL,
        .input_zp = call->inputs[X]->quant->zero_point[0],
        .output_zp = call->outputs[0]->quant->zero_point[0],
        .state_multiplier = params->state_multiplier,
        .output_multiplier = params->output_multiplier,
    };

    scree_svdf_step_s8(&svdf, call->inputs[X]->data, call->inputs[STATE]->data,
                       call->outputs[0]->data);
}

int scree_svdf_run(const struct scree_call *call, struct scree_error *err)
{
    const struct svdf_params *params = call->params;

    (void)err;
    if (call->inputs[STATE]->n_elements == 0)
        return 0;
    if (call->inputs[X]->type == SCREE_TYPE_INT8)
        run_s8(call, params);
    else
        run_f32(call, params);
    return 0;
}
