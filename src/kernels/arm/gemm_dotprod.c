/* Products of blocks by SDOT and UDOT: six rows with sixteen channels, 96 sums of products of four
 * pairs in 24 registers. Sixteen bytes of a row meet four vectors of weights four times: 96
 * products of vectors for 22 loads. */
#include "kernels/arm/gemm_neon.h"

#define ROWS 6
#define STEP 16

/* X(r) for each row r < n_rows, which is a constant wherever this is used. Written out, since
 * clang 14 unrolls loops only after it has put arrays into memory. */
#define EACH_ROW(X)     \
    do {                \
        X(0);           \
        if (n_rows > 1) \
            X(1);       \
        if (n_rows > 2) \
            X(2);       \
        if (n_rows > 3) \
            X(3);       \
        if (n_rows > 4) \
            X(4);       \
        if (n_rows > 5) \
            X(5);       \
    } while (0)

/* One vector of four channels times a lane of a row's bytes, by type. */
#define DOT(is_u8, sum, w, a, lane)                                                             \
    ((is_u8)                                                                                    \
         ? vreinterpretq_s32_u32(vdotq_laneq_u32(vreinterpretq_u32_s32(sum), (w), (a), (lane))) \
         : vdotq_laneq_s32((sum), vreinterpretq_s8_u8(w), vreinterpretq_s8_u8(a), (lane)))

/* The rows with a group of weights, four bytes of each: lane `lane`, a literal, of a[]. Weights are
 * loaded in pairs, which one instruction does. */
#define ADD_GROUP(lane)                                          \
    for (int i = 0; i < 4; i += 2) {                             \
        uint8x16_t w0 = vld1q_u8(w + 64 * (lane) + 16 * i);      \
        uint8x16_t w1 = vld1q_u8(w + 64 * (lane) + 16 * i + 16); \
                                                                 \
        EACH_ROW(MULTIPLY_##lane);                               \
    }
#define MULTIPLY(r, lane)                                                \
    do {                                                                 \
        sums[r].v[i] = DOT(is_u8, sums[r].v[i], w0, a[r], lane);         \
        sums[r].v[i + 1] = DOT(is_u8, sums[r].v[i + 1], w1, a[r], lane); \
    } while (0)
#define MULTIPLY_0(r) MULTIPLY(r, 0)
#define MULTIPLY_1(r) MULTIPLY(r, 1)
#define MULTIPLY_2(r) MULTIPLY(r, 2)
#define MULTIPLY_3(r) MULTIPLY(r, 3)

#define LOAD_16(r) a[r] = vld1q_u8(rows[r] + k)
#define LOAD_4(r)  a[r] = load_4(rows[r] + k)

/* Four bytes, four times. */
SCREE_GEMM_INLINE uint8x16_t load_4(const uint8_t *from)
{
    uint32_t four;

    memcpy(&four, from, sizeof four);
    return vreinterpretq_u8_u32(vdupq_n_u32(four));
}

/* Adds n bytes of the rows, a multiple of STEP and not 0; returns the weights behind them. */
SCREE_GEMM_INLINE const uint8_t *add_steps(struct scree_gemm_neon_sums *sums, const int n_rows,
                                           const bool is_u8, const uint8_t *const *rows, int32_t n,
                                           const uint8_t *w)
{
    uint8x16_t a[ROWS];
    size_t k = 0;

    do {
        EACH_ROW(LOAD_16);
        ADD_GROUP(0)
        ADD_GROUP(1)
        ADD_GROUP(2)
        ADD_GROUP(3)
        k += STEP;
        w += 256;
    } while (k < (size_t)n);
    return w;
}

/* Adds bytes [k, n). */
SCREE_GEMM_INLINE const uint8_t *add_rest(struct scree_gemm_neon_sums *sums, const int n_rows,
                                          const bool is_u8, const uint8_t *const *rows, int32_t k,
                                          int32_t n, const uint8_t *w)
{
    uint8x16_t a[ROWS];

    for (; k < n; k += 4, w += 64) {
        EACH_ROW(LOAD_4);
        ADD_GROUP(0)
    }
    return w;
}

#include "kernels/arm/gemm_rows.h"

RUN_ROWS(1)
RUN_ROWS(2)
RUN_ROWS(3)
RUN_ROWS(4)
RUN_ROWS(5)
RUN_ROWS(6)

static void run(const struct scree_gemm_block *block)
{
    static void (*const runs[ROWS])(const struct scree_gemm_block *, bool) = {run_1, run_2, run_3,
                                                                              run_4, run_5, run_6};

    runs[block->n_rows - 1](block, block->layer->is_u8);
}

const struct scree_gemm_kernel scree_gemm_dotprod = {
    .name = "dotprod",
    .mr = ROWS,
    .nr = SCREE_GEMM_NEON_CHANNELS,
    .kr = 4,
    .channels = SCREE_GEMM_NEON_CHANNELS,
    .params_bytes = sizeof(struct scree_gemm_neon_params),
    .pack_params = scree_gemm_neon_pack,
    .run = run,
};
