/* pull/catalog.h - the list of models that can be pulled by name: models/catalog.json.
 *
 *     {"models": [{"name": "mobilenet_v2", "task": "classify", "summary": "...",
 *                  "licence": "Apache-2.0", "url": "https://...", "sha256": "7aad...",
 *                  "member": "a/b.tflite", "labels": {"url": "...", "sha256": "..."},
 *                  "side": {...}}]}
 *
 * sha256 is that of what the URL gives, and left out where nobody knows it; member names the model
 * in an archive; side is put beside the model as model.tflite.json (docs/model-json.md). A key that
 * is not known, or a value of another type, is an error that names it.
 *
 * Memory: a catalogue owns its texts. Threads: no shared state. */
#ifndef SCREE_PULL_CATALOG_H
#define SCREE_PULL_CATALOG_H

#include "pull/pull.h"

#define SCREE_CATALOG_MAX_BYTES (1u << 20)

/* Texts are NULL where the file does not say; name, task, summary, licence and model.url are
 * always there. */
struct scree_catalog_entry {
    const char *name, *task, *summary, *licence, *member;
    struct scree_pull_file model, labels;
    char *side; /* JSON */
};

struct scree_catalog {
    struct scree_catalog_entry *entries; /* [n] */
    size_t n;
    void *json; /* whose texts these are */
};

/* The catalogue that comes with scree, char[]. */
extern const char scree_catalog_text[];
extern const size_t scree_catalog_bytes;

/* Reads a catalogue from text char[n]. ret is freed with scree_catalog_done().
 * Errors: EBADMSG (not such a file), E2BIG (over SCREE_CATALOG_MAX_BYTES), ENOMEM. */
int scree_catalog_parse(const char *text, size_t n, struct scree_catalog *ret,
                        struct scree_error *err);

/* Accepts an all-zero struct. */
void scree_catalog_done(struct scree_catalog *catalog);

/* The entry of that name, or NULL. */
const struct scree_catalog_entry *scree_catalog_find(const struct scree_catalog *catalog,
                                                     const char *name);

/* True for the SHA-256 of something: 64 lower-case hexadecimal digits. */
bool scree_digest_is_valid(const char *text);

#endif
