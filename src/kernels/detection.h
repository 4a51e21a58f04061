/* kernels/detection.h - boxes of detected objects: decoding, overlap, suppression of doubles.
 *
 * Memory: keeps nothing, allocates nothing. Threads: no shared state. */
#ifndef SCREE_KERNELS_DETECTION_H
#define SCREE_KERNELS_DETECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scree_box {
    float y_min, x_min, y_max, x_max;
};

/* A box by its centre and size, as detectors give it relative to an anchor. */
struct scree_centered {
    float y, x, h, w;
};

/* The box that an encoded one stands for: centre = encoded / scale * anchor's size + anchor's
 * centre, size = exp(encoded / scale) * anchor's size; in double, rounded to float where TFLite's
 * detection_postprocess.cc rounds. First what does not depend on the anchor (of 8 bits it comes
 * from a table): encoded / scale of a centre, half of exp(encoded / scale) of a size. Cannot fail.
 */
double scree_box_decode_centre(float encoded, float scale);
double scree_box_decode_size(float encoded, float scale);

/* decoded f64[4]: y, x, h, w. */
struct scree_box scree_box_decode(const double *decoded, const struct scree_centered *anchor);

/* The intersection's area by the union's; 0 if a box has no area. Cannot fail. */
float scree_box_overlap(const struct scree_box *a, const struct scree_box *b);

/* The boxes with a score of at least score_threshold, best first (of equal ones the one with the
 * smaller index), without those that overlap a better one by more than overlap_threshold, `most` of
 * them at most.
 *
 * boxes     [n]
 * scores    f32[n]
 * scratch   s32[n]
 * selected  s32[min(n, most)]: their indices
 *
 * Returns how many they are. Cannot fail. Takes n * that many steps. */
size_t scree_box_suppress(const struct scree_box *boxes, const float *scores, size_t n,
                          float score_threshold, float overlap_threshold, size_t most,
                          int32_t *scratch, int32_t *selected);

/* The same for boxes whose corners are in any order, as NON_MAX_SUPPRESSION_V4 and _V5 have it:
 * scores above score_threshold, overlaps of overlap_threshold or more; with sigma > 0 a box that
 * overlaps better ones less than that is not dropped, but its score falls by
 * exp(-overlap^2 / (2 * sigma)) for each.
 *
 * corners     f32[n][4]
 * scores      f32[n]
 * fallen      f32[n] scratch: the scores as they fall
 * seen        s32[n] scratch: how many of the selected each has been compared with
 * heap        s32[n] scratch: the candidates
 * selected    s32[most]: their indices
 * score_out   f32[most]: their scores; or NULL
 *
 * Returns how many they are. Cannot fail. Source: TFLite reference/non_max_suppression.h. */
size_t scree_box_suppress_soft(const float *corners, const float *scores, size_t n,
                               float score_threshold, float overlap_threshold, float sigma,
                               size_t most, float *fallen, int32_t *seen, int32_t *heap,
                               int32_t *selected, float *score_out);

#endif
