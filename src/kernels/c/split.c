#include "kernels/kernels.h"

double scree_split_factor(struct scree_multiplier m)
{
    int32_t reduced = m.q < 0x7fff0000 ? (m.q + (1 << 15)) >> 16 : 0x7fff;

    return ldexp(reduced, m.shift - 15);
}

static void split(int8_t *high, int8_t *low, const int16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        high[i] = (int8_t)(x[i] >> 8);
        low[i] = (int8_t)((x[i] & 255) - 128);
    }
}

static void finish(int16_t *out, const int32_t *high, const int32_t *low,
                   const struct scree_split_row *row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = scree_split_output(high[i], low[i], row->bias[i], row->factors[i], row);
}

const struct scree_split_kernel scree_split_c = {split, finish};
