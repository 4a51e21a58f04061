#include "kernels/fixed_math16.h"

/* A constant of gemmlowp, which has 32 bits there, rounded to 16. */
#define CONSTANT(raw) ((int16_t)(((raw) + (1 << 15)) >> 16))

/* Sums and differences wrap. */
static int16_t wrap(int32_t x)
{
    return (int16_t)(uint16_t)(uint32_t)x;
}

static int16_t saturate(int32_t x)
{
    return (int16_t)(x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x);
}

/* round(a * b / 2^15), halves towards +infinity; -1 * -1 saturates. */
static int16_t multiply(int16_t a, int16_t b)
{
    return saturate((a * b + (1 << 14)) >> 15);
}

/* round(x / 2^exponent), halves away from zero; exponent in [1, 15]. */
static int16_t shift_right(int16_t x, int exponent)
{
    return (int16_t)((x + (1 << (exponent - 1)) - (x < 0)) >> exponent);
}

/* x * 2^exponent, saturated; exponent in [0, 15]. */
static int16_t shift_left(int16_t x, int exponent)
{
    return saturate(x * (1 << exponent));
}

/* e^x in Q0.15 for x in [-1/4, 0) in Q0.15: a Taylor polynomial around -1/8. */
static int16_t exp_of_quarter(int16_t x)
{
    const int16_t exp_of_eighth = CONSTANT(1895147668), third = CONSTANT(715827883);
    int16_t x1 = wrap(x + (1 << 12));
    int16_t x2 = multiply(x1, x1);
    int16_t x3 = multiply(x2, x1);
    int16_t x4 = multiply(x2, x2);
    int16_t sum = wrap(shift_right(x4, 2) + x3); /* x^4 / 4 + x^3 */

    sum = shift_right(wrap(multiply(sum, third) + x2), 1);
    return saturate(exp_of_eighth + multiply(exp_of_eighth, wrap(x1 + sum)));
}

/* e^x in Q0.15 for x <= 0 with integer_bits before the point, at most 7. */
static int16_t exp_of_negative(int16_t x, int integer_bits)
{
    /* e^-(2^k) for k = -2 ... 4 */
    static const int16_t powers[7] = {
        CONSTANT(1672461947), CONSTANT(1302514674), CONSTANT(790015084), CONSTANT(290630308),
        CONSTANT(39332535),   CONSTANT(720401),     CONSTANT(242)};
    int fraction_bits = 15 - integer_bits;
    int16_t quarter = (int16_t)(1 << (fraction_bits - 2));
    int16_t within = (int16_t)((x & (quarter - 1)) - quarter);
    int16_t rest = wrap(within - x);
    int16_t result = exp_of_quarter(shift_left(within, integer_bits));

    if (x == 0)
        return INT16_MAX;
    if (integer_bits > 5 && x < -(1 << (20 - integer_bits)))
        return 0;
    for (int k = 0; k < 7 && k - 2 < integer_bits; k++)
        if (rest & (1 << (fraction_bits + k - 2)))
            result = multiply(result, powers[k]);
    return result;
}

/* 2 / (1 + x) in Q2.13 for x in (0, 1) in Q0.15, by Newton and Raphson's division. */
static int16_t two_over_one_plus(int16_t x)
{
    int16_t half = (int16_t)((x + INT16_MAX + 1) / 2); /* (1 + x) / 2 */
    int16_t y = wrap(CONSTANT(1515870810) + multiply(half, CONSTANT(-1010580540)));

    for (int i = 0; i < 3; i++) {
        int16_t rest = wrap((1 << 13) - multiply(half, y));

        y = wrap(y + shift_left(multiply(y, rest), 2));
    }
    return y;
}

int16_t scree_fixed16_logistic(int16_t x)
{
    int16_t positive;

    if (x == 0)
        return 1 << 14;
    /* -|x|; the least number stays itself */
    positive = shift_left(two_over_one_plus(exp_of_negative(x > 0 ? wrap(-x) : x, 3)), 1);
    return x > 0 ? positive : wrap(INT16_MAX - positive);
}

int16_t scree_fixed16_tanh(int16_t x, int integer_bits)
{
    int16_t t;

    if (x == 0)
        return 0;
    /* (1 - e) / (1 + e) with e = exp(-2 |x|): the same raw number with one more bit before the
     * point */
    t = two_over_one_plus(exp_of_negative(x < 0 ? x : wrap(-x), integer_bits + 1));
    t = shift_left(wrap(t - (1 << 13)), 2);
    return x < 0 ? wrap(-t) : t;
}
