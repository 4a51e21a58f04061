/* vision/anchors.h - the boxes that a single-shot detector's answers are relative to.
 *
 * A grid of anchors lies over each of the detector's feature maps, several of different scales and
 * aspect ratios on every cell. With n maps, map i has the scale
 *
 *     s[i] = min_scale + (max_scale - min_scale) * i / (n - 1),  s[n] = 1        (n = 1: min_scale)
 *
 * and on each cell, around its middle, for each aspect ratio r the anchor
 *
 *     h = s[i] / sqrt(r) * base_h,   w = s[i] * sqrt(r) * base_w
 *
 * and after them, if interpolated_ratio q > 0, the one of scale sqrt(s[i] * s[i + 1]) and ratio q.
 * With reduce_lowest the first map has instead: scale 0.1 and ratio 1; s[0] and 2; s[0] and 1/2.
 * Order: maps, rows, columns, then as above. As create_ssd_anchors() of TensorFlow's Object
 * Detection API (anchor_generators/multiple_grid_anchor_generator.py).
 *
 * Memory: the caller owns what scree_anchors_new() returns. Threads: no shared state. */
#ifndef SCREE_VISION_ANCHORS_H
#define SCREE_VISION_ANCHORS_H

#include "base/error.h"

#define SCREE_ANCHOR_MAX_MAPS   16
#define SCREE_ANCHOR_MAX_RATIOS 16
#define SCREE_ANCHOR_MAX_SIDE   4096 /* of a feature map */

/* The most boxes that a model may answer with: YOLO of 1920 x 1920 has 75600. */
#define SCREE_MAX_BOXES 200000

/* The middle and the sides, in [0, 1] of the model's input for an anchor inside it. */
struct scree_anchor {
    float cy, cx, h, w;
};

/* What a side file says about anchors. All zero: nothing. */
struct scree_anchor_spec {
    uint32_t n_maps; /* of sides map_h, map_w; or, if strides[i] > 0, ceil(input / stride) */
    int32_t map_h[SCREE_ANCHOR_MAX_MAPS], map_w[SCREE_ANCHOR_MAX_MAPS];
    int32_t strides[SCREE_ANCHOR_MAX_MAPS];
    float scales[SCREE_ANCHOR_MAX_MAPS + 1]; /* s of above */
    uint32_t n_ratios;
    float ratios[SCREE_ANCHOR_MAX_RATIOS]; /* positive */
    float interpolated_ratio;
    bool reduce_lowest;
    float base_h, base_w;

    struct scree_anchor *list; /* instead of all that: n_list anchors, owned by the spec's owner */
    uint32_t n_list;
};

/* Fills spec->scales from the two limits. */
void scree_anchor_scales(struct scree_anchor_spec *spec, float min_scale, float max_scale);

/* The anchors of `spec` for an input of in_h x in_w pixels.
 *
 * *ret_anchors scree_anchor[*ret_n], freed by the caller with free()
 * Errors: EBADMSG (none at all), E2BIG (over SCREE_MAX_BOXES), ENOMEM. */
int scree_anchors_new(const struct scree_anchor_spec *spec, int32_t in_h, int32_t in_w,
                      struct scree_anchor **ret_anchors, uint32_t *ret_n, struct scree_error *err);

#endif
