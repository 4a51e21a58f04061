/* Arithmetic of two tensors: ADD, SUB, MUL, DIV and their kin. Prepare finds the common shape and
 * the kernel for the types, run goes through the rows. */
#include "ops/binary.h"

#include <math.h>

#include "kernels/kernels.h"
#include "ops/common.h"
#include "ops/table.h"

static scree_row_fn *kernel_of(const struct scree_binary_kernels *kernels, enum scree_type type)
{
    switch (type) {
    case SCREE_TYPE_FLOAT32:
        return kernels->f32;
    case SCREE_TYPE_FLOAT16:
        return kernels->f16;
    case SCREE_TYPE_INT64:
        return kernels->i64;
    case SCREE_TYPE_INT32:
        return kernels->i32;
    case SCREE_TYPE_INT16:
        return kernels->i16;
    case SCREE_TYPE_INT8:
        return kernels->i8;
    case SCREE_TYPE_UINT8:
        return kernels->u8;
    case SCREE_TYPE_UINT32:
        return kernels->u32;
    case SCREE_TYPE_UINT16:
        return kernels->u16;
    case SCREE_TYPE_BOOL:
        return kernels->boolean;
    default:
        return NULL;
    }
}

int scree_binary_prepare(struct scree_call *call, const struct scree_binary_kernels *kernels,
                         enum scree_activation activation, struct scree_binary **ret_binary,
                         struct scree_error *err)
{
    const struct scree_operand *inputs[2] = {call->inputs[0], call->inputs[1]};
    struct scree_binary *binary = scree_call_params(call, sizeof *binary);
    struct scree_binary_params *args;
    enum scree_type type = inputs[0]->type;
    struct scree_shape shape;
    int64_t min, max;
    int rc;

    if (!binary)
        return scree_fail_memory(err, sizeof *binary);
    rc = scree_broadcast_shape(inputs, 2, &shape, err);
    if (rc == 0)
        rc = scree_call_set_shape(call, 0, &shape, err);
    if (rc < 0)
        return rc;
    scree_broadcast_init(&binary->broadcast, inputs, 2, call->outputs[0]);
    binary->row = kernel_of(kernels, type);
    binary->same_shapes = scree_shape_equal(&inputs[0]->shape, &inputs[1]->shape);
    args = &binary->args;
    scree_activation_range_f32(activation, &args->min_f32, &args->max_f32);
    if (type == SCREE_TYPE_FLOAT16) { /* the greatest half is 65504 */
        args->min_f32 = fmaxf(args->min_f32, -65504);
        args->max_f32 = fminf(args->max_f32, 65504);
    }
    scree_activation_range_integer(activation, INT64_MIN, INT64_MAX, &args->min_i64,
                                   &args->max_i64);
    scree_integer_range(type, &args->min, &args->max);
    scree_activation_range_integer(activation, args->min, args->max, &min, &max);
    args->min = (int32_t)min;
    args->max = (int32_t)max;
    scree_activation_range_integer(activation, 0, UINT32_MAX, &min, &max);
    args->min_u32 = (uint32_t)min;
    args->max_u32 = (uint32_t)max;
    *ret_binary = binary;
    return 0;
}

int scree_binary_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_binary *binary = call->params;

    if (binary->by_table) {
        scree_table_run(call, binary->table);
    } else {
        const void *data[2] = {call->inputs[0]->data, call->inputs[1]->data};

        scree_broadcast_run(&binary->broadcast, call->pool, data, call->outputs[0]->data,
                            binary->row, &binary->args);
    }
    return 0;
}

/* ---- quantized ---------------------------------------------------------------------------------
 */

typedef void lanes_fn(struct scree_binary_params *params, bool is_signed);

static bool is_8bit(const struct scree_operand *operand)
{
    return operand->type == SCREE_TYPE_UINT8 || operand->type == SCREE_TYPE_INT8;
}

/* True for u8 and i8, which are always quantized here, and for i16 with a scale. */
static bool is_quantized(const struct scree_operand *operand)
{
    return is_8bit(operand) || (operand->type == SCREE_TYPE_INT16 && operand->quant->n > 0);
}

int scree_binary_prepare_quantized(const struct scree_call *call, enum scree_activation activation,
                                   struct scree_binary_params *args, struct scree_error *err)
{
    int rc = scree_quant_check_all(call, err);

    if (rc < 0)
        return rc;
    for (int k = 0; k < 2; k++)
        args->zero_point[k] = call->inputs[k]->quant->zero_point[0];
    args->out_zero_point = call->outputs[0]->quant->zero_point[0];
    scree_activation_range_quantized(activation, call->outputs[0], &args->min, &args->max);
    return 0;
}

/* The last part of prepare. Where both inputs are functions of one byte, so is the output. */
static int finish(struct scree_call *call, lanes_fn *set_lanes, struct scree_binary *binary)
{
    if (is_8bit(call->outputs[0]))
        set_lanes(&binary->args, call->outputs[0]->type == SCREE_TYPE_INT8);
    binary->by_table = scree_table_of_two(call, binary->row, &binary->args, binary->table);
    return 0;
}

/* The multipliers that bring both inputs to a common scale, twice the larger of theirs, with
 * `left_shift` more bits. Returns that scale. */
static double prepare_shared_scale(const struct scree_call *call, int left_shift,
                                   struct scree_binary_params *args)
{
    double scale[2] = {call->inputs[0]->quant->scale[0], call->inputs[1]->quant->scale[0]};
    double twice_max = 2 * fmax(scale[0], scale[1]);

    args->left_shift = left_shift;
    for (int k = 0; k < 2; k++)
        (void)scree_multiplier_from_real(scale[k] / twice_max, &args->multiplier[k]);
    return twice_max;
}

/* ---- ADD, SUB ----------------------------------------------------------------------------------
 */

/* How many bits the inputs are shifted when all scales are powers of two, as old LSTM models have
 * them. False if they are not, or if the model asks for the general way. */
static bool power_of_two_shifts(const struct scree_call *call, int32_t *shift)
{
    int log2_out, log2_in;

    if (!scree_scale_log2(call->outputs[0]->quant->scale[0], &log2_out))
        return false;
    for (int k = 0; k < 2; k++) {
        if (!scree_scale_log2(call->inputs[k]->quant->scale[0], &log2_in))
            return false;
        shift[k] = log2_out - log2_in;
    }
    return true;
}

static int prepare_sum_pot16(struct scree_binary *binary, const int32_t *shift, scree_row_fn *row,
                             struct scree_error *err)
{
    if (shift[0] < 0 || shift[1] < 0 || (shift[0] != 0 && shift[1] != 0))
        return scree_fail(err, EBADMSG,
                          "with power of two scales one input must have the output's scale, the "
                          "other a finer one");
    for (int k = 0; k < 2; k++)
        binary->args.right_shift[k] = shift[k] > 31 ? 31 : shift[k];
    binary->row = row;
    return 0;
}

/* The quantized part of ADD and SUB. `pot16` is the kernel for i16 with power of two scales. */
static int prepare_sum(const struct scree_call *call, enum scree_activation activation, bool pot,
                       scree_row_fn *general16, scree_row_fn *pot16, struct scree_binary *binary,
                       struct scree_error *err)
{
    bool is_16bit = call->outputs[0]->type == SCREE_TYPE_INT16;
    int left_shift = is_16bit ? 15 : 20;
    int32_t shift[2];
    double twice_max;
    int rc = scree_binary_prepare_quantized(call, activation, &binary->args, err);

    if (rc == 0 && is_16bit)
        rc = scree_quant_check_symmetric(call, err);
    if (rc < 0)
        return rc;
    if (is_16bit && pot && power_of_two_shifts(call, shift))
        return prepare_sum_pot16(binary, shift, pot16, err);
    if (is_16bit)
        binary->row = general16;
    twice_max = prepare_shared_scale(call, left_shift, &binary->args);
    return scree_multiplier_check(
        twice_max / ((1 << left_shift) * (double)call->outputs[0]->quant->scale[0]),
        &binary->args.out_multiplier, err);
}

int scree_add_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_binary_kernels kernels = {.f32 = call->kernels->rows_f32->add,
                                                 .f16 = scree_add_f16,
                                                 .i64 = scree_add_i64,
                                                 .i32 = scree_add_i32,
                                                 .i16 = scree_add_i16,
                                                 .i8 = call->kernels->add_i8,
                                                 .u8 = call->kernels->add_u8};
    const struct scree_add_options *options = &call->node->options.add;
    struct scree_binary *binary = NULL;
    int rc = scree_binary_prepare(call, &kernels, options->activation, &binary, err);

    if (rc < 0 || !is_quantized(call->inputs[0]))
        return rc;
    rc = prepare_sum(call, options->activation, options->pot_scale_int16, scree_add_q16,
                     scree_add_pot16, binary, err);
    return rc < 0 ? rc : finish(call, scree_binary_add_lanes, binary);
}

int scree_sub_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_binary_kernels kernels = {.f32 = call->kernels->rows_f32->sub,
                                                 .i64 = scree_sub_i64,
                                                 .i32 = scree_sub_i32,
                                                 .i16 = scree_sub_q16,
                                                 .i8 = call->kernels->sub_i8,
                                                 .u8 = call->kernels->sub_u8};
    const struct scree_sub_options *options = &call->node->options.sub;
    struct scree_binary *binary = NULL;
    int rc = scree_binary_prepare(call, &kernels, options->activation, &binary, err);

    if (rc < 0 || (!is_8bit(call->inputs[0]) && call->inputs[0]->type != SCREE_TYPE_INT16))
        return rc;
    rc = prepare_sum(call, options->activation, options->pot_scale_int16, scree_sub_q16,
                     scree_sub_pot16, binary, err);
    return rc < 0 ? rc : finish(call, scree_binary_sub_lanes, binary);
}

/* ---- MUL, DIV ----------------------------------------------------------------------------------
 */

int scree_mul_prepare(struct scree_call *call, struct scree_error *err)
{
    const struct scree_binary_kernels kernels = {.f32 = call->kernels->rows_f32->mul,
                                                 .f16 = scree_mul_f16,
                                                 .i64 = scree_mul_i64,
                                                 .i32 = scree_mul_i32,
                                                 .i16 = scree_mul_i16,
                                                 .i8 = call->kernels->mul_i8,
                                                 .u8 = call->kernels->mul_u8,
                                                 .u32 = scree_mul_u32};
    enum scree_activation activation = call->node->options.mul.activation;
    struct scree_binary *binary = NULL;
    int rc = scree_binary_prepare(call, &kernels, activation, &binary, err);

    if (rc < 0 || !is_quantized(call->inputs[0]))
        return rc;
    rc = scree_binary_prepare_quantized(call, activation, &binary->args, err);
    if (rc == 0 && call->inputs[0]->type == SCREE_TYPE_INT16)
        rc = scree_quant_check_symmetric(call, err);
    if (rc < 0)
        return rc;
    if (call->inputs[0]->type == SCREE_TYPE_INT16)
        binary->row = scree_mul_q16;
    /* In float, as TFLite does. */
    rc = scree_multiplier_check(call->inputs[0]->quant->scale[0] *
                                    call->inputs[1]->quant->scale[0] /
                                    call->outputs[0]->quant->scale[0],
                                &binary->args.out_multiplier, err);
    return rc < 0 ? rc : finish(call, scree_binary_mul_lanes, binary);
}

int scree_div_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.f32 = scree_div_f32,
                                                        .i32 = scree_div_i32,
                                                        .i16 = scree_div_q16,
                                                        .i8 = scree_div_i8,
                                                        .u8 = scree_div_u8};
    enum scree_activation activation = call->node->options.div.activation;
    struct scree_binary *binary = NULL;
    int rc = scree_binary_prepare(call, &kernels, activation, &binary, err);

    if (rc < 0 || (!is_8bit(call->inputs[0]) && call->inputs[0]->type != SCREE_TYPE_INT16))
        return rc;
    rc = scree_binary_prepare_quantized(call, activation, &binary->args, err);
    if (rc < 0)
        return rc;
    return scree_multiplier_check(
        call->inputs[0]->quant->scale[0] /
            (call->inputs[1]->quant->scale[0] * call->outputs[0]->quant->scale[0]),
        &binary->args.out_multiplier, err);
}

/* True if one of the operand's elements is `value`; bool, f16 and unsigned types are not asked
 * for. */
static bool contains(const struct scree_operand *operand, int64_t value)
{
    for (size_t i = 0; i < operand->n_elements; i++) {
        bool found;

        switch (operand->type) {
        case SCREE_TYPE_FLOAT32:
            found = ((const float *)operand->data)[i] == (float)value;
            break;
        case SCREE_TYPE_UINT8:
            found = ((const uint8_t *)operand->data)[i] == value;
            break;
        case SCREE_TYPE_INT8:
            found = ((const int8_t *)operand->data)[i] == value;
            break;
        case SCREE_TYPE_INT16:
            found = ((const int16_t *)operand->data)[i] == value;
            break;
        default:
            found = scree_operand_int(operand, i) == value;
            break;
        }
        if (found)
            return true;
    }
    return false;
}

int scree_div_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_binary *binary = call->params;
    const struct scree_operand *divisor = call->inputs[1];

    if (divisor->type != SCREE_TYPE_FLOAT32 && contains(divisor, binary->args.zero_point[1]))
        return scree_fail(err, EBADMSG, "division by zero");
    return scree_binary_run(call, err);
}

/* ---- the others --------------------------------------------------------------------------------
 */

int scree_floor_div_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.f32 = scree_floor_div_f32,
                                                        .i32 = scree_floor_div_i32,
                                                        .i16 = scree_floor_div_i16,
                                                        .i8 = scree_floor_div_i8};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}

/* TFLite refuses a zero divisor here for floats too. */
int scree_floor_div_run(const struct scree_call *call, struct scree_error *err)
{
    if (contains(call->inputs[1], 0))
        return scree_fail(err, EBADMSG, "division by zero");
    return scree_binary_run(call, err);
}

int scree_floor_mod_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.f32 = scree_floor_mod_f32,
                                                        .i64 = scree_floor_mod_i64,
                                                        .i32 = scree_floor_mod_i32,
                                                        .i16 = scree_floor_mod_i16,
                                                        .i8 = scree_floor_mod_i8};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}

int scree_floor_mod_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_operand *divisor = call->inputs[1];

    if (divisor->type != SCREE_TYPE_FLOAT32 && contains(divisor, 0))
        return scree_fail(err, EBADMSG, "division by zero");
    return scree_binary_run(call, err);
}

int scree_maximum_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.f32 = scree_maximum_f32,
                                                        .f16 = scree_maximum_f16,
                                                        .i64 = scree_maximum_i64,
                                                        .i32 = scree_maximum_i32,
                                                        .i16 = scree_maximum_i16,
                                                        .i8 = scree_maximum_i8,
                                                        .u8 = scree_maximum_u8};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}

int scree_minimum_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.f32 = scree_minimum_f32,
                                                        .f16 = scree_minimum_f16,
                                                        .i64 = scree_minimum_i64,
                                                        .i32 = scree_minimum_i32,
                                                        .i16 = scree_minimum_i16,
                                                        .i8 = scree_minimum_i8,
                                                        .u8 = scree_minimum_u8};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}

int scree_squared_difference_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.f32 = scree_squared_difference_f32,
                                                        .i32 = scree_squared_difference_i32,
                                                        .i8 = scree_squared_difference_i8};
    const int left_shift = 7;
    struct scree_binary *binary = NULL;
    double twice_max;
    int rc = scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);

    if (rc < 0 || !is_8bit(call->inputs[0]))
        return rc;
    rc = scree_binary_prepare_quantized(call, SCREE_ACTIVATION_NONE, &binary->args, err);
    if (rc < 0)
        return rc;
    twice_max = prepare_shared_scale(call, left_shift, &binary->args);
    return scree_multiplier_check(
        twice_max * twice_max / ((1 << 2 * left_shift) * (double)call->outputs[0]->quant->scale[0]),
        &binary->args.out_multiplier, err);
}

int scree_atan2_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.f32 = scree_atan2_f32};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}

int scree_bitwise_xor_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.i32 = scree_xor_32,
                                                        .i16 = scree_xor_16,
                                                        .i8 = scree_xor_8,
                                                        .u8 = scree_xor_8,
                                                        .u32 = scree_xor_32,
                                                        .u16 = scree_xor_16};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}

int scree_right_shift_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.i32 = scree_right_shift_i32,
                                                        .i16 = scree_right_shift_i16,
                                                        .i8 = scree_right_shift_i8,
                                                        .u8 = scree_right_shift_u8,
                                                        .u32 = scree_right_shift_u32,
                                                        .u16 = scree_right_shift_u16};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}

/* ---- POW ---------------------------------------------------------------------------------------
 */

int scree_pow_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.f32 = scree_pow_f32, .i32 = scree_pow_i32};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}

/* The whole number >= 1 that the only exponent is, nearly; else 0. TFLite multiplies then. */
static int32_t whole_exponent(const struct scree_operand *exponent)
{
    if (exponent->type == SCREE_TYPE_INT32) {
        int32_t n = *(const int32_t *)exponent->data;

        return n >= 1 ? n : 0;
    } else {
        float y = *(const float *)exponent->data;
        float n = roundf(y);

        return n >= 1 && n < 0x1p31f && fabsf(y - n) < 1e-5f ? (int32_t)n : 0;
    }
}

int scree_pow_run(const struct scree_call *call, struct scree_error *err)
{
    const struct scree_binary *binary = call->params;
    const struct scree_operand *exponent = call->inputs[1];
    const void *data[2] = {call->inputs[0]->data, exponent->data};
    struct scree_binary_params args = binary->args;
    scree_row_fn *row = binary->row;

    if (exponent->type == SCREE_TYPE_INT32)
        for (size_t i = 0; i < exponent->n_elements; i++)
            if (((const int32_t *)exponent->data)[i] < 0)
                return scree_fail(err, EBADMSG, "a negative exponent of an integer");
    if (!binary->same_shapes && exponent->n_elements == 1)
        args.exponent = whole_exponent(exponent);
    if (args.exponent > 0)
        row = exponent->type == SCREE_TYPE_INT32 ? scree_pow_n_i32 : scree_pow_n_f32;
    scree_broadcast_run(&binary->broadcast, call->pool, data, call->outputs[0]->data, row, &args);
    return 0;
}

/* ---- LOGICAL_AND, LOGICAL_OR -------------------------------------------------------------------
 */

int scree_logical_and_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.boolean = scree_logical_and};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}

int scree_logical_or_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = {.boolean = scree_logical_or};
    struct scree_binary *binary = NULL;

    return scree_binary_prepare(call, &kernels, SCREE_ACTIVATION_NONE, &binary, err);
}
