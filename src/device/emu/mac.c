/* Features are widened to 16 bits once a task, weights once for each group of 32 kernels. Then the
 * features under each pixel are gathered into a column in the order of the weights, and each kernel
 * is a product of two contiguous vectors, which compilers turn into multiply-add instructions of
 * pairs. */
#include "device/emu/mac.h"

#include <stdlib.h>
#include <string.h>

/* Products summed in 32 bits: 2^16 * 2^7 * 2^7 = 2^30. */
#define BLOCK 65536u

struct work {
    const struct scree_emu_conv *conv;
    struct scree_emu_memory memory;
    enum scree_emu_rounding rounding;
    uint32_t n_taps;
    size_t k;         /* products of a kernel: taps * channels */
    int16_t *cube;    /* [ceil(c / 32)][h][w][32, the last 16 or 32] */
    int16_t *weights; /* [32][k] */
    int16_t *column;  /* [k] */
    int32_t *biases;  /* [channels], zero beyond those stored */
};

/* ---- memory ------------------------------------------------------------------------------------
 */

static void *array(size_t n, size_t size)
{
    return calloc(n ? n : 1, size);
}

static int work_init(struct work *work, const struct scree_emu_conv *conv,
                     struct scree_emu_memory memory, enum scree_emu_rounding rounding,
                     struct scree_error *err)
{
    size_t cube = (size_t)conv->in_w * conv->in_h * conv->in_c;

    *work = (struct work){.conv = conv, .memory = memory, .rounding = rounding};
    work->n_taps = conv->kw * conv->kh;
    work->k = (size_t)work->n_taps * conv->in_c;
    work->cube = array(cube, sizeof work->cube[0]);
    work->biases = array(conv->channels, sizeof work->biases[0]);
    if (!conv->depthwise) {
        work->weights = array(SCREE_NPU_KERNEL_GROUP * work->k, sizeof work->weights[0]);
        work->column = array(work->k, sizeof work->column[0]);
    }
    if (work->cube && work->biases && (conv->depthwise || (work->weights && work->column)))
        return 0;
    return scree_fail(err, ENOMEM, "no memory for a convolution of %zu products", work->k);
}

static void work_done(struct work *work)
{
    free(work->column);
    free(work->weights);
    free(work->biases);
    free(work->cube);
}

static const int8_t *bytes_at(const struct work *work, uint64_t iova)
{
    return (const int8_t *)work->memory.bytes + (iova - work->memory.first);
}

/* Channels of group g of 32. */
static uint32_t group_width(const struct work *work, uint32_t g)
{
    uint32_t rest = work->conv->in_c - 32 * g;

    return rest < 32 ? rest : 32;
}

static uint32_t n_groups(const struct work *work)
{
    return (work->conv->in_c + 31) / 32;
}

static int16_t *cube_pixel(const struct work *work, uint32_t g, uint32_t y, uint32_t x)
{
    const struct scree_emu_conv *conv = work->conv;
    size_t group = (size_t)conv->in_w * conv->in_h * 32;

    return work->cube + g * group + ((size_t)y * conv->in_w + x) * group_width(work, g);
}

/* One line of a plane of 16 channels into the cube. */
static void load_line(struct work *work, uint32_t plane, uint32_t y)
{
    const struct scree_emu_conv *conv = work->conv;
    int64_t at = (int64_t)conv->feature + plane * conv->plane + y * conv->line;
    const int8_t *bytes = bytes_at(work, (uint64_t)at);

    for (uint32_t x = 0; x < conv->in_w; x++) {
        int16_t *to = cube_pixel(work, plane / 2, y, x) + plane % 2 * 16;

        for (int c = 0; c < 16; c++)
            to[c] = bytes[16 * (size_t)x + c];
    }
}

/* One line of the one-channel mode: the converter subtracts 128. */
static void load_bytes(struct work *work, uint32_t y)
{
    const struct scree_emu_conv *conv = work->conv;
    int64_t at = (int64_t)conv->feature + y * conv->line;
    const int8_t *bytes = bytes_at(work, (uint64_t)at);

    for (uint32_t x = 0; x < conv->in_w; x++)
        cube_pixel(work, 0, y, x)[0] = (int16_t)((uint8_t)bytes[x] - 128);
}

static void load_features(struct work *work)
{
    const struct scree_emu_conv *conv = work->conv;

    for (uint32_t y = 0; y < conv->in_h; y++) {
        if (conv->bytes)
            load_bytes(work, y);
        for (uint32_t p = 0; !conv->bytes && p < conv->in_c / 16; p++)
            load_line(work, p, y);
    }
}

static void load_biases(struct work *work)
{
    const struct scree_emu_conv *conv = work->conv;

    if (conv->bs.alu_from_memory)
        memcpy(work->biases, bytes_at(work, conv->bias), 4 * (size_t)conv->stored);
}

/* Stores 16 channels of a pixel. acc s64[16]. */
static void store(struct work *work, uint32_t surface, uint64_t pixel, const int64_t *acc)
{
    const struct scree_emu_conv *conv = work->conv;
    uint64_t to = scree_emu_conv_surface(conv, surface) + 16 * pixel;
    const int8_t *operand = NULL;
    int8_t out[16];

    if (conv->add.on)
        operand = bytes_at(work, scree_emu_conv_operand(conv, surface) + 16 * pixel);
    scree_emu_dpu(conv, work->rounding, acc, work->biases + 16 * (size_t)surface, operand, out);
    memcpy(work->memory.bytes + (to - work->memory.first), out, 16);
}

/* The input pixel under tap (ky, kx) of output pixel (oy, ox), or NULL in the padding. */
static const int16_t *under(const struct work *work, uint32_t g, uint32_t oy, uint32_t ox,
                            uint32_t ky, uint32_t kx)
{
    const struct scree_emu_conv *conv = work->conv;
    int64_t y = (int64_t)oy * conv->stride_y + ky - conv->top;
    int64_t x = (int64_t)ox * conv->stride_x + kx - conv->left;

    if (y < 0 || y >= conv->in_h || x < 0 || x >= conv->in_w)
        return NULL;
    return cube_pixel(work, g, (uint32_t)y, (uint32_t)x);
}

/* ---- convolution -------------------------------------------------------------------------------
 */

/* Kernels [first, first + n) into rows of `weights`. */
static void load_weights(struct work *work, uint32_t first, uint32_t n)
{
    const struct scree_emu_conv *conv = work->conv;
    const int8_t *from =
        bytes_at(work, conv->weights.iova + (uint64_t)first * conv->weights.per_kernel);

    for (uint32_t g = 0; g < n_groups(work); g++) {
        uint32_t width = group_width(work, g);
        size_t column = (size_t)g * 32 * work->n_taps;

        for (uint32_t tap = 0; tap < work->n_taps; tap++, column += width)
            for (uint32_t j = 0; j < n; j++, from += width)
                for (uint32_t i = 0; i < width; i++)
                    work->weights[j * work->k + column + i] = from[i];
    }
}

/* The features under one output pixel into column[k], in the order of the weights. */
static void gather(const struct work *work, uint64_t pixel, int16_t *column)
{
    const struct scree_emu_conv *conv = work->conv;
    uint32_t oy = (uint32_t)(pixel / conv->out_w), ox = (uint32_t)(pixel % conv->out_w);

    for (uint32_t g = 0; g < n_groups(work); g++) {
        uint32_t width = group_width(work, g);

        for (uint32_t ky = 0; ky < conv->kh; ky++)
            for (uint32_t kx = 0; kx < conv->kw; kx++, column += width) {
                const int16_t *from = under(work, g, oy, ox, ky, kx);

                for (uint32_t i = 0; i < width; i++)
                    column[i] = from ? from[i] : conv->pad;
            }
    }
}

static int32_t sum_block(const int16_t *a, size_t n)
{
    int32_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += a[i];
    return sum;
}

/* acc[j] = a * w_j for four vectors w_j, `stride` apart; n at most BLOCK. */
static void dot_block(const int16_t *restrict a, const int16_t *restrict w, size_t stride, size_t n,
                      int64_t *restrict acc)
{
    const int16_t *w1 = w + stride, *w2 = w1 + stride, *w3 = w2 + stride;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;

    for (size_t i = 0; i < n; i++) {
        s0 += a[i] * w[i];
        s1 += a[i] * w1[i];
        s2 += a[i] * w2[i];
        s3 += a[i] * w3[i];
    }
    acc[0] += s0;
    acc[1] += s1;
    acc[2] += s2;
    acc[3] += s3;
}

/* The accumulators s64[32] of one pixel; the rows of kernels that do not exist are zero. */
static void accumulate(const struct work *work, const int16_t *column, uint32_t n_kernels,
                       int64_t *acc)
{
    int64_t sum = 0;

    memset(acc, 0, SCREE_NPU_KERNEL_GROUP * sizeof acc[0]);
    for (size_t at = 0; at < work->k; at += BLOCK) {
        size_t n = work->k - at < BLOCK ? work->k - at : BLOCK;

        for (uint32_t j = 0; j < n_kernels; j += 4)
            dot_block(column + at, work->weights + j * work->k + at, work->k, n, acc + j);
        sum += sum_block(column + at, n);
    }
    for (uint32_t j = 0; j < n_kernels; j++)
        acc[j] += work->conv->ow_op * sum;
    for (uint32_t j = n_kernels; j < SCREE_NPU_KERNEL_GROUP; j++)
        acc[j] = 0;
}

/* All pixels of kernels [kernel, kernel + n_kernels), which are in `weights`. */
static void run_group(struct work *work, uint32_t kernel, uint32_t n_kernels)
{
    const struct scree_emu_conv *conv = work->conv;
    uint64_t n_pixels = (uint64_t)conv->out_w * conv->out_h;
    uint32_t n_surfaces = conv->stored - kernel > 16 ? 2 : 1;
    int64_t acc[SCREE_NPU_KERNEL_GROUP];

    for (uint64_t pixel = 0; pixel < n_pixels; pixel++) {
        gather(work, pixel, work->column);
        accumulate(work, work->column, n_kernels, acc);
        for (uint32_t s = 0; s < n_surfaces; s++)
            store(work, kernel / 16 + s, pixel, acc + 16 * (size_t)s);
    }
}

static void run_convolution(struct work *work)
{
    const struct scree_emu_conv *conv = work->conv;

    for (uint32_t kernel = 0; kernel < conv->stored; kernel += SCREE_NPU_KERNEL_GROUP) {
        uint32_t left = conv->kernels > kernel ? conv->kernels - kernel : 0;
        uint32_t n = left < SCREE_NPU_KERNEL_GROUP ? left : SCREE_NPU_KERNEL_GROUP;

        if (n > 0)
            load_weights(work, kernel, n);
        run_group(work, kernel, n);
    }
}

/* ---- depthwise ---------------------------------------------------------------------------------
 */

/* The weight s8[16] of a tap for the 16 channels of plane p. */
static const int8_t *tap_weights(const struct work *work, const int8_t *weights, uint32_t p,
                                 uint32_t tap)
{
    uint32_t group = p / 4, rest = work->conv->in_c - 64 * group;
    uint32_t width = rest < 64 ? rest : 64;

    return weights + (size_t)group * 64 * work->n_taps + (size_t)tap * width + p % 4 * 16;
}

static void run_depthwise_pixel(struct work *work, const int8_t *weights, uint32_t p,
                                uint64_t pixel)
{
    const struct scree_emu_conv *conv = work->conv;
    uint32_t oy = (uint32_t)(pixel / conv->out_w), ox = (uint32_t)(pixel % conv->out_w);
    int32_t acc[16] = {0}, sum[16] = {0};
    int64_t wide[16];

    for (uint32_t tap = 0; tap < work->n_taps; tap++) {
        const int16_t *x = under(work, p / 2, oy, ox, tap / conv->kw, tap % conv->kw);
        const int8_t *w = tap_weights(work, weights, p, tap);

        x = x ? x + p % 2 * 16 : NULL;
        for (int c = 0; c < 16; c++) {
            int32_t value = x ? x[c] : conv->pad;

            acc[c] += value * w[c];
            sum[c] += value;
        }
    }
    for (int c = 0; c < 16; c++)
        wide[c] = acc[c] + (int64_t)conv->ow_op * sum[c];
    store(work, p, pixel, wide);
}

static void run_depthwise(struct work *work)
{
    const struct scree_emu_conv *conv = work->conv;
    const int8_t *weights = bytes_at(work, conv->weights.iova);
    uint64_t n_pixels = (uint64_t)conv->out_w * conv->out_h;

    for (uint32_t p = 0; p < (conv->stored + 15) / 16; p++)
        for (uint64_t pixel = 0; pixel < n_pixels; pixel++) {
            static const int64_t nothing[16] = {0};

            if (p < conv->in_c / 16)
                run_depthwise_pixel(work, weights, p, pixel);
            else
                store(work, p, pixel, nothing);
        }
}

int scree_emu_conv_run(const struct scree_emu_conv *conv, struct scree_emu_memory memory,
                       enum scree_emu_rounding rounding, struct scree_error *err)
{
    struct work work;
    int rc = work_init(&work, conv, memory, rounding, err);

    if (rc == 0) {
        load_features(&work);
        load_biases(&work);
        if (conv->depthwise)
            run_depthwise(&work);
        else
            run_convolution(&work);
    }
    work_done(&work);
    return rc;
}
