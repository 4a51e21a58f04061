/* The definition of struct scree_gemm_kernel: panels of one channel, rows widened to 16 bits, sums
 * by kernels/product.h. */
#include "kernels/gemm.h"

#include <string.h>

#include "base/checked.h"
#include "kernels/product.h"

/* The constants of a panel. */
struct params {
    struct scree_multiplier multiplier;
    double factor;
    int32_t bias;
};

/* Constants of the channels that are computed at once, beside each other. */
struct constants {
    struct scree_multiplier multipliers[SCREE_PRODUCT_CHANNELS];
    double factors[SCREE_PRODUCT_CHANNELS];
    int32_t bias[SCREE_PRODUCT_CHANNELS];
};

/* Sums of a block of rows with those channels, modulo 2^32. */
struct totals {
    uint32_t sum[SCREE_PRODUCT_ROWS][SCREE_PRODUCT_CHANNELS];
};

static bool pack_params(void *params, const struct scree_gemm_layer *layer,
                        const struct scree_gemm_channel *channels, int32_t n)
{
    const struct params packed = {channels->multiplier, channels->factor, channels->bias};

    (void)layer;
    (void)n;
    memcpy(params, &packed, sizeof packed);
    return true;
}

static void load_constants(struct constants *constants, const struct scree_gemm_block *block,
                           int32_t c, int32_t n)
{
    for (int32_t j = 0; j < n; j++) {
        struct params params;

        memcpy(&params, block->panels + (size_t)(c + j) * block->panel_bytes, sizeof params);
        constants->multipliers[j] = params.multiplier;
        constants->factors[j] = params.factor;
        constants->bias[j] = params.bias;
    }
}

static void widen(const struct scree_gemm_layer *layer, int16_t *to, const uint8_t *from, size_t n)
{
    if (layer->is_u8)
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    else
        for (size_t i = 0; i < n; i++)
            to[i] = (int8_t)from[i];
}

/* Lays the segments of row r behind each other, widened. */
static void widen_row(const struct scree_gemm_block *block, int32_t r, int16_t *to)
{
    size_t n = (size_t)block->segment_bytes;

    for (int32_t s = 0; s < block->n_segments; s++, to += n)
        widen(block->layer, to, block->a[s * SCREE_PRODUCT_ROWS + r], n);
}

/* Adds elements [k, k + n) of the rows, at `rows`, times those of the channels. */
static void add_piece(struct totals *totals, const struct scree_gemm_block *block,
                      const int16_t *rows, int32_t c, int32_t n_channels, size_t k, size_t n)
{
    struct scree_product_rows piece;
    struct scree_product_sums sums;
    const uint8_t *weights = block->panels + (size_t)c * block->panel_bytes +
                             scree_gemm_c.params_bytes + k;

    for (int32_t r = 0; r < block->n_rows; r++)
        memcpy(piece.x[r], rows + (size_t)r * block->depth + k, n * sizeof *rows);
    scree_product_s32(&sums, &piece, block->n_rows, weights, block->panel_bytes, n_channels, n, 0);
    for (int32_t r = 0; r < block->n_rows; r++) {
        int32_t sum = scree_sum_s16(piece.x[r], n);
        uint32_t excess = (uint32_t)sum * (uint32_t)block->layer->weights_zp;

        for (int32_t j = 0; j < n_channels; j++)
            totals->sum[r][j] += (uint32_t)sums.sum[r][j] - excess;
    }
}

/* Outputs of channels [c, c + n). */
static void store(const struct scree_gemm_block *block, const struct totals *totals, int32_t c,
                  int32_t n)
{
    const struct scree_gemm_layer *layer = block->layer;
    struct constants constants;
    struct scree_conv_quant quant = {
        .output_zp = layer->output_zp,
        .min = layer->min,
        .max = layer->max,
        .multipliers = constants.multipliers,
        .factors = layer->by_factor ? constants.factors : NULL,
        .multiplier_stride = 1,
    };
    int32_t values[SCREE_PRODUCT_CHANNELS];

    if (layer->sums) {
        for (int32_t r = 0; r < block->n_rows; r++)
            memcpy(block->out[r] + (size_t)c * sizeof(uint32_t), totals->sum[r],
                   (size_t)n * sizeof(uint32_t));
        return;
    }
    load_constants(&constants, block, c, n);
    for (int32_t r = 0; r < block->n_rows; r++) {
        scree_requantize_row(&quant, totals->sum[r], constants.bias, 0, n, values);
        for (int32_t j = 0; j < n; j++)
            block->out[r][c + j] = (uint8_t)values[j];
    }
}

static void run(const struct scree_gemm_block *block)
{
    int16_t *rows = block->scratch;

    for (int32_t r = 0; r < block->n_rows; r++)
        widen_row(block, r, rows + (size_t)r * block->depth);
    for (int32_t c = 0; c < block->n_channels; c += SCREE_PRODUCT_CHANNELS) {
        int32_t n = scree_min_i32(block->n_channels - c, SCREE_PRODUCT_CHANNELS);
        struct totals totals = {0};

        for (size_t k = 0; k < block->depth; k += SCREE_PRODUCT_DEPTH) {
            size_t rest = block->depth - k;

            add_piece(&totals, block, rows, c, n, k,
                      rest < SCREE_PRODUCT_DEPTH ? rest : SCREE_PRODUCT_DEPTH);
        }
        store(block, &totals, c, n);
    }
}

const struct scree_gemm_kernel scree_gemm_c = {
    .name = "c",
    .mr = SCREE_PRODUCT_ROWS,
    .nr = 1,
    .kr = 1,
    .flip_u8 = 0x80,
    .channels = SCREE_PRODUCT_CHANNELS,
    .params_bytes = sizeof(struct params),
    .row_scratch = sizeof(int16_t),
    .pack_params = pack_params,
    .run = run,
};
