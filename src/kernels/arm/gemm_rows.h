/* kernels/arm/gemm_rows.h - a block of rows with its panels: what gemm_neon.c and gemm_dotprod.c
 * share behind the way they add products. Included by them after ROWS, EACH_ROW(X), which is X(r)
 * for each row r < n_rows, and
 *
 *     add_segment(sums, n_rows, is_u8, rows, n, w)
 *
 * which adds the products of n bytes of the rows with the weights at w, and returns the weights
 * behind these. n_rows and is_u8 are constants wherever they are used, so each number of rows and
 * each type has a loop of its own, with all sums in registers. */
#include "kernels/arm/gemm_neon.h"

#define START(r)       sums[r].v[i] = vsubq_s32(bias, excess[r])
#define STORE(r)       scree_gemm_neon_finish(block, params, is_u8, range, r, c, sums[r])
#define STORE_SHORT(r) scree_gemm_neon_finish_short(block, params, is_u8, range, r, c, sums[r])

SCREE_GEMM_INLINE void run_panel(const struct scree_gemm_block *block, const int n_rows,
                                 const bool is_u8, struct scree_gemm_neon_range range,
                                 const int32x4_t *excess, const uint8_t *panel, int32_t c)
{
    const struct scree_gemm_neon_params *params = (const void *)panel;
    const uint8_t *w = panel + sizeof *params;
    struct scree_gemm_neon_sums sums[ROWS];

    for (int i = 0; i < 4; i++) {
        int32x4_t bias = vld1q_s32(params->bias + 4 * i);

        EACH_ROW(START);
    }
    for (int32_t s = 0; s < block->n_segments; s++)
        w = add_segment(sums, n_rows, is_u8, block->a + s * ROWS, block->segment_bytes, w);
    if (scree_gemm_neon_is_short(block, params, c))
        EACH_ROW(STORE_SHORT);
    else
        EACH_ROW(STORE);
}

SCREE_GEMM_INLINE void run_panels(const struct scree_gemm_block *block, const int n_rows,
                                  const bool is_u8)
{
    const uint8_t *panel = block->panels;
    struct scree_gemm_neon_range range = scree_gemm_neon_range(block->layer);
    int32x4_t excess[ROWS];

    scree_gemm_neon_excesses(block, ROWS, is_u8, excess);
    for (int32_t c = 0; c < block->n_channels; c += SCREE_GEMM_NEON_CHANNELS) {
        run_panel(block, n_rows, is_u8, range, excess, panel, c);
        panel += block->panel_bytes;
    }
}
