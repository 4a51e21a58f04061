/* Products of blocks on any AArch64: four rows with sixteen channels. Bytes are widened to 16 bits;
 * a vector of four weights times a lane of a row is one SMLAL, four products. Eight bytes of a row
 * meet their weights in 128 SMLAL, with 16 widenings of weights. */
#include "kernels/arm/gemm_neon.h"

#define ROWS 4
#define STEP 8

/* X(r) for each row r < n_rows, which is a constant wherever this is used. */
#define EACH_ROW(X)     \
    do {                \
        X(0);           \
        if (n_rows > 1) \
            X(1);       \
        if (n_rows > 2) \
            X(2);       \
        if (n_rows > 3) \
            X(3);       \
    } while (0)

SCREE_GEMM_INLINE int16x8_t widen(const bool is_u8, uint8x8_t x)
{
    return is_u8 ? vreinterpretq_s16_u16(vmovl_u8(x)) : vmovl_s8(vreinterpret_s8_u8(x));
}

/* The sixteen weights of one k with an element of each row's a: lane `lane`, a literal. */
#define ADD_LANE(lane)                                      \
    do {                                                    \
        uint8x16_t bytes = vld1q_u8(w + 16 * (lane));       \
        int16x8_t low = widen(is_u8, vget_low_u8(bytes));   \
        int16x8_t high = widen(is_u8, vget_high_u8(bytes)); \
                                                            \
        EACH_ROW(MULTIPLY_##lane);                          \
    } while (0)
#define MULTIPLY(r, lane)                                                             \
    do {                                                                              \
        sums[r].v[0] = vmlal_laneq_s16(sums[r].v[0], vget_low_s16(low), a[r], lane);  \
        sums[r].v[1] = vmlal_high_laneq_s16(sums[r].v[1], low, a[r], lane);           \
        sums[r].v[2] = vmlal_laneq_s16(sums[r].v[2], vget_low_s16(high), a[r], lane); \
        sums[r].v[3] = vmlal_high_laneq_s16(sums[r].v[3], high, a[r], lane);          \
    } while (0)
#define MULTIPLY_0(r) MULTIPLY(r, 0)
#define MULTIPLY_1(r) MULTIPLY(r, 1)
#define MULTIPLY_2(r) MULTIPLY(r, 2)
#define MULTIPLY_3(r) MULTIPLY(r, 3)
#define MULTIPLY_4(r) MULTIPLY(r, 4)
#define MULTIPLY_5(r) MULTIPLY(r, 5)
#define MULTIPLY_6(r) MULTIPLY(r, 6)
#define MULTIPLY_7(r) MULTIPLY(r, 7)

#define LOAD_8(r) a[r] = widen(is_u8, vld1_u8(rows[r] + k))
#define LOAD_1(r) a[r] = widen(is_u8, vdup_n_u8(rows[r][k]))

/* Adds n bytes of the rows, a multiple of STEP and not 0; returns the weights behind them. */
SCREE_GEMM_INLINE const uint8_t *add_steps(struct scree_gemm_neon_sums *sums, const int n_rows,
                                           const bool is_u8, const uint8_t *const *rows, int32_t n,
                                           const uint8_t *w)
{
    int16x8_t a[ROWS];
    size_t k = 0;

    do {
        EACH_ROW(LOAD_8);
        ADD_LANE(0);
        ADD_LANE(1);
        ADD_LANE(2);
        ADD_LANE(3);
        ADD_LANE(4);
        ADD_LANE(5);
        ADD_LANE(6);
        ADD_LANE(7);
        k += STEP;
        w += 128;
    } while (k < (size_t)n);
    return w;
}

/* Adds bytes [k, n). */
SCREE_GEMM_INLINE const uint8_t *add_rest(struct scree_gemm_neon_sums *sums, const int n_rows,
                                          const bool is_u8, const uint8_t *const *rows, int32_t k,
                                          int32_t n, const uint8_t *w)
{
    int16x8_t a[ROWS];

    for (; k < n; k++, w += 16) {
        EACH_ROW(LOAD_1);
        ADD_LANE(0);
    }
    return w;
}

#include "kernels/arm/gemm_rows.h"

RUN_ROWS(1)
RUN_ROWS(2)
RUN_ROWS(3)
RUN_ROWS(4)

static void run(const struct scree_gemm_block *block)
{
    static void (*const runs[ROWS])(const struct scree_gemm_block *, bool) = {run_1, run_2, run_3,
                                                                              run_4};

    runs[block->n_rows - 1](block, block->layer->is_u8);
}

const struct scree_gemm_kernel scree_gemm_neon = {
    .name = "neon",
    .mr = ROWS,
    .nr = SCREE_GEMM_NEON_CHANNELS,
    .kr = 1,
    .channels = SCREE_GEMM_NEON_CHANNELS,
    .params_bytes = sizeof(struct scree_gemm_neon_params),
    .pack_params = scree_gemm_neon_pack,
    .run = run,
};
