#include "checkkern.h"

#include <stdio.h>
#include <string.h>

/* One call of both kernels. */
struct pair {
    struct scree_conv_shape shape;
    struct scree_conv_quant quant;
    bool is_signed;
    uint8_t *in, *filter;
    int32_t *bias;
    struct scree_multiplier *multipliers;
    const struct scree_depthwise_kernel *kernels[2];
    void *packed[2];
    uint8_t *out[2];
};

static size_t elements(int32_t n, int32_t h, int32_t w, int32_t c)
{
    return (size_t)n * (size_t)h * (size_t)w * (size_t)c;
}

static size_t out_bytes(const struct scree_conv_shape *s)
{
    return elements(s->n, s->out_h, s->out_w, s->out_c);
}

static void run_pair(void *arg, bool variant)
{
    struct pair *pair = arg;
    const struct scree_depthwise_kernel *kernel = pair->kernels[variant];

    for (size_t tile = 0; tile < kernel->n_tiles(pair->packed[variant]); tile++)
        kernel->run(pair->packed[variant], pair->in, pair->out[variant], tile);
}

/* Sizes of the output, as for padding that keeps the size or for none. */
static void set_window(struct scree_conv_shape *s, bool same)
{
    int32_t extent_h = (s->filter_h - 1) * s->dilation_h + 1;
    int32_t extent_w = (s->filter_w - 1) * s->dilation_w + 1;

    if (same) {
        int32_t missing_h, missing_w;

        s->out_h = (s->in_h + s->stride_h - 1) / s->stride_h;
        s->out_w = (s->in_w + s->stride_w - 1) / s->stride_w;
        missing_h = (s->out_h - 1) * s->stride_h + extent_h - s->in_h;
        missing_w = (s->out_w - 1) * s->stride_w + extent_w - s->in_w;
        s->pad_top = missing_h > 0 ? missing_h / 2 : 0;
        s->pad_left = missing_w > 0 ? missing_w / 2 : 0;
        return;
    }
    s->out_h = (s->in_h - extent_h + s->stride_h) / s->stride_h;
    s->out_w = (s->in_w - extent_w + s->stride_w) / s->stride_w;
}

/* A multiplier that brings sums of the filter into the range of a byte, more or less. */
static struct scree_multiplier some_multiplier(struct check *check, int32_t shift)
{
    return (struct scree_multiplier){check_between(check, 1 << 30, INT32_MAX),
                                     shift + check_between(check, -2, 2)};
}

/* Zero points, clamps and multipliers as models have them, now and then extreme ones. */
static void fill_quant(struct check *check, struct pair *pair, uint32_t kind)
{
    int32_t low = pair->is_signed ? -128 : 0, out_c = pair->shape.out_c;
    bool per_channel = check_below(check, 2);
    struct scree_conv_quant *quant = &pair->quant;

    *quant = (struct scree_conv_quant){
        .input_zp = check_between(check, low, low + 255),
        .filter_zp = pair->is_signed ? 0 : check_between(check, 90, 160),
        .output_zp = check_between(check, low, low + 255),
        .min = low,
        .max = low + 255,
        .multipliers = pair->multipliers,
        .multiplier_stride = per_channel,
    };
    if (kind % 3 == 0)
        quant->output_zp = quant->min; /* as with ReLU */
    else if (kind % 3 == 1)
        quant->min = quant->output_zp;
    if (kind == 5)
        quant->max = check_between(check, quant->min, low + 255);
    if (kind == 6 && !pair->is_signed)
        quant->filter_zp = check_between(check, 0, 255);
    for (int32_t o = 0; o < out_c; o++) {
        pair->bias[o] = check_between(check, -30000, 30000);
        pair->multipliers[o] =
            some_multiplier(check, kind == 7 ? check_between(check, -29, 0) : -8);
        if (kind == 8 && check_below(check, 8) == 0)
            pair->multipliers[o] = (struct scree_multiplier){0, 0};
        if (kind == 8 && check_below(check, 8) == 0) { /* a dead channel */
            pair->bias[o] = check_between(check, -2000000000, 2000000000);
            pair->multipliers[o] = some_multiplier(check, check_between(check, -31, -22));
        }
        if (kind == 8 && check_below(check, 8) == 0) /* from 1 to 2 */
            pair->multipliers[o] = some_multiplier(check, 1);
        if (kind == 9)
            pair->bias[o] = check_between(check, INT32_MIN, INT32_MAX);
    }
}

/* Packs for both; false if the variant leaves the call to the definition. */
static bool pack_pair(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        size_t bytes = pair->kernels[i]->packed_bytes(&pair->shape);

        if (bytes == 0)
            return false;
        pair->packed[i] = check_input((bytes + 63) / 64 * 64, 64);
        if (!pair->kernels[i]->pack(pair->packed[i], &pair->shape, &pair->quant, pair->is_signed,
                                    pair->filter, pair->bias))
            return false;
        pair->out[i] = check_output(out_bytes(&pair->shape));
    }
    return true;
}

/* Makes inputs of the shape and runs both. */
static bool run_shape(struct check *check, struct pair *pair, uint32_t kind)
{
    const struct scree_conv_shape *s = &pair->shape;
    size_t in_bytes = elements(s->n, s->in_h, s->in_w, s->in_c);
    size_t filter_bytes = elements(1, s->filter_h, s->filter_w, s->out_c);
    size_t out_c = (size_t)s->out_c;

    pair->in = check_input(in_bytes, 1);
    pair->filter = check_input(filter_bytes, 1);
    pair->bias = check_input(out_c * sizeof *pair->bias, sizeof *pair->bias);
    pair->multipliers = check_input(out_c * sizeof *pair->multipliers, sizeof pair->multipliers->q);
    fill_quant(check, pair, kind);
    check_fill_bytes(check, pair->in, in_bytes, kind == 10 ? CHECK_MIN : CHECK_RANDOM);
    check_fill_bytes(check, pair->filter, filter_bytes, kind == 11 ? CHECK_ONES : CHECK_RANDOM);
    if (!pack_pair(pair))
        return false;
    run_pair(pair, false);
    run_pair(pair, true);
    return true;
}

static void check_shape(struct check *check, struct pair *pair)
{
    for (uint32_t kind = 0; kind < 12; kind++) {
        const struct scree_conv_shape *s = &pair->shape;

        pair->is_signed = kind % 2;
        uint32_t how = kind / 2 + 6 * check_below(check, 2);

        if (run_shape(check, pair, how))
            check_equal(check, pair->out[0], pair->out[1], out_bytes(s),
                        "kind %u, signed %d, %dx%dx%d, filter %dx%d, stride %dx%d, dilation %dx%d, "
                        "%d channels",
                        how, pair->is_signed, s->n, s->in_h, s->in_w, s->filter_h, s->filter_w,
                        s->stride_h, s->stride_w, s->dilation_h, s->dilation_w, s->out_c);
        check_free_all();
    }
}

static struct scree_conv_shape some_shape(struct check *check)
{
    static const int32_t channels[] = {1, 3, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 144};
    struct scree_conv_shape s = {.n = check_between(check, 1, 2), .filter_c = 1};
    bool is_square = check_below(check, 4);

    s.in_c = s.out_c = s.n_groups = channels[check_below(check, 15)];
    s.filter_h = is_square ? 3 : check_between(check, 1, 9);
    s.filter_w = is_square ? 3 : check_between(check, 1, 9);
    s.stride_h = check_between(check, 1, 2 + !is_square);
    s.stride_w = check_between(check, 1, 2 + !is_square);
    s.dilation_h = check_below(check, 4) ? 1 : check_between(check, 1, 3);
    s.dilation_w = check_below(check, 4) ? 1 : check_between(check, 1, 3);
    s.in_h = (s.filter_h - 1) * s.dilation_h + check_between(check, 1, 6);
    s.in_w = (s.filter_w - 1) * s.dilation_w + check_between(check, 1, 20);
    if (check_below(check, 8) == 0) /* less than the filter, so that all of it is padded */
        s.in_h = s.in_w = 1;
    set_window(&s, s.in_w == 1 || check_below(check, 2));
    return s;
}

/* Layers of models, for the benchmark. */
static void time_layers(struct check *check, struct pair *pair)
{
    static const struct {
        int32_t size, channels, filter, stride, dilation;
    } layers[] = {{112, 32, 3, 1, 1}, {112, 64, 3, 2, 1}, {56, 128, 3, 1, 1}, {56, 128, 3, 2, 1},
                  {28, 256, 3, 1, 1}, {14, 512, 3, 1, 1}, {14, 512, 3, 2, 1}, {7, 1024, 3, 1, 1},
                  {56, 144, 3, 1, 1}, {33, 480, 3, 1, 2}, {28, 120, 5, 1, 1}, {14, 480, 5, 2, 1}};

    for (size_t i = 0; check->bench && i < sizeof layers / sizeof layers[0]; i++)
        for (uint32_t kind = 0; kind < 3; kind++) {
            struct scree_conv_shape *s = &pair->shape;
            char what[64];

            *s = (struct scree_conv_shape){.n = 1, .filter_c = 1};
            s->in_h = s->in_w = layers[i].size;
            s->in_c = s->out_c = s->n_groups = layers[i].channels;
            s->filter_h = s->filter_w = layers[i].filter;
            s->stride_h = s->stride_w = layers[i].stride;
            s->dilation_h = s->dilation_w = layers[i].dilation;
            set_window(s, true);
            pair->is_signed = kind != 1;
            snprintf(what, sizeof what, "%d %d/%d k%d s%d", kind, layers[i].size,
                     layers[i].channels, layers[i].filter, layers[i].stride);
            if (run_shape(check, pair, kind == 2 ? 2 : 0))
                check_time(check, what, (double)out_bytes(s) * (double)(s->filter_h * s->filter_w),
                           "MAC", run_pair, pair);
            check_free_all();
        }
}

void check_depthwise_8(struct check *check, const struct scree_depthwise_kernel *definition,
                       const struct scree_depthwise_kernel *variant)
{
    /* One step is beyond the input. */
    struct pair pair = {.kernels = {definition, variant},
                        .shape = {.n = 1,
                                  .in_h = 4,
                                  .in_w = 6,
                                  .in_c = 17,
                                  .filter_h = 4,
                                  .filter_w = 5,
                                  .filter_c = 1,
                                  .out_h = 1,
                                  .out_w = 1,
                                  .out_c = 17,
                                  .stride_h = INT32_MAX,
                                  .stride_w = INT32_MAX,
                                  .dilation_h = 1,
                                  .dilation_w = 1,
                                  .n_groups = 17}};

    check_shape(check, &pair);
    for (int i = 0; i < 400; i++) {
        pair.shape = some_shape(check);
        check_shape(check, &pair);
    }
    time_layers(check, &pair);
}
