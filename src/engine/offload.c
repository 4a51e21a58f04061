#include "engine/offload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delegate/guard.h"
#include "delegate/instance.h"
#include "delegate/split.h"

#define DEFAULT_TIMEOUT_MS 30000
#define MAX_TIMEOUT_MS     600000
/* A graph larger than that is left to the CPU: dividing it takes time in proportion to the square.
 */
#define MAX_NODES 16384
/* After so many bad runs in a row the CPU does so many by itself before the delegate is tried
 * again: an NPU that is reset each time costs half a second a run. */
#define BAD_RUNS  3
#define REST_RUNS 100

/* The first run of each part, and then each of so many, is compared with the CPU's: bytes that
 * were really written, but wrong, are not found by anything else. The NPU may well be off by a few
 * steps, since it rounds otherwise in each layer; what is off by an eighth of the range is wrong.
 */
#define CHECK_EVERY     1000
#define MAX_CHECK_EVERY 1000000
#define MAX_STEPS       32

#define MAX_GRAPH_BYTES ((size_t)1 << 30)

struct scree_offload {
    const char *model; /* its name */
    struct scree_delegate *delegate;
    struct scree_delegate_instance *instance; /* NULL: everything is on the CPU */
    struct scree_subgraph subgraph; /* the plan as a graph of final shapes and constants */
    bool *offered;                  /* of each node: the delegate is shown it */
    const char **reasons;           /* of each node: why it is not offloaded, or NULL */
    uint32_t n_nodes;
    bool is_required;
    uint32_t n_bad, n_resting;
    uint32_t check_every;
    uint32_t *n_unchecked; /* of each part: runs until one is compared */
    bool is_suspect;       /* the run to be compared left the outputs of the one before */
    struct scree_run_stats stats;
    struct scree_arena arena;
};

/* Only while an offload is made. */
struct making {
    struct scree_offload *offload;
    struct scree_model *model;
    const struct scree_session_options *options;
    const struct scree_plan *plan;
    bool is_optional; /* a machine without a usable delegate is as good as any */
    uint32_t n_offered;
};

static int fail_memory(struct scree_error *err)
{
    return scree_fail(err, ENOMEM, "no memory to offload the model");
}

/* ---- the plan as a graph -----------------------------------------------------------------------
 */

static void copy_tensor(const struct scree_plan *plan, uint32_t index, struct scree_tensor_def *def)
{
    const struct scree_operand *operand = &plan->operands[index];

    *def = plan->subgraph->tensors[index];
    def->shape = operand->shape;
    if (operand->constant) {
        def->data = operand->data;
        def->bytes = operand->bytes;
    }
}

/* The operands by number; -1 for those left out. */
static int32_t *list(struct making *making, struct scree_operand **operands, uint32_t n)
{
    int32_t *tensors = scree_arena_new(&making->offload->arena, int32_t, n);

    for (uint32_t i = 0; tensors && i < n; i++)
        tensors[i] = operands[i] ? (int32_t)(operands[i] - making->plan->operands) : -1;
    return tensors;
}

/* A step's node as it is run: what is done at planning has no operands any more. */
static int copy_node(struct making *making, const struct scree_step *step, struct scree_node *node)
{
    bool is_idle = step->kind == SCREE_STEP_FOLDED || step->kind == SCREE_STEP_FUSED ||
                   step->kind == SCREE_STEP_UNREAD;

    *node = *step->call.node;
    node->n_inputs = is_idle ? 0 : step->call.n_inputs;
    node->n_outputs = is_idle ? 0 : step->call.n_outputs;
    node->inputs = list(making, step->call.inputs, node->n_inputs);
    node->outputs = list(making, step->call.outputs, node->n_outputs);
    return node->inputs && node->outputs ? 0 : -ENOMEM;
}

static int copy_graph(struct making *making)
{
    const struct scree_plan *plan = making->plan;
    struct scree_offload *offload = making->offload;
    struct scree_tensor_def *tensors =
        scree_arena_new(&offload->arena, struct scree_tensor_def, plan->subgraph->n_tensors);
    struct scree_node *nodes = scree_arena_new(&offload->arena, struct scree_node, plan->n_steps);

    offload->offered = scree_arena_new(&offload->arena, bool, plan->n_steps);
    if (!tensors || !nodes || !offload->offered)
        return -ENOMEM;
    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++)
        copy_tensor(plan, i, &tensors[i]);
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (copy_node(making, &plan->steps[i], &nodes[i]) < 0)
            return -ENOMEM;
    offload->subgraph = *plan->subgraph;
    offload->subgraph.tensors = tensors;
    offload->subgraph.nodes = nodes;
    return 0;
}

/* Asks the guard about every operator that runs. */
static void offer(struct making *making)
{
    struct scree_offload *offload = making->offload;

    for (uint32_t i = 0; i < making->plan->n_steps; i++) {
        const char **reason = &offload->reasons[i];

        *reason = "";
        if (making->plan->steps[i].kind != SCREE_STEP_RUN)
            continue;
        if (making->plan->n_steps > MAX_NODES)
            *reason = "the model has too many operators for a delegate";
        else if (making->plan->steps[i].call.margin)
            *reason = "the PAD before it is part of it";
        else
            *reason = scree_guard_check(&offload->subgraph, i, offload->delegate->mesa);
        offload->offered[i] = *reason == NULL;
        making->n_offered += offload->offered[i];
    }
}

/* ---- the instance ------------------------------------------------------------------------------
 */

/* All offered operators stay on the CPU. */
static void keep(struct making *making, const char *reason)
{
    for (uint32_t i = 0; i < making->plan->n_steps; i++)
        if (making->offload->offered[i])
            making->offload->reasons[i] = reason;
}

/* What cannot be offloaded is an error, or a line of text. */
static int give_up(struct making *making, int rc, const char *why, struct scree_error *err)
{
    bool expected = making->is_optional && (rc == -ENODEV || rc == -ENOTSUP || rc == -EBADMSG);
    struct scree_offload *offload = making->offload;

    keep(making, rc == -ENODEV ? "the delegate finds no device" : "the delegate failed");
    if (rc == -ENOMEM)
        return fail_memory(err);
    if (offload->is_required)
        return scree_fail(err, ENODEV, "%s: %s", offload->delegate->path, why);
    if (!expected)
        (void)snprintf(offload->stats.note, sizeof offload->stats.note,
                       "%s: %s: %s; the CPU does it all", offload->delegate->path,
                       making->model->name, why);
    return 0;
}

static uint32_t count_tasks(const struct scree_subgraph *subgraph, const struct scree_part *part)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < part->n_nodes; i++)
        n += scree_split_conv(subgraph, &subgraph->nodes[part->nodes[i]]).n_tasks;
    return n;
}

/* Interrupts that are as many as there are tasks can be counted on. Otherwise - another driver, or
 * other processes at work - that there are any at all. */
static void expect(struct scree_offload *offload)
{
    struct scree_delegate_instance *instance = offload->instance;

    for (uint32_t i = 0; i < scree_delegate_instance_parts(instance)->n_parts; i++) {
        const struct scree_part *part = scree_delegate_instance_part(instance, i);
        struct scree_delegate_measure measure = scree_delegate_measured(instance, i);

        if (measure.interrupts != count_tasks(&offload->subgraph, part))
            measure.interrupts = measure.interrupts > 0;
        scree_delegate_expect(instance, i, &measure);
    }
}

static int divide(struct making *making, struct scree_shared_plan **shared, struct scree_error *err)
{
    struct scree_offload *offload = making->offload;
    const struct scree_parts *parts = scree_delegate_instance_parts(offload->instance);
    struct scree_shared_plan *divided = calloc(1, sizeof *divided);
    int rc;

    offload->n_unchecked = scree_arena_new(&offload->arena, uint32_t, parts->n_parts);
    if (!divided || !offload->n_unchecked) {
        free(divided);
        return fail_memory(err);
    }
    rc = scree_plan_divide(making->plan, parts, &divided->plan, err);
    if (rc < 0) {
        free(divided);
        return rc;
    }
    atomic_init(&divided->n_refs, 1);
    divided->whole = *shared;
    *shared = divided;
    offload->stats.n_parts = parts->n_parts;
    for (uint32_t i = 0; i < parts->n_nodes; i++) {
        offload->stats.n_nodes += parts->part[i] >= 0;
        if (making->offload->offered[i] && parts->part[i] < 0)
            offload->reasons[i] = "the delegate did not take it";
    }
    return 0;
}

static int make_instance(struct making *making, struct scree_shared_plan **shared,
                         struct scree_error *err)
{
    struct scree_offload *offload = making->offload;
    int timeout_ms = making->options->delegate_timeout_ms;
    struct scree_error why;
    int rc = scree_delegate_instance_new(offload->delegate, &offload->subgraph, offload->offered,
                                         timeout_ms ? timeout_ms : DEFAULT_TIMEOUT_MS,
                                         &offload->instance, &why);

    if (rc == -EBADMSG && !making->is_optional)
        return scree_fail(err, EBADMSG, "%s", why.text);
    if (rc < 0)
        return give_up(making, rc, why.text, err);
    if (scree_delegate_instance_parts(offload->instance)->n_parts == 0) {
        scree_delegate_instance_free(offload->instance);
        offload->instance = NULL;
        return give_up(making, -ENOTSUP, "it takes none of the operators", err);
    }
    expect(offload);
    return divide(making, shared, err);
}

static int make(struct making *making, struct scree_shared_plan **shared, struct scree_error *err)
{
    struct scree_offload *offload = making->offload;

    offload->n_nodes = making->plan->n_steps;
    offload->reasons = scree_arena_new(&offload->arena, const char *, offload->n_nodes);
    if (!offload->reasons || copy_graph(making) < 0)
        return fail_memory(err);
    offer(making);
    if (making->n_offered == 0)
        return give_up(making, -ENOTSUP, "it has no operator that a delegate computes right", err);
    return make_instance(making, shared, err);
}

/* ---- devices -----------------------------------------------------------------------------------
 */

enum device { DEVICE_AUTO, DEVICE_CPU, DEVICE_TEFLON };

static int find_device(const struct scree_session_options *options, enum device *ret_device,
                       struct scree_error *err)
{
    const char *name = options->device ? options->device : "auto";

    if (strcmp(name, "auto") == 0)
        *ret_device = DEVICE_AUTO;
    else if (strcmp(name, "cpu") == 0)
        *ret_device = DEVICE_CPU;
    else if (strcmp(name, "teflon") == 0)
        *ret_device = DEVICE_TEFLON;
    else
        return scree_fail(err, EINVAL, "no device '%s': auto, cpu and teflon are there", name);
    if (options->require_npu && *ret_device == DEVICE_CPU)
        return scree_fail(err, EINVAL, "the NPU is required, but the device is the CPU");
    if (options->delegate_timeout_ms < 0 || options->delegate_timeout_ms > MAX_TIMEOUT_MS)
        return scree_fail(err, EINVAL, "a delegate's time limit of %d ms: 1 to %d are possible",
                          options->delegate_timeout_ms, MAX_TIMEOUT_MS);
    if (options->check_every > MAX_CHECK_EVERY)
        return scree_fail(err, EINVAL, "to check one run of %u: 1 to %d are possible",
                          options->check_every, MAX_CHECK_EVERY);
    return 0;
}

static bool is_optional(const struct scree_session_options *options, enum device device)
{
    return device == DEVICE_AUTO && !options->require_npu && !options->delegate;
}

int scree_offload_new(struct scree_model *model, const struct scree_session_options *options,
                      struct scree_shared_plan **shared, struct scree_offload **ret_offload,
                      struct scree_error *err)
{
    struct making making = {.model = model, .options = options, .plan = &(*shared)->plan};
    struct scree_offload *offload;
    enum device device = DEVICE_AUTO;
    int rc = find_device(options, &device, err);

    if (rc < 0)
        return rc;
    *ret_offload = NULL;
    if (device == DEVICE_CPU)
        return 0;
    offload = calloc(1, sizeof *offload);
    if (!offload)
        return fail_memory(err);
    making.offload = offload;
    offload->model = model->name;
    making.is_optional = is_optional(options, device);
    offload->is_required = options->require_npu;
    offload->check_every = options->check_every ? options->check_every : CHECK_EVERY;
    scree_arena_init(&offload->arena, MAX_GRAPH_BYTES);
    rc = scree_delegate_open(options->delegate, options->delegate_options,
                             options->n_delegate_options, &offload->delegate, err);
    if (rc >= 0)
        rc = make(&making, shared, err);
    else if (rc != -ENOMEM && making.is_optional)
        rc = 1;
    if (rc != 0) {
        scree_offload_free(offload);
        return rc < 0 ? rc : 0;
    }
    *ret_offload = offload;
    return 0;
}

void scree_offload_free(struct scree_offload *offload)
{
    if (!offload)
        return;
    scree_delegate_instance_free(offload->instance);
    scree_delegate_close(offload->delegate);
    scree_arena_done(&offload->arena);
    free(offload);
}

/* ---- runs --------------------------------------------------------------------------------------
 */

void scree_offload_bind(struct scree_offload *offload, const struct scree_session *session)
{
    struct scree_delegate_instance *instance = offload->instance;

    for (uint32_t i = 0; i < offload->stats.n_parts; i++) {
        const struct scree_part *part = scree_delegate_instance_part(instance, i);

        for (uint32_t k = 0; k < part->n_inputs; k++)
            scree_delegate_bind(instance, part->inputs[k], session->operands[part->inputs[k]].data);
        for (uint32_t k = 0; k < part->n_outputs; k++)
            scree_delegate_bind(instance, part->outputs[k],
                                session->operands[part->outputs[k]].data);
    }
}

static int note_bad_run(struct scree_offload *offload, const char *why, struct scree_error *err)
{
    bool is_gone = scree_delegate_is_gone(offload->instance);

    offload->stats.repeated++;
    if (offload->is_required)
        return scree_fail(err, ENODEV, "%s: %s: a run was no good: %s", offload->delegate->path,
                          offload->model, why);
    (void)snprintf(offload->stats.note, sizeof offload->stats.note,
                   "%s: %s: a run was no good: %s; the CPU did it again%s", offload->delegate->path,
                   offload->model, why, is_gone ? ", and does it all from now on" : "");
    if (++offload->n_bad >= BAD_RUNS) {
        offload->n_bad = 0;
        offload->n_resting = REST_RUNS;
        scree_delegate_renew(offload->instance);
    }
    return SCREE_OFFLOAD_CPU;
}

static void count_end(struct scree_run_stats *stats, enum scree_delegate_end end)
{
    stats->late += end == SCREE_DELEGATE_LATE;
    stats->lost += end == SCREE_DELEGATE_UNTOUCHED || end == SCREE_DELEGATE_STALE ||
                   end == SCREE_DELEGATE_LOST;
    stats->failed += end == SCREE_DELEGATE_FAILED;
    stats->died += end == SCREE_DELEGATE_DIED;
}

static int note_good_run(struct scree_offload *offload)
{
    offload->n_bad = 0;
    offload->stats.verified++;
    return SCREE_OFFLOAD_DONE;
}

/* There is no delegate to run on, for now or for good. */
static int note_fallback(struct scree_offload *offload, struct scree_error *err)
{
    offload->stats.fallbacks++;
    if (!offload->is_required)
        return SCREE_OFFLOAD_CPU;
    return scree_fail(err, ENODEV, "%s: %s: the delegate crashed or hung before%s",
                      offload->delegate->path, offload->model,
                      scree_delegate_is_gone(offload->instance) ? ", time and again"
                                                                : ", and is being started again");
}

int scree_offload_run(struct scree_offload *offload, uint32_t index, struct scree_error *err)
{
    enum scree_delegate_end end;

    offload->stats.runs++;
    if (offload->n_resting > 0 && !offload->is_required) {
        offload->n_resting--;
        offload->stats.fallbacks++;
        return SCREE_OFFLOAD_CPU;
    }
    if (offload->is_required)
        scree_delegate_await(offload->instance);
    end = scree_delegate_run(offload->instance, index);
    if (end != SCREE_DELEGATE_OK && end < SCREE_DELEGATE_DIED && offload->is_required)
        end = scree_delegate_run(offload->instance, index);
    if (end == SCREE_DELEGATE_AWAY)
        return note_fallback(offload, err);
    offload->is_suspect = end == SCREE_DELEGATE_STALE;
    if (offload->is_suspect)
        return SCREE_OFFLOAD_COMPARE;
    if (end != SCREE_DELEGATE_OK) {
        count_end(&offload->stats, end);
        return note_bad_run(offload, scree_delegate_why(offload->instance), err);
    }
    if (offload->n_unchecked[index]-- == 0) {
        offload->n_unchecked[index] = offload->check_every - 1;
        return SCREE_OFFLOAD_COMPARE;
    }
    return note_good_run(offload);
}

/* The CPU's outputs stay in any case: what is left of a picture much like this one is near enough
 * to them to be taken for right. */
static int compare_suspect(struct scree_offload *offload, uint32_t index, struct scree_error *err)
{
    if (scree_delegate_difference(offload->instance, index) > MAX_STEPS) {
        count_end(&offload->stats, SCREE_DELEGATE_STALE);
        return note_bad_run(offload, scree_delegate_why(offload->instance), err);
    }
    scree_delegate_trust(offload->instance, index);
    return note_good_run(offload);
}

int scree_offload_compare(struct scree_offload *offload, uint32_t index, struct scree_error *err)
{
    int steps;
    char why[80];

    if (offload->is_suspect)
        return compare_suspect(offload, index, err);
    steps = scree_delegate_difference(offload->instance, index);
    if (steps > MAX_STEPS) {
        offload->n_unchecked[index] = 0;
        (void)snprintf(why, sizeof why, "it is off the CPU's by up to %d steps", steps);
        return note_bad_run(offload, why, err);
    }
    scree_delegate_restore(offload->instance, index);
    return note_good_run(offload);
}

/* ---- reports -----------------------------------------------------------------------------------
 */

const char *scree_offload_reason(const struct scree_offload *offload, uint32_t index)
{
    return offload->reasons[index] ? offload->reasons[index] : "";
}

void scree_offload_stats(const struct scree_offload *offload, struct scree_run_stats *ret_stats)
{
    *ret_stats = offload->stats;
    ret_stats->device = offload->instance ? offload->delegate->device : "cpu";
    ret_stats->delegate = offload->delegate->path;
}
