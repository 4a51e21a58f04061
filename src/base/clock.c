#include "base/clock.h"

#include <stdio.h>
#include <time.h>

void scree_clock_text(char *text)
{
    struct timespec now;
    struct tm parts;
    size_t n;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    n = strftime(text, SCREE_CLOCK_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text + n, SCREE_CLOCK_BYTES - n, ".%03uZ", (unsigned)(now.tv_nsec / 1000000));
}

uint64_t scree_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t scree_lap_ns(uint64_t *since_ns)
{
    uint64_t now = scree_now_ns(), passed = now - *since_ns;

    *since_ns = now;
    return passed;
}
