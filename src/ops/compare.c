/* EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL. */
#include "kernels/compare.h"

#include "ops/binary.h"
#include "ops/common.h"

/* The multiplier of input k: its scale, or the same for both if it has none. */
static int prepare_input(const struct scree_call *call, int k, struct scree_binary_params *args,
                         struct scree_error *err)
{
    const struct scree_quant *quant = call->inputs[k]->quant;
    int rc;

    if (quant->n == 0)
        return scree_multiplier_check(0.5, &args->multiplier[k], err);
    rc = scree_quant_check(call->inputs[k], k == 0 ? "input 0" : "input 1", err);
    if (rc < 0)
        return rc;
    args->zero_point[k] = quant->zero_point[0];
    return scree_multiplier_check(quant->scale[0], &args->multiplier[k], err);
}

/* Comparisons of quantized values bring both to real values with 8 bits behind the point.
 * `q16` is the kernel for quantized int16, or NULL if those are compared as they are. */
static int prepare_comparison(struct scree_call *call, const struct scree_binary_kernels *kernels,
                              scree_row_fn *q16, struct scree_error *err)
{
    enum scree_type type = call->inputs[0]->type;
    struct scree_binary *binary = NULL;
    int rc = scree_binary_prepare(call, kernels, SCREE_ACTIVATION_NONE, &binary, err);

    if (rc < 0)
        return rc;
    binary->args.left_shift = 8;
    if (type == SCREE_TYPE_INT16 && call->inputs[0]->quant->n > 0 && q16)
        binary->row = q16;
    else if (type != SCREE_TYPE_UINT8 && type != SCREE_TYPE_INT8)
        return 0;
    rc = prepare_input(call, 0, &binary->args, err);
    return rc < 0 ? rc : prepare_input(call, 1, &binary->args, err);
}

#define KERNELS(name)                                                                    \
    {                                                                                    \
        .f32 = scree_##name##_f32, .f16 = scree_##name##_f16, .i64 = scree_##name##_i64, \
        .i32 = scree_##name##_i32, .i16 = scree_##name##_i16, .i8 = scree_##name##_i8,   \
        .u8 = scree_##name##_u8, .boolean = scree_##name##_bool,                         \
    }

int scree_equal_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = KERNELS(equal);

    return prepare_comparison(call, &kernels, scree_equal_q16, err);
}

int scree_not_equal_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = KERNELS(not_equal);

    return prepare_comparison(call, &kernels, scree_not_equal_q16, err);
}

int scree_greater_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = KERNELS(greater);

    return prepare_comparison(call, &kernels, NULL, err);
}

int scree_greater_equal_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = KERNELS(greater_equal);

    return prepare_comparison(call, &kernels, NULL, err);
}

int scree_less_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = KERNELS(less);

    return prepare_comparison(call, &kernels, NULL, err);
}

int scree_less_equal_prepare(struct scree_call *call, struct scree_error *err)
{
    static const struct scree_binary_kernels kernels = KERNELS(less_equal);

    return prepare_comparison(call, &kernels, NULL, err);
}
