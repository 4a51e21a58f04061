/* Pictures into a model's input, row by row: each row that the resize gives becomes numbers while
 * the cache has it, or is made in the input's own memory where its bytes are the picture's. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "media/image.h"
#include "media/normalize.h"
#include "media/resize.h"
#include "vision/tensor.h"

/* The gray around a letterbox, in all three channels. */
#define PAD 114

/* What takes a picture's rows. */
struct filling {
    struct scree_image_sink sink; /* first */
    const struct scree_tensor *tensor;
    enum scree_fit_mode mode;
    struct scree_sides sides;
    struct scree_normalizer normalizer;
    struct scree_image_info info; /* of the file */
    int32_t w, h;                 /* of the picture */
    struct scree_fit fit;
    struct scree_resizer *resizer;
    uint8_t *row;        /* u8[sides.w][3]; NULL if rows are made in the tensor */
    int32_t n_in, n_out; /* rows that came, and that were made of them */
    uint64_t ns;         /* that all this took */
};

static int picture_sides(const struct scree_tensor *t, struct scree_sides *ret,
                         struct scree_error *err)
{
    if (!scree_tensor_picture(t, ret))
        return scree_fail(err, ENOTSUP, "an input that is not [1, h, w, 1 or 3] takes no picture");
    if (ret->h > SCREE_IMAGE_MAX_SIDE || ret->w > SCREE_IMAGE_MAX_SIDE)
        return scree_fail(err, E2BIG, "an input of %d x %d is over %d on a side", ret->w, ret->h,
                          SCREE_IMAGE_MAX_SIDE);
    return 0;
}

static int normalization(const struct scree_tensor *t, const struct scree_picture_options *options,
                         struct scree_normalization *ret, struct scree_error *err)
{
    if (t->n_scales > 1)
        return scree_fail(err, ENOTSUP, "an input quantized per channel takes no picture");
    if (options->n_values == 0)
        return scree_normalization_default(t->type, t->scale, t->zero_point, ret, err);
    return scree_normalization_affine(t->type, t->scale, t->zero_point, options->mean, options->std,
                                      options->n_values, ret, err);
}

/* Where row y of the input is made, u8[sides.w][3]. */
static uint8_t *row_place(const struct filling *filling, int32_t y)
{
    if (filling->row)
        return filling->row;
    return (uint8_t *)filling->tensor->data + (size_t)y * (size_t)filling->sides.w * 3;
}

/* Row y of the input, which is in its place, becomes numbers. */
static void finish_row(struct filling *filling, int32_t y)
{
    const struct scree_sides *sides = &filling->sides;
    size_t n_pixels = (size_t)sides->w;
    size_t bytes = n_pixels * (size_t)sides->c * scree_type_bytes(filling->tensor->type);

    if (!filling->row)
        return;
    if (sides->c == 1)
        scree_pixels_to_gray(filling->row, n_pixels, filling->row);
    scree_normalize(&filling->normalizer, filling->row, n_pixels, sides->c,
                    (uint8_t *)filling->tensor->data + (size_t)y * bytes);
}

/* Rows [from, to) are all padding. */
static void pad_rows(struct filling *filling, int32_t from, int32_t to)
{
    for (int32_t y = from; y < to; y++) {
        memset(row_place(filling, y), PAD, (size_t)filling->sides.w * 3);
        finish_row(filling, y);
    }
}

static int begin(struct scree_image_sink *sink, const struct scree_image_info *info, int32_t w,
                 int32_t h, struct scree_error *err)
{
    struct filling *filling = (struct filling *)sink;
    const struct scree_sides *sides = &filling->sides;
    uint64_t start = scree_now_ns();
    struct scree_fit fit = scree_fit_plan(filling->mode, w, h, sides->w, sides->h);
    int rc = scree_resizer_new(fit.src.w, fit.src.h, fit.dst.w, fit.dst.h, &filling->resizer, err);

    if (rc < 0)
        return rc;
    if (sides->c != 3 || !scree_normalizer_is_copy(&filling->normalizer)) {
        filling->row = malloc((size_t)sides->w * 3);
        if (!filling->row)
            return scree_fail_memory(err, (size_t)sides->w * 3);
    }
    filling->info = *info;
    filling->w = w;
    filling->h = h;
    filling->fit = fit;
    pad_rows(filling, 0, fit.dst.y);
    pad_rows(filling, fit.dst.y + fit.dst.h, sides->h);
    filling->ns += scree_now_ns() - start;
    return 0;
}

/* Makes the rows of the input that the resizer has ready. */
static void make_rows(struct filling *filling)
{
    const struct scree_rect *dst = &filling->fit.dst;
    size_t left = (size_t)dst->x * 3, middle = (size_t)dst->w * 3;
    size_t right = (size_t)filling->sides.w * 3 - left - middle;

    for (;;) {
        uint8_t *row = row_place(filling, dst->y + filling->n_out);

        if (!scree_resizer_pull(filling->resizer, row + left))
            return;
        memset(row, PAD, left);
        memset(row + left + middle, PAD, right);
        finish_row(filling, dst->y + filling->n_out++);
    }
}

static void put(struct scree_image_sink *sink, const uint8_t *rows, int32_t n_rows)
{
    struct filling *filling = (struct filling *)sink;
    const struct scree_rect *src = &filling->fit.src;
    size_t stride_bytes = 3 * (size_t)filling->w;
    int32_t begin_at = scree_max_i32(src->y - filling->n_in, 0);
    int32_t end_at = scree_min_i32(src->y + src->h - filling->n_in, n_rows);
    uint64_t start = scree_now_ns();

    for (int32_t y = begin_at, n; y < end_at; y += n) {
        n = scree_min_i32(end_at - y, SCREE_RESIZER_ROWS);
        scree_resizer_push(filling->resizer, rows + (size_t)y * stride_bytes + 3 * (size_t)src->x,
                           stride_bytes, n);
        make_rows(filling);
    }
    filling->n_in += n_rows;
    filling->ns += scree_now_ns() - start;
}

static int filling_init(struct filling *filling, const struct scree_tensor *t,
                        const struct scree_picture_options *options, struct scree_error *err)
{
    static const struct scree_picture_options defaults = {0};
    struct scree_normalization how;
    int rc;

    if (!options)
        options = &defaults;
    if ((uint32_t)options->fit > SCREE_FIT_CROP)
        return scree_fail(err, EINVAL, "fit %d is none", (int)options->fit);
    rc = picture_sides(t, &filling->sides, err);
    if (rc == 0)
        rc = normalization(t, options, &how, err);
    if (rc < 0)
        return rc;
    scree_normalizer_init(&filling->normalizer, &how);
    filling->sink = (struct scree_image_sink){begin, put};
    filling->tensor = t;
    filling->mode = options->fit;
    return 0;
}

static void filling_done(struct filling *filling)
{
    scree_resizer_free(filling->resizer);
    free(filling->row);
}

int scree_tensor_set_image(const struct scree_tensor *t, const struct scree_image *image,
                           const struct scree_picture_options *options, struct scree_fit *ret_fit,
                           struct scree_error *err)
{
    const struct scree_image_info none = {.w = image->w, .h = image->h, .orientation = 1};
    struct filling filling = {0};
    int rc = filling_init(&filling, t, options, err);

    if (rc == 0)
        rc = begin(&filling.sink, &none, image->w, image->h, err);
    if (rc == 0) {
        put(&filling.sink, image->pixels, image->h);
        assert(filling.n_out == filling.fit.dst.h);
    }
    filling_done(&filling);
    if (rc == 0 && ret_fit)
        *ret_fit = filling.fit;
    return rc;
}

static int32_t scale(int32_t x, int32_t to, int32_t from)
{
    return (int32_t)((int64_t)x * to / from);
}

/* The fit in pixels of the file, and not of the smaller picture that may have been decoded. */
static struct scree_fit scaled_fit(const struct filling *filling, int32_t w, int32_t h)
{
    struct scree_fit fit = filling->fit;
    int32_t right = scale(fit.src.x + fit.src.w, w, filling->w);
    int32_t bottom = scale(fit.src.y + fit.src.h, h, filling->h);

    fit.src.x = scale(fit.src.x, w, filling->w);
    fit.src.y = scale(fit.src.y, h, filling->h);
    fit.src.w = right - fit.src.x;
    fit.src.h = bottom - fit.src.y;
    return fit;
}

int scree_tensor_read_image(const struct scree_tensor *t, const uint8_t *bytes, size_t n_bytes,
                            const struct scree_image_options *reading,
                            const struct scree_picture_options *options,
                            struct scree_tensor_read *ret, struct scree_error *err)
{
    struct filling filling = {0};
    bool turned;
    int rc = filling_init(&filling, t, options, err);

    if (rc == 0)
        rc = scree_image_read_rows(bytes, n_bytes, reading, &filling.sink, err);
    filling_done(&filling);
    if (rc < 0)
        return rc;
    assert(filling.n_out == filling.fit.dst.h);
    turned = reading && reading->orient && filling.info.orientation >= 5;
    ret->w = turned ? filling.info.h : filling.info.w;
    ret->h = turned ? filling.info.w : filling.info.h;
    ret->fit = scaled_fit(&filling, ret->w, ret->h);
    ret->fit_ns = filling.ns;
    return 0;
}

int scree_session_set_image(struct scree_session *session, uint32_t index,
                            const struct scree_image *image,
                            const struct scree_picture_options *options, struct scree_fit *ret_fit,
                            struct scree_error *err)
{
    struct scree_tensor t;

    if (scree_session_input(session, index, &t) < 0)
        return scree_fail(err, EINVAL, "input %u of %u", index, scree_session_n_inputs(session));
    return scree_tensor_set_image(&t, image, options, ret_fit, err);
}
