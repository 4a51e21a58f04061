/* media/decode.h - what a file format has to offer: inside of src/media.
 *
 * One const struct a format, listed in image.c in the order of enum scree_image_format. */
#ifndef SCREE_MEDIA_DECODE_H
#define SCREE_MEDIA_DECODE_H

#include "media/image.h"

/* Where a decoder puts its rows, u8[w][3] each. */
struct scree_rows {
    uint8_t *pixels;  /* room for some; zero before if it is for all */
    size_t row_bytes; /* 3 * w */
    int32_t n_room, n;
    struct scree_image_sink
        *sink; /* gets them when the room is full; NULL: there is room for all */
};

/* The place of the next row. */
static inline uint8_t *scree_rows_next(const struct scree_rows *rows)
{
    return rows->pixels + (size_t)rows->n * rows->row_bytes;
}

/* Says that the next row is in its place. */
void scree_rows_add(struct scree_rows *rows);

struct scree_decoder {
    /* True if bytes u8[n_bytes] start as a file of this format. */
    bool (*matches)(const uint8_t *bytes, size_t n_bytes);

    /* Reads the header: sets w and h, which are 0 before, to at least 1 each, and, if the file has
     * one, orientation, which is 1 before; in_order if decode() goes by scree_rows_add().
     * Errors: EBADMSG, ENOTSUP. */
    int (*probe)(const uint8_t *bytes, size_t n_bytes, struct scree_image_info *info,
                 struct scree_error *err);

    /* Decodes the picture, of the size that probe() found in these bytes, or of the fraction of it
     * that info->shrink says (scree_image_shrunk()): in_order by scree_rows_next() and
     * scree_rows_add(), else to rows->pixels, which has room for all of it.
     * Errors: EBADMSG, ENOTSUP, ENOMEM; pixels are undefined then. */
    int (*decode)(const uint8_t *bytes, size_t n_bytes, const struct scree_image_info *info,
                  struct scree_rows *rows, struct scree_error *err);
};

extern const struct scree_decoder scree_jpeg_decoder;
extern const struct scree_decoder scree_png_decoder;
extern const struct scree_decoder scree_webp_decoder;
extern const struct scree_decoder scree_bmp_decoder;
extern const struct scree_decoder scree_pnm_decoder;

/* Little- and big-endian numbers at any address. */
static inline uint32_t scree_get_le16(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t scree_get_le32(const uint8_t *p)
{
    return scree_get_le16(p) | scree_get_le16(p + 2) << 16;
}

static inline uint32_t scree_get_be16(const uint8_t *p)
{
    return p[1] | (uint32_t)p[0] << 8;
}

static inline uint32_t scree_get_be32(const uint8_t *p)
{
    return scree_get_be16(p + 2) | scree_get_be16(p) << 16;
}

#endif
