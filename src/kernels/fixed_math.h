/* kernels/fixed_math.h - functions of fixed-point numbers, as gemmlowp and TFLite compute them.
 *
 * Qi.f is a 32-bit integer read as raw / 2^f with i + f = 31 (and a sign). All are exact integer
 * functions. Source: gemmlowp fixedpoint.h; TFLite kernels/internal/common.h. */
#ifndef SCREE_KERNELS_FIXED_MATH_H
#define SCREE_KERNELS_FIXED_MATH_H

#include <stdint.h>

/* e^x in Q0.31 for x <= 0 in Q5.26; 1 is INT32_MAX. */
int32_t scree_fixed_exp(int32_t x);

/* 1 / (1 + x) in Q0.31 for x in [0, 1) in Q0.31. */
int32_t scree_fixed_one_over_one_plus(int32_t x);

/* r with 1 / x = r / 2^31 / 2^*ret_bits, for x > 0 with integer_bits + 1 bits before the point. */
int32_t scree_fixed_reciprocal(uint32_t x, int integer_bits, int *ret_bits);

/* 1 / sqrt(x) = *ret_q / 2^31 * 2^*ret_shift for x >= 0 (0 counts as 1), *ret_shift in [-15, 0]. */
void scree_fixed_inverse_sqrt(int32_t x, int32_t *ret_q, int *ret_shift);

/* ln(x) in Q5.26 for x >= 1 in Q12.19. */
int32_t scree_fixed_log(int32_t x);

#endif
