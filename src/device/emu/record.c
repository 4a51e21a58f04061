#include "device/emu/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "device/emu/queue.h"

static FILE *open_in(const char *folder, const char *name)
{
    char path[4096];

    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return NULL;
    return fopen(path, "we");
}

static void print_handles(FILE *out, uint64_t handles, uint32_t n)
{
    const uint32_t *p = (const uint32_t *)(uintptr_t)handles;

    for (uint32_t i = 0; p && i < n; i++)
        (void)fprintf(out, " %u", p[i]);
}

/* The buffer that holds an address. */
static const struct scree_emu_bo *bo_at(const struct scree_emu_file *file, uint32_t iova)
{
    for (size_t i = 0; i < file->n_bos; i++) {
        const struct scree_emu_bo *bo = file->bos[i];

        if (bo && iova >= bo->iova && iova - bo->iova < bo->size)
            return bo;
    }
    return NULL;
}

static void print_task(FILE *out, const struct scree_emu_file *file, uint32_t j, uint32_t k,
                       const struct scree_rocket_task *task)
{
    const struct scree_emu_bo *bo = bo_at(file, task->regcmd);
    const void *bytes = scree_emu_space_at(&file->space, task->regcmd,
                                           (uint64_t)task->regcmd_count * sizeof(uint64_t));
    const uint64_t *words = task->regcmd % 8 == 0 ? bytes : NULL;

    (void)fprintf(out, "TASK %u.%u regcmd 0x%08x count %u bo %u off 0x%x\n", j, k, task->regcmd,
                  task->regcmd_count, bo ? bo->handle : 0, bo ? task->regcmd - bo->iova : 0);
    for (uint32_t i = 0; words && i < task->regcmd_count; i++)
        (void)fprintf(out, "  %03u %016" PRIx64 " target %04x reg %04x value %08x\n", i, words[i],
                      scree_word_target(words[i]), scree_word_offset(words[i]),
                      scree_word_value(words[i]));
}

static void print_job(FILE *out, const struct scree_emu_file *file, uint32_t j,
                      const struct scree_rocket_job *job)
{
    const uint8_t *tasks = (const uint8_t *)(uintptr_t)job->tasks;

    (void)fprintf(out, "JOB %u task_count %u task_struct_size %u in", j, job->task_count,
                  job->task_struct_size);
    print_handles(out, job->in_bo_handles, job->in_bo_handle_count);
    (void)fprintf(out, " out");
    print_handles(out, job->out_bo_handles, job->out_bo_handle_count);
    (void)fprintf(out, "\n");
    for (uint32_t k = 0; tasks && k < job->task_count; k++) {
        struct scree_rocket_task task;

        memcpy(&task, tasks + (size_t)k * job->task_struct_size, sizeof task);
        print_task(out, file, j, k, &task);
    }
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

static void print_bo(FILE *out, const struct scree_emu_file *file, const struct scree_emu_bo *bo,
                     uint64_t number)
{
    const uint8_t *bytes = scree_emu_space_at(&file->space, bo->iova, bo->size);
    char name[64] = "(all-zero)";
    FILE *contents;

    if (bytes && !all_zero(bytes, bo->size)) {
        (void)snprintf(name, sizeof name, "submit%03" PRIu64 "-bo%03u.bin", number, bo->handle);
        contents = open_in(file->npu->options.record, name);
        if (contents) {
            (void)fwrite(bytes, 1, bo->size, contents);
            (void)fclose(contents);
        }
    }
    (void)fprintf(out, "BO %u dma 0x%08x size %u file %s\n", bo->handle, bo->iova, bo->size, name);
}

void scree_emu_record(struct scree_emu_file *file, const struct scree_rocket_job *jobs,
                      uint32_t n_jobs)
{
    const char *folder = file->npu->options.record;
    uint64_t number;
    char name[64];
    FILE *out;

    if (!folder)
        return;
    number = scree_emu_counted(&file->npu->stats->submits);
    (void)snprintf(name, sizeof name, "submit%03" PRIu64 ".txt", number);
    out = open_in(folder, name);
    if (!out)
        return;
    (void)fprintf(out, "SUBMIT %" PRIu64 " job_count %u job_struct_size %zu\n", number, n_jobs,
                  sizeof jobs[0]);
    for (uint32_t j = 0; j < n_jobs; j++)
        print_job(out, file, j, &jobs[j]);
    (void)fprintf(out, "BOS\n");
    for (size_t i = 0; i < file->n_bos; i++)
        if (file->bos[i])
            print_bo(out, file, file->bos[i], number);
    (void)fclose(out);
}
