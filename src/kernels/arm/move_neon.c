#include <arm_neon.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* Interleaving halves of a list with each other moves the top bit of an element's place to the
 * bottom; four times of sixteen rows of sixteen bytes makes columns of them. */
INLINE void interleave(uint8x16_t *rows)
{
    uint8x16_t next[16];

    for (int i = 0; i < 8; i++) {
        next[2 * i] = vzip1q_u8(rows[i], rows[i + 8]);
        next[2 * i + 1] = vzip2q_u8(rows[i], rows[i + 8]);
    }
    for (int i = 0; i < 16; i++)
        rows[i] = next[i];
}

static void transpose_square(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src,
                             ptrdiff_t src_pitch)
{
    uint8x16_t rows[16];

    for (int i = 0; i < 16; i++)
        rows[i] = vld1q_u8(src + i * src_pitch);
    for (int i = 0; i < 4; i++)
        interleave(rows);
    for (int i = 0; i < 16; i++)
        vst1q_u8(dst + i * dst_pitch, rows[i]);
}

/* The last square of a row or column overlaps the one before it. */
INLINE size_t square_at(size_t i, size_t n, size_t side)
{
    return i + side <= n ? i : n - side;
}

void scree_transpose_8_neon(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src,
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

/* Four rows of four words, by two interleavings of halves. */
static void transpose_square_32(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src,
                                ptrdiff_t src_pitch)
{
    uint32x4_t rows[4], next[4];

    for (int i = 0; i < 4; i++)
        rows[i] = vreinterpretq_u32_u8(vld1q_u8(src + i * src_pitch));
    for (int i = 0; i < 2; i++) {
        next[2 * i] = vzip1q_u32(rows[i], rows[i + 2]);
        next[2 * i + 1] = vzip2q_u32(rows[i], rows[i + 2]);
    }
    for (int i = 0; i < 2; i++) {
        rows[2 * i] = vzip1q_u32(next[i], next[i + 2]);
        rows[2 * i + 1] = vzip2q_u32(next[i], next[i + 2]);
    }
    for (int i = 0; i < 4; i++)
        vst1q_u8(dst + i * dst_pitch, vreinterpretq_u8_u32(rows[i]));
}

void scree_transpose_32_neon(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src,
                             ptrdiff_t src_pitch, size_t rows, size_t cols)
{
    if (rows < 4 || cols < 4) {
        scree_transpose_32(dst, dst_pitch, src, src_pitch, rows, cols);
        return;
    }
    for (size_t i = 0; i < cols; i += 4)
        for (size_t k = 0; k < rows; k += 4) {
            size_t c = square_at(i, cols, 4), r = square_at(k, rows, 4);

            transpose_square_32(dst + (ptrdiff_t)c * dst_pitch + 4 * r, dst_pitch,
                                src + (ptrdiff_t)r * src_pitch + 4 * c, src_pitch);
        }
}
