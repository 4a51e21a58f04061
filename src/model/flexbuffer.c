#include "model/flexbuffer.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"

/* FlexBuffers' types that are read here; a type byte is the type << 2 and, in its low two bits, the
 * logarithm of a width. */
enum {
    FLEX_INT = 1,
    FLEX_UINT = 2,
    FLEX_FLOAT = 3,
    FLEX_INDIRECT_INT = 6,
    FLEX_INDIRECT_UINT = 7,
    FLEX_INDIRECT_FLOAT = 8,
    FLEX_MAP = 9,
    FLEX_BOOL = 26,
};

/* A number as it was stored. */
struct number {
    bool is_float;
    int64_t i;
    double f;
};

static unsigned width_of_type(uint8_t type)
{
    return 1u << (type & 3);
}

/* The unsigned number of `width` bytes at `at`, if they are there. */
static bool load(const struct scree_flexmap *map, size_t at, unsigned width, uint64_t *ret)
{
    uint64_t value = 0;

    if (!scree_range_fits(at, width, map->n_bytes))
        return false;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)map->bytes[at + i] << (8 * i);
    *ret = value;
    return true;
}

/* Offsets point back: the place that the offset at `at` points to. */
static bool follow(const struct scree_flexmap *map, size_t at, unsigned width, size_t *ret)
{
    uint64_t offset;

    if (!load(map, at, width, &offset) || offset > at)
        return false;
    *ret = at - (size_t)offset;
    return true;
}

/* The root: its value, its type and the width of its value are the last bytes. */
static bool find_root(struct scree_flexmap *map)
{
    unsigned width;
    uint8_t type;

    if (map->n_bytes < 3)
        return false;
    width = map->bytes[map->n_bytes - 1];
    type = map->bytes[map->n_bytes - 2];
    if ((width != 1 && width != 2 && width != 4 && width != 8) || map->n_bytes - 2 < width ||
        type >> 2 != FLEX_MAP)
        return false;
    map->value_width = (uint8_t)width_of_type(type);
    return follow(map, map->n_bytes - 2 - width, width, &map->values);
}

/* Before a map's values lie the offset of its keys, the width of these, and their number; behind
 * them a type byte each. */
static bool find_vectors(struct scree_flexmap *map)
{
    unsigned width = map->value_width;
    uint64_t n, n_keys, key_width;

    if (map->values < 3 * width || !load(map, map->values - width, width, &n) ||
        !load(map, map->values - 2 * width, width, &key_width) ||
        !follow(map, map->values - 3 * width, width, &map->keys))
        return false;
    if (n > UINT32_MAX || !scree_range_fits(map->values, n * (width + 1), map->n_bytes) ||
        (key_width != 1 && key_width != 2 && key_width != 4 && key_width != 8))
        return false;
    map->n = (uint32_t)n;
    map->key_width = (uint8_t)key_width;
    return map->keys >= key_width && load(map, map->keys - key_width, map->key_width, &n_keys) &&
           n_keys == n && scree_range_fits(map->keys, n * key_width, map->n_bytes);
}

int scree_flexmap_open(const uint8_t *bytes, size_t n_bytes, struct scree_flexmap *ret_map,
                       struct scree_error *err)
{
    struct scree_flexmap map = {.bytes = bytes, .n_bytes = n_bytes};

    if (!find_root(&map) || !find_vectors(&map))
        return scree_fail(err, EBADMSG, "its options (%zu bytes) are not a FlexBuffers map",
                          n_bytes);
    *ret_map = map;
    return 0;
}

/* The index of a key; false if there is none. Keys are sorted in a well-made file, but a few dozen
 * need no search that would have to trust that. */
static bool find_key(const struct scree_flexmap *map, const char *key, uint32_t *ret_index)
{
    size_t n = strlen(key) + 1;

    for (uint32_t i = 0; i < map->n; i++) {
        size_t at;

        if (follow(map, map->keys + (size_t)i * map->key_width, map->key_width, &at) &&
            scree_range_fits(at, n, map->n_bytes) && memcmp(map->bytes + at, key, n) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static int64_t extend_sign(uint64_t value, unsigned width)
{
    unsigned unused = 64 - 8 * width;

    return (int64_t)(value << unused) >> unused;
}

static bool set_float(uint64_t bits, unsigned width, struct number *ret)
{
    uint32_t low = (uint32_t)bits;
    float narrow;

    ret->is_float = true;
    if (width == sizeof ret->f)
        memcpy(&ret->f, &bits, sizeof ret->f);
    memcpy(&narrow, &low, sizeof narrow);
    if (width == sizeof narrow)
        ret->f = (double)narrow;
    return width == sizeof ret->f || width == sizeof narrow;
}

/* The number of a key; false if the key is missing or its value is no number. */
static bool find_number(const struct scree_flexmap *map, const char *key, struct number *ret)
{
    unsigned width = map->value_width;
    uint32_t index;
    uint8_t type;
    uint64_t bits;
    size_t at;
    int kind;

    if (!find_key(map, key, &index))
        return false;
    at = map->values + (size_t)index * width;
    type = map->bytes[map->values + (size_t)map->n * width + index];
    kind = type >> 2;
    if (kind == FLEX_INDIRECT_INT || kind == FLEX_INDIRECT_UINT || kind == FLEX_INDIRECT_FLOAT) {
        if (!follow(map, at, width, &at))
            return false;
        width = width_of_type(type);
        kind -= FLEX_INDIRECT_INT - FLEX_INT;
    }
    if (!load(map, at, width, &bits))
        return false;
    *ret = (struct number){0};
    if (kind == FLEX_FLOAT)
        return set_float(bits, width, ret);
    ret->i = kind == FLEX_INT ? extend_sign(bits, width) : (int64_t)bits;
    return kind == FLEX_INT || kind == FLEX_BOOL || (kind == FLEX_UINT && bits <= INT64_MAX);
}

int64_t scree_flexmap_int(const struct scree_flexmap *map, const char *key, int64_t fallback)
{
    struct number number;

    if (!find_number(map, key, &number))
        return fallback;
    if (!number.is_float)
        return number.i;
    /* 2^63 itself does not fit; NaN fails every comparison. */
    return number.f >= -0x1p63 && number.f < 0x1p63 ? (int64_t)number.f : fallback;
}

float scree_flexmap_float(const struct scree_flexmap *map, const char *key, float fallback)
{
    struct number number;

    if (!find_number(map, key, &number))
        return fallback;
    return number.is_float ? (float)number.f : (float)number.i;
}

bool scree_flexmap_bool(const struct scree_flexmap *map, const char *key, bool fallback)
{
    struct number number;

    if (!find_number(map, key, &number))
        return fallback;
    return number.is_float ? number.f != 0.0 : number.i != 0;
}

bool scree_flexmap_has(const struct scree_flexmap *map, const char *key)
{
    uint32_t index;

    return find_key(map, key, &index);
}
