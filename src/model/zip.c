#include "model/zip.h"

#include <string.h>
#include <zlib.h>

#include "base/checked.h"
#include "base/load.h"

enum {
    END_BYTES = 22,
    END_COMMENT_MAX = 65535,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    FLAG_ENCRYPTED = 1,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
};

/* The end record: the last one whose comment reaches exactly to the end of the file. */
static bool find_end(const uint8_t *bytes, size_t n_bytes, size_t *ret_at)
{
    for (size_t back = END_BYTES; back <= n_bytes && back <= END_BYTES + END_COMMENT_MAX; back++) {
        const uint8_t *end = bytes + n_bytes - back;

        if (memcmp(end, "PK\5\6", 4) == 0 && scree_load_u16(end + 20) == back - END_BYTES) {
            *ret_at = n_bytes - back;
            return true;
        }
    }
    return false;
}

int scree_zip_open(const uint8_t *bytes, size_t n_bytes, struct scree_zip *ret_zip,
                   struct scree_error *err)
{
    struct scree_zip zip = {.bytes = bytes, .n_bytes = n_bytes};
    uint32_t offset;
    size_t end;

    if (!find_end(bytes, n_bytes, &end))
        return scree_fail(err, ENOENT, "no archive at the end of the file");
    zip.n_directory = scree_load_u32(bytes + end + 12);
    offset = scree_load_u32(bytes + end + 16);
    if (offset == UINT32_MAX)
        return scree_fail(err, ENOTSUP, "the archive is in ZIP64 format");
    if (zip.n_directory > end || offset > end - zip.n_directory)
        return scree_fail(err, EBADMSG, "the archive's directory is not in the file");
    /* The directory ends where the end record starts. Offsets count from the start of the file or
     * of the archive, as its writer liked: the difference shows in the directory's own. */
    zip.directory = end - zip.n_directory;
    zip.start = zip.directory - offset;
    *ret_zip = zip;
    return 0;
}

int scree_zip_next(const struct scree_zip *zip, size_t *cursor, struct scree_zip_member *ret_member,
                   struct scree_error *err)
{
    const uint8_t *entry = zip->bytes + zip->directory + *cursor;
    size_t left = zip->n_directory - *cursor;
    size_t n_name, n_entry;

    if (left == 0)
        return 0;
    if (left < CENTRAL_BYTES || memcmp(entry, "PK\1\2", 4) != 0)
        return scree_fail(err, EBADMSG, "the archive's directory is damaged at byte %zu",
                          zip->directory + *cursor);
    n_name = scree_load_u16(entry + 28);
    n_entry = CENTRAL_BYTES + n_name + scree_load_u16(entry + 30) + scree_load_u16(entry + 32);
    if (n_entry > left)
        return scree_fail(err, EBADMSG, "the archive's directory is cut off at byte %zu",
                          zip->directory + *cursor);
    *ret_member = (struct scree_zip_member){
        .name = (const char *)entry + CENTRAL_BYTES,
        .n_name = n_name,
        .flags = scree_load_u16(entry + 8),
        .method = scree_load_u16(entry + 10),
        .crc = scree_load_u32(entry + 16),
        .n_packed = scree_load_u32(entry + 20),
        .n_bytes = scree_load_u32(entry + 24),
        .local = scree_load_u32(entry + 42),
    };
    *cursor += n_entry;
    return 1;
}

/* The packed bytes of a member: behind its local header, whose name and extra field may differ in
 * length from the directory's. */
static int find_packed(const struct scree_zip *zip, const struct scree_zip_member *member,
                       const uint8_t **ret_packed, struct scree_error *err)
{
    size_t at = zip->start + member->local;
    const uint8_t *local = zip->bytes + at;

    if (!scree_range_fits(at, LOCAL_BYTES, zip->directory) || memcmp(local, "PK\3\4", 4) != 0)
        return scree_fail(err, EBADMSG, "no header at byte %zu", at);
    at += LOCAL_BYTES + (size_t)scree_load_u16(local + 26) + scree_load_u16(local + 28);
    if (!scree_range_fits(at, member->n_packed, zip->directory))
        return scree_fail(err, EBADMSG, "its %zu bytes at byte %zu are cut off", member->n_packed,
                          at);
    *ret_packed = zip->bytes + at;
    return 0;
}

static bool inflate_all(const uint8_t *packed, size_t n_packed, uint8_t *bytes, size_t n_bytes,
                        z_stream *stream)
{
    /* zlib's pointer to its input is not const, unless it was built so. */
    stream->next_in = (Bytef *)(uintptr_t)packed;
    stream->avail_in = (uInt)n_packed;
    stream->next_out = bytes;
    stream->avail_out = (uInt)n_bytes;
    return inflate(stream, Z_FINISH) == Z_STREAM_END && stream->avail_out == 0;
}

static int unpack(const uint8_t *packed, const struct scree_zip_member *member, uint8_t *bytes,
                  struct scree_error *err)
{
    z_stream stream = {0};
    bool good;

    /* Negative window bits: a raw deflate stream, without zlib's own header. */
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        return scree_fail_memory(err, (size_t)1 << MAX_WBITS);
    good = inflate_all(packed, member->n_packed, bytes, member->n_bytes, &stream);
    inflateEnd(&stream);
    return good ? 0 : scree_fail(err, EBADMSG, "its deflated data is damaged");
}

static int check_crc(const struct scree_zip_member *member, const uint8_t *bytes,
                     struct scree_error *err)
{
    uLong crc = crc32(0, bytes, (uInt)member->n_bytes);

    if (crc != member->crc)
        return scree_fail(err, EBADMSG, "its checksum is %08lx, not %08lx", crc,
                          (unsigned long)member->crc);
    return 0;
}

static int check_member(const struct scree_zip_member *member, struct scree_error *err)
{
    if (member->flags & FLAG_ENCRYPTED)
        return scree_fail(err, ENOTSUP, "encrypted");
    if (member->method != METHOD_STORED && member->method != METHOD_DEFLATED)
        return scree_fail(err, ENOTSUP, "compression method %u", member->method);
    if (member->n_bytes > SCREE_ZIP_MAX_BYTES)
        return scree_fail(err, E2BIG, "%zu bytes, the limit is %zu", member->n_bytes,
                          SCREE_ZIP_MAX_BYTES);
    if (member->method == METHOD_STORED && member->n_packed != member->n_bytes)
        return scree_fail(err, EBADMSG, "stored, but of two sizes: %zu and %zu bytes",
                          member->n_packed, member->n_bytes);
    return 0;
}

int scree_zip_read(const struct scree_zip *zip, const struct scree_zip_member *member,
                   struct scree_arena *arena, const uint8_t **ret_bytes, struct scree_error *err)
{
    const uint8_t *bytes = NULL;
    uint8_t *unpacked;
    int rc = check_member(member, err);

    if (rc == 0)
        rc = find_packed(zip, member, &bytes, err);
    if (rc == 0 && member->method == METHOD_DEFLATED) {
        unpacked = scree_arena_new(arena, uint8_t, member->n_bytes);
        if (!unpacked)
            return scree_fail_memory(err, member->n_bytes);
        rc = unpack(bytes, member, unpacked, err);
        bytes = unpacked;
    }
    if (rc == 0)
        rc = check_crc(member, bytes, err);
    if (rc == 0)
        *ret_bytes = bytes;
    return rc;
}
