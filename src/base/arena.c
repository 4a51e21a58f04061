#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

/* With AddressSanitizer what is not handed out, and what is behind the end of what is, must not be
 * touched. */
#ifdef __has_feature
#define HAS_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif
#if HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(bytes, n)   ((void)(bytes), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(bytes, n) ((void)(bytes), (void)(n))
#endif

/* Small enough that the arena of a small model costs little, large enough that a big one has few
 * blocks. */
#define BLOCK_BYTES 4096
#define ALIGNMENT   16

struct scree_arena_block {
    struct scree_arena_block *next;
    size_t size;
    alignas(ALIGNMENT) uint8_t bytes[];
};

void scree_arena_init(struct scree_arena *arena, size_t limit_bytes)
{
    *arena = (struct scree_arena){.limit_bytes = limit_bytes};
}

/* Blocks double, so their number is the logarithm of the total. */
static struct scree_arena_block *add_block(struct scree_arena *arena, size_t need)
{
    struct scree_arena_block *block;
    size_t left = arena->limit_bytes - arena->total_bytes;
    size_t size = arena->total_bytes > BLOCK_BYTES ? arena->total_bytes : BLOCK_BYTES;

    if (need > left)
        return NULL;
    if (size < need)
        size = need;
    if (size > left)
        size = left;
    block = calloc(1, sizeof *block + size);
    if (!block)
        return NULL;
    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->used_bytes = 0;
    arena->total_bytes += size;
    ASAN_POISON_MEMORY_REGION(block->bytes, size);
    return block;
}

void *scree_arena_calloc(struct scree_arena *arena, size_t n, size_t size)
{
    struct scree_arena_block *block = arena->blocks;
    size_t need;
    void *result;

    if (!scree_mul_size(n, size, &need) || !scree_align_size(need, ALIGNMENT, &need))
        return NULL;
    if (!block || need > block->size - arena->used_bytes) {
        block = add_block(arena, need);
        if (!block)
            return NULL;
    }
    result = block->bytes + arena->used_bytes;
    arena->used_bytes += need;
    ASAN_UNPOISON_MEMORY_REGION(result, n * size);
    return result;
}

char *scree_arena_strndup(struct scree_arena *arena, const char *text, size_t n)
{
    char *copy = n < SIZE_MAX ? scree_arena_calloc(arena, n + 1, 1) : NULL;

    if (copy)
        memcpy(copy, text, n);
    return copy;
}

void scree_arena_done(struct scree_arena *arena)
{
    while (arena->blocks) {
        struct scree_arena_block *block = arena->blocks;

        arena->blocks = block->next;
        ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
        free(block);
    }
    scree_arena_init(arena, arena->limit_bytes);
}
