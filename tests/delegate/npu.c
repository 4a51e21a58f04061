#include "npu.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device/rocket_accel.h"
#include "rocket/probe.h"

#define NODE      "/dev/accel/accel0"
#define MAX_TASKS 64
/* The pixels of the input whose values come out, each of 16 channels. */
#define SIDE     14
#define IN_SIDE  16
#define CHANNELS 16

/* Bytes of one task in each buffer. */
enum {
    WORD_BYTES = (SCREE_PROBE_WORDS * 8 + 63) / 64 * 64,
    IN_BYTES = SCREE_PROBE_INPUT_BYTES,
    OUT_BYTES = SCREE_PROBE_OUTPUT_ROOM,
    CHUNK_BYTES = SCREE_PROBE_OUTPUT_BYTES,
};

struct buffer {
    struct scree_rocket_create_bo bo;
    uint8_t *bytes;
};

struct npu {
    int fd;
    struct buffer words, weights, biases, in, out;
};

static bool new_buffer(struct npu *npu, struct buffer *buffer, uint32_t size)
{
    void *bytes;

    buffer->bo.size = size;
    if (ioctl(npu->fd, SCREE_ROCKET_CREATE_BO, &buffer->bo) < 0)
        return false;
    bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, npu->fd, (off_t)buffer->bo.offset);
    if (bytes == MAP_FAILED)
        return false;
    buffer->bytes = bytes;
    return true;
}

static void free_buffer(struct npu *npu, struct buffer *buffer)
{
    struct scree_drm_gem_close close_bo = {.handle = buffer->bo.handle};

    if (buffer->bytes)
        (void)munmap(buffer->bytes, buffer->bo.size);
    if (buffer->bo.handle)
        (void)ioctl(npu->fd, SCREE_DRM_GEM_CLOSE, &close_bo);
}

/* A filter for each channel: that channel, of the pixel in the middle, once. */
static void fill(struct npu *npu)
{
    int8_t *weights = (int8_t *)npu->weights.bytes;

    for (int k = 0; k < CHANNELS; k++)
        weights[((1 * 3 + 1) * CHANNELS + k) * CHANNELS + k] = 1;
    for (uint32_t i = 0; i < MAX_TASKS; i++) {
        const struct scree_probe_places places = {
            (uint32_t)npu->in.bo.dma_address + i * IN_BYTES,
            (uint32_t)npu->weights.bo.dma_address,
            (uint32_t)npu->biases.bo.dma_address,
            (uint32_t)npu->out.bo.dma_address + i * OUT_BYTES,
        };

        scree_probe_words(&places, (uint64_t *)(void *)(npu->words.bytes + i * WORD_BYTES));
    }
}

struct npu *npu_open(void)
{
    struct npu *npu = calloc(1, sizeof *npu);

    if (!npu)
        return NULL;
    npu->fd = open(NODE, O_RDWR | O_CLOEXEC);
    if (npu->fd < 0 || !new_buffer(npu, &npu->words, MAX_TASKS * WORD_BYTES) ||
        !new_buffer(npu, &npu->weights, SCREE_PROBE_WEIGHT_BYTES) ||
        !new_buffer(npu, &npu->biases, SCREE_PROBE_BIASES * 4) ||
        !new_buffer(npu, &npu->in, MAX_TASKS * IN_BYTES) ||
        !new_buffer(npu, &npu->out, MAX_TASKS * OUT_BYTES)) {
        npu_close(npu);
        return NULL;
    }
    fill(npu);
    return npu;
}

void npu_close(struct npu *npu)
{
    if (!npu)
        return;
    free_buffer(npu, &npu->words);
    free_buffer(npu, &npu->weights);
    free_buffer(npu, &npu->biases);
    free_buffer(npu, &npu->in);
    free_buffer(npu, &npu->out);
    if (npu->fd >= 0)
        close(npu->fd);
    free(npu);
}

static bool submit(struct npu *npu, uint32_t n_tasks)
{
    const uint32_t in[] = {npu->in.bo.handle, npu->weights.bo.handle, npu->biases.bo.handle};
    struct scree_rocket_task tasks[MAX_TASKS];
    struct scree_rocket_job job = {
        .tasks = (uint64_t)(uintptr_t)tasks,
        .in_bo_handles = (uint64_t)(uintptr_t)in,
        .out_bo_handles = (uint64_t)(uintptr_t)&npu->out.bo.handle,
        .task_count = n_tasks,
        .task_struct_size = sizeof tasks[0],
        .in_bo_handle_count = 3,
        .out_bo_handle_count = 1,
    };
    struct scree_rocket_submit args = {
        .jobs = (uint64_t)(uintptr_t)&job, .job_count = 1, .job_struct_size = sizeof job};
    struct scree_rocket_fini_bo fini = {.handle = npu->in.bo.handle};
    struct scree_rocket_prep_bo prep = {.handle = npu->out.bo.handle, .timeout_ns = INT64_MAX};

    for (uint32_t i = 0; i < n_tasks; i++)
        tasks[i] = (struct scree_rocket_task){(uint32_t)npu->words.bo.dma_address + i * WORD_BYTES,
                                              SCREE_PROBE_WORDS};
    return ioctl(npu->fd, SCREE_ROCKET_FINI_BO, &fini) == 0 &&
           ioctl(npu->fd, SCREE_ROCKET_SUBMIT, &args) == 0 &&
           ioctl(npu->fd, SCREE_ROCKET_PREP_BO, &prep) >= 0;
}

/* Where byte `at` of a chunk is in a task's input: behind a border of a pixel. */
static size_t in_place(size_t at)
{
    size_t pixel = at / CHANNELS, y = pixel / SIDE, x = pixel % SIDE;

    return ((y + 1) * IN_SIDE + x + 1) * CHANNELS + at % CHANNELS;
}

static bool pass_some(struct npu *npu, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        npu->in.bytes[i / CHUNK_BYTES * IN_BYTES + in_place(i % CHUNK_BYTES)] = bytes[i];
    if (!submit(npu, (uint32_t)((n + CHUNK_BYTES - 1) / CHUNK_BYTES)))
        return false;
    for (size_t i = 0; i < n; i++)
        bytes[i] = npu->out.bytes[i / CHUNK_BYTES * OUT_BYTES + i % CHUNK_BYTES];
    return true;
}

bool npu_pass(struct npu *npu, uint8_t *bytes, size_t n)
{
    const size_t most = (size_t)MAX_TASKS * CHUNK_BYTES;

    for (size_t at = 0; at < n; at += most)
        if (!pass_some(npu, bytes + at, n - at < most ? n - at : most))
            return false;
    return true;
}
