/* pull/catalog.h - models that are known by name: where they are, what they are, who may use them.
 *
 *     {"models": {"NAME": {"url": ..., "sha256": ..., "license": ..., "what": ...,
 *                          "labels": {"url": ..., "sha256": ...}}}}
 *
 * Memory: the catalog owns its texts. Threads: any may read. */
#ifndef SCREE_PULL_CATALOG_H
#define SCREE_PULL_CATALOG_H

#include <jansson.h>

#include "base/error.h"

struct scree_catalog_entry {
    const char *name, *url;
    const char *sha256; /* NULL: not known */
    const char *license, *what;
    const char *labels_url, *labels_sha256; /* NULL: the model's own */
};

/* Reads a catalog; freed with json_decref(). Errors: those of scree_file_read(), EBADMSG. */
int scree_catalog_open(const char *path, json_t **ret_catalog, struct scree_error *err);

/* The entry of a name. Errors: ENOENT. */
int scree_catalog_find(const json_t *catalog, const char *name,
                       struct scree_catalog_entry *ret_entry, struct scree_error *err);

#endif
