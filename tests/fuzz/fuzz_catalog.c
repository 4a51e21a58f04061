/* Any bytes as a catalogue: what is accepted has names and digests that are allowed, each name
 * once. */
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "fuzz/fuzz.h"
#include "pull/catalog.h"

static void check(const struct scree_pull_file *file)
{
    if (strncmp(file->url, "http", 4) != 0 ||
        (file->sha256 && !scree_digest_is_valid(file->sha256)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_catalog catalog;

    if (scree_catalog_parse((const char *)bytes, n_bytes, &catalog, NULL) < 0)
        return 0;
    for (size_t i = 0; i < catalog.n; i++) {
        const struct scree_catalog_entry *entry = &catalog.entries[i];

        if (!scree_model_name_is_valid(entry->name) || !entry->task || !entry->summary ||
            !entry->licence || scree_catalog_find(&catalog, entry->name) != entry)
            abort();
        check(&entry->model);
        if (entry->labels.url)
            check(&entry->labels);
    }
    scree_catalog_done(&catalog);
    return 0;
}
