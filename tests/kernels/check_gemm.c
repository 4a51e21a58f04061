/* The definition of a product of blocks is kernels/conv.h: variants of kernels/gemm.h, and its own
 * C version, are compared with that. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "checkkern.h"

#define MAX_CHANNELS    1024
#define MAX_PACKED      ((size_t)64 << 20)
#define N_QUANTIZATIONS 15

struct layer {
    const char *name;
    int32_t n, h, w, c; /* input */
    int32_t kh, kw, oc; /* filter */
    int32_t stride, dilation, groups;
    bool same, transposed;
};

/* Geometry: edges of tiles, tails of k, all that moves a segment. */
static const struct layer layers[] = {
    {"one product", 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, false, false},
    {"pointwise", 1, 5, 3, 16, 1, 1, 16, 1, 1, 1, false, false},
    {"pointwise, 1 channel", 1, 7, 5, 1, 1, 1, 9, 1, 1, 1, false, false},
    {"pointwise, 3 channels", 1, 5, 5, 3, 1, 1, 9, 1, 1, 1, false, false},
    {"tail of k", 1, 3, 3, 7, 1, 1, 17, 1, 1, 1, false, false},
    {"tail of k by 1", 2, 7, 2, 33, 1, 1, 31, 1, 1, 1, false, false},
    {"many rows", 1, 13, 17, 24, 1, 1, 40, 1, 1, 1, false, false},
    {"channels over a tile", 1, 4, 4, 64, 1, 1, 144, 1, 1, 1, false, false},
    {"deep", 1, 2, 3, 1030, 1, 1, 65, 1, 1, 1, false, false},
    {"matrix by vector", 1, 1, 1, 261, 1, 1, 203, 1, 1, 1, false, false},
    {"strided pointwise", 1, 9, 8, 12, 1, 1, 33, 2, 1, 1, false, false},
    {"3x3", 1, 6, 7, 16, 3, 3, 16, 1, 1, 1, true, false},
    {"3x3 inside", 2, 6, 7, 5, 3, 3, 18, 1, 1, 1, false, false},
    {"3x3, stride 2", 1, 9, 10, 8, 3, 3, 48, 2, 1, 1, true, false},
    {"3x3, dilation 2", 1, 9, 8, 4, 3, 3, 20, 1, 2, 1, true, false},
    {"3x3, dilation 3, thin", 1, 9, 8, 1, 3, 3, 20, 1, 3, 1, true, false},
    {"first layer", 1, 17, 19, 3, 3, 3, 32, 2, 1, 1, true, false},
    {"first layer, 1 channel", 1, 12, 12, 1, 3, 3, 8, 1, 1, 1, true, false},
    {"first layer, 7x7", 1, 15, 14, 3, 7, 7, 24, 2, 1, 1, true, false},
    {"2 channels, 5x5", 1, 8, 8, 2, 5, 5, 6, 1, 1, 1, true, false},
    {"filter over all", 1, 3, 4, 10, 3, 4, 9, 1, 1, 1, false, false},
    {"filter greater than input", 1, 2, 2, 6, 5, 5, 7, 1, 1, 1, true, false},
    {"groups", 1, 5, 6, 24, 3, 3, 32, 1, 1, 4, true, false},
    {"groups of 3 channels", 1, 5, 6, 6, 1, 1, 10, 1, 1, 2, true, false},
    {"transposed 2x2", 1, 4, 5, 16, 2, 2, 8, 2, 1, 1, true, true},
    {"transposed 3x3", 2, 4, 5, 7, 3, 3, 19, 2, 1, 1, true, true},
    {"transposed 4x4", 1, 5, 3, 8, 4, 4, 33, 2, 1, 1, false, true},
    {"transposed, stride over filter", 1, 3, 3, 4, 2, 2, 5, 3, 1, 1, false, true},
    {"transposed, stride 1", 1, 3, 3, 4, 3, 3, 5, 1, 1, 1, true, true},
};

/* Shapes of MobileNetV1, of a detector's 3x3 and of a classifier. */
static const struct layer timed[] = {
    {"first layer 224x224x3 s2 -> 32", 1, 224, 224, 3, 3, 3, 32, 2, 1, 1, true, false},
    {"112x112x32 -> 64", 1, 112, 112, 32, 1, 1, 64, 1, 1, 1, false, false},
    {"56x56x64 -> 128", 1, 56, 56, 64, 1, 1, 128, 1, 1, 1, false, false},
    {"56x56x128 -> 128", 1, 56, 56, 128, 1, 1, 128, 1, 1, 1, false, false},
    {"28x28x128 -> 256", 1, 28, 28, 128, 1, 1, 256, 1, 1, 1, false, false},
    {"28x28x256 -> 256", 1, 28, 28, 256, 1, 1, 256, 1, 1, 1, false, false},
    {"14x14x256 -> 512", 1, 14, 14, 256, 1, 1, 512, 1, 1, 1, false, false},
    {"14x14x512 -> 512", 1, 14, 14, 512, 1, 1, 512, 1, 1, 1, false, false},
    {"7x7x512 -> 1024", 1, 7, 7, 512, 1, 1, 1024, 1, 1, 1, false, false},
    {"7x7x1024 -> 1024", 1, 7, 7, 1024, 1, 1, 1024, 1, 1, 1, false, false},
    {"56x56x144 -> 24", 1, 56, 56, 144, 1, 1, 24, 1, 1, 1, false, false},
    {"56x56x24 -> 144", 1, 56, 56, 24, 1, 1, 144, 1, 1, 1, false, false},
    {"3x3 80x80x32 -> 32", 1, 80, 80, 32, 3, 3, 32, 1, 1, 1, true, false},
    {"3x3 20x20x128 -> 128", 1, 20, 20, 128, 3, 3, 128, 1, 1, 1, true, false},
    {"1 row of 1024 -> 1000", 1, 1, 1, 1024, 1, 1, 1000, 1, 1, 1, false, false},
    {"transposed 3x3 s2 32x32x64 -> 32", 1, 32, 32, 64, 3, 3, 32, 2, 1, 1, true, true},
};

/* Any small layer, most of them of few channels. */
static struct layer random_layer(struct check *check)
{
    int32_t groups = check_below(check, 4) ? 1 : check_between(check, 2, 3);
    bool is_thin = check_below(check, 4), is_point = check_below(check, 3) == 0;
    struct layer layer = {
        .name = "any",
        .n = check_between(check, 1, 2),
        .h = check_between(check, 1, 9),
        .w = check_between(check, 1, 12),
        .c = groups * check_between(check, 1, is_thin ? 6 : 40),
        .kh = is_point ? 1 : check_between(check, 1, 5),
        .kw = is_point ? 1 : check_between(check, 1, 5),
        .oc = groups * check_between(check, 1, 20),
        .stride = check_between(check, 1, 4),
        .dilation = check_between(check, 1, 3),
        .groups = groups,
        .same = check_below(check, 2),
        .transposed = groups == 1 && check_below(check, 4) == 0,
    };

    if (layer.transposed)
        layer.dilation = 1;
    if (!layer.same && !layer.transposed) {
        layer.h += (layer.kh - 1) * layer.dilation;
        layer.w += (layer.kw - 1) * layer.dilation;
    }
    return layer;
}

/* One layer with its numbers. */
struct test {
    struct scree_conv_shape shape;
    struct scree_conv_quant quant;
    struct scree_multiplier multipliers[MAX_CHANNELS];
    double factors[MAX_CHANNELS];
    bool is_u8;
    uint8_t *in, *filter;
    int32_t *bias; /* NULL: none */
    size_t in_bytes, filter_bytes, out_bytes;
};

static int32_t window(int32_t in, int32_t filter, int32_t stride, bool same)
{
    return same ? (in + stride - 1) / stride : (in - filter) / stride + 1;
}

static int32_t padding(int32_t in, int32_t filter, int32_t stride, int32_t out)
{
    int32_t pad = (out - 1) * stride + filter - in;

    return pad > 0 ? pad / 2 : 0;
}

/* The output of a transposed convolution is an input that leaves this one. */
static int32_t transposed_size(int32_t in, int32_t filter, int32_t stride, bool same)
{
    return same ? in * stride : (in - 1) * stride + filter;
}

static struct scree_conv_shape describe(const struct layer *layer)
{
    int32_t kh = (layer->kh - 1) * layer->dilation + 1, kw = (layer->kw - 1) * layer->dilation + 1;
    bool transposed = layer->transposed;
    struct scree_conv_shape s = {
        .n = layer->n,
        .in_h = layer->h,
        .in_w = layer->w,
        .in_c = layer->c,
        .filter_h = layer->kh,
        .filter_w = layer->kw,
        .filter_c = layer->c / layer->groups,
        .out_h = transposed ? transposed_size(layer->h, kh, layer->stride, layer->same)
                            : window(layer->h, kh, layer->stride, layer->same),
        .out_w = transposed ? transposed_size(layer->w, kw, layer->stride, layer->same)
                            : window(layer->w, kw, layer->stride, layer->same),
        .out_c = layer->oc,
        .stride_h = layer->stride,
        .stride_w = layer->stride,
        .dilation_h = layer->dilation,
        .dilation_w = layer->dilation,
        .n_groups = layer->groups,
        .transposed = transposed,
    };

    if (layer->same) {
        s.pad_top = transposed ? padding(s.out_h, kh, layer->stride, s.in_h)
                               : padding(s.in_h, kh, layer->stride, s.out_h);
        s.pad_left = transposed ? padding(s.out_w, kw, layer->stride, s.in_w)
                                : padding(s.in_w, kw, layer->stride, s.out_w);
    }
    return s;
}

static void make_test(struct check *check, struct test *test, const struct layer *layer, bool is_u8)
{
    struct scree_conv_shape *s = &test->shape;

    memset(test, 0, sizeof *test);
    *s = describe(layer);
    test->is_u8 = is_u8;
    test->in_bytes = (size_t)(s->n * s->in_h * s->in_w * s->in_c);
    test->filter_bytes = (size_t)(s->out_c * s->filter_h * s->filter_w * s->filter_c);
    test->out_bytes = (size_t)(s->n * s->out_h * s->out_w * s->out_c);
    test->in = check_input(test->in_bytes, 1);
    test->filter = check_input(test->filter_bytes, 1);
    test->bias = check_input((size_t)s->out_c * sizeof *test->bias, sizeof *test->bias);
    check_fill_bytes(check, test->in, test->in_bytes, CHECK_RANDOM);
    check_fill_bytes(check, test->filter, test->filter_bytes, CHECK_RANDOM);
}

/* Factors around those that spread sums over the range of outputs; with `extremes` some far from
 * it.
 */
static void draw_factors(struct check *check, struct test *test, bool extremes)
{
    const struct scree_conv_shape *s = &test->shape;
    double depth = (double)s->filter_h * s->filter_w * s->filter_c;

    for (int32_t o = 0; o < s->out_c; o++) {
        double factor = (0.2 + check_below(check, 1000) * 1e-3) / (80 * sqrt(depth));

        if (extremes && check_below(check, 8) == 0)
            factor =
                ldexp(0.5 + check_below(check, 1 << 20) * 0x1p-21, -(int)check_below(check, 31));
        test->factors[o] = factor;
        scree_multiplier_from_real(factor, &test->multipliers[o]);
    }
}

/* Brings uint8 weights to within an int8 of their zero point, all but the first and one in 2048.
 */
static void tame_weights(struct check *check, struct test *test)
{
    int32_t zp = test->quant.filter_zp;

    for (size_t i = 0; i < test->filter_bytes; i++) {
        int32_t w = test->filter[i];

        if (i > 0 && check_below(check, 2048) > 0)
            w = w < zp - 128 ? zp - 128 : w > zp + 127 ? zp + 127 : w;
        else if (w - zp == 255)
            w--;
        test->filter[i] = (uint8_t)w;
    }
}

/* Quantization number i of many: the ends of each range first, then any. */
static void draw_quant(struct check *check, struct test *test, int i)
{
    int32_t low = test->is_u8 ? 0 : INT8_MIN, high = low + 255;
    struct scree_conv_quant *quant = &test->quant;

    draw_factors(check, test, true);
    *quant = (struct scree_conv_quant){
        .input_zp = i == 0   ? low
                    : i == 1 ? high
                             : check_between(check, low, high),
        .output_zp = i == 1   ? low
                     : i == 2 ? high
                              : check_between(check, low, high),
        .min = low,
        .max = high,
        .multipliers = test->multipliers,
        .factors = i % 4 == 3 ? test->factors : NULL,
        .multiplier_stride = i % 3 > 0,
    };
    if (test->is_u8)
        quant->filter_zp = i == 0 ? high : i == 1 ? low : check_between(check, low, high);
    if (i % 2 == 1) {
        quant->min = quant->output_zp;
        quant->max = check_between(check, quant->output_zp, high);
    }
    for (int32_t o = 0; o < test->shape.out_c; o++) {
        test->bias[o] = check_between(check, -20000, 20000);
        if (i % 3 == 2 && check_below(check, 4) == 0) { /* a dead channel */
            test->bias[o] = check_between(check, -2000000000, 2000000000);
            scree_multiplier_from_real(ldexp(0.5, -(int)check_below(check, 10) - 20),
                                       &test->multipliers[o]);
        }
    }
    check_fill_bytes(check, test->in, test->in_bytes, (enum check_fill)(i % CHECK_N_FILLS));
    check_fill_bytes(check, test->filter, test->filter_bytes,
                     (enum check_fill)(i / 2 % CHECK_N_FILLS));
    if (test->is_u8 && (i == 1 || i >= 10))
        tame_weights(check, test);
}

static void run_definition(const struct test *test, const int32_t *bias, void *out)
{
    for (size_t tile = 0; tile < scree_conv_tiles(&test->shape); tile++)
        if (test->is_u8)
            scree_conv_u8(&test->shape, &test->quant, test->in, test->filter, bias, out, tile);
        else
            scree_conv_s8(&test->shape, &test->quant, (const int8_t *)test->in,
                          (const int8_t *)test->filter, bias, out, tile);
}

static void run_packed(const struct scree_gemm *gemm, const struct test *test, void *out,
                       void *scratch)
{
    for (size_t tile = 0; tile < gemm->n_tiles; tile++)
        scree_gemm_run(gemm, test->in, out, tile, scratch);
}

/* Packs; NULL where the kernel declines. */
static struct scree_gemm *pack(struct scree_arena *arena, const struct scree_gemm_kernel *kernel,
                               const struct test *test, const int32_t *bias, struct check *check)
{
    struct scree_gemm *gemm = NULL;

    if (scree_gemm_new(arena, kernel, &test->shape, &test->quant, test->is_u8, test->filter, bias,
                       &gemm) < 0)
        check->n_failed++;
    return gemm;
}

static void compare(struct check *check, const struct scree_gemm_kernel *kernel,
                    const struct test *test, const struct layer *layer, int i)
{
    const int32_t *bias = i % 5 == 4 ? NULL : test->bias;
    struct scree_arena arena;
    struct scree_gemm *gemm;

    scree_arena_init(&arena, MAX_PACKED);
    gemm = pack(&arena, kernel, test, bias, check);
    if (gemm) {
        uint8_t *a = check_output(test->out_bytes), *b = check_output(test->out_bytes);

        run_definition(test, bias, a);
        run_packed(gemm, test, b, check_input(gemm->scratch_bytes, 64));
        check_equal(check, a, b, test->out_bytes,
                    "%s, %dx%dx%dx%d, filter %dx%d to %d, stride %d, dilation %d, %s, "
                    "quantization %d",
                    layer->name, layer->n, layer->h, layer->w, layer->c, layer->kh, layer->kw,
                    layer->oc, layer->stride, layer->dilation, test->is_u8 ? "uint8" : "int8", i);
    }
    scree_arena_done(&arena);
}

/* Where a row of sums should be, for check_row(). */
struct sums_check {
    struct check *check;
    const int32_t *out;
    size_t out_c;
};

static void check_row(void *arg, size_t pixel, int32_t o, int32_t n, void *sums)
{
    const struct sums_check *rows = arg;

    if (sums != rows->out + pixel * rows->out_c + (size_t)o || n < 1)
        rows->check->n_failed++;
}

/* The same products with their sums as outputs, and zeros outside. */
static void compare_sums(struct check *check, const struct scree_gemm_kernel *kernel,
                         const struct test *test, const struct layer *layer)
{
    size_t bytes = test->out_bytes * sizeof(int32_t);
    struct scree_gemm *gemm = NULL;
    struct scree_arena arena;

    scree_arena_init(&arena, MAX_PACKED);
    if (scree_gemm_new_sums(&arena, kernel, &test->shape, (const int8_t *)test->filter, &gemm) < 0)
        check->n_failed++;
    if (gemm) {
        int32_t *a = check_output(bytes), *b = check_output(bytes);
        int8_t *outside = check_input(scree_gemm_outside_bytes(gemm), 1);
        struct sums_check rows = {check, b, (size_t)test->shape.out_c};

        for (size_t tile = 0; tile < scree_conv_tiles(&test->shape); tile++)
            scree_conv_s8_s32(&test->shape, (const int8_t *)test->in, (const int8_t *)test->filter,
                              a, tile);
        for (size_t tile = 0; tile < gemm->n_tiles; tile++)
            scree_gemm_run_sums(gemm, (const int8_t *)test->in, outside, b, tile,
                                check_input(gemm->scratch_bytes, 64), check_row, &rows);
        check_equal(check, a, b, bytes, "%s, sums", layer->name);
    }
    scree_arena_done(&arena);
}

struct timing {
    struct scree_gemm *gemm[2];
    const struct test *test;
    void *out, *scratch[2];
};

static void run_timing(void *arg, bool variant)
{
    struct timing *timing = arg;

    run_packed(timing->gemm[variant], timing->test, timing->out, timing->scratch[variant]);
}

static void time_layer(struct check *check, const struct scree_gemm_kernel *definition,
                       const struct scree_gemm_kernel *variant, const struct layer *layer,
                       bool is_u8)
{
    struct test test;
    struct timing timing = {.test = &test};
    struct scree_arena arena;
    char what[64];
    double products;

    make_test(check, &test, layer, is_u8);
    draw_quant(check, &test, 7); /* ReLU, a multiplier a channel, any zero points */
    test.quant.factors = NULL;
    draw_factors(check, &test, false);
    scree_arena_init(&arena, MAX_PACKED);
    timing.gemm[0] = pack(&arena, definition, &test, test.bias, check);
    timing.gemm[1] = pack(&arena, variant, &test, test.bias, check);
    timing.out = check_output(test.out_bytes);
    products = (double)test.out_bytes * test.shape.filter_h * test.shape.filter_w *
               test.shape.filter_c;
    if (test.shape.transposed)
        products = products * test.shape.in_h * test.shape.in_w /
                   ((double)test.shape.out_h * test.shape.out_w);
    snprintf(what, sizeof what, "%s, %s", is_u8 ? "u8" : "s8", layer->name);
    if (timing.gemm[0] && timing.gemm[1]) {
        timing.scratch[0] = check_input(timing.gemm[0]->scratch_bytes, 64);
        timing.scratch[1] = check_input(timing.gemm[1]->scratch_bytes, 64);
        check_time(check, what, products, "MAC", run_timing, &timing);
    }
    scree_arena_done(&arena);
}

static void compare_random(struct check *check, const struct scree_gemm_kernel *definition,
                           const struct scree_gemm_kernel *variant)
{
    for (int i = 0; i < 300; i++) {
        struct layer layer = random_layer(check);
        struct test test;

        make_test(check, &test, &layer, i % 2);
        draw_quant(check, &test, (int)check_below(check, N_QUANTIZATIONS));
        compare(check, definition, &test, &layer, i);
        compare(check, variant, &test, &layer, i);
        if (i % 2 == 0)
            compare_sums(check, variant, &test, &layer);
        check_free_all();
    }
}

void check_gemm(struct check *check, const struct scree_gemm_kernel *definition,
                const struct scree_gemm_kernel *variant)
{
    compare_random(check, definition, variant);
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
        for (int is_u8 = 0; is_u8 < 2; is_u8++) {
            struct test test;

            make_test(check, &test, &layers[i], is_u8);
            for (int k = 0; k < N_QUANTIZATIONS; k++) {
                draw_quant(check, &test, k);
                compare(check, definition, &test, &layers[i], k);
                compare(check, variant, &test, &layers[i], k);
            }
            if (!is_u8) {
                compare_sums(check, definition, &test, &layers[i]);
                compare_sums(check, variant, &test, &layers[i]);
            }
            check_free_all();
        }
    for (size_t i = 0; check->bench && i < sizeof timed / sizeof timed[0]; i++)
        for (int is_u8 = 0; is_u8 < 2; is_u8++) {
            time_layer(check, definition, variant, &timed[i], is_u8);
            check_free_all();
        }
}
