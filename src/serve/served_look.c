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

static int new_input(struct look *look, struct scree_tensor *ret, struct scree_error *err)
{
    const struct scree_served *served = look->served;

    *ret = served->inputs[served->picture_input];
    look->input = malloc(ret->bytes);
    if (!look->input)
        return scree_fail_memory(err, ret->bytes);
    ret->data = look->input;
    return 0;
}

/* A picture that is there becomes the bytes of an input. */
static int make_input(struct look *look, const struct scree_image *image, struct scree_error *err)
{
    struct scree_tensor input;
    int rc = new_input(look, &input, err);

    if (rc >= 0)
        rc = scree_tensor_set_image(&input, image, &look->served->picture, &look->fit, err);
    look->answer->w = image->w;
    look->answer->h = image->h;
    look->answer->times.preprocess_ns += scree_lap_ns(&look->clock);
    return rc;
}

/* The file becomes a picture that is kept, whole, and that an input. */
static int make_image(struct look *look, const struct scree_image_options *options,
                      struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_answer *answer = look->answer;
    int rc;

    answer->image = calloc(1, sizeof *answer->image);
    if (!answer->image)
        return scree_fail_memory(err, sizeof *answer->image);
    rc = scree_image_read(ask->bytes, ask->n, options, answer->image, err);
    answer->times.decode_ns += scree_lap_ns(&look->clock);
    return rc < 0 ? rc : make_input(look, answer->image, err);
}

/* The file becomes an input as it is decoded: the times of both are mixed. */
static int read_input(struct look *look, const struct scree_image_options *options,
                      struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_answer *answer = look->answer;
    struct scree_tensor_read read = {0};
    struct scree_tensor input;
    int rc = new_input(look, &input, err);

    if (rc >= 0)
        rc = scree_tensor_read_image(&input, ask->bytes, ask->n, options, &look->served->picture,
                                     &read, err);
    answer->w = read.w;
    answer->h = read.h;
    look->fit = read.fit;
    answer->times.preprocess_ns += read.fit_ns;
    answer->times.decode_ns += scree_lap_ns(&look->clock) - read.fit_ns;
    return rc;
}

/* Decodes a picture file and makes an input of it, when it is its turn: processors are few. */
static int open_file(struct look *look, struct scree_error *err)
{
    const struct scree_ask *ask = look->ask;
    struct scree_served *served = look->served;
    struct scree_image_options options = served->image;
    uint32_t decoder;
    int rc = scree_turns_take(served->decoders, ask->priority, ask->deadline_ns, &decoder, err);

    look->answer->times.queue_ns += scree_lap_ns(&look->clock);
    if (rc < 0)
        return rc;
    atomic_fetch_add(served->n_at_work, 1);
    options.orient = ask->upright;
    options.enough = ask->keep_image ? 0 : served->enough;
    rc = ask->keep_image ? make_image(look, &options, err) : read_input(look, &options, err);
    atomic_fetch_sub(served->n_at_work, 1);
    scree_turns_give(served->decoders, decoder);
    return rc;
}

/* The picture's pixels are there, or a file that has them. */
static int open_picture(struct look *look, struct scree_error *err)
{
    const struct scree_image *image = look->ask->image;

    return image ? make_input(look, image, err) : open_file(look, err);
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
        return scree_fail(err, EINVAL, "model %s is not for pictures", served->name);
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
