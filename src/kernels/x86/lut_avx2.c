#include <immintrin.h>

#include "kernels/kernels.h"

/* VPSHUFB looks up 16 bytes by four bits of an index, and gives 0 for a negative one. So of the
 * tables of 16 each holds the difference to the one before it, and the index falls by 16 from table
 * to table: the differences up to the index's own table add up (exclusive or) to its entry. The
 * upper half of the tables starts anew, with the index's top bit flipped. */
struct table {
    __m256i part[16];
};

static struct table load_table(const uint8_t *bytes)
{
    struct table table;
    __m256i before = _mm256_setzero_si256();

    for (int i = 0; i < 16; i++) {
        __m256i part =
            _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(bytes + 16 * i)));

        table.part[i] = i == 8 ? part : _mm256_xor_si256(part, before);
        before = part;
    }
    return table;
}

static inline __attribute__((always_inline)) __m256i look_up(const struct table *table, __m256i x)
{
    const __m256i sixteen = _mm256_set1_epi8(16);
    __m256i low = x, high = _mm256_xor_si256(x, _mm256_set1_epi8(-128));
    __m256i y = _mm256_setzero_si256();

    for (int i = 0; i < 8; i++) {
        y = _mm256_xor_si256(y, _mm256_shuffle_epi8(table->part[i], low));
        y = _mm256_xor_si256(y, _mm256_shuffle_epi8(table->part[8 + i], high));
        low = _mm256_subs_epi8(low, sixteen);
        high = _mm256_subs_epi8(high, sixteen);
    }
    return y;
}

void scree_lut_8_avx2(void *out, const void *const *in, const size_t *steps, size_t n,
                      const void *params)
{
    const uint8_t *x = in[0];
    struct table table;
    uint8_t *to = out;
    size_t i = 0;

    if (!steps[0] || n < 64) { /* not worth the table */
        scree_lut_8(out, in, steps, n, params);
        return;
    }
    table = load_table(params);
    for (; i + 32 <= n; i += 32)
        _mm256_storeu_si256((__m256i *)(to + i),
                            look_up(&table, _mm256_loadu_si256((const __m256i *)(x + i))));
    for (; i < n; i++)
        to[i] = ((const uint8_t *)params)[x[i]];
}
