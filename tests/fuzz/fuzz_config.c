/* Any bytes as a configuration file: what is accepted is printed as a file that says the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "serve/config.h"

static char *print(const struct scree_config *config)
{
    char *text = NULL;
    size_t n;
    FILE *file = open_memstream(&text, &n);

    if (!file)
        abort();
    scree_config_print(config, file);
    if (fclose(file) != 0)
        abort();
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_config config, again;
    struct scree_error err;
    char *first, *second;

    scree_config_init(&config);
    if (scree_config_read(&config, "f", (const char *)bytes, n_bytes, &err) >= 0) {
        (void)scree_config_check(&config, &err);
        first = print(&config);
        scree_config_init(&again);
        if (scree_config_read(&again, "f", first, strlen(first), &err) < 0)
            abort();
        second = print(&again);
        if (strcmp(first, second) != 0)
            abort();
        scree_config_done(&again);
        free(second);
        free(first);
    }
    scree_config_done(&config);
    return 0;
}
