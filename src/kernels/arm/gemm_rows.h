/* kernels/arm/gemm_rows.h - a block of rows with its panels: what gemm_neon.c and gemm_dotprod.c
 * share behind the way they add products. Included by them after ROWS, STEP, EACH_ROW(X), which is
 * X(r) for each row r < n_rows, and
 *
 *     add_steps(sums, n_rows, is_u8, rows, n, w)       n is a multiple of STEP
 *     add_rest(sums, n_rows, is_u8, rows, k, n, w)
 *
 * which add the products of bytes [0, n) and [k, n) of the rows with the weights at w, and return
 * the weights behind these. n_rows and is_u8 are constants wherever they are used, so each number
 * of rows and each type has a loop of its own, with all sums in registers. */
#include "kernels/arm/gemm_neon.h"

#define START(r) sums[r].v[i] = vsubq_s32(bias, vld1q_dup_s32(excess + (r)))
#define KEEP(r)  kept[r] = sums[r]

#define ZERO(r) found[r] = vdupq_n_u32(0)
#define SUM(r)  found[r] = scree_gemm_neon_add_bytes(found[r], vld1q_u8(block->a[r] + k), is_u8)
#define TAKE(r) ret[r] = (int32_t)(zp * vaddvq_u32(found[r]))

/* As scree_gemm_neon_find_excesses(), for rows of one segment, of a multiple of 16 bytes. */
SCREE_GEMM_INLINE void find_excesses(const struct scree_gemm_block *block, const int n_rows,
                                     const bool is_u8, int32_t *ret)
{
    uint32_t zp = (uint32_t)block->layer->weights_zp;
    uint32x4_t found[ROWS];

    EACH_ROW(ZERO);
    for (size_t k = 0; k < (size_t)block->segment_bytes; k += 16)
        EACH_ROW(SUM);
    EACH_ROW(TAKE);
}

/* whole: rows are one segment, of a multiple of 16 bytes. */
SCREE_GEMM_INLINE void run_panel(const struct scree_gemm_block *block, const int n_rows,
                                 const bool is_u8, const bool whole, const int32_t *excess,
                                 const uint8_t *panel, struct scree_gemm_neon_sums *kept)
{
    const struct scree_gemm_neon_params *params = (const void *)panel;
    const uint8_t *w = panel + sizeof *params, *const *rows = block->a;
    struct scree_gemm_neon_sums sums[ROWS];
    int32_t n = block->segment_bytes, steps = n & -STEP;

    for (int i = 0; i < 4; i++) {
        int32x4_t bias = vld1q_s32(params->bias + 4 * i);

        EACH_ROW(START);
    }
    if (whole)
        add_steps(sums, n_rows, is_u8, rows, n, w);
    for (int32_t s = 0; !whole && s < block->n_segments; s++, rows += ROWS) {
        if (steps > 0)
            w = add_steps(sums, n_rows, is_u8, rows, steps, w);
        w = add_rest(sums, n_rows, is_u8, rows, steps, n, w);
    }
    EACH_ROW(KEEP);
}

SCREE_GEMM_INLINE void run_panels(const struct scree_gemm_block *block, const int n_rows,
                                  const bool is_u8, const bool whole)
{
    const uint8_t *panel = block->panels;
    struct scree_gemm_neon_range range = scree_gemm_neon_range(block->layer);
    struct scree_gemm_neon_sums sums[ROWS];
    int32_t excess[ROWS] = {0};

    if (block->layer->weights_zp != 0 && whole)
        find_excesses(block, n_rows, is_u8, excess);
    else if (block->layer->weights_zp != 0)
        scree_gemm_neon_find_excesses(block, ROWS, excess);
    for (int32_t c = 0; c < block->n_channels; c += SCREE_GEMM_NEON_CHANNELS) {
        run_panel(block, n_rows, is_u8, whole, excess, panel, sums);
        scree_gemm_neon_finish_panel(block, (const void *)panel, is_u8, &range, c, sums);
        panel += block->panel_bytes;
    }
}

static inline bool is_whole(const struct scree_gemm_block *block)
{
    return block->n_segments == 1 && block->segment_bytes > 0 && block->segment_bytes % 16 == 0;
}

/* The functions for n_rows rows. */
#define RUN_ROWS(n_rows)                                                       \
    static void run_##n_rows(const struct scree_gemm_block *block, bool is_u8) \
    {                                                                          \
        if (is_u8 && is_whole(block))                                          \
            run_panels(block, n_rows, true, true);                             \
        else if (is_u8)                                                        \
            run_panels(block, n_rows, true, false);                            \
        else if (is_whole(block))                                              \
            run_panels(block, n_rows, false, true);                            \
        else                                                                   \
            run_panels(block, n_rows, false, false);                           \
    }
