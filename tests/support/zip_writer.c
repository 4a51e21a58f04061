#include "support/zip_writer.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX_MEMBERS = 16 };

/* The packed bytes, of malloc. */
static uint8_t *pack(const struct zipw_member *member, size_t *ret_n)
{
    uLong room = compressBound((uLong)member->n_bytes) + 64;
    uint8_t *packed = malloc(room + member->n_bytes);
    z_stream stream = {0};

    if (!packed)
        abort();
    if (!member->deflate) {
        memcpy(packed, member->bytes, member->n_bytes);
        *ret_n = member->n_bytes;
        return packed;
    }
    if (deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    stream.next_in = (Bytef *)(uintptr_t)member->bytes;
    stream.avail_in = (uInt)member->n_bytes;
    stream.next_out = packed;
    stream.avail_out = (uInt)room;
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END)
        abort();
    *ret_n = stream.total_out;
    deflateEnd(&stream);
    return packed;
}

/* The fields that a local header and a directory entry share, from the version to the lengths. */
static void put_shared(struct fbw *out, const struct zipw_member *member, size_t n_packed)
{
    uint32_t crc = (uint32_t)crc32(0, member->bytes, (uInt)member->n_bytes) ^ member->crc_error;

    fbw_number(out, 20, 2);
    fbw_number(out, member->flags, 2);
    fbw_number(out, member->method ? member->method : member->deflate ? 8 : 0, 2);
    fbw_number(out, 0, 4);
    fbw_number(out, crc, 4);
    fbw_number(out, n_packed, 4);
    fbw_number(out, member->n_bytes + member->more_bytes, 4);
    fbw_number(out, strlen(member->name), 2);
}

static void put_local(struct fbw *out, const struct zipw_member *member, size_t *ret_n_packed)
{
    uint8_t *packed = pack(member, ret_n_packed);

    fbw_put(out, "PK\3\4", 4);
    put_shared(out, member, *ret_n_packed);
    fbw_number(out, 3, 2); /* an extra field, which the directory does not have */
    fbw_put(out, member->name, strlen(member->name));
    fbw_put(out, "abc", 3);
    fbw_put(out, packed, *ret_n_packed);
    free(packed);
}

static void put_entry(struct fbw *out, const struct zipw_member *member, size_t n_packed,
                      size_t local)
{
    fbw_put(out, "PK\1\2", 4);
    fbw_number(out, 20, 2);
    put_shared(out, member, n_packed + member->more_packed);
    fbw_number(out, 0, 8);
    fbw_number(out, 0, 4);
    fbw_number(out, local + member->local_error, 4);
    fbw_put(out, member->name, strlen(member->name));
}

void zipw_write(struct fbw *out, size_t start, const struct zipw_member *members, size_t n)
{
    size_t local[MAX_MEMBERS], n_packed[MAX_MEMBERS];
    size_t directory, end;

    if (n > MAX_MEMBERS)
        abort();
    for (size_t i = 0; i < n; i++) {
        local[i] = out->n - start;
        put_local(out, &members[i], &n_packed[i]);
    }
    directory = out->n;
    for (size_t i = 0; i < n; i++)
        put_entry(out, &members[i], n_packed[i], local[i]);
    end = out->n;
    fbw_put(out, "PK\5\6", 4);
    fbw_number(out, 0, 4);
    fbw_number(out, n, 2);
    fbw_number(out, n, 2);
    fbw_number(out, end - directory, 4);
    fbw_number(out, directory - start, 4);
    fbw_number(out, 0, 2);
}
