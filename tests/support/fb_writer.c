#include "support/fb_writer.h"

#include <stdlib.h>
#include <string.h>

void fbw_put(struct fbw *fbw, const void *bytes, size_t n)
{
    if (fbw->capacity - fbw->n < n) {
        fbw->capacity = 2 * fbw->capacity + n;
        fbw->bytes = realloc(fbw->bytes, fbw->capacity);
        if (!fbw->bytes)
            abort();
    }
    if (n == 0)
        return;
    if (bytes)
        memcpy(fbw->bytes + fbw->n, bytes, n);
    else
        memset(fbw->bytes + fbw->n, 0, n);
    fbw->n += n;
}

static void set_number(uint8_t *to, uint64_t value, size_t n_bytes)
{
    memcpy(to, &value, n_bytes);
}

void fbw_number(struct fbw *fbw, uint64_t value, size_t n_bytes)
{
    uint8_t bytes[8];

    set_number(bytes, value, n_bytes);
    fbw_put(fbw, bytes, n_bytes);
}

void fbw_align(struct fbw *fbw, size_t alignment, size_t ahead)
{
    size_t over = (fbw->n + ahead) % alignment;

    fbw_put(fbw, NULL, over ? alignment - over : 0);
}

/* Fields go in the order of their slots, each aligned to its size. */
static size_t lay_out(const struct fbw_slot *slots, uint32_t n, uint16_t *offsets)
{
    size_t end = 4;

    for (uint32_t i = 0; i < n; i++) {
        size_t size = slots[i].n_bytes;

        offsets[i] = 0;
        if (size == 0)
            continue;
        end = (end + size - 1) / size * size;
        offsets[i] = (uint16_t)end;
        end += size;
    }
    return end;
}

void fbw_set(struct fbw *fbw, size_t at, uint64_t value, size_t n_bytes)
{
    set_number(fbw->bytes + at, value, n_bytes);
}

/* Makes the reference at `at` point to what is appended next. */
static void point(struct fbw *fbw, size_t at)
{
    set_number(fbw->bytes + at, fbw->n - at, 4);
}

void fbw_table(struct fbw *fbw, size_t at, struct fbw_slot *slots, uint32_t n)
{
    uint16_t offsets[32];
    size_t n_bytes, vtable, table;

    if (n > sizeof offsets / sizeof offsets[0])
        abort();
    n_bytes = lay_out(slots, n, offsets);
    fbw_align(fbw, 8, 4 + 2 * (size_t)n);
    vtable = fbw->n;
    fbw_number(fbw, 4 + 2 * (uint64_t)n, 2);
    fbw_number(fbw, n_bytes, 2);
    for (uint32_t i = 0; i < n; i++)
        fbw_number(fbw, offsets[i], 2);
    table = fbw->n;
    point(fbw, at);
    fbw_number(fbw, table - vtable, 4);
    fbw_put(fbw, NULL, n_bytes - 4);
    for (uint32_t i = 0; i < n; i++) {
        slots[i].at = table + offsets[i];
        set_number(fbw->bytes + slots[i].at, slots[i].value, slots[i].n_bytes);
    }
}

void fbw_vector(struct fbw *fbw, size_t at, const void *elements, size_t n, size_t element_bytes,
                size_t alignment)
{
    fbw_align(fbw, alignment, 4);
    point(fbw, at);
    fbw_number(fbw, n, 4);
    fbw_put(fbw, elements, n * element_bytes);
}

size_t fbw_references(struct fbw *fbw, size_t at, size_t n)
{
    fbw_vector(fbw, at, NULL, n, 4, 4);
    return fbw->n - 4 * n;
}

void fbw_string(struct fbw *fbw, size_t at, const char *text)
{
    size_t n = strlen(text);

    fbw_vector(fbw, at, text, n, 1, 4);
    fbw_put(fbw, "", 1);
}
