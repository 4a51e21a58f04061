#include "base/text.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

/* The length of the UTF-8 character at text[0..n), n > 0, and its code point; 0 if there is none:
 * a stray or missing continuation byte, an overlong form, a surrogate, or over U+10FFFF. */
static size_t decode(const char *text, size_t n, uint32_t *ret_code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)text[0];
    size_t length = first < 0x80             ? 1
                    : (first & 0xe0) == 0xc0 ? 2
                    : (first & 0xf0) == 0xe0 ? 3
                    : (first & 0xf8) == 0xf0 ? 4
                                             : 0;
    uint32_t code;

    if (length == 0 || length > n)
        return 0;
    code = length == 1 ? first : first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        uint8_t next = (uint8_t)text[i];

        if ((next & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (next & 0x3f);
    }
    if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return length;
}

static bool is_safe_code(uint32_t code)
{
    bool control = code < 0x20 || (code >= 0x7f && code <= 0x9f);
    bool separator = code == 0x2028 || code == 0x2029;
    bool direction = code == 0x061c || code == 0x200e || code == 0x200f ||
                     (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);

    return !control && !separator && !direction;
}

/* The bytes of the safe character at text[0..n), or 0. */
static size_t safe_length(const char *text, size_t n)
{
    uint32_t code;
    size_t length = decode(text, n, &code);

    return length > 0 && is_safe_code(code) ? length : 0;
}

bool scree_text_is_safe(const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t length = safe_length(text + i, n - i);

        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

void scree_text_make_safe(char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        size_t length = safe_length(text + i, n - i);

        if (length == 0) {
            text[i] = '?';
            length = 1;
        }
        i += length;
    }
}

/* How many of the first n bytes of safe text are whole characters. */
static size_t cut(const char *text, size_t n)
{
    size_t length = strnlen(text, n + 1);

    if (length <= n)
        return length;
    while (n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

char *scree_text_copy(const char *text, char *to, size_t n)
{
    size_t keep = cut(text, n - 1);

    memcpy(to, text, keep);
    to[keep] = '\0';
    return to;
}

char *scree_text_quote(const char *text, char *quoted, size_t n)
{
    static const char dots[] = "...";
    size_t length = strnlen(text, n);
    size_t room = n - 3; /* the quotes and the end */
    size_t used = 0;

    assert(n >= 8);
    quoted[used++] = '"';
    if (length <= room) {
        memcpy(quoted + used, text, length);
        used += length;
    } else {
        size_t keep = cut(text, room - strlen(dots));

        memcpy(quoted + used, text, keep);
        memcpy(quoted + used + keep, dots, strlen(dots));
        used += keep + strlen(dots);
    }
    quoted[used++] = '"';
    quoted[used] = '\0';
    return quoted;
}
