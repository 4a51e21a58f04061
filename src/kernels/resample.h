/* kernels/resample.h - pictures in another size by weights of 22 bits, as Pillow does.
 *
 * Each byte of the result is clamp((2^21 + sum_j source_j * weight_j) >> 22) to [0, 255], where the
 * weights, >= 0, add up to about 2^22, so that no sum leaves an int32.
 *
 * Memory: keeps nothing, allocates nothing. Threads: no shared state. */
#ifndef SCREE_KERNELS_RESAMPLE_H
#define SCREE_KERNELS_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#define SCREE_RESAMPLE_BITS 22

/* How each of n_out pixels of a line is made: of n_taps[i] >= 1 pixels from first[i] on, with
 * weights[i * stride ...], each in [0, 2^22]; the weights from n_taps[i] to stride are 0, and
 * stride is a multiple of 4. */
struct scree_resample_taps {
    int32_t n_out, stride;
    int32_t *first, *n_taps, *weights;
};

/* Rows of RGB, several at once, because what is made of the taps first then serves all of them.
 *
 * in          u8[n_rows][n_in][3], a row every in_stride bytes; nothing outside of the rows is
 *             read; taps are inside
 * out         u8[n_rows][taps->n_out][3], a row every out_stride bytes; no part of `in`
 * n_rows      >= 1
 *
 * Cannot fail. Source: Pillow, src/libImaging/Resample.c. */
typedef void scree_resample_rgb_fn(const struct scree_resample_taps *taps, const uint8_t *in,
                                   size_t in_stride, int32_t n_in, int32_t n_rows, uint8_t *out,
                                   size_t out_stride);
scree_resample_rgb_fn scree_resample_rgb;

/* A row of rows: out[i] is made of rows[j][i], j < n_rows, with weights[j].
 *
 * rows     [n_rows], u8[n] each
 * weights  s32[n_rows], each in [0, 2^22]
 * out      u8[n]; no part of a row
 *
 * Cannot fail. */
typedef void scree_resample_rows_fn(const uint8_t *const *rows, const int32_t *weights,
                                    int32_t n_rows, uint8_t *out, size_t n);
scree_resample_rows_fn scree_resample_rows;

/* Pixels [i, end) of a row and bytes [i, n) of a row of rows, for variants that leave some. */
void scree_resample_rgb_part(const struct scree_resample_taps *taps, const uint8_t *in,
                             uint8_t *out, int32_t i, int32_t end);
void scree_resample_rows_from(const uint8_t *const *rows, const int32_t *weights, int32_t n_rows,
                              uint8_t *out, size_t i, size_t n);

#endif
