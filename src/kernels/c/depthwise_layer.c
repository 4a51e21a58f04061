#include "kernels/depthwise_layer.h"

#include <string.h>

#include "base/checked.h"

/* Multipliers from here on fit 32-bit lanes with all sums within +-2^29: not looked at more
 * closely.
 */
#define LEAST_SHIFT (-20)

/* A tile has some 1.5 us of work at least: handing it out takes a tenth of that. */
#define TILE_MACS 65536
#define MAX_TILES 32

/* The sums of a channel: all are in [low, high]. */
struct range {
    int64_t low, high;
};

static int32_t count_taps(const struct scree_depthwise_source *from)
{
    return from->shape->filter_h * from->shape->filter_w;
}

/* Weight k of a channel of the filter, less the zero point. */
static int32_t filter_weight(const struct scree_depthwise_source *from, int32_t k, int32_t channel)
{
    size_t at = (size_t)k * (size_t)from->shape->out_c + (size_t)channel;

    return (int8_t)(from->filter[at] ^ from->flip) + from->flip - from->quant->filter_zp;
}

static struct range find_range(const struct scree_depthwise_source *from, int32_t channel)
{
    int64_t least = from->input_least - from->input_zp, most = least + 255;
    int64_t bias = from->bias ? from->bias[channel] : 0;
    struct range range = {bias, bias};

    for (int32_t k = 0; k < count_taps(from); k++) {
        int64_t w = filter_weight(from, k, channel);

        range.low += w * (w > 0 ? least : most);
        range.high += w * (w > 0 ? most : least);
    }
    return range;
}

/* The output of a sum, less the zero point. */
static int32_t find_output(const struct scree_conv_quant *quant, int64_t sum,
                           struct scree_multiplier m)
{
    return scree_clamp_i32(scree_multiply((int32_t)sum, m), quant->min - quant->output_zp,
                           quant->max - quant->output_zp);
}

bool scree_depthwise_is_dead(const struct scree_depthwise_source *from, int32_t channel,
                             int32_t *ret_output)
{
    struct scree_multiplier m = scree_depthwise_quant_multiplier(from, channel);
    struct range range;

    if (m.q != 0 && m.shift >= LEAST_SHIFT)
        return false;
    range = find_range(from, channel);
    /* A multiplier of 0 leaves nothing of sums that wrap either. */
    if (m.q != 0 && (range.low < INT32_MIN || range.high > INT32_MAX))
        return false;
    *ret_output = find_output(from->quant, range.low, m);
    return m.q == 0 || *ret_output == find_output(from->quant, range.high, m);
}

/* What weights and bias of a living channel are multiplied by: 2 for multipliers from 1 to 2, which
 * are halved. The shift to the left is then in the sums, where scree_multiply() has it, too. */
static int32_t find_gain(const struct scree_depthwise_source *from, int32_t channel)
{
    return scree_depthwise_quant_multiplier(from, channel).shift == 1 ? 2 : 1;
}

struct scree_multiplier scree_depthwise_multiplier(const struct scree_depthwise_source *from,
                                                   int32_t channel)
{
    struct scree_multiplier m = scree_depthwise_quant_multiplier(from, channel);
    int32_t output;

    if (scree_depthwise_is_dead(from, channel, &output))
        return (struct scree_multiplier){1 << 30, 0};
    if (find_gain(from, channel) == 2)
        m.shift = 0;
    return m;
}

int32_t scree_depthwise_weight(const struct scree_depthwise_source *from, int32_t k,
                               int32_t channel)
{
    int32_t output;

    if (scree_depthwise_is_dead(from, channel, &output))
        return 0;
    return find_gain(from, channel) * filter_weight(from, k, channel);
}

int64_t scree_depthwise_plain_bias(const struct scree_depthwise_source *from, int32_t channel)
{
    int64_t bias = from->bias ? from->bias[channel] : 0;
    int32_t output;

    if (scree_depthwise_is_dead(from, channel, &output))
        return 2 * output;
    return find_gain(from, channel) * bias;
}

bool scree_depthwise_bias(const struct scree_depthwise_source *from, int32_t channel,
                          int32_t *ret_bias, int32_t *ret_low, int32_t *ret_high)
{
    struct range range = find_range(from, channel);
    int64_t bias = scree_depthwise_plain_bias(from, channel), gain = find_gain(from, channel);
    int32_t output;

    range = (struct range){gain * range.low, gain * range.high};
    if (scree_depthwise_is_dead(from, channel, &output))
        range = (struct range){bias, bias};
    for (int32_t k = 0; k < count_taps(from); k++)
        bias -= (int64_t)from->input_zp * scree_depthwise_weight(from, k, channel);
    *ret_bias = (int32_t)bias;
    *ret_low = range.low > 0 ? 0 : (int32_t)range.low;
    *ret_high = range.high < 0 ? 0 : (int32_t)range.high;
    return range.low >= -(1 << 29) && range.high <= 1 << 29 && *ret_bias == bias;
}

/* The next unit behind channel c. A last block that is not full reaches back to be so, if there are
 * channels enough. */
static struct scree_depthwise_unit next_unit(const struct scree_depthwise_width *const *widths,
                                             const struct scree_conv_shape *s, int32_t c)
{
    int32_t rest = s->out_c - c;
    const struct scree_depthwise_width *width = rest >= widths[0]->n ? widths[0] : widths[1];
    struct scree_depthwise_unit unit = {.width = width, .c = c, .n = width->n};

    if (rest >= width->n)
        return unit;
    unit.n = rest;
    if (s->out_c >= width->n) {
        unit.n = width->n;
        unit.skip = width->n - rest;
        unit.c -= unit.skip;
    }
    return unit;
}

static size_t align_64(size_t n)
{
    return (n + 63) / 64 * 64;
}

size_t scree_depthwise_layer_bytes(const struct scree_depthwise_width *const *widths,
                                   const struct scree_conv_shape *s)
{
    int64_t extent = (int64_t)(s->filter_w - 1) * s->dilation_w + 1;
    size_t bytes = sizeof(struct scree_depthwise_layer);

    if (s->out_c != s->in_c || s->filter_h > SCREE_DEPTHWISE_MAX_H ||
        extent > SCREE_DEPTHWISE_COLUMNS / ((s->filter_h + 3) / 4))
        return 0;
    for (int32_t c = 0; c < s->out_c;) {
        struct scree_depthwise_unit unit = next_unit(widths, s, c);

        bytes += sizeof unit + align_64(unit.width->block_bytes(s));
        c = unit.c + unit.n;
    }
    return bytes + 64; /* the first block is aligned */
}

/* Cuts the output into tiles: so many that threads which begin or end unevenly balance, but not so
 * small that handing them out counts. Many rows of one unit are better than one of many, for what
 * is loaded once for them. */
static void cut(struct scree_depthwise_layer *layer)
{
    const struct scree_conv_shape *s = &layer->shape;
    int64_t macs = (int64_t)s->filter_h * s->filter_w * s->out_h * s->out_w * s->out_c;
    int32_t n_tiles = (int32_t)(macs / TILE_MACS < MAX_TILES ? macs / TILE_MACS : MAX_TILES);

    n_tiles = n_tiles > 0 ? n_tiles : 1;
    layer->tile_units = (layer->n_units + n_tiles - 1) / n_tiles;
    layer->unit_tiles = (layer->n_units + layer->tile_units - 1) / layer->tile_units;
    layer->row_tiles = n_tiles / layer->unit_tiles;
    layer->tile_rows = (s->out_h + layer->row_tiles - 1) / layer->row_tiles;
    layer->row_tiles = layer->tile_rows ? (s->out_h + layer->tile_rows - 1) / layer->tile_rows : 0;
}

bool scree_depthwise_layer_pack(const struct scree_depthwise_width *const *widths, void *packed,
                                const struct scree_conv_shape *shape,
                                const struct scree_conv_quant *quant, bool is_signed,
                                const void *filter, const int32_t *bias)
{
    struct scree_depthwise_layer *layer = packed;
    bool as_signed = widths[0]->signed_input;
    int32_t shift = is_signed ? 0 : 128;
    struct scree_depthwise_source from = {
        .shape = shape,
        .quant = quant,
        .filter = filter,
        .bias = bias,
        .flip = is_signed ? 0 : 0x80,
        .input_zp = quant->input_zp + (as_signed - is_signed) * -128,
        .input_least = as_signed ? -128 : 0,
    };
    size_t end;

    *layer = (struct scree_depthwise_layer){
        .shape = *shape,
        .zp = quant->output_zp - shift,
        .min = quant->min - shift,
        .max = quant->max - shift,
        .in_flip = is_signed != as_signed ? 0x80 : 0,
        .out_flip = is_signed ? 0 : 0x80,
        .n_groups = (shape->filter_h + 3) / 4,
    };
    memset(layer->outside, quant->input_zp, sizeof layer->outside);
    for (int32_t c = 0; c < shape->out_c;) {
        struct scree_depthwise_unit unit = next_unit(widths, shape, c);

        layer->units[layer->n_units++] = unit;
        c = unit.c + unit.n;
    }
    end = align_64((size_t)((char *)&layer->units[layer->n_units] - (char *)layer));
    for (int32_t i = 0; i < layer->n_units; i++) {
        struct scree_depthwise_unit *unit = &layer->units[i];

        unit->block = end;
        if (!unit->width->pack(layer, &from, unit->c, unit->n, (char *)layer + end))
            return false;
        end += align_64(unit->width->block_bytes(shape));
    }
    cut(layer);
    return true;
}

size_t scree_depthwise_layer_tiles(const void *packed)
{
    const struct scree_depthwise_layer *layer = packed;

    return layer->shape.out_w == 0
               ? 0
               : (size_t)layer->shape.n * (size_t)layer->row_tiles * (size_t)layer->unit_tiles;
}

void scree_depthwise_layer_run(const void *packed, const void *in, void *out, size_t tile)
{
    const struct scree_depthwise_layer *layer = packed;
    const struct scree_conv_shape *s = &layer->shape;
    size_t n_tiles = (size_t)(layer->row_tiles * layer->unit_tiles), image = tile / n_tiles;
    int32_t at = (int32_t)(tile % n_tiles);
    int32_t y = at / layer->unit_tiles * layer->tile_rows, end_y = y + layer->tile_rows;
    int32_t unit = at % layer->unit_tiles * layer->tile_units, end = unit + layer->tile_units;
    const uint8_t *from = (const uint8_t *)in +
                          image * (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
    uint8_t *to = (uint8_t *)out + image * (size_t)s->out_h * (size_t)s->out_w * (size_t)s->out_c;

    end_y = end_y < s->out_h ? end_y : s->out_h;
    end = end < layer->n_units ? end : layer->n_units;
    for (; unit < end; unit++)
        layer->units[unit].width->run(layer, &layer->units[unit], from, to, y, end_y);
}
