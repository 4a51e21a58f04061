/* kernels/rows.h - the shape of elementwise kernels: one row of elements at a time.
 *
 * A kernel of one, two or three inputs sees rows of n elements. In a row each input is either read
 * element by element or has one element that serves for the whole row: how tensors of different
 * shapes are cut into such rows is ops/broadcast.h's business. */
#ifndef SCREE_KERNELS_ROWS_H
#define SCREE_KERNELS_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* out[i] = f(in[0][i * steps[0]], in[1][i * steps[1]], ...) for i < n
 *
 * out     the kernel's output type [n], aligned to it; may be in[k] itself, where the step is 1 and
 *         the types have one size; must not overlap an input in any other way
 * in      pointers to the kernel's input types, each [n] where its step is 1, [1] where it is 0
 * steps   0 or 1 an input; of two or more inputs at least one has 1, or n is 1
 * params  what the kernel's declaration says; const, so rows may run in parallel
 *
 * Cannot fail. */
typedef void scree_row_fn(void *out, const void *const *in, const size_t *steps, size_t n,
                          const void *params);

#endif
