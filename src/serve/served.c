#include "serve/served.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/file.h"
#include "serve/batch.h"
#include "serve/instance.h"

/* ---- loading ---- */

/* The side file of a model if it is there: PATH.json. */
static char *find_side_file(const char *path)
{
    size_t n = strlen(path);
    char *side = malloc(n + sizeof SCREE_SIDE_ENDING);

    if (!side)
        return NULL;
    memcpy(side, path, n);
    memcpy(side + n, SCREE_SIDE_ENDING, sizeof SCREE_SIDE_ENDING);
    if (access(side, R_OK) == 0)
        return side;
    free(side);
    return NULL;
}

const char *scree_ran_name(enum scree_ran ran)
{
    static const char *const names[] = {"cpu", "npu", "mixed"};

    return names[ran];
}

/* What the file is, and how long; found out while the model is being planned. */
struct digest {
    const char *path;
    pthread_t thread;
    bool has_thread;
    char text[SCREE_SHA256_TEXT];
    size_t n_bytes;
    int rc;
    struct scree_error err;
};

static void *make_digest(void *context)
{
    struct digest *digest = context;
    struct scree_mapped file;
    struct sha256_ctx sha;

    digest->rc = scree_mapped_open(digest->path, &file, &digest->err);
    if (digest->rc < 0)
        return NULL;
    sha256_init(&sha);
    sha256_update(&sha, file.n_bytes, file.bytes);
    scree_sha256_text(&sha, digest->text);
    digest->n_bytes = file.n_bytes;
    scree_mapped_done(&file);
    return NULL;
}

static void begin_digest(struct digest *digest, const char *path)
{
    *digest = (struct digest){.path = path};
    digest->has_thread = pthread_create(&digest->thread, NULL, make_digest, digest) == 0;
}

static int end_digest(struct digest *digest, struct scree_served *served, struct scree_error *err)
{
    if (digest->has_thread)
        (void)pthread_join(digest->thread, NULL);
    else
        (void)make_digest(digest);
    if (digest->rc < 0)
        return scree_fail(err, -digest->rc, "%s", digest->err.text);
    memcpy(served->sha256, digest->text, sizeof digest->text);
    served->n_bytes += digest->n_bytes;
    return 0;
}

static int open_labels(struct scree_served *served, const char *name, struct scree_error *err)
{
    struct scree_vision *vision = served->instances[0].vision;
    int rc;

    if (!name && vision) {
        rc = scree_vision_labels(vision, served->model, &served->labels, err);
        return rc == -ENOENT ? 0 : rc;
    }
    if (!name)
        return 0;
    rc = scree_labels_builtin(name, &served->labels, err);
    if (rc == -ENOENT)
        rc = scree_labels_open(name, &served->labels, err);
    if (rc >= 0 && vision)
        scree_vision_align(vision, served->labels);
    return rc;
}

/* The pixels that a picture needs to have for the model to see all that it can. */
static int32_t longer_side(const struct scree_served *served)
{
    const struct scree_shape *shape;

    if (!served->takes_pictures)
        return 0;
    shape = &served->inputs[served->picture_input].shape;
    return shape->rank < 3
               ? 0
               : scree_max_i32(shape->dims[shape->rank - 3], shape->dims[shape->rank - 2]);
}

static int load(struct scree_served *served, const struct scree_served_options *options,
                struct scree_error *err)
{
    char *side = find_side_file(options->path);
    struct digest digest;
    int rc = scree_model_open(options->path, &served->model, err);

    if (rc >= 0) {
        struct scree_error why;
        int digest_rc;

        begin_digest(&digest, options->path);
        rc = scree_instances_open(served, options, side, err);
        digest_rc = end_digest(&digest, served, &why);
        if (rc >= 0 && digest_rc < 0)
            rc = scree_fail(err, -digest_rc, "%s", why.text);
    }
    if (rc >= 0)
        rc = open_labels(served, options->labels, err);
    if (rc >= 0 && options->fast)
        served->enough = longer_side(served);
    free(side);
    return rc;
}

int scree_served_new(const struct scree_served_options *options, struct scree_served **ret_served,
                     struct scree_error *err)
{
    struct scree_served *served = calloc(1, sizeof *served);
    uint64_t start = scree_now_ns();
    int rc;

    if (!served)
        return scree_fail_memory(err, sizeof *served);
    atomic_init(&served->n_refs, 1);
    scree_turns_init(&served->turns, 1, options->max_waiting + 1);
    scree_turns_init(&served->stages, 2, options->max_waiting);
    served->n_instances = 1;
    served->batch_delay_ns = (uint64_t)options->batch_delay_us * 1000;
    served->metrics = options->metrics;
    served->decoders = options->decoders;
    served->crew = options->crew;
    served->image = options->image;
    served->deadline_ms = options->deadline_ms;
    served->n_at_work = options->n_at_work;
    served->head = "";
    served->name = strdup(options->name);
    served->version = strdup(options->version);
    served->instances = calloc(1, sizeof *served->instances);
    if (served->name && served->version && served->instances)
        rc = load(served, options, err);
    else
        rc = scree_fail(err, ENOMEM, "no memory for a model");
    if (rc < 0) {
        scree_served_unref(served);
        return rc;
    }
    served->load_ns = scree_lap_ns(&start);
    *ret_served = served;
    return 0;
}

struct scree_served *scree_served_ref(struct scree_served *served)
{
    atomic_fetch_add(&served->n_refs, 1);
    return served;
}

void scree_served_unref(struct scree_served *served)
{
    if (!served || atomic_fetch_sub(&served->n_refs, 1) > 1)
        return;
    scree_instances_close(served);
    scree_turns_done(&served->stages);
    scree_turns_done(&served->turns);
    scree_labels_free(served->labels);
    scree_model_unref(served->model);
    free(served->name);
    free(served->version);
    free(served);
}

/* ---- counting ---- */

void scree_served_note(struct scree_served *served, int rc, const struct scree_times *times,
                       uint64_t total_ns)
{
    struct scree_served_stats *stats = &served->stats;
    struct timespec now;

    if (rc < 0) {
        stats->n_failed++;
        stats->failed_ns += total_ns;
        return;
    }
    stats->n_ok++;
    stats->ok_ns += total_ns;
    stats->queue_ns += times->queue_ns;
    stats->decode_ns += times->decode_ns;
    stats->preprocess_ns += times->preprocess_ns;
    stats->compute_ns += times->compute_ns;
    stats->postprocess_ns += times->postprocess_ns;
    clock_gettime(CLOCK_REALTIME, &now);
    stats->last_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void scree_served_count(struct scree_served *served, uint32_t *ret_waiting, uint32_t *ret_busy)
{
    uint32_t staged, stages;

    scree_turns_count(&served->turns, ret_waiting, ret_busy);
    scree_turns_count(&served->stages, &staged, &stages);
    *ret_waiting += staged;
}

/* ---- tensors ---- */

uint32_t scree_served_batch(const struct scree_served *served)
{
    return served->has_rows ? served->sizes[served->n_sizes - 1] : 0;
}

int scree_served_input(const struct scree_served *served, uint32_t index,
                       struct scree_tensor *ret_tensor)
{
    if (index >= scree_model_n_inputs(served->model))
        return -EINVAL;
    *ret_tensor = served->inputs[index];
    return 0;
}

static int take_tensors(void *context, uint32_t row, struct scree_instance *instance,
                        const struct scree_session *session, struct scree_error *err)
{
    const struct scree_tensor_ask *ask = context;

    (void)instance;
    return ask->take(ask->context, row, session, err);
}

static int fill_tensors(void *context, uint32_t row, struct scree_session *session,
                        struct scree_error *err)
{
    const struct scree_tensor_ask *ask = context;

    return ask->fill(ask->context, row, session, err);
}

/* A request for tensors on its way. */
struct run {
    struct scree_turn_work work; /* first: what the crew gets is the run */
    struct scree_served *served;
    struct scree_batch_member member;
    int rc;
};

static void run_on_crew(struct scree_turn_work *work)
{
    struct run *run = (struct run *)work;

    run->rc = scree_batch_run(run->served, &run->member);
}

int scree_served_run(struct scree_served *served, const struct scree_tensor_ask *ask,
                     struct scree_times *ret_times, struct scree_error *err)
{
    uint64_t start = scree_now_ns();
    struct scree_times times = {0};
    struct run run = {
        .work.run = run_on_crew,
        .served = served,
        .member =
            {
                .priority = ask->priority,
                .n_rows = ask->n_rows,
                .deadline_ns = ask->deadline_ns,
                .is_gone = ask->is_gone,
                .gone_context = ask->context,
                .fill = fill_tensors,
                .take = take_tensors,
                .context = (void *)(uintptr_t)ask,
                .times = &times,
                .err = err,
                .clock = start,
            },
    };
    int rc;

    if (served->crew) {
        rc = scree_turns_work(&served->stages, served->crew, ask->priority, ask->deadline_ns,
                              &run.work, err);
        rc = rc < 0 ? rc : run.rc;
    } else {
        rc = scree_batch_run(served, &run.member);
    }
    scree_served_note(served, rc, &times, scree_lap_ns(&start));
    if (rc >= 0)
        *ret_times = times;
    return rc;
}
