/* kernels/c/gemm_parts.h - the parts of a layer, for those that pack and run it.
 *
 * Memory: the caller's. Threads: pure functions. Cannot fail. */
#ifndef SCREE_KERNELS_C_GEMM_PARTS_H
#define SCREE_KERNELS_C_GEMM_PARTS_H

#include "kernels/gemm.h"

static inline size_t gemm_smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t gemm_larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* a / b, rounded up. */
static inline size_t gemm_divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

/* The least multiple of `to` that is not below n. */
static inline size_t gemm_round_up(size_t n, size_t to)
{
    return gemm_divide_up(n, to) * to;
}

/* The number of parts, or 0 for a layer that is not for kernels/gemm.h: empty; of so many taps that
 * sums could leave 31 bits; of so many parts with so few outputs that panels would be mostly
 * padding. */
size_t scree_gemm_count_parts(const struct scree_conv_shape *shape);

/* Fills in gemm->parts[gemm->n_parts], all but their panels, gemm->n_tiles and scratch_bytes. The
 * members of gemm before them are set. */
void scree_gemm_set_parts(struct scree_gemm *gemm);

#endif
