/* kernels/x86/gemm_256.h - what products of blocks with vectors of 256 bits share: up to 6 rows by
 * a panel of 16 channels, 12 sums in registers, which leave two for weights and two to work with.
 *
 * A file that includes it, after vec256.h, multiplies; what is here makes outputs of the sums.
 * Memory: keeps nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_X86_GEMM_256_H
#define SCREE_KERNELS_X86_GEMM_256_H

#include <string.h>

#include "kernels/gemm.h"
#include "kernels/x86/requantize.h"

#define GEMM_ROWS     6
#define GEMM_CHANNELS (2 * VEC_LANES)
#define GEMM_INLINE   static inline __attribute__((always_inline))

/* For loops over rows, whose number is a constant where they are used. */
#if defined(__clang__)
#define GEMM_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GEMM_UNROLL _Pragma("GCC unroll 8")
#endif

/* The constants of a panel; 0 for channels behind the last. */
struct gemm_params {
    union {
        struct v_requant requant[2];
        double factor[GEMM_CHANNELS]; /* with layer->by_factor */
    };
    int32_t bias[GEMM_CHANNELS]; /* requant.lift is in it */
};

/* Sums of a block with a panel, bias and all. */
struct gemm_sums {
    vec v[GEMM_ROWS][2];
};

/* How sums become outputs: as enum v_requant_mode, or by factors. */
enum gemm_method {
    GEMM_RISING,
    GEMM_SIGNED,
    GEMM_EXACT,
    GEMM_EXACT_RELU,
    GEMM_FACTOR,
    GEMM_MIXED, /* of two vectors: each in its own way */
};

/* The output's zero point, taken for uint8. */
GEMM_INLINE int32_t gemm_output_zp(const struct scree_gemm_layer *layer)
{
    return layer->output_zp + (layer->is_u8 ? 0 : 128);
}

/* 4 outputs by factors: clamped, then rounded half away from zero, which for clamped numbers is
 * cutting off after almost a half is added. */
GEMM_INLINE __m128i gemm_multiply_factor(const struct scree_gemm_layer *layer, __m128i sums,
                                         const double *factor)
{
    const __m256d half = _mm256_set1_pd(0.49999999999999994), sign = _mm256_set1_pd(-0.0);
    __m256d x = _mm256_mul_pd(_mm256_cvtepi32_pd(sums), _mm256_loadu_pd(factor));

    x = _mm256_max_pd(x, _mm256_set1_pd(layer->min - layer->output_zp));
    x = _mm256_min_pd(x, _mm256_set1_pd(layer->max - layer->output_zp));
    return _mm256_cvttpd_epi32(_mm256_add_pd(x, _mm256_or_pd(half, _mm256_and_pd(x, sign))));
}

/* Outputs before the clamp of half a panel. method is a constant wherever this is used. */
GEMM_INLINE vec gemm_finish(const struct scree_gemm_layer *layer, const struct gemm_params *params,
                            int half, vec sums, enum gemm_method method)
{
    const struct v_requant *requant = &params->requant[half];
    const double *factor = params->factor + half * VEC_LANES;
    vec zp = v_set32(gemm_output_zp(layer));
    __m128i low, high;

    switch (method) {
    case GEMM_RISING:
        return v_requant(sums, requant, V_REQUANT_RISING, zp);
    case GEMM_SIGNED:
        return v_requant(sums, requant, V_REQUANT_SIGNED, zp);
    case GEMM_EXACT:
        return v_requant(sums, requant, V_REQUANT_EXACT, zp);
    case GEMM_EXACT_RELU:
        return scree_requantize_avx2(sums, &requant->lanes, 0, true);
    case GEMM_FACTOR:
        low = gemm_multiply_factor(layer, _mm256_castsi256_si128(sums), factor);
        high = gemm_multiply_factor(layer, _mm256_extracti128_si256(sums, 1), factor + 4);
        return v_add32(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1), zp);
    default:
        return v_requant(sums, requant, V_REQUANT_MIXED, zp);
    }
}

/* The first n of 16 bytes. */
GEMM_INLINE void gemm_store_bytes(uint8_t *to, __m128i bytes, int32_t n)
{
    uint8_t all[GEMM_CHANNELS];

    if (n >= GEMM_CHANNELS) {
        _mm_storeu_si128((__m128i *)(void *)to, bytes);
        return;
    }
    _mm_storeu_si128((__m128i *)(void *)all, bytes);
    memcpy(to, all, (size_t)n);
}

/* The outputs of n channels from c on, two rows at a time. */
GEMM_INLINE void gemm_store_by(const struct scree_gemm_block *block,
                               const struct gemm_params *params, const struct gemm_sums *sums,
                               int32_t c, int32_t n, enum gemm_method method)
{
    const struct scree_gemm_layer *layer = block->layer;
    const struct scree_clamp_avx2 clamp =
        scree_clamp_init_avx2(layer->min, layer->max, !layer->is_u8);
    int32_t last = block->n_rows - 1;

    for (int32_t r = 0; r <= last; r += 2) {
        int32_t q = r < last ? r + 1 : r;
        vec bytes = scree_narrow_avx2(gemm_finish(layer, params, 0, sums->v[r][0], method),
                                      gemm_finish(layer, params, 1, sums->v[r][1], method),
                                      gemm_finish(layer, params, 0, sums->v[q][0], method),
                                      gemm_finish(layer, params, 1, sums->v[q][1], method));

        bytes = scree_clamp_bytes_avx2(bytes, clamp);
        gemm_store_bytes(block->out[q] + c, _mm256_extracti128_si256(bytes, 1), n);
        gemm_store_bytes(block->out[r] + c, _mm256_castsi256_si128(bytes), n);
    }
}

/* Of a layer of sums. */
static void gemm_store_sums(const struct scree_gemm_block *block, const struct gemm_sums *sums,
                            int32_t c, int32_t n)
{
    size_t bytes = (size_t)(n < GEMM_CHANNELS ? n : GEMM_CHANNELS) * sizeof(int32_t);

    for (int32_t r = 0; r < block->n_rows; r++)
        memcpy(block->out[r] + (size_t)c * sizeof(int32_t), sums->v[r], bytes);
}

static enum gemm_method gemm_find_method(const struct scree_gemm_layer *layer,
                                         const struct gemm_params *params)
{
    if (layer->by_factor)
        return GEMM_FACTOR;
    if (params->requant[0].mode != params->requant[1].mode)
        return GEMM_MIXED;
    switch (params->requant[0].mode) {
    case V_REQUANT_RISING:
        return GEMM_RISING;
    case V_REQUANT_SIGNED:
        return GEMM_SIGNED;
    default:
        return layer->relu ? GEMM_EXACT_RELU : GEMM_EXACT;
    }
}

/* Makes outputs of the sums with a panel, whose first channel is c. */
static void gemm_store(const struct scree_gemm_block *block, const struct gemm_params *params,
                       const struct gemm_sums *sums, int32_t c)
{
    int32_t n = block->n_channels - c;

    if (block->layer->sums) {
        gemm_store_sums(block, sums, c, n);
        return;
    }
    switch (gemm_find_method(block->layer, params)) {
    case GEMM_RISING:
        gemm_store_by(block, params, sums, c, n, GEMM_RISING);
        break;
    case GEMM_SIGNED:
        gemm_store_by(block, params, sums, c, n, GEMM_SIGNED);
        break;
    case GEMM_EXACT:
        gemm_store_by(block, params, sums, c, n, GEMM_EXACT);
        break;
    case GEMM_EXACT_RELU:
        gemm_store_by(block, params, sums, c, n, GEMM_EXACT_RELU);
        break;
    case GEMM_FACTOR:
        gemm_store_by(block, params, sums, c, n, GEMM_FACTOR);
        break;
    default:
        gemm_store_by(block, params, sums, c, n, GEMM_MIXED);
        break;
    }
}

/* As scree_gemm_kernel.pack_params, for half a panel of n channels. */
static bool gemm_pack_half(struct gemm_params *params, int half,
                           const struct scree_gemm_layer *layer,
                           const struct scree_gemm_channel *channels, int32_t n)
{
    int32_t move = layer->is_u8 ? 0 : 128, low[VEC_LANES] = {0}, high[VEC_LANES] = {0};
    struct scree_multiplier multipliers[VEC_LANES] = {0};
    int32_t *bias = params->bias + half * VEC_LANES;

    for (int32_t c = 0; c < n; c++) {
        bias[c] = channels[c].bias;
        if (layer->by_factor)
            params->factor[half * VEC_LANES + c] = channels[c].factor;
        else if (channels[c].bound >= 1 << 30)
            return false;
        high[c] = (int32_t)channels[c].bound;
        low[c] = -high[c];
        multipliers[c] = channels[c].multiplier;
    }
    if (layer->by_factor)
        return true;
    if (!v_requant_init(&params->requant[half], layer->output_zp + move, layer->min + move,
                        layer->max + move, multipliers, low, high))
        return false;
    for (int32_t c = 0; c < VEC_LANES; c++)
        bias[c] = (int32_t)((uint32_t)bias[c] + (uint32_t)params->requant[half].lift[c]);
    return true;
}

static bool gemm_pack_params(void *params, const struct scree_gemm_layer *layer,
                             const struct scree_gemm_channel *channels, int32_t n)
{
    int32_t first = n < VEC_LANES ? n : VEC_LANES;

    return gemm_pack_half(params, 0, layer, channels, first) &&
           gemm_pack_half(params, 1, layer, channels + first, n - first);
}

#endif
