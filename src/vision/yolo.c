/* The heads of YOLOv5, of YOLOv8 and its successors, and of models with suppression inside.
 *
 * Of each box the best class counts; its score is the class's, times the objectness in YOLOv5.
 * Exports disagree on the unit of the boxes: TFLite exports of Ultralytics give [0, 1] of the input
 * (without that, 8 bits could not hold coordinates and scores in one tensor), others pixels. A
 * quantized output tells by its range, a float one by the largest number among the boxes over the
 * threshold: up to MAX_NORMALIZED is [0, 1]. */
#include <math.h>

#include "vision/detect.h"
#include "vision/tensor.h"

/* Boxes reach a little beyond the picture, hence beyond 1; a thing of 4 pixels in the corner of a
 * picture is below what any YOLO finds. */
#define MAX_NORMALIZED 4.0f

static const struct scree_tensor *main_output(const struct scree_decoder *decoder)
{
    return &decoder->outputs[decoder->head->outputs[SCREE_ROLE_MAIN]];
}

/* Where number k of box i stands, and the step from one k to the next. */
static size_t offset(const struct scree_head *head, size_t n_row, size_t i, size_t k)
{
    return head->channels_first ? k * (size_t)head->n_boxes + i : i * n_row + k;
}

static size_t step(const struct scree_head *head)
{
    return head->channels_first ? (size_t)head->n_boxes : 1;
}

/* Whether the boxes of the first n candidates, whose `box` holds the four numbers as they came, are
 * in pixels. */
static bool are_pixels(const struct scree_decoder *decoder, uint32_t n)
{
    float low, high = 0;

    if (decoder->side->units != SCREE_BOX_AUTO)
        return decoder->side->units == SCREE_BOX_PIXELS;
    if (!scree_tensor_range(main_output(decoder), &low, &high))
        for (uint32_t i = 0; i < n; i++) {
            const struct scree_box *b = &decoder->found[i].box;

            high = fmaxf(high, fmaxf(fmaxf(b->ymin, b->xmin), fmaxf(b->ymax, b->xmax)));
        }
    return high > MAX_NORMALIZED;
}

/* Reads the box of each candidate in found[n], turns it into corners in [0, 1] and drops the
 * illegal ones. Numbers are cx cy w h, or x0 y0 x1 y1 with `corners`. */
static uint32_t place_boxes(const struct scree_decoder *decoder, uint32_t n, size_t n_row,
                            bool corners)
{
    const struct scree_head *head = decoder->head;
    struct scree_found *found = decoder->found;
    float unit_y, unit_x, b[4];
    uint32_t n_legal = 0;
    bool pixels;

    for (uint32_t i = 0; i < n; i++) {
        scree_tensor_reals(main_output(decoder), offset(head, n_row, found[i].index, 0), step(head),
                           4, b);
        found[i].box = (struct scree_box){b[1], b[0], b[3], b[2]};
    }
    pixels = are_pixels(decoder, n);
    unit_y = pixels ? 1 / (float)head->in_h : 1;
    unit_x = pixels ? 1 / (float)head->in_w : 1;
    for (uint32_t i = 0; i < n; i++) {
        struct scree_found one = found[i];
        struct scree_box *box = &one.box;

        *box = (struct scree_box){box->ymin * unit_y, box->xmin * unit_x, box->ymax * unit_y,
                                  box->xmax * unit_x};
        if (!corners)
            *box = scree_box_from_center(box->ymin, box->xmin, box->ymax, box->xmax);
        n_legal = scree_found_add(decoder, n_legal, one);
    }
    return n_legal;
}

/* The best class of row[n_row] from `first` on. */
static struct scree_found best_of_row(const float *row, size_t first, size_t n_row, uint32_t index)
{
    size_t best = first;

    for (size_t k = first + 1; k < n_row; k++)
        if (row[k] > row[best])
            best = k;
    return (struct scree_found){
        .score = row[best], .class_id = (int32_t)(best - first), .index = index};
}

/* Fills found[n_boxes] with the best class of each box. With the channels first a whole class is
 * read at a time, since its numbers lie side by side. */
static void best_classes(const struct scree_decoder *decoder, size_t first, size_t n_row)
{
    const struct scree_head *head = decoder->head;
    const struct scree_tensor *t = main_output(decoder);
    struct scree_found *found = decoder->found;
    uint32_t n = (uint32_t)head->n_boxes;
    float *row = decoder->floats;

    if (!head->channels_first) {
        for (uint32_t i = 0; i < n; i++) {
            scree_tensor_reals(t, i * n_row, 1, n_row, row);
            found[i] = best_of_row(row, first, n_row, i);
        }
        return;
    }
    for (size_t k = first; k < n_row; k++) {
        scree_tensor_reals(t, k * n, 1, n, row);
        for (uint32_t i = 0; i < n; i++)
            if (k == first || row[i] > found[i].score)
                found[i] = (struct scree_found){
                    .score = row[i], .class_id = (int32_t)(k - first), .index = i};
    }
}

/* Moves the candidates over the threshold to the front. */
static uint32_t keep_good(const struct scree_decoder *decoder)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < (uint32_t)decoder->head->n_boxes; i++)
        if (decoder->found[i].score >= decoder->threshold)
            decoder->found[n++] = decoder->found[i];
    return n;
}

uint32_t scree_yolo_v8_decode(const struct scree_decoder *decoder)
{
    size_t n_row = 4 + (size_t)decoder->head->n_classes;

    best_classes(decoder, 4, n_row);
    return place_boxes(decoder, keep_good(decoder), n_row, false);
}

uint32_t scree_yolo_v5_decode(const struct scree_decoder *decoder)
{
    const struct scree_head *head = decoder->head;
    size_t n_row = 5 + (size_t)head->n_classes;

    best_classes(decoder, 5, n_row);
    for (uint32_t i = 0; i < (uint32_t)head->n_boxes; i++) {
        float objectness;

        scree_tensor_reals(main_output(decoder), offset(head, n_row, i, 4), 1, 1, &objectness);
        decoder->found[i].score *= objectness;
    }
    return place_boxes(decoder, keep_good(decoder), n_row, false);
}

uint32_t scree_yolo_end_decode(const struct scree_decoder *decoder)
{
    for (uint32_t i = 0; i < (uint32_t)decoder->head->n_boxes; i++) {
        float tail[2];

        scree_tensor_reals(main_output(decoder), (size_t)i * 6 + 4, 1, 2, tail);
        decoder->found[i] = (struct scree_found){
            .score = tail[0],
            .class_id = scree_class_from_real(tail[1]),
            .index = i,
        };
    }
    return place_boxes(decoder, keep_good(decoder), 6, true);
}
