/* kernels/f32/rows.h - elementwise functions of floats. The compiler makes vectors of them, as long
 * as the instruction set of the file that includes this has. */
#ifndef SCREE_KERNELS_F32_ROWS_H
#define SCREE_KERNELS_F32_ROWS_H

#include <string.h>

#include "kernels/binary.h"
#include "kernels/c/rows.h"
#include "kernels/rows_f32.h"
#include "kernels/unary.h"

#define ROWS_1(name, expression) \
    static scree_row_fn name;    \
    SCREE_ROWS_1(name, float, float, struct scree_unary_params, expression)
#define ROWS_2(name, expression) \
    static scree_row_fn name;    \
    SCREE_ROWS_2(name, float, float, float, struct scree_binary_params, expression)

/* A clamp that lets NaN through. */
#define ROWS_CLAMP(value) rows_clamp_to(value, p->min_f32, p->max_f32)

static inline float rows_clamp_to(float x, float min, float max)
{
    x = x < min ? min : x;
    return x > max ? max : x;
}

static inline float rows_hard_swish_of(float x)
{
    float relu6 = x + 3 > 0 ? x + 3 : 0;

    return x * (relu6 < 6 ? relu6 : 6) / 6;
}

/* e^x for x in [-87, 88]: 2^n e^r with |r| <= ln(2) / 2. ln(2) is taken off in two parts, of which
 * the first has so few bits that n times it is exact. The polynomial is that of Cephes' expf(). NaN
 * stays NaN. */
static inline float rows_exp_of(float x)
{
    const float to_whole = 0x1.8p23f;
    float n = x * 1.44269504088896341f + to_whole, r, y;
    uint32_t bits;

    memcpy(&bits, &n, sizeof bits); /* n is in its low bits */
    n -= to_whole;
    r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * (r * r) + r + 1;
    bits = (bits << 23) + 0x3f800000;
    memcpy(&n, &bits, sizeof n);
    return y * n;
}

/* The bounds are variables, or compilers make a branch of each, and then no vectors. */
static inline float rows_logistic_of(float x, const struct scree_unary_params *p)
{
    return 1 / (1 + rows_exp_of(-rows_clamp_to(x, p->min_f32, p->max_f32)));
}

ROWS_2(rows_add, ROWS_CLAMP(x + y))
ROWS_2(rows_sub, ROWS_CLAMP(x - y))
ROWS_2(rows_mul, ROWS_CLAMP(x *y))
ROWS_1(rows_clamp, ROWS_CLAMP(x))
ROWS_1(rows_hard_swish, rows_hard_swish_of(x))
ROWS_1(rows_logistic, rows_logistic_of(x, p))

const struct scree_rows_f32 LANES_NAME(scree_rows_f32) = {
    rows_add, rows_sub, rows_mul, rows_clamp, rows_hard_swish, rows_logistic};

#endif
