#include "pull/catalog.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/text.h"

#define SHA256_DIGITS 64

bool scree_digest_is_valid(const char *text)
{
    return strlen(text) == SHA256_DIGITS && strspn(text, "0123456789abcdef") == SHA256_DIGITS;
}

/* ---- texts by their keys ---- */

struct key {
    const char *name;
    bool is_needed;
    const char **to; /* NULL: not a text, read by the caller */
};

/* Reads the keys of an object; any other is an error. `what` names the object. */
static int read_keys(json_t *json, const struct key *keys, size_t n, const char *what,
                     struct scree_error *err)
{
    const char *name;
    json_t *value;
    char quoted[80];

    if (!json_is_object(json))
        return scree_fail(err, EBADMSG, "%s is no object", what);
    json_object_foreach(json, name, value)
    {
        size_t i = 0;

        while (i < n && strcmp(keys[i].name, name) != 0)
            i++;
        if (i == n)
            return scree_fail(err, EBADMSG, "%s has a key that is not known: %s", what,
                              scree_text_quote(name, quoted, sizeof quoted));
        if (!keys[i].to)
            continue;
        if (!json_is_string(value) ||
            !scree_text_is_safe(json_string_value(value), json_string_length(value)))
            return scree_fail(err, EBADMSG, "%s: %s is no text", what, name);
        *keys[i].to = json_string_value(value);
    }
    for (size_t i = 0; i < n; i++)
        if (keys[i].is_needed && !json_object_get(json, keys[i].name))
            return scree_fail(err, EBADMSG, "%s has no %s", what, keys[i].name);
    return 0;
}

static int check_file(const struct scree_pull_file *file, const char *what, struct scree_error *err)
{
    if (strncmp(file->url, "https://", 8) != 0 && strncmp(file->url, "http://", 7) != 0)
        return scree_fail(err, EBADMSG, "%s: url is not https://...", what);
    if (file->sha256 && !scree_digest_is_valid(file->sha256))
        return scree_fail(err, EBADMSG, "%s: sha256 is not 64 digits of 0-9, a-f", what);
    return 0;
}

static int read_labels(json_t *json, const char *what, struct scree_pull_file *ret,
                       struct scree_error *err)
{
    const struct key keys[] = {{"url", true, &ret->url}, {"sha256", false, &ret->sha256}};
    int rc = read_keys(json, keys, sizeof keys / sizeof keys[0], what, err);

    return rc < 0 ? rc : check_file(ret, what, err);
}

/* ---- entries ---- */

static int read_side(json_t *json, const char *what, char **ret, struct scree_error *err)
{
    if (!json_is_object(json))
        return scree_fail(err, EBADMSG, "%s: side is no object", what);
    *ret = json_dumps(json, JSON_INDENT(2));
    return *ret ? 0 : scree_fail(err, ENOMEM, "no memory for the side file of %s", what);
}

static int read_entry(json_t *json, size_t i, struct scree_catalog_entry *entry,
                      struct scree_error *err)
{
    const struct key keys[] = {
        {"name", true, &entry->name},
        {"task", true, &entry->task},
        {"summary", true, &entry->summary},
        {"licence", true, &entry->licence},
        {"url", true, &entry->model.url},
        {"sha256", false, &entry->model.sha256},
        {"member", false, &entry->member},
        {"labels", false, NULL},
        {"side", false, NULL},
    };
    json_t *labels = json_object_get(json, "labels"), *side = json_object_get(json, "side");
    char what[SCREE_MAX_NAME + 24];
    int rc;

    (void)snprintf(what, sizeof what, "model %zu", i);
    rc = read_keys(json, keys, sizeof keys / sizeof keys[0], what, err);
    if (rc < 0)
        return rc;
    if (!scree_model_name_is_valid(entry->name))
        return scree_fail(err, EBADMSG, "%s: no model may have its name", what);
    (void)snprintf(what, sizeof what, "model %s", entry->name);
    rc = check_file(&entry->model, what, err);
    if (rc == 0 && labels)
        rc = read_labels(labels, what, &entry->labels, err);
    if (rc == 0 && side)
        rc = read_side(side, what, &entry->side, err);
    return rc;
}

static int read_entries(json_t *models, struct scree_catalog *catalog, struct scree_error *err)
{
    size_t n = json_array_size(models);

    if (!json_is_array(models))
        return scree_fail(err, EBADMSG, "models is no array");
    catalog->entries = calloc(n ? n : 1, sizeof catalog->entries[0]);
    if (!catalog->entries)
        return scree_fail_memory(err, n * sizeof catalog->entries[0]);
    for (size_t i = 0; i < n; i++) {
        struct scree_catalog_entry *entry = &catalog->entries[i];
        int rc;

        catalog->n = i + 1;
        rc = read_entry(json_array_get(models, i), i, entry, err);
        if (rc < 0)
            return rc;
        if (scree_catalog_find(catalog, entry->name) != entry)
            return scree_fail(err, EBADMSG, "model %s is there twice", entry->name);
    }
    return 0;
}

int scree_catalog_parse(const char *text, size_t n, struct scree_catalog *ret,
                        struct scree_error *err)
{
    static const struct key keys[] = {{"models", true, NULL}};
    struct scree_catalog catalog = {0};
    json_error_t why;
    char quoted[120];
    int rc;

    if (n > SCREE_CATALOG_MAX_BYTES)
        return scree_fail(err, E2BIG, "%zu bytes are over the limit of %u", n,
                          SCREE_CATALOG_MAX_BYTES);
    catalog.json = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (!catalog.json)
        return scree_fail(err, EBADMSG, "line %d: %s", why.line,
                          scree_text_quote(why.text, quoted, sizeof quoted));
    rc = read_keys(catalog.json, keys, 1, "the catalogue", err);
    rc = rc < 0 ? rc : read_entries(json_object_get(catalog.json, "models"), &catalog, err);
    if (rc < 0)
        scree_catalog_done(&catalog);
    else
        *ret = catalog;
    return rc;
}

void scree_catalog_done(struct scree_catalog *catalog)
{
    for (size_t i = 0; i < catalog->n; i++)
        free(catalog->entries[i].side);
    free(catalog->entries);
    json_decref(catalog->json);
    *catalog = (struct scree_catalog){0};
}

const struct scree_catalog_entry *scree_catalog_find(const struct scree_catalog *catalog,
                                                     const char *name)
{
    for (size_t i = 0; i < catalog->n; i++)
        if (catalog->entries[i].name && strcmp(catalog->entries[i].name, name) == 0)
            return &catalog->entries[i];
    return NULL;
}
