/* model/zip.h - the ZIP archive at the end of a file, for reading single members.
 *
 * Stored and deflated members, checked by their CRC; no encryption, no parts, no ZIP64 (4 GiB).
 *
 * Memory: what is deflated is unpacked into an arena handed in; all else stays where it lies.
 * Source: APPNOTE.TXT, PKWARE's description of the format, 4.3. */
#ifndef SCREE_MODEL_ZIP_H
#define SCREE_MODEL_ZIP_H

#include "base/arena.h"
#include "base/error.h"

/* The most bytes of a member. */
#define SCREE_ZIP_MAX_BYTES ((size_t)16 << 20)

struct scree_zip {
    const uint8_t *bytes; /* u8[n_bytes]: the whole file */
    size_t n_bytes;
    size_t start;                  /* what the archive's offsets count from */
    size_t directory, n_directory; /* the central directory */
};

/* A member, as the central directory has it. */
struct scree_zip_member {
    const char *name; /* char[n_name], not terminated */
    size_t n_name;
    uint16_t flags, method;
    uint32_t crc;
    size_t n_packed, n_bytes, local; /* local: offset of its own header */
};

/* Finds the archive whose end is the end of bytes u8[n_bytes].
 * Errors: ENOENT (there is none), EBADMSG (its directory is not where it says), ENOTSUP (ZIP64). */
int scree_zip_open(const uint8_t *bytes, size_t n_bytes, struct scree_zip *ret_zip,
                   struct scree_error *err);

/* Reads the member at *cursor (0 for the first) and moves the cursor on. Returns 1, or 0 at the
 * end. Errors: EBADMSG. */
int scree_zip_next(const struct scree_zip *zip, size_t *cursor, struct scree_zip_member *ret_member,
                   struct scree_error *err);

/* The contents of a member, *ret_bytes u8[member->n_bytes]: in the file if stored, else in `arena`.
 * Errors: EBADMSG (damaged), ENOTSUP (encrypted, another method), E2BIG (SCREE_ZIP_MAX_BYTES),
 * ENOMEM (or the arena is full). */
int scree_zip_read(const struct scree_zip *zip, const struct scree_zip_member *member,
                   struct scree_arena *arena, const uint8_t **ret_bytes, struct scree_error *err);

#endif
