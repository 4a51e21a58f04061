/* kernels/hybrid.h - float activations made int8 at run time, for weights that are int8.
 *
 * Memory: keeps nothing. Threads: pure functions. Source: TFLite's
 * reference/portable_tensor_utils.cc. */
#ifndef SCREE_KERNELS_HYBRID_H
#define SCREE_KERNELS_HYBRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* x[i] = about scale * q[i], with scale = max |x| / 127 and q in [-127, 127]; all zeros: scale 1.
 * NaN becomes -127. q s8[n], x f32[n], n > 0. */
void scree_hybrid_quantize_symmetric(int8_t *q, float *ret_scale, const float *x, size_t n);

/* x[i] = about scale * (q[i] - zero_point), where [min(x, 0), max(x, 0)] fills [-128, 127] and zero
 * is exact; all zeros: scale 1, zero point 0. NaN becomes -128. q s8[n], x f32[n], n > 0. */
void scree_hybrid_quantize_asymmetric(int8_t *q, float *ret_scale, int32_t *ret_zero_point,
                                      const float *x, size_t n);

/* Either of them for each of n_rows rows: q s8[n_rows][n], scales f32[n_rows],
 * zero_points s32[n_rows] (0 if symmetric), x f32[n_rows][n]. */
void scree_hybrid_quantize_rows(int8_t *q, float *scales, int32_t *zero_points, const float *x,
                                size_t n_rows, size_t n, bool asymmetric);

/* out[i] = the i-th signed number of 4 bits, the low half of a byte first. packed u8[(n + 1) / 2],
 * out s8[n]. */
void scree_unpack_s4(int8_t *out, const uint8_t *packed, size_t n);

#endif
