#include "net/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 256

/* Room for n bytes in all; at least doubles, so that many small pieces cost little. */
static bool reserve(struct scree_buffer *buffer, size_t n)
{
    size_t capacity = buffer->capacity < FIRST_CAPACITY / 2 ? FIRST_CAPACITY : 2 * buffer->capacity;
    uint8_t *bytes;

    if (n <= buffer->capacity)
        return true;
    capacity = capacity < n ? n : capacity;
    capacity = capacity > buffer->limit ? buffer->limit : capacity;
    bytes = realloc(buffer->bytes, capacity);
    if (!bytes)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

void scree_buffer_reserve(struct scree_buffer *buffer, size_t n)
{
    uint8_t *bytes = n > buffer->capacity && n <= buffer->limit ? realloc(buffer->bytes, n) : NULL;

    if (!bytes)
        return;
    buffer->bytes = bytes;
    buffer->capacity = n;
}

uint8_t *scree_buffer_extend(struct scree_buffer *buffer, size_t n)
{
    uint8_t *more;

    if (buffer->failed || n > buffer->limit - buffer->n || !reserve(buffer, buffer->n + n)) {
        buffer->failed = true;
        return NULL;
    }
    more = buffer->bytes + buffer->n;
    buffer->n += n;
    return more;
}

void scree_buffer_add(struct scree_buffer *buffer, const void *bytes, size_t n)
{
    uint8_t *to;

    if (n == 0)
        return;
    to = scree_buffer_extend(buffer, n);
    if (to)
        memcpy(to, bytes, n);
}

void scree_buffer_drop(struct scree_buffer *buffer, size_t n)
{
    assert(n <= buffer->n);
    buffer->n -= n;
    if (buffer->n > 0 && n > 0)
        memmove(buffer->bytes, buffer->bytes + n, buffer->n);
}

void scree_buffer_done(struct scree_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct scree_buffer){.limit = buffer->limit};
}
