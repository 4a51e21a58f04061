#include "serve/versions.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NUMBER 9999999999ul /* ten digits, as a folder's name has */

/* A number from 1 to max at *text, which is then behind it; 0 if there is none. */
static unsigned long read_number(const char **text, unsigned long max)
{
    char *end;
    unsigned long n;

    if (!isdigit((unsigned char)**text))
        return 0;
    errno = 0;
    n = strtoul(*text, &end, 10);
    *text = end;
    return errno || n > max ? 0 : n;
}

static bool read_list(const char *text, struct scree_versions *versions)
{
    for (;; text++) {
        unsigned long n = read_number(&text, MAX_NUMBER);

        if (n == 0 || versions->n_only == SCREE_MAX_VERSIONS)
            return false;
        versions->only[versions->n_only++] = n;
        if (*text != ',')
            return *text == '\0';
    }
}

int scree_versions_parse(const char *text, struct scree_versions *ret_versions,
                         struct scree_error *err)
{
    struct scree_versions versions = {.keep = SCREE_MAX_VERSIONS};
    const char *number;
    bool ok = false;

    if (strcmp(text, "all") == 0) {
        ok = true;
    } else if (strcmp(text, "latest") == 0) {
        versions.keep = 1;
        ok = true;
    } else if (strncmp(text, "latest:", 7) == 0) {
        number = text + 7;
        versions.keep = (uint32_t)read_number(&number, SCREE_MAX_VERSIONS);
        ok = versions.keep > 0 && *number == '\0';
    } else if (strncmp(text, "only:", 5) == 0) {
        ok = read_list(text + 5, &versions);
    }
    if (!ok)
        return scree_fail(err, EINVAL, "latest, latest:N, all or only:1,3 is wanted, N up to %d",
                          SCREE_MAX_VERSIONS);
    *ret_versions = versions;
    return 0;
}

bool scree_versions_allow(const struct scree_versions *versions, unsigned long number)
{
    bool found = versions->n_only == 0;

    for (uint32_t i = 0; i < versions->n_only; i++)
        found |= versions->only[i] == number;
    return found;
}
