#include "kernels/compare.h"

#include <stdbool.h>

#include "kernels/c/rows.h"
#include "kernels/half.h"

#define ROWS(name, type, expression) \
    SCREE_ROWS_2(name, type, type, bool, struct scree_binary_params, expression)

/* Input k as a real value with left_shift bits behind the point. Scales of 1 and more ask for a
 * shift by a negative exponent; TFLite takes what the machine makes of it. */
static inline int32_t real_value(int32_t q, const struct scree_binary_params *p, int k)
{
    int32_t shifted = (int32_t)((uint32_t)(q - p->zero_point[k]) << p->left_shift);

    return scree_rounding_shift_x86(scree_mul_high(shifted, p->multiplier[k].q),
                                    -p->multiplier[k].shift);
}

#define QUANTIZED(op) real_value(x, p, 0) op real_value(y, p, 1)

#define COMPARISON(name, op)                                                               \
    ROWS(scree_##name##_f32, float, x op y)                                                \
    ROWS(scree_##name##_f16, scree_half, scree_half_to_float(x) op scree_half_to_float(y)) \
    ROWS(scree_##name##_i64, int64_t, x op y)                                              \
    ROWS(scree_##name##_i32, int32_t, x op y)                                              \
    ROWS(scree_##name##_i16, int16_t, x op y)                                              \
    ROWS(scree_##name##_bool, uint8_t, (x != 0) op(y != 0))                                \
    ROWS(scree_##name##_u8, uint8_t, QUANTIZED(op))                                        \
    ROWS(scree_##name##_i8, int8_t, QUANTIZED(op))                                         \
    ROWS(scree_##name##_q16, int16_t, QUANTIZED(op))

COMPARISON(equal, ==)
COMPARISON(not_equal, !=)
COMPARISON(greater, >)
COMPARISON(greater_equal, >=)
COMPARISON(less, <)
COMPARISON(less_equal, <=)
