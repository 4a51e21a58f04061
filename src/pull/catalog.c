#include "pull/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "pull/pull.h"

#define MAX_FILE_BYTES ((size_t)1 << 20)

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static int check_entry(const char *name, const json_t *json, struct scree_error *err)
{
    const json_t *labels = json_object_get(json, "labels");
    const char *digests[] = {text_of(json, "sha256"), text_of(labels, "sha256")};

    if (!text_of(json, "url") || !text_of(json, "license") || !text_of(json, "what") ||
        (labels && !text_of(labels, "url")))
        return scree_fail(err, EBADMSG, "%s has no url, license or what", name);
    for (int i = 0; i < 2; i++)
        if (digests[i] && !scree_digest_is_valid(digests[i]))
            return scree_fail(err, EBADMSG, "%s: '%s' is no SHA-256", name, digests[i]);
    return 0;
}

int scree_catalog_open(const char *path, json_t **ret_catalog, struct scree_error *err)
{
    json_t *catalog, *entry;
    const char *name;
    json_error_t why;
    uint8_t *bytes;
    size_t n;
    int rc = scree_file_read(path, MAX_FILE_BYTES, &bytes, &n, err);

    if (rc < 0)
        return rc;
    catalog = json_loadb((const char *)bytes, n, JSON_REJECT_DUPLICATES, &why);
    free(bytes);
    if (!catalog)
        return scree_fail(err, EBADMSG, "%s:%d: %s", path, why.line, why.text);
    if (!json_is_object(json_object_get(catalog, "models")))
        rc = scree_fail(err, EBADMSG, "%s: there is no object 'models' in it", path);
    json_object_foreach(json_object_get(catalog, "models"), name, entry)
    {
        if (rc >= 0)
            rc = check_entry(name, entry, err);
    }
    if (rc < 0) {
        json_decref(catalog);
        return rc;
    }
    *ret_catalog = catalog;
    return 0;
}

int scree_catalog_find(const json_t *catalog, const char *name,
                       struct scree_catalog_entry *ret_entry, struct scree_error *err)
{
    const json_t *json = json_object_get(json_object_get(catalog, "models"), name);
    const json_t *labels = json_object_get(json, "labels");

    if (!json)
        return scree_fail(err, ENOENT, "'%s' is no URL, and not in the catalog: scree pull --list",
                          name);
    *ret_entry = (struct scree_catalog_entry){
        .name = name,
        .url = text_of(json, "url"),
        .sha256 = text_of(json, "sha256"),
        .license = text_of(json, "license"),
        .what = text_of(json, "what"),
        .labels_url = text_of(labels, "url"),
        .labels_sha256 = text_of(labels, "sha256"),
    };
    return 0;
}
