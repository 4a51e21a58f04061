/* kernels/arm/gemm_neon.h - what the AArch64 variants of kernels/gemm.h share: panels of 16
 * channels, and what becomes of their sums.
 *
 * SQRDMULH is scree_mul_high(), for both its rounding and its saturation. SRSHL by a negative
 * number rounds halves upwards: 1 less for negative numbers makes it scree_rounding_shift(). */
#ifndef SCREE_KERNELS_ARM_GEMM_NEON_H
#define SCREE_KERNELS_ARM_GEMM_NEON_H

#include <arm_neon.h>
#include <string.h>

#include "kernels/gemm.h"

#define SCREE_GEMM_INLINE static inline __attribute__((always_inline))

#define SCREE_GEMM_NEON_CHANNELS 16

/* The constants of a panel. */
struct scree_gemm_neon_params {
    int32_t bias[SCREE_GEMM_NEON_CHANNELS];
    int32_t q[SCREE_GEMM_NEON_CHANNELS];
    int32_t left[SCREE_GEMM_NEON_CHANNELS];  /* shift before the product, >= 0 */
    int32_t right[SCREE_GEMM_NEON_CHANNELS]; /* shift behind it, <= 0 */
    double factor[SCREE_GEMM_NEON_CHANNELS];
    int32_t any_left; /* 0: all of left are 0 */
    int32_t unused[15];
};

/* Sums of one row with a panel. */
struct scree_gemm_neon_sums {
    int32x4_t v[4];
};

/* pack_params of struct scree_gemm_kernel. */
static inline bool scree_gemm_neon_pack(void *params, const struct scree_gemm_layer *layer,
                                        const struct scree_gemm_channel *channels, int32_t n)
{
    struct scree_gemm_neon_params *to = params;

    for (int32_t c = 0; c < n; c++) {
        int32_t shift = channels[c].multiplier.shift, left = shift > 0 ? shift : 0;

        if (!layer->by_factor && (left > 30 || (uint64_t)channels[c].bound << left > INT32_MAX))
            return false;
        to->bias[c] = channels[c].bias;
        to->q[c] = channels[c].multiplier.q;
        to->left[c] = left;
        to->right[c] = shift - left;
        to->factor[c] = channels[c].factor;
        to->any_left |= left;
    }
    return true;
}

/* Outputs less the zero point, by multiplier. */
SCREE_GEMM_INLINE int32x4_t scree_gemm_neon_scale(int32x4_t sum,
                                                  const struct scree_gemm_neon_params *params,
                                                  int i)
{
    int32x4_t right = vld1q_s32(params->right + 4 * i);

    if (params->any_left)
        sum = vshlq_s32(sum, vld1q_s32(params->left + 4 * i));
    sum = vqrdmulhq_s32(sum, vld1q_s32(params->q + 4 * i));
    return vrshlq_s32(vsraq_n_s32(sum, vandq_s32(sum, right), 31), right);
}

/* Two of them by factor. */
SCREE_GEMM_INLINE int32x2_t scree_gemm_neon_times(int32x2_t sum, const double *factor)
{
    float64x2_t product = vmulq_f64(vcvtq_f64_s64(vmovl_s32(sum)), vld1q_f64(factor));

    return vqmovn_s64(vcvtq_s64_f64(vrndaq_f64(product)));
}

SCREE_GEMM_INLINE int32x4_t scree_gemm_neon_multiply(int32x4_t sum,
                                                     const struct scree_gemm_neon_params *params,
                                                     int i)
{
    return vcombine_s32(scree_gemm_neon_times(vget_low_s32(sum), params->factor + 4 * i),
                        scree_gemm_neon_times(vget_high_s32(sum), params->factor + 4 * i + 2));
}

/* What the rows of a block have in common. */
struct scree_gemm_neon_range {
    int16x8_t zp;
    uint8x16_t min, max;
    bool rises;     /* outputs by multiplier, those below the zero point are clamped away */
    bool saturates; /* min and max are those of the type, and the zero point of uint8 is 0 */
};

SCREE_GEMM_INLINE struct scree_gemm_neon_range
scree_gemm_neon_range(const struct scree_gemm_layer *layer)
{
    bool whole = layer->is_u8 ? layer->min == 0 && layer->max == UINT8_MAX && layer->output_zp == 0
                              : layer->min == INT8_MIN && layer->max == INT8_MAX;

    return (struct scree_gemm_neon_range){
        .zp = vdupq_n_s16((int16_t)layer->output_zp),
        .min = vdupq_n_u8((uint8_t)layer->min),
        .max = vdupq_n_u8((uint8_t)layer->max),
        .rises = layer->relu && !layer->by_factor && !layer->sums,
        .saturates = whole,
    };
}

/* The 16 outputs of a row from the four vectors at v, which are less the zero point. It is added
 * to what 16 bits hold: where they saturate, the output is clamped all the same. */
SCREE_GEMM_INLINE uint8x16_t scree_gemm_neon_narrow(const int32x4_t *v, const bool is_u8,
                                                    struct scree_gemm_neon_range range)
{
    int16x8_t low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(v[0]), v[1]), range.zp);
    int16x8_t high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(v[2]), v[3]), range.zp);

    if (is_u8) {
        uint8x16_t bytes = vqmovun_high_s16(vqmovun_s16(low), high);

        return vminq_u8(vmaxq_u8(bytes, range.min), range.max);
    } else {
        int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(low), high);

        bytes = vmaxq_s8(bytes, vreinterpretq_s8_u8(range.min));
        return vreinterpretq_u8_s8(vminq_s8(bytes, vreinterpretq_s8_u8(range.max)));
    }
}

/* The same where range.saturates. */
SCREE_GEMM_INLINE uint8x16_t scree_gemm_neon_saturate(const int32x4_t *v, const bool is_u8,
                                                      struct scree_gemm_neon_range range)
{
    int16x8_t low = vqmovn_high_s32(vqmovn_s32(v[0]), v[1]);
    int16x8_t high = vqmovn_high_s32(vqmovn_s32(v[2]), v[3]);

    if (is_u8)
        return vqmovun_high_s16(vqmovun_s16(low), high);
    low = vqaddq_s16(low, range.zp);
    high = vqaddq_s16(high, range.zp);
    return vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(low), high));
}

SCREE_GEMM_INLINE uint8x16_t scree_gemm_neon_outputs(const struct scree_gemm_layer *layer,
                                                     const struct scree_gemm_neon_params *params,
                                                     const bool is_u8,
                                                     struct scree_gemm_neon_range range,
                                                     struct scree_gemm_neon_sums sums)
{
    int32x4_t v[4];

    for (int i = 0; i < 4; i++)
        v[i] = layer->by_factor ? scree_gemm_neon_multiply(sums.v[i], params, i)
                                : scree_gemm_neon_scale(sums.v[i], params, i);
    return scree_gemm_neon_narrow(v, is_u8, range);
}

/* Stores channels [c, c + n) of row r; n is 16, or fewer in the last panel. */
SCREE_GEMM_INLINE void scree_gemm_neon_store(const struct scree_gemm_block *block, int32_t r,
                                             int32_t c, uint8x16_t bytes)
{
    int32_t n = block->n_channels - c;
    uint8_t tail[SCREE_GEMM_NEON_CHANNELS];

    if (n >= SCREE_GEMM_NEON_CHANNELS) {
        vst1q_u8(block->out[r] + c, bytes);
        return;
    }
    vst1q_u8(tail, bytes);
    memcpy(block->out[r] + c, tail, (size_t)n);
}

/* Stores channels [c, c + n) of row r of a layer of sums. */
SCREE_GEMM_INLINE void scree_gemm_neon_store_sums(const struct scree_gemm_block *block, int32_t r,
                                                  int32_t c, struct scree_gemm_neon_sums sums)
{
    int32_t n = block->n_channels - c;

    if (n > SCREE_GEMM_NEON_CHANNELS)
        n = SCREE_GEMM_NEON_CHANNELS;
    memcpy(block->out[r] + (size_t)c * sizeof(int32_t), &sums, (size_t)n * sizeof(int32_t));
}

/* Stores what becomes of the sums of row r. */
SCREE_GEMM_INLINE void scree_gemm_neon_finish(const struct scree_gemm_block *block,
                                              const struct scree_gemm_neon_params *params,
                                              const bool is_u8, struct scree_gemm_neon_range range,
                                              int32_t r, int32_t c,
                                              struct scree_gemm_neon_sums sums)
{
    if (block->layer->sums)
        scree_gemm_neon_store_sums(block, r, c, sums);
    else
        scree_gemm_neon_store(block, r, c,
                              scree_gemm_neon_outputs(block->layer, params, is_u8, range, sums));
}

/* The same for all rows of a panel of 16 channels where outputs below the zero point are clamped
 * away and no shift is to the left. */
SCREE_GEMM_INLINE void scree_gemm_neon_rise(const struct scree_gemm_block *block,
                                            const struct scree_gemm_neon_params *params,
                                            const bool is_u8, const bool saturates,
                                            struct scree_gemm_neon_range range, int32_t c,
                                            const struct scree_gemm_neon_sums *sums)
{
    int32x4_t q0 = vld1q_s32(params->q), q1 = vld1q_s32(params->q + 4);
    int32x4_t q2 = vld1q_s32(params->q + 8), q3 = vld1q_s32(params->q + 12);
    int32x4_t right0 = vld1q_s32(params->right), right1 = vld1q_s32(params->right + 4);
    int32x4_t right2 = vld1q_s32(params->right + 8), right3 = vld1q_s32(params->right + 12);
    uint8_t *const *to = block->out, *const *end = to + block->n_rows;

    for (; to < end; to++, sums++) {
        int32x4_t v[4] = {vrshlq_s32(vqrdmulhq_s32(sums->v[0], q0), right0),
                          vrshlq_s32(vqrdmulhq_s32(sums->v[1], q1), right1),
                          vrshlq_s32(vqrdmulhq_s32(sums->v[2], q2), right2),
                          vrshlq_s32(vqrdmulhq_s32(sums->v[3], q3), right3)};

        vst1q_u8(*to + c, saturates ? scree_gemm_neon_saturate(v, is_u8, range)
                                    : scree_gemm_neon_narrow(v, is_u8, range));
    }
}

/* scree_gemm_neon_finish() for all rows. */
__attribute__((noinline)) static void
scree_gemm_neon_finish_any(const struct scree_gemm_block *block,
                           const struct scree_gemm_neon_params *params, const bool is_u8,
                           const struct scree_gemm_neon_range *range, int32_t c,
                           const struct scree_gemm_neon_sums *sums)
{
    for (int32_t r = 0; r < block->n_rows; r++)
        scree_gemm_neon_finish(block, params, is_u8, *range, r, c, sums[r]);
}

/* Stores what becomes of the sums of a panel, s32[n_rows][16]; c: its first channel. A function of
 * its own: inlined, its constants would drive sums out of the registers where they are made. */
__attribute__((noinline)) static void
scree_gemm_neon_finish_panel(const struct scree_gemm_block *block,
                             const struct scree_gemm_neon_params *params, const bool is_u8,
                             const struct scree_gemm_neon_range *range, int32_t c,
                             const struct scree_gemm_neon_sums *sums)
{
    bool rises = range->rises && !params->any_left &&
                 block->n_channels - c >= SCREE_GEMM_NEON_CHANNELS;

    if (rises && range->saturates && is_u8)
        scree_gemm_neon_rise(block, params, true, true, *range, c, sums);
    else if (rises && range->saturates)
        scree_gemm_neon_rise(block, params, false, true, *range, c, sums);
    else if (rises && is_u8)
        scree_gemm_neon_rise(block, params, true, false, *range, c, sums);
    else if (rises)
        scree_gemm_neon_rise(block, params, false, false, *range, c, sums);
    else
        scree_gemm_neon_finish_any(block, params, is_u8, range, c, sums);
}

/* Adds 16 bytes, signed unless is_u8, to four sums. */
SCREE_GEMM_INLINE uint32x4_t scree_gemm_neon_add_bytes(uint32x4_t sums, uint8x16_t x,
                                                       const bool is_u8)
{
#ifdef __ARM_FEATURE_DOTPROD
    if (is_u8)
        return vdotq_u32(sums, x, vdupq_n_u8(1));
    return vreinterpretq_u32_s32(
        vdotq_s32(vreinterpretq_s32_u32(sums), vreinterpretq_s8_u8(x), vdupq_n_s8(1)));
#else
    if (is_u8)
        return vpadalq_u16(sums, vpaddlq_u8(x));
    return vreinterpretq_u32_s32(
        vpadalq_s16(vreinterpretq_s32_u32(sums), vpaddlq_s8(vreinterpretq_s8_u8(x))));
#endif
}

/* The sum of the bytes of row r. */
SCREE_GEMM_INLINE int32_t scree_gemm_neon_sum_row(const struct scree_gemm_block *block, int32_t mr,
                                                  const bool is_u8, int32_t r)
{
    uint32x4_t sums = vdupq_n_u32(0), more = vdupq_n_u32(0);
    int32_t n = block->segment_bytes, rest = 0;

    for (int32_t s = 0; s < block->n_segments; s++) {
        const uint8_t *a = block->a[s * mr + r], *end = a + (n & -32);

        for (; a < end; a += 32) {
            uint8x16_t x0 = vld1q_u8(a), x1 = vld1q_u8(a + 16);

            sums = scree_gemm_neon_add_bytes(sums, x0, is_u8);
            more = scree_gemm_neon_add_bytes(more, x1, is_u8);
        }
        if (n & 16) {
            sums = scree_gemm_neon_add_bytes(sums, vld1q_u8(a), is_u8);
            a += 16;
        }
        if (n & 8) {
            more = scree_gemm_neon_add_bytes(more, vcombine_u8(vld1_u8(a), vdup_n_u8(0)), is_u8);
            a += 8;
        }
        for (int i = 0; i < (n & 7); i++)
            rest += is_u8 ? a[i] : (int8_t)a[i];
    }
    return (int32_t)(vaddvq_u32(vaddq_u32(sums, more)) + (uint32_t)rest);
}

/* weights_zp * sum of the bytes of each row of a block: what comes off its sums. A function of its
 * own, because inlined it would be there once for each number of rows. */
__attribute__((noinline)) static void
scree_gemm_neon_find_excesses(const struct scree_gemm_block *block, int32_t mr, int32_t *ret)
{
    uint32_t zp = (uint32_t)block->layer->weights_zp;

    if (block->layer->is_u8)
        for (int32_t r = 0; r < block->n_rows; r++)
            ret[r] = (int32_t)(zp * (uint32_t)scree_gemm_neon_sum_row(block, mr, true, r));
    else
        for (int32_t r = 0; r < block->n_rows; r++)
            ret[r] = (int32_t)(zp * (uint32_t)scree_gemm_neon_sum_row(block, mr, false, r));
}

#endif
