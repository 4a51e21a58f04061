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
    size_t per_segment = (size_t)part->segment_bytes / gemm_larger(channels, 1), in_segment = 0;
    uint8_t *segment = source->row;
    int32_t sum = 0;

    for (int32_t y = 0; y < part->taps_h; y++)
        for (int32_t x = 0; x < part->taps_w; x++) {
            sum += copy_weights(source, segment + in_segment * channels,
                                find_tap(gemm, part, source, o, y, x), channels, frozen);
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
    scree_gemm_set_parts(gemm);
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
        depth = gemm_larger(depth, gemm->parts[i].depth);
    return take(arena, depth);
}

static int new_layer(struct scree_arena *arena, const struct scree_gemm_kernel *kernel,
                     const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                     bool is_u8, bool sums, const void *filter, const int32_t *bias,
                     struct scree_gemm **ret_gemm)
{
    int32_t low = is_u8 ? 0 : INT8_MIN, high = is_u8 ? UINT8_MAX : INT8_MAX;
    size_t n_parts = scree_gemm_count_parts(shape);
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
