/* Products of blocks by SMMLA and UMMLA: six rows with sixteen channels. One instruction takes
 * eight bytes of two rows and of two channels, 32 products, into a square of four sums; three pairs
 * of rows with eight pairs of channels are 24 registers of sums. */
#include "kernels/arm/gemm_neon.h"

#define ROWS  6
#define PAIRS 3

/* X(p) for each pair p of rows, n_pairs being a constant wherever this is used. */
#define EACH_PAIR(X)     \
    do {                 \
        X(0);            \
        if (n_pairs > 1) \
            X(1);        \
        if (n_pairs > 2) \
            X(2);        \
    } while (0)

/* [row 0, channel 0], [0, 1], [1, 0], [1, 1] of each pair of channels. */
struct squares {
    int32x4_t v[8];
};

SCREE_GEMM_INLINE int32x4_t multiply(const bool is_u8, int32x4_t sum, uint8x16_t a, uint8x16_t w)
{
    return is_u8 ? vreinterpretq_s32_u32(vmmlaq_u32(vreinterpretq_u32_s32(sum), a, w))
                 : vmmlaq_s32(sum, vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(w));
}

#define MULTIPLY(p) squares[p].v[i] = multiply(is_u8, squares[p].v[i], a[p], weights)
#define LOAD(p)     a[p] = vcombine_u8(vld1_u8(row[2 * p] + k), vld1_u8(row[2 * p + 1] + k))

/* Adds segment s; returns the weights behind it. In the place of a row that is not there the last
 * one is read. */
SCREE_GEMM_INLINE const uint8_t *add_segment(struct squares *squares, const int n_pairs,
                                             const bool is_u8, const struct scree_gemm_block *block,
                                             int32_t s, const uint8_t *w)
{
    const uint8_t *row[ROWS];
    uint8x16_t a[PAIRS];

    for (int32_t r = 0; r < ROWS; r++)
        row[r] = block->a[s * ROWS + (r < block->n_rows ? r : block->n_rows - 1)];
    for (int32_t k = 0; k < block->segment_bytes; k += 8, w += 128) {
        EACH_PAIR(LOAD);
        for (int i = 0; i < 8; i++) {
            uint8x16_t weights = vld1q_u8(w + 16 * i);

            EACH_PAIR(MULTIPLY);
        }
    }
    return w;
}

/* The sums of the upper or lower rows of a pair's squares, less what comes off. */
SCREE_GEMM_INLINE struct scree_gemm_neon_sums take_row(const struct squares *squares, int row,
                                                       const int32_t *bias, int32_t excess)
{
    struct scree_gemm_neon_sums sums;

    for (int i = 0; i < 4; i++) {
        int64x2_t a = vreinterpretq_s64_s32(squares->v[2 * i]);
        int64x2_t b = vreinterpretq_s64_s32(squares->v[2 * i + 1]);
        int32x4_t sum = vreinterpretq_s32_s64(row ? vzip2q_s64(a, b) : vzip1q_s64(a, b));

        sums.v[i] = vaddq_s32(sum, vsubq_s32(vld1q_s32(bias + 4 * i), vdupq_n_s32(excess)));
    }
    return sums;
}

#define START(p) squares[p].v[i] = vdupq_n_s32(0)
#define TAKE(p)                                                                      \
    do {                                                                             \
        sums[2 * p] = take_row(&squares[p], 0, params->bias, excess[2 * p]);         \
        sums[2 * p + 1] = take_row(&squares[p], 1, params->bias, excess[2 * p + 1]); \
    } while (0)

SCREE_GEMM_INLINE void run_panel(const struct scree_gemm_block *block, const int n_pairs,
                                 const bool is_u8, const struct scree_gemm_neon_range *range,
                                 const int32_t *excess, const uint8_t *panel, int32_t c)
{
    const struct scree_gemm_neon_params *params = (const void *)panel;
    const uint8_t *w = panel + sizeof *params;
    struct squares squares[PAIRS];
    struct scree_gemm_neon_sums sums[2 * PAIRS];

    for (int i = 0; i < 8; i++)
        EACH_PAIR(START);
    for (int32_t s = 0; s < block->n_segments; s++)
        w = add_segment(squares, n_pairs, is_u8, block, s, w);
    EACH_PAIR(TAKE);
    scree_gemm_neon_finish_panel(block, params, is_u8, range, c, sums);
}

SCREE_GEMM_INLINE void run_panels(const struct scree_gemm_block *block, const int n_pairs,
                                  const bool is_u8)
{
    const uint8_t *panel = block->panels;
    struct scree_gemm_neon_range range = scree_gemm_neon_range(block->layer);
    int32_t excess[ROWS] = {0};

    if (block->layer->weights_zp != 0)
        scree_gemm_neon_find_excesses(block, ROWS, excess);
    for (int32_t c = 0; c < block->n_channels; c += SCREE_GEMM_NEON_CHANNELS) {
        run_panel(block, n_pairs, is_u8, &range, excess, panel, c);
        panel += block->panel_bytes;
    }
}

SCREE_GEMM_INLINE void run_pairs(const struct scree_gemm_block *block, const bool is_u8)
{
    if (block->n_rows <= 2)
        run_panels(block, 1, is_u8);
    else if (block->n_rows <= 4)
        run_panels(block, 2, is_u8);
    else
        run_panels(block, PAIRS, is_u8);
}

static void run_u8(const struct scree_gemm_block *block)
{
    run_pairs(block, true);
}

static void run_s8(const struct scree_gemm_block *block)
{
    run_pairs(block, false);
}

static void run(const struct scree_gemm_block *block)
{
    if (block->layer->is_u8)
        run_u8(block);
    else
        run_s8(block);
}

const struct scree_gemm_kernel scree_gemm_i8mm = {
    .name = "i8mm",
    .mr = ROWS,
    .nr = SCREE_GEMM_NEON_CHANNELS,
    .kr = 8,
    .channels = SCREE_GEMM_NEON_CHANNELS,
    .params_bytes = sizeof(struct scree_gemm_neon_params),
    .pack_params = scree_gemm_neon_pack,
    .run = run,
};
