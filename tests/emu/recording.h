/* tests/emu/recording.h - a submit as the software NPU's "record" setting writes it, and a graph in
 * words: read, and brought to life.
 *
 * The folders under npu/captures.tar.xz of the shared material have the same two kinds of file. A
 * test that meets a file it cannot read aborts. */
#ifndef SCREE_TESTS_EMU_RECORDING_H
#define SCREE_TESTS_EMU_RECORDING_H

#include "device/emu/task.h"
#include "model/graph.h"

struct recorded_bo {
    uint32_t handle, iova, size;
    uint64_t offset; /* in the memory file */
};

struct recorded_job {
    uint32_t n_tasks, first_task;
    uint32_t in, out; /* handles of its first in-buffer and its last out-buffer */
};

/* A submit, and an address space with the buffers as they were at that time. */
struct recording {
    struct scree_emu_space space;
    int fd;
    uint32_t n_jobs, n_tasks, n_bos;
    struct recorded_job jobs[256];
    struct scree_rocket_task tasks[512];
    struct recorded_bo bos[512];
};

/* Reads FOLDER/submitNNN.txt. False if there is no such file. */
bool recording_open(struct recording *recording, const char *folder, uint32_t number);
void recording_done(struct recording *recording);

/* The bytes of a buffer, as the NPU sees them. */
uint8_t *recording_bytes(const struct recording *recording, uint32_t handle);

/* Runs job `index`, its cost added to *cost. Returns the number of tasks executed; on an error,
 * prints it and returns -1. */
int recording_run_job(const struct recording *recording, uint32_t index,
                      enum scree_emu_rounding rounding, struct scree_emu_cost *cost);

/* Runs all jobs. */
int recording_run(const struct recording *recording, enum scree_emu_rounding rounding,
                  struct scree_emu_cost *ret_cost);

/* FOLDER/model.graph.txt and .bin as the bytes of a .tflite file, u8[*ret_n_bytes], freed by the
 * caller; NULL if there is none, or it does not begin with a convolution. It ends before the first
 * node that is neither a convolution nor an average pool (over the whole picture: the text does not
 * tell its options). Its outputs are those of the last node, or with `all` of each node in turn.
 * *ret_n_nodes counts the nodes. */
uint8_t *recorded_model(const char *folder, bool all, size_t *ret_n_bytes, uint32_t *ret_n_nodes);

/* The whole file FOLDER/NAME, u8[*ret_n_bytes], freed by the caller; NULL if it cannot be read. */
uint8_t *recorded_file(const char *folder, const char *name, size_t *ret_n_bytes);

#endif
