/* vision/detect.h - boxes out of a detector's outputs.
 *
 * A decoder (ssd.c, yolo.c) turns the outputs into candidates; scree_detect_finish() suppresses the
 * overlapping ones and puts the rest into the picture. Everything a model can answer with is legal
 * here: candidates that are NaN, infinite, empty or of no class are dropped one by one.
 *
 * The order of candidates is total (score, class, box number), so the answer is the same
 * everywhere.
 *
 * Memory: none but the scratch handed in. Threads: one at a time on one scratch. */
#ifndef SCREE_VISION_DETECT_H
#define SCREE_VISION_DETECT_H

#include "media/resize.h"
#include "vision/anchors.h"
#include "vision/head.h"
#include "vision/side.h"

/* Class ids end here, see struct scree_detection. */
#define SCREE_MAX_CLASSES 1000000

/* In [0, 1] of the model's input. */
struct scree_box {
    float ymin, xmin, ymax, xmax;
};

/* A candidate. */
struct scree_found {
    float score;
    int32_t class_id;
    uint32_t index; /* the box's number in the output */
    struct scree_box box;
};

/* What decoders read and write. */
struct scree_decoder {
    const struct scree_head *head;
    const struct scree_side *side;
    const struct scree_anchor *anchors; /* scree_anchor[n_boxes], for SCREE_HEAD_SSD_RAW */
    const struct scree_tensor *outputs; /* all of the session's, checked by scree_outputs_check() */
    float threshold;
    struct scree_box view;     /* the part of the input that the picture fills */
    struct scree_found *found; /* scree_found[n_boxes] of scratch */
    float *floats;             /* f32[scree_decoder_floats()] of scratch */
};

/* The number of scratch floats that the head's decoder needs. */
size_t scree_decoder_floats(const struct scree_head *head);

/* Checks that the outputs a head uses can be read and have as many elements as its sides say.
 * Errors: ENOTSUP, EINVAL, as scree_tensor_check(), and EINVAL if the shapes have changed. */
int scree_outputs_check(const struct scree_head *head, const struct scree_tensor *outputs,
                        uint32_t n_outputs, struct scree_error *err);

/* A class number that comes as a real, rounded; -1 if it is none. */
int32_t scree_class_from_real(float real);

/* Adds a candidate if its box, cut off at the view, has an area, and its class and score are legal;
 * n is the number there are, the new number is returned. */
uint32_t scree_found_add(const struct scree_decoder *decoder, uint32_t n, struct scree_found one);

/* The middle and sides as corners. */
struct scree_box scree_box_from_center(float cy, float cx, float h, float w);

/* |a and b| / |a or b|, 0 if either has no area. */
float scree_box_iou(const struct scree_box *a, const struct scree_box *b);

/* The decoders: each writes decoder->found and returns the number of candidates. */
uint32_t scree_ssd_decode(const struct scree_decoder *decoder);
uint32_t scree_ssd_raw_decode(const struct scree_decoder *decoder);
uint32_t scree_yolo_end_decode(const struct scree_decoder *decoder);
uint32_t scree_yolo_v8_decode(const struct scree_decoder *decoder);
uint32_t scree_yolo_v5_decode(const struct scree_decoder *decoder);

/* The part of the input that the picture fills: all of it with fit NULL. */
struct scree_box scree_fit_view(const struct scree_head *head, const struct scree_fit *fit);

/* (x, y) in [0, 1] of the input to pixels of the picture; as it is with fit NULL. */
void scree_fit_point(const struct scree_head *head, const struct scree_fit *fit, float *x,
                     float *y);

/* Checks a fit that comes from outside. Errors: EINVAL (a rectangle that no picture has; a model
 * without a picture). */
int scree_fit_check(const struct scree_head *head, const struct scree_fit *fit,
                    struct scree_error *err);

/* Runs the head's decoder, keeps of the candidates the best first: one that overlaps a kept one of
 * its class (of any class with any_class) with more than `iou` is dropped, unless the model itself
 * has suppressed already; `max` in all.
 * ret_detections  scree_detection[max]; returns how many were written. */
uint32_t scree_detect_finish(const struct scree_decoder *decoder, const struct scree_fit *fit,
                             float iou, bool any_class, uint32_t max,
                             struct scree_detection *ret_detections);

#endif
