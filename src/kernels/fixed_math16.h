/* kernels/fixed_math16.h - functions of 16-bit fixed-point numbers, as gemmlowp computes them.
 *
 * Qi.f is a 16-bit integer read as raw / 2^f with i + f = 15 (and a sign). All are exact integer
 * functions. Source: gemmlowp fixedpoint.h with int16_t; checked against it for every argument. */
#ifndef SCREE_KERNELS_FIXED_MATH16_H
#define SCREE_KERNELS_FIXED_MATH16_H

#include <stdint.h>

/* 1 / (1 + e^-x) in Q0.15 for x in Q3.12. */
int16_t scree_fixed16_logistic(int16_t x);

/* tanh(x) in Q0.15 for x with integer_bits bits before the point, in [0, 6]. */
int16_t scree_fixed16_tanh(int16_t x, int integer_bits);

#endif
