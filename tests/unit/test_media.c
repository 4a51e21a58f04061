/* Picture files: every kind against Pillow's pixels, damage, limits, orientation, writing, and
 * every allocation failing. Linked with --wrap, so that the allocator obeys `allowed`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "media/exif.h"
#include "media/image.h"

/* How many allocations may still succeed; negative: all. */
static long allowed = -1;

static bool may_allocate(void)
{
    return allowed < 0 || allowed-- > 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t n)
{
    return may_allocate() ? __real_realloc(p, n) : NULL;
}

/* ---- files of every kind -----------------------------------------------------------------------
 */

static const struct picture {
    const char *name;
    int32_t w, h;
    uint32_t crc, upright_crc;
} pictures[] = {
#define PICTURE(name, w, h, crc, upright_crc) {name, w, h, crc, upright_crc},
#define RESIZE(...)
#include "../media/expected.inc"
#undef PICTURE
#undef RESIZE
};

#define N_PICTURES (sizeof pictures / sizeof pictures[0])

static const char *image_path(const char *name)
{
    static char path[4096];

    assert_true((size_t)snprintf(path, sizeof path, "%s/%s", TEST_IMAGES, name) < sizeof path);
    return path;
}

struct file {
    uint8_t *bytes;
    size_t n_bytes;
};

static struct file load(const char *name)
{
    struct scree_error err;
    struct file file;

    if (scree_file_read(image_path(name), 1 << 20, &file.bytes, &file.n_bytes, &err) < 0)
        fail_msg("%s", err.text);
    return file;
}

static uint32_t image_crc(const struct scree_image *image)
{
    return (uint32_t)crc32(0, image->pixels,
                           (uInt)((size_t)image->w * (size_t)image->h * (size_t)image->channels));
}

static void test_pictures_have_pillows_pixels(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PICTURES; i++) {
        const struct picture *p = &pictures[i];
        struct scree_image image;
        struct scree_error err;

        if (scree_image_read_file(image_path(p->name), NULL, &image, &err) < 0)
            fail_msg("%s", err.text);
        if (image.w != p->w || image.h != p->h || image.channels != 3 ||
            image_crc(&image) != p->crc)
            fail_msg("%s: %d x %d, crc %08x", p->name, image.w, image.h, image_crc(&image));
        scree_image_done(&image);
    }
}

static void test_pictures_turn_upright(void **state)
{
    static const struct scree_image_options options = {.orient = true};

    (void)state;
    for (size_t i = 0; i < N_PICTURES; i++) {
        const struct picture *p = &pictures[i];
        struct file file = load(p->name);
        struct scree_image_info info;
        struct scree_image image;
        bool swapped;

        assert_int_equal(scree_image_probe(file.bytes, file.n_bytes, &info, NULL), 0);
        assert_int_equal(info.w, p->w);
        assert_int_equal(info.h, p->h);
        assert_true((info.orientation == 1) == (strncmp(p->name, "exif", 4) != 0));
        swapped = info.orientation >= 5;
        assert_int_equal(scree_image_read(file.bytes, file.n_bytes, &options, &image, NULL), 0);
        if (image.w != (swapped ? p->h : p->w) || image_crc(&image) != p->upright_crc)
            fail_msg("%s: %d x %d, crc %08x", p->name, image.w, image.h, image_crc(&image));
        scree_image_done(&image);
        free(file.bytes);
    }
}

/* ---- damage ------------------------------------------------------------------------------------
 */

static bool is_listed(int rc)
{
    return rc == -EBADMSG || rc == -ENOTSUP || rc == -E2BIG;
}

/* What is cut off is an error, unless no pixel is missing. */
static void test_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PICTURES; i++) {
        struct file file = load(pictures[i].name);

        for (size_t n = 0; n < file.n_bytes; n++) {
            uint8_t *bytes = malloc(n ? n : 1); /* of this size, so that a sanitizer sees its end */
            struct scree_error err = {""};
            struct scree_image image;
            int rc;

            assert_non_null(bytes);
            memcpy(bytes, file.bytes, n);
            rc = scree_image_read(bytes, n, NULL, &image, &err);
            if (rc == 0) {
                if (image_crc(&image) != pictures[i].crc)
                    fail_msg("%s: %zu bytes give another picture", pictures[i].name, n);
                scree_image_done(&image);
            } else if ((rc != -EBADMSG && rc != -ENOTSUP) || !err.text[0]) {
                fail_msg("%s: %zu bytes: %d %s", pictures[i].name, n, rc, err.text);
            }
            free(bytes);
        }
        free(file.bytes);
    }
}

static void test_every_byte_damaged(void **state)
{
    static const uint8_t flips[] = {0x01, 0x10, 0x80, 0xff};
    static const struct scree_image_options options = {.max_pixels = 1 << 14, .orient = true};

    (void)state;
    for (size_t i = 0; i < N_PICTURES; i++) {
        struct file file = load(pictures[i].name);

        for (size_t k = 0; k < file.n_bytes * sizeof flips; k++) {
            uint8_t *byte = &file.bytes[k / sizeof flips];
            struct scree_error err = {""};
            struct scree_image image;
            int rc;

            *byte ^= flips[k % sizeof flips];
            rc = scree_image_read(file.bytes, file.n_bytes, &options, &image, &err);
            *byte ^= flips[k % sizeof flips];
            if (rc == 0)
                scree_image_done(&image);
            else if (!is_listed(rc) || !err.text[0])
                fail_msg("%s: byte %zu: %d %s", pictures[i].name, k / sizeof flips, rc, err.text);
        }
        free(file.bytes);
    }
}

/* A file of the list, with `n` bytes at `offset` behind the first `find` replaced. */
static const struct patch {
    const char *name;
    const char *find;
    size_t n_find;
    ptrdiff_t offset;
    const char *bytes;
    size_t n;
    int rc;
    const char *text;
} patches[] = {
#define TEXT(s) s, sizeof s - 1
    /* JPEG: behind FFC0 come length, precision, height, width, components. */
    {"420.jpg", TEXT("\xff\xc0"), 3, TEXT("\xff\xff\xff\xff"), -E2BIG,
     "65535 x 65535 pixels: a side is over the limit of 16384"},
    {"420.jpg", TEXT("\xff\xc0"), 3, TEXT("\x3f\xff\x3f\xff"), -E2BIG,
     "16383 x 16383 pixels are over the limit of 64000000"},
    {"420.jpg", TEXT("\xff\xc0"), 3, TEXT("\0\0"), -EBADMSG, "JPEG: 19 x 0 pixels"},
    {"420.jpg", TEXT("\xff\xc0"), 2, TEXT("\x0c"), -ENOTSUP,
     "JPEG: 12 bits a sample are not supported"},
    {"420.jpg", TEXT("\xff\xc0"), 7, TEXT("\x02"), -ENOTSUP,
     "JPEG: 2 components are not supported"},
    {"420.jpg", TEXT("\xff\xc0"), -1, TEXT("\xc3"), -ENOTSUP,
     "JPEG: coding process 3 is not supported"},
    {"420.jpg", TEXT("\xff\xc4"), -1, TEXT("\xc1"), -EBADMSG, "JPEG: two frames"},
    {"420.jpg", TEXT("\xff\xdb"), -1, TEXT("\xda"), -EBADMSG, "JPEG: a scan before the frame"},
    {"420.jpg", TEXT("\xff\xdb"), -1, TEXT("\xd9"), -EBADMSG, "JPEG: no picture"},
    {"420.jpg", TEXT("\xff\xd9"), -1, TEXT("\xff"), -EBADMSG, "JPEG: the file is cut short"},
    /* PNG: behind IHDR come width and height. */
    {"rgb8.png", TEXT("IHDR"), 0, TEXT("\0\1\0\0\0\1\0\0"), -E2BIG,
     "65536 x 65536 pixels: a side is over the limit of 16384"},
    {"rgb8.png", TEXT("IHDR"), 0, TEXT("\x80\0\0\0"), -EBADMSG, "PNG: 2147483648 x 5 pixels"},
    {"rgb8.png", TEXT("IHDR"), 0, TEXT("\0\0\0\0"), -EBADMSG, "PNG: 0 x 5 pixels"},
    {"rgb8.png", TEXT("IHDR"), 3, TEXT("\x08"), -EBADMSG, "PNG: invalid chunk checksum"},
    {"rgb8.png", TEXT("IHDR"), -1, TEXT("X"), -EBADMSG, "PNG: no header"},
    /* WebP: behind VP8 come the size, 3 bytes of tag, a start code, width and height. */
    {"lossy.webp", TEXT("\x9d\x01\x2a"), 0, TEXT("\xff\x3f\xff\x3f"), -E2BIG,
     "16383 x 16383 pixels are over the limit of 64000000"},
    {"lossy.webp", TEXT("\x9d\x01\x2a"), -1, TEXT("\0"), -EBADMSG, "WebP: the file is damaged"},
    /* BMP: from the width on. */
    {"24bit.bmp", TEXT("BM"), 16, TEXT("\0\0\1\0\0\0\1\0"), -E2BIG,
     "65536 x 65536 pixels: a side is over the limit of 16384"},
    {"24bit.bmp", TEXT("BM"), 16, TEXT("\xff\xff\xff\xff"), -EBADMSG, "BMP: -1 x 5 pixels"},
    {"24bit.bmp", TEXT("BM"), 20, TEXT("\0\0\0\x80"), -EBADMSG, "BMP: 9 x 2147483648 pixels"},
    {"24bit.bmp", TEXT("BM"), 20, TEXT("\6"), -EBADMSG, "BMP: the file is cut short"},
    {"24bit.bmp", TEXT("BM"), 8, TEXT("\x35"), -EBADMSG, "BMP: the pixels start inside the header"},
    {"24bit.bmp", TEXT("BM"), 12, TEXT("\x10"), -ENOTSUP,
     "BMP: a header of 16 bytes is not supported"},
    {"24bit.bmp", TEXT("BM"), 12, TEXT("\xff\xff\xff\xff"), -EBADMSG, "BMP: the file is cut short"},
    {"24bit.bmp", TEXT("BM"), 26, TEXT("\2"), -ENOTSUP, "BMP: 2 bits a pixel are not supported"},
    {"24bit.bmp", TEXT("BM"), 28, TEXT("\2"), -ENOTSUP, "BMP: run-length coding is not supported"},
    {"24bit.bmp", TEXT("BM"), 28, TEXT("\5"), -ENOTSUP, "BMP: compression 5 is not supported"},
    {"4bit.bmp", TEXT("BM"), 44, TEXT("\x11"), -EBADMSG, "BMP: 17 colours for 4 bits a pixel"},
    {"565.bmp", TEXT("BM"), 52, TEXT("\5\0\0\0"), -EBADMSG, "BMP: colour mask 0x5 has a gap"},
};

static void patch_file(const struct patch *patch, struct file *file)
{
    uint8_t *found = memmem(file->bytes, file->n_bytes, patch->find, patch->n_find);
    size_t start;

    assert_non_null(found);
    start = (size_t)(found - file->bytes + patch->offset) + patch->n_find;
    assert_true(start + patch->n <= file->n_bytes);
    memcpy(file->bytes + start, patch->bytes, patch->n);
}

static void expect_error(const char *name, const uint8_t *bytes, size_t n_bytes, int rc,
                         const char *text)
{
    struct scree_image image = {.w = -7};
    struct scree_error err = {""};
    int got = scree_image_read(bytes, n_bytes, NULL, &image, &err);

    if (got != rc || strcmp(err.text, text) != 0)
        fail_msg("%s: %d '%s', not %d '%s'", name, got, err.text, rc, text);
    assert_int_equal(image.w, -7);
}

static void test_damage_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof patches / sizeof patches[0]; i++) {
        struct file file = load(patches[i].name);

        patch_file(&patches[i], &file);
        expect_error(patches[i].name, file.bytes, file.n_bytes, patches[i].rc, patches[i].text);
        free(file.bytes);
    }
}

static void test_damaged_files(void **state)
{
    static const struct {
        const char *name;
        int rc;
        const char *text;
    } cases[] = {
        {"animated.webp", -ENOTSUP, "WebP: animations are not supported"},
        {"critical.png", -EBADMSG, "PNG: unknown critical chunk"},
        {"few_rows.png", -EBADMSG, "PNG: IDAT stream too short"},
        {"no_palette.png", -EBADMSG, "PNG: missing PLTE for indexed image"},
        {"rle8.bmp", -ENOTSUP, "BMP: run-length coding is not supported"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file file = load(cases[i].name);

        expect_error(cases[i].name, file.bytes, file.n_bytes, cases[i].rc, cases[i].text);
        free(file.bytes);
    }
}

/* One scan more costs a pass over the picture and hardly a byte. */
static void test_jpeg_scans_are_limited(void **state)
{
    struct file file = load("progressive.jpg");
    uint8_t *scan = memmem(file.bytes, file.n_bytes, "\xff\xda", 2);
    uint8_t *end = memmem(scan + 2, file.n_bytes - (size_t)(scan + 2 - file.bytes), "\xff\xc4", 2);
    size_t n_scan = (size_t)(end - scan), n_head = (size_t)(scan - file.bytes);
    uint8_t *bytes = malloc(n_head + 101 * n_scan + 2);

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, file.bytes, n_head);
    for (size_t i = 0; i < 101; i++)
        memcpy(bytes + n_head + i * n_scan, scan, n_scan);
    memcpy(bytes + n_head + 101 * n_scan, "\xff\xd9", 2);
    expect_error("101 scans", bytes, n_head + 101 * n_scan + 2, -E2BIG, "JPEG: over 100 scans");
    free(bytes);
    free(file.bytes);
}

/* A picture that warns first and fails later is an error, not a half picture. */
static void test_jpeg_error_behind_a_warning(void **state)
{
    struct file file = load("extraneous.jpg");
    struct scree_error err = {""};
    struct scree_image image;
    uint8_t *tables = memmem(file.bytes, file.n_bytes, "\xff\xc4", 2);

    (void)state;
    tables[5] = 0xff; /* more codes of length 1 than there are */
    assert_int_equal(scree_image_read(file.bytes, file.n_bytes, NULL, &image, &err), -EBADMSG);
    assert_string_equal(err.text, "JPEG: Bogus Huffman table definition");
    free(file.bytes);
}

/* ---- PPM and PGM, as text ----------------------------------------------------------------------
 */

static void test_pnm(void **state)
{
    static const struct {
        const char *file;
        size_t n_file;
        int rc;
        const char *text; /* or the pixels, in hex */
    } cases[] = {
        {TEXT("P3 1 1 255 1 2 3"), 0, "010203"},
        {TEXT("P3\n# a comment\n1 # and\n1\n255\n1\n# here\n2 3\n"), 0, "010203"},
        {TEXT("P2\t2 1 15\n0 15"), 0, "000000ffffff"},
        {TEXT("P2 3 1 4 1 2 3"), 0, "404040808080bfbfbf"},
        {TEXT("P5 2 1 255\n\x80\x7f"), 0, "8080807f7f7f"},
        {TEXT("P5 2 1 100\n\x64\xff"), 0, "ffffffffffff"},
        {TEXT("P6 1 1 65535\n\x12\x34\xff\xff\0\0"), 0, "12ff00"},
        {TEXT("P6 1 1 255 #ab"), 0, "236162"},
        {TEXT("P3 1 1 255 1 2"), -EBADMSG, "PNM: the file is cut short"},
        {TEXT("P6 1 1 255\n\1\2"), -EBADMSG, "PNM: the file is cut short"},
        {TEXT("P5 1 1 256\n\1"), -EBADMSG, "PNM: the file is cut short"},
        {TEXT("P6 1 1 255"), -EBADMSG, "PNM: no space behind the header"},
        {TEXT("P6 1 1 255x"), -EBADMSG, "PNM: no space behind the header"},
        {TEXT("P6 1 "), -EBADMSG, "PNM: the file is cut short"},
        {TEXT("P2 1 1 9 10"), -EBADMSG, "PNM: a sample is over 9"},
        {TEXT("P2 1 1 9 x"), -EBADMSG, "PNM: a sample is not a number"},
        {TEXT("P2 1 -1 9 1"), -EBADMSG, "PNM: a height is not a number"},
        {TEXT("P5 0 1 255\n"), -EBADMSG, "PNM: 0 x 1 pixels up to 255"},
        {TEXT("P5 1 1 0\n\0"), -EBADMSG, "PNM: 1 x 1 pixels up to 0"},
        {TEXT("P5 1 1 65536\n\0"), -EBADMSG, "PNM: a maximum is over 65535"},
        {TEXT("P5 2147483648 1 1\n"), -EBADMSG, "PNM: a width is over 2147483647"},
        {TEXT("P5 16385 1 1\n"), -E2BIG, "16385 x 1 pixels: a side is over the limit of 16384"},
        {TEXT("P4 8 1\n\xff"), -ENOTSUP, "PNM: the kind P4 is not supported"},
        {TEXT(""), -ENOTSUP, "not a JPEG, PNG, WebP, BMP, PPM or PGM picture"},
        {TEXT("GIF89a"), -ENOTSUP, "not a JPEG, PNG, WebP, BMP, PPM or PGM picture"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *bytes = (const uint8_t *)cases[i].file;
        struct scree_error err = {""};
        struct scree_image image;
        char hex[64] = "";

        if (cases[i].rc < 0) {
            expect_error(cases[i].file, bytes, cases[i].n_file, cases[i].rc, cases[i].text);
            continue;
        }
        if (scree_image_read(bytes, cases[i].n_file, NULL, &image, &err) < 0)
            fail_msg("%s: %s", cases[i].file, err.text);
        for (int32_t k = 0; k < 3 * image.w * image.h; k++)
            (void)snprintf(hex + 2 * k, 3, "%02x", image.pixels[k]);
        if (strcmp(hex, cases[i].text) != 0)
            fail_msg("%s: %s, not %s", cases[i].file, hex, cases[i].text);
        scree_image_done(&image);
    }
}

/* ---- limits ------------------------------------------------------------------------------------
 */

static void test_limits(void **state)
{
    static const struct {
        struct scree_image_options options;
        int rc;
    } cases[] = {
        {{.max_pixels = 1}, -E2BIG},
        {{.max_pixels = 19 * 13 - 1}, -E2BIG},
        {{.max_pixels = 19 * 13}, 0},
        {{.max_side = 18}, -E2BIG},
        {{.max_side = 19}, 0},
        {{.max_side = -1}, -EINVAL},
        {{.max_pixels = UINT64_MAX}, 0},
        {{.max_side = INT32_MAX}, 0},
        {{.max_pixels = 1, .max_side = 1}, -E2BIG},
    };
    struct file file = load("420.jpg");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_image image = {0};
        int rc = scree_image_read(file.bytes, file.n_bytes, &cases[i].options, &image, NULL);

        if (rc != cases[i].rc)
            fail_msg("case %zu: %d", i, rc);
        scree_image_done(&image);
    }
    free(file.bytes);
}

static void test_new_refuses(void **state)
{
    struct scree_image image = {.w = -7};
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_image_new(0, 1, 3, &image, &err), -EINVAL);
    assert_string_equal(err.text, "an image cannot be 0 x 1 with 3 channels");
    assert_int_equal(scree_image_new(1, -1, 3, &image, &err), -EINVAL);
    assert_int_equal(scree_image_new(1, SCREE_IMAGE_SIDE_END + 1, 3, &image, &err), -EINVAL);
    assert_int_equal(scree_image_new(1, 1, 2, &image, &err), -EINVAL);
    assert_int_equal(image.w, -7);
}

/* ---- EXIF --------------------------------------------------------------------------------------
 */

static void test_exif_blocks(void **state)
{
    static const struct {
        const char *block;
        size_t n_block;
        int32_t orientation;
    } cases[] = {
        {TEXT("II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"), 6},
        {TEXT("MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\3\0\0"), 3},
        {TEXT("Exif\0\0II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\10\0\0\0"), 8},
        /* the second of two entries */
        {TEXT("II*\0\10\0\0\0\2\0\x0f\1\2\0\1\0\0\0\2\0\0\0\x12\1\3\0\1\0\0\0\2\0\0\0"), 2},
        /* out of range, of another type, of another count */
        {TEXT("II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\11\0\0\0"), 1},
        {TEXT("II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\0\0\0\0"), 1},
        {TEXT("II*\0\10\0\0\0\1\0\x12\1\4\0\1\0\0\0\6\0\0\0"), 1},
        {TEXT("II*\0\10\0\0\0\1\0\x12\1\3\0\2\0\0\0\6\0\0\0"), 1},
        /* the directory outside, the entry cut off, more entries than there are */
        {TEXT("II*\0\xff\xff\xff\xff\1\0\x12\1\3\0\1\0\0\0\6\0\0\0"), 1},
        {TEXT("II*\0\10\0\0\0\1\0\x12\1\3\0\1\0\0\0\6"), 1},
        {TEXT("II*\0\10\0\0\0\xff\xff\x13\1\3\0\1\0\0\0\6\0\0\0"), 1},
        /* not a block */
        {TEXT("IM*\0\10\0\0\0"), 1},
        {TEXT("II*\0"), 1},
        {TEXT(""), 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *block = malloc(cases[i].n_block + 1);
        int32_t got;

        assert_non_null(block);
        /* At the end of the memory, so that a sanitizer sees a read behind it. */
        memcpy(block + 1, cases[i].block, cases[i].n_block);
        got = scree_exif_orientation(block + 1, cases[i].n_block);
        if (got != cases[i].orientation)
            fail_msg("block %zu: %d", i, got);
        free(block);
    }
}

static void test_orientations(void **state)
{
    /* Of "abc" over "def", as rows. */
    static const char *const upright[] = {NULL,     "abcdef", "cbafed", "fedcba", "defabc",
                                          "adbecf", "daebfc", "fcebda", "cfbead"};

    (void)state;
    for (int32_t orientation = 1; orientation <= 8; orientation++) {
        struct scree_image image;

        assert_int_equal(scree_image_new(3, 2, 1, &image, NULL), 0);
        memcpy(image.pixels, "abcdef", 6);
        assert_int_equal(scree_image_orient(&image, orientation, NULL), 0);
        assert_int_equal(image.w, orientation < 5 ? 3 : 2);
        assert_int_equal(image.h, orientation < 5 ? 2 : 3);
        assert_memory_equal(image.pixels, upright[orientation], 6);
        scree_image_done(&image);
    }
}

/* ---- writing -----------------------------------------------------------------------------------
 */

static struct scree_image gradient(int32_t w, int32_t h, int32_t channels)
{
    struct scree_image image;

    assert_int_equal(scree_image_new(w, h, channels, &image, NULL), 0);
    for (int32_t i = 0; i < w * h; i++)
        for (int32_t c = 0; c < channels; c++)
            image.pixels[i * channels + c] = (uint8_t)(i % w * 5 + i / w * 3 + c * 20);
    return image;
}

static void test_png_round_trip(void **state)
{
    static const int32_t sizes[][3] = {{1, 1, 3}, {1, 1, 1}, {17, 9, 3}, {9, 17, 1}, {300, 2, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct scree_image image = gradient(sizes[i][0], sizes[i][1], sizes[i][2]), back;
        size_t n_pixels = (size_t)(image.w * image.h), n_bytes;
        uint8_t *bytes;

        assert_int_equal(scree_image_encode_png(&image, &bytes, &n_bytes, NULL), 0);
        assert_int_equal(scree_image_read(bytes, n_bytes, NULL, &back, NULL), 0);
        assert_int_equal(back.w, image.w);
        assert_int_equal(back.h, image.h);
        for (size_t k = 0; k < 3 * n_pixels; k++)
            assert_int_equal(back.pixels[k], image.pixels[image.channels == 3 ? k : k / 3]);
        free(bytes);
        scree_image_done(&image);
        scree_image_done(&back);
    }
}

static void test_jpeg_round_trip(void **state)
{
    (void)state;
    for (int32_t channels = 1; channels <= 3; channels += 2) {
        struct scree_image image = gradient(33, 21, channels), back;
        int32_t n_pixels = image.w * image.h, sum = 0;
        uint8_t *bytes;
        size_t n_bytes;

        assert_int_equal(scree_image_encode_jpeg(&image, 95, &bytes, &n_bytes, NULL), 0);
        assert_int_equal(scree_image_read(bytes, n_bytes, NULL, &back, NULL), 0);
        for (int32_t k = 0; k < 3 * n_pixels; k++)
            sum += abs(back.pixels[k] - image.pixels[channels == 3 ? k : k / 3]);
        /* A gradient at quality 95 comes back to within 2 of 255 on average. */
        assert_in_range(sum, 0, 2 * 3 * n_pixels);
        free(bytes);
        scree_image_done(&image);
        scree_image_done(&back);
    }
}

static void test_encoders_refuse(void **state)
{
    struct scree_image image = gradient(2, 2, 3), empty = {0};
    uint8_t *bytes = NULL;
    size_t n_bytes;

    (void)state;
    assert_int_equal(scree_image_encode_png(&empty, &bytes, &n_bytes, NULL), -EINVAL);
    assert_int_equal(scree_image_encode_jpeg(&empty, 90, &bytes, &n_bytes, NULL), -EINVAL);
    assert_int_equal(scree_image_encode_jpeg(&image, 0, &bytes, &n_bytes, NULL), -EINVAL);
    assert_int_equal(scree_image_encode_jpeg(&image, 101, &bytes, &n_bytes, NULL), -EINVAL);
    assert_null(bytes);
    scree_image_done(&image);
}

static void test_write_by_name(void **state)
{
    static const struct {
        const char *name;
        int rc;
        int format;
    } cases[] = {
        {"a.png", 0, SCREE_IMAGE_PNG},   {"a.JPG", 0, SCREE_IMAGE_JPEG},
        {"b.jpeg", 0, SCREE_IMAGE_JPEG}, {"a.PNG", 0, SCREE_IMAGE_PNG},
        {"a.gif", -EINVAL, 0},           {"png", -EINVAL, 0},
        {"no/such/a.png", -ENOENT, 0},
    };
    char directory[] = "/tmp/scree_media_XXXXXX", path[64];
    struct scree_image image = gradient(12, 7, 3);

    (void)state;
    assert_non_null(mkdtemp(directory));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_image_info info;
        struct scree_error err;
        uint8_t *bytes;
        size_t n_bytes;

        (void)snprintf(path, sizeof path, "%s/%s", directory, cases[i].name);
        assert_int_equal(scree_image_write(&image, path, &err), cases[i].rc);
        if (cases[i].rc < 0) {
            assert_memory_equal(err.text, path, strlen(path));
            continue;
        }
        assert_int_equal(scree_file_read(path, 1 << 20, &bytes, &n_bytes, NULL), 0);
        assert_int_equal(scree_image_probe(bytes, n_bytes, &info, NULL), 0);
        assert_int_equal(info.format, cases[i].format);
        assert_int_equal(info.w, 12);
        free(bytes);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(directory), 0); /* so no temporary file remained */
    scree_image_done(&image);
}

static void test_read_file_names_the_file(void **state)
{
    struct scree_image image;
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_image_read_file("/nonexistent.jpg", NULL, &image, &err), -ENOENT);
    assert_string_equal(err.text, "/nonexistent.jpg: No such file or directory");
    assert_int_equal(scree_image_read_file(image_path("rle8.bmp"), NULL, &image, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "rle8.bmp: BMP: run-length coding"));
    assert_int_equal(scree_image_read_file("/", NULL, &image, &err), -EINVAL);
}

/* ---- no memory ---------------------------------------------------------------------------------
 */

static int read_upright(const struct file *file, struct scree_error *err)
{
    static const struct scree_image_options options = {.orient = true};
    struct scree_image image;
    int rc = scree_image_read(file->bytes, file->n_bytes, &options, &image, err);

    if (rc == 0)
        scree_image_done(&image);
    return rc;
}

static int encode_both(const struct file *file, struct scree_error *err)
{
    struct scree_image image;
    uint8_t *bytes;
    size_t n_bytes;
    int rc = scree_image_read(file->bytes, file->n_bytes, NULL, &image, err);

    if (rc < 0)
        return rc;
    rc = scree_image_encode_png(&image, &bytes, &n_bytes, err);
    if (rc == 0) {
        free(bytes);
        rc = scree_image_encode_jpeg(&image, 90, &bytes, &n_bytes, err);
    }
    if (rc == 0)
        free(bytes);
    scree_image_done(&image);
    return rc;
}

/* Noise, of which a JPEG is long: the room for it grows twice. */
static int encode_noise(const struct file *file, struct scree_error *err)
{
    struct scree_image image;
    uint32_t noise = 1;
    uint8_t *bytes;
    size_t n_bytes;
    int rc = scree_image_new(320, 240, 3, &image, err);

    (void)file;
    if (rc < 0)
        return rc;
    for (int32_t i = 0; i < 3 * image.w * image.h; i++) {
        noise = noise * 1664525u + 1013904223u;
        image.pixels[i] = (uint8_t)(noise >> 24);
    }
    rc = scree_image_encode_jpeg(&image, 100, &bytes, &n_bytes, err);
    scree_image_done(&image);
    if (rc < 0)
        return rc;
    assert_in_range(n_bytes, 1 << 17, 1 << 18);
    rc = scree_image_read(bytes, n_bytes, NULL, &image, err);
    free(bytes);
    if (rc == 0)
        scree_image_done(&image);
    return rc;
}

/* Lets call i fail for i = 0, 1, ... until none does; at least `least` calls must have been there.
 */
static void fail_each(int (*run)(const struct file *, struct scree_error *),
                      const struct file *file, long least)
{
    for (long i = 0; i < 100; i++) {
        struct scree_error err = {""};
        int rc;

        allowed = i;
        rc = run(file, &err);
        allowed = -1;
        if (rc == 0) {
            assert_true(i >= least);
            return;
        }
        assert_int_equal(rc, -ENOMEM);
        assert_non_null(strstr(err.text, "no memory"));
    }
    fail_msg("always out of memory");
}

static void test_no_memory(void **state)
{
    struct file exif = load("exif6.jpg"), cmyk = load("cmyk.jpg");

    (void)state;
    fail_each(read_upright, &exif, 2);
    fail_each(read_upright, &cmyk, 1);
    fail_each(encode_both, &exif, 2);
    fail_each(encode_noise, NULL, 5);
    free(exif.bytes);
    free(cmyk.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures_have_pillows_pixels),
        cmocka_unit_test(test_pictures_turn_upright),
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_every_byte_damaged),
        cmocka_unit_test(test_damage_is_named),
        cmocka_unit_test(test_damaged_files),
        cmocka_unit_test(test_jpeg_scans_are_limited),
        cmocka_unit_test(test_jpeg_error_behind_a_warning),
        cmocka_unit_test(test_pnm),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_new_refuses),
        cmocka_unit_test(test_exif_blocks),
        cmocka_unit_test(test_orientations),
        cmocka_unit_test(test_png_round_trip),
        cmocka_unit_test(test_jpeg_round_trip),
        cmocka_unit_test(test_encoders_refuse),
        cmocka_unit_test(test_write_by_name),
        cmocka_unit_test(test_read_file_names_the_file),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
