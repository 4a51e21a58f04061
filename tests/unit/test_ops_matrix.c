/* Convolutions, matrix products and recurrent operators: what they refuse, and why. Their results
 * are compared with TFLite's in tests/ops. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <scree/scree.h>

#include "support/tflite_writer.h"

#define MAX_INPUTS 24
#define MAX_SCALES 4

/* An input of the operator: fed to the model, a variable, or left out. */
struct input {
    enum { END, LEFT_OUT, FED, VARIABLE, CONSTANT } kind;
    enum scree_type type;
    struct scree_shape shape;
    uint32_t n_scales; /* all of them are `scale` */
    float scale;
    int64_t zero_point;
    const int32_t *values; /* of a constant */
};

struct refusal {
    const char *text; /* that the error has in it */
    int32_t opcode;
    union scree_options options;
    struct input inputs[MAX_INPUTS];
    struct input output;
    int rc; /* 0: -EBADMSG */
};

#define SHAPE(...)                                          \
    {                                                       \
        sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), \
        {                                                   \
            __VA_ARGS__                                     \
        }                                                   \
    }
#define F32(...)                                                   \
    {                                                              \
        FED, SCREE_TYPE_FLOAT32, SHAPE(__VA_ARGS__), 0, 0, 0, NULL \
    }
#define I8(...)                                                    \
    {                                                              \
        FED, SCREE_TYPE_INT8, SHAPE(__VA_ARGS__), 1, 0.5f, 0, NULL \
    }
#define I8_PLAIN(...)                                           \
    {                                                           \
        FED, SCREE_TYPE_INT8, SHAPE(__VA_ARGS__), 0, 0, 0, NULL \
    }
#define I8_SCALES(n, ...)                                          \
    {                                                              \
        FED, SCREE_TYPE_INT8, SHAPE(__VA_ARGS__), n, 0.5f, 0, NULL \
    }
#define I8_ZP(zp, ...)                                              \
    {                                                               \
        FED, SCREE_TYPE_INT8, SHAPE(__VA_ARGS__), 1, 0.5f, zp, NULL \
    }
#define U8(...)                                                     \
    {                                                               \
        FED, SCREE_TYPE_UINT8, SHAPE(__VA_ARGS__), 1, 0.5f, 0, NULL \
    }
#define I16(...)                                                    \
    {                                                               \
        FED, SCREE_TYPE_INT16, SHAPE(__VA_ARGS__), 1, 0.5f, 0, NULL \
    }
#define I16_ZP(zp, ...)                                              \
    {                                                                \
        FED, SCREE_TYPE_INT16, SHAPE(__VA_ARGS__), 1, 0.5f, zp, NULL \
    }
#define I32(...)                                                     \
    {                                                                \
        FED, SCREE_TYPE_INT32, SHAPE(__VA_ARGS__), 1, 0.25f, 0, NULL \
    }
#define I32_ZP(zp, ...)                                               \
    {                                                                 \
        FED, SCREE_TYPE_INT32, SHAPE(__VA_ARGS__), 1, 0.25f, zp, NULL \
    }
#define I32_SCALE(s, ...)                                        \
    {                                                            \
        FED, SCREE_TYPE_INT32, SHAPE(__VA_ARGS__), 1, s, 0, NULL \
    }
#define STATE(...)                                                      \
    {                                                                   \
        VARIABLE, SCREE_TYPE_FLOAT32, SHAPE(__VA_ARGS__), 0, 0, 0, NULL \
    }
#define I4_STATE(...)                                                   \
    {                                                                   \
        VARIABLE, SCREE_TYPE_INT4, SHAPE(__VA_ARGS__), 1, 0.5f, 0, NULL \
    }
#define INDEX(...)                                                                                \
    {                                                                                             \
        CONSTANT, SCREE_TYPE_INT32, {1, {sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)}}, 0, \
            0, 0, (const int32_t[])                                                               \
        {                                                                                         \
            __VA_ARGS__                                                                           \
        }                                                                                         \
    }
#define NONE                            \
    {                                   \
        LEFT_OUT, 0, {0}, 0, 0, 0, NULL \
    }
#define CONV_OF(padding_, stride_, dilation_) \
    .options.conv2d = {.padding = padding_,   \
                       .stride_w = 1,         \
                       .stride_h = stride_,   \
                       .dilation_w = 1,       \
                       .dilation_h = dilation_}
#define CONV CONV_OF(SCREE_PADDING_SAME, 1, 1)
#define DEPTHWISE \
    .options.depthwise_conv2d = {.stride_w = 1, .stride_h = 1, .dilation_w = 1, .dilation_h = 1}
#define UP(...) .options.transpose_conv = {.stride_w = 2, .stride_h = 2, __VA_ARGS__}
#define LSTM(...) \
    .options.unidirectional_sequence_lstm = {.activation = SCREE_ACTIVATION_TANH, __VA_ARGS__}
/* The inputs of an LSTM of 3 inputs and 2 cells up to its states: input, then its output gate's
 * recurrent weights. */
#define LSTM_INPUTS(input, recurrent)                                                              \
    input, F32(2, 3), F32(2, 3), F32(2, 3), F32(2, 3), F32(2, 2), F32(2, 2), F32(2, 2), recurrent, \
        NONE, NONE, NONE, F32(2), F32(2), F32(2), F32(2), NONE, NONE

static const struct refusal refusals[] = {
    {"input of rank 3", SCREE_OP_CONV_2D, CONV, {F32(4, 4, 1), F32(1, 1, 1, 1)}, F32(1), 0},
    {"input has 3 channels, filter 2",
     SCREE_OP_CONV_2D,
     CONV,
     {F32(1, 4, 4, 3), F32(1, 1, 1, 2)},
     F32(1),
     0},
    {"input has 3 channels, filter 0",
     SCREE_OP_CONV_2D,
     CONV,
     {F32(1, 4, 4, 3), F32(1, 1, 1, 0)},
     F32(1),
     0},
    {"3 output channels do not divide into 2 groups",
     SCREE_OP_CONV_2D,
     CONV,
     {F32(1, 4, 4, 2), F32(3, 1, 1, 1)},
     F32(1),
     0},
    {"2 biases for 3 output channels",
     SCREE_OP_CONV_2D,
     CONV,
     {F32(1, 4, 4, 1), F32(3, 1, 1, 1), F32(2)},
     F32(1),
     0},
    {"stride 0",
     SCREE_OP_CONV_2D,
     CONV_OF(SCREE_PADDING_SAME, 0, 1),
     {F32(1, 4, 4, 1), F32(1, 1, 1, 1)},
     F32(1),
     0},
    {"dilation -1",
     SCREE_OP_CONV_2D,
     CONV_OF(SCREE_PADDING_SAME, 1, -1),
     {F32(1, 4, 4, 1), F32(1, 1, 1, 1)},
     F32(1),
     0},
    {"filter size 0", SCREE_OP_CONV_2D, CONV, {F32(1, 4, 4, 1), F32(1, 0, 1, 1)}, F32(1), 0},
    {"a window of",
     SCREE_OP_CONV_2D,
     CONV_OF(SCREE_PADDING_VALID, 1, 2147483647),
     {F32(1, 4, 4, 1), F32(1, 3, 1, 1)},
     F32(1),
     0},
    {"input", SCREE_OP_CONV_2D, CONV, {I8_PLAIN(1, 4, 4, 1), I8(1, 1, 1, 1)}, I8(1), 0},
    {"output", SCREE_OP_CONV_2D, CONV, {I8(1, 4, 4, 1), I8(1, 1, 1, 1)}, I8_PLAIN(1), 0},
    {"0 scales of weights for 2 output channels",
     SCREE_OP_CONV_2D,
     CONV,
     {I8(1, 4, 4, 1), I8_PLAIN(2, 1, 1, 1)},
     I8(1),
     0},
    {"weights with zero point 3",
     SCREE_OP_CONV_2D,
     CONV,
     {I8(1, 4, 4, 1), I8_ZP(3, 2, 1, 1, 1)},
     I8(1),
     0},
    {"a bias with zero point 1",
     SCREE_OP_CONV_2D,
     CONV,
     {I8(1, 4, 4, 1), I8(2, 1, 1, 1), I32_ZP(1, 2)},
     I8(1),
     0},
    {"a bias of scale 1 to products of scale 0.25",
     SCREE_OP_CONV_2D,
     CONV,
     {U8(1, 4, 4, 1), U8(2, 1, 1, 1), I32_SCALE(1, 2)},
     U8(1),
     0},
    {"int16 with a zero point",
     SCREE_OP_CONV_2D,
     CONV,
     {I16_ZP(1, 1, 4, 4, 1), I8(2, 1, 1, 1)},
     I16(1),
     0},
    {"a bias of int32 where the options ask for int64",
     SCREE_OP_CONV_2D,
     CONV,
     {I16(1, 4, 4, 1), I8(2, 1, 1, 1), I32(2)},
     I16(1),
     0},
    {"integer weights are not quantized",
     SCREE_OP_CONV_2D,
     CONV,
     {F32(1, 4, 4, 1), I8_PLAIN(2, 1, 1, 1)},
     F32(1),
     0},
    {"is not supported", SCREE_OP_CONV_2D, CONV, {I8(1, 4, 4, 1), U8(2, 1, 1, 1)}, I8(1), -ENOTSUP},

    {"for 2 images",
     SCREE_OP_DEPTHWISE_CONV_2D,
     DEPTHWISE,
     {F32(1, 4, 4, 2), F32(2, 1, 1, 2)},
     F32(1),
     0},
    {"input has 2 channels, filter 3",
     SCREE_OP_DEPTHWISE_CONV_2D,
     DEPTHWISE,
     {F32(1, 4, 4, 2), F32(1, 1, 1, 3)},
     F32(1),
     0},
    {"3 biases for 4 output channels",
     SCREE_OP_DEPTHWISE_CONV_2D,
     DEPTHWISE,
     {F32(1, 4, 4, 2), F32(1, 1, 1, 4), F32(3)},
     F32(1),
     0},

    {"an output shape of 3 dimensions",
     SCREE_OP_TRANSPOSE_CONV,
     UP(0),
     {INDEX(1, 4, 4), F32(1, 2, 2, 1), F32(1, 2, 2, 1)},
     F32(1),
     0},
    {"output shape 2x4x4x1 for 1 images",
     SCREE_OP_TRANSPOSE_CONV,
     UP(0),
     {INDEX(2, 4, 4, 1), F32(1, 2, 2, 1), F32(1, 2, 2, 1)},
     F32(1),
     0},
    {"output shape 1x-4x4x1",
     SCREE_OP_TRANSPOSE_CONV,
     UP(0),
     {INDEX(1, -4, 4, 1), F32(1, 2, 2, 1), F32(1, 2, 2, 1)},
     F32(1),
     0},
    {"an output of 7x4 needs an input of 4x2, not 2x2",
     SCREE_OP_TRANSPOSE_CONV,
     UP(0),
     {INDEX(1, 7, 4, 1), F32(1, 2, 2, 1), F32(1, 2, 2, 1)},
     F32(1),
     0},
    {"input has 1 channels, filter 2",
     SCREE_OP_TRANSPOSE_CONV,
     UP(0),
     {INDEX(1, 4, 4, 1), F32(1, 2, 2, 2), F32(1, 2, 2, 1)},
     F32(1),
     0},

    {"weights of rank 1", SCREE_OP_FULLY_CONNECTED, {{0}}, {F32(2, 3), F32(3)}, F32(1), 0},
    {"7 activations in rows of 3", SCREE_OP_FULLY_CONNECTED, {{0}}, {F32(7), F32(2, 3)}, F32(1), 0},
    {"the last dimension of the input is not 4",
     SCREE_OP_FULLY_CONNECTED,
     .options.fully_connected = {.keep_num_dims = true},
     {F32(2, 2), F32(3, 4)},
     F32(1),
     0},
    {"shuffled weights",
     SCREE_OP_FULLY_CONNECTED,
     .options.fully_connected = {.weights_format = SCREE_WEIGHTS_SHUFFLED4X16},
     {U8(1, 16), U8(4, 16)},
     I16(1),
     -ENOTSUP},
    {"fused activation",
     SCREE_OP_FULLY_CONNECTED,
     .options.fully_connected = {.activation = SCREE_ACTIVATION_TANH},
     {F32(2, 3), F32(3, 3)},
     F32(1),
     -ENOTSUP},
    {"3 scales of weights for 2 output channels",
     SCREE_OP_FULLY_CONNECTED,
     {{0}},
     {I8(1, 3), I8_SCALES(3, 2, 3)},
     I8(1),
     0},
    {"a bias of int32 where the options ask for int64",
     SCREE_OP_FULLY_CONNECTED,
     {{0}},
     {I16(1, 3), I8(2, 3), I32(2)},
     I16(1),
     0},

    {"matrices of rank 1 and 2", SCREE_OP_BATCH_MATMUL, {{0}}, {F32(3), F32(3, 2)}, F32(1), 0},
    {"matrices of rank 6 and 2",
     SCREE_OP_BATCH_MATMUL,
     {{0}},
     {F32(1, 1, 1, 1, 2, 3), F32(3, 2)},
     F32(1),
     0},
    {"int4 weights that are not constant",
     SCREE_OP_CONV_2D,
     CONV,
     {F32(1, 1, 1, 64), I4_STATE(64, 1, 1, 64)},
     F32(1),
     -ENOTSUP},
    {"int4 weights that are not constant",
     SCREE_OP_DEPTHWISE_CONV_2D,
     DEPTHWISE,
     {I8(1, 9, 9, 64), I4_STATE(1, 9, 9, 64)},
     I8(1),
     -ENOTSUP},
    {"int4 weights that are not constant",
     SCREE_OP_FULLY_CONNECTED,
     {{0}},
     {I16(1, 64), I4_STATE(64, 64)},
     I16(1),
     -ENOTSUP},
    {"batches of 2 and 3 matrices",
     SCREE_OP_BATCH_MATMUL,
     {{0}},
     {F32(2, 2, 3), F32(3, 3, 2)},
     F32(1),
     0},
    {"3 columns of the left matrix, 2 rows",
     SCREE_OP_BATCH_MATMUL,
     {{0}},
     {F32(2, 3), F32(2, 3)},
     F32(1),
     0},
    {"2 columns of the left matrix, 3 rows",
     SCREE_OP_BATCH_MATMUL,
     .options.batch_matmul = {.adj_x = true, .adj_y = true},
     {F32(2, 3), F32(2, 3)},
     F32(1),
     0},
    {"0 scales for 2 columns",
     SCREE_OP_BATCH_MATMUL,
     {{0}},
     {F32(2, 3), I8_PLAIN(3, 2)},
     F32(1),
     0},

    {"UNIDIRECTIONAL_SEQUENCE_LSTM version 1: (float32, float32, float32)",
     SCREE_OP_UNIDIRECTIONAL_SEQUENCE_LSTM,
     LSTM(0),
     {F32(1), F32(1), F32(1)},
     F32(1),
     -ENOTSUP},
    {"input of rank 2",
     SCREE_OP_UNIDIRECTIONAL_SEQUENCE_LSTM,
     LSTM(0),
     {LSTM_INPUTS(F32(1, 3), F32(2, 2)), STATE(1, 2), STATE(1, 2)},
     F32(1),
     0},
    {"input weights of shape 2x3, 2x4 is wanted",
     SCREE_OP_UNIDIRECTIONAL_SEQUENCE_LSTM,
     LSTM(0),
     {LSTM_INPUTS(F32(1, 1, 4), F32(2, 2)), STATE(1, 2), STATE(1, 2)},
     F32(1),
     0},
    {"3 outputs of 2 cells",
     SCREE_OP_UNIDIRECTIONAL_SEQUENCE_LSTM,
     LSTM(0),
     {F32(1, 1, 3), NONE,      F32(2, 3), F32(2, 3), F32(2, 3),   NONE,       F32(2, 3),
      F32(2, 3),    F32(2, 3), NONE,      NONE,      NONE,        NONE,       F32(2),
      F32(2),       F32(2),    NONE,      NONE,      STATE(1, 3), STATE(1, 2)},
     F32(1),
     0},
    {"the cell state is not a variable",
     SCREE_OP_UNIDIRECTIONAL_SEQUENCE_LSTM,
     LSTM(0),
     {LSTM_INPUTS(F32(1, 1, 3), F32(2, 2)), STATE(1, 2), F32(1, 2)},
     F32(1),
     0},
    {"a output state of 4 elements, 2 are wanted",
     SCREE_OP_UNIDIRECTIONAL_SEQUENCE_LSTM,
     LSTM(0),
     {LSTM_INPUTS(F32(1, 1, 3), F32(2, 2)), STATE(2, 2), STATE(1, 2)},
     F32(1),
     0},
    {"clips at -1 and 0",
     SCREE_OP_UNIDIRECTIONAL_SEQUENCE_LSTM,
     LSTM(.cell_clip = -1),
     {LSTM_INPUTS(F32(1, 1, 3), F32(2, 2)), STATE(1, 2), STATE(1, 2)},
     F32(1),
     0},
    {"activation NONE",
     SCREE_OP_UNIDIRECTIONAL_SEQUENCE_LSTM,
     {{0}},
     {LSTM_INPUTS(F32(1, 1, 3), F32(2, 2)), STATE(1, 2), STATE(1, 2)},
     F32(1),
     -ENOTSUP},
    {"the basic kernel",
     SCREE_OP_LSTM,
     .options.lstm = {.kernel_type = SCREE_LSTM_BASIC},
     {LSTM_INPUTS(F32(1, 3), F32(2, 2)), STATE(1, 2), STATE(1, 2)},
     F32(1),
     -ENOTSUP},

    {"rank 0 of 4 filters",
     SCREE_OP_SVDF,
     {{0}},
     {F32(1, 3), F32(4, 3), F32(4, 2), NONE, STATE(1, 8)},
     F32(1),
     0},
    {"rank 3 of 4 filters",
     SCREE_OP_SVDF,
     .options.svdf = {.rank = 3},
     {F32(1, 3), F32(4, 3), F32(4, 2), NONE, STATE(1, 8)},
     F32(1),
     0},
    {"features 4x2 and time 4x2 for 3 inputs",
     SCREE_OP_SVDF,
     .options.svdf = {.rank = 2},
     {F32(1, 3), F32(4, 2), F32(4, 2), NONE, STATE(1, 8)},
     F32(1),
     0},
    {"a state that is not 1x8",
     SCREE_OP_SVDF,
     .options.svdf = {.rank = 2},
     {F32(1, 3), F32(4, 3), F32(4, 2), NONE, STATE(1, 6)},
     F32(1),
     0},
    {"1 biases for 2 units",
     SCREE_OP_SVDF,
     .options.svdf = {.rank = 2},
     {F32(1, 3), F32(4, 3), F32(4, 2), F32(1), STATE(1, 8)},
     F32(1),
     0},
};

#define N_REFUSALS (sizeof refusals / sizeof refusals[0])

static int32_t add_tensor(struct tw *tw, const struct input *input)
{
    float scales[MAX_SCALES];
    int64_t zero_points[MAX_SCALES];
    int32_t tensor;

    if (input->kind == LEFT_OUT)
        return -1;
    if (input->kind == CONSTANT)
        return tw_constant(tw, "constant", input->type, input->shape, input->values,
                           scree_shape_elements(&input->shape) * sizeof *input->values);
    tensor = tw_tensor(tw, "tensor", input->type, input->shape);
    tw_tensor_at(tw, tensor)->is_variable = input->kind == VARIABLE;
    for (uint32_t i = 0; i < input->n_scales; i++) {
        scales[i] = input->scale;
        zero_points[i] = input->zero_point;
    }
    if (input->n_scales > 1) /* along the first dimension that has as many places */
        tw_quantize_axis(tw, tensor, input->shape.dims[0] == (int32_t)input->n_scales ? 0 : 1,
                         input->n_scales, scales, zero_points);
    else if (input->n_scales == 1)
        tw_quantize(tw, tensor, input->scale, input->zero_point);
    return tensor;
}

static struct tw *write_model(const struct refusal *row)
{
    struct tw *tw = tw_new();
    int32_t inputs[MAX_INPUTS], fed[MAX_INPUTS], output;
    uint32_t n_inputs = 0, n_fed = 0;

    for (; n_inputs < MAX_INPUTS && row->inputs[n_inputs].kind != END; n_inputs++) {
        inputs[n_inputs] = add_tensor(tw, &row->inputs[n_inputs]);
        if (row->inputs[n_inputs].kind == FED)
            fed[n_fed++] = inputs[n_inputs];
    }
    output = add_tensor(tw, &row->output);
    tw_node(tw, row->opcode, (struct scree_i32s){n_inputs, inputs}, TW_LIST(output), &row->options);
    tw_ports(tw, (struct scree_i32s){n_fed, fed}, TW_LIST(output));
    return tw;
}

static int make_session(struct tw *tw, struct scree_error *err)
{
    struct scree_model *model = NULL;
    struct scree_session *session = NULL;
    size_t n_bytes;
    const uint8_t *bytes = tw_finish(tw, &n_bytes);
    int rc = scree_model_open_memory(bytes, n_bytes, &model, err);

    if (rc >= 0)
        rc = scree_session_new(model, NULL, &session, err);
    scree_session_free(session);
    scree_model_unref(model);
    return rc;
}

static void test_refusals(void **state)
{
    int n_failed = 0;

    (void)state;
    for (size_t i = 0; i < N_REFUSALS; i++) {
        const struct refusal *row = &refusals[i];
        struct tw *tw = write_model(row);
        struct scree_error err = {""};
        int rc = make_session(tw, &err);

        if (rc != (row->rc ? row->rc : -EBADMSG) || !strstr(err.text, row->text)) {
            print_error("row %zu, '%s': %d, '%s'\n", i, row->text, rc, err.text);
            n_failed++;
        }
        tw_free(tw);
    }
    assert_int_equal(n_failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
