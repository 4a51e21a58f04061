/* A program that uses the NPU without knowing which: run by `scree emu`, in a process of its own.
 * Descriptors are copied, closed and inherited; the test convolution must come out right. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device/rocket_accel.h"
#include "rocket/probe.h"

#define NODE "/dev/accel/accel0"

enum { WEIGHTS_AT = 0x1000, BIASES_AT = 0x2000, INPUT_AT = 0x3000, SIZE = 0x4000 };

static void check(int right, const char *what)
{
    if (right)
        return;
    fprintf(stderr, "client: %s\n", what);
    exit(1);
}

static uint8_t *new_buffer(int fd, struct scree_rocket_create_bo *bo)
{
    void *bytes;

    check(ioctl(fd, SCREE_ROCKET_CREATE_BO, bo) == 0, "no buffer");
    bytes = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)bo->offset);
    check(bytes != MAP_FAILED, "a buffer cannot be mapped");
    return bytes;
}

static void run_probe(int fd)
{
    struct scree_rocket_create_bo in = {.size = SIZE}, out = {.size = SCREE_PROBE_OUTPUT_ROOM};
    uint8_t *bytes = new_buffer(fd, &in), *result = new_buffer(fd, &out);
    uint32_t base = (uint32_t)in.dma_address;
    struct scree_probe_places places = {base + INPUT_AT, base + WEIGHTS_AT, base + BIASES_AT,
                                        (uint32_t)out.dma_address};
    struct scree_rocket_task task = {base, SCREE_PROBE_WORDS};
    struct scree_rocket_job job = {.tasks = (uint64_t)(uintptr_t)&task,
                                   .in_bo_handles = (uint64_t)(uintptr_t)&in.handle,
                                   .out_bo_handles = (uint64_t)(uintptr_t)&out.handle,
                                   .task_count = 1,
                                   .task_struct_size = sizeof task,
                                   .in_bo_handle_count = 1,
                                   .out_bo_handle_count = 1};
    struct scree_rocket_submit submit = {
        .jobs = (uint64_t)(uintptr_t)&job, .job_count = 1, .job_struct_size = sizeof job};
    struct scree_rocket_prep_bo prep = {.handle = out.handle, .timeout_ns = INT64_MAX};
    int8_t expected[SCREE_PROBE_OUTPUT_BYTES];

    scree_probe_words(&places, (uint64_t *)(void *)bytes);
    scree_probe_weights((int8_t *)bytes + WEIGHTS_AT);
    scree_probe_biases((int32_t *)(void *)(bytes + BIASES_AT));
    scree_probe_input((int8_t *)bytes + INPUT_AT);
    scree_probe_output(expected);
    check(ioctl(fd, SCREE_ROCKET_SUBMIT, &submit) == 0, "a job is not taken");
    check(ioctl(fd, SCREE_ROCKET_PREP_BO, &prep) == 0, "no waiting");
    check(memcmp(result, expected, sizeof expected) == 0, "a wrong result");
    munmap(bytes, in.size);
    munmap(result, out.size);
}

static void check_node(int fd)
{
    struct scree_drm_version version = {0};
    char name[16] = "";
    struct stat st;

    version.name = name;
    version.name_len = sizeof name - 1;
    check(ioctl(fd, SCREE_DRM_VERSION, &version) == 0 && strcmp(name, "rocket") == 0, "the name");
    check(fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) == 261, "fstat()");
    check(stat(NODE, &st) == 0 && S_ISCHR(st.st_mode), "stat()");
    check(access(NODE, R_OK | W_OK) == 0 && access(NODE, X_OK) < 0, "access()");
}

/* The descriptor of the parent, and one of its own. */
static int in_child(int fd)
{
    int own = open(NODE, O_RDWR | O_CLOEXEC);

    run_probe(fd);
    run_probe(own);
    close(own);
    return 0;
}

int main(void)
{
    int fd = open(NODE, O_RDWR | O_CLOEXEC), copy, status = 1;
    pid_t child;

    check(fd >= 0, "the node cannot be opened");
    check_node(fd);
    run_probe(fd);
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    check(copy >= 10 && close(fd) == 0, "fcntl()");
    run_probe(copy);
    check(dup2(copy, 20) == 20 && close(copy) == 0, "dup2()");
    run_probe(20);
    child = fork();
    if (child == 0)
        _exit(in_child(20));
    check(waitpid(child, &status, 0) == child && status == 0, "the child");
    run_probe(20);
    check(close(20) == 0 && ioctl(20, SCREE_DRM_VERSION, NULL) < 0, "close()");
    printf("client: all well\n");
    return 0;
}
