/* media/resize.h - pictures to the size a model wants, row by row.
 *
 *     struct scree_fit fit = scree_fit_plan(SCREE_FIT_LETTERBOX, w, h, 320, 320);
 *     scree_resizer_new(fit.src.w, fit.src.h, fit.dst.w, fit.dst.h, &resizer, &err);
 *     while (rows of the source are left) {
 *         scree_resizer_push(resizer, rows, stride_bytes, n_rows);
 *         while (scree_resizer_pull(resizer, place for the next row of the result))
 *             ...
 *     }
 *     scree_resizer_free(resizer);
 *
 * The bits are Pillow's: Image.resize((w, h), BILINEAR) gives the same bytes, up to its version 12.
 * From 13 on Pillow goes along the columns first when the height shrinks much more than the width,
 * which rounds some bytes the other way. The filter is a triangle whose half width is the scale
 * when the picture shrinks (so every source pixel counts) and 1 pixel when it grows.
 *
 * Memory: the weights, and a few rows of the result. Threads: no shared state. */
#ifndef SCREE_MEDIA_RESIZE_H
#define SCREE_MEDIA_RESIZE_H

#include "media/image.h"

/* A picture of RGB on its way to another size. */
struct scree_resizer;

/* From src_w x src_h to dst_w x dst_h pixels, all in [1, SCREE_IMAGE_SIDE_END].
 * ret_resizer  freed with scree_resizer_free()
 * Errors: ENOMEM. */
int scree_resizer_new(int32_t src_w, int32_t src_h, int32_t dst_w, int32_t dst_h,
                      struct scree_resizer **ret_resizer, struct scree_error *err);

/* Accepts NULL. */
void scree_resizer_free(struct scree_resizer *resizer);

/* The most rows that are taken at once: the kernel prepares its weights for each call. */
#define SCREE_RESIZER_ROWS 16

/* Takes the next rows of the source, u8[n_rows][src_w][3], a row every stride_bytes, after
 * scree_resizer_pull() said that there is no more. n_rows in [1, SCREE_RESIZER_ROWS]; no more than
 * src_h in all. Cannot fail. */
void scree_resizer_push(struct scree_resizer *resizer, const uint8_t *rows, size_t stride_bytes,
                        int32_t n_rows);

/* The next row of the result, u8[dst_w][3], if the rows so far are enough for it; false and nothing
 * written if not, or if that were all. After src_h rows of the source all dst_h have come. */
bool scree_resizer_pull(struct scree_resizer *resizer, uint8_t *row);

/* Where `mode` puts a picture of src_w x src_h in a target of dst_w x dst_h; all in [1,
 * SCREE_IMAGE_SIDE_END]. Letterbox: the scale is min(dst_w / src_w, dst_h / src_h), the sides are
 * rounded to the nearest pixel (at least 1) and an odd pixel of padding goes right or below, as in
 * YOLOv5's letterbox(). Cannot fail. */
struct scree_fit scree_fit_plan(enum scree_fit_mode mode, int32_t src_w, int32_t src_h,
                                int32_t dst_w, int32_t dst_h);

/* Turns a point of the target into the same point of the source, in pixels:
 *
 *     x = src.x + (x - dst.x) * src.w / dst.w        and y likewise
 *
 * Points in the padding give points outside of the source. Cannot fail. */
void scree_fit_to_source(const struct scree_fit *fit, float *x, float *y);

#endif
