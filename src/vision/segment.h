/* vision/segment.h - masks: the class of every pixel.
 *
 * Memory: none but the scratch handed in. Threads: no shared state. */
#ifndef SCREE_VISION_SEGMENT_H
#define SCREE_VISION_SEGMENT_H

#include "vision/detect.h"

/* The head's class map, ret_map u8[h][w]: the numbers of a class map as they are, the class with
 * the highest of a cell's scores (equal ones: the lower) otherwise.
 * Errors: EBADMSG (a class outside [0, 255]); ret_map is undefined then. */
int scree_segment_decode(const struct scree_decoder *decoder, uint8_t *ret_map,
                         struct scree_error *err);

/* The map, which covers the head's input (without a picture: itself), as the picture's size w x h,
 * by nearest neighbour: pixel (x, y) shows the cell under its middle, or SCREE_CLASS_NONE outside
 * of fit->src. fit NULL: the picture fills the input.
 *
 * columns  i32[w] of scratch
 * ret_classes  u8[h][w] */
void scree_segment_resize(const struct scree_head *head, const uint8_t *map,
                          const struct scree_fit *fit, int32_t w, int32_t h, int32_t *columns,
                          uint8_t *ret_classes);

/* ret_counts[k] += the number of pixels of class k in classes u8[n]. */
void scree_segment_count(const uint8_t *classes, size_t n, uint64_t ret_counts[256]);

#endif
