#include "delegate/instance.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/checked.h"
#include "base/text.h"
#include "delegate/check.h"
#include "delegate/guest.h"
#include "delegate/view.h"
#include "delegate/worker.h"

/* Lists of a graph: far above what any needs. */
#define MAX_INSTANCE_BYTES ((size_t)1 << 30)
/* Where tensors begin in the shared memory. */
#define ALIGNMENT 64
#define NO_PLACE  SIZE_MAX

/* One byte in so many may differ by anything: behind many layers a few do. */
#define RARE 256
/* A run may take that long. A job that hangs is reset by the kernel after half a second, and then
 * the run goes on. */
#define RUN_MS     1200
#define RUN_FACTOR 8
/* Workers that die one after the other: each is followed by another one, the first at once, the
 * next after this delay and each later one after twice the time, but not the last. So many good
 * runs in between make it the first again. */
#define MAX_DEATHS       6
#define FIRST_DELAY_NS   ((int64_t)250000000)
#define ENOUGH_GOOD_RUNS 1000

/* What the worker is doing, for the message when it dies at that. */
enum stage { LOADING, COMPILING, READY };

/* Memory that both processes see; the bytes of tensors follow behind. The worker may have spoilt
 * all of it. */
struct shared {
    _Atomic int stage;
    int rc; /* of begin() */
    struct scree_error err;
    char said[128];
};

/* Whether there is a worker to run on. */
enum state {
    AT_WORK,  /* it answers */
    STARTING, /* it loads and compiles */
    AWAY,     /* the next one waits for its time */
    GONE,     /* there is none any more */
};

struct part_runs {
    struct scree_part part;
    struct scree_delegate_measure first;
    struct scree_run_check check;
};

struct scree_delegate_instance {
    struct scree_delegate *delegate;
    const struct scree_subgraph *subgraph;
    const bool *offered;
    int timeout_ms;
    struct scree_worker worker;
    enum state state;
    uint32_t n_deaths, n_good;
    int64_t back_ns; /* AWAY: when the next worker is started */
    struct shared *shared;
    size_t shared_bytes;
    uint8_t *taken; /* u8[n_nodes] in shared memory: not 0 for what the delegate takes */
    size_t *place;  /* size_t[n_tensors]: in shared memory, or NO_PLACE */
    struct scree_parts parts;
    struct part_runs *runs;            /* one a part */
    void **bound;                      /* of each tensor of the graph */
    struct scree_npu_counter *counter; /* NULL: there is no NPU to be seen */
    struct scree_arena arena;
    struct scree_guest *guest; /* in the worker only */
    char why[256];
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static size_t tensor_bytes(const struct scree_delegate_instance *instance, int32_t tensor)
{
    const struct scree_tensor_def *def = &instance->subgraph->tensors[tensor];

    return scree_shape_elements(&def->shape) * scree_type_bytes(def->type);
}

static uint8_t *at(const struct scree_delegate_instance *instance, int32_t tensor)
{
    return (uint8_t *)instance->shared + instance->place[tensor];
}

/* ---- in the worker -----------------------------------------------------------------------------
 */

static int make_guest(struct scree_delegate_instance *instance)
{
    struct shared *shared = instance->shared;
    const struct scree_parts *parts;
    int rc = scree_delegate_load(instance->delegate, &shared->err);

    if (rc < 0)
        return rc;
    atomic_store(&shared->stage, COMPILING);
    rc = scree_guest_new(instance->delegate, instance->subgraph, instance->offered,
                         &instance->guest, &shared->err);
    if (rc < 0)
        return rc;
    parts = scree_guest_parts(instance->guest);
    for (uint32_t i = 0; i < parts->n_nodes; i++)
        instance->taken[i] = parts->part[i] >= 0;
    for (uint32_t i = 0; i < instance->subgraph->n_tensors; i++)
        if (instance->place[i] != NO_PLACE)
            scree_guest_bind(instance->guest, (int32_t)i, at(instance, (int32_t)i));
    return 0;
}

static int begin(void *arg)
{
    struct scree_delegate_instance *instance = arg;

    instance->shared->rc = make_guest(instance);
    if (instance->shared->rc >= 0)
        atomic_store(&instance->shared->stage, READY);
    return 0;
}

static int serve(void *arg, uint32_t part)
{
    struct scree_delegate_instance *instance = arg;
    int rc = instance->guest ? scree_guest_run(instance->guest, part) : -EIO;

    (void)snprintf(instance->shared->said, sizeof instance->shared->said, "%s",
                   instance->guest ? scree_guest_said(instance->guest) : "");
    return rc;
}

static void end(void *arg)
{
    struct scree_delegate_instance *instance = arg;

    scree_guest_free(instance->guest);
}

static const struct scree_worker_task task = {begin, serve, end};

/* ---- the worker's life -------------------------------------------------------------------------
 */

/* A text that the worker wrote, safe to print. */
static void copy_text(char *to, size_t n, const char *from, size_t n_from)
{
    size_t length = strnlen(from, n_from);

    if (length >= n)
        length = n - 1;
    memcpy(to, from, length);
    to[length] = '\0';
    scree_text_make_safe(to, length);
}

static int start(struct scree_delegate_instance *instance, int timeout_ms, struct scree_error *err)
{
    struct shared *shared = instance->shared;

    atomic_store(&shared->stage, LOADING);
    shared->rc = 0;
    shared->said[0] = '\0';
    memset(instance->taken, 0, instance->subgraph->n_nodes);
    return scree_worker_start(&instance->worker, &task, instance, timeout_ms, err);
}

/* Notes that there is no worker any more, and when there will be another one. */
static void mourn(struct scree_delegate_instance *instance)
{
    uint32_t n = ++instance->n_deaths;

    instance->n_good = 0;
    instance->state = n < MAX_DEATHS ? AWAY : GONE;
    instance->back_ns = now_ns() + (n > 1 ? FIRST_DELAY_NS << (n - 2) : 0);
}

/* Takes the answer to begin(): the next worker must take the same nodes as the first. */
static void welcome(struct scree_delegate_instance *instance)
{
    bool same = instance->shared->rc == 0;

    for (uint32_t i = 0; same && i < instance->parts.n_nodes; i++)
        same = (instance->taken[i] != 0) == (instance->parts.part[i] >= 0);
    instance->state = AT_WORK;
    if (same)
        return;
    scree_worker_stop(&instance->worker);
    mourn(instance);
}

/* Looks what has become of the worker, and does what it is time for. */
static void look_after(struct scree_delegate_instance *instance, bool wait)
{
    enum scree_worker_news news;
    int answer;

    if (instance->state == AWAY && now_ns() >= instance->back_ns) {
        instance->state = STARTING;
        if (start(instance, instance->timeout_ms, NULL) < 0)
            mourn(instance);
    }
    if (instance->state != STARTING)
        return;
    news = scree_worker_hear(&instance->worker, wait, &answer);
    if (news == SCREE_WORKER_ANSWERED)
        welcome(instance);
    else if (news != SCREE_WORKER_BUSY)
        mourn(instance);
}

void scree_delegate_await(struct scree_delegate_instance *instance)
{
    look_after(instance, true);
}

void scree_delegate_renew(struct scree_delegate_instance *instance)
{
    if (instance->state != AT_WORK)
        return;
    scree_worker_stop(&instance->worker);
    instance->state = AWAY;
    instance->back_ns = 0;
    look_after(instance, false);
}

bool scree_delegate_is_gone(const struct scree_delegate_instance *instance)
{
    return instance->state == GONE;
}

/* ---- runs --------------------------------------------------------------------------------------
 */

static const char *const end_texts[] = {
    [SCREE_DELEGATE_OK] = "it was right",
    [SCREE_DELEGATE_FAILED] = "the delegate said that it failed",
    [SCREE_DELEGATE_UNTOUCHED] = "the output was not written",
    [SCREE_DELEGATE_STALE] = "the output was that of the run before",
    [SCREE_DELEGATE_LATE] = "it took as long as a job that hangs and is reset",
    [SCREE_DELEGATE_LOST] = "the NPU did fewer tasks than there are",
    [SCREE_DELEGATE_AWAY] = "its process is not there",
};

const char *scree_delegate_why(const struct scree_delegate_instance *instance)
{
    return instance->why;
}

void scree_delegate_bind(struct scree_delegate_instance *instance, int32_t tensor, void *data)
{
    instance->bound[tensor] = data;
}

struct scree_delegate_measure
scree_delegate_measured(const struct scree_delegate_instance *instance, uint32_t part)
{
    return instance->runs[part].first;
}

void scree_delegate_expect(struct scree_delegate_instance *instance, uint32_t part,
                           const struct scree_delegate_measure *measure)
{
    instance->runs[part].check.expected = *measure;
}

static void copy_bytes(const struct scree_delegate_instance *instance, int32_t tensor,
                       const void *from, void *to)
{
    size_t n = tensor_bytes(instance, tensor);

    if (instance->subgraph->tensors[tensor].type == SCREE_TYPE_INT8)
        scree_flip_bytes(from, to, n);
    else
        memcpy(to, from, n);
}

/* Inputs that are not bound stay as they are: zeros, in the first run. */
static void lay(struct scree_delegate_instance *instance, struct part_runs *runs)
{
    const struct scree_part *part = &runs->part;

    for (uint32_t i = 0; i < part->n_inputs; i++) {
        int32_t tensor = part->inputs[i];

        if (instance->place[tensor] == NO_PLACE)
            continue;
        if (instance->bound[tensor])
            copy_bytes(instance, tensor, instance->bound[tensor], at(instance, tensor));
        scree_check_input(&runs->check, at(instance, tensor), tensor_bytes(instance, tensor));
    }
    for (uint32_t i = 0; i < part->n_outputs; i++)
        scree_check_fill(&runs->check, at(instance, part->outputs[i]),
                         tensor_bytes(instance, part->outputs[i]));
}

static void take(struct scree_delegate_instance *instance, struct part_runs *runs)
{
    const struct scree_part *part = &runs->part;

    for (uint32_t i = 0; i < part->n_outputs; i++) {
        int32_t tensor = part->outputs[i];

        scree_check_output(&runs->check, at(instance, tensor), tensor_bytes(instance, tensor));
        if (instance->bound[tensor])
            copy_bytes(instance, tensor, at(instance, tensor), instance->bound[tensor]);
    }
}

static enum scree_delegate_end explain(struct scree_delegate_instance *instance,
                                       enum scree_delegate_end how)
{
    char said[sizeof instance->shared->said];

    copy_text(said, sizeof said, instance->shared->said, sizeof instance->shared->said);
    (void)snprintf(instance->why, sizeof instance->why, "%s%s%s", end_texts[how],
                   said[0] ? ": " : "", said);
    return how;
}

/* The news of a run as its end. */
static enum scree_delegate_end judge(struct scree_delegate_instance *instance,
                                     struct part_runs *runs, enum scree_worker_news news,
                                     int answer, const struct scree_delegate_measure *measure)
{
    enum scree_delegate_end how;

    if (news != SCREE_WORKER_ANSWERED) {
        scree_worker_tell(&instance->worker, news, "running", instance->why, sizeof instance->why);
        return SCREE_DELEGATE_DIED;
    }
    if (answer != 0)
        return explain(instance, SCREE_DELEGATE_FAILED);
    take(instance, runs);
    how = scree_check_end(&runs->check, measure);
    return how == SCREE_DELEGATE_OK ? how : explain(instance, how);
}

/* One run of a part by a worker that is there. */
static enum scree_delegate_end run(struct scree_delegate_instance *instance, uint32_t index,
                                   int64_t limit_ms, struct scree_delegate_measure *ret_measure)
{
    struct part_runs *runs = &instance->runs[index];
    enum scree_worker_news news;
    int answer = 0;

    instance->shared->said[0] = '\0';
    scree_check_begin(&runs->check);
    lay(instance, runs);
    scree_check_start(&runs->check);
    scree_worker_ask(&instance->worker, index, limit_ms);
    news = scree_worker_hear(&instance->worker, true, &answer);
    scree_check_stop(&runs->check, ret_measure);
    return judge(instance, runs, news, answer, ret_measure);
}

enum scree_delegate_end scree_delegate_run(struct scree_delegate_instance *instance, uint32_t index)
{
    const struct scree_delegate_measure *expected = &instance->runs[index].check.expected;
    int64_t limit_ms = RUN_MS + (int64_t)(expected->run_ns / 1000000 * RUN_FACTOR);
    struct scree_delegate_measure measure;
    enum scree_delegate_end how;

    look_after(instance, false);
    if (instance->state != AT_WORK)
        return explain(instance, SCREE_DELEGATE_AWAY);
    how = run(instance, index, limit_ms, &measure);
    if (how == SCREE_DELEGATE_DIED) {
        mourn(instance);
        look_after(instance, false);
    } else if (how == SCREE_DELEGATE_OK && instance->n_good < ENOUGH_GOOD_RUNS) {
        instance->n_good++;
        if (instance->n_good == ENOUGH_GOOD_RUNS)
            instance->n_deaths = 0;
    }
    return how;
}

/* The step that all but one in RARE bytes stay below or at. */
static int most_steps(const uint8_t *theirs, const uint8_t *ours, uint8_t flip, size_t n)
{
    size_t counts[256] = {0}, above = 0;
    int steps = 255;

    for (size_t k = 0; k < n; k++)
        counts[abs(theirs[k] - (ours[k] ^ flip))]++;
    while (steps > 0 && above + counts[steps] <= n / RARE)
        above += counts[steps--];
    return steps;
}

int scree_delegate_difference(const struct scree_delegate_instance *instance, uint32_t index)
{
    const struct scree_part *part = &instance->runs[index].part;
    int worst = 0;

    for (uint32_t i = 0; i < part->n_outputs; i++) {
        int32_t tensor = part->outputs[i];
        uint8_t flip = instance->subgraph->tensors[tensor].type == SCREE_TYPE_INT8 ? 0x80 : 0;
        int steps = most_steps(at(instance, tensor), instance->bound[tensor], flip,
                               tensor_bytes(instance, tensor));

        worst = steps > worst ? steps : worst;
    }
    return worst;
}

void scree_delegate_trust(struct scree_delegate_instance *instance, uint32_t index)
{
    scree_check_trust(&instance->runs[index].check);
}

void scree_delegate_restore(struct scree_delegate_instance *instance, uint32_t index)
{
    const struct scree_part *part = &instance->runs[index].part;

    for (uint32_t i = 0; i < part->n_outputs; i++)
        copy_bytes(instance, part->outputs[i], at(instance, part->outputs[i]),
                   instance->bound[part->outputs[i]]);
}

/* ---- creation ----------------------------------------------------------------------------------
 */

/* Gives each tensor that an offered node reads or writes a place in the shared memory. */
static int place_tensors(struct scree_delegate_instance *instance, struct scree_error *err)
{
    const struct scree_subgraph *subgraph = instance->subgraph;
    size_t end_at = sizeof(struct shared) + subgraph->n_nodes;

    for (uint32_t i = 0; i < subgraph->n_tensors; i++)
        instance->place[i] = NO_PLACE;
    for (uint32_t i = 0; i < subgraph->n_nodes; i++) {
        const struct scree_node *node = &subgraph->nodes[i];

        for (uint32_t k = 0; instance->offered[i] && k < node->n_inputs + node->n_outputs; k++) {
            int32_t tensor = k < node->n_inputs ? node->inputs[k]
                                                : node->outputs[k - node->n_inputs];

            if (tensor < 0 || subgraph->tensors[tensor].data || instance->place[tensor] != NO_PLACE)
                continue;
            instance->place[tensor] = (end_at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            if (__builtin_add_overflow(instance->place[tensor], tensor_bytes(instance, tensor),
                                       &end_at))
                return scree_fail(err, ENOMEM, "no memory for the delegate's tensors");
        }
    }
    instance->shared_bytes = end_at;
    return 0;
}

/* Pages of it that nobody touches take no memory: those of tensors inside of parts. */
static int share(struct scree_delegate_instance *instance, struct scree_error *err)
{
    int rc = place_tensors(instance, err);
    void *shared;

    if (rc < 0)
        return rc;
    shared = mmap(NULL, instance->shared_bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED)
        return scree_fail_memory(err, instance->shared_bytes);
    instance->shared = shared;
    instance->taken = (uint8_t *)(instance->shared + 1);
    return 0;
}

/* What became of begin() in the first worker. */
static int hear_first(struct scree_delegate_instance *instance, struct scree_error *err)
{
    struct shared *shared = instance->shared;
    enum scree_worker_news news;
    int answer, rc;
    char text[sizeof err->text];

    news = scree_worker_hear(&instance->worker, true, &answer);
    if (news != SCREE_WORKER_ANSWERED) {
        scree_worker_tell(&instance->worker, news,
                          atomic_load(&shared->stage) == LOADING ? "loading for" : "compiling",
                          text, sizeof text);
        return scree_fail(err, news == SCREE_WORKER_LATE ? ETIMEDOUT : EIO, "%s", text);
    }
    rc = shared->rc;
    if (rc == 0)
        return 0;
    copy_text(text, sizeof text, shared->err.text, sizeof shared->err.text);
    /* Only a file that is none is the caller's to know as such. */
    if (rc != -ENODEV && rc != -ENOTSUP && rc != -ENOMEM &&
        (rc != -EBADMSG || atomic_load(&shared->stage) != LOADING))
        rc = -EIO;
    return scree_fail(err, -rc, "%s", text);
}

static int describe_parts(struct scree_delegate_instance *instance, struct scree_error *err)
{
    const struct scree_subgraph *subgraph = instance->subgraph;
    bool *chosen = scree_arena_new(&instance->arena, bool, subgraph->n_nodes);
    int rc;

    if (!chosen)
        return scree_fail(err, ENOMEM, "no memory for the delegate's parts");
    for (uint32_t i = 0; i < subgraph->n_nodes; i++)
        chosen[i] = instance->taken[i] != 0 && instance->offered[i];
    rc = scree_partition(subgraph, chosen, &instance->arena, &instance->parts, err);
    if (rc < 0)
        return rc;
    instance->runs = scree_arena_new(&instance->arena, struct part_runs, instance->parts.n_parts);
    if (!instance->runs)
        return scree_fail(err, ENOMEM, "no memory for the delegate's parts");
    for (uint32_t i = 0; rc >= 0 && i < instance->parts.n_parts; i++) {
        rc = scree_part_describe(subgraph, &instance->parts, i, &instance->arena,
                                 &instance->runs[i].part, err);
        instance->runs[i].check.counter = instance->counter;
    }
    return rc;
}

/* Runs each part once. */
static int try_parts(struct scree_delegate_instance *instance, int64_t until_ns,
                     struct scree_error *err)
{
    for (uint32_t i = 0; i < instance->parts.n_parts; i++) {
        int64_t left_ms = (until_ns - now_ns()) / 1000000;
        enum scree_delegate_end how =
            run(instance, i, left_ms > 0 ? left_ms : 1, &instance->runs[i].first);

        if (how == SCREE_DELEGATE_DIED)
            return scree_fail(err, now_ns() < until_ns ? EIO : ETIMEDOUT, "%s", instance->why);
        if (how != SCREE_DELEGATE_OK)
            return scree_fail(err, EIO, "its first run was no good: %s", instance->why);
    }
    return 0;
}

static int make(struct scree_delegate_instance *instance, struct scree_error *err)
{
    int64_t until_ns = now_ns() + (int64_t)instance->timeout_ms * 1000000;
    uint32_t n_tensors = instance->subgraph->n_tensors;
    int rc;

    instance->counter = scree_npu_counter_new();
    instance->place = scree_arena_new(&instance->arena, size_t, n_tensors);
    instance->bound = scree_arena_new(&instance->arena, void *, n_tensors);
    if (!instance->place || !instance->bound)
        return scree_fail(err, ENOMEM, "no memory for the delegate's tensors");
    rc = share(instance, err);
    if (rc >= 0)
        rc = start(instance, instance->timeout_ms, err);
    if (rc >= 0)
        rc = hear_first(instance, err);
    if (rc >= 0)
        rc = describe_parts(instance, err);
    if (rc >= 0)
        rc = try_parts(instance, until_ns, err);
    return rc;
}

int scree_delegate_instance_new(struct scree_delegate *delegate,
                                const struct scree_subgraph *subgraph, const bool *offered,
                                int timeout_ms, struct scree_delegate_instance **ret_instance,
                                struct scree_error *err)
{
    struct scree_delegate_instance *instance = calloc(1, sizeof *instance);
    int rc;

    if (!instance)
        return scree_fail_memory(err, sizeof *instance);
    instance->delegate = delegate;
    instance->subgraph = subgraph;
    instance->offered = offered;
    instance->timeout_ms = timeout_ms;
    scree_arena_init(&instance->arena, MAX_INSTANCE_BYTES);
    rc = make(instance, err);
    if (rc < 0) {
        scree_delegate_instance_free(instance);
        return rc;
    }
    *ret_instance = instance;
    return 0;
}

void scree_delegate_instance_free(struct scree_delegate_instance *instance)
{
    if (!instance)
        return;
    scree_worker_stop(&instance->worker);
    if (instance->shared)
        (void)munmap(instance->shared, instance->shared_bytes);
    scree_npu_counter_free(instance->counter);
    scree_arena_done(&instance->arena);
    free(instance);
}

const struct scree_parts *
scree_delegate_instance_parts(const struct scree_delegate_instance *instance)
{
    return &instance->parts;
}

const struct scree_part *
scree_delegate_instance_part(const struct scree_delegate_instance *instance, uint32_t index)
{
    return &instance->runs[index].part;
}
