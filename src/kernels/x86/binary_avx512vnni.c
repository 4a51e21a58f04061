/* Sums and products of bytes, 64 at a time. Bytes are widened by interleaving them within 128-bit
 * lanes, which packing undoes: so nothing has to be put in order. */
#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/x86/requantize_avx512.h"

#define INLINE static inline __attribute__((always_inline))

/* 64 numbers of 32 bits, in the order of interleaved bytes. */
struct quads {
    __m512i part[4];
};

/* What outputs are made with, in registers: stores of bytes might change what is in memory. */
struct output {
    struct scree_lanes_avx512 lanes;
    struct scree_clamp_avx512 clamp;
};

INLINE struct output output_of(const struct scree_binary_lanes *lanes)
{
    return (struct output){
        scree_lanes_load_avx512(&lanes->out),
        {_mm512_set1_epi8((char)lanes->min), _mm512_set1_epi8((char)lanes->max),
         _mm512_set1_epi8((char)lanes->flip)},
    };
}

/* Up to 64 bytes, as of uint8; with step 0 the first one 64 times. */
INLINE __m512i load(const uint8_t *from, size_t step, __mmask64 mask, __m512i flip)
{
    __m512i bytes = step ? _mm512_maskz_loadu_epi8(mask, from) : _mm512_set1_epi8((char)*from);

    return _mm512_xor_si512(bytes, flip);
}

/* (q << shift) * factor + bias * 2^14 */
INLINE struct quads widen(__m512i bytes, int shift, int16_t factor, int16_t bias)
{
    const __m512i zero = _mm512_setzero_si512(), biases = _mm512_set1_epi16(bias);
    const __m512i factors = _mm512_set1_epi32((1 << 30) | (uint16_t)factor);
    __m512i low = _mm512_slli_epi16(_mm512_unpacklo_epi8(bytes, zero), (unsigned)shift);
    __m512i high = _mm512_slli_epi16(_mm512_unpackhi_epi8(bytes, zero), (unsigned)shift);

    return (struct quads){{
        _mm512_madd_epi16(_mm512_unpacklo_epi16(low, biases), factors),
        _mm512_madd_epi16(_mm512_unpackhi_epi16(low, biases), factors),
        _mm512_madd_epi16(_mm512_unpacklo_epi16(high, biases), factors),
        _mm512_madd_epi16(_mm512_unpackhi_epi16(high, biases), factors),
    }};
}

/* Outputs to bytes, clamped. */
INLINE __m512i narrow(const struct quads *x, const struct output *output)
{
    __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(x->part[0], x->part[1]),
                                        _mm512_packs_epi32(x->part[2], x->part[3]));

    return scree_clamp_bytes_avx512(bytes, output->clamp);
}

/* Sums or products with their bound added, scaled, clamped and stored. */
INLINE void store(uint8_t *to, __mmask64 mask, struct quads x, const struct output *output)
{
    for (int i = 0; i < 4; i++)
        x.part[i] = scree_lanes_apply_avx512(x.part[i], &output->lanes, false);
    _mm512_mask_storeu_epi8(to, mask, narrow(&x, output));
}

INLINE __mmask64 mask_of(size_t n)
{
    return n < 64 ? _cvtu64_mask64((UINT64_C(1) << n) - 1) : ~(__mmask64)0;
}

/* The rounded input of a sum. */
INLINE struct quads rounded(__m512i bytes, int16_t bias, const struct scree_lanes_avx512 *lanes)
{
    struct quads x = widen(bytes, 6, 1 << 14, bias);

    for (int i = 0; i < 4; i++)
        x.part[i] = scree_lanes_apply_avx512(x.part[i], lanes, false);
    return x;
}

INLINE void sum_loop(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                     const struct scree_binary_lanes *lanes, bool minus)
{
    const uint8_t *plain = in[lanes->plain], *other = in[1 - lanes->plain];
    size_t plain_step = steps[lanes->plain], other_step = steps[1 - lanes->plain];
    const struct scree_lanes_avx512 rounding = scree_lanes_load_avx512(&lanes->other);
    const struct output output = output_of(lanes);
    int16_t factor = lanes->plain_factor, bias = lanes->plain_bias, other_bias = lanes->other_bias;

    for (size_t i = 0; i < n; i += 64) {
        __mmask64 mask = mask_of(n - i);
        __m512i x = load(plain + i * plain_step, plain_step, mask, output.clamp.flip);
        __m512i y = load(other + i * other_step, other_step, mask, output.clamp.flip);
        struct quads sum = widen(x, 5, factor, bias);
        struct quads added = rounded(y, other_bias, &rounding);

        for (int k = 0; k < 4; k++)
            sum.part[k] = minus ? _mm512_sub_epi32(sum.part[k], added.part[k])
                                : _mm512_add_epi32(sum.part[k], added.part[k]);
        store(to + i, mask, sum, &output);
    }
}

/* Sums by steps. */
static void sum_steps(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                      const struct scree_binary_lanes *lanes)
{
    if (lanes->minus)
        sum_loop(to, in, steps, n, lanes, true);
    else
        sum_loop(to, in, steps, n, lanes, false);
}

/* Pairs of words: x, y of each element. */
INLINE struct quads pairs(__m512i x, __m512i y)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i x0 = _mm512_unpacklo_epi8(x, zero), x1 = _mm512_unpackhi_epi8(x, zero);
    __m512i y0 = _mm512_unpacklo_epi8(y, zero), y1 = _mm512_unpackhi_epi8(y, zero);

    return (struct quads){{
        _mm512_unpacklo_epi16(x0, y0),
        _mm512_unpackhi_epi16(x0, y0),
        _mm512_unpacklo_epi16(x1, y1),
        _mm512_unpackhi_epi16(x1, y1),
    }};
}

/* The constants of sums in one step. */
struct quick {
    __m512i high, low, bias, bits;
    __m128i shift;
};

INLINE struct quick load_quick(const struct scree_binary_quick *quick)
{
    return (struct quick){
        _mm512_set1_epi32(quick->high),  _mm512_set1_epi32(quick->low),
        _mm512_set1_epi32(quick->bias),  _mm512_set1_epi32(quick->mask),
        _mm_cvtsi32_si128(quick->shift),
    };
}

/* Outputs of pairs of words; false if one is next to a tie. */
INLINE bool add_pairs(struct quads *pairs, const struct quick *quick)
{
    __mmask16 ties = 0;

    for (int k = 0; k < 4; k++) {
        __m512i pair = pairs->part[k], acc = _mm512_dpwssd_epi32(quick->bias, pair, quick->high);

        acc = _mm512_dpwssd_epi32(_mm512_slli_epi32(acc, 7), pair, quick->low);
        ties = _kor_mask16(ties, _mm512_testn_epi32_mask(acc, quick->bits));
        pairs->part[k] = _mm512_sra_epi32(acc, quick->shift);
    }
    return __builtin_expect(_kortestz_mask16_u8(ties, ties), true);
}

/* An input of sums in one step: with step 0 a vector of its byte. */
INLINE const uint8_t *find_input(const void *in, size_t step, uint8_t *repeated)
{
    return step ? in : memset(repeated, *(const uint8_t *)in, 64);
}

/* Sums in one step; those next to a tie, and the 63 around them, by steps. */
static void sum_quickly(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                        const struct scree_binary_lanes *lanes)
{
    const struct quick quick = load_quick(&lanes->quick);
    const struct output output = output_of(lanes);
    const size_t step_x = steps[0], step_y = steps[1];
    uint8_t repeated[2][64];
    const uint8_t *const from_x = find_input(in[0], step_x, repeated[0]);
    const uint8_t *const from_y = find_input(in[1], step_y, repeated[1]);

    for (size_t i = 0; i < n; i += 64) {
        const uint8_t *x = from_x + i * step_x, *y = from_y + i * step_y;
        __mmask64 mask = mask_of(n - i);
        bool full = n - i >= 64;
        __m512i a = full ? _mm512_loadu_si512(x) : _mm512_maskz_loadu_epi8(mask, x);
        __m512i b = full ? _mm512_loadu_si512(y) : _mm512_maskz_loadu_epi8(mask, y);
        struct quads sums =
            pairs(_mm512_xor_si512(a, output.clamp.flip), _mm512_xor_si512(b, output.clamp.flip));

        if (!add_pairs(&sums, &quick))
            sum_steps(to + i, (const void *const[]){x, y}, steps, full ? 64 : n - i, lanes);
        else if (full)
            _mm512_storeu_si512(to + i, narrow(&sums, &output));
        else
            _mm512_mask_storeu_epi8(to + i, mask, narrow(&sums, &output));
    }
}

static void sum_row(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                    const struct scree_binary_lanes *lanes)
{
    if (lanes->quick.usable)
        sum_quickly(to, in, steps, n, lanes);
    else
        sum_steps(to, in, steps, n, lanes);
}

/* Products less than 2^16 of numbers of 9 bits, their bound added. */
INLINE struct quads products(__m512i x, __m512i y, const struct scree_binary_lanes *lanes)
{
    const __m512i zero = _mm512_setzero_si512(),
                  bound = _mm512_set1_epi32((int)SCREE_PRODUCT_BOUND),
                  zp_x = _mm512_set1_epi16(lanes->zero_point[0]),
                  zp_y = _mm512_set1_epi16(lanes->zero_point[1]);
    __m512i x0 = _mm512_sub_epi16(_mm512_unpacklo_epi8(x, zero), zp_x);
    __m512i x1 = _mm512_sub_epi16(_mm512_unpackhi_epi8(x, zero), zp_x);
    __m512i y0 = _mm512_sub_epi16(_mm512_unpacklo_epi8(y, zero), zp_y);
    __m512i y1 = _mm512_sub_epi16(_mm512_unpackhi_epi8(y, zero), zp_y);
    __m512i low0 = _mm512_mullo_epi16(x0, y0), high0 = _mm512_mulhi_epi16(x0, y0);
    __m512i low1 = _mm512_mullo_epi16(x1, y1), high1 = _mm512_mulhi_epi16(x1, y1);

    return (struct quads){{
        _mm512_add_epi32(_mm512_unpacklo_epi16(low0, high0), bound),
        _mm512_add_epi32(_mm512_unpackhi_epi16(low0, high0), bound),
        _mm512_add_epi32(_mm512_unpacklo_epi16(low1, high1), bound),
        _mm512_add_epi32(_mm512_unpackhi_epi16(low1, high1), bound),
    }};
}

static void product_row(uint8_t *to, const void *const *in, const size_t *steps, size_t n,
                        const struct scree_binary_lanes *lanes)
{
    const uint8_t *in_x = in[0], *in_y = in[1];
    const struct output output = output_of(lanes);

    for (size_t i = 0; i < n; i += 64) {
        __mmask64 mask = mask_of(n - i);
        __m512i x = load(in_x + i * steps[0], steps[0], mask, output.clamp.flip);
        __m512i y = load(in_y + i * steps[1], steps[1], mask, output.clamp.flip);

        store(to + i, mask, products(x, y, lanes), &output);
    }
}

#define DEFINE_ROW(op, suffix, row)                                                                \
    void scree_##op##_##suffix##_avx512vnni(void *out, const void *const *in, const size_t *steps, \
                                            size_t n, const void *params)                          \
    {                                                                                              \
        const struct scree_binary_lanes *lanes =                                                   \
            &((const struct scree_binary_params *)params)->lanes;                                  \
                                                                                                   \
        if (lanes->usable)                                                                         \
            row(out, in, steps, n, lanes);                                                         \
        else                                                                                       \
            scree_##op##_##suffix(out, in, steps, n, params);                                      \
    }

DEFINE_ROW(add, u8, sum_row)
DEFINE_ROW(add, i8, sum_row)
DEFINE_ROW(sub, u8, sum_row)
DEFINE_ROW(sub, i8, sum_row)
DEFINE_ROW(mul, u8, product_row)
DEFINE_ROW(mul, i8, product_row)
