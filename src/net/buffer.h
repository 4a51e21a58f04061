/* net/buffer.h - bytes that are put together piece by piece, up to a limit.
 *
 * A failed allocation or a crossed limit makes the buffer `failed`; everything added afterwards is
 * dropped, so a writer of many small pieces asks once, at the end:
 *
 *     struct scree_buffer buffer = {.limit = 1 << 20};
 *     scree_buffer_add(&buffer, "abc", 3);
 *     if (buffer.failed) ...
 *     scree_buffer_done(&buffer);
 *
 * Memory: the buffer owns its bytes. Threads: none of its own. */
#ifndef SCREE_NET_BUFFER_H
#define SCREE_NET_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scree_buffer {
    uint8_t *bytes; /* u8[n]; NULL while nothing was added */
    size_t n, capacity;
    size_t limit; /* n never exceeds it */
    bool failed;
};

/* n more bytes, contents undefined, or NULL if the buffer has failed, or fails now. Valid until the
 * next call. */
uint8_t *scree_buffer_extend(struct scree_buffer *buffer, size_t n);

/* Room for n bytes in all, so that what is added up to there is not moved; if there is no memory,
 * or n is over the limit, nothing happens. */
void scree_buffer_reserve(struct scree_buffer *buffer, size_t n);

/* Adds a copy of bytes[n]. bytes may be NULL if n is 0. */
void scree_buffer_add(struct scree_buffer *buffer, const void *bytes, size_t n);

/* Takes the first n <= buffer->n bytes away. */
void scree_buffer_drop(struct scree_buffer *buffer, size_t n);

/* Frees the bytes; the buffer is then empty and not failed, with its limit. Accepts an all-zero
 * one. */
void scree_buffer_done(struct scree_buffer *buffer);

#endif
