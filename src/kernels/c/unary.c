#include "kernels/unary.h"

#include <math.h>

#include "kernels/c/rows.h"
#include "kernels/fixed_math.h"
#include "kernels/half.h"
#include "kernels/lut.h"

#define ROWS(name, type, expression) \
    SCREE_ROWS_1(scree_##name, type, type, struct scree_unary_params, expression)
#define ROWS_F16(name, function) \
    ROWS(name##_f16, scree_half, scree_half_from_float(function(scree_half_to_float(x))))

#define CLAMP(value, low, high) ((value) < (low) ? (low) : (value) > (high) ? (high) : (value))

/* ---- f32 and f16 -------------------------------------------------------------------------------
 */

static inline float sign_of(float x)
{
    return x > 0 ? 1.0f : x < 0 ? -1.0f : x == 0 ? 0.0f : x;
}

float scree_exp_of(float x, const void *arg)
{
    return expf(x);
}

float scree_logistic_of(float x, const void *arg)
{
    return 1.0f / (1.0f + expf(-x));
}

float scree_tanh_of(float x, const void *arg)
{
    return tanhf(x);
}

float scree_elu_of(float x, const void *arg)
{
    return x < 0.0f ? expm1f(x) : x;
}

float scree_gelu_of(float x, const void *arg)
{
    return 0.5f * x * erfcf(x * (float)-M_SQRT1_2);
}

float scree_gelu_tanh_of(float x, const void *arg)
{
    const float sqrt_2_over_pi = (float)(M_2_SQRTPI * M_SQRT1_2);

    return 0.5f * x * (1.0f + tanhf(sqrt_2_over_pi * (x + 0.044715f * x * x * x)));
}

float scree_log_of(float x, const void *arg)
{
    return x <= 0.0f ? *(const float *)arg : logf(x);
}

float scree_rsqrt_of(float x, const void *arg)
{
    return x <= 0.0f ? *(const float *)arg : 1.0f / sqrtf(x);
}

/* The logistic function of float tensors: exact at both ends, where tables need not be. */
static inline float logistic_of_tensor(float x)
{
    if (x > 16.619047164916992188f) /* 1 from here on in float */
        return 1.0f;
    return x < -9.0f ? expf(x) : 1.0f / (1.0f + expf(-x));
}

ROWS(abs_f32, float, fabsf(x))
ROWS(neg_f32, float, -x)
ROWS(exp_f32, float, expf(x))
ROWS(log_f32, float, logf(x))
ROWS(sqrt_f32, float, sqrtf(x))
ROWS(rsqrt_f32, float, 1.0f / sqrtf(x))
ROWS(sin_f32, float, sinf(x))
ROWS(cos_f32, float, cosf(x))
ROWS(square_f32, float, x *x)
ROWS(floor_f32, float, floorf(x))
ROWS(ceil_f32, float, ceilf(x))
ROWS(round_f32, float, rintf(x))
ROWS(sign_f32, float, sign_of(x))
ROWS(leaky_relu_f32, float, x > 0 ? x : x * p->alpha)
ROWS(elu_f32, float, scree_elu_of(x, NULL))
ROWS(gelu_f32, float, scree_gelu_of(x, NULL))
ROWS(gelu_tanh_f32, float, scree_gelu_tanh_of(x, NULL))
ROWS(logistic_f32, float, logistic_of_tensor(x))
ROWS(tanh_f32, float, tanhf(x))

ROWS(neg_f16, scree_half, x ^ 0x8000)
ROWS_F16(floor, floorf)
ROWS_F16(round, rintf)
ROWS_F16(sin, sinf)
ROWS_F16(cos, cosf)
ROWS_F16(logistic, logistic_of_tensor)
ROWS_F16(tanh, tanhf)

/* ---- integers ----------------------------------------------------------------------------------
 */

ROWS(abs_i32, int32_t, x < 0 ? 0 - (uint32_t)x : (uint32_t)x)
ROWS(abs_i16, int16_t, x < 0 ? -x : x)
ROWS(neg_i64, int64_t, 0 - (uint64_t)x)
ROWS(neg_i32, int32_t, 0 - (uint32_t)x)
ROWS(neg_i16, int16_t, -x)
ROWS(neg_i8, int8_t, -x)
ROWS(sign_i32, int32_t, (x > 0) - (x < 0))
ROWS(logical_not, uint8_t, !x)

/* ---- quantized ---------------------------------------------------------------------------------
 */

/* out_zero_point + x, clamped; the sum wraps. */
static inline int32_t output(int32_t x, const struct scree_unary_params *p)
{
    int32_t out = (int32_t)((uint32_t)x + (uint32_t)p->out_zero_point);

    return CLAMP(out, p->min, p->max);
}

/* q - zero_point, which may wrap for an int32 tensor. */
static inline int32_t centered(int32_t q, const struct scree_unary_params *p)
{
    return (int32_t)((uint32_t)q - (uint32_t)p->zero_point);
}

int32_t scree_rescale_quantized(int32_t q, const struct scree_unary_params *p)
{
    return output(scree_multiply(centered(q, p), p->multiplier), p);
}

int32_t scree_leaky_relu_quantized(int32_t q, const struct scree_unary_params *p)
{
    int32_t x = centered(q, p);

    if (x >= 0)
        return output(scree_multiply(x, p->multiplier), p);
    return output((int32_t)((uint32_t)p->negative_sign * (uint32_t)scree_multiply(x, p->negative)),
                  p);
}

int32_t scree_abs_quantized(int32_t q, const struct scree_unary_params *p)
{
    int32_t x = centered(q, p);

    return output(scree_multiply(x < 0 ? -x : x, p->multiplier), p);
}

int32_t scree_sqrt_quantized(int32_t q, const struct scree_unary_params *p)
{
    float root = sqrtf(p->scale * (float)centered(q, p));

    return output(scree_truncate_i32(root / p->out_scale), p);
}

/* x * m where m.shift may be less than -31: that leaves 0. */
static inline int32_t multiply_any(int32_t x, struct scree_multiplier m)
{
    return m.shift < -31 ? 0 : scree_multiply(x, m);
}

int32_t scree_rsqrt_quantized(int32_t q, const struct scree_unary_params *p)
{
    const int fraction_bits = 20;
    struct scree_multiplier inverse, out = p->multiplier;
    int32_t x = centered(q, p);

    if (x == 0)
        return p->max;
    scree_fixed_inverse_sqrt(x, &inverse.q, &inverse.shift);
    inverse.shift += fraction_bits;
    out.shift -= fraction_bits;
    return output(multiply_any(scree_multiply(1, inverse), out), p);
}

/* gemmlowp's 16-bit counterparts of scree_mul_high and scree_rounding_shift. */
static inline int16_t mul_high_16(int16_t a, int16_t b)
{
    int32_t product = a * b;
    int32_t nudge = product >= 0 ? 1 << 14 : 1 - (1 << 14);

    if (a == b && a == INT16_MIN)
        return INT16_MAX;
    return (int16_t)((product + nudge) / (1 << 15));
}

static inline int16_t rounding_shift_16(int16_t x, int exponent)
{
    int16_t mask = (int16_t)(((int64_t)1 << exponent) - 1);
    int16_t remainder = x & mask;
    int threshold = (mask >> 1) + (x < 0);

    return (int16_t)((x >> exponent) + (remainder > threshold));
}

static inline int16_t shift_left_16(int16_t x, int exponent)
{
    int64_t shifted = (int64_t)x * ((int64_t)1 << exponent);

    return (int16_t)CLAMP(shifted, INT16_MIN, INT16_MAX);
}

/* relu6(x + 3) / 6 as Q0.15, of x in 1/128 of the input's scale */
static inline int16_t reluish(int16_t x, const struct scree_unary_params *p)
{
    if (p->reluish_shift > 0)
        x = shift_left_16(x, p->reluish_shift - 1);
    x = mul_high_16(x, p->reluish_q);
    if (p->reluish_shift > 0)
        x = shift_left_16(x, 1);
    if (p->reluish_shift < 0)
        x = rounding_shift_16(x, -p->reluish_shift);
    return (int16_t)((x + (1 << 15)) >> 1);
}

int32_t scree_hard_swish_quantized(int32_t q, const struct scree_unary_params *p)
{
    int16_t x = (int16_t)((q - p->zero_point) * 128);
    int16_t scaled = mul_high_16(x, p->swish_q);
    int16_t product = (int16_t)(reluish(x, p) * scaled / (1 << 15));
    int16_t out = (int16_t)(rounding_shift_16(product, -p->swish_shift) + p->out_zero_point);

    return CLAMP(out, p->min, p->max);
}

ROWS(rescale_i16, int16_t, scree_rescale_quantized(x, p))
ROWS(leaky_relu_i16, int16_t, scree_leaky_relu_quantized(x, p))
ROWS(abs_q16, int16_t, scree_abs_quantized(x, p))
ROWS(sqrt_i16, int16_t, scree_sqrt_quantized(x, p))

/* 2^16 / (1 + e^(-i / 24)), some one too high: as in TFLite kernels/internal/common.h */
static const uint16_t logistic_table[256] = {
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794,
    41432, 42064, 42688, 43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443,
    48964, 49475, 49975, 50464, 50942, 51409, 51865, 52311, 52745, 53169, 53581, 53983, 54374,
    54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433, 57724, 58007, 58280, 58544,
    58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110, 61279,
    61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990,
    63090, 63186, 63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030,
    64090, 64148, 64204, 64257, 64308, 64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652,
    64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900, 64926, 64950, 64974, 64997, 65019,
    65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208, 65221, 65234,
    65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360,
    65367, 65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433,
    65438, 65442, 65445, 65449, 65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476,
    65479, 65481, 65483, 65485, 65488, 65489, 65491, 65493, 65495, 65497, 65498, 65500, 65501,
    65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513, 65514, 65515, 65516,
    65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
    65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529,
    65529, 65530, 65530, 65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532,
    65532, 65532, 65532, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65534, 65534,
    65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535,
};

/* The input in steps of the table's 1/24 / 2^9, and between: 1/12288 of a unit. */
static inline int32_t table_input(int16_t x, const struct scree_unary_params *p)
{
    uint32_t half = p->input_shift > 0 ? (uint32_t)1 << (p->input_shift - 1) : 0;

    return (int32_t)((uint32_t)x * (uint32_t)p->input_multiplier + half) >> p->input_shift;
}

static inline int16_t logistic_16(int16_t q, const struct scree_unary_params *p)
{
    int32_t x = table_input(q, p);
    uint32_t magnitude = x < 0 ? 0 - (uint32_t)x : (uint32_t)x;
    uint32_t index = magnitude >> 9, result = 0x7fff << 10;

    if (index < 255) {
        uint32_t low = logistic_table[index], high = logistic_table[index + 1];

        result = (low << 9) + (magnitude & 0x1ff) * (high - low);
    }
    result = x >= 0 ? result + (1 << 9) : (1 << 25) - result + (1 << 9) - 1;
    return (int16_t)(result >> 10);
}

/* tanh(x) = 2 logistic(2 x) - 1 */
static inline int16_t tanh_16(int16_t q, const struct scree_unary_params *p)
{
    int32_t x = table_input(q, p);
    uint32_t magnitude = x < 0 ? 0 - (uint32_t)x : (uint32_t)x;
    uint32_t index = magnitude >> 8;
    int32_t result = 0xffff << 8;

    if (index < 255) {
        int32_t low = logistic_table[index], high = logistic_table[index + 1];

        result = (low << 8) + (int32_t)(magnitude & 0xff) * (high - low);
    }
    result = x >= 0 ? result - (1 << 23) + (1 << 7) : -result + (1 << 23) + (1 << 7) - 1;
    return (int16_t)(result >> 8);
}

ROWS(logistic_i16, int16_t, logistic_16(x, p))
ROWS(tanh_i16, int16_t, tanh_16(x, p))
