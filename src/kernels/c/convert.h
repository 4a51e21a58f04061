/* kernels/c/convert.h - QUANTIZE and DEQUANTIZE, which gain from wider vectors than the baseline's.
 *
 *     SCREE_DEFINE_CONVERSIONS(_avx2)
 *
 * in a file that is compiled for AVX2 defines scree_quantize_u8_avx2 and the others: the same
 * expressions, of which compilers make vectors themselves. No product is fused with a sum
 * (-ffp-contract=off), so all have the same bits. */
#ifndef SCREE_KERNELS_C_CONVERT_H
#define SCREE_KERNELS_C_CONVERT_H

#include <math.h>

#include "kernels/c/rows.h"
#include "kernels/convert.h"

/* round(x), halves away from zero, for |x| < 2^31. The float below 1/2 makes the sum exact where
 * 1/2 would round up what is just below it; unlike roundf() this is vectorised. */
SCREE_INLINE int32_t scree_row_round(float x)
{
    return (int32_t)(x + copysignf(0x1.fffffep-2f, x));
}

/* low and high are whole numbers, so clamping may come before rounding. */
SCREE_INLINE int32_t scree_row_quantize(float x, const struct scree_scale *p, int32_t min,
                                        int32_t max)
{
    float low = (float)(min - p->zero_point), high = (float)(max - p->zero_point);
    float q = x / p->scale;

    q = q > low ? q : low;
    q = q < high ? q : high;
    return scree_row_round(q) + p->zero_point;
}

#define SCREE_DEFINE_ROW_QUANTIZE(name, type, min, max) \
    SCREE_ROWS_1(name, float, type, struct scree_scale, scree_row_quantize(x, p, (min), (max)))
#define SCREE_DEFINE_ROW_DEQUANTIZE(name, type) \
    SCREE_ROWS_1(name, type, float, struct scree_scale, p->scale *(float)(x - p->zero_point))

#define SCREE_DEFINE_CONVERSIONS(isa)                                             \
    SCREE_DEFINE_ROW_QUANTIZE(scree_quantize_u8##isa, uint8_t, 0, UINT8_MAX)      \
    SCREE_DEFINE_ROW_QUANTIZE(scree_quantize_i8##isa, int8_t, INT8_MIN, INT8_MAX) \
    SCREE_DEFINE_ROW_DEQUANTIZE(scree_dequantize_u8##isa, uint8_t)                \
    SCREE_DEFINE_ROW_DEQUANTIZE(scree_dequantize_i8##isa, int8_t)

#endif
