/* PNG, by libspng. The library is shown only the chunks that hold the picture: profiles, texts and
 * the like cost no memory and, if they are damaged, no picture. Source of the chunks: PNG (third
 * edition), section 5. */
#include <limits.h>
#include <spng.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "media/decode.h"
#include "media/exif.h"

#define SIGNATURE_BYTES 8
#define CHUNK_BYTES     12 /* length, type, checksum */
#define IHDR_BYTES      13
#define IHDR_INTERLACE  12 /* the offset of the method: 0 is none */

/* A place in the file, at the start of a chunk or inside of one that is being read. */
struct cursor {
    const uint8_t *bytes;
    size_t n_bytes;
    size_t offset;
    size_t chunk_end; /* offset == chunk_end: the next chunk starts here */
};

/* The whole size of the chunk at `offset`; 0 if the file ends inside of it. */
static size_t chunk_size(const uint8_t *bytes, size_t n_bytes, size_t offset)
{
    size_t length;

    if (!scree_range_fits(offset, CHUNK_BYTES, n_bytes))
        return 0;
    length = scree_get_be32(bytes + offset);
    return length <= n_bytes - offset - CHUNK_BYTES ? length + CHUNK_BYTES : 0;
}

static int32_t find_orientation(const uint8_t *bytes, size_t n_bytes)
{
    size_t offset = SIGNATURE_BYTES;
    size_t size;

    while ((size = chunk_size(bytes, n_bytes, offset)) != 0) {
        if (memcmp(bytes + offset + 4, "eXIf", 4) == 0)
            return scree_exif_orientation(bytes + offset + 8, size - CHUNK_BYTES);
        offset += size;
    }
    return 1;
}

static bool png_matches(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= SIGNATURE_BYTES && memcmp(bytes, "\x89PNG\r\n\x1a\n", SIGNATURE_BYTES) == 0;
}

static int png_probe(const uint8_t *bytes, size_t n_bytes, struct scree_image_info *info,
                     struct scree_error *err)
{
    const uint8_t *chunk = bytes + SIGNATURE_BYTES;
    uint32_t w, h;

    if (chunk_size(bytes, n_bytes, SIGNATURE_BYTES) != IHDR_BYTES + CHUNK_BYTES ||
        memcmp(chunk + 4, "IHDR", 4) != 0)
        return scree_fail(err, EBADMSG, "PNG: no header");
    w = scree_get_be32(chunk + 8);
    h = scree_get_be32(chunk + 12);
    if (w == 0 || h == 0 || w > INT32_MAX || h > INT32_MAX)
        return scree_fail(err, EBADMSG, "PNG: %u x %u pixels", w, h);
    info->w = (int32_t)w;
    info->h = (int32_t)h;
    info->in_order = chunk[8 + IHDR_INTERLACE] == 0;
    info->orientation = find_orientation(bytes, n_bytes);
    return 0;
}

/* Goes to the next chunk that holds the picture: one whose type starts with a capital letter. */
static bool skip_ancillary(struct cursor *cursor)
{
    size_t size;

    for (;;) {
        size = chunk_size(cursor->bytes, cursor->n_bytes, cursor->offset);
        if (!size)
            return false;
        cursor->chunk_end = cursor->offset + size;
        if (!(cursor->bytes[cursor->offset + 4] & 0x20))
            return true;
        cursor->offset = cursor->chunk_end;
    }
}

/* Called by libspng for the next n_bytes of the file. */
static int read_stream(spng_ctx *png, void *user, void *dst, size_t n_bytes)
{
    struct cursor *cursor = user;
    uint8_t *out = dst;

    (void)png;
    while (n_bytes) {
        size_t n;

        if (cursor->offset == cursor->chunk_end && !skip_ancillary(cursor))
            return SPNG_IO_EOF;
        n = cursor->chunk_end - cursor->offset;
        if (n > n_bytes)
            n = n_bytes;
        memcpy(out, cursor->bytes + cursor->offset, n);
        cursor->offset += n;
        out += n;
        n_bytes -= n;
    }
    return SPNG_OK;
}

static int fail_spng(int code, struct scree_error *err)
{
    if (code == SPNG_EMEM)
        return scree_fail(err, ENOMEM, "PNG: no memory");
    if (code == SPNG_IO_EOF || code == SPNG_EOF)
        return scree_fail(err, EBADMSG, "PNG: the file is cut short");
    return scree_fail(err, EBADMSG, "PNG: %s", spng_strerror(code));
}

static int decode_rows(spng_ctx *png, struct scree_rows *rows)
{
    int code = spng_decode_image(png, NULL, 0, SPNG_FMT_RGB8, SPNG_DECODE_PROGRESSIVE);

    while (!code) {
        code = spng_decode_row(png, scree_rows_next(rows), rows->row_bytes);
        if (!code || code == SPNG_EOI)
            scree_rows_add(rows);
    }
    return code == SPNG_EOI ? 0 : code; /* which comes with the last row */
}

static int png_decode(const uint8_t *bytes, size_t n_bytes, const struct scree_image_info *info,
                      struct scree_rows *rows, struct scree_error *err)
{
    /* The signature is read as if it were a chunk. */
    struct cursor cursor = {bytes, n_bytes, 0, SIGNATURE_BYTES};
    size_t n_pixels = (size_t)info->w * (size_t)info->h;
    spng_ctx *png = spng_ctx_new(0);
    int code;

    if (!png)
        return fail_spng(SPNG_EMEM, err);
    code = spng_set_image_limits(png, (uint32_t)info->w, (uint32_t)info->h);
    if (!code)
        code = spng_set_png_stream(png, read_stream, &cursor);
    if (!code && info->in_order)
        code = decode_rows(png, rows);
    else if (!code)
        code = spng_decode_image(png, rows->pixels, 3 * n_pixels, SPNG_FMT_RGB8, 0);
    spng_ctx_free(png);
    return code ? fail_spng(code, err) : 0;
}

const struct scree_decoder scree_png_decoder = {png_matches, png_probe, png_decode};

static int encode(spng_ctx *png, const struct scree_image *image)
{
    struct spng_ihdr ihdr = {
        .width = (uint32_t)image->w,
        .height = (uint32_t)image->h,
        .bit_depth = 8,
        .color_type = image->channels == 1 ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR,
    };
    size_t n_bytes = (size_t)image->w * (size_t)image->h * (size_t)image->channels;
    int code = spng_set_option(png, SPNG_ENCODE_TO_BUFFER, 1);

    if (!code)
        code = spng_set_ihdr(png, &ihdr);
    if (!code)
        code = spng_encode_image(png, image->pixels, n_bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    return code;
}

int scree_image_encode_png(const struct scree_image *image, uint8_t **ret_bytes,
                           size_t *ret_n_bytes, struct scree_error *err)
{
    spng_ctx *png;
    int code;

    if (!image->pixels)
        return scree_fail(err, EINVAL, "PNG: no pixels");
    png = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!png)
        return fail_spng(SPNG_EMEM, err);
    code = encode(png, image);
    if (!code)
        *ret_bytes = spng_get_png_buffer(png, ret_n_bytes, &code);
    spng_ctx_free(png);
    return code ? fail_spng(code, err) : 0;
}
