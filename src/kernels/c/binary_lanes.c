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

static void set_sum(struct scree_binary_params *p, bool is_signed, bool is_difference)
{
    struct scree_binary_lanes *lanes = &p->lanes;
    int plain = is_half(p->multiplier[0]) ? 0 : 1, other = 1 - plain;
    bool negative = is_difference && plain == 1;
    int32_t zp[2];

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
