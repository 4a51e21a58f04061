#include "kernels/kernels.h"
#include "kernels/x86/table_avx512vbmi.h"

void scree_lut_8_avx512vbmi(void *out, const void *const *in, const size_t *steps, size_t n,
                            const void *params)
{
    const uint8_t *x = in[0];
    struct scree_table_avx512 table;
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
        _mm512_storeu_si512(to + i, scree_look_up_avx512(&table, _mm512_loadu_si512(x + i)));
    if (i < n)
        _mm512_mask_storeu_epi8(to + i, rest,
                                scree_look_up_avx512(&table, _mm512_maskz_loadu_epi8(rest, x + i)));
}
