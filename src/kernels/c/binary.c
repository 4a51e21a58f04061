#include "kernels/binary.h"

#include <float.h>
#include <math.h>

#include "kernels/c/rows.h"
#include "kernels/fixed_math.h"
#include "kernels/half.h"

#define ROWS(name, type, expression) \
    SCREE_ROWS_2(scree_##name, type, type, type, struct scree_binary_params, expression)

/* A clamp that lets NaN through. */
#define CLAMP(value, low, high) ((value) < (low) ? (low) : (value) > (high) ? (high) : (value))

static inline float clamp_f32(float x, const struct scree_binary_params *p)
{
    return CLAMP(x, p->min_f32, p->max_f32);
}

static inline scree_half clamp_f16(float x, const struct scree_binary_params *p)
{
    return scree_half_from_float(clamp_f32(scree_half_to_float(scree_half_from_float(x)), p));
}

static inline int64_t clamp_i64(uint64_t x, const struct scree_binary_params *p)
{
    return CLAMP((int64_t)x, p->min_i64, p->max_i64);
}

static inline int32_t clamp_i32(uint32_t x, const struct scree_binary_params *p)
{
    return CLAMP((int32_t)x, p->min, p->max);
}

static inline int32_t clamp_i16(uint32_t x, const struct scree_binary_params *p)
{
    return CLAMP((int16_t)x, p->min, p->max);
}

static inline uint32_t clamp_u32(uint32_t x, const struct scree_binary_params *p)
{
    return CLAMP(x, p->min_u32, p->max_u32);
}

/* Unsigned operands, so that sums and products wrap. */
#define U32(x) ((uint32_t)(x))
#define U64(x) ((uint64_t)(x))

ROWS(add_f16, scree_half, clamp_f16(scree_half_to_float(x) + scree_half_to_float(y), p))
ROWS(add_i64, int64_t, clamp_i64(U64(x) + U64(y), p))
ROWS(add_i32, int32_t, clamp_i32(U32(x) + U32(y), p))
ROWS(add_i16, int16_t, clamp_i16(U32(x) + U32(y), p))
ROWS(sub_i64, int64_t, clamp_i64(U64(x) - U64(y), p))
ROWS(sub_i32, int32_t, clamp_i32(U32(x) - U32(y), p))
ROWS(mul_f16, scree_half, clamp_f16(scree_half_to_float(x) * scree_half_to_float(y), p))
ROWS(mul_i64, int64_t, clamp_i64(U64(x) * U64(y), p))
ROWS(mul_i32, int32_t, clamp_i32(U32(x) * U32(y), p))
ROWS(mul_u32, uint32_t, clamp_u32(x *y, p))
ROWS(mul_i16, int16_t, clamp_i16(U32(x) * U32(y), p))

/* A value on the output's scale, and clamped. */
static inline int32_t output(int32_t x, const struct scree_binary_params *p)
{
    return clamp_i32(U32(scree_multiply(x, p->out_multiplier)) + U32(p->out_zero_point), p);
}

#define ADD_QUANTIZED output(scree_binary_input(x, p, 0) + scree_binary_input(y, p, 1), p)
#define SUB_QUANTIZED output(scree_binary_input(x, p, 0) - scree_binary_input(y, p, 1), p)

ROWS(add_u8, uint8_t, ADD_QUANTIZED)
ROWS(add_i8, int8_t, ADD_QUANTIZED)
ROWS(add_q16, int16_t, ADD_QUANTIZED)
ROWS(sub_u8, uint8_t, SUB_QUANTIZED)
ROWS(sub_i8, int8_t, SUB_QUANTIZED)
ROWS(sub_q16, int16_t, SUB_QUANTIZED)

/* Input k of an int16 operation whose scales are powers of two. */
static inline int32_t shifted(int16_t q, const struct scree_binary_params *p, int k)
{
    return scree_rounding_shift(q, p->right_shift[k]);
}

ROWS(add_pot16, int16_t,
     clamp_i32(U32(CLAMP(shifted(x, p, 0) + shifted(y, p, 1), INT16_MIN, INT16_MAX)), p))
ROWS(sub_pot16, int16_t, clamp_i32(U32(shifted(x, p, 0) - shifted(y, p, 1)), p))

#define MUL_QUANTIZED output((x - p->zero_point[0]) * (y - p->zero_point[1]), p)

ROWS(mul_u8, uint8_t, MUL_QUANTIZED)
ROWS(mul_i8, int8_t, MUL_QUANTIZED)
ROWS(mul_q16, int16_t, MUL_QUANTIZED)

/* x / y rounded towards zero, y not 0. */
static inline int32_t quotient_i32(int32_t x, int32_t y)
{
    return y == -1 ? (int32_t)(0 - U32(x)) : x / y;
}

ROWS(div_f32, float, clamp_f32(x / y, p))
ROWS(div_i32, int32_t, clamp_i32(U32(quotient_i32(x, y)), p))

/* The quotient by way of the denominator's fixed-point reciprocal. */
static inline int32_t div_quantized(int32_t x, int32_t y, const struct scree_binary_params *p)
{
    int32_t numerator = x - p->zero_point[0], denominator = y - p->zero_point[1];
    int32_t inverse, quotient, scaled;
    int bits, headroom;

    if (denominator < 0) {
        numerator = -numerator;
        denominator = -denominator;
    }
    inverse = scree_fixed_reciprocal(U32(denominator), 31, &bits);
    headroom = numerator ? __builtin_clrsb(numerator) : 31;
    quotient = scree_mul_high((int32_t)(U32(numerator) << headroom), inverse);
    scaled = scree_rounding_shift_x86(scree_mul_high(quotient, p->out_multiplier.q),
                                      bits + headroom - p->out_multiplier.shift);
    return clamp_i32(U32(scaled) + U32(p->out_zero_point), p);
}

ROWS(div_u8, uint8_t, div_quantized(x, y, p))
ROWS(div_i8, int8_t, div_quantized(x, y, p))
ROWS(div_q16, int16_t, div_quantized(x, y, p))

/* floor(x / y), y not 0. */
static inline int32_t floor_quotient(int32_t x, int32_t y)
{
    int32_t quotient = quotient_i32(x, y);

    return quotient - (y != -1 && x % y != 0 && (x < 0) != (y < 0));
}

ROWS(floor_div_f32, float, floor((double)x / (double)y))
ROWS(floor_div_i32, int32_t, floor_quotient(x, y))
ROWS(floor_div_i16, int16_t, floor_quotient(x, y))
ROWS(floor_div_i8, int8_t, floor_quotient(x, y))

static inline float floor_mod_f32(float x, float y)
{
    float rest = fmodf(x, y);

    return rest != 0 && (y < 0) != (rest < 0) ? rest + y : rest;
}

static inline int64_t floor_mod_integer(int64_t x, int64_t y)
{
    int64_t rest = y == -1 ? 0 : x % y;

    return rest != 0 && (y < 0) != (rest < 0) ? rest + y : rest;
}

ROWS(floor_mod_f32, float, floor_mod_f32(x, y))
ROWS(floor_mod_i64, int64_t, floor_mod_integer(x, y))
ROWS(floor_mod_i32, int32_t, floor_mod_integer(x, y))
ROWS(floor_mod_i16, int16_t, floor_mod_integer(x, y))
ROWS(floor_mod_i8, int8_t, floor_mod_integer(x, y))

#define EXTREMES(suffix, type)                  \
    ROWS(maximum_##suffix, type, x > y ? x : y) \
    ROWS(minimum_##suffix, type, x < y ? x : y)

EXTREMES(f32, float)
EXTREMES(i64, int64_t)
EXTREMES(i32, int32_t)
EXTREMES(i16, int16_t)
EXTREMES(i8, int8_t)
EXTREMES(u8, uint8_t)
ROWS(maximum_f16, scree_half, scree_half_to_float(x) > scree_half_to_float(y) ? x : y)
ROWS(minimum_f16, scree_half, scree_half_to_float(x) < scree_half_to_float(y) ? x : y)

static inline int32_t squared_difference_i8(int8_t x, int8_t y, const struct scree_binary_params *p)
{
    int32_t difference = scree_binary_input(x, p, 0) - scree_binary_input(y, p, 1);

    return output(difference * difference, p);
}

ROWS(squared_difference_f32, float, (x - y) * (x - y))
ROWS(squared_difference_i32, int32_t, (U32(x) - U32(y)) * (U32(x) - U32(y)))
ROWS(squared_difference_i8, int8_t, squared_difference_i8(x, y, p))

static inline int32_t pow_i32(int32_t x, int32_t y)
{
    double power = pow(x, y);

    return power > (double)INT32_MIN && power <= (double)INT32_MAX ? (int32_t)power : INT32_MIN;
}

ROWS(pow_f32, float, powf(x, y))
ROWS(pow_i32, int32_t, pow_i32(x, y))

/* The bits of the exponent below its highest one, from the left: square, and times x if set. */
static inline float pow_n_f32(float x, int32_t exponent)
{
    float power = x;

    for (int bit = 30 - __builtin_clz(U32(exponent)); bit >= 0; bit--) {
        power = CLAMP(power * power, -FLT_MAX, FLT_MAX);
        if (exponent >> bit & 1)
            power = CLAMP(x * power, -FLT_MAX, FLT_MAX);
    }
    return power;
}

static inline uint32_t pow_n_i32(int32_t x, int32_t exponent)
{
    uint32_t power = U32(x);

    for (int bit = 30 - __builtin_clz(U32(exponent)); bit >= 0; bit--) {
        power *= power;
        if (exponent >> bit & 1)
            power *= U32(x);
    }
    return power;
}

ROWS(pow_n_f32, float, ((void)y, pow_n_f32(x, p->exponent)))
ROWS(pow_n_i32, int32_t, ((void)y, pow_n_i32(x, p->exponent)))
ROWS(atan2_f32, float, atan2f(x, y))

ROWS(xor_8, uint8_t, x ^ y)
ROWS(xor_16, uint16_t, x ^ y)
ROWS(xor_32, uint32_t, x ^ y)

/* A shift limited to [0, bits - 1]. */
#define SHIFT(y, bits) ((y) < 0 ? 0 : (y) > (bits)-1 ? (bits)-1 : (int)(y))

ROWS(right_shift_i8, int8_t, x >> SHIFT(y, 8))
ROWS(right_shift_i16, int16_t, x >> SHIFT(y, 16))
ROWS(right_shift_i32, int32_t, x >> SHIFT(y, 32))
ROWS(right_shift_u8, uint8_t, x >> (y > 7 ? 7 : y))
ROWS(right_shift_u16, uint16_t, x >> (y > 15 ? 15 : y))
ROWS(right_shift_u32, uint32_t, x >> (y > 31 ? 31 : y))

/* Bytes that are not 0 count as true, whatever they are. */
ROWS(logical_and, uint8_t, (x != 0) & (y != 0))
ROWS(logical_or, uint8_t, (x != 0) | (y != 0))

static inline int32_t prelu(int32_t x, int32_t y, const struct scree_binary_params *p)
{
    int32_t value = x - p->zero_point[0];
    int32_t scaled = value >= 0 ? scree_multiply(value, p->out_multiplier)
                                : scree_multiply(value * (y - p->zero_point[1]), p->multiplier[1]);

    return clamp_i32(U32(scaled) + U32(p->out_zero_point), p);
}

ROWS(prelu_f32, float, x >= 0 ? x : x * y)
ROWS(prelu_u8, uint8_t, prelu(x, y, p))
ROWS(prelu_i8, int8_t, prelu(x, y, p))
SCREE_ROWS_2(scree_prelu_i16, int16_t, int8_t, int16_t, struct scree_binary_params, prelu(x, y, p))

void scree_accumulate_f32(float *restrict acc, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] = CLAMP(acc[i] + in[i], -FLT_MAX, FLT_MAX);
}

void scree_accumulate_i32(int32_t *restrict acc, const int32_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        acc[i] = (int32_t)(U32(acc[i]) + U32(in[i]));
}
