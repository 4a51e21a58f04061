/* cpu/fast.h - which processors of this machine are worth computing on.
 *
 * On a processor with cores of two sizes (RK3588: four Cortex-A76, four A55), a loop shared with
 * the small ones ends when the slowest of them does; so work goes to the fast ones alone. What a
 * process may use is less than what there is where its affinity mask or its control group says so.
 *
 *     struct scree_fast_processors fast;
 *     scree_fast_processors("", &fast);
 *
 * Memory: keeps nothing. Threads: pure but for the files it reads. */
#ifndef SCREE_CPU_FAST_H
#define SCREE_CPU_FAST_H

#include <sched.h>
#include <stdbool.h>

struct scree_fast_processors {
    int n;         /* threads that can run at the same time on them, at least 1 */
    bool uneven;   /* slower ones have been left out */
    cpu_set_t set; /* the fast ones of those this thread may run on; more than n under a quota */
};

/* Of the processors in `allowed`, those with at least three quarters of the largest
 * cpu_capacity among them (all, where the kernel tells no capacities: one size of cores); `n` is
 * their number, or what the CPU quota of the control group or one above it allows, rounded down, if
 * that is less: a thread beyond the quota only makes the others wait for it to be continued.
 *
 * root   put before the names of the files: "" for this machine, a folder for another's. Reads
 *        ROOT/sys/devices/system/cpu/cpuN/cpu_capacity, ROOT/proc/self/cgroup and, under
 *        ROOT/sys/fs/cgroup, cpu.max (version 2) or cpu.cfs_quota_us and cpu.cfs_period_us
 *        (version 1)
 *
 * A file that is missing, or is not what it should be, limits nothing. Cannot fail. Source:
 * Documentation/ABI/testing/sysfs-devices-system-cpu, admin-guide/cgroup-v2.rst and
 * scheduler/sched-bwc.rst of Linux. */
void scree_fast_processors_of(const char *root, const cpu_set_t *allowed,
                              struct scree_fast_processors *ret_fast);

/* The same for this machine and the calling thread's affinity mask. */
void scree_fast_processors(struct scree_fast_processors *ret_fast);

#endif
