#include "serve/ids.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

uint64_t scree_id_run(void)
{
    struct timespec now;
    uint64_t run;

    if (getrandom(&run, sizeof run, GRND_NONBLOCK) == (ssize_t)sizeof run)
        return run;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec << 30 | (uint64_t)now.tv_nsec;
}

void scree_id_read(const char *header, uint64_t run, uint64_t number, char id[SCREE_ID_BYTES])
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";
    size_t n = header ? strnlen(header, SCREE_ID_BYTES) : 0;

    if (n > 0 && n < SCREE_ID_BYTES && strspn(header, good) == n)
        memcpy(id, header, n + 1);
    else
        (void)snprintf(id, SCREE_ID_BYTES, "%016llx-%llx", (unsigned long long)run,
                       (unsigned long long)number);
}

/* "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"; later versions may have more. */
void scree_trace_read(const char *header, char trace[SCREE_TRACE_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    trace[0] = 0;
    if (!header || strlen(header) < 55 || strspn(header, digits) != 2 ||
        memcmp(header, "ff", 2) == 0 || header[2] != '-' || strspn(header + 3, digits) != 32 ||
        header[35] != '-' || strspn(header + 36, digits) != 16 || header[52] != '-' ||
        strspn(header + 3, "0") == 32)
        return;
    memcpy(trace, header + 3, 32);
    trace[32] = 0;
}
