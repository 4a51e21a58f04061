#include "kernels/requantize.h"

#include <math.h>

#include "base/checked.h"

/* Moves by the zero point and clamps; the bounds less the zero point are small numbers. */
static int32_t clamp(const struct scree_conv_quant *quant, int32_t value)
{
    int32_t min = quant->min - quant->output_zp, max = quant->max - quant->output_zp;

    return scree_clamp_i32(value, min, max) + quant->output_zp;
}

/* Rounded half away from zero; what leaves 32 bits saturates (it is undefined in TFLite). */
static int32_t round_to_i32(double x)
{
    double value = round(x);

    return value >= INT32_MAX ? INT32_MAX : value <= INT32_MIN ? INT32_MIN : (int32_t)value;
}

static size_t multiplier_index(const struct scree_conv_quant *quant, int32_t o)
{
    return (size_t)o * (size_t)quant->multiplier_stride;
}

void scree_requantize_row(const struct scree_conv_quant *quant, const uint32_t *sums,
                          const int32_t *bias, int32_t o, int32_t n, int32_t *ret)
{
    for (int32_t i = 0; i < n; i++)
        ret[i] = (int32_t)(sums[i] + (bias ? (uint32_t)bias[o + i] : 0));
    if (quant->factors)
        for (int32_t i = 0; i < n; i++)
            ret[i] = round_to_i32(ret[i] * quant->factors[multiplier_index(quant, o + i)]);
    else
        for (int32_t i = 0; i < n; i++)
            ret[i] = scree_multiply(ret[i], quant->multipliers[multiplier_index(quant, o + i)]);
    for (int32_t i = 0; i < n; i++)
        ret[i] = clamp(quant, ret[i]);
}

void scree_requantize_row_i64(const struct scree_conv_quant *quant, const int64_t *sums,
                              const int64_t *bias, int32_t o, int32_t n, int32_t *ret)
{
    for (int32_t i = 0; i < n; i++) {
        int64_t acc = (int64_t)((uint64_t)sums[i] + (bias ? (uint64_t)bias[o + i] : 0));
        size_t m = multiplier_index(quant, o + i);

        ret[i] = clamp(quant, quant->factors ? round_to_i32((double)acc * quant->factors[m])
                                             : scree_multiply_i64(acc, quant->multipliers[m]));
    }
}

void scree_rescale_row(const struct scree_conv_hybrid *hybrid, const uint32_t *sums,
                       const float *bias, int32_t n_image, int32_t o, int32_t n, float *ret)
{
    const float *filter_scales = hybrid->filter_scales;
    float input_scale = hybrid->input_scales[n_image];

    for (int32_t i = 0; i < n; i++) {
        float filter_scale = filter_scales[(size_t)(o + i) * (size_t)hybrid->filter_scale_stride];
        float acc = (float)(int32_t)sums[i];
        float value = hybrid->filter_first ? acc * filter_scale * input_scale
                                           : acc * (filter_scale * input_scale);

        if (bias)
            value += bias[o + i];
        value = value < hybrid->min ? hybrid->min : value;
        ret[i] = hybrid->max < value ? hybrid->max : value;
    }
}
