#include "model/flatbuffer.h"

#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "base/load.h"

static float float_of_bits(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Keeps the first failure. */
static void fail(struct scree_fb *fb, int rc, const char *what, size_t where)
{
    if (fb->rc < 0)
        return;
    fb->rc = rc;
    fb->what = what;
    fb->where = where;
}

static bool spend(struct scree_fb *fb, size_t work, size_t where)
{
    if (work > fb->work) {
        fail(fb, -E2BIG, "work", where);
        return false;
    }
    fb->work -= work;
    return true;
}

void scree_fb_init(struct scree_fb *fb, const uint8_t *bytes, size_t n_bytes, size_t work)
{
    *fb = (struct scree_fb){.bytes = bytes, .n_bytes = n_bytes, .work = work};
}

int scree_fb_status(const struct scree_fb *fb, struct scree_error *err)
{
    if (fb->rc == -E2BIG)
        return scree_fail(err, E2BIG,
                          "too much to read: its parts, at byte %zu, are used over and over",
                          fb->where);
    if (fb->rc < 0)
        return scree_fail(err, EBADMSG, "the %s at byte %zu does not fit the file's %zu bytes",
                          fb->what, fb->where, fb->n_bytes);
    return 0;
}

/* The place that the u32 offset at `at` points to. Four bytes at `at` are known to be there. */
static bool follow(struct scree_fb *fb, size_t at, const char *what, size_t *ret_at)
{
    size_t target;

    if (!scree_add_size(at, scree_load_u32(fb->bytes + at), &target) ||
        !scree_range_fits(target, 4, fb->n_bytes)) {
        fail(fb, -EBADMSG, what, at);
        return false;
    }
    *ret_at = target;
    return true;
}

/* The table at `at`, where four bytes are known to be. They are the distance back to its vtable:
 * u16 bytes of the vtable, u16 bytes of the table, then a u16 for each slot. */
static struct scree_fb_table open_table(struct scree_fb *fb, size_t at)
{
    const struct scree_fb_table none = {0};
    struct scree_fb_table table = {.fb = fb, .at = at};
    int64_t vtable = (int64_t)at - (int32_t)scree_load_u32(fb->bytes + at);
    uint16_t vtable_bytes;

    if (!spend(fb, 1, at))
        return none;
    if (vtable < 0 || !scree_range_fits((size_t)vtable, 4, fb->n_bytes)) {
        fail(fb, -EBADMSG, "table", at);
        return none;
    }
    table.vtable = (size_t)vtable;
    vtable_bytes = scree_load_u16(fb->bytes + table.vtable);
    table.n_bytes = scree_load_u16(fb->bytes + table.vtable + 2);
    if (vtable_bytes < 4 || vtable_bytes % 2 != 0 || table.n_bytes < 4 ||
        !scree_range_fits(table.vtable, vtable_bytes, fb->n_bytes) ||
        !scree_range_fits(at, table.n_bytes, fb->n_bytes)) {
        fail(fb, -EBADMSG, "table", at);
        return none;
    }
    table.n_slots = (uint16_t)((vtable_bytes - 4) / 2);
    return table;
}

struct scree_fb_table scree_fb_root(struct scree_fb *fb)
{
    size_t at;

    if (fb->n_bytes < 4)
        fail(fb, -EBADMSG, "root", 0);
    if (fb->rc < 0 || !follow(fb, 0, "root", &at))
        return (struct scree_fb_table){0};
    return open_table(fb, at);
}

bool scree_fb_has(const struct scree_fb_table *table, unsigned slot)
{
    return table->fb && table->fb->rc == 0 && slot < table->n_slots &&
           scree_load_u16(table->fb->bytes + table->vtable + 4 + 2 * (size_t)slot) != 0;
}

/* Finds the n bytes of a slot; false if it is absent or broken. */
static bool find(const struct scree_fb_table *table, unsigned slot, size_t n, size_t *ret_at)
{
    uint16_t offset;

    if (!scree_fb_has(table, slot))
        return false;
    offset = scree_load_u16(table->fb->bytes + table->vtable + 4 + 2 * (size_t)slot);
    if (offset < 4 || !scree_range_fits(offset, n, table->n_bytes)) {
        fail(table->fb, -EBADMSG, "table", table->at);
        return false;
    }
    *ret_at = table->at + offset;
    return true;
}

uint8_t scree_fb_get_u8(const struct scree_fb_table *table, unsigned slot, uint8_t fallback)
{
    size_t at;

    return find(table, slot, 1, &at) ? table->fb->bytes[at] : fallback;
}

int32_t scree_fb_get_i32(const struct scree_fb_table *table, unsigned slot, int32_t fallback)
{
    size_t at;

    return find(table, slot, 4, &at) ? (int32_t)scree_load_u32(table->fb->bytes + at) : fallback;
}

uint32_t scree_fb_get_u32(const struct scree_fb_table *table, unsigned slot, uint32_t fallback)
{
    size_t at;

    return find(table, slot, 4, &at) ? scree_load_u32(table->fb->bytes + at) : fallback;
}

uint64_t scree_fb_get_u64(const struct scree_fb_table *table, unsigned slot, uint64_t fallback)
{
    size_t at;

    return find(table, slot, 8, &at) ? scree_load_u64(table->fb->bytes + at) : fallback;
}

float scree_fb_get_f32(const struct scree_fb_table *table, unsigned slot, float fallback)
{
    size_t at;

    return find(table, slot, 4, &at) ? float_of_bits(scree_load_u32(table->fb->bytes + at))
                                     : fallback;
}

struct scree_fb_table scree_fb_get_table(const struct scree_fb_table *table, unsigned slot)
{
    size_t at;

    if (!find(table, slot, 4, &at) || !follow(table->fb, at, "table", &at))
        return (struct scree_fb_table){0};
    return open_table(table->fb, at);
}

struct scree_fb_vector scree_fb_get_vector(const struct scree_fb_table *table, unsigned slot,
                                           size_t element_bytes)
{
    const struct scree_fb_vector none = {0};
    struct scree_fb *fb = table->fb;
    size_t at, n_bytes;
    uint32_t n;

    if (!find(table, slot, 4, &at) || !follow(fb, at, "vector", &at))
        return none;
    n = scree_load_u32(fb->bytes + at);
    if (!scree_mul_size(n, element_bytes, &n_bytes) ||
        !scree_range_fits(at + 4, n_bytes, fb->n_bytes)) {
        fail(fb, -EBADMSG, "vector", at);
        return none;
    }
    if (element_bytes > 1 && !spend(fb, n, at))
        return none;
    return (struct scree_fb_vector){.fb = fb, .data = fb->bytes + at + 4, .n = n};
}

const char *scree_fb_get_string(const struct scree_fb_table *table, unsigned slot, size_t *ret_n)
{
    struct scree_fb_vector vector = scree_fb_get_vector(table, slot, 1);
    struct scree_fb *fb = table->fb;
    size_t at;

    *ret_n = 0;
    if (!vector.data)
        return NULL;
    at = (size_t)(vector.data - fb->bytes);
    if (at + vector.n >= fb->n_bytes || vector.data[vector.n] != 0) {
        fail(fb, -EBADMSG, "string", at);
        return NULL;
    }
    if (!spend(fb, vector.n, at))
        return NULL;
    *ret_n = vector.n;
    return (const char *)vector.data;
}

struct scree_fb_table scree_fb_table_at(const struct scree_fb_vector *vector, uint32_t i)
{
    size_t at;

    assert(i < vector->n);
    at = (size_t)(vector->data - vector->fb->bytes) + 4 * (size_t)i;
    if (vector->fb->rc < 0 || !follow(vector->fb, at, "table", &at))
        return (struct scree_fb_table){0};
    return open_table(vector->fb, at);
}

int32_t scree_fb_i32_at(const struct scree_fb_vector *vector, uint32_t i)
{
    assert(i < vector->n);
    return (int32_t)scree_load_u32(vector->data + 4 * (size_t)i);
}

int64_t scree_fb_i64_at(const struct scree_fb_vector *vector, uint32_t i)
{
    assert(i < vector->n);
    return (int64_t)scree_load_u64(vector->data + 8 * (size_t)i);
}

float scree_fb_f32_at(const struct scree_fb_vector *vector, uint32_t i)
{
    assert(i < vector->n);
    return float_of_bits(scree_load_u32(vector->data + 4 * (size_t)i));
}
