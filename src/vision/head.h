/* vision/head.h - what a model is, found from its inputs and outputs.
 *
 * A head is one way to answer: which outputs play which role, and their layout. The table in head.c
 * lists all that scree knows; the first row that fits is it. Rows with a telling shape stand before
 * those that fit nearly anything.
 *
 *     head          task      outputs
 *     ssd           detect    boxes [1, n, 4], classes [1, n], scores [1, n], count [1]; floats
 *     ssd-raw       detect    boxes [1, n, 4], scores [1, n, classes]: relative to anchors
 *     yolo-end      detect    [1, n, 6]: x0 y0 x1 y1 score class, after suppression
 *     yolov8        detect    [1, 4 + classes, n] (or turned): cx cy w h, scores
 *     yolov5        detect    [1, n, 5 + classes] (or turned): cx cy w h, objectness, scores
 *     movenet       pose      [1, 1, 17, 3]: y x score
 *     movenet-multi pose      [1, n, 56]: 17 times y x score, a box, a score
 *     posenet       pose      heatmaps [1, h, w, 17], offsets [1, h, w, 34] and, for several
 *                             persons, displacements [1, h, w, 64] or two of [1, h, w, 32]
 *     class-map     segment   [1, h, w] or [1, h, w, 1] of class numbers
 *     class-scores  segment   [1, h, w, classes]
 *     classes       classify  [1, classes], also with more dimensions of 1
 *
 * Memory: none. Threads: no shared state. */
#ifndef SCREE_VISION_HEAD_H
#define SCREE_VISION_HEAD_H

#include "base/error.h"

struct scree_side;

/* SCREE_HEAD_NONE stands for "not known yet". */
enum scree_head_kind {
    SCREE_HEAD_NONE,
    SCREE_HEAD_SSD,
    SCREE_HEAD_SSD_RAW,
    SCREE_HEAD_YOLO_END,
    SCREE_HEAD_YOLO_V8,
    SCREE_HEAD_YOLO_V5,
    SCREE_HEAD_MOVENET,
    SCREE_HEAD_MOVENET_MULTI,
    SCREE_HEAD_POSENET,
    SCREE_HEAD_CLASS_MAP,
    SCREE_HEAD_CLASS_SCORES,
    SCREE_HEAD_CLASSES,
};

/* What an output is to its head. A head of one output has the role MAIN. */
enum scree_role {
    SCREE_ROLE_MAIN,
    SCREE_ROLE_BOXES,
    SCREE_ROLE_CLASSES,
    SCREE_ROLE_SCORES,
    SCREE_ROLE_COUNT,
    SCREE_ROLE_HEATMAPS,
    SCREE_ROLE_OFFSETS,
    SCREE_ROLE_FORWARD,  /* displacements along the edges, or both directions in one */
    SCREE_ROLE_BACKWARD, /* against them, if an output of its own */
    SCREE_N_ROLES,
};

/* The sides of a mask or heatmap that are accepted; with these, sizes fit in size_t and time stays
 * bounded. */
#define SCREE_MAX_MASK_SIDE 4096

struct scree_head {
    enum scree_head_kind kind;
    enum scree_task task;
    int32_t input;                  /* the input that takes the picture, or -1 */
    int32_t in_h, in_w;             /* its sides; 0 without it */
    int32_t outputs[SCREE_N_ROLES]; /* numbers of outputs, or -1 */
    int32_t n_boxes;                /* boxes, anchors or persons of a detector or movenet-multi */
    int32_t n_classes;              /* not counting n_background; 0: not known */
    int32_t n_background;           /* classes of scores before the first that counts: 0 or 1 */
    int32_t h, w;                   /* of a mask or heatmap */
    bool channels_first;            /* YOLO: [1, channels, n] */
};

/* The inputs and outputs of a model or session: scree_tensor[n], descriptions suffice. */
struct scree_ports {
    const struct scree_tensor *inputs, *outputs;
    uint32_t n_inputs, n_outputs;
};

/* Finds the head.
 *
 * task  only heads of it; SCREE_TASK_ANY: any. Asked for SCREE_TASK_CLASSIFY, the first output that
 *       holds numbers is taken whatever its shape
 * side  what a side file says, or NULL
 * Errors: ENOTSUP (nothing fits), E2BIG (it fits but is too large). */
int scree_head_find(const struct scree_ports *ports, enum scree_task task,
                    const struct scree_side *side, struct scree_head *ret_head,
                    struct scree_error *err);

/* A head's name in side files, and for people. Static texts. */
const char *scree_head_name(enum scree_head_kind kind);
const char *scree_head_text(enum scree_head_kind kind);

/* The opposites of the names; SCREE_HEAD_NONE, SCREE_TASK_ANY, SCREE_N_ROLES for other texts. */
enum scree_head_kind scree_head_parse(const char *name);
enum scree_task scree_task_parse(const char *name);
enum scree_role scree_role_parse(const char *name);

#endif
