/* kernels/binary.h - arithmetic of two tensors, element by element.
 *
 * All are scree_row_fn (kernels/rows.h) with params = struct scree_binary_params, of which each
 * reads the fields named here. f32 f16 i64 i32 u32 i16 u16 i8 u8 in a name is the type of both
 * inputs and the output; q8/q16 kernels work on quantized values, real = scale * (q - zero point).
 * Integer results wrap around, as TFLite's do. The clamp to [min, max] comes last.
 * Source: TFLite kernels/internal/reference/{add,sub,mul,div,floor_div,floor_mod}.h,
 * integer_ops/{add,mul}.h and kernels/{squared_difference,pow,maximum_minimum}.cc. */
#ifndef SCREE_KERNELS_BINARY_H
#define SCREE_KERNELS_BINARY_H

#include "kernels/fixed.h"
#include "kernels/lanes.h"
#include "kernels/rows.h"

/* Sums in one step, of bytes taken for uint8:
 *
 *     acc = weight[0] * q[0] + weight[1] * q[1] + bias
 *     out = acc >> shift
 *
 * Two roundings are left out, and weights have 22 bits. So this may differ from the definition
 * where the result is next to a tie, and only there. Acc is half a window too high, and the window
 * is wider than twice the most that can be lost: where acc has none of the bits of `mask`, it may
 * be that of a tie, and the sum must be computed by steps; else it is right. */
struct scree_binary_quick {
    bool usable; /* and seldom next to a tie */
    int32_t high,
        low;      /* weights are high * 128 + low; of 16 bits, that of q[1] above that of q[0] */
    int32_t bias; /* in units of 128 */
    int32_t mask;
    int32_t shift;
};

/* What the vector variants of the 8-bit sums and products need. They take all bytes for uint8:
 * those of int8 have their top bit flipped, and zero points 128 more.
 *
 * ADD and SUB bring both inputs to twice the larger scale. The multiplier of the input that has it,
 * `plain`, is 1/2, and (q - zero_point) << 20 becomes (q - zero_point) << 19 without rounding; only
 * the other input is rounded. A sum is
 *
 *     (q_plain << 5) * plain_factor + plain_bias * 2^14 +- rounded(q_other)
 *
 * where the bias holds the zero point and out's bound, so that the sum is not negative. */
struct scree_binary_lanes {
    bool usable; /* else only the definition does it */
    struct scree_binary_quick quick;
    uint8_t flip, min, max;
    int16_t zero_point[2];            /* products */
    int plain;                        /* sums: index of the input */
    bool minus;                       /* sums: the other input is subtracted */
    int16_t plain_factor, plain_bias; /* sums: 2^14 or -2^14; in units of 2^14 */
    int16_t other_bias;       /* sums: (q << 6) * 2^14 + other_bias * 2^14 goes into other */
    struct scree_lanes other; /* sums: 16 times the same */
    struct scree_lanes out;   /* likewise, for sums and products with their bound added */
};

/* The bounds of sums, and of products, that `out` is made for. */
#define SCREE_SUM_BOUND     ((uint32_t)510 << 19)
#define SCREE_PRODUCT_BOUND ((uint32_t)255 * 255)

struct scree_binary_params {
    float min_f32, max_f32;                 /* clamp of f32 and f16 */
    int64_t min_i64, max_i64;               /* clamp of i64 */
    int32_t min, max;                       /* clamp of the other integers, and of quantized ones */
    uint32_t min_u32, max_u32;              /* clamp of u32 */
    int32_t zero_point[2], out_zero_point;  /* quantized: of the inputs, of the output */
    struct scree_multiplier multiplier[2];  /* quantized: of the inputs */
    struct scree_multiplier out_multiplier; /* quantized: to the output */
    int32_t left_shift;                     /* quantized: of the inputs, before multiplier */
    int32_t right_shift[2];                 /* i16 with power of two scales; in [0, 31], one is 0 */
    int32_t exponent;                       /* pow_n: >= 1 */
    struct scree_binary_lanes lanes;        /* add, sub and mul of u8 and i8 */
};

/* Fills params->lanes from the other fields, for scree_add_u8 and scree_add_i8, the two of SUB, the
 * two of MUL. usable becomes false where the parameters are out of the ordinary: the output's
 * multiplier is 1 or more, or a zero point is not a number of the type. */
void scree_binary_add_lanes(struct scree_binary_params *params, bool is_signed);
void scree_binary_sub_lanes(struct scree_binary_params *params, bool is_signed);
void scree_binary_mul_lanes(struct scree_binary_params *params, bool is_signed);

/* A quantized input k on the scale that both inputs share. */
static inline int32_t scree_binary_input(int32_t q, const struct scree_binary_params *p, int k)
{
    return scree_multiply((int32_t)((uint32_t)(q - p->zero_point[k]) << p->left_shift),
                          p->multiplier[k]);
}

/* clamp(x + y), clamp(x - y), clamp(x * y), of floats in kernels/rows_f32.h: f16 rounds after each
 * step. min, max of the type. */
scree_row_fn scree_add_f16, scree_add_i64, scree_add_i32, scree_add_i16;
scree_row_fn scree_sub_i64, scree_sub_i32;
scree_row_fn scree_mul_f16, scree_mul_i64, scree_mul_i32, scree_mul_u32, scree_mul_i16;

/* clamp(out_zero_point + out_multiplier * (s(x, 0) +- s(y, 1))), s = scree_binary_input. left_shift
 * is 20 for 8 bits, 15 for 16; multiplier[k] <= 1/2, so nothing overflows 32 bits. */
scree_row_fn scree_add_u8, scree_add_i8, scree_add_q16;
scree_row_fn scree_sub_u8, scree_sub_i8, scree_sub_q16;

/* clamp(round(x / 2^right_shift[0]) +- round(y / 2^right_shift[1])), the sum saturated to 16 bits
 */
scree_row_fn scree_add_pot16, scree_sub_pot16;

/* clamp(out_zero_point + out_multiplier * ((x - zero_point[0]) * (y - zero_point[1]))) */
scree_row_fn scree_mul_u8, scree_mul_i8, scree_mul_q16;

/* clamp(x / y). y must not be 0 in scree_div_i32; INT32_MIN / -1 is INT32_MIN. */
scree_row_fn scree_div_f32, scree_div_i32;

/* clamp(out_zero_point + out_multiplier * ((x - zero_point[0]) / (y - zero_point[1]))) by a
 * fixed-point reciprocal; y must not be zero_point[1]. */
scree_row_fn scree_div_u8, scree_div_i8, scree_div_q16;

/* floor(x / y); f32 through double. y must not be 0. The least integer by -1 is itself. */
scree_row_fn scree_floor_div_f32, scree_floor_div_i32, scree_floor_div_i16, scree_floor_div_i8;

/* x - y * floor(x / y), 0 or of y's sign. Integer y must not be 0; x mod -1 is 0. */
scree_row_fn scree_floor_mod_f32, scree_floor_mod_i64, scree_floor_mod_i32, scree_floor_mod_i16,
    scree_floor_mod_i8;

/* x > y ? x : y, and x < y ? x : y: the second if one is NaN. Of the stored integers, whatever
 * their quantization. */
scree_row_fn scree_maximum_f32, scree_maximum_f16, scree_maximum_i64, scree_maximum_i32,
    scree_maximum_i16, scree_maximum_i8, scree_maximum_u8;
scree_row_fn scree_minimum_f32, scree_minimum_f16, scree_minimum_i64, scree_minimum_i32,
    scree_minimum_i16, scree_minimum_i8, scree_minimum_u8;

/* (x - y)^2; i8: clamp(out_zero_point + out_multiplier * (s(x, 0) - s(y, 1))^2), s as for
 * scree_add_i8 but with left_shift 7. */
scree_row_fn scree_squared_difference_f32, scree_squared_difference_i32,
    scree_squared_difference_i8;

/* x^y. i32: y >= 0; the result of pow() as a 32-bit integer, INT32_MIN if it does not fit. */
scree_row_fn scree_pow_f32, scree_pow_i32;

/* x^exponent by repeated squaring, clamped to the finite floats at each step; i32 wraps. y is not
 * read. */
scree_row_fn scree_pow_n_f32, scree_pow_n_i32;

/* atan2(x, y) */
scree_row_fn scree_atan2_f32;

/* x ^ y, bit by bit */
scree_row_fn scree_xor_8, scree_xor_16, scree_xor_32;

/* x >> y, arithmetic for signed types; y is limited to [0, bits of the type - 1] */
scree_row_fn scree_right_shift_i8, scree_right_shift_u8, scree_right_shift_i16,
    scree_right_shift_u16, scree_right_shift_i32, scree_right_shift_u32;

/* x && y, x || y of bool */
scree_row_fn scree_logical_and, scree_logical_or;

/* x where it is >= 0, else x * y. */
scree_row_fn scree_prelu_f32;

/* The same: clamp(out_zero_point + out_multiplier * (x - zero_point[0])), or below 0
 * clamp(out_zero_point + multiplier[1] * ((x - zero_point[0]) * (y - zero_point[1]))).
 * i16: y is i8. */
scree_row_fn scree_prelu_u8, scree_prelu_i8, scree_prelu_i16;

/* acc[i] = clamp(acc[i] + in[i]): to the finite floats; i32 wraps. acc, in [n] do not overlap. */
void scree_accumulate_f32(float *acc, const float *in, size_t n);
void scree_accumulate_i32(int32_t *acc, const int32_t *in, size_t n);

#endif
