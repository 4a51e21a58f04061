/* vision/pose.h - persons and their key points.
 *
 * MoveNet answers with key points as they are. PoseNet answers with fields over a grid of cells,
 * `stride` pixels of the input apart, that posenet.c walks along:
 *
 *     heatmaps       f[h][w][17]   logits: is this key point here?
 *     offsets        f[h][w][34]   from the cell to the key point, in pixels: 17 y, then 17 x
 *     forward        f[h][w][32]   from a key point to the next along each of 16 edges: 16 y, 16 x
 *     backward       f[h][w][32]   the same against the edges
 *
 * or forward and backward in one tensor f[h][w][64]. Each local maximum of a heatmap, best first,
 * may be the root of a person: from it the displacements lead along the edges, which are a tree, to
 * the other 16 key points; after each step the offsets at the place reached correct the place. A
 * root near the same key point of a person found before is of that person. (G. Papandreou et al.,
 * PersonLab, ECCV 2018, section 3.2; the layout as in TensorFlow.js' posenet and in Coral's
 * posenet_decoder.)
 *
 * Memory: none but the scratch handed in. */
#ifndef SCREE_VISION_POSE_H
#define SCREE_VISION_POSE_H

#include "vision/detect.h"

/* The most persons that scree_pose() looks for. */
#define SCREE_MAX_POSES 100

/* Decodes the head's outputs to at most `max` poses over the decoder's threshold, best first, in
 * [0, 1] of the input.
 *
 * decoder  `found` has n_boxes entries, for PoseNet h * w * 17; `floats` as always
 * ret_poses  scree_pose[max]; max in [1, SCREE_MAX_POSES]
 * Returns how many were written. */
uint32_t scree_pose_decode(const struct scree_decoder *decoder, uint32_t max,
                           struct scree_pose *ret_poses);

/* The part of it that is PoseNet's. */
uint32_t scree_posenet_decode(const struct scree_decoder *decoder, uint32_t max,
                              struct scree_pose *ret_poses);

/* Sorts poses[n] by score, equal ones as they stand. */
void scree_pose_sort(struct scree_pose *poses, uint32_t n);

/* PoseNet's edges, in the order of the displacements: pairs of key points, nearer to the nose
 * first.
 */
#define SCREE_POSE_N_EDGES 16
extern const uint8_t scree_pose_tree[SCREE_POSE_N_EDGES][2];

#endif
