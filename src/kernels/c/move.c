#include "kernels/move.h"

#include <stdbool.h>
#include <string.h>

/* The most bytes that are copied without a call. */
#define MOST_FEW 512
/* The side of the squares in which a transposition goes, so that both sides stay in the cache. */
#define SQUARE 16

void scree_move_add(struct scree_move *move, size_t dim, ptrdiff_t src, ptrdiff_t dst)
{
    move->dims[move->rank] = dim;
    move->src[move->rank] = src;
    move->dst[move->rank] = dst;
    move->rank++;
}

/* Whether dimension i steps, in both places, just over all of what dimension j walks through. */
static bool move_joins(const struct scree_move *move, uint32_t i, uint32_t j)
{
    ptrdiff_t n = (ptrdiff_t)move->dims[j];

    return move->src[i] == n * move->src[j] && move->dst[i] == n * move->dst[j];
}

void scree_move_simplify(struct scree_move *move)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < move->rank; i++) {
        if (move->dims[i] == 1)
            continue;
        if (n > 0 && move->dims[i] > 0 && move_joins(move, n - 1, i))
            move->dims[--n] *= move->dims[i];
        else
            move->dims[n] = move->dims[i];
        move->src[n] = move->src[i];
        move->dst[n] = move->dst[i];
        n++;
    }
    move->rank = n;
}

/* Bytes that are few: calls of memcpy() would take longer than the copying. */
static inline void copy_few(uint8_t *dst, const uint8_t *src, size_t bytes)
{
    size_t i = 0;

    for (; i + 16 <= bytes; i += 16)
        memcpy(dst + i, src + i, 16);
    if (bytes >= 16 && i < bytes)
        memcpy(dst + bytes - 16, src + bytes - 16, 16);
    else
        for (; i < bytes; i++)
            dst[i] = src[i];
}

/* n elements, both sides strided; `bytes` known to the compiler makes it a load and a store. */
#define MOVE_STRIDED(bytes)        \
    for (size_t i = 0; i < n; i++) \
    memcpy(dst + (ptrdiff_t)i * dst_stride, src + (ptrdiff_t)i * src_stride, bytes)

static void move_line(uint8_t *dst, ptrdiff_t dst_stride, const uint8_t *src, ptrdiff_t src_stride,
                      size_t n, size_t element_bytes)
{
    switch (element_bytes) {
    case 1:
        MOVE_STRIDED(1);
        break;
    case 2:
        MOVE_STRIDED(2);
        break;
    case 4:
        MOVE_STRIDED(4);
        break;
    case 8:
        MOVE_STRIDED(8);
        break;
    case 16:
        MOVE_STRIDED(16);
        break;
    default:
        if (element_bytes <= MOST_FEW)
            for (size_t i = 0; i < n; i++)
                copy_few(dst + (ptrdiff_t)i * dst_stride, src + (ptrdiff_t)i * src_stride,
                         element_bytes);
        else
            MOVE_STRIDED(element_bytes);
        break;
    }
}

/* What is left when the fastest dimension, if both sides are contiguous in it, is made part of the
 * element: the element's bytes and the number of dimensions. */
static size_t move_element(const struct scree_move *move, size_t element_bytes, uint32_t *ret_rank)
{
    uint32_t last = move->rank - 1;
    ptrdiff_t bytes = (ptrdiff_t)element_bytes;

    *ret_rank = move->rank;
    if (move->rank == 0 || move->src[last] != bytes || move->dst[last] != bytes)
        return element_bytes;
    *ret_rank = last;
    return element_bytes * move->dims[last];
}

/* The next index of the first n dimensions, with the offsets that belong to it; false at the end.
 */
static bool move_next(const struct scree_move *move, uint32_t n, size_t *index, ptrdiff_t *src,
                      ptrdiff_t *dst)
{
    for (uint32_t d = n; d-- > 0;) {
        if (++index[d] < move->dims[d]) {
            *src += move->src[d];
            *dst += move->dst[d];
            return true;
        }
        *src -= move->src[d] * (ptrdiff_t)(index[d] - 1);
        *dst -= move->dst[d] * (ptrdiff_t)(index[d] - 1);
        index[d] = 0;
    }
    return false;
}

void scree_move_run(const struct scree_move *move, size_t element_bytes, const void *src, void *dst)
{
    size_t index[SCREE_MOVE_MAX_RANK] = {0};
    const uint8_t *from = src;
    uint8_t *to = dst;
    ptrdiff_t read = 0, written = 0;
    uint32_t rank;
    size_t bytes;

    for (uint32_t i = 0; i < move->rank; i++)
        if (move->dims[i] == 0)
            return;
    bytes = move_element(move, element_bytes, &rank);
    if (rank == 0) {
        memcpy(to, from, bytes);
        return;
    }
    rank--; /* the fastest dimension is move_line's */
    do
        move_line(to + written, move->dst[rank], from + read, move->src[rank], move->dims[rank],
                  bytes);
    while (move_next(move, rank, index, &read, &written));
}

/* ---- transpositions ----------------------------------------------------------------------------
 */

static inline __attribute__((always_inline)) void transpose(uint8_t *dst, ptrdiff_t dst_pitch,
                                                            const uint8_t *src, ptrdiff_t src_pitch,
                                                            size_t rows, size_t cols, size_t size)
{
    for (size_t c0 = 0; c0 < cols; c0 += SQUARE)
        for (size_t r0 = 0; r0 < rows; r0 += SQUARE)
            for (size_t c = c0; c < cols && c < c0 + SQUARE; c++)
                for (size_t r = r0; r < rows && r < r0 + SQUARE; r++)
                    memcpy(dst + (ptrdiff_t)c * dst_pitch + r * size,
                           src + (ptrdiff_t)r * src_pitch + c * size, size);
}

void scree_transpose_8(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src, ptrdiff_t src_pitch,
                       size_t rows, size_t cols)
{
    transpose(dst, dst_pitch, src, src_pitch, rows, cols, 1);
}

void scree_transpose_32(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src, ptrdiff_t src_pitch,
                        size_t rows, size_t cols)
{
    transpose(dst, dst_pitch, src, src_pitch, rows, cols, 4);
}

bool scree_move_transposes(const struct scree_move *move, size_t element_bytes,
                           struct scree_transposing *ret)
{
    const ptrdiff_t element = (ptrdiff_t)element_bytes;
    uint32_t last = move->rank - 1, across = 0;

    if (move->rank < 2 || move->dst[last] != element || move->dims[last] < 8)
        return false;
    while (across < last && move->src[across] != element)
        across++;
    if (across == last || move->dims[across] < 8)
        return false;
    *ret = (struct scree_transposing){.rows = move->dims[last],
                                      .cols = move->dims[across],
                                      .src_pitch = move->src[last],
                                      .dst_pitch = move->dst[across]};
    for (uint32_t i = 0; i < last; i++)
        if (i != across)
            scree_move_add(&ret->outer, move->dims[i], move->src[i], move->dst[i]);
    return true;
}

void scree_transposing_run(const struct scree_transposing *transposing, size_t element_bytes,
                           scree_transpose_fn *kernel, size_t from, size_t to, const void *src,
                           void *dst)
{
    const struct scree_move *outer = &transposing->outer;
    size_t index[SCREE_MOVE_MAX_RANK] = {0};
    const uint8_t *first_read = (const uint8_t *)src + from * element_bytes;
    uint8_t *first_written = (uint8_t *)dst + (ptrdiff_t)from * transposing->dst_pitch;
    ptrdiff_t read = 0, written = 0;

    do
        kernel(first_written + written, transposing->dst_pitch, first_read + read,
               transposing->src_pitch, transposing->rows, to - from);
    while (move_next(outer, outer->rank, index, &read, &written));
}

/* ---- rows --------------------------------------------------------------------------------------
 */

void scree_copy_rows(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t rows,
                     size_t bytes)
{
    if (bytes > 0)
        move_line(dst, (ptrdiff_t)dst_pitch, src, (ptrdiff_t)src_pitch, rows, bytes);
}

void scree_translate_rows(uint8_t *dst, size_t dst_pitch, const uint8_t *src, size_t src_pitch,
                          size_t rows, size_t bytes, const uint8_t *table)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < bytes; i++)
            dst[r * dst_pitch + i] = table[src[r * src_pitch + i]];
}

void scree_fill_elements(void *dst, const void *value, size_t n, size_t element_bytes)
{
    if (element_bytes == 1)
        memset(dst, *(const uint8_t *)value, n);
    else
        move_line(dst, (ptrdiff_t)element_bytes, value, 0, n, element_bytes);
}
