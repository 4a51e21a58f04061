/* Any bytes as the outputs of a model: shapes and types, then their contents, read as boxes, poses,
 * masks or classes, whichever they look like. What comes out is what scree.h promises.
 *
 *     options, the picture input's sides h w, where the picture is in it x y w h, n outputs
 *     for each output: type, scale, zero point, rank, dims
 *     the contents of all, again and again from the beginning if they are too short */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "vision/pose.h"
#include "vision/segment.h"
#include "vision/tensor.h"
#include "vision/topk.h"

#define MAX_OUTPUTS  4
#define MAX_ELEMENTS 40000
#define MAX_FOUND    100
#define PICTURE_W    31
#define PICTURE_H    17

struct input {
    const uint8_t *bytes;
    size_t n, at;
};

struct outputs {
    struct scree_tensor tensors[MAX_OUTPUTS];
    float scales[MAX_OUTPUTS];
    uint32_t n;
};

static uint8_t next(struct input *input)
{
    return input->at < input->n ? input->bytes[input->at++] : 0;
}

/* ---- what a model is ---- */

static bool read_shape(struct input *input, struct scree_tensor *tensor)
{
    tensor->shape.rank = next(input) % 6;
    for (int32_t i = 0; i < tensor->shape.rank; i++)
        tensor->shape.dims[i] = next(input);
    return scree_tensor_count(tensor, &tensor->bytes) && tensor->bytes <= MAX_ELEMENTS;
}

/* Shapes and types; contents follow when all are known. */
static bool read_outputs(struct input *input, struct outputs *outputs)
{
    static const enum scree_type types[] = {SCREE_TYPE_FLOAT32, SCREE_TYPE_UINT8, SCREE_TYPE_INT8,
                                            SCREE_TYPE_INT32,   SCREE_TYPE_INT64, SCREE_TYPE_INT16,
                                            SCREE_TYPE_BOOL,    SCREE_TYPE_UINT8};

    outputs->n = next(input) % (MAX_OUTPUTS + 1);
    for (uint32_t i = 0; i < outputs->n; i++) {
        struct scree_tensor *tensor = &outputs->tensors[i];

        tensor->name = "";
        tensor->type = types[next(input) % 8];
        tensor->scale = outputs->scales[i] = (float)next(input) / 64;
        tensor->scales = &outputs->scales[i];
        tensor->n_scales = tensor->scale > 0;
        tensor->zero_point = next(input) - 128;
        if (!read_shape(input, tensor))
            return false;
        tensor->bytes *= scree_type_bytes(tensor->type);
    }
    return true;
}

/* Contents, in memory of exactly their size. */
static void fill(struct input *input, struct outputs *outputs)
{
    size_t start = input->at < input->n ? input->at : 0;

    for (uint32_t i = 0; i < outputs->n; i++) {
        struct scree_tensor *tensor = &outputs->tensors[i];
        uint8_t *data = malloc(tensor->bytes ? tensor->bytes : 1);

        if (!data)
            abort();
        for (size_t k = 0; k < tensor->bytes; k++) {
            if (input->at >= input->n)
                input->at = start;
            data[k] = next(input);
        }
        tensor->data = data;
    }
}

/* ---- what it says ---- */

static void *take(size_t n, size_t size)
{
    void *memory = calloc(n ? n : 1, size);

    if (!memory)
        abort();
    return memory;
}

static void check_score(float score, float threshold)
{
    if (!(score >= threshold))
        abort();
}

static void detect(struct scree_decoder *decoder, const struct scree_fit *fit, bool any_class)
{
    struct scree_detection *found = take(MAX_FOUND, sizeof *found);
    uint32_t n = scree_detect_finish(decoder, fit, 0.5f, any_class, MAX_FOUND, found);

    if (n > MAX_FOUND)
        abort();
    for (uint32_t i = 0; i < n; i++) {
        const struct scree_detection *d = &found[i];

        check_score(d->score, decoder->threshold);
        if (d->class_id < 0 || d->class_id >= SCREE_MAX_CLASSES || !isfinite(d->ymin) ||
            !isfinite(d->xmin) || !isfinite(d->ymax) || !isfinite(d->xmax) || d->ymin > d->ymax ||
            d->xmin > d->xmax || (i > 0 && d->score > found[i - 1].score))
            abort();
    }
    free(found);
}

static void pose(struct scree_decoder *decoder, const struct scree_fit *fit)
{
    struct scree_pose *poses = take(MAX_FOUND, sizeof *poses);
    uint32_t n = scree_pose_decode(decoder, MAX_FOUND, poses);

    if (n > MAX_FOUND)
        abort();
    for (uint32_t i = 0; i < n; i++) {
        check_score(poses[i].score, decoder->threshold);
        for (uint32_t k = 0; k < SCREE_N_KEYPOINTS; k++) {
            struct scree_keypoint *point = &poses[i].keypoints[k];

            scree_fit_point(decoder->head, fit, &point->x, &point->y);
            if (isnan(point->x) || isnan(point->y) || isnan(point->score))
                abort();
        }
    }
    free(poses);
}

static void segment(struct scree_decoder *decoder, const struct scree_fit *fit)
{
    const struct scree_head *head = decoder->head;
    uint8_t *map = take((size_t)head->h * (size_t)head->w, 1);
    uint8_t *mask = take(PICTURE_W * PICTURE_H, 1);
    int32_t *columns = take(PICTURE_W, sizeof *columns);

    if (scree_segment_decode(decoder, map, NULL) == 0)
        scree_segment_resize(head, map, fit, PICTURE_W, PICTURE_H, columns, mask);
    free(columns);
    free(mask);
    free(map);
}

static void classify(const struct scree_tensor *scores)
{
    struct scree_class *classes = take(MAX_FOUND, sizeof *classes);
    int n = scree_topk(scores, MAX_FOUND, classes, NULL);

    for (int i = 1; i < n; i++)
        if (!scree_class_precedes(&classes[i - 1], &classes[i]))
            abort();
    free(classes);
}

/* ---- all of it ---- */

static void decode(const struct scree_head *head, const struct scree_side *side,
                   const struct outputs *outputs, const struct scree_fit *fit, uint8_t options)
{
    size_t n_cells = (size_t)head->h * (size_t)head->w;
    size_t n_found = head->kind == SCREE_HEAD_POSENET ? n_cells * SCREE_N_KEYPOINTS
                                                      : (size_t)head->n_boxes;
    bool needs_floats = head->task != SCREE_TASK_CLASSIFY;
    struct scree_anchor *anchors = take((size_t)head->n_boxes, sizeof *anchors);
    struct scree_decoder decoder = {
        .head = head,
        .side = side,
        .anchors = anchors,
        .outputs = outputs->tensors,
        .threshold = options & 4 ? -INFINITY : 0.3f,
        .view = scree_fit_view(head, fit),
        .found = take(n_found, sizeof *decoder.found),
        .floats = take(needs_floats ? scree_decoder_floats(head) : 0, sizeof(float)),
    };

    for (int32_t i = 0; i < head->n_boxes; i++)
        anchors[i] = (struct scree_anchor){0.5f, (float)i / 256, 0.1f, 0.2f};
    if (head->task == SCREE_TASK_DETECT)
        detect(&decoder, fit, options & 8);
    else if (head->task == SCREE_TASK_POSE)
        pose(&decoder, fit);
    else if (head->task == SCREE_TASK_SEGMENT)
        segment(&decoder, fit);
    else
        classify(&outputs->tensors[head->outputs[SCREE_ROLE_MAIN]]);
    free(decoder.floats);
    free(decoder.found);
    free(anchors);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct input input = {bytes, n_bytes, 0};
    uint8_t options = next(&input);
    int32_t h = next(&input), w = next(&input);
    struct scree_tensor picture = {
        .name = "", .type = SCREE_TYPE_UINT8, .shape = {4, {1, h, w, 3}}};
    struct scree_fit fit = {.src = {0, 0, PICTURE_W, PICTURE_H}};
    struct outputs outputs = {0};
    struct scree_ports ports = {.inputs = &picture, .outputs = outputs.tensors, .n_inputs = 1};
    struct scree_side side;
    struct scree_head head;
    const struct scree_fit *seen;

    fit.dst = (struct scree_rect){next(&input), next(&input), next(&input), next(&input)};
    scree_side_init(&side);
    side.units = options >> 4 & 3 ? (enum scree_box_units)((options >> 4 & 3) - 1) : SCREE_BOX_AUTO;
    side.scores = options >> 6 & 3 ? (enum scree_score_kind)((options >> 6 & 3) - 1)
                                   : SCREE_SCORE_AUTO;
    if (!read_outputs(&input, &outputs))
        return 0;
    ports.n_outputs = outputs.n;
    fill(&input, &outputs);
    if (scree_head_find(&ports, (enum scree_task)(next(&input) % 5), &side, &head, NULL) >= 0) {
        seen = options & 2 ? &fit : NULL;
        if (scree_fit_check(&head, seen, NULL) >= 0 &&
            scree_outputs_check(&head, outputs.tensors, outputs.n, NULL) >= 0)
            decode(&head, &side, &outputs, seen, options);
    }
    for (uint32_t i = 0; i < outputs.n; i++)
        free(outputs.tensors[i].data);
    return 0;
}
