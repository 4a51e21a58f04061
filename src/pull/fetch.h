/* pull/fetch.h - one file from a server, in pieces if need be, by libcurl.
 *
 *     FOLDER/NAME.part     what came so far
 *     FOLDER/NAME.state    where from, its ETag, its whole length
 *
 * What came is kept when the connection, the process or the disk's room ends, and the next fetch
 * goes on behind it (Range, If-Range) if the server still has the same file: by its ETag, or by
 * the digest that the whole must have. Without a digest, what a machine held when it went down is
 * not believed. The digest is taken of what comes while it comes.
 *
 * HTTPS only, also behind redirects (at most 5). Plain HTTP where the other end is this machine
 * itself, or when it is asked for.
 *
 * Threads: one at a time of a folder. */
#ifndef SCREE_PULL_FETCH_H
#define SCREE_PULL_FETCH_H

#include "base/error.h"
#include "base/sha256.h"

/* What of a URL is told: without what is behind "?" or "#", which may be secret. */
#define SCREE_URL_SHOWN 128

struct scree_fetch_options {
    const char *url;
    const char *sha256;  /* 64 lower-case digits, or NULL */
    const char *ca_file; /* certificates to trust in place of the system's, or NULL */
    bool allow_http;
    uint64_t max_bytes;
    long timeout_s, stall_s, min_rate; /* in all; as long below min_rate bytes a second */
    const char *what;                  /* the name of the files */
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
    void *context;
};

struct scree_fetched {
    char sha256[SCREE_SHA256_TEXT];
    uint64_t n_bytes;
    uint64_t n_resumed; /* of these, how many were there before */
};

/* Fetches into `folder`. Returns a descriptor of NAME.part, readable, to be closed. The files stay:
 * scree_fetch_clear().
 * Errors: EINVAL (the URL), ENOENT (the server has no such file), EBADMSG (another digest, an
 * answer that makes no sense; the files are gone then), E2BIG (over max_bytes), EIO (the network,
 * the server, the disk). */
int scree_fetch(int folder, const struct scree_fetch_options *options, struct scree_fetched *ret,
                struct scree_error *err);

/* Removes the files of `what`. */
void scree_fetch_clear(int folder, const char *what);

#endif
