/* Any bytes as what the kernel and whoever made the container say of processors: there is at least
 * one to run on, and never one that is not allowed.
 *
 *     CGROUP -- MAX -- MAX of /g -- QUOTA -- PERIOD -- CAPACITY of 0 -- of 1 -- of 2 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpu/fast.h"
#include "fuzz/fuzz.h"
#include "fuzz/pieces.h"

#define N_CPUS 3

static const char *const folders[] = {
    "proc",
    "proc/self",
    "sys",
    "sys/fs",
    "sys/fs/cgroup",
    "sys/fs/cgroup/g",
    "sys/fs/cgroup/cpu",
    "sys/devices",
    "sys/devices/system",
    "sys/devices/system/cpu",
    "sys/devices/system/cpu/cpu0",
    "sys/devices/system/cpu/cpu1",
    "sys/devices/system/cpu/cpu2",
};
static const char *const files[] = {
    "proc/self/cgroup",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/g/cpu.max",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us",
    "sys/devices/system/cpu/cpu0/cpu_capacity",
    "sys/devices/system/cpu/cpu1/cpu_capacity",
    "sys/devices/system/cpu/cpu2/cpu_capacity",
};

#define N_FOLDERS (sizeof folders / sizeof folders[0])
#define N_FILES   (sizeof files / sizeof files[0])

static char root[] = "/tmp/scree-fuzz-XXXXXX";
static int fds[N_FILES];

static void end(void)
{
    char path[128];

    for (size_t i = 0; i < N_FILES; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", root, files[i]);
        (void)unlink(path);
    }
    for (size_t i = N_FOLDERS; i-- > 0;) {
        (void)snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        (void)rmdir(path);
    }
    (void)rmdir(root);
}

static void start(void)
{
    char path[128];

    if (!mkdtemp(root) || atexit(end) != 0)
        abort();
    for (size_t i = 0; i < N_FOLDERS; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        if (mkdir(path, 0700) < 0)
            abort();
    }
    for (size_t i = 0; i < N_FILES; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", root, files[i]);
        fds[i] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fds[i] < 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_fast_processors fast;
    cpu_set_t allowed, outside;

    if (fds[0] == 0)
        start();
    for (size_t i = 0; i < N_FILES; i++) {
        size_t n;
        const uint8_t *piece = take_piece(&bytes, &n_bytes, &n);

        if (ftruncate(fds[i], 0) < 0 || pwrite(fds[i], piece, n, 0) != (ssize_t)n)
            abort();
    }
    CPU_ZERO(&allowed);
    for (int i = 0; i < N_CPUS; i++)
        CPU_SET(i, &allowed);
    scree_fast_processors_of(root, &allowed, &fast);
    CPU_OR(&outside, &allowed, &fast.set);
    if (fast.n < 1 || fast.n > N_CPUS || CPU_COUNT(&fast.set) < 1 || !CPU_EQUAL(&outside, &allowed))
        abort();
    return 0;
}
