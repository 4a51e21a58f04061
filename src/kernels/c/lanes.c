#include "kernels/lanes.h"

#include <assert.h>

bool scree_lanes_set(struct scree_lanes *lanes, int lane, struct scree_multiplier m,
                     int32_t output_zp, uint32_t bound)
{
    uint64_t factor = (uint64_t)m.q * 2;
    int64_t half, top, rest;
    int e = -m.shift;

    assert(m.q >= 0 && lane >= 0 && lane < SCREE_LANES);
    assert(output_zp >= -255 && output_zp <= 255);
    if (e < 0)
        return false;
    if (e > 0 && bound < (uint32_t)1 << (e - 1)) {
        factor = 0; /* the product is below one half */
        e = 0;
    }
    half = (int64_t)1 << e >> 1;
    rest = half + output_zp * ((int64_t)1 << e);
    top = bound + half + (output_zp < 0 ? -output_zp : output_zp) * ((int64_t)1 << e);
    if (top > INT32_MAX)
        return false;
    lanes->factor[lane % 2][lane / 2] = factor;
    lanes->offset[lane % 2][lane / 2] = ((uint64_t)1 << 31) + ((uint64_t)rest << 32) -
                                        bound * factor;
    lanes->shift[lane] = e;
    lanes->threshold[lane] = e > 0 ? (int32_t)rest : INT32_MIN;
    return true;
}
