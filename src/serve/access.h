/* serve/access.h - who may ask for what.
 *
 * Three scopes: what everybody may see (is it alive?), inference, and what changes the server. The
 * last two have a file of tokens each, one a line, so that a new one can be handed out before the
 * old one goes; without a file inference is for everybody, and changes are for those who ask from
 * this machine, without a proxy between, and not from another site's page in a browser.
 *
 *     Authorization: Bearer TOKEN
 *
 * Memory: tokens live until scree_access_done() and are never printed. Threads: any may ask while
 * one reads the files again. */
#ifndef SCREE_SERVE_ACCESS_H
#define SCREE_SERVE_ACCESS_H

#include <pthread.h>

#include "base/error.h"

enum scree_scope {
    SCREE_SCOPE_OPEN,
    SCREE_SCOPE_INFER,
    SCREE_SCOPE_ADMIN,
    SCREE_N_SCOPES,
};

/* Tokens, one a line: char[n]; NULL for none. */
struct scree_tokens {
    char *text;
    size_t n;
};

struct scree_access {
    pthread_mutex_t lock;
    struct scree_tokens tokens[SCREE_N_SCOPES];
};

/* What a request shows of itself; NULL where it does not. */
struct scree_credentials {
    const char *peer;          /* the address it comes from */
    const char *authorization; /* these headers */
    const char *key;           /* a key that an API has in a place of its own */
    const char *host, *origin;
    bool is_forwarded; /* a proxy says that it is somebody else's */
};

/* Nobody has a token yet. */
void scree_access_init(struct scree_access *access);

/* Reads the file of a scope (NULL: none), in place of what was read before; on failure that stays.
 * Errors: those of scree_file_read(), EBADMSG (no token in it, or one that is no printable ASCII or
 * shorter than 8 characters). */
int scree_access_read(struct scree_access *access, enum scree_scope scope, const char *path,
                      struct scree_error *err);

/* Whether who shows `credentials` may do what `scope` says. Whoever may change the server may have
 * inferences as well. Errors: EACCES, without saying why a token is not right. */
int scree_access_check(struct scree_access *access, enum scree_scope scope,
                       const struct scree_credentials *credentials, struct scree_error *err);

/* True for an address of this machine's loopback: 127.0.0.0/8 (also as ::ffff:127.0.0.1), ::1. */
bool scree_address_is_loopback(const char *address);

/* Overwrites and frees the tokens. */
void scree_access_done(struct scree_access *access);

#endif
