#include "cpu/fast.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of one big core's capacity, three quarters take in its siblings of other clock rates (RK3588: to
 * 94 %), and leave out the small ones (40 %). */
#define FAST_PERCENT 75

#define MAX_PATH 4352 /* a root, a control group of up to 4096 bytes, a name */

/* ---- files -------------------------------------------------------------------------------------
 */

/* The first line of a file, without its end. False if there is none, or it is longer than n. */
static bool read_line(const char *path, char *line, size_t n)
{
    FILE *file = fopen(path, "re");
    bool ok;

    if (!file)
        return false;
    ok = fgets(line, (int)n, file) != NULL;
    fclose(file);
    if (ok)
        line[strcspn(line, "\n")] = '\0';
    return ok;
}

/* A decimal number and what follows it. False if there is no number, or it is below 0. */
static bool parse_number(const char *text, int64_t *ret_number, const char **ret_rest)
{
    char *end;
    long long number = strtoll(text, &end, 10);

    if (end == text || number < 0)
        return false;
    *ret_number = number;
    *ret_rest = end;
    return true;
}

static bool read_number(const char *path, int64_t *ret_number)
{
    char line[32];
    const char *rest;

    return read_line(path, line, sizeof line) && parse_number(line, ret_number, &rest) &&
           *rest == '\0';
}

/* ---- capacities --------------------------------------------------------------------------------
 */

/* 0 if the kernel does not tell. */
static int64_t capacity(const char *root, int cpu)
{
    char path[MAX_PATH];
    int64_t number;

    (void)snprintf(path, sizeof path, "%s/sys/devices/system/cpu/cpu%d/cpu_capacity", root, cpu);
    return read_number(path, &number) && number <= INT32_MAX ? number : 0;
}

static void choose_fast(const char *root, const cpu_set_t *allowed,
                        struct scree_fast_processors *fast)
{
    int64_t capacities[CPU_SETSIZE] = {0}, largest = 0;

    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, allowed))
            capacities[i] = capacity(root, i);
        if (capacities[i] > largest)
            largest = capacities[i];
    }
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, allowed) && capacities[i] * 100 >= largest * FAST_PERCENT)
            CPU_SET(i, &fast->set);
    fast->n = CPU_COUNT(&fast->set);
    fast->uneven = fast->n < CPU_COUNT(allowed);
}

/* ---- quotas ------------------------------------------------------------------------------------
 */

static void limit(struct scree_fast_processors *fast, int64_t quota, int64_t period)
{
    if (period > 0 && quota / period < fast->n)
        fast->n = (int)(quota / period);
}

/* "100000 50000": quota and period, "max 100000": no quota. */
static void limit_v2(const char *group, struct scree_fast_processors *fast)
{
    char path[MAX_PATH + 16], line[64];
    const char *rest;
    int64_t quota, period;

    (void)snprintf(path, sizeof path, "%s/cpu.max", group);
    if (read_line(path, line, sizeof line) && parse_number(line, &quota, &rest) &&
        parse_number(rest, &period, &rest))
        limit(fast, quota, period);
}

/* A quota of -1 is none. */
static void limit_v1(const char *group, struct scree_fast_processors *fast)
{
    char path[MAX_PATH + 32];
    int64_t quota, period;

    (void)snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", group);
    if (!read_number(path, &quota))
        return;
    (void)snprintf(path, sizeof path, "%s/cpu.cfs_period_us", group);
    if (read_number(path, &period))
        limit(fast, quota, period);
}

/* Whether "cpu" is in a list as "cpu,cpuacct". */
static bool lists_cpu(const char *controllers)
{
    size_t n;

    for (; *controllers; controllers += n + (controllers[n] == ',')) {
        n = strcspn(controllers, ",");
        if (n == 3 && memcmp(controllers, "cpu", 3) == 0)
            return true;
    }
    return false;
}

/* Applies the limits of the group `path`, whose name begins at path + top, and of all above it: in
 * a container the name may be one of the host's, which is not there, while the container's own
 * group is at the top. */
static void limit_by_group(char *path, size_t top,
                           void (*limit_by)(const char *, struct scree_fast_processors *),
                           struct scree_fast_processors *fast)
{
    for (size_t n = strlen(path); n > top; n--) {
        if (path[n] != '\0' && path[n] != '/')
            continue;
        path[n] = '\0';
        limit_by(path, fast);
    }
    path[top] = '\0';
    limit_by(path, fast);
}

/* A line "ID:CONTROLLERS:/GROUP" of /proc/self/cgroup; in version 2 there are no controllers. A
 * group outside the namespace ("/../..") cannot be looked at. */
static void limit_by_line(const char *root, char *line, struct scree_fast_processors *fast)
{
    char *controllers = strchr(line, ':');
    char *name = controllers ? strchr(++controllers, ':') : NULL;
    char path[MAX_PATH];
    bool v2;
    int top, n;

    if (!name || name[1] != '/' || strstr(name, "/.."))
        return;
    *name++ = '\0';
    v2 = *controllers == '\0';
    if (!v2 && !lists_cpu(controllers))
        return;
    top = snprintf(path, sizeof path, "%s/sys/fs/cgroup%s", root, v2 ? "" : "/cpu");
    n = snprintf(path, sizeof path, "%s/sys/fs/cgroup%s%s", root, v2 ? "" : "/cpu", name);
    if (n > 0 && (size_t)n < sizeof path)
        limit_by_group(path, (size_t)top, v2 ? limit_v2 : limit_v1, fast);
}

static void limit_by_quota(const char *root, struct scree_fast_processors *fast)
{
    char path[MAX_PATH], line[4200];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        limit_by_line(root, line, fast);
    }
    if (file)
        fclose(file);
    if (fast->n < 1)
        fast->n = 1;
}

void scree_fast_processors_of(const char *root, const cpu_set_t *allowed,
                              struct scree_fast_processors *ret_fast)
{
    *ret_fast = (struct scree_fast_processors){0};
    choose_fast(root, allowed, ret_fast);
    limit_by_quota(root, ret_fast);
}

void scree_fast_processors(struct scree_fast_processors *ret_fast)
{
    cpu_set_t allowed;

    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) {
        CPU_ZERO(&allowed);
        CPU_SET(0, &allowed);
    }
    scree_fast_processors_of("", &allowed, ret_fast);
}
