/* Sums and products of bytes, 16 at a time. SQRDMULH is scree_mul_high(), and SRSHL of a number
 * less its sign is scree_rounding_shift() by one and more. */
#include <arm_neon.h>
#include <string.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* 16 numbers of 32 bits. */
struct quads {
    int32x4_t part[4];
};

/* Up to 16 bytes, as of uint8; with step 0 the first one 16 times. */
INLINE uint8x16_t load(const uint8_t *from, size_t step, size_t n,
                       const struct scree_binary_lanes *lanes)
{
    uint8_t rest[16] = {0};
    uint8x16_t bytes;

    if (step && n < 16)
        memcpy(rest, from, n);
    bytes = !step ? vdupq_n_u8(*from) : vld1q_u8(n < 16 ? rest : from);
    return veorq_u8(bytes, vdupq_n_u8(lanes->flip));
}

/* Numbers of 16 bits, shifted, less `bias`. */
INLINE int16x8x2_t widen(uint8x16_t bytes, int shift, int16_t bias)
{
    const int16x8_t left = vdupq_n_s16((int16_t)shift), biases = vdupq_n_s16(bias);
    int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes)));
    int16x8_t high = vreinterpretq_s16_u16(vmovl_high_u8(bytes));

    return (int16x8x2_t){
        {vsubq_s16(vshlq_s16(low, left), biases), vsubq_s16(vshlq_s16(high, left), biases)}};
}

/* scree_multiply() by a multiplier of less than 1. Without shift the sign does not count. */
INLINE int32x4_t scale(int32x4_t x, struct scree_multiplier m)
{
    int32x4_t high = vqrdmulhq_n_s32(x, m.q);
    int32x4_t sign = vandq_s32(vshrq_n_s32(high, 31), vdupq_n_s32(m.shift >> 31));

    return vrshlq_s32(vaddq_s32(high, sign), vdupq_n_s32(m.shift));
}

INLINE void store(uint8_t *to, size_t n, struct quads x, const struct scree_binary_params *p)
{
    const struct scree_binary_lanes *lanes = &p->lanes;
    const int16x8_t zp = vdupq_n_s16((int16_t)(p->out_zero_point + lanes->flip));
    uint8_t rest[16];
    int16x8_t low, high;
    uint8x16_t bytes;

    for (int i = 0; i < 4; i++)
        x.part[i] = scale(x.part[i], p->out_multiplier);
    low = vqmovn_high_s32(vqmovn_s32(x.part[0]), x.part[1]);
    high = vqmovn_high_s32(vqmovn_s32(x.part[2]), x.part[3]);
    bytes = vqmovun_high_s16(vqmovun_s16(vqaddq_s16(low, zp)), vqaddq_s16(high, zp));
    bytes = vminq_u8(vmaxq_u8(bytes, vdupq_n_u8(lanes->min)), vdupq_n_u8(lanes->max));
    bytes = veorq_u8(bytes, vdupq_n_u8(lanes->flip));
    if (n >= 16) {
        vst1q_u8(to, bytes);
    } else {
        vst1q_u8(rest, bytes);
        memcpy(to, rest, n);
    }
}

/* The rounded input of a sum, from (q - zero point) << 20. */
INLINE struct quads rounded(uint8x16_t bytes, int32_t zp, struct scree_multiplier m)
{
    int16x8x2_t x = widen(bytes, 5, (int16_t)(zp * 32));

    return (struct quads){{scale(vshll_n_s16(vget_low_s16(x.val[0]), 15), m),
                           scale(vshll_high_n_s16(x.val[0], 15), m),
                           scale(vshll_n_s16(vget_low_s16(x.val[1]), 15), m),
                           scale(vshll_high_n_s16(x.val[1], 15), m)}};
}

/* sum + x * 2^14, or less that. */
INLINE int32x4_t add_plain(int32x4_t sum, int16x4_t x, int16_t factor)
{
    return vmlal_n_s16(sum, x, factor);
}

INLINE void sum_loop(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                     const struct scree_binary_params *p, bool minus)
{
    const struct scree_binary_lanes *lanes = &p->lanes;
    const int k_plain = lanes->plain, k_other = 1 - lanes->plain;
    const uint8_t *plain = in[k_plain], *other = in[k_other];
    const int32_t zp_plain = p->zero_point[k_plain] + lanes->flip;
    const int32_t zp_other = p->zero_point[k_other] + lanes->flip;

    for (size_t i = 0; i < n; i += 16) {
        uint8x16_t a = load(plain + i * steps[k_plain], steps[k_plain], n - i, lanes);
        uint8x16_t b = load(other + i * steps[k_other], steps[k_other], n - i, lanes);
        int16x8x2_t x = widen(a, 5, (int16_t)(zp_plain * 32));
        struct quads sum = rounded(b, zp_other, p->multiplier[k_other]);

        for (int k = 0; k < 4 && minus; k++)
            sum.part[k] = vnegq_s32(sum.part[k]);
        sum.part[0] = add_plain(sum.part[0], vget_low_s16(x.val[0]), lanes->plain_factor);
        sum.part[1] = add_plain(sum.part[1], vget_high_s16(x.val[0]), lanes->plain_factor);
        sum.part[2] = add_plain(sum.part[2], vget_low_s16(x.val[1]), lanes->plain_factor);
        sum.part[3] = add_plain(sum.part[3], vget_high_s16(x.val[1]), lanes->plain_factor);
        store(to + i, n - i, sum, p);
    }
}

static void sum_row(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                    const struct scree_binary_params *p)
{
    if (p->lanes.minus)
        sum_loop(to, in, steps, n, p, true);
    else
        sum_loop(to, in, steps, n, p, false);
}

static void product_row(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                        const struct scree_binary_params *p)
{
    const struct scree_binary_lanes *lanes = &p->lanes;
    const uint8_t *in_x = in[0], *in_y = in[1];

    for (size_t i = 0; i < n; i += 16) {
        uint8x16_t a = load(in_x + i * steps[0], steps[0], n - i, lanes);
        uint8x16_t b = load(in_y + i * steps[1], steps[1], n - i, lanes);
        int16x8x2_t x = widen(a, 0, lanes->zero_point[0]), y = widen(b, 0, lanes->zero_point[1]);
        struct quads product = {{vmull_s16(vget_low_s16(x.val[0]), vget_low_s16(y.val[0])),
                                 vmull_high_s16(x.val[0], y.val[0]),
                                 vmull_s16(vget_low_s16(x.val[1]), vget_low_s16(y.val[1])),
                                 vmull_high_s16(x.val[1], y.val[1])}};

        store(to + i, n - i, product, p);
    }
}

#define DEFINE_ROW(op, suffix, row)                                                          \
    void scree_##op##_##suffix##_neon(void *out, const void *const *in, const size_t *steps, \
                                      size_t n, const void *params)                          \
    {                                                                                        \
        const struct scree_binary_params *p = params;                                        \
                                                                                             \
        if (p->lanes.usable)                                                                 \
            row(out, in, steps, n, p);                                                       \
        else                                                                                 \
            scree_##op##_##suffix(out, in, steps, n, params);                                \
    }

DEFINE_ROW(add, u8, sum_row)
DEFINE_ROW(add, i8, sum_row)
DEFINE_ROW(sub, u8, sum_row)
DEFINE_ROW(sub, i8, sum_row)
DEFINE_ROW(mul, u8, product_row)
DEFINE_ROW(mul, i8, product_row)
