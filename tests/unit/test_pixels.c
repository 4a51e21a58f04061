/* What happens to pixels: resizing as Pillow does it, fitting, normalizing, drawing. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/checked.h"
#include "media/draw.h"
#include "media/normalize.h"
#include "media/resize.h"

static struct scree_image new_image(int32_t w, int32_t h, int32_t channels)
{
    struct scree_image image;

    assert_int_equal(scree_image_new(w, h, channels, &image, NULL), 0);
    return image;
}

static size_t image_bytes(const struct scree_image *image)
{
    return (size_t)image->w * (size_t)image->h * (size_t)image->channels;
}

static uint32_t image_crc(const struct scree_image *image)
{
    return (uint32_t)crc32(0, image->pixels, (uInt)image_bytes(image));
}

/* The noise of tests/media/make_expected.py. */
static struct scree_image noise(int32_t w, int32_t h, int32_t channels)
{
    struct scree_image image = new_image(w, h, channels);

    for (size_t i = 0; i < image_bytes(&image); i++) {
        uint32_t x = (uint32_t)i + (uint32_t)w * 65536 + (uint32_t)h;

        x *= 2654435761u;
        x ^= x >> 15;
        x *= 2246822519u;
        x ^= x >> 13;
        image.pixels[i] = (uint8_t)x;
    }
    return image;
}

/* ---- resize ------------------------------------------------------------------------------------
 */

static const struct {
    int32_t w, h, to_w, to_h;
    uint32_t crc;
} resizes[] = {
#define PICTURE(...)
#define RESIZE(w, h, to_w, to_h, crc) {w, h, to_w, to_h, crc},
#include "../media/expected.inc"
#undef PICTURE
#undef RESIZE
};

static void test_resize_as_pillow(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof resizes / sizeof resizes[0]; i++) {
        struct scree_image src = noise(resizes[i].w, resizes[i].h, 3);
        struct scree_image dst = new_image(resizes[i].to_w, resizes[i].to_h, 3);
        struct scree_resizer *resizer;
        uint8_t *to = dst.pixels, *end = dst.pixels + image_bytes(&dst);

        assert_int_equal(scree_resizer_new(src.w, src.h, dst.w, dst.h, &resizer, NULL), 0);
        for (int32_t y = 0, n; y < src.h; y += n) {
            n = scree_min_i32(1 + (y + (int32_t)i) % SCREE_RESIZER_ROWS, src.h - y);
            scree_resizer_push(resizer, src.pixels + 3 * y * src.w, 3 * (size_t)src.w, n);
            while (to < end && scree_resizer_pull(resizer, to))
                to += 3 * dst.w;
        }
        assert_ptr_equal(to, end);
        assert_false(scree_resizer_pull(resizer, NULL));
        scree_resizer_free(resizer);
        if (image_crc(&dst) != resizes[i].crc)
            fail_msg("%d x %d to %d x %d: crc %08x", src.w, src.h, dst.w, dst.h, image_crc(&dst));
        scree_image_done(&src);
        scree_image_done(&dst);
    }
}

static void test_fit_plans(void **state)
{
    static const struct {
        enum scree_fit_mode mode;
        int32_t src_w, src_h, dst_w, dst_h;
        struct scree_fit fit;
    } cases[] = {
        {SCREE_FIT_STRETCH, 640, 480, 320, 320, {{0, 0, 640, 480}, {0, 0, 320, 320}}},
        {SCREE_FIT_LETTERBOX, 640, 480, 320, 320, {{0, 0, 640, 480}, {0, 40, 320, 240}}},
        {SCREE_FIT_LETTERBOX, 480, 640, 320, 320, {{0, 0, 480, 640}, {40, 0, 240, 320}}},
        {SCREE_FIT_LETTERBOX, 1920, 1080, 640, 640, {{0, 0, 1920, 1080}, {0, 140, 640, 360}}},
        /* 427 * 320 / 640 = 213.5 goes to the even 214; 106 left over, 53 above */
        {SCREE_FIT_LETTERBOX, 640, 427, 320, 320, {{0, 0, 640, 427}, {0, 53, 320, 214}}},
        {SCREE_FIT_LETTERBOX, 100, 33, 10, 10, {{0, 0, 100, 33}, {0, 3, 10, 3}}},
        {SCREE_FIT_LETTERBOX, 65535, 1, 10, 10, {{0, 0, 65535, 1}, {0, 4, 10, 1}}},
        {SCREE_FIT_LETTERBOX, 1, 1, 7, 5, {{0, 0, 1, 1}, {1, 0, 5, 5}}},
        {SCREE_FIT_CROP, 640, 480, 320, 320, {{80, 0, 480, 480}, {0, 0, 320, 320}}},
        {SCREE_FIT_CROP, 480, 640, 320, 320, {{0, 80, 480, 480}, {0, 0, 320, 320}}},
        {SCREE_FIT_CROP, 100, 100, 20, 10, {{0, 25, 100, 50}, {0, 0, 20, 10}}},
        {SCREE_FIT_CROP, 1, 65535, 65535, 1, {{0, 32767, 1, 1}, {0, 0, 65535, 1}}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_fit fit = scree_fit_plan(cases[i].mode, cases[i].src_w, cases[i].src_h,
                                              cases[i].dst_w, cases[i].dst_h);

        if (memcmp(&fit, &cases[i].fit, sizeof fit) != 0)
            fail_msg("case %zu: (%d, %d) %d x %d to (%d, %d) %d x %d", i, fit.src.x, fit.src.y,
                     fit.src.w, fit.src.h, fit.dst.x, fit.dst.y, fit.dst.w, fit.dst.h);
    }
}

static void test_fit_maps_back(void **state)
{
    struct scree_fit fit = scree_fit_plan(SCREE_FIT_LETTERBOX, 30, 10, 16, 16);
    float x = 8, y = 7.5f;

    (void)state;
    scree_fit_to_source(&fit, &x, &y);
    assert_float_equal(x, 15, 0);
    assert_float_equal(y, 5, 0);

    fit = scree_fit_plan(SCREE_FIT_CROP, 30, 10, 16, 16);
    x = y = 16;
    scree_fit_to_source(&fit, &x, &y);
    assert_float_equal(x, 20, 0);
    assert_float_equal(y, 10, 0);
}

static void test_gray(void **state)
{
    /* Pillow's convert("L") of these. */
    static const uint8_t rgb[] = {0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3};
    static const uint8_t luma[] = {0, 255, 76, 150, 29, 2};
    uint8_t out[18];

    (void)state;
    scree_pixels_to_gray(rgb, 6, out);
    assert_memory_equal(out, luma, sizeof luma);
    memcpy(out, rgb, sizeof rgb);
    scree_pixels_to_gray(out, 6, out);
    assert_memory_equal(out, luma, sizeof luma);
}

/* ---- normalize ---------------------------------------------------------------------------------
 */

static void normalize(const struct scree_normalization *how, const uint8_t *pixels, size_t n_pixels,
                      int32_t channels, void *out)
{
    struct scree_normalizer normalizer;

    scree_normalizer_init(&normalizer, how);
    assert_int_equal(scree_normalizer_is_copy(&normalizer),
                     how->bytes && how->type == SCREE_TYPE_UINT8);
    scree_normalize(&normalizer, pixels, n_pixels, channels, out);
}

static void test_normalize_bytes(void **state)
{
    static const uint8_t pixels[] = {0, 1, 127, 128, 254, 255};
    static const int8_t want[] = {-128, -127, -1, 0, 126, 127};
    struct scree_normalization n;
    uint8_t u8[6];
    int8_t s8[6];

    (void)state;
    assert_int_equal(scree_normalization_default(SCREE_TYPE_UINT8, 0, 0, &n, NULL), 0);
    normalize(&n, pixels, 2, 3, u8);
    assert_memory_equal(u8, pixels, 6);
    assert_int_equal(scree_normalization_default(SCREE_TYPE_INT8, 0.02f, -3, &n, NULL), 0);
    normalize(&n, pixels, 6, 1, s8);
    assert_memory_equal(s8, want, 6);
}

static void test_normalize_quantized(void **state)
{
    static const struct {
        enum scree_type type;
        float scale;
        int32_t zero_point;
        float mean, std;
        uint8_t pixel;
        int32_t want;
    } cases[] = {
        {SCREE_TYPE_INT8, 1 / 255.0f, -128, 0, 255, 0, -128},
        {SCREE_TYPE_INT8, 1 / 255.0f, -128, 0, 255, 77, -51},
        {SCREE_TYPE_INT8, 1 / 255.0f, -128, 0, 255, 255, 127},
        {SCREE_TYPE_UINT8, 1 / 128.0f, 128, 127.5f, 127.5f, 0, 0},
        {SCREE_TYPE_UINT8, 1 / 128.0f, 128, 127.5f, 127.5f, 255, 255}, /* 256, clamped */
        {SCREE_TYPE_UINT8, 1.0f, 0, 0, 2, 3, 2},                       /* 1.5, away from zero */
        {SCREE_TYPE_INT8, 1.0f, 0, 4, 2, 1, -2},                       /* -1.5 */
        {SCREE_TYPE_INT8, 1.0f, 5, 4, 2, 1, 3},                        /* rounded before + 5 */
        {SCREE_TYPE_INT16, 1 / 32768.0f, 0, 0, 255, 128, 16448},
        {SCREE_TYPE_INT16, 1 / 32768.0f, 0, 0, 255, 255, 32767},
        {SCREE_TYPE_INT16, 1 / 32768.0f, 0, 255, 255, 0, -32768},
        {SCREE_TYPE_INT8, 1e-30f, 0, 0, 1e-10f, 255, 127}, /* infinite, clamped */
        {SCREE_TYPE_INT8, 1e-30f, INT32_MIN, 0, 1e-10f, 0, -128},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_normalization n;
        uint8_t pixels[3] = {cases[i].pixel, cases[i].pixel, cases[i].pixel};
        int16_t s16[3];
        int8_t s8[3];
        uint8_t u8[3];
        int32_t got;

        assert_int_equal(scree_normalization_affine(cases[i].type, cases[i].scale,
                                                    cases[i].zero_point, &cases[i].mean,
                                                    &cases[i].std, 1, &n, NULL),
                         0);
        if (cases[i].type == SCREE_TYPE_INT16) {
            normalize(&n, pixels, 1, 3, s16);
            got = s16[2];
        } else if (cases[i].type == SCREE_TYPE_INT8) {
            normalize(&n, pixels, 1, 3, s8);
            got = s8[2];
        } else {
            normalize(&n, pixels, 1, 3, u8);
            got = u8[2];
        }
        if (got != cases[i].want)
            fail_msg("case %zu: %d", i, got);
    }
}

static void test_normalize_float(void **state)
{
    static const float mean[3] = {123.675f, 116.28f, 103.53f}, std[3] = {58.395f, 57.12f, 57.375f};
    static const uint8_t pixels[6] = {0, 128, 255, 255, 0, 1};
    struct scree_normalization n;
    float out[6];

    (void)state;
    assert_int_equal(scree_normalization_affine(SCREE_TYPE_FLOAT32, 0, 0, mean, std, 3, &n, NULL),
                     0);
    normalize(&n, pixels, 2, 3, out);
    for (size_t i = 0; i < 6; i++)
        assert_true(out[i] == ((float)pixels[i] - mean[i % 3]) / std[i % 3]);
    assert_int_equal(scree_normalization_default(SCREE_TYPE_FLOAT32, 0, 0, &n, NULL), 0);
    normalize(&n, pixels, 6, 1, out);
    for (size_t i = 0; i < 6; i++)
        assert_true(out[i] == (float)pixels[i] / 255.0f);
    n.bytes = true;
    normalize(&n, pixels, 2, 3, out);
    for (size_t i = 0; i < 6; i++)
        assert_true(out[i] == (float)pixels[i]);
}

static void test_normalization_refuses(void **state)
{
    static const float zero = 0, one = 1, bad = NAN;
    struct scree_normalization n;
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_normalization_default(SCREE_TYPE_INT32, 1, 0, &n, &err), -ENOTSUP);
    assert_string_equal(err.text, "pixels cannot become int32");
    assert_int_equal(scree_normalization_default(SCREE_TYPE_INT16, 0, 0, &n, &err), -EINVAL);
    assert_string_equal(err.text, "the input's scale is 0");
    assert_int_equal(
        scree_normalization_affine(SCREE_TYPE_FLOAT32, 0, 0, &zero, &zero, 1, &n, &err), -EINVAL);
    assert_string_equal(err.text, "mean 0 and std 0");
    assert_int_equal(scree_normalization_affine(SCREE_TYPE_FLOAT32, 0, 0, &bad, &one, 1, &n, NULL),
                     -EINVAL);
    assert_int_equal(scree_normalization_affine(SCREE_TYPE_FLOAT32, 0, 0, &one, &one, 2, &n, NULL),
                     -EINVAL);
    assert_int_equal(scree_normalization_affine(SCREE_TYPE_INT8, NAN, 0, &zero, &one, 1, &n, NULL),
                     -EINVAL);
}

/* ---- draw --------------------------------------------------------------------------------------
 */

static const struct scree_color white = {255, 255, 255};

/* The picture as text, a row a line: '#' for white, '.' for black, '?' for anything else. */
static void expect_picture(const struct scree_image *image, const char *want)
{
    char text[1024];
    size_t n = 0;

    assert_true((size_t)((image->w + 1) * image->h) < sizeof text);
    for (int32_t y = 0; y < image->h; y++) {
        for (int32_t x = 0; x < image->w; x++) {
            const uint8_t *p = image->pixels + 3 * (y * image->w + x);
            bool gray = p[0] == p[1] && p[1] == p[2];

            text[n++] = gray && p[0] == 255 ? '#' : gray && p[0] == 0 ? '.' : '?';
        }
        text[n++] = '\n';
    }
    text[n] = '\0';
    assert_string_equal(text, want);
}

static void test_draw_box(void **state)
{
    struct scree_image image = new_image(8, 6, 3);

    (void)state;
    scree_draw_box(&image, 6.6f, 4.5f, 0.6f, 0.9f, 1, white); /* (1, 1) to (7, 4) */
    expect_picture(&image, "........\n"
                           ".######.\n"
                           ".#....#.\n"
                           ".######.\n"
                           "........\n"
                           "........\n");
    scree_draw_box(&image, -5, 2, 4, 99, 2, white);
    expect_picture(&image, "........\n"
                           ".######.\n"
                           "####..#.\n"
                           "#######.\n"
                           "..##....\n"
                           "..##....\n");
    scree_image_done(&image);
}

static void test_draw_lines_and_discs(void **state)
{
    struct scree_image image = new_image(8, 7, 3);

    (void)state;
    scree_draw_line(&image, 1.5f, 1.5f, 5.5f, 5.5f, 1, white);
    expect_picture(&image, "........\n"
                           ".#......\n"
                           "..#.....\n"
                           "...#....\n"
                           "....#...\n"
                           ".....#..\n"
                           "........\n");
    scree_draw_line(&image, -1e30f, 1.5f, INFINITY, 1.5f, 1, white);
    scree_draw_line(&image, 6.5f, 1.5f, 6.5f, 4.5f, 0, white);
    expect_picture(&image, "........\n"
                           "########\n"
                           "..#...#.\n"
                           "...#..#.\n"
                           "....#.#.\n"
                           ".....#..\n"
                           "........\n");
    memset(image.pixels, 0, image_bytes(&image));
    scree_draw_disc(&image, 3.5f, 3.5f, 2.5f, white);
    expect_picture(&image, "........\n"
                           "..###...\n"
                           ".#####..\n"
                           ".#####..\n"
                           ".#####..\n"
                           "..###...\n"
                           "........\n");
    scree_image_done(&image);
}

static void test_draw_fill_blends(void **state)
{
    struct scree_image image = new_image(4, 1, 3);

    (void)state;
    memset(image.pixels, 100, 12);
    scree_draw_fill(&image, (struct scree_rect){1, -5, 2, 9}, (struct scree_color){200, 0, 100},
                    128);
    assert_memory_equal(image.pixels, ((uint8_t[]){100, 100, 100, 150, 50, 100}), 6);
    scree_draw_fill(&image, (struct scree_rect){0, 0, 1, 1}, white, 0);
    assert_int_equal(image.pixels[0], 100);
    scree_draw_fill(&image, (struct scree_rect){3, 0, -3, 1}, white, 255);
    assert_int_equal(image.pixels[9], 100);
    scree_image_done(&image);
}

static void test_draw_text(void **state)
{
    struct scree_image image = new_image(16, 16, 3);
    struct scree_image twice = new_image(32, 32, 3);

    (void)state;
    scree_draw_text(&image, 0, -1, "i\xc2\xb0", 1, white);
    expect_picture(&image, "..........###...\n"
                           "...##....##.##..\n"
                           "...##....##.##..\n"
                           "..........###...\n"
                           ".####...........\n"
                           "...##...........\n"
                           "...##...........\n"
                           "...##...........\n"
                           "...##...........\n"
                           "...##...........\n"
                           ".######.........\n"
                           "................\n"
                           "................\n"
                           "................\n"
                           "................\n"
                           "................\n");
    scree_draw_text(&twice, 0, -2, "i\xc2\xb0", 2, white);
    for (int32_t i = 0; i < 32 * 32; i++)
        assert_int_equal(twice.pixels[3 * i], image.pixels[3 * (i / 64 * 16 + i % 32 / 2)]);
    scree_image_done(&image);
    scree_image_done(&twice);
}

static void test_every_character_has_its_glyph(void **state)
{
    uint32_t crcs[95];

    (void)state;
    for (int c = 32; c < 127; c++) {
        struct scree_image image = new_image(SCREE_GLYPH_W, SCREE_GLYPH_H, 3);
        char text[2] = {(char)c, '\0'};

        scree_draw_text(&image, 0, 0, text, 1, white);
        crcs[c - 32] = image_crc(&image);
        for (int before = 32; before < c; before++)
            if (crcs[before - 32] == crcs[c - 32])
                fail_msg("%c looks like %c", c, before);
        scree_image_done(&image);
    }
}

static void test_text_width(void **state)
{
    static const struct {
        const char *text;
        int32_t want;
    } cases[] = {
        {"", 0},           {"a", 8},
        {"ab c", 32},      {"ab\nabcd\nx", 32},
        {"\xc2\xb0", 8},   {"\xe4\xba\xba", 8},
        {"\xff\xfe", 16},  {"\xc2", 8},
        {"\x80\x80z", 16}, {"\n\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(scree_draw_text_width(cases[i].text), cases[i].want);
}

static void test_tag_stays_inside(void **state)
{
    static const struct {
        float x, y;
        int32_t left, top;
    } cases[] = {
        {20, 40, 20, 24}, /* above the corner */
        {20, 10, 20, 10}, /* no room above: inside */
        {-30, 40, 0, 24}, {95, 40, 80, 24}, {20, 500, 20, 44}, {1e30f, -1e30f, 80, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_image image = new_image(100, 60, 3);
        int32_t left = 100, top = 60, n = 0;

        /* A space leaves the tag empty: 8 and 2 pixels on each side, 16 high. */
        scree_draw_tag(&image, cases[i].x, cases[i].y, "  ", 1, white);
        for (int32_t k = 0; k < 100 * 60; k++) {
            if (!image.pixels[3 * k])
                continue;
            n++;
            left = k % 100 < left ? k % 100 : left;
            top = k / 100 < top ? k / 100 : top;
        }
        assert_int_equal(n, 20 * 16);
        assert_int_equal(left, cases[i].left);
        assert_int_equal(top, cases[i].top);
        scree_image_done(&image);
    }
}

static void test_palette_differs(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 80; i++) {
        struct scree_color a = scree_draw_palette(i);

        for (uint32_t k = i + 1; k < i + 5; k++) {
            struct scree_color b = scree_draw_palette(k);

            assert_true(abs(a.r - b.r) + abs(a.g - b.g) + abs(a.b - b.b) > 60);
        }
    }
    assert_int_equal(scree_draw_contrast((struct scree_color){255, 255, 0}).r, 0);
    assert_int_equal(scree_draw_contrast((struct scree_color){0, 0, 255}).r, 255);
}

/* Every shape with every mixture of extreme coordinates: nothing outside of the pixels is touched,
 * and nothing takes long. */
static void test_draw_extremes(void **state)
{
    static const float floats[] = {0,        -0.5f, 3,        1e9f,      -1e9f,        FLT_MAX,
                                   -FLT_MAX, NAN,   INFINITY, -INFINITY, 2147483648.0f};
    static const int32_t ints[] = {0, -1, 3, 100, INT32_MAX, INT32_MIN};
    const size_t n = sizeof floats / sizeof floats[0], m = sizeof ints / sizeof ints[0];
    uint8_t guarded[64 + 7 * 5 * 3 + 64];
    struct scree_image image = {7, 5, 3, guarded + 64};
    uint8_t guard[64];

    (void)state;
    memset(guard, 0xa5, sizeof guard);
    memset(guarded, 0xa5, sizeof guarded);
    for (size_t i = 0; i < n * n * n * n; i++) {
        float a = floats[i % n], b = floats[i / n % n], c = floats[i / n / n % n];
        float d = floats[i / n / n / n];

        scree_draw_line(&image, a, b, c, d, floats[i % 7], white);
        scree_draw_box(&image, a, b, c, d, ints[i % m], white);
        scree_draw_disc(&image, a, b, c, white);
        scree_draw_tag(&image, a, b, "tag", ints[i % m], white);
    }
    for (size_t i = 0; i < m * m * m * m; i++) {
        struct scree_rect rect = {ints[i % m], ints[i / m % m], ints[i / m / m % m],
                                  ints[i / m / m / m]};

        scree_draw_fill(&image, rect, white, 200);
        scree_draw_text(&image, rect.x, rect.y, "text\nline\xff", rect.w, white);
    }
    assert_memory_equal(guarded, guard, 64);
    assert_memory_equal(guarded + sizeof guarded - 64, guard, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize_as_pillow),
        cmocka_unit_test(test_fit_plans),
        cmocka_unit_test(test_fit_maps_back),
        cmocka_unit_test(test_gray),
        cmocka_unit_test(test_normalize_bytes),
        cmocka_unit_test(test_normalize_quantized),
        cmocka_unit_test(test_normalize_float),
        cmocka_unit_test(test_normalization_refuses),
        cmocka_unit_test(test_draw_box),
        cmocka_unit_test(test_draw_lines_and_discs),
        cmocka_unit_test(test_draw_fill_blends),
        cmocka_unit_test(test_draw_text),
        cmocka_unit_test(test_every_character_has_its_glyph),
        cmocka_unit_test(test_text_width),
        cmocka_unit_test(test_tag_stays_inside),
        cmocka_unit_test(test_palette_differs),
        cmocka_unit_test(test_draw_extremes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
