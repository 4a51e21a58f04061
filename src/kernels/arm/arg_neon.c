#include <arm_neon.h>
#include <string.h>

#include "kernels/kernels.h"

/* Where the first byte of that value is, 16 if there is none:
 * narrowing leaves four bits of each byte of the comparison. */
static inline uint32_t first_equal(uint8x16_t bytes, uint8_t value)
{
    uint16x8_t equal = vreinterpretq_u16_u8(vceqq_u8(bytes, vdupq_n_u8(value)));
    uint64_t mask = vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(equal, 4)), 0);

    return mask ? (uint32_t)__builtin_ctzll(mask) / 4 : 16;
}

/* A row of 16 and more: the last 16 bytes overlap those before them. */
static inline uint32_t arg_row(const uint8_t *in, size_t n, uint8x16_t flip)
{
    uint8x16_t last = veorq_u8(vld1q_u8(in + n - 16), flip), most = last;
    uint8_t best;

    for (size_t i = 0; i + 16 < n; i += 16)
        most = vmaxq_u8(most, veorq_u8(vld1q_u8(in + i), flip));
    best = vmaxvq_u8(most);
    for (size_t i = 0; i + 16 < n; i += 16) {
        uint32_t at = first_equal(veorq_u8(vld1q_u8(in + i), flip), best);

        if (at < 16)
            return (uint32_t)i + at;
    }
    return (uint32_t)(n - 16) + first_equal(last, best);
}

void scree_arg_rows_neon(uint32_t *ret, const uint8_t *in, size_t n_rows, size_t n, uint8_t flip)
{
    const uint8x16_t flips = vdupq_n_u8(flip);

    if (n < 16) {
        scree_arg_rows(ret, in, n_rows, n, flip);
        return;
    }
    for (size_t r = 0; r < n_rows; r++)
        ret[r] = arg_row(in + r * n, n, flips);
}
