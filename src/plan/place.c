#include "plan/place.h"

#include <stdlib.h>

#include "base/checked.h"

#define PLACE_ALIGNMENT 64

/* Largest first; the first in time wins among equals, then the first in number: a total order. */
static int compare_blocks(const void *a, const void *b, void *arg)
{
    const struct scree_block *blocks = arg;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;

    if (blocks[i].bytes != blocks[k].bytes)
        return blocks[i].bytes > blocks[k].bytes ? -1 : 1;
    if (blocks[i].first != blocks[k].first)
        return blocks[i].first < blocks[k].first ? -1 : 1;
    return i < k ? -1 : i > k;
}

/* The lowest gap among the blocks that are placed already (sorted by offset) and alive together
 * with it. */
static size_t find_gap(const struct scree_block *blocks, const uint32_t *placed, uint32_t n_placed,
                       const struct scree_block *block)
{
    size_t start = 0;

    for (uint32_t i = 0; i < n_placed; i++) {
        const struct scree_block *other = &blocks[placed[i]];

        if (other->last < block->first || block->last < other->first)
            continue;
        if (other->offset >= start && other->offset - start >= block->bytes)
            break;
        if (other->offset + other->bytes > start)
            start = other->offset + other->bytes;
    }
    return start;
}

static void insert_placed(const struct scree_block *blocks, uint32_t *placed, uint32_t n_placed,
                          uint32_t index)
{
    uint32_t i = n_placed;

    while (i > 0 && blocks[placed[i - 1]].offset > blocks[index].offset) {
        placed[i] = placed[i - 1];
        i--;
    }
    placed[i] = index;
}

size_t scree_place(struct scree_block *blocks, uint32_t n, size_t limit_bytes, uint32_t *order,
                   uint32_t *placed)
{
    size_t total = 0;

    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
        if (!scree_align_size(blocks[i].bytes, PLACE_ALIGNMENT, &blocks[i].bytes) ||
            blocks[i].bytes > limit_bytes)
            return SIZE_MAX;
    }
    qsort_r(order, n, sizeof order[0], compare_blocks, blocks);
    for (uint32_t i = 0; i < n; i++) {
        struct scree_block *block = &blocks[order[i]];

        block->offset = find_gap(blocks, placed, i, block);
        if (block->offset > limit_bytes - block->bytes)
            return SIZE_MAX;
        if (block->offset + block->bytes > total)
            total = block->offset + block->bytes;
        insert_placed(blocks, placed, i, order[i]);
    }
    return total;
}
