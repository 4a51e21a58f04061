/* Any text as an Accept header: a quality is in [0, 1000]. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "net/accept.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    char *text = malloc(n_bytes + 1);
    int quality;

    if (!text)
        return 0;
    memcpy(text, bytes, n_bytes);
    text[n_bytes] = 0;
    quality = scree_accept_quality(text, "image/jpeg");
    free(text);
    if (quality < 0 || quality > 1000)
        abort();
    return 0;
}
