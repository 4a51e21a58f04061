/* base/file.h - files as bytes in memory, and bytes in memory as files. */
#ifndef SCREE_BASE_FILE_H
#define SCREE_BASE_FILE_H

#include "base/error.h"

/* A whole file mapped read-only: bytes u8[n_bytes], page aligned. An empty file has n_bytes 0,
 * bytes NULL. */
struct scree_mapped {
    const uint8_t *bytes;
    size_t n_bytes;
};

/* Maps the regular file `path`. Given back with scree_mapped_done().
 * Errors: ENOENT, EACCES, EINVAL (not a regular file), EIO (anything else), with the path in the
 * text. */
int scree_mapped_open(const char *path, struct scree_mapped *ret_mapped, struct scree_error *err);

/* Gives back the memory of the whole pages inside bytes u8[n_bytes], a part of the mapping (or not:
 * then nothing happens). Whoever reads them again gets the same bytes, from the file. */
void scree_mapped_release(const struct scree_mapped *mapped, const void *bytes, size_t n_bytes);

/* Unmaps. Accepts an all-zero struct. */
void scree_mapped_done(struct scree_mapped *mapped);

/* Reads the regular file `path` into memory: for files that may be written to while they are read
 * (a camera's picture), which a mapping does not survive.
 *
 * *ret_bytes u8[*ret_n_bytes], freed by the caller with free(); not NULL even if the file is empty
 * Errors: ENOENT, EACCES, EINVAL (not a regular file), E2BIG (over max_bytes), ENOMEM, EIO, with
 * the path in the text. */
int scree_file_read(const char *path, size_t max_bytes, uint8_t **ret_bytes, size_t *ret_n_bytes,
                    struct scree_error *err);

/* Writes bytes u8[n_bytes] as the file `path`: into a new file beside it that then takes its name,
 * so that a reader sees the old file or the whole new one, never a part, and on failure the old one
 * is still there. If `path` names something else than a regular file (a device, a pipe, a symbolic
 * link) the bytes are written straight into that.
 * Errors: ENOENT (no such directory), EACCES, ENOMEM, EIO (anything else), with the path in the
 * text. */
int scree_file_write(const char *path, const void *bytes, size_t n_bytes, struct scree_error *err);

#endif
