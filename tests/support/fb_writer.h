/* tests/support/fb_writer.h - writes FlatBuffers front to back: a table first, then what it points
 * to.
 *
 *     struct fbw_slot slots[] = {[2] = FBW_U32(7), [5] = FBW_REF};
 *     fbw_number(&fbw, 0, 4);
 *     fbw_table(&fbw, 0, slots, 6);
 *     fbw_string(&fbw, slots[5].at, "name");
 *
 * Everything but a number has one reference to it, written before: `at` is the place of that.
 *
 * Memory: the bytes grow by realloc; without memory the test aborts. */
#ifndef SCREE_TESTS_FB_WRITER_H
#define SCREE_TESTS_FB_WRITER_H

#include <stddef.h>
#include <stdint.h>

struct fbw {
    uint8_t *bytes;
    size_t n, capacity;
};

/* A slot of a table: a value of 1, 2, 4 or 8 bytes, none if 0 bytes. `at` is where it went. */
struct fbw_slot {
    uint8_t n_bytes;
    uint64_t value;
    size_t at;
};

#define FBW_U8(x)                           \
    {                                       \
        .n_bytes = 1, .value = (uint8_t)(x) \
    }
#define FBW_U32(x)                           \
    {                                        \
        .n_bytes = 4, .value = (uint32_t)(x) \
    }
#define FBW_U64(x)                           \
    {                                        \
        .n_bytes = 8, .value = (uint64_t)(x) \
    }
#define FBW_REF      \
    {                \
        .n_bytes = 4 \
    }

/* Appends bytes u8[n], or n zero bytes if NULL. */
void fbw_put(struct fbw *fbw, const void *bytes, size_t n);

/* Appends a little-endian number of n_bytes. */
void fbw_number(struct fbw *fbw, uint64_t value, size_t n_bytes);

/* Overwrites the n_bytes at `at`. */
void fbw_set(struct fbw *fbw, size_t at, uint64_t value, size_t n_bytes);

/* Appends zeros until (length + ahead) is a multiple of `alignment`. */
void fbw_align(struct fbw *fbw, size_t alignment, size_t ahead);

/* Appends a table, its vtable before it, and sets each slot's `at`. n <= 32. */
void fbw_table(struct fbw *fbw, size_t at, struct fbw_slot *slots, uint32_t n);

/* Appends a vector of n elements of `element_bytes`, the first aligned to `alignment` >= 4. */
void fbw_vector(struct fbw *fbw, size_t at, const void *elements, size_t n, size_t element_bytes,
                size_t alignment);

/* Appends a vector of n references; returns the place of the first, the others follow it. */
size_t fbw_references(struct fbw *fbw, size_t at, size_t n);

/* Appends a string. */
void fbw_string(struct fbw *fbw, size_t at, const char *text);

#endif
