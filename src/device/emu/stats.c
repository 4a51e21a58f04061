#include "device/emu/stats.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map(int fd, int flags, struct scree_emu_stats **ret_stats, struct scree_error *err)
{
    void *mapped = mmap(NULL, sizeof **ret_stats, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (mapped == MAP_FAILED)
        return scree_fail_memory(err, sizeof **ret_stats);
    *ret_stats = mapped;
    return 0;
}

static int map_file(int fd, const char *path, struct scree_emu_stats **ret_stats,
                    struct scree_error *err)
{
    struct scree_emu_stats *stats = NULL;
    uint64_t none = 0;
    int rc;

    /* Growing to the same size twice is harmless, should two processes be first. */
    if (ftruncate(fd, sizeof *stats) < 0)
        return scree_fail(err, EIO, "%s: %s", path, strerror(errno));
    rc = map(fd, MAP_SHARED, &stats, err);
    if (rc < 0)
        return rc;
    if (!__atomic_compare_exchange_n(&stats->magic, &none, SCREE_EMU_STATS_MAGIC, false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
        none != SCREE_EMU_STATS_MAGIC) {
        munmap(stats, sizeof *stats);
        return scree_fail(err, EBADMSG, "%s: not counters of this version", path);
    }
    *ret_stats = stats;
    return 0;
}

int scree_emu_stats_open(const char *path, struct scree_emu_stats **ret_stats,
                         struct scree_error *err)
{
    struct stat st;
    int fd, rc;

    if (!path)
        return map(-1, MAP_SHARED | MAP_ANONYMOUS, ret_stats, err);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || fstat(fd, &st) < 0)
        rc = scree_fail(err, EIO, "%s: %s", path, strerror(errno));
    else if (st.st_size != 0 && st.st_size != sizeof **ret_stats)
        rc = scree_fail(err, EBADMSG, "%s: not counters of this version", path);
    else
        rc = map_file(fd, path, ret_stats, err);
    if (fd >= 0)
        close(fd);
    return rc;
}

static bool is_alive(int32_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

struct scree_emu_process *scree_emu_stats_join(struct scree_emu_stats *stats)
{
    for (int i = 0; i < SCREE_EMU_MAX_PROCESSES; i++) {
        struct scree_emu_process *process = &stats->processes[i];
        int32_t pid = __atomic_load_n(&process->pid, __ATOMIC_ACQUIRE);

        if (is_alive(pid) && pid != getpid())
            continue;
        if (!__atomic_compare_exchange_n(&process->pid, &pid, getpid(), false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        for (int core = 0; core < 3; core++)
            __atomic_store_n(&process->n_jobs[core], 0, __ATOMIC_RELAXED);
        return process;
    }
    return NULL;
}

uint32_t scree_emu_stats_waiting(const struct scree_emu_stats *stats, int core)
{
    uint32_t n = 0;

    for (int i = 0; i < SCREE_EMU_MAX_PROCESSES; i++) {
        const struct scree_emu_process *process = &stats->processes[i];
        uint32_t n_jobs = __atomic_load_n(&process->n_jobs[core], __ATOMIC_RELAXED);

        if (n_jobs > 0 && is_alive(__atomic_load_n(&process->pid, __ATOMIC_ACQUIRE)))
            n += n_jobs;
    }
    return n;
}

void scree_emu_stats_close(struct scree_emu_stats *stats)
{
    if (stats)
        munmap(stats, sizeof *stats);
}
