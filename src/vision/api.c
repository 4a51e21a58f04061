/* The public functions on what outputs mean. They see sessions through the public API only. */
#include <math.h>
#include <stdlib.h>

#include "vision/labels.h"
#include "vision/pose.h"
#include "vision/segment.h"
#include "vision/topk.h"
#include "vision/vision.h"

#define DETECT_THRESHOLD 0.5f
#define POSE_THRESHOLD   0.2f
#define DETECT_IOU       0.5f
#define MAX_DETECTIONS   1000

/* ---- making one --------------------------------------------------------------------------------
 */

/* Zeroed memory for n elements, at least one. */
static void *new_array(size_t n, size_t size, int *rc, struct scree_error *err)
{
    void *array = *rc < 0 ? NULL : calloc(n + 1, size);

    if (!array && *rc == 0)
        *rc = scree_fail_memory(err, n * size);
    return array;
}

/* Describes all inputs and outputs of the session, and finds the head. */
static int find_head(struct scree_vision *vision, const struct scree_session *session,
                     enum scree_task task, struct scree_error *err)
{
    uint32_t n_inputs = scree_session_n_inputs(session), n = scree_session_n_outputs(session);
    struct scree_ports ports;
    struct scree_tensor *inputs;
    int rc = 0;

    inputs = new_array(n_inputs, sizeof *inputs, &rc, err);
    vision->outputs = new_array(n, sizeof *vision->outputs, &rc, err);
    vision->n_outputs = n;
    for (uint32_t i = 0; rc == 0 && i < n_inputs; i++)
        rc = scree_session_input(session, i, &inputs[i]);
    for (uint32_t i = 0; rc == 0 && i < n; i++)
        rc = scree_session_output(session, i, &vision->outputs[i]);
    ports = (struct scree_ports){inputs, vision->outputs, n_inputs, n};
    if (rc == 0)
        rc = scree_head_find(&ports, task, &vision->side, &vision->head, err);
    free(inputs);
    return rc;
}

/* The anchors of raw boxes; as many as boxes. */
static int find_anchors(struct scree_vision *vision, struct scree_error *err)
{
    const struct scree_head *head = &vision->head;
    const struct scree_anchor_spec *spec = &vision->side.anchors;
    uint32_t n;
    int rc;

    if (head->kind != SCREE_HEAD_SSD_RAW)
        return 0;
    if (spec->n_maps == 0 && spec->n_list == 0)
        return scree_fail(err, ENOTSUP,
                          "raw boxes: a side file must describe the anchors (model-json.md)");
    if (head->input < 0 && spec->n_list == 0 && spec->strides[0] > 0)
        return scree_fail(err, ENOTSUP, "strides of anchors for a model without a picture");
    rc = scree_anchors_new(spec, head->in_h, head->in_w, &vision->anchors, &n, err);
    if (rc < 0)
        return scree_wrap(err, rc, "anchors");
    if (n != (uint32_t)head->n_boxes)
        return scree_fail(err, EBADMSG, "the side file's %u anchors are not the model's %d", n,
                          head->n_boxes);
    return 0;
}

static int new_scratch(struct scree_vision *vision, struct scree_error *err)
{
    const struct scree_head *head = &vision->head;
    size_t n_cells = (size_t)head->h * (size_t)head->w;
    size_t n_found = head->kind == SCREE_HEAD_POSENET ? n_cells * SCREE_N_KEYPOINTS
                                                      : (size_t)head->n_boxes;
    bool is_mask = head->task == SCREE_TASK_SEGMENT;
    int rc = 0;

    vision->found = new_array(n_found, sizeof *vision->found, &rc, err);
    vision->floats = new_array(head->task == SCREE_TASK_CLASSIFY ? 0 : scree_decoder_floats(head),
                               sizeof *vision->floats, &rc, err);
    vision->map = new_array(is_mask ? n_cells : 0, 1, &rc, err);
    vision->columns =
        new_array(is_mask ? SCREE_IMAGE_MAX_SIDE : 0, sizeof *vision->columns, &rc, err);
    return rc;
}

int scree_vision_new(const struct scree_session *session,
                     const struct scree_vision_options *options, struct scree_vision **ret_vision,
                     struct scree_error *err)
{
    static const struct scree_vision_options defaults = {0};
    struct scree_vision *vision;
    int rc = 0;

    if (!options)
        options = &defaults;
    vision = calloc(1, sizeof *vision);
    if (!vision)
        return scree_fail_memory(err, sizeof *vision);
    scree_side_init(&vision->side);
    if (options->side_file)
        rc = scree_side_open(options->side_file, &vision->side, err);
    if (rc == 0)
        rc = find_head(vision, session, options->task, err);
    if (rc == 0)
        rc = find_anchors(vision, err);
    if (rc == 0)
        rc = new_scratch(vision, err);
    if (rc < 0) {
        scree_vision_free(vision);
        return rc;
    }
    *ret_vision = vision;
    return 0;
}

void scree_vision_free(struct scree_vision *vision)
{
    if (!vision)
        return;
    scree_side_done(&vision->side);
    free(vision->anchors);
    free(vision->outputs);
    free(vision->found);
    free(vision->floats);
    free(vision->map);
    free(vision->columns);
    free(vision);
}

/* ---- asking it ---------------------------------------------------------------------------------
 */

enum scree_task scree_vision_task(const struct scree_vision *vision)
{
    return vision->head.task;
}

const char *scree_vision_head(const struct scree_vision *vision)
{
    return scree_head_text(vision->head.kind);
}

uint32_t scree_vision_n_classes(const struct scree_vision *vision)
{
    return (uint32_t)vision->head.n_classes;
}

/* The built-in list that the number of classes tells, or NULL. */
static const char *usual_labels(const struct scree_head *head)
{
    if (head->task == SCREE_TASK_DETECT && head->n_classes == 80)
        return "coco-80";
    if (head->task == SCREE_TASK_DETECT && head->n_classes == 90)
        return "coco-91";
    if (head->task == SCREE_TASK_SEGMENT && head->n_classes == 21)
        return "voc-21";
    return NULL;
}

void scree_vision_align(const struct scree_vision *vision, struct scree_labels *labels)
{
    if (vision->head.kind != SCREE_HEAD_CLASS_MAP)
        scree_labels_align(labels, scree_vision_n_classes(vision));
}

int scree_vision_labels(const struct scree_vision *vision, struct scree_model *model,
                        struct scree_labels **ret_labels, struct scree_error *err)
{
    const char *usual = usual_labels(&vision->head);
    int rc;

    if (vision->side.labels)
        rc = scree_labels_copy(vision->side.labels, ret_labels, err);
    else
        rc = scree_labels_of_model(model, ret_labels, err);
    if (rc == -ENOENT && usual)
        rc = scree_labels_builtin(usual, ret_labels, err);
    if (rc == 0)
        scree_vision_align(vision, *ret_labels);
    return rc;
}

/* The families that are trained on pictures whose shape is kept. */
static bool wants_letterbox(const struct scree_head *head)
{
    return head->task == SCREE_TASK_POSE || head->kind == SCREE_HEAD_YOLO_V5 ||
           head->kind == SCREE_HEAD_YOLO_V8 || head->kind == SCREE_HEAD_YOLO_END;
}

int scree_vision_picture(const struct scree_vision *vision, uint32_t *ret_index,
                         struct scree_picture_options *ret_options, struct scree_error *err)
{
    if (vision->head.input < 0)
        return scree_fail(err, ENOTSUP, "no input of the model is a picture");
    *ret_index = (uint32_t)vision->head.input;
    *ret_options = vision->side.picture;
    if (!vision->side.has_fit && wants_letterbox(&vision->head))
        ret_options->fit = SCREE_FIT_LETTERBOX;
    return 0;
}

/* ---- reading outputs ---------------------------------------------------------------------------
 */

/* Checks the task and takes views of the session's present outputs. */
static int look_at(struct scree_vision *vision, const struct scree_session *session,
                   enum scree_task task, struct scree_error *err)
{
    uint32_t n = scree_session_n_outputs(session);

    if (vision->head.task != task)
        return scree_fail(err, EINVAL, "the model is for the task '%s', not '%s'",
                          scree_task_name(vision->head.task), scree_task_name(task));
    if (n != vision->n_outputs)
        return scree_fail(err, EINVAL, "a session with %u outputs, not %u", n, vision->n_outputs);
    for (uint32_t i = 0; i < n; i++)
        (void)scree_session_output(session, i, &vision->outputs[i]);
    return scree_outputs_check(&vision->head, vision->outputs, n, err);
}

/* A decoder on the vision's scratch, with the threshold asked for or the default. */
static int open_decoder(struct scree_vision *vision, const struct scree_fit *fit,
                        const struct scree_detect_options *options, float usual,
                        struct scree_decoder *ret, struct scree_error *err)
{
    float asked = options ? options->threshold : 0;
    int rc;

    rc = scree_fit_check(&vision->head, fit, err);
    if (rc < 0)
        return rc;
    if (isnan(asked))
        return scree_fail(err, EINVAL, "a threshold that is not a number");
    *ret = (struct scree_decoder){
        .head = &vision->head,
        .side = &vision->side,
        .anchors = vision->anchors,
        .outputs = vision->outputs,
        .threshold = asked < 0   ? -INFINITY
                     : asked > 0 ? asked
                                 : usual,
        .view = scree_fit_view(&vision->head, fit),
        .found = vision->found,
        .floats = vision->floats,
    };
    return 0;
}

int scree_classify(struct scree_vision *vision, const struct scree_session *session, uint32_t k,
                   struct scree_class *ret_classes, struct scree_error *err)
{
    int rc;

    rc = look_at(vision, session, SCREE_TASK_CLASSIFY, err);
    if (rc < 0)
        return rc;
    return scree_topk(&vision->outputs[vision->head.outputs[SCREE_ROLE_MAIN]], k, ret_classes, err);
}

int scree_detect(struct scree_vision *vision, const struct scree_session *session,
                 const struct scree_fit *fit, const struct scree_detect_options *options,
                 uint32_t max, struct scree_detection *ret_detections, struct scree_error *err)
{
    float iou = options && options->iou != 0 ? options->iou : DETECT_IOU;
    struct scree_decoder decoder;
    int rc;

    if (max < 1 || max > MAX_DETECTIONS)
        return scree_fail(err, EINVAL, "%u boxes: not in 1 to %d", max, MAX_DETECTIONS);
    if (!(iou > 0 && iou <= 1))
        return scree_fail(err, EINVAL, "an iou of %g is not in 0 to 1", (double)iou);
    rc = look_at(vision, session, SCREE_TASK_DETECT, err);
    if (rc == 0)
        rc = open_decoder(vision, fit, options, DETECT_THRESHOLD, &decoder, err);
    if (rc < 0)
        return rc;
    return (int)scree_detect_finish(&decoder, fit, iou, options && options->any_class, max,
                                    ret_detections);
}

int scree_pose(struct scree_vision *vision, const struct scree_session *session,
               const struct scree_fit *fit, const struct scree_detect_options *options,
               uint32_t max, struct scree_pose *ret_poses, struct scree_error *err)
{
    struct scree_decoder decoder;
    uint32_t n;
    int rc;

    if (max < 1 || max > SCREE_MAX_POSES)
        return scree_fail(err, EINVAL, "%u persons: not in 1 to %d", max, SCREE_MAX_POSES);
    rc = look_at(vision, session, SCREE_TASK_POSE, err);
    if (rc == 0)
        rc = open_decoder(vision, fit, options, POSE_THRESHOLD, &decoder, err);
    if (rc < 0)
        return rc;
    n = scree_pose_decode(&decoder, max, ret_poses);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < SCREE_N_KEYPOINTS; k++)
            scree_fit_point(&vision->head, fit, &ret_poses[i].keypoints[k].x,
                            &ret_poses[i].keypoints[k].y);
    return (int)n;
}

int scree_segment(struct scree_vision *vision, const struct scree_session *session,
                  const struct scree_fit *fit, int32_t w, int32_t h, uint8_t *ret_classes,
                  struct scree_error *err)
{
    struct scree_decoder decoder;
    int rc;

    if (w < 1 || h < 1 || w > SCREE_IMAGE_MAX_SIDE || h > SCREE_IMAGE_MAX_SIDE)
        return scree_fail(err, EINVAL, "a mask of %d x %d: sides are 1 to %d", w, h,
                          SCREE_IMAGE_MAX_SIDE);
    rc = look_at(vision, session, SCREE_TASK_SEGMENT, err);
    if (rc == 0)
        rc = open_decoder(vision, fit, NULL, 0, &decoder, err);
    if (rc == 0)
        rc = scree_segment_decode(&decoder, vision->map, err);
    if (rc < 0)
        return rc;
    scree_segment_resize(&vision->head, vision->map, fit, w, h, vision->columns, ret_classes);
    return 0;
}
