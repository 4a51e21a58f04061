/* device/emu/task.h - one task, from its words in memory to its output there, in two steps.
 *
 * Reading looks at the address space and at words that the program can change; executing touches
 * only memory that reading found mapped, so the address space may grow meanwhile (not shrink).
 *
 * Memory: allocated for the call and freed. Threads: any number, if their outputs are apart. */
#ifndef SCREE_DEVICE_EMU_TASK_H
#define SCREE_DEVICE_EMU_TASK_H

#include "device/emu/mac.h"
#include "device/rocket_accel.h"

/* What a core remembers between the tasks of a job, and what it may spend. */
struct scree_emu_task_state {
    struct scree_emu_weights loaded; /* by the task before; zero at the start of a job */
    uint64_t cycles_left;            /* a task that takes more does not end in time */
};

struct scree_emu_task {
    bool interrupts; /* false: only pooling blocks are enabled, and nothing ever ends it */
    struct scree_emu_conv conv;
    struct scree_emu_cost cost;
};

/* Reads a task as the kernel starts it.
 *
 * Errors: EBADMSG (the words break a rule), ENOTSUP (they ask for what is not modelled), EIO
 * (memory that is not mapped), ETIMEDOUT (more than cycles_left). */
int scree_emu_task_read(const struct scree_rocket_task *task, const struct scree_emu_space *space,
                        const struct scree_emu_task_state *state, struct scree_emu_task *ret_task,
                        struct scree_error *err);

/* Executes what was read, if it interrupts; `memory` is that of the same space. Errors: ENOMEM,
 * before anything is written. */
int scree_emu_task_execute(const struct scree_emu_task *task, struct scree_emu_memory memory,
                           enum scree_emu_rounding rounding, struct scree_emu_task_state *state,
                           struct scree_error *err);

#endif
