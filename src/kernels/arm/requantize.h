/* kernels/arm/requantize.h - accumulators to 16-bit outputs, four channels at a time.
 *
 * SQRDMULH is scree_mul_high(). SRSHL by a negative number rounds halves upwards; one less for
 * negative numbers makes that scree_rounding_shift(), but where outputs below the zero point are
 * clamped away there is no difference. The names are those of x86/requantize.h. Memory: keeps
 * nothing. */
#ifndef SCREE_KERNELS_ARM_REQUANTIZE_H
#define SCREE_KERNELS_ARM_REQUANTIZE_H

#include <arm_neon.h>

#include "kernels/fixed.h"

enum v_requant_mode {
    V_REQUANT_RISING, /* negative products are clamped away, no multiplier is 1 or more */
    V_REQUANT_MIXED,  /* anything */
};

/* How a vector of channels is requantized. */
struct v_requant {
    int32_t q[4], left[4], right[4]; /* shifts before the product and, negative, behind it */
    int32_t lift[4];                 /* 0: nothing has to be added to accumulators */
    enum v_requant_mode mode;
};

/* The constants that are kept in registers. */
struct v_requant_regs {
    int32x4_t q, right;
};

static inline struct v_requant_regs v_requant_load(const struct v_requant *r)
{
    return (struct v_requant_regs){vld1q_s32(r->q), vld1q_s32(r->right)};
}

/* The output's zero point as v_requant_words() wants it. */
static inline uint8x16_t v_requant_zp(int32_t zp)
{
    return vreinterpretq_u8_s16(vdupq_n_s16((int16_t)zp));
}

/* A vector of accumulators to outputs less the zero point, before the clamp. */
static inline uint8x16_t v_requant_with(uint8x16_t acc, const struct v_requant *r,
                                        const struct v_requant_regs *regs, enum v_requant_mode mode,
                                        uint8x16_t zp)
{
    int32x4_t x = vreinterpretq_s32_u8(acc);

    (void)zp;
    if (mode == V_REQUANT_RISING)
        return vreinterpretq_u8_s32(vrshlq_s32(vqrdmulhq_s32(x, regs->q), regs->right));
    x = vqrdmulhq_s32(vshlq_s32(x, vld1q_s32(r->left)), regs->q);
    x = vsraq_n_s32(x, vandq_s32(x, regs->right), 31);
    return vreinterpretq_u8_s32(vrshlq_s32(x, regs->right));
}

/* Two vectors of these to 16 bits, with the zero point. */
static inline uint8x16_t v_requant_words(uint8x16_t a, uint8x16_t b, uint8x16_t zp)
{
    int16x8_t words = vqmovn_high_s32(vqmovn_s32(vreinterpretq_s32_u8(a)), vreinterpretq_s32_u8(b));

    return vreinterpretq_u8_s16(vqaddq_s16(words, vreinterpretq_s16_u8(zp)));
}

/* Chooses how a vector of channels is requantized.
 *
 * multipliers  [4]
 * low, high    s32[4]: the range of each channel's accumulators
 *
 * False if a shift before the product could lose bits. */
static inline bool v_requant_init(struct v_requant *r, int32_t zp, int32_t min, int32_t max,
                                  const struct scree_multiplier *multipliers, const int32_t *low,
                                  const int32_t *high)
{
    (void)max;
    *r = (struct v_requant){.mode = min >= zp ? V_REQUANT_RISING : V_REQUANT_MIXED};
    for (int i = 0; i < 4; i++) {
        int32_t shift = multipliers[i].shift, bound = high[i] > -low[i] ? high[i] : -low[i];

        if (shift > 0 && (shift > 30 || (int64_t)bound << shift > INT32_MAX))
            return false;
        r->q[i] = multipliers[i].q;
        r->left[i] = shift > 0 ? shift : 0;
        r->right[i] = shift < 0 ? shift : 0;
        if (shift > 0)
            r->mode = V_REQUANT_MIXED;
    }
    return true;
}

#endif
