/* net/inflate.h - bodies that come compressed.
 *
 * Source: RFC 1952 (gzip), RFC 1950 (what HTTP calls deflate), by zlib. */
#ifndef SCREE_NET_INFLATE_H
#define SCREE_NET_INFLATE_H

#include "base/error.h"
#include "net/buffer.h"

/* What any body may become: a picture of one colour compresses a thousandfold and is no bomb. */
#define SCREE_INFLATE_FLOOR_BYTES ((size_t)1 << 20)

/* True for a Content-Encoding that scree_inflate() understands: "gzip", "x-gzip", "deflate". */
bool scree_inflate_knows(const char *encoding);

/* How many bytes n may become: `ratio` times as many, or the floor if that is more, and never more
 * than `limit`. */
size_t scree_inflate_bound(size_t n, uint32_t ratio, size_t limit);

/* Decompresses bytes u8[n] into an empty buffer, up to its limit. Errors: EINVAL
 * (damaged, cut off, something follows), E2BIG (over a limit), ENOMEM. */
int scree_inflate(const uint8_t *bytes, size_t n, struct scree_buffer *ret,
                  struct scree_error *err);

#endif
