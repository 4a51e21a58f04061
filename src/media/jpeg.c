/* JPEG, by libjpeg as libjpeg-turbo has it.
 *
 * The header is read here, without the library: it gives the size, and the EXIF block. Source of
 * the markers: ITU-T T.81, annex B.
 *
 * libjpeg reports an error by a function that must not return, so all that is done with it is done
 * in attempt(), which longjmp() comes back to. What is called there keeps in its context, not in
 * locals, whatever has to be freed afterwards. */
#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "base/checked.h"
#include "media/decode.h"
#include "media/exif.h"

/* Each scan of a progressive file is a pass over the whole picture, however few bytes it has.
 * Encoders write about ten; this bounds the time that a small hostile file can take. */
#define MAX_SCANS 100

/* The room for what is encoded grows from this, by doubling. */
#define FIRST_OUTPUT 65536

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

static int read_frame(const struct segment *segment, struct scree_image_info *info,
                      struct scree_error *err)
{
    const uint8_t *data = segment->data;
    uint32_t kind = segment->marker - MARKER_SOF0;

    if (info->w)
        return scree_fail(err, EBADMSG, "JPEG: two frames");
    if (segment->n_bytes < 6)
        return fail_short(err);
    if (kind != 0 && kind != 1 && kind != 2 && kind != 9 && kind != 10)
        return scree_fail(err, ENOTSUP, "JPEG: coding process %u is not supported", kind);
    if (data[0] != 8)
        return scree_fail(err, ENOTSUP, "JPEG: %u bits a sample are not supported", data[0]);
    info->h = (int32_t)scree_get_be16(data + 1);
    info->w = (int32_t)scree_get_be16(data + 3);
    if (!info->w || !info->h)
        return scree_fail(err, EBADMSG, "JPEG: %d x %d pixels", info->w, info->h);
    if (data[5] != 1 && data[5] != 3 && data[5] != 4)
        return scree_fail(err, ENOTSUP, "JPEG: %u components are not supported", data[5]);
    return 0;
}

static bool jpeg_matches(const uint8_t *bytes, size_t n_bytes)
{
    return n_bytes >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

/* Goes from marker to marker up to the first scan. */
static int jpeg_probe(const uint8_t *bytes, size_t n_bytes, struct scree_image_info *info,
                      struct scree_error *err)
{
    struct segment segment;
    size_t offset = 2; /* behind SOI, which matches() saw */
    bool has_exif = false;
    int rc;

    info->in_order = true;
    while (next_segment(bytes, n_bytes, &offset, &segment)) {
        if (is_frame(segment.marker)) {
            rc = read_frame(&segment, info, err);
            if (rc < 0)
                return rc;
        } else if (segment.marker == MARKER_APP1 && !has_exif) {
            has_exif = segment.n_bytes > 6 && memcmp(segment.data, "Exif\0\0", 6) == 0;
            if (has_exif)
                info->orientation = scree_exif_orientation(segment.data, segment.n_bytes);
        } else if (segment.marker == MARKER_SOS) {
            return info->w ? 0 : scree_fail(err, EBADMSG, "JPEG: a scan before the frame");
        } else if (segment.marker == MARKER_EOI) {
            return scree_fail(err, EBADMSG, "JPEG: no picture");
        }
    }
    return fail_short(err);
}

/* ---- errors ------------------------------------------------------------------------------------
 */

struct trap {
    struct jpeg_error_mgr manager; /* first: it is all that libjpeg knows of a trap */
    jmp_buf back;
    struct scree_error *err;
    int rc; /* once it has been sprung */
};

_Noreturn static void spring(struct trap *trap, int rc)
{
    trap->rc = rc;
    longjmp(trap->back, 1);
}

_Noreturn static void on_error(j_common_ptr jpeg)
{
    struct trap *trap = (struct trap *)(void *)jpeg->err;
    int number = jpeg->err->msg_code == JERR_OUT_OF_MEMORY ? ENOMEM : EBADMSG;
    char text[JMSG_LENGTH_MAX];

    jpeg->err->format_message(jpeg, text);
    spring(trap, scree_fail(trap->err, number, "JPEG: %s", text));
}

/* Warnings are of damage that the decoder steps over; only an end too early is an error here. */
static void on_warning(j_common_ptr jpeg, int level)
{
    struct trap *trap = (struct trap *)(void *)jpeg->err;

    if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF)
        spring(trap, fail_short(trap->err));
}

/* What part(context) returns, or the error that libjpeg had in it. Nothing in this frame changes
 * after setjmp(). */
static int attempt(struct trap *trap, int (*part)(void *context), void *context)
{
    (void)jpeg_std_error(&trap->manager);
    trap->manager.error_exit = on_error;
    trap->manager.emit_message = on_warning;
    if (setjmp(trap->back))
        return trap->rc;
    return part(context);
}

/* ---- decoding ----------------------------------------------------------------------------------
 */

struct decoding {
    struct trap trap;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    const uint8_t *bytes;
    size_t n_bytes;
    const struct scree_image_info *info;
    struct scree_rows *rows;
};

/* Called by libjpeg now and then, at least once a scan. */
static void limit_scans(j_common_ptr jpeg)
{
    struct trap *trap = (struct trap *)(void *)jpeg->err;

    if (((j_decompress_ptr)jpeg)->input_scan_number > MAX_SCANS)
        spring(trap, scree_fail(trap->err, E2BIG, "JPEG: over %d scans", MAX_SCANS));
}

/* pixels u8[n_pixels][3] = RGB of cmyk u8[n_pixels][4], which Adobe stores inverted, so that 255 is
 * no ink: c * k / 255 rounded, as Pillow's conversion. */
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

/* Reads the header and begins, with rows of RGB, or CMYK if there are four components. */
static int begin_decoding(struct decoding *decoding)
{
    const struct scree_image_info *info = decoding->info;
    j_decompress_ptr jpeg = &decoding->jpeg;

    jpeg_create_decompress(jpeg);
    decoding->progress.progress_monitor = limit_scans;
    jpeg->progress = &decoding->progress;
    jpeg_mem_src(jpeg, decoding->bytes, decoding->n_bytes);
    (void)jpeg_read_header(jpeg, TRUE);
    if (jpeg->image_width != (JDIMENSION)info->w || jpeg->image_height != (JDIMENSION)info->h)
        return scree_fail(decoding->trap.err, EBADMSG, "JPEG: two sizes");
    jpeg->out_color_space = jpeg->num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg->scale_num = 1;
    jpeg->scale_denom = (unsigned)info->shrink;
    (void)jpeg_start_decompress(jpeg);
    assert(jpeg->output_width == (JDIMENSION)scree_image_shrunk(info->w, info->shrink));
    assert(jpeg->output_height == (JDIMENSION)scree_image_shrunk(info->h, info->shrink));
    return 0;
}

static int decode_rows(void *context)
{
    struct decoding *decoding = context;
    j_decompress_ptr jpeg = &decoding->jpeg;
    uint8_t *cmyk = NULL;
    int rc = begin_decoding(decoding);

    if (rc < 0)
        return rc;
    if (jpeg->out_color_space == JCS_CMYK) /* freed by jpeg_destroy_decompress() */
        cmyk =
            jpeg->mem->alloc_large((j_common_ptr)jpeg, JPOOL_IMAGE, 4 * (size_t)jpeg->output_width);
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *row = scree_rows_next(decoding->rows);

        (void)jpeg_read_scanlines(jpeg, cmyk ? &cmyk : &row, 1);
        if (cmyk)
            cmyk_to_rgb(cmyk, jpeg->output_width, row);
        scree_rows_add(decoding->rows);
    }
    (void)jpeg_finish_decompress(jpeg);
    return 0;
}

static int jpeg_decode(const uint8_t *bytes, size_t n_bytes, const struct scree_image_info *info,
                       struct scree_rows *rows, struct scree_error *err)
{
    struct decoding decoding = {
        .trap.err = err,
        .bytes = bytes,
        .n_bytes = n_bytes,
        .info = info,
        .rows = rows,
    };
    int rc;

    decoding.jpeg.err = &decoding.trap.manager;
    rc = attempt(&decoding.trap, decode_rows, &decoding);
    jpeg_destroy_decompress(&decoding.jpeg);
    return rc;
}

const struct scree_decoder scree_jpeg_decoder = {jpeg_matches, jpeg_probe, jpeg_decode};

/* ---- encoding ----------------------------------------------------------------------------------
 */

struct encoding {
    struct trap trap;
    struct jpeg_compress_struct jpeg;
    struct jpeg_destination_mgr destination;
    const struct scree_image *image;
    int quality;
    uint8_t *bytes;
    size_t n_bytes; /* room for so many */
};

/* Called by libjpeg before the first byte and whenever the room is full: makes more. */
static void start_output(j_compress_ptr jpeg)
{
    struct encoding *encoding = jpeg->client_data;
    size_t n_before = encoding->n_bytes, n_more = n_before ? n_before : FIRST_OUTPUT;
    size_t n_bytes = n_before + n_more; /* fits: no block has over PTRDIFF_MAX bytes */
    uint8_t *bytes = realloc(encoding->bytes, n_bytes);

    if (!bytes)
        spring(&encoding->trap, scree_fail_memory(encoding->trap.err, n_bytes));
    encoding->bytes = bytes;
    encoding->n_bytes = n_bytes;
    encoding->destination.next_output_byte = bytes + n_before;
    encoding->destination.free_in_buffer = n_more;
}

static boolean extend_output(j_compress_ptr jpeg)
{
    start_output(jpeg);
    return TRUE;
}

static void end_output(j_compress_ptr jpeg)
{
    struct encoding *encoding = jpeg->client_data;

    encoding->n_bytes -= encoding->destination.free_in_buffer;
}

static int encode_rows(void *context)
{
    struct encoding *encoding = context;
    const struct scree_image *image = encoding->image;
    size_t row_bytes = (size_t)image->w * (size_t)image->channels;
    j_compress_ptr jpeg = &encoding->jpeg;

    jpeg_create_compress(jpeg);
    jpeg->dest = &encoding->destination;
    jpeg->image_width = (JDIMENSION)image->w;
    jpeg->image_height = (JDIMENSION)image->h;
    jpeg->input_components = image->channels;
    jpeg->in_color_space = image->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(jpeg); /* which means YCbCr 4:2:0 for RGB */
    jpeg_set_quality(jpeg, encoding->quality, TRUE);
    /* What the quick transform loses is seen only where quantization is as fine as that. Source:
     * libjpeg.txt, dct_method. */
    jpeg->dct_method = encoding->quality >= 96 ? JDCT_ISLOW : JDCT_IFAST;
    jpeg_start_compress(jpeg, TRUE);
    while (jpeg->next_scanline < jpeg->image_height) {
        uint8_t *row = image->pixels + jpeg->next_scanline * row_bytes;

        (void)jpeg_write_scanlines(jpeg, &row, 1);
    }
    jpeg_finish_compress(jpeg);
    return 0;
}

int scree_image_encode_jpeg(const struct scree_image *image, int quality, uint8_t **ret_bytes,
                            size_t *ret_n_bytes, struct scree_error *err)
{
    struct encoding encoding = {
        .trap.err = err,
        .destination = {.init_destination = start_output,
                        .empty_output_buffer = extend_output,
                        .term_destination = end_output},
        .image = image,
        .quality = quality,
    };
    int rc;

    if (!image->pixels || quality < 1 || quality > 100)
        return scree_fail(err, EINVAL, "JPEG: no pixels, or quality %d is not in 1..100", quality);
    encoding.jpeg.err = &encoding.trap.manager;
    encoding.jpeg.client_data = &encoding;
    rc = attempt(&encoding.trap, encode_rows, &encoding);
    jpeg_destroy_compress(&encoding.jpeg);
    if (rc < 0) {
        free(encoding.bytes);
        return rc;
    }
    *ret_bytes = encoding.bytes;
    *ret_n_bytes = encoding.n_bytes;
    return 0;
}
