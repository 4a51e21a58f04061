#include "serve/served.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/file.h"
#include "serve/batch.h"
#include "serve/instance.h"
#include "vision/tensor.h"

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
    uint64_t start = now_ns(CLOCK_MONOTONIC);
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

/* ---- pictures ---- */

/* A request on its way. */
struct look {
    struct scree_turn_work work; /* first: what the crew gets is the look */
    struct scree_served *served;
    const struct scree_ask *ask;
    struct scree_answer *answer;
    struct scree_fit fit;
    uint8_t *input; /* what the model sees of the picture */
    uint32_t stage;
    bool has_stage; /* that it gives back itself */
    uint64_t clock; /* when the stage began */
    struct scree_error *err;
    int rc;
};

static void leave_stage(struct look *look)
{
    if (look->has_stage)
        scree_turns_give(&look->served->stages, look->stage);
    look->has_stage = false;
}

/* answer->w and h are the file's size, however small it is decoded. */
static int open_image(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_answer *answer = look->answer;
    struct scree_image_options options = look->served->image;
    struct scree_image *image = calloc(1, sizeof *image);
    struct scree_image_info info;
    bool turned;
    int rc = image ? scree_image_probe(ask->bytes, ask->n, &info, err)
                   : scree_fail_memory(err, sizeof *image);

    options.orient = ask->upright;
    options.enough = ask->keep_image ? 0 : look->served->enough;
    if (rc >= 0)
        rc = scree_image_read(ask->bytes, ask->n, &options, image, err);
    if (rc < 0) {
        free(image);
        return rc;
    }
    turned = ask->upright && info.orientation >= 5;
    answer->w = turned ? info.h : info.w;
    answer->h = turned ? info.w : info.h;
    answer->image = image;
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

/* The picture becomes the bytes of an input. */
static int make_input(struct look *look, const struct scree_image *image, struct scree_error *err)
{
    const struct scree_served *served = look->served;
    struct scree_tensor input = served->inputs[served->picture_input];
    int rc;

    look->input = malloc(input.bytes);
    if (!look->input)
        return scree_fail_memory(err, input.bytes);
    input.data = look->input;
    rc = scree_tensor_set_image(&input, image, &served->picture, &look->fit, err);
    if (rc >= 0)
        scale_fit(&look->fit, image, look->answer->w, look->answer->h);
    look->answer->times.preprocess_ns += lap(&look->clock);
    return rc;
}

/* Decodes a picture file and makes an input of it, when it is its turn: processors are few. */
static int open_file(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_served *served = look->served;
    struct scree_answer *answer = look->answer;
    uint32_t decoder;
    int rc = scree_turns_take(served->decoders, ask->priority, ask->deadline_ns, &decoder, err);

    answer->times.queue_ns += lap(&look->clock);
    if (rc < 0)
        return rc;
    atomic_fetch_add(served->n_at_work, 1);
    rc = open_image(look, err);
    answer->times.decode_ns += lap(&look->clock);
    if (rc >= 0)
        rc = make_input(look, answer->image, err);
    atomic_fetch_sub(served->n_at_work, 1);
    scree_turns_give(served->decoders, decoder);
    if (!ask->keep_image) {
        /* A picture is often larger than all that the model needs. */
        scree_image_free(answer->image);
        answer->image = NULL;
    }
    return rc;
}

/* The picture's pixels are there, or a file that has them. */
static int open_picture(struct look *look, struct scree_error *err)
{
    const struct scree_image *image = look->ask->image;

    if (!image)
        return open_file(look, err);
    look->answer->w = image->w;
    look->answer->h = image->h;
    return make_input(look, image, err);
}

int scree_served_prepare(struct scree_served *served, enum scree_priority priority,
                         uint64_t deadline_ns, const uint8_t *bytes, size_t n,
                         struct scree_times *times, uint8_t **ret_input, struct scree_error *err)
{
    const struct scree_ask ask = {
        .bytes = bytes, .n = n, .priority = priority, .deadline_ns = deadline_ns};
    struct scree_answer answer = {.times = *times};
    struct look look = {
        .served = served, .ask = &ask, .answer = &answer, .clock = now_ns(CLOCK_MONOTONIC)};
    int rc = open_file(&look, err);

    *times = answer.times;
    if (rc < 0) {
        free(look.input);
        return rc;
    }
    *ret_input = look.input;
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

static int read_outputs(struct look *look, struct scree_vision *vision,
                        const struct scree_session *session, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    const struct scree_detect_options options = {.threshold = ask->threshold, .iou = ask->iou};
    struct scree_answer *answer = look->answer;
    size_t max = ask->max;

    switch (answer->task) {
    case SCREE_TASK_CLASSIFY:
        answer->classes = answer_memory(max, sizeof *answer->classes, err);
        return !answer->classes ? -ENOMEM
                                : scree_classify(vision, session, ask->max, answer->classes, err);
    case SCREE_TASK_DETECT:
        answer->detections = answer_memory(max, sizeof *answer->detections, err);
        return !answer->detections ? -ENOMEM
                                   : scree_detect(vision, session, &look->fit, &options, ask->max,
                                                  answer->detections, err);
    case SCREE_TASK_POSE:
        max = max > 100 ? 100 : max;
        answer->poses = answer_memory(max, sizeof *answer->poses, err);
        return !answer->poses ? -ENOMEM
                              : scree_pose(vision, session, &look->fit, &options, (uint32_t)max,
                                           answer->poses, err);
    default:
        answer->mask = answer_memory((size_t)answer->w * (size_t)answer->h, 1, err);
        return !answer->mask ? -ENOMEM
                             : scree_segment(vision, session, &look->fit, answer->w, answer->h,
                                             answer->mask, err);
    }
}

static int read_answer(void *context, uint32_t row, struct scree_instance *instance,
                       const struct scree_session *session, struct scree_error *err)
{
    struct look *look = context;
    int n = read_outputs(look, instance->vision, session, err);

    (void)row;
    look->answer->n = n < 0 ? 0 : (uint32_t)n;
    return n;
}

/* The picture goes into a row of a session. */
static int set_picture(void *context, uint32_t row, struct scree_session *session,
                       struct scree_error *err)
{
    struct look *look = context;
    struct scree_tensor input;
    int rc = scree_session_input(session, look->served->picture_input, &input);

    (void)row, (void)err;
    assert(rc >= 0);
    memcpy(input.data, look->input, input.bytes);
    free(look->input);
    look->input = NULL;
    /* Another's picture may be at work while this one's answer is computed. */
    leave_stage(look);
    return rc;
}

/* With a stage: the picture becomes an input, and an instance computes. */
static int look_with_stage(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_batch_member member = {
        .priority = ask->priority,
        .n_rows = 1,
        .deadline_ns = ask->deadline_ns,
        .is_gone = ask->is_gone,
        .gone_context = ask->context,
        .fill = set_picture,
        .take = read_answer,
        .context = look,
        .times = &look->answer->times,
        .err = err,
    };
    int rc = open_picture(look, err);

    if (rc < 0)
        return rc;
    member.clock = look->clock;
    return scree_batch_run(look->served, &member);
}

static void look_on_crew(struct scree_turn_work *work)
{
    struct look *look = (struct look *)work;

    look->answer->times.queue_ns += lap(&look->clock);
    look->rc = look_with_stage(look, look->err);
}

static int look_alone(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    int rc =
        scree_turns_take(&look->served->stages, ask->priority, ask->deadline_ns, &look->stage, err);

    look->answer->times.queue_ns += lap(&look->clock);
    if (rc < 0)
        return rc;
    look->has_stage = true;
    rc = look_with_stage(look, err);
    leave_stage(look);
    return rc;
}

static int look_at(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_served *served = look->served;
    int rc;

    if (!served->takes_pictures)
        return scree_fail(err, ENOTSUP, "model %s is not for pictures", served->name);
    if (served->crew) {
        look->err = err;
        rc = scree_turns_work(&served->stages, served->crew, ask->priority, ask->deadline_ns,
                              &look->work, err);
        rc = rc < 0 ? rc : look->rc;
    } else {
        rc = look_alone(look, err);
    }
    free(look->input);
    return rc;
}

int scree_served_look(struct scree_served *served, const struct scree_ask *ask,
                      struct scree_answer *ret_answer, struct scree_error *err)
{
    uint64_t start = now_ns(CLOCK_MONOTONIC);
    struct scree_answer answer = {.task = served->task};
    struct look look = {
        .work.run = look_on_crew, .served = served, .ask = ask, .answer = &answer, .clock = start};
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
    uint64_t start = now_ns(CLOCK_MONOTONIC);
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
    count(served, rc, &times, lap(&start));
    if (rc >= 0)
        *ret_times = times;
    return rc;
}
