/* Walking through JSON: the ends of values, strings, single numbers. */
#include "net/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(x)         (UINT64_C(0x0101010101010101) * (x))
#define MAX_NUMBER_CHARS 63 /* of a single number */

static int fail(struct scree_error *err, const char *what)
{
    return scree_fail(err, EBADMSG, "JSON: %s", what);
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* ---- the ends of values ---- */

/* Behind the closing quote of the string that begins at `at`; NULL if there is none. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\' && ++at == end)
            return NULL;
    return at < end ? at + 1 : NULL;
}

/* Behind the number, true, false, null that begins at `at`, whatever it is. */
static const char *skip_atom(const char *at, const char *end)
{
    while (at < end && !strchr(",]} \n\r\t:[{\"", *at))
        at++;
    return at;
}

/* The first byte in [at, end) that is a quote or has bit 6, as all brackets have and what numbers
 * are made of has not, but for the letter of an exponent; may stop earlier. */
static const char *skip_numbers(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t word, quotes;

        memcpy(&word, at, 8);
        quotes = word ^ BYTES(0x22);
        quotes = (quotes - BYTES(1)) & ~quotes & BYTES(0x80);
        if ((word & BYTES(0x40)) | quotes)
            break;
        at += 8;
    }
    return at;
}

/* Behind the bracket that closes the one at `at`; NULL if there is none, or it is too deep. */
static const char *skip_nested(const char *at, const char *end, uint32_t max_depth)
{
    uint64_t objects = 0; /* bit d: what is open at depth d is an object */
    uint32_t depth = 0;

    while ((at = skip_numbers(at, end)) < end) {
        char c = *at++;

        if (c == '"') {
            at = skip_string(at - 1, end);
            if (!at)
                return NULL;
        } else if (c == '[' || c == '{') {
            if (depth == max_depth)
                return NULL;
            objects = objects << 1 | (c == '{');
            depth++;
        } else if (c == ']' || c == '}') {
            if ((objects & 1) != (c == '}'))
                return NULL;
            objects >>= 1;
            if (--depth == 0)
                return at;
        }
    }
    return NULL;
}

/* Reads the value that begins at `at`. Returns what is behind it, or NULL. */
static const char *take(const char *at, const char *end, uint32_t max_depth, struct scree_json *ret)
{
    const char *behind;

    ret->text = at;
    if (at == end)
        return NULL;
    switch (*at) {
    case '"':
        ret->kind = SCREE_JSON_STRING;
        behind = skip_string(at, end);
        break;
    case '[':
    case '{':
        ret->kind = *at == '[' ? SCREE_JSON_ARRAY : SCREE_JSON_OBJECT;
        behind = skip_nested(at, end, max_depth);
        break;
    default:
        behind = skip_atom(at, end);
        ret->kind = *at == 't' || *at == 'f' ? SCREE_JSON_BOOL
                    : *at == 'n'             ? SCREE_JSON_NULL
                                             : SCREE_JSON_NUMBER;
        break;
    }
    if (!behind || behind == at)
        return NULL;
    ret->n = (size_t)(behind - at);
    return behind;
}

int scree_json_open(const void *text, size_t n, struct scree_json *ret, struct scree_error *err)
{
    return scree_json_open_within(text, n, SCREE_JSON_DEPTH, ret, err);
}

int scree_json_open_within(const void *text, size_t n, uint32_t depth, struct scree_json *ret,
                           struct scree_error *err)
{
    const char *start = n > 0 ? text : "", *end = start + n, *at;
    struct scree_json value;

    assert(depth <= SCREE_JSON_MAX_DEPTH);
    at = n > 0 ? take(skip_space(start, end), end, depth, &value) : NULL;
    if (!at)
        return fail(err, "no value, or one without an end, or nested too deeply");
    if (skip_space(at, end) != end)
        return fail(err, "something follows the value");
    *ret = value;
    return 0;
}

size_t scree_json_count(const struct scree_json *value)
{
    const char *at = value->text, *end = at + value->n;
    size_t n = 1;

    while (at < end)
        if (*at == '"') {
            at = skip_string(at, end);
        } else {
            n += *at == ',' || *at == '[' || *at == '{';
            at++;
        }
    return n;
}

int scree_json_walk(const struct scree_json *value, enum scree_json_kind kind,
                    struct scree_json_walk *ret_walk, struct scree_error *err)
{
    assert(kind == SCREE_JSON_ARRAY || kind == SCREE_JSON_OBJECT);
    if (value->kind != kind)
        return fail(err,
                    kind == SCREE_JSON_ARRAY ? "an array is expected" : "an object is expected");
    *ret_walk = (struct scree_json_walk){
        .at = value->text + 1,
        .end = value->text + value->n - 1,
        .is_object = kind == SCREE_JSON_OBJECT,
    };
    return 0;
}

/* The key at walk->at, and the colon behind it. */
static int take_key(struct scree_json_walk *walk, struct scree_json *ret_key,
                    struct scree_error *err)
{
    const char *at = walk->at;

    if (at == walk->end || *at != '"')
        return fail(err, "a key is expected");
    at = take(at, walk->end, SCREE_JSON_MAX_DEPTH, ret_key);
    at = at ? skip_space(at, walk->end) : walk->end;
    if (at == walk->end || *at != ':')
        return fail(err, "a colon is expected");
    walk->at = skip_space(at + 1, walk->end);
    return 0;
}

int scree_json_next(struct scree_json_walk *walk, struct scree_json *ret_key,
                    struct scree_json *ret_value, struct scree_error *err)
{
    int rc = 0;

    walk->at = skip_space(walk->at, walk->end);
    if (walk->at == walk->end)
        return 0;
    if (walk->begun) {
        if (*walk->at != ',')
            return fail(err, "a comma is expected");
        walk->at = skip_space(walk->at + 1, walk->end);
    }
    walk->begun = true;
    if (walk->is_object)
        rc = take_key(walk, ret_key, err);
    if (rc < 0)
        return rc;
    walk->at = take(walk->at, walk->end, SCREE_JSON_MAX_DEPTH, ret_value);
    return walk->at ? 1 : fail(err, "a value is expected");
}

/* ---- strings ---- */

bool scree_json_is(const struct scree_json *string, const char *text)
{
    size_t n = strlen(text);

    return string->kind == SCREE_JSON_STRING && string->n == n + 2 &&
           memcmp(string->text + 1, text, n) == 0;
}

/* Four hexadecimal digits; -1 for what is none. */
static int32_t read_hex(const char *at, const char *end)
{
    int32_t value = 0;

    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int32_t digit = c >= '0' && c <= '9'                     ? c - '0'
                        : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                                 : -1;

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* The character of "uXXXX", or of two of them, at `at` (behind the backslash). Returns how many
 * bytes that was, 0 if it is none. */
static int read_unicode(const char *at, const char *end, uint32_t *ret)
{
    int32_t high = read_hex(at + 1, end), low;

    if (high < 0 || (high >= 0xdc00 && high < 0xe000))
        return 0;
    *ret = (uint32_t)high;
    if (high < 0xd800 || high >= 0xe000)
        return 5;
    if (end - at < 11 || at[5] != '\\' || at[6] != 'u')
        return 0;
    low = read_hex(at + 7, end);
    if (low < 0xdc00 || low >= 0xe000)
        return 0;
    *ret = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return 11;
}

/* How many bytes the character at `at` of UTF-8 has; 0 if it is none. Source: RFC 3629 section 4.
 */
static size_t utf8_bytes(const char *at, const char *end)
{
    uint8_t c = (uint8_t)*at, second = end - at > 1 ? (uint8_t)at[1] : 0;
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (n == 0 || (size_t)(end - at) < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if (((uint8_t)at[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
        return 0;
    return n;
}

/* One escape at *at (behind the backslash) to *to, both moved on; false if it is none. */
static bool unescape(const char **at, const char *end, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *found;
    uint32_t code;
    int n;

    if (*at == end || !**at)
        return false;
    found = strchr(from, **at);
    if (found) {
        *(*to)++ = into[found - from];
        ++*at;
        return true;
    }
    n = **at == 'u' ? read_unicode(*at, end, &code) : 0;
    if (n > 0)
        *to = put_utf8(*to, code);
    *at += n;
    return n > 0;
}

ssize_t scree_json_text(const struct scree_json *string, char *to, struct scree_error *err)
{
    const char *at = string->text + 1, *end = string->text + string->n - 1;
    char *start = to;

    if (string->kind != SCREE_JSON_STRING)
        return fail(err, "a string is expected");
    while (at < end) {
        size_t n = utf8_bytes(at, end);

        if (n == 0 || (uint8_t)*at < ' ')
            return fail(err, "a string with a control character, or not in UTF-8");
        if (*at == '\\') {
            at++;
            if (!unescape(&at, end, &to))
                return fail(err, "a string with an escape that is none");
            continue;
        }
        memcpy(to, at, n);
        to += n;
        at += n;
    }
    *to = 0;
    return to - start;
}

void scree_json_add_text(struct scree_buffer *buffer, const char *text, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const char *end = text + n;

    scree_buffer_add(buffer, "\"", 1);
    while (text < end) {
        size_t length = utf8_bytes(text, end);
        uint8_t c = (uint8_t)*text;

        if (length == 0) {
            scree_buffer_add(buffer, "\xef\xbf\xbd", 3);
            length = 1;
        } else if (c == '"' || c == '\\') {
            scree_buffer_add(buffer, (char[]){'\\', (char)c}, 2);
        } else if (c < ' ') {
            scree_buffer_add(buffer, "\\u00", 4);
            scree_buffer_add(buffer, (char[]){digits[c >> 4], digits[c & 15]}, 2);
        } else {
            scree_buffer_add(buffer, text, length);
        }
        text += length;
    }
    scree_buffer_add(buffer, "\"", 1);
}

/* ---- single values ---- */

int scree_json_bool(const struct scree_json *value, bool *ret, struct scree_error *err)
{
    bool is_true = value->n == 4 && memcmp(value->text, "true", 4) == 0;

    if (!is_true && (value->n != 5 || memcmp(value->text, "false", 5) != 0))
        return fail(err, "true or false is expected");
    *ret = is_true;
    return 0;
}

int scree_json_integer(const struct scree_json *value, int64_t min, int64_t max, int64_t *ret,
                       struct scree_error *err)
{
    static const int64_t one[] = {1};
    char text[MAX_NUMBER_CHARS + 3];
    struct scree_json array = {.kind = SCREE_JSON_ARRAY, .text = text, .n = value->n + 2};
    int64_t number;
    int rc;

    if (value->kind != SCREE_JSON_NUMBER || value->n > MAX_NUMBER_CHARS)
        return fail(err, "a whole number is expected");
    text[0] = '[';
    memcpy(text + 1, value->text, value->n);
    text[1 + value->n] = ']';
    rc = scree_json_numbers(&array, SCREE_JSON_S64, one, 1, 1, false, &number, err);
    if (rc < 0)
        return rc;
    if (number < min || number > max)
        return scree_fail(err, E2BIG, "JSON: %lld is not in [%lld, %lld]", (long long)number,
                          (long long)min, (long long)max);
    *ret = number;
    return 0;
}
