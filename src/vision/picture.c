/* Pictures of the public API, and how they come into a session's input. */
#include <stdlib.h>

#include "media/image.h"
#include "media/normalize.h"
#include "media/resize.h"
#include "vision/tensor.h"

/* Moves *image, whose pixels it takes over, to the heap. */
static int to_heap(struct scree_image *image, struct scree_image **ret_image,
                   struct scree_error *err)
{
    struct scree_image *moved = malloc(sizeof *moved);

    if (!moved) {
        scree_image_done(image);
        return scree_fail_memory(err, sizeof *moved);
    }
    *moved = *image;
    *ret_image = moved;
    return 0;
}

int scree_image_open(const char *path, bool upright, struct scree_image **ret_image,
                     struct scree_error *err)
{
    struct scree_image_options options = {.orient = upright};
    struct scree_image image;
    int rc;

    rc = scree_image_read_file(path, &options, &image, err);
    return rc < 0 ? rc : to_heap(&image, ret_image, err);
}

int scree_image_open_memory(const void *bytes, size_t n_bytes, bool upright,
                            struct scree_image **ret_image, struct scree_error *err)
{
    struct scree_image_options options = {.orient = upright};
    struct scree_image image;
    int rc;

    rc = scree_image_read(bytes, n_bytes, &options, &image, err);
    return rc < 0 ? rc : to_heap(&image, ret_image, err);
}

void scree_image_free(struct scree_image *image)
{
    if (image)
        scree_image_done(image);
    free(image);
}

int32_t scree_image_width(const struct scree_image *image)
{
    return image->w;
}

int32_t scree_image_height(const struct scree_image *image)
{
    return image->h;
}

const uint8_t *scree_image_pixels(const struct scree_image *image)
{
    return image->pixels;
}

/* ---- into an input -----------------------------------------------------------------------------
 */

static int picture_sides(const struct scree_tensor *t, struct scree_sides *ret,
                         struct scree_error *err)
{
    if (!scree_tensor_picture(t, ret))
        return scree_fail(err, ENOTSUP, "an input that is not [1, h, w, 1 or 3] takes no picture");
    if (ret->h > SCREE_IMAGE_MAX_SIDE || ret->w > SCREE_IMAGE_MAX_SIDE)
        return scree_fail(err, E2BIG, "an input of %d x %d is over %d on a side", ret->w, ret->h,
                          SCREE_IMAGE_MAX_SIDE);
    return 0;
}

static int normalization(const struct scree_tensor *t, const struct scree_picture_options *options,
                         struct scree_normalization *ret, struct scree_error *err)
{
    if (t->n_scales > 1)
        return scree_fail(err, ENOTSUP, "an input quantized per channel takes no picture");
    if (options->n_values == 0)
        return scree_normalization_default(t->type, t->scale, t->zero_point, ret, err);
    return scree_normalization_affine(t->type, t->scale, t->zero_point, options->mean, options->std,
                                      options->n_values, ret, err);
}

/* Fits the picture into `target` (RGB, of the input's size) and writes that to the tensor. */
static int fill(const struct scree_image *image, const struct scree_picture_options *options,
                const struct scree_normalization *numbers, struct scree_image *target,
                const struct scree_sides *sides, const struct scree_tensor *t,
                struct scree_fit *ret_fit, struct scree_error *err)
{
    static const uint8_t gray[3] = {114, 114, 114};
    size_t n_pixels = (size_t)sides->h * (size_t)sides->w;
    struct scree_image luma = {0};
    int rc;

    if (sides->c == 1) {
        rc = scree_image_new(sides->w, sides->h, 1, &luma, err);
        if (rc < 0)
            return rc;
    }
    rc = scree_image_fit(image, options->fit, SCREE_FILTER_BILINEAR, gray, target, ret_fit, err);
    if (rc == 0 && sides->c == 1)
        scree_image_to_gray(target, &luma);
    if (rc == 0)
        scree_normalize(numbers, sides->c == 1 ? luma.pixels : target->pixels, n_pixels, sides->c,
                        t->data);
    scree_image_done(&luma);
    return rc;
}

int scree_tensor_set_image(const struct scree_tensor *t, const struct scree_image *image,
                           const struct scree_picture_options *options, struct scree_fit *ret_fit,
                           struct scree_error *err)
{
    static const struct scree_picture_options defaults = {0};
    struct scree_normalization numbers;
    struct scree_image target;
    struct scree_fit fit;
    struct scree_sides sides = {0};
    int rc;

    if (!options)
        options = &defaults;
    if ((uint32_t)options->fit > SCREE_FIT_CROP)
        return scree_fail(err, EINVAL, "fit %d is none", (int)options->fit);
    rc = picture_sides(t, &sides, err);
    if (rc == 0)
        rc = normalization(t, options, &numbers, err);
    if (rc == 0)
        rc = scree_image_new(sides.w, sides.h, 3, &target, err);
    if (rc < 0)
        return rc;
    rc = fill(image, options, &numbers, &target, &sides, t, &fit, err);
    scree_image_done(&target);
    if (rc == 0 && ret_fit)
        *ret_fit = fit;
    return rc;
}

int scree_session_set_image(struct scree_session *session, uint32_t index,
                            const struct scree_image *image,
                            const struct scree_picture_options *options, struct scree_fit *ret_fit,
                            struct scree_error *err)
{
    struct scree_tensor t;

    if (scree_session_input(session, index, &t) < 0)
        return scree_fail(err, EINVAL, "input %u of %u", index, scree_session_n_inputs(session));
    return scree_tensor_set_image(&t, image, options, ret_fit, err);
}
