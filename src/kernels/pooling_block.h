/* kernels/pooling_block.h - pooling and sums of rows of bytes, over vectors of any size.
 *
 *     #include "kernels/x86/vec512.h"
 *     #include "kernels/pooling_block.h"
 *     SCREE_DEFINE_POOLING(avx512vnni)
 *
 * defines the variants of kernels/pooling.h and of scree_sum_rows_fn for the vectors of the header
 * before. Bytes are added up as 16 bits, and these as 32 bits before they could overflow. Unpacking
 * permutes the channels of a vector, and packing the results undoes it.
 *
 * The last vector of a pixel reaches back to be full. Pixels of less than a vector are loaded in
 * part where that costs nothing (V_MASKS), else left to the definition. Memory: keeps nothing.
 * Threads: pure functions. */
#ifndef SCREE_KERNELS_POOLING_BLOCK_H
#define SCREE_KERNELS_POOLING_BLOCK_H

#include "kernels/kernels.h"
#include "kernels/pooling_window.h"

#define POOLING_INLINE static inline __attribute__((always_inline))

/* How many vectors are worked on at once, if there are as many. */
#define POOLING_VECTORS 4

/* The bytes that 16 bits can hold the sum of. */
#define POOLING_WORD_SUMS 257

/* Means of so many elements come from floats: sums and halves are exact, and the quotient, at least
 * 1/2n from where it would become another integer, is off by 2^-15 at most. */
#define POOLING_MAX_MEAN ((size_t)1 << 13)

/* The bytes of channels [0, n) of a pixel. part: n is less than a vector. */
POOLING_INLINE vec pooling_load(const uint8_t *p, size_t n, const bool part)
{
    return part ? v_load_n(p, n) : v_load(p);
}

POOLING_INLINE void pooling_store(uint8_t *p, vec x, size_t n, const bool part)
{
    if (part)
        v_store_part(p, x, 0, n);
    else
        v_store(p, x);
}

/* ---- the largest -------------------------------------------------------------------------------
 */

POOLING_INLINE vec pooling_max(vec a, vec b, const bool is_signed)
{
    return is_signed ? v_max_s8(a, b) : v_max_u8(a, b);
}

/* The largest of each channel of a window, limited. */
POOLING_INLINE void pooling_max_block(const struct scree_pooling *p,
                                      const struct scree_pooling_window *w, const uint8_t *in,
                                      uint8_t *out, size_t n, const int vectors, const bool part,
                                      const bool is_signed)
{
    const vec min = v_set8((int8_t)p->min), max = v_set8((int8_t)p->max);
    vec most[POOLING_VECTORS];

    for (int i = 0; i < vectors; i++)
        most[i] = min;
    for (size_t y = 0; y < w->rows; y++, in += w->pitch) {
        const uint8_t *pixel = in;

        for (size_t x = 0; x < w->cols; x++, pixel += p->c)
            for (int i = 0; i < vectors; i++)
                most[i] =
                    pooling_max(most[i], pooling_load(pixel + i * VEC_BYTES, n, part), is_signed);
    }
    for (int i = 0; i < vectors; i++) {
        vec x = is_signed ? v_clamp_s8(most[i], min, max) : v_clamp_u8(most[i], min, max);

        pooling_store(out + i * VEC_BYTES, x, n, part);
    }
}

/* ---- sums --------------------------------------------------------------------------------------
 */

/* The sums of a vector of channels, of bytes taken for uint8: permuted, four times 32 bits. */
struct pooling_sums {
    vec v[4];
};

/* Adds words, sums of bytes, to the sums, and clears them. */
POOLING_INLINE void pooling_widen(struct pooling_sums *sums, vec *words)
{
    const vec zero = v_set8(0);

    sums->v[0] = v_add32(sums->v[0], v_low16(words[0], zero));
    sums->v[1] = v_add32(sums->v[1], v_high16(words[0], zero));
    sums->v[2] = v_add32(sums->v[2], v_low16(words[1], zero));
    sums->v[3] = v_add32(sums->v[3], v_high16(words[1], zero));
    words[0] = words[1] = zero;
}

/* The sums over a window of pixels of c bytes. */
POOLING_INLINE void pooling_add(const struct scree_pooling_window *w, const uint8_t *in, size_t c,
                                size_t n, struct pooling_sums *sums, const int vectors,
                                const bool part, const bool is_signed)
{
    const vec zero = v_set8(0), flip = v_set8(is_signed ? -128 : 0);
    const vec start = v_set32(is_signed ? (int32_t)(0 - 128 * (uint32_t)(w->rows * w->cols)) : 0);
    vec words[POOLING_VECTORS][2];
    int room = POOLING_WORD_SUMS;

    for (int i = 0; i < vectors; i++) {
        words[i][0] = words[i][1] = zero;
        sums[i] = (struct pooling_sums){{start, start, start, start}};
    }
    for (size_t y = 0; y < w->rows; y++, in += w->pitch) {
        const uint8_t *pixel = in;

        for (size_t x = 0; x < w->cols; x++, pixel += c) {
            for (int i = 0; i < vectors; i++) {
                vec bytes = pooling_load(pixel + i * VEC_BYTES, n, part);

                bytes = is_signed ? v_xor(bytes, flip) : bytes;
                words[i][0] = v_add16(words[i][0], v_low8(bytes, zero));
                words[i][1] = v_add16(words[i][1], v_high8(bytes, zero));
            }
            if (--room == 0) {
                for (int i = 0; i < vectors; i++)
                    pooling_widen(&sums[i], words[i]);
                room = POOLING_WORD_SUMS;
            }
        }
    }
    for (int i = 0; i < vectors; i++)
        pooling_widen(&sums[i], words[i]);
}

/* 32 bits in the range of the type to bytes, in the order from before pooling_add(). */
POOLING_INLINE vec pooling_narrow(const struct pooling_sums *x, const bool is_signed)
{
    vec low = v_pack32(x->v[0], x->v[1]), high = v_pack32(x->v[2], x->v[3]);

    return is_signed ? v_pack16_s8(low, high) : v_pack16_u8(low, high);
}

/* ---- means -------------------------------------------------------------------------------------
 */

POOLING_INLINE void pooling_mean_block(const struct scree_pooling *p,
                                       const struct scree_pooling_window *w, const uint8_t *in,
                                       uint8_t *out, size_t n, const int vectors, const bool part,
                                       const bool is_signed)
{
    const vec min = v_set8((int8_t)p->min), max = v_set8((int8_t)p->max);
    size_t count = w->rows * w->cols;
    const vecf half = v_setf((float)(count / 2) + 0.5f), factor = v_setf(1 / (float)count);
    struct pooling_sums sums[POOLING_VECTORS];

    pooling_add(w, in, (size_t)p->c, n, sums, vectors, part, is_signed);
    for (int i = 0; i < vectors; i++) {
        vec bytes;

        for (int k = 0; k < 4; k++) {
            vecf x = v_to_float(sums[i].v[k]);

            x = v_mulf(v_addf(x, v_copy_sign(half, x)), factor);
            sums[i].v[k] = v_truncate(x);
        }
        bytes = pooling_narrow(&sums[i], is_signed);
        bytes = is_signed ? v_clamp_s8(bytes, min, max) : v_clamp_u8(bytes, min, max);
        pooling_store(out + i * VEC_BYTES, bytes, n, part);
    }
}

/* ---- rows of a pooling -------------------------------------------------------------------------
 */

typedef void pooling_block_fn(const struct scree_pooling *p, const struct scree_pooling_window *w,
                              const uint8_t *in, uint8_t *out, size_t n, const int vectors,
                              const bool part, const bool is_signed);

/* One pixel of the output; `block` is a constant wherever this is used. */
POOLING_INLINE void pooling_pixel(const struct scree_pooling *p,
                                  const struct scree_pooling_window *w, const uint8_t *in,
                                  uint8_t *out, pooling_block_fn *block, const bool is_signed)
{
    size_t c = (size_t)p->c, at = 0;

    if (V_MASKS && c < VEC_BYTES) {
        block(p, w, in, out, c, 1, true, is_signed);
        return;
    }
    for (; at + POOLING_VECTORS * VEC_BYTES <= c; at += POOLING_VECTORS * VEC_BYTES)
        block(p, w, in + at, out + at, VEC_BYTES, POOLING_VECTORS, false, is_signed);
    for (; at < c; at += VEC_BYTES) {
        at = c - at < VEC_BYTES ? c - VEC_BYTES : at;
        block(p, w, in + at, out + at, VEC_BYTES, 1, false, is_signed);
    }
}

POOLING_INLINE void pooling_row(const struct scree_pooling *p, const void *in, void *out,
                                size_t row, scree_pooling_row_fn *definition,
                                pooling_block_fn *block, const bool is_signed)
{
    size_t c = (size_t)p->c, count = (size_t)p->filter_h * (size_t)p->filter_w;
    uint8_t *to = (uint8_t *)out + row * (size_t)p->out_w * c;

    if ((!V_MASKS && c < VEC_BYTES) || count > POOLING_MAX_MEAN || p->min > p->max) {
        definition(p, in, out, row);
        return;
    }
    for (int32_t x = 0; x < p->out_w; x++, to += c) {
        struct scree_pooling_window w = scree_pooling_window_at(p, row, x);

        pooling_pixel(p, &w, (const uint8_t *)in + w.first, to, block, is_signed);
    }
}

/* ---- requantized sums --------------------------------------------------------------------------
 */

/* scree_multiply() of sums less `zeros`, plus the output's zero point, limited: written so that a
 * compiler makes vectors of it. */
POOLING_INLINE void pooling_requantize(int32_t *sums, size_t n, uint32_t zeros,
                                       const struct scree_reduce_params *p)
{
    int32_t q = p->multiplier.q, min = p->min, max = p->max, zero_point = p->out_zero_point;
    int left = p->multiplier.shift > 0 ? p->multiplier.shift & 31 : 0;
    int right = p->multiplier.shift < 0 ? -p->multiplier.shift : 0;
    int32_t mask = (int32_t)(((uint32_t)1 << right) - 1), half = mask >> 1;

    for (size_t i = 0; i < n; i++) {
        int32_t x = (int32_t)(((uint32_t)sums[i] - zeros) << left);
        int32_t high = (int32_t)(((int64_t)x * q + (1 << 30)) >> 31);
        int32_t rounded = (high >> right) + ((high & mask) > half + (high < 0));

        x = (int32_t)((uint32_t)rounded + (uint32_t)zero_point);
        x = x < min ? min : x;
        sums[i] = x > max ? max : x;
    }
}

/* The sums of n bytes of each row, n at most a vector, or whole vectors. */
POOLING_INLINE void pooling_sum_block(uint8_t *out, const uint8_t *in, size_t n_rows, size_t step,
                                      size_t n, const struct scree_reduce_params *p,
                                      const int vectors, const bool part, const bool is_signed)
{
    const struct scree_pooling_window w = {.rows = 1, .cols = n_rows};
    struct pooling_sums sums[POOLING_VECTORS];
    int32_t numbers[POOLING_VECTORS * VEC_BYTES];
    size_t n_numbers = (size_t)vectors * VEC_BYTES;

    pooling_add(&w, in, step, n, sums, vectors, part, is_signed);
    for (int i = 0; i < vectors; i++)
        for (int k = 0; k < 4; k++)
            v_store(numbers + i * VEC_BYTES + k * VEC_LANES, sums[i].v[k]);
    pooling_requantize(numbers, n_numbers, (uint32_t)p->zero_point * (uint32_t)n_rows, p);
    for (int i = 0; i < vectors; i++) {
        for (int k = 0; k < 4; k++)
            sums[i].v[k] = v_load(numbers + i * VEC_BYTES + k * VEC_LANES);
        pooling_store(out + i * VEC_BYTES, pooling_narrow(&sums[i], is_signed), n, part);
    }
}

POOLING_INLINE void pooling_sum_rows(uint8_t *out, const uint8_t *in, size_t n_rows, size_t n,
                                     const struct scree_reduce_params *p,
                                     scree_sum_rows_fn *definition, const bool is_signed)
{
    size_t at = 0;

    if (n < VEC_BYTES) {
        if (V_MASKS)
            pooling_sum_block(out, in, n_rows, n, n, p, 1, true, is_signed);
        else
            definition(out, in, n_rows, n, p);
        return;
    }
    for (; at + POOLING_VECTORS * VEC_BYTES <= n; at += POOLING_VECTORS * VEC_BYTES)
        pooling_sum_block(out + at, in + at, n_rows, n, VEC_BYTES, p, POOLING_VECTORS, false,
                          is_signed);
    for (; at < n; at += VEC_BYTES) {
        at = n - at < VEC_BYTES ? n - VEC_BYTES : at;
        pooling_sum_block(out + at, in + at, n_rows, n, VEC_BYTES, p, 1, false, is_signed);
    }
}

/* ---- the variants ------------------------------------------------------------------------------
 */

#define SCREE_DEFINE_POOLING_OF(type, isa, is_signed)                                            \
    void scree_average_pool_##type##_##isa(const struct scree_pooling *p, const void *in,        \
                                           void *out, size_t row)                                \
    {                                                                                            \
        pooling_row(p, in, out, row, scree_average_pool_##type, pooling_mean_block, is_signed);  \
    }                                                                                            \
    void scree_max_pool_##type##_##isa(const struct scree_pooling *p, const void *in, void *out, \
                                       size_t row)                                               \
    {                                                                                            \
        pooling_row(p, in, out, row, scree_max_pool_##type, pooling_max_block, is_signed);       \
    }                                                                                            \
    void scree_sum_rows_##type##_##isa(void *out, const void *in, size_t n_rows, size_t n,       \
                                       const struct scree_reduce_params *p)                      \
    {                                                                                            \
        pooling_sum_rows(out, in, n_rows, n, p, scree_sum_rows_##type, is_signed);               \
    }

#define SCREE_DEFINE_POOLING(isa)           \
    SCREE_DEFINE_POOLING_OF(u8, isa, false) \
    SCREE_DEFINE_POOLING_OF(i8, isa, true)

#endif
