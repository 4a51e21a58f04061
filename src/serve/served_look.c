/* A request for a look at a picture: it is decoded, becomes an input, runs, and is answered. */
#include "serve/served.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "serve/batch.h"
#include "vision/tensor.h"

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

/* ---- a picture becomes an input ---- */

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
    look->answer->times.preprocess_ns += scree_lap_ns(&look->clock);
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

    answer->times.queue_ns += scree_lap_ns(&look->clock);
    if (rc < 0)
        return rc;
    atomic_fetch_add(served->n_at_work, 1);
    rc = open_image(look, err);
    answer->times.decode_ns += scree_lap_ns(&look->clock);
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
    struct look look = {.served = served, .ask = &ask, .answer = &answer, .clock = scree_now_ns()};
    int rc = open_file(&look, err);

    *times = answer.times;
    if (rc < 0) {
        free(look.input);
        return rc;
    }
    *ret_input = look.input;
    return 0;
}

/* ---- an answer is read ---- */

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

/* ---- one after the other ---- */

static void leave_stage(struct look *look)
{
    if (look->has_stage)
        scree_turns_give(&look->served->stages, look->stage);
    look->has_stage = false;
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

    look->answer->times.queue_ns += scree_lap_ns(&look->clock);
    look->rc = look_with_stage(look, look->err);
}

static int look_alone(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    int rc =
        scree_turns_take(&look->served->stages, ask->priority, ask->deadline_ns, &look->stage, err);

    look->answer->times.queue_ns += scree_lap_ns(&look->clock);
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
    uint64_t start = scree_now_ns();
    struct scree_answer answer = {.task = served->task};
    struct look look = {
        .work.run = look_on_crew, .served = served, .ask = ask, .answer = &answer, .clock = start};
    int rc = look_at(&look, err);

    scree_served_note(served, rc, &answer.times, scree_lap_ns(&start));
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
