/* device/device.h - the NPU through the kernel: buffers, jobs, waiting.
 *
 * One open device is one file descriptor of the rocket driver, with an address space of its own;
 * the kernel runs its jobs one after the other, and while it has any, on one core. Who wants n
 * cores opens n devices.
 *
 *     scree_device_open("/dev/accel/accel0", &device, &err);
 *     scree_npu_buffer_new(device, 4096, &input, &err);
 *     scree_npu_buffer_take(device, &input, SCREE_WAIT_NS, &err);     // the processor's now
 *     memcpy(input.bytes, ...);
 *     scree_npu_buffer_give(device, &input, &err);                    // the NPU's again
 *     scree_device_submit(device, &job, 1, &err);
 *     scree_npu_buffer_take(device, &output, SCREE_WAIT_NS, &err);
 *
 * What the kernel does not tell: a job that was refused or ran into the driver's 500 ms limit looks
 * finished. Whoever uses a result makes sure that it was written: put a pattern into the output
 * before, and look for it after.
 *
 * Memory: a device owns nothing but the descriptor; every buffer is given back before the device is
 * closed. Threads: one at a time per device. */
#ifndef SCREE_DEVICE_DEVICE_H
#define SCREE_DEVICE_DEVICE_H

#include "base/error.h"

struct scree_device;

/* Twice the driver's limit for one job, for one that stands behind another. */
#define SCREE_WAIT_NS INT64_C(1000000000)

/* Memory that the processor and the NPU share: bytes u8[n_bytes], mapped as long as it lives. */
struct scree_npu_buffer {
    uint8_t *bytes;
    size_t n_bytes;
    uint32_t handle; /* the kernel's name for it, 0 for none */
    uint32_t iova;   /* where the NPU sees it */
};

/* A command stream of n_words words of 64 bits at `iova`. */
struct scree_npu_task {
    uint32_t iova;
    uint32_t n_words;
};

/* Tasks for one core, in this order; the job starts after the jobs that write what it reads. No
 * buffer is named twice. */
struct scree_npu_job {
    const struct scree_npu_task *tasks;
    uint32_t n_tasks;
    const struct scree_npu_buffer *const *reads;
    uint32_t n_reads;
    const struct scree_npu_buffer *const *writes;
    uint32_t n_writes;
};

/* Limits of one submit, far above what a model asks for. */
#define SCREE_DEVICE_MAX_JOBS    4096
#define SCREE_DEVICE_MAX_BUFFERS 1024

/* Opens the accel node `path` and makes sure that the rocket driver is behind it. Closed with
 * scree_device_close(). The text begins with the path.
 * Errors: ENODEV (nothing there, or another driver's), EACCES (this user or this container may
 * not), ENOMEM, EIO. */
int scree_device_open(const char *path, struct scree_device **ret_device, struct scree_error *err);

/* Closes the device, whose jobs must be over: wait for what they write first. Accepts NULL. */
void scree_device_close(struct scree_device *device);

/* Makes a zeroed buffer, given back with scree_npu_buffer_done().
 *
 * n_bytes  in [1, 2^31], rounded up to pages by the kernel
 *
 * Errors: EINVAL, ENOMEM (memory or the 4 GiB of addresses), EIO. */
int scree_npu_buffer_new(struct scree_device *device, size_t n_bytes,
                         struct scree_npu_buffer *ret_buffer, struct scree_error *err);

/* Unmaps and lets go of the buffer. Accepts an all-zero one. */
void scree_npu_buffer_done(struct scree_device *device, struct scree_npu_buffer *buffer);

/* Waits until no job writes the buffer, at most timeout_ns >= 0, and takes it for the processor.
 * Errors: ETIMEDOUT, ENODEV (the device is gone), EIO. */
int scree_npu_buffer_take(struct scree_device *device, const struct scree_npu_buffer *buffer,
                          int64_t timeout_ns, struct scree_error *err);

/* Gives the buffer, that was taken, back to the NPU. Errors: ENODEV, EIO. */
int scree_npu_buffer_give(struct scree_device *device, const struct scree_npu_buffer *buffer,
                          struct scree_error *err);

/* Queues jobs job[n_jobs]. Success says that the kernel has read them, no more.
 * Errors: EINVAL (no job, no task, an empty stream, a buffer named twice), E2BIG (over the limits
 * above), ENOMEM, ENODEV, EIO. */
int scree_device_submit(struct scree_device *device, const struct scree_npu_job *jobs,
                        uint32_t n_jobs, struct scree_error *err);

#endif
