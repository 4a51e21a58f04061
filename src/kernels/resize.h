/* kernels/resize.h - pictures in another size, as TFLite's RESIZE operators compute them.
 *
 * Each function computes one row of the output, so threads can share the rows. The output's pixel
 * (y, x) lies at (y * scale_h, x * scale_w) of the input, or, with half_pixel_centers, at
 * ((y + 0.5) * scale_h - 0.5, ...); scale is in / out, or (in - 1) / (out - 1) with align_corners.
 *
 * Memory: keeps nothing, allocates nothing. Threads: rows may be computed at once.
 * Source: TFLite reference/resize_bilinear.h and reference/resize_nearest_neighbor.h. */
#ifndef SCREE_KERNELS_RESIZE_H
#define SCREE_KERNELS_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pictures n x h x w x c; all sizes >= 1. */
struct scree_resizing {
    int32_t n, in_h, in_w, c;
    int32_t out_h, out_w;
    bool align_corners, half_pixel_centers;
};

/* Row `row` (picture row / out_h, line row % out_h), each element between its four neighbours by
 * float weights; u8 rounds by adding 0.5. An index beyond the last pixel, which rounding of the
 * scale can give, is the last pixel.
 *
 * in   [n][in_h][in_w][c]
 * out  [n][out_h][out_w][c]; only the row is written
 *
 * Cannot fail. */
void scree_resize_bilinear_f32(const struct scree_resizing *resizing, const float *in, float *out,
                               size_t row);
void scree_resize_bilinear_u8(const struct scree_resizing *resizing, const uint8_t *in,
                              uint8_t *out, size_t row);

/* The same with weights in 1024ths, rounded halves away from zero: what TFLite does for signed
 * types. */
void scree_resize_bilinear_i8(const struct scree_resizing *resizing, const int8_t *in, int8_t *out,
                              size_t row);
void scree_resize_bilinear_i16(const struct scree_resizing *resizing, const int16_t *in,
                               int16_t *out, size_t row);

/* The same row with each element copied from the nearest pixel: elements of element_bytes. */
void scree_resize_nearest(const struct scree_resizing *resizing, size_t element_bytes,
                          const void *in, void *out, size_t row);

#endif
