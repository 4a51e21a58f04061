/* net/json.h - JSON read where it lies: no tree, no copies, numbers straight into tensors.
 *
 * A value is a piece of the text. What is inside of it is looked at when somebody asks:
 *
 *     struct scree_json root, key, value;
 *     struct scree_json_walk walk;
 *
 *     rc = scree_json_open(bytes, n, &root, err);
 *     rc = scree_json_walk(&root, SCREE_JSON_OBJECT, &walk, err);
 *     while (rc >= 0 && (rc = scree_json_next(&walk, &key, &value, err)) > 0)
 *         if (scree_json_is(&key, "data"))
 *             ...
 *
 * So a request with an array of a million numbers costs one pass to find its end and one to read
 * it. What nobody asks for is skipped by its brackets and quotes alone, and is not checked further.
 *
 * Memory: values point into the text. Threads: no shared state. Source: RFC 8259. */
#ifndef SCREE_NET_JSON_H
#define SCREE_NET_JSON_H

#include <sys/types.h>

#include "base/error.h"
#include "net/buffer.h"

/* Arrays and objects within each other: a tensor of 8 dimensions in a request needs 12. No text may
 * be let be deeper than the second. */
#define SCREE_JSON_DEPTH     32
#define SCREE_JSON_MAX_DEPTH 64

enum scree_json_kind {
    SCREE_JSON_NULL,
    SCREE_JSON_BOOL,
    SCREE_JSON_NUMBER,
    SCREE_JSON_STRING,
    SCREE_JSON_ARRAY,
    SCREE_JSON_OBJECT,
};

/* A value's text, char[n], with its brackets or quotes. */
struct scree_json {
    enum scree_json_kind kind;
    const char *text;
    size_t n;
};

/* The one value of a text, char[n], NULL if n is 0. Errors: EBADMSG (there is none, it has no end,
 * something follows, it is nested more than SCREE_JSON_DEPTH deep). */
int scree_json_open(const void *text, size_t n, struct scree_json *ret, struct scree_error *err);

/* The same, at most `depth` deep, up to SCREE_JSON_MAX_DEPTH. */
int scree_json_open_within(const void *text, size_t n, uint32_t depth, struct scree_json *ret,
                           struct scree_error *err);

/* How many values there are in one, which counts itself; an empty array or object counts as one of
 * one value. Keys do not count. Reads all of it. */
size_t scree_json_count(const struct scree_json *value);

/* What is left of an array or object that is being walked through. */
struct scree_json_walk {
    const char *at, *end;
    bool is_object, begun;
};

/* Begins to walk through `value`, which must be an array or an object as `kind` says. Errors:
 * EBADMSG (it is another kind). */
int scree_json_walk(const struct scree_json *value, enum scree_json_kind kind,
                    struct scree_json_walk *ret_walk, struct scree_error *err);

/* The next element; of an object with its key (ret_key may be NULL for an array). Returns 1, 0 at
 * the end, or -EBADMSG. */
int scree_json_next(struct scree_json_walk *walk, struct scree_json *ret_key,
                    struct scree_json *ret_value, struct scree_error *err);

/* True if a string without escapes is `text`. */
bool scree_json_is(const struct scree_json *string, const char *text);

/* Unescapes a string into to char[string->n], and terminates it. Returns its length without that.
 * Errors: EBADMSG (no string, an escape that is none, not UTF-8). A zero may be in it: compare the
 * length with strlen() where that matters. */
ssize_t scree_json_text(const struct scree_json *string, char *to, struct scree_error *err);

/* true or false. Errors: EBADMSG (another kind). */
int scree_json_bool(const struct scree_json *value, bool *ret, struct scree_error *err);

/* A whole number in [min, max]; "3.0" is one. Errors: EBADMSG (another kind, or a fraction), E2BIG
 * (out of range). */
int scree_json_integer(const struct scree_json *value, int64_t min, int64_t max, int64_t *ret,
                       struct scree_error *err);

/* ---- numbers of tensors ---- */

/* What a number is stored as, little-endian. */
enum scree_json_number {
    SCREE_JSON_U8,
    SCREE_JSON_U16,
    SCREE_JSON_U32,
    SCREE_JSON_U64,
    SCREE_JSON_S8,
    SCREE_JSON_S16,
    SCREE_JSON_S32,
    SCREE_JSON_S64,
    SCREE_JSON_F32,
    SCREE_JSON_F64,
    SCREE_JSON_FLAG, /* a byte, 0 or 1, from true, false, 0 and 1 */
};

/* Reads an array of numbers, flat or nested as the shape is, row by row:
 *
 *     [1, 2, 3, 4] and [[1, 2], [3, 4]] are both i32[2][2]
 *
 * dims int64_t[rank], rank in [0, SCREE_MAX_RANK], none negative; their product is n
 * to   the type's size * n bytes; undefined after an error
 * nan  true: NaN, Infinity and -Infinity are numbers too, as TensorFlow Serving has it
 * Errors: EBADMSG (what is no array of numbers, more or fewer than n, nested otherwise), E2BIG (a
 * number that the type cannot hold). */
int scree_json_numbers(const struct scree_json *array, enum scree_json_number type,
                       const int64_t *dims, uint32_t rank, size_t n, bool nan, void *to,
                       struct scree_error *err);

/* ---- writing ---- */

/* Adds a string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void scree_json_add_text(struct scree_buffer *buffer, const char *text, size_t n);

/* Adds n numbers of `type`, from u8[] of any alignment, with commas between them. What is not
 * finite becomes null, or, with nan, NaN, Infinity or -Infinity. */
void scree_json_add_numbers(struct scree_buffer *buffer, enum scree_json_number type,
                            const void *from, size_t n, bool nan);

#endif
