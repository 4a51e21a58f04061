#include "media/exif.h"

#include <string.h>

#include "base/checked.h"
#include "media/decode.h"

#define TAG_ORIENTATION 0x112
#define TYPE_SHORT      3
#define ENTRY_BYTES     12

/* A TIFF block; its byte order is its own. */
struct tiff {
    const uint8_t *bytes;
    size_t n_bytes;
    bool big_endian;
};

/* Each returns false if the number is not all inside the block. */
static bool get_u16(const struct tiff *tiff, size_t offset, uint32_t *ret)
{
    if (!scree_range_fits(offset, 2, tiff->n_bytes))
        return false;
    *ret = tiff->big_endian ? scree_get_be16(tiff->bytes + offset)
                            : scree_get_le16(tiff->bytes + offset);
    return true;
}

static bool get_u32(const struct tiff *tiff, size_t offset, uint32_t *ret)
{
    if (!scree_range_fits(offset, 4, tiff->n_bytes))
        return false;
    *ret = tiff->big_endian ? scree_get_be32(tiff->bytes + offset)
                            : scree_get_le32(tiff->bytes + offset);
    return true;
}

static bool tiff_init(const uint8_t *bytes, size_t n_bytes, struct tiff *ret_tiff)
{
    if (n_bytes >= 6 && memcmp(bytes, "Exif\0\0", 6) == 0) {
        bytes += 6;
        n_bytes -= 6;
    }
    if (n_bytes < 8)
        return false;
    if (memcmp(bytes, "II*\0", 4) != 0 && memcmp(bytes, "MM\0*", 4) != 0)
        return false;
    *ret_tiff = (struct tiff){bytes, n_bytes, bytes[0] == 'M'};
    return true;
}

/* The value of the entry at `offset` if it is an orientation, else 0. */
static int32_t read_entry(const struct tiff *tiff, size_t offset)
{
    uint32_t tag, type, count, value;

    if (!get_u16(tiff, offset, &tag) || !get_u16(tiff, offset + 2, &type) ||
        !get_u32(tiff, offset + 4, &count) || !get_u16(tiff, offset + 8, &value))
        return 0;
    if (tag != TAG_ORIENTATION || type != TYPE_SHORT || count != 1)
        return 0;
    return value >= 1 && value <= 8 ? (int32_t)value : 0;
}

int32_t scree_exif_orientation(const uint8_t *bytes, size_t n_bytes)
{
    struct tiff tiff;
    uint32_t directory, n_entries;

    if (!tiff_init(bytes, n_bytes, &tiff) || !get_u32(&tiff, 4, &directory) ||
        !get_u16(&tiff, directory, &n_entries))
        return 1;
    for (uint32_t i = 0; i < n_entries; i++) {
        int32_t value = read_entry(&tiff, directory + 2 + (size_t)ENTRY_BYTES * i);

        if (value)
            return value;
    }
    return 1;
}
