#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "device/emu/queue.h"
#include "device/emu/record.h"

/* Linux's own limit for kvmalloc_array() of 40-byte jobs is far higher; nobody comes near this. */
#define MAX_ARRAY_BYTES (64u << 20)

/* ---- the caller's memory -----------------------------------------------------------------------
 */

/* Copies from an address that a struct of the caller names. Errors: EFAULT. */
static int copy_in(void *to, uint64_t from, size_t n_bytes)
{
    struct iovec local = {to, n_bytes};
    struct iovec remote = {(void *)(uintptr_t)from, n_bytes};
    ssize_t n;

    if (n_bytes == 0)
        return 0;
    if (from == 0)
        return -EFAULT;
    n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    if (n == (ssize_t)n_bytes)
        return 0;
    /* Emulators of programs and seccomp filters may not have the call. */
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
        memcpy(to, remote.iov_base, n_bytes);
        return 0;
    }
    return -EFAULT;
}

/* n elements of the caller's array, `stride` apart, of which the first n_bytes of each count.
 * *ret is freed by the caller. Errors: EFAULT, ENOMEM. */
static int copy_array(uint64_t from, uint32_t n, uint32_t stride, size_t n_bytes, void **ret)
{
    uint8_t *array = (uint64_t)n * n_bytes <= MAX_ARRAY_BYTES ? calloc(n ? n : 1, n_bytes) : NULL;
    int rc = array ? 0 : -ENOMEM;

    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = copy_in(array + i * n_bytes, from + (uint64_t)i * stride, n_bytes);
    if (rc == 0)
        *ret = array;
    else
        free(array);
    return rc;
}

/* ---- buffers -----------------------------------------------------------------------------------
 */

static struct scree_emu_bo *find(const struct scree_emu_file *file, uint32_t handle)
{
    return handle > 0 && handle <= file->n_bos ? file->bos[handle - 1] : NULL;
}

static void free_bo(struct scree_emu_file *file, struct scree_emu_bo *bo)
{
    scree_emu_space_unmap(&file->space, bo->iova);
    /* Its pages are given back; the file's numbers for them are not used again. */
    (void)fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)bo->offset,
                    bo->size);
    free(bo);
}

void scree_emu_file_sweep(struct scree_emu_file *file)
{
    while (file->closed) {
        struct scree_emu_bo *bo = file->closed;

        file->closed = bo->next;
        free_bo(file, bo);
    }
}

/* The lowest free handle, with room for it. Errors: ENOMEM. */
static int new_handle(struct scree_emu_file *file, uint32_t *ret_handle)
{
    struct scree_emu_bo **bos;

    for (size_t i = 0; i < file->n_bos; i++)
        if (!file->bos[i]) {
            *ret_handle = (uint32_t)i + 1;
            return 0;
        }
    bos = realloc(file->bos, (file->n_bos + 1) * sizeof bos[0]);
    if (!bos)
        return -ENOMEM;
    bos[file->n_bos++] = NULL;
    file->bos = bos;
    *ret_handle = (uint32_t)file->n_bos;
    return 0;
}

static int create_bo(struct scree_emu_file *file, struct scree_rocket_create_bo *args)
{
    uint64_t page = file->space.page, offset = file->next_offset;
    uint64_t n_bytes = ((uint64_t)args->size + page - 1) & ~(page - 1);
    struct scree_emu_bo *bo;
    uint32_t iova = 0, handle = 0;

    if (args->size == 0)
        return -EINVAL;
    if (new_handle(file, &handle) < 0)
        return -ENOMEM;
    bo = calloc(1, sizeof *bo);
    if (!bo || ftruncate(file->fd, (off_t)(offset + n_bytes)) < 0 ||
        scree_emu_space_map(&file->space, file->fd, (off_t)offset, args->size, &iova, NULL) < 0) {
        free(bo);
        return -ENOMEM;
    }
    *bo =
        (struct scree_emu_bo){.size = args->size, .iova = iova, .offset = offset, .handle = handle};
    file->bos[handle - 1] = bo;
    file->next_offset = offset + n_bytes;
    args->handle = handle;
    args->dma_address = iova;
    args->offset = offset;
    return 0;
}

static int gem_close(struct scree_emu_file *file, const struct scree_drm_gem_close *args)
{
    struct scree_emu_bo *bo = find(file, args->handle);

    if (!bo)
        return -EINVAL;
    file->bos[args->handle - 1] = NULL;
    bo->handle = 0;
    bo->next = file->closed;
    file->closed = bo;
    /* A job may still use it, also without having named it. */
    if (file->n_jobs == 0)
        scree_emu_file_sweep(file);
    return 0;
}

/* What Linux 6.18 makes of the time left: ticks of 1/250 s, as an int. */
static int ticks_left(int64_t timeout_ns, const struct timespec *now)
{
    int64_t left = timeout_ns - ((int64_t)now->tv_sec * 1000000000 + now->tv_nsec);

    left = left > 0 ? left / 4000000 : 0;
    return left < 1 ? 1 : left > INT_MAX ? INT_MAX : (int)left;
}

static int prep_bo(struct scree_emu_file *file, const struct scree_rocket_prep_bo *args)
{
    struct scree_emu_npu *npu = file->npu;
    const struct scree_emu_bo *bo = find(file, args->handle);
    int64_t ns = args->timeout_ns > 0 ? args->timeout_ns : 0;
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000)};
    struct timespec now;
    bool past;

    if (args->reserved != 0)
        return -EINVAL;
    if (!bo)
        return -ENOENT;
    clock_gettime(CLOCK_MONOTONIC, &now);
    past = until.tv_sec < now.tv_sec ||
           (until.tv_sec == now.tv_sec && until.tv_nsec <= now.tv_nsec);
    while (bo->n_writers > 0 && !npu->gone)
        if (past || pthread_cond_timedwait(&npu->changed, &npu->lock, &until) == ETIMEDOUT)
            break;
    if (npu->gone)
        return -ENODEV;
    if (bo->n_writers > 0)
        return past ? -EBUSY : -ETIMEDOUT;
    return npu->options.linux_6_18 ? ticks_left(args->timeout_ns, &now) : 0;
}

static int fini_bo(const struct scree_emu_file *file, const struct scree_rocket_fini_bo *args)
{
    if (args->reserved != 0)
        return -EINVAL;
    return find(file, args->handle) ? 0 : -ENOENT;
}

/* ---- jobs --------------------------------------------------------------------------------------
 */

/* A handle that is unknown, or listed before, makes a job vanish. */
static int check_handles(const struct scree_emu_file *file, const uint32_t *handles, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!find(file, handles[i]))
            return -ENOENT;
        for (size_t k = 0; k < i; k++)
            if (handles[k] == handles[i])
                return -EALREADY;
    }
    return 0;
}

static int copy_tasks(const struct scree_rocket_job *args, struct scree_emu_job *job)
{
    void *tasks = NULL;
    int rc;

    if (args->task_count == 0 || args->task_struct_size < sizeof(struct scree_rocket_task))
        return -EINVAL;
    rc = copy_array(args->tasks, args->task_count, args->task_struct_size,
                    sizeof(struct scree_rocket_task), &tasks);
    if (rc < 0)
        return rc;
    job->tasks = tasks;
    job->n_tasks = args->task_count;
    for (uint32_t i = 0; i < job->n_tasks; i++)
        if (job->tasks[i].regcmd_count == 0)
            return -EINVAL;
    return 0;
}

/* The two lists one behind the other, checked. *ret_handles is freed by the caller. */
static int copy_handles(const struct scree_emu_file *file, const struct scree_rocket_job *args,
                        uint32_t **ret_handles)
{
    uint64_t n_in = args->in_bo_handle_count, n = n_in + args->out_bo_handle_count;
    uint32_t *handles = n <= MAX_ARRAY_BYTES / 4 ? calloc(n ? n : 1, sizeof handles[0]) : NULL;
    int rc = handles ? 0 : -ENOMEM;

    /* More than there are buffers is more than can be apart. */
    if (rc == 0 && n > file->n_bos)
        rc = -ENOENT;
    if (rc == 0)
        rc = copy_in(handles, args->in_bo_handles, 4 * n_in);
    if (rc == 0)
        rc = copy_in(handles + n_in, args->out_bo_handles, 4 * (n - n_in));
    if (rc == 0)
        rc = check_handles(file, handles, n);
    if (rc == 0)
        *ret_handles = handles;
    else
        free(handles);
    return rc;
}

static int copy_outputs(const struct scree_emu_file *file, const struct scree_rocket_job *args,
                        struct scree_emu_job *job)
{
    uint32_t *handles = NULL;
    int rc = copy_handles(file, args, &handles);

    if (rc < 0)
        return rc;
    job->out = calloc((size_t)args->out_bo_handle_count + 1, sizeof job->out[0]);
    for (uint32_t i = 0; job->out && i < args->out_bo_handle_count; i++)
        job->out[job->n_out++] = find(file, handles[args->in_bo_handle_count + i]);
    free(handles);
    return job->out ? 0 : -ENOMEM;
}

static int submit_job(struct scree_emu_file *file, const struct scree_rocket_job *args,
                      uint64_t number, enum scree_emu_fault fault)
{
    struct scree_emu_job *job = calloc(1, sizeof *job);
    int rc;

    if (!job)
        return -ENOMEM;
    job->file = file;
    job->number = number;
    job->fault = fault;
    rc = copy_tasks(args, job);
    if (rc == 0)
        rc = copy_outputs(file, args, job);
    if (rc == 0)
        rc = scree_emu_queue(file->npu, job);
    if (rc < 0)
        scree_emu_job_free(job);
    return rc;
}

/* Numbers the jobs and looks whether a fault stops them all. Returns the first number. */
static int begin_submit(struct scree_emu_npu *npu, uint32_t n_jobs, uint64_t *ret_first)
{
    uint64_t first = npu->n_jobs + 1;

    npu->n_jobs += n_jobs;
    *ret_first = first;
    scree_emu_count(&npu->stats->submits, 1);
    scree_emu_count(&npu->stats->jobs, n_jobs);
    for (uint64_t i = first; i < first + n_jobs; i++)
        if (scree_emu_pick_fault(&npu->options, i) == SCREE_EMU_FAULT_EIO) {
            scree_emu_count(&npu->stats->injected, 1);
            return -EIO;
        }
    return 0;
}

static void submit_jobs(struct scree_emu_file *file, const struct scree_rocket_job *jobs,
                        uint32_t n_jobs, uint64_t first)
{
    struct scree_emu_npu *npu = file->npu;

    for (uint32_t i = 0; i < n_jobs; i++) {
        enum scree_emu_fault fault = scree_emu_pick_fault(&npu->options, first + i);

        scree_emu_count(&npu->stats->injected, fault != SCREE_EMU_FAULT_NONE);
        if (fault != SCREE_EMU_FAULT_LOST && submit_job(file, &jobs[i], first + i, fault) < 0)
            scree_emu_count(&npu->stats->vanished, 1);
    }
}

static int submit(struct scree_emu_file *file, const struct scree_rocket_submit *args)
{
    uint64_t first = 0;
    void *jobs = NULL;
    int rc;

    if (args->job_count == 0)
        return 0;
    if (args->job_struct_size < sizeof(struct scree_rocket_job) || args->reserved != 0)
        return -EINVAL;
    rc = copy_array(args->jobs, args->job_count, args->job_struct_size,
                    sizeof(struct scree_rocket_job), &jobs);
    if (rc < 0)
        return rc;
    scree_emu_record(file, jobs, args->job_count);
    rc = begin_submit(file->npu, args->job_count, &first);
    if (rc == 0)
        submit_jobs(file, jobs, args->job_count, first);
    free(jobs);
    return rc;
}

/* ---- the DRM core ------------------------------------------------------------------------------
 */

static void tell(const char *text, char *to, size_t *n)
{
    size_t length = strlen(text);

    if (to && *n > 0)
        memcpy(to, text, *n < length ? *n : length);
    *n = length;
}

static int version(struct scree_drm_version *args)
{
    args->major = 0;
    args->minor = 0;
    args->patch = 0;
    tell(SCREE_ROCKET_DRIVER, args->name, &args->name_len);
    tell("0", args->date, &args->date_len);
    tell("rocket DRM", args->desc, &args->desc_len);
    return 0;
}

/* DRM_CAP_PRIME (5): can export (2), cannot import (1); of the rest, none. */
static int get_cap(struct scree_drm_get_cap *args)
{
    args->value = 0;
    return args->capability <= 0x15 ? 0 : -EINVAL;
}

static int dispatch(struct scree_emu_file *file, uint32_t request, void *arg)
{
    switch (request) {
    case SCREE_DRM_VERSION:
        return version(arg);
    case SCREE_DRM_GET_CAP:
        return get_cap(arg);
    case SCREE_DRM_GEM_CLOSE:
        return gem_close(file, arg);
    case SCREE_DRM_PRIME_HANDLE_TO_FD:
    case SCREE_DRM_PRIME_FD_TO_HANDLE:
        return -EOPNOTSUPP;
    case SCREE_ROCKET_CREATE_BO:
        return create_bo(file, arg);
    case SCREE_ROCKET_SUBMIT:
        return submit(file, arg);
    case SCREE_ROCKET_PREP_BO:
        return prep_bo(file, arg);
    case SCREE_ROCKET_FINI_BO:
        return fini_bo(file, arg);
    default:
        return -EINVAL;
    }
}

int scree_emu_file_ioctl(struct scree_emu_file *file, uint32_t request, void *arg)
{
    struct scree_emu_npu *npu = file->npu;
    int rc;

    if (!arg)
        return -EFAULT;
    pthread_mutex_lock(&npu->lock);
    rc = npu->gone ? -ENODEV : dispatch(file, request, arg);
    pthread_mutex_unlock(&npu->lock);
    return rc;
}

/* ---- open and close ----------------------------------------------------------------------------
 */

int scree_emu_file_new(struct scree_emu_npu *npu, struct scree_emu_file **ret_file,
                       struct scree_error *err)
{
    struct scree_emu_file *file;
    int rc;

    if (scree_emu_npu_is_gone(npu))
        return scree_fail(err, ENODEV, "the device is gone");
    file = calloc(1, sizeof *file);
    if (!file)
        return scree_fail_memory(err, sizeof *file);
    file->npu = npu;
    file->fd = memfd_create("rocket", MFD_CLOEXEC);
    rc = file->fd < 0 ? scree_fail(err, ENOMEM, "no memory file: %s", strerror(errno))
                      : scree_emu_space_init(&file->space, npu->options.first_iova, err);
    if (rc < 0) {
        scree_emu_file_free(file);
        return rc;
    }
    file->space.never_reuse = !npu->options.reuse_iova;
    pthread_mutex_lock(&npu->lock);
    file->next = npu->files;
    npu->files = file;
    pthread_mutex_unlock(&npu->lock);
    scree_emu_count(&npu->stats->opens, 1);
    *ret_file = file;
    return 0;
}

void scree_emu_file_free(struct scree_emu_file *file)
{
    if (!file)
        return;
    pthread_mutex_lock(&file->npu->lock);
    while (file->n_jobs > 0)
        pthread_cond_wait(&file->npu->changed, &file->npu->lock);
    for (struct scree_emu_file **at = &file->npu->files; *at; at = &(*at)->next)
        if (*at == file) {
            *at = file->next;
            break;
        }
    pthread_mutex_unlock(&file->npu->lock);
    for (size_t i = 0; i < file->n_bos; i++)
        free(file->bos[i]);
    free(file->bos);
    scree_emu_space_done(&file->space);
    if (file->fd >= 0)
        close(file->fd);
    free(file);
}

int scree_emu_file_fd(const struct scree_emu_file *file)
{
    return file->fd;
}
