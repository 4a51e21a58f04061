/* media/image.h - pictures in memory, and the files they come from.
 *
 * A picture is w * h pixels of 3 (RGB) or 1 (gray) bytes, row by row from the top, without padding.
 * Every file is decoded to RGB, as Pillow's Image.open(...).convert("RGB") does: palettes expanded,
 * alpha dropped, gamma and colour profiles ignored, 16-bit samples of a PNG cut to their high byte.
 * One thing differs: gray of more than 8 bits keeps its shades here, Pillow makes all over 255
 * white.
 *
 *     struct scree_image image;
 *     if (scree_image_read_file("cat.jpg", NULL, &image, &err) < 0)
 *         return ...;
 *     ...
 *     scree_image_done(&image);
 *
 * The format is found from the first bytes, never from the name: JPEG (baseline, progressive and
 * arithmetic; gray, YCbCr, RGB, CMYK and YCCK), PNG, WebP (still pictures), BMP (1, 4, 8, 16, 24
 * and 32 bits; not RLE) and PPM/PGM (P2, P3, P5, P6).
 *
 * Memory: an image owns its pixels. Sizes are checked against the limits from the file's header,
 * before anything of the picture's size is allocated. The peak is 3 bytes a pixel for the result,
 * as much again while turning by EXIF, and what the decoder needs: up to 8 bytes a pixel for a
 * progressive JPEG, 4 for a WebP, rows for the others. scree_image_read_rows() can do without the
 * result.
 * Threads: no shared state. */
#ifndef SCREE_MEDIA_IMAGE_H
#define SCREE_MEDIA_IMAGE_H

#include "base/error.h"

/* pixels u8[h][w][channels]. Two of these never share pixels. All zero is a valid empty image. */
struct scree_image {
    int32_t w, h;
    int32_t channels; /* 3 (RGB) or 1 (gray) */
    uint8_t *pixels;
};

/* The limits when the options leave them 0: 64 million pixels are 192 MB; 16384 is about the most
 * that WebP can hold. */
#define SCREE_IMAGE_MAX_PIXELS 64000000
#define SCREE_IMAGE_MAX_SIDE   16384

/* No image is longer or wider, whatever the options say: it is the most that JPEG can hold, and
 * three times it fits int32_t. */
#define SCREE_IMAGE_SIDE_END 65535

/* How to read a file; all zero, or NULL, is the default. */
struct scree_image_options {
    uint64_t max_pixels; /* 0: SCREE_IMAGE_MAX_PIXELS */
    int32_t max_side;    /* 0: SCREE_IMAGE_MAX_SIDE; not negative */
    uint64_t max_bytes;  /* of decoded pixels; 0: what max_pixels gives */

    /* With a number of pixels here, a JPEG is decoded at a half, a quarter or an eighth of its size
     * as long as neither side is shorter than that. It takes less time and memory, and the pixels
     * are not those of the whole picture made smaller. 0: whole. */
    int32_t enough;

    /* Turn and mirror the picture as its EXIF orientation says (JPEG, PNG, WebP). The default is
     * not to: the pixels as they are stored, which is what Pillow's open() and TensorFlow's
     * decode_image give, so that a model gets the same bytes here as there. */
    bool orient;
};

enum scree_image_format {
    SCREE_IMAGE_JPEG,
    SCREE_IMAGE_PNG,
    SCREE_IMAGE_WEBP,
    SCREE_IMAGE_BMP,
    SCREE_IMAGE_PNM,
};

/* What the header of a file says. */
struct scree_image_info {
    enum scree_image_format format;
    int32_t w, h;        /* as stored, before any turning */
    int32_t orientation; /* EXIF's 1..8; 1 (upright) if there is none or it is out of range */
    int32_t shrink;      /* 1; 2, 4 or 8: what a JPEG is to be decoded at a fraction of */
    bool in_order;       /* rows come out one after the other, before all are there */
};

/* Allocates a black image. w, h in [1, SCREE_IMAGE_SIDE_END], channels 1 or 3.
 * Errors: EINVAL (the arguments), ENOMEM. Freed with scree_image_done(). */
int scree_image_new(int32_t w, int32_t h, int32_t channels, struct scree_image *ret_image,
                    struct scree_error *err);

/* Frees the pixels and zeroes the struct. Accepts an all-zero one. */
void scree_image_done(struct scree_image *image);

/* Reads the header of bytes u8[n_bytes]; allocates nothing of the picture's size and applies no
 * limits. Errors: ENOTSUP (not a format of the list above, or a kind of it that is not supported),
 * EBADMSG (damaged), ENOMEM. */
int scree_image_probe(const uint8_t *bytes, size_t n_bytes, struct scree_image_info *ret_info,
                      struct scree_error *err);

/* A side of w or h pixels at the fraction of info->shrink: rounded up, as libjpeg has it. */
static inline int32_t scree_image_shrunk(int32_t side, int32_t shrink)
{
    return side / shrink + (side % shrink != 0);
}

/* Decodes the picture in bytes u8[n_bytes] to RGB. A file that ends early is an error; damage that
 * a JPEG decoder steps over is not, as in Pillow.
 *
 * options  NULL for the defaults
 * ret_image  owned by the caller, freed with scree_image_done()
 * Errors: EBADMSG (damaged or cut short), ENOTSUP (not a format of the list above, or a kind of it
 * that is not supported: RLE BMP, animated WebP, 12-bit JPEG), E2BIG (over a limit), EINVAL
 * (options), ENOMEM. */
int scree_image_read(const uint8_t *bytes, size_t n_bytes,
                     const struct scree_image_options *options, struct scree_image *ret_image,
                     struct scree_error *err);

/* The same from a file, whose path is put before the error's text. Errors also: ENOENT, EACCES,
 * EIO. */
int scree_image_read_file(const char *path, const struct scree_image_options *options,
                          struct scree_image *ret_image, struct scree_error *err);

/* What takes the rows of a picture; the first member of a struct that has more. */
struct scree_image_sink {
    /* Called once, before all rows: `info` is the file's header, w x h the size of what comes,
     * decoded and turned. Errors: its own; they end the reading. */
    int (*begin)(struct scree_image_sink *sink, const struct scree_image_info *info, int32_t w,
                 int32_t h, struct scree_error *err);

    /* Takes the next n_rows rows, u8[n_rows][w][3]. Cannot fail. */
    void (*put)(struct scree_image_sink *sink, const uint8_t *rows, int32_t n_rows);
};

/* scree_image_read() without the whole picture in memory where that can be: JPEG, and PNG that is
 * not interlaced, give `sink` a few rows at a time while they are decoded. Of other files, and of
 * one that is turned, the picture is made and given to it at once.
 *
 * Errors: those of scree_image_read() and sink->begin(); rows may have been put before. */
int scree_image_read_rows(const uint8_t *bytes, size_t n_bytes,
                          const struct scree_image_options *options, struct scree_image_sink *sink,
                          struct scree_error *err);

/* Replaces `image` by itself turned and mirrored as EXIF's orientation 1..8 says, so that it stands
 * upright; 5..8 swap w and h. Errors: ENOMEM (the image is then as before). */
int scree_image_orient(struct scree_image *image, int32_t orientation, struct scree_error *err);

/* luma u8[n] = rgb u8[n][3] in gray, as Pillow's convert("L"):
 *
 *     (19595 * r + 38470 * g + 7471 * b + 32768) >> 16        (ITU-R 601)
 *
 * luma may be rgb, or else does not overlap it. Cannot fail. */
void scree_pixels_to_gray(const uint8_t *rgb, size_t n, uint8_t *luma);

/* ---- writing -----------------------------------------------------------------------------------
 */

/* Encodes `image` as PNG; *ret_bytes u8[*ret_n_bytes] is freed by the caller with free().
 * Errors: ENOMEM, EINVAL (an empty image). */
int scree_image_encode_png(const struct scree_image *image, uint8_t **ret_bytes,
                           size_t *ret_n_bytes, struct scree_error *err);

/* The same as JPEG (YCbCr 4:2:0, or gray). quality in [1, 100]; 90 is a good choice. */
int scree_image_encode_jpeg(const struct scree_image *image, int quality, uint8_t **ret_bytes,
                            size_t *ret_n_bytes, struct scree_error *err);

/* Writes `image` to the file `path`, which is complete or not there: see scree_file_write().
 * Errors: also EACCES, ENOENT (no such directory), EIO. */
int scree_image_write_png(const struct scree_image *image, const char *path,
                          struct scree_error *err);
int scree_image_write_jpeg(const struct scree_image *image, int quality, const char *path,
                           struct scree_error *err);

/* Whether scree_image_write() takes the name. Errors: EINVAL. */
int scree_image_check_name(const char *path, struct scree_error *err);

/* Writes PNG or, if the name ends in .jpg or .jpeg in any case, JPEG of quality 90.
 * Errors: also EINVAL for a name with another ending than those and .png. */
int scree_image_write(const struct scree_image *image, const char *path, struct scree_error *err);

#endif
