/* pull/unpack.h - one model out of an archive: .tar, .tar.gz or .zip, by libarchive.
 *
 * Nothing but the wanted member is written, to a descriptor that the caller opened, so no name in
 * the archive is ever a path here. An archive whose names lead out of it is refused all the same:
 * whoever made it meant no good.
 *
 * Memory: libarchive's own while it runs. Threads: no shared state. */
#ifndef SCREE_PULL_UNPACK_H
#define SCREE_PULL_UNPACK_H

#include "base/error.h"

/* Whether the file begins as a gzip, zip or tar file does. Its position does not matter. */
bool scree_is_archive(int fd);

/* Writes the member called `member`, or with NULL the only one whose name ends in ".tflite", to the
 * file `to`, from its beginning.
 * max_bytes  of all members together, unpacked: what is skipped costs time, too
 * Errors: EBADMSG (not an archive, damaged, a name that leads out of it, two members of that name),
 * ENOENT (no such member), E2BIG (over max_bytes, or over 10000 members), EIO (writing). */
int scree_unpack(int fd, const char *member, uint64_t max_bytes, int to, struct scree_error *err);

#endif
