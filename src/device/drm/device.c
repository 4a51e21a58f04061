#include "device/device.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "device/rocket_accel.h"

#define MAX_BUFFER_BYTES ((size_t)1 << 31)

struct scree_device {
    int fd;
};

/* The error list knows fewer errors than the kernel. */
static int error_code(int code)
{
    switch (code) {
    case ENODEV:
    case ENXIO:
    case ENOENT:
        return ENODEV;
    case EACCES:
    case EPERM:
        return EACCES;
    case ENOMEM:
    case ENOSPC:
        return ENOMEM;
    /* PREP_BO says EBUSY if the time is over before it looks. */
    case ETIMEDOUT:
    case EBUSY:
        return ETIMEDOUT;
    default:
        return EIO;
    }
}

static int fail_call(const char *what, struct scree_error *err)
{
    return scree_fail(err, error_code(errno), "%s: %s", what, strerror(errno));
}

/* 0 or above, or -1 with errno: interrupted calls are made again. */
static int call(const struct scree_device *device, unsigned long request, void *argument)
{
    int rc;

    do
        rc = ioctl(device->fd, request, argument);
    while (rc < 0 && (errno == EINTR || errno == EAGAIN));
    return rc;
}

/* ---- the device ------------------------------------------------------------------------------ */

static int check_driver(const struct scree_device *device, const char *path,
                        struct scree_error *err)
{
    char name[32] = "";
    struct scree_drm_version version = {.name_len = sizeof name - 1, .name = name};

    if (call(device, SCREE_DRM_VERSION, &version) < 0)
        return scree_fail(err, ENODEV, "%s: not a device of a DRM driver", path);
    if (strcmp(name, SCREE_ROCKET_DRIVER) != 0)
        return scree_fail(err, ENODEV, "%s: of another driver than " SCREE_ROCKET_DRIVER, path);
    return 0;
}

int scree_device_open(const char *path, struct scree_device **ret_device, struct scree_error *err)
{
    struct scree_device *device = calloc(1, sizeof *device);
    int rc;

    if (!device)
        return scree_fail_memory(err, sizeof *device);
    device->fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    rc = device->fd < 0 ? fail_call(path, err) : check_driver(device, path, err);
    if (rc < 0) {
        scree_device_close(device);
        return rc;
    }
    *ret_device = device;
    return 0;
}

void scree_device_close(struct scree_device *device)
{
    if (!device)
        return;
    if (device->fd >= 0)
        close(device->fd);
    free(device);
}

/* ---- buffers --------------------------------------------------------------------------------- */

static void close_handle(const struct scree_device *device, uint32_t handle)
{
    struct scree_drm_gem_close gem = {.handle = handle};

    (void)call(device, SCREE_DRM_GEM_CLOSE, &gem);
}

int scree_npu_buffer_new(struct scree_device *device, size_t n_bytes,
                         struct scree_npu_buffer *ret_buffer, struct scree_error *err)
{
    struct scree_rocket_create_bo bo = {.size = (uint32_t)n_bytes};
    void *bytes;
    int rc;

    if (n_bytes == 0 || n_bytes > MAX_BUFFER_BYTES)
        return scree_fail(err, EINVAL, "a buffer of %zu bytes", n_bytes);
    if (call(device, SCREE_ROCKET_CREATE_BO, &bo) < 0)
        return fail_call("no buffer from the NPU's driver", err);
    if (bo.dma_address > UINT32_MAX - n_bytes) {
        close_handle(device, bo.handle);
        return scree_fail(err, EIO, "the NPU's driver gave a buffer above 4 GiB");
    }
    bytes = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, device->fd, (off_t)bo.offset);
    if (bytes == MAP_FAILED) {
        rc = fail_call("a buffer of the NPU cannot be mapped", err);
        close_handle(device, bo.handle);
        return rc;
    }
    *ret_buffer = (struct scree_npu_buffer){
        .bytes = bytes, .n_bytes = n_bytes, .handle = bo.handle, .iova = (uint32_t)bo.dma_address};
    return 0;
}

void scree_npu_buffer_done(struct scree_device *device, struct scree_npu_buffer *buffer)
{
    if (buffer->handle == 0)
        return;
    munmap(buffer->bytes, buffer->n_bytes);
    close_handle(device, buffer->handle);
    *buffer = (struct scree_npu_buffer){0};
}

static int64_t time_after(int64_t timeout_ns)
{
    struct timespec now;
    int64_t at;

    clock_gettime(CLOCK_MONOTONIC, &now);
    at = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    return timeout_ns > INT64_MAX - at ? INT64_MAX : at + timeout_ns;
}

int scree_npu_buffer_take(struct scree_device *device, const struct scree_npu_buffer *buffer,
                          int64_t timeout_ns, struct scree_error *err)
{
    struct scree_rocket_prep_bo prep = {.handle = buffer->handle,
                                        .timeout_ns = time_after(timeout_ns)};

    assert(timeout_ns >= 0);
    /* Linux 6.18 returns the time that was left: above 0 is success. */
    if (call(device, SCREE_ROCKET_PREP_BO, &prep) < 0)
        return fail_call("waiting for the NPU", err);
    return 0;
}

int scree_npu_buffer_give(struct scree_device *device, const struct scree_npu_buffer *buffer,
                          struct scree_error *err)
{
    struct scree_rocket_fini_bo fini = {.handle = buffer->handle};

    if (call(device, SCREE_ROCKET_FINI_BO, &fini) < 0)
        return fail_call("a buffer cannot be given to the NPU", err);
    return 0;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

/* What a submit hands to the kernel: all jobs, and behind one another all tasks and handles. */
struct submission {
    struct scree_rocket_job *jobs;
    struct scree_rocket_task *tasks;
    uint32_t *handles;
    size_t n_tasks, n_handles;
};

static void submission_done(struct submission *submission)
{
    free(submission->jobs);
    free(submission->tasks);
    free(submission->handles);
}

static int submission_init(struct submission *submission, const struct scree_npu_job *jobs,
                           uint32_t n_jobs, struct scree_error *err)
{
    size_t n_tasks = 0, n_handles = 0;

    for (uint32_t i = 0; i < n_jobs; i++) {
        if (jobs[i].n_tasks == 0)
            return scree_fail(err, EINVAL, "job %u has no task", i);
        if (jobs[i].n_reads > SCREE_DEVICE_MAX_BUFFERS ||
            jobs[i].n_writes > SCREE_DEVICE_MAX_BUFFERS)
            return scree_fail(err, E2BIG, "job %u: over %d buffers", i, SCREE_DEVICE_MAX_BUFFERS);
        n_tasks += jobs[i].n_tasks;
        n_handles += jobs[i].n_reads + jobs[i].n_writes;
    }
    submission->jobs = calloc(n_jobs, sizeof submission->jobs[0]);
    submission->tasks = calloc(n_tasks, sizeof submission->tasks[0]);
    submission->handles = calloc(n_handles ? n_handles : 1, sizeof submission->handles[0]);
    if (!submission->jobs || !submission->tasks || !submission->handles)
        return scree_fail_memory(err, n_tasks * sizeof submission->tasks[0]);
    return 0;
}

static uint64_t address(const void *pointer)
{
    return (uint64_t)(uintptr_t)pointer;
}

static int add_tasks(struct submission *submission, const struct scree_npu_job *job, uint32_t i,
                     struct scree_error *err)
{
    for (uint32_t k = 0; k < job->n_tasks; k++) {
        if (job->tasks[k].n_words == 0)
            return scree_fail(err, EINVAL, "job %u: task %u is empty", i, k);
        submission->tasks[submission->n_tasks++] = (struct scree_rocket_task){
            .regcmd = job->tasks[k].iova, .regcmd_count = job->tasks[k].n_words};
    }
    return 0;
}

static int add_buffers(struct submission *submission, size_t first,
                       const struct scree_npu_buffer *const *buffers, uint32_t n, uint32_t i,
                       struct scree_error *err)
{
    for (uint32_t k = 0; k < n; k++) {
        for (size_t j = first; j < submission->n_handles; j++)
            if (submission->handles[j] == buffers[k]->handle)
                return scree_fail(err, EINVAL, "job %u: a buffer is named twice", i);
        submission->handles[submission->n_handles++] = buffers[k]->handle;
    }
    return 0;
}

static int add_job(struct submission *submission, const struct scree_npu_job *job, uint32_t i,
                   struct scree_error *err)
{
    size_t first = submission->n_handles;
    int rc;

    submission->jobs[i] = (struct scree_rocket_job){
        .tasks = address(submission->tasks + submission->n_tasks),
        .in_bo_handles = address(submission->handles + first),
        .out_bo_handles = address(submission->handles + first + job->n_reads),
        .task_count = job->n_tasks,
        .task_struct_size = sizeof(struct scree_rocket_task),
        .in_bo_handle_count = job->n_reads,
        .out_bo_handle_count = job->n_writes,
    };
    rc = add_tasks(submission, job, i, err);
    if (rc == 0)
        rc = add_buffers(submission, first, job->reads, job->n_reads, i, err);
    if (rc == 0)
        rc = add_buffers(submission, first, job->writes, job->n_writes, i, err);
    return rc;
}

int scree_device_submit(struct scree_device *device, const struct scree_npu_job *jobs,
                        uint32_t n_jobs, struct scree_error *err)
{
    struct submission submission = {0};
    struct scree_rocket_submit submit = {.job_count = n_jobs,
                                         .job_struct_size = sizeof(struct scree_rocket_job)};
    int rc;

    if (n_jobs == 0)
        return scree_fail(err, EINVAL, "no job");
    if (n_jobs > SCREE_DEVICE_MAX_JOBS)
        return scree_fail(err, E2BIG, "%u jobs are over %d", n_jobs, SCREE_DEVICE_MAX_JOBS);
    rc = submission_init(&submission, jobs, n_jobs, err);
    for (uint32_t i = 0; rc == 0 && i < n_jobs; i++)
        rc = add_job(&submission, &jobs[i], i, err);
    submit.jobs = address(submission.jobs);
    if (rc == 0 && call(device, SCREE_ROCKET_SUBMIT, &submit) < 0)
        rc = fail_call("the NPU's driver takes no job", err);
    submission_done(&submission);
    return rc;
}
