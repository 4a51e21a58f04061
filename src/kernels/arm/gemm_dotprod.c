/* Products of blocks by SDOT and UDOT: six rows with sixteen channels, 96 sums of products of four
 * pairs in 24 registers. Sixteen bytes of a row meet four vectors of weights four times: 96
 * products of vectors for 22 loads. */
#include "kernels/arm/gemm_neon.h"

#define ROWS 6

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

/* The rows with a group of weights, four bytes of each: lane `lane`, a literal, of a[]. */
#define ADD_GROUP(lane)                                          \
    for (int i = 0; i < 4; i++) {                                \
        uint8x16_t weights = vld1q_u8(w + 64 * (lane) + 16 * i); \
                                                                 \
        EACH_ROW(MULTIPLY_##lane);                               \
    }
#define MULTIPLY_0(r) sums[r].v[i] = DOT(is_u8, sums[r].v[i], weights, a[r], 0)
#define MULTIPLY_1(r) sums[r].v[i] = DOT(is_u8, sums[r].v[i], weights, a[r], 1)
#define MULTIPLY_2(r) sums[r].v[i] = DOT(is_u8, sums[r].v[i], weights, a[r], 2)
#define MULTIPLY_3(r) sums[r].v[i] = DOT(is_u8, sums[r].v[i], weights, a[r], 3)

#define LOAD_16(r) a[r] = vld1q_u8(rows[r] + k)
#define LOAD_4(r)  a[r] = load_4(rows[r] + k)

/* Four bytes, four times. */
SCREE_GEMM_INLINE uint8x16_t load_4(const uint8_t *from)
{
    uint32_t four;

    memcpy(&four, from, sizeof four);
    return vreinterpretq_u8_u32(vdupq_n_u32(four));
}

/* Adds a segment; returns the weights behind it. */
SCREE_GEMM_INLINE const uint8_t *add_segment(struct scree_gemm_neon_sums *sums, const int n_rows,
                                             const bool is_u8, const uint8_t *const *rows,
                                             int32_t n, const uint8_t *w)
{
    uint8x16_t a[ROWS];
    int32_t k = 0;

    for (; k + 16 <= n; k += 16, w += 256) {
        EACH_ROW(LOAD_16);
        ADD_GROUP(0)
        ADD_GROUP(1)
        ADD_GROUP(2)
        ADD_GROUP(3)
    }
    for (; k < n; k += 4, w += 64) {
        EACH_ROW(LOAD_4);
        ADD_GROUP(0)
    }
    return w;
}

#include "kernels/arm/gemm_rows.h"

SCREE_GEMM_INLINE void run_rows(const struct scree_gemm_block *block, const bool is_u8)
{
    switch (block->n_rows) {
    case 1:
        run_panels(block, 1, is_u8);
        break;
    case 2:
        run_panels(block, 2, is_u8);
        break;
    case 3:
        run_panels(block, 3, is_u8);
        break;
    case 4:
        run_panels(block, 4, is_u8);
        break;
    case 5:
        run_panels(block, 5, is_u8);
        break;
    default:
        run_panels(block, ROWS, is_u8);
        break;
    }
}

static void run_u8(const struct scree_gemm_block *block)
{
    run_rows(block, true);
}

static void run_s8(const struct scree_gemm_block *block)
{
    run_rows(block, false);
}

static void run(const struct scree_gemm_block *block)
{
    if (block->layer->is_u8)
        run_u8(block);
    else
        run_s8(block);
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
