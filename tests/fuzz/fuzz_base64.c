/* Any bytes as base64: what is decoded fits where it goes, and what is encoded comes back. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "net/base64.h"

/* As text: no more bytes than there is room for, and encoded again they decode to themselves. */
static void check_text(const char *text, size_t n)
{
    uint8_t *bytes = malloc(n / 4 * 3 + 3), *again;
    ssize_t n_bytes;
    char *back;

    if (!bytes)
        return;
    n_bytes = scree_base64_decode(text, n, bytes);
    if (n_bytes > (ssize_t)(n / 4 * 3 + 3))
        abort();
    if (n_bytes >= 0) {
        size_t n_back = SCREE_BASE64_SIZE((size_t)n_bytes);

        back = malloc(n_back + 1);
        again = malloc(n_back / 4 * 3 + 3);
        if (!back || !again)
            abort();
        scree_base64_encode(bytes, (size_t)n_bytes, back);
        if (scree_base64_decode(back, n_back, again) != n_bytes ||
            memcmp(bytes, again, (size_t)n_bytes) != 0)
            abort();
        free(back);
        free(again);
    }
    free(bytes);
}

/* As bytes: encoded, they can be decoded. */
static void check_bytes(const uint8_t *bytes, size_t n)
{
    size_t n_text = SCREE_BASE64_SIZE(n);
    char *text = malloc(n_text + 1);
    uint8_t *again = malloc(n_text / 4 * 3 + 3);

    if (!text || !again)
        abort();
    scree_base64_encode(bytes, n, text);
    if (scree_base64_decode(text, n_text, again) != (ssize_t)n ||
        (n > 0 && memcmp(again, bytes, n) != 0))
        abort();
    free(text);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    check_text((const char *)bytes, n_bytes);
    check_bytes(bytes, n_bytes);
    return 0;
}
