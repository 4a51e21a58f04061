/* ops/detection.c - the custom operator TFLite_Detection_PostProcess: what an SSD network gives for
 * each of its anchors, made into a list of objects.
 *
 * Boxes are decoded, then doubles suppressed: the fast way once for all classes, by each box's best
 * one, or the regular way for each class by itself. Source: TFLite detection_postprocess.cc. */
#include "kernels/detection.h"

#include <string.h>

#include "kernels/arg.h"
#include "kernels/heap.h"
#include "model/flexbuffer.h"

#include "ops/common.h"
#include "ops/ops.h"

enum { ENCODINGS, SCORES, ANCHORS };

enum { OUT_BOXES, OUT_CLASSES, OUT_SCORES, OUT_COUNT };

/* As many per class if the options do not say, in the regular way. */
#define DETECTIONS_PER_CLASS 100

struct detection_params {
    int32_t most;            /* detections at all */
    int32_t classes_per_box; /* each counts as many detections, the fast way */
    int32_t most_per_class;  /* the regular way */
    int32_t n_classes;       /* without the background */
    float score_threshold, overlap_threshold;
    bool regular;
    struct scree_centered scale;
    double decoded[4][256]; /* y, x, h and w of each value of an uint8 encoding */
};

/* A detection: box * columns of the scores + column. */
struct hit {
    int64_t index;
    float score;
};

/* Where things are in the scratch. */
struct work {
    struct hit *hits;        /* [most + most_per_class], those possible */
    struct scree_box *boxes; /* [n] */
    float *scores;           /* [columns], those of a box */
    float *column;           /* [n] */
    int32_t *order;          /* [n], or [n_classes] */
    int32_t *selected;       /* [n] */
};

/* Sizes, from the inputs' shapes. */
struct sizes {
    size_t n, columns, background; /* background: 1 if column 0 is that class, which is left out */
};

static struct sizes sizes_of(const struct scree_call *call, const struct detection_params *params)
{
    const struct scree_shape *scores = &call->inputs[SCORES]->shape;

    return (struct sizes){(size_t)scores->dims[1], (size_t)scores->dims[2],
                          (size_t)(scores->dims[2] - params->n_classes)};
}

static size_t at_most(int32_t wanted, size_t possible)
{
    return (size_t)wanted < possible ? (size_t)wanted : possible;
}

static size_t max_hits(const struct detection_params *params, const struct sizes *sizes)
{
    return at_most(params->most, sizes->n * (size_t)params->n_classes);
}

/* Where these begin in the scratch, in bytes; the hits are first. */
struct places {
    size_t boxes, scores, column, order, selected, end;
};

static struct places lay_out(const struct detection_params *params, const struct sizes *sizes)
{
    size_t n = sizes->n, n_classes = (size_t)params->n_classes;
    size_t n_hits = max_hits(params, sizes) + at_most(params->most_per_class, n);
    struct places p = {.boxes = n_hits * sizeof(struct hit)};

    p.scores = p.boxes + n * sizeof(struct scree_box);
    p.column = p.scores + sizes->columns * sizeof(float);
    p.order = p.column + n * sizeof(float);
    p.selected = p.order + (n > n_classes ? n : n_classes) * sizeof(int32_t);
    p.end = p.selected + n * sizeof(int32_t);
    return p;
}

static struct work divide(const struct detection_params *params, const struct sizes *sizes,
                          char *scratch)
{
    struct places p = lay_out(params, sizes);

    return (struct work){
        .hits = (struct hit *)scratch,
        .boxes = (struct scree_box *)(scratch + p.boxes),
        .scores = (float *)(scratch + p.scores),
        .column = (float *)(scratch + p.column),
        .order = (int32_t *)(scratch + p.order),
        .selected = (int32_t *)(scratch + p.selected),
    };
}

/* ---- options and shapes -------------------------------------------------------------------- */

static int read_count(const struct scree_flexmap *map, const char *key, int64_t fallback,
                      int32_t *ret, struct scree_error *err)
{
    int64_t value = scree_flexmap_int(map, key, fallback);

    if (value < 1 || value > INT32_MAX)
        return scree_fail(err, EBADMSG, "%s is %lld", key, (long long)value);
    *ret = (int32_t)value;
    return 0;
}

static int read_options(const struct scree_node *node, struct detection_params *params,
                        struct scree_error *err)
{
    struct scree_flexmap map;
    int rc;

    if ((rc = scree_flexmap_open(node->custom, node->n_custom, &map, err)) < 0 ||
        (rc = read_count(&map, "max_detections", 0, &params->most, err)) < 0 ||
        (rc = read_count(&map, "max_classes_per_detection", 0, &params->classes_per_box, err)) <
            0 ||
        (rc = read_count(&map, "detections_per_class", DETECTIONS_PER_CLASS,
                         &params->most_per_class, err)) < 0 ||
        (rc = read_count(&map, "num_classes", 0, &params->n_classes, err)) < 0)
        return rc;
    params->regular = scree_flexmap_bool(&map, "use_regular_nms", false);
    params->score_threshold = scree_flexmap_float(&map, "nms_score_threshold", 0);
    params->overlap_threshold = scree_flexmap_float(&map, "nms_iou_threshold", 0);
    params->scale.y = scree_flexmap_float(&map, "y_scale", 0);
    params->scale.x = scree_flexmap_float(&map, "x_scale", 0);
    params->scale.h = scree_flexmap_float(&map, "h_scale", 0);
    params->scale.w = scree_flexmap_float(&map, "w_scale", 0);
    if (!(params->overlap_threshold > 0) || params->overlap_threshold > 1)
        return scree_fail(err, EBADMSG, "nms_iou_threshold is %g",
                          (double)params->overlap_threshold);
    if (params->most_per_class > params->most)
        params->most_per_class = params->most;
    return 0;
}

static int check_inputs(const struct scree_call *call, const struct detection_params *params,
                        struct scree_error *err)
{
    const struct scree_shape *boxes = &call->inputs[ENCODINGS]->shape;
    const struct scree_shape *scores = &call->inputs[SCORES]->shape;
    const struct scree_operand *anchors = call->inputs[ANCHORS];
    int rc = 0;

    if (boxes->rank != 3 || boxes->dims[0] != 1 || boxes->dims[2] < 4)
        return scree_fail(err, EBADMSG, "the boxes are not of shape 1xnx4");
    if (scores->rank != 3 || scores->dims[0] != 1 || scores->dims[1] != boxes->dims[1])
        return scree_fail(err, EBADMSG, "the scores are not of shape 1x%dxclasses", boxes->dims[1]);
    if (anchors->shape.rank != 2 || anchors->shape.dims[0] < boxes->dims[1] ||
        anchors->shape.dims[1] != 4)
        return scree_fail(err, EBADMSG, "the anchors are not of shape %dx4", boxes->dims[1]);
    if (scores->dims[2] < params->n_classes || scores->dims[2] - params->n_classes > 1)
        return scree_fail(err, EBADMSG, "scores of %d classes, the options say %d", scores->dims[2],
                          params->n_classes);
    for (uint32_t i = 0; i < call->n_inputs && rc == 0; i++)
        if (call->inputs[i]->type == SCREE_TYPE_UINT8)
            rc = scree_quant_check(call->inputs[i], call->inputs[i]->name, err);
    return rc;
}

/* ---- decoding ------------------------------------------------------------------------------ */

static float dequantize(uint8_t x, const struct scree_quant *quant)
{
    return ((float)x - (float)quant->zero_point[0]) * quant->scale[0];
}

/* Element `at` of an uint8 or float operand. */
static float float_at(const struct scree_operand *operand, size_t at)
{
    if (operand->type == SCREE_TYPE_UINT8)
        return dequantize(((const uint8_t *)operand->data)[at], operand->quant);
    return ((const float *)operand->data)[at];
}

static double decode_part(const struct detection_params *params, int part, float encoded)
{
    const float scale[] = {params->scale.y, params->scale.x, params->scale.h, params->scale.w};

    return part < 2 ? scree_box_decode_centre(encoded, scale[part])
                    : scree_box_decode_size(encoded, scale[part]);
}

/* Boxes of 8 bits have few values, of which the exponentials are taken once. */
static void fill_decoded(const struct scree_call *call, struct detection_params *params)
{
    const struct scree_operand *encodings = call->inputs[ENCODINGS];

    for (int part = 0; part < 4 && encodings->type == SCREE_TYPE_UINT8; part++)
        for (int q = 0; q < 256; q++)
            params->decoded[part][q] =
                decode_part(params, part, dequantize((uint8_t)q, encodings->quant));
}

static void read_encoding(const struct scree_call *call, size_t at, double *ret_decoded)
{
    const struct detection_params *params = call->params;
    const struct scree_operand *operand = call->inputs[ENCODINGS];

    for (int part = 0; part < 4; part++, at++)
        ret_decoded[part] = operand->type == SCREE_TYPE_UINT8
                                ? params->decoded[part][((const uint8_t *)operand->data)[at]]
                                : decode_part(params, part, ((const float *)operand->data)[at]);
}

static struct scree_centered read_anchor(const struct scree_operand *operand, size_t at)
{
    return (struct scree_centered){float_at(operand, at), float_at(operand, at + 1),
                                   float_at(operand, at + 2), float_at(operand, at + 3)};
}

static int decode_boxes(const struct scree_call *call, const struct sizes *sizes,
                        struct scree_box *boxes, struct scree_error *err)
{
    size_t pitch = (size_t)call->inputs[ENCODINGS]->shape.dims[2];

    for (size_t i = 0; i < sizes->n; i++) {
        struct scree_centered anchor = read_anchor(call->inputs[ANCHORS], i * 4);
        double decoded[4];

        read_encoding(call, i * pitch, decoded);
        boxes[i] = scree_box_decode(decoded, &anchor);
        if (boxes[i].y_min > boxes[i].y_max || boxes[i].x_min > boxes[i].x_max)
            return scree_fail(err, EBADMSG, "anchor %zu has a negative size", i);
    }
    return 0;
}

/* The n scores from `at` on: of floats where they are, else in `room`. */
static const float *read_scores(const struct scree_operand *scores, size_t at, size_t n,
                                float *room)
{
    if (scores->type == SCREE_TYPE_FLOAT32)
        return (const float *)scores->data + at;
    for (size_t i = 0; i < n; i++)
        room[i] = float_at(scores, at + i);
    return room;
}

/* The best of n >= 1 scores from `at` on; the order of quantized ones is that of real ones. */
static float best_score(const struct scree_operand *scores, size_t at, size_t n)
{
    const uint8_t *q = (const uint8_t *)scores->data + at;
    const float *f = (const float *)scores->data + at;
    uint8_t best = 0;

    if (scores->type == SCREE_TYPE_FLOAT32)
        return f[scree_arg_f32(f, n, 1, true)];
    for (size_t i = 0; i < n; i++)
        best = q[i] > best ? q[i] : best;
    return dequantize(best, scores->quant);
}

/* ---- the two ways -------------------------------------------------------------------------- */

static void write_detection(const struct scree_call *call, size_t at, const struct scree_box *box,
                            size_t class, float score)
{
    ((struct scree_box *)call->outputs[OUT_BOXES]->data)[at] = *box;
    ((float *)call->outputs[OUT_CLASSES]->data)[at] = (float)class;
    ((float *)call->outputs[OUT_SCORES]->data)[at] = score;
}

/* Puts a class's hits, best first, in their places among the n best of the classes before it:
 * behind those of the same score. Returns how many there are now, not more than `most`. */
static size_t merge_hits(struct hit *hits, size_t n, size_t most, const struct work *work,
                         size_t n_selected, size_t columns, size_t column)
{
    size_t total = n + n_selected, end = total;

    for (size_t left = n_selected; left > 0;) {
        size_t box = (size_t)work->selected[left - 1];

        if (n > 0 && hits[n - 1].score < work->column[box]) {
            hits[--end] = hits[--n];
        } else {
            hits[--end] = (struct hit){(int64_t)(box * columns + column), work->column[box]};
            left--;
        }
    }
    return total < most ? total : most;
}

static size_t detect_regular(const struct scree_call *call, const struct sizes *sizes,
                             const struct work *work)
{
    const struct detection_params *params = call->params;
    size_t most = max_hits(params, sizes), n_hits = 0;

    for (size_t column = sizes->background; column < sizes->columns; column++) {
        size_t n_selected;

        for (size_t i = 0; i < sizes->n; i++)
            work->column[i] = float_at(call->inputs[SCORES], i * sizes->columns + column);
        n_selected = scree_box_suppress(
            work->boxes, work->column, sizes->n, params->score_threshold, params->overlap_threshold,
            (size_t)params->most_per_class, work->order, work->selected);
        n_hits = merge_hits(work->hits, n_hits, most, work, n_selected, sizes->columns, column);
    }
    for (size_t i = 0; i < n_hits; i++) {
        size_t index = (size_t)work->hits[i].index;

        write_detection(call, i, &work->boxes[index / sizes->columns],
                        index % sizes->columns - sizes->background, work->hits[i].score);
    }
    return n_hits;
}

static bool higher_score(const void *context, int32_t a, int32_t b)
{
    const float *scores = context;

    return scores[a] > scores[b];
}

/* The k best classes of a box, best first. TFLite takes the first of equal ones for the best, but
 * sorts as it happens if it wants more than one. */
static void best_classes(const float *scores, size_t n, size_t k, int32_t *ret_classes)
{
    struct scree_order order = {higher_score, scores};

    if (k == 1) {
        ret_classes[0] = (int32_t)scree_arg_f32(scores, n, 1, true);
        return;
    }
    for (size_t i = 0; i < n; i++)
        ret_classes[i] = (int32_t)i;
    scree_sort_first(&order, ret_classes, k, n);
}

static size_t detect_fast(const struct scree_call *call, const struct sizes *sizes,
                          const struct work *work)
{
    const struct detection_params *params = call->params;
    const struct scree_operand *scores = call->inputs[SCORES];
    size_t n_classes = (size_t)params->n_classes, pitch = (size_t)params->classes_per_box;
    size_t k = at_most(params->classes_per_box, n_classes), n_selected;

    for (size_t i = 0; i < sizes->n; i++)
        work->column[i] = best_score(scores, i * sizes->columns + sizes->background, n_classes);
    n_selected = scree_box_suppress(work->boxes, work->column, sizes->n, params->score_threshold,
                                    params->overlap_threshold, (size_t)params->most, work->order,
                                    work->selected);
    for (size_t i = 0; i < n_selected; i++) {
        size_t box = (size_t)work->selected[i];
        const float *row =
            read_scores(scores, box * sizes->columns + sizes->background, n_classes, work->scores);

        best_classes(row, n_classes, k, work->order);
        for (size_t c = 0; c < k; c++)
            write_detection(call, i * pitch + c, &work->boxes[box], (size_t)work->order[c],
                            row[work->order[c]]);
    }
    return n_selected;
}

/* ---- the operator --------------------------------------------------------------------------- */

int scree_detection_prepare(struct scree_call *call, struct scree_error *err)
{
    struct detection_params *params = scree_call_params(call, sizeof *params);
    struct scree_shape boxes = {3, {1, 0, 4}}, list = {2, {1, 0}}, count = {1, {1}};
    struct sizes sizes;
    int64_t n;
    int rc;

    if (!params)
        return scree_fail_memory(err, sizeof *params);
    if ((rc = read_options(call->node, params, err)) < 0 ||
        (rc = check_inputs(call, params, err)) < 0)
        return rc;
    fill_decoded(call, params);
    n = (int64_t)params->most * params->classes_per_box;
    if (n > INT32_MAX)
        return scree_fail(err, E2BIG, "%lld detections", (long long)n);
    boxes.dims[1] = list.dims[1] = (int32_t)n;
    sizes = sizes_of(call, params);
    call->scratch_bytes = lay_out(params, &sizes).end;
    if ((rc = scree_call_set_shape(call, OUT_BOXES, &boxes, err)) < 0 ||
        (rc = scree_call_set_shape(call, OUT_CLASSES, &list, err)) < 0 ||
        (rc = scree_call_set_shape(call, OUT_SCORES, &list, err)) < 0)
        return rc;
    return scree_call_set_shape(call, OUT_COUNT, &count, err);
}

int scree_detection_run(const struct scree_call *call, struct scree_error *err)
{
    const struct detection_params *params = call->params;
    struct sizes sizes = sizes_of(call, params);
    struct work work = divide(params, &sizes, call->scratch);
    size_t n;
    int rc;

    if ((rc = decode_boxes(call, &sizes, work.boxes, err)) < 0)
        return rc;
    for (uint32_t i = 0; i < call->n_outputs; i++)
        memset(call->outputs[i]->data, 0, call->outputs[i]->bytes);
    if (params->regular)
        n = detect_regular(call, &sizes, &work);
    else
        n = detect_fast(call, &sizes, &work);
    *(float *)call->outputs[OUT_COUNT]->data = (float)n;
    return 0;
}
