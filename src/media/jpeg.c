/* JPEG, by libjpeg-turbo's TurboJPEG interface, which catches the library's errors itself.
 *
 * TurboJPEG calls a file that ends early a warning, as it does harmless damage. So the markers are
 * walked here first: that gives the header, the EXIF block, the number of scans, and whether the
 * file has its end. Source of the markers: ITU-T T.81, annex B. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "base/checked.h"
#include "media/decode.h"
#include "media/exif.h"

/* Each scan of a progressive file is a pass over the whole picture, however few bytes it has.
 * Encoders write about ten; this bounds the time that a small hostile file can take. */
#define MAX_SCANS 100

enum {
    MARKER_TEM = 0x01,
    MARKER_SOF0 = 0xc0,
    MARKER_DHT = 0xc4,
    MARKER_JPG = 0xc8,
    MARKER_DAC = 0xcc,
    MARKER_SOF15 = 0xcf,
    MARKER_RST0 = 0xd0,
    MARKER_RST7 = 0xd7,
    MARKER_SOI = 0xd8,
    MARKER_EOI = 0xd9,
    MARKER_SOS = 0xda,
    MARKER_APP1 = 0xe1,
};

/* A marker with the bytes that belong to it, without its length. */
struct segment {
    uint8_t marker;
    const uint8_t *data;
    size_t n_bytes;
};

struct header {
    int32_t w, h;
    int32_t n_components;
    int32_t orientation;  /* 0: none found */
    size_t scan_offset;   /* after the header of the first scan */
    int32_t out_w, out_h; /* the size to decode to */
};

static bool is_lone(uint8_t marker)
{
    return marker == MARKER_TEM || (marker >= MARKER_RST0 && marker <= MARKER_EOI);
}

static bool is_frame(uint8_t marker)
{
    return marker >= MARKER_SOF0 && marker <= MARKER_SOF15 && marker != MARKER_DHT &&
           marker != MARKER_JPG && marker != MARKER_DAC;
}

/* Finds the next marker from *offset on, over entropy-coded data too, and moves *offset behind its
 * segment. False if the bytes end before. */
static bool next_segment(const uint8_t *bytes, size_t n_bytes, size_t *offset,
                         struct segment *ret_segment)
{
    const uint8_t *p = bytes + *offset, *end = bytes + n_bytes;
    size_t length;

    do {
        p = memchr(p, 0xff, (size_t)(end - p));
        while (p && p < end && *p == 0xff)
            p++;
        if (!p || p == end)
            return false;
    } while (*p++ == 0x00);

    *ret_segment = (struct segment){.marker = p[-1], .data = p};
    if (!is_lone(p[-1])) {
        if (end - p < 2)
            return false;
        length = scree_get_be16(p);
        if (length < 2 || length > (size_t)(end - p))
            return false;
        ret_segment->data = p + 2;
        ret_segment->n_bytes = length - 2;
        p += length;
    }
    *offset = (size_t)(p - bytes);
    return true;
}

static int fail_short(struct scree_error *err)
{
    return scree_fail(err, EBADMSG, "JPEG: the file is cut short");
}

static int read_frame(const struct segment *segment, struct header *header, struct scree_error *err)
{
    const uint8_t *data = segment->data;
    uint32_t kind = segment->marker - MARKER_SOF0;

    if (header->w)
        return scree_fail(err, EBADMSG, "JPEG: two frames");
    if (segment->n_bytes < 6)
        return fail_short(err);
    if (kind != 0 && kind != 1 && kind != 2 && kind != 9 && kind != 10)
        return scree_fail(err, ENOTSUP, "JPEG: coding process %u is not supported", kind);
    if (data[0] != 8)
        return scree_fail(err, ENOTSUP, "JPEG: %u bits a sample are not supported", data[0]);
    header->h = (int32_t)scree_get_be16(data + 1);
    header->w = (int32_t)scree_get_be16(data + 3);
    header->n_components = data[5];
    if (!header->w || !header->h)
        return scree_fail(err, EBADMSG, "JPEG: %d x %d pixels", header->w, header->h);
    if (data[5] != 1 && data[5] != 3 && data[5] != 4)
        return scree_fail(err, ENOTSUP, "JPEG: %u components are not supported", data[5]);
    return 0;
}

static int read_header(const uint8_t *bytes, size_t n_bytes, struct header *ret_header,
                       struct scree_error *err)
{
    struct header header = {0};
    struct segment segment;
    size_t offset = 2; /* behind SOI, which matches() saw */
    int rc;

    while (next_segment(bytes, n_bytes, &offset, &segment)) {
        if (is_frame(segment.marker)) {
            rc = read_frame(&segment, &header, err);
            if (rc < 0)
                return rc;
        } else if (segment.marker == MARKER_APP1 && !header.orientation) {
            if (segment.n_bytes > 6 && memcmp(segment.data, "Exif\0\0", 6) == 0)
                header.orientation = scree_exif_orientation(segment.data, segment.n_bytes);
        } else if (segment.marker == MARKER_SOS) {
            if (!header.w)
                return scree_fail(err, EBADMSG, "JPEG: a scan before the frame");
            header.scan_offset = offset;
            *ret_header = header;
            return 0;
        } else if (segment.marker == MARKER_EOI) {
            return scree_fail(err, EBADMSG, "JPEG: no picture");
        }
    }
    return fail_short(err);
}

/* Walks from the first scan to the end of the picture. */
static int check_scans(const uint8_t *bytes, size_t n_bytes, size_t offset, struct scree_error *err)
{
    struct segment segment;
    int n_scans = 1;

    while (next_segment(bytes, n_bytes, &offset, &segment)) {
        if (segment.marker == MARKER_EOI)
            return 0;
        if (segment.marker == MARKER_SOS && ++n_scans > MAX_SCANS)
            return scree_fail(err, E2BIG, "JPEG: over %d scans", MAX_SCANS);
    }
    return fail_short(err);
}

static bool jpeg_matches(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

static int jpeg_probe(const uint8_t *bytes, size_t n_bytes, struct scree_image_info *info,
                      struct scree_error *err)
{
    struct header header;
    int rc = read_header(bytes, n_bytes, &header, err);

    if (rc < 0)
        return rc;
    info->w = header.w;
    info->h = header.h;
    if (header.orientation)
        info->orientation = header.orientation;
    return 0;
}

/* True if TurboJPEG's last text is one of libjpeg's warnings (JWRN_ in jerror.h) about damage that
 * its decoder stepped over. TurboJPEG's own error code does not tell: a warning that comes before
 * an error hides it there, while of the texts the error's is the one kept. */
static bool is_warning(const char *text)
{
    static const char *const starts[] = {
        "Corrupt JPEG data",
        "Inconsistent progression sequence",
        "Invalid SOS parameters for sequential JPEG",
        "Unknown Adobe color transform code",
        "Warning: unknown JFIF revision number",
    };

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (strncmp(text, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

static int fail_turbo(tjhandle handle, struct scree_error *err)
{
    const char *text = tjGetErrorStr2(handle);

    if (strncmp(text, "Insufficient memory", 19) == 0)
        return scree_fail(err, ENOMEM, "JPEG: %s", text);
    return scree_fail(err, EBADMSG, "JPEG: %s", text);
}

/* pixels u8[w * h][3] = RGB of cmyk u8[w * h][4], which Adobe stores inverted, so that 255 is no
 * ink: c * k / 255 rounded, as Pillow's conversion. */
static void cmyk_to_rgb(const uint8_t *cmyk, size_t n_pixels, uint8_t *pixels)
{
    for (size_t i = 0; i < n_pixels; i++) {
        uint32_t k = cmyk[4 * i + 3];

        for (size_t c = 0; c < 3; c++) {
            uint32_t ink = (255u - cmyk[4 * i + c]) * k + 128;
            int32_t light = (int32_t)k - (int32_t)(((ink >> 8) + ink) >> 8);

            pixels[3 * i + c] = (uint8_t)scree_max_i32(light, 0);
        }
    }
}

static int decompress(tjhandle handle, const uint8_t *bytes, size_t n_bytes,
                      const struct header *header, int format, uint8_t *pixels,
                      struct scree_error *err)
{
    int w = 0, h = 0, subsampling = 0, colors = 0;

    /* Its result is not asked: it is an error also for odd but legal subsampling. */
    (void)tjDecompressHeader3(handle, bytes, n_bytes, &w, &h, &subsampling, &colors);
    if (w != header->w || h != header->h)
        return fail_turbo(handle, err);
    if (tjDecompress2(handle, bytes, n_bytes, pixels, header->out_w, 0, header->out_h, format,
                      TJFLAG_LIMITSCANS) < 0 &&
        !is_warning(tjGetErrorStr2(handle)))
        return fail_turbo(handle, err);
    return 0;
}

static int decompress_cmyk(tjhandle handle, const uint8_t *bytes, size_t n_bytes,
                           const struct header *header, uint8_t *pixels, struct scree_error *err)
{
    size_t n_pixels = (size_t)header->out_w * (size_t)header->out_h;
    uint8_t *cmyk = calloc(n_pixels, 4);
    int rc;

    if (!cmyk)
        return scree_fail_memory(err, 4 * n_pixels);
    rc = decompress(handle, bytes, n_bytes, header, TJPF_CMYK, cmyk, err);
    if (rc == 0)
        cmyk_to_rgb(cmyk, n_pixels, pixels);
    free(cmyk);
    return rc;
}

static int jpeg_decode(const uint8_t *bytes, size_t n_bytes, const struct scree_image_info *info,
                       uint8_t *pixels, struct scree_error *err)
{
    struct header header;
    tjhandle handle;
    int rc = read_header(bytes, n_bytes, &header, err);

    if (rc < 0)
        return rc;
    rc = check_scans(bytes, n_bytes, header.scan_offset, err);
    if (rc < 0)
        return rc;
    header.out_w = scree_image_shrunk(header.w, info->shrink);
    header.out_h = scree_image_shrunk(header.h, info->shrink);
    handle = tjInitDecompress();
    if (!handle)
        return scree_fail(err, ENOMEM, "JPEG: no memory for the decoder");
    if (header.n_components == 4)
        rc = decompress_cmyk(handle, bytes, n_bytes, &header, pixels, err);
    else
        rc = decompress(handle, bytes, n_bytes, &header, TJPF_RGB, pixels, err);
    tjDestroy(handle);
    return rc;
}

const struct scree_decoder scree_jpeg_decoder = {jpeg_matches, jpeg_probe, jpeg_decode};

int scree_image_encode_jpeg(const struct scree_image *image, int quality, uint8_t **ret_bytes,
                            size_t *ret_n_bytes, struct scree_error *err)
{
    bool gray = image->channels == 1;
    int subsampling = gray ? TJSAMP_GRAY : TJSAMP_420;
    unsigned long n_bytes;
    unsigned char *bytes;
    tjhandle handle;
    int rc = 0;

    if (!image->pixels || quality < 1 || quality > 100)
        return scree_fail(err, EINVAL, "JPEG: no pixels, or quality %d is not in 1..100", quality);
    n_bytes = tjBufSize(image->w, image->h, subsampling);
    bytes = n_bytes == ULONG_MAX ? NULL : malloc(n_bytes);
    if (!bytes)
        return scree_fail_memory(err, n_bytes);
    handle = tjInitCompress();
    if (!handle)
        rc = scree_fail(err, ENOMEM, "JPEG: no memory for the encoder");
    else if (tjCompress2(handle, image->pixels, image->w, 0, image->h, gray ? TJPF_GRAY : TJPF_RGB,
                         &bytes, &n_bytes, subsampling, quality, TJFLAG_NOREALLOC) < 0)
        rc = scree_fail(err, ENOMEM, "JPEG: %s", tjGetErrorStr2(handle));
    tjDestroy(handle);
    if (rc < 0) {
        free(bytes);
        return rc;
    }
    *ret_bytes = bytes;
    *ret_n_bytes = n_bytes;
    return 0;
}
