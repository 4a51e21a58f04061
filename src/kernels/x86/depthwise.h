/* kernels/x86/depthwise.h - depthwise convolution of bytes, over vec512.h or vec256.h.
 *
 * Channels are taken in blocks of a vector of bytes. The bytes of up to four rows of the input are
 * interleaved, so that each 32 bits hold four vertical taps of a channel ("quads"), in four vectors
 * for a column of the block's channels; one instruction multiplies them with four weights and adds
 * the products up. A column's quads serve each output that sees the column. Interleaving within 16
 * bytes permutes the channels, packing within 16 bytes puts them back, so what is packed for a
 * block has its channels in the permuted order: vector v, lane l is channel
 * 16 * (l / 4) + 4 * v + l % 4.
 *
 * Input bytes are taken for unsigned, int8 with the sign bit flipped; the input's zero point is in
 * the bias, and outside the input lie bytes of the zero point. Outputs are computed as int8, uint8
 * with the sign bit flipped. Weights less their zero point, where they are beyond what v_weights
 * hold, are the sum of two terms.
 *
 * Include vec512.h or vec256.h before. */
#ifndef SCREE_KERNELS_X86_DEPTHWISE_H
#define SCREE_KERNELS_X86_DEPTHWISE_H

#include <assert.h>
#include <string.h>

#include "kernels/depthwise.h"
#include "kernels/x86/requantize.h"

#define MAX_FILTER_H 16
#define MAX_COLUMNS  64 /* of quads that are interleaved ahead */
#define AHEAD        4  /* outputs computed at once from them */

/* A block of channels. */
struct block {
    struct v_requant requant[4];
    int32_t bias[4][VEC_LANES] __attribute__((aligned(VEC_BYTES)));
    int32_t c, n; /* the first channel, and how many */
    int32_t n_terms;
    enum v_requant_mode mode;
    size_t weights; /* [n_terms][n_groups][filter_w][4] v_weights: offset in bytes from the layer */
};

/* What pack() leaves for run(). */
struct layer {
    struct scree_conv_shape shape;
    int32_t zp, min, max;       /* of the output as int8 */
    uint8_t in_flip, out_flip;  /* 0x80 or 0 */
    uint8_t outside[VEC_BYTES]; /* bytes of the input's zero point */
    int32_t n_groups;           /* of four rows of the filter */
    int32_t n_blocks;
    int32_t tile_rows, tile_blocks; /* rows and blocks of a tile */
    int32_t row_tiles, block_tiles; /* tiles in a picture's rows, in the blocks */
    struct block blocks[];
};

/* ---- a column ---------------------------------------------------------------------------------
 */

/* A row of the input, or bytes of the zero point again and again. */
struct row {
    const uint8_t *pixels;
    size_t step;
};

/* What a row of outputs of a block is computed with. */
struct job {
    const struct layer *layer;
    const struct block *block;
    struct row rows[MAX_FILTER_H];
    uint8_t *out;
};

static inline vec load_pixel(const struct job *job, const struct row *row, int32_t x)
{
    return v_xor(v_load_n(row->pixels + (size_t)x * row->step, (size_t)job->block->n),
                 v_set8((int8_t)job->layer->in_flip));
}

/* The quads of column x of n_rows <= 4 rows; with fewer than four, the last one stands in for the
 * others, whose weights are 0. */
static inline void interleave(const struct job *job, const struct row *rows, int n_rows, int32_t x,
                              v_quads *ret)
{
    vec bytes[4], low01, high01, low23, high23;

    if (x < 0 || x >= job->layer->shape.in_w) {
        for (int i = 0; i < 4; i++)
            ret[i] = v_make_quads(
                v_xor(v_load(job->layer->outside), v_set8((int8_t)job->layer->in_flip)));
        return;
    }
    for (int i = 0; i < 4; i++)
        bytes[i] = i == 0 || i < n_rows ? load_pixel(job, &rows[i], x) : bytes[i - 1];
    low01 = v_low8(bytes[0], bytes[1]);
    high01 = v_high8(bytes[0], bytes[1]);
    low23 = v_low8(bytes[2], bytes[3]);
    high23 = v_high8(bytes[2], bytes[3]);
    ret[0] = v_make_quads(v_low16(low01, low23));
    ret[1] = v_make_quads(v_high16(low01, low23));
    ret[2] = v_make_quads(v_low16(high01, high23));
    ret[3] = v_make_quads(v_high16(high01, high23));
}

/* ---- an output --------------------------------------------------------------------------------
 */

static inline void start(const struct job *job, vec *acc)
{
    for (int i = 0; i < 4; i++)
        acc[i] = v_load(job->block->bias[i]);
}

/* Requantizes the sums and stores the outputs of column x. */
static inline void finish(const struct job *job, enum v_requant_mode mode, const vec *acc,
                          int32_t x)
{
    const struct layer *layer = job->layer;
    vec y[4], zp = v_set32(layer->zp), bytes;

    for (int i = 0; i < 4; i++)
        y[i] = v_requant(acc[i], &job->block->requant[i], mode, zp);
    bytes = v_pack16_s8(v_pack32(y[0], y[1]), v_pack32(y[2], y[3]));
    bytes = v_clamp_s8(bytes, v_set8((int8_t)layer->min), v_set8((int8_t)layer->max));
    v_store_n(job->out + (size_t)x * (size_t)layer->shape.out_c,
              v_xor(bytes, v_set8((int8_t)layer->out_flip)), (size_t)job->block->n);
}

/* ---- a row of outputs -------------------------------------------------------------------------
 */

static inline const char *weights_of(const struct job *job)
{
    return (const char *)job->layer + job->block->weights;
}

/* Filters of three rows and three columns, stride_w 1 or 2, no dilation: the columns of quads that
 * an output sees stay in registers. */
static inline __attribute__((always_inline)) void row_3x3(const struct job *job, int stride,
                                                          int n_terms, enum v_requant_mode mode)
{
    const struct scree_conv_shape *s = &job->layer->shape;
    v_weights weights[2][3][4];
    v_quads quads[3][4];

    for (int i = 0; i < n_terms * 12; i++)
        (&weights[0][0][0])[i] = v_load_weights(weights_of(job) + i * V_WEIGHTS_BYTES);
    for (int k = 0; k < 3 - stride; k++)
        interleave(job, job->rows, 3, k - s->pad_left, quads[stride + k]);
    for (int32_t x = 0; x < s->out_w; x++) {
        vec acc[4];

        for (int k = 0; k < 3 - stride; k++)
            memcpy(quads[k], quads[stride + k], sizeof quads[k]);
        for (int k = 3 - stride; k < 3; k++)
            interleave(job, job->rows, 3, x * stride + k - s->pad_left, quads[k]);
        start(job, acc);
        for (int term = 0; term < n_terms; term++)
            for (int k = 0; k < 3; k++)
                for (int i = 0; i < 4; i++)
                    acc[i] = v_dot(acc[i], quads[k][i], weights[term][k][i]);
        finish(job, mode, acc, x);
    }
}

static void row_3x3_any(const struct job *job)
{
    int stride = job->layer->shape.stride_w, n_terms = job->block->n_terms;
    bool rises = job->block->mode == V_REQUANT_RISING;

    if (stride == 1 && n_terms == 1 && rises)
        row_3x3(job, 1, 1, V_REQUANT_RISING);
    else if (stride == 2 && n_terms == 1 && rises)
        row_3x3(job, 2, 1, V_REQUANT_RISING);
    else if (stride == 1 && n_terms == 2 && rises)
        row_3x3(job, 1, 2, V_REQUANT_RISING);
    else if (stride == 2 && n_terms == 2 && rises)
        row_3x3(job, 2, 2, V_REQUANT_RISING);
    else if (stride == 1)
        row_3x3(job, 1, n_terms, V_REQUANT_MIXED);
    else
        row_3x3(job, 2, n_terms, V_REQUANT_MIXED);
}

/* The sums and outputs of n columns from x on, whose quads are [n_groups][n_columns][4]. */
static inline __attribute__((always_inline)) void
columns_from_quads(const struct job *job, const v_quads *quads, int32_t n_columns, int32_t x, int n)
{
    const struct scree_conv_shape *s = &job->layer->shape;
    const char *weights = weights_of(job);
    vec acc[AHEAD][4];

    for (int i = 0; i < n; i++)
        start(job, acc[i]);
    for (int32_t term = 0; term < job->block->n_terms; term++)
        for (int32_t group = 0; group < job->layer->n_groups; group++)
            for (int32_t k = 0; k < s->filter_w; k++) {
                const v_quads *at = quads + (group * n_columns + k * s->dilation_w) * 4;

                for (int v = 0; v < 4; v++, weights += V_WEIGHTS_BYTES) {
                    v_weights w = v_load_weights(weights);

                    for (int i = 0; i < n; i++)
                        acc[i][v] = v_dot(acc[i][v], at[i * s->stride_w * 4 + v], w);
                }
            }
    for (int i = 0; i < n; i++)
        finish(job, V_REQUANT_MIXED, acc[i], x + i);
}

/* Any filter: quads of as many columns as there is room for, then outputs from them. */
static void row_any(const struct job *job)
{
    const struct scree_conv_shape *s = &job->layer->shape;
    int32_t n_groups = job->layer->n_groups, extent = (s->filter_w - 1) * s->dilation_w + 1;
    int32_t room = (MAX_COLUMNS / n_groups - extent) / s->stride_w + 1;
    v_quads quads[MAX_COLUMNS * 4];

    for (int32_t x = 0; x < s->out_w; x += room) {
        int32_t n = s->out_w - x < room ? s->out_w - x : room, i = 0;
        int32_t n_columns = (n - 1) * s->stride_w + extent;

        for (int32_t group = 0; group < n_groups; group++) {
            int32_t n_rows = s->filter_h - group * 4 < 4 ? s->filter_h - group * 4 : 4;

            for (int32_t k = 0; k < n_columns; k++)
                interleave(job, job->rows + group * 4, n_rows, x * s->stride_w - s->pad_left + k,
                           quads + (group * n_columns + k) * 4);
        }
        for (; i + AHEAD <= n; i += AHEAD)
            columns_from_quads(job, quads + i * s->stride_w * 4, n_columns, x + i, AHEAD);
        for (; i < n; i++)
            columns_from_quads(job, quads + i * s->stride_w * 4, n_columns, x + i, 1);
    }
}

static bool is_3x3(const struct scree_conv_shape *s)
{
    return s->filter_h == 3 && s->filter_w == 3 && s->stride_w <= 2 && s->dilation_w == 1;
}

/* Fills in where the rows under the filter are, for row y of the outputs of a picture. */
static void find_rows(struct job *job, const uint8_t *picture, int32_t y)
{
    const struct scree_conv_shape *s = &job->layer->shape;

    for (int32_t k = 0; k < s->filter_h; k++) {
        int64_t in_y = (int64_t)y * s->stride_h - s->pad_top + (int64_t)k * s->dilation_h;
        bool inside = in_y >= 0 && in_y < s->in_h;

        job->rows[k] = (struct row){job->layer->outside, 0};
        if (inside)
            job->rows[k] = (struct row){picture + (size_t)in_y * (size_t)s->in_w * (size_t)s->in_c +
                                            (size_t)job->block->c,
                                        (size_t)s->in_c};
    }
}

static void run(const void *packed, const void *in, void *out, size_t tile)
{
    const struct layer *layer = packed;
    const struct scree_conv_shape *s = &layer->shape;
    size_t n_image = tile / (size_t)(layer->row_tiles * layer->block_tiles);
    int32_t at = (int32_t)(tile % (size_t)(layer->row_tiles * layer->block_tiles));
    int32_t y = at / layer->block_tiles * layer->tile_rows;
    int32_t b = at % layer->block_tiles * layer->tile_blocks;
    int32_t end_y = y + layer->tile_rows < s->out_h ? y + layer->tile_rows : s->out_h;
    int32_t end_b = b + layer->tile_blocks < layer->n_blocks ? b + layer->tile_blocks
                                                             : layer->n_blocks;
    const uint8_t *picture = (const uint8_t *)in +
                             n_image * (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;

    for (; b < end_b; b++)
        for (int32_t row = y; row < end_y; row++) {
            struct job job = {.layer = layer, .block = &layer->blocks[b]};

            find_rows(&job, picture, row);
            job.out = (uint8_t *)out + (size_t)job.block->c +
                      (n_image * (size_t)s->out_h + (size_t)row) * (size_t)s->out_w *
                          (size_t)s->out_c;
            if (is_3x3(s))
                row_3x3_any(&job);
            else
                row_any(&job);
        }
}

static size_t n_tiles(const void *packed)
{
    const struct layer *layer = packed;

    return (size_t)layer->shape.n * (size_t)layer->row_tiles * (size_t)layer->block_tiles;
}

/* ---- packing ----------------------------------------------------------------------------------
 */

static size_t block_weights_bytes(const struct scree_conv_shape *s)
{
    return (size_t)((s->filter_h + 3) / 4 * s->filter_w) * 4 * V_WEIGHTS_BYTES;
}

/* Room for each block with two terms; 0 for shapes that are left to the definition. */
static size_t packed_bytes(const struct scree_conv_shape *s)
{
    size_t n_blocks = ((size_t)s->out_c + VEC_BYTES - 1) / VEC_BYTES;

    if (s->out_c != s->in_c || s->filter_h > MAX_FILTER_H || s->filter_w > MAX_COLUMNS ||
        (int64_t)(s->filter_w - 1) * s->dilation_w + 1 > MAX_COLUMNS / ((s->filter_h + 3) / 4))
        return 0;
    return sizeof(struct layer) + n_blocks * (sizeof(struct block) + 2 * block_weights_bytes(s));
}

/* What packing reads. */
struct source {
    const struct scree_conv_shape *shape;
    const struct scree_conv_quant *quant;
    const uint8_t *filter;
    const int32_t *bias;
    uint8_t flip; /* 0x80 if bytes are unsigned: then all are int8 */
};

/* Weight k of a channel, less the zero point. */
static int32_t weight_at(const struct source *from, int32_t k, int32_t channel)
{
    size_t at = (size_t)k * (size_t)from->shape->out_c + (size_t)channel;

    return (int8_t)(from->filter[at] ^ from->flip) + from->flip - from->quant->filter_zp;
}

/* The range of a channel's accumulators and of 0, *ret_bias being where they start; false if it is
 * beyond +-2^29. */
static bool pack_bias(const struct source *from, int32_t channel, int32_t *ret_bias,
                      int32_t *ret_low, int32_t *ret_high)
{
    int32_t n = from->shape->filter_h * from->shape->filter_w;
    int64_t zp = from->quant->input_zp + (from->flip ? 0 : 128); /* among unsigned bytes */
    int64_t bias = from->bias ? from->bias[channel] : 0, low = bias, high = bias, sum = 0;

    for (int32_t k = 0; k < n; k++) {
        int64_t w = weight_at(from, k, channel);

        sum += w;
        low += w * (w > 0 ? -zp : 255 - zp);
        high += w * (w > 0 ? 255 - zp : -zp);
    }
    *ret_bias = (int32_t)(bias - zp * sum);
    *ret_low = low > 0 ? 0 : (int32_t)low;
    *ret_high = high < 0 ? 0 : (int32_t)high;
    return low >= -(1 << 29) && high <= 1 << 29 && *ret_bias == bias - zp * sum;
}

/* How many terms a channel's weights need; more than two if two do not do. */
static int32_t count_terms(const struct source *from, int32_t channel)
{
    int32_t n = from->shape->filter_h * from->shape->filter_w, n_terms = 1;

    for (int32_t k = 0; k < n; k++) {
        int32_t w = weight_at(from, k, channel);

        while (w < n_terms * V_WEIGHT_MIN || w > n_terms * V_WEIGHT_MAX)
            n_terms++;
    }
    return n_terms;
}

/* The channel that lane `lane` of vector v of a block stands for, from the block's first on. */
static int32_t channel_at(int v, int lane)
{
    return 16 * (lane / 4) + 4 * v + lane % 4;
}

/* Packs the weights of a channel, in as many terms as the block has. */
static void pack_weights(const struct layer *layer, const struct source *from,
                         const struct block *block, char *to, int v, int lane)
{
    int32_t filter_w = layer->shape.filter_w, channel = block->c + channel_at(v, lane);

    for (int32_t k = 0; k < layer->shape.filter_h * filter_w; k++) {
        int32_t y = k / filter_w, x = k % filter_w, rest = weight_at(from, k, channel);

        for (int32_t term = 0; term < block->n_terms; term++) {
            int32_t w = rest < V_WEIGHT_MIN   ? V_WEIGHT_MIN
                        : rest > V_WEIGHT_MAX ? V_WEIGHT_MAX
                                              : rest;
            int32_t at = ((term * layer->n_groups + y / 4) * filter_w + x) * 4 + v;

            v_put_weight(to + (size_t)at * V_WEIGHTS_BYTES, lane, y % 4, w);
            rest -= w;
        }
    }
}

/* Packs bias and multipliers of vector v of a block. */
static bool pack_vector(const struct layer *layer, const struct source *from, struct block *block,
                        int v)
{
    struct scree_multiplier multipliers[VEC_LANES] = {{0, 0}};
    int32_t low[VEC_LANES] = {0}, high[VEC_LANES] = {0};

    for (int lane = 0; lane < VEC_LANES; lane++) {
        int32_t channel = block->c + channel_at(v, lane);

        block->bias[v][lane] = 0;
        if (channel_at(v, lane) >= block->n)
            continue;
        multipliers[lane] = from->quant->multipliers[channel * from->quant->multiplier_stride];
        if (!pack_bias(from, channel, &block->bias[v][lane], &low[lane], &high[lane]))
            return false;
    }
    if (!v_requant_init(&block->requant[v], layer->zp, layer->min, layer->max, multipliers, low,
                        high))
        return false;
    for (int lane = 0; lane < VEC_LANES; lane++)
        block->bias[v][lane] += block->requant[v].lift[lane];
    if (v == 0)
        block->mode = block->requant[v].mode;
    else if (block->mode != block->requant[v].mode)
        block->mode = V_REQUANT_MIXED;
    return true;
}

/* Packs a block, its weights to `to`. Returns where they end; NULL if its numbers are beyond what
 * this kernel is proven for. */
static char *pack_block(const struct layer *layer, const struct source *from, struct block *block,
                        char *to)
{
    size_t bytes;

    block->n_terms = 1;
    for (int32_t i = 0; i < block->n; i++) {
        int32_t n_terms = count_terms(from, block->c + i);

        block->n_terms = n_terms > block->n_terms ? n_terms : block->n_terms;
    }
    if (block->n_terms > 2)
        return NULL;
    bytes = (size_t)block->n_terms * block_weights_bytes(&layer->shape);
    memset(to, 0, bytes);
    for (int v = 0; v < 4; v++) {
        if (!pack_vector(layer, from, block, v))
            return NULL;
        for (int lane = 0; lane < VEC_LANES; lane++)
            if (channel_at(v, lane) < block->n)
                pack_weights(layer, from, block, to, v, lane);
    }
    return to + bytes;
}

/* Cuts the output into tiles: so many that threads which begin or end unevenly balance, but not so
 * small that handing them out counts. */
static void cut(struct layer *layer)
{
    const struct scree_conv_shape *s = &layer->shape;
    int32_t n_tiles = 32;

    layer->tile_rows = (s->out_h + n_tiles - 1) / n_tiles;
    layer->row_tiles = (s->out_h + layer->tile_rows - 1) / layer->tile_rows;
    layer->block_tiles = (n_tiles + layer->row_tiles - 1) / layer->row_tiles;
    if (layer->block_tiles > layer->n_blocks)
        layer->block_tiles = layer->n_blocks;
    layer->tile_blocks = (layer->n_blocks + layer->block_tiles - 1) / layer->block_tiles;
    layer->block_tiles = (layer->n_blocks + layer->tile_blocks - 1) / layer->tile_blocks;
}

static bool pack(void *packed, const struct scree_conv_shape *shape,
                 const struct scree_conv_quant *quant, bool is_signed, const void *filter,
                 const int32_t *bias)
{
    struct layer *layer = packed;
    struct source from = {shape, quant, filter, bias, is_signed ? 0 : 0x80};
    int32_t shift = is_signed ? 0 : 128;
    char *to;

    *layer = (struct layer){
        .shape = *shape,
        .zp = quant->output_zp - shift,
        .min = quant->min - shift,
        .max = quant->max - shift,
        .in_flip = is_signed ? 0x80 : 0,
        .out_flip = is_signed ? 0 : 0x80,
        .n_groups = (shape->filter_h + 3) / 4,
        .n_blocks = (shape->out_c + VEC_BYTES - 1) / VEC_BYTES,
    };
    memset(layer->outside, quant->input_zp, sizeof layer->outside);
    cut(layer);
    to = (char *)&layer->blocks[layer->n_blocks];
    for (int32_t b = 0; b < layer->n_blocks && to; b++) {
        struct block *block = &layer->blocks[b];

        block->c = b * VEC_BYTES;
        block->n = shape->out_c - block->c < VEC_BYTES ? shape->out_c - block->c : VEC_BYTES;
        block->weights = (size_t)(to - (char *)layer);
        to = pack_block(layer, &from, block, to);
    }
    return to;
}

#endif
