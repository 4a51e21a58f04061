/* base/arena.h - many small allocations, freed at once.
 *
 * One arena per model, plan or request: what is parsed or prepared is put there and freed whole.
 *
 *     struct scree_arena arena;
 *     scree_arena_init(&arena, 16 << 20);
 *     dims = scree_arena_new(&arena, int32_t, rank);
 *     ...
 *     scree_arena_done(&arena);
 *
 * Memory: the arena owns its blocks. Threads: one at a time. */
#ifndef SCREE_BASE_ARENA_H
#define SCREE_BASE_ARENA_H

#include <stddef.h>

struct scree_arena_block;

struct scree_arena {
    struct scree_arena_block *blocks; /* newest first */
    size_t used_bytes;                /* of the newest block */
    size_t total_bytes;               /* asked from malloc so far */
    size_t limit_bytes;               /* total_bytes never exceeds it */
};

/* An empty arena that will never hold more than limit_bytes. Allocates nothing. */
void scree_arena_init(struct scree_arena *arena, size_t limit_bytes);

/* n * size zeroed bytes, aligned to 16; NULL if memory or the limit is exhausted or n * size
 * overflows. n or size 0 gives a valid pointer that must not be read. */
void *scree_arena_calloc(struct scree_arena *arena, size_t n, size_t size);

/* An array of n zeroed elements of `type`. */
#define scree_arena_new(arena, type, n) ((type *)scree_arena_calloc((arena), (n), sizeof(type)))

/* A terminated copy of text[0..n). NULL as above. */
char *scree_arena_strndup(struct scree_arena *arena, const char *text, size_t n);

/* Frees everything. The arena is then as after init. */
void scree_arena_done(struct scree_arena *arena);

#endif
