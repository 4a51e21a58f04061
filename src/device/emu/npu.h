/* device/emu/npu.h - the cores, and the kernel's queue before them.
 *
 * A file (an open device node) has an address space and a queue of jobs that run in order, on the
 * core that has its last unfinished job; a file without unfinished jobs is given the core with the
 * fewest. Each core is a thread, started when it gets its first job.
 *
 *     job submitted --> queued on a core --> runs, task by task --> over
 *                                              |                      ^
 *                                              +-- hangs ----(timeout)+
 *
 * Whoever waits for a job learns only that it is over.
 *
 * Memory: the npu owns cores and jobs; a file is freed by who made it. Threads: any number; one
 * lock guards all but the arithmetic. */
#ifndef SCREE_DEVICE_EMU_NPU_H
#define SCREE_DEVICE_EMU_NPU_H

#include "device/emu/options.h"
#include "device/emu/stats.h"
#include "device/emu/task.h"

struct scree_emu_npu;
struct scree_emu_file;

/* The device. `options` is copied, what it points to stays the caller's, and so do the stats.
 * Errors: ENOMEM. */
int scree_emu_npu_new(const struct scree_emu_options *options, struct scree_emu_stats *stats,
                      struct scree_emu_npu **ret_npu, struct scree_error *err);

/* Ends the cores' threads after the jobs they have. All files are freed before. Accepts NULL. */
void scree_emu_npu_free(struct scree_emu_npu *npu);

/* For pthread_atfork(): the lock is held over the fork; the child has no cores yet and no jobs. */
void scree_emu_npu_before_fork(struct scree_emu_npu *npu);
void scree_emu_npu_in_parent(struct scree_emu_npu *npu);
void scree_emu_npu_in_child(struct scree_emu_npu *npu);

/* True once the device is gone. */
bool scree_emu_npu_is_gone(struct scree_emu_npu *npu);

/* What an open device node is: a memory file for its buffers, to be mapped at their offsets, and
 * what ioctl() answers. */

/* Opens the device. Errors: ENODEV (gone), ENOMEM. */
int scree_emu_file_new(struct scree_emu_npu *npu, struct scree_emu_file **ret_file,
                       struct scree_error *err);

/* Waits for the file's jobs and frees all. Accepts NULL. */
void scree_emu_file_free(struct scree_emu_file *file);

/* The memory file: its descriptor stands for the device node's. Owned by the file. */
int scree_emu_file_fd(const struct scree_emu_file *file);

/* An ioctl on the device node. `arg` is the caller's struct.
 * Returns 0 (PREP_BO with linux_6_18: also above 0) or a negative errno of the kernel's. */
int scree_emu_file_ioctl(struct scree_emu_file *file, uint32_t request, void *arg);

#endif
