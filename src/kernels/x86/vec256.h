/* kernels/x86/vec256.h - a vector of 32 bytes or 8 numbers of 32 bits, by AVX2, with the products
 * of AVX-VNNI or of AVX-512 with VNNI where the file is compiled for these.
 *
 * The names are those of vec512.h. Masks of lanes are vectors of 0 and -1. Memory: keeps nothing.
 */
#ifndef SCREE_KERNELS_X86_VEC256_H
#define SCREE_KERNELS_X86_VEC256_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/x86/requantize_avx2.h"

#define VEC_BYTES 32
#define VEC_LANES 8

typedef __m256i vec;
typedef __m256 vecf;

/* parts of vectors take longer to load and store than whole ones */
#define V_MASKS false

/* ---- memory ---- */

static inline vec v_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline vecf v_loadf(const void *p)
{
    return _mm256_loadu_ps((const float *)p);
}

static inline void v_store(void *p, vec x)
{
    _mm256_storeu_si256((__m256i *)p, x);
}

static inline void v_storef(void *p, vecf x)
{
    _mm256_storeu_ps((float *)p, x);
}

/* The first n bytes of a vector, n in [1, 32]: nothing else is read. */
static inline vec v_load_n(const void *p, size_t n)
{
#ifdef __AVX512VL__
    return _mm256_maskz_loadu_epi8(_cvtu32_mask32(UINT32_MAX >> (32 - n)), p);
#else
    uint8_t bytes[VEC_BYTES] = {0};

    memcpy(bytes, p, n);
    return v_load(bytes);
#endif
}

/* Stores bytes [from, end) of x to p[from ... end), from < end <= 32. */
static inline void v_store_part(void *p, vec x, size_t from, size_t end)
{
#ifdef __AVX512VL__
    __mmask32 mask = _cvtu32_mask32(UINT32_MAX >> (32 - end) & UINT32_MAX << from);

    _mm256_mask_storeu_epi8(p, mask, x);
#else
    uint8_t bytes[VEC_BYTES];

    v_store(bytes, x);
    memcpy((uint8_t *)p + from, bytes + from, end - from);
#endif
}

/* ---- bytes and words ---- */

static inline vec v_set8(int8_t x)
{
    return _mm256_set1_epi8(x);
}

static inline vec v_xor(vec a, vec b)
{
    return _mm256_xor_si256(a, b);
}

static inline vec v_low8(vec a, vec b)
{
    return _mm256_unpacklo_epi8(a, b);
}

static inline vec v_high8(vec a, vec b)
{
    return _mm256_unpackhi_epi8(a, b);
}

static inline vec v_low16(vec a, vec b)
{
    return _mm256_unpacklo_epi16(a, b);
}

static inline vec v_high16(vec a, vec b)
{
    return _mm256_unpackhi_epi16(a, b);
}

/* 32 bits to 16, saturated; within each 16 bytes a's come first. */
static inline vec v_pack32(vec a, vec b)
{
    return _mm256_packs_epi32(a, b);
}

/* 16 bits to unsigned bytes, or to signed ones. */
static inline vec v_pack16_u8(vec a, vec b)
{
    return _mm256_packus_epi16(a, b);
}

static inline vec v_pack16_s8(vec a, vec b)
{
    return _mm256_packs_epi16(a, b);
}

static inline vec v_set16(int16_t x)
{
    return _mm256_set1_epi16(x);
}

static inline vec v_add16_saturated(vec a, vec b)
{
    return _mm256_adds_epi16(a, b);
}

static inline vec v_add16(vec a, vec b)
{
    return _mm256_add_epi16(a, b);
}

static inline vec v_max_u8(vec a, vec b)
{
    return _mm256_max_epu8(a, b);
}

static inline vec v_max_s8(vec a, vec b)
{
    return _mm256_max_epi8(a, b);
}

static inline vec v_clamp_u8(vec x, vec min, vec max)
{
    return _mm256_min_epu8(_mm256_max_epu8(x, min), max);
}

static inline vec v_clamp_s8(vec x, vec min, vec max)
{
    return _mm256_min_epi8(_mm256_max_epi8(x, min), max);
}

/* ---- 32 bits ---- */

static inline vec v_set32(int32_t x)
{
    return _mm256_set1_epi32(x);
}

static inline vec v_add32(vec a, vec b)
{
    return _mm256_add_epi32(a, b);
}

static inline vec v_sub32(vec a, vec b)
{
    return _mm256_sub_epi32(a, b);
}

static inline vec v_min32(vec a, vec b)
{
    return _mm256_min_epi32(a, b);
}

static inline vec v_max32(vec a, vec b)
{
    return _mm256_max_epi32(a, b);
}

static inline vec v_shift_left(vec x, vec by)
{
    return _mm256_sllv_epi32(x, by);
}

static inline vec v_shift_right(vec x, vec by)
{
    return _mm256_srav_epi32(x, by);
}

/* -1 where a > b */
static inline vec v_greater(vec a, vec b)
{
    return _mm256_cmpgt_epi32(a, b);
}

/* -1 where a == b */
static inline vec v_equal(vec a, vec b)
{
    return _mm256_cmpeq_epi32(a, b);
}

static inline vec v_and(vec a, vec b)
{
    return _mm256_and_si256(a, b);
}

static inline vec v_or(vec a, vec b)
{
    return _mm256_or_si256(a, b);
}

/* mask ? a : b */
static inline vec v_select(vec mask, vec a, vec b)
{
    return _mm256_blendv_epi8(b, a, mask);
}

static inline bool v_all(vec mask)
{
    return _mm256_movemask_epi8(mask) == -1;
}

/* Outputs before the clamp: kernels/lanes.h. */
static inline vec v_requant_lanes(vec sums, const struct scree_lanes *lanes)
{
    return scree_requantize_avx2(sums, lanes, 0, false);
}

/* ---- floats ---- */

static inline vecf v_setf(float x)
{
    return _mm256_set1_ps(x);
}

static inline vecf v_to_float(vec x)
{
    return _mm256_cvtepi32_ps(x);
}

/* To the nearest, halves to even; INT32_MIN if it does not fit. */
static inline vec v_round(vecf x)
{
    return _mm256_cvtps_epi32(x);
}

/* Towards 0; INT32_MIN if it does not fit. */
static inline vec v_truncate(vecf x)
{
    return _mm256_cvttps_epi32(x);
}

static inline vecf v_addf(vecf a, vecf b)
{
    return _mm256_add_ps(a, b);
}

static inline vecf v_subf(vecf a, vecf b)
{
    return _mm256_sub_ps(a, b);
}

static inline vecf v_mulf(vecf a, vecf b)
{
    return _mm256_mul_ps(a, b);
}

static inline vecf v_divf(vecf a, vecf b)
{
    return _mm256_div_ps(a, b);
}

static inline vecf v_minf(vecf a, vecf b)
{
    return _mm256_min_ps(a, b);
}

static inline vecf v_maxf(vecf a, vecf b)
{
    return _mm256_max_ps(a, b);
}

/* a * b + c, rounded once; c - a * b */
static inline vecf v_fma(vecf a, vecf b, vecf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vecf v_fnma(vecf a, vecf b, vecf c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

static inline vecf v_as_float(vec x)
{
    return _mm256_castsi256_ps(x);
}

static inline vec v_as_bits(vecf x)
{
    return _mm256_castps_si256(x);
}

/* x with the sign of s, x >= 0 */
static inline vecf v_copy_sign(vecf x, vecf s)
{
    return _mm256_or_ps(x, _mm256_and_ps(s, _mm256_set1_ps(-0.0f)));
}

/* ---- products of bytes ---- */

#define V_SIGNED_INPUT false /* the first factor is uint8 */

/* moves between registers are free: loops need not be unrolled for them */
#define V_ROTATES false

#if defined(__AVXVNNI__) || defined(__AVX512VNNI__) || defined(V_EVEX_DOT)

/* Four unsigned bytes in each lane, and the signed weights that they are multiplied by. */
typedef vec v_quads;
typedef vec v_weights;

#define V_WEIGHTS_BYTES VEC_BYTES /* of a v_weights in memory */
#define V_WEIGHT_MIN    (-128)
#define V_WEIGHT_MAX    127

static inline v_quads v_make_quads(vec bytes)
{
    return bytes;
}

static inline v_weights v_load_weights(const void *p)
{
    return v_load(p);
}

/* Sets weight `tap` of a lane. */
static inline void v_put_weight(void *weights, int lane, int tap, int weight)
{
    ((int8_t *)weights)[4 * lane + tap] = (int8_t)weight;
}

/* Each lane of acc plus the sum of its four products. */
static inline vec v_dot(vec acc, v_quads a, v_weights w)
{
#if defined(V_EVEX_DOT) /* AVX-VNNI's kernels for a test: an assembler encodes it as AVX-512 does \
                         */
    __asm__("vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(a), "x"(w));
    return acc;
#elif defined(__AVXVNNI__)
    return _mm256_dpbusd_avx_epi32(acc, a, w);
#else
    return _mm256_dpbusd_epi32(acc, a, w);
#endif
}

#else

/* Four unsigned bytes in each lane, the first and third as 16 bits, the second and fourth. */
typedef struct {
    vec even, odd;
} v_quads;

/* Weights of 16 bits, likewise. */
typedef v_quads v_weights;

#define V_WEIGHTS_BYTES (2 * VEC_BYTES)
#define V_WEIGHT_MIN    (-255)
#define V_WEIGHT_MAX    255

static inline v_quads v_make_quads(vec bytes)
{
    return (v_quads){_mm256_and_si256(bytes, _mm256_set1_epi16(255)), _mm256_srli_epi16(bytes, 8)};
}

static inline v_weights v_load_weights(const void *p)
{
    return (v_weights){v_load(p), v_load((const char *)p + VEC_BYTES)};
}

/* Sets weight `tap` of a lane. */
static inline void v_put_weight(void *weights, int lane, int tap, int weight)
{
    ((int16_t *)weights)[tap % 2 * 16 + 2 * lane + tap / 2] = (int16_t)weight;
}

/* Each lane of acc plus the sum of its four products. */
static inline vec v_dot(vec acc, v_quads a, v_weights w)
{
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(a.even, w.even));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(a.odd, w.odd));
}

#endif

#endif
