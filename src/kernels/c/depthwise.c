/* A pixel of the output at a time, a block of its channels at a time: sums lie side by side, and
 * each pixel of the filter that is over the input adds its products to all of them.
 *
 * uint8 is int8 with another zero point: byte ^ 0x80, zero point - 128. */
#include "kernels/depthwise.h"

#include <string.h>

#define BLOCK 256

/* A block of one output pixel's channels: [o, o + n) at column ox. */
struct block {
    int32_t n_image, oy, ox;
    int32_t o, n;
};

/* Walks over the pixels of the filter that are over the input. */
struct tap {
    int32_t ky, kx; /* the next one to look at */
    size_t in;      /* of the one found: where its input pixel begins, in elements */
    size_t filter;  /* where its weights begin */
};

static bool next_tap(const struct scree_conv_shape *s, const struct block *block, struct tap *tap)
{
    int64_t top = (int64_t)block->oy * s->stride_h - s->pad_top;
    int64_t left = (int64_t)block->ox * s->stride_w - s->pad_left;

    for (; tap->ky < s->filter_h; tap->ky++, tap->kx = 0)
        for (; tap->kx < s->filter_w; tap->kx++) {
            ptrdiff_t offset = scree_conv_offset(s, block->n_image,
                                                 top + (int64_t)tap->ky * s->dilation_h,
                                                 left + (int64_t)tap->kx * s->dilation_w);

            if (offset < 0)
                continue;
            tap->in = (size_t)offset;
            tap->filter = ((size_t)tap->ky * (size_t)s->filter_w + (size_t)tap->kx) *
                          (size_t)s->out_c;
            tap->kx++;
            return true;
        }
    return false;
}

/* to[i] = the input of output channel o + i: each input channel m times. */
#define DEFINE_SPREAD(name, in_type, to_type, convert)                                \
    static void name(to_type *to, const in_type *in, int32_t o, int32_t n, int32_t m, \
                     uint8_t flip, int32_t zp)                                        \
    {                                                                                 \
        int32_t c = o / m, repeat = o % m;                                            \
                                                                                      \
        (void)flip;                                                                   \
        (void)zp;                                                                     \
        if (m == 1) {                                                                 \
            for (int32_t i = 0; i < n; i++)                                           \
                to[i] = convert(in[o + i]);                                           \
            return;                                                                   \
        }                                                                             \
        for (int32_t i = 0; i < n; i++) {                                             \
            to[i] = convert(in[c]);                                                   \
            if (++repeat == m) {                                                      \
                repeat = 0;                                                           \
                c++;                                                                  \
            }                                                                         \
        }                                                                             \
    }

#define FROM_BYTE(x) (int16_t)((int8_t)((x) ^ flip) - zp)
#define UNCHANGED(x) (x)

DEFINE_SPREAD(spread_bytes, uint8_t, int16_t, FROM_BYTE)
DEFINE_SPREAD(spread_s16, int16_t, int16_t, UNCHANGED)

/* The sums of a block for bytes; flip and zero points as described above. */
static void sum_bytes(uint32_t *sum, const struct scree_conv_shape *s, const struct block *block,
                      const uint8_t *in, const uint8_t *filter, uint8_t flip, int32_t input_zp,
                      int32_t filter_zp)
{
    struct tap tap = {0};
    int16_t x[BLOCK];

    memset(sum, 0, (size_t)block->n * sizeof *sum);
    while (next_tap(s, block, &tap)) {
        const uint8_t *weights = filter + tap.filter + (size_t)block->o;

        spread_bytes(x, in + tap.in, block->o, block->n, s->out_c / s->in_c, flip, input_zp);
        for (int32_t i = 0; i < block->n; i++)
            sum[i] += (uint32_t)(x[i] * (int16_t)((int8_t)(weights[i] ^ flip) - filter_zp));
    }
}

static void block_bytes(const struct scree_conv_shape *s, const struct scree_conv_quant *quant,
                        const uint8_t *in, const uint8_t *filter, const int32_t *bias, uint8_t *out,
                        const struct block *block, uint8_t flip)
{
    uint32_t sum[BLOCK];
    int32_t values[BLOCK];

    sum_bytes(sum, s, block, in, filter, flip, quant->input_zp - flip, quant->filter_zp - flip);
    scree_requantize_row(quant, sum, bias, block->o, block->n, values);
    for (int32_t i = 0; i < block->n; i++)
        out[i] = (uint8_t)values[i];
}

static void block_s16(const struct scree_conv_shape *s, const struct scree_conv_quant *quant,
                      const int16_t *in, const int8_t *filter, const int64_t *bias, int16_t *out,
                      const struct block *block)
{
    struct tap tap = {0};
    int64_t sum[BLOCK] = {0};
    int32_t values[BLOCK];
    int16_t x[BLOCK];

    while (next_tap(s, block, &tap)) {
        const int8_t *weights = filter + tap.filter + (size_t)block->o;

        spread_s16(x, in + tap.in, block->o, block->n, s->out_c / s->in_c, 0, 0);
        for (int32_t i = 0; i < block->n; i++)
            sum[i] += x[i] * weights[i];
    }
    scree_requantize_row_i64(quant, sum, bias, block->o, block->n, values);
    for (int32_t i = 0; i < block->n; i++)
        out[i] = (int16_t)values[i];
}

static void block_hybrid(const struct scree_conv_shape *s, const struct scree_conv_hybrid *hybrid,
                         const int8_t *in, const int8_t *filter, const float *bias, float *out,
                         const struct block *block)
{
    int32_t zp = hybrid->input_zps ? hybrid->input_zps[block->n_image] : 0;
    uint32_t sum[BLOCK];

    sum_bytes(sum, s, block, (const uint8_t *)in, (const uint8_t *)filter, 0, zp, 0);
    scree_rescale_row(hybrid, sum, bias, block->n_image, block->o, block->n, out);
}

/* Begins a walk over the blocks of a row. */
static struct block first_block(const struct scree_conv_shape *s, size_t row)
{
    return (struct block){
        .n_image = (int32_t)(row / (size_t)s->out_h),
        .oy = (int32_t)(row % (size_t)s->out_h),
        .n = s->out_c < BLOCK ? s->out_c : BLOCK,
    };
}

/* Moves on; false behind the last block. */
static bool next_block(const struct scree_conv_shape *s, struct block *block)
{
    block->o += block->n;
    if (block->o >= s->out_c) {
        block->o = 0;
        block->ox++;
    }
    block->n = s->out_c - block->o < BLOCK ? s->out_c - block->o : BLOCK;
    return block->ox < s->out_w;
}

/* Where a block's outputs begin. */
static size_t block_offset(const struct scree_conv_shape *s, const struct block *block)
{
    size_t row = (size_t)block->n_image * (size_t)s->out_h + (size_t)block->oy;

    return (row * (size_t)s->out_w + (size_t)block->ox) * (size_t)s->out_c + (size_t)block->o;
}

/* Runs `call` for each block of the row; the row is not empty. */
#define FOR_BLOCKS(shape, row, call)                  \
    do {                                              \
        struct block block = first_block(shape, row); \
                                                      \
        do {                                          \
            size_t to = block_offset(shape, &block);  \
                                                      \
            call;                                     \
        } while (next_block(shape, &block));          \
    } while (0)

void scree_depthwise_u8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                        const uint8_t *in, const uint8_t *filter, const int32_t *bias, uint8_t *out,
                        size_t row)
{
    FOR_BLOCKS(shape, row, block_bytes(shape, quant, in, filter, bias, out + to, &block, 0x80));
}

void scree_depthwise_s8(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                        const int8_t *in, const int8_t *filter, const int32_t *bias, int8_t *out,
                        size_t row)
{
    FOR_BLOCKS(shape, row,
               block_bytes(shape, quant, (const uint8_t *)in, (const uint8_t *)filter, bias,
                           (uint8_t *)out + to, &block, 0));
}

void scree_depthwise_s16(const struct scree_conv_shape *shape, const struct scree_conv_quant *quant,
                         const int16_t *in, const int8_t *filter, const int64_t *bias, int16_t *out,
                         size_t row)
{
    FOR_BLOCKS(shape, row, block_s16(shape, quant, in, filter, bias, out + to, &block));
}

void scree_depthwise_hybrid(const struct scree_conv_shape *shape,
                            const struct scree_conv_hybrid *hybrid, const int8_t *in,
                            const int8_t *filter, const float *bias, float *out, size_t row)
{
    FOR_BLOCKS(shape, row, block_hybrid(shape, hybrid, in, filter, bias, out + to, &block));
}

/* ---- as a kernel with packed weights ---- */

struct unpacked {
    const struct scree_conv_shape *shape;
    const struct scree_conv_quant *quant;
    const void *filter;
    const int32_t *bias;
    bool is_signed;
};

static size_t unpacked_bytes(const struct scree_conv_shape *shape)
{
    (void)shape;
    return sizeof(struct unpacked);
}

static bool unpacked_pack(void *packed, const struct scree_conv_shape *shape,
                          const struct scree_conv_quant *quant, bool is_signed, const void *filter,
                          const int32_t *bias)
{
    *(struct unpacked *)packed = (struct unpacked){shape, quant, filter, bias, is_signed};
    return true;
}

static size_t unpacked_tiles(const void *packed)
{
    const struct unpacked *u = packed;

    return u->shape->out_w == 0 ? 0 : (size_t)u->shape->n * (size_t)u->shape->out_h;
}

static void unpacked_run(const void *packed, const void *in, void *out, size_t tile)
{
    const struct unpacked *u = packed;

    if (u->is_signed)
        scree_depthwise_s8(u->shape, u->quant, in, u->filter, u->bias, out, tile);
    else
        scree_depthwise_u8(u->shape, u->quant, in, u->filter, u->bias, out, tile);
}

const struct scree_depthwise_kernel scree_depthwise_8 = {
    .packed_bytes = unpacked_bytes,
    .pack = unpacked_pack,
    .n_tiles = unpacked_tiles,
    .run = unpacked_run,
};
