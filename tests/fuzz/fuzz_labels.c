/* Any bytes as a label file: every name can be asked for and is text that a terminal can show. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fuzz/fuzz.h"
#include "scree/scree.h"

/* Of a long list, whose middle is like the rest, the names at both ends are enough. */
#define MANY 300

static void check_names(const struct scree_labels *labels)
{
    int64_t n = scree_labels_count(labels);

    for (int64_t k = -1; k <= n + 1; k++) {
        const char *name;

        if (k == MANY && n > 2 * MANY)
            k = n - MANY;
        name = scree_labels_get(labels, k);
        if (name && !scree_text_is_safe(name, strlen(name)))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_labels *labels;
    uint32_t n;

    if (scree_labels_open_memory(bytes, n_bytes, &labels, NULL) < 0)
        return 0;
    n = scree_labels_count(labels);
    check_names(labels);
    for (uint32_t n_classes = n - 1; n_classes <= n + 1; n_classes++) {
        scree_labels_align(labels, n_classes);
        check_names(labels);
    }
    scree_labels_align(labels, 0);
    check_names(labels);
    scree_labels_free(labels);
    return 0;
}
