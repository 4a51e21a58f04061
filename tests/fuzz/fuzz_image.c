/* Pictures from strangers: any bytes give a picture or one error. What was decoded is turned,
 * resized, labelled and encoded as well, and a PNG of it must come back the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "media/draw.h"
#include "media/exif.h"
#include "media/image.h"
#include "media/resize.h"

/* Small, so that a case takes milliseconds; the files decide about the rest. */
static const struct scree_image_options options = {.max_pixels = 1 << 16, .orient = true};

static void check_png(const struct scree_image *image)
{
    struct scree_image back;
    uint8_t *bytes;
    size_t n_bytes;

    if (scree_image_encode_png(image, &bytes, &n_bytes, NULL) < 0)
        return;
    if (scree_image_read(bytes, n_bytes, NULL, &back, NULL) < 0)
        abort();
    if (memcmp(back.pixels, image->pixels, 3 * (size_t)image->w * (size_t)image->h) != 0)
        abort();
    free(bytes);
    scree_image_done(&back);
}

static void use(struct scree_image *image)
{
    struct scree_image small = {0};

    if (scree_image_new(13, 11, 3, &small, NULL) < 0)
        return;
    if (scree_image_fit(image, SCREE_FIT_LETTERBOX, SCREE_FILTER_BILINEAR, NULL, &small, NULL,
                        NULL) == 0)
        scree_draw_tag(&small, 3, 3, "tag", 1, scree_draw_palette(small.pixels[0]));
    check_png(&small);
    scree_image_done(&small);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_error err = {""};
    struct scree_image image;
    int32_t orientation = scree_exif_orientation(bytes, n_bytes);

    if (orientation < 1 || orientation > 8)
        abort();
    if (scree_image_read(bytes, n_bytes, &options, &image, &err) < 0) {
        if (!err.text[0])
            abort();
        return 0;
    }
    use(&image);
    scree_image_done(&image);
    return 0;
}
