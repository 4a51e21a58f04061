/* device/rocket_accel.h - what the kernel's rocket driver is asked, byte for byte.
 *
 * The interface of /dev/accel/accelN as Linux 6.18 to 7.2 has it: four calls of the driver's own
 * and the few of the DRM core that a program needs beside them. Everything is little-endian and has
 * the same layout in 32- and 64-bit programs, except struct scree_drm_version, which holds
 * pointers.
 *
 * Source: include/uapi/drm/rocket_accel.h and include/uapi/drm/drm.h of Linux, restated; the
 * behaviour behind each call is told in docs/regcmd.md, section "The kernel's interface".
 * Memory: none. Threads: no state. */
#ifndef SCREE_DEVICE_ROCKET_ACCEL_H
#define SCREE_DEVICE_ROCKET_ACCEL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* The name that drmGetVersion() gives for this driver. */
#define SCREE_ROCKET_DRIVER "rocket"

/* The direction, size, type and number of a call in one word, as asm-generic/ioctl.h packs them. */
#define SCREE_DRM_IOC(direction, number, size) \
    ((uint32_t)(direction) << 30 | (uint32_t)(size) << 16 | (uint32_t)'d' << 8 | (uint32_t)(number))
#define SCREE_DRM_IOW(number, type)  SCREE_DRM_IOC(1, number, sizeof(type))
#define SCREE_DRM_IOWR(number, type) SCREE_DRM_IOC(3, number, sizeof(type))

/* Makes a buffer of `size` bytes, zeroed, mapped for the NPU of this file descriptor alone.
 *
 * size         in: bytes, above 0; rounded up to pages
 * handle       out: names the buffer in this descriptor, above 0
 * dma_address  out: where the NPU sees it, page aligned, below 4 GiB; the first is usually 0
 * offset       out: for mmap() of the descriptor, the whole buffer */
struct scree_rocket_create_bo {
    uint32_t size;
    uint32_t handle;
    uint64_t dma_address;
    uint64_t offset;
};

/* One command stream.
 *
 * regcmd        NPU address of its first word
 * regcmd_count  words, the tail of four included; above 0 */
struct scree_rocket_task {
    uint32_t regcmd;
    uint32_t regcmd_count;
};

/* Tasks that run one after the other on one core.
 *
 * tasks             struct scree_rocket_task[task_count], user address
 * in_bo_handles     u32[in_bo_handle_count]: the job waits for those who write these
 * out_bo_handles    u32[out_bo_handle_count]: who waits for these, waits for the job
 * task_struct_size  sizeof(struct scree_rocket_task)
 *
 * A buffer named twice in the two lists makes the job vanish without an error. */
struct scree_rocket_job {
    uint64_t tasks;
    uint64_t in_bo_handles;
    uint64_t out_bo_handles;
    uint32_t task_count;
    uint32_t task_struct_size;
    uint32_t in_bo_handle_count;
    uint32_t out_bo_handle_count;
};

/* Queues jobs: struct scree_rocket_job[job_count] at user address `jobs`, job_struct_size apart.
 * `reserved` is 0. What is wrong with a single job is not told. */
struct scree_rocket_submit {
    uint64_t jobs;
    uint32_t job_count;
    uint32_t job_struct_size;
    uint64_t reserved;
};

/* Waits until the jobs that write the buffer are over, and makes it readable by the processor.
 *
 * reserved    0
 * timeout_ns  a time of CLOCK_MONOTONIC, not a duration
 *
 * Returns 0 (Linux 6.18: also above 0), ETIMEDOUT, or EBUSY if the time was past already. Success
 * is not a promise that a job went well. */
struct scree_rocket_prep_bo {
    uint32_t handle;
    uint32_t reserved;
    int64_t timeout_ns;
};

/* Gives the buffer back to the NPU after the processor wrote it. `reserved` is 0. */
struct scree_rocket_fini_bo {
    uint32_t handle;
    uint32_t reserved;
};

/* The DRM core's: version and name of the driver. Each length is that of the memory behind the
 * pointer going in, and of the whole text (no terminator) coming out. */
struct scree_drm_version {
    int32_t major;
    int32_t minor;
    int32_t patch;
    size_t name_len;
    char *name;
    size_t date_len;
    char *date;
    size_t desc_len;
    char *desc;
};

/* The DRM core's: lets a handle go. */
struct scree_drm_gem_close {
    uint32_t handle;
    uint32_t pad;
};

/* The DRM core's: a handle as a file descriptor that can be shared, and the other way. */
struct scree_drm_prime_handle {
    uint32_t handle;
    uint32_t flags;
    int32_t fd;
};

/* The DRM core's: one of the numbered capabilities. */
struct scree_drm_get_cap {
    uint64_t capability;
    uint64_t value;
};

#define SCREE_ROCKET_CREATE_BO SCREE_DRM_IOWR(0x40, struct scree_rocket_create_bo)
#define SCREE_ROCKET_SUBMIT    SCREE_DRM_IOW(0x41, struct scree_rocket_submit)
#define SCREE_ROCKET_PREP_BO   SCREE_DRM_IOW(0x42, struct scree_rocket_prep_bo)
#define SCREE_ROCKET_FINI_BO   SCREE_DRM_IOW(0x43, struct scree_rocket_fini_bo)

#define SCREE_DRM_VERSION            SCREE_DRM_IOWR(0x00, struct scree_drm_version)
#define SCREE_DRM_GEM_CLOSE          SCREE_DRM_IOW(0x09, struct scree_drm_gem_close)
#define SCREE_DRM_GET_CAP            SCREE_DRM_IOWR(0x0c, struct scree_drm_get_cap)
#define SCREE_DRM_PRIME_HANDLE_TO_FD SCREE_DRM_IOWR(0x2d, struct scree_drm_prime_handle)
#define SCREE_DRM_PRIME_FD_TO_HANDLE SCREE_DRM_IOWR(0x2e, struct scree_drm_prime_handle)

static_assert(sizeof(struct scree_rocket_create_bo) == 24, "CREATE_BO");
static_assert(offsetof(struct scree_rocket_create_bo, dma_address) == 8, "CREATE_BO");
static_assert(offsetof(struct scree_rocket_create_bo, offset) == 16, "CREATE_BO");
static_assert(sizeof(struct scree_rocket_task) == 8, "task");
static_assert(sizeof(struct scree_rocket_job) == 40, "job");
static_assert(offsetof(struct scree_rocket_job, task_count) == 24, "job");
static_assert(offsetof(struct scree_rocket_job, out_bo_handle_count) == 36, "job");
static_assert(sizeof(struct scree_rocket_submit) == 24, "SUBMIT");
static_assert(offsetof(struct scree_rocket_submit, reserved) == 16, "SUBMIT");
static_assert(sizeof(struct scree_rocket_prep_bo) == 16, "PREP_BO");
static_assert(offsetof(struct scree_rocket_prep_bo, timeout_ns) == 8, "PREP_BO");
static_assert(sizeof(struct scree_rocket_fini_bo) == 8, "FINI_BO");
static_assert(sizeof(struct scree_drm_gem_close) == 8, "GEM_CLOSE");
static_assert(sizeof(struct scree_drm_prime_handle) == 12, "PRIME");
static_assert(sizeof(void *) != 8 || sizeof(struct scree_drm_version) == 64, "VERSION");

static_assert(SCREE_ROCKET_CREATE_BO == 0xc0186440u, "CREATE_BO");
static_assert(SCREE_ROCKET_SUBMIT == 0x40186441u, "SUBMIT");
static_assert(SCREE_ROCKET_PREP_BO == 0x40106442u, "PREP_BO");
static_assert(SCREE_ROCKET_FINI_BO == 0x40086443u, "FINI_BO");
static_assert(SCREE_DRM_GEM_CLOSE == 0x40086409u, "GEM_CLOSE");
static_assert(sizeof(void *) != 8 || SCREE_DRM_VERSION == 0xc0406400u, "VERSION");

#endif
