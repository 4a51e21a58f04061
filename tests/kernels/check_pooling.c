#include <string.h>

#include "checkkern.h"

struct timing {
    scree_pooling_row_fn *kernels[2];
    struct scree_pooling pooling;
    uint8_t *out;
    const uint8_t *in;
};

static void run_timing(void *arg, bool variant)
{
    struct timing *timing = arg;

    for (size_t row = 0; row < (size_t)timing->pooling.out_h; row++)
        timing->kernels[variant](&timing->pooling, timing->in, timing->out, row);
}

/* Pooling of some size: filters up to 7 x 7, now and then of many elements, pads below the filter.
 */
static struct scree_pooling some_pooling(struct check *check, int32_t c, bool is_signed)
{
    int32_t low = is_signed ? INT8_MIN : 0, big = check_below(check, 12) == 0 ? 21 : 0;
    struct scree_pooling p = {
        .n = check_between(check, 1, 2),
        .in_h = check_between(check, 1, 9) + big,
        .in_w = check_between(check, 1, 9) + big,
        .c = c,
        .filter_h = check_between(check, 1, 7) + big,
        .filter_w = check_between(check, 1, 7) + big,
        .stride_h = check_between(check, 1, 3),
        .stride_w = check_between(check, 1, 3),
        .min = low,
        .max = low + 255,
    };

    p.pad_top = check_between(check, 0, p.filter_h - 1);
    p.pad_left = check_between(check, 0, p.filter_w - 1);
    p.out_h = 1 + (p.in_h + p.pad_top - 1) / p.stride_h;
    p.out_w = 1 + (p.in_w + p.pad_left - 1) / p.stride_w;
    if (check_below(check, 3) == 0) {
        p.min = check_between(check, low, low + 255);
        p.max = check_between(check, p.min, low + 255);
    }
    return p;
}

/* All rows; what is not written stays as it was. */
static void run_all(scree_pooling_row_fn *kernel, const struct scree_pooling *p, const void *in,
                    void *out)
{
    for (int32_t row = 0; row < p->n * p->out_h; row++)
        kernel(p, in, out, (size_t)row);
}

static void check_pooling(struct check *check, scree_pooling_row_fn *definition,
                          scree_pooling_row_fn *variant, const struct scree_pooling *p,
                          enum check_fill fill)
{
    size_t n_in = (size_t)p->n * (size_t)p->in_h * (size_t)p->in_w * (size_t)p->c;
    size_t n_out = (size_t)p->n * (size_t)p->out_h * (size_t)p->out_w * (size_t)p->c;
    uint8_t *in = check_input(n_in, 1), *a = check_output(n_out), *b = check_output(n_out);

    check_fill_bytes(check, in, n_in, fill);
    run_all(definition, p, in, a);
    run_all(variant, p, in, b);
    check_equal(check, a, b, n_out,
                "%dx%dx%dx%d, filter %dx%d, strides %d %d, pads %d %d, in [%d, %d]", p->n, p->in_h,
                p->in_w, p->c, p->filter_h, p->filter_w, p->stride_h, p->stride_w, p->pad_top,
                p->pad_left, p->min, p->max);
    check_free_all();
}

static void time_pooling(struct check *check, scree_pooling_row_fn *definition,
                         scree_pooling_row_fn *variant, const char *what,
                         const struct scree_pooling *p)
{
    size_t n_in = (size_t)p->in_h * (size_t)p->in_w * (size_t)p->c;
    size_t n_out = (size_t)p->out_h * (size_t)p->out_w * (size_t)p->c;
    uint8_t *in = check_input(n_in, 1);
    struct timing timing = {{definition, variant}, *p, check_output(n_out), in};

    check_fill_bytes(check, in, n_in, CHECK_RANDOM);
    check_time(check, what, (double)n_out * p->filter_h * p->filter_w, "el", run_timing, &timing);
    check_free_all();
}

/* Layers of MobileNetV1 and YOLOv8. */
static void time_layers(struct check *check, scree_pooling_row_fn *definition,
                        scree_pooling_row_fn *variant, bool is_signed)
{
    int32_t low = is_signed ? INT8_MIN : 0;
    struct scree_pooling whole = {.n = 1,
                                  .in_h = 7,
                                  .in_w = 7,
                                  .c = 1024,
                                  .out_h = 1,
                                  .out_w = 1,
                                  .filter_h = 7,
                                  .filter_w = 7,
                                  .stride_h = 1,
                                  .stride_w = 1,
                                  .min = low,
                                  .max = low + 255};
    struct scree_pooling part = whole;

    part.in_h = part.in_w = part.out_h = part.out_w = 20;
    part.c = 128;
    part.filter_h = part.filter_w = 5;
    part.pad_top = part.pad_left = 2;
    time_pooling(check, definition, variant, "7x7x1024, all", &whole);
    time_pooling(check, definition, variant, "20x20x128, 5x5", &part);
}

static void check_rows(struct check *check, scree_pooling_row_fn *definition,
                       scree_pooling_row_fn *variant, bool is_signed)
{
    static const int32_t channels[] = {1,  3,  15, 16, 17,  31,  32,  33,  48,  63,
                                       64, 65, 72, 96, 127, 128, 129, 256, 300, 384};

    for (int i = 0; i < 200; i++) {
        struct scree_pooling p = some_pooling(check, channels[i % 20], is_signed);

        check_pooling(check, definition, variant, &p, (enum check_fill)(i / 20 % CHECK_N_FILLS));
    }
    time_layers(check, definition, variant, is_signed);
}

/* Every sum of n elements, for the n from 1 on: two windows' worth of each. */
static void check_quotients(struct check *check, scree_pooling_row_fn *definition,
                            scree_pooling_row_fn *variant, bool is_signed)
{
    int32_t low = is_signed ? INT8_MIN : 0;

    for (int32_t n = 1; n <= 64; n++) {
        struct scree_pooling p = {.n = 1,
                                  .in_h = 1,
                                  .in_w = n,
                                  .c = 255 * n + 1,
                                  .out_h = 1,
                                  .out_w = 1,
                                  .filter_h = 1,
                                  .filter_w = n,
                                  .stride_h = 1,
                                  .stride_w = 1,
                                  .min = low,
                                  .max = low + 255};
        uint8_t *in = check_input((size_t)n * (size_t)p.c, 1);
        uint8_t *a = check_output((size_t)p.c), *b = check_output((size_t)p.c);

        for (int32_t c = 0; c < p.c; c++)
            for (int32_t i = 0; i < n; i++) {
                int32_t rest = c - 255 * i;

                rest = rest < 0 ? 0 : rest > 255 ? 255 : rest;
                in[i * p.c + c] = (uint8_t)(rest + low);
            }
        definition(&p, in, a, 0);
        variant(&p, in, b, 0);
        check_equal(check, a, b, (size_t)p.c, "all sums of %d elements", n);
        check_free_all();
    }
}

#define DEFINE_CHECK(type, is_signed)                                                     \
    void check_max_pool_##type(struct check *check, scree_pooling_row_fn *definition,     \
                               scree_pooling_row_fn *variant)                             \
    {                                                                                     \
        check_rows(check, definition, variant, is_signed);                                \
    }                                                                                     \
    void check_average_pool_##type(struct check *check, scree_pooling_row_fn *definition, \
                                   scree_pooling_row_fn *variant)                         \
    {                                                                                     \
        check_quotients(check, definition, variant, is_signed);                           \
        check_rows(check, definition, variant, is_signed);                                \
    }

DEFINE_CHECK(u8, false)
DEFINE_CHECK(i8, true)

/* ---- sums of rows ------------------------------------------------------------------------------
 */

struct sums_timing {
    scree_sum_rows_fn *kernels[2];
    uint8_t *out;
    const uint8_t *in;
    struct scree_reduce_params params;
};

static void run_sums_timing(void *arg, bool variant)
{
    struct sums_timing *timing = arg;

    timing->kernels[variant](timing->out, timing->in, 49, 1280, &timing->params);
}

/* As means of n_rows have them, mostly; else any. */
static struct scree_reduce_params some_params(struct check *check, size_t n_rows, bool is_signed)
{
    int32_t low = is_signed ? INT8_MIN : 0, shift = 0;
    struct scree_reduce_params p = {
        .zero_point = check_between(check, low, low + 255),
        .out_zero_point = check_between(check, low, low + 255),
        .min = low,
        .max = low + 255,
        .multiplier = {check_between(check, 1 << 30, INT32_MAX), 0},
    };

    while (n_rows >> shift > 1)
        shift++;
    p.multiplier.shift = 1 - shift;
    if (check_below(check, 4) == 0)
        p.multiplier.shift = check_between(check, -31, 40);
    if (check_below(check, 4) == 0) {
        p.min = check_between(check, low, low + 255);
        p.max = check_between(check, p.min, low + 255);
    }
    return p;
}

static void check_sums(struct check *check, scree_sum_rows_fn *definition,
                       scree_sum_rows_fn *variant, size_t n_rows, size_t n, bool is_signed)
{
    struct scree_reduce_params p = some_params(check, n_rows, is_signed);
    uint8_t *in = check_input(n_rows * n, 1), *a = check_output(n), *b = check_output(n);

    check_fill_bytes(check, in, n_rows * n, (enum check_fill)check_below(check, CHECK_N_FILLS));
    definition(a, in, n_rows, n, &p);
    variant(b, in, n_rows, n, &p);
    check_equal(check, a, b, n, "%zu rows of %zu, zero points %d %d, multiplier %d, %d", n_rows, n,
                p.zero_point, p.out_zero_point, p.multiplier.q, p.multiplier.shift);
    check_free_all();
}

static void check_sum_rows(struct check *check, scree_sum_rows_fn *definition,
                           scree_sum_rows_fn *variant, bool is_signed)
{
    static const size_t n_rows[] = {1, 2, 3, 49, 256, 257, 258, 514, 1000, 9};
    struct sums_timing timing = {.kernels = {definition, variant}};

    for (size_t n = 1; n < 300; n++)
        check_sums(check, definition, variant, n_rows[n % 10], n, is_signed);
    timing.out = check_output(1280);
    timing.in = check_input(49 * 1280, 1);
    timing.params = some_params(check, 49, is_signed);
    check_time(check, "49 rows of 1280", 49 * 1280, "el", run_sums_timing, &timing);
}

void check_sum_rows_u8(struct check *check, scree_sum_rows_fn *definition,
                       scree_sum_rows_fn *variant)
{
    check_sum_rows(check, definition, variant, false);
}

void check_sum_rows_i8(struct check *check, scree_sum_rows_fn *definition,
                       scree_sum_rows_fn *variant)
{
    check_sum_rows(check, definition, variant, true);
}
