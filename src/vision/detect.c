#include "vision/detect.h"

#include <math.h>
#include <stdlib.h>

#include "vision/tensor.h"

/* Candidates beyond the best 30000 are not looked at, as in Ultralytics' max_nms: with at most 1000
 * kept ones, suppression is bounded by 30 million overlaps. */
#define MAX_SUPPRESSED 30000

size_t scree_decoder_floats(const struct scree_head *head)
{
    size_t n_row = (size_t)head->n_classes + 6;
    size_t n_boxes = (size_t)head->n_boxes;
    size_t n_persons = n_boxes * (3 * SCREE_N_KEYPOINTS + 5);

    switch (head->kind) {
    case SCREE_HEAD_YOLO_V5:
    case SCREE_HEAD_YOLO_V8:
        return n_boxes > n_row ? n_boxes : n_row;
    case SCREE_HEAD_MOVENET:
    case SCREE_HEAD_MOVENET_MULTI:
        return n_persons;
    case SCREE_HEAD_POSENET:
        return (size_t)head->h * (size_t)head->w * SCREE_N_KEYPOINTS;
    default:
        return n_row;
    }
}

/* The number of elements that the head expects of the output in `role`. */
static size_t expected_elements(const struct scree_head *head, enum scree_role role)
{
    static const uint8_t channels[SCREE_N_ROLES] = {
        [SCREE_ROLE_HEATMAPS] = SCREE_N_KEYPOINTS,
        [SCREE_ROLE_OFFSETS] = 2 * SCREE_N_KEYPOINTS,
        [SCREE_ROLE_BACKWARD] = 32,
    };
    size_t n_boxes = (size_t)head->n_boxes, n_classes = (size_t)head->n_classes;
    size_t n_cells = (size_t)head->h * (size_t)head->w;

    switch (role) {
    case SCREE_ROLE_BOXES:
        return n_boxes * 4;
    case SCREE_ROLE_CLASSES:
        return n_boxes;
    case SCREE_ROLE_COUNT:
        return 1;
    case SCREE_ROLE_FORWARD:
        return n_cells * (head->outputs[SCREE_ROLE_BACKWARD] < 0 ? 64 : 32);
    case SCREE_ROLE_HEATMAPS:
    case SCREE_ROLE_OFFSETS:
    case SCREE_ROLE_BACKWARD:
        return n_cells * channels[role];
    default:
        break;
    }
    switch (head->kind) {
    case SCREE_HEAD_SSD:
        return n_boxes;
    case SCREE_HEAD_SSD_RAW:
        return n_boxes * (n_classes + (size_t)head->n_background);
    case SCREE_HEAD_YOLO_END:
        return n_boxes * 6;
    case SCREE_HEAD_YOLO_V8:
        return n_boxes * (4 + n_classes);
    case SCREE_HEAD_YOLO_V5:
        return n_boxes * (5 + n_classes);
    case SCREE_HEAD_MOVENET:
        return n_boxes * 3 * SCREE_N_KEYPOINTS;
    case SCREE_HEAD_MOVENET_MULTI:
        return n_boxes * (3 * SCREE_N_KEYPOINTS + 5);
    case SCREE_HEAD_CLASS_MAP:
        return n_cells;
    case SCREE_HEAD_CLASS_SCORES:
        return n_cells * n_classes;
    default:
        return n_classes;
    }
}

int scree_outputs_check(const struct scree_head *head, const struct scree_tensor *outputs,
                        uint32_t n_outputs, struct scree_error *err)
{
    for (uint32_t role = 0; role < SCREE_N_ROLES; role++) {
        int32_t i = head->outputs[role];
        size_t n, expected;
        int rc;

        if (i < 0)
            continue;
        if ((uint32_t)i >= n_outputs)
            return scree_fail(err, EINVAL, "output %d of %u: another model's session", i,
                              n_outputs);
        rc = scree_tensor_check(&outputs[i], &n, err);
        if (rc < 0)
            return scree_wrap(err, rc, "output %d", i);
        expected = expected_elements(head, (enum scree_role)role);
        if (n != expected)
            return scree_fail(err, EINVAL, "output %d has %zu elements, not %zu as before", i, n,
                              expected);
    }
    return 0;
}

/* ---- candidates --------------------------------------------------------------------------------
 */

struct scree_box scree_box_from_center(float cy, float cx, float h, float w)
{
    return (struct scree_box){cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2};
}

static float area(const struct scree_box *box)
{
    return (box->ymax - box->ymin) * (box->xmax - box->xmin);
}

/* The part of `a` inside `b`, both finite; false if there is none. */
static bool intersect(const struct scree_box *a, const struct scree_box *b, struct scree_box *ret)
{
    ret->ymin = fmaxf(a->ymin, b->ymin);
    ret->xmin = fmaxf(a->xmin, b->xmin);
    ret->ymax = fminf(a->ymax, b->ymax);
    ret->xmax = fminf(a->xmax, b->xmax);
    return ret->ymin < ret->ymax && ret->xmin < ret->xmax;
}

float scree_box_iou(const struct scree_box *a, const struct scree_box *b)
{
    struct scree_box both;
    float common;

    if (!intersect(a, b, &both))
        return 0;
    common = area(&both);
    return common / (area(a) + area(b) - common);
}

int32_t scree_class_from_real(float real)
{
    return real >= 0 && real < SCREE_MAX_CLASSES ? (int32_t)(real + 0.5f) : -1;
}

uint32_t scree_found_add(const struct scree_decoder *decoder, uint32_t n, struct scree_found one)
{
    const struct scree_box *box = &one.box;

    if (!(one.score >= decoder->threshold) || one.class_id < 0 || one.class_id >= SCREE_MAX_CLASSES)
        return n;
    if (!isfinite(box->ymin) || !isfinite(box->xmin) || !isfinite(box->ymax) ||
        !isfinite(box->xmax) || !intersect(box, &decoder->view, &one.box))
        return n;
    decoder->found[n] = one;
    return n + 1;
}

static int compare_found(const void *left, const void *right)
{
    const struct scree_found *a = left, *b = right;

    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    if (a->class_id != b->class_id)
        return a->class_id < b->class_id ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Moves the candidates that stay to the front of found[n], at most `max`; returns how many. */
static uint32_t suppress(struct scree_found *found, uint32_t n, float iou, bool any_class,
                         uint32_t max)
{
    uint32_t n_kept = 0;

    for (uint32_t i = 0; i < n && i < MAX_SUPPRESSED && n_kept < max; i++) {
        bool stays = true;

        for (uint32_t k = 0; k < n_kept && stays; k++)
            if (any_class || found[k].class_id == found[i].class_id)
                stays = !(scree_box_iou(&found[k].box, &found[i].box) > iou);
        if (stays)
            found[n_kept++] = found[i];
    }
    return n_kept;
}

/* ---- pictures ----------------------------------------------------------------------------------
 */

static bool is_rect(const struct scree_rect *rect)
{
    return rect->x >= 0 && rect->y >= 0 && rect->w >= 1 && rect->h >= 1 &&
           rect->x <= SCREE_IMAGE_MAX_SIDE && rect->y <= SCREE_IMAGE_MAX_SIDE &&
           rect->w <= SCREE_IMAGE_MAX_SIDE && rect->h <= SCREE_IMAGE_MAX_SIDE;
}

int scree_fit_check(const struct scree_head *head, const struct scree_fit *fit,
                    struct scree_error *err)
{
    if (!fit)
        return 0;
    if (head->input < 0)
        return scree_fail(err, EINVAL, "a fit for a model without a picture");
    if (!is_rect(&fit->src) || !is_rect(&fit->dst))
        return scree_fail(err, EINVAL, "a fit that no picture has");
    return 0;
}

struct scree_box scree_fit_view(const struct scree_head *head, const struct scree_fit *fit)
{
    float h = (float)head->in_h, w = (float)head->in_w;

    if (!fit)
        return (struct scree_box){0, 0, 1, 1};
    return (struct scree_box){
        (float)fit->dst.y / h,
        (float)fit->dst.x / w,
        ((float)fit->dst.y + (float)fit->dst.h) / h,
        ((float)fit->dst.x + (float)fit->dst.w) / w,
    };
}

void scree_fit_point(const struct scree_head *head, const struct scree_fit *fit, float *x, float *y)
{
    if (!fit)
        return;
    *x *= (float)head->in_w;
    *y *= (float)head->in_h;
    scree_fit_to_source(fit, x, y);
}

/* A corner that was cut off at the view may come out a rounding error beyond the picture's edge. */
static float clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

static struct scree_detection place(const struct scree_head *head, const struct scree_fit *fit,
                                    const struct scree_found *found)
{
    struct scree_box box = found->box;

    scree_fit_point(head, fit, &box.xmin, &box.ymin);
    scree_fit_point(head, fit, &box.xmax, &box.ymax);
    if (fit) {
        float x = (float)fit->src.x, y = (float)fit->src.y;

        box.xmin = clamp(box.xmin, x, x + (float)fit->src.w);
        box.xmax = clamp(box.xmax, x, x + (float)fit->src.w);
        box.ymin = clamp(box.ymin, y, y + (float)fit->src.h);
        box.ymax = clamp(box.ymax, y, y + (float)fit->src.h);
    }
    return (struct scree_detection){
        found->class_id, found->score, box.ymin, box.xmin, box.ymax, box.xmax,
    };
}

static uint32_t decode(const struct scree_decoder *decoder)
{
    switch (decoder->head->kind) {
    case SCREE_HEAD_SSD:
        return scree_ssd_decode(decoder);
    case SCREE_HEAD_SSD_RAW:
        return scree_ssd_raw_decode(decoder);
    case SCREE_HEAD_YOLO_END:
        return scree_yolo_end_decode(decoder);
    case SCREE_HEAD_YOLO_V8:
        return scree_yolo_v8_decode(decoder);
    case SCREE_HEAD_YOLO_V5:
        return scree_yolo_v5_decode(decoder);
    default:
        return 0;
    }
}

uint32_t scree_detect_finish(const struct scree_decoder *decoder, const struct scree_fit *fit,
                             float iou, bool any_class, uint32_t max,
                             struct scree_detection *ret_detections)
{
    enum scree_head_kind kind = decoder->head->kind;
    bool suppressed = kind == SCREE_HEAD_SSD || kind == SCREE_HEAD_YOLO_END;
    uint32_t n = decode(decoder);

    qsort(decoder->found, n, sizeof *decoder->found, compare_found);
    if (!suppressed)
        n = suppress(decoder->found, n, iou, any_class, max);
    if (n > max)
        n = max;
    for (uint32_t i = 0; i < n; i++)
        ret_detections[i] = place(decoder->head, fit, &decoder->found[i]);
    return n;
}
