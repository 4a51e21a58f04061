/* Any bytes as the Content-Type (the first line) and the body of a form: parts lie in the body. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "net/multipart.h"

static void check(struct scree_span span, const uint8_t *body, size_t n)
{
    if (span.n > 0 && (span.bytes < body || span.bytes + span.n > body + n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    const uint8_t *end = n_bytes > 0 ? memchr(bytes, '\n', n_bytes) : NULL;
    struct scree_multipart form;
    struct scree_part part;
    char type[128];
    size_t n_type = end ? (size_t)(end - bytes) : 0, n_body;
    uint8_t *body;
    int rc;

    if (!end || n_type >= sizeof type || memchr(bytes, 0, n_type))
        return 0;
    memcpy(type, bytes, n_type);
    type[n_type] = 0;
    /* A copy of its own, so that reading past its end is seen; of nothing, none. */
    n_body = n_bytes - n_type - 1;
    body = n_body > 0 ? malloc(n_body) : NULL;
    if (n_body > 0 && !body)
        return 0;
    if (n_body > 0)
        memcpy(body, end + 1, n_body);
    rc = scree_multipart_init(&form, type, 8, body, n_body, NULL);
    while (rc >= 0 && (rc = scree_multipart_next(&form, &part, NULL)) > 0) {
        check(part.name, body, n_body);
        check(part.filename, body, n_body);
        check(part.content_type, body, n_body);
        check(part.data, body, n_body);
    }
    free(body);
    return 0;
}
