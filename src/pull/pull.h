/* pull/pull.h - a model from a server into the folder of models, whole or not at all.
 *
 *     FOLDER/NAME/VERSION/model.tflite     with labels.txt and model.tflite.json beside it
 *
 * What is not whole yet is in FOLDER/.pull/NAME-VERSION/, which no server looks at: what came of
 * the files (fetch.h), and "new", the folder that becomes VERSION by one rename when all of it is
 * there, has the digests that it must have, opens as a model, and is on the disk. A version that
 * is there is never replaced. One process at a time pulls a version; others wait.
 *
 * This is all that libscree-pull.so has, which the program loads when it is asked to pull: what
 * libcurl and libarchive bring with them is in no other process.
 *
 * Memory: nothing stays. Threads: one. */
#ifndef SCREE_PULL_PULL_H
#define SCREE_PULL_PULL_H

#include "base/error.h"

/* A file, and the SHA-256 that it must have: 64 lower-case digits, or NULL for any. */
struct scree_pull_file {
    const char *url; /* NULL: no such file */
    const char *sha256;
};

struct scree_pull_options {
    const char *folder;
    const char *name, *version; /* as base/name.h has them */
    struct scree_pull_file model, labels;
    const char *member;    /* of an archive: which one is the model; NULL: the only .tflite */
    const char *side;      /* text of model.tflite.json, or NULL */
    const char *ca_file;   /* certificates to trust in place of the system's, or NULL */
    bool allow_http;       /* to other machines, too */
    uint64_t max_bytes;    /* of the download, and of what is in an archive */
    int timeout_s;         /* for each file */
    int stall_s, min_rate; /* a file that comes slower than min_rate B/s for so long is given up */
    /* Whether bytes u8[n_bytes] are a model. Errors: any. */
    int (*check)(void *context, const void *bytes, size_t n_bytes, struct scree_error *err);
    /* Tells something that a person wants to know now. */
    void (*note)(void *context, const char *text);
    /* NULL, or called again and again; total 0 where it is not known. */
    void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
    void *context;
};

/* The length of a digest as text, with its end. */
#define SCREE_PULL_DIGEST 65

struct scree_pulled {
    bool was_there;                 /* nothing was fetched */
    char sha256[SCREE_PULL_DIGEST]; /* of what model.url gave; "" if it was there */
    char model_sha256[SCREE_PULL_DIGEST];
    uint64_t n_bytes;   /* of the model */
    uint64_t n_resumed; /* of the download, what an earlier pull left */
};

/* Pulls. On failure there is no new version, and what came is kept for the next time where that
 * makes sense.
 * Errors: EINVAL (an option; the URL), ENOENT (no folder; the server or the archive has no such
 * file), EBADMSG (another digest, no model, a damaged archive), E2BIG (over max_bytes), EACCES,
 * EIO (the network, the disk), EBUSY (the version is there with other contents), ENOMEM. */
typedef int scree_pull_fn(const struct scree_pull_options *options, struct scree_pulled *ret,
                          struct scree_error *err);

/* The name by which the library exports it. */
#define SCREE_PULL_SYMBOL "scree_pull"
SCREE_API scree_pull_fn scree_pull;

#endif
