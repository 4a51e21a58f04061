/* Blocks by the 256-bit VPDPBUSD. Of uint8 layers activations are its unsigned bytes, of int8
 * layers weights, as in gemm_avx512vnni.c. */
#include "kernels/kernels.h"
#include "kernels/x86/vec256.h"
/* over these vectors */
#include "kernels/x86/gemm_256.h"

/* Adds products of 4 bytes in each lane. */
GEMM_INLINE vec add_products(vec sum, vec a, vec w, const bool is_u8)
{
    return is_u8 ? v_dot(sum, a, w) : v_dot(sum, w, a);
}

/* The first n of 32 bytes, n in [1, 32], and zeros. */
GEMM_INLINE vec load_first(const uint8_t *from, size_t n)
{
    uint8_t bytes[VEC_BYTES] = {0};

    memcpy(bytes, from, n);
    return v_load(bytes);
}

/* The sum of row r. */
GEMM_INLINE int32_t sum_row(const struct scree_gemm_block *block, int32_t r, const bool is_u8)
{
    const vec ones = _mm256_set1_epi8(1);
    size_t n = (size_t)block->segment_bytes, full = n / VEC_BYTES * VEC_BYTES;
    vec sum = v_set32(0);
    __m128i half;

    for (int32_t s = 0; s < block->n_segments; s++) {
        const uint8_t *a = block->a[s * GEMM_ROWS + r];

        for (size_t k = 0; k < full; k += VEC_BYTES)
            sum = add_products(sum, v_load(a + k), ones, is_u8);
        if (full < n)
            sum = add_products(sum, load_first(a + full, n - full), ones, is_u8);
    }
    half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}

/* The sums of a block of `rows` rows, a constant, with a panel. terms: what is added in each row.
 */
GEMM_INLINE void multiply(const struct scree_gemm_block *block, const uint8_t *panel,
                          const int32_t *terms, struct gemm_sums *ret, const int rows,
                          const bool is_u8)
{
    const struct gemm_params *params = (const void *)panel;
    const uint8_t *weights = panel + sizeof *params;
    size_t bytes = ((size_t)block->segment_bytes + 3) / 4 * 4;
    const uint8_t *const *a = block->a;
    vec sums[GEMM_ROWS][2];

    GEMM_UNROLL
    for (int r = 0; r < rows; r++) {
        sums[r][0] = v_add32(v_load(params->bias), v_set32(terms[r]));
        sums[r][1] = v_add32(v_load(params->bias + VEC_LANES), v_set32(terms[r]));
    }
    for (int32_t s = 0; s < block->n_segments; s++, a += GEMM_ROWS)
        for (size_t k = 0; k < bytes; k += 4, weights += 2 * VEC_BYTES) {
            vec w0 = v_load(weights), w1 = v_load(weights + VEC_BYTES);

            GEMM_UNROLL
            for (int r = 0; r < rows; r++) {
                int32_t four;
                vec x;

                memcpy(&four, a[r] + k, sizeof four);
                x = v_set32(four);
                sums[r][0] = add_products(sums[r][0], x, w0, is_u8);
                sums[r][1] = add_products(sums[r][1], x, w1, is_u8);
            }
        }
    GEMM_UNROLL
    for (int r = 0; r < rows; r++) {
        ret->v[r][0] = sums[r][0];
        ret->v[r][1] = sums[r][1];
    }
}

typedef void multiply_fn(const struct scree_gemm_block *block, const uint8_t *panel,
                         const int32_t *terms, struct gemm_sums *ret);

#define DEFINE(rows)                                                                             \
    static void multiply_##rows##_s8(const struct scree_gemm_block *block, const uint8_t *panel, \
                                     const int32_t *terms, struct gemm_sums *ret)                \
    {                                                                                            \
        multiply(block, panel, terms, ret, rows, false);                                         \
    }                                                                                            \
    static void multiply_##rows##_u8(const struct scree_gemm_block *block, const uint8_t *panel, \
                                     const int32_t *terms, struct gemm_sums *ret)                \
    {                                                                                            \
        multiply(block, panel, terms, ret, rows, true);                                          \
    }

DEFINE(1)
DEFINE(2)
DEFINE(3)
DEFINE(4)
DEFINE(5)
DEFINE(6)

/* [rows - 1][is_u8] */
static multiply_fn *const multiply_fns[GEMM_ROWS][2] = {
    {multiply_1_s8, multiply_1_u8}, {multiply_2_s8, multiply_2_u8}, {multiply_3_s8, multiply_3_u8},
    {multiply_4_s8, multiply_4_u8}, {multiply_5_s8, multiply_5_u8}, {multiply_6_s8, multiply_6_u8},
};

static void run(const struct scree_gemm_block *block)
{
    const struct scree_gemm_layer *layer = block->layer;
    multiply_fn *fn = multiply_fns[block->n_rows - 1][layer->is_u8];
    const uint8_t *panel = block->panels;
    int32_t terms[GEMM_ROWS] = {0};
    struct gemm_sums sums;

    for (int32_t r = 0; layer->weights_zp != 0 && r < block->n_rows; r++)
        terms[r] = -layer->weights_zp *
                   (layer->is_u8 ? sum_row(block, r, true) : sum_row(block, r, false));
    for (int32_t c = 0; c < block->n_channels; c += GEMM_CHANNELS, panel += block->panel_bytes) {
        fn(block, panel, terms, &sums);
        gemm_store(block, (const void *)panel, &sums, c);
    }
}

const struct scree_gemm_kernel scree_gemm_avxvnni = {
    .name = "avxvnni",
    .mr = GEMM_ROWS,
    .nr = GEMM_CHANNELS,
    .kr = 4,
    .flip_u8 = 0x80,
    .flip_s8 = 0x80,
    .channels = GEMM_CHANNELS,
    .params_bytes = sizeof(struct gemm_params),
    .pack_params = gemm_pack_params,
    .run = run,
};
