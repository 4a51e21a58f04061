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
    int32x4_t right = vld1q_s32(params->right + 4 * i), negative;

    if (params->any_left)
        sum = vshlq_s32(sum, vld1q_s32(params->left + 4 * i));
    sum = vqrdmulhq_s32(sum, vld1q_s32(params->q + 4 * i));
    negative = vshrq_n_s32(vandq_s32(sum, right), 31);
    return vrshlq_s32(vqaddq_s32(sum, negative), right);
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

/* The 16 outputs of a row. */
SCREE_GEMM_INLINE uint8x16_t scree_gemm_neon_outputs(const struct scree_gemm_layer *layer,
                                                     const struct scree_gemm_neon_params *params,
                                                     struct scree_gemm_neon_sums sums)
{
    int32x4_t zp = vdupq_n_s32(layer->output_zp), v[4];
    int16x8_t low, high;

    for (int i = 0; i < 4; i++) {
        v[i] = layer->by_factor ? scree_gemm_neon_multiply(sums.v[i], params, i)
                                : scree_gemm_neon_scale(sums.v[i], params, i);
        v[i] = vqaddq_s32(v[i], zp);
    }
    low = vqmovn_high_s32(vqmovn_s32(v[0]), v[1]);
    high = vqmovn_high_s32(vqmovn_s32(v[2]), v[3]);
    if (layer->is_u8) {
        uint8x16_t bytes = vqmovun_high_s16(vqmovun_s16(low), high);

        bytes = vmaxq_u8(bytes, vdupq_n_u8((uint8_t)layer->min));
        return vminq_u8(bytes, vdupq_n_u8((uint8_t)layer->max));
    } else {
        int8x16_t bytes = vqmovn_high_s16(vqmovn_s16(low), high);

        bytes = vmaxq_s8(bytes, vdupq_n_s8((int8_t)layer->min));
        return vreinterpretq_u8_s8(vminq_s8(bytes, vdupq_n_s8((int8_t)layer->max)));
    }
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
                                              int32_t r, int32_t c,
                                              struct scree_gemm_neon_sums sums)
{
    if (block->layer->sums)
        scree_gemm_neon_store_sums(block, r, c, sums);
    else
        scree_gemm_neon_store(block, r, c, scree_gemm_neon_outputs(block->layer, params, sums));
}

/* weights_zp * sum of the bytes of row r: what comes off its sums. */
SCREE_GEMM_INLINE int32_t scree_gemm_neon_excess(const struct scree_gemm_block *block, int32_t mr,
                                                 int32_t r)
{
    uint32_t sum = 0;

    for (int32_t s = 0; s < block->n_segments; s++) {
        const uint8_t *a = block->a[s * mr + r];
        int32_t i = 0;

        /* Signed bytes are 128 less than the unsigned ones they become by a flip of the sign. */
        uint8x16_t flip = vdupq_n_u8(block->layer->is_u8 ? 0 : 0x80);
        uint32x4_t sums = vdupq_n_u32(0);

        for (; i + 16 <= block->segment_bytes; i += 16)
            sums = vpadalq_u16(sums, vpaddlq_u8(veorq_u8(vld1q_u8(a + i), flip)));
        sum += vaddvq_u32(sums);
        if (!block->layer->is_u8)
            sum -= 128u * (uint32_t)i;
        for (; i < block->segment_bytes; i++)
            sum += block->layer->is_u8 ? a[i] : (uint32_t)(int8_t)a[i];
    }
    return (int32_t)(sum * (uint32_t)block->layer->weights_zp);
}

/* That of each row of a block of at most mr, four times; 0 for rows that it does not have. */
SCREE_GEMM_INLINE void scree_gemm_neon_excesses(const struct scree_gemm_block *block, int32_t mr,
                                                int32x4_t *excess)
{
    for (int32_t r = 0; r < mr; r++) {
        bool counts = block->layer->weights_zp != 0 && r < block->n_rows;

        excess[r] = vdupq_n_s32(counts ? scree_gemm_neon_excess(block, mr, r) : 0);
    }
}

#endif
