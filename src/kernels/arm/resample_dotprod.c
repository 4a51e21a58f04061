/* UDOT, with a weight in three digits of base 256:
 *
 *     weight = digits[2] * 2^16 + digits[1] * 2^8 + digits[0]
 *
 * A sum of bytes by digits[2] is shifted by 8, the sum by digits[1] added, and so on. Along a row a
 * vector is one pixel of the result, whose four lanes are the channels, the last of which counts
 * for nothing, and a lane has four taps; along the columns a lane is a byte of four rows. */
#include <arm_neon.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/kernels.h"

#define INLINE static inline __attribute__((always_inline))

#define PIXELS 4

/* The fours of taps or rows that are prepared; for more the variant for NEON is taken. */
#define MAX_FOURS 16

/* So many fours are a loop of their own, whose digits are in registers. */
#define FEW  2
#define MANY (FEW + 1)

/* What a sum starts with: shifted by 16, one half. */
#define START (1 << (SCREE_RESAMPLE_BITS - 1 - 16))

/* Four weights to {digits[0], digits[1], digits[2], 0} of them, u8[4] each. */
INLINE uint8x16_t split(int32x4_t weights)
{
    static const uint8_t order[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};

    return vqtbl1q_u8(vreinterpretq_u8_s32(weights), vld1q_u8(order));
}

/* Sums of four vectors to 16 bytes, saturated: shifted by 22 in two steps. */
INLINE uint8x16_t round_sums(const uint32x4_t *sums)
{
    uint16x8_t low = vshrn_high_n_u32(vshrn_n_u32(sums[0], 16), sums[1], 16);
    uint16x8_t high = vshrn_high_n_u32(vshrn_n_u32(sums[2], 16), sums[3], 16);

    return vqshrn_high_n_u16(vqshrn_n_u16(low, SCREE_RESAMPLE_BITS - 16), high,
                             SCREE_RESAMPLE_BITS - 16);
}

/* ---- along a row
 */

/* Four pixels of the result. */
struct group {
    uint8x16_t digits[PIXELS][MAX_FOURS];
    size_t at[PIXELS]; /* bytes of a row */
    size_t last;       /* where the last 16 bytes of a row begin */
    int32_t n;         /* fours of taps */
};

/* Rows of these pixels. */
struct rows {
    const uint8_t *in;
    uint8_t *out;
    size_t in_stride, out_stride;
    int32_t n;
};

/* Fills a group for the pixels from i on; returns whether all 16 bytes of the last taps are in a
 * row. */
static bool prepare(struct group *group, const struct scree_resample_taps *taps, int32_t i,
                    size_t n_bytes)
{
    int32_t n_taps = 1;
    size_t end = 0;

    for (int p = 0; p < PIXELS; p++) {
        n_taps = taps->n_taps[i + p] > n_taps ? taps->n_taps[i + p] : n_taps;
        group->at[p] = 3 * (size_t)taps->first[i + p];
        end = group->at[p] > end ? group->at[p] : end;
    }
    group->last = n_bytes - 16;
    group->n = (n_taps + 3) / 4;
    for (int p = 0; p < PIXELS; p++) {
        const int32_t *weights = taps->weights + (size_t)(i + p) * (size_t)taps->stride;

        for (int32_t q = 0; q < group->n; q++)
            group->digits[p][q] = split(vld1q_s32(weights + 4 * q));
    }
    return end + 12 * (size_t)(group->n - 1) <= group->last;
}

/* Four taps of a pixel. `edge`: near the end of a row the same bytes are farther behind in the last
 * ones of it. */
INLINE uint8x16_t load_taps(const uint8_t *in, size_t at, size_t last, bool edge)
{
    static const uint8_t order[16] = {0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, 255, 255, 255, 255};
    uint8x16_t from = vld1q_u8(order);

    if (edge && at > last) {
        from = vaddq_u8(from, vdupq_n_u8((uint8_t)(at - last)));
        at = last;
    }
    return vqtbl1q_u8(vld1q_u8(in + at), from);
}

/* A pixel of n <= FEW fours of taps, which `bytes` keeps. */
INLINE uint32x4_t sum_few(const struct group *group, const uint8_t *in, int p, int32_t n, bool edge)
{
    uint32x4_t sum = vdupq_n_u32(START);
    uint8x16_t bytes[FEW];

    for (int32_t q = 0; q < n; q++) {
        bytes[q] = load_taps(in, group->at[p] + 12 * (size_t)q, group->last, edge);
        sum = vdotq_laneq_u32(sum, bytes[q], group->digits[p][q], 2);
    }
    sum = vshlq_n_u32(sum, 8);
    for (int32_t q = 0; q < n; q++)
        sum = vdotq_laneq_u32(sum, bytes[q], group->digits[p][q], 1);
    sum = vshlq_n_u32(sum, 8);
    for (int32_t q = 0; q < n; q++)
        sum = vdotq_laneq_u32(sum, bytes[q], group->digits[p][q], 0);
    return sum;
}

INLINE uint32x4_t sum_many(const struct group *group, const uint8_t *in, int p, bool edge)
{
    uint32x4_t high = vdupq_n_u32(START), middle = vdupq_n_u32(0), low = middle;

    for (int32_t q = 0; q < group->n; q++) {
        uint8x16_t bytes = load_taps(in, group->at[p] + 12 * (size_t)q, group->last, edge);
        uint8x16_t digits = group->digits[p][q];

        high = vdotq_laneq_u32(high, bytes, digits, 2);
        middle = vdotq_laneq_u32(middle, bytes, digits, 1);
        low = vdotq_laneq_u32(low, bytes, digits, 0);
    }
    middle = vaddq_u32(middle, vshlq_n_u32(high, 8));
    return vaddq_u32(low, vshlq_n_u32(middle, 8));
}

INLINE void run(const struct group *group, struct rows rows, int32_t n, bool edge)
{
    const uint8_t *in = rows.in;
    uint8_t *out = rows.out;
    static const uint8_t order[16] = {0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255};

    for (int32_t y = 0; y < rows.n; y++) {
        uint32x4_t sums[PIXELS];
        uint8x16_t bytes;
        uint32_t four;

        for (int p = 0; p < PIXELS; p++)
            sums[p] = n <= FEW ? sum_few(group, in, p, n, edge) : sum_many(group, in, p, edge);
        bytes = vqtbl1q_u8(round_sums(sums), vld1q_u8(order));
        vst1_u8(out, vget_low_u8(bytes));
        four = vgetq_lane_u32(vreinterpretq_u32_u8(bytes), 2);
        memcpy(out + 8, &four, sizeof four);
        in += rows.in_stride;
        out += rows.out_stride;
    }
}

/* Loops whose digits are in registers. */
static void run_group(const struct group *group, struct rows rows, bool edge)
{
    if (edge)
        run(group, rows, MANY, true);
    else if (group->n == 1)
        run(group, rows, 1, false);
    else if (group->n == 2)
        run(group, rows, 2, false);
    else
        run(group, rows, MANY, false);
}

void scree_resample_rgb_dotprod(const struct scree_resample_taps *taps, const uint8_t *in,
                                size_t in_stride, int32_t n_in, int32_t n_rows, uint8_t *out,
                                size_t out_stride)
{
    size_t n_bytes = 3 * (size_t)n_in;
    int32_t n_out = taps->n_out;
    struct group group;

    if (taps->stride > 4 * MAX_FOURS || n_out < PIXELS || n_bytes < 16) {
        scree_resample_rgb_neon(taps, in, in_stride, n_in, n_rows, out, out_stride);
        return;
    }
    /* The last four begin where they are four. */
    for (int32_t i = 0; i < n_out; i += PIXELS) {
        int32_t from = i + PIXELS < n_out ? i : n_out - PIXELS;
        struct rows rows = {in, out + 3 * (size_t)from, in_stride, out_stride, n_rows};
        bool inside = prepare(&group, taps, from, n_bytes);

        run_group(&group, rows, !inside);
    }
}

/* ---- along the columns
 */

struct fours {
    const uint8_t *rows[MAX_FOURS][4];
    uint8x16_t digits[MAX_FOURS];
    int32_t n;
};

/* Rows that are not there are the last one with weight 0. */
static void prepare_rows(struct fours *fours, const uint8_t *const *rows, const int32_t *weights,
                         int32_t n_rows)
{
    fours->n = (n_rows + 3) / 4;
    for (int32_t q = 0; q < fours->n; q++) {
        int32_t w[4] = {0};

        for (int32_t j = 0; j < 4; j++) {
            bool there = 4 * q + j < n_rows;

            fours->rows[q][j] = rows[there ? 4 * q + j : n_rows - 1];
            w[j] = there ? weights[4 * q + j] : 0;
        }
        fours->digits[q] = split(vld1q_s32(w));
    }
}

/* Four vectors of four bytes of as many rows from i on. */
INLINE void interleave(const uint8_t *const *rows, size_t i, uint8x16_t *bytes)
{
    uint8x16_t a = vld1q_u8(rows[0] + i), b = vld1q_u8(rows[1] + i);
    uint8x16_t c = vld1q_u8(rows[2] + i), d = vld1q_u8(rows[3] + i);
    uint16x8_t ab[2] = {vreinterpretq_u16_u8(vzip1q_u8(a, b)),
                        vreinterpretq_u16_u8(vzip2q_u8(a, b))};
    uint16x8_t cd[2] = {vreinterpretq_u16_u8(vzip1q_u8(c, d)),
                        vreinterpretq_u16_u8(vzip2q_u8(c, d))};

    for (int k = 0; k < 2; k++) {
        bytes[2 * k] = vreinterpretq_u8_u16(vzip1q_u16(ab[k], cd[k]));
        bytes[2 * k + 1] = vreinterpretq_u8_u16(vzip2q_u16(ab[k], cd[k]));
    }
}

/* Sums of bytes [i, i + 16) of n <= FEW fours of rows. */
INLINE void blend_few(const struct fours *fours, size_t i, int32_t n, uint32x4_t *sums)
{
    uint8x16_t bytes[FEW][4];

#pragma GCC unroll 2
    for (int32_t q = 0; q < n; q++)
        interleave(fours->rows[q], i, bytes[q]);
    for (int k = 0; k < 4; k++) {
        sums[k] = vdupq_n_u32(START);
        for (int32_t q = 0; q < n; q++)
            sums[k] = vdotq_laneq_u32(sums[k], bytes[q][k], fours->digits[q], 2);
        sums[k] = vshlq_n_u32(sums[k], 8);
        for (int32_t q = 0; q < n; q++)
            sums[k] = vdotq_laneq_u32(sums[k], bytes[q][k], fours->digits[q], 1);
        sums[k] = vshlq_n_u32(sums[k], 8);
        for (int32_t q = 0; q < n; q++)
            sums[k] = vdotq_laneq_u32(sums[k], bytes[q][k], fours->digits[q], 0);
    }
}

INLINE void blend_many(const struct fours *fours, size_t i, uint32x4_t *sums)
{
    uint32x4_t high[4], middle[4];

    for (int k = 0; k < 4; k++) {
        high[k] = vdupq_n_u32(START);
        middle[k] = sums[k] = vdupq_n_u32(0);
    }
    for (int32_t q = 0; q < fours->n; q++) {
        uint8x16_t bytes[4], digits = fours->digits[q];

        interleave(fours->rows[q], i, bytes);
        for (int k = 0; k < 4; k++) {
            high[k] = vdotq_laneq_u32(high[k], bytes[k], digits, 2);
            middle[k] = vdotq_laneq_u32(middle[k], bytes[k], digits, 1);
            sums[k] = vdotq_laneq_u32(sums[k], bytes[k], digits, 0);
        }
    }
    for (int k = 0; k < 4; k++) {
        middle[k] = vaddq_u32(middle[k], vshlq_n_u32(high[k], 8));
        sums[k] = vaddq_u32(sums[k], vshlq_n_u32(middle[k], 8));
    }
}

/* Bytes [i, i + 16). */
INLINE uint8x16_t blend(const struct fours *fours, size_t i, int32_t n)
{
    uint32x4_t sums[4];

    if (n <= FEW)
        blend_few(fours, i, n, sums);
    else
        blend_many(fours, i, sums);
    return round_sums(sums);
}

INLINE void run_rows(const struct fours *fours, uint8_t *out, size_t n, int32_t n_fours)
{
    size_t i = 0;

    for (; i + 16 <= n; i += 16)
        vst1q_u8(out + i, blend(fours, i, n_fours));
    if (i < n) /* the last 16 again, in part */
        vst1q_u8(out + n - 16, blend(fours, n - 16, n_fours));
}

void scree_resample_rows_dotprod(const uint8_t *const *rows, const int32_t *weights, int32_t n_rows,
                                 uint8_t *out, size_t n)
{
    struct fours fours;

    if (n_rows > 4 * MAX_FOURS || n < 16) {
        scree_resample_rows_neon(rows, weights, n_rows, out, n);
        return;
    }
    prepare_rows(&fours, rows, weights, n_rows);
    if (fours.n == 1)
        run_rows(&fours, out, n, 1);
    else if (fours.n == 2)
        run_rows(&fours, out, n, 2);
    else
        run_rows(&fours, out, n, MANY);
}
