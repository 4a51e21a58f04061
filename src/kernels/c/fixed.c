#include "kernels/fixed.h"

#include <math.h>

bool scree_multiplier_from_real(double real, struct scree_multiplier *ret)
{
    int shift;
    int64_t q;

    if (!(real >= 0) || isinf(real))
        return false;
    q = (int64_t)round(frexp(real, &shift) * 2147483648.0);
    if (q == (int64_t)1 << 31) {
        q /= 2;
        shift++;
    }
    if (shift < -31 || real == 0)
        *ret = (struct scree_multiplier){0, 0};
    else
        *ret = (struct scree_multiplier){(int32_t)q, shift};
    return true;
}

int32_t scree_multiply_i64(int64_t x, struct scree_multiplier m)
{
    int32_t reduced = m.q < 0x7fff0000 ? (m.q + (1 << 15)) >> 16 : 0x7fff;
    int total = 15 - m.shift;
    uint64_t sum = (uint64_t)x * (uint64_t)reduced + ((uint64_t)1 << ((total - 1) & 63));

    return (int32_t)((int64_t)sum >> (total & 63));
}
