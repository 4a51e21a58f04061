/* vision/show.h - answers drawn into the picture they are about.
 *
 * Everything is in pixels of the image, as scree_detect(), scree_pose() and scree_segment() answer
 * with a fit. Names come from `labels`; a class without one is "class 7". Colours depend on the
 * class only, so the same thing has the same colour in every picture.
 *
 * Memory: none. Threads: no shared state. No function here can fail. */
#ifndef SCREE_VISION_SHOW_H
#define SCREE_VISION_SHOW_H

#include "media/image.h"

/* The name of a class into text char[n], cut between characters if need be; returns text. labels
 * may be NULL. */
char *scree_show_name(const struct scree_labels *labels, int32_t class_id, char *text, size_t n);

/* The k best classes as lines in the left upper corner: "Egyptian cat 0.78". */
void scree_show_classes(struct scree_image *image, const struct scree_class *classes, uint32_t n,
                        const struct scree_labels *labels);

/* Boxes with tags "dog 0.84", the best on top. */
void scree_show_detections(struct scree_image *image, const struct scree_detection *detections,
                           uint32_t n, const struct scree_labels *labels);

/* Skeletons; key points below `threshold`, and lines to them, are left out. */
void scree_show_poses(struct scree_image *image, const struct scree_pose *poses, uint32_t n,
                      float threshold);

/* A mask u8[image->h][image->w] blended over the picture, without class `background` (-1: none is),
 * and without SCREE_CLASS_NONE; with a legend of the classes that cover at least
 * `least_share` of the picture, in [0, 1], in the left upper corner. */
void scree_show_mask(struct scree_image *image, const uint8_t *classes, int32_t background,
                     double least_share, const struct scree_labels *labels);

#endif
