#include "base/name.h"

#include <ctype.h>
#include <string.h>

bool scree_model_name_is_valid(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n > SCREE_MAX_NAME || !isalnum((unsigned char)name[0]) || strstr(name, ".."))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
            return false;
    return true;
}

bool scree_model_version_is_valid(const char *version)
{
    size_t n = strspn(version, "0123456789");

    return n >= 1 && n <= SCREE_MAX_VERSION && !version[n] && version[0] != '0';
}
