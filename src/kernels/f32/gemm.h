/* kernels/f32/gemm.h - a tile of a product of float matrices, over any vocabulary of lanes
 * (kernels/f32/lanes.h).
 *
 * LANES_ROWS x 2 vectors of sums fill the registers. Where the vocabulary has
 * lanes_add_product_lane(), inputs are loaded four at a time. */
#ifndef SCREE_KERNELS_F32_GEMM_H
#define SCREE_KERNELS_F32_GEMM_H

#include "kernels/f32/lanes.h"
#include "kernels/gemm_f32.h"

/* How many floats ahead weights are fetched: a page, at whose end processors stop doing so by
 * themselves. */
#define GEMM_AHEAD 1024

/* The sums of a tile. */
struct gemm_sums {
    lanes sum[LANES_ROWS][2];
};

/* Adds inputs x[p][k] times row k of the weights. n_rows and n_vectors are constants wherever this
 * is used, so that the sums are registers. */
LANES_INLINE void gemm_step(struct gemm_sums *sums, const float *const *x, size_t k, const float *w,
                            const int n_rows, const int n_vectors)
{
    lanes low = lanes_load(w), high = n_vectors > 1 ? lanes_load(w + LANES) : low;

    if (n_rows > 1)
        __builtin_prefetch(w + GEMM_AHEAD);
    if (n_rows > 1 && n_vectors > 1)
        __builtin_prefetch(w + GEMM_AHEAD + LANES);
    LANES_UNROLL
    for (int p = 0; p < n_rows; p++) {
        lanes input = lanes_set(x[p][k]);

        sums->sum[p][0] = lanes_add_product(input, low, sums->sum[p][0]);
        if (n_vectors > 1)
            sums->sum[p][1] = lanes_add_product(input, high, sums->sum[p][1]);
    }
}

#ifdef lanes_add_product_lane
/* Lane `lane`, a literal, of four inputs a row. */
#define GEMM_LANE(lane)                                                                          \
    do {                                                                                         \
        lanes low = lanes_load(w + (lane)*step);                                                 \
        lanes high = n_vectors > 1 ? lanes_load(w + (lane)*step + LANES) : low;                  \
                                                                                                 \
        LANES_UNROLL for (int p = 0; p < n_rows; p++)                                            \
        {                                                                                        \
            sums->sum[p][0] = lanes_add_product_lane(low, input[p], lane, sums->sum[p][0]);      \
            if (n_vectors > 1)                                                                   \
                sums->sum[p][1] = lanes_add_product_lane(high, input[p], lane, sums->sum[p][1]); \
        }                                                                                        \
    } while (0)

/* The same for k to k + 3, with rows of weights `step` apart. */
LANES_INLINE void gemm_quad(struct gemm_sums *sums, const float *const *x, size_t k, const float *w,
                            size_t step, const int n_rows, const int n_vectors)
{
    lanes input[LANES_ROWS];

    LANES_UNROLL
    for (int p = 0; p < n_rows; p++)
        input[p] = lanes_load(x[p] + k);
    GEMM_LANE(0);
    GEMM_LANE(1);
    GEMM_LANE(2);
    GEMM_LANE(3);
}
#endif

LANES_INLINE void gemm_store(const struct scree_gemm_f32_tile *tile, const struct gemm_sums *sums,
                             const int n_rows, const int n_vectors)
{
    lanes min = lanes_set(tile->min), max = lanes_set(tile->max);

    LANES_UNROLL
    for (int v = 0; v < n_vectors; v++) {
        size_t at = (size_t)v * LANES, n = tile->n_columns - at;
        lanes bias = tile->bias ? lanes_load(tile->bias + at) : lanes_set(0);

        LANES_UNROLL
        for (int p = 0; p < n_rows; p++) {
            lanes result = lanes_clamp(lanes_add(sums->sum[p][v], bias), min, max);

            if (n >= LANES)
                lanes_store(tile->out + (size_t)p * tile->out_step + at, result);
            else
                lanes_store_first(tile->out + (size_t)p * tile->out_step + at, result, n);
        }
    }
}

LANES_INLINE void gemm_run(const struct scree_gemm_f32_tile *tile, const int n_rows,
                           const int n_vectors)
{
    const float *const *rows = tile->rows;
    size_t step = tile->weight_step;
    struct gemm_sums sums;

    LANES_UNROLL
    for (int p = 0; p < n_rows; p++)
        sums.sum[p][0] = sums.sum[p][1] = lanes_set(0);
    for (size_t s = 0; s < tile->n_segments; s++, rows += tile->row_step) {
        const float *x[LANES_ROWS], *w = tile->weights + tile->depths[s] * step;
        size_t k = 0;

        LANES_UNROLL
        for (int p = 0; p < n_rows; p++)
            x[p] = rows[p];
#ifdef lanes_add_product_lane
        for (; k + 4 <= tile->length; k += 4, w += 4 * step)
            gemm_quad(&sums, x, k, w, step, n_rows, n_vectors);
#endif
        for (; k < tile->length; k++, w += step)
            gemm_step(&sums, x, k, w, n_rows, n_vectors);
    }
    gemm_store(tile, &sums, n_rows, n_vectors);
}

/* A function for each number of rows and of vectors. */
#define GEMM_INSTANCE(n_rows)                                             \
    static void gemm_##n_rows##x1(const struct scree_gemm_f32_tile *tile) \
    {                                                                     \
        gemm_run(tile, n_rows, 1);                                        \
    }                                                                     \
    static void gemm_##n_rows##x2(const struct scree_gemm_f32_tile *tile) \
    {                                                                     \
        gemm_run(tile, n_rows, 2);                                        \
    }

#define GEMM_INSTANCES_3  GEMM_INSTANCE(1) GEMM_INSTANCE(2) GEMM_INSTANCE(3)
#define GEMM_INSTANCES_4  GEMM_INSTANCES_3 GEMM_INSTANCE(4)
#define GEMM_INSTANCES_6  GEMM_INSTANCES_4 GEMM_INSTANCE(5) GEMM_INSTANCE(6)
#define GEMM_INSTANCES_8  GEMM_INSTANCES_6 GEMM_INSTANCE(7) GEMM_INSTANCE(8)
#define GEMM_INSTANCES_10 GEMM_INSTANCES_8 GEMM_INSTANCE(9) GEMM_INSTANCE(10)
#define GEMM_INSTANCES_12 GEMM_INSTANCES_10 GEMM_INSTANCE(11) GEMM_INSTANCE(12)
#define GEMM_INSTANCES_14 GEMM_INSTANCES_12 GEMM_INSTANCE(13) GEMM_INSTANCE(14)

#define GEMM_ENTRY(n_rows)                   \
    {                                        \
        gemm_##n_rows##x1, gemm_##n_rows##x2 \
    }
#define GEMM_ENTRIES_3  GEMM_ENTRY(1), GEMM_ENTRY(2), GEMM_ENTRY(3)
#define GEMM_ENTRIES_4  GEMM_ENTRIES_3, GEMM_ENTRY(4)
#define GEMM_ENTRIES_6  GEMM_ENTRIES_4, GEMM_ENTRY(5), GEMM_ENTRY(6)
#define GEMM_ENTRIES_8  GEMM_ENTRIES_6, GEMM_ENTRY(7), GEMM_ENTRY(8)
#define GEMM_ENTRIES_10 GEMM_ENTRIES_8, GEMM_ENTRY(9), GEMM_ENTRY(10)
#define GEMM_ENTRIES_12 GEMM_ENTRIES_10, GEMM_ENTRY(11), GEMM_ENTRY(12)
#define GEMM_ENTRIES_14 GEMM_ENTRIES_12, GEMM_ENTRY(13), GEMM_ENTRY(14)

#define GEMM_PASTE_2(a, b) a##b
#define GEMM_PASTE(a, b)   GEMM_PASTE_2(a, b)

/* clang-format off */
GEMM_PASTE(GEMM_INSTANCES_, LANES_ROWS)
/* clang-format on */

static void gemm_any(const struct scree_gemm_f32_tile *tile)
{
    static scree_gemm_f32_fn *const instances[LANES_ROWS][2] = {
        GEMM_PASTE(GEMM_ENTRIES_, LANES_ROWS)};

    instances[tile->n_rows - 1][tile->n_columns > LANES](tile);
}

const struct scree_gemm_f32 LANES_NAME(scree_gemm_f32) = {gemm_any, LANES_ROWS, LANES, LANES_FUSED};

#endif
