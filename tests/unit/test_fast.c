/* Which processors are used, on machines made of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cpu/fast.h"

#define MAX_FILES 24

/* A machine: pairs of a file's name and what is in it. */
struct machine {
    const char *what;
    uint64_t allowed;
    int n;        /* what is expected: threads, ... */
    uint64_t set; /* ... processors, ... */
    bool uneven;
    const char *files[MAX_FILES];
};

#define CAPACITY(n) "sys/devices/system/cpu/cpu" #n "/cpu_capacity"
#define GROUPS      "proc/self/cgroup"
#define V2          "sys/fs/cgroup"
#define V1          "sys/fs/cgroup/cpu"

#define RK3588                                                                              \
    CAPACITY(0), "414\n", CAPACITY(1), "414\n", CAPACITY(2), "414\n", CAPACITY(3), "414\n", \
        CAPACITY(4), "1024\n", CAPACITY(5), "1024\n", CAPACITY(6), "963\n", CAPACITY(7), "963\n"

static const struct machine machines[] = {
    {"nothing is told", 0xf, 4, 0xf, false, {NULL}},
    {"one processor", 0x4, 1, 0x4, false, {NULL}},
    {"one size of cores", 0x3, 2, 0x3, false, {CAPACITY(0), "1024\n", CAPACITY(1), "1024\n"}},
    {"big and small", 0xff, 4, 0xf0, true, {RK3588}},
    {"two big ones allowed", 0x3c, 2, 0x30, true, {RK3588}},
    {"small ones alone", 0x07, 3, 0x07, false, {RK3588}},
    {"not a number", 0x3, 2, 0x3, false, {CAPACITY(0), "fast\n", CAPACITY(1), "-7\n"}},
    {"three quarters and less",
     0x7,
     2,
     0x5,
     true,
     {CAPACITY(0), "1000\n", CAPACITY(1), "749\n", CAPACITY(2), "750\n"}},

    {"v2: no quota", 0xf, 4, 0xf, false, {GROUPS, "0::/a\n", V2 "/a/cpu.max", "max 100000\n"}},
    {"v2: two and a half",
     0xf,
     2,
     0xf,
     false,
     {GROUPS, "0::/a\n", V2 "/a/cpu.max", "250000 100000\n"}},
    {"v2: a half", 0xf, 1, 0xf, false, {GROUPS, "0::/a\n", V2 "/a/cpu.max", "50000 100000\n"}},
    {"v2: more than there is",
     0x3,
     2,
     0x3,
     false,
     {GROUPS, "0::/a\n", V2 "/a/cpu.max", "9000000 100000\n"}},
    {"v2: a group above",
     0xf,
     3,
     0xf,
     false,
     {GROUPS, "0::/a/b/c\n", V2 "/a/b/c/cpu.max", "max 100000\n", V2 "/a/cpu.max",
      "300000 100000\n"}},
    {"v2: seen from a container",
     0xf,
     2,
     0xf,
     false,
     {GROUPS, "0::/\n", V2 "/cpu.max", "200000 100000\n"}},
    {"v2: outside of the namespace",
     0xf,
     4,
     0xf,
     false,
     {GROUPS, "0::/../b\n", "sys/fs/b/cpu.max", "100000 100000\n"}},
    {"v2: nonsense", 0xf, 4, 0xf, false, {GROUPS, "0::/a\n", V2 "/a/cpu.max", "100000 0\n"}},
    {"v2: half a line", 0xf, 4, 0xf, false, {GROUPS, "0::/a\n", V2 "/a/cpu.max", "100000\n"}},

    {"v1: no quota",
     0xf,
     4,
     0xf,
     false,
     {GROUPS, "5:cpu,cpuacct:/a\n", V1 "/a/cpu.cfs_quota_us", "-1\n", V1 "/a/cpu.cfs_period_us",
      "100000\n"}},
    {"v1: two, among other lines",
     0xf,
     2,
     0xf,
     false,
     {GROUPS, "9:memory:/m\n5:cpuacct,cpu:/a\n0::/a\n", V1 "/a/cpu.cfs_quota_us", "50000\n",
      V1 "/a/cpu.cfs_period_us", "25000\n"}},
    {"v1: the container's own at the top",
     0xf,
     1,
     0xf,
     false,
     {GROUPS, "5:cpu:/docker/12ab\n", V1 "/cpu.cfs_quota_us", "100000\n", V1 "/cpu.cfs_period_us",
      "100000\n"}},
    {"v1: of another controller",
     0xf,
     4,
     0xf,
     false,
     {GROUPS, "5:cpuset:/a\n", V1 "/a/cpu.cfs_quota_us", "100000\n", V1 "/a/cpu.cfs_period_us",
      "100000\n"}},
    {"v1: no period", 0xf, 4, 0xf, false, {GROUPS, "5:cpu:/a\n", V1 "/a/cpu.cfs_quota_us", "1\n"}},
    {"lines that are none",
     0xf,
     4,
     0xf,
     false,
     {GROUPS, "\n0\n0:\n0::\n0::a\n:::::\n", V2 "/cpu.max", "max\n"}},

    {"big and small under a quota",
     0xff,
     3,
     0xf0,
     true,
     {RK3588, GROUPS, "0::/a\n", V2 "/a/cpu.max", "300000 100000\n"}},
};

/* Creates the folders of `path` from `root` on, then the file. */
static void write_file(const char *root, const char *path, const char *text)
{
    char name[512];
    FILE *file;

    (void)snprintf(name, sizeof name, "%s/%s", root, path);
    for (char *slash = name + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(name, 0700);
        *slash = '/';
    }
    file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *root, const char *path)
{
    char name[512], *slash;

    (void)snprintf(name, sizeof name, "%s/%s", root, path);
    (void)unlink(name);
    while ((slash = strrchr(name, '/')) && slash > name + strlen(root)) {
        *slash = '\0';
        (void)rmdir(name);
    }
}

static void check_machine(const struct machine *machine, const char *root)
{
    struct scree_fast_processors fast;
    cpu_set_t allowed;
    uint64_t set = 0;

    CPU_ZERO(&allowed);
    for (int i = 0; i < 64; i++)
        if (machine->allowed >> i & 1)
            CPU_SET(i, &allowed);
    for (int i = 0; i < MAX_FILES && machine->files[i]; i += 2)
        write_file(root, machine->files[i], machine->files[i + 1]);
    scree_fast_processors_of(root, &allowed, &fast);
    for (int i = 0; i < MAX_FILES && machine->files[i]; i += 2)
        remove_file(root, machine->files[i]);
    for (int i = 0; i < 64; i++)
        if (CPU_ISSET(i, &fast.set))
            set |= UINT64_C(1) << i;
    if (fast.n != machine->n || set != machine->set || fast.uneven != machine->uneven)
        fail_msg("%s: %d threads on %llx, uneven %d", machine->what, fast.n,
                 (unsigned long long)set, fast.uneven);
}

static void test_machines(void **state)
{
    char root[] = "/tmp/test_fast.XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++)
        check_machine(&machines[i], root);
    assert_int_equal(rmdir(root), 0);
}

static void test_this_machine(void **state)
{
    struct scree_fast_processors fast;
    cpu_set_t allowed, both;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    scree_fast_processors(&fast);
    CPU_AND(&both, &allowed, &fast.set);
    assert_true(CPU_EQUAL(&both, &fast.set));
    assert_in_range(fast.n, 1, CPU_COUNT(&fast.set));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machines),
        cmocka_unit_test(test_this_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
