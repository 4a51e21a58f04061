#include "kernels/convert.h"

#include <math.h>
#include <stdbool.h>

#include "kernels/c/convert.h"
#include "kernels/half.h"
#include "kernels/unary.h"

#define REQUANTIZE(suffix, type_in, type_out)                                             \
    SCREE_ROWS_1(scree_requantize_##suffix, type_in, type_out, struct scree_unary_params, \
                 scree_rescale_quantized(x, p))

SCREE_DEFINE_CONVERSIONS()
SCREE_DEFINE_ROW_QUANTIZE(scree_quantize_i16, int16_t, INT16_MIN, INT16_MAX)
SCREE_DEFINE_ROW_DEQUANTIZE(scree_dequantize_i16, int16_t)
SCREE_ROWS_1(scree_widen_f16, scree_half, float, void, scree_half_to_float(x))
REQUANTIZE(u8_i16, uint8_t, int16_t)
REQUANTIZE(i8_i16, int8_t, int16_t)
REQUANTIZE(i16_i8, int16_t, int8_t)
REQUANTIZE(i16_i32, int16_t, int32_t)
REQUANTIZE(i32_i8, int32_t, int8_t)
REQUANTIZE(i32_i16, int32_t, int16_t)

void scree_unpack_i4(int8_t *out, const uint8_t *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int nibble = in[i / 2] >> (i % 2 * 4) & 0xf;

        out[i] = (int8_t)(nibble < 8 ? nibble : nibble - 16);
    }
}

static inline float fake_quantize(float x, const struct scree_fake_quant *p)
{
    float clamped = x < p->min ? p->min : x > p->max ? p->max : x;

    return roundf((clamped - p->min) * (1.0f / p->scale)) * p->scale + p->min;
}

SCREE_ROWS_1(scree_fake_quantize, float, float, struct scree_fake_quant, fake_quantize(x, p))

/* ---- casts -------------------------------------------------------------------------------------
 */

#define LOAD(name, type_in, type_out, expression)      \
    void name(type_out *out, const void *in, size_t n) \
    {                                                  \
        for (size_t i = 0; i < n; i++) {               \
            type_in x = ((const type_in *)in)[i];      \
            out[i] = (expression);                     \
        }                                              \
    }
#define STORE(name, type_in, type_out, expression)         \
    void name(void *out, const type_in *in, size_t n)      \
    {                                                      \
        for (size_t i = 0; i < n; i++) {                   \
            type_in x = in[i];                             \
            ((type_out *)out)[i] = (type_out)(expression); \
        }                                                  \
    }

LOAD(scree_load_u8, uint8_t, int64_t, x)
LOAD(scree_load_i8, int8_t, int64_t, x)
LOAD(scree_load_u16, uint16_t, int64_t, x)
LOAD(scree_load_i16, int16_t, int64_t, x)
LOAD(scree_load_i32, int32_t, int64_t, x)
LOAD(scree_load_i64, int64_t, int64_t, x)
LOAD(scree_load_u32, uint32_t, int64_t, x)
LOAD(scree_load_bool, uint8_t, int64_t, x != 0)
LOAD(scree_load_f32, float, float, x)
LOAD(scree_load_f16, scree_half, float, scree_half_to_float(x))

STORE(scree_store_u8, int64_t, uint8_t, x)
STORE(scree_store_i8, int64_t, int8_t, x)
STORE(scree_store_u16, int64_t, uint16_t, x)
STORE(scree_store_i16, int64_t, int16_t, x)
STORE(scree_store_i32, int64_t, int32_t, x)
STORE(scree_store_i64, int64_t, int64_t, x)
STORE(scree_store_u32, int64_t, uint32_t, x)
STORE(scree_store_bool, int64_t, bool, x != 0)
STORE(scree_store_f32, int64_t, float, x)
STORE(scree_store_f16, int64_t, scree_half, scree_half_from_float((float)x))

/* x truncated, as an integer in [min, end): saturated, NaN becomes end - 1. */
#define SATURATE(x, min, end, type) \
    ((x) < (float)(min) ? (type)(min) : (x) < (end) ? (type)(x) : (type)((uint64_t)(end)-1))

STORE(scree_store_float_u8, float, uint8_t, SATURATE(x, 0, 0x1p8f, uint8_t))
STORE(scree_store_float_i8, float, int8_t, SATURATE(x, INT8_MIN, 0x1p7f, int8_t))
STORE(scree_store_float_u16, float, uint16_t, SATURATE(x, 0, 0x1p16f, uint16_t))
STORE(scree_store_float_i16, float, int16_t, SATURATE(x, INT16_MIN, 0x1p15f, int16_t))
STORE(scree_store_float_i32, float, int32_t, SATURATE(x, INT32_MIN, 0x1p31f, int32_t))
STORE(scree_store_float_i64, float, int64_t, SATURATE(x, INT64_MIN, 0x1p63f, int64_t))
STORE(scree_store_float_u32, float, uint32_t, SATURATE(x, 0, 0x1p32f, uint32_t))
STORE(scree_store_float_bool, float, bool, x != 0)
STORE(scree_store_float_f32, float, float, x)
STORE(scree_store_float_f16, float, scree_half, scree_half_from_float(x))
