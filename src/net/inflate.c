#include "net/inflate.h"

#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/checked.h"

#define STEP_BYTES      ((size_t)64 << 10)
#define ANY_FORMAT_BITS (15 + 32) /* the largest window; gzip or zlib, by its first bytes */

bool scree_inflate_knows(const char *encoding)
{
    return strcasecmp(encoding, "gzip") == 0 || strcasecmp(encoding, "x-gzip") == 0 ||
           strcasecmp(encoding, "deflate") == 0;
}

/* Decompresses until the end of the stream, or of the room there is: when that is full, a byte more
 * tells whether the stream goes on, or was cut off, or ends there. */
static int run(z_stream *stream, struct scree_buffer *ret, size_t most, struct scree_error *err)
{
    int rc = Z_OK;

    while (rc == Z_OK) {
        size_t step = STEP_BYTES < most - ret->n ? STEP_BYTES : most - ret->n;
        uint8_t more, *to = step > 0 ? scree_buffer_extend(ret, step) : &more;

        if (!to)
            return scree_fail_memory(err, step);
        stream->next_out = to;
        stream->avail_out = step > 0 ? (uInt)step : 1;
        rc = inflate(stream, Z_NO_FLUSH);
        if (step > 0)
            ret->n -= stream->avail_out;
        else if (stream->avail_out == 0)
            return scree_fail(err, E2BIG, "the body is too large when decompressed");
    }
    if (rc == Z_MEM_ERROR)
        return scree_fail_memory(err, STEP_BYTES);
    if (rc != Z_STREAM_END || stream->avail_in > 0)
        return scree_fail(err, EINVAL, "the body is not what its Content-Encoding says");
    return 0;
}

size_t scree_inflate_bound(size_t n, uint32_t ratio, size_t limit)
{
    size_t most;

    if (!scree_mul_size(n, ratio, &most))
        return limit;
    most = most < SCREE_INFLATE_FLOOR_BYTES ? SCREE_INFLATE_FLOOR_BYTES : most;
    return most < limit ? most : limit;
}

int scree_inflate(const uint8_t *bytes, size_t n, struct scree_buffer *ret, struct scree_error *err)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)n};
    int rc;

    if (n > UINT32_MAX)
        return scree_fail(err, E2BIG, "the body is too large");
    if (inflateInit2(&stream, ANY_FORMAT_BITS) != Z_OK)
        return scree_fail_memory(err, STEP_BYTES);
    rc = run(&stream, ret, ret->limit, err);
    inflateEnd(&stream);
    return rc;
}
