#include "serve/served.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/file.h"

#define SIDE_ENDING ".json"

/* The most instances that a model on the CPU has if nobody says how many. */
#define MAX_AUTO 4

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The time since *since, which becomes now. */
static uint64_t lap(uint64_t *since)
{
    uint64_t now = now_ns(CLOCK_MONOTONIC), passed = now - *since;

    *since = now;
    return passed;
}

/* ---- loading ---- */

/* The side file of a model if it is there: PATH.json. */
static char *find_side_file(const char *path)
{
    size_t n = strlen(path);
    char *side = malloc(n + sizeof SIDE_ENDING);

    if (!side)
        return NULL;
    memcpy(side, path, n);
    memcpy(side + n, SIDE_ENDING, sizeof SIDE_ENDING);
    if (access(side, R_OK) == 0)
        return side;
    free(side);
    return NULL;
}

/* A model that is nothing we know still answers requests for tensors. */
static int open_vision(struct scree_served *served, struct scree_instance *instance,
                       const char *side, struct scree_error *err)
{
    const struct scree_vision_options options = {.side_file = side};
    int rc = scree_vision_new(instance->session, &options, &instance->vision, err);

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

static int open_instance(struct scree_served *served, struct scree_instance *instance,
                         const struct scree_served_options *options, const char *side,
                         struct scree_error *err)
{
    int rc = scree_session_new(served->model, &options->session, &instance->session, err);

    if (rc >= 0)
        rc = open_vision(served, instance, side, err);
    return rc >= 0 ? scree_session_run(instance->session, err) : rc;
}

const char *scree_ran_name(enum scree_ran ran)
{
    static const char *const names[] = {"cpu", "npu", "mixed"};

    return names[ran];
}

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

/* How many instances there are to be, of which the first is open. */
static uint32_t count_instances(const struct scree_served *served,
                                const struct scree_served_options *options)
{
    const struct scree_session *session = served->instances[0].session;
    uint32_t n_npu, n_cpu, n_threads = (uint32_t)scree_session_n_threads(session);

    if (options->n_instances > 0)
        return options->n_instances;
    if (find_device(session, &n_npu, &n_cpu) != SCREE_RAN_CPU)
        return options->n_cores > 1 ? options->n_cores : 1;
    return n_threads < MAX_AUTO ? n_threads : MAX_AUTO;
}

static int open_instances(struct scree_served *served, const struct scree_served_options *options,
                          const char *side, struct scree_error *err)
{
    struct scree_instance *all;
    int rc = open_instance(served, &served->instances[0], options, side, err);
    uint32_t n;

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
    scree_turns_resize(&served->turns, n);
    scree_turns_resize(&served->stages, n + 1);
    return rc;
}

/* Settles what all instances together are. */
static void tell_device(struct scree_served *served)
{
    struct scree_run_stats stats;
    struct scree_memory memory = {0};
    size_t n_bytes = 0;

    for (uint32_t i = 0; i < served->n_instances; i++) {
        struct scree_instance *instance = &served->instances[i];

        instance->ran = find_device(instance->session, &served->n_npu_nodes, &served->n_cpu_nodes);
        served->ran = i == 0 || served->ran == instance->ran ? instance->ran : SCREE_RAN_MIXED;
        scree_session_memory(instance->session, &memory);
        n_bytes += memory.arena_bytes;
        scree_session_stats(instance->session, &stats);
        if (stats.delegate)
            (void)snprintf(served->delegate, sizeof served->delegate, "%s", stats.delegate);
        if (stats.note[0])
            (void)snprintf(served->note, sizeof served->note, "%s", stats.note);
    }
    served->n_bytes += n_bytes + memory.constants_bytes;
}

/* What the file is, and how long. */
static int tell_file(struct scree_served *served, const char *path, struct scree_error *err)
{
    struct scree_mapped file;
    struct sha256_ctx sha;
    int rc = scree_mapped_open(path, &file, err);

    if (rc < 0)
        return rc;
    sha256_init(&sha);
    sha256_update(&sha, file.n_bytes, file.bytes);
    scree_sha256_text(&sha, served->sha256);
    served->n_bytes = file.n_bytes;
    scree_mapped_done(&file);
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
    struct scree_tensor input;

    if (!served->takes_pictures ||
        scree_session_input(served->instances[0].session, served->picture_input, &input) < 0 ||
        input.shape.rank < 3)
        return 0;
    return scree_max_i32(input.shape.dims[input.shape.rank - 3],
                         input.shape.dims[input.shape.rank - 2]);
}

static int load(struct scree_served *served, const struct scree_served_options *options,
                struct scree_error *err)
{
    char *side = find_side_file(options->path);
    int rc = scree_model_open(options->path, &served->model, err);

    if (rc >= 0)
        rc = tell_file(served, options->path, err);
    if (rc >= 0)
        rc = open_instances(served, options, side, err);
    if (rc >= 0)
        rc = open_labels(served, options->labels, err);
    if (rc >= 0)
        tell_device(served);
    if (rc >= 0 && options->fast)
        served->enough = longer_side(served);
    free(side);
    return rc;
}

int scree_served_new(const struct scree_served_options *options, struct scree_served **ret_served,
                     struct scree_error *err)
{
    struct scree_served *served = calloc(1, sizeof *served);
    uint64_t start = now_ns(CLOCK_MONOTONIC);
    int rc;

    if (!served)
        return scree_fail_memory(err, sizeof *served);
    atomic_init(&served->n_refs, 1);
    scree_turns_init(&served->turns, 1, options->max_waiting + 1);
    scree_turns_init(&served->stages, 2, options->max_waiting);
    served->n_instances = 1;
    served->decoders = options->decoders;
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
    served->load_ns = lap(&start);
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
    for (uint32_t i = 0; served->instances && i < served->n_instances; i++) {
        scree_vision_free(served->instances[i].vision);
        scree_session_free(served->instances[i].session);
    }
    scree_turns_done(&served->stages);
    scree_turns_done(&served->turns);
    scree_labels_free(served->labels);
    scree_model_unref(served->model);
    free(served->instances);
    free(served->name);
    free(served->version);
    free(served);
}

/* ---- counting ---- */

static void count(struct scree_served *served, int rc, const struct scree_times *times,
                  uint64_t total_ns)
{
    struct scree_served_stats *stats = &served->stats;

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
    stats->last_ms = now_ns(CLOCK_REALTIME) / 1000000u;
}

/* ---- runs ---- */

/* Runs an instance and tells where, as the delegate's checks found it. */
static int run(struct scree_served *served, struct scree_instance *instance,
               struct scree_times *times, struct scree_error *err)
{
    uint64_t start = now_ns(CLOCK_MONOTONIC);
    struct scree_run_stats before, after;
    int rc;

    scree_session_stats(instance->session, &before);
    scree_session_use_threads(instance->session, scree_session_n_threads(instance->session) /
                                                     (int)atomic_load(served->n_at_work));
    rc = scree_session_run(instance->session, err);
    scree_session_stats(instance->session, &after);
    instance->busy_ns += lap(&start);
    served->stats.n_repeated += after.repeated - before.repeated;
    served->stats.n_rested += after.fallbacks - before.fallbacks;
    served->stats.n_late += after.late - before.late;
    served->stats.n_lost += after.lost - before.lost;
    served->stats.n_gave_up += after.failed - before.failed;
    served->stats.n_died += after.died - before.died;
    if (after.verified - before.verified == after.runs - before.runs)
        times->ran = instance->ran;
    else
        times->ran = after.verified == before.verified ? SCREE_RAN_CPU : SCREE_RAN_MIXED;
    return rc;
}

/* ---- pictures ---- */

/* A request on its way. */
struct look {
    struct scree_served *served;
    const struct scree_ask *ask;
    struct scree_answer *answer;
    struct scree_fit fit;
    uint64_t clock; /* when the stage began */
};

static int open_image(const struct scree_served *served, const struct scree_ask *ask,
                      int32_t enough, struct scree_image **ret_image, struct scree_error *err)
{
    struct scree_image_options options = served->image;
    struct scree_image *image = calloc(1, sizeof *image);
    int rc;

    if (!image)
        return scree_fail_memory(err, sizeof *image);
    options.orient = ask->upright;
    options.enough = enough;
    rc = scree_image_read(ask->bytes, ask->n, &options, image, err);
    if (rc < 0) {
        free(image);
        return rc;
    }
    *ret_image = image;
    return 0;
}

/* Decodes a picture file when it is its turn, not below `enough` pixels a side (0: whole). */
static int decode_file(const struct scree_served *served, const struct scree_ask *ask,
                       int32_t enough, struct scree_times *times, struct scree_image **ret_image,
                       struct scree_error *err)
{
    uint64_t clock = now_ns(CLOCK_MONOTONIC);
    uint32_t decoder;
    int rc = scree_turns_take(served->decoders, ask->priority, ask->deadline_ns, &decoder, err);

    if (rc < 0)
        return rc;
    times->queue_ns += lap(&clock);
    rc = open_image(served, ask, enough, ret_image, err);
    scree_turns_give(served->decoders, decoder);
    times->decode_ns += lap(&clock);
    return rc;
}

int scree_served_decode(struct scree_served *served, enum scree_priority priority,
                        uint64_t deadline_ns, const uint8_t *bytes, size_t n, bool upright,
                        struct scree_times *times, struct scree_image **ret_image,
                        struct scree_error *err)
{
    const struct scree_ask ask = {.bytes = bytes,
                                  .n = n,
                                  .upright = upright,
                                  .priority = priority,
                                  .deadline_ns = deadline_ns};

    return decode_file(served, &ask, 0, times, ret_image, err);
}

/* answer->w and h are the file's size, however small it is decoded. */
static int decode(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_answer *answer = look->answer;
    struct scree_image_info info;
    bool turned;
    int rc = scree_image_probe(ask->bytes, ask->n, &info, err);

    if (rc >= 0)
        rc = decode_file(look->served, ask, ask->keep_image ? 0 : look->served->enough,
                         &answer->times, &answer->image, err);
    (void)lap(&look->clock);
    if (rc < 0)
        return rc;
    turned = ask->upright && info.orientation >= 5;
    answer->w = turned ? info.h : info.w;
    answer->h = turned ? info.w : info.h;
    return 0;
}

/* n things of `size` for the answer; at least one byte, so that NULL means no memory. */
static void *answer_memory(size_t n, size_t size, struct scree_error *err)
{
    void *memory = calloc(n ? n : 1, size);

    if (!memory)
        (void)scree_fail_memory(err, n * size);
    return memory;
}

static int read_answer(struct look *look, const struct scree_instance *instance,
                       struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    const struct scree_detect_options options = {.threshold = ask->threshold, .iou = ask->iou};
    struct scree_answer *answer = look->answer;
    size_t max = ask->max;

    switch (answer->task) {
    case SCREE_TASK_CLASSIFY:
        answer->classes = answer_memory(max, sizeof *answer->classes, err);
        return !answer->classes ? -ENOMEM
                                : scree_classify(instance->vision, instance->session, ask->max,
                                                 answer->classes, err);
    case SCREE_TASK_DETECT:
        answer->detections = answer_memory(max, sizeof *answer->detections, err);
        return !answer->detections ? -ENOMEM
                                   : scree_detect(instance->vision, instance->session, &look->fit,
                                                  &options, ask->max, answer->detections, err);
    case SCREE_TASK_POSE:
        max = max > 100 ? 100 : max;
        answer->poses = answer_memory(max, sizeof *answer->poses, err);
        return !answer->poses ? -ENOMEM
                              : scree_pose(instance->vision, instance->session, &look->fit,
                                           &options, (uint32_t)max, answer->poses, err);
    default:
        answer->mask = answer_memory((size_t)answer->w * (size_t)answer->h, 1, err);
        return !answer->mask ? -ENOMEM
                             : scree_segment(instance->vision, instance->session, &look->fit,
                                             answer->w, answer->h, answer->mask, err);
    }
}

/* The picture's pixels are there, or a file that has them. */
static int open_picture(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;

    if (!ask->image)
        return decode(look, err);
    look->answer->w = ask->image->w;
    look->answer->h = ask->image->h;
    return 0;
}

static int32_t scale(int32_t x, int32_t to, int32_t from)
{
    return (int32_t)((int64_t)x * to / from);
}

/* Where the picture went, in pixels of the file's and not of the smaller one that was decoded. */
static void scale_fit(struct scree_fit *fit, const struct scree_image *image, int32_t w, int32_t h)
{
    struct scree_rect *src = &fit->src;
    int32_t right = scale(src->x + src->w, w, image->w),
            bottom = scale(src->y + src->h, h, image->h);

    src->x = scale(src->x, w, image->w);
    src->y = scale(src->y, h, image->h);
    src->w = right - src->x;
    src->h = bottom - src->y;
}

/* The picture becomes the input of an instance. */
static int set_picture(struct look *look, struct scree_instance *instance, struct scree_error *err)
{
    struct scree_served *served = look->served;
    struct scree_answer *answer = look->answer;
    const struct scree_image *image = look->ask->image ? look->ask->image : answer->image;
    int rc = scree_session_set_image(instance->session, served->picture_input, image,
                                     &served->picture, &look->fit, err);

    if (rc >= 0)
        scale_fit(&look->fit, image, answer->w, answer->h);
    answer->times.preprocess_ns = lap(&look->clock);
    if (rc < 0)
        return rc;
    if (!look->ask->keep_image) {
        /* A picture is often larger than all that the model needs. */
        scree_image_free(answer->image);
        answer->image = NULL;
    }
    return 0;
}

static int compute(struct look *look, struct scree_instance *instance, struct scree_error *err)
{
    struct scree_answer *answer = look->answer;
    int rc = run(look->served, instance, &answer->times, err);

    answer->times.compute_ns = lap(&look->clock);
    if (rc < 0)
        return rc;
    rc = read_answer(look, instance, err);
    answer->times.postprocess_ns = lap(&look->clock);
    answer->n = rc < 0 ? 0 : (uint32_t)rc;
    return rc;
}

/* Whether it makes sense to go on. */
static int still_wanted(const struct scree_ask *ask, struct scree_error *err)
{
    if (now_ns(CLOCK_MONOTONIC) >= ask->deadline_ns)
        return scree_fail(err, ETIMEDOUT, "the deadline passed before the model could run");
    if (ask->is_gone && ask->is_gone(ask->context))
        return scree_fail(err, EAGAIN, "the client has gone away");
    return 0;
}

/* With a stage: the picture is decoded, and an instance computes. */
static int work(struct look *look, uint32_t stage, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_served *served = look->served;
    struct scree_answer *answer = look->answer;
    int rc = open_picture(look, err);

    if (rc >= 0)
        rc = scree_turns_take(&served->turns, ask->priority, ask->deadline_ns, &answer->instance,
                              err);
    if (rc < 0) {
        scree_turns_give(&served->stages, stage);
        return rc;
    }
    answer->times.queue_ns += lap(&look->clock);
    rc = still_wanted(ask, err);
    if (rc >= 0)
        rc = set_picture(look, &served->instances[answer->instance], err);
    scree_turns_give(&served->stages, stage);
    if (rc >= 0)
        rc = compute(look, &served->instances[answer->instance], err);
    scree_turns_give(&served->turns, answer->instance);
    return rc;
}

static int look_at(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_served *served = look->served;
    uint32_t stage;
    int rc;

    if (!served->takes_pictures)
        return scree_fail(err, ENOTSUP, "model %s is not for pictures", served->name);
    rc = scree_turns_take(&served->stages, ask->priority, ask->deadline_ns, &stage, err);
    if (rc < 0)
        return rc;
    look->answer->times.queue_ns += lap(&look->clock);
    atomic_fetch_add(served->n_at_work, 1);
    rc = work(look, stage, err);
    atomic_fetch_sub(served->n_at_work, 1);
    return rc;
}

int scree_served_look(struct scree_served *served, const struct scree_ask *ask,
                      struct scree_answer *ret_answer, struct scree_error *err)
{
    uint64_t start = now_ns(CLOCK_MONOTONIC);
    struct scree_answer answer = {.task = served->task};
    struct look look = {.served = served, .ask = ask, .answer = &answer, .clock = start};
    int rc = look_at(&look, err);

    count(served, rc, &answer.times, lap(&start));
    if (rc < 0) {
        scree_answer_done(&answer);
        return rc;
    }
    *ret_answer = answer;
    return 0;
}

void scree_answer_done(struct scree_answer *answer)
{
    scree_image_free(answer->image);
    free(answer->classes);
    free(answer->detections);
    free(answer->poses);
    free(answer->mask);
    *answer = (struct scree_answer){0};
}

void scree_served_count(struct scree_served *served, uint32_t *ret_waiting, uint32_t *ret_busy)
{
    uint32_t staged, stages;

    scree_turns_count(&served->turns, ret_waiting, ret_busy);
    scree_turns_count(&served->stages, &staged, &stages);
    *ret_waiting += staged;
}

/* ---- tensors ---- */

int scree_served_input(const struct scree_served *served, uint32_t index,
                       struct scree_tensor *ret_tensor)
{
    int rc = scree_session_input(served->instances[0].session, index, ret_tensor);

    if (rc >= 0)
        ret_tensor->data = NULL;
    return rc;
}

static int run_tensors(struct scree_served *served, struct scree_instance *instance,
                       const struct scree_tensor_ask *ask, struct scree_times *times,
                       struct scree_error *err)
{
    struct scree_session *session = instance->session;
    uint64_t clock = now_ns(CLOCK_MONOTONIC);
    int rc;

    if (clock >= ask->deadline_ns)
        return scree_fail(err, ETIMEDOUT, "the deadline passed before the model could run");
    if (ask->is_gone && ask->is_gone(ask->context))
        return scree_fail(err, EAGAIN, "the client has gone away");
    rc = ask->fill(ask->context, session, err);
    times->preprocess_ns = lap(&clock);
    if (rc >= 0)
        rc = run(served, instance, times, err);
    times->compute_ns = lap(&clock);
    if (rc >= 0)
        rc = ask->take(ask->context, session, err);
    times->postprocess_ns = lap(&clock);
    return rc;
}

int scree_served_run(struct scree_served *served, const struct scree_tensor_ask *ask,
                     struct scree_times *ret_times, struct scree_error *err)
{
    uint64_t start = now_ns(CLOCK_MONOTONIC), clock = start;
    struct scree_times times = {0};
    uint32_t index;
    int rc = scree_turns_take(&served->turns, ask->priority, ask->deadline_ns, &index, err);

    times.queue_ns = lap(&clock);
    if (rc >= 0) {
        atomic_fetch_add(served->n_at_work, 1);
        rc = run_tensors(served, &served->instances[index], ask, &times, err);
        atomic_fetch_sub(served->n_at_work, 1);
        scree_turns_give(&served->turns, index);
    }
    count(served, rc, &times, lap(&start));
    if (rc >= 0)
        *ret_times = times;
    return rc;
}
