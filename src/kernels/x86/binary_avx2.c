/* Sums and products of bytes, 32 at a time. Bytes are widened by interleaving them within 128-bit
 * lanes, which packing undoes: so nothing has to be put in order. */
#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/x86/requantize_avx2.h"

#define INLINE static inline __attribute__((always_inline))

/* 32 numbers of 32 bits, in the order of interleaved bytes. */
struct quads {
    __m256i part[4];
};

/* Up to 32 bytes, as of uint8; with step 0 the first one 32 times. */
INLINE __m256i load(const uint8_t *from, size_t step, size_t n,
                    const struct scree_binary_lanes *lanes)
{
    uint8_t rest[32] = {0};
    __m256i bytes;

    if (step && n < 32)
        memcpy(rest, from, n);
    bytes = !step ? _mm256_set1_epi8((char)*from) : scree_load_avx2(n < 32 ? rest : from);
    return _mm256_xor_si256(bytes, _mm256_set1_epi8((char)lanes->flip));
}

/* (q << shift) * factor + bias * 2^14 */
INLINE struct quads widen(__m256i bytes, int shift, int16_t factor, int16_t bias)
{
    const __m256i zero = _mm256_setzero_si256(), biases = _mm256_set1_epi16(bias);
    const __m256i factors = _mm256_set1_epi32((1 << 30) | (uint16_t)factor);
    __m256i low = _mm256_slli_epi16(_mm256_unpacklo_epi8(bytes, zero), shift);
    __m256i high = _mm256_slli_epi16(_mm256_unpackhi_epi8(bytes, zero), shift);

    return (struct quads){{
        _mm256_madd_epi16(_mm256_unpacklo_epi16(low, biases), factors),
        _mm256_madd_epi16(_mm256_unpackhi_epi16(low, biases), factors),
        _mm256_madd_epi16(_mm256_unpacklo_epi16(high, biases), factors),
        _mm256_madd_epi16(_mm256_unpackhi_epi16(high, biases), factors),
    }};
}

/* Sums or products with their bound added, scaled, clamped and stored. */
INLINE void store(uint8_t *to, size_t n, struct quads x, const struct scree_binary_lanes *lanes)
{
    const struct scree_clamp_avx2 clamp = {_mm256_set1_epi8((char)lanes->min),
                                           _mm256_set1_epi8((char)lanes->max),
                                           _mm256_set1_epi8((char)lanes->flip)};
    uint8_t rest[32];
    __m256i bytes;

    for (int i = 0; i < 4; i++)
        x.part[i] = scree_requantize_avx2(x.part[i], &lanes->out, 0, false);
    bytes = _mm256_packus_epi16(_mm256_packs_epi32(x.part[0], x.part[1]),
                                _mm256_packs_epi32(x.part[2], x.part[3]));
    bytes = scree_clamp_bytes_avx2(bytes, clamp);
    if (n >= 32) {
        _mm256_storeu_si256((__m256i *)to, bytes);
    } else {
        _mm256_storeu_si256((__m256i *)rest, bytes);
        memcpy(to, rest, n);
    }
}

/* The rounded input of a sum. */
INLINE struct quads rounded(__m256i bytes, const struct scree_binary_lanes *lanes)
{
    struct quads x = widen(bytes, 6, 1 << 14, lanes->other_bias);

    for (int i = 0; i < 4; i++)
        x.part[i] = scree_requantize_avx2(x.part[i], &lanes->other, 0, false);
    return x;
}

INLINE void sum_loop(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                     const struct scree_binary_lanes *lanes, bool minus)
{
    const uint8_t *plain = in[lanes->plain], *other = in[1 - lanes->plain];
    size_t plain_step = steps[lanes->plain], other_step = steps[1 - lanes->plain];

    for (size_t i = 0; i < n; i += 32) {
        __m256i x = load(plain + i * plain_step, plain_step, n - i, lanes);
        __m256i y = load(other + i * other_step, other_step, n - i, lanes);
        struct quads sum = widen(x, 5, lanes->plain_factor, lanes->plain_bias);
        struct quads added = rounded(y, lanes);

        for (int k = 0; k < 4; k++)
            sum.part[k] = minus ? _mm256_sub_epi32(sum.part[k], added.part[k])
                                : _mm256_add_epi32(sum.part[k], added.part[k]);
        store(to + i, n - i, sum, lanes);
    }
}

static void sum_row(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                    const struct scree_binary_lanes *lanes)
{
    if (lanes->minus)
        sum_loop(to, in, steps, n, lanes, true);
    else
        sum_loop(to, in, steps, n, lanes, false);
}

/* Products less than 2^16 of numbers of 9 bits, their bound added. */
INLINE struct quads products(__m256i x, __m256i y, const struct scree_binary_lanes *lanes)
{
    const __m256i zero = _mm256_setzero_si256(),
                  bound = _mm256_set1_epi32((int)SCREE_PRODUCT_BOUND),
                  zp_x = _mm256_set1_epi16(lanes->zero_point[0]),
                  zp_y = _mm256_set1_epi16(lanes->zero_point[1]);
    __m256i x0 = _mm256_sub_epi16(_mm256_unpacklo_epi8(x, zero), zp_x);
    __m256i x1 = _mm256_sub_epi16(_mm256_unpackhi_epi8(x, zero), zp_x);
    __m256i y0 = _mm256_sub_epi16(_mm256_unpacklo_epi8(y, zero), zp_y);
    __m256i y1 = _mm256_sub_epi16(_mm256_unpackhi_epi8(y, zero), zp_y);
    __m256i low0 = _mm256_mullo_epi16(x0, y0), high0 = _mm256_mulhi_epi16(x0, y0);
    __m256i low1 = _mm256_mullo_epi16(x1, y1), high1 = _mm256_mulhi_epi16(x1, y1);

    return (struct quads){{
        _mm256_add_epi32(_mm256_unpacklo_epi16(low0, high0), bound),
        _mm256_add_epi32(_mm256_unpackhi_epi16(low0, high0), bound),
        _mm256_add_epi32(_mm256_unpacklo_epi16(low1, high1), bound),
        _mm256_add_epi32(_mm256_unpackhi_epi16(low1, high1), bound),
    }};
}

static void product_row(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                        const struct scree_binary_lanes *lanes)
{
    const uint8_t *in_x = in[0], *in_y = in[1];

    for (size_t i = 0; i < n; i += 32) {
        __m256i x = load(in_x + i * steps[0], steps[0], n - i, lanes);
        __m256i y = load(in_y + i * steps[1], steps[1], n - i, lanes);

        store(to + i, n - i, products(x, y, lanes), lanes);
    }
}

#define DEFINE_ROW(op, suffix, row)                                                          \
    void scree_##op##_##suffix##_avx2(void *out, const void *const *in, const size_t *steps, \
                                      size_t n, const void *params)                          \
    {                                                                                        \
        const struct scree_binary_lanes *lanes =                                             \
            &((const struct scree_binary_params *)params)->lanes;                            \
                                                                                             \
        if (lanes->usable)                                                                   \
            row(out, in, steps, n, lanes);                                                   \
        else                                                                                 \
            scree_##op##_##suffix(out, in, steps, n, params);                                \
    }

DEFINE_ROW(add, u8, sum_row)
DEFINE_ROW(add, i8, sum_row)
DEFINE_ROW(sub, u8, sum_row)
DEFINE_ROW(sub, i8, sum_row)
DEFINE_ROW(mul, u8, product_row)
DEFINE_ROW(mul, i8, product_row)
