/* kernels/x86/vec512.h - a vector of 64 bytes or 16 numbers of 32 bits, by AVX-512 with VNNI.
 *
 * The names are those of vec256.h, so that a kernel written over them makes a variant for each
 * vector size. Masks of lanes are vectors of 0 and -1. Memory: keeps nothing. */
#ifndef SCREE_KERNELS_X86_VEC512_H
#define SCREE_KERNELS_X86_VEC512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/x86/requantize_avx512.h"

#define VEC_BYTES 64
#define VEC_LANES 16

typedef __m512i vec;
typedef __m512 vecf;

/* parts of vectors are loaded and stored as fast as whole ones */
#define V_MASKS true

/* ---- memory ---- */

static inline vec v_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline vecf v_loadf(const void *p)
{
    return _mm512_loadu_ps(p);
}

static inline void v_store(void *p, vec x)
{
    _mm512_storeu_si512(p, x);
}

static inline void v_storef(void *p, vecf x)
{
    _mm512_storeu_ps(p, x);
}

/* The first n bytes of a vector, n in [1, 64]: nothing else is read, or written. */
static inline vec v_load_n(const void *p, size_t n)
{
    return _mm512_maskz_loadu_epi8(_cvtu64_mask64(UINT64_MAX >> (64 - n)), p);
}

/* Stores bytes [from, end) of x to p[from ... end), from < end <= 64. */
static inline void v_store_part(void *p, vec x, size_t from, size_t end)
{
    __mmask64 mask = _cvtu64_mask64(UINT64_MAX >> (64 - end) & UINT64_MAX << from);

    _mm512_mask_storeu_epi8(p, mask, x);
}

/* ---- bytes and words ---- */

static inline vec v_set8(int8_t x)
{
    return _mm512_set1_epi8(x);
}

static inline vec v_xor(vec a, vec b)
{
    return _mm512_xor_si512(a, b);
}

static inline vec v_low8(vec a, vec b)
{
    return _mm512_unpacklo_epi8(a, b);
}

static inline vec v_high8(vec a, vec b)
{
    return _mm512_unpackhi_epi8(a, b);
}

static inline vec v_low16(vec a, vec b)
{
    return _mm512_unpacklo_epi16(a, b);
}

static inline vec v_high16(vec a, vec b)
{
    return _mm512_unpackhi_epi16(a, b);
}

/* 32 bits to 16, saturated; within each 16 bytes a's come first. */
static inline vec v_pack32(vec a, vec b)
{
    return _mm512_packs_epi32(a, b);
}

/* 16 bits to unsigned bytes, or to signed ones. */
static inline vec v_pack16_u8(vec a, vec b)
{
    return _mm512_packus_epi16(a, b);
}

static inline vec v_pack16_s8(vec a, vec b)
{
    return _mm512_packs_epi16(a, b);
}

static inline vec v_set16(int16_t x)
{
    return _mm512_set1_epi16(x);
}

static inline vec v_add16_saturated(vec a, vec b)
{
    return _mm512_adds_epi16(a, b);
}

static inline vec v_add16(vec a, vec b)
{
    return _mm512_add_epi16(a, b);
}

static inline vec v_max_u8(vec a, vec b)
{
    return _mm512_max_epu8(a, b);
}

static inline vec v_max_s8(vec a, vec b)
{
    return _mm512_max_epi8(a, b);
}

static inline vec v_clamp_u8(vec x, vec min, vec max)
{
    return _mm512_min_epu8(_mm512_max_epu8(x, min), max);
}

static inline vec v_clamp_s8(vec x, vec min, vec max)
{
    return _mm512_min_epi8(_mm512_max_epi8(x, min), max);
}

/* ---- 32 bits ---- */

static inline vec v_set32(int32_t x)
{
    return _mm512_set1_epi32(x);
}

static inline vec v_add32(vec a, vec b)
{
    return _mm512_add_epi32(a, b);
}

static inline vec v_sub32(vec a, vec b)
{
    return _mm512_sub_epi32(a, b);
}

static inline vec v_min32(vec a, vec b)
{
    return _mm512_min_epi32(a, b);
}

static inline vec v_max32(vec a, vec b)
{
    return _mm512_max_epi32(a, b);
}

static inline vec v_shift_left(vec x, vec by)
{
    return _mm512_sllv_epi32(x, by);
}

static inline vec v_shift_right(vec x, vec by)
{
    return _mm512_srav_epi32(x, by);
}

/* -1 where a > b */
static inline vec v_greater(vec a, vec b)
{
    return _mm512_movm_epi32(_mm512_cmpgt_epi32_mask(a, b));
}

/* -1 where a == b */
static inline vec v_equal(vec a, vec b)
{
    return _mm512_movm_epi32(_mm512_cmpeq_epi32_mask(a, b));
}

static inline vec v_and(vec a, vec b)
{
    return _mm512_and_si512(a, b);
}

static inline vec v_or(vec a, vec b)
{
    return _mm512_or_si512(a, b);
}

/* mask ? a : b */
static inline vec v_select(vec mask, vec a, vec b)
{
    return _mm512_ternarylogic_epi32(mask, a, b, 0xca);
}

static inline bool v_all(vec mask)
{
    return _mm512_movepi32_mask(mask) == 0xffff;
}

/* Outputs before the clamp: kernels/lanes.h. */
static inline vec v_requant_lanes(vec sums, const struct scree_lanes *lanes)
{
    return scree_requantize_avx512(sums, lanes, false);
}

/* ---- floats ---- */

static inline vecf v_setf(float x)
{
    return _mm512_set1_ps(x);
}

static inline vecf v_to_float(vec x)
{
    return _mm512_cvtepi32_ps(x);
}

/* To the nearest, halves to even; INT32_MIN if it does not fit. */
static inline vec v_round(vecf x)
{
    return _mm512_cvtps_epi32(x);
}

/* Towards 0; INT32_MIN if it does not fit. */
static inline vec v_truncate(vecf x)
{
    return _mm512_cvttps_epi32(x);
}

static inline vecf v_addf(vecf a, vecf b)
{
    return _mm512_add_ps(a, b);
}

static inline vecf v_subf(vecf a, vecf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vecf v_mulf(vecf a, vecf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vecf v_divf(vecf a, vecf b)
{
    return _mm512_div_ps(a, b);
}

static inline vecf v_minf(vecf a, vecf b)
{
    return _mm512_min_ps(a, b);
}

static inline vecf v_maxf(vecf a, vecf b)
{
    return _mm512_max_ps(a, b);
}

/* a * b + c, rounded once; c - a * b */
static inline vecf v_fma(vecf a, vecf b, vecf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vecf v_fnma(vecf a, vecf b, vecf c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

static inline vecf v_as_float(vec x)
{
    return _mm512_castsi512_ps(x);
}

static inline vec v_as_bits(vecf x)
{
    return _mm512_castps_si512(x);
}

/* x with the sign of s, x >= 0 */
static inline vecf v_copy_sign(vecf x, vecf s)
{
    return v_as_float(
        _mm512_ternarylogic_epi32(v_set32(INT32_MIN), v_as_bits(s), v_as_bits(x), 0xea));
}

/* ---- products of bytes ---- */

#define V_SIGNED_INPUT false /* the first factor is uint8 */

/* moves between registers are free: loops need not be unrolled for them */
#define V_ROTATES false

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
    return _mm512_dpbusd_epi32(acc, a, w);
}

#endif
