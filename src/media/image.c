#include "media/image.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "media/decode.h"

/* A file larger than this is not read: the largest legal picture of the default limits as plain
 * text PPM is smaller. */
#define MAX_FILE_BYTES ((size_t)1 << 30)

/* So many rows are passed on at a time: as many as libjpeg has of each row of blocks, and as the
 * resizer takes. */
#define ROWS_AT_ONCE 16

static const struct scree_image_options defaults;

/* In the order of enum scree_image_format. */
static const struct scree_decoder *const decoders[] = {
    &scree_jpeg_decoder, &scree_png_decoder, &scree_webp_decoder,
    &scree_bmp_decoder,  &scree_pnm_decoder,
};

static bool is_side(int32_t n)
{
    return n >= 1 && n <= SCREE_IMAGE_SIDE_END;
}

int scree_image_new(int32_t w, int32_t h, int32_t channels, struct scree_image *ret_image,
                    struct scree_error *err)
{
    size_t n_bytes;
    uint8_t *pixels;

    if (!is_side(w) || !is_side(h) || (channels != 1 && channels != 3))
        return scree_fail(err, EINVAL, "an image cannot be %d x %d with %d channels", w, h,
                          channels);
    if (!scree_mul_size((size_t)w * (size_t)channels, (size_t)h, &n_bytes))
        return scree_fail_memory(err, SIZE_MAX);
    pixels = calloc(n_bytes, 1);
    if (!pixels)
        return scree_fail_memory(err, n_bytes);
    *ret_image = (struct scree_image){.w = w, .h = h, .channels = channels, .pixels = pixels};
    return 0;
}

void scree_image_done(struct scree_image *image)
{
    free(image->pixels);
    *image = (struct scree_image){0};
}

int scree_image_probe(const uint8_t *bytes, size_t n_bytes, struct scree_image_info *ret_info,
                      struct scree_error *err)
{
    struct scree_image_info info = {.orientation = 1, .shrink = 1};
    int rc;

    for (size_t i = 0; i < sizeof decoders / sizeof decoders[0]; i++) {
        if (!decoders[i]->matches(bytes, n_bytes))
            continue;
        info.format = (enum scree_image_format)i;
        rc = decoders[i]->probe(bytes, n_bytes, &info, err);
        if (rc < 0)
            return rc;
        assert(info.w >= 1 && info.h >= 1);
        *ret_info = info;
        return 0;
    }
    return scree_fail(err, ENOTSUP, "not a JPEG, PNG, WebP, BMP, PPM or PGM picture");
}

static int check_limits(const struct scree_image_info *info,
                        const struct scree_image_options *options, struct scree_error *err)
{
    uint64_t max_pixels = options->max_pixels ? options->max_pixels : SCREE_IMAGE_MAX_PIXELS;
    int32_t max_side = options->max_side ? options->max_side : SCREE_IMAGE_MAX_SIDE;
    uint64_t n_pixels = (uint64_t)info->w * (uint64_t)info->h;

    if (max_side < 0)
        return scree_fail(err, EINVAL, "max_side is %d", max_side);
    max_side = scree_min_i32(max_side, SCREE_IMAGE_SIDE_END);
    if (info->w > max_side || info->h > max_side)
        return scree_fail(err, E2BIG, "%d x %d pixels: a side is over the limit of %d", info->w,
                          info->h, max_side);
    if (n_pixels > max_pixels)
        return scree_fail(err, E2BIG, "%d x %d pixels are over the limit of %llu", info->w, info->h,
                          (unsigned long long)max_pixels);
    return 0;
}

/* By how much a JPEG may be decoded smaller. */
static int32_t find_shrink(const struct scree_image_info *info, int32_t enough)
{
    int32_t shrink = 1;

    if (enough <= 0 || info->format != SCREE_IMAGE_JPEG)
        return 1;
    while (shrink < 8 && scree_image_shrunk(info->w, 2 * shrink) >= enough &&
           scree_image_shrunk(info->h, 2 * shrink) >= enough)
        shrink *= 2;
    return shrink;
}

static int check_bytes(int32_t w, int32_t h, uint64_t max_bytes, struct scree_error *err)
{
    uint64_t n_bytes = 3 * (uint64_t)w * (uint64_t)h;

    if (max_bytes == 0 || n_bytes <= max_bytes)
        return 0;
    return scree_fail(err, E2BIG, "%d x %d pixels are %llu bytes, over the limit of %llu", w, h,
                      (unsigned long long)n_bytes, (unsigned long long)max_bytes);
}

/* What is to be read of a file: *ret_info, with shrink, and the size of the decoded picture. */
static int plan(const uint8_t *bytes, size_t n_bytes, const struct scree_image_options *options,
                struct scree_image_info *ret_info, int32_t *ret_w, int32_t *ret_h,
                struct scree_error *err)
{
    int rc = scree_image_probe(bytes, n_bytes, ret_info, err);

    if (rc == 0)
        rc = check_limits(ret_info, options, err);
    if (rc < 0)
        return rc;
    ret_info->shrink = find_shrink(ret_info, options->enough);
    *ret_w = scree_image_shrunk(ret_info->w, ret_info->shrink);
    *ret_h = scree_image_shrunk(ret_info->h, ret_info->shrink);
    return check_bytes(*ret_w, *ret_h, options->max_bytes, err);
}

/* Decodes as planned and turns it if that is asked. */
static int read_whole(const uint8_t *bytes, size_t n_bytes, const struct scree_image_info *info,
                      int32_t w, int32_t h, bool orient, struct scree_image *ret_image,
                      struct scree_error *err)
{
    struct scree_image image = {0};
    struct scree_rows rows = {.row_bytes = 3 * (size_t)w, .n_room = h};
    int rc = scree_image_new(w, h, 3, &image, err);

    if (rc < 0)
        return rc;
    rows.pixels = image.pixels;
    rc = decoders[info->format]->decode(bytes, n_bytes, info, &rows, err);
    if (rc == 0 && orient)
        rc = scree_image_orient(&image, info->orientation, err);
    if (rc < 0) {
        scree_image_done(&image);
        return rc;
    }
    *ret_image = image;
    return 0;
}

int scree_image_read(const uint8_t *bytes, size_t n_bytes,
                     const struct scree_image_options *options, struct scree_image *ret_image,
                     struct scree_error *err)
{
    struct scree_image_info info;
    int32_t w, h;
    int rc;

    if (!options)
        options = &defaults;
    rc = plan(bytes, n_bytes, options, &info, &w, &h, err);
    if (rc < 0)
        return rc;
    return read_whole(bytes, n_bytes, &info, w, h, options->orient, ret_image, err);
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static void pass_on(struct scree_rows *rows)
{
    if (rows->n > 0)
        rows->sink->put(rows->sink, rows->pixels, rows->n);
    rows->n = 0;
}

void scree_rows_add(struct scree_rows *rows)
{
    assert(rows->n < rows->n_room);
    rows->n++;
    if (rows->sink && rows->n == rows->n_room)
        pass_on(rows);
}

static int read_in_order(const uint8_t *bytes, size_t n_bytes, const struct scree_image_info *info,
                         int32_t w, int32_t h, struct scree_image_sink *sink,
                         struct scree_error *err)
{
    struct scree_rows rows = {.row_bytes = 3 * (size_t)w, .sink = sink};
    size_t room_bytes;
    uint8_t *room;
    int rc;

    rows.n_room = scree_min_i32(ROWS_AT_ONCE, h);
    room_bytes = (size_t)rows.n_room * rows.row_bytes + 1;
    room = malloc(room_bytes);
    if (!room)
        return scree_fail_memory(err, room_bytes);
    /* From an aligned address on libjpeg-turbo writes past the caches, and these rows are read at
     * once: so they are not aligned. Source: its simd/x86_64/jdcolext-avx2.asm. */
    rows.pixels = room + 1;
    rc = sink->begin(sink, info, w, h, err);
    if (rc >= 0)
        rc = decoders[info->format]->decode(bytes, n_bytes, info, &rows, err);
    if (rc >= 0)
        pass_on(&rows);
    free(room);
    return rc;
}

int scree_image_read_rows(const uint8_t *bytes, size_t n_bytes,
                          const struct scree_image_options *options, struct scree_image_sink *sink,
                          struct scree_error *err)
{
    struct scree_image_info info;
    struct scree_image image;
    int32_t w, h;
    int rc;

    if (!options)
        options = &defaults;
    rc = plan(bytes, n_bytes, options, &info, &w, &h, err);
    if (rc < 0)
        return rc;
    if (info.in_order && !(options->orient && info.orientation != 1))
        return read_in_order(bytes, n_bytes, &info, w, h, sink, err);
    rc = read_whole(bytes, n_bytes, &info, w, h, options->orient, &image, err);
    if (rc < 0)
        return rc;
    rc = sink->begin(sink, &info, image.w, image.h, err);
    if (rc >= 0)
        sink->put(sink, image.pixels, image.h);
    scree_image_done(&image);
    return rc;
}

/* ---- files and pixels --------------------------------------------------------------------------
 */

int scree_image_read_file(const char *path, const struct scree_image_options *options,
                          struct scree_image *ret_image, struct scree_error *err)
{
    uint8_t *bytes;
    size_t n_bytes;
    int rc = scree_file_read(path, MAX_FILE_BYTES, &bytes, &n_bytes, err);

    if (rc < 0)
        return rc;
    rc = scree_image_read(bytes, n_bytes, options, ret_image, err);
    free(bytes);
    if (rc < 0)
        return scree_wrap(err, rc, "%s", path);
    return 0;
}

/* What an orientation does to the stored picture: pixel (x, y) of the upright one is (x, y), or
 * (y, x) if swapped, counted from the right if flip_x, from below if flip_y. */
static const struct {
    bool swap, flip_x, flip_y;
} turns[9] = {
    [2] = {.flip_x = true},
    [3] = {.flip_x = true, .flip_y = true},
    [4] = {.flip_y = true},
    [5] = {.swap = true},
    [6] = {.swap = true, .flip_y = true},
    [7] = {.swap = true, .flip_x = true, .flip_y = true},
    [8] = {.swap = true, .flip_x = true},
};

int scree_image_orient(struct scree_image *image, int32_t orientation, struct scree_error *err)
{
    ptrdiff_t channels = image->channels;
    ptrdiff_t step_x = channels, step_y = image->w * channels;
    const uint8_t *first = image->pixels;
    struct scree_image out;
    bool swap;
    int rc;

    assert(orientation >= 1 && orientation <= 8);
    if (orientation == 1)
        return 0;
    swap = turns[orientation].swap;
    rc = scree_image_new(swap ? image->h : image->w, swap ? image->w : image->h, image->channels,
                         &out, err);
    if (rc < 0)
        return rc;
    if (turns[orientation].flip_x) {
        first += (image->w - 1) * step_x;
        step_x = -step_x;
    }
    if (turns[orientation].flip_y) {
        first += (image->h - 1) * step_y;
        step_y = -step_y;
    }
    for (int32_t y = 0; y < out.h; y++) {
        const uint8_t *src = first + y * (swap ? step_x : step_y);
        uint8_t *dst = out.pixels + y * (out.w * channels);

        for (int32_t x = 0; x < out.w; x++) {
            memcpy(dst + x * channels, src, (size_t)channels);
            src += swap ? step_y : step_x;
        }
    }
    scree_image_done(image);
    *image = out;
    return 0;
}

void scree_pixels_to_gray(const uint8_t *rgb, size_t n, uint8_t *luma)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *p = rgb + 3 * i;

        luma[i] = (uint8_t)((19595u * p[0] + 38470u * p[1] + 7471u * p[2] + 32768u) >> 16);
    }
}
