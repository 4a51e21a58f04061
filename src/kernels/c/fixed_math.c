#include "kernels/fixed_math.h"

#include "kernels/fixed.h"

/* The sum or difference of raw values, wrapping. */
static int32_t add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static int32_t subtract(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a - (uint32_t)b);
}

static int32_t saturate(int64_t x)
{
    return x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : (int32_t)x;
}

/* x * 2^exponent, saturated; exponent in [0, 31]. */
static int32_t shift_left(int32_t x, int exponent)
{
    return saturate((int64_t)((uint64_t)(int64_t)x << exponent));
}

/* round((a + b) / 2), halves away from zero */
static int32_t half_sum(int32_t a, int32_t b)
{
    int64_t sum = (int64_t)a + b;

    return (int32_t)((sum + (sum >= 0 ? 1 : -1)) / 2);
}

/* e^x in Q0.31 for x in [-1/4, 0) in Q0.31: a Taylor polynomial around -1/8. */
static int32_t exp_of_quarter(int32_t x)
{
    const int32_t exp_of_eighth = 1895147668, third = 715827883;
    int32_t x1 = add(x, 1 << 28);
    int32_t x2 = scree_mul_high(x1, x1);
    int32_t x3 = scree_mul_high(x2, x1);
    int32_t x4 = scree_mul_high(x2, x2);
    int32_t sum = add(scree_rounding_shift(x4, 2), x3); /* x^4 / 4 + x^3 */

    sum = scree_rounding_shift(add(scree_mul_high(sum, third), x2), 1);
    return add(exp_of_eighth, scree_mul_high(exp_of_eighth, add(x1, sum)));
}

int32_t scree_fixed_exp(int32_t x)
{
    /* e^-(2^k) in Q0.31 for k = -2 ... 4 */
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308,
                                      39332535,   720401,     242};
    const int32_t quarter = 1 << 24;
    int32_t within = subtract(x & (quarter - 1), quarter);
    int32_t rest = subtract(within, x);
    int32_t result = exp_of_quarter(shift_left(within, 5));

    if (x == 0)
        return INT32_MAX;
    for (int i = 0; i < 7; i++)
        if (rest & (int32_t)((uint32_t)1 << (24 + i)))
            result = scree_mul_high(result, powers[i]);
    return result;
}

int32_t scree_fixed_one_over_one_plus(int32_t x)
{
    /* Newton's division in Q2.29, started from 48/17 - 32/17 d. */
    const int32_t start = 1515870810, slope = -1010580540, one = 1 << 29;
    int32_t half = half_sum(x, INT32_MAX);
    int32_t guess = add(start, scree_mul_high(half, slope));

    for (int i = 0; i < 3; i++) {
        int32_t error = subtract(one, scree_mul_high(half, guess));

        guess = add(guess, shift_left(scree_mul_high(guess, error), 2));
    }
    return shift_left(guess, 1); /* guess is 2 / (1 + x) */
}

int32_t scree_fixed_reciprocal(uint32_t x, int integer_bits, int *ret_bits)
{
    int zeros = __builtin_clz(x);

    *ret_bits = integer_bits - zeros;
    return scree_fixed_one_over_one_plus((int32_t)((x << zeros) - ((uint32_t)1 << 31)));
}

/* x^3 in Q3.28 */
static int32_t cube_q3(int32_t x)
{
    return shift_left(scree_mul_high(scree_mul_high(x, x), x), 6);
}

void scree_fixed_inverse_sqrt(int32_t x, int32_t *ret_q, int *ret_shift)
{
    const int32_t half_sqrt_2 = 1518500250, three_halves = (1 << 28) + (1 << 27);
    int32_t half, guess = 1 << 28;
    int shift = 11, pairs;

    if (x <= 1) {
        *ret_q = INT32_MAX;
        *ret_shift = 0;
        return;
    }
    for (; x >= 1 << 29; shift++)
        x /= 4;
    pairs = (__builtin_clz((uint32_t)x) - 1) / 2 - 1;
    shift -= pairs;
    x <<= 2 * pairs; /* in [2^27, 2^29) */
    half = scree_rounding_shift(x >> 1, 1);
    for (int i = 0; i < 5; i++) /* Newton: g = 3/2 g - x/2 g^3 */
        guess = shift_left(
            subtract(scree_mul_high(three_halves, guess), scree_mul_high(half, cube_q3(guess))), 3);
    guess = scree_mul_high(guess, half_sqrt_2);
    if (shift < 0) {
        guess = (int32_t)((uint32_t)guess << -shift);
        shift = 0;
    }
    *ret_q = guess;
    *ret_shift = -shift;
}

/* x = 2^power * r with r in [1/sqrt(2), 1), nearly: r in Q0.31 and power -+ 1/4 in Q6.25. */
static void split_power(int32_t x, int32_t *ret_r, int32_t *ret_power)
{
    const int32_t sqrt_half = 1518500250, quarter = 1 << 23;
    int zeros = __builtin_clz((uint32_t)x);
    int32_t low = shift_left(scree_mul_high(shift_left(x, zeros - 1), sqrt_half), 1);
    int32_t low_power = saturate((int64_t)shift_left(12 - zeros, 25) + quarter);
    int headroom = __builtin_clz((uint32_t)scree_mul_high(x, sqrt_half)) - 1;
    int32_t high = shift_left(x, headroom);
    int32_t high_power = saturate((int64_t)shift_left(12 - headroom, 25) - quarter);

    *ret_r = low < high ? low : high;
    *ret_power = low_power > high_power ? low_power : high_power;
}

int32_t scree_fixed_log(int32_t x)
{
    /* ln(r) around sqrt(sqrt(1/2)) as a quotient of polynomials of q */
    const int32_t log_2 = 1488522236, middle = 1805811301;
    const int32_t alpha_n = 117049297, alpha_d = 127690142, alpha_i = 1057819769,
                  alpha_f = 638450708;
    int32_t r, power, p, q, square, numerator, denominator;

    split_power(x, &r, &power);
    p = half_sum(r, middle);
    q = subtract(r, middle);
    q = add(q, q);
    square = scree_mul_high(q, q);
    numerator = add(scree_mul_high(q, r), scree_mul_high(scree_mul_high(q, square), alpha_n));
    denominator = add(scree_mul_high(p, add(add(alpha_i, q), scree_mul_high(alpha_d, square))),
                      scree_mul_high(alpha_f, q));
    return shift_left(add(scree_mul_high(power, log_2),
                          scree_mul_high(scree_rounding_shift(numerator, 6),
                                         scree_fixed_one_over_one_plus(denominator))),
                      1);
}
