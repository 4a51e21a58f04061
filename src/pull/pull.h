/* pull/pull.h - a model from the net into a folder of models, whole and checked or not at all.
 *
 *     FOLDER/NAME/VERSION/model.tflite
 *
 * What comes is written to .model.tflite.part beside its place, under a lock, checked (length,
 * SHA-256, and that it is a model), made durable and renamed. A pull that was cut off goes on where
 * it was if a digest is known to tell that the rest fits. Paths do not leave the folder, whatever
 * names and links say (openat2).
 *
 * Memory: none. Threads: none of its own. */
#ifndef SCREE_PULL_PULL_H
#define SCREE_PULL_PULL_H

#include "base/error.h"

struct scree_pull {
    const char *url; /* https, or http if a digest is given */
    const char *folder, *name, *version;
    const char *file;   /* what it is to be called there: "model.tflite" */
    const char *sha256; /* 64 hexadecimal digits; NULL: not known */
    size_t max_bytes;   /* larger ones are refused */
    bool is_model;      /* it has to be one */
    /* Told as bytes arrive; total 0 if it is not known. NULL: nobody asks. */
    void (*progress)(void *context, uint64_t bytes, uint64_t total);
    void *context;
};

/* Pulls. ret_sha256 char[SCREE_SHA256_TEXT] is the digest of the file. Returns 1, or 0 if the very
 * file was there already. Errors: EINVAL (the URL, a digest that is none), ENOENT, EACCES (the
 * folder, or the server says so), EBUSY (another pull of it is at work), E2BIG, EBADMSG (a wrong
 * digest, no model), EAGAIN (the connection; what came is kept), ENOMEM, EIO (among others: the
 * disk is full; what came is kept). */
int scree_pull(const struct scree_pull *pull, char *ret_sha256, struct scree_error *err);

/* True for 64 lower-case hexadecimal digits. */
bool scree_digest_is_valid(const char *text);

#endif
