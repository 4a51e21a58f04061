/* kernels/softmax.h - softmax and its logarithm over rows of `depth` elements.
 *
 *     out[i] = e^(beta x[i]) / sum of e^(beta x[k]),  out[i] = x[i] - ln(sum of e^x[k])
 *
 * The quantized ones compute in fixed point: integers are exact on every machine. Each function
 * works on n_rows rows; in and out of the named types [n_rows][depth] do not overlap; depth >= 1.
 * Source: TFLite kernels/internal/reference/{softmax,log_softmax}.h, integer_ops/log_softmax.h. */
#ifndef SCREE_KERNELS_SOFTMAX_H
#define SCREE_KERNELS_SOFTMAX_H

#include "kernels/fixed.h"
#include "kernels/half.h"
#include "kernels/lut.h"

/* What the 8-bit rows need: e^(beta scale (q - q_max)) by the difference. */
struct scree_softmax_8 {
    int32_t exps[256];                   /* Q0.31, of -i steps; 0 beyond n_exps */
    int32_t diffs[256];                  /* beta scale (-i) in Q5.26 */
    int32_t n_exps;                      /* differences that count: 1 + the greatest */
    struct scree_multiplier log_to_diff; /* logarithms only: Q5.26 to steps of q */
};

/* What the 16-bit rows need. */
struct scree_softmax_16 {
    struct scree_multiplier multiplier;           /* from q to steps of 10 / 65535 */
    int16_t exp[SCREE_LUT_16_SIZE];               /* e^x for x in [-10, 0] */
    int16_t one_over_one_plus[SCREE_LUT_16_SIZE]; /* 1 / (1 + x) for x in [0, 1] */
};

/* Fills all but log_to_diff. `multiplier` brings a difference to Q5.26; its shift is in [1, 31]. */
void scree_softmax_8_init(struct scree_softmax_8 *softmax, struct scree_multiplier multiplier);

/* Fills the tables. */
void scree_softmax_16_init(struct scree_softmax_16 *softmax);

void scree_softmax_f32(float *out, const float *in, size_t n_rows, size_t depth, float beta);
void scree_softmax_f16(scree_half *out, const scree_half *in, size_t n_rows, size_t depth,
                       float beta);

/* The output's scale is 2^-bits of its type and its zero point the type's least value. `flip` is 0
 * for u8 to u8, 0x80 for i8 to i8. */
typedef void scree_softmax_8_fn(uint8_t *out, const uint8_t *in, size_t n_rows, size_t depth,
                                uint8_t flip, const struct scree_softmax_8 *softmax);
scree_softmax_8_fn scree_softmax_8_8;

void scree_softmax_u8_i16(int16_t *out, const uint8_t *in, size_t n_rows, size_t depth,
                          const struct scree_softmax_8 *softmax);
void scree_softmax_i8_i16(int16_t *out, const int8_t *in, size_t n_rows, size_t depth,
                          const struct scree_softmax_8 *softmax);

/* The output's scale is 2^-15, its zero point 0. */
void scree_softmax_i16(int16_t *out, const int16_t *in, size_t n_rows, size_t depth,
                       const struct scree_softmax_16 *softmax);

void scree_log_softmax_f32(float *out, const float *in, size_t n_rows, size_t depth);

/* The output's scale is 1/16, its zero point the type's greatest value. */
void scree_log_softmax_u8(uint8_t *out, const uint8_t *in, size_t n_rows, size_t depth,
                          const struct scree_softmax_8 *softmax);
void scree_log_softmax_i8(int8_t *out, const int8_t *in, size_t n_rows, size_t depth,
                          const struct scree_softmax_8 *softmax);

#endif
