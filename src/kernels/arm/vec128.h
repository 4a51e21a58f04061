/* kernels/arm/vec128.h - a vector of 16 bytes or 4 numbers of 32 bits, by NEON, with SDOT where the
 * file is compiled for it.
 *
 * The names are those of x86/vec512.h, as far as depthwise_block.h and pooling_block.h use them.
 * Memory: keeps nothing. */
#ifndef SCREE_KERNELS_ARM_VEC128_H
#define SCREE_KERNELS_ARM_VEC128_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define VEC_BYTES 16
#define VEC_LANES 4

typedef uint8x16_t vec;
typedef float32x4_t vecf;

/* parts of vectors take longer to load and store than whole ones */
#define V_MASKS false

/* ---- as numbers ---- */

static inline int32x4_t v_as_s32(vec x)
{
    return vreinterpretq_s32_u8(x);
}

static inline int16x8_t v_as_s16(vec x)
{
    return vreinterpretq_s16_u8(x);
}

static inline int8x16_t v_as_s8(vec x)
{
    return vreinterpretq_s8_u8(x);
}

static inline vec v_from_s32(int32x4_t x)
{
    return vreinterpretq_u8_s32(x);
}

/* ---- memory ---- */

static inline vec v_load(const void *p)
{
    return vld1q_u8(p);
}

static inline void v_store(void *p, vec x)
{
    vst1q_u8(p, x);
}

/* The first n bytes of a vector, n in [1, 16]: nothing else is read. */
static inline vec v_load_n(const void *p, size_t n)
{
    uint8_t bytes[VEC_BYTES] = {0};

    memcpy(bytes, p, n);
    return v_load(bytes);
}

/* Stores bytes [from, end) of x to p[from ... end), from < end <= 16. */
static inline void v_store_part(void *p, vec x, size_t from, size_t end)
{
    uint8_t bytes[VEC_BYTES];

    v_store(bytes, x);
    memcpy((uint8_t *)p + from, bytes + from, end - from);
}

/* ---- bytes and words ---- */

static inline vec v_set8(int8_t x)
{
    return vdupq_n_u8((uint8_t)x);
}

static inline vec v_xor(vec a, vec b)
{
    return veorq_u8(a, b);
}

static inline vec v_low8(vec a, vec b)
{
    return vzip1q_u8(a, b);
}

static inline vec v_high8(vec a, vec b)
{
    return vzip2q_u8(a, b);
}

static inline vec v_low16(vec a, vec b)
{
    return vreinterpretq_u8_s16(vzip1q_s16(v_as_s16(a), v_as_s16(b)));
}

static inline vec v_high16(vec a, vec b)
{
    return vreinterpretq_u8_s16(vzip2q_s16(v_as_s16(a), v_as_s16(b)));
}

/* 16 bits to signed bytes, saturated. */
static inline vec v_pack16_s8(vec a, vec b)
{
    return vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(v_as_s16(a)), v_as_s16(b)));
}

static inline vec v_clamp_s8(vec x, vec min, vec max)
{
    return vreinterpretq_u8_s8(vminq_s8(vmaxq_s8(v_as_s8(x), v_as_s8(min)), v_as_s8(max)));
}

static inline vec v_pack16_u8(vec a, vec b)
{
    return vqmovun_high_s16(vqmovun_s16(v_as_s16(a)), v_as_s16(b));
}

/* 32 bits to 16, saturated. */
static inline vec v_pack32(vec a, vec b)
{
    return vreinterpretq_u8_s16(vqmovn_high_s32(vqmovn_s32(v_as_s32(a)), v_as_s32(b)));
}

static inline vec v_add16(vec a, vec b)
{
    return vreinterpretq_u8_s16(vaddq_s16(v_as_s16(a), v_as_s16(b)));
}

static inline vec v_max_u8(vec a, vec b)
{
    return vmaxq_u8(a, b);
}

static inline vec v_max_s8(vec a, vec b)
{
    return vreinterpretq_u8_s8(vmaxq_s8(v_as_s8(a), v_as_s8(b)));
}

static inline vec v_clamp_u8(vec x, vec min, vec max)
{
    return vminq_u8(vmaxq_u8(x, min), max);
}

/* ---- 32 bits and floats ---- */

static inline vec v_set32(int32_t x)
{
    return v_from_s32(vdupq_n_s32(x));
}

static inline vec v_add32(vec a, vec b)
{
    return v_from_s32(vaddq_s32(v_as_s32(a), v_as_s32(b)));
}

static inline vecf v_setf(float x)
{
    return vdupq_n_f32(x);
}

static inline vecf v_to_float(vec x)
{
    return vcvtq_f32_s32(v_as_s32(x));
}

/* Towards 0. */
static inline vec v_truncate(vecf x)
{
    return v_from_s32(vcvtq_s32_f32(x));
}

static inline vecf v_addf(vecf a, vecf b)
{
    return vaddq_f32(a, b);
}

static inline vecf v_mulf(vecf a, vecf b)
{
    return vmulq_f32(a, b);
}

/* x with the sign of s, x >= 0 */
static inline vecf v_copy_sign(vecf x, vecf s)
{
    return vbslq_f32(vdupq_n_u32(UINT32_C(1) << 31), s, x);
}

#ifdef __ARM_FEATURE_DOTPROD

/* ---- products of bytes ---- */

#define V_SIGNED_INPUT true /* both factors are int8 */

/* moves between registers are not free: loops are unrolled instead */
#define V_ROTATES true

/* Four bytes in each lane, and the weights that they are multiplied by. */
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
    return v_from_s32(vdotq_s32(v_as_s32(acc), v_as_s8(a), v_as_s8(w)));
}

#endif

#endif
