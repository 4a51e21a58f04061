/* kernels/product.h - sums of products, the inner loop of convolutions and of matrix products.
 *
 * A few rows of activations, widened to 16 bits with their zero point taken off, meet many rows of
 * 8-bit weights. Both run along the same contiguous index, so that a compiler can use the
 * processor's multiply-add of 16-bit pairs. Memory: the callers'. Threads: pure functions. */
#ifndef SCREE_KERNELS_PRODUCT_H
#define SCREE_KERNELS_PRODUCT_H

#include <stddef.h>
#include <stdint.h>

/* How many rows of activations, elements of them and rows of weights the users of these functions
 * take at once: what fits in a stack frame and in the first cache. */
#define SCREE_PRODUCT_ROWS     4
#define SCREE_PRODUCT_DEPTH    2048
#define SCREE_PRODUCT_CHANNELS 64
/* The depth for 16-bit activations: 2^8 products of at most 2^22 fit in 32 bits. */
#define SCREE_PRODUCT_DEPTH_S16 256

/* Rows of activations for scree_product_s32. */
struct scree_product_rows {
    int16_t x[SCREE_PRODUCT_ROWS][SCREE_PRODUCT_DEPTH];
};

/* Sums of products, a row of weights beside the other. */
struct scree_product_sums {
    int32_t sum[SCREE_PRODUCT_ROWS][SCREE_PRODUCT_CHANNELS];
};

/* sums->sum[p][j] = sum over i < depth of rows->x[p][i] * w(j, i), for p < n_rows, j < n_channels,
 * where w(j, i) is weights[j * stride + i] ^ flip taken as a signed byte: flip 0 for int8 weights,
 * 0x80 for uint8 weights less 128.
 *
 * rows        s16[n_rows][depth], n_rows in [1, SCREE_PRODUCT_ROWS]
 * weights     u8[n_channels][stride], reads depth bytes of each row; any alignment
 * n_channels  at most SCREE_PRODUCT_CHANNELS
 * depth       at most SCREE_PRODUCT_DEPTH if |x| <= 255, else SCREE_PRODUCT_DEPTH_S16: then no sum
 *             leaves 32 bits (2048 * 255 * 128 < 2^27; 256 * 2^15 * 2^7 = 2^30)
 *
 * Cannot fail. Integer sums, so any order of the additions gives the same bits. */
void scree_product_s32(struct scree_product_sums *sums, const struct scree_product_rows *rows,
                       int n_rows, const uint8_t *weights, size_t stride, int n_channels,
                       size_t depth, uint8_t flip);

/* The sum of x s16[n], n at most 2^16. */
int32_t scree_sum_s16(const int16_t *x, size_t n);

#endif
