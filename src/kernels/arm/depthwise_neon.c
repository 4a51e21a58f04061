/* Without SDOT: bytes less their zero point are widened to 16 bits and multiplied with weights of
 * 16 bits, 16 channels of a pixel at a time. The multiplications, one a cycle on most cores, leave
 * the other pipe free for all the rest. What is outside the input is left out. */
#include <arm_neon.h>
#include <string.h>

#include "kernels/arm/requantize.h"
#include "kernels/depthwise_layer.h"

#define CHANNELS 16

/* A block of channels. */
struct block {
    struct v_requant requant[4];
    int32_t bias[CHANNELS];
    enum v_requant_mode mode;
    int16_t weights[][CHANNELS]; /* [filter_h * filter_w] */
};

/* What a pixel of the output is computed with. */
struct job {
    const struct scree_depthwise_layer *layer;
    const struct block *block;
    const uint8_t *image; /* its first channel of the block */
    size_t n, skip;       /* as in struct scree_depthwise_unit */
    uint8x16_t flip, out_flip, zp;
    int8x8_t input_zp;
    int8x16_t min, max;
};

/* The taps [first, end) of a window that are over the input: window from `origin` on. */
struct taps {
    int32_t first, end;
};

static inline struct taps taps_inside(int64_t origin, int32_t n, int32_t dilation, int32_t size)
{
    struct taps taps = {0, n};

    while (taps.first < n && origin + (int64_t)taps.first * dilation < 0)
        taps.first++;
    while (taps.end > taps.first && origin + (int64_t)(taps.end - 1) * dilation >= size)
        taps.end--;
    return taps;
}

static inline uint8x16_t load_n(const uint8_t *p, size_t n)
{
    uint8_t bytes[CHANNELS] = {0};

    if (n == CHANNELS)
        return vld1q_u8(p);
    memcpy(bytes, p, n);
    return vld1q_u8(bytes);
}

/* Adds the products of a pixel of the input with a pixel of the filter. */
static inline void multiply(const struct job *job, const uint8_t *pixel, const int16_t *weights,
                            int32x4_t *acc)
{
    int8x16_t bytes = vreinterpretq_s8_u8(veorq_u8(load_n(pixel, job->n), job->flip));
    int16x8_t x[2] = {vsubl_s8(vget_low_s8(bytes), job->input_zp),
                      vsubl_s8(vget_high_s8(bytes), job->input_zp)};

    for (int i = 0; i < 2; i++) {
        int16x8_t w = vld1q_s16(weights + 8 * i);

        acc[2 * i] = vmlal_s16(acc[2 * i], vget_low_s16(x[i]), vget_low_s16(w));
        acc[2 * i + 1] = vmlal_high_s16(acc[2 * i + 1], x[i], w);
    }
}

static inline void finish(const struct job *job, enum v_requant_mode mode, const int32x4_t *acc,
                          uint8_t *out)
{
    const struct v_requant *r = job->block->requant;
    uint8_t bytes[CHANNELS];
    uint8x16_t y[4], ret;
    int8x16_t s8;

    for (int i = 0; i < 4; i++) {
        struct v_requant_regs regs = v_requant_load(&r[i]);

        y[i] = v_requant_with(vreinterpretq_u8_s32(acc[i]), &r[i], &regs, mode, job->zp);
    }
    s8 = vqmovn_high_s16(vqmovn_s16(vreinterpretq_s16_u8(v_requant_words(y[0], y[1], job->zp))),
                         vreinterpretq_s16_u8(v_requant_words(y[2], y[3], job->zp)));
    ret = veorq_u8(vreinterpretq_u8_s8(vminq_s8(vmaxq_s8(s8, job->min), job->max)), job->out_flip);
    if (job->n - job->skip == CHANNELS) {
        vst1q_u8(out, ret);
        return;
    }
    vst1q_u8(bytes, ret);
    memcpy(out + job->skip, bytes + job->skip, job->n - job->skip);
}

static inline void pixel(const struct job *all, enum v_requant_mode mode, int32_t y,
                         struct taps rows, int32_t x, uint8_t *out)
{
    const struct job job = *all;
    const struct scree_conv_shape *s = &job.layer->shape;
    int64_t left = (int64_t)x * s->stride_w - s->pad_left;
    int64_t top = (int64_t)y * s->stride_h - s->pad_top;
    struct taps columns = taps_inside(left, s->filter_w, s->dilation_w, s->in_w);
    int32x4_t acc[4];

    for (int i = 0; i < 4; i++)
        acc[i] = vld1q_s32(job.block->bias + 4 * i);
    for (int32_t ky = rows.first; ky < rows.end; ky++) {
        int64_t in_y = top + (int64_t)ky * s->dilation_h;
        const uint8_t *row = job.image + in_y * s->in_w * s->in_c;

        for (int32_t kx = columns.first; kx < columns.end; kx++)
            multiply(&job, row + (left + (int64_t)kx * s->dilation_w) * s->in_c,
                     job.block->weights[ky * s->filter_w + kx], acc);
    }
    finish(&job, mode, acc, out);
}

static void run(const struct scree_depthwise_layer *layer, const struct scree_depthwise_unit *unit,
                const uint8_t *image, uint8_t *out, int32_t y, int32_t end_y)
{
    const struct scree_conv_shape *s = &layer->shape;
    const struct block *block = (const void *)((const char *)layer + unit->block);
    const struct job job = {
        .layer = layer,
        .block = block,
        .image = image + unit->c,
        .n = (size_t)unit->n,
        .skip = (size_t)unit->skip,
        .flip = vdupq_n_u8(layer->in_flip),
        .out_flip = vdupq_n_u8(layer->out_flip),
        .zp = v_requant_zp(layer->zp),
        .input_zp = vdup_n_s8((int8_t)(layer->outside[0] ^ layer->in_flip)),
        .min = vdupq_n_s8((int8_t)layer->min),
        .max = vdupq_n_s8((int8_t)layer->max),
    };

    for (; y < end_y; y++) {
        struct taps rows =
            taps_inside((int64_t)y * s->stride_h - s->pad_top, s->filter_h, s->dilation_h, s->in_h);
        uint8_t *to = out + (size_t)y * (size_t)s->out_w * (size_t)s->out_c + unit->c;

        for (int32_t x = 0; x < s->out_w; x++, to += s->out_c) {
            if (block->mode == V_REQUANT_RISING)
                pixel(&job, V_REQUANT_RISING, y, rows, x, to);
            else
                pixel(&job, V_REQUANT_MIXED, y, rows, x, to);
        }
    }
}

/* ---- packing ---- */

static size_t block_bytes(const struct scree_conv_shape *s)
{
    return sizeof(struct block) + (size_t)(s->filter_h * s->filter_w) * CHANNELS * sizeof(int16_t);
}

static bool pack(const struct scree_depthwise_layer *layer,
                 const struct scree_depthwise_source *from, int32_t c, int32_t n, void *memory)
{
    struct block *block = memory;
    struct scree_multiplier multipliers[CHANNELS] = {{0, 0}};
    int32_t low[CHANNELS] = {0}, high[CHANNELS] = {0}, unused;

    memset(block, 0, block_bytes(from->shape));
    for (int32_t i = 0; i < n; i++) {
        multipliers[i] = scree_depthwise_multiplier(from, c + i);
        block->bias[i] = (int32_t)scree_depthwise_plain_bias(from, c + i);
        if (!scree_depthwise_bias(from, c + i, &unused, &low[i], &high[i]))
            return false;
        for (int32_t k = 0; k < from->shape->filter_h * from->shape->filter_w; k++)
            block->weights[k][i] = (int16_t)scree_depthwise_weight(from, k, c + i);
    }
    block->mode = V_REQUANT_RISING;
    for (int i = 0; i < 4; i++) {
        if (!v_requant_init(&block->requant[i], layer->zp, layer->min, layer->max,
                            multipliers + 4 * i, low + 4 * i, high + 4 * i))
            return false;
        if (block->requant[i].mode != V_REQUANT_RISING)
            block->mode = V_REQUANT_MIXED;
    }
    return true;
}

static const struct scree_depthwise_width width = {
    .n = CHANNELS,
    .signed_input = true,
    .block_bytes = block_bytes,
    .pack = pack,
    .run = run,
};
static const struct scree_depthwise_width *const widths[] = {&width, &width};

static size_t packed_bytes(const struct scree_conv_shape *shape)
{
    return scree_depthwise_layer_bytes(widths, shape);
}

static bool pack_layer(void *packed, const struct scree_conv_shape *shape,
                       const struct scree_conv_quant *quant, bool is_signed, const void *filter,
                       const int32_t *bias)
{
    return scree_depthwise_layer_pack(widths, packed, shape, quant, is_signed, filter, bias);
}

const struct scree_depthwise_kernel scree_depthwise_8_neon = {
    .packed_bytes = packed_bytes,
    .pack = pack_layer,
    .n_tiles = scree_depthwise_layer_tiles,
    .run = scree_depthwise_layer_run,
};
