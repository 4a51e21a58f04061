#include <immintrin.h>

#include "kernels/kernels.h"

/* The 256 bytes of a table in four registers. */
struct table {
    __m512i part[4];
};

/* VPERMI2B looks up 128 bytes by seven bits of an index; the eighth chooses between two of them. */
static inline __m512i look_up(const struct table *table, __m512i x)
{
    __m512i low = _mm512_permutex2var_epi8(table->part[0], x, table->part[1]);
    __m512i high = _mm512_permutex2var_epi8(table->part[2], x, table->part[3]);

    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high);
}

void scree_lut_8_avx512vbmi(void *out, const void *const *in, const size_t *steps, size_t n,
                            const void *params)
{
    const uint8_t *x = in[0];
    struct table table;
    uint8_t *to = out;
    __mmask64 rest = _cvtu64_mask64((UINT64_C(1) << n % 64) - 1);
    size_t i = 0;

    if (!steps[0]) {
        scree_lut_8(out, in, steps, n, params);
        return;
    }
    for (int k = 0; k < 4; k++)
        table.part[k] = _mm512_loadu_si512((const uint8_t *)params + 64 * k);
    for (; i + 64 <= n; i += 64)
        _mm512_storeu_si512(to + i, look_up(&table, _mm512_loadu_si512(x + i)));
    if (i < n)
        _mm512_mask_storeu_epi8(to + i, rest,
                                look_up(&table, _mm512_maskz_loadu_epi8(rest, x + i)));
}
