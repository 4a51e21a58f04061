#include "device/emu/npu.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device/emu/queue.h"

#define NS_PER_MS 1000000u

/* ---- faults ------------------------------------------------------------------------------------
 */

/* Steele, Lea and Flood's SplitMix64, of one number. */
static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

enum scree_emu_fault scree_emu_pick_fault(const struct scree_emu_options *options, uint64_t number)
{
    for (int i = 0; i < options->n_rules; i++) {
        const struct scree_emu_fault_rule *rule = &options->rules[i];
        uint64_t random = mix(mix(options->seed + (uint64_t)i) ^ number);

        if (number < rule->first || number > rule->last)
            continue;
        if ((double)(random >> 11) / (double)(UINT64_C(1) << 53) * 100 < rule->percent)
            return rule->fault;
    }
    return SCREE_EMU_FAULT_NONE;
}

/* Every 61st byte of a buffer, beginning anywhere, is changed. */
static void corrupt(const struct scree_emu_job *job)
{
    for (uint32_t i = 0; i < job->n_out; i++) {
        const struct scree_emu_bo *bo = job->out[i];
        uint8_t *bytes = scree_emu_space_at(&job->file->space, bo->iova, bo->size);
        uint32_t first = (uint32_t)(mix(job->number) % 61);

        for (uint32_t k = first; bytes && k < bo->size; k += 61)
            bytes[k] ^= 0x55;
    }
}

/* ---- a job on a core ---------------------------------------------------------------------------
 */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Waits, with the lock held, until the time is reached or the device is gone. */
static void wait_until(struct scree_emu_npu *npu, uint64_t ns)
{
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};

    while (!npu->gone && now_ns() < ns)
        pthread_cond_timedwait(&npu->changed, &npu->lock, &until);
}

/* One line to the log: what hardware would not forgive. */
static void complain(const struct scree_emu_core *core, const struct scree_emu_job *job,
                     uint32_t task, const struct scree_error *err)
{
    const char *path = core->npu->options.log;
    FILE *log = path ? fopen(path, "ae") : stderr;

    if (!log)
        return;
    (void)fprintf(log, "scree-emu: core %d: job %" PRIu64 ", task %u: %s\n", core->index,
                  job->number, task, err->text);
    if (path)
        (void)fclose(log);
}

/* Runs one task; with the lock held, but not for the arithmetic. Returns 1 if it ended, 0 if it
 * never does, a negative errno if hardware would not forgive it. */
static int run_task(const struct scree_emu_core *core, const struct scree_emu_job *job, uint32_t i,
                    struct scree_emu_task_state *state, struct scree_emu_cost *total,
                    struct scree_error *err)
{
    struct scree_emu_npu *npu = core->npu;
    struct scree_emu_core_stats *stats = &npu->stats->cores[core->index];
    struct scree_emu_memory memory;
    struct scree_emu_task task;
    int rc = scree_emu_task_read(&job->tasks[i], &job->file->space, state, &task, err);

    if (rc < 0 || !task.interrupts)
        return rc;
    memory = scree_emu_space_memory(&job->file->space);
    pthread_mutex_unlock(&npu->lock);
    rc = scree_emu_task_execute(&task, memory, (enum scree_emu_rounding)npu->options.rounding,
                                state, err);
    pthread_mutex_lock(&npu->lock);
    if (rc < 0)
        return rc;
    scree_emu_count(&stats->tasks, 1);
    scree_emu_count(&stats->interrupts, 1);
    scree_emu_count(&stats->cycles, task.cost.cycles);
    scree_emu_count(&stats->bytes, task.cost.bytes);
    total->cycles += task.cost.cycles;
    total->bytes += task.cost.bytes;
    return 1;
}

/* Runs the tasks. Returns true if all ended. */
static bool run_tasks(const struct scree_emu_core *core, const struct scree_emu_job *job,
                      struct scree_emu_cost *total)
{
    const struct scree_emu_options *options = &core->npu->options;
    struct scree_emu_task_state state = {.cycles_left = (uint64_t)options->timeout_ms * 1000 *
                                                        options->clock_mhz};

    for (uint32_t i = 0; i < job->n_tasks; i++) {
        struct scree_error err;
        int rc = run_task(core, job, i, &state, total, &err);

        if (rc < 0) {
            scree_emu_count(&core->npu->stats->cores[core->index].refused, 1);
            complain(core, job, i, &err);
        }
        if (rc <= 0)
            return false;
    }
    return true;
}

/* The time of a job by the model: docs/regcmd.md, "Time". */
static uint64_t model_ns(const struct scree_emu_options *options, const struct scree_emu_job *job,
                         const struct scree_emu_cost *cost)
{
    return cost->cycles * 1000 / options->clock_mhz + 26000 * (uint64_t)job->n_tasks + 172000;
}

static void run_job(struct scree_emu_core *core, const struct scree_emu_job *job)
{
    struct scree_emu_npu *npu = core->npu;
    struct scree_emu_core_stats *stats = &npu->stats->cores[core->index];
    struct scree_emu_cost total = {0};
    uint64_t start = now_ns();
    bool ended = false;

    scree_emu_count(&stats->jobs, 1);
    if (job->fault == SCREE_EMU_FAULT_ENODEV)
        npu->gone = true;
    if (npu->gone)
        return;
    if (job->fault != SCREE_EMU_FAULT_TIMEOUT) {
        ended = run_tasks(core, job, &total);
        if (ended && job->fault == SCREE_EMU_FAULT_CORRUPT)
            corrupt(job);
    }
    if (!ended) {
        wait_until(npu, start + (uint64_t)npu->options.timeout_ms * NS_PER_MS);
        scree_emu_count(&stats->timeouts, 1);
    } else if (npu->options.pace) {
        wait_until(npu, start + model_ns(&npu->options, job, &total));
    }
}

/* ---- cores -------------------------------------------------------------------------------------
 */

void scree_emu_job_free(struct scree_emu_job *job)
{
    if (!job)
        return;
    free(job->tasks);
    free(job->out);
    free(job);
}

/* The core with the least to do, for all processes. */
static int pick_core(const struct scree_emu_npu *npu, const struct scree_emu_file *file)
{
    uint32_t least = UINT32_MAX;
    int best = 0;

    if (file->n_jobs > 0)
        return file->core;
    for (int i = 0; i < npu->options.n_cores; i++) {
        uint32_t n = npu->process ? scree_emu_stats_waiting(npu->stats, i) : npu->cores[i].n_jobs;

        if (n < least) {
            least = n;
            best = i;
        }
    }
    return best;
}

/* Adds n to what a core has to do. */
static void add_jobs(struct scree_emu_core *core, uint32_t n)
{
    core->n_jobs += n;
    if (core->npu->process)
        __atomic_fetch_add(&core->npu->process->n_jobs[core->index], n, __ATOMIC_RELAXED);
}

static void finish(struct scree_emu_core *core, struct scree_emu_job *job)
{
    struct scree_emu_file *file = job->file;

    for (uint32_t i = 0; i < job->n_out; i++)
        job->out[i]->n_writers--;
    add_jobs(core, UINT32_MAX); /* one less */
    if (--file->n_jobs == 0)
        scree_emu_file_sweep(file);
    scree_emu_job_free(job);
    pthread_cond_broadcast(&core->npu->changed);
}

static void *run_core(void *arg)
{
    struct scree_emu_core *core = arg;
    struct scree_emu_npu *npu = core->npu;

    pthread_mutex_lock(&npu->lock);
    while (!npu->ending || core->first) {
        struct scree_emu_job *job = core->first;

        if (!job) {
            pthread_cond_wait(&npu->changed, &npu->lock);
            continue;
        }
        core->first = job->next;
        if (!core->first)
            core->last = &core->first;
        run_job(core, job);
        finish(core, job);
    }
    pthread_mutex_unlock(&npu->lock);
    return NULL;
}

static int start_core(struct scree_emu_core *core)
{
    sigset_t all, old;

    if (core->started)
        return 0;
    /* The program's signals are the program's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    core->started = pthread_create(&core->thread, NULL, run_core, core) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return core->started ? 0 : -EAGAIN;
}

int scree_emu_queue(struct scree_emu_npu *npu, struct scree_emu_job *job)
{
    struct scree_emu_file *file = job->file;
    struct scree_emu_core *core;
    int rc;

    if (!npu->process)
        npu->process = scree_emu_stats_join(npu->stats);
    core = &npu->cores[pick_core(npu, file)];
    rc = npu->inline_jobs ? 0 : start_core(core);
    if (rc < 0)
        return rc;
    add_jobs(core, 1);
    file->core = core->index;
    file->n_jobs++;
    for (uint32_t i = 0; i < job->n_out; i++)
        job->out[i]->n_writers++;
    if (npu->inline_jobs) {
        run_job(core, job);
        finish(core, job);
        return 0;
    }
    job->next = NULL;
    *core->last = job;
    core->last = &job->next;
    pthread_cond_broadcast(&npu->changed);
    return 0;
}

/* ---- the device --------------------------------------------------------------------------------
 */

/* What starts anew in a child: locks and cores. */
static void init_cores(struct scree_emu_npu *npu)
{
    pthread_condattr_t monotonic;

    pthread_mutex_init(&npu->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&npu->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (int i = 0; i < SCREE_NPU_CORES; i++) {
        npu->cores[i] = (struct scree_emu_core){.npu = npu, .index = i};
        npu->cores[i].last = &npu->cores[i].first;
    }
}

int scree_emu_npu_new(const struct scree_emu_options *options, struct scree_emu_stats *stats,
                      struct scree_emu_npu **ret_npu, struct scree_error *err)
{
    struct scree_emu_npu *npu = calloc(1, sizeof *npu);

    if (!npu)
        return scree_fail_memory(err, sizeof *npu);
    npu->options = *options;
    npu->stats = stats;
    init_cores(npu);
    *ret_npu = npu;
    return 0;
}

void scree_emu_npu_free(struct scree_emu_npu *npu)
{
    if (!npu)
        return;
    pthread_mutex_lock(&npu->lock);
    npu->ending = true;
    pthread_cond_broadcast(&npu->changed);
    pthread_mutex_unlock(&npu->lock);
    for (int i = 0; i < SCREE_NPU_CORES; i++)
        if (npu->cores[i].started)
            pthread_join(npu->cores[i].thread, NULL);
    pthread_cond_destroy(&npu->changed);
    pthread_mutex_destroy(&npu->lock);
    free(npu);
}

void scree_emu_npu_before_fork(struct scree_emu_npu *npu)
{
    pthread_mutex_lock(&npu->lock);
}

void scree_emu_npu_in_parent(struct scree_emu_npu *npu)
{
    pthread_mutex_unlock(&npu->lock);
}

/* Jobs of the parent are not the child's; their memory stays behind, as does that of any thread
 * that a fork leaves out. */
void scree_emu_npu_in_child(struct scree_emu_npu *npu)
{
    init_cores(npu);
    npu->process = NULL;
    npu->inline_jobs = npu->options.inline_jobs;
    for (struct scree_emu_file *file = npu->files; file; file = file->next) {
        file->n_jobs = 0;
        for (size_t i = 0; i < file->n_bos; i++)
            if (file->bos[i])
                file->bos[i]->n_writers = 0;
    }
}

bool scree_emu_npu_is_gone(struct scree_emu_npu *npu)
{
    bool gone;

    pthread_mutex_lock(&npu->lock);
    gone = npu->gone;
    pthread_mutex_unlock(&npu->lock);
    return gone;
}
