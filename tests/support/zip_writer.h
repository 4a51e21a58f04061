/* tests/support/zip_writer.h - makes ZIP archives in memory, for tests.
 *
 *     struct fbw out = {0};
 *     struct zipw_member member = {.name = "labels.txt", .bytes = "cat\n", .n_bytes = 4};
 *     zipw_write(&out, 0, &member, 1);
 *
 * It checks nothing, and the fields that are not 0 by default make an archive wrong. Memory: that
 * of struct fbw. */
#ifndef SCREE_TESTS_ZIP_WRITER_H
#define SCREE_TESTS_ZIP_WRITER_H

#include <stdbool.h>

#include "support/fb_writer.h"

struct zipw_member {
    const char *name;
    const void *bytes; /* u8[n_bytes] */
    size_t n_bytes;
    bool deflate;
    uint16_t flags, method; /* method instead of the real one if not 0 */
    uint32_t crc_error;     /* xor */
    uint32_t more_bytes;    /* added to the size unpacked */
    uint32_t more_packed;   /* added to the size packed, in the directory */
    uint32_t local_error;   /* added to the local header's place */
};

/* Appends an archive of members[n] whose offsets count from byte `start` of `out`. */
void zipw_write(struct fbw *out, size_t start, const struct zipw_member *members, size_t n);

#endif
