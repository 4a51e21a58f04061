/* kernels/pooling.h - a window slid over pictures, one number out of each: the mean, the largest or
 * the root of the mean square, channel by channel.
 *
 * Each function computes one row of the output, so threads can share the rows.
 * Memory: keeps nothing, allocates nothing. Threads: rows may be computed at once. */
#ifndef SCREE_KERNELS_POOLING_H
#define SCREE_KERNELS_POOLING_H

#include <stddef.h>
#include <stdint.h>

/* Pictures n x h x w x c. Each window that an output pixel stands for overlaps the picture by one
 * pixel at least: so it is with padding as TFLite computes it. */
struct scree_pooling {
    int32_t n, in_h, in_w, c;
    int32_t out_h, out_w;
    int32_t filter_h, filter_w; /* >= 1 */
    int32_t stride_h, stride_w; /* >= 1 */
    int32_t pad_top, pad_left;
    int32_t min, max; /* outputs are limited to these: of integers, in the range of the type */
    float min_f32, max_f32; /* of floats */
};

/* Row `row` (picture row / out_h, line row % out_h) of the output.
 *
 * in   [n][in_h][in_w][c], the picture; nothing is read outside
 * out  [n][out_h][out_w][c], of the same type; only the row is written
 *
 * Cannot fail. Source: TFLite reference/pooling.h and reference/integer_ops/pooling.h. */
typedef void scree_pooling_row_fn(const struct scree_pooling *pooling, const void *in, void *out,
                                  size_t row);

/* The mean over what of each window lies in the picture, rounded to the nearest, halves away from
 * zero. The sum is that of an int32 and wraps beyond it (windows of more than 2^15 int16 can). */
scree_pooling_row_fn scree_average_pool_u8, scree_average_pool_i8, scree_average_pool_i16;

/* The same, not rounded; sums in the order of the window's rows. */
scree_pooling_row_fn scree_average_pool_f32;

/* The largest element of each window. A NaN in the window is passed over. */
scree_pooling_row_fn scree_max_pool_u8, scree_max_pool_i8, scree_max_pool_i16, scree_max_pool_f32;

/* sqrt(mean of squares) of each window. */
scree_pooling_row_fn scree_l2_pool_f32;

#endif
