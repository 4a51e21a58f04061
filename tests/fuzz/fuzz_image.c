/* Pictures from strangers: any bytes give a picture or one error, read whole or by rows. What was
 * decoded is turned, resized, labelled and encoded as well, and a PNG of it must come back the
 * same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "media/draw.h"
#include "media/exif.h"
#include "media/image.h"
#include "vision/tensor.h"

/* Small, so that a case takes milliseconds; the files decide about the rest. */
static const struct scree_image_options options = {.max_pixels = 1 << 16, .orient = true};
static const struct scree_picture_options fit = {.fit = SCREE_FIT_LETTERBOX};

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

/* A model's input. */
struct input {
    uint8_t bytes[11 * 13 * 3];
    struct scree_tensor tensor;
};

static void input_init(struct input *input)
{
    *input = (struct input){.tensor = {.type = SCREE_TYPE_UINT8,
                                       .shape = {3, {11, 13, 3}},
                                       .bytes = sizeof input->bytes}};
    input->tensor.data = input->bytes;
}

/* What came row by row is what the whole picture gives. */
static void use(const struct scree_image *image, struct input *by_rows)
{
    struct input whole;
    struct scree_image small = {13, 11, 3, by_rows->bytes};

    input_init(&whole);
    if (scree_tensor_set_image(&whole.tensor, image, &fit, NULL, NULL) < 0)
        return;
    if (memcmp(whole.bytes, by_rows->bytes, sizeof whole.bytes) != 0)
        abort();
    scree_draw_tag(&small, 3, 3, "tag", 1, scree_draw_palette(small.pixels[0]));
    check_png(&small);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_error err = {""}, rows_err = {""};
    struct scree_tensor_read read;
    struct scree_image image;
    struct input input;
    int32_t orientation = scree_exif_orientation(bytes, n_bytes);
    int rc;

    if (orientation < 1 || orientation > 8)
        abort();
    input_init(&input);
    rc = scree_tensor_read_image(&input.tensor, bytes, n_bytes, &options, &fit, &read, &rows_err);
    if (scree_image_read(bytes, n_bytes, &options, &image, &err) < 0) {
        if (!err.text[0] || rc >= 0 || strcmp(err.text, rows_err.text) != 0)
            abort();
        return 0;
    }
    if (rc < 0)
        abort();
    use(&image, &input);
    scree_image_done(&image);
    return 0;
}
