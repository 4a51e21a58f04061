/* kernels/lut.h - functions of quantized values by table, built as TFLite builds its tables.
 *
 * An 8-bit table has the result for each of the 256 bytes; for i8 its index is the byte, so -1 is
 * at 255. A 16-bit table has 513 points, 128 values apart, between which results are interpolated.
 * Source: TFLite kernels/internal/common.h, LUTPopulate and LUTLookup. */
#ifndef SCREE_KERNELS_LUT_H
#define SCREE_KERNELS_LUT_H

#include <stdbool.h>

#include "kernels/rows.h"

#define SCREE_LUT_8_SIZE  256
#define SCREE_LUT_16_SIZE 513

/* How a quantized function reads and writes: real = scale * (q - zero_point). Scales > 0. */
struct scree_lut_scales {
    double scale, out_scale;
    int32_t zero_point, out_zero_point;
};

/* f(x); arg is what the table's builder was given. */
typedef float scree_lut_fn(float x, const void *arg);
typedef double scree_lut_double_fn(double x);

/* table u8[256]: f of each byte, of i8 if is_signed, else of u8. Results that are not finite or
 * beyond 2^31 give the type's least value, as the conversion does on x86. */
void scree_lut_8_fill(uint8_t *table, bool is_signed, const struct scree_lut_scales *scales,
                      scree_lut_fn *f, const void *arg);

/* table s16[513]: f of an i16, computed in float; points are moved by half the error that the
 * interpolation has in the middle between them. */
void scree_lut_16_fill(int16_t *table, const struct scree_lut_scales *scales, scree_lut_fn *f,
                       const void *arg);

/* The same computed in double. */
void scree_lut_16_fill_double(int16_t *table, const struct scree_lut_scales *scales,
                              scree_lut_double_fn *f);

/* The interpolated result for x. table s16[513] */
static inline int16_t scree_lut_16_at(const int16_t *table, int16_t x)
{
    int index = 256 + (x >> 7), offset = x & 0x7f;
    int slope = (int16_t)(table[index + 1] - table[index]);

    return (int16_t)(table[index] + ((slope * offset + 64) >> 7));
}

/* out[i] = the table's value for x. params = table u8[256], or s16[513]. u8 or i8; i16. */
scree_row_fn scree_lut_8, scree_lut_16;

/* x truncated to a whole number; what does not fit is INT32_MIN, as x86 converts. */
static inline int32_t scree_truncate_i32(double x)
{
    return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x : INT32_MIN;
}

#endif
