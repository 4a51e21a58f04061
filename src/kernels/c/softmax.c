#include "kernels/softmax.h"

#include <float.h>
#include <math.h>

#include "kernels/c/rows.h"
#include "kernels/fixed_math.h"

/* ---- floats ------------------------------------------------------------------------------------
 */

void scree_softmax_f32(float *out, const float *in, size_t n_rows, size_t depth, float beta)
{
    for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {
        float max = -FLT_MAX, sum = 0;

        for (size_t i = 0; i < depth; i++)
            max = in[i] > max ? in[i] : max;
        for (size_t i = 0; i < depth; i++) {
            out[i] = expf((in[i] - max) * beta);
            sum += out[i];
        }
        for (size_t i = 0; i < depth; i++)
            out[i] /= sum;
    }
}

void scree_softmax_f16(scree_half *out, const scree_half *in, size_t n_rows, size_t depth,
                       float beta)
{
    for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {
        float max = -65504, sum = 0;

        for (size_t i = 0; i < depth; i++)
            max = scree_half_to_float(in[i]) > max ? scree_half_to_float(in[i]) : max;
        for (size_t i = 0; i < depth; i++) {
            float power = expf((scree_half_to_float(in[i]) - max) * beta);

            out[i] = scree_half_from_float(power);
            sum += power;
        }
        for (size_t i = 0; i < depth; i++)
            out[i] = scree_half_from_float(scree_half_to_float(out[i]) / sum);
    }
}

void scree_log_softmax_f32(float *out, const float *in, size_t n_rows, size_t depth)
{
    for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {
        float max = -FLT_MAX, sum = 0, log_sum;

        for (size_t i = 0; i < depth; i++)
            max = in[i] > max ? in[i] : max;
        for (size_t i = 0; i < depth; i++)
            sum += expf(in[i] - max);
        log_sum = logf(sum);
        for (size_t i = 0; i < depth; i++)
            out[i] = in[i] - max - log_sum;
    }
}

/* ---- 8 bits ------------------------------------------------------------------------------------
 */

void scree_softmax_8_init(struct scree_softmax_8 *softmax, struct scree_multiplier multiplier)
{
    /* Differences below -31 in Q5.26 do not count. */
    int64_t greatest = ((int64_t)31 << 26) >> multiplier.shift;

    softmax->n_exps = (int32_t)(greatest < 255 ? greatest : 255) + 1;
    for (int32_t i = softmax->n_exps; i < 256; i++)
        softmax->exps[i] = 0;
    for (int32_t i = 0; i < softmax->n_exps; i++) {
        softmax->diffs[i] = scree_multiply(-i, multiplier);
        softmax->exps[i] = scree_fixed_exp(softmax->diffs[i]);
    }
}

/* Bytes as numbers by which both signs share one body: q of u8, q + 128 of i8. */
SCREE_INLINE int32_t unsigned_of(const void *in, size_t i, int flip)
{
    return ((const uint8_t *)in)[i] ^ flip;
}

SCREE_INLINE int32_t row_max(const void *in, size_t depth, int flip)
{
    int32_t max = 0;

    for (size_t i = 0; i < depth; i++)
        max = unsigned_of(in, i, flip) > max ? unsigned_of(in, i, flip) : max;
    return max;
}

/* The sum of a row's exponentials in Q12.19, at most 2^32 - 1. */
SCREE_INLINE uint32_t row_sum(const void *in, size_t depth, int flip, int32_t max,
                              const struct scree_softmax_8 *softmax)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < depth; i++)
        sum += ((uint32_t)softmax->exps[max - unsigned_of(in, i, flip)] + (1 << 11)) >> 12;
    return sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
}

/* A share in [0, 2^bits): exp / sum = exp * inverse / 2^31 / 2^over_unit. */
SCREE_INLINE int32_t share(int32_t exp, int32_t inverse, int over_unit, int bits)
{
    int exponent = over_unit + 31 - bits;
    int64_t rounded = (scree_mul_high(inverse, exp) + ((int64_t)1 << (exponent - 1))) >> exponent;
    int32_t greatest = (1 << bits) - 1;

    return rounded < greatest ? (int32_t)rounded : greatest;
}

/* What divides a row of that maximum by its sum: the inverse, and how far it is over one. */
SCREE_INLINE int32_t row_inverse(const void *in, size_t depth, int flip, int32_t max,
                                 const struct scree_softmax_8 *softmax, int *ret_over_unit)
{
    return scree_fixed_reciprocal(row_sum(in, depth, flip, max, softmax), 12, ret_over_unit);
}

void scree_softmax_8_8(uint8_t *out, const uint8_t *in, size_t n_rows, size_t depth, uint8_t flip,
                       const struct scree_softmax_8 *softmax)
{
    for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {
        int32_t max = row_max(in, depth, flip), inverse;
        int over_unit;

        inverse = row_inverse(in, depth, flip, max, softmax, &over_unit);
        for (size_t i = 0; i < depth; i++) {
            int32_t exp = softmax->exps[max - unsigned_of(in, i, flip)];

            out[i] = (uint8_t)(share(exp, inverse, over_unit, 8) ^ flip);
        }
    }
}

#define SOFTMAX_8_16(name, type_in, flip)                                           \
    void name(int16_t *out, const type_in *in, size_t n_rows, size_t depth,         \
              const struct scree_softmax_8 *softmax)                                \
    {                                                                               \
        for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {      \
            int32_t max = row_max(in, depth, flip), inverse;                        \
            int over_unit;                                                          \
                                                                                    \
            inverse = row_inverse(in, depth, flip, max, softmax, &over_unit);       \
            for (size_t i = 0; i < depth; i++) {                                    \
                int32_t exp = softmax->exps[max - unsigned_of(in, i, flip)];        \
                                                                                    \
                out[i] = (int16_t)(share(exp, inverse, over_unit, 16) + INT16_MIN); \
            }                                                                       \
        }                                                                           \
    }

SOFTMAX_8_16(scree_softmax_u8_i16, uint8_t, 0)
SOFTMAX_8_16(scree_softmax_i8_i16, int8_t, 0x80)

/* One byte of the logarithm's output, 0 to 255. */
SCREE_INLINE uint8_t log_share(int32_t diff, int32_t n_diffs, int32_t log_sum,
                               const struct scree_softmax_8 *softmax)
{
    int32_t q;

    if (diff >= n_diffs)
        return 0;
    q = scree_rounding_shift((int32_t)((uint32_t)softmax->diffs[diff] - (uint32_t)log_sum), 22) +
        255;
    return (uint8_t)(q < 0 ? 0 : q);
}

static void log_softmax_8(uint8_t *out, const void *in, size_t n_rows, size_t depth, int flip,
                          const struct scree_softmax_8 *softmax)
{
    for (size_t row = 0; row < n_rows; row++, out += depth) {
        const uint8_t *row_in = (const uint8_t *)in + row * depth;
        int32_t max = row_max(row_in, depth, flip);
        uint32_t sum = row_sum(row_in, depth, flip, max, softmax);
        int32_t log_sum = scree_fixed_log(sum < INT32_MAX ? (int32_t)sum : INT32_MAX);
        /* The differences for which diff - log_sum does not leave 32 bits. */
        int32_t n_diffs = -scree_multiply((int32_t)((uint32_t)log_sum + ((uint32_t)1 << 31)),
                                          softmax->log_to_diff);

        n_diffs = n_diffs < softmax->n_exps ? n_diffs : softmax->n_exps;
        for (size_t i = 0; i < depth; i++)
            out[i] =
                (uint8_t)(log_share(max - unsigned_of(row_in, i, flip), n_diffs, log_sum, softmax) ^
                          flip);
    }
}

void scree_log_softmax_u8(uint8_t *out, const uint8_t *in, size_t n_rows, size_t depth,
                          const struct scree_softmax_8 *softmax)
{
    log_softmax_8(out, in, n_rows, depth, 0, softmax);
}

void scree_log_softmax_i8(int8_t *out, const int8_t *in, size_t n_rows, size_t depth,
                          const struct scree_softmax_8 *softmax)
{
    log_softmax_8((uint8_t *)out, in, n_rows, depth, 0x80, softmax);
}

/* ---- 16 bits -----------------------------------------------------------------------------------
 */

static double one_over_one_plus(double x)
{
    return 1.0 / (1.0 + x);
}

void scree_softmax_16_init(struct scree_softmax_16 *softmax)
{
    const double range = 65535;

    scree_lut_16_fill_double(
        softmax->exp, &(struct scree_lut_scales){10.0 / range, 2.0 / range, INT16_MAX, 0}, exp);
    scree_lut_16_fill_double(softmax->one_over_one_plus,
                             &(struct scree_lut_scales){1.0 / range, 2.0 / range, INT16_MIN, 0},
                             one_over_one_plus);
}

static inline int16_t saturate_16(int64_t x)
{
    return (int16_t)(x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x);
}

/* e^(beta (x - max)) in Q0.15 */
static inline int16_t exp_16(int16_t x, int16_t max, const struct scree_softmax_16 *softmax)
{
    int32_t scaled = scree_multiply(x - max, softmax->multiplier);

    return scree_lut_16_at(softmax->exp, saturate_16((int64_t)scaled + INT16_MAX));
}

/* The row's exponentials are in out already, their sum is at least INT16_MAX. */
static void divide_row_16(int16_t *out, size_t depth, uint32_t sum,
                          const struct scree_softmax_16 *softmax)
{
    int zeros = __builtin_clz(sum);
    int64_t normal = (int64_t)(((uint64_t)sum << (zeros - 1)) + (1 << 13)) >> 14;
    int16_t index = saturate_16(normal - ((1 << 15) + (1 << 16)));
    int16_t inverse = scree_lut_16_at(softmax->one_over_one_plus, index);
    int shift = 31 - zeros;

    for (size_t i = 0; i < depth; i++) {
        int64_t quotient = ((int64_t)out[i] * inverse + ((int64_t)1 << (shift - 1))) >> shift;

        out[i] = saturate_16(quotient < 0 ? 0 : quotient);
    }
}

void scree_softmax_i16(int16_t *out, const int16_t *in, size_t n_rows, size_t depth,
                       const struct scree_softmax_16 *softmax)
{
    for (size_t row = 0; row < n_rows; row++, in += depth, out += depth) {
        int16_t max = INT16_MIN;
        uint64_t sum = 0;

        for (size_t i = 0; i < depth; i++)
            max = in[i] > max ? in[i] : max;
        for (size_t i = 0; i < depth; i++) {
            out[i] = exp_16(in[i], max, softmax);
            sum += (uint64_t)out[i];
        }
        divide_row_16(out, depth, sum < INT32_MAX ? (uint32_t)sum : INT32_MAX, softmax);
    }
}
