/* plan/place.h - blocks with lifetimes to offsets in one arena. Pure. */
#ifndef SCREE_PLAN_PLACE_H
#define SCREE_PLAN_PLACE_H

#include <stddef.h>
#include <stdint.h>

/* A block that must keep its bytes from step `first` to step `last`, both included. */
struct scree_block {
    size_t bytes; /* in */
    uint32_t first, last;
    size_t offset; /* out */
};

/* Gives each of blocks[n] an offset, a multiple of 64, so that blocks alive at the same step do not
 * overlap. Largest first, each at the lowest place that fits: the greedy-by-size scheme of
 * Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference" (2020). order[n]
 * and placed[n] are working memory. Time: n squared at worst.
 *
 * Returns the bytes of the arena, or SIZE_MAX if that exceeds limit_bytes. */
size_t scree_place(struct scree_block *blocks, uint32_t n, size_t limit_bytes, uint32_t *order,
                   uint32_t *placed);

#endif
