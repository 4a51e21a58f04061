/* model/flatbuffer.h - tables, vectors and strings of a FlatBuffer whose bytes are not trusted.
 *
 *     struct scree_fb fb;
 *     scree_fb_init(&fb, bytes, n_bytes, work);
 *     struct scree_fb_table root = scree_fb_root(&fb);
 *     struct scree_fb_vector names = scree_fb_get_vector(&root, 3, 4);
 *     for (uint32_t i = 0; i < names.n && fb.rc == 0; i++) ...
 *     if (fb.rc < 0) return scree_fb_status(&fb, err);
 *
 * Every read is bounds-checked. The first that fails sets fb.rc and fb.what and gives what an
 * absent field gives, as do all reads after it: so a caller may look once, after a table, and loops
 * are bounded by lengths that were checked. A field the table does not have is not an error.
 *
 * Tables and vectors may be shared, and a hostile file shares them a million times; so each table,
 * each element of a vector and each byte of a string costs one unit of `work`, and a file that
 * needs more is refused. Nothing here recurses.
 *
 * Memory: none; tables, vectors and strings point into the bytes. Alignment: any.
 * Source: "FlatBuffers internals" of FlatBuffers' documentation. */
#ifndef SCREE_MODEL_FLATBUFFER_H
#define SCREE_MODEL_FLATBUFFER_H

#include "base/error.h"

struct scree_fb {
    const uint8_t *bytes; /* u8[n_bytes] */
    size_t n_bytes;
    size_t work;      /* units left */
    int rc;           /* 0, -EBADMSG (bounds) or -E2BIG (work) */
    const char *what; /* what was being read; static */
    size_t where;     /* and the offset of it */
};

/* A table, or none: fb NULL. Every field of none is absent. */
struct scree_fb_table {
    struct scree_fb *fb;
    size_t at, vtable;
    uint16_t n_bytes, n_slots;
};

/* A vector, or none: n 0, data NULL. An empty vector has data. */
struct scree_fb_vector {
    struct scree_fb *fb;
    const uint8_t *data; /* u8[n * bytes of an element], little-endian */
    uint32_t n;
};

/* Starts reading bytes u8[n_bytes] with so much work to spend. */
void scree_fb_init(struct scree_fb *fb, const uint8_t *bytes, size_t n_bytes, size_t work);

/* 0, or the first failure as an error: EBADMSG or E2BIG, with the text of it. */
int scree_fb_status(const struct scree_fb *fb, struct scree_error *err);

/* The root table. */
struct scree_fb_table scree_fb_root(struct scree_fb *fb);

/* True if the table has a value in the slot (a scalar equal to its default is usually absent). */
bool scree_fb_has(const struct scree_fb_table *table, unsigned slot);

/* The scalar in a slot, `fallback` if it is absent. */
uint8_t scree_fb_get_u8(const struct scree_fb_table *table, unsigned slot, uint8_t fallback);
int32_t scree_fb_get_i32(const struct scree_fb_table *table, unsigned slot, int32_t fallback);
uint32_t scree_fb_get_u32(const struct scree_fb_table *table, unsigned slot, uint32_t fallback);
uint64_t scree_fb_get_u64(const struct scree_fb_table *table, unsigned slot, uint64_t fallback);
float scree_fb_get_f32(const struct scree_fb_table *table, unsigned slot, float fallback);

/* The table in a slot (also of a union), or none. */
struct scree_fb_table scree_fb_get_table(const struct scree_fb_table *table, unsigned slot);

/* The vector in a slot, of elements of `element_bytes` (4 for tables), or none. Vectors of bytes
 * cost no work: nobody walks them here. */
struct scree_fb_vector scree_fb_get_vector(const struct scree_fb_table *table, unsigned slot,
                                           size_t element_bytes);

/* The terminated string in a slot and its length; NULL and 0 if absent. It may contain NULs. */
const char *scree_fb_get_string(const struct scree_fb_table *table, unsigned slot, size_t *ret_n);

/* Element i < n of a vector of tables, or none. */
struct scree_fb_table scree_fb_table_at(const struct scree_fb_vector *vector, uint32_t i);

/* Element i < n of a vector of scalars. */
int32_t scree_fb_i32_at(const struct scree_fb_vector *vector, uint32_t i);
int64_t scree_fb_i64_at(const struct scree_fb_vector *vector, uint32_t i);
float scree_fb_f32_at(const struct scree_fb_vector *vector, uint32_t i);

#endif
