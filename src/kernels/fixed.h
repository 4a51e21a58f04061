/* kernels/fixed.h - fixed-point arithmetic with gemmlowp's rounding, on which TFLite's integer
 * kernels rest.
 *
 * A real multiplier m > 0 is held as q / 2^31 * 2^shift with q in [2^30, 2^31) (or 0). All
 * functions are exact integer functions: the same bits on every machine. Source: gemmlowp
 * fixedpoint.h; TFLite kernels/internal/common.h and quantization_util.cc, the variant with double
 * rounding (TFLITE_SINGLE_ROUNDING off). */
#ifndef SCREE_KERNELS_FIXED_H
#define SCREE_KERNELS_FIXED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* q / 2^31 * 2^shift */
struct scree_multiplier {
    int32_t q;
    int32_t shift; /* > 0: to the left */
};

/* The multiplier nearest to `real`, which must be finite and >= 0; below 2^-32 it is 0.
 * False (and *ret untouched) if `real` is not finite or is negative. */
bool scree_multiplier_from_real(double real, struct scree_multiplier *ret);

/* round(a * b / 2^31), halves towards +infinity; INT32_MIN * INT32_MIN saturates. Gemmlowp divides
 * with a nudge that depends on the sign, which comes to the same. */
static inline int32_t scree_mul_high(int32_t a, int32_t b)
{
    if (a == b && a == INT32_MIN)
        return INT32_MAX;
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* round(x / 2^exponent), halves away from zero; exponent in [0, 31]. */
static inline int32_t scree_rounding_shift(int32_t x, int exponent)
{
    int64_t half = (int64_t)1 << exponent >> 1;

    return (int32_t)((x + half - (exponent > 0 && x < 0)) >> exponent);
}

/* The same for any exponent. Two of TFLite's kernels (DIV, comparisons) shift by exponents outside
 * [0, 31], for which C++ has no answer; this is what x86 makes of them, where shifts count modulo
 * 64 and modulo 32. */
static inline int32_t scree_rounding_shift_x86(int32_t x, int exponent)
{
    int32_t mask = (int32_t)(((uint64_t)1 << (exponent & 63)) - 1);
    int32_t threshold = (mask >> 1) + (x < 0);

    return (x >> (exponent & 31)) + ((x & mask) > threshold);
}

/* x * m, m.q >= 0, with TFLite's double rounding (MultiplyByQuantizedMultiplier for int32): a left
 * shift wraps, as there. m.shift >= -31; factors of 2^31 and more, which models with a useless
 * scale ask for, shift modulo 32 as TFLite's code does on x86 and AArch64. */
static inline int32_t scree_multiply(int32_t x, struct scree_multiplier m)
{
    int left = m.shift > 0 ? m.shift : 0;
    int32_t shifted = (int32_t)((uint32_t)x << (left & 31));
    int32_t high = (int32_t)(((int64_t)shifted * m.q + ((int64_t)1 << 30)) >> 31);

    return scree_rounding_shift(high, left - m.shift);
}

/* x * m for 64-bit accumulators (the int16 kernels), as TFLite's int64
 * MultiplyByQuantizedMultiplier: m.q is first rounded to 15 bits. Exact for x in [-2^47, 2^47) and
 * m.shift in [-31, 7]; beyond, products wrap and shifts count modulo 64. */
int32_t scree_multiply_i64(int64_t x, struct scree_multiplier m);

#endif
