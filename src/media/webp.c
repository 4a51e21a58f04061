/* WebP, by libwebp. Source of the chunks: the WebP container specification. */
#include <string.h>
#include <webp/decode.h>

#include "base/checked.h"
#include "media/decode.h"
#include "media/exif.h"

#define RIFF_BYTES  12 /* "RIFF", size, "WEBP" */
#define CHUNK_BYTES 8  /* type, size */

static bool webp_matches(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= RIFF_BYTES && memcmp(bytes, "RIFF", 4) == 0 &&
           memcmp(bytes + 8, "WEBP", 4) == 0;
}

static int fail_webp(VP8StatusCode status, struct scree_error *err)
{
    switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return scree_fail(err, ENOMEM, "WebP: no memory");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return scree_fail(err, ENOTSUP, "WebP: a feature that is not supported");
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return scree_fail(err, EBADMSG, "WebP: the file is cut short");
    default:
        return scree_fail(err, EBADMSG, "WebP: the file is damaged");
    }
}

static int32_t find_orientation(const uint8_t *bytes, size_t n_bytes)
{
    size_t offset = RIFF_BYTES;

    while (scree_range_fits(offset, CHUNK_BYTES, n_bytes)) {
        size_t length = scree_get_le32(bytes + offset + 4);
        const uint8_t *data = bytes + offset + CHUNK_BYTES;

        if (length > n_bytes - offset - CHUNK_BYTES)
            break;
        if (memcmp(bytes + offset, "EXIF", 4) == 0)
            return scree_exif_orientation(data, length);
        offset += CHUNK_BYTES + length + (length & 1);
    }
    return 1;
}

static int webp_probe(const uint8_t *bytes, size_t n_bytes, struct scree_image_info *info,
                      struct scree_error *err)
{
    WebPBitstreamFeatures features;
    VP8StatusCode status = WebPGetFeatures(bytes, n_bytes, &features);

    if (status != VP8_STATUS_OK)
        return fail_webp(status, err);
    if (features.has_animation)
        return scree_fail(err, ENOTSUP, "WebP: animations are not supported");
    if (features.width < 1 || features.height < 1)
        return scree_fail(err, EBADMSG, "WebP: %d x %d pixels", features.width, features.height);
    info->w = features.width;
    info->h = features.height;
    info->orientation = find_orientation(bytes, n_bytes);
    return 0;
}

static int webp_decode(const uint8_t *bytes, size_t n_bytes, const struct scree_image_info *info,
                       struct scree_rows *rows, struct scree_error *err)
{
    WebPDecoderConfig config;
    VP8StatusCode status;

    if (!WebPInitDecoderConfig(&config))
        return scree_fail(err, ENOTSUP, "WebP: the library is not the one compiled for");
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = rows->pixels;
    config.output.u.RGBA.stride = 3 * info->w;
    config.output.u.RGBA.size = (size_t)3 * (size_t)info->w * (size_t)info->h;
    status = WebPDecode(bytes, n_bytes, &config);
    WebPFreeDecBuffer(&config.output);
    return status == VP8_STATUS_OK ? 0 : fail_webp(status, err);
}

const struct scree_decoder scree_webp_decoder = {webp_matches, webp_probe, webp_decode};
