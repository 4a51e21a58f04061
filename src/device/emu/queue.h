/* device/emu/queue.h - jobs on their way through the cores: what npu.c and file.c share.
 *
 * Everything is guarded by the npu's lock unless said otherwise. */
#ifndef SCREE_DEVICE_EMU_QUEUE_H
#define SCREE_DEVICE_EMU_QUEUE_H

#include <pthread.h>

#include "device/emu/npu.h"

/* A buffer. Its memory is pages of the file's memory file. */
struct scree_emu_bo {
    uint32_t size;
    uint32_t iova;
    uint64_t offset;
    uint32_t handle;    /* 0: closed, lives until the file's jobs are over */
    uint32_t n_writers; /* unfinished jobs that write it */
    struct scree_emu_bo *next;
};

struct scree_emu_job {
    struct scree_emu_job *next;
    struct scree_emu_file *file;
    enum scree_emu_fault fault;
    uint64_t number; /* from 1, in this process */
    uint32_t n_tasks;
    struct scree_rocket_task *tasks;
    uint32_t n_out;
    struct scree_emu_bo **out;
};

struct scree_emu_core {
    struct scree_emu_npu *npu;
    int index;
    bool started;
    pthread_t thread;
    uint32_t n_jobs; /* queued or running */
    struct scree_emu_job *first, **last;
};

struct scree_emu_npu {
    struct scree_emu_options options;
    struct scree_emu_stats *stats;
    struct scree_emu_process *process; /* this one's; NULL before its first job */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a job queued or over, or the device gone; CLOCK_MONOTONIC */
    struct scree_emu_core cores[SCREE_NPU_CORES];
    uint64_t n_jobs; /* so far */
    struct scree_emu_file *files;
    bool gone, ending;
    bool inline_jobs; /* see the setting; true in a child only */
};

struct scree_emu_file {
    struct scree_emu_npu *npu;
    struct scree_emu_file *next;
    int fd;
    uint64_t next_offset; /* of the memory file; not used twice */
    struct scree_emu_space space;
    struct scree_emu_bo **bos; /* [n_bos], by handle - 1; NULL for free handles */
    size_t n_bos;
    struct scree_emu_bo *closed;
    uint32_t n_jobs; /* unfinished */
    int core;        /* of the last job */
};

/* The fault that the rules give to job `number`. */
enum scree_emu_fault scree_emu_pick_fault(const struct scree_emu_options *options, uint64_t number);

/* Queues a job; it and its arrays are then the queue's, which frees them. Errors: EAGAIN (no
 * thread); the job is then still the caller's. */
int scree_emu_queue(struct scree_emu_npu *npu, struct scree_emu_job *job);

/* Frees a job and its arrays. Accepts NULL. */
void scree_emu_job_free(struct scree_emu_job *job);

/* Frees the closed buffers of a file that has no unfinished jobs. */
void scree_emu_file_sweep(struct scree_emu_file *file);

#endif
