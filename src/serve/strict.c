#include "serve/strict.h"

#include <string.h>

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

bool scree_strict_target(const char *target)
{
    for (; target && *target; target++)
        if (is_control(*target) || *target == ' ')
            return false;
    return target != NULL;
}

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_value(char c)
{
    return c == '\t' || !is_control(c);
}

bool scree_strict_header(const char *name, size_t n_name, const char *value, size_t n_value)
{
    for (size_t i = 0; i < n_name; i++)
        if (!is_token(name[i]))
            return false;
    for (size_t i = 0; i < n_value; i++)
        if (!is_value(value[i]))
            return false;
    return n_name > 0;
}

/* The length of a line with its end; 0: it is not as it should be. */
static size_t line_length(const char *bytes, size_t n)
{
    size_t at = 0;

    while (at < n && is_token(bytes[at]))
        at++;
    if (at == 0 || at == n || bytes[at++] != 0)
        return 0;
    while (at < n && is_value(bytes[at]))
        at++;
    return n - at >= 2 && bytes[at] == 0 && bytes[at + 1] == 0 ? at + 2 : 0;
}

bool scree_strict_headers(const char *bytes, size_t n, size_t n_headers)
{
    size_t at = 0;

    for (size_t i = 0; i < n_headers; i++) {
        size_t length = line_length(bytes + at, n - at);

        if (length == 0)
            return false;
        at += length;
    }
    return n - at == 2 && bytes[at] == 0 && bytes[at + 1] == 0;
}
