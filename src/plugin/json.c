#include "plugin/json.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

void scree_json_add_raw(struct scree_buffer *buffer, const char *text)
{
    scree_buffer_add(buffer, text, strlen(text));
}

void scree_json_add_text(struct scree_buffer *buffer, const char *text)
{
    size_t n = strlen(text), start;

    scree_json_add_raw(buffer, "\"");
    start = buffer->n;
    scree_buffer_add(buffer, text, n);
    if (buffer->failed)
        return;
    scree_text_make_safe((char *)buffer->bytes + start, n);
    /* Safe text has no control characters: two are left that need a backslash. */
    for (size_t i = start; i < buffer->n; i++) {
        if (buffer->bytes[i] != '"' && buffer->bytes[i] != '\\')
            continue;
        if (!scree_buffer_extend(buffer, 1))
            return;
        memmove(buffer->bytes + i + 1, buffer->bytes + i, buffer->n - 1 - i);
        buffer->bytes[i++] = '\\';
    }
    scree_json_add_raw(buffer, "\"");
}

void scree_json_add_number(struct scree_buffer *buffer, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%lld", (long long)number);
    scree_json_add_raw(buffer, text);
}

void scree_json_add_pair(struct scree_buffer *buffer, const char *name, const char *text)
{
    scree_json_add_text(buffer, name);
    scree_json_add_raw(buffer, ":");
    scree_json_add_text(buffer, text);
}
