#include <immintrin.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* Interleaving halves of a list with each other moves the top bit of an element's place to the
 * bottom; four times of sixteen rows of sixteen bytes makes columns of them. */
INLINE void interleave(__m128i *rows)
{
    __m128i next[16];

    for (int i = 0; i < 8; i++) {
        next[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + 8]);
        next[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + 8]);
    }
    for (int i = 0; i < 16; i++)
        rows[i] = next[i];
}

static void transpose_square(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src,
                             ptrdiff_t src_pitch)
{
    __m128i rows[16];

    for (int i = 0; i < 16; i++)
        rows[i] = _mm_loadu_si128((const __m128i *)(src + i * src_pitch));
    for (int i = 0; i < 4; i++)
        interleave(rows);
    for (int i = 0; i < 16; i++)
        _mm_storeu_si128((__m128i *)(dst + i * dst_pitch), rows[i]);
}

/* The last square of a row or column overlaps the one before it. */
INLINE size_t square_at(size_t i, size_t n, size_t side)
{
    return i + side <= n ? i : n - side;
}

void scree_transpose_8_avx2(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src,
                            ptrdiff_t src_pitch, size_t rows, size_t cols)
{
    if (rows < 16 || cols < 16) {
        scree_transpose_8(dst, dst_pitch, src, src_pitch, rows, cols);
        return;
    }
    for (size_t i = 0; i < cols; i += 16)
        for (size_t k = 0; k < rows; k += 16) {
            size_t c = square_at(i, cols, 16), r = square_at(k, rows, 16);

            transpose_square(dst + (ptrdiff_t)c * dst_pitch + r, dst_pitch,
                             src + (ptrdiff_t)r * src_pitch + c, src_pitch);
        }
}

/* Eight rows of eight: columns of four within each 128-bit lane, then lanes put together. */
static void transpose_square_32(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src,
                                ptrdiff_t src_pitch)
{
    __m256i rows[8], pairs[8];

    for (int i = 0; i < 8; i++)
        rows[i] = _mm256_loadu_si256((const __m256i *)(src + i * src_pitch));
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int k = 0; k < 2; k++) {
            rows[i + 2 * k] = _mm256_unpacklo_epi64(pairs[i + k], pairs[i + k + 2]);
            rows[i + 2 * k + 1] = _mm256_unpackhi_epi64(pairs[i + k], pairs[i + k + 2]);
        }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_si256((__m256i *)(dst + i * dst_pitch),
                            _mm256_permute2x128_si256(rows[i], rows[i + 4], 0x20));
        _mm256_storeu_si256((__m256i *)(dst + (i + 4) * dst_pitch),
                            _mm256_permute2x128_si256(rows[i], rows[i + 4], 0x31));
    }
}

void scree_transpose_32_avx2(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src,
                             ptrdiff_t src_pitch, size_t rows, size_t cols)
{
    if (rows < 8 || cols < 8) {
        scree_transpose_32(dst, dst_pitch, src, src_pitch, rows, cols);
        return;
    }
    for (size_t i = 0; i < cols; i += 8)
        for (size_t k = 0; k < rows; k += 8) {
            size_t c = square_at(i, cols, 8), r = square_at(k, rows, 8);

            transpose_square_32(dst + (ptrdiff_t)c * dst_pitch + 4 * r, dst_pitch,
                                src + (ptrdiff_t)r * src_pitch + 4 * c, src_pitch);
        }
}
