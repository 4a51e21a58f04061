#include <arm_neon.h>

#include "kernels/kernels.h"

/* TBL looks up 64 bytes and TBX leaves what is beyond: four of them look up 256. */
static inline uint8x16_t look_up(const uint8x16x4_t *part, uint8x16_t x)
{
    const uint8x16_t step = vdupq_n_u8(64);
    uint8x16_t y = vqtbl4q_u8(part[0], x);

    y = vqtbx4q_u8(y, part[1], x = vsubq_u8(x, step));
    y = vqtbx4q_u8(y, part[2], x = vsubq_u8(x, step));
    return vqtbx4q_u8(y, part[3], vsubq_u8(x, step));
}

void scree_lut_8_neon(void *out, const void *const *in, const size_t *steps, size_t n,
                      const void *params)
{
    const uint8_t *x = in[0], *table = params;
    uint8x16x4_t part[4];
    uint8_t *to = out;
    size_t i = 0;

    if (!steps[0] || n < 64) { /* not worth loading the table */
        scree_lut_8(out, in, steps, n, params);
        return;
    }
    for (int k = 0; k < 4; k++)
        part[k] = vld1q_u8_x4(table + 64 * k);
    for (; i + 16 <= n; i += 16)
        vst1q_u8(to + i, look_up(part, vld1q_u8(x + i)));
    for (; i < n; i++)
        to[i] = table[x[i]];
}
