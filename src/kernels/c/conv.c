/* A few output pixels at a time: the input under them is gathered into patches (zeros where it
 * hangs over the edge), ordered like a filter, in pieces that fit a stack frame. Each output
 * channel is then a sum of products of two contiguous rows, for which kernels/product.h is.
 *
 * uint8 is int8 with another zero point: byte ^ 0x80, zero point - 128. */
#include "kernels/conv.h"

#include <string.h>

#include "kernels/product.h"

/* One tile: row oy of image n, channels [o, o + n_o) of one group. */
struct tile {
    int32_t n, oy;
    int32_t group;
    int32_t o, n_o;
};

/* What is multiplied, in bytes or in 16-bit numbers. */
struct source {
    const void *in;
    const uint8_t *filter;
    bool is_s16;
    uint8_t flip;      /* 0x80: in and filter are uint8 */
    int32_t input_zp;  /* after the flip */
    int32_t filter_zp; /* after the flip */
};

/* Sums of products; 64 bits hold them all: fewer than 2^31 products of at most 2^24. */
struct sums {
    int64_t sum[SCREE_PRODUCT_ROWS][SCREE_PRODUCT_CHANNELS];
};

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static size_t group_blocks(const struct scree_conv_shape *s)
{
    size_t group_out = (size_t)(s->out_c / s->n_groups);

    return (group_out + SCREE_PRODUCT_CHANNELS - 1) / SCREE_PRODUCT_CHANNELS;
}

size_t scree_conv_tiles(const struct scree_conv_shape *s)
{
    if (s->out_w == 0)
        return 0;
    return (size_t)s->n * (size_t)s->out_h * (size_t)s->n_groups * group_blocks(s);
}

static struct tile find_tile(const struct scree_conv_shape *s, size_t index)
{
    size_t blocks = group_blocks(s), groups = (size_t)s->n_groups;
    int32_t group_out = s->out_c / s->n_groups;
    int32_t begin = (int32_t)(index % blocks) * SCREE_PRODUCT_CHANNELS;
    size_t row = index / blocks / groups;
    struct tile tile = {
        .n = (int32_t)(row / (size_t)s->out_h),
        .oy = (int32_t)(row % (size_t)s->out_h),
        .group = (int32_t)(index / blocks % groups),
        .n_o = smaller(group_out - begin, SCREE_PRODUCT_CHANNELS),
    };

    tile.o = tile.group * group_out + begin;
    return tile;
}

/* The number of the tile's first output at column ox. */
static size_t output_offset(const struct scree_conv_shape *s, const struct tile *tile, int32_t ox)
{
    size_t row = (size_t)tile->n * (size_t)s->out_h + (size_t)tile->oy;

    return (row * (size_t)s->out_w + (size_t)ox) * (size_t)s->out_c + (size_t)tile->o;
}

/* The elements of one filter. */
static size_t patch_length(const struct scree_conv_shape *s)
{
    return (size_t)s->filter_h * (size_t)s->filter_w * (size_t)s->filter_c;
}

/* A run of a patch that is contiguous in the input too: one pixel of the filter, or a part of it.
 */
struct run {
    ptrdiff_t from; /* in elements of the input; -1: outside, all zeros */
    size_t n;
};

/* Where pixel (ky, kx) of the filter lies under column ox: the offset of its input, or -1. */
static ptrdiff_t find_pixel(const struct scree_conv_shape *s, const struct tile *tile, int32_t ox,
                            int64_t ky, int64_t kx)
{
    int64_t y, x;

    if (!s->transposed)
        return scree_conv_offset(s, tile->n,
                                 (int64_t)tile->oy * s->stride_h - s->pad_top + ky * s->dilation_h,
                                 (int64_t)ox * s->stride_w - s->pad_left + kx * s->dilation_w);
    y = (int64_t)tile->oy + s->pad_top - ky;
    x = (int64_t)ox + s->pad_left - kx;
    if (y % s->stride_h != 0 || x % s->stride_w != 0)
        return -1;
    return scree_conv_offset(s, tile->n, y / s->stride_h, x / s->stride_w);
}

/* The run at element k of the patch under column ox, at most `limit` elements long. */
static struct run find_run(const struct scree_conv_shape *s, const struct tile *tile, int32_t ox,
                           size_t k, size_t limit)
{
    size_t channels = (size_t)s->filter_c, tap = k / channels, c = k % channels;
    struct run run = {find_pixel(s, tile, ox, (int64_t)(tap / (size_t)s->filter_w),
                                 (int64_t)(tap % (size_t)s->filter_w)),
                      channels - c};

    if (run.from >= 0)
        run.from += (ptrdiff_t)tile->group * s->filter_c + (ptrdiff_t)c;
    run.n = run.n < limit ? run.n : limit;
    return run;
}

/* A piece of the patches and filters that is multiplied at once: elements [k, k + n). */
struct piece {
    size_t k, n;
};

/* The first piece, or none (n is 0); `limit` is the most elements of one. */
static struct piece first_piece(const struct scree_conv_shape *s, size_t limit)
{
    size_t length = patch_length(s), channels = (size_t)s->filter_c;

    if (!s->transposed || length == 0)
        return (struct piece){0, length < limit ? length : limit};
    return (struct piece){length - channels, channels < limit ? channels : limit};
}

/* Moves on: to what follows, or of a transposed convolution through the channels of a pixel, and
 * then to the pixel before. False behind the last piece. */
static bool next_piece(const struct scree_conv_shape *s, size_t limit, struct piece *piece)
{
    size_t length = patch_length(s), channels = (size_t)s->filter_c;
    size_t next = piece->k + piece->n, rest = length - next;

    if (s->transposed && next % channels == 0) {
        if (next <= channels)
            return false;
        next -= 2 * channels;
    } else if (rest == 0) {
        return false;
    }
    if (s->transposed)
        rest = channels - next % channels;
    *piece = (struct piece){next, rest < limit ? rest : limit};
    return true;
}

/* True if the piece, of one pixel of the filter, lies beside all input of columns [ox, ox + n). */
static bool is_beside(const struct scree_conv_shape *s, const struct tile *tile, int32_t ox,
                      int32_t n, const struct piece *piece)
{
    for (int32_t p = 0; p < n; p++)
        if (find_run(s, tile, ox + p, piece->k, 1).from >= 0)
            return false;
    return true;
}

static void widen_bytes(int16_t *to, const uint8_t *from, size_t n, uint8_t flip, int16_t zp)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (int16_t)((int8_t)(from[i] ^ flip) - zp);
}

/* Elements [k, k + n) of the patch under column ox. */
static void gather(const struct scree_conv_shape *s, const struct source *source,
                   const struct tile *tile, int32_t ox, size_t k, size_t n, int16_t *to)
{
    for (size_t end = k + n; k < end;) {
        struct run run = find_run(s, tile, ox, k, end - k);

        if (run.from < 0)
            memset(to, 0, run.n * sizeof *to);
        else if (source->is_s16)
            memcpy(to, (const int16_t *)source->in + run.from, run.n * sizeof *to);
        else
            widen_bytes(to, (const uint8_t *)source->in + run.from, run.n, source->flip,
                        (int16_t)source->input_zp);
        to += run.n;
        k += run.n;
    }
}

/* Adds the products of one piece of the patches, and takes the filter's zero point off. */
static void add_piece(struct sums *sums, const struct source *source, const struct tile *tile,
                      const struct scree_product_rows *rows, int32_t n_rows, const uint8_t *filter,
                      size_t stride, size_t depth)
{
    struct scree_product_sums piece;

    scree_product_s32(&piece, rows, n_rows, filter, stride, tile->n_o, depth, source->flip);
    for (int32_t p = 0; p < n_rows; p++) {
        int64_t excess = 0;

        if (source->filter_zp != 0)
            excess = (int64_t)scree_sum_s16(rows->x[p], depth) * source->filter_zp;
        for (int32_t j = 0; j < tile->n_o; j++)
            sums->sum[p][j] += piece.sum[p][j] - excess;
    }
}

/* The sums for pixels [ox, ox + n_rows) of the tile. */
static void sum_pixels(struct sums *sums, const struct scree_conv_shape *s,
                       const struct source *source, const struct tile *tile, int32_t ox,
                       int32_t n_rows)
{
    struct scree_product_rows rows;
    size_t length = patch_length(s);
    size_t limit = source->is_s16 ? SCREE_PRODUCT_DEPTH_S16 : SCREE_PRODUCT_DEPTH;
    struct piece piece = first_piece(s, limit);

    memset(sums, 0, sizeof *sums);
    if (piece.n == 0)
        return;
    do {
        if (s->transposed && is_beside(s, tile, ox, n_rows, &piece))
            continue;
        for (int32_t p = 0; p < n_rows; p++)
            gather(s, source, tile, ox + p, piece.k, piece.n, rows.x[p]);
        add_piece(sums, source, tile, &rows, n_rows,
                  source->filter + (size_t)tile->o * length + piece.k, length, piece.n);
    } while (next_piece(s, limit, &piece));
}

/* Sums that wrap at 32 bits. */
static void narrow_sums(const int64_t *sums, int32_t n, uint32_t *ret)
{
    for (int32_t i = 0; i < n; i++)
        ret[i] = (uint32_t)sums[i];
}

static void store_s16(const int32_t *values, int32_t n, int16_t *to)
{
    for (int32_t i = 0; i < n; i++)
        to[i] = (int16_t)values[i];
}

/* Where a tile's sums of 32 bits go: exactly one of the outs is not NULL. Into out32 they go as
 * they are. */
struct target {
    const struct scree_conv_quant *quant;
    const int32_t *bias;
    uint8_t *out8;
    int16_t *out16;
    int32_t *out32;
};

static void store_row(const struct target *target, const struct tile *tile, const int64_t *sums,
                      size_t to)
{
    uint32_t narrow[SCREE_PRODUCT_CHANNELS];
    int32_t values[SCREE_PRODUCT_CHANNELS];

    narrow_sums(sums, tile->n_o, narrow);
    if (target->out32) {
        memcpy(target->out32 + to, narrow, (size_t)tile->n_o * sizeof *narrow);
        return;
    }
    scree_requantize_row(target->quant, narrow, target->bias, tile->o, tile->n_o, values);
    if (target->out8)
        for (int32_t j = 0; j < tile->n_o; j++)
            target->out8[to + (size_t)j] = (uint8_t)values[j];
    else
        store_s16(values, tile->n_o, target->out16 + to);
}

static void conv_32(const struct scree_conv_shape *s, const struct source *source,
                    const struct target *target, size_t index)
{
    struct tile tile = find_tile(s, index);
    struct sums sums;

    for (int32_t ox = 0; ox < s->out_w; ox += SCREE_PRODUCT_ROWS) {
        int32_t n = smaller(s->out_w - ox, SCREE_PRODUCT_ROWS);

        sum_pixels(&sums, s, source, &tile, ox, n);
        for (int32_t p = 0; p < n; p++)
            store_row(target, &tile, sums.sum[p], output_offset(s, &tile, ox + p));
    }
}

static struct source source_u8(const struct scree_conv_quant *quant, const uint8_t *in,
                               const uint8_t *filter)
{
    return (struct source){.in = in,
                           .filter = filter,
                           .flip = 0x80,
                           .input_zp = quant->input_zp - 128,
                           .filter_zp = quant->filter_zp - 128};
}

void scree_conv_u8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                   const uint8_t *in, const uint8_t *filter, const int32_t *bias, uint8_t *out,
                   size_t tile)
{
    struct source source = source_u8(quant, in, filter);
    struct target target = {.quant = quant, .bias = bias, .out8 = out};

    conv_32(shape, &source, &target, tile);
}

void scree_conv_u8_s16(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                       const uint8_t *in, const uint8_t *filter, const int32_t *bias, int16_t *out,
                       size_t tile)
{
    struct source source = source_u8(quant, in, filter);
    struct target target = {.quant = quant, .bias = bias, .out16 = out};

    conv_32(shape, &source, &target, tile);
}

void scree_conv_s8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                   const int8_t *in, const int8_t *filter, const int32_t *bias, int8_t *out,
                   size_t tile)
{
    struct source source = {.in = in,
                            .filter = (const uint8_t *)filter,
                            .input_zp = quant->input_zp,
                            .filter_zp = quant->filter_zp};
    struct target target = {.quant = quant, .bias = bias, .out8 = (uint8_t *)out};

    conv_32(shape, &source, &target, tile);
}

void scree_conv_s8_s32(const struct scree_conv_shape *shape, const int8_t *in, const int8_t *filter,
                       int32_t *out, size_t tile)
{
    struct source source = {.in = in, .filter = (const uint8_t *)filter};
    struct target target = {.out32 = out};

    conv_32(shape, &source, &target, tile);
}

void scree_conv_s16_bias32(const struct scree_conv_shape *shape,
                           const struct scree_conv_quant *quant, const int16_t *in,
                           const int8_t *filter, const int32_t *bias, int16_t *out, size_t tile)
{
    struct source source = {
        .in = in, .filter = (const uint8_t *)filter, .is_s16 = true, .filter_zp = quant->filter_zp};
    struct target target = {.quant = quant, .bias = bias, .out16 = out};

    conv_32(shape, &source, &target, tile);
}

void scree_conv_s16(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                    const int16_t *in, const int8_t *filter, const int64_t *bias, int16_t *out,
                    size_t tile)
{
    struct source source = {
        .in = in, .filter = (const uint8_t *)filter, .is_s16 = true, .filter_zp = quant->filter_zp};
    struct tile at = find_tile(shape, tile);
    struct sums sums;

    for (int32_t ox = 0; ox < shape->out_w; ox += SCREE_PRODUCT_ROWS) {
        int32_t n = smaller(shape->out_w - ox, SCREE_PRODUCT_ROWS);

        sum_pixels(&sums, shape, &source, &at, ox, n);
        for (int32_t p = 0; p < n; p++) {
            int32_t values[SCREE_PRODUCT_CHANNELS];

            scree_requantize_row_i64(quant, sums.sum[p], bias, at.o, at.n_o, values);
            store_s16(values, at.n_o, out + output_offset(shape, &at, ox + p));
        }
    }
}

static float clamp_f32(float value, float min, float max)
{
    value = value < min ? min : value;
    return max < value ? max : value;
}

void scree_conv_hybrid(const struct scree_conv_shape *shape, const struct scree_conv_hybrid *hybrid,
                       const int8_t *in, const int8_t *filter, const float *bias, float *out,
                       size_t tile)
{
    struct tile at = find_tile(shape, tile);
    struct source source = {.in = in,
                            .filter = (const uint8_t *)filter,
                            .input_zp = hybrid->input_zps ? hybrid->input_zps[at.n] : 0};
    struct sums sums;

    for (int32_t ox = 0; ox < shape->out_w; ox += SCREE_PRODUCT_ROWS) {
        int32_t n = smaller(shape->out_w - ox, SCREE_PRODUCT_ROWS);

        sum_pixels(&sums, shape, &source, &at, ox, n);
        for (int32_t p = 0; p < n; p++) {
            uint32_t narrow[SCREE_PRODUCT_CHANNELS];

            narrow_sums(sums.sum[p], at.n_o, narrow);
            scree_rescale_row(hybrid, narrow, bias, at.n, at.o, at.n_o,
                              out + output_offset(shape, &at, ox + p));
        }
    }
}

/* One output of scree_conv_hybrid_transposed before its bias. */
static float sum_scaled(const struct scree_conv_shape *s, const struct scree_conv_hybrid *hybrid,
                        const int8_t *in, const int8_t *filter, const struct tile *tile, int32_t ox,
                        int32_t o)
{
    float filter_scale = hybrid->filter_scales[(size_t)o * (size_t)hybrid->filter_scale_stride];
    float input_scale = hybrid->input_scales[tile->n], sum = 0;
    const int8_t *weights = filter + (size_t)o * patch_length(s);
    size_t channels = (size_t)s->filter_c;
    struct piece piece = first_piece(s, channels);

    if (piece.n == 0)
        return 0;
    do {
        struct run run = find_run(s, tile, ox, piece.k, piece.n);

        for (size_t i = 0; run.from >= 0 && i < run.n; i++) {
            int32_t x = in[(size_t)run.from + i] - hybrid->input_zps[tile->n];

            sum += (float)(x * weights[piece.k + i]) * filter_scale * input_scale;
        }
    } while (next_piece(s, channels, &piece));
    return sum;
}

void scree_conv_hybrid_transposed(const struct scree_conv_shape *shape,
                                  const struct scree_conv_hybrid *hybrid, const int8_t *in,
                                  const int8_t *filter, const float *bias, float *out, size_t tile)
{
    struct tile at = find_tile(shape, tile);

    for (int32_t ox = 0; ox < shape->out_w; ox++) {
        float *to = out + output_offset(shape, &at, ox);

        for (int32_t j = 0; j < at.n_o; j++) {
            int32_t o = at.o + j;
            float sum = sum_scaled(shape, hybrid, in, filter, &at, ox, o);

            to[j] = clamp_f32(bias ? sum + bias[o] : sum, hybrid->min, hybrid->max);
        }
    }
}
