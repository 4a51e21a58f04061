/* base/file.h - files as bytes in memory. */
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

/* Unmaps. Accepts an all-zero struct. */
void scree_mapped_done(struct scree_mapped *mapped);

#endif
