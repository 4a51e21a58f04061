#include "pull/resume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool scree_etag_is_valid(const char *text)
{
    size_t n = strlen(text);

    if (n < 2 || n >= SCREE_RESUME_ETAG || text[0] != '"' || text[n - 1] != '"')
        return false;
    for (size_t i = 1; i < n - 1; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == '"' || text[i] == 0x7f)
            return false;
    return true;
}

/* The next line of *at into to char[n]; false if it does not end, or does not fit. */
static bool take_line(const char **at, char *to, size_t n)
{
    size_t length = strcspn(*at, "\n");

    if ((*at)[length] != '\n' || length >= n)
        return false;
    memcpy(to, *at, length);
    to[length] = '\0';
    *at += length + 1;
    return true;
}

/* A decimal number of digits alone, as it is printed. */
static bool read_total(const char *text, uint64_t *ret)
{
    if (text[strspn(text, "0123456789")] || !*text || (text[0] == '0' && text[1]))
        return false;
    errno = 0;
    *ret = strtoull(text, NULL, 10);
    return errno == 0;
}

bool scree_resume_parse(const char *text, struct scree_resume *ret)
{
    char total[24];

    return take_line(&text, ret->url, sizeof ret->url) &&
           take_line(&text, ret->etag, sizeof ret->etag) &&
           take_line(&text, ret->boot, sizeof ret->boot) && take_line(&text, total, sizeof total) &&
           !*text && read_total(total, &ret->total) &&
           (!*ret->etag || scree_etag_is_valid(ret->etag));
}

size_t scree_resume_print(const struct scree_resume *resume, char *text)
{
    return (size_t)snprintf(text, SCREE_RESUME_TEXT, "%s\n%s\n%s\n%llu\n", resume->url,
                            resume->etag, resume->boot, (unsigned long long)resume->total);
}
