#include "vision/pose.h"

#include <math.h>

#include "vision/tensor.h"

/* COCO's skeleton as pictures show it: the limbs, the trunk and the face. */
static const uint8_t skeleton[][2] = {
    {0, 1},  {0, 2},  {1, 3},  {2, 4},   {5, 6},   {5, 7},   {7, 9},   {6, 8},
    {8, 10}, {5, 11}, {6, 12}, {11, 12}, {11, 13}, {13, 15}, {12, 14}, {14, 16},
};

uint32_t scree_pose_edges(const uint8_t (**ret_pairs)[2])
{
    *ret_pairs = skeleton;
    return (uint32_t)(sizeof skeleton / sizeof skeleton[0]);
}

void scree_pose_sort(struct scree_pose *poses, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct scree_pose one = poses[i];
        uint32_t k = i;

        for (; k > 0 && one.score > poses[k - 1].score; k--)
            poses[k] = poses[k - 1];
        poses[k] = one;
    }
}

/* y, x, score triples to key points; one that is not finite counts as not seen. */
static struct scree_pose read_keypoints(const float *triples)
{
    struct scree_pose pose = {0};

    for (int i = 0; i < SCREE_N_KEYPOINTS; i++) {
        const float *t = &triples[(size_t)i * 3];

        if (isfinite(t[0]) && isfinite(t[1]) && isfinite(t[2]))
            pose.keypoints[i] = (struct scree_keypoint){t[0], t[1], t[2]};
        pose.score += pose.keypoints[i].score;
    }
    pose.score /= SCREE_N_KEYPOINTS;
    return pose;
}

/* MoveNet: 17 triples; for several persons then a box and the person's score. */
static uint32_t movenet_decode(const struct scree_decoder *decoder, uint32_t max,
                               struct scree_pose *ret_poses)
{
    const struct scree_head *head = decoder->head;
    bool multi = head->kind == SCREE_HEAD_MOVENET_MULTI;
    size_t n_row = 3 * SCREE_N_KEYPOINTS + (multi ? 5 : 0);
    uint32_t n = 0, n_persons = (uint32_t)head->n_boxes;
    struct scree_pose poses[SCREE_MAX_POSES];

    scree_tensor_reals(&decoder->outputs[head->outputs[SCREE_ROLE_MAIN]], 0, 1, n_persons * n_row,
                       decoder->floats);
    for (uint32_t i = 0; i < n_persons; i++) {
        const float *row = &decoder->floats[i * n_row];

        poses[n] = read_keypoints(row);
        if (multi)
            poses[n].score = row[n_row - 1];
        if (poses[n].score >= decoder->threshold)
            n++;
    }
    scree_pose_sort(poses, n);
    n = n < max ? n : max;
    for (uint32_t i = 0; i < n; i++)
        ret_poses[i] = poses[i];
    return n;
}

uint32_t scree_pose_decode(const struct scree_decoder *decoder, uint32_t max,
                           struct scree_pose *ret_poses)
{
    if (decoder->head->kind == SCREE_HEAD_POSENET)
        return scree_posenet_decode(decoder, max, ret_poses);
    return movenet_decode(decoder, max, ret_poses);
}
