/* kernels/move.h - elements moved from one place to another, unchanged.
 *
 * TRANSPOSE, SLICE, PAD, TILE, SPACE_TO_DEPTH and their like are all the same thing: a block of
 * elements, walked by one set of strides where it is read and by another where it is written.
 * struct scree_move says which block and which strides; negative strides walk backwards, a stride
 * of 0 reads the same element again. The element's type does not matter, only its size.
 *
 * Memory: keeps nothing, allocates nothing. Threads: calls on disjoint outputs may run at once. */
#ifndef SCREE_KERNELS_MOVE_H
#define SCREE_KERNELS_MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two dimensions for each of a tensor's eight: TILE and SPACE_TO_DEPTH split each in two. */
#define SCREE_MOVE_MAX_RANK 16

struct scree_move {
    uint32_t rank;                      /* 0: one element */
    size_t dims[SCREE_MOVE_MAX_RANK];   /* slowest first */
    ptrdiff_t src[SCREE_MOVE_MAX_RANK]; /* bytes from one index to the next where it is read */
    ptrdiff_t dst[SCREE_MOVE_MAX_RANK]; /* and where it is written */
};

/* Adds a dimension behind (faster than) those there are. move->rank is below SCREE_MOVE_MAX_RANK.
 */
void scree_move_add(struct scree_move *move, size_t dim, ptrdiff_t src, ptrdiff_t dst);

/* Drops dimensions of one and joins neighbours that are one walk in both places, which makes
 * scree_move_run faster and changes nothing else. */
void scree_move_simplify(struct scree_move *move);

/* dst[sum of i * move->dst] = src[sum of i * move->src] for each index i of move->dims.
 *
 * element_bytes  1 to 16
 * src            u8[], read only where the strides lead; must not overlap what is written
 * dst            u8[], likewise
 *
 * Cannot fail. A dimension of 0 moves nothing. */
void scree_move_run(const struct scree_move *move, size_t element_bytes, const void *src,
                    void *dst);

/* dst[c * dst_pitch + r * size] = src[r * src_pitch + c * size], elements of `size` bytes (1 or 4,
 * as the name says), for r < rows, c < cols. Pitches in bytes, of any sign. The two must not
 * overlap; nothing else is read or written. Cannot fail. */
typedef void scree_transpose_fn(uint8_t *dst, ptrdiff_t dst_pitch, const uint8_t *src,
                                ptrdiff_t src_pitch, size_t rows, size_t cols);
scree_transpose_fn scree_transpose_8, scree_transpose_32;

/* A move that is a transposition for each index of its other dimensions. */
struct scree_transposing {
    struct scree_move outer;
    size_t rows, cols;
    ptrdiff_t src_pitch, dst_pitch;
};

/* True, and *ret, if a move of elements of element_bytes is worth being taken for that: the written
 * elements are neighbours along its last dimension, the read ones along another, and both are 8 or
 * longer. */
bool scree_move_transposes(const struct scree_move *move, size_t element_bytes,
                           struct scree_transposing *ret);

/* Moves columns [from, to) of each transposition, by a kernel for such elements. Cannot fail. */
void scree_transposing_run(const struct scree_transposing *transposing, size_t element_bytes,
                           scree_transpose_fn *kernel, size_t from, size_t to, const void *src,
                           void *dst);

/* `rows` runs of `bytes` bytes, the pitches apart: dst[r * dst_pitch + i] = src[r * src_pitch + i].
 * The two must not overlap. Cannot fail. */
void scree_copy_rows(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t rows,
                     size_t bytes);

/* The same for bytes that change on the way: dst[...] = table[src[...]], table u8[256]. */
void scree_translate_rows(uint8_t *dst, size_t dst_pitch, const uint8_t *src, size_t src_pitch,
                          size_t rows, size_t bytes, const uint8_t *table);

/* dst[i] = *value for i < n, elements of element_bytes in 1, 2, 4, 8 or 16. Cannot fail. */
void scree_fill_elements(void *dst, const void *value, size_t n, size_t element_bytes);

#endif
