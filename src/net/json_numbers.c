/* Arrays of numbers: what tensors are in JSON.
 *
 * Most of such an array is short whole numbers, "17, 255, 3": those are read eight bytes at a time,
 * without a branch on how many digits there are. Everything else goes the long way. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/json.h"

#define BYTES(x)          (UINT64_C(0x0101010101010101) * (x))
#define MAX_NUMBER_CHARS  400 /* the longest double without an exponent has 326 */
#define MAX_EXACT_POWER   22  /* 10^22 is the last power of ten that is a double */
#define MAX_EXACT_INTEGER (UINT64_C(1) << 53)

/* Source: RFC 8259 has no limits of its own; these are the types'. */
static const struct type {
    uint32_t n_bytes;
    bool is_float;
    int64_t min;
    uint64_t max;
} types[] = {
    [SCREE_JSON_U8] = {1, false, 0, UINT8_MAX},
    [SCREE_JSON_U16] = {2, false, 0, UINT16_MAX},
    [SCREE_JSON_U32] = {4, false, 0, UINT32_MAX},
    [SCREE_JSON_U64] = {8, false, 0, UINT64_MAX},
    [SCREE_JSON_S8] = {1, false, INT8_MIN, INT8_MAX},
    [SCREE_JSON_S16] = {2, false, INT16_MIN, INT16_MAX},
    [SCREE_JSON_S32] = {4, false, INT32_MIN, INT32_MAX},
    [SCREE_JSON_S64] = {8, false, INT64_MIN, INT64_MAX},
    [SCREE_JSON_F32] = {4, true, 0, 0},
    [SCREE_JSON_F64] = {8, true, 0, 0},
    [SCREE_JSON_FLAG] = {1, false, 0, 1},
};

/* An array that is being read. */
struct scan {
    const char *at, *end;
    const struct type *type;
    bool flags, nan;
    const int64_t *dims;
    uint32_t rank;
    uint32_t depth, leaf_depth;         /* open arrays; and where the numbers are, 0: not known */
    int64_t counts[SCREE_MAX_RANK + 1]; /* elements so far of each open array; [0] is not used */
    uint8_t *to;
    size_t n, n_left;
    struct scree_error *err;
};

static int fail(const struct scan *scan, const char *what)
{
    return scree_fail(scan->err, EBADMSG, "JSON: %s", what);
}

static int fail_range(const struct scan *scan)
{
    return scree_fail(scan->err, E2BIG, "JSON: element %zu does not fit its datatype",
                      scan->n - scan->n_left);
}

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

/* ---- storing ---- */

/* The low bytes of bits; n_left is not 0. */
static void store(struct scan *scan, uint64_t bits)
{
    memcpy(scan->to, &bits, scan->type->n_bytes);
    scan->to += scan->type->n_bytes;
    scan->n_left--;
}

static int store_integer(struct scan *scan, uint64_t magnitude, bool negative)
{
    const struct type *type = scan->type;

    if (negative ? magnitude > -(uint64_t)type->min : magnitude > type->max)
        return fail_range(scan);
    store(scan, negative ? -magnitude : magnitude);
    return 0;
}

static int store_double(struct scan *scan, double value)
{
    uint64_t bits;

    if (scan->type->n_bytes == sizeof(float)) {
        float narrow = (float)value;
        uint32_t low;

        if (isinf(narrow) && !isinf(value))
            return fail_range(scan);
        memcpy(&low, &narrow, sizeof low);
        bits = low;
    } else {
        memcpy(&bits, &value, sizeof bits);
    }
    store(scan, bits);
    return 0;
}

/* A number with a fraction or an exponent, for a type of whole numbers: it must be one. */
static int store_whole(struct scan *scan, double value)
{
    if (value != trunc(value) || fabs(value) > (double)MAX_EXACT_INTEGER)
        return fail(scan, "a whole number is expected");
    return store_integer(scan, (uint64_t)fabs(value), value < 0);
}

/* ---- one number ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool takes_word(struct scan *scan, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(scan->end - scan->at) < n || memcmp(scan->at, word, n) != 0)
        return false;
    scan->at += n;
    return true;
}

/* What is no number in RFC 8259, but in TensorFlow Serving. */
static int read_not_finite(struct scan *scan)
{
    if (scan->nan && scan->type->is_float) {
        if (takes_word(scan, "NaN"))
            return store_double(scan, (double)NAN);
        if (takes_word(scan, "Infinity"))
            return store_double(scan, (double)INFINITY);
        if (takes_word(scan, "-Infinity"))
            return store_double(scan, -(double)INFINITY);
    }
    return fail(scan, "a number is expected");
}

/* The parts of a number: digits times ten to the power. */
struct number {
    bool negative, is_whole, is_exact;
    uint64_t digits;
    int power;
};

/* Digits, as many as 64 bits hold; with more the number is not exact. */
static const char *read_digits(const char *at, const char *end, struct number *number,
                               bool is_fraction)
{
    for (; at < end && is_digit(*at); at++) {
        uint64_t digits;

        number->is_exact = number->is_exact &&
                           !__builtin_mul_overflow(number->digits, 10u, &digits) &&
                           !__builtin_add_overflow(digits, (uint64_t)(*at - '0'), &digits);
        if (!number->is_exact)
            continue;
        number->digits = digits;
        number->power -= is_fraction;
    }
    return at;
}

/* An exponent "e-12" at `at`, which is at the letter; NULL if it has no digits. */
static const char *read_exponent(const char *at, const char *end, struct number *number)
{
    bool negative;
    int power = 0;

    at++;
    negative = at < end && *at == '-';
    at += at < end && (*at == '-' || *at == '+');
    if (at == end || !is_digit(*at))
        return NULL;
    for (; at < end && is_digit(*at); at++)
        power = power < 100000 ? 10 * power + (*at - '0') : power;
    number->power += negative ? -power : power;
    return at;
}

/* The grammar of RFC 8259 section 6. Returns what is behind the number, NULL if it is none. */
static const char *read_parts(const char *at, const char *end, struct number *number)
{
    const char *first;

    *number = (struct number){.is_whole = true, .is_exact = true};
    number->negative = at < end && *at == '-';
    first = at += number->negative;
    at = read_digits(at, end, number, false);
    if (at == first || (*first == '0' && at - first > 1))
        return NULL;
    if (at < end && *at == '.') {
        number->is_whole = false;
        first = ++at;
        at = read_digits(at, end, number, true);
        if (at == first)
            return NULL;
    }
    if (at < end && (*at | 0x20) == 'e') {
        number->is_whole = false;
        at = read_exponent(at, end, number);
    }
    return at;
}

/* The double nearest to a number of text [from, behind): by one multiplication or division where
 * that is exact (Clinger's fast path), else by the C library. */
static int to_double(const struct scan *scan, const char *from, const char *behind,
                     const struct number *number, double *ret)
{
    static const double powers[MAX_EXACT_POWER + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    char text[MAX_NUMBER_CHARS + 1];
    size_t n = (size_t)(behind - from);

    if (number->is_exact && number->digits <= MAX_EXACT_INTEGER &&
        abs(number->power) <= MAX_EXACT_POWER) {
        double value = (double)number->digits;

        value = number->power < 0 ? value / powers[-number->power] : value * powers[number->power];
        *ret = number->negative ? -value : value;
        return 0;
    }
    if (n > MAX_NUMBER_CHARS)
        return fail(scan, "a number is too long");
    memcpy(text, from, n);
    text[n] = 0;
    *ret = strtod(text, NULL);
    return isinf(*ret) ? fail_range(scan) : 0;
}

static int read_number(struct scan *scan)
{
    const char *from = scan->at, *behind;
    struct number number;
    double value = 0;
    int rc;

    if (scan->flags && takes_word(scan, "true"))
        return store_integer(scan, 1, false);
    if (scan->flags && takes_word(scan, "false"))
        return store_integer(scan, 0, false);
    behind = read_parts(from, scan->end, &number);
    if (!behind)
        return read_not_finite(scan);
    scan->at = behind;
    if (!scan->type->is_float && number.is_whole)
        return number.is_exact ? store_integer(scan, number.digits, number.negative)
                               : fail_range(scan);
    rc = to_double(scan, from, behind, &number, &value);
    if (rc < 0)
        return rc;
    return scan->type->is_float ? store_double(scan, value) : store_whole(scan, value);
}

/* ---- short whole numbers ---- */

/* The value of `length` digits, 1 to 7, that are the low bytes of word. */
static uint64_t short_value(uint64_t word, uint32_t length)
{
    /* The digits move to the high bytes, zeros before them; then pairs are joined. */
    word = (word << (64 - 8 * length)) & BYTES(0x0f);
    word = (word * 10 + (word >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
    word = (word * 100 + (word >> 16)) & UINT64_C(0x0000ffff0000ffff);
    return (word * 10000 + (word >> 32)) & UINT64_C(0xffffffff);
}

/* The low n_bytes of a value; a call of memcpy() for it would cost more than reading the digits. */
static inline void put(uint8_t *to, int64_t value, uint32_t n_bytes)
{
    switch (n_bytes) {
    case 1:
        *to = (uint8_t)value;
        break;
    case 2:
        memcpy(to, &value, 2);
        break;
    case 4:
        memcpy(to, &value, 4);
        break;
    default:
        memcpy(to, &value, 8);
        break;
    }
}

/* Bit 7 of each byte of word that is no digit: right for the lowest such byte, and for those above
 * it as long as these are ASCII. */
static uint64_t find_others(uint64_t word)
{
    uint64_t digits = word ^ BYTES('0');

    return ((digits + BYTES(0x76)) | digits) & BYTES(0x80);
}

/* The number of 1 to 7 digits and a comma at the beginning of word; false if there is none.
 * others: find_others(word). */
static inline bool take_short(uint64_t word, uint64_t others, int64_t *ret, uint32_t *ret_length)
{
    uint32_t length = others ? (uint32_t)__builtin_ctzll(others) / 8 : 0;

    if (length == 0 || (word >> 8 * length & 0xff) != ',')
        return false;
    if ((word & 0xff) == '0' && length > 1)
        return false;
    *ret = (int64_t)short_value(word, length);
    *ret_length = length;
    return true;
}

/* Reads "12,", "-3, " as long as there is nothing else; what it stops at is left to others. Often
 * two numbers are in eight bytes: "120,255,". */
static void read_short(struct scan *scan)
{
    const int64_t min = scan->type->min;
    const int64_t max = scan->type->max > INT64_MAX ? INT64_MAX : (int64_t)scan->type->max;
    const uint32_t n_bytes = scan->type->n_bytes;
    const char *at = scan->at;
    uint8_t *to = scan->to;
    size_t n_left = scan->n_left;

    while (scan->end - at >= 10 && n_left > 1) {
        int64_t value, sign = min < 0 && *at == '-';
        uint64_t word, others;
        uint32_t length, used;

        memcpy(&word, at + sign, sizeof word);
        others = find_others(word);
        if (!take_short(word, others, &value, &length))
            break;
        value = (value ^ -sign) + sign;
        if (value < min || value > max)
            break;
        put(to, value, n_bytes);
        to += n_bytes;
        n_left--;
        used = length + 1;
        if (used < 8 && take_short(word >> 8 * used, others >> 8 * used, &value, &length) &&
            value <= max) {
            put(to, value, n_bytes);
            to += n_bytes;
            n_left--;
            used += length + 1;
        }
        at += sign + used;
        if (*at == ' ')
            at++;
    }
    scan->counts[scan->depth] += (int64_t)(scan->n_left - n_left);
    scan->at = at;
    scan->to = to;
    scan->n_left = n_left;
}

/* ---- arrays within arrays ---- */

static int open_array(struct scan *scan)
{
    uint32_t deepest = scan->leaf_depth ? scan->leaf_depth : scan->rank ? scan->rank : 1;

    if (scan->depth == deepest)
        return fail(scan, "data are nested otherwise than their shape");
    scan->counts[++scan->depth] = 0;
    scan->at++;
    return 0;
}

static int close_array(struct scan *scan)
{
    bool is_nested = scan->leaf_depth == scan->rank && scan->rank > 1;

    if (is_nested && scan->counts[scan->depth] != scan->dims[scan->depth - 1])
        return fail(scan, "data are nested otherwise than their shape");
    scan->counts[--scan->depth]++;
    scan->at++;
    return 0;
}

/* The numbers at the place where the scan is: all short ones, or one. */
static int read_numbers(struct scan *scan)
{
    int rc;

    if (!scan->leaf_depth)
        scan->leaf_depth = scan->depth;
    if (scan->depth != scan->leaf_depth || (scan->depth > 1 && scan->depth != scan->rank))
        return fail(scan, "data are nested otherwise than their shape");
    if (!scan->type->is_float)
        read_short(scan);
    skip_space(scan);
    if (scan->n_left == 0)
        return fail(scan, "data have more elements than their shape");
    rc = read_number(scan);
    scan->counts[scan->depth]++;
    return rc;
}

static bool is_at(const struct scan *scan, char c)
{
    return scan->at < scan->end && *scan->at == c;
}

/* A number or an array, from the place before it. */
static int read_value(struct scan *scan)
{
    int rc;

    skip_space(scan);
    while (is_at(scan, '[')) {
        rc = open_array(scan);
        if (rc < 0)
            return rc;
        skip_space(scan);
        if (is_at(scan, ']'))
            return 0;
    }
    return read_numbers(scan);
}

/* What follows a value: closing brackets, then a comma, or the end. */
static int read_separators(struct scan *scan)
{
    int rc = 0;

    for (skip_space(scan); rc >= 0 && is_at(scan, ']') && scan->depth > 0; skip_space(scan))
        rc = close_array(scan);
    if (rc < 0 || scan->depth == 0)
        return rc;
    if (!is_at(scan, ','))
        return fail(scan, "a comma is expected");
    scan->at++;
    return 0;
}

int scree_json_numbers(const struct scree_json *array, enum scree_json_number type,
                       const int64_t *dims, uint32_t rank, size_t n, bool nan, void *to,
                       struct scree_error *err)
{
    struct scan scan = {
        .at = array->text,
        .end = array->text + array->n,
        .type = &types[type],
        .flags = type == SCREE_JSON_FLAG,
        .nan = nan,
        .dims = dims,
        .rank = rank,
        .to = to,
        .n = n,
        .n_left = n,
        .err = err,
    };
    int rc;

    assert(rank <= SCREE_MAX_RANK);
    if (array->kind != SCREE_JSON_ARRAY)
        return fail(&scan, "an array of numbers is expected");
    do {
        rc = read_value(&scan);
        if (rc >= 0)
            rc = read_separators(&scan);
    } while (rc >= 0 && scan.depth > 0);
    if (rc < 0)
        return rc;
    if (scan.at != scan.end)
        return fail(&scan, "something follows the data");
    return scan.n_left > 0 ? fail(&scan, "data have fewer elements than their shape") : 0;
}

/* ---- writing ---- */

static uint64_t load(const uint8_t *from, uint32_t n_bytes)
{
    uint64_t bits = 0;

    memcpy(&bits, from, n_bytes);
    return bits;
}

/* Decimal digits of a whole number to char[20]; returns how many. */
static size_t put_integer(const struct type *type, uint64_t bits, char *to)
{
    uint32_t unused = 64 - 8 * type->n_bytes;
    int64_t value = (int64_t)(bits << unused) >> unused;
    bool negative = type->min < 0 && value < 0;
    char digits[20];
    size_t n = 0, k = 0;

    bits = negative ? -(uint64_t)value : bits;
    do {
        digits[n++] = (char)('0' + bits % 10);
        bits /= 10;
    } while (bits);
    if (negative)
        to[k++] = '-';
    while (n > 0)
        to[k++] = digits[--n];
    return k;
}

/* A number as short as it can be to be read back the same, or nearly so, to char[32]. */
static size_t put_float(const struct type *type, uint64_t bits, bool nan, char *to)
{
    double value;
    int n;

    if (type->n_bytes == sizeof(float)) {
        uint32_t low = (uint32_t)bits;
        float narrow;

        memcpy(&narrow, &low, sizeof narrow);
        value = (double)narrow;
    } else {
        memcpy(&value, &bits, sizeof value);
    }
    if (isfinite(value))
        n = snprintf(to, 32, type->n_bytes == sizeof(float) ? "%.9g" : "%.17g", value);
    else
        n = snprintf(to, 32, "%s",
                     !nan           ? "null"
                     : isnan(value) ? "NaN"
                     : value > 0    ? "Infinity"
                                    : "-Infinity");
    return (size_t)n;
}

void scree_json_add_numbers(struct scree_buffer *buffer, enum scree_json_number type,
                            const void *from, size_t n, bool nan)
{
    const struct type *t = &types[type];
    const uint8_t *at = from;
    char text[33];

    for (size_t i = 0; i < n && !buffer->failed; i++, at += t->n_bytes) {
        uint64_t bits = load(at, t->n_bytes);
        size_t length = i > 0;

        text[0] = ',';
        if (type == SCREE_JSON_FLAG) {
            scree_buffer_add(buffer, text, length);
            scree_buffer_add(buffer, bits ? "true" : "false", bits ? 4 : 5);
            continue;
        }
        length += t->is_float ? put_float(t, bits, nan, text + length)
                              : put_integer(t, bits, text + length);
        scree_buffer_add(buffer, text, length);
    }
}
