/* kernels/x86/table_avx512vbmi.h - tables of 256 bytes in registers.
 *
 *     y = scree_look_up_avx512(&table, x);     y[i] = table[x[i]], 64 bytes
 *
 * Inline functions for files that are compiled for AVX512-VBMI. Memory: keeps nothing. Threads:
 * pure functions. */
#ifndef SCREE_KERNELS_X86_TABLE_AVX512VBMI_H
#define SCREE_KERNELS_X86_TABLE_AVX512VBMI_H

#include <immintrin.h>

/* The 256 bytes of a table in four registers. */
struct scree_table_avx512 {
    __m512i part[4];
};

/* VPERMI2B looks up 128 bytes by seven bits of an index; the eighth chooses between two of them. */
static inline __m512i scree_look_up_avx512(const struct scree_table_avx512 *table, __m512i x)
{
    __m512i low = _mm512_permutex2var_epi8(table->part[0], x, table->part[1]);
    __m512i high = _mm512_permutex2var_epi8(table->part[2], x, table->part[3]);

    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high);
}

#endif
