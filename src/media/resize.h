/* media/resize.h - pictures to the size a model wants.
 *
 *     struct scree_fit fit;
 *     scree_image_new(320, 320, 3, &input, &err);
 *     scree_image_fit(&photo, SCREE_FIT_LETTERBOX, SCREE_FILTER_BILINEAR, gray114, &input, &fit,
 *                     &err);
 *     ... run the model on input ...
 *     scree_fit_to_source(&fit, &x, &y);
 *
 * The bits are Pillow's: Image.resize((w, h), BILINEAR or NEAREST) gives the same bytes, up to its
 * version 12. From 13 on Pillow goes along the columns first when the height shrinks much more than
 * the width, which rounds some bytes the other way.
 *
 * A struct scree_rect (scree.h, as struct scree_fit and enum scree_fit_mode) is legal where used if
 * it lies inside the image and w and h are at least 1.
 *
 * Memory: one allocation for the call, a few rows of the result. Threads: no shared state. */
#ifndef SCREE_MEDIA_RESIZE_H
#define SCREE_MEDIA_RESIZE_H

#include "media/image.h"

enum scree_filter {
    /* A triangle whose half width is the scale when the picture shrinks (so every source pixel
     * counts) and 1 pixel when it grows. */
    SCREE_FILTER_BILINEAR,
    /* The source pixel under the middle of the target pixel. */
    SCREE_FILTER_NEAREST,
};

/* dst_rect of `dst` = src_rect of `src`, resized. Other pixels of dst stay.
 *
 * src, dst  same number of channels; not the same image
 * Errors: EINVAL (a rectangle not inside its image, channels), ENOMEM; dst is untouched then. */
int scree_image_resize_rect(const struct scree_image *src, struct scree_rect src_rect,
                            enum scree_filter filter, struct scree_image *dst,
                            struct scree_rect dst_rect, struct scree_error *err);

/* All of dst = all of src, resized with SCREE_FILTER_BILINEAR. Errors as above. */
int scree_image_resize(const struct scree_image *src, struct scree_image *dst,
                       struct scree_error *err);

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

/* Fills `dst` with `src` by scree_fit_plan().
 *
 * pad  u8[channels of dst], for SCREE_FIT_LETTERBOX; NULL is black
 * ret_fit  may be NULL
 * Errors: as scree_image_resize_rect(). */
int scree_image_fit(const struct scree_image *src, enum scree_fit_mode mode,
                    enum scree_filter filter, const uint8_t *pad, struct scree_image *dst,
                    struct scree_fit *ret_fit, struct scree_error *err);

#endif
