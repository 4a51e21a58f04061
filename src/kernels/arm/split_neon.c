/* 16 activations, 4 outputs at a time. */
#include <arm_neon.h>

#include "kernels/kernels.h"

static void split(int8_t *high, int8_t *low, const int16_t *x, size_t n)
{
    const uint8x16_t flip = vdupq_n_u8(0x80);
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        uint8x16_t a = vreinterpretq_u8_s16(vld1q_s16(x + i));
        uint8x16_t b = vreinterpretq_u8_s16(vld1q_s16(x + i + 8));

        vst1q_s8(high + i, vreinterpretq_s8_u8(vuzp2q_u8(a, b)));
        vst1q_s8(low + i, vreinterpretq_s8_u8(veorq_u8(vuzp1q_u8(a, b), flip)));
    }
    for (; i < n; i++) {
        high[i] = (int8_t)(x[i] >> 8);
        low[i] = (int8_t)((x[i] & 255) - 128);
    }
}

/* Two outputs. */
static inline int32x2_t finish_2(int32x2_t high, int32x2_t low, const double *bias,
                                 const double *factors, const struct scree_split_row *row)
{
    int64x2_t sum = vaddq_s64(vshll_n_s32(high, 8), vmovl_s32(low));
    float64x2_t x = vaddq_f64(vcvtq_f64_s64(sum), vld1q_f64(bias));

    x = vmulq_f64(x, vld1q_f64(factors));
    x = row->halves_up ? vrndmq_f64(vaddq_f64(x, vdupq_n_f64(0.5))) : vrndaq_f64(x);
    x = vmaxq_f64(x, vdupq_n_f64(row->min));
    return vmovn_s64(vcvtq_s64_f64(vminq_f64(x, vdupq_n_f64(row->max))));
}

static void finish(int16_t *out, const int32_t *high, const int32_t *low,
                   const struct scree_split_row *row, size_t n)
{
    const struct scree_split_row by_value = *row; /* stores do not touch it */
    const double *bias = by_value.bias, *factors = by_value.factors;
    size_t i = 0;

    for (; i + 4 <= n; i += 4) {
        int32x4_t h = vld1q_s32(high + i), l = vld1q_s32(low + i);
        int32x2_t a = finish_2(vget_low_s32(h), vget_low_s32(l), bias + i, factors + i, &by_value);
        int32x2_t b =
            finish_2(vget_high_s32(h), vget_high_s32(l), bias + i + 2, factors + i + 2, &by_value);

        vst1_s16(out + i, vmovn_s32(vcombine_s32(a, b)));
    }
    for (; i < n; i++)
        out[i] = scree_split_output(high[i], low[i], bias[i], factors[i], &by_value);
}

const struct scree_split_kernel scree_split_neon = {split, finish};
