/* kernels/gemm_f32.h - products of matrices of floats: the inner part.
 *
 *     out[p][o] = clamp(bias[o] + sum over s < n_segments, k < length of
 *                       rows[s][p][k] * weights[depths[s] + k][o])
 *
 * An output has one accumulator, which starts at 0 and takes its products one by one in the order
 * s, k; the bias comes last. So its bits depend neither on the shape of the tiles nor on the number
 * of threads, and are those of TFLite's reference kernels where a product is rounded before it is
 * added (fused false). With fused multiply-add they are the same on every machine that has it.
 *
 * Rows are read where they lie: a convolution points them at the input's pixels. What lays them out
 * is kernels/conv_f32.h. Memory: keeps nothing. Threads: pure functions. Cannot fail. */
#ifndef SCREE_KERNELS_GEMM_F32_H
#define SCREE_KERNELS_GEMM_F32_H

#include <stdbool.h>
#include <stddef.h>

/* The most rows of a tile, of all instruction sets. */
#define SCREE_GEMM_F32_MAX_ROWS 14

/* One tile.
 *
 * rows        [n_segments][row_step] pointers to f32[length], of which the first n_rows count
 * weights     f32[][weight_step], reads n_columns, rounded up to the kernel's `lanes`, of each row
 * depths      [n_segments] which row of the weights a segment begins with
 * bias        f32[n_columns], rounded up likewise, or NULL: 0
 * out         f32[n_rows][out_step], writes n_columns of each row
 * n_rows      [1, the kernel's n_rows]
 * n_columns   [1, 2 * the kernel's lanes]
 */
struct scree_gemm_f32_tile {
    const float *const *rows;
    size_t row_step, n_segments, length;
    const float *weights;
    const size_t *depths;
    size_t weight_step;
    const float *bias;
    float *out;
    size_t out_step;
    size_t n_rows, n_columns;
    float min, max; /* clamp */
};

typedef void scree_gemm_f32_fn(const struct scree_gemm_f32_tile *tile);

/* The product for one instruction set. */
struct scree_gemm_f32 {
    scree_gemm_f32_fn *run;
    size_t n_rows, lanes;
    bool fused;
};

#endif
