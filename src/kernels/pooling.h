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
};

/* Row `row` (picture row / out_h, line row % out_h) of the mean over what of each window lies in
 * the picture, rounded to the nearest, halves away from zero, and limited to [min, max].
 *
 * in   [n][in_h][in_w][c], the picture
 * out  [n][out_h][out_w][c]; only the row is written
 * The sum is that of an int32 and wraps beyond it (windows of more than 2^15 int16 can).
 *
 * Cannot fail. Source: TFLite reference/pooling.h and reference/integer_ops/pooling.h. */
void scree_average_pool_u8(const struct scree_pooling *pooling, const uint8_t *in, uint8_t *out,
                           size_t row, int32_t min, int32_t max);
void scree_average_pool_i8(const struct scree_pooling *pooling, const int8_t *in, int8_t *out,
                           size_t row, int32_t min, int32_t max);
void scree_average_pool_i16(const struct scree_pooling *pooling, const int16_t *in, int16_t *out,
                            size_t row, int32_t min, int32_t max);

/* The same, not rounded; sums in the order of the window's rows. */
void scree_average_pool_f32(const struct scree_pooling *pooling, const float *in, float *out,
                            size_t row, float min, float max);

/* The largest element of each window, limited to [min, max]. A NaN in the window is passed over. */
void scree_max_pool_u8(const struct scree_pooling *pooling, const uint8_t *in, uint8_t *out,
                       size_t row, int32_t min, int32_t max);
void scree_max_pool_i8(const struct scree_pooling *pooling, const int8_t *in, int8_t *out,
                       size_t row, int32_t min, int32_t max);
void scree_max_pool_i16(const struct scree_pooling *pooling, const int16_t *in, int16_t *out,
                        size_t row, int32_t min, int32_t max);
void scree_max_pool_f32(const struct scree_pooling *pooling, const float *in, float *out,
                        size_t row, float min, float max);

/* sqrt(mean of squares) of each window, limited to [min, max]. */
void scree_l2_pool_f32(const struct scree_pooling *pooling, const float *in, float *out, size_t row,
                       float min, float max);

#endif
