/* kernels/compare.h - comparisons of two tensors, element by element, to bool.
 *
 * All are scree_row_fn (kernels/rows.h) with params = struct scree_binary_params. f32 f16 i64 i32
 * i16 bool compare the elements; u8, i8 and q16 (quantized i16) compare multiplier[k] * ((q -
 * zero_point[k]) << left_shift). A NaN is unequal to everything and neither less nor greater.
 * Source: TFLite kernels/internal/reference/comparisons.h. */
#ifndef SCREE_KERNELS_COMPARE_H
#define SCREE_KERNELS_COMPARE_H

#include "kernels/binary.h"

#define COMPARISON(name)                                                                         \
    scree_row_fn scree_##name##_f32, scree_##name##_f16, scree_##name##_i64, scree_##name##_i32, \
        scree_##name##_i16, scree_##name##_bool, scree_##name##_u8, scree_##name##_i8,           \
        scree_##name##_q16;
COMPARISON(equal)
COMPARISON(not_equal)
COMPARISON(greater)
COMPARISON(greater_equal)
COMPARISON(less)
COMPARISON(less_equal)
#undef COMPARISON

#endif
