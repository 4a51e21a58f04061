#include <arm_neon.h>
#include <string.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* Eight channels of one pixel. `down` is -shift, by which VRSHL shifts right and rounds: halves up
 * of unsigned numbers; of signed ones less their sign, halves away from zero. */
INLINE uint8x8_t blend_channels(const uint16_t *first, const uint16_t *second,
                                const uint16_t *weights, int16x8_t down, bool is_signed)
{
    uint16x8_t sum = vmulq_n_u16(vld1q_u16(first), weights[0]);

    sum = vmlaq_n_u16(sum, vld1q_u16(second), weights[1]);
    if (is_signed) {
        int16x8_t s = vreinterpretq_s16_u16(sum);
        int16x8_t sign = vandq_s16(vshrq_n_s16(s, 15), vshrq_n_s16(down, 15));

        return vreinterpret_u8_s8(vmovn_s16(vrshlq_s16(vaddq_s16(s, sign), down)));
    }
    return vmovn_u16(vrshlq_u16(sum, down));
}

/* Eight bytes are stored where there is room, though the pixel has fewer: the next ones follow. */
INLINE void blend(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x, size_t n,
                  size_t c, int shift, bool is_signed)
{
    const int16x8_t down = vdupq_n_s16((int16_t)-shift);
    const uint8_t *end = out + n * c;

    for (size_t i = 0; i < n; i++, x++, out += c)
        for (size_t k = 0; k < c; k += 8) {
            uint8x8_t bytes =
                blend_channels(v + x->first + k, v + x->second + k, x->weights, down, is_signed);
            uint8_t rest[8];

            if ((size_t)(end - out) - k >= 8) {
                vst1_u8(out + k, bytes);
            } else {
                vst1_u8(rest, bytes);
                memcpy(out + k, rest, c - k);
            }
        }
}

void scree_blend_u8_neon(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x,
                         size_t n, size_t c, int shift)
{
    blend(out, v, x, n, c, shift, false);
}

void scree_blend_i8_neon(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x,
                         size_t n, size_t c, int shift)
{
    blend(out, v, x, n, c, shift, true);
}
