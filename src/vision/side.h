/* vision/side.h - MODEL.json, the side file: what a model's author knows and its file does not say.
 *
 * docs/model-json.md describes the format. The file comes from strangers like the model itself:
 * any bytes give one clear error or a side whose numbers are in their ranges.
 *
 * Memory: a side owns its labels and anchors. Threads: no shared state. */
#ifndef SCREE_VISION_SIDE_H
#define SCREE_VISION_SIDE_H

#include "vision/anchors.h"
#include "vision/head.h"

/* 50000 anchors written out fit, and what the JSON parser makes of the worst text (about 50 bytes
 * of memory a byte) stays near 100 MB. */
#define SCREE_SIDE_MAX_BYTES (2u << 20)

/* In what unit a YOLO's boxes are. */
enum scree_box_units {
    SCREE_BOX_AUTO, /* found from the range of the output, see yolo.h */
    SCREE_BOX_NORMALIZED,
    SCREE_BOX_PIXELS,
};

/* What the class scores of a detector without post-processing are. */
enum scree_score_kind {
    SCREE_SCORE_AUTO, /* logits if a quantized output reaches below -0.1 or above 2 */
    SCREE_SCORE_PROBABILITIES,
    SCREE_SCORE_LOGITS,
};

struct scree_side {
    enum scree_task task;           /* SCREE_TASK_ANY: not said */
    enum scree_head_kind head;      /* SCREE_HEAD_NONE: not said */
    int32_t outputs[SCREE_N_ROLES]; /* -1: not said */
    struct scree_labels *labels;    /* NULL: not said */

    bool has_fit;
    struct scree_picture_options picture; /* fit if has_fit; mean and std if n_values > 0 */

    enum scree_box_units units;
    enum scree_score_kind scores;
    bool background;    /* SSD: class 0 of the scores is the background */
    float box_coder[4]; /* SSD: what cy, cx, h, w are divided by; positive */
    struct scree_anchor_spec anchors;
};

/* A side that says nothing: background true, box_coder 10, 10, 5, 5 (the values of TensorFlow's
 * detection models). */
void scree_side_init(struct scree_side *side);

/* Reads the side file in text char[n].
 * ret_side  freed with scree_side_done()
 * Errors: EBADMSG (not JSON: with line and column; a key that is not known, a value of another type
 * or out of its range: with the key), E2BIG (over SCREE_SIDE_MAX_BYTES), ENOMEM. */
int scree_side_parse(const char *text, size_t n, struct scree_side *ret_side,
                     struct scree_error *err);

/* The same from a file, whose path is put before the error's text. */
int scree_side_open(const char *path, struct scree_side *ret_side, struct scree_error *err);

/* Frees what the side owns. Accepts one that says nothing. */
void scree_side_done(struct scree_side *side);

#endif
