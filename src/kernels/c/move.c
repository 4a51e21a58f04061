#include "kernels/move.h"

#include <stdbool.h>
#include <string.h>

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
