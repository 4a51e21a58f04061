/* kernels/depthwise_block.h - depthwise convolution of a block of channels, over a header of
 * vectors.
 *
 * A block is a vector of bytes wide. The bytes of up to four rows of the input are interleaved, so
 * that each 32 bits hold four vertical taps of a channel ("quads"), in four vectors for a column of
 * the block; one instruction multiplies a vector of them with weights and adds the products up. A
 * column's quads serve each output that sees the column. Interleaving within 16 bytes permutes the
 * channels, packing within 16 bytes puts them back, so what is packed for a block has its channels
 * in the permuted order: vector v, lane l is channel 16 * (l / 4) + 4 * v + l % 4.
 *
 * Registers hold the quads, weights and constants of half of the channels, the first 8 of each 16
 * or the last: so each row of outputs is gone through twice.
 *
 * Weights less their zero point, where they are beyond what v_weights hold, are the sum of two
 * terms.
 *
 * Include x86/vec512.h or x86/vec256.h and x86/requantize.h before, or arm/vec128.h and
 * arm/requantize.h. WIDTH is then an initializer of struct scree_depthwise_width. */
#ifndef SCREE_KERNELS_DEPTHWISE_BLOCK_H
#define SCREE_KERNELS_DEPTHWISE_BLOCK_H

#include <string.h>

#include "kernels/depthwise_layer.h"

#define INLINE static inline __attribute__((always_inline))

#define AHEAD 4 /* outputs computed at once from quads in memory */

/* A block of channels, followed by its weights. */
struct block {
    struct v_requant requant[4];
    int32_t bias[4][VEC_LANES] __attribute__((aligned(VEC_BYTES)));
    int32_t n_terms;
    enum v_requant_mode mode;
    /* [n_terms][n_groups][filter_w][4] */
    char weights[] __attribute__((aligned(VEC_BYTES)));
};

/* ---- a column ---------------------------------------------------------------------------------
 */

/* A row of the input, or bytes of the zero point again and again. */
struct row {
    const uint8_t *pixels;
    size_t step; /* from one column to the next, or 0 */
};

/* What a row of outputs of a block is computed with. */
struct job {
    const struct scree_depthwise_layer *layer;
    const struct block *block;
    int32_t in_w, pad_left;
    size_t in_c, out_c;
    size_t n, skip;    /* as in struct scree_depthwise_unit */
    vec flip, outside; /* of the input: what is exclusive-or'ed in, what lies beside it */
    vec zp, min, max, out_flip;
    bool clamps;          /* min and max are not those of the type */
    const uint8_t *image; /* its first channel of the block, and that of its outputs */
    uint8_t *out;
};

/* The bytes of column x, which is inside; whole: the block has all the channels of a vector. */
INLINE vec load_pixel(const struct job *job, const struct row *row, bool whole, int32_t x)
{
    const uint8_t *pixel = row->pixels + (size_t)x * row->step;

    return whole ? v_load(pixel) : v_load_n(pixel, job->n);
}

/* Two vectors of quads of column x of n_rows <= 4 rows: of the first 8 channels in each 16, or of
 * the last. With fewer rows than four the last one stands in for the others, whose weights are 0.
 */
INLINE void interleave(const struct job *job, const struct row *rows, int n_rows, bool whole,
                       int half, int32_t x, v_quads *ret)
{
    vec bytes[4], words01, words23;

    if (x < 0 || x >= job->in_w) {
        ret[0] = ret[1] = v_make_quads(job->outside);
        return;
    }
    for (int i = 0; i < 4; i++)
        bytes[i] = i == 0 || i < n_rows ? load_pixel(job, &rows[i], whole, x) : bytes[i - 1];
    words01 = half ? v_high8(bytes[0], bytes[1]) : v_low8(bytes[0], bytes[1]);
    words23 = half ? v_high8(bytes[2], bytes[3]) : v_low8(bytes[2], bytes[3]);
    ret[0] = v_make_quads(v_xor(v_low16(words01, words23), job->flip));
    ret[1] = v_make_quads(v_xor(v_high16(words01, words23), job->flip));
}

/* ---- an output --------------------------------------------------------------------------------
 */

/* How two vectors of sums become 16-bit words of outputs. */
struct half {
    vec bias[2], zp;
    struct v_requant_regs regs[2];
    const struct v_requant *requant;
};

INLINE struct half half_of(const struct job *job, int half)
{
    struct half ret = {.zp = job->zp, .requant = &job->block->requant[2 * half]};

    for (int i = 0; i < 2; i++) {
        ret.regs[i] = v_requant_load(&ret.requant[i]);
        ret.bias[i] = v_load(job->block->bias[2 * half + i]);
    }
    return ret;
}

INLINE vec words_of(const struct half *half, enum v_requant_mode mode, const vec *acc)
{
    vec y[2];

    for (int i = 0; i < 2; i++)
        y[i] = v_requant_with(acc[i], &half->requant[i], &half->regs[i], mode, half->zp);
    return v_requant_words(y[0], y[1], half->zp);
}

/* Stores the outputs of a pixel. */
INLINE void store_outputs(const struct job *job, vec first, vec last, uint8_t *to)
{
    vec bytes = v_pack16_s8(first, last);

    if (job->clamps)
        bytes = v_clamp_s8(bytes, job->min, job->max);
    bytes = v_xor(bytes, job->out_flip);
    if (job->n - job->skip == VEC_BYTES)
        v_store(to, bytes);
    else
        v_store_part(to, bytes, job->skip, job->n);
}

/* ---- rows of outputs --------------------------------------------------------------------------
 */

/* Finds the rows under the filter for row y of the outputs. */
INLINE void find_rows(const struct job *job, int32_t y, struct row *ret_rows)
{
    const struct scree_conv_shape *s = &job->layer->shape;

    for (int32_t k = 0; k < s->filter_h; k++) {
        int64_t in_y = (int64_t)y * s->stride_h - s->pad_top + (int64_t)k * s->dilation_h;
        size_t row_bytes = (size_t)s->in_w * job->in_c;

        ret_rows[k] = (struct row){job->layer->outside, 0};
        if (in_y >= 0 && in_y < s->in_h)
            ret_rows[k] = (struct row){job->image + (size_t)in_y * row_bytes, job->in_c};
    }
}

/* Where the outputs of a pixel go. */
INLINE uint8_t *output_at(const struct job *job, int32_t y, int32_t x)
{
    return job->out + ((size_t)y * (size_t)job->layer->shape.out_w + (size_t)x) * job->out_c;
}

/* Pixels of the output: rows [y, end_y), columns [x, end_x). */
struct area {
    int32_t y, end_y, x, end_x;
};

/* The quads of the columns that one pixel sees, from x on: column k in quads[(k + phase) % 3]; all
 * but the last `stride` are there already. */
INLINE void next_columns(const struct job *job, const struct row *rows, bool whole, int half,
                         int stride, int32_t dilation, int phase, int32_t x, v_quads (*quads)[2])
{
    for (int k = 3 - stride; k < 3; k++)
        interleave(job, rows, 3, whole, half, x + k * dilation, quads[(k + phase) % 3]);
}

/* The sums of a pixel. */
INLINE void sums_3x3(const struct half *consts, int n_terms, int phase, v_quads (*quads)[2],
                     v_weights (*weights)[3][2], vec *acc)
{
    for (int i = 0; i < 2; i++)
        acc[i] = consts->bias[i];
    for (int term = 0; term < n_terms; term++)
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < 2; i++)
                acc[i] = v_dot(acc[i], quads[(k + phase) % 3][i], weights[term][k][i]);
}

/* Filters of three rows and three columns, stride 1 with any dilation, or stride 2 without: the
 * outputs of an area for half of the channels, from columns of quads that stay in registers. A
 * pixel shares columns with the one that is `dilation` further on, so a row is gone through that
 * many times. The first half leaves its words to the second. */
INLINE void area_3x3_half(const struct job *all, bool whole, int half, int stride, int n_terms,
                          enum v_requant_mode mode, struct area area, vec *words)
{
    const struct job job = *all; /* by value: stores do not touch it */
    const struct half consts = half_of(&job, half);
    int32_t dilation = stride == 1 ? job.layer->shape.dilation_w : 1;
    v_weights weights[2][3][2];

    for (int term = 0; term < n_terms; term++)
        for (int k = 0; k < 3; k++)
            for (int i = 0; i < 2; i++)
                weights[term][k][i] = v_load_weights(
                    job.block->weights + (12 * term + 4 * k + 2 * half + i) * V_WEIGHTS_BYTES);
    for (int32_t line = 0; line < (area.end_y - area.y) * dilation; line++) {
        int32_t y = area.y + line / dilation, x = area.x + line % dilation;
        int32_t left = x * stride - job.pad_left;
        uint8_t *to = output_at(&job, y, x);
        struct row found[SCREE_DEPTHWISE_MAX_H], rows[3];
        v_quads quads[3][2];
        vec acc[2];

/* The next pixel, its columns in a phase. */
#define PIXEL(phase)                                                                 \
    do {                                                                             \
        next_columns(&job, rows, whole, half, stride, dilation, phase, left, quads); \
        sums_3x3(&consts, n_terms, phase, quads, weights, acc);                      \
        if (half == 0)                                                               \
            *words++ = words_of(&consts, mode, acc);                                 \
        else                                                                         \
            store_outputs(&job, *words++, words_of(&consts, mode, acc), to);         \
        x += dilation;                                                               \
        left += dilation * stride;                                                   \
        to += (size_t)dilation * job.out_c;                                          \
    } while (0)

        find_rows(&job, y, found);
        for (int k = 0; k < 3; k++)
            rows[k] = found[k]; /* into registers */
        for (int k = 0; k < 3 - stride; k++)
            interleave(&job, rows, 3, whole, half, left + k * dilation, quads[k]);
        while (x < area.end_x) {
            PIXEL(0);
            if (V_ROTATES && stride == 1) {
                if (x >= area.end_x)
                    break;
                PIXEL(1);
                if (x >= area.end_x)
                    break;
                PIXEL(2);
                continue;
            }
            for (int k = 0; k < 3 - stride; k++)
                for (int i = 0; i < 2; i++)
                    quads[k][i] = quads[stride + k][i];
        }
#undef PIXEL
    }
}

/* Rows of outputs, as many pixels at a time as there is room for words. */
INLINE void rows_3x3(const struct job *job, bool whole, int stride, int n_terms,
                     enum v_requant_mode mode, int32_t y, int32_t end_y)
{
    enum { ROOM = 128 };
    int32_t out_w = job->layer->shape.out_w, n_rows = out_w < ROOM ? ROOM / out_w : 1;
    vec words[ROOM];

    for (; y < end_y; y += n_rows)
        for (int32_t x = 0; x < out_w; x += ROOM) {
            struct area area = {y, y + n_rows, x, x + ROOM};

            area.end_y = area.end_y < end_y ? area.end_y : end_y;
            area.end_x = area.end_x < out_w ? area.end_x : out_w;
            area_3x3_half(job, whole, 0, stride, n_terms, mode, area, words);
            area_3x3_half(job, whole, 1, stride, n_terms, mode, area, words);
        }
}

/* The usual cases have code of their own. */
static void rows_3x3_rising(const struct job *job, bool whole, int stride, int n_terms, int32_t y,
                            int32_t end_y)
{
    if (!whole && stride == 1)
        rows_3x3(job, false, 1, n_terms, V_REQUANT_RISING, y, end_y);
    else if (!whole)
        rows_3x3(job, false, 2, n_terms, V_REQUANT_RISING, y, end_y);
    else if (stride == 1 && n_terms == 1)
        rows_3x3(job, true, 1, 1, V_REQUANT_RISING, y, end_y);
    else if (stride == 2 && n_terms == 1)
        rows_3x3(job, true, 2, 1, V_REQUANT_RISING, y, end_y);
    else if (stride == 1)
        rows_3x3(job, true, 1, 2, V_REQUANT_RISING, y, end_y);
    else
        rows_3x3(job, true, 2, 2, V_REQUANT_RISING, y, end_y);
}

static void rows_3x3_any(const struct job *job, int32_t y, int32_t end_y)
{
    int stride = job->layer->shape.stride_w, n_terms = job->block->n_terms;
    bool whole = job->n == VEC_BYTES;

    if (job->block->mode == V_REQUANT_RISING)
        rows_3x3_rising(job, whole, stride, n_terms, y, end_y);
    else if (stride == 1)
        rows_3x3(job, whole, 1, n_terms, V_REQUANT_MIXED, y, end_y);
    else
        rows_3x3(job, whole, 2, n_terms, V_REQUANT_MIXED, y, end_y);
}

/* The words of n columns, whose quads are [n_groups][n_columns][4], for half of the channels. half,
 * n and mode are constants. */
INLINE void words_from_quads(const struct job *job, const v_quads *quads, int32_t n_columns,
                             const int half, const int n, const enum v_requant_mode mode, vec *ret)
{
    const struct scree_conv_shape *s = &job->layer->shape;
    const struct half consts = half_of(job, half);
    const char *weights = job->block->weights + 2 * half * V_WEIGHTS_BYTES;
    int32_t n_groups = job->layer->n_groups, n_terms = job->block->n_terms, filter_w = s->filter_w;
    int32_t dilation = s->dilation_w * 4;
    ptrdiff_t stride = (ptrdiff_t)s->stride_w * 4;
    vec acc[AHEAD][2];

    for (int i = 0; i < n; i++)
        for (int v = 0; v < 2; v++)
            acc[i][v] = consts.bias[v];
    for (int32_t term = 0; term < n_terms; term++)
        for (int32_t group = 0; group < n_groups; group++) {
            const v_quads *at = quads + group * n_columns * 4 + 2 * half;

            for (int32_t k = 0; k < filter_w; k++, at += dilation, weights += 4 * V_WEIGHTS_BYTES)
                for (int v = 0; v < 2; v++) {
                    v_weights w = v_load_weights(weights + v * V_WEIGHTS_BYTES);

                    for (int i = 0; i < n; i++)
                        acc[i][v] = v_dot(acc[i][v], at[i * stride + v], w);
                }
        }
    for (int i = 0; i < n; i++)
        ret[i] = words_of(&consts, mode, acc[i]);
}

/* The outputs of n columns. */
INLINE void columns_from_quads(const struct job *all, const v_quads *quads, int32_t n_columns,
                               uint8_t *to, const int n, const enum v_requant_mode mode)
{
    const struct job job = *all; /* by value: stores do not touch it */
    vec first[AHEAD], last[AHEAD];

    words_from_quads(&job, quads, n_columns, 0, n, mode, first);
    words_from_quads(&job, quads, n_columns, 1, n, mode, last);
    for (int i = 0; i < n; i++)
        store_outputs(&job, first[i], last[i], to + (size_t)i * job.out_c);
}

/* Any filter: quads of as many columns as there is room for, then outputs from them. */
INLINE void row_any(const struct job *job, int32_t y, const enum v_requant_mode mode)
{
    const struct scree_conv_shape *s = &job->layer->shape;
    int32_t n_groups = job->layer->n_groups, extent = (s->filter_w - 1) * s->dilation_w + 1;
    int32_t room = (SCREE_DEPTHWISE_COLUMNS / n_groups - extent) / s->stride_w + 1;
    v_quads quads[SCREE_DEPTHWISE_COLUMNS * 4];
    struct row rows[SCREE_DEPTHWISE_MAX_H];

    find_rows(job, y, rows);
    for (int32_t x = 0; x < s->out_w; x += room) {
        int32_t n = s->out_w - x < room ? s->out_w - x : room, i = 0;
        int32_t n_columns = (n - 1) * s->stride_w + extent;

        for (int32_t group = 0; group < n_groups; group++) {
            int32_t n_rows = s->filter_h - group * 4 < 4 ? s->filter_h - group * 4 : 4;

            for (int32_t k = 0; k < n_columns; k++)
                for (int half = 0; half < 2; half++)
                    interleave(job, rows + group * 4, n_rows, false, half,
                               x * s->stride_w - s->pad_left + k,
                               quads + (group * n_columns + k) * 4 + 2 * half);
        }
        for (; i + AHEAD <= n; i += AHEAD)
            columns_from_quads(job, quads + i * s->stride_w * 4, n_columns,
                               output_at(job, y, x + i), AHEAD, mode);
        for (; i < n; i++)
            columns_from_quads(job, quads + i * s->stride_w * 4, n_columns,
                               output_at(job, y, x + i), 1, mode);
    }
}

static void rows_any(const struct job *job, int32_t y, int32_t end_y)
{
    if (job->block->mode == V_REQUANT_RISING)
        for (; y < end_y; y++)
            row_any(job, y, V_REQUANT_RISING);
    else
        for (; y < end_y; y++)
            row_any(job, y, V_REQUANT_MIXED);
}

static struct job job_of(const struct scree_depthwise_layer *layer,
                         const struct scree_depthwise_unit *unit)
{
    vec flip = v_set8((int8_t)layer->in_flip);

    return (struct job){
        .layer = layer,
        .block = (const void *)((const char *)layer + unit->block),
        .in_w = layer->shape.in_w,
        .pad_left = layer->shape.pad_left,
        .in_c = (size_t)layer->shape.in_c,
        .out_c = (size_t)layer->shape.out_c,
        .n = (size_t)unit->n,
        .skip = (size_t)unit->skip,
        .flip = flip,
        .outside = v_xor(v_load(layer->outside), flip),
        .zp = v_requant_zp(layer->zp),
        .min = v_set8((int8_t)layer->min),
        .max = v_set8((int8_t)layer->max),
        .clamps = layer->min > INT8_MIN || layer->max < INT8_MAX,
        .out_flip = v_set8((int8_t)layer->out_flip),
    };
}

static void run(const struct scree_depthwise_layer *layer, const struct scree_depthwise_unit *unit,
                const uint8_t *image, uint8_t *out, int32_t y, int32_t end_y)
{
    const struct scree_conv_shape *s = &layer->shape;
    bool is_3x3 = s->filter_h == 3 && s->filter_w == 3 &&
                  (s->stride_w == 1 || (s->stride_w == 2 && s->dilation_w == 1));
    struct job job = job_of(layer, unit);

    job.image = image + unit->c;
    job.out = out + unit->c;
    if (is_3x3)
        rows_3x3_any(&job, y, end_y);
    else
        rows_any(&job, y, end_y);
}

/* ---- packing ----------------------------------------------------------------------------------
 */

static size_t weights_bytes(const struct scree_conv_shape *s)
{
    return (size_t)((s->filter_h + 3) / 4 * s->filter_w) * 4 * V_WEIGHTS_BYTES;
}

/* Room for a block with two terms. */
static size_t block_bytes(const struct scree_conv_shape *s)
{
    return sizeof(struct block) + 2 * weights_bytes(s);
}

/* How many terms the weights of n channels from c on need. */
static int32_t count_terms(const struct scree_depthwise_source *from, int32_t c, int32_t n)
{
    int32_t n_terms = 1;

    for (int32_t channel = c; channel < c + n; channel++)
        for (int32_t k = 0; k < from->shape->filter_h * from->shape->filter_w; k++) {
            int32_t w = scree_depthwise_weight(from, k, channel);

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
static void pack_weights(struct block *block, const struct scree_depthwise_source *from,
                         int32_t channel, int v, int lane)
{
    int32_t filter_w = from->shape->filter_w, n_groups = (from->shape->filter_h + 3) / 4;

    for (int32_t k = 0; k < from->shape->filter_h * filter_w; k++) {
        int32_t y = k / filter_w, x = k % filter_w, rest = scree_depthwise_weight(from, k, channel);

        for (int32_t term = 0; term < block->n_terms; term++) {
            int32_t w = rest < V_WEIGHT_MIN   ? V_WEIGHT_MIN
                        : rest > V_WEIGHT_MAX ? V_WEIGHT_MAX
                                              : rest;
            int32_t at = ((term * n_groups + y / 4) * filter_w + x) * 4 + v;

            v_put_weight(block->weights + (size_t)at * V_WEIGHTS_BYTES, lane, y % 4, w);
            rest -= w;
        }
    }
}

/* Packs bias and multipliers of vector v of the block of n channels from c on. */
static bool pack_vector(const struct scree_depthwise_layer *layer,
                        const struct scree_depthwise_source *from, int32_t c, int32_t n,
                        struct block *block, int v)
{
    struct scree_multiplier multipliers[VEC_LANES] = {{0, 0}};
    int32_t low[VEC_LANES] = {0}, high[VEC_LANES] = {0};

    for (int lane = 0; lane < VEC_LANES; lane++) {
        int32_t channel = c + channel_at(v, lane);

        if (channel >= c + n)
            continue;
        multipliers[lane] = scree_depthwise_multiplier(from, channel);
        if (!scree_depthwise_bias(from, channel, &block->bias[v][lane], &low[lane], &high[lane]))
            return false;
    }
    if (!v_requant_init(&block->requant[v], layer->zp, layer->min, layer->max, multipliers, low,
                        high))
        return false;
    for (int lane = 0; lane < VEC_LANES; lane++)
        block->bias[v][lane] += block->requant[v].lift[lane];
    block->mode = v > 0 && block->mode != block->requant[v].mode ? V_REQUANT_MIXED
                                                                 : block->requant[v].mode;
    return true;
}

static bool pack(const struct scree_depthwise_layer *layer,
                 const struct scree_depthwise_source *from, int32_t c, int32_t n, void *memory)
{
    struct block *block = memory;

    memset(block, 0, block_bytes(from->shape));
    block->n_terms = count_terms(from, c, n);
    if (block->n_terms > 2)
        return false;
    for (int v = 0; v < 4; v++) {
        if (!pack_vector(layer, from, c, n, block, v))
            return false;
        for (int lane = 0; lane < VEC_LANES; lane++)
            if (channel_at(v, lane) < n)
                pack_weights(block, from, c + channel_at(v, lane), v, lane);
    }
    return true;
}

#define WIDTH                                                                                     \
    {                                                                                             \
        .n = VEC_BYTES, .signed_input = V_SIGNED_INPUT, .block_bytes = block_bytes, .pack = pack, \
        .run = run,                                                                               \
    }

#endif
