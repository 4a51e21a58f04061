/* Pictures of the public API. */
#include <stdlib.h>

#include "media/image.h"

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
