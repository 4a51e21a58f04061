/* model/flexbuffer.h - the little of FlexBuffers that custom operators' options need: a map of
 * scalars.
 *
 *     struct scree_flexmap map;
 *     if ((rc = scree_flexmap_open(node->custom, node->n_custom, &map, err)) < 0) return rc;
 *     max = scree_flexmap_int(&map, "max_detections", 0);
 *
 * Bounds-checked; keeps nothing but pointers into the bytes. Source: the FlexBuffers chapter of
 * FlatBuffers' documentation. */
#ifndef SCREE_MODEL_FLEXBUFFER_H
#define SCREE_MODEL_FLEXBUFFER_H

#include "base/error.h"

struct scree_flexmap {
    const uint8_t *bytes; /* u8[n_bytes] */
    size_t n_bytes;
    size_t values, keys; /* offsets of the first element of each vector */
    uint32_t n;
    uint8_t value_width, key_width;
};

/* Opens bytes u8[n_bytes], whose root must be a map. Errors: EBADMSG. */
int scree_flexmap_open(const uint8_t *bytes, size_t n_bytes, struct scree_flexmap *ret_map,
                       struct scree_error *err);

/* The value of `key` as int64, float or bool, converted between the number kinds (int, uint, float,
 * bool, direct or indirect); `fallback` if the key is missing, not a number, or lies out of bounds.
 */
int64_t scree_flexmap_int(const struct scree_flexmap *map, const char *key, int64_t fallback);
float scree_flexmap_float(const struct scree_flexmap *map, const char *key, float fallback);
bool scree_flexmap_bool(const struct scree_flexmap *map, const char *key, bool fallback);

/* True if the map has the key. */
bool scree_flexmap_has(const struct scree_flexmap *map, const char *key);

#endif
