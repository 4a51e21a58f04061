#include "net/accept.h"

#include <string.h>
#include <strings.h>

#define SPACES " \t"

/* The q of the parameters that begin at `at` and end at `end`, in thousandths. */
static int read_quality(const char *at, const char *end)
{
    int q = 0, digit = 1000;

    while (at < end && strncasecmp(at, "q=", 2) != 0) {
        at += strcspn(at, ";,");
        if (at < end)
            at += 1 + strspn(at + 1, SPACES);
    }
    if (at >= end)
        return 1000;
    for (at += 2; at < end && digit > 0; at++) {
        if (*at == '.')
            continue;
        if (*at < '0' || *at > '9')
            break;
        q += (*at - '0') * digit;
        digit /= 10;
    }
    return q > 1000 ? 1000 : q;
}

int scree_accept_quality(const char *accept, const char *type)
{
    size_t n_type = strlen(type);

    while (accept && *accept) {
        const char *end;
        size_t n;

        accept += strspn(accept, SPACES ",");
        end = accept + strcspn(accept, ",");
        n = strcspn(accept, SPACES ";,");
        if (n == n_type && strncasecmp(accept, type, n) == 0) {
            accept += n + strspn(accept + n, SPACES ";");
            return read_quality(accept, end);
        }
        accept = end;
    }
    return 0;
}
