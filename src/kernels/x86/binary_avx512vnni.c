#include <immintrin.h>

#include "kernels/binary_q8.h"
#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

/* What a row adds up: x + y, x - y, or y - x, where x is the input that is not rounded. */
enum sum { PLUS, MINUS, REVERSED };

/* high(x, q): see kernels/fixed.h, scree_mul_high(). */
INLINE __m512i mul_high(__m512i x, __m512i q)
{
    const __m512i nudge = _mm512_set1_epi64((int64_t)1 << 30);
    __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, q), nudge);
    __m512i odd = _mm512_add_epi64(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), q), nudge);

    return _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 31), _mm512_add_epi64(odd, odd));
}

/* round(high(x, q) / 2^right) */
INLINE __m512i scale(__m512i x, int32_t q, int32_t half, int32_t right)
{
    __m512i high = mul_high(x, _mm512_set1_epi32(q));
    __m512i sign = _mm512_srai_epi32(high, 31);

    return _mm512_sra_epi32(_mm512_add_epi32(_mm512_add_epi32(high, _mm512_set1_epi32(half)), sign),
                            _mm_cvtsi32_si128(right));
}

/* Sixteen numbers less their zero point; with step 0 the first one sixteen times. */
INLINE __m512i load(const uint8_t *from, size_t step, __mmask16 mask, bool is_signed, int32_t zp)
{
    __m128i bytes = step ? _mm_maskz_loadu_epi8(mask, from) : _mm_set1_epi8((char)*from);
    __m512i numbers = is_signed ? _mm512_cvtepi8_epi32(bytes) : _mm512_cvtepu8_epi32(bytes);

    return _mm512_sub_epi32(numbers, _mm512_set1_epi32(zp));
}

INLINE void store(uint8_t *to, __mmask16 mask, __m512i x, const struct scree_out_q8 *out)
{
    __m512i scaled =
        _mm512_add_epi32(scale(x, out->q, out->half, out->right), _mm512_set1_epi32(out->zp));

    scaled = _mm512_max_epi32(scaled, _mm512_set1_epi32(out->min));
    scaled = _mm512_min_epi32(scaled, _mm512_set1_epi32(out->max));
    _mm512_mask_cvtepi32_storeu_epi8(to, mask, scaled);
}

INLINE __mmask16 mask_of(size_t n)
{
    return n < 16 ? (__mmask16)((1u << n) - 1) : 0xffff;
}

INLINE void sum_loop(uint8_t *to, const uint8_t *plain, size_t step_plain, const uint8_t *other,
                     size_t step_other, size_t n, const struct scree_sum_q8 *p, bool is_signed,
                     enum sum kind)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = mask_of(n - i);
        __m512i x = load(plain + i * step_plain, step_plain, mask, is_signed, p->zp_plain);
        __m512i y = load(other + i * step_other, step_other, mask, is_signed, p->zp);

        x = _mm512_slli_epi32(x, 19);
        y = scale(_mm512_sll_epi32(y, _mm_cvtsi32_si128(p->left)), p->q, p->half, p->right);
        x = kind == PLUS    ? _mm512_add_epi32(x, y)
            : kind == MINUS ? _mm512_sub_epi32(x, y)
                            : _mm512_sub_epi32(y, x);
        store(to + i, mask, x, &p->out);
    }
}

/* Each way of reading the inputs in a loop of its own. */
INLINE void sum_row(void *to, const void *const *in, const size_t *steps, size_t n,
                    const struct scree_sum_q8 *p, bool is_signed, enum sum kind)
{
    const uint8_t *plain = in[p->plain], *other = in[1 - p->plain];

    if (!steps[p->plain])
        sum_loop(to, plain, 0, other, 1, n, p, is_signed, kind);
    else if (!steps[1 - p->plain])
        sum_loop(to, plain, 1, other, 0, n, p, is_signed, kind);
    else
        sum_loop(to, plain, 1, other, 1, n, p, is_signed, kind);
}

#define DEFINE_SUM(suffix, is_signed)                                                           \
    void scree_add_##suffix##_avx512vnni(void *out, const void *const *in, const size_t *steps, \
                                         size_t n, const void *params)                          \
    {                                                                                           \
        struct scree_sum_q8 sum;                                                                \
                                                                                                \
        if (scree_sum_q8_init(&sum, params))                                                    \
            sum_row(out, in, steps, n, &sum, is_signed, PLUS);                                  \
        else                                                                                    \
            scree_add_##suffix(out, in, steps, n, params);                                      \
    }                                                                                           \
    void scree_sub_##suffix##_avx512vnni(void *out, const void *const *in, const size_t *steps, \
                                         size_t n, const void *params)                          \
    {                                                                                           \
        struct scree_sum_q8 sum;                                                                \
                                                                                                \
        if (!scree_sum_q8_init(&sum, params))                                                   \
            scree_sub_##suffix(out, in, steps, n, params);                                      \
        else if (sum.plain == 0)                                                                \
            sum_row(out, in, steps, n, &sum, is_signed, MINUS);                                 \
        else                                                                                    \
            sum_row(out, in, steps, n, &sum, is_signed, REVERSED);                              \
    }

DEFINE_SUM(u8, false)
DEFINE_SUM(i8, true)

INLINE void product_loop(uint8_t *to, const uint8_t *in_x, size_t step_x, const uint8_t *in_y,
                         size_t step_y, size_t n, const struct scree_binary_params *p,
                         const struct scree_out_q8 *out, bool is_signed)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = mask_of(n - i);
        __m512i x = load(in_x + i * step_x, step_x, mask, is_signed, p->zero_point[0]);
        __m512i y = load(in_y + i * step_y, step_y, mask, is_signed, p->zero_point[1]);

        store(to + i, mask, _mm512_mullo_epi32(x, y), out);
    }
}

INLINE void product_row(void *to, const void *const *in, const size_t *steps, size_t n,
                        const struct scree_binary_params *p, const struct scree_out_q8 *out,
                        bool is_signed)
{
    if (!steps[0])
        product_loop(to, in[0], 0, in[1], 1, n, p, out, is_signed);
    else if (!steps[1])
        product_loop(to, in[0], 1, in[1], 0, n, p, out, is_signed);
    else
        product_loop(to, in[0], 1, in[1], 1, n, p, out, is_signed);
}

#define DEFINE_PRODUCT(suffix, is_signed)                                                       \
    void scree_mul_##suffix##_avx512vnni(void *out, const void *const *in, const size_t *steps, \
                                         size_t n, const void *params)                          \
    {                                                                                           \
        struct scree_out_q8 scaling;                                                            \
                                                                                                \
        if (scree_product_q8_init(&scaling, params))                                            \
            product_row(out, in, steps, n, params, &scaling, is_signed);                        \
        else                                                                                    \
            scree_mul_##suffix(out, in, steps, n, params);                                      \
    }

DEFINE_PRODUCT(u8, false)
DEFINE_PRODUCT(i8, true)
