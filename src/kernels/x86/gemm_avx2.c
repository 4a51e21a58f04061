/* Blocks by VPMADDWD: pairs of bytes, widened to 16 bits. Its sibling for bytes, VPMADDUBSW, would
 * saturate. Rows are widened once for all panels, and laid out without gaps; weights at each use,
 * which is once for six rows. */
#include "kernels/kernels.h"
#include "kernels/x86/vec256.h"
/* over these vectors */
#include "kernels/x86/gemm_256.h"

GEMM_INLINE vec widen(__m128i bytes, const bool is_u8)
{
    return is_u8 ? _mm256_cvtepu8_epi16(bytes) : _mm256_cvtepi8_epi16(bytes);
}

/* The first n of 16 bytes, n in [1, 16], and zeros. */
GEMM_INLINE __m128i load_first(const uint8_t *from, size_t n)
{
    uint8_t bytes[16] = {0};

    memcpy(bytes, from, n);
    return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

/* Widens a segment of n bytes to `to`, which has room for multiples of 16 numbers; adds them up. */
GEMM_INLINE vec widen_segment(vec sum, int16_t *to, const uint8_t *from, size_t n, const bool is_u8)
{
    const vec ones = v_set16(1);

    for (; n >= 16; n -= 16, from += 16, to += 16) {
        vec x = widen(_mm_loadu_si128((const __m128i *)(const void *)from), is_u8);

        v_store(to, x);
        sum = v_add32(sum, _mm256_madd_epi16(x, ones));
    }
    if (n > 0) {
        vec x = widen(load_first(from, n), is_u8);

        v_store(to, x);
        sum = v_add32(sum, _mm256_madd_epi16(x, ones));
    }
    return sum;
}

/* Widens row r; returns the sum of its bytes. What a segment writes behind its end, the next one or
 * the next row writes over. */
GEMM_INLINE int32_t widen_row(const struct scree_gemm_block *block, int32_t r, int16_t *to,
                              const bool is_u8)
{
    size_t n = (size_t)block->segment_bytes, padded = (n + 1) / 2 * 2;
    vec sum = v_set32(0);
    __m128i half;

    for (int32_t s = 0; s < block->n_segments; s++, to += padded)
        sum = widen_segment(sum, to, block->a[s * GEMM_ROWS + r], n, is_u8);
    half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}

GEMM_INLINE vec load_weights(const uint8_t *weights)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)weights));
}

/* The sums of a block of `rows` rows, a constant, with a panel. a: rows of depth numbers; terms:
 * what is added in each row. */
GEMM_INLINE void multiply(const int16_t *a, size_t depth, const uint8_t *panel,
                          const int32_t *terms, struct gemm_sums *ret, const int rows)
{
    const struct gemm_params *params = (const void *)panel;
    const uint8_t *weights = panel + sizeof *params;
    vec sums[GEMM_ROWS][2];

    GEMM_UNROLL
    for (int r = 0; r < rows; r++) {
        sums[r][0] = v_add32(v_load(params->bias), v_set32(terms[r]));
        sums[r][1] = v_add32(v_load(params->bias + VEC_LANES), v_set32(terms[r]));
    }
    for (size_t k = 0; k < depth; k += 2, weights += 2 * GEMM_CHANNELS) {
        vec w0 = load_weights(weights), w1 = load_weights(weights + GEMM_CHANNELS);

        GEMM_UNROLL
        for (int r = 0; r < rows; r++) {
            int32_t pair;
            vec x;

            memcpy(&pair, a + (size_t)r * depth + k, sizeof pair);
            x = v_set32(pair);
            sums[r][0] = v_add32(sums[r][0], _mm256_madd_epi16(x, w0));
            sums[r][1] = v_add32(sums[r][1], _mm256_madd_epi16(x, w1));
        }
    }
    GEMM_UNROLL
    for (int r = 0; r < rows; r++) {
        ret->v[r][0] = sums[r][0];
        ret->v[r][1] = sums[r][1];
    }
}

typedef void multiply_fn(const int16_t *a, size_t depth, const uint8_t *panel, const int32_t *terms,
                         struct gemm_sums *ret);

#define DEFINE(rows)                                                                  \
    static void multiply_##rows(const int16_t *a, size_t depth, const uint8_t *panel, \
                                const int32_t *terms, struct gemm_sums *ret)          \
    {                                                                                 \
        multiply(a, depth, panel, terms, ret, rows);                                  \
    }

DEFINE(1)
DEFINE(2)
DEFINE(3)
DEFINE(4)
DEFINE(5)
DEFINE(6)

static multiply_fn *const multiply_fns[GEMM_ROWS] = {multiply_1, multiply_2, multiply_3,
                                                     multiply_4, multiply_5, multiply_6};

static void run(const struct scree_gemm_block *block)
{
    const struct scree_gemm_layer *layer = block->layer;
    multiply_fn *fn = multiply_fns[block->n_rows - 1];
    const uint8_t *panel = block->panels;
    int16_t *rows = block->scratch;
    int32_t terms[GEMM_ROWS] = {0};
    struct gemm_sums sums;

    for (int32_t r = 0; r < block->n_rows; r++) {
        int16_t *to = rows + (size_t)r * block->depth;
        int32_t sum = layer->is_u8 ? widen_row(block, r, to, true) : widen_row(block, r, to, false);

        terms[r] = -layer->weights_zp * sum;
    }
    for (int32_t c = 0; c < block->n_channels; c += GEMM_CHANNELS, panel += block->panel_bytes) {
        fn(rows, block->depth, panel, terms, &sums);
        gemm_store(block, (const void *)panel, &sums, c);
    }
}

const struct scree_gemm_kernel scree_gemm_avx2 = {
    .name = "avx2",
    .mr = GEMM_ROWS,
    .nr = GEMM_CHANNELS,
    .kr = 2,
    .flip_u8 = 0x80,
    .channels = GEMM_CHANNELS,
    .params_bytes = sizeof(struct gemm_params),
    .row_scratch = sizeof(int16_t),
    .pack_params = gemm_pack_params,
    .run = run,
};
