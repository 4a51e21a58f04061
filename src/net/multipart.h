/* net/multipart.h - the parts of a multipart/form-data body, in place.
 *
 *     struct scree_multipart form;
 *     struct scree_part part;
 *
 *     rc = scree_multipart_init(&form, content_type, 8, body, n_body, err);
 *     while (rc >= 0 && (rc = scree_multipart_next(&form, &part, err)) > 0)
 *         if (scree_span_is(part.name, "image") && part.has_filename)
 *             ...
 *
 * Memory: parts point into the body and into the header of Content-Type. Threads: no shared state.
 * Source: RFC 7578, RFC 2046 section 5.1. */
#ifndef SCREE_NET_MULTIPART_H
#define SCREE_NET_MULTIPART_H

#include "base/error.h"
#include "net/span.h"

struct scree_multipart {
    struct scree_span boundary;
    struct scree_span rest; /* behind the last delimiter */
    uint32_t n_parts, max_parts;
};

struct scree_part {
    struct scree_span name;         /* as it stands between the quotes */
    struct scree_span filename;     /* empty if there is none */
    bool has_filename;              /* it is a file, even of an empty name */
    struct scree_span content_type; /* empty if it does not say */
    struct scree_span data;
};

/* True if a Content-Type (NULL: none) is multipart/form-data. */
bool scree_multipart_is(const char *content_type);

/* Starts reading body u8[n], NULL if n is 0, up to max_parts parts of it. Errors: EBADMSG (no
 * boundary of 1 to 70 characters in content_type; a body that does not begin with it). */
int scree_multipart_init(struct scree_multipart *form, const char *content_type, uint32_t max_parts,
                         const uint8_t *body, size_t n, struct scree_error *err);

/* Reads the next part. Returns 1, or 0 behind the last one. Errors: EBADMSG (cut off, no name),
 * E2BIG (over max_parts). */
int scree_multipart_next(struct scree_multipart *form, struct scree_part *ret_part,
                         struct scree_error *err);

#endif
