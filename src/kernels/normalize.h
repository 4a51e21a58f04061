/* kernels/normalize.h - rows of `depth` elements divided by a norm of theirs, and running sums.
 *
 * in and out of the named type do not overlap, except in sums; depth >= 1.
 * Source: TFLite kernels/internal/reference/{l2normalization,reference_ops,cumsum}.h,
 * integer_ops/l2normalization.h. */
#ifndef SCREE_KERNELS_NORMALIZE_H
#define SCREE_KERNELS_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* out[i] = x[i] / max(|x|, 1e-6). in, out [n_rows][depth] */
void scree_l2_normalize_f32(float *out, const float *in, size_t n_rows, size_t depth);

/* The same with output scale 1/128 and zero point 128 (u8) or 0 (i8). The squares' sum wraps at 32
 * bits. */
void scree_l2_normalize_u8(uint8_t *out, const uint8_t *in, size_t n_rows, size_t depth,
                           int32_t zero_point);
void scree_l2_normalize_i8(int8_t *out, const int8_t *in, size_t n_rows, size_t depth,
                           int32_t zero_point);

/* out[c] = x[c] * (bias + alpha * sum of x[k]^2)^-beta over k in [c - radius, c + radius), cut to
 * the row. TFLite leaves c + radius itself out. in, out [n_rows][depth] */
void scree_local_response_f32(float *out, const float *in, size_t n_rows, size_t depth,
                              int32_t radius, float bias, float alpha, float beta);

/* One step of running sums: out[i] = sums[i] + in[i] for i < n; integers wrap. sums may be out. */
void scree_add_sums_f32(float *out, const float *sums, const float *in, size_t n);
void scree_add_sums_i32(int32_t *out, const int32_t *sums, const int32_t *in, size_t n);
void scree_add_sums_i64(int64_t *out, const int64_t *sums, const int64_t *in, size_t n);

#endif
