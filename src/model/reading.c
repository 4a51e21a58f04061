#include "model/reading.h"

#include <stdalign.h>
#include <string.h>

#include "base/checked.h"
#include "base/text.h"

#define MAX_OPERANDS 4096

/* Slots of table Buffer. */
enum { BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE };

const alignas(16) uint8_t scree_reading_no_elements[16];

int scree_reading_full(const struct scree_reading *reading, size_t n, size_t size,
                       struct scree_error *err)
{
    const struct scree_arena *arena = &reading->graph->arena;
    size_t need;

    if (!scree_mul_size(n, size, &need) || need >= arena->limit_bytes - arena->total_bytes)
        return scree_fail(err, E2BIG,
                          "its description needs over %zu bytes, the limit for this file",
                          arena->limit_bytes);
    return scree_fail_memory(err, need);
}

int scree_reading_limit(size_t n, size_t most, const char *things, struct scree_error *err)
{
    if (n > most)
        return scree_fail(err, E2BIG, "%zu %s, the limit is %zu", n, things, most);
    return 0;
}

int scree_reading_name(struct scree_reading *reading, const struct scree_fb_table *table,
                       unsigned slot, const char **ret_name, struct scree_error *err)
{
    size_t n;
    const char *text = scree_fb_get_string(table, slot, &n);
    char *copy;

    *ret_name = text ? text : "";
    if (!text || scree_text_is_safe(text, n))
        return scree_fb_status(&reading->fb, err);
    copy = scree_arena_strndup(&reading->graph->arena, text, n);
    if (!copy)
        return scree_reading_full(reading, n + 1, 1, err);
    scree_text_make_safe(copy, n);
    *ret_name = copy;
    return 0;
}

int scree_reading_i32s(struct scree_reading *reading, const struct scree_fb_table *table,
                       unsigned slot, struct scree_i32s *ret_values, struct scree_error *err)
{
    struct scree_fb_vector vector = scree_fb_get_vector(table, slot, 4);
    int32_t *values;

    *ret_values = (struct scree_i32s){0};
    if (vector.n == 0)
        return scree_fb_status(&reading->fb, err);
    values = scree_reading_new(reading, int32_t, vector.n);
    if (!values)
        return scree_reading_full(reading, vector.n, sizeof *values, err);
    for (uint32_t i = 0; i < vector.n; i++)
        values[i] = scree_fb_i32_at(&vector, i);
    *ret_values = (struct scree_i32s){.n = vector.n, .v = values};
    return 0;
}

int scree_reading_buffer(struct scree_reading *reading, uint32_t index,
                         struct scree_buffer *ret_buffer, struct scree_error *err)
{
    const struct scree_graph *graph = reading->graph;
    struct scree_fb_table table;
    struct scree_fb_vector data;
    uint64_t offset, n;

    if (index >= reading->buffers.n)
        return scree_fail(err, EBADMSG, "buffer %u of %u", index, reading->buffers.n);
    table = scree_fb_table_at(&reading->buffers, index);
    data = scree_fb_get_vector(&table, BUFFER_DATA, 1);
    offset = scree_fb_get_u64(&table, BUFFER_OFFSET, 0);
    n = scree_fb_get_u64(&table, BUFFER_SIZE, 0);
    *ret_buffer = (struct scree_buffer){.bytes = data.data, .n_bytes = data.n};
    /* Offset 1 marks a place that its writer meant to fill in. */
    if (!data.data && offset > 1) {
        if (!scree_range_fits(offset, n, graph->n_file))
            return scree_fail(err, EBADMSG,
                              "buffer %u, %llu bytes at byte %llu, lies beyond the file's end",
                              index, (unsigned long long)n, (unsigned long long)offset);
        *ret_buffer = (struct scree_buffer){.bytes = graph->file + offset, .n_bytes = n};
    }
    return scree_fb_status(&reading->fb, err);
}

int scree_reading_operands(struct scree_reading *reading, const struct scree_fb_table *table,
                           unsigned slot, const char *what, int32_t least, uint32_t n_tensors,
                           struct scree_i32s *ret_operands, struct scree_error *err)
{
    int rc = scree_reading_i32s(reading, table, slot, ret_operands, err);

    if (rc == 0 && ret_operands->n > MAX_OPERANDS)
        return scree_fail(err, E2BIG, "%u %ss, the limit is %d", ret_operands->n, what,
                          MAX_OPERANDS);
    for (uint32_t i = 0; rc == 0 && i < ret_operands->n; i++)
        if (ret_operands->v[i] < least || ret_operands->v[i] >= (int64_t)n_tensors)
            return scree_fail(err, EBADMSG, "%s %u is tensor %d of %u", what, i, ret_operands->v[i],
                              n_tensors);
    return rc;
}
