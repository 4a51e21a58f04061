/* BMP: OS/2 1.x and all Windows headers, 1 to 32 bits a pixel, uncompressed. Source: Microsoft's
 * BITMAPINFOHEADER, BITMAPV5HEADER and BITMAPCOREHEADER pages. Bits of 32-bit pixels that no mask
 * names are ignored, an index beyond the palette is black. */
#include <string.h>

#include "base/checked.h"
#include "media/decode.h"

#define FILE_HEADER_BYTES 14
#define CORE_HEADER_BYTES 12
#define INFO_HEADER_BYTES 40
#define MASKS_OFFSET      (FILE_HEADER_BYTES + INFO_HEADER_BYTES)

enum compression {
    BI_RGB = 0,
    BI_RLE8 = 1,
    BI_RLE4 = 2,
    BI_BITFIELDS = 3,
    BI_ALPHABITFIELDS = 6,
};

struct bitmap {
    const uint8_t *bytes;
    size_t n_bytes;
    uint32_t header_bytes;
    int64_t w, h;
    bool top_down;
    uint32_t depth; /* bits a pixel */
    uint32_t compression;
    uint32_t n_colors;   /* as stated, 0 for all */
    size_t data_offset;  /* of the first stored row */
    size_t stride_bytes; /* from row to row */
    uint32_t masks[3];
    uint8_t palette[256][3];
};

static int fail_short(struct scree_error *err)
{
    return scree_fail(err, EBADMSG, "BMP: the file is cut short");
}

static bool bmp_matches(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= FILE_HEADER_BYTES && memcmp(bytes, "BM", 2) == 0;
}

static void read_core_header(const uint8_t *header, struct bitmap *ret)
{
    ret->w = scree_get_le16(header + 4);
    ret->h = scree_get_le16(header + 6);
    ret->depth = scree_get_le16(header + 10);
}

static void read_info_header(const uint8_t *header, struct bitmap *ret)
{
    ret->w = (int32_t)scree_get_le32(header + 4);
    ret->h = (int32_t)scree_get_le32(header + 8);
    ret->depth = scree_get_le16(header + 14);
    ret->compression = scree_get_le32(header + 16);
    ret->n_colors = scree_get_le32(header + 32);
    if (ret->h < 0) {
        ret->h = -ret->h;
        ret->top_down = true;
    }
}

static bool is_depth(uint32_t depth, bool masks)
{
    if (masks)
        return depth == 16 || depth == 32;
    return depth == 1 || depth == 4 || depth == 8 || depth == 16 || depth == 24 || depth == 32;
}

static int check_kind(const struct bitmap *bitmap, struct scree_error *err)
{
    bool masks = bitmap->compression == BI_BITFIELDS || bitmap->compression == BI_ALPHABITFIELDS;

    if (bitmap->compression == BI_RLE8 || bitmap->compression == BI_RLE4)
        return scree_fail(err, ENOTSUP, "BMP: run-length coding is not supported");
    if (bitmap->compression != BI_RGB && !masks)
        return scree_fail(err, ENOTSUP, "BMP: compression %u is not supported",
                          bitmap->compression);
    if (!is_depth(bitmap->depth, masks))
        return scree_fail(err, ENOTSUP, "BMP: %u bits a pixel are not supported", bitmap->depth);
    return 0;
}

static int read_header(const uint8_t *bytes, size_t n_bytes, struct bitmap *ret,
                       struct scree_error *err)
{
    const uint8_t *header = bytes + FILE_HEADER_BYTES;
    size_t room = n_bytes - FILE_HEADER_BYTES;

    *ret = (struct bitmap){.bytes = bytes, .n_bytes = n_bytes};
    if (room < 4)
        return fail_short(err);
    ret->header_bytes = scree_get_le32(header);
    if (ret->header_bytes > room)
        return fail_short(err);
    ret->data_offset = scree_get_le32(bytes + 10);
    if (ret->header_bytes == CORE_HEADER_BYTES)
        read_core_header(header, ret);
    else if (ret->header_bytes >= INFO_HEADER_BYTES)
        read_info_header(header, ret);
    else
        return scree_fail(err, ENOTSUP, "BMP: a header of %u bytes is not supported",
                          ret->header_bytes);
    if (ret->w < 1 || ret->h < 1 || ret->h > INT32_MAX)
        return scree_fail(err, EBADMSG, "BMP: %lld x %lld pixels", (long long)ret->w,
                          (long long)ret->h);
    return check_kind(ret, err);
}

static int bmp_probe(const uint8_t *bytes, size_t n_bytes, struct scree_image_info *info,
                     struct scree_error *err)
{
    struct bitmap bitmap;
    int rc = read_header(bytes, n_bytes, &bitmap, err);

    if (rc < 0)
        return rc;
    info->w = (int32_t)bitmap.w;
    info->h = (int32_t)bitmap.h;
    return 0;
}

/* The palette follows the header. One that has fewer colours than the depth allows leaves the rest
 * black. */
static int read_palette(struct bitmap *bitmap, struct scree_error *err)
{
    size_t entry_bytes = bitmap->header_bytes == CORE_HEADER_BYTES ? 3 : 4;
    size_t offset = FILE_HEADER_BYTES + (size_t)bitmap->header_bytes;
    uint32_t n = 1u << bitmap->depth;

    if (bitmap->n_colors > n)
        return scree_fail(err, EBADMSG, "BMP: %u colours for %u bits a pixel", bitmap->n_colors,
                          bitmap->depth);
    if (bitmap->n_colors)
        n = bitmap->n_colors;
    if (!scree_range_fits(offset, n * entry_bytes, bitmap->n_bytes))
        return fail_short(err);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *entry = bitmap->bytes + offset + i * entry_bytes;

        bitmap->palette[i][0] = entry[2];
        bitmap->palette[i][1] = entry[1];
        bitmap->palette[i][2] = entry[0];
    }
    return 0;
}

/* The masks of a 40-byte header follow it, which is where longer headers have them too. */
static int read_masks(struct bitmap *bitmap, struct scree_error *err)
{
    static const uint32_t rgb555[3] = {0x7c00, 0x03e0, 0x001f};
    static const uint32_t rgb888[3] = {0xff0000, 0x00ff00, 0x0000ff};

    if (bitmap->compression == BI_RGB) {
        memcpy(bitmap->masks, bitmap->depth == 16 ? rgb555 : rgb888, sizeof bitmap->masks);
        return 0;
    }
    if (bitmap->n_bytes < MASKS_OFFSET + 12)
        return fail_short(err);
    for (size_t c = 0; c < 3; c++) {
        uint32_t mask = scree_get_le32(bitmap->bytes + MASKS_OFFSET + 4 * c);
        uint32_t ones = mask ? mask >> __builtin_ctz(mask) : 0;

        if (ones & (ones + 1))
            return scree_fail(err, EBADMSG, "BMP: colour mask %#x has a gap", mask);
        bitmap->masks[c] = mask;
    }
    return 0;
}

static void unpack_indexed(const struct bitmap *bitmap, const uint8_t *row, uint8_t *dst)
{
    uint32_t depth = bitmap->depth;
    uint32_t per_byte = 8 / depth;

    for (size_t x = 0; x < (size_t)bitmap->w; x++) {
        uint32_t shift = 8 - depth - depth * (uint32_t)(x % per_byte);
        uint32_t index = row[x / per_byte] >> shift & ((1u << depth) - 1);

        memcpy(dst + 3 * x, bitmap->palette[index], 3);
    }
}

/* 0..255 of the bits that `mask` names, cut to a whole number as Pillow does for 5 and 6 bits. */
static uint8_t get_masked(uint32_t pixel, uint32_t mask)
{
    uint32_t shift, ones;

    if (!mask)
        return 0;
    shift = (uint32_t)__builtin_ctz(mask);
    ones = mask >> shift;
    return (uint8_t)((uint64_t)((pixel & mask) >> shift) * 255 / ones);
}

static void unpack_masked(const struct bitmap *bitmap, const uint8_t *row, uint8_t *dst)
{
    for (size_t x = 0; x < (size_t)bitmap->w; x++) {
        uint32_t pixel = bitmap->depth == 16 ? scree_get_le16(row + 2 * x)
                                             : scree_get_le32(row + 4 * x);

        for (size_t c = 0; c < 3; c++)
            dst[3 * x + c] = get_masked(pixel, bitmap->masks[c]);
    }
}

static void unpack_bgr(const struct bitmap *bitmap, const uint8_t *row, uint8_t *dst)
{
    for (size_t x = 0; x < (size_t)bitmap->w; x++) {
        dst[3 * x + 0] = row[3 * x + 2];
        dst[3 * x + 1] = row[3 * x + 1];
        dst[3 * x + 2] = row[3 * x + 0];
    }
}

static void unpack_row(const struct bitmap *bitmap, const uint8_t *row, uint8_t *dst)
{
    if (bitmap->depth <= 8)
        unpack_indexed(bitmap, row, dst);
    else if (bitmap->depth == 24)
        unpack_bgr(bitmap, row, dst);
    else
        unpack_masked(bitmap, row, dst);
}

/* Sets the stride and checks that all rows are there; the last may lack its padding. */
static int check_rows(struct bitmap *bitmap, struct scree_error *err)
{
    uint64_t row_bits = (uint64_t)bitmap->w * bitmap->depth;
    uint64_t n_bytes;

    bitmap->stride_bytes = (size_t)((row_bits + 31) / 32 * 4);
    n_bytes = (uint64_t)(bitmap->h - 1) * bitmap->stride_bytes + (row_bits + 7) / 8;
    if (bitmap->data_offset < FILE_HEADER_BYTES + (size_t)bitmap->header_bytes)
        return scree_fail(err, EBADMSG, "BMP: the pixels start inside the header");
    if (!scree_range_fits(bitmap->data_offset, n_bytes, bitmap->n_bytes))
        return fail_short(err);
    return 0;
}

static int bmp_decode(const uint8_t *bytes, size_t n_bytes, const struct scree_image_info *info,
                      struct scree_rows *rows, struct scree_error *err)
{
    struct bitmap bitmap;
    int rc = read_header(bytes, n_bytes, &bitmap, err);

    if (rc == 0)
        rc = check_rows(&bitmap, err);
    if (rc == 0)
        rc = bitmap.depth <= 8 ? read_palette(&bitmap, err) : read_masks(&bitmap, err);
    if (rc < 0)
        return rc;
    for (int32_t y = 0; y < info->h; y++) {
        int32_t stored = bitmap.top_down ? y : info->h - 1 - y;

        unpack_row(&bitmap, bytes + bitmap.data_offset + (size_t)stored * bitmap.stride_bytes,
                   rows->pixels + (size_t)y * (size_t)info->w * 3);
    }
    return 0;
}

const struct scree_decoder scree_bmp_decoder = {bmp_matches, bmp_probe, bmp_decode};
