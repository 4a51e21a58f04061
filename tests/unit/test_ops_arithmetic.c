/* Arithmetic, activations, conversions and reductions: what they refuse, and what tests/ops cannot
 * compare with TFLite: values that no model should have. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <scree/scree.h>

#include "support/tflite_writer.h"

#define MAX_INPUTS 3

/* A tensor of a one-operator model. */
struct operand {
    enum scree_type type;
    struct scree_shape shape; /* an output's is computed */
    float scale;              /* 0: not quantized */
    int64_t zero_point;
    const void *data; /* of an input: its bytes; NULL: zeros */
    bool constant;    /* part of the model, else fed */
};

struct one_op {
    int32_t opcode;
    union scree_options options;
    struct operand inputs[MAX_INPUTS];
    uint32_t n_inputs;
    struct operand output;
};

static size_t operand_bytes(const struct operand *operand)
{
    return scree_shape_elements(&operand->shape) * scree_type_bytes(operand->type);
}

static int32_t write_operand(struct tw *tw, const struct operand *operand)
{
    int32_t tensor = operand->constant ? tw_constant(tw, "t", operand->type, operand->shape,
                                                     operand->data, operand_bytes(operand))
                                       : tw_tensor(tw, "t", operand->type, operand->shape);

    if (operand->scale != 0)
        tw_quantize(tw, tensor, operand->scale, operand->zero_point);
    return tensor;
}

static struct tw *write_model(const struct one_op *op)
{
    struct tw *tw = tw_new();
    int32_t inputs[MAX_INPUTS], fed[MAX_INPUTS], output;
    struct scree_i32s in = {op->n_inputs, inputs}, ports = {0, fed};

    for (uint32_t i = 0; i < op->n_inputs; i++) {
        inputs[i] = write_operand(tw, &op->inputs[i]);
        if (!op->inputs[i].constant)
            fed[ports.n++] = inputs[i];
    }
    output = write_operand(tw, &op->output);
    tw_node(tw, op->opcode, in, TW_LIST(output), &op->options);
    tw_ports(tw, ports, TW_LIST(output));
    return tw;
}

/* Feeds the inputs in order, and runs. */
static int feed_and_run(struct scree_session *session, const struct one_op *op,
                        struct scree_error *err)
{
    uint32_t index = 0;

    for (uint32_t i = 0; i < op->n_inputs; i++) {
        struct scree_tensor tensor;

        if (op->inputs[i].constant)
            continue;
        assert_int_equal(scree_session_input(session, index++, &tensor), 0);
        if (tensor.bytes > 0 && op->inputs[i].data)
            memcpy(tensor.data, op->inputs[i].data, tensor.bytes);
        else if (tensor.bytes > 0)
            memset(tensor.data, 0, tensor.bytes);
    }
    return scree_session_run(session, err);
}

/* Runs the operator once; ret u8[n_ret] is the start of its output, if there is one. */
static int run_op(const struct one_op *op, void *ret, size_t n_ret, struct scree_error *err)
{
    struct scree_session_options options = {.n_threads = 1};
    struct scree_session *session = NULL;
    struct scree_model *model = NULL;
    struct tw *tw = write_model(op);
    struct scree_tensor output;
    size_t n_bytes;
    const uint8_t *bytes = tw_finish(tw, &n_bytes);
    int rc = scree_model_open_memory(bytes, n_bytes, &model, err);

    if (rc == 0)
        rc = scree_session_new(model, &options, &session, err);
    if (rc == 0)
        rc = feed_and_run(session, op, err);
    if (rc == 0 && ret) {
        assert_int_equal(scree_session_output(session, 0, &output), 0);
        assert_true(output.bytes >= n_ret);
        memcpy(ret, output.data, n_ret);
    }
    scree_session_free(session);
    scree_model_unref(model);
    tw_free(tw);
    return rc;
}

#define SHAPE(...)                                          \
    {                                                       \
        sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), \
        {                                                   \
            __VA_ARGS__                                     \
        }                                                   \
    }
#define F32(...)                                  \
    {                                             \
        SCREE_TYPE_FLOAT32, SHAPE(__VA_ARGS__), 0 \
    }
#define I32(...)                                \
    {                                           \
        SCREE_TYPE_INT32, SHAPE(__VA_ARGS__), 0 \
    }
#define BOOL(...)                              \
    {                                          \
        SCREE_TYPE_BOOL, SHAPE(__VA_ARGS__), 0 \
    }
#define U8(scale, zero_point)                         \
    {                                                 \
        SCREE_TYPE_UINT8, SHAPE(4), scale, zero_point \
    }
#define I8(scale, zero_point)                        \
    {                                                \
        SCREE_TYPE_INT8, SHAPE(4), scale, zero_point \
    }
#define I16(scale, zero_point)                        \
    {                                                 \
        SCREE_TYPE_INT16, SHAPE(4), scale, zero_point \
    }
#define AXES(...)                                                     \
    {                                                                 \
        SCREE_TYPE_INT32, SHAPE(__VA_ARGS__), 0, 0, (const int32_t[]) \
        {                                                             \
            __VA_ARGS__                                               \
        }                                                             \
    }

static const int32_t axis_5[] = {5}, axis_minus_3[] = {-3}, minus_one[] = {-1};

/* What the error has in it, its code, and the operator. */
static const struct {
    const char *text;
    int rc; /* 0: -EBADMSG */
    struct one_op op;
} refusals[] = {
    {"shapes 2x3 and 4 do not broadcast", 0, {SCREE_OP_ADD, {{0}}, {F32(2, 3), F32(4)}, 2, F32(1)}},
    {"over 2147483647",
     -E2BIG,
     {SCREE_OP_MAXIMUM, {{0}}, {F32(65536, 1), F32(1, 65536)}, 2, F32(1)}},
    {"input 0 is uint8 without a scale",
     0,
     {SCREE_OP_ADD, {{0}}, {U8(0, 0), U8(1, 0)}, 2, U8(1, 0)}},
    {"output 0 is int8 without a scale",
     0,
     {SCREE_OP_MUL, {{0}}, {I8(1, 0), I8(1, 0)}, 2, I8(0, 0)}},
    {"impossible factor", 0, {SCREE_OP_MUL, {{0}}, {I8(1e30F, 0), I8(1e30F, 0)}, 2, I8(1, 0)}},
    {"impossible factor", 0, {SCREE_OP_RELU, {{0}}, {I8(1e30F, 0)}, 1, I8(1e-30F, 0)}},
    {"has zero point 3, int16 needs 0",
     0,
     {SCREE_OP_SUB, {{0}}, {I16(0.5F, 0), I16(0.5F, 3)}, 2, I16(1, 0)}},
    {"one input must have the output's scale",
     0,
     {SCREE_OP_ADD,
      {.add = {.pot_scale_int16 = true}},
      {I16(0.5F, 0), I16(0.25F, 0)},
      2,
      I16(1, 0)}},
    {"division by zero", 0, {SCREE_OP_DIV, {{0}}, {I32(4), I32(4)}, 2, I32(4)}},
    {"division by zero", 0, {SCREE_OP_DIV, {{0}}, {U8(1, 0), U8(1, 0)}, 2, U8(1, 0)}},
    {"division by zero", 0, {SCREE_OP_FLOOR_DIV, {{0}}, {F32(4), F32(4)}, 2, F32(4)}},
    {"division by zero", 0, {SCREE_OP_FLOOR_MOD, {{0}}, {I32(4), I32(4)}, 2, I32(4)}},
    {"a negative exponent",
     0,
     {SCREE_OP_POW,
      {{0}},
      {I32(4), {SCREE_TYPE_INT32, SHAPE(1), 0, 0, minus_one, false}},
      2,
      I32(4)}},
    {"root of a negative number", 0, {SCREE_OP_SQRT, {{0}}, {I8(1, 5)}, 1, I8(1, 0)}},
    {"root of a negative number", 0, {SCREE_OP_RSQRT, {{0}}, {I8(1, 5)}, 1, I8(1, 0)}},
    {"has scale 0.5, not 0.00390625", 0, {SCREE_OP_LOGISTIC, {{0}}, {I8(1, 0)}, 1, I8(0.5F, 0)}},
    {"not 2^-15", 0, {SCREE_OP_TANH, {{0}}, {I16(1, 0)}, 1, I16(0.5F, 0)}},
    {"which is too large", 0, {SCREE_OP_TANH, {{0}}, {I16(1e8F, 0)}, 1, I16(0x1p-15F, 0)}},
    {"less than 1/128", 0, {SCREE_OP_HARD_SWISH, {{0}}, {I8(1, 0)}, 1, I8(0.001F, 0)}},
    {"more slopes than values", 0, {SCREE_OP_PRELU, {{0}}, {F32(1), F32(3)}, 2, F32(3)}},
    {"input 0 is a scalar",
     0,
     {SCREE_OP_SOFTMAX, {{0}}, {{SCREE_TYPE_FLOAT32, {0}, 0}}, 1, F32(1)}},
    {"beta 0 and scale 1 are too small",
     0,
     {SCREE_OP_SOFTMAX, {{0}}, {I8(1, 0)}, 1, I8(1.F / 256, -128)}},
    {"not by 0.00390625, -128", 0, {SCREE_OP_SOFTMAX, {.softmax = {1}}, {I8(1, 0)}, 1, I8(1, 0)}},
    {"not by 0.0625, 127", 0, {SCREE_OP_LOG_SOFTMAX, {{0}}, {I8(1, 0)}, 1, I8(1, 0)}},
    {"not by 1/128, 128", 0, {SCREE_OP_L2_NORMALIZATION, {{0}}, {U8(1, 0)}, 1, U8(1, 0)}},
    {"has rank 1, 4 is wanted",
     0,
     {SCREE_OP_LOCAL_RESPONSE_NORMALIZATION, {{0}}, {F32(4)}, 1, F32(4)}},
    {"axis 5",
     0,
     {SCREE_OP_MEAN,
      {{0}},
      {F32(2, 2), {SCREE_TYPE_INT32, SHAPE(1), 0, 0, axis_5, true}},
      2,
      F32(1)}},
    {"axis -3",
     0,
     {SCREE_OP_CUMSUM,
      {{0}},
      {F32(2, 2), {SCREE_TYPE_INT32, SHAPE(1), 0, 0, axis_minus_3, false}},
      2,
      F32(1)}},
    {"quantized differently", 0, {SCREE_OP_REDUCE_MAX, {{0}}, {I8(1, 0), AXES(0)}, 2, I8(2, 0)}},
    {"quantized uint8", -ENOTSUP, {SCREE_OP_REDUCE_PROD, {{0}}, {U8(1, 0), AXES(0)}, 2, U8(2, 0)}},
    {"different shapes", 0, {SCREE_OP_ADD_N, {{0}}, {F32(2), F32(3)}, 2, F32(1)}},
    {"1 inputs", 0, {SCREE_OP_ADD_N, {{0}}, {F32(2)}, 1, F32(1)}},
    {"the two values have different shapes",
     0,
     {SCREE_OP_SELECT, {{0}}, {BOOL(2), F32(2), F32(1)}, 3, F32(1)}},
    {"the condition's shape",
     0,
     {SCREE_OP_SELECT, {{0}}, {BOOL(3), F32(2, 3), F32(2, 3)}, 3, F32(1)}},
    {"do not broadcast",
     0,
     {SCREE_OP_SELECT_V2, {{0}}, {BOOL(3), F32(2, 3), F32(2, 2)}, 3, F32(1)}},
    {"a quantized tensor without a scale", 0, {SCREE_OP_QUANTIZE, {{0}}, {F32(4)}, 1, U8(0, 0)}},
    {"a narrow range",
     -ENOTSUP,
     {SCREE_OP_FAKE_QUANT, {.fake_quant = {0, 1, 8, true}}, {F32(4)}, 1, F32(4)}},
    {"17 bits", 0, {SCREE_OP_FAKE_QUANT, {.fake_quant = {0, 1, 17, false}}, {F32(4)}, 1, F32(4)}},
    {"1 to 1 is no range",
     0,
     {SCREE_OP_FAKE_QUANT, {.fake_quant = {1, 1, 8, false}}, {F32(4)}, 1, F32(4)}},
};

static void test_refusals(void **state)
{
    int n_failed = 0;

    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct scree_error err = {""};
        int rc = run_op(&refusals[i].op, NULL, 0, &err);

        if (rc != (refusals[i].rc ? refusals[i].rc : -EBADMSG) ||
            !strstr(err.text, refusals[i].text)) {
            print_error("row %zu, '%s': %d, '%s'\n", i, refusals[i].text, rc, err.text);
            n_failed++;
        }
    }
    assert_int_equal(n_failed, 0);
}

/* Floats that fit no integer are saturated, NaN is the least or (CAST, as TFLite's) the greatest.
 */
static void test_conversions_saturate(void **state)
{
    const float values[4] = {INFINITY, -INFINITY, NAN, 1e30F};
    const int8_t quantized[4] = {127, -128, -128, 127};
    const int32_t casted[4] = {INT32_MAX, INT32_MIN, INT32_MAX, INT32_MAX};
    struct operand input = {SCREE_TYPE_FLOAT32, SHAPE(4), 0, 0, values};
    struct one_op op = {SCREE_OP_QUANTIZE, {{0}}, {input}, 1, I8(0.1F, 3)};
    struct scree_error err;
    int32_t integers[4];
    int8_t bytes[4];

    (void)state;
    assert_int_equal(run_op(&op, bytes, sizeof bytes, &err), 0);
    assert_memory_equal(bytes, quantized, sizeof bytes);
    op.opcode = SCREE_OP_CAST;
    op.output = (struct operand)I32(4);
    assert_int_equal(run_op(&op, integers, sizeof integers, &err), 0);
    assert_memory_equal(integers, casted, sizeof integers);
}

/* Bools of a caller are bytes: all but 0 are true. */
static void test_any_byte_but_zero_is_true(void **state)
{
    const uint8_t a[4] = {0, 1, 2, 255}, b[4] = {1, 255, 4, 0};
    const uint8_t both[4] = {0, 1, 1, 0}, equal[4] = {0, 1, 1, 0}, not_a[4] = {1, 0, 0, 0};
    struct operand x = {SCREE_TYPE_BOOL, SHAPE(4), 0, 0, a};
    struct operand y = {SCREE_TYPE_BOOL, SHAPE(4), 0, 0, b};
    struct one_op op = {SCREE_OP_LOGICAL_AND, {{0}}, {x, y}, 2, BOOL(4)};
    struct scree_error err;
    uint8_t result[4];

    (void)state;
    assert_int_equal(run_op(&op, result, sizeof result, &err), 0);
    assert_memory_equal(result, both, sizeof result);
    op.opcode = SCREE_OP_EQUAL;
    assert_int_equal(run_op(&op, result, sizeof result, &err), 0);
    assert_memory_equal(result, equal, sizeof result);
    op.opcode = SCREE_OP_LOGICAL_NOT;
    op.n_inputs = 1;
    assert_int_equal(run_op(&op, result, sizeof result, &err), 0);
    assert_memory_equal(result, not_a, sizeof result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_conversions_saturate),
        cmocka_unit_test(test_any_byte_but_zero_is_true),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
