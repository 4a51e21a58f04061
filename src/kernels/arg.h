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

#endif
