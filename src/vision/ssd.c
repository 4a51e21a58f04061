/* Single-shot detectors, with and without TFLite_Detection_PostProcess.
 *
 * Without it, box b = (ty, tx, th, tw) relative to its anchor a means (the Faster R-CNN box coder,
 * s = side file's box_coder)
 *
 *     cy = ty / s[0] * a.h + a.cy          h = exp(th / s[2]) * a.h
 *     cx = tx / s[1] * a.w + a.cx          w = exp(tw / s[3]) * a.w
 *
 * exp() is taken in double precision and rounded once, so that its last bit, which differs between
 * C libraries, does not show. */
#include <math.h>

#include "vision/detect.h"
#include "vision/tensor.h"

static const struct scree_tensor *output(const struct scree_decoder *decoder, enum scree_role role)
{
    return &decoder->outputs[decoder->head->outputs[role]];
}

uint32_t scree_ssd_decode(const struct scree_decoder *decoder)
{
    const struct scree_tensor *boxes = output(decoder, SCREE_ROLE_BOXES);
    uint32_t n = 0, n_boxes = (uint32_t)decoder->head->n_boxes;
    float count, score, class_id, box[4];

    scree_tensor_reals(output(decoder, SCREE_ROLE_COUNT), 0, 1, 1, &count);
    for (uint32_t i = 0; i < n_boxes && (float)i < count; i++) {
        scree_tensor_reals(output(decoder, SCREE_ROLE_SCORES), i, 1, 1, &score);
        scree_tensor_reals(output(decoder, SCREE_ROLE_CLASSES), i, 1, 1, &class_id);
        scree_tensor_reals(boxes, (size_t)i * 4, 1, 4, box);
        n = scree_found_add(
            decoder, n,
            (struct scree_found){
                score, scree_class_from_real(class_id), i, {box[0], box[1], box[2], box[3]}});
    }
    return n;
}

/* Whether the scores have still to go through the logistic function. */
static bool are_logits(const struct scree_decoder *decoder, const struct scree_tensor *scores)
{
    float low, high;

    if (decoder->side->scores != SCREE_SCORE_AUTO)
        return decoder->side->scores == SCREE_SCORE_LOGITS;
    return scree_tensor_range(scores, &low, &high) && (low < -0.1f || high > 2);
}

static float logistic(float x)
{
    return (float)(1 / (1 + exp(-(double)x)));
}

static struct scree_box decode_box(const float *b, const struct scree_anchor *a, const float *s)
{
    return scree_box_from_center(b[0] / s[0] * a->h + a->cy, b[1] / s[1] * a->w + a->cx,
                                 (float)exp((double)(b[2] / s[2])) * a->h,
                                 (float)exp((double)(b[3] / s[3])) * a->w);
}

uint32_t scree_ssd_raw_decode(const struct scree_decoder *decoder)
{
    const struct scree_head *head = decoder->head;
    const struct scree_tensor *scores = output(decoder, SCREE_ROLE_SCORES);
    const struct scree_tensor *boxes = output(decoder, SCREE_ROLE_BOXES);
    int32_t first = head->n_background, n_row = first + head->n_classes;
    bool logits = are_logits(decoder, scores);
    float *row = decoder->floats, box[4];
    uint32_t n = 0;

    for (uint32_t i = 0; i < (uint32_t)head->n_boxes; i++) {
        int32_t best = first;
        float score;

        scree_tensor_reals(scores, (size_t)i * (size_t)n_row, 1, (size_t)n_row, row);
        for (int32_t k = first + 1; k < n_row; k++)
            if (row[k] > row[best])
                best = k;
        score = logits ? logistic(row[best]) : row[best];
        if (!(score >= decoder->threshold))
            continue;
        scree_tensor_reals(boxes, (size_t)i * 4, 1, 4, box);
        n = scree_found_add(
            decoder, n,
            (struct scree_found){score, best - first, i,
                                 decode_box(box, &decoder->anchors[i], decoder->side->box_coder)});
    }
    return n;
}
