/* kernels/convert.h - from one element type to another: quantize, dequantize, requantize, cast.
 *
 * Source: TFLite kernels/internal/reference/{quantize,dequantize,requantize}.h, kernels/cast.cc,
 * internal/quantization_util.cc (fake quantization). */
#ifndef SCREE_KERNELS_CONVERT_H
#define SCREE_KERNELS_CONVERT_H

#include "kernels/rows.h"

/* real = scale * (q - zero_point) */
struct scree_scale {
    float scale;
    int32_t zero_point;
};

/* round(x / scale) + zero_point, halves away from zero, saturated to the type; NaN gives the least
 * value. f32 -> the type. params = struct scree_scale */
scree_row_fn scree_quantize_u8, scree_quantize_i8, scree_quantize_i16;

/* scale * (q - zero_point). The type -> f32. params = struct scree_scale */
scree_row_fn scree_dequantize_u8, scree_dequantize_i8, scree_dequantize_i16;

/* f16 -> f32, exact. params are not read. */
scree_row_fn scree_widen_f16;

/* scree_rescale_quantized (kernels/unary.h) of each element. params = struct scree_unary_params */
scree_row_fn scree_requantize_u8_i16, scree_requantize_i8_i16, scree_requantize_i16_i8,
    scree_requantize_i16_i32, scree_requantize_i32_i8, scree_requantize_i32_i16;

/* Two 4-bit integers a byte, the lower half first, to one a byte.
 * in u8[(n + 1) / 2], out s8[n] */
void scree_unpack_i4(int8_t *out, const uint8_t *in, size_t n);

/* The range of a fake quantization. */
struct scree_fake_quant {
    float min, max, scale;
};

/* round((clamp(x, min, max) - min) / scale) * scale + min. f32 -> f32.
 * params = struct scree_fake_quant */
scree_row_fn scree_fake_quantize;

/* Casts go through a block of s64 or f32: integers wrap to narrower types, floats are truncated and
 * saturated (NaN: the greatest value), anything but 0 is true. */
typedef void scree_load_integer_fn(int64_t *out, const void *in, size_t n);
typedef void scree_load_float_fn(float *out, const void *in, size_t n);
typedef void scree_store_integer_fn(void *out, const int64_t *in, size_t n);
typedef void scree_store_float_fn(void *out, const float *in, size_t n);

scree_load_integer_fn scree_load_u8, scree_load_i8, scree_load_u16, scree_load_i16, scree_load_i32,
    scree_load_i64, scree_load_u32, scree_load_bool;
scree_load_float_fn scree_load_f32, scree_load_f16;
scree_store_integer_fn scree_store_u8, scree_store_i8, scree_store_u16, scree_store_i16,
    scree_store_i32, scree_store_i64, scree_store_u32, scree_store_bool, scree_store_f32,
    scree_store_f16;
scree_store_float_fn scree_store_float_u8, scree_store_float_i8, scree_store_float_u16,
    scree_store_float_i16, scree_store_float_i32, scree_store_float_i64, scree_store_float_u32,
    scree_store_float_bool, scree_store_float_f32, scree_store_float_f16;

#endif
