/* The test convolution on several descriptors of the NPU at once. */
#include <string.h>
#include <time.h>

#include "device/device.h"
#include "doctor/checks.h"
#include "rocket/probe.h"

/* Tasks of a job, each the whole convolution: long enough that the next descriptor's job finds the
 * core busy and is given another. */
#define N_TASKS 16

/* What the output holds before: no byte of the result. */
#define UNWRITTEN 0x7f

/* Where things are in the buffer of constants. */
enum {
    WEIGHTS_AT = 0,
    BIASES_AT = 4096,
    WORDS_AT = 8192,
    CONSTANT_BYTES = 12288,
};

/* One descriptor with its buffers. */
struct run {
    struct scree_device *device;
    struct scree_npu_buffer constants, input, output;
    uint64_t start_ns;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void run_done(struct run *run)
{
    if (!run->device)
        return;
    scree_npu_buffer_done(run->device, &run->constants);
    scree_npu_buffer_done(run->device, &run->input);
    scree_npu_buffer_done(run->device, &run->output);
    scree_device_close(run->device);
}

static int make_buffers(struct run *run, struct scree_error *err)
{
    int rc = scree_npu_buffer_new(run->device, CONSTANT_BYTES, &run->constants, err);

    if (rc == 0)
        rc = scree_npu_buffer_new(run->device, SCREE_PROBE_INPUT_BYTES, &run->input, err);
    if (rc == 0)
        rc = scree_npu_buffer_new(run->device, SCREE_PROBE_OUTPUT_ROOM, &run->output, err);
    return rc;
}

static void fill_constants(const struct run *run)
{
    const struct scree_probe_places places = {
        .input = run->input.iova,
        .weights = run->constants.iova + WEIGHTS_AT,
        .biases = run->constants.iova + BIASES_AT,
        .output = run->output.iova,
    };

    scree_probe_weights((int8_t *)run->constants.bytes + WEIGHTS_AT);
    scree_probe_biases((int32_t *)(void *)(run->constants.bytes + BIASES_AT));
    scree_probe_words(&places, (uint64_t *)(void *)(run->constants.bytes + WORDS_AT));
}

static int fill_buffers(struct run *run, struct scree_error *err)
{
    const struct scree_npu_buffer *buffers[] = {&run->constants, &run->input, &run->output};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < 3; i++)
        rc = scree_npu_buffer_take(run->device, buffers[i], SCREE_WAIT_NS, err);
    if (rc < 0)
        return rc;
    fill_constants(run);
    scree_probe_input((int8_t *)run->input.bytes);
    memset(run->output.bytes, UNWRITTEN, run->output.n_bytes);
    for (size_t i = 0; rc == 0 && i < 3; i++)
        rc = scree_npu_buffer_give(run->device, buffers[i], err);
    return rc;
}

static int submit(struct run *run, struct scree_error *err)
{
    const struct scree_npu_buffer *reads[] = {&run->input, &run->constants};
    const struct scree_npu_buffer *writes[] = {&run->output};
    struct scree_npu_task tasks[N_TASKS];
    const struct scree_npu_job job = {.tasks = tasks,
                                      .n_tasks = N_TASKS,
                                      .reads = reads,
                                      .n_reads = 2,
                                      .writes = writes,
                                      .n_writes = 1};

    for (int i = 0; i < N_TASKS; i++)
        tasks[i] = (struct scree_npu_task){.iova = run->constants.iova + WORDS_AT,
                                           .n_words = SCREE_PROBE_WORDS};
    run->start_ns = now_ns();
    return scree_device_submit(run->device, &job, 1, err);
}

static int start(const char *node, struct run *run, struct scree_error *err)
{
    int rc = scree_device_open(node, &run->device, err);

    if (rc == 0)
        rc = make_buffers(run, err);
    if (rc == 0)
        rc = fill_buffers(run, err);
    return rc;
}

static void finish(struct run *run, struct scree_trial *trial)
{
    int8_t expected[SCREE_PROBE_OUTPUT_BYTES];
    uint32_t n_unwritten = 0;

    if (trial->rc == 0)
        trial->rc = scree_npu_buffer_take(run->device, &run->output, SCREE_WAIT_NS, &trial->err);
    if (trial->rc < 0)
        return;
    trial->us = (uint32_t)((now_ns() - run->start_ns) / 1000);
    scree_probe_output(expected);
    for (size_t i = 0; i < SCREE_PROBE_OUTPUT_BYTES; i++) {
        trial->n_wrong += (int8_t)run->output.bytes[i] != expected[i];
        n_unwritten += run->output.bytes[i] == UNWRITTEN;
    }
    trial->lost = n_unwritten == SCREE_PROBE_OUTPUT_BYTES;
}

void scree_try_cores(const char *node, uint32_t n, struct scree_trial *trials)
{
    struct run runs[SCREE_NPU_MAX_CORES] = {0};

    for (uint32_t i = 0; i < n; i++) {
        trials[i] = (struct scree_trial){0};
        trials[i].rc = start(node, &runs[i], &trials[i].err);
    }
    for (uint32_t i = 0; i < n; i++)
        if (trials[i].rc == 0)
            trials[i].rc = submit(&runs[i], &trials[i].err);
    for (uint32_t i = 0; i < n; i++)
        finish(&runs[i], &trials[i]);
    for (uint32_t i = 0; i < n; i++)
        run_done(&runs[i]);
}
