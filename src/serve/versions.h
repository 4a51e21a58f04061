/* serve/versions.h - which versions of a model are to be loaded.
 *
 *     latest      the highest
 *     latest:N    the N highest
 *     all
 *     only:1,3    these
 *
 * as TensorFlow Serving and Triton have it.
 *
 * Memory: none. Threads: none of its own. */
#ifndef SCREE_SERVE_VERSIONS_H
#define SCREE_SERVE_VERSIONS_H

#include "base/error.h"

#define SCREE_MAX_VERSIONS 64

/* The highest `keep` of the versions that are allowed: those in only[n_only], or any if it is 0. */
struct scree_versions {
    uint32_t keep;
    uint32_t n_only;
    unsigned long only[SCREE_MAX_VERSIONS];
};

/* Reads a policy. Errors: EINVAL (the text says what is wanted). */
int scree_versions_parse(const char *text, struct scree_versions *ret_versions,
                         struct scree_error *err);

/* True if version `number` may be loaded. */
bool scree_versions_allow(const struct scree_versions *versions, unsigned long number);

#endif
