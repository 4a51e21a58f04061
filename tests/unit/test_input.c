/* Pictures into inputs: by rows as whole, whatever the file, the fit and the input are, and every
 * allocation failing. Linked with --wrap, so that the allocator obeys `allowed`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "media/image.h"
#include "media/normalize.h"
#include "media/resize.h"
#include "vision/tensor.h"

/* How many allocations may still succeed; negative: all. */
static long allowed = -1;

static bool may_allocate(void)
{
    return allowed < 0 || allowed-- > 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t n)
{
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

/* ---- files and inputs --------------------------------------------------------------------------
 */

struct file {
    const char *name;
    uint8_t *bytes;
    size_t n_bytes;
};

/* Of each way that a picture comes: by rows or whole, turned, of three colours, four or one. */
static struct file files[] = {
    {.name = "420.jpg"},    {.name = "cmyk.jpg"},       {.name = "gray.jpg"},
    {.name = "exif6.jpg"},  {.name = "restart.jpg"},    {.name = "progressive.jpg"},
    {.name = "rgb8.png"},   {.name = "interlaced.png"}, {.name = "lossy.webp"},
    {.name = "24bit.bmp"},  {.name = "raw16.ppm"},      {.name = "a long JPEG"},
    {.name = "a long PNG"},
};

#define N_FILES (sizeof files / sizeof files[0])

/* Pictures that come in several batches of rows, the last one not full. */
static void make_long_files(void)
{
    struct scree_image image;

    assert_int_equal(scree_image_new(317, 241, 3, &image, NULL), 0);
    for (int32_t i = 0; i < 3 * image.w * image.h; i++)
        image.pixels[i] = (uint8_t)((uint32_t)i * 2654435761u >> 24);
    assert_int_equal(scree_image_encode_jpeg(&image, 90, &files[N_FILES - 2].bytes,
                                             &files[N_FILES - 2].n_bytes, NULL),
                     0);
    assert_int_equal(scree_image_encode_png(&image, &files[N_FILES - 1].bytes,
                                            &files[N_FILES - 1].n_bytes, NULL),
                     0);
    scree_image_done(&image);
}

static int load_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES - 2; i++) {
        struct scree_error err;
        char path[4096];

        assert_true((size_t)snprintf(path, sizeof path, "%s/%s", TEST_IMAGES, files[i].name) <
                    sizeof path);
        if (scree_file_read(path, 1 << 20, &files[i].bytes, &files[i].n_bytes, &err) < 0)
            fail_msg("%s", err.text);
    }
    make_long_files();
    return 0;
}

static int free_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FILES; i++)
        free(files[i].bytes);
    return 0;
}

static struct scree_tensor new_input(enum scree_type type, int32_t w, int32_t h, int32_t c)
{
    struct scree_tensor t = {.type = type, .shape = {4, {1, h, w, c}}, .scale = 1 / 64.0f};

    t.n_scales = type != SCREE_TYPE_FLOAT32;
    t.bytes = (size_t)(w * h * c) * scree_type_bytes(type);
    t.data = calloc(t.bytes, 1);
    assert_non_null(t.data);
    return t;
}

static const struct {
    enum scree_type type;
    int32_t w, h, c;
    int32_t n_values; /* of mean and std; 0: the default */
} inputs[] = {
    {SCREE_TYPE_UINT8, 8, 8, 3, 0},     {SCREE_TYPE_UINT8, 33, 20, 3, 0},
    {SCREE_TYPE_UINT8, 19, 13, 3, 0},   {SCREE_TYPE_UINT8, 9, 11, 1, 0},
    {SCREE_TYPE_UINT8, 9, 11, 3, 3},    {SCREE_TYPE_INT8, 12, 10, 3, 0},
    {SCREE_TYPE_INT8, 10, 12, 1, 1},    {SCREE_TYPE_INT16, 7, 7, 3, 0},
    {SCREE_TYPE_FLOAT32, 16, 9, 3, 3},  {SCREE_TYPE_FLOAT32, 9, 16, 1, 0},
    {SCREE_TYPE_UINT8, 317, 241, 3, 0}, {SCREE_TYPE_UINT8, 1, 1, 3, 0},
};

#define N_INPUTS (sizeof inputs / sizeof inputs[0])

static struct scree_picture_options picture_options(size_t input, enum scree_fit_mode fit)
{
    return (struct scree_picture_options){.fit = fit,
                                          .n_values = inputs[input].n_values,
                                          .mean = {100, 110, 120},
                                          .std = {50, 60, 70}};
}

static struct scree_tensor input_at(size_t i)
{
    return new_input(inputs[i].type, inputs[i].w, inputs[i].h, inputs[i].c);
}

/* ---- the input, made in the plainest way -------------------------------------------------------
 */

/* Part `from` of src, resized into part `to` of a gray picture of w x h. */
static struct scree_image fitted(const struct scree_image *src, const struct scree_fit *fit,
                                 int32_t w, int32_t h)
{
    struct scree_image out;
    struct scree_resizer *resizer;
    int32_t n = 0;

    assert_int_equal(scree_image_new(w, h, 3, &out, NULL), 0);
    memset(out.pixels, 114, (size_t)(w * h * 3));
    assert_int_equal(
        scree_resizer_new(fit->src.w, fit->src.h, fit->dst.w, fit->dst.h, &resizer, NULL), 0);
    for (int32_t y = 0; y < fit->src.h; y++) {
        scree_resizer_push(resizer, src->pixels + 3 * ((fit->src.y + y) * src->w + fit->src.x), 1,
                           1);
        while (n < fit->dst.h &&
               scree_resizer_pull(resizer, out.pixels + 3 * ((fit->dst.y + n) * w + fit->dst.x)))
            n++;
    }
    scree_resizer_free(resizer);
    return out;
}

static void normalize(const struct scree_image *image, const struct scree_tensor *t,
                      const struct scree_picture_options *options, void *out)
{
    struct scree_normalization how;
    struct scree_normalizer normalizer;
    size_t n = (size_t)(image->w * image->h);
    int32_t c = t->shape.dims[3];

    if (options->n_values)
        assert_int_equal(scree_normalization_affine(t->type, t->scale, t->zero_point, options->mean,
                                                    options->std, options->n_values, &how, NULL),
                         0);
    else
        assert_int_equal(scree_normalization_default(t->type, t->scale, t->zero_point, &how, NULL),
                         0);
    scree_normalizer_init(&normalizer, &how);
    if (c == 1)
        scree_pixels_to_gray(image->pixels, n, image->pixels);
    scree_normalize(&normalizer, image->pixels, n, c, out);
}

static void expect_input(const struct scree_image *image, const struct scree_tensor *t,
                         const struct scree_picture_options *options, const char *name)
{
    int32_t w = t->shape.dims[2], h = t->shape.dims[1];
    struct scree_fit fit = scree_fit_plan(options->fit, image->w, image->h, w, h);
    struct scree_image out = fitted(image, &fit, w, h);
    void *want = calloc(t->bytes, 1);

    assert_non_null(want);
    normalize(&out, t, options, want);
    if (memcmp(want, t->data, t->bytes) != 0)
        fail_msg("%s: %s %d x %d, fit %d", name, scree_type_name(t->type), w, h, options->fit);
    scree_image_done(&out);
    free(want);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

/* Both ways give what cutting, resizing, padding and normalizing whole pictures gives. */
static void check_file(const struct file *file, const struct scree_image_options *reading,
                       size_t input, enum scree_fit_mode mode)
{
    struct scree_picture_options options = picture_options(input, mode);
    struct scree_tensor t = input_at(input);
    struct scree_tensor_read read;
    struct scree_image image;
    struct scree_error err;
    struct scree_fit fit;

    if (scree_tensor_read_image(&t, file->bytes, file->n_bytes, reading, &options, &read, &err) <
            0 ||
        scree_image_read(file->bytes, file->n_bytes, reading, &image, &err) < 0)
        fail_msg("%s: %s", file->name, err.text);
    expect_input(&image, &t, &options, file->name);
    memset(t.data, 0, t.bytes);
    assert_int_equal(scree_tensor_set_image(&t, &image, &options, &fit, NULL), 0);
    expect_input(&image, &t, &options, file->name);
    assert_int_equal(read.w, image.w);
    assert_int_equal(read.h, image.h);
    assert_memory_equal(&read.fit, &fit, sizeof fit);
    scree_image_done(&image);
    free(t.data);
}

static void test_rows_as_whole(void **state)
{
    static const struct scree_image_options upright = {.orient = true};

    (void)state;
    for (size_t i = 0; i < N_FILES; i++)
        for (size_t k = 0; k < N_INPUTS; k++)
            for (int mode = SCREE_FIT_STRETCH; mode <= SCREE_FIT_CROP; mode++) {
                check_file(&files[i], NULL, k, (enum scree_fit_mode)mode);
                check_file(&files[i], &upright, k, (enum scree_fit_mode)mode);
            }
}

/* However small a file is decoded, its size and the fit are told in its own pixels. */
static void test_smaller_pictures(void **state)
{
    static const struct scree_image_options reading = {.enough = 30, .max_bytes = 3 * 40 * 31};
    static const struct scree_picture_options crop = {.fit = SCREE_FIT_CROP};
    const struct file *file = &files[N_FILES - 2];
    struct scree_tensor t = new_input(SCREE_TYPE_UINT8, 30, 30, 3);
    struct scree_tensor_read read;
    struct scree_image image;

    (void)state;
    assert_int_equal(
        scree_tensor_read_image(&t, file->bytes, file->n_bytes, &reading, &crop, &read, NULL), 0);
    assert_int_equal(read.w, 317);
    assert_int_equal(read.h, 241);
    /* 40 x 31 pixels are decoded, of which 31 x 31 from 4 on are taken. */
    assert_memory_equal(&read.fit, &((struct scree_fit){{31, 0, 246, 241}, {0, 0, 30, 30}}),
                        sizeof read.fit);
    assert_int_equal(scree_image_read(file->bytes, file->n_bytes, &reading, &image, NULL), 0);
    assert_int_equal(image.w, 40);
    expect_input(&image, &t, &crop, file->name);
    scree_image_done(&image);
    free(t.data);
}

/* Each part of a file that is not all of it gives the error that reading it whole gives. */
static void test_every_prefix(void **state)
{
    struct scree_tensor t = new_input(SCREE_TYPE_INT8, 5, 6, 3);

    (void)state;
    for (size_t i = 0; i < N_FILES - 2; i++)
        for (size_t n = 0; n < files[i].n_bytes; n++) {
            struct scree_error whole_err = {""}, err = {""};
            struct scree_tensor_read read;
            struct scree_image image;
            int want = scree_image_read(files[i].bytes, n, NULL, &image, &whole_err);
            int got = scree_tensor_read_image(&t, files[i].bytes, n, NULL, NULL, &read, &err);

            if (want == 0)
                scree_image_done(&image);
            if (got != want || strcmp(err.text, whole_err.text) != 0)
                fail_msg("%s: %zu bytes: %d '%s', not %d '%s'", files[i].name, n, got, err.text,
                         want, whole_err.text);
        }
    free(t.data);
}

static void test_refuses(void **state)
{
    static const struct scree_image_options small = {.max_pixels = 1};
    static const struct scree_picture_options bad = {.fit = (enum scree_fit_mode)3};
    struct scree_tensor t = new_input(SCREE_TYPE_UINT8, 4, 4, 3), vector = t;
    struct scree_tensor_read read = {.w = -7};
    const struct file *file = &files[0];
    struct scree_error err;

    (void)state;
    vector.shape.rank = 2;
    assert_int_equal(
        scree_tensor_read_image(&vector, file->bytes, file->n_bytes, NULL, NULL, &read, &err),
        -ENOTSUP);
    assert_string_equal(err.text, "an input that is not [1, h, w, 1 or 3] takes no picture");
    assert_int_equal(
        scree_tensor_read_image(&t, file->bytes, file->n_bytes, NULL, &bad, &read, &err), -EINVAL);
    assert_string_equal(err.text, "fit 3 is none");
    assert_int_equal(
        scree_tensor_read_image(&t, file->bytes, file->n_bytes, &small, NULL, &read, &err), -E2BIG);
    assert_string_equal(err.text, "19 x 13 pixels are over the limit of 1");
    assert_int_equal(scree_tensor_read_image(&t, file->bytes, 2, NULL, NULL, &read, &err),
                     -ENOTSUP);
    assert_int_equal(read.w, -7);
    free(t.data);
}

/* Lets call i fail for i = 0, 1, ... until none does. */
static void test_no_memory(void **state)
{
    static const struct scree_image_options upright = {.orient = true};
    struct scree_tensor t = new_input(SCREE_TYPE_INT8, 5, 6, 3);

    (void)state;
    for (size_t i = 0; i < N_FILES; i++) {
        long calls = 0;
        int rc;

        do {
            struct scree_error err = {""};
            struct scree_tensor_read read;

            allowed = calls++;
            rc = scree_tensor_read_image(&t, files[i].bytes, files[i].n_bytes, &upright, NULL,
                                         &read, &err);
            allowed = -1;
            if (rc < 0) {
                assert_int_equal(rc, -ENOMEM);
                assert_non_null(strstr(err.text, "no memory"));
            }
        } while (rc < 0);
        /* Rows or a picture, the resizer with its block, and a row. */
        assert_in_range(calls, 5, 9);
    }
    free(t.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_as_whole), cmocka_unit_test(test_smaller_pictures),
        cmocka_unit_test(test_every_prefix),  cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, load_files, free_files);
}
