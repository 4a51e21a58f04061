/* device/emu/stats.h - counters of the software NPU, shared by all processes that use it.
 *
 * They live in a file mapped by each process (or, without a file, in the process's own memory), so
 * that `scree emu` can print what its command and the command's children did.
 *
 * Memory: the mapping belongs to who opened it. Threads and processes: counters are atomic. */
#ifndef SCREE_DEVICE_EMU_STATS_H
#define SCREE_DEVICE_EMU_STATS_H

#include "base/error.h"

#define SCREE_EMU_STATS_MAGIC 0x73656e7065757268u /* changes with the struct */

struct scree_emu_core_stats {
    uint64_t jobs;       /* started */
    uint64_t tasks;      /* ended with their interrupt */
    uint64_t interrupts; /* raised */
    uint64_t timeouts;   /* jobs cancelled by the kernel's timer */
    uint64_t refused;    /* of those, because hardware would not forgive what they asked for */
    uint64_t cycles;     /* of the model, and bytes moved */
    uint64_t bytes;
};

/* A process that has handed in jobs, and how many of them each core still has to do. */
struct scree_emu_process {
    int32_t pid; /* 0: free */
    uint32_t n_jobs[3];
};

#define SCREE_EMU_MAX_PROCESSES 64

struct scree_emu_stats {
    uint64_t magic;
    uint64_t opens;    /* of the device node */
    uint64_t submits;  /* calls */
    uint64_t jobs;     /* handed in */
    uint64_t vanished; /* of those, dropped without an error as the kernel does */
    uint64_t injected; /* faults */
    struct scree_emu_core_stats cores[3];
    struct scree_emu_process processes[SCREE_EMU_MAX_PROCESSES];
};

/* Maps the counters in the file `path`, made and zeroed if it is empty; NULL for memory of this
 * process alone. Errors: EIO (cannot be opened), EBADMSG (not such a file), ENOMEM. */
int scree_emu_stats_open(const char *path, struct scree_emu_stats **ret_stats,
                         struct scree_error *err);

/* The calling process's entry, found or made; NULL if all are taken by living processes. */
struct scree_emu_process *scree_emu_stats_join(struct scree_emu_stats *stats);

/* The jobs that a core still has to do for all living processes. */
uint32_t scree_emu_stats_waiting(const struct scree_emu_stats *stats, int core);

/* Unmaps. Accepts NULL. */
void scree_emu_stats_close(struct scree_emu_stats *stats);

/* *counter += n, seen by all. */
static inline void scree_emu_count(uint64_t *counter, uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

static inline uint64_t scree_emu_counted(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
