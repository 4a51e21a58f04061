/* kernels/heap.h - sorting by an order of the caller's, in place and without memory of its own.
 *
 * The order in which equal elements come out is part of TFLite's results, as of
 * TFLite_Detection_PostProcess, which sorts by std::partial_sort, and of NON_MAX_SUPPRESSION, which
 * takes candidates from a std::priority_queue. So these functions are defined element move by
 * element move, as the C++ library has them that LiteRT is built with (libstdc++): an element that
 * leaves the heap is replaced by sinking a hole to the bottom, and then lifting the last element
 * into it.
 *
 * Memory: keeps nothing, allocates nothing. Threads: no shared state. */
#ifndef SCREE_KERNELS_HEAP_H
#define SCREE_KERNELS_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether item a comes before item b. Where this is no order (NaN), the result is some permutation.
 */
typedef bool scree_before_fn(const void *context, int32_t a, int32_t b);

struct scree_order {
    scree_before_fn *before;
    const void *context;
};

/* Takes heap[n - 1] into the heap of heap[0, n - 1), on whose top is the item that comes last.
 * heap s32[n], n >= 1. Cannot fail. */
void scree_heap_push(const struct scree_order *order, int32_t *heap, size_t n);

/* Moves the top of the heap of heap[0, n) to heap[n - 1] and makes a heap of the others.
 * heap s32[n], n >= 1. Cannot fail. */
void scree_heap_pop(const struct scree_order *order, int32_t *heap, size_t n);

/* Sorts so that items[0, k) are those of the n items that come first, in order; the rest is in any
 * order. items s32[n], k <= n. Where no two items are equal, k == n is any sort. Cannot fail. */
void scree_sort_first(const struct scree_order *order, int32_t *items, size_t k, size_t n);

#endif
