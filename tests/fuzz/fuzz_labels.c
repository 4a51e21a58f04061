/* Any bytes as a label file: every name can be asked for and is text that a terminal can show. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "fuzz/fuzz.h"
#include "scree/scree.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_labels *labels;

    if (scree_labels_open_memory(bytes, n_bytes, &labels, NULL) < 0)
        return 0;
    for (uint32_t n_classes = 0; n_classes < 4; n_classes++) {
        scree_labels_align(labels, n_classes ? scree_labels_count(labels) + n_classes - 2 : 0);
        for (int64_t k = -1; k <= (int64_t)scree_labels_count(labels) + 1; k++) {
            const char *name = scree_labels_get(labels, k);

            if (name && !scree_text_is_safe(name, strlen(name)))
                abort();
        }
    }
    scree_labels_free(labels);
    return 0;
}
