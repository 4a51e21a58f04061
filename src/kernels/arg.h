/* kernels/arg.h - where the largest or the smallest of some elements is.
 *
 * Memory: keeps nothing, allocates nothing. Threads: no shared state. */
#ifndef SCREE_KERNELS_ARG_H
#define SCREE_KERNELS_ARG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The index i < n of the largest (or, not `max`, the smallest) of in[i * stride], n >= 1; of equal
 * ones the first. A NaN is neither, unless all are. bool has u8's function.
 *
 * Cannot fail. Source: TFLite reference/arg_min_max.h. */
size_t scree_arg_u8(const uint8_t *in, size_t n, size_t stride, bool max);
size_t scree_arg_i8(const int8_t *in, size_t n, size_t stride, bool max);
size_t scree_arg_i32(const int32_t *in, size_t n, size_t stride, bool max);
size_t scree_arg_f32(const float *in, size_t n, size_t stride, bool max);

/* For each of n_rows rows of bytes, n >= 1 in each: ret[r] is the index of the largest of
 * in[r * n + i] ^ flip taken as uint8, the first one of equal ones. flip makes it the largest of
 * uint8 (0) or of int8 (0x80), or the smallest of them (0xff, 0x7f). Reads n_rows * n bytes.
 *
 * Cannot fail. */
typedef void scree_arg_rows_fn(uint32_t *ret, const uint8_t *in, size_t n_rows, size_t n,
                               uint8_t flip);
scree_arg_rows_fn scree_arg_rows;

#endif
