/* A pixel takes a vector of four sums. */
#include <arm_neon.h>
#include <string.h>

#include "kernels/kernels.h"

#define HALF ((int32_t)1 << (SCREE_RESAMPLE_BITS - 1))

/* The last bytes that are loaded for four pixels, beyond the 12 that count. */
#define BEYOND 4

/* Where the bytes of each of four pixels go: each to a lane, the fourth lane is 0. */
static const uint8_t orders[4][16] = {
    {0, 255, 255, 255, 1, 255, 255, 255, 2, 255, 255, 255, 255, 255, 255, 255},
    {3, 255, 255, 255, 4, 255, 255, 255, 5, 255, 255, 255, 255, 255, 255, 255},
    {6, 255, 255, 255, 7, 255, 255, 255, 8, 255, 255, 255, 255, 255, 255, 255},
    {9, 255, 255, 255, 10, 255, 255, 255, 11, 255, 255, 255, 255, 255, 255, 255},
};

static inline int32x4_t pixel(uint8x16_t bytes, uint8x16_t order)
{
    return vreinterpretq_s32_u8(vqtbl1q_u8(bytes, order));
}

/* Sums to bytes, saturated. */
static inline uint16x4_t round_sums(int32x4_t sums)
{
    return vqmovun_s32(vshrq_n_s32(sums, SCREE_RESAMPLE_BITS));
}

static void resample_row(const struct scree_resample_taps *taps, const uint8_t *in, int32_t n_in,
                         uint8_t *out)
{
    const uint8x16_t order[4] = {vld1q_u8(orders[0]), vld1q_u8(orders[1]), vld1q_u8(orders[2]),
                                 vld1q_u8(orders[3])};
    size_t n_bytes = 3 * (size_t)n_in;
    int32_t i = 0;

    /* Four bytes are stored, the last of which the next pixel writes over. */
    for (; i + 1 < taps->n_out; i++) {
        const int32_t *weights = taps->weights + (size_t)i * (size_t)taps->stride;
        size_t at = 3 * (size_t)taps->first[i], n = (size_t)(taps->n_taps[i] + 3) / 4;
        int32x4_t a = vdupq_n_s32(HALF), b = vdupq_n_s32(0);
        uint16x4_t words;
        uint32_t four;

        if (at + 12 * n + BEYOND > n_bytes)
            break;
        for (size_t j = 0; j < n; j++) {
            uint8x16_t bytes = vld1q_u8(in + at + 12 * j);
            int32x4_t w = vld1q_s32(weights + 4 * j);

            a = vmlaq_laneq_s32(a, pixel(bytes, order[0]), w, 0);
            b = vmlaq_laneq_s32(b, pixel(bytes, order[1]), w, 1);
            a = vmlaq_laneq_s32(a, pixel(bytes, order[2]), w, 2);
            b = vmlaq_laneq_s32(b, pixel(bytes, order[3]), w, 3);
        }
        words = round_sums(vaddq_s32(a, b));
        four = vget_lane_u32(vreinterpret_u32_u8(vqmovn_u16(vcombine_u16(words, words))), 0);
        memcpy(out + 3 * (size_t)i, &four, sizeof four);
    }
    scree_resample_rgb_part(taps, in, out, i, taps->n_out);
}

void scree_resample_rgb_neon(const struct scree_resample_taps *taps, const uint8_t *in,
                             size_t in_stride, int32_t n_in, int32_t n_rows, uint8_t *out,
                             size_t out_stride)
{
    for (int32_t y = 0; y < n_rows; y++)
        resample_row(taps, in + (size_t)y * in_stride, n_in, out + (size_t)y * out_stride);
}

void scree_resample_rows_neon(const uint8_t *const *rows, const int32_t *weights, int32_t n_rows,
                              uint8_t *out, size_t n)
{
    size_t i = 0;

    for (; i + 16 <= n; i += 16) {
        int32x4_t sums[4];

        for (int k = 0; k < 4; k++)
            sums[k] = vdupq_n_s32(HALF);
        for (int32_t j = 0; j < n_rows; j++) {
            uint8x16_t bytes = vld1q_u8(rows[j] + i);
            uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
            int32x4_t w = vdupq_n_s32(weights[j]);

            sums[0] = vmlaq_s32(sums[0], vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))), w);
            sums[1] = vmlaq_s32(sums[1], vreinterpretq_s32_u32(vmovl_high_u16(low)), w);
            sums[2] = vmlaq_s32(sums[2], vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))), w);
            sums[3] = vmlaq_s32(sums[3], vreinterpretq_s32_u32(vmovl_high_u16(high)), w);
        }
        vst1q_u8(out + i,
                 vqmovn_high_u16(vqmovn_u16(vcombine_u16(round_sums(sums[0]), round_sums(sums[1]))),
                                 vcombine_u16(round_sums(sums[2]), round_sums(sums[3]))));
    }
    scree_resample_rows_from(rows, weights, n_rows, out, i, n);
}
