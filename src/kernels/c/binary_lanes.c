#include <math.h>

#include "kernels/binary.h"

static const struct scree_multiplier one_half = {1 << 30, 0};

static bool is_half(struct scree_multiplier m)
{
    return m.q == one_half.q && m.shift == one_half.shift;
}

static bool is_byte(int32_t zp)
{
    return zp >= 0 && zp <= 255;
}

static bool set_all(struct scree_lanes *lanes, struct scree_multiplier m, int32_t output_zp,
                    uint32_t bound)
{
    for (int i = 0; i < SCREE_LANES; i++)
        if (!scree_lanes_set(lanes, i, m, output_zp, bound))
            return false;
    return true;
}

/* What sums and products share. The zero points of the inputs as of uint8 are zp. */
static bool set_out(struct scree_binary_params *p, bool is_signed, uint32_t bound, int32_t *zp)
{
    struct scree_binary_lanes *lanes = &p->lanes;
    int32_t base = is_signed ? 128 : 0, out_zp = p->out_zero_point + base;

    for (int k = 0; k < 2; k++)
        zp[k] = p->zero_point[k] + base;
    lanes->flip = (uint8_t)base;
    lanes->min = (uint8_t)(p->min + base);
    lanes->max = (uint8_t)(p->max + base);
    return is_byte(zp[0]) && is_byte(zp[1]) && is_byte(out_zp) &&
           set_all(&lanes->out, p->out_multiplier, out_zp, bound);
}

/* ---- sums in one step --------------------------------------------------------------------------
 */

/* A sum as a formula of real numbers: an output is the floor of q[0] * factor[0] + q[1] * factor[1]
 * + offset, but for roundings. */
struct formula {
    double factor[2], offset;
};

static struct formula find_formula(const struct scree_binary_params *p, const int32_t *zp,
                                   int32_t out_zp, bool is_difference)
{
    double out = ldexp(p->out_multiplier.q, p->out_multiplier.shift - 31 + p->left_shift);
    struct formula f = {.offset = out_zp + 0.5};

    for (int k = 0; k < 2; k++) {
        f.factor[k] = ldexp(p->multiplier[k].q, p->multiplier[k].shift - 31) * out;
        if (k == 1 && is_difference)
            f.factor[k] = -f.factor[k];
        f.offset -= f.factor[k] * zp[k];
    }
    return f;
}

/* The most bits behind the point with which weights have 22 bits and acc has 31; below 0 if there
 * are none. */
static int find_shift(const struct formula *f)
{
    double most = fabs(f->offset) + 1, weight = 0;
    int shift = 24;

    for (int k = 0; k < 2; k++) {
        most += 255 * fabs(f->factor[k]);
        weight = fmax(weight, fabs(f->factor[k]));
    }
    while (shift >= 0 && (ldexp(most, shift) > 0x7fff0000 || ldexp(weight, shift) > 0x3fff00))
        shift--;
    return shift;
}

/* How many of 4096 pairs of bytes are next to a tie. */
static int count_ties(const struct scree_binary_quick *quick, const int32_t *weights)
{
    int n = 0;

    for (int32_t x = 0; x < 256; x++)
        for (int32_t y = 0; y < 256; y += 17)
            n += ((x * weights[0] + y * weights[1] + quick->bias * 128) & quick->mask) == 0;
    return n;
}

static void set_quick(struct scree_binary_params *p, const struct formula *f)
{
    struct scree_binary_quick *quick = &p->lanes.quick;
    int shift = find_shift(f), window = 1;
    double scale, bias, lost;
    int32_t weights[2];

    if (shift < 0)
        return;
    scale = ldexp(1, shift);
    bias = f->offset * scale;
    /* S is off by at most 1 in the definition, out by another half before its last rounding; bias
     * by 64; weights that are off are right for a byte in the middle */
    lost = 1.5 * ldexp(1, shift + p->out_multiplier.shift) + 64 + 2;
    for (int k = 0; k < 2; k++) {
        double exact = f->factor[k] * scale;

        weights[k] = (int32_t)lrint(exact);
        bias += (exact - weights[k]) * 127.5;
        lost += fabs(exact - weights[k]) * 127.5;
    }
    while (ldexp(1, window - 1) < lost)
        window++;
    if (window + 9 > shift)
        return;
    quick->shift = shift;
    quick->bias = (int32_t)lrint((bias + ldexp(1, window - 1)) / 128);
    quick->mask = (1 << shift) - (1 << window);
    quick->high = (int32_t)((uint32_t)(weights[1] >> 7) << 16 | ((weights[0] >> 7) & 0xffff));
    quick->low = (weights[1] & 127) << 16 | (weights[0] & 127);
    quick->usable = count_ties(quick, weights) <= 16;
}

/* ---- by steps ----------------------------------------------------------------------------------
 */

static void set_sum(struct scree_binary_params *p, bool is_signed, bool is_difference)
{
    struct scree_binary_lanes *lanes = &p->lanes;
    int plain = is_half(p->multiplier[0]) ? 0 : 1, other = 1 - plain;
    bool negative = is_difference && plain == 1;
    struct formula formula;
    int32_t zp[2];

    lanes->quick.usable = false;
    lanes->usable = is_half(p->multiplier[plain]) && p->multiplier[other].shift <= 0 &&
                    (p->multiplier[other].shift < 0 || is_half(p->multiplier[other])) &&
                    p->left_shift == 20 && set_out(p, is_signed, SCREE_SUM_BOUND, zp) &&
                    set_all(&lanes->other, p->multiplier[other], 0, (uint32_t)255 << 20);
    if (!lanes->usable)
        return;
    lanes->plain = plain;
    lanes->minus = is_difference && plain == 0;
    lanes->plain_factor = negative ? -(1 << 14) : 1 << 14;
    lanes->plain_bias = (int16_t)((510 + (negative ? zp[plain] : -zp[plain])) * 32);
    lanes->other_bias = (int16_t)((255 - zp[other]) * 64);
    formula = find_formula(p, zp, p->out_zero_point + lanes->flip, is_difference);
    set_quick(p, &formula);
}

void scree_binary_add_lanes(struct scree_binary_params *params, bool is_signed)
{
    set_sum(params, is_signed, false);
}

void scree_binary_sub_lanes(struct scree_binary_params *params, bool is_signed)
{
    set_sum(params, is_signed, true);
}

void scree_binary_mul_lanes(struct scree_binary_params *params, bool is_signed)
{
    struct scree_binary_lanes *lanes = &params->lanes;
    int32_t zp[2];

    lanes->usable = set_out(params, is_signed, SCREE_PRODUCT_BOUND, zp);
    for (int k = 0; k < 2 && lanes->usable; k++)
        lanes->zero_point[k] = (int16_t)zp[k];
}
