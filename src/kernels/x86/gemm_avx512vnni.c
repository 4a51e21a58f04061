/* Blocks of up to 14 rows by 32 channels: 28 sums in registers, which leave two for weights and one
 * for activations. Each step loads two vectors of weights, and of each row 4 bytes to all lanes. A
 * last panel of 16 channels goes by itself.
 *
 * VPDPBUSD multiplies unsigned by signed bytes: of uint8 layers activations are the unsigned ones,
 * of int8 layers weights. Either way weights have a zero point, 128 or near it, so that sums of the
 * rows are wanted: once for each block.
 *
 * Sums go to memory and come back for requantization; that keeps the code of the 56 shapes of a
 * block small, and takes little time beside the multiplications that requantization needs. */
#include <string.h>

#include "kernels/gemm_lanes.h"
#include "kernels/kernels.h"
#include "kernels/x86/requantize_avx512.h"

#define ROWS   14
#define INLINE static inline __attribute__((always_inline))

/* Sums of a block of rows with two panels. */
struct sums {
    __m512i v[ROWS + 2][2];
};

/* ---- products ----------------------------------------------------------------------------------
 */

/* 4 activations, to all lanes. */
INLINE __m512i broadcast(const uint8_t *a)
{
    int32_t x;

    memcpy(&x, a, sizeof x);
    return _mm512_set1_epi32(x);
}

INLINE __m512i add_products(__m512i sum, __m512i a, __m512i w, bool is_u8)
{
    return is_u8 ? _mm512_dpbusd_epi32(sum, a, w) : _mm512_dpbusd_epi32(sum, w, a);
}

/* The sums of a block with the panels at `weights` and, of two panels, `stride` behind. rows,
 * panels and is_u8 are constants wherever this is used. */
INLINE void multiply(const struct scree_gemm_block *block, const uint8_t *weights, struct sums *ret,
                     const int rows, const int panels, const bool is_u8)
{
    size_t bytes = ((size_t)block->segment_bytes + 3) / 4 * 4, stride = block->panel_bytes;
    const uint8_t *const *a = block->a;
    __m512i sums[ROWS][2];

#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        sums[r][0] = sums[r][1] = _mm512_setzero_si512();
    for (int32_t s = 0; s < block->n_segments; s++, a += ROWS)
        for (size_t k = 0; k < bytes; k += 4, weights += 64) {
            __m512i w0 = _mm512_load_si512(weights), w1 = w0;

            if (panels > 1)
                w1 = _mm512_load_si512(weights + stride);
#pragma GCC unroll 16
            for (int r = 0; r < rows; r++) {
                __m512i x = broadcast(a[r] + k);

                sums[r][0] = add_products(sums[r][0], x, w0, is_u8);
                if (panels > 1)
                    sums[r][1] = add_products(sums[r][1], x, w1, is_u8);
            }
        }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        ret->v[r][0] = sums[r][0];
        if (panels > 1)
            ret->v[r][1] = sums[r][1];
    }
}

typedef void multiply_fn(const struct scree_gemm_block *block, const uint8_t *weights,
                         struct sums *ret);

#define DEFINE(rows, panels, name, is_u8)                                                     \
    static void multiply_##rows##x##panels##_##name(const struct scree_gemm_block *block,     \
                                                    const uint8_t *weights, struct sums *ret) \
    {                                                                                         \
        multiply(block, weights, ret, rows, panels, is_u8);                                   \
    }
#define DEFINE_ROWS(rows)      \
    DEFINE(rows, 1, s8, false) \
    DEFINE(rows, 1, u8, true)  \
    DEFINE(rows, 2, s8, false) \
    DEFINE(rows, 2, u8, true)
#define LIST(rows)                                            \
    {                                                         \
        {multiply_##rows##x1_s8, multiply_##rows##x1_u8},     \
            {multiply_##rows##x2_s8, multiply_##rows##x2_u8}, \
    }

DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
DEFINE_ROWS(5)
DEFINE_ROWS(6)
DEFINE_ROWS(7)
DEFINE_ROWS(8)
DEFINE_ROWS(9)
DEFINE_ROWS(10)
DEFINE_ROWS(11)
DEFINE_ROWS(12)
DEFINE_ROWS(13)
DEFINE_ROWS(14)

/* [rows - 1][panels - 1][is_u8] */
static multiply_fn *const multiply_fns[ROWS][2][2] = {
    LIST(1), LIST(2), LIST(3),  LIST(4),  LIST(5),  LIST(6),  LIST(7),
    LIST(8), LIST(9), LIST(10), LIST(11), LIST(12), LIST(13), LIST(14),
};

/* ---- sums of rows ------------------------------------------------------------------------------
 */

/* The sum of row r. */
static int32_t sum_row(const struct scree_gemm_block *block, int32_t r)
{
    const __m512i ones = _mm512_set1_epi8(1);
    size_t n = (size_t)block->segment_bytes;
    __m512i sum = _mm512_setzero_si512();

    for (int32_t s = 0; s < block->n_segments; s++) {
        const uint8_t *a = block->a[s * ROWS + r];

        for (size_t k = 0; k < n; k += 64) {
            __mmask64 mask = n - k >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << (n - k)) - 1;

            sum =
                add_products(sum, _mm512_maskz_loadu_epi8(mask, a + k), ones, block->layer->is_u8);
        }
    }
    return _mm512_reduce_add_epi32(sum);
}

/* ---- outputs -----------------------------------------------------------------------------------
 */

/* How outputs come from sums. */
enum method {
    METHOD_LANES,
    METHOD_LANES_RELU,
    METHOD_FACTOR,
};

/* What the panels of a block have in common. */
struct context {
    const struct scree_gemm_block *block;
    struct scree_clamp_avx512 clamp;
    int32_t terms[ROWS]; /* -weights_zp times the sum of a row */
};

/* 8 outputs by factors: clamped, then rounded half away from zero, which for clamped numbers is
 * cutting off after almost a half is added. */
INLINE __m256i multiply_factor(const struct scree_gemm_layer *layer, __m256i sums,
                               const double *factor)
{
    const __m512d half = _mm512_set1_pd(0.49999999999999994);
    const __m512d sign = _mm512_set1_pd(-0.0);
    __m512d x = _mm512_mul_pd(_mm512_cvtepi32_pd(sums), _mm512_loadu_pd(factor));

    x = _mm512_max_pd(x, _mm512_set1_pd(layer->min - layer->output_zp));
    x = _mm512_min_pd(x, _mm512_set1_pd(layer->max - layer->output_zp));
    x = _mm512_add_pd(x, _mm512_or_pd(half, _mm512_and_pd(x, sign)));
    return _mm512_cvttpd_epi32(x);
}

INLINE __m512i finish_factor(const struct scree_gemm_layer *layer,
                             const struct scree_gemm_lanes *params, __m512i sums)
{
    int32_t zp = layer->output_zp + (layer->is_u8 ? 0 : 128);
    __m256i low = multiply_factor(layer, _mm512_castsi512_si256(sums), params->factor);
    __m256i high = multiply_factor(layer, _mm512_extracti64x4_epi64(sums, 1), params->factor + 8);

    return _mm512_add_epi32(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1),
                            _mm512_set1_epi32(zp));
}

/* The outputs of row r before the clamp. */
INLINE __m512i finish(const struct context *context, const struct scree_gemm_lanes *params,
                      __m512i sums, int32_t r, enum method method)
{
    sums = _mm512_add_epi32(sums, _mm512_loadu_si512(params->bias));
    sums = _mm512_add_epi32(sums, _mm512_set1_epi32(context->terms[r]));
    if (method == METHOD_FACTOR)
        return finish_factor(context->block->layer, params, sums);
    return scree_requantize_avx512(sums, &params->lanes, method == METHOD_LANES_RELU);
}

INLINE void store_32(uint8_t *to, __m256i bytes, __mmask32 mask)
{
    if (mask == 0xffffffff)
        _mm256_storeu_si256((__m256i *)(void *)to, bytes);
    else
        _mm256_mask_storeu_epi8(to, mask, bytes);
}

/* The outputs of two rows with two panels, n channels from c on. */
INLINE void store_pairs(const struct context *context, const struct scree_gemm_lanes *p0,
                        const struct scree_gemm_lanes *p1, const struct sums *sums, int32_t c,
                        int32_t n, enum method method)
{
    const struct scree_gemm_block *block = context->block;
    __mmask32 mask = n >= 32 ? 0xffffffff : ((__mmask32)1 << n) - 1;

    for (int32_t r = 0; r < block->n_rows; r += 2) {
        int32_t q = r + 1 < block->n_rows ? r + 1 : r;
        __m512i bytes = scree_narrow_avx512(finish(context, p0, sums->v[r][0], r, method),
                                            finish(context, p1, sums->v[r][1], r, method),
                                            finish(context, p0, sums->v[q][0], q, method),
                                            finish(context, p1, sums->v[q][1], q, method));

        bytes = scree_clamp_bytes_avx512(bytes, context->clamp);
        store_32(block->out[r] + c, _mm512_castsi512_si256(bytes), mask);
        if (q > r)
            store_32(block->out[q] + c, _mm512_extracti64x4_epi64(bytes, 1), mask);
    }
}

/* The outputs of four rows with one panel. */
INLINE void store_fours(const struct context *context, const struct scree_gemm_lanes *params,
                        const struct sums *sums, int32_t c, int32_t n, enum method method)
{
    const struct scree_gemm_block *block = context->block;
    int32_t last = block->n_rows - 1;
    __mmask16 mask = (__mmask16)(((uint32_t)1 << n) - 1);

    for (int32_t r = 0; r <= last; r += 4) {
        __m512i v[4];

        for (int32_t i = 0; i < 4; i++) {
            int32_t q = r + i < last ? r + i : last;

            v[i] = finish(context, params, sums->v[q][0], q, method);
        }
        v[0] =
            scree_clamp_bytes_avx512(scree_narrow_avx512(v[0], v[1], v[2], v[3]), context->clamp);
        _mm_mask_storeu_epi8(block->out[r] + c, mask, _mm512_castsi512_si128(v[0]));
        if (r + 1 <= last)
            _mm_mask_storeu_epi8(block->out[r + 1] + c, mask, _mm512_extracti32x4_epi32(v[0], 1));
        if (r + 2 <= last)
            _mm_mask_storeu_epi8(block->out[r + 2] + c, mask, _mm512_extracti32x4_epi32(v[0], 2));
        if (r + 3 <= last)
            _mm_mask_storeu_epi8(block->out[r + 3] + c, mask, _mm512_extracti32x4_epi32(v[0], 3));
    }
}

INLINE void store_by(const struct context *context, const uint8_t *panel, const struct sums *sums,
                     int32_t c, int32_t n, enum method method)
{
    const struct scree_gemm_lanes *p0 = (const void *)panel;
    const struct scree_gemm_lanes *p1 = (const void *)(panel + context->block->panel_bytes);

    if (n > SCREE_LANES)
        store_pairs(context, p0, p1, sums, c, n, method);
    else
        store_fours(context, p0, sums, c, n, method);
}

/* Of a layer of sums, whose biases are 0. */
static void store_sums(const struct context *context, const struct sums *sums, int32_t c, int32_t n)
{
    const struct scree_gemm_block *block = context->block;

    for (int32_t r = 0; r < block->n_rows; r++)
        for (int32_t p = 0; p * SCREE_LANES < n && p < 2; p++) {
            int32_t rest = n - p * SCREE_LANES;
            __mmask16 mask = rest < SCREE_LANES ? (__mmask16)((1 << rest) - 1) : 0xffff;
            __m512i v = _mm512_add_epi32(sums->v[r][p], _mm512_set1_epi32(context->terms[r]));

            _mm512_mask_storeu_epi32(block->out[r] + 4 * (c + p * SCREE_LANES), mask, v);
        }
}

static void store(const struct context *context, const uint8_t *panel, const struct sums *sums,
                  int32_t c, int32_t n)
{
    const struct scree_gemm_layer *layer = context->block->layer;

    if (layer->sums)
        store_sums(context, sums, c, n);
    else if (layer->by_factor)
        store_by(context, panel, sums, c, n, METHOD_FACTOR);
    else if (layer->relu)
        store_by(context, panel, sums, c, n, METHOD_LANES_RELU);
    else
        store_by(context, panel, sums, c, n, METHOD_LANES);
}

static void run(const struct scree_gemm_block *block)
{
    const struct scree_gemm_layer *layer = block->layer;
    struct context context = {
        .block = block,
        .clamp = scree_clamp_init_avx512(layer->min, layer->max, !layer->is_u8),
    };
    const uint8_t *panel = block->panels;
    struct sums sums;

    for (int32_t r = 0; layer->weights_zp != 0 && r < block->n_rows; r++)
        context.terms[r] = -layer->weights_zp * sum_row(block, r);
    for (int32_t c = 0; c < block->n_channels; c += 32, panel += 2 * block->panel_bytes) {
        int32_t n = block->n_channels - c;

        multiply_fns[block->n_rows - 1][n > SCREE_LANES][layer->is_u8](
            block, panel + sizeof(struct scree_gemm_lanes), &sums);
        store(&context, panel, &sums, c, n);
    }
}

const struct scree_gemm_kernel scree_gemm_avx512vnni = {
    .name = "avx512vnni",
    .mr = ROWS,
    .nr = SCREE_LANES,
    .kr = 4,
    .flip_u8 = 0x80,
    .flip_s8 = 0x80,
    .channels = 32,
    .params_bytes = sizeof(struct scree_gemm_lanes),
    .pack_params = scree_gemm_lanes_pack,
    .run = run,
};
