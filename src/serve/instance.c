#include "serve/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/rows.h"

/* The most instances that a model on the CPU has if nobody says how many. */
#define MAX_AUTO 4

/* ---- where they run ---- */

/* Where an instance runs: by its matrix products, or, if it has none, by all its operators. */
static enum scree_ran find_device(const struct scree_session *session, uint32_t *ret_npu,
                                  uint32_t *ret_cpu)
{
    uint64_t macs[2] = {0};
    uint32_t nodes[2] = {0};
    struct scree_node_report report;

    for (uint32_t i = 0; scree_session_report(session, i, &report) >= 0; i++) {
        bool is_cpu = strcmp(report.device, "cpu") == 0;

        if (!is_cpu && strcmp(report.device, "none") == 0)
            continue;
        nodes[is_cpu]++;
        macs[is_cpu] += report.macs;
    }
    *ret_npu = nodes[0];
    *ret_cpu = nodes[1];
    if (nodes[0] == 0)
        return SCREE_RAN_CPU;
    return macs[1] > 0 || (macs[0] == 0 && nodes[1] > 0) ? SCREE_RAN_MIXED : SCREE_RAN_NPU;
}

/* ---- sessions ---- */

/* A session of n_rows rows, beside the first one. */
static int open_rows(const struct scree_served *served, const struct scree_instance *instance,
                     const struct scree_session_options *options, uint32_t n_rows,
                     struct scree_session **ret_session, struct scree_error *err)
{
    uint32_t n_inputs = scree_model_n_inputs(served->model);
    struct scree_session_options of_rows = *options;
    struct scree_shape *shapes = calloc(n_inputs + 1, sizeof *shapes);
    int rc;

    if (!shapes)
        return scree_fail_memory(err, n_inputs * sizeof *shapes);
    for (uint32_t i = 0; i < n_inputs; i++) {
        struct scree_tensor input;

        (void)scree_session_input(instance->sessions[0], i, &input);
        shapes[i] = input.shape;
        shapes[i].dims[0] = (int32_t)n_rows;
    }
    of_rows.n_input_shapes = n_inputs;
    of_rows.shapes = shapes;
    rc = scree_session_new_beside(instance->sessions[0], &of_rows, ret_session, err);
    free(shapes);
    if (rc < 0)
        return rc;
    if (scree_session_n_rows(*ret_session) == (int32_t)n_rows)
        return 0;
    scree_session_free(*ret_session);
    *ret_session = NULL;
    return scree_fail(err, ENOTSUP, "an output that does not have a row for each of the inputs'");
}

static void close_rows(struct scree_instance *instance)
{
    for (uint32_t i = 1; i < SCREE_SERVED_MAX_SIZES; i++) {
        scree_session_free(instance->sessions[i]);
        instance->sessions[i] = NULL;
    }
}

/* All sessions but the first. */
static int open_sizes(const struct scree_served *served, struct scree_instance *instance,
                      const struct scree_session_options *options, struct scree_error *err)
{
    int rc = 0;

    for (uint32_t i = 1; rc >= 0 && i < served->n_sizes; i++)
        rc = open_rows(served, instance, options, served->sizes[i], &instance->sessions[i], err);
    return rc;
}

/* A model that is nothing we know still answers requests for tensors. */
static int open_vision(struct scree_served *served, struct scree_instance *instance,
                       const char *side, struct scree_error *err)
{
    const struct scree_vision_options options = {.side_file = side};
    int rc;

    if (served->has_rows)
        scree_session_view_row(instance->sessions[0], 0);
    rc = scree_vision_new(instance->sessions[0], &options, &instance->vision, err);
    if (rc == -ENOTSUP)
        return 0;
    if (rc < 0)
        return rc;
    served->task = scree_vision_task(instance->vision);
    served->head = scree_vision_head(instance->vision);
    served->takes_pictures =
        scree_vision_picture(instance->vision, &served->picture_input, &served->picture, NULL) >= 0;
    return 0;
}

/* Runs all sessions once: a delegate has much to do then. On the CPU an instance has nothing of its
 * own but memory, and what one can do all can. */
static int warm(const struct scree_served *served, struct scree_instance *instance,
                struct scree_error *err)
{
    uint32_t n_npu, n_cpu;
    int rc = 0;

    if (instance != served->instances &&
        find_device(instance->sessions[0], &n_npu, &n_cpu) == SCREE_RAN_CPU)
        return 0;
    for (uint32_t i = 0; rc >= 0 && i < served->n_sizes; i++)
        rc = scree_session_run(instance->sessions[i], err);
    return rc;
}

/* ---- rows that are what they are alone ---- */

/* Numbers that any type of input can have, others for each seed. */
static void fill_tensor(const struct scree_tensor *tensor, uint32_t seed)
{
    size_t width = scree_type_bytes(tensor->type);
    uint8_t *bytes = tensor->data;
    uint32_t state = seed * 2654435761u + 1;

    memset(bytes, 0, tensor->bytes);
    for (size_t i = 0; width > 0 && i < tensor->bytes / width; i++) {
        state = state * 1664525u + 1013904223u;
        if (tensor->type == SCREE_TYPE_FLOAT32)
            ((float *)tensor->data)[i] = (float)(state >> 8) * 0x1p-24f;
        else if (width == 1 && tensor->type != SCREE_TYPE_BOOL)
            bytes[i] = (uint8_t)(state >> 24);
        else /* the low byte: 0 or 1 */
            bytes[i * width] = (uint8_t)(state >> 31);
    }
}

static void fill_row(struct scree_session *session, int32_t row, uint32_t seed)
{
    struct scree_tensor input;

    scree_session_view_row(session, row);
    for (uint32_t i = 0; scree_session_input(session, i, &input) >= 0; i++)
        fill_tensor(&input, seed + i);
}

/* The outputs of a row as one block, u8[n], which is the caller's. NULL without memory. */
static uint8_t *copy_row(struct scree_session *session, int32_t row, size_t *ret_n)
{
    struct scree_tensor output;
    uint8_t *bytes;
    size_t n = 0;

    scree_session_view_row(session, row);
    for (uint32_t i = 0; scree_session_output(session, i, &output) >= 0; i++)
        n += output.bytes;
    bytes = malloc(n + 1);
    *ret_n = n;
    for (uint32_t i = 0; bytes && scree_session_output(session, i, &output) >= 0; i++) {
        memcpy(bytes, output.data, output.bytes);
        bytes += output.bytes;
    }
    return bytes ? bytes - n : NULL;
}

/* Runs a row alone and compares it with what it was among others, u8[n]. Returns 1 if it is the
 * same. */
static int compare_row(const struct scree_served *served, const struct scree_instance *instance,
                       uint32_t seed, const uint8_t *among, size_t n, struct scree_error *err)
{
    struct scree_session *session = instance->sessions[0];
    uint8_t *alone;
    size_t n_alone;
    bool same;
    int rc;

    for (uint32_t i = 1; i < served->sizes[0]; i++)
        fill_row(session, (int32_t)i, 0);
    fill_row(session, 0, seed);
    rc = scree_session_run(session, err);
    if (rc < 0)
        return rc;
    alone = copy_row(session, 0, &n_alone);
    if (!alone)
        return scree_fail_memory(err, n_alone);
    same = n_alone == n && memcmp(alone, among, n) == 0;
    free(alone);
    return same;
}

/* Runs a session with all its rows, of which the first, one in the middle and the last are compared
 * with what they are alone. Returns 1 if they are the same. */
static int try_rows(const struct scree_served *served, const struct scree_instance *instance,
                    uint32_t size, struct scree_error *err)
{
    struct scree_session *session = instance->sessions[size];
    const uint32_t n_rows = served->sizes[size], rows[] = {0, n_rows / 2, n_rows - 1};
    uint8_t *among[3] = {NULL};
    size_t n = 0;
    int rc;

    for (uint32_t i = 0; i < n_rows; i++)
        fill_row(session, (int32_t)i, 100 * (i + 1));
    rc = scree_session_run(session, err);
    for (int i = 0; rc >= 0 && i < 3; i++) {
        among[i] = copy_row(session, (int32_t)rows[i], &n);
        if (!among[i])
            rc = scree_fail_memory(err, n);
    }
    rc = rc < 0 ? rc : 1;
    for (int i = 0; rc > 0 && i < 3; i++)
        rc = compare_row(served, instance, 100 * (rows[i] + 1), among[i], n, err);
    for (int i = 0; i < 3; i++)
        free(among[i]);
    return rc;
}

/* Whether rows may be of several requests. Errors: ENOTSUP (why not), those of runs. */
static int check_rows(const struct scree_served *served, const struct scree_instance *instance,
                      struct scree_error *err)
{
    uint32_t last = served->n_sizes - 1, n_npu, n_cpu;
    int rc = 1;

    if (find_device(instance->sessions[0], &n_npu, &n_cpu) !=
        find_device(instance->sessions[last], &n_npu, &n_cpu))
        return scree_fail(err, ENOTSUP, "the NPU computes a row at a time");
    for (uint32_t i = last > 0 ? 1 : 0; rc > 0 && i <= last; i++)
        rc = try_rows(served, instance, i, err);
    if (rc < 0)
        return rc;
    return rc > 0 ? 0 : scree_fail(err, ENOTSUP, "rows of a batch are not what they are alone");
}

/* ---- batches ---- */

/* 1, 2, 4 ... and the batch itself. */
static void set_sizes(struct scree_served *served, uint32_t batch)
{
    served->n_sizes = 0;
    for (uint32_t n = 1; n < batch; n *= 2)
        served->sizes[served->n_sizes++] = n;
    served->sizes[served->n_sizes++] = batch;
}

static void forget_rows(struct scree_served *served, struct scree_instance *instance)
{
    close_rows(instance);
    if (served->has_rows)
        scree_session_view_row(instance->sessions[0], -1);
    served->has_rows = false;
    served->n_sizes = 1;
    served->sizes[0] = 1;
}

/* Settles the sizes of batches, and opens the first instance's sessions of them. A model that
 * cannot have them is served without, and the reason is noted. */
static int open_batch(struct scree_served *served, struct scree_instance *instance,
                      const struct scree_served_options *options, struct scree_error *err)
{
    uint32_t n_rows = (uint32_t)scree_session_n_rows(instance->sessions[0]);
    struct scree_error why;
    int rc = 0;

    forget_rows(served, instance);
    if (options->batch == 1 || (options->batch == 0 && n_rows <= 1))
        return 0;
    if (n_rows == 0) {
        rc = scree_fail(&why, ENOTSUP, "its inputs and outputs have no rows in common");
    } else if (n_rows > SCREE_SERVED_MAX_BATCH) {
        rc = scree_fail(&why, ENOTSUP, "its file has %u rows, %d are possible", n_rows,
                        SCREE_SERVED_MAX_BATCH);
    } else if (n_rows > 1) {
        served->sizes[0] = n_rows;
    } else {
        set_sizes(served, options->batch);
        rc = open_sizes(served, instance, &options->session, &why);
    }
    if (rc >= 0)
        rc = check_rows(served, instance, &why);
    served->has_rows = rc >= 0;
    if (rc == -ENOMEM)
        return scree_fail(err, ENOMEM, "%s", why.text);
    if (rc < 0) {
        (void)snprintf(served->batch_note, sizeof served->batch_note,
                       "requests do not share runs: %.300s", why.text);
        forget_rows(served, instance);
    }
    return 0;
}

/* ---- instances ---- */

static int open_instance(struct scree_served *served, struct scree_instance *instance,
                         const struct scree_served_options *options, const char *side,
                         struct scree_error *err)
{
    bool is_first = instance == served->instances;
    int rc = scree_session_new(served->model, &options->session, &instance->sessions[0], err);

    if (rc >= 0)
        rc = is_first ? open_batch(served, instance, options, err)
                      : open_sizes(served, instance, &options->session, err);
    if (rc >= 0)
        rc = open_vision(served, instance, side, err);
    return rc >= 0 ? warm(served, instance, err) : rc;
}

/* What all instances have as inputs. */
static int describe_inputs(struct scree_served *served, struct scree_error *err)
{
    const struct scree_session *session = served->instances[0].sessions[0];
    uint32_t n = scree_session_n_inputs(session);

    served->inputs = calloc(n + 1, sizeof *served->inputs);
    if (!served->inputs)
        return scree_fail_memory(err, n * sizeof *served->inputs);
    for (uint32_t i = 0; i < n; i++) {
        (void)scree_session_input(session, i, &served->inputs[i]);
        served->inputs[i].data = NULL;
    }
    return 0;
}

/* How many instances there are to be, of which the first is open. */
static uint32_t count_instances(const struct scree_served *served,
                                const struct scree_served_options *options)
{
    const struct scree_session *session = served->instances[0].sessions[0];
    uint32_t n_npu, n_cpu, n_threads = (uint32_t)scree_session_n_threads(session);

    if (options->n_instances > 0)
        return options->n_instances;
    if (find_device(session, &n_npu, &n_cpu) != SCREE_RAN_CPU)
        return options->n_cores > 1 ? options->n_cores : 1;
    return n_threads < MAX_AUTO ? n_threads : MAX_AUTO;
}

/* Adds what one session takes and what its delegate says. */
static void tell_session(struct scree_served *served, const struct scree_session *session,
                         bool is_first)
{
    struct scree_memory memory = {0};
    struct scree_run_stats stats;

    scree_session_memory(session, &memory);
    served->n_bytes += memory.arena_bytes;
    if (is_first) /* of one shape, which the others share */
        served->n_bytes += memory.constants_bytes;
    scree_session_stats(session, &stats);
    if (stats.delegate)
        (void)snprintf(served->delegate, sizeof served->delegate, "%s", stats.delegate);
    if (stats.note[0])
        (void)snprintf(served->note, sizeof served->note, "%s", stats.note);
}

/* Settles what all instances together are. */
static void tell_all(struct scree_served *served)
{
    for (uint32_t i = 0; i < served->n_instances; i++) {
        struct scree_instance *instance = &served->instances[i];

        instance->ran =
            find_device(instance->sessions[0], &served->n_npu_nodes, &served->n_cpu_nodes);
        served->ran = i == 0 || served->ran == instance->ran ? instance->ran : SCREE_RAN_MIXED;
        for (uint32_t k = 0; k < served->n_sizes; k++)
            tell_session(served, instance->sessions[k], i == 0);
    }
}

/* How many requests are at work: those of all instances, and those whose pictures are decoded
 * meanwhile for the next run. A crew works on each to its end: as many more, if it is as large. */
static uint32_t count_stages(const struct scree_served *served, uint32_t batch)
{
    uint32_t n = served->n_instances, n_processors = served->decoders->n_things;

    if (!served->crew)
        n += batch;
    else if (n < n_processors)
        n = 2 * n < n_processors ? 2 * n : n_processors;
    return n < SCREE_TURNS_MAX_THINGS ? n : SCREE_TURNS_MAX_THINGS;
}

/* A crew is for who keeps a processor busy, and does not wait for others' rows. */
static bool can_have_crew(const struct scree_served *served)
{
    uint32_t n_npu, n_cpu;

    return !served->has_rows &&
           find_device(served->instances[0].sessions[0], &n_npu, &n_cpu) == SCREE_RAN_CPU;
}

int scree_instances_open(struct scree_served *served, const struct scree_served_options *options,
                         const char *side, struct scree_error *err)
{
    struct scree_instance *all;
    int rc = open_instance(served, &served->instances[0], options, side, err);
    uint32_t n, batch;

    if (rc >= 0)
        rc = describe_inputs(served, err);
    if (rc < 0)
        return rc;
    n = count_instances(served, options);
    all = realloc(served->instances, n * sizeof *all);
    if (!all)
        return scree_fail_memory(err, n * sizeof *all);
    memset(all + 1, 0, (n - 1) * sizeof *all);
    served->instances = all;
    served->n_instances = n;
    for (uint32_t i = 1; rc >= 0 && i < n; i++)
        rc = open_instance(served, &all[i], options, side, err);
    batch = served->sizes[served->n_sizes - 1];
    if (!can_have_crew(served))
        served->crew = NULL;
    scree_turns_resize(&served->turns, n);
    scree_turns_resize(&served->stages, count_stages(served, batch));
    /* Who has a stage is never sent away from the line for an instance. */
    served->turns.max_waiting = options->max_waiting + batch;
    if (rc >= 0)
        tell_all(served);
    return rc;
}

void scree_instances_close(struct scree_served *served)
{
    for (uint32_t i = 0; served->instances && i < served->n_instances; i++) {
        scree_vision_free(served->instances[i].vision);
        close_rows(&served->instances[i]);
        scree_session_free(served->instances[i].sessions[0]);
    }
    free(served->instances);
    free(served->inputs);
}
