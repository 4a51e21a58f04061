/* Any bytes as JSON: values lie in the text, strings unescape into their own length, and numbers
 * that were read are written and read back the same. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "net/json.h"

#define MAX_ELEMENTS 64

static void check_inside(const struct scree_json *value, const struct scree_json *outer)
{
    if (value->text < outer->text || value->text + value->n > outer->text + outer->n)
        abort();
}

static void check_text(const struct scree_json *string)
{
    char *to = malloc(string->n);
    struct scree_buffer again = {.limit = 1 << 24};
    struct scree_json back;
    ssize_t n = to ? scree_json_text(string, to, NULL) : -1;

    if (n >= 0) {
        if ((size_t)n + 2 > string->n || to[n])
            abort();
        scree_json_add_text(&again, to, (size_t)n);
        if (scree_json_open(again.bytes, again.n, &back, NULL) < 0)
            abort();
    }
    scree_buffer_done(&again);
    free(to);
}

/* As any type, flat or in rows of two. */
static void check_numbers(const struct scree_json *array, size_t n)
{
    static const uint8_t widths[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1};

    for (int type = SCREE_JSON_U8; type <= SCREE_JSON_FLAG; type++) {
        int64_t flat[] = {(int64_t)n}, nested[] = {(int64_t)n / 2, 2};
        uint8_t *to = malloc(n * widths[type] + 1), *again = malloc(n * widths[type] + 1);
        struct scree_buffer text = {.limit = 1 << 24};
        struct scree_json back;
        bool done = to && again &&
                    scree_json_numbers(array, (enum scree_json_number)type, flat, 1, n, true, to,
                                       NULL) >= 0;

        if (!done && to && n % 2 == 0)
            done = scree_json_numbers(array, (enum scree_json_number)type, nested, 2, n, true, to,
                                      NULL) >= 0;
        if (done) {
            scree_buffer_add(&text, "[", 1);
            scree_json_add_numbers(&text, (enum scree_json_number)type, to, n, true);
            scree_buffer_add(&text, "]", 1);
            if (scree_json_open(text.bytes, text.n, &back, NULL) < 0 ||
                scree_json_numbers(&back, (enum scree_json_number)type, flat, 1, n, true, again,
                                   NULL) < 0 ||
                memcmp(to, again, n * widths[type]) != 0)
                abort();
        }
        scree_buffer_done(&text);
        free(to);
        free(again);
    }
}

static void visit(const struct scree_json *value)
{
    struct scree_json_walk walk;
    struct scree_json key, inner;
    size_t n = 0;
    int64_t number;
    bool flag;

    if (value->kind == SCREE_JSON_STRING)
        check_text(value);
    (void)scree_json_bool(value, &flag, NULL);
    if (scree_json_integer(value, -5, 5, &number, NULL) >= 0 && (number < -5 || number > 5))
        abort();
    if (value->kind != SCREE_JSON_ARRAY && value->kind != SCREE_JSON_OBJECT)
        return;
    if (scree_json_walk(value, value->kind, &walk, NULL) < 0)
        abort();
    while (scree_json_next(&walk, &key, &inner, NULL) > 0) {
        check_inside(&inner, value);
        n++;
        visit(&inner);
    }
    if (value->kind == SCREE_JSON_ARRAY && n <= MAX_ELEMENTS) {
        check_numbers(value, n);
        check_numbers(value, 2 * n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_json root;
    char *text = malloc(n_bytes ? n_bytes : 1);

    if (!text || n_bytes > 4096) {
        free(text);
        return 0;
    }
    if (n_bytes > 0)
        memcpy(text, bytes, n_bytes);
    if (scree_json_open(text, n_bytes, &root, NULL) >= 0)
        visit(&root);
    free(text);
    return 0;
}
