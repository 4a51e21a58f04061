/* Convolutions cut into parts, and their filters packed. See kernels/gemm.h. */
#include "kernels/gemm.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"

/* A tile's panels stay in the second cache beside its rows; a tile of this many products takes
 * about ten microseconds, and reads weights for about as long. */
#define TILE_PANEL_BYTES  ((size_t)384 << 10)
#define TILE_PRODUCTS     ((size_t)2 << 20)
#define TILE_WEIGHT_BYTES ((size_t)128 << 10)
#define MAX_TILES         ((size_t)64)

/* Products are at most 255 * 255: so many taps never reach 2^31. */
#define MAX_DEPTH ((size_t)INT32_MAX / (255 * 255))

/* Parts beyond these are too small to be worth a panel. */
#define MAX_PARTS ((size_t)1024)
#define MIN_GROUP 4

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t divide_up(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

static size_t round_up(size_t n, size_t to)
{
    return divide_up(n, to) * to;
}

/* ---- parts -------------------------------------------------------------------------------------
 */

static void set_group(struct scree_gemm_part *part, const struct scree_conv_shape *s, int32_t group)
{
    *part = (struct scree_gemm_part){
        .out_h = s->out_h,
        .out_w = s->out_w,
        .out_step_h = 1,
        .out_step_w = 1,
        .out_channel = group * (s->out_c / s->n_groups),
        .in_y = -s->pad_top,
        .in_x = -s->pad_left,
        .stride_h = s->stride_h,
        .stride_w = s->stride_w,
        .taps_h = s->filter_h,
        .taps_w = s->filter_w,
        .filter_step_h = 1,
        .filter_step_w = 1,
        .in_channel = group * s->filter_c,
    };
}

/* One dimension of a phase of a transposed convolution: outputs phase, phase + stride, ... see
 * those elements of the filter that are congruent to phase + pad modulo the stride, the last one
 * first. */
struct phase {
    int32_t n_out, taps, filter_first, in_first;
};

static struct phase find_phase(int32_t phase, int32_t out, int32_t stride, int32_t pad,
                               int32_t filter)
{
    int64_t shifted = (int64_t)phase + pad;
    int32_t first = (int32_t)(shifted % stride);
    int32_t taps = first < filter ? (filter - first - 1) / stride + 1 : 0;

    return (struct phase){
        .n_out = (out - phase - 1) / stride + 1,
        .taps = taps,
        .filter_first = taps > 0 ? first + stride * (taps - 1) : 0,
        .in_first = (int32_t)(shifted / stride) - (taps - 1),
    };
}

static void set_phase(struct scree_gemm_part *part, const struct scree_conv_shape *s, int32_t y,
                      int32_t x)
{
    struct phase h = find_phase(y, s->out_h, s->stride_h, s->pad_top, s->filter_h);
    struct phase w = find_phase(x, s->out_w, s->stride_w, s->pad_left, s->filter_w);

    *part = (struct scree_gemm_part){
        .out_h = h.n_out,
        .out_w = w.n_out,
        .out_y = y,
        .out_x = x,
        .out_step_h = s->stride_h,
        .out_step_w = s->stride_w,
        .in_y = h.in_first,
        .in_x = w.in_first,
        .stride_h = 1,
        .stride_w = 1,
        .taps_h = w.taps > 0 ? h.taps : 0,
        .taps_w = h.taps > 0 ? w.taps : 0,
        .filter_y = h.filter_first,
        .filter_x = w.filter_first,
        .filter_step_h = -s->stride_h,
        .filter_step_w = -s->stride_w,
    };
}

/* Taps that are neighbours in the input become one segment. Where rounding the segments up to kr
 * would make a row half as long again, rows are gathered whole. */
static void set_segments(struct scree_gemm_part *part, const struct scree_gemm *gemm)
{
    const struct scree_conv_shape *s = &gemm->shape;
    size_t kr = (size_t)gemm->kernel->kr, channels = (size_t)s->filter_c;
    bool runs = s->dilation_w == 1 && s->n_groups == 1;
    size_t n_taps = (size_t)part->taps_h * (size_t)part->taps_w;

    part->segments_w = runs && part->taps_w > 0 ? 1 : part->taps_w;
    part->n_segments = part->taps_h * part->segments_w;
    part->segment_bytes = runs ? part->taps_w * s->filter_c : s->filter_c;
    part->depth = (size_t)part->n_segments * round_up((size_t)part->segment_bytes, kr);
    if (2 * part->depth <= 3 * round_up(n_taps * channels, kr))
        return;
    part->gathered = true;
    part->n_segments = 1;
    part->segment_bytes = (int32_t)(n_taps * channels);
    part->depth = round_up(n_taps * channels, kr);
}

/* True if row m is pixel m of the input and becomes pixel m of the output. */
static bool is_plain(const struct scree_gemm_part *part, const struct scree_conv_shape *s)
{
    return !s->transposed && s->n_groups == 1 && part->taps_h == 1 && part->taps_w == 1 &&
           part->in_y == 0 && part->in_x == 0 && part->stride_h == 1 && part->stride_w == 1 &&
           s->in_h == s->out_h && s->in_w == s->out_w;
}

/* How many rows and channels a tile has: enough tiles for some threads, but none too short, and
 * rows are shared out rather than channels, since each tile prepares its rows. */
static void set_tiles(struct scree_gemm_part *part, struct scree_gemm *gemm)
{
    size_t mr = (size_t)gemm->kernel->mr, unit = (size_t)gemm->kernel->channels;
    size_t channels = (size_t)gemm->part_channels, depth = larger(part->depth, 1);
    size_t products = part->n_rows * channels * depth;
    size_t wanted = larger(products / TILE_PRODUCTS, channels * depth / TILE_WEIGHT_BYTES);
    size_t n_rows, n_channels;

    wanted = larger(1, smaller(wanted, MAX_TILES));
    n_rows = larger(1, smaller(wanted, part->n_rows / (2 * mr)));
    n_channels = larger(divide_up(wanted, n_rows), divide_up(channels * depth, TILE_PANEL_BYTES));
    n_channels = smaller(n_channels, divide_up(channels, unit));
    part->rows_per_tile = divide_up(part->n_rows, n_rows);
    part->channels_per_tile = round_up(divide_up(channels, n_channels), unit);
    part->first_tile = gemm->n_tiles;
    gemm->n_tiles += divide_up(part->n_rows, part->rows_per_tile) *
                     divide_up(channels, part->channels_per_tile);
}

static void set_parts(struct scree_gemm *gemm)
{
    const struct scree_conv_shape *s = &gemm->shape;
    struct scree_gemm_part *part = gemm->parts;

    if (s->transposed)
        for (int32_t y = 0; y < scree_min_i32(s->stride_h, s->out_h); y++)
            for (int32_t x = 0; x < scree_min_i32(s->stride_w, s->out_w); x++)
                set_phase(part++, s, y, x);
    else
        for (int32_t group = 0; group < s->n_groups; group++)
            set_group(part++, s, group);
}

/* ---- memory ------------------------------------------------------------------------------------
 */

static size_t count_panels(const struct scree_gemm *gemm)
{
    return divide_up((size_t)gemm->part_channels, (size_t)gemm->kernel->nr);
}

/* n bytes of zeros, aligned to 64; NULL without memory. */
static uint8_t *take(struct scree_arena *arena, size_t n)
{
    uint8_t *bytes = scree_add_size(n, 63, &n) ? scree_arena_calloc(arena, n, 1) : NULL;

    return bytes ? bytes + -(uintptr_t)bytes % 64 : NULL;
}

static bool take_panels(struct scree_arena *arena, const struct scree_gemm *gemm,
                        struct scree_gemm_part *part)
{
    const struct scree_gemm_kernel *kernel = gemm->kernel;
    size_t bytes;

    if (!scree_mul_size((size_t)kernel->nr, part->depth, &bytes) ||
        !scree_add_size(bytes, kernel->params_bytes, &bytes) ||
        !scree_align_size(bytes, 64, &part->panel_bytes) ||
        !scree_mul_size(part->panel_bytes, count_panels(gemm), &bytes))
        return false;
    part->panels = take(arena, bytes);
    return part->panels != NULL;
}

size_t scree_gemm_outside_bytes(const struct scree_gemm *gemm)
{
    size_t kr = (size_t)gemm->kernel->kr, bytes = 1;

    for (size_t i = 0; i < gemm->n_parts; i++)
        bytes = larger(bytes, round_up((size_t)gemm->parts[i].segment_bytes, kr));
    return bytes;
}

/* A segment of zero points, for taps outside the input. */
static bool fill_outside(struct scree_arena *arena, struct scree_gemm *gemm, int32_t input_zp)
{
    size_t bytes = scree_gemm_outside_bytes(gemm);
    uint8_t *outside = take(arena, bytes);

    if (!outside)
        return false;
    memset(outside, input_zp, bytes);
    gemm->outside = outside;
    return true;
}

/* ---- packing -----------------------------------------------------------------------------------
 */

/* What packing reads. */
struct source {
    const struct scree_conv_quant *quant;
    const uint8_t *filter;
    const int32_t *bias;
    uint8_t *row; /* working memory: a channel's weights in the order of a panel */
    uint8_t flip;
    bool is_signed;  /* w' is int8 */
    int32_t largest; /* the largest |a - za| */
};

/* to[i] = w'; adds them up. A frozen channel has weights of their zero point. */
static int32_t copy_weights(const struct source *source, uint8_t *to, const uint8_t *from, size_t n,
                            bool frozen)
{
    uint8_t flip = source->flip;
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        to[i] = from[i] ^ flip;
    if (frozen)
        memset(to, (uint8_t)source->quant->filter_zp ^ flip, n);
    if (source->is_signed)
        for (size_t i = 0; i < n; i++)
            sum += (int8_t)to[i];
    else
        for (size_t i = 0; i < n; i++)
            sum += to[i];
    return sum;
}

/* The weights of channel o of the filter for tap (y, x) of the part. */
static const uint8_t *find_tap(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                               const struct source *source, int32_t o, int32_t y, int32_t x)
{
    const struct scree_conv_shape *s = &gemm->shape;
    int64_t filter_y = part->filter_y + (int64_t)y * part->filter_step_h;
    int64_t filter_x = part->filter_x + (int64_t)x * part->filter_step_w;
    int64_t pixel = ((int64_t)o * s->filter_h + filter_y) * s->filter_w + filter_x;

    return source->filter + (size_t)pixel * (size_t)s->filter_c;
}

/* Lays out the weights of channel o in source->row, whose padding is 0; returns their sum. */
static int32_t lay_out(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                       const struct source *source, int32_t o, bool frozen)
{
    size_t channels = (size_t)gemm->shape.filter_c, kr = (size_t)gemm->kernel->kr;
    size_t per_segment = (size_t)part->segment_bytes / larger(channels, 1), in_segment = 0;
    uint8_t *segment = source->row;
    int32_t sum = 0;

    for (int32_t y = 0; y < part->taps_h; y++)
        for (int32_t x = 0; x < part->taps_w; x++) {
            sum += copy_weights(source, segment + in_segment * channels,
                                find_tap(gemm, part, source, o, y, x), channels, frozen);
            if (++in_segment == per_segment) {
                segment += round_up((size_t)part->segment_bytes, kr);
                in_segment = 0;
            }
        }
    return sum;
}

/* to[k / kr][c][k % kr] = row[k], `to` being at channel c. kr is a constant wherever this is used.
 */
static inline __attribute__((always_inline)) void spread(uint8_t *to, const uint8_t *row,
                                                         size_t depth, size_t nr, const size_t kr)
{
    for (size_t k = 0; k < depth; k += kr, to += nr * kr)
        memcpy(to, row + k, kr);
}

static void spread_row(const struct scree_gemm_kernel *kernel, uint8_t *to, const uint8_t *row,
                       size_t depth)
{
    size_t nr = (size_t)kernel->nr;

    switch (kernel->kr) {
    case 1:
        spread(to, row, depth, nr, 1);
        break;
    case 2:
        spread(to, row, depth, nr, 2);
        break;
    case 4:
        spread(to, row, depth, nr, 4);
        break;
    case 8:
        spread(to, row, depth, nr, 8);
        break;
    default:
        spread(to, row, depth, nr, (size_t)kernel->kr);
        break;
    }
}

static struct scree_gemm_channel describe_channel(const struct scree_gemm *gemm,
                                                  const struct scree_gemm_part *part,
                                                  const struct source *source, int32_t o,
                                                  int32_t sum)
{
    const struct scree_conv_quant *quant = source->quant;
    size_t index = (size_t)o * (size_t)quant->multiplier_stride;
    int64_t k = (int64_t)part->taps_h * part->taps_w * gemm->shape.filter_c;
    int64_t bias = source->bias ? source->bias[o] : 0;
    int64_t folded = bias - (int64_t)quant->input_zp * sum +
                     k * quant->input_zp * gemm->layer.weights_zp;

    return (struct scree_gemm_channel){
        .bias = (int32_t)(uint32_t)(uint64_t)folded,
        .multiplier = quant->factors ? (struct scree_multiplier){0} : quant->multipliers[index],
        .factor = quant->factors ? quant->factors[index] : 0,
    };
}

/* The sum of |w - zw| over the weights of channel o. */
static uint64_t sum_weights(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                            const struct source *source, int32_t o)
{
    int32_t zp = source->quant->filter_zp;
    uint64_t sum = 0;

    for (int32_t y = 0; y < part->taps_h; y++)
        for (int32_t x = 0; x < part->taps_w; x++) {
            const uint8_t *tap = find_tap(gemm, part, source, o, y, x);

            for (int32_t c = 0; c < gemm->shape.filter_c; c++) {
                int32_t w = gemm->layer.is_u8 ? tap[c] : (int8_t)tap[c];

                sum += (uint64_t)(w < zp ? zp - w : w - zp);
            }
        }
    return sum;
}

/* Sums of channel o and its bias lie in [low, high]. */
struct range {
    int64_t low, high;
};

/* The range for the very weights of channel o, or for any. */
static struct range find_range(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                               const struct source *source, int32_t o, bool exact)
{
    int64_t k = (int64_t)part->taps_h * part->taps_w * gemm->shape.filter_c;
    int64_t bias = source->bias ? source->bias[o] : 0;
    int64_t sum = exact ? (int64_t)sum_weights(gemm, part, source, o) : k * 255;

    return (struct range){bias - sum * source->largest, bias + sum * source->largest};
}

/* The output of a sum, less the zero point. */
static int32_t find_output(const struct scree_gemm_layer *layer, struct scree_multiplier m,
                           int64_t sum)
{
    return scree_clamp_i32(scree_multiply((int32_t)sum, m), layer->min - layer->output_zp,
                           layer->max - layer->output_zp);
}

/* True if all sums of the range give the same output. A multiplier of 0 leaves nothing of sums that
 * wrap either. */
static bool is_constant(const struct scree_gemm_layer *layer, struct scree_multiplier m,
                        struct range range)
{
    if (layer->by_factor)
        return false;
    if (m.q == 0)
        return true;
    return range.low >= INT32_MIN && range.high <= INT32_MAX &&
           find_output(layer, m, range.low) == find_output(layer, m, range.high);
}

/* Gives a channel of constant output weights that add nothing and a bias that is the output, twice
 * and by a multiplier of one half. Dead channels are such: their scales are so small that biases
 * and shifts are out of all proportion. */
static void freeze_channel(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                           const struct source *source, struct scree_gemm_channel *channel,
                           int32_t o, int64_t sum, uint8_t *weights)
{
    const struct scree_conv_quant *quant = source->quant;
    int32_t output = find_output(&gemm->layer, channel->multiplier, sum);
    int64_t k = (int64_t)part->taps_h * part->taps_w * gemm->shape.filter_c;
    int64_t total = lay_out(gemm, part, source, o, true);

    spread_row(gemm->kernel, weights, source->row, part->depth);
    *channel = (struct scree_gemm_channel){
        .bias = (int32_t)(uint32_t)(uint64_t)(2 * output - quant->input_zp * total +
                                              k * quant->input_zp * gemm->layer.weights_zp),
        .multiplier = {1 << 30, 0},
        .bound = 512,
    };
}

/* The bounds of all weights will do for most layers; those of the very weights take longer. */
static bool pack_params(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                        const struct source *source, struct scree_gemm_channel *channels, int32_t o,
                        int32_t n, uint8_t *panel)
{
    const struct scree_gemm_kernel *kernel = gemm->kernel;
    uint8_t *weights = panel + kernel->params_bytes;

    for (int exact = 0; exact < 2; exact++) {
        bool fits = true;

        for (int32_t c = 0; c < n; c++) {
            struct range range = find_range(gemm, part, source, o + c, exact);

            if (exact && is_constant(&gemm->layer, channels[c].multiplier, range)) {
                freeze_channel(gemm, part, source, &channels[c], o + c, range.low,
                               weights + c * kernel->kr);
                continue;
            }
            fits = fits && range.low >= -INT32_MAX && range.high <= INT32_MAX;
            channels[c].bound = fits ? (uint32_t)(range.high > -range.low ? range.high : -range.low)
                                     : 0;
        }
        if (fits && kernel->pack_params(panel, &gemm->layer, channels, n))
            return true;
    }
    return false;
}

/* Packs n channels of a part from o on; false if they cannot be done exactly. */
static bool pack_panel(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                       const struct source *source, int32_t o, int32_t n, uint8_t *panel)
{
    const struct scree_gemm_kernel *kernel = gemm->kernel;
    struct scree_gemm_channel channels[SCREE_GEMM_MAX_CHANNELS];

    for (int32_t c = 0; c < n; c++) {
        int32_t sum = lay_out(gemm, part, source, o + c, false);

        spread_row(kernel, panel + kernel->params_bytes + c * kernel->kr, source->row, part->depth);
        channels[c] = describe_channel(gemm, part, source, o + c, sum);
    }
    return pack_params(gemm, part, source, channels, o, n, panel);
}

static bool pack_part(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                      const struct source *source)
{
    int32_t nr = gemm->kernel->nr;
    uint8_t *panel = part->panels;

    memset(source->row, 0, part->depth);
    for (int32_t c = 0; c < gemm->part_channels; c += nr, panel += part->panel_bytes)
        if (!pack_panel(gemm, part, source, part->out_channel + c,
                        scree_min_i32(nr, gemm->part_channels - c), panel))
            return false;
    return true;
}

/* ---- a layer -----------------------------------------------------------------------------------
 */

static struct scree_gemm_layer describe_layer(const struct scree_gemm_kernel *kernel,
                                              const struct scree_conv_quant *quant, bool is_u8)
{
    int32_t move = is_u8 ? -kernel->flip_u8 : kernel->flip_s8;

    return (struct scree_gemm_layer){
        .is_u8 = is_u8,
        .by_factor = quant->factors != NULL,
        .relu = quant->min >= quant->output_zp,
        .weights_zp = quant->filter_zp + move,
        .output_zp = quant->output_zp,
        .min = quant->min,
        .max = quant->max,
    };
}

/* The number of parts, or 0 for a layer that is not for us: empty; of so many taps that sums could
 * leave 31 bits; of so many parts with so few outputs that panels would be mostly padding. */
static size_t count_parts(const struct scree_conv_shape *s)
{
    size_t taps = (size_t)s->filter_h * (size_t)s->filter_w, depth;
    size_t n_parts = (size_t)s->n_groups;

    if (s->n < 1 || s->out_h < 1 || s->out_w < 1 || s->out_c < 1)
        return 0;
    if (!scree_mul_size(taps, (size_t)s->filter_c, &depth) || depth > MAX_DEPTH)
        return 0;
    if (s->transposed)
        n_parts = smaller((size_t)s->stride_h, (size_t)s->out_h) *
                  smaller((size_t)s->stride_w, (size_t)s->out_w);
    if (n_parts > 1 && !s->transposed && s->out_c / s->n_groups < MIN_GROUP)
        return 0;
    return n_parts <= MAX_PARTS ? n_parts : 0;
}

static void finish_parts(struct scree_gemm *gemm)
{
    size_t mr = (size_t)gemm->kernel->mr;

    for (size_t i = 0; i < gemm->n_parts; i++) {
        struct scree_gemm_part *part = &gemm->parts[i];
        size_t bytes, segments;

        part->n_rows = (size_t)gemm->shape.n * (size_t)part->out_h * (size_t)part->out_w;
        set_segments(part, gemm);
        part->plain = is_plain(part, &gemm->shape);
        set_tiles(part, gemm);
        segments = (size_t)part->n_segments;
        bytes = round_up(mr * (1 + segments) * sizeof(void *), 64) +
                round_up(mr * part->depth, 64) + gemm->kernel->row_scratch * mr * part->depth + 64;
        gemm->scratch_bytes = larger(gemm->scratch_bytes, bytes);
    }
}

static bool pack_parts(struct scree_gemm *gemm, const struct source *source)
{
    for (size_t i = 0; i < gemm->n_parts; i++)
        if (!pack_part(gemm, &gemm->parts[i], source))
            return false;
    return true;
}

/* The parts of a layer and their memory. */
static bool make_parts(struct scree_arena *arena, struct scree_gemm *gemm, int32_t input_zp)
{
    gemm->parts = scree_arena_new(arena, struct scree_gemm_part, gemm->n_parts);
    if (!gemm->parts)
        return false;
    set_parts(gemm);
    finish_parts(gemm);
    for (size_t i = 0; i < gemm->n_parts; i++)
        if (!take_panels(arena, gemm, &gemm->parts[i]))
            return false;
    return fill_outside(arena, gemm, input_zp);
}

/* Working memory for the longest row of a filter; NULL without memory. */
static uint8_t *take_row(struct scree_arena *arena, const struct scree_gemm *gemm)
{
    size_t depth = 0;

    for (size_t i = 0; i < gemm->n_parts; i++)
        depth = larger(depth, gemm->parts[i].depth);
    return take(arena, depth);
}

static int new_layer(struct scree_arena *arena, const struct scree_gemm_kernel *kernel,
                     const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                     bool is_u8, bool sums, const void *filter, const int32_t *bias,
                     struct scree_gemm **ret_gemm)
{
    int32_t low = is_u8 ? 0 : INT8_MIN, high = is_u8 ? UINT8_MAX : INT8_MAX;
    size_t n_parts = count_parts(shape);
    struct scree_gemm *gemm;
    struct source source = {
        .quant = quant,
        .filter = filter,
        .bias = bias,
        .flip = is_u8 ? kernel->flip_u8 : kernel->flip_s8,
        .is_signed = is_u8 == ((is_u8 ? kernel->flip_u8 : kernel->flip_s8) != 0),
        .largest = scree_max_i32(quant->input_zp - low, high - quant->input_zp),
    };

    *ret_gemm = NULL;
    if (n_parts == 0)
        return 0;
    gemm = scree_arena_new(arena, struct scree_gemm, 1);
    if (!gemm)
        return -ENOMEM;
    *gemm = (struct scree_gemm){
        .kernel = kernel,
        .layer = describe_layer(kernel, quant, is_u8),
        .shape = *shape,
        .part_channels = shape->out_c / shape->n_groups,
        .in_bytes = (size_t)shape->n * (size_t)shape->in_h * (size_t)shape->in_w *
                    (size_t)shape->in_c,
        .n_parts = n_parts,
    };
    gemm->layer.sums = sums;
    if (!make_parts(arena, gemm, quant->input_zp))
        return -ENOMEM;
    source.row = take_row(arena, gemm);
    if (!source.row)
        return -ENOMEM;
    if (pack_parts(gemm, &source))
        *ret_gemm = gemm;
    return 0;
}

int scree_gemm_new(struct scree_arena *arena, const struct scree_gemm_kernel *kernel,
                   const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                   bool is_u8, const void *filter, const int32_t *bias,
                   struct scree_gemm **ret_gemm)
{
    return new_layer(arena, kernel, shape, quant, is_u8, false, filter, bias, ret_gemm);
}

int scree_gemm_new_sums(struct scree_arena *arena, const struct scree_gemm_kernel *kernel,
                        const struct scree_conv_shape *shape, const int8_t *filter,
                        struct scree_gemm **ret_gemm)
{
    static const double none = 0;
    const struct scree_conv_quant quant = {.factors = &none};

    return new_layer(arena, kernel, shape, &quant, false, true, filter, NULL, ret_gemm);
}
