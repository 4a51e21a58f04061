#include "base/error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

int scree_fail(struct scree_error *err, int code, const char *format, ...)
{
    va_list args;

    assert(code > 0);
    if (err) {
        va_start(args, format);
        (void)vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        scree_text_make_safe(err->text, strlen(err->text));
    }
    return -code;
}

int scree_wrap(struct scree_error *err, int rc, const char *format, ...)
{
    char inner[sizeof err->text];
    va_list args;
    size_t used;

    assert(rc < 0);
    if (!err)
        return rc;
    memcpy(inner, err->text, sizeof inner);
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    used = strlen(err->text);
    (void)snprintf(err->text + used, sizeof err->text - used, ": %s", inner);
    scree_text_make_safe(err->text, strlen(err->text));
    return rc;
}

int scree_fail_memory(struct scree_error *err, size_t n_bytes)
{
    return scree_fail(err, ENOMEM, "no memory for %zu bytes", n_bytes);
}
