#include "kernels/detection.h"

#include <math.h>

#include "kernels/heap.h"

double scree_box_decode_centre(float encoded, float scale)
{
    return (double)encoded / (double)scale;
}

double scree_box_decode_size(float encoded, float scale)
{
    return 0.5 * exp((double)encoded / (double)scale);
}

struct scree_box scree_box_decode(const double *decoded, const struct scree_centered *anchor)
{
    float y = (float)(decoded[0] * (double)anchor->h + (double)anchor->y);
    float x = (float)(decoded[1] * (double)anchor->w + (double)anchor->x);
    float h = (float)(decoded[2] * (double)anchor->h);
    float w = (float)(decoded[3] * (double)anchor->w);

    return (struct scree_box){y - h, x - w, y + h, x + w};
}

static float larger(float a, float b)
{
    return a < b ? b : a;
}

static float smaller(float a, float b)
{
    return b < a ? b : a;
}

float scree_box_overlap(const struct scree_box *a, const struct scree_box *b)
{
    float area_a = (a->y_max - a->y_min) * (a->x_max - a->x_min);
    float area_b = (b->y_max - b->y_min) * (b->x_max - b->x_min);
    float h = smaller(a->y_max, b->y_max) - larger(a->y_min, b->y_min);
    float w = smaller(a->x_max, b->x_max) - larger(a->x_min, b->x_min);
    float both = larger(h, 0) * larger(w, 0);

    if (area_a <= 0 || area_b <= 0)
        return 0;
    return both / (area_a + area_b - both);
}

/* The queue's order: the item that comes last, on top of the heap, has the highest score, and of
 * those the smallest index. */
static bool worse_score(const void *context, int32_t a, int32_t b)
{
    const float *scores = context;

    return scores[a] < scores[b] || (scores[a] == scores[b] && a > b);
}

static bool overlaps_one(const struct scree_box *boxes, const int32_t *selected, size_t n_selected,
                         int32_t candidate, float overlap_threshold)
{
    for (size_t i = 0; i < n_selected; i++)
        if (scree_box_overlap(&boxes[selected[i]], &boxes[candidate]) > overlap_threshold)
            return true;
    return false;
}

/* A heap, because most models have far more candidates than are looked at until enough are
 * selected. */
size_t scree_box_suppress(const struct scree_box *boxes, const float *scores, size_t n,
                          float score_threshold, float overlap_threshold, size_t most,
                          int32_t *scratch, int32_t *selected)
{
    struct scree_order order = {worse_score, scores};
    size_t n_heap = 0, n_selected = 0;

    for (size_t i = 0; i < n; i++) {
        if (!(scores[i] >= score_threshold))
            continue;
        scratch[n_heap++] = (int32_t)i;
        scree_heap_push(&order, scratch, n_heap);
    }
    while (n_heap > 0 && n_selected < most) {
        int32_t candidate = scratch[0];

        scree_heap_pop(&order, scratch, n_heap--);
        if (!overlaps_one(boxes, selected, n_selected, candidate, overlap_threshold))
            selected[n_selected++] = candidate;
    }
    return n_selected;
}

static struct scree_box box_of_corners(const float *corners)
{
    return (struct scree_box){smaller(corners[0], corners[2]), smaller(corners[1], corners[3]),
                              larger(corners[0], corners[2]), larger(corners[1], corners[3])};
}

/* The queue's order: the item that comes last, on top of the heap, has the highest score. */
static bool lower_score(const void *context, int32_t a, int32_t b)
{
    const float *scores = context;

    return scores[a] < scores[b];
}

/* Compares a candidate with the boxes selected since it was last compared, the newest first. False
 * if one of them suppresses it; its score falls if sigma > 0. */
static bool survives(const float *corners, int32_t candidate, const int32_t *selected, size_t from,
                     size_t to, float score_threshold, float overlap_threshold, float sigma,
                     float *score)
{
    struct scree_box box = box_of_corners(corners + 4 * (size_t)candidate);
    float scale = sigma > 0 ? (float)(-0.5 / (double)sigma) : 0;

    for (size_t j = to; j-- > from;) {
        struct scree_box other = box_of_corners(corners + 4 * (size_t)selected[j]);
        float overlap = scree_box_overlap(&box, &other);

        if (overlap >= overlap_threshold)
            return false;
        if (sigma > 0)
            *score *= expf(scale * overlap * overlap);
        if (*score <= score_threshold)
            break;
    }
    return true;
}

size_t scree_box_suppress_soft(const float *corners, const float *scores, size_t n,
                               float score_threshold, float overlap_threshold, float sigma,
                               size_t most, float *fallen, int32_t *seen, int32_t *heap,
                               int32_t *selected, float *score_out)
{
    struct scree_order order = {lower_score, fallen};
    size_t n_heap = 0, n_selected = 0;

    for (size_t i = 0; i < n; i++) {
        fallen[i] = scores[i];
        seen[i] = 0;
        if (!(scores[i] > score_threshold))
            continue;
        heap[n_heap++] = (int32_t)i;
        scree_heap_push(&order, heap, n_heap);
    }
    most = most < n_heap ? most : n_heap;
    while (n_selected < most && n_heap > 0) {
        int32_t candidate = heap[0];
        float score = fallen[candidate];
        bool survived;

        scree_heap_pop(&order, heap, n_heap--);
        survived = survives(corners, candidate, selected, (size_t)seen[candidate], n_selected,
                            score_threshold, overlap_threshold, sigma, &score);
        seen[candidate] = (int32_t)n_selected;
        if (!survived)
            continue;
        if (score == fallen[candidate]) {
            if (score_out)
                score_out[n_selected] = score;
            selected[n_selected++] = candidate;
        }
        fallen[candidate] = score;
        if (score > score_threshold) {
            heap[n_heap++] = candidate;
            scree_heap_push(&order, heap, n_heap);
        }
    }
    return n_selected;
}
