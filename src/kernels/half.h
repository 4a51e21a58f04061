/* kernels/half.h - IEEE 754 half precision, held as its 16 bits.
 *
 * Done by integer arithmetic, so that every machine and compiler gives the same bits. */
#ifndef SCREE_KERNELS_HALF_H
#define SCREE_KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

/* The bits of a half. */
typedef uint16_t scree_half;

/* The value of a half, exactly. A NaN keeps its sign and payload and becomes quiet. */
static inline float scree_half_to_float(scree_half half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = (half >> 10) & 0x1f, fraction = half & 0x3ff;
    uint32_t bits;
    float value;

    if (exponent == 0x1f) {
        bits = sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0);
    } else if (exponent == 0) { /* zero or a multiple of 2^-24 */
        value = (float)fraction * 0x1p-24f;
        return sign ? -value : value;
    } else {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The half nearest to `value`, halfway cases to even; too large ones become infinite. */
static inline scree_half scree_half_from_float(float value)
{
    uint32_t bits, sign, rest, shift;

    memcpy(&bits, &value, sizeof bits);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (scree_half)(sign | 0x7e00 | (bits >> 13 & 0x3ff));
    if (bits >= 0x477ff000) /* 65520 and more */
        return (scree_half)(sign | 0x7c00);
    if (bits < 0x33000000) /* less than half of the least half */
        return (scree_half)sign;
    if (bits >= 0x38800000) { /* a normal half */
        bits -= (uint32_t)112 << 23;
        bits += 0xfff + (bits >> 13 & 1);
        return (scree_half)(sign | bits >> 13);
    }
    shift = 126 - (bits >> 23); /* in [14, 24] */
    bits = (bits & 0x7fffff) | 0x800000;
    rest = bits & (((uint32_t)1 << shift) - 1);
    bits >>= shift;
    bits += rest > (uint32_t)1 << (shift - 1) || (rest == (uint32_t)1 << (shift - 1) && bits & 1);
    return (scree_half)(sign | bits);
}

#endif
