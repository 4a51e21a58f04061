/* Products of floats. What they are compared with is written here, plainly: a loop over k with
 * fmaf() for variants that fuse, with a product that is rounded first for the others. The
 * definition in C must agree with it too. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "checkkern.h"
#include "kernels/conv_f32.h"

/* A float in [-1, 1), with all kinds of exponents. */
static float random_float(struct check *check)
{
    return ldexpf((float)check_between(check, -(1 << 23), 1 << 23),
                  -23 - check_between(check, 0, 6));
}

static void fill(struct check *check, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = random_float(check);
}

static float *input(struct check *check, size_t n)
{
    float *x = check_input(n * sizeof *x, sizeof *x);

    fill(check, x, n);
    return x;
}

static float add_product(float sum, float a, float b, bool fused)
{
    return fused ? fmaf(a, b, sum) : sum + a * b;
}

static float clamp(float x, float min, float max)
{
    x = x < min ? min : x;
    return max < x ? max : x;
}

/* ---- a tile ---- */

static float element(const struct scree_gemm_f32_tile *t, size_t row, size_t column, bool fused)
{
    float sum = 0;

    for (size_t s = 0; s < t->n_segments; s++)
        for (size_t k = 0; k < t->length; k++)
            sum = add_product(sum, t->rows[s * t->row_step + row][k],
                              t->weights[(t->depths[s] + k) * t->weight_step + column], fused);
    return clamp(sum + (t->bias ? t->bias[column] : 0), t->min, t->max);
}

static void check_tile(struct check *check, const struct scree_gemm_f32 *variant, size_t n_rows,
                       size_t n_columns, size_t n_segments, size_t length)
{
    size_t width = (n_columns + variant->lanes - 1) / variant->lanes * variant->lanes;
    size_t step = n_columns + 3, bytes = n_rows * step * sizeof(float);
    const float *rows[3 * SCREE_GEMM_F32_MAX_ROWS];
    size_t depths[3];
    float *expected = check_output(bytes), *got = check_output(bytes);
    struct scree_gemm_f32_tile tile = {
        .rows = rows,
        .row_step = n_rows,
        .n_segments = n_segments,
        .length = length,
        .weights = input(check, n_segments * length * width),
        .depths = depths,
        .weight_step = width,
        .bias = check_below(check, 4) ? input(check, width) : NULL,
        .out = got,
        .out_step = step,
        .n_rows = n_rows,
        .n_columns = n_columns,
        .min = check_below(check, 2) ? 0 : -FLT_MAX,
        .max = check_below(check, 2) ? 0.5f : FLT_MAX,
    };

    for (size_t i = 0; i < n_segments * n_rows; i++)
        rows[i] = input(check, length);
    for (size_t s = 0; s < n_segments; s++)
        depths[s] = (n_segments - 1 - s) * length;
    for (size_t r = 0; r < n_rows; r++)
        for (size_t c = 0; c < n_columns; c++)
            expected[r * step + c] = element(&tile, r, c, variant->fused);
    variant->run(&tile);
    check_equal(check, expected, got, bytes, "%zu rows, %zu columns, %zu segments of %zu", n_rows,
                n_columns, n_segments, length);
    check_free_all();
}

struct tile_timing {
    const struct scree_gemm_f32 *kernels[2];
    struct scree_gemm_f32_tile tile;
};

static void run_tile(void *arg, bool variant)
{
    struct tile_timing *timing = arg;
    const struct scree_gemm_f32 *kernel = timing->kernels[variant];
    struct scree_gemm_f32_tile tile = timing->tile;
    size_t rows = tile.n_rows, columns = tile.n_columns;

    for (size_t r = 0; r < rows; r += kernel->n_rows)
        for (size_t c = 0; c < columns; c += 2 * kernel->lanes) {
            tile.rows = timing->tile.rows + r;
            tile.weights = timing->tile.weights + c;
            tile.n_rows = rows - r < kernel->n_rows ? rows - r : kernel->n_rows;
            tile.n_columns = columns - c < 2 * kernel->lanes ? columns - c : 2 * kernel->lanes;
            kernel->run(&tile);
        }
}

static void time_tiles(struct check *check, const struct scree_gemm_f32 *definition,
                       const struct scree_gemm_f32 *variant)
{
    enum { ROWS = 168, COLUMNS = 64, DEPTH = 256 };
    static const float *rows[ROWS];
    static const size_t depths[] = {0};
    struct tile_timing timing = {{definition, variant},
                                 {.rows = rows,
                                  .row_step = ROWS,
                                  .n_segments = 1,
                                  .length = DEPTH,
                                  .weights = input(check, DEPTH * COLUMNS),
                                  .depths = depths,
                                  .weight_step = COLUMNS,
                                  .out = check_output(ROWS * COLUMNS * sizeof(float)),
                                  .out_step = COLUMNS,
                                  .n_rows = ROWS,
                                  .n_columns = COLUMNS,
                                  .min = -FLT_MAX,
                                  .max = FLT_MAX}};
    float *in = input(check, ROWS * DEPTH);

    for (size_t r = 0; r < ROWS; r++)
        rows[r] = in + r * DEPTH;
    check_time(check, "168 x 64, 256 deep", (double)ROWS * COLUMNS * DEPTH, "MAC", run_tile,
               &timing);
}

static void check_tiles(struct check *check, const struct scree_gemm_f32 *kernel)
{
    static const size_t lengths[] = {0, 1, 3, 4, 7, 16, 33};

    for (size_t r = 1; r <= kernel->n_rows; r++)
        for (size_t c = 1; c <= 2 * kernel->lanes; c += 1 + check_below(check, 3))
            check_tile(check, kernel, r, c, check_below(check, 4),
                       lengths[check_below(check, sizeof lengths / sizeof lengths[0])]);
    check_tile(check, kernel, kernel->n_rows, 2 * kernel->lanes, 3, 300);
}

/* ---- whole convolutions, cut up by kernels/conv_f32.h ---- */

/* One output of a convolution that is not transposed. */
static float convolve(const struct scree_conv_shape *s, const float *in, const float *filter,
                      const int32_t *at, bool fused)
{
    int32_t group = at[3] / (s->out_c / s->n_groups);
    float sum = 0;

    for (int32_t ky = 0; ky < s->filter_h; ky++)
        for (int32_t kx = 0; kx < s->filter_w; kx++) {
            ptrdiff_t from = scree_conv_offset(
                s, at[0], (int64_t)at[1] * s->stride_h - s->pad_top + ky * s->dilation_h,
                (int64_t)at[2] * s->stride_w - s->pad_left + kx * s->dilation_w);
            const float *w =
                filter + (((size_t)at[3] * (size_t)s->filter_h + (size_t)ky) * (size_t)s->filter_w +
                          (size_t)kx) *
                             (size_t)s->filter_c;

            for (int32_t i = 0; i < s->filter_c && from >= 0; i++)
                sum = add_product(sum, in[from + group * s->filter_c + i], w[i], fused);
        }
    return sum;
}

/* One output of a transposed one: input pixels in their order, as TFLite scatters them. */
static float convolve_transposed(const struct scree_conv_shape *s, const float *in,
                                 const float *filter, const int32_t *at, bool fused)
{
    float sum = 0;

    for (int32_t y = 0; y < s->in_h; y++)
        for (int32_t x = 0; x < s->in_w; x++) {
            int64_t ky = (int64_t)at[1] + s->pad_top - (int64_t)y * s->stride_h;
            int64_t kx = (int64_t)at[2] + s->pad_left - (int64_t)x * s->stride_w;
            const float *from = in + scree_conv_offset(s, at[0], y, x);

            if (ky < 0 || ky >= s->filter_h || kx < 0 || kx >= s->filter_w)
                continue;
            for (int32_t i = 0; i < s->filter_c; i++)
                sum = add_product(
                    sum, from[i],
                    filter[(((int64_t)at[3] * s->filter_h + ky) * s->filter_w + kx) * s->filter_c +
                           i],
                    fused);
        }
    return sum;
}

static void check_conv(struct check *check, const struct scree_gemm_f32 *kernel,
                       const struct scree_conv_shape *s)
{
    size_t n_out = (size_t)(s->n * s->out_h * s->out_w * s->out_c), bytes = n_out * sizeof(float);
    size_t n_filter = (size_t)(s->out_c * s->filter_h * s->filter_w * s->filter_c);
    float *in = input(check, (size_t)(s->n * s->in_h * s->in_w * s->in_c));
    float *filter = input(check, n_filter), *bias = input(check, (size_t)s->out_c);
    float *expected = check_output(bytes), *got = check_output(bytes), *packed;
    struct scree_conv_f32 plan;
    void *scratch;
    size_t i = 0;

    scree_conv_f32_plan(&plan, s, kernel, -1, 1);
    packed = check_output(plan.packed_bytes);
    scratch = check_output(plan.scratch_bytes);
    scree_conv_f32_pack(&plan, filter, plan.depth, 1, bias, packed);
    for (size_t item = 0; item < plan.n_items; item++)
        scree_conv_f32_run(&plan, in, packed, got, scratch, item);
    for (int32_t n = 0; n < s->n; n++)
        for (int32_t y = 0; y < s->out_h; y++)
            for (int32_t x = 0; x < s->out_w; x++)
                for (int32_t o = 0; o < s->out_c; o++) {
                    const int32_t at[] = {n, y, x, o};
                    float sum = (s->transposed ? convolve_transposed : convolve)(s, in, filter, at,
                                                                                 kernel->fused);

                    expected[i++] = clamp(sum + bias[o], -1, 1);
                }
    check_equal(
        check, expected, got, bytes,
        "%sconvolution of %d images %dx%dx%d, %d filters %dx%d, stride %d, %d, dilation %d, "
        "%d, padding %d, %d, %d groups",
        s->transposed ? "transposed " : "", s->n, s->in_h, s->in_w, s->in_c, s->out_c, s->filter_h,
        s->filter_w, s->stride_h, s->stride_w, s->dilation_h, s->dilation_w, s->pad_top,
        s->pad_left, s->n_groups);
    if (!check_canaries(packed, plan.packed_bytes) || !check_canaries(scratch, plan.scratch_bytes))
        check_equal(check, "a", "b", 1, "packed weights or scratch overrun");
    check_free_all();
}

static struct scree_conv_shape random_shape(struct check *check)
{
    struct scree_conv_shape s = {
        .n = check_between(check, 1, 2),
        .in_h = check_between(check, 1, 11),
        .in_w = check_between(check, 1, 19),
        .in_c = check_between(check, 1, 21),
        .filter_h = check_between(check, 1, 4),
        .filter_w = check_between(check, 1, 4),
        .out_h = check_between(check, 1, 9),
        .out_w = check_between(check, 1, 17),
        .out_c = check_between(check, 1, 70),
        .stride_h = check_between(check, 1, 3),
        .stride_w = check_between(check, 1, 3),
        .dilation_h = 1,
        .dilation_w = 1,
        .pad_top = check_between(check, 0, 3),
        .pad_left = check_between(check, 0, 3),
        .n_groups = 1,
        .transposed = check_below(check, 3) == 0,
    };

    s.filter_c = s.in_c;
    if (!s.transposed && check_below(check, 3) == 0) {
        s.dilation_h = check_between(check, 1, 3);
        s.dilation_w = check_between(check, 1, 3);
    }
    if (!s.transposed && check_below(check, 3) == 0) {
        s.n_groups = check_between(check, 1, 4);
        s.in_c *= s.n_groups;
        s.out_c *= s.n_groups;
    }
    return s;
}

static void check_kernel(struct check *check, const struct scree_gemm_f32 *kernel)
{
    /* One step is beyond the input, and over 2^31 elements. */
    const struct scree_conv_shape far = {
        .n = 1,
        .in_h = 3,
        .in_w = 5,
        .in_c = 3,
        .filter_h = 2,
        .filter_w = 2,
        .filter_c = 3,
        .out_h = 1,
        .out_w = 1,
        .out_c = 5,
        .stride_h = INT32_MAX,
        .stride_w = INT32_MAX,
        .dilation_h = 1,
        .dilation_w = 1,
        .n_groups = 1,
    };

    check_tiles(check, kernel);
    check_conv(check, kernel, &far);
    for (int i = 0; i < 150; i++) {
        struct scree_conv_shape shape = random_shape(check);

        check_conv(check, kernel, &shape);
    }
}

void check_gemm_f32(struct check *check, const struct scree_gemm_f32 *definition,
                    const struct scree_gemm_f32 *variant)
{
    check_kernel(check, definition);
    check_kernel(check, variant);
    time_tiles(check, definition, variant);
}

void check_gemm_f32_fused(struct check *check, const struct scree_gemm_f32 *definition,
                          const struct scree_gemm_f32 *variant)
{
    check_kernel(check, variant);
    time_tiles(check, definition, variant);
}

/* ---- depthwise ---- */

static float convolve_depthwise(const struct scree_conv_shape *s, const float *in,
                                const float *filter, const int32_t *at)
{
    float sum = 0;

    for (int32_t ky = 0; ky < s->filter_h; ky++)
        for (int32_t kx = 0; kx < s->filter_w; kx++) {
            ptrdiff_t from = scree_conv_offset(
                s, at[0], (int64_t)at[1] * s->stride_h - s->pad_top + ky * s->dilation_h,
                (int64_t)at[2] * s->stride_w - s->pad_left + kx * s->dilation_w);

            if (from >= 0)
                sum += in[from + at[3] / (s->out_c / s->in_c)] *
                       filter[(ky * s->filter_w + kx) * s->out_c + at[3]];
        }
    return sum;
}

static void check_rows(struct check *check, scree_depthwise_f32_fn *kernel,
                       const struct scree_conv_shape *s)
{
    size_t n_out = (size_t)(s->n * s->out_h * s->out_w * s->out_c), bytes = n_out * sizeof(float);
    float *in = input(check, (size_t)(s->n * s->in_h * s->in_w * s->in_c));
    float *filter = input(check, (size_t)(s->filter_h * s->filter_w * s->out_c));
    float *bias = check_below(check, 3) ? input(check, (size_t)s->out_c) : NULL;
    float *scales = check_below(check, 3) ? NULL : input(check, (size_t)(s->n * s->out_c));
    float *expected = check_output(bytes), *got = check_output(bytes);
    size_t i = 0;

    for (int32_t n = 0; n < s->n; n++)
        for (int32_t y = 0; y < s->out_h; y++)
            for (int32_t x = 0; x < s->out_w; x++)
                for (int32_t o = 0; o < s->out_c; o++) {
                    const int32_t at[] = {n, y, x, o};
                    float sum = convolve_depthwise(s, in, filter, at);

                    sum = scales ? sum * scales[n * s->out_c + o] : sum;
                    expected[i++] = clamp(bias ? sum + bias[o] : sum, -1, 1);
                }
    for (size_t row = 0; row < (size_t)(s->n * s->out_h); row++)
        kernel(s, scales, -1, 1, in, filter, bias, got, row);
    check_equal(check, expected, got, bytes,
                "%d images %dx%dx%d to %dx%dx%d, filter %dx%d, stride %d, %d, dilation %d, %d, "
                "padding %d, %d",
                s->n, s->in_h, s->in_w, s->in_c, s->out_h, s->out_w, s->out_c, s->filter_h,
                s->filter_w, s->stride_h, s->stride_w, s->dilation_h, s->dilation_w, s->pad_top,
                s->pad_left);
    check_free_all();
}

static void check_depthwise_kernel(struct check *check, scree_depthwise_f32_fn *kernel)
{
    static const int32_t channels[] = {1, 3, 4, 8, 15, 16, 17, 24, 32, 40, 96, 100};

    for (int i = 0; i < 150; i++) {
        struct scree_conv_shape s = random_shape(check);

        s.in_c = channels[check_below(check, sizeof channels / sizeof channels[0])];
        s.out_c = s.in_c * (check_below(check, 4) ? 1 : check_between(check, 2, 4));
        s.filter_c = 1;
        s.n_groups = s.in_c;
        s.transposed = false;
        check_rows(check, kernel, &s);
    }
}

struct depthwise_timing {
    scree_depthwise_f32_fn *kernels[2];
    struct scree_conv_shape shape;
    float *in, *filter, *out;
};

static void run_depthwise(void *arg, bool variant)
{
    struct depthwise_timing *t = arg;

    for (size_t row = 0; row < (size_t)t->shape.out_h; row++)
        t->kernels[variant](&t->shape, NULL, 0, 6, t->in, t->filter, NULL, t->out, row);
}

void check_depthwise_f32(struct check *check, scree_depthwise_f32_fn *definition,
                         scree_depthwise_f32_fn *variant)
{
    enum { SIZE = 28, CHANNELS = 96 };
    size_t n = SIZE * SIZE * CHANNELS;
    struct depthwise_timing timing = {
        {definition, variant},
        {1, SIZE, SIZE, CHANNELS, 3, 3, 1, SIZE, SIZE, CHANNELS, 1, 1, 1, 1, 1, 1, CHANNELS, false},
        NULL,
        NULL,
        NULL};

    check_depthwise_kernel(check, definition);
    check_depthwise_kernel(check, variant);
    timing.in = input(check, n);
    timing.filter = input(check, 9 * CHANNELS);
    timing.out = check_output(n * sizeof(float));
    check_time(check, "28x28x96, 3x3", 9.0 * (double)n, "MAC", run_depthwise, &timing);
}
