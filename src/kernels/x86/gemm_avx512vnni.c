/* Blocks of up to 14 rows by 32 channels: 28 sums in registers, which leave two for weights and one
 * for activations. Each step loads two vectors of weights, and of each row 4 bytes to all lanes. A
 * last panel of 16 channels goes by itself.
 *
 * VPDPBUSD multiplies unsigned by signed bytes, activations by weights. Int8 activations have their
 * top bits flipped as they are loaded, which the port of a VPXORD has time for. Weights are less
 * their zero point, and the few that do not fit in an int8 then are multiplied in two parts: see
 * struct scree_gemm_extra. Where there are too many of those, weights keep a zero point, and sums
 * of the rows are wanted: once for each block.
 *
 * Sums go to memory and come back for requantization; that keeps the code of the 56 shapes of a
 * block small, and takes little time beside the multiplications that requantization needs. */
#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"
#include "kernels/x86/vec512.h"

#include "kernels/x86/requantize.h"

#define ROWS 14
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))

/* The constants of a panel; 0 for channels behind the last. */
struct params {
    union {
        struct v_requant requant;
        double factor[VEC_LANES]; /* with layer->by_factor */
    };
    int32_t bias[VEC_LANES]; /* requant.lift is in it */
};

/* What the panels of a block have in common. */
struct context {
    const struct scree_gemm_block *block;
    const struct scree_gemm_extras *extras; /* of the panel in hand and the next, or NULL */
    int32_t terms[ROWS]; /* -weights_zp times the sum of a row, unless weights_zp is 0 */
};

/* Sums of a block of rows with two panels. */
struct sums {
    __m512i v[ROWS][2];
};

/* The second of the panels with n channels from here on; of one panel the same. */
INLINE const struct params *find_second(const struct context *context, const uint8_t *panel,
                                        int32_t n)
{
    return (const void *)(panel + (n > VEC_LANES ? context->block->panel_bytes : 0));
}

/* ---- products ----------------------------------------------------------------------------------
 */

/* 4 activations, as uint8, to all lanes. */
INLINE __m512i broadcast(const uint8_t *a, __m512i flip, bool is_u8)
{
    int32_t x;

    memcpy(&x, a, sizeof x);
    return is_u8 ? _mm512_set1_epi32(x) : _mm512_xor_si512(_mm512_set1_epi32(x), flip);
}

/* Adds to the sums of panel p the products of its extras. */
INLINE void multiply_extras(const struct context *context, __m512i (*sums)[2], const int p,
                            const int rows, const bool is_u8)
{
    const struct scree_gemm_extra *extra = context->extras[p].list;
    const __m512i flip = _mm512_set1_epi8(is_u8 ? 0 : -128);

    for (size_t i = 0; i < context->extras[p].n; i++, extra++) {
        const uint8_t *const *a = context->block->a + extra->a;
        __m512i w = _mm512_load_si512(extra->weights);

        UNROLL
        for (int r = 0; r < rows; r++)
            sums[r][p] =
                _mm512_dpbusd_epi32(sums[r][p], broadcast(a[r] + extra->k, flip, is_u8), w);
    }
}

/* The sums of a block with the panel and, of two panels, the next. rows, panels and is_u8 are
 * constants wherever this is used. */
INLINE void multiply(const struct context *context, const uint8_t *panel, struct sums *ret,
                     const int rows, const int panels, const bool is_u8)
{
    const struct scree_gemm_block *block = context->block;
    const uint8_t *next = panels > 1 ? panel + block->panel_bytes : panel;
    const __m512i bias0 = v_load(((const struct params *)(const void *)panel)->bias);
    const __m512i bias1 = v_load(((const struct params *)(const void *)next)->bias);
    const uint8_t *weights = panel + sizeof(struct params);
    size_t bytes = ((size_t)block->segment_bytes + 3) / 4 * 4;
    ptrdiff_t stride = next - panel;
    const uint8_t *const *a = block->a;
    const __m512i flip = _mm512_set1_epi8(is_u8 ? 0 : -128);
    __m512i sums[ROWS][2];

    UNROLL
    for (int r = 0; r < rows; r++) {
        sums[r][0] = bias0;
        sums[r][1] = bias1;
    }
    if (block->layer->weights_zp != 0) {
        UNROLL
        for (int r = 0; r < rows; r++) {
            __m512i term = _mm512_set1_epi32(context->terms[r]);

            sums[r][0] = _mm512_add_epi32(sums[r][0], term);
            sums[r][1] = _mm512_add_epi32(sums[r][1], term);
        }
    }
    for (int32_t s = 0; s < block->n_segments; s++, a += ROWS)
        for (size_t k = 0; k < bytes; k += 4, weights += 64) {
            __m512i w0 = _mm512_load_si512(weights), w1 = w0;

            if (panels > 1)
                w1 = _mm512_load_si512(weights + stride);
            /* the pointers come from memory each time: 14 do not fit in registers, and gcc would
             * keep some in those of vectors */
            __asm__("" : "+r"(a));
            UNROLL
            for (int r = 0; r < rows; r++) {
                __m512i x = broadcast(a[r] + k, flip, is_u8);

                sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], x, w0);
                if (panels > 1)
                    sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], x, w1);
            }
        }
    if (is_u8 && context->extras) {
        multiply_extras(context, sums, 0, rows, is_u8);
        if (panels > 1)
            multiply_extras(context, sums, 1, rows, is_u8);
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        ret->v[r][0] = sums[r][0];
        if (panels > 1)
            ret->v[r][1] = sums[r][1];
    }
}

typedef void multiply_fn(const struct context *context, const uint8_t *panel, struct sums *ret);

#define DEFINE(rows, panels, name, is_u8)                                                   \
    static void multiply_##rows##x##panels##_##name(const struct context *context,          \
                                                    const uint8_t *panel, struct sums *ret) \
    {                                                                                       \
        multiply(context, panel, ret, rows, panels, is_u8);                                 \
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

INLINE __m512i add_products(__m512i sum, __m512i a, __m512i w, bool is_u8)
{
    return is_u8 ? _mm512_dpbusd_epi32(sum, a, w) : _mm512_dpbusd_epi32(sum, w, a);
}

INLINE __m128i add_products_128(__m128i sum, __m128i a, __m128i w, bool is_u8)
{
    return is_u8 ? _mm_dpbusd_epi32(sum, a, w) : _mm_dpbusd_epi32(sum, w, a);
}

/* 4 numbers whose sum is that of row r, of segments of at most 16 bytes. */
INLINE __m128i sum_short_row(const struct scree_gemm_block *block, int32_t r, __mmask16 mask,
                             const bool is_u8)
{
    __m128i sum = _mm_setzero_si128();

    for (int32_t s = 0; s < block->n_segments; s++)
        sum = add_products_128(sum, _mm_maskz_loadu_epi8(mask, block->a[s * ROWS + r]),
                               _mm_set1_epi8(1), is_u8);
    return sum;
}

/* 4 numbers whose sum is that of row r. */
INLINE __m128i sum_long_row(const struct scree_gemm_block *block, int32_t r, const bool is_u8)
{
    const __m512i ones = _mm512_set1_epi8(1);
    size_t n = (size_t)block->segment_bytes, full = n / 64 * 64;
    __m512i sum = _mm512_setzero_si512();
    __m256i half;

    for (int32_t s = 0; s < block->n_segments; s++) {
        const uint8_t *a = block->a[s * ROWS + r];

        for (size_t k = 0; k < full; k += 64)
            sum = add_products(sum, v_load(a + k), ones, is_u8);
        if (full < n)
            sum = add_products(sum, v_load_n(a + full, n - full), ones, is_u8);
    }
    half = _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* [i] of the result is the sum of v[i]. */
INLINE __m128i sum_each(const __m128i *v)
{
    __m128i v01 = _mm_add_epi32(_mm_unpacklo_epi32(v[0], v[1]), _mm_unpackhi_epi32(v[0], v[1]));
    __m128i v23 = _mm_add_epi32(_mm_unpacklo_epi32(v[2], v[3]), _mm_unpackhi_epi32(v[2], v[3]));

    return _mm_add_epi32(_mm_unpacklo_epi64(v01, v23), _mm_unpackhi_epi64(v01, v23));
}

/* Sets terms[n_rows]. */
INLINE void sum_rows(const struct scree_gemm_block *block, int32_t *terms, const bool is_u8,
                     const bool is_short)
{
    const __m128i factor = _mm_set1_epi32(-block->layer->weights_zp);
    __mmask16 part = (__mmask16)((UINT32_C(1) << (block->segment_bytes % 32)) - 1);
    int32_t last = block->n_rows - 1;

    for (int32_t r = 0; r <= last; r += 4) {
        __m128i v[4];
        __mmask8 mask = (__mmask8)((1 << (last + 1 - r < 4 ? last + 1 - r : 4)) - 1);

        UNROLL
        for (int32_t i = 0; i < 4; i++) {
            int32_t q = r + i < last ? r + i : last;

            v[i] = is_short ? sum_short_row(block, q, part, is_u8) : sum_long_row(block, q, is_u8);
        }
        _mm_mask_storeu_epi32(terms + r, mask, _mm_mullo_epi32(sum_each(v), factor));
    }
}

static void set_terms(const struct scree_gemm_block *block, int32_t *terms)
{
    bool is_short = block->segment_bytes <= 16;

    if (block->layer->weights_zp == 0)
        return;
    if (block->layer->is_u8 && is_short)
        sum_rows(block, terms, true, true);
    else if (block->layer->is_u8)
        sum_rows(block, terms, true, false);
    else if (is_short)
        sum_rows(block, terms, false, true);
    else
        sum_rows(block, terms, false, false);
}

/* ---- outputs -----------------------------------------------------------------------------------
 */

/* How sums become outputs: as enum v_requant_mode, or by factors. */
enum method {
    RISING,
    SIGNED,
    EXACT,
    EXACT_RELU,
    FACTOR,
    MIXED, /* of two panels: each in its own way */
};

/* The constants of a panel in registers. */
struct constants {
    struct scree_lanes_avx512 lanes;
    __m512 scale, offset;
    __m512d factor[2];
};

/* What all panels have in common, in registers. */
struct common {
    __m512i zp;             /* of the output, taken for int8: numbers around 0 are finer floats */
    __m512i min, max, flip; /* bytes: the clamp, taken for int8, and what makes the type of it */
    __m512d low, high;      /* the clamp, less the zero point */
};

/* method is a constant wherever these are used; what it does not need is not loaded. */
INLINE struct constants load_constants(const struct params *params, enum method method)
{
    struct constants constants;

    if (method == EXACT || method == EXACT_RELU)
        constants.lanes = scree_lanes_load_avx512(&params->requant.lanes);
    if (method == RISING || method == SIGNED) {
        constants.scale = _mm512_loadu_ps(params->requant.scale);
        constants.offset = _mm512_loadu_ps(params->requant.offset);
    }
    if (method == FACTOR) {
        constants.factor[0] = _mm512_loadu_pd(params->factor);
        constants.factor[1] = _mm512_loadu_pd(params->factor + 8);
    }
    return constants;
}

/* 8 outputs by factors: clamped, then rounded half away from zero, which for clamped numbers is
 * cutting off after almost a half is added. */
INLINE __m256i multiply_factor(__m256i sums, __m512d factor, const struct common *common)
{
    const __m512d half = _mm512_set1_pd(0.49999999999999994), sign = _mm512_set1_pd(-0.0);
    __m512d x = _mm512_mul_pd(_mm512_cvtepi32_pd(sums), factor);

    x = _mm512_min_pd(_mm512_max_pd(x, common->low), common->high);
    return _mm512_cvttpd_epi32(_mm512_add_pd(x, _mm512_or_pd(half, _mm512_and_pd(x, sign))));
}

/* Outputs before the clamp. */
INLINE __m512i finish(__m512i sums, const struct params *params, const struct constants *constants,
                      const struct common *common, enum method method)
{
    __m512 x = _mm512_cvtepi32_ps(sums);
    __m256i low, high;

    switch (method) {
    case RISING:
        return v_round(v_fma(x, constants->scale, constants->offset));
    case SIGNED:
        x = v_fma(x, constants->scale, v_copy_sign(constants->offset, x));
        return _mm512_add_epi32(v_round(x), common->zp);
    case EXACT:
        return scree_lanes_apply_avx512(sums, &constants->lanes, false);
    case EXACT_RELU:
        return scree_lanes_apply_avx512(sums, &constants->lanes, true);
    case FACTOR:
        low = multiply_factor(_mm512_castsi512_si256(sums), constants->factor[0], common);
        high = multiply_factor(_mm512_extracti64x4_epi64(sums, 1), constants->factor[1], common);
        return _mm512_add_epi32(_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1),
                                common->zp);
    default:
        return v_requant(sums, &params->requant, V_REQUANT_MIXED, common->zp);
    }
}

/* 64 outputs to bytes in order, clamped. */
INLINE __m512i narrow(__m512i v0, __m512i v1, __m512i v2, __m512i v3, const struct common *common)
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i bytes = _mm512_packs_epi16(_mm512_packs_epi32(v0, v1), _mm512_packs_epi32(v2, v3));

    bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, common->min), common->max);
    return _mm512_xor_si512(_mm512_permutexvar_epi32(order, bytes), common->flip);
}

INLINE struct common find_common(const struct scree_gemm_layer *layer)
{
    int32_t base = layer->is_u8 ? 128 : 0;

    return (struct common){
        _mm512_set1_epi32(layer->output_zp - base),
        _mm512_set1_epi8((char)(layer->min - base)),
        _mm512_set1_epi8((char)(layer->max - base)),
        _mm512_set1_epi8((char)base),
        _mm512_set1_pd(layer->min - layer->output_zp),
        _mm512_set1_pd(layer->max - layer->output_zp),
    };
}

/* The outputs of n channels from c on, of one panel: four rows at a time. */
INLINE void store_narrow(const struct context *context, const struct sums *sums,
                         const uint8_t *panel, int32_t c, int32_t n, enum method method)
{
    const struct params *p = (const void *)panel;
    const struct constants k = load_constants(p, method);
    const struct common common = find_common(context->block->layer);
    __mmask16 mask = (__mmask16)((UINT32_C(1) << n) - 1);
    int32_t last = context->block->n_rows - 1;

    for (int32_t r = 0; r <= last; r += 4) {
        int32_t r1 = scree_min_i32(r + 1, last), r2 = scree_min_i32(r + 2, last);
        int32_t r3 = scree_min_i32(r + 3, last);
        __m512i bytes = narrow(finish(sums->v[r][0], p, &k, &common, method),
                               finish(sums->v[r1][0], p, &k, &common, method),
                               finish(sums->v[r2][0], p, &k, &common, method),
                               finish(sums->v[r3][0], p, &k, &common, method), &common);
        uint8_t *const *out = context->block->out;

        _mm_mask_storeu_epi8(out[r] + c, mask, _mm512_castsi512_si128(bytes));
        _mm_mask_storeu_epi8(out[r1] + c, mask, _mm512_extracti32x4_epi32(bytes, 1));
        _mm_mask_storeu_epi8(out[r2] + c, mask, _mm512_extracti32x4_epi32(bytes, 2));
        _mm_mask_storeu_epi8(out[r3] + c, mask, _mm512_extracti32x4_epi32(bytes, 3));
    }
}

/* The outputs of channels c ... c + n - 1, n at most 32, in rows r and q. */
INLINE void store_pair(const struct context *context, __m512i bytes, int32_t r, int32_t q,
                       int32_t c, int32_t n)
{
    uint8_t *const *out = context->block->out;
    __m256i low = _mm512_castsi512_si256(bytes), high = _mm512_extracti64x4_epi64(bytes, 1);

    if (n >= 32) {
        _mm256_storeu_si256((__m256i *)(void *)(out[q] + c), high);
        _mm256_storeu_si256((__m256i *)(void *)(out[r] + c), low);
    } else {
        __mmask32 mask = ((__mmask32)1 << n) - 1;

        _mm256_mask_storeu_epi8(out[q] + c, mask, high);
        _mm256_mask_storeu_epi8(out[r] + c, mask, low);
    }
}

/* The same of two panels: two rows at a time. */
INLINE void store_wide(const struct context *context, const struct sums *sums, const uint8_t *panel,
                       int32_t c, int32_t n, enum method method)
{
    const struct params *p0 = (const void *)panel, *p1 = find_second(context, panel, n);
    const struct constants k0 = load_constants(p0, method), k1 = load_constants(p1, method);
    const struct common common = find_common(context->block->layer);
    int32_t last = context->block->n_rows - 1;

    for (int32_t r = 0; r <= last; r += 2) {
        int32_t q = r < last ? r + 1 : r;
        __m512i bytes = narrow(finish(sums->v[r][0], p0, &k0, &common, method),
                               finish(sums->v[r][1], p1, &k1, &common, method),
                               finish(sums->v[q][0], p0, &k0, &common, method),
                               finish(sums->v[q][1], p1, &k1, &common, method), &common);

        store_pair(context, bytes, r, q, c, n);
    }
}

/* Of a layer of sums. */
static void store_sums(const struct context *context, const struct sums *sums, const uint8_t *panel,
                       int32_t c, int32_t n)
{
    const struct scree_gemm_block *block = context->block;

    (void)panel;
    for (int32_t r = 0; r < block->n_rows; r++)
        for (int32_t p = 0; p < 2 && p * VEC_LANES < n; p++) {
            int32_t rest = n - p * VEC_LANES;
            __mmask16 mask = (__mmask16)(rest < VEC_LANES ? (1 << rest) - 1 : 0xffff);

            _mm512_mask_storeu_epi32(block->out[r] + 4 * (c + p * VEC_LANES), mask, sums->v[r][p]);
        }
}

typedef void store_fn(const struct context *context, const struct sums *sums, const uint8_t *panel,
                      int32_t c, int32_t n);

#define DEFINE_STORE(name, method)                                                                 \
    static void name(const struct context *context, const struct sums *sums, const uint8_t *panel, \
                     int32_t c, int32_t n)                                                         \
    {                                                                                              \
        if (n > VEC_LANES)                                                                         \
            store_wide(context, sums, panel, c, n, method);                                        \
        else                                                                                       \
            store_narrow(context, sums, panel, c, n, method);                                      \
    }

DEFINE_STORE(store_rising, RISING)
DEFINE_STORE(store_signed, SIGNED)
DEFINE_STORE(store_exact, EXACT)
DEFINE_STORE(store_relu, EXACT_RELU)
DEFINE_STORE(store_factor, FACTOR)
DEFINE_STORE(store_mixed, MIXED)

static store_fn *find_store(const struct context *context, const uint8_t *panel, int32_t n)
{
    const struct scree_gemm_layer *layer = context->block->layer;
    const struct params *p0 = (const void *)panel, *p1 = find_second(context, panel, n);

    if (layer->sums)
        return store_sums;
    if (layer->by_factor)
        return store_factor;
    if (p0->requant.mode != p1->requant.mode)
        return store_mixed;
    switch (p0->requant.mode) {
    case V_REQUANT_RISING:
        return store_rising;
    case V_REQUANT_SIGNED:
        return store_signed;
    default:
        return layer->relu ? store_relu : store_exact;
    }
}

/* ---- the kernel --------------------------------------------------------------------------------
 */

static void run(const struct scree_gemm_block *block)
{
    struct context context = {.block = block};
    const uint8_t *panel = block->panels;
    struct sums sums;

    set_terms(block, context.terms);
    for (int32_t c = 0; c < block->n_channels; c += 32, panel += 2 * block->panel_bytes) {
        int32_t n = block->n_channels - c;

        context.extras = block->extras ? block->extras + c / VEC_LANES : NULL;
        multiply_fns[block->n_rows - 1][n > VEC_LANES][block->layer->is_u8](&context, panel, &sums);
        find_store(&context, panel, n)(&context, &sums, panel, c, n);
    }
}

static bool pack_params(void *params, const struct scree_gemm_layer *layer,
                        const struct scree_gemm_channel *channels, int32_t n)
{
    int32_t move = layer->is_u8 ? -128 : 0, low[VEC_LANES] = {0}, high[VEC_LANES] = {0};
    struct scree_multiplier multipliers[VEC_LANES] = {0};
    struct params *to = params;

    for (int32_t c = 0; c < n; c++) {
        if (layer->by_factor)
            to->factor[c] = channels[c].factor;
        else if (channels[c].bound >= 1 << 30)
            return false;
        high[c] = (int32_t)channels[c].bound;
        low[c] = -high[c];
        multipliers[c] = channels[c].multiplier;
        to->bias[c] = channels[c].bias;
    }
    if (layer->by_factor)
        return true;
    if (!v_requant_init(&to->requant, layer->output_zp + move, layer->min + move, layer->max + move,
                        multipliers, low, high))
        return false;
    for (int32_t c = 0; c < VEC_LANES; c++)
        to->bias[c] = (int32_t)((uint32_t)to->bias[c] + (uint32_t)to->requant.lift[c]);
    return true;
}

const struct scree_gemm_kernel scree_gemm_avx512vnni = {
    .name = "avx512vnni",
    .mr = ROWS,
    .nr = VEC_LANES,
    .kr = 4,
    .flip_u8 = 0x80,
    .flip_in = 0x80,
    .has_extras = true,
    .channels = 2 * VEC_LANES,
    .params_bytes = sizeof(struct params),
    .pack_params = pack_params,
    .run = run,
};
