#include "vision/head.h"

#include <string.h>

#include "vision/anchors.h"
#include "vision/side.h"
#include "vision/tensor.h"

/* What a row of the table looks at. */
struct look {
    const struct scree_ports *ports;
    const struct scree_side *side; /* never NULL */
    bool forced;                   /* this task was asked for */
};

static bool has_dims(const struct scree_shape *shape, int32_t rank)
{
    if (shape->rank != rank)
        return false;
    for (int32_t i = 0; i < rank; i++)
        if (shape->dims[i] < 1)
            return false;
    return true;
}

/* True for a readable tensor of shape [1, ...] and this rank. */
static bool is_batch_of_one(const struct scree_tensor *t, int32_t rank)
{
    return scree_tensor_is_readable(t) && has_dims(&t->shape, rank) && t->shape.dims[0] == 1;
}

static bool is_real(const struct scree_tensor *t)
{
    return t->type == SCREE_TYPE_FLOAT32 || (scree_tensor_is_readable(t) && t->n_scales == 1);
}

/* Integers that count something rather than stand for reals. */
static bool is_count(const struct scree_tensor *t)
{
    bool plain = t->n_scales == 0 || (t->scale == 1.0f && t->zero_point == 0);

    switch (t->type) {
    case SCREE_TYPE_INT32:
    case SCREE_TYPE_INT64:
    case SCREE_TYPE_UINT8:
    case SCREE_TYPE_INT8:
    case SCREE_TYPE_INT16:
        return plain && t->n_scales <= 1;
    default:
        return false;
    }
}

/* True if output i may play `role` (SCREE_N_ROLES: any): the side file does not say that another
 * does. */
static bool may_play(const struct look *look, enum scree_role role, uint32_t i)
{
    return role == SCREE_N_ROLES || look->side->outputs[role] < 0 ||
           look->side->outputs[role] == (int32_t)i;
}

/* The output of rank `rank`, a batch of one, whose last dimension is `last` (0: any) and which may
 * play `role`, or -1. The search begins at output `from`. */
static int32_t find_output(const struct look *look, enum scree_role role, int32_t rank,
                           int32_t last, uint32_t from)
{
    for (uint32_t i = from; i < look->ports->n_outputs; i++) {
        const struct scree_tensor *t = &look->ports->outputs[i];

        if (may_play(look, role, i) && is_batch_of_one(t, rank) && is_real(t) &&
            (last == 0 || t->shape.dims[rank - 1] == last))
            return (int32_t)i;
    }
    return -1;
}

static const struct scree_shape *shape_of(const struct look *look, int32_t output)
{
    return &look->ports->outputs[output].shape;
}

/* The only output, if the side file does not name another as MAIN; or NULL. */
static const struct scree_tensor *main_output(const struct look *look, struct scree_head *head)
{
    int32_t named = look->side->outputs[SCREE_ROLE_MAIN];

    if (named < 0 && look->ports->n_outputs != 1)
        return NULL;
    if (named >= (int32_t)look->ports->n_outputs)
        return NULL;
    head->outputs[SCREE_ROLE_MAIN] = named < 0 ? 0 : named;
    return &look->ports->outputs[head->outputs[SCREE_ROLE_MAIN]];
}

/* ---- detectors ---------------------------------------------------------------------------------
 */

static bool name_has(const struct look *look, int32_t output, const char *word)
{
    const char *name = look->ports->outputs[output].name;

    return name && strcasestr(name, word) != NULL;
}

/* Which of two outputs [1, n] holds the scores: by the side file, by their names, or by the order:
 * TensorFlow 1 exports boxes, classes, scores, count; TensorFlow 2 scores, boxes, count, classes.
 */
static void tell_classes_from_scores(const struct look *look, int32_t a, int32_t b,
                                     struct scree_head *head)
{
    const int32_t *named = look->side->outputs;
    bool scores_first;

    if (named[SCREE_ROLE_SCORES] >= 0 || named[SCREE_ROLE_CLASSES] >= 0)
        scores_first = named[SCREE_ROLE_SCORES] == a || named[SCREE_ROLE_CLASSES] == b;
    else if (name_has(look, a, "score") || name_has(look, b, "class") ||
             name_has(look, b, "categor"))
        scores_first = true;
    else if (name_has(look, b, "score") || name_has(look, a, "class") ||
             name_has(look, a, "categor"))
        scores_first = false;
    else
        scores_first = a < head->outputs[SCREE_ROLE_BOXES];
    head->outputs[SCREE_ROLE_SCORES] = scores_first ? a : b;
    head->outputs[SCREE_ROLE_CLASSES] = scores_first ? b : a;
}

/* The output of one element, a scalar or [1], or -1. */
static int32_t find_count(const struct look *look)
{
    for (uint32_t i = 0; i < look->ports->n_outputs; i++) {
        const struct scree_tensor *t = &look->ports->outputs[i];

        if (may_play(look, SCREE_ROLE_COUNT, i) && scree_tensor_is_readable(t) &&
            (t->shape.rank == 0 || (has_dims(&t->shape, 1) && t->shape.dims[0] == 1)))
            return (int32_t)i;
    }
    return -1;
}

static bool match_ssd(const struct look *look, struct scree_head *head)
{
    int32_t boxes = find_output(look, SCREE_ROLE_BOXES, 3, 4, 0);
    int32_t n = boxes < 0 ? 0 : shape_of(look, boxes)->dims[1];
    int32_t count = find_count(look), a, b;

    if (boxes < 0 || count < 0)
        return false;
    /* Any of the two may come first, so the roles are settled after both are found. */
    a = find_output(look, SCREE_N_ROLES, 2, n, 0);
    b = a < 0 ? -1 : find_output(look, SCREE_N_ROLES, 2, n, (uint32_t)a + 1);
    if (b < 0)
        return false;
    head->outputs[SCREE_ROLE_BOXES] = boxes;
    head->outputs[SCREE_ROLE_COUNT] = count;
    tell_classes_from_scores(look, a, b, head);
    head->n_boxes = n;
    return true;
}

static bool match_ssd_raw(const struct look *look, struct scree_head *head)
{
    for (int32_t boxes = find_output(look, SCREE_ROLE_BOXES, 3, 4, 0); boxes >= 0;
         boxes = find_output(look, SCREE_ROLE_BOXES, 3, 4, (uint32_t)boxes + 1)) {
        for (int32_t scores = find_output(look, SCREE_ROLE_SCORES, 3, 0, 0); scores >= 0;
             scores = find_output(look, SCREE_ROLE_SCORES, 3, 0, (uint32_t)scores + 1)) {
            if (scores == boxes ||
                shape_of(look, scores)->dims[1] != shape_of(look, boxes)->dims[1])
                continue;
            head->outputs[SCREE_ROLE_BOXES] = boxes;
            head->outputs[SCREE_ROLE_SCORES] = scores;
            head->n_boxes = shape_of(look, boxes)->dims[1];
            head->n_background = look->side->background;
            head->n_classes = shape_of(look, scores)->dims[2] - head->n_background;
            return head->n_classes > 0;
        }
    }
    return false;
}

static bool match_yolo_end(const struct look *look, struct scree_head *head)
{
    const struct scree_tensor *t = main_output(look, head);

    if (!t || head->input < 0 || !is_real(t) || !is_batch_of_one(t, 3) || t->shape.dims[2] != 6 ||
        (t->shape.dims[1] > 1000 && look->side->head != SCREE_HEAD_YOLO_END))
        return false;
    head->n_boxes = t->shape.dims[1];
    return true;
}

/* The cells of YOLO's three maps, of strides 8, 16 and 32. */
static int64_t yolo_cells(const struct scree_head *head)
{
    int64_t n = 0;

    for (int32_t stride = 8; stride <= 32; stride *= 2)
        n += (int64_t)(head->in_h / stride) * (head->in_w / stride);
    return n;
}

/* An output [1, a, b] of which one is the number of boxes and the other that of `extra` + classes
 * numbers a box. A side that is boxes_a_cell for each cell tells which is which, and that it is
 * this head; so does the side file. Otherwise it is this head if the sides stand as they usually
 * do, and are not those of the other YOLO. */
static bool match_yolo(const struct look *look, struct scree_head *head, int64_t boxes_a_cell,
                       int32_t extra, bool usually_channels_first)
{
    const struct scree_tensor *t = main_output(look, head);
    int64_t v8 = yolo_cells(head), v5 = 3 * v8, mine = boxes_a_cell * v8;
    int32_t a, b;

    if (!t || head->input < 0 || !is_real(t) || !is_batch_of_one(t, 3))
        return false;
    a = t->shape.dims[1], b = t->shape.dims[2];
    if (a == mine || b == mine)
        head->channels_first = b == mine;
    else if (look->side->head != SCREE_HEAD_NONE)
        head->channels_first = a < b;
    else if (a == v8 || b == v8 || a == v5 || b == v5 || (a < b) != usually_channels_first)
        return false;
    else
        head->channels_first = usually_channels_first;
    head->n_boxes = head->channels_first ? b : a;
    head->n_classes = (head->channels_first ? a : b) - extra;
    return head->n_classes > 0;
}

static bool match_yolo_v8(const struct look *look, struct scree_head *head)
{
    return match_yolo(look, head, 1, 4, true);
}

static bool match_yolo_v5(const struct look *look, struct scree_head *head)
{
    return match_yolo(look, head, 3, 5, false);
}

/* ---- poses -------------------------------------------------------------------------------------
 */

static bool match_movenet(const struct look *look, struct scree_head *head)
{
    const struct scree_tensor *t = main_output(look, head);

    head->n_boxes = 1;
    return t && is_real(t) && is_batch_of_one(t, 4) && t->shape.dims[1] == 1 &&
           t->shape.dims[2] == SCREE_N_KEYPOINTS && t->shape.dims[3] == 3;
}

static bool match_movenet_multi(const struct look *look, struct scree_head *head)
{
    const struct scree_tensor *t = main_output(look, head);

    if (!t || !is_real(t) || !is_batch_of_one(t, 3) || t->shape.dims[1] > 100 ||
        t->shape.dims[2] != 3 * SCREE_N_KEYPOINTS + 5)
        return false;
    head->n_boxes = t->shape.dims[1];
    return true;
}

/* An output [1, h, w, channels] of the head's h and w, or -1. */
static int32_t find_grid(const struct look *look, const struct scree_head *head,
                         enum scree_role role, int32_t channels, uint32_t from)
{
    int32_t i = (int32_t)from - 1;

    while ((i = find_output(look, role, 4, channels, (uint32_t)(i + 1))) >= 0)
        if (shape_of(look, i)->dims[1] == head->h && shape_of(look, i)->dims[2] == head->w)
            return i;
    return -1;
}

/* The displacements: one output of both directions, or two whose names tell which is which, else
 * forward first. None at all is legal too: then there is one person. */
static void find_displacements(const struct look *look, struct scree_head *head)
{
    int32_t both = find_grid(look, head, SCREE_ROLE_FORWARD, 64, 0);
    int32_t a = find_grid(look, head, SCREE_ROLE_FORWARD, 32, 0), b;
    bool backward_first;

    if (both >= 0) {
        head->outputs[SCREE_ROLE_FORWARD] = both;
        return;
    }
    b = a < 0 ? -1 : find_grid(look, head, SCREE_ROLE_BACKWARD, 32, 0);
    if (b == a && b >= 0)
        b = find_grid(look, head, SCREE_ROLE_BACKWARD, 32, (uint32_t)a + 1);
    if (b < 0)
        return;
    backward_first = look->side->outputs[SCREE_ROLE_FORWARD] < 0 &&
                     look->side->outputs[SCREE_ROLE_BACKWARD] < 0 &&
                     (name_has(look, a, "bwd") || name_has(look, a, "backward"));
    head->outputs[SCREE_ROLE_FORWARD] = backward_first ? b : a;
    head->outputs[SCREE_ROLE_BACKWARD] = backward_first ? a : b;
}

static bool match_posenet(const struct look *look, struct scree_head *head)
{
    int32_t heatmaps = find_output(look, SCREE_ROLE_HEATMAPS, 4, SCREE_N_KEYPOINTS, 0);

    if (heatmaps < 0 || head->input < 0)
        return false;
    head->h = shape_of(look, heatmaps)->dims[1];
    head->w = shape_of(look, heatmaps)->dims[2];
    head->outputs[SCREE_ROLE_HEATMAPS] = heatmaps;
    head->outputs[SCREE_ROLE_OFFSETS] =
        find_grid(look, head, SCREE_ROLE_OFFSETS, 2 * SCREE_N_KEYPOINTS, 0);
    if (head->outputs[SCREE_ROLE_OFFSETS] < 0)
        return false;
    find_displacements(look, head);
    return true;
}

/* ---- masks and classes -------------------------------------------------------------------------
 */

static bool match_class_map(const struct look *look, struct scree_head *head)
{
    const struct scree_tensor *t = main_output(look, head);

    if (!t || !is_count(t) || t->shape.rank < 3 ||
        !(is_batch_of_one(t, 3) || (is_batch_of_one(t, 4) && t->shape.dims[3] == 1)))
        return false;
    head->h = t->shape.dims[1];
    head->w = t->shape.dims[2];
    return head->h > 1 && head->w > 1;
}

static bool match_class_scores(const struct look *look, struct scree_head *head)
{
    const struct scree_tensor *t = main_output(look, head);

    if (!t || !is_real(t) || !is_batch_of_one(t, 4))
        return false;
    head->h = t->shape.dims[1];
    head->w = t->shape.dims[2];
    head->n_classes = t->shape.dims[3];
    return head->h > 1 && head->w > 1 && head->n_classes > 1 && head->n_classes < SCREE_CLASS_NONE;
}

/* True if only the last dimension, of at least 2, is not 1. */
static bool is_vector(const struct scree_tensor *t)
{
    int32_t rank = t->shape.rank;

    if (rank < 1 || !has_dims(&t->shape, rank) || t->shape.dims[rank - 1] < 2)
        return false;
    for (int32_t i = 0; i < rank - 1; i++)
        if (t->shape.dims[i] != 1)
            return false;
    return true;
}

static bool match_classes(const struct look *look, struct scree_head *head)
{
    const struct scree_tensor *t = main_output(look, head);
    size_t n;

    for (uint32_t i = 0; !t && look->forced && i < look->ports->n_outputs; i++) {
        if (scree_tensor_is_readable(&look->ports->outputs[i])) {
            t = &look->ports->outputs[i];
            head->outputs[SCREE_ROLE_MAIN] = (int32_t)i;
        }
    }
    if (!t || !scree_tensor_is_readable(t) || !(look->forced || (is_real(t) && is_vector(t))) ||
        !scree_tensor_count(t, &n) || n < 1 || n > INT32_MAX)
        return false;
    head->n_classes = (int32_t)n;
    return true;
}

/* ---- the table ---------------------------------------------------------------------------------
 */

static const struct row {
    enum scree_head_kind kind;
    enum scree_task task;
    const char *name;
    const char *text;
    bool (*match)(const struct look *look, struct scree_head *head);
} rows[] = {
    {SCREE_HEAD_SSD, SCREE_TASK_DETECT, "ssd", "SSD with post-processing", match_ssd},
    {SCREE_HEAD_SSD_RAW, SCREE_TASK_DETECT, "ssd-raw", "SSD without post-processing",
     match_ssd_raw},
    {SCREE_HEAD_MOVENET, SCREE_TASK_POSE, "movenet", "MoveNet, one person", match_movenet},
    {SCREE_HEAD_MOVENET_MULTI, SCREE_TASK_POSE, "movenet-multi", "MoveNet, several persons",
     match_movenet_multi},
    {SCREE_HEAD_POSENET, SCREE_TASK_POSE, "posenet", "PoseNet", match_posenet},
    {SCREE_HEAD_CLASS_MAP, SCREE_TASK_SEGMENT, "class-map", "a map of classes", match_class_map},
    {SCREE_HEAD_CLASS_SCORES, SCREE_TASK_SEGMENT, "class-scores", "a map of class scores",
     match_class_scores},
    {SCREE_HEAD_CLASSES, SCREE_TASK_CLASSIFY, "classes", "class scores", match_classes},
    {SCREE_HEAD_YOLO_END, SCREE_TASK_DETECT, "yolo-end", "YOLO with suppression", match_yolo_end},
    {SCREE_HEAD_YOLO_V8, SCREE_TASK_DETECT, "yolov8", "YOLOv8 or later", match_yolo_v8},
    {SCREE_HEAD_YOLO_V5, SCREE_TASK_DETECT, "yolov5", "YOLOv5", match_yolo_v5},
};

#define N_ROWS (sizeof rows / sizeof rows[0])

const char *scree_head_name(enum scree_head_kind kind)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (rows[i].kind == kind)
            return rows[i].name;
    return "none";
}

const char *scree_head_text(enum scree_head_kind kind)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (rows[i].kind == kind)
            return rows[i].text;
    return "nothing known";
}

enum scree_head_kind scree_head_parse(const char *name)
{
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].kind;
    return SCREE_HEAD_NONE;
}

static const char *const task_names[] = {
    [SCREE_TASK_ANY] = "any",       [SCREE_TASK_CLASSIFY] = "classify",
    [SCREE_TASK_DETECT] = "detect", [SCREE_TASK_SEGMENT] = "segment",
    [SCREE_TASK_POSE] = "pose",
};

const char *scree_task_name(enum scree_task task)
{
    return (uint32_t)task <= SCREE_TASK_POSE ? task_names[task] : task_names[SCREE_TASK_ANY];
}

enum scree_task scree_task_parse(const char *name)
{
    for (uint32_t i = SCREE_TASK_CLASSIFY; i <= SCREE_TASK_POSE; i++)
        if (strcmp(task_names[i], name) == 0)
            return (enum scree_task)i;
    return SCREE_TASK_ANY;
}

static const char *const role_names[SCREE_N_ROLES] = {
    [SCREE_ROLE_MAIN] = "main",         [SCREE_ROLE_BOXES] = "boxes",
    [SCREE_ROLE_CLASSES] = "classes",   [SCREE_ROLE_SCORES] = "scores",
    [SCREE_ROLE_COUNT] = "count",       [SCREE_ROLE_HEATMAPS] = "heatmaps",
    [SCREE_ROLE_OFFSETS] = "offsets",   [SCREE_ROLE_FORWARD] = "forward",
    [SCREE_ROLE_BACKWARD] = "backward",
};

enum scree_role scree_role_parse(const char *name)
{
    for (uint32_t i = 0; i < SCREE_N_ROLES; i++)
        if (strcmp(role_names[i], name) == 0)
            return (enum scree_role)i;
    return SCREE_N_ROLES;
}

/* ---- finding -----------------------------------------------------------------------------------
 */

/* A head without outputs: the picture's input is the first that can be one. */
static void head_init(const struct scree_ports *ports, struct scree_head *head)
{
    struct scree_sides sides = {0};

    *head = (struct scree_head){.input = -1};
    for (uint32_t i = 0; i < SCREE_N_ROLES; i++)
        head->outputs[i] = -1;
    for (uint32_t i = 0; i < ports->n_inputs && head->input < 0; i++)
        if (scree_tensor_picture(&ports->inputs[i], &sides))
            head->input = (int32_t)i;
    head->in_h = sides.h;
    head->in_w = sides.w;
}

/* Limits on what decoders allocate and walk over. */
static int check_size(const struct scree_head *head, struct scree_error *err)
{
    int64_t n_boxes = head->kind == SCREE_HEAD_POSENET
                          ? (int64_t)head->h * head->w * SCREE_N_KEYPOINTS
                          : head->n_boxes;

    if (head->h > SCREE_MAX_MASK_SIDE || head->w > SCREE_MAX_MASK_SIDE)
        return scree_fail(err, E2BIG, "a map of %d x %d is over %d on a side", head->w, head->h,
                          SCREE_MAX_MASK_SIDE);
    if (n_boxes > SCREE_MAX_BOXES)
        return scree_fail(err, E2BIG, "%lld boxes are over %d", (long long)n_boxes,
                          SCREE_MAX_BOXES);
    return 0;
}

static int fail_unknown(const struct scree_ports *ports, enum scree_task task,
                        enum scree_head_kind kind, struct scree_error *err)
{
    if (kind != SCREE_HEAD_NONE)
        return scree_fail(err, ENOTSUP, "the outputs are not of the head '%s'",
                          scree_head_name(kind));
    if (task != SCREE_TASK_ANY)
        return scree_fail(err, ENOTSUP, "the outputs are nothing known for the task '%s'",
                          scree_task_name(task));
    return scree_fail(err, ENOTSUP, "what the model's %u outputs mean is not known",
                      ports->n_outputs);
}

int scree_head_find(const struct scree_ports *ports, enum scree_task task,
                    const struct scree_side *side, struct scree_head *ret_head,
                    struct scree_error *err)
{
    struct scree_side nothing;
    struct look look = {ports, side ? side : &nothing, task == SCREE_TASK_CLASSIFY};
    struct scree_head head;
    int rc;

    scree_side_init(&nothing);
    if (task == SCREE_TASK_ANY)
        task = look.side->task;
    for (size_t i = 0; i < N_ROWS; i++) {
        if ((task != SCREE_TASK_ANY && rows[i].task != task) ||
            (look.side->head != SCREE_HEAD_NONE && rows[i].kind != look.side->head))
            continue;
        head_init(ports, &head);
        if (!rows[i].match(&look, &head))
            continue;
        head.kind = rows[i].kind;
        head.task = rows[i].task;
        rc = check_size(&head, err);
        if (rc < 0)
            return rc;
        *ret_head = head;
        return 0;
    }
    return fail_unknown(ports, task, look.side->head, err);
}
