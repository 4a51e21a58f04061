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

/* A point between two pixels of a line or column: their offsets in elements, and their weights,
 * which add up to 2^bits. */
struct scree_blend_point {
    uint32_t first, second;
    uint16_t weights[2];
};

/* The most that the bits of both dimensions may add up to, so that 16 bits hold every sum. */
#define SCREE_BLEND_MAX_BITS_U8 8
#define SCREE_BLEND_MAX_BITS_I8 7

/* Where the output's columns (or, not `columns`, lines) lie, if their distances to the pixels
 * before them are whole numbers of 2^-bits for some bits <= max_bits, as when a picture is doubled.
 * Then no product of scree_resize_bilinear_u8 is rounded, and sums of integers give the same.
 * Offsets are multiples of `pitch`. `in_1024ths`: distances as scree_resize_bilinear_i8 has them.
 *
 * ret_points  [out_w] or [out_h]
 *
 * Returns the bits, or -1 if there is no such number. */
int scree_blend_points(const struct scree_resizing *resizing, bool columns, bool in_1024ths,
                       int max_bits, uint32_t pitch, struct scree_blend_point *ret_points);

/* v[i] = a[i] * weights[0] + b[i] * weights[1] for i < n, of u8 or of s8 (then v is s16).
 * v u16[n], a, b u8[n]; v does not overlap them. Cannot fail. */
void scree_blend_lines_u8(uint16_t *v, const uint8_t *a, const uint8_t *b, const uint16_t *weights,
                          size_t n);
void scree_blend_lines_i8(uint16_t *v, const uint8_t *a, const uint8_t *b, const uint16_t *weights,
                          size_t n);

/* out[i * c + k] = round((v[x[i].first + k] * x[i].weights[0] +
 *                         v[x[i].second + k] * x[i].weights[1]) / 2^shift)
 *
 * out    u8[n][c]; halves are rounded up. Or s8, of s16 v: halves away from zero
 * v      u16[], readable 32 elements beyond the last one that the points name
 * x      [n] with offsets below 2^31; c >= 1
 * shift  in [0, SCREE_BLEND_MAX_BITS_U8] or _I8, the bits of both dimensions
 *
 * Cannot fail. */
typedef void scree_blend_fn(uint8_t *out, const uint16_t *v, const struct scree_blend_point *x,
                            size_t n, size_t c, int shift);
scree_blend_fn scree_blend_u8, scree_blend_i8;

/* The same row with each element copied from the nearest pixel: elements of element_bytes. */
void scree_resize_nearest(const struct scree_resizing *resizing, size_t element_bytes,
                          const void *in, void *out, size_t row);

#endif
