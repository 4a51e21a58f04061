/* Filters packed into panels. See kernels/gemm.h. */
#include "kernels/gemm.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/c/gemm_parts.h"

/* ---- memory ------------------------------------------------------------------------------------
 */

static size_t count_panels(const struct scree_gemm *gemm)
{
    return gemm_divide_up((size_t)gemm->part_channels, (size_t)gemm->kernel->nr);
}

/* n bytes of zeros, aligned to 64; NULL without memory. */
static uint8_t *take(struct scree_arena *arena, size_t n)
{
    uint8_t *bytes = scree_add_size(n, 63, &n) ? scree_arena_calloc(arena, n, 1) : NULL;

    return bytes ? bytes + -(uintptr_t)bytes % 64 : NULL;
}

static bool take_panels(struct scree_arena *arena, const struct scree_gemm *gemm,
                        struct scree_gemm_part *part, bool has_extras)
{
    const struct scree_gemm_kernel *kernel = gemm->kernel;
    size_t bytes;

    if (has_extras) {
        part->extras = scree_arena_new(arena, struct scree_gemm_extras, count_panels(gemm));
        if (!part->extras)
            return false;
    }

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
        bytes = gemm_larger(bytes, gemm_round_up((size_t)gemm->parts[i].segment_bytes, kr));
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
    struct scree_arena *arena;
    uint8_t *row;    /* working memory: a channel's weights in the order of a panel */
    uint8_t *marks;  /* working memory: as many bytes */
    uint8_t flip;    /* 0x80: of int8 weights, which are taken for uint8 by it */
    int32_t zp;      /* the zero point of weights taken for uint8 */
    int32_t base;    /* w' is w taken for uint8 less this */
    bool is_signed;  /* w' is int8 */
    int32_t largest; /* the largest |a - za| */
    bool no_memory;
};

/* What is laid out of a channel's weights. */
enum content {
    WEIGHTS, /* w', clamped to its type */
    FROZEN,  /* the zero point of w' instead */
    REST,    /* what the clamp took away */
};

/* Copies n weights; returns the sum of w' before the clamp. */
static int32_t copy_weights(const struct source *source, uint8_t *to, const uint8_t *from, size_t n,
                            enum content content)
{
    int32_t low = source->base - (source->is_signed ? 128 : 0);
    uint8_t min = (uint8_t)scree_max_i32(low, 0), max = (uint8_t)scree_min_i32(low + 255, 255);
    uint8_t flip = source->flip, base = (uint8_t)source->base;
    int32_t sum = 0;

    if (content == FROZEN) {
        memset(to, source->zp - source->base, n);
        return (int32_t)n * (source->zp - source->base);
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t w = from[i] ^ flip, clamped = w < min ? min : w;

        clamped = clamped > max ? max : clamped;
        to[i] = (uint8_t)(content == REST ? w - clamped : clamped - base);
        sum += w;
    }
    return sum - (int32_t)n * source->base;
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
                       const struct source *source, int32_t o, enum content content)
{
    size_t channels = (size_t)gemm->shape.filter_c, kr = (size_t)gemm->kernel->kr;
    size_t per_segment = (size_t)part->segment_bytes / gemm_larger(channels, 1), in_segment = 0;
    uint8_t *segment = source->row;
    int32_t sum = 0;

    for (int32_t y = 0; y < part->taps_h; y++)
        for (int32_t x = 0; x < part->taps_w; x++) {
            sum += copy_weights(source, segment + in_segment * channels,
                                find_tap(gemm, part, source, o, y, x), channels, content);
            if (++in_segment == per_segment) {
                segment += gemm_round_up((size_t)part->segment_bytes, kr);
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

/* The zero point of activations as they are multiplied. */
static int64_t find_input_zp(const struct scree_gemm *gemm, const struct source *source)
{
    return source->quant->input_zp + (gemm->layer.is_u8 ? 0 : gemm->kernel->flip_in);
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
    int64_t folded = bias - find_input_zp(gemm, source) * sum +
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
    int64_t total = lay_out(gemm, part, source, o, FROZEN);

    spread_row(gemm->kernel, weights, source->row, part->depth);
    *channel = (struct scree_gemm_channel){
        .bias = (int32_t)(uint32_t)(uint64_t)(2 * output - find_input_zp(gemm, source) * total +
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

/* ---- what does not fit in an int8 --------------------------------------------------------------
 */

/* True if the clamp takes something away from channel o, of uint8 weights. */
static bool has_rest(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                     const struct source *source, int32_t o)
{
    uint8_t least = UINT8_MAX, most = 0;

    for (int32_t y = 0; y < part->taps_h; y++)
        for (int32_t x = 0; x < part->taps_w; x++) {
            const uint8_t *tap = find_tap(gemm, part, source, o, y, x);

            for (int32_t c = 0; c < gemm->shape.filter_c; c++) {
                least = tap[c] < least ? tap[c] : least;
                most = tap[c] > most ? tap[c] : most;
            }
        }
    return least < source->base - 128 || most > source->base + 127;
}

/* True if weight k of channel c of the panel has a rest, in source->row. What the clamp touched is
 * not 0 in the panel, unless the channel is frozen. */
static bool is_rest(const struct scree_gemm_kernel *kernel, const struct source *source,
                    const uint8_t *panel, size_t c, size_t k)
{
    size_t nr = (size_t)kernel->nr, kr = (size_t)kernel->kr;

    return source->row[k] != 0 &&
           panel[kernel->params_bytes + (k / kr * nr + c) * kr + k % kr] != 0;
}

/* Marks the groups of kr weights of channel c that have a rest. */
static void mark_rest(const struct scree_gemm_kernel *kernel, const struct source *source,
                      const uint8_t *panel, size_t c, size_t depth)
{
    for (size_t k = 0; k < depth; k++)
        if (is_rest(kernel, source, panel, c, k))
            source->marks[k / (size_t)kernel->kr] = 1;
}

/* Gives the extras of the panel, one for each mark, the rests of channel c. */
static void add_rest(const struct scree_gemm_kernel *kernel, const struct source *source,
                     const uint8_t *panel, size_t c, size_t depth, uint8_t *weights)
{
    size_t nr = (size_t)kernel->nr, kr = (size_t)kernel->kr;

    for (size_t k = 0; k < depth; k++) {
        if (is_rest(kernel, source, panel, c, k))
            weights[c * kr + k % kr] = source->row[k];
        if (k % kr == kr - 1 && source->marks[k / kr])
            weights += nr * kr;
    }
}

/* Places an extra at each mark. */
static bool take_extras(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                        struct source *source, struct scree_gemm_extras *extras, uint8_t **weights)
{
    size_t mr = (size_t)gemm->kernel->mr, nr = (size_t)gemm->kernel->nr;
    size_t kr = (size_t)gemm->kernel->kr, n = 0, n_groups = part->depth / kr;
    size_t per_segment = gemm_divide_up((size_t)part->segment_bytes, kr);

    for (size_t i = 0; i < n_groups; i++)
        n += source->marks[i];
    extras->list = scree_arena_new(source->arena, struct scree_gemm_extra, n);
    *weights = take(source->arena, n * nr * kr);
    source->no_memory = !extras->list || !*weights;
    if (source->no_memory)
        return false;
    for (size_t i = 0; i < n_groups; i++) {
        if (!source->marks[i])
            continue;
        extras->list[extras->n] = (struct scree_gemm_extra){
            .a = i / per_segment * mr,
            .k = i % per_segment * kr,
            .weights = *weights + extras->n * nr * kr,
        };
        extras->n++;
    }
    return true;
}

/* What does not fit in the packed panel of n channels from o on. */
static bool pack_extras(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                        struct source *source, int32_t o, int32_t n, const uint8_t *panel,
                        struct scree_gemm_extras *extras)
{
    bool any = false, has[SCREE_GEMM_MAX_CHANNELS];
    uint8_t *weights;

    memset(source->marks, 0, part->depth);
    for (int32_t c = 0; c < n; c++) {
        has[c] = has_rest(gemm, part, source, o + c);
        any = any || has[c];
        if (!has[c])
            continue;
        lay_out(gemm, part, source, o + c, REST);
        mark_rest(gemm->kernel, source, panel, (size_t)c, part->depth);
    }
    if (!any)
        return true;
    if (!take_extras(gemm, part, source, extras, &weights))
        return false;
    for (int32_t c = 0; c < n; c++) {
        if (!has[c])
            continue;
        lay_out(gemm, part, source, o + c, REST);
        add_rest(gemm->kernel, source, panel, (size_t)c, part->depth, weights);
    }
    return true;
}

/* ---- panels ------------------------------------------------------------------------------------
 */

/* Packs n channels of a part from o on; false if they cannot be done exactly. */
static bool pack_panel(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                       const struct source *source, int32_t o, int32_t n, uint8_t *panel)
{
    const struct scree_gemm_kernel *kernel = gemm->kernel;
    struct scree_gemm_channel channels[SCREE_GEMM_MAX_CHANNELS];

    for (int32_t c = 0; c < n; c++) {
        int32_t sum = lay_out(gemm, part, source, o + c, WEIGHTS);

        spread_row(kernel, panel + kernel->params_bytes + c * kernel->kr, source->row, part->depth);
        channels[c] = describe_channel(gemm, part, source, o + c, sum);
    }
    return pack_params(gemm, part, source, channels, o, n, panel);
}

static bool pack_part(const struct scree_gemm *gemm, const struct scree_gemm_part *part,
                      struct source *source)
{
    int32_t nr = gemm->kernel->nr;
    uint8_t *panel = part->panels;

    memset(source->row, 0, part->depth);
    for (int32_t c = 0; c < gemm->part_channels; c += nr, panel += part->panel_bytes) {
        int32_t o = part->out_channel + c, n = scree_min_i32(nr, gemm->part_channels - c);

        if (!pack_panel(gemm, part, source, o, n, panel))
            return false;
        if (part->extras && !pack_extras(gemm, part, source, o, n, panel, &part->extras[c / nr]))
            return false;
    }
    return true;
}

/* ---- a layer -----------------------------------------------------------------------------------
 */

/* True if weights less their zero point shall be multiplied, so that no sums of rows are wanted:
 * all but a few fit in an int8. */
static bool wants_extras(const struct scree_gemm_kernel *kernel, const struct source *source,
                         size_t n)
{
    int32_t low = source->zp - 128, high = source->zp + 127;
    uint8_t most = 0;
    size_t n_beyond = 0;

    if (!kernel->has_extras || source->flip != 0)
        return false;
    for (size_t i = 0; i < n;) {
        size_t end = gemm_smaller(n, i + 128);
        uint8_t n_here = 0;

        for (; i < end; i++) {
            n_here += (uint8_t)((source->filter[i] < low) | (source->filter[i] > high));
            most = source->filter[i] > most ? source->filter[i] : most;
        }
        n_beyond += n_here;
    }
    return n_beyond <= n / 512 + 1 && most <= high + 127;
}

static struct source describe_source(const struct scree_gemm_kernel *kernel,
                                     const struct scree_conv_shape *shape,
                                     const struct scree_conv_quant *quant, bool is_u8,
                                     const void *filter, const int32_t *bias)
{
    int32_t low = is_u8 ? 0 : INT8_MIN, high = is_u8 ? UINT8_MAX : INT8_MAX;
    struct source source = {
        .quant = quant,
        .filter = filter,
        .bias = bias,
        .flip = is_u8 ? 0 : 0x80,
        .zp = quant->filter_zp - low,
        .is_signed = is_u8 == ((is_u8 ? kernel->flip_u8 : kernel->flip_s8) != 0),
        .largest = scree_max_i32(quant->input_zp - low, high - quant->input_zp),
    };

    source.base = source.is_signed ? 128 : 0;
    if (wants_extras(kernel, &source,
                     (size_t)shape->out_c * (size_t)shape->filter_h * (size_t)shape->filter_w *
                         (size_t)shape->filter_c))
        source.base = source.zp;
    return source;
}

static struct scree_gemm_layer describe_layer(const struct scree_conv_quant *quant,
                                              const struct source *source, bool is_u8)
{
    return (struct scree_gemm_layer){
        .is_u8 = is_u8,
        .by_factor = quant->factors != NULL,
        .relu = quant->min >= quant->output_zp,
        .weights_zp = source->zp - source->base,
        .output_zp = quant->output_zp,
        .min = quant->min,
        .max = quant->max,
    };
}

static bool pack_parts(struct scree_gemm *gemm, struct source *source)
{
    for (size_t i = 0; i < gemm->n_parts; i++)
        if (!pack_part(gemm, &gemm->parts[i], source))
            return false;
    return true;
}

/* The parts of a layer and their memory. */
static bool make_parts(struct scree_arena *arena, struct scree_gemm *gemm,
                       const struct source *source)
{
    bool has_extras = source->base != (source->is_signed ? 128 : 0);

    gemm->parts = scree_arena_new(arena, struct scree_gemm_part, gemm->n_parts);
    if (!gemm->parts)
        return false;
    scree_gemm_set_parts(gemm);
    for (size_t i = 0; i < gemm->n_parts; i++)
        if (!take_panels(arena, gemm, &gemm->parts[i], has_extras))
            return false;
    return fill_outside(arena, gemm, source->quant->input_zp);
}

/* Working memory for the longest row of a filter; NULL without memory. */
static uint8_t *take_row(struct scree_arena *arena, const struct scree_gemm *gemm)
{
    size_t depth = 0;

    for (size_t i = 0; i < gemm->n_parts; i++)
        depth = gemm_larger(depth, gemm->parts[i].depth);
    return take(arena, depth);
}

static int new_layer(struct scree_arena *arena, const struct scree_gemm_kernel *kernel,
                     const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                     bool is_u8, bool sums, const void *filter, const int32_t *bias,
                     struct scree_gemm **ret_gemm)
{
    size_t n_parts = scree_gemm_count_parts(shape);
    struct scree_gemm *gemm;
    struct source source;

    *ret_gemm = NULL;
    if (n_parts == 0)
        return 0;
    gemm = scree_arena_new(arena, struct scree_gemm, 1);
    if (!gemm)
        return -ENOMEM;
    source = describe_source(kernel, shape, quant, is_u8, filter, bias);
    *gemm = (struct scree_gemm){
        .kernel = kernel,
        .layer = describe_layer(quant, &source, is_u8),
        .shape = *shape,
        .part_channels = shape->out_c / shape->n_groups,
        .in_bytes = (size_t)shape->n * (size_t)shape->in_h * (size_t)shape->in_w *
                    (size_t)shape->in_c,
        .n_parts = n_parts,
    };
    gemm->layer.sums = sums;
    if (!make_parts(arena, gemm, &source))
        return -ENOMEM;
    source.arena = arena;
    source.row = take_row(arena, gemm);
    source.marks = take_row(arena, gemm);
    if (!source.row || !source.marks)
        return -ENOMEM;
    if (pack_parts(gemm, &source))
        *ret_gemm = gemm;
    return source.no_memory ? -ENOMEM : 0;
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
