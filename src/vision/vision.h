/* vision/vision.h - how the outputs of one session are read: the head, the side file, the scratch.
 *
 * Behind the public scree_vision_... functions; see scree.h. Memory: owns everything it points to
 * but `outputs`, an array that each call fills anew from its session. */
#ifndef SCREE_VISION_VISION_H
#define SCREE_VISION_VISION_H

#include "vision/detect.h"

struct scree_vision {
    struct scree_head head;
    struct scree_side side;
    struct scree_anchor *anchors;
    struct scree_tensor *outputs; /* scree_tensor[n_outputs] */
    uint32_t n_outputs;
    struct scree_found *found;
    float *floats;
    uint8_t *map;     /* u8[h][w], for masks */
    int32_t *columns; /* i32[SCREE_IMAGE_MAX_SIDE], for masks */
};

#endif
