/* Boxes, key points and masks out of tensors, hostile ones too. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vision/pose.h"
#include "vision/segment.h"
#include "vision/show.h"

#define MAX_BOXES 600
#define N_FLOATS  (MAX_BOXES * SCREE_N_KEYPOINTS)
#define MAX_FOUND 16

/* A head with its outputs and scratch, so that a test says only what it is about. */
struct bench {
    struct scree_head head;
    struct scree_side side;
    struct scree_tensor outputs[4];
    struct scree_anchor anchors[MAX_BOXES];
    struct scree_found found[MAX_BOXES * SCREE_N_KEYPOINTS];
    float floats[N_FLOATS];
    struct scree_decoder decoder;
};

static struct bench bench;

static void bench_init(enum scree_head_kind kind, int32_t n_boxes, int32_t n_classes)
{
    memset(&bench, 0, sizeof bench);
    bench.head = (struct scree_head){
        .kind = kind, .in_h = 100, .in_w = 200, .n_boxes = n_boxes, .n_classes = n_classes};
    for (uint32_t i = 0; i < SCREE_N_ROLES; i++)
        bench.head.outputs[i] = -1;
    scree_side_init(&bench.side);
    bench.decoder = (struct scree_decoder){
        .head = &bench.head,
        .side = &bench.side,
        .anchors = bench.anchors,
        .outputs = bench.outputs,
        .threshold = 0.5f,
        .view = {0, 0, 1, 1},
        .found = bench.found,
        .floats = bench.floats,
    };
}

/* Output i, in `role`, of n floats, which are on the stack of a test that sets all outputs anew
 * before it uses them: gcc 14, were this inlined, would only see that the address outlives the
 * test. */
static __attribute__((noinline)) void bench_output(uint32_t i, enum scree_role role, float *data,
                                                   int32_t n)
{
    bench.head.outputs[role] = (int32_t)i;
    bench.outputs[i] = (struct scree_tensor){
        .name = "",
        .type = SCREE_TYPE_FLOAT32,
        .shape = {1, {n}},
        .bytes = (size_t)n * sizeof(float),
        .data = data,
    };
}

static uint32_t bench_detect(const struct scree_fit *fit, struct scree_detection *ret)
{
    struct scree_error err;

    if (scree_outputs_check(&bench.head, bench.outputs, 4, &err) < 0)
        fail_msg("%s", err.text);
    bench.decoder.view = scree_fit_view(&bench.head, fit);
    return scree_detect_finish(&bench.decoder, fit, 0.5f, false, MAX_FOUND, ret);
}

static void check_box(const struct scree_detection *d, int32_t class_id, float score, float ymin,
                      float xmin, float ymax, float xmax)
{
    if (d->class_id != class_id || fabsf(d->score - score) > 1e-5f ||
        fabsf(d->ymin - ymin) > 1e-3f || fabsf(d->xmin - xmin) > 1e-3f ||
        fabsf(d->ymax - ymax) > 1e-3f || fabsf(d->xmax - xmax) > 1e-3f)
        fail_msg("class %d score %g box %g %g %g %g", d->class_id, (double)d->score,
                 (double)d->ymin, (double)d->xmin, (double)d->ymax, (double)d->xmax);
}

static void test_iou(void **state)
{
    static const struct scree_box a = {0, 0, 2, 2}, b = {1, 1, 3, 3}, c = {2, 0, 3, 2},
                                  line = {0, 0, 0, 2};

    (void)state;
    assert_true(fabsf(scree_box_iou(&a, &b) - 1.0f / 7) < 1e-6f);
    assert_true(scree_box_iou(&a, &a) == 1);
    assert_true(scree_box_iou(&a, &c) == 0);
    assert_true(scree_box_iou(&line, &line) == 0);
}

/* ---- SSD ---------------------------------------------------------------------------------------
 */

static void test_ssd_drops_what_is_no_box(void **state)
{
    float boxes[][4] = {
        {0.1f, 0.2f, 0.5f, 0.6f},      /* fine */
        {NAN, 0.2f, 0.5f, 0.6f},       /* not finite */
        {0.1f, -INFINITY, 0.5f, 0.6f}, /* not finite */
        {0.5f, 0.2f, 0.1f, 0.6f},      /* upside down */
        {0.1f, 0.2f, 0.1f, 0.6f},      /* no area */
        {1.5f, 0.2f, 2.0f, 0.6f},      /* outside */
        {-0.5f, 0.5f, 0.5f, 3e38f},    /* cut off at the edges */
        {0.1f, 0.2f, 0.5f, 0.6f},      /* NaN score */
        {0.1f, 0.2f, 0.5f, 0.6f},      /* class below 0 */
        {0.1f, 0.2f, 0.5f, 0.6f},      /* class too large */
        {0.1f, 0.2f, 0.5f, 0.6f},      /* class NaN */
        {0.1f, 0.2f, 0.5f, 0.6f},      /* score under the threshold */
        {0.1f, 0.2f, 0.5f, 0.6f},      /* same score as the first, lower class */
    };
    float classes[] = {3, 0, 0, 0, 0, 0, 1, 0, -1, 1e6f, NAN, 0, 2};
    float scores[] = {0.8f, 0.9f, 0.9f, 0.9f, 0.9f, 0.9f, 0.7f, NAN, 0.9f, 0.9f, 0.9f, 0.4f, 0.8f};
    float count = 13;
    struct scree_detection d[MAX_FOUND];

    (void)state;
    bench_init(SCREE_HEAD_SSD, 13, 0);
    bench_output(0, SCREE_ROLE_BOXES, boxes[0], 52);
    bench_output(1, SCREE_ROLE_CLASSES, classes, 13);
    bench_output(2, SCREE_ROLE_SCORES, scores, 13);
    bench_output(3, SCREE_ROLE_COUNT, &count, 1);
    assert_int_equal(bench_detect(NULL, d), 3);
    check_box(&d[0], 2, 0.8f, 0.1f, 0.2f, 0.5f, 0.6f);
    check_box(&d[1], 3, 0.8f, 0.1f, 0.2f, 0.5f, 0.6f);
    check_box(&d[2], 1, 0.7f, 0, 0.5f, 0.5f, 1);
}

static void test_ssd_count(void **state)
{
    static const struct {
        float count;
        uint32_t n;
    } cases[] = {{2, 2}, {1, 1}, {0, 0}, {-5, 0}, {NAN, 0}, {INFINITY, 2}, {1e30f, 2}};
    float boxes[] = {0, 0, 1, 1, 0, 0, 1, 1}, classes[] = {0, 1}, scores[] = {0.9f, 0.8f}, count;
    struct scree_detection d[MAX_FOUND];

    (void)state;
    bench_init(SCREE_HEAD_SSD, 2, 0);
    bench_output(0, SCREE_ROLE_BOXES, boxes, 8);
    bench_output(1, SCREE_ROLE_CLASSES, classes, 2);
    bench_output(2, SCREE_ROLE_SCORES, scores, 2);
    bench_output(3, SCREE_ROLE_COUNT, &count, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        count = cases[i].count;
        if (bench_detect(NULL, d) != cases[i].n)
            fail_msg("count %g", (double)cases[i].count);
    }
}

static void test_ssd_raw(void **state)
{
    /* ty tx th tw; the second box is the first anchor's, moved and grown. */
    float boxes[] = {0, 0, 0, 0, 1, -2, 0.6931472f * 5, 0, 0, 0, 1e30f, 0};
    float scores[] = {0.9f, 0.6f, 0.1f, 0.1f, 0.2f, 0.7f, 0.1f, 0.2f, 0.9f};
    struct scree_detection d[MAX_FOUND];

    (void)state;
    bench_init(SCREE_HEAD_SSD_RAW, 3, 2);
    bench.head.n_background = 1;
    for (int i = 0; i < 3; i++)
        bench.anchors[i] = (struct scree_anchor){0.5f, 0.5f, 0.2f, 0.4f};
    bench_output(0, SCREE_ROLE_BOXES, boxes, 12);
    bench_output(1, SCREE_ROLE_SCORES, scores, 9);
    assert_int_equal(bench_detect(NULL, d), 2);
    check_box(&d[0], 1, 0.7f, 0.32f, 0.22f, 0.72f, 0.62f);
    check_box(&d[1], 0, 0.6f, 0.4f, 0.3f, 0.6f, 0.7f);

    bench.side.scores = SCREE_SCORE_LOGITS;
    assert_int_equal(bench_detect(NULL, d), 2);
    check_box(&d[0], 1, 0.6681878f, 0.32f, 0.22f, 0.72f, 0.62f);
}

/* A quantized output whose range reaches below 0 holds logits. */
static void test_ssd_raw_finds_logits(void **state)
{
    float boxes[] = {0, 0, 0, 0};
    int8_t scores[] = {-100, 30};
    struct scree_detection d[MAX_FOUND];

    (void)state;
    bench_init(SCREE_HEAD_SSD_RAW, 1, 2);
    bench.anchors[0] = (struct scree_anchor){0.5f, 0.5f, 0.2f, 0.4f};
    bench_output(0, SCREE_ROLE_BOXES, boxes, 4);
    bench.head.outputs[SCREE_ROLE_SCORES] = 1;
    bench.outputs[1] = (struct scree_tensor){.type = SCREE_TYPE_INT8,
                                             .shape = {1, {2}},
                                             .bytes = 2,
                                             .data = scores,
                                             .scale = 0.1f,
                                             .zero_point = 20,
                                             .n_scales = 1};
    assert_int_equal(bench_detect(NULL, d), 1);
    check_box(&d[0], 1, 0.7310586f, 0.4f, 0.3f, 0.6f, 0.7f);
    bench.outputs[1].zero_point = -128, bench.outputs[1].scale = 1.0f / 256;
    assert_int_equal(bench_detect(NULL, d), 1);
    check_box(&d[0], 1, 158.0f / 256, 0.4f, 0.3f, 0.6f, 0.7f);
}

/* ---- YOLO --------------------------------------------------------------------------------------
 */

/* Four boxes (cx cy w h, two classes): two on the same thing, one of another class there, one far
 * away. */
static const float yolo_boxes[4][6] = {
    {0.5f, 0.5f, 0.2f, 0.4f, 0.9f, 0.1f},
    {0.51f, 0.5f, 0.2f, 0.4f, 0.8f, 0.1f},
    {0.5f, 0.5f, 0.2f, 0.4f, 0.1f, 0.7f},
    {0.1f, 0.9f, 0.2f, 0.4f, 0.6f, 0.3f},
};

/* The same numbers with the channels first or last, boxes multiplied by the input's sides in
 * pixels, and with an objectness for YOLOv5. */
static void fill_yolo(float *data, bool channels_first, bool pixels, bool v5)
{
    size_t n_row = v5 ? 7 : 6;

    for (size_t i = 0; i < 4; i++)
        for (size_t k = 0; k < 6; k++) {
            float value = yolo_boxes[i][k];
            size_t at = k + (v5 && k >= 4);

            if (pixels && k < 4)
                value *= k % 2 == 0 ? 200 : 100;
            data[channels_first ? at * 4 + i : i * n_row + at] = value;
        }
    for (size_t i = 0; i < 4 && v5; i++)
        data[channels_first ? 4 * 4 + i : i * n_row + 4] = i == 3 ? 0.5f : 1;
}

static void check_yolo(uint32_t n, const struct scree_detection *d, bool v5)
{
    assert_int_equal(n, v5 ? 2 : 3);
    check_box(&d[0], 0, 0.9f, 0.3f, 0.4f, 0.7f, 0.6f);
    check_box(&d[1], 1, 0.7f, 0.3f, 0.4f, 0.7f, 0.6f);
    if (!v5)
        check_box(&d[2], 0, 0.6f, 0.7f, 0, 1, 0.2f);
}

static void test_yolo_layouts(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        bool channels_first = i & 1, pixels = i & 2, v5 = i & 4;
        struct scree_detection d[MAX_FOUND];
        float data[28];

        bench_init(v5 ? SCREE_HEAD_YOLO_V5 : SCREE_HEAD_YOLO_V8, 4, 2);
        bench.head.channels_first = channels_first;
        fill_yolo(data, channels_first, pixels, v5);
        bench_output(0, SCREE_ROLE_MAIN, data, v5 ? 28 : 24);
        check_yolo(bench_detect(NULL, d), d, v5);
    }
}

/* More boxes than numbers a box, with the channels first: a whole class is read at a time, into
 * memory that ends behind what the decoder said it needs. */
static void test_yolo_reads_whole_classes(void **state)
{
    struct scree_detection d[MAX_FOUND];

    (void)state;
    for (int v5 = 0; v5 < 2; v5++) {
        float data[7 * 16] = {0};
        size_t n_floats;

        bench_init(v5 ? SCREE_HEAD_YOLO_V5 : SCREE_HEAD_YOLO_V8, 16, 2);
        bench.head.channels_first = true;
        for (size_t k = 0; k < 4; k++)
            data[k * 16 + 15] = yolo_boxes[0][k];
        data[4 * 16 + 15] = v5 ? 1 : 0.9f;
        data[(v5 ? 6 : 5) * 16 + 15] = v5 ? 0.9f : 0;
        bench_output(0, SCREE_ROLE_MAIN, data, v5 ? 7 * 16 : 6 * 16);
        n_floats = scree_decoder_floats(&bench.head);
        assert_true(n_floats >= 16 && n_floats <= N_FLOATS);
        bench.decoder.floats = &bench.floats[N_FLOATS - n_floats];
        assert_int_equal(bench_detect(NULL, d), 1);
        check_box(&d[0], v5, 0.9f, 0.3f, 0.4f, 0.7f, 0.6f);
    }
}

static void test_yolo_units_by_range(void **state)
{
    uint8_t data[6] = {128, 128, 64, 128, 255, 0};
    struct scree_detection d[MAX_FOUND];

    (void)state;
    bench_init(SCREE_HEAD_YOLO_V8, 1, 2);
    bench.head.outputs[SCREE_ROLE_MAIN] = 0;
    bench.outputs[0] = (struct scree_tensor){.type = SCREE_TYPE_UINT8,
                                             .shape = {1, {6}},
                                             .bytes = 6,
                                             .data = data,
                                             .scale = 1.0f / 256,
                                             .n_scales = 1};
    assert_int_equal(bench_detect(NULL, d), 1);
    check_box(&d[0], 0, 255.0f / 256, 0.25f, 0.375f, 0.75f, 0.625f);
    bench.outputs[0].scale = 1;
    assert_int_equal(bench_detect(NULL, d), 1);
    check_box(&d[0], 0, 255, 0.64f, 0.48f, 1, 0.8f);
    bench.side.units = SCREE_BOX_NORMALIZED;
    assert_int_equal(bench_detect(NULL, d), 0);
}

static void test_yolo_end(void **state)
{
    float data[] = {0.1f, 0.2f, 0.5f, 0.6f, 0.9f, 3, 0.1f, 0.2f, 0.5f,
                    0.6f, 0.8f, 3,    0,    0,    0, 0,    0,    0};
    struct scree_detection d[MAX_FOUND];

    (void)state;
    bench_init(SCREE_HEAD_YOLO_END, 3, 0);
    bench_output(0, SCREE_ROLE_MAIN, data, 18);
    assert_int_equal(bench_detect(NULL, d), 2);
    check_box(&d[0], 3, 0.9f, 0.2f, 0.1f, 0.6f, 0.5f);
    check_box(&d[1], 3, 0.8f, 0.2f, 0.1f, 0.6f, 0.5f);
}

/* Nothing but NaN and infinities, in every place. */
static void test_yolo_survives_anything(void **state)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0, 1};
    struct scree_detection d[MAX_FOUND];
    float data[28];
    uint32_t seed = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        bool v5 = round & 1;

        for (int i = 0; i < 28; i++) {
            seed = seed * 1664525 + 1013904223;
            data[i] = odd[(seed >> 16) % 7];
        }
        bench_init(v5 ? SCREE_HEAD_YOLO_V5 : SCREE_HEAD_YOLO_V8, 4, 2);
        bench.head.channels_first = round & 2;
        bench.decoder.threshold = -INFINITY;
        bench_output(0, SCREE_ROLE_MAIN, data, v5 ? 28 : 24);
        for (uint32_t n = bench_detect(NULL, d); n-- > 0;)
            assert_true(d[n].ymin < d[n].ymax && d[n].xmin < d[n].xmax && d[n].ymin >= 0 &&
                        d[n].xmin >= 0 && d[n].ymax <= 1 && d[n].xmax <= 1 && !isnan(d[n].score) &&
                        d[n].class_id >= 0 && d[n].class_id < 2);
    }
}

static void test_suppression_keeps_order_and_count(void **state)
{
    static float data[MAX_BOXES * 6];
    struct scree_detection d[MAX_FOUND];

    (void)state;
    for (size_t i = 0; i < MAX_BOXES; i++) {
        float *b = &data[i * 6];

        b[0] = ((float)(i % 30) + 0.5f) / 30, b[1] = ((float)(i / 30) + 0.5f) / 20;
        b[2] = b[3] = 0.02f;
        b[4] = 0.6f, b[5] = 0.6f;
    }
    bench_init(SCREE_HEAD_YOLO_V8, MAX_BOXES, 2);
    bench_output(0, SCREE_ROLE_MAIN, data, MAX_BOXES * 6);
    assert_int_equal(bench_detect(NULL, d), MAX_FOUND);
    for (uint32_t i = 0; i < MAX_FOUND; i++) {
        assert_int_equal(d[i].class_id, 0);
        assert_true(fabsf(d[i].xmin - ((float)i + 0.5f) / 30 + 0.01f) < 1e-5f);
    }
}

static void test_any_class_suppresses(void **state)
{
    struct scree_detection d[MAX_FOUND];
    float data[24];

    (void)state;
    bench_init(SCREE_HEAD_YOLO_V8, 4, 2);
    fill_yolo(data, false, false, false);
    bench_output(0, SCREE_ROLE_MAIN, data, 24);
    assert_int_equal(scree_detect_finish(&bench.decoder, NULL, 0.5f, true, MAX_FOUND, d), 2);
    assert_int_equal(scree_detect_finish(&bench.decoder, NULL, 1.0f, false, MAX_FOUND, d), 4);
}

/* ---- fits --------------------------------------------------------------------------------------
 */

static void test_boxes_in_the_picture(void **state)
{
    /* A square picture of 400 in the middle of 200 x 100: it fills [0.25, 0.75] of the width. */
    static const struct scree_fit letterbox = {{0, 0, 400, 400}, {50, 0, 100, 100}};
    static const struct scree_fit crop = {{100, 0, 200, 100}, {0, 0, 200, 100}};
    struct scree_detection d[MAX_FOUND];
    float data[24];

    (void)state;
    bench_init(SCREE_HEAD_YOLO_V8, 4, 2);
    fill_yolo(data, false, false, false);
    bench_output(0, SCREE_ROLE_MAIN, data, 24);
    assert_int_equal(bench_detect(&letterbox, d), 2);
    check_box(&d[0], 0, 0.9f, 120, 120, 280, 280);
    assert_int_equal(bench_detect(&crop, d), 3);
    check_box(&d[0], 0, 0.9f, 30, 180, 70, 220);
    check_box(&d[2], 0, 0.6f, 70, 100, 100, 140);
}

static void test_fit_check(void **state)
{
    static const struct {
        struct scree_fit fit;
        int rc;
    } cases[] = {
        {{{0, 0, 1, 1}, {0, 0, 1, 1}}, 0},
        {{{0, 0, 0, 1}, {0, 0, 1, 1}}, -EINVAL},
        {{{0, 0, 1, 1}, {0, 0, 1, 0}}, -EINVAL},
        {{{INT32_MIN, 0, 1, 1}, {0, 0, 1, 1}}, -EINVAL},
        {{{0, 0, 1, INT32_MAX}, {0, 0, 1, 1}}, -EINVAL},
    };

    (void)state;
    bench_init(SCREE_HEAD_YOLO_V8, 4, 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(scree_fit_check(&bench.head, &cases[i].fit, NULL), cases[i].rc);
    bench.head.input = -1;
    assert_int_equal(scree_fit_check(&bench.head, &cases[0].fit, NULL), -EINVAL);
    assert_int_equal(scree_fit_check(&bench.head, NULL, NULL), 0);
}

static void test_outputs_check(void **state)
{
    float data[24];
    struct scree_error err;

    (void)state;
    bench_init(SCREE_HEAD_YOLO_V8, 4, 2);
    bench_output(0, SCREE_ROLE_MAIN, data, 24);
    assert_int_equal(scree_outputs_check(&bench.head, bench.outputs, 4, &err), 0);
    assert_int_equal(scree_outputs_check(&bench.head, bench.outputs, 0, &err), -EINVAL);
    bench_output(0, SCREE_ROLE_MAIN, data, 18);
    assert_int_equal(scree_outputs_check(&bench.head, bench.outputs, 4, &err), -EINVAL);
    assert_string_equal(err.text, "output 0 has 18 elements, not 24 as before");
    bench.outputs[0].data = NULL;
    assert_int_equal(scree_outputs_check(&bench.head, bench.outputs, 4, &err), -EINVAL);
    bench.outputs[0].type = SCREE_TYPE_BOOL;
    assert_int_equal(scree_outputs_check(&bench.head, bench.outputs, 4, &err), -ENOTSUP);
}

/* ---- poses -------------------------------------------------------------------------------------
 */

static void test_movenet(void **state)
{
    float data[SCREE_N_KEYPOINTS * 3];
    struct scree_pose pose;

    (void)state;
    for (int i = 0; i < SCREE_N_KEYPOINTS * 3; i++)
        data[i] = (float)(i % 3 + 1) / 4;
    data[3] = NAN;
    bench_init(SCREE_HEAD_MOVENET, 1, 0);
    bench_output(0, SCREE_ROLE_MAIN, data, SCREE_N_KEYPOINTS * 3);
    assert_int_equal(scree_pose_decode(&bench.decoder, 1, &pose), 1);
    assert_true(fabsf(pose.score - 0.75f * 16 / 17) < 1e-6f);
    assert_true(pose.keypoints[0].y == 0.25f && pose.keypoints[0].x == 0.5f);
    assert_true(pose.keypoints[1].score == 0 && pose.keypoints[1].y == 0);
    bench.decoder.threshold = 0.75f;
    assert_int_equal(scree_pose_decode(&bench.decoder, 1, &pose), 0);
}

static void test_movenet_multi(void **state)
{
    float data[3 * 56] = {0};
    struct scree_pose poses[3];

    (void)state;
    data[55] = 0.6f, data[56 + 55] = 0.9f, data[112 + 55] = NAN;
    data[0] = 0.1f, data[56] = 0.2f;
    bench_init(SCREE_HEAD_MOVENET_MULTI, 3, 0);
    bench_output(0, SCREE_ROLE_MAIN, data, 3 * 56);
    assert_int_equal(scree_pose_decode(&bench.decoder, 3, poses), 2);
    assert_true(poses[0].score == 0.9f && poses[0].keypoints[0].y == 0.2f);
    assert_true(poses[1].score == 0.6f && poses[1].keypoints[0].y == 0.1f);
    assert_int_equal(scree_pose_decode(&bench.decoder, 1, poses), 1);
    assert_true(poses[0].score == 0.9f);
}

/* PoseNet of 129 x 257 pixels: 9 x 17 cells of 16 pixels. Key points of person p stand where
 * point() says. */
#define CELLS_H 9
#define CELLS_W 17
#define N_CELLS (CELLS_H * CELLS_W)

static void point(int person, int k, float *y, float *x)
{
    *y = 20 + (float)(k * 37 % 90);
    *x = (person == 0 ? 20 : 150) + (float)(k * 53 % 80);
}

static float heatmaps[N_CELLS][17], offsets[N_CELLS][34], forward[N_CELLS][32],
    backward[N_CELLS][32], both[N_CELLS][64];

/* Fields as a perfect network would give them: every cell tells the way to the nearer person's key
 * points, from the key point of that person that the field is about. */
static void draw_person_fields(int n_persons)
{
    for (int c = 0; c < N_CELLS; c++) {
        float cy = (float)(c / CELLS_W * 16), cx = (float)(c % CELLS_W * 16);
        int person = n_persons > 1 && cx >= 130;

        for (int k = 0; k < 17; k++) {
            float y, x;

            point(person, k, &y, &x);
            heatmaps[c][k] = 3 - (fabsf(y - cy) + fabsf(x - cx)) / 8;
            offsets[c][k] = y - cy;
            offsets[c][17 + k] = x - cx;
        }
        for (int e = 0; e < 16; e++) {
            float y0, x0, y1, x1;

            point(person, scree_pose_tree[e][0], &y0, &x0);
            point(person, scree_pose_tree[e][1], &y1, &x1);
            both[c][e] = forward[c][e] = y1 - y0;
            both[c][16 + e] = forward[c][16 + e] = x1 - x0;
            both[c][32 + e] = backward[c][e] = y0 - y1;
            both[c][48 + e] = backward[c][16 + e] = x0 - x1;
        }
    }
}

static void posenet_init(int n_displacements)
{
    bench_init(SCREE_HEAD_POSENET, 0, 0);
    bench.head.in_h = 129, bench.head.in_w = 257;
    bench.head.h = CELLS_H, bench.head.w = CELLS_W;
    bench.decoder.threshold = 0.2f;
    bench_output(0, SCREE_ROLE_HEATMAPS, heatmaps[0], N_CELLS * 17);
    bench_output(1, SCREE_ROLE_OFFSETS, offsets[0], N_CELLS * 34);
    if (n_displacements == 1)
        bench_output(2, SCREE_ROLE_FORWARD, both[0], N_CELLS * 64);
    if (n_displacements == 2) {
        bench_output(2, SCREE_ROLE_FORWARD, forward[0], N_CELLS * 32);
        bench_output(3, SCREE_ROLE_BACKWARD, backward[0], N_CELLS * 32);
    }
    assert_int_equal(scree_outputs_check(&bench.head, bench.outputs, 4, NULL), 0);
}

/* The key points are where they were drawn, up to rounding. */
static void check_person(const struct scree_pose *pose, int person, float tolerance)
{
    for (int k = 0; k < 17; k++) {
        float y, x;

        point(person, k, &y, &x);
        if (fabsf(pose->keypoints[k].y * 129 - y) > tolerance ||
            fabsf(pose->keypoints[k].x * 257 - x) > tolerance || pose->keypoints[k].score < 0.5f)
            fail_msg("key point %d at %g, %g (%g), not at %g, %g", k,
                     (double)(pose->keypoints[k].y * 129), (double)(pose->keypoints[k].x * 257),
                     (double)pose->keypoints[k].score, (double)y, (double)x);
    }
}

static void test_posenet_one_person(void **state)
{
    struct scree_pose poses[4];

    (void)state;
    draw_person_fields(1);
    for (int n_displacements = 0; n_displacements <= 2; n_displacements++) {
        posenet_init(n_displacements);
        assert_int_equal(scree_pose_decode(&bench.decoder, 4, poses), 1);
        check_person(&poses[0], 0, 0.01f);
    }
}

static void test_posenet_two_persons(void **state)
{
    struct scree_pose poses[4];
    int first;

    (void)state;
    draw_person_fields(2);
    posenet_init(1);
    assert_int_equal(scree_pose_decode(&bench.decoder, 4, poses), 2);
    first = poses[0].keypoints[0].x * 257 >= 130;
    assert_true(poses[0].score >= poses[1].score);
    check_person(&poses[0], first, 0.01f);
    check_person(&poses[1], !first, 0.01f);
    assert_int_equal(scree_pose_decode(&bench.decoder, 1, poses), 1);
}

static void test_posenet_survives_anything(void **state)
{
    static const float odd[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0, 5};
    struct scree_pose poses[4];
    uint32_t seed = 3;

    (void)state;
    for (int round = 0; round < 60; round++) {
        for (int c = 0; c < N_CELLS; c++) {
            for (int k = 0; k < 64; k++) {
                seed = seed * 1664525 + 1013904223;
                both[c][k] = odd[(seed >> 16) % 7];
                offsets[c][k % 34] = odd[(seed >> 20) % 7];
                heatmaps[c][k % 17] = odd[(seed >> 24) % 7];
            }
        }
        posenet_init(round % 2);
        bench.decoder.threshold = -INFINITY;
        for (uint32_t n = scree_pose_decode(&bench.decoder, 4, poses); n-- > 0;)
            for (int k = 0; k < 17; k++)
                assert_true(poses[n].keypoints[k].y >= 0 && poses[n].keypoints[k].x >= 0 &&
                            poses[n].keypoints[k].y <= 1 && poses[n].keypoints[k].x <= 1 &&
                            poses[n].keypoints[k].score >= 0 && poses[n].keypoints[k].score <= 1);
    }
}

static void test_pose_edges(void **state)
{
    const uint8_t(*edges)[2];
    uint32_t n = scree_pose_edges(&edges);
    uint32_t reached = 1;

    (void)state;
    assert_int_equal(n, 16);
    for (uint32_t i = 0; i < n; i++)
        assert_true(edges[i][0] < 17 && edges[i][1] < 17 && edges[i][0] != edges[i][1]);
    /* PoseNet's edges reach every key point from the nose, each once, in their order. */
    for (int e = 0; e < SCREE_POSE_N_EDGES; e++) {
        assert_true(reached & 1u << scree_pose_tree[e][0]);
        assert_false(reached & 1u << scree_pose_tree[e][1]);
        reached |= 1u << scree_pose_tree[e][1];
    }
    assert_int_equal(reached, (1u << 17) - 1);
}

/* ---- masks -------------------------------------------------------------------------------------
 */

static void test_class_scores(void **state)
{
    float data[] = {1, 2, 2, 0, 0, 0, -1, -3, 5, NAN, 1, 2};
    uint8_t map[4];

    (void)state;
    bench_init(SCREE_HEAD_CLASS_SCORES, 0, 3);
    bench.head.h = 2, bench.head.w = 2;
    bench_output(0, SCREE_ROLE_MAIN, data, 12);
    assert_int_equal(scree_segment_decode(&bench.decoder, map, NULL), 0);
    assert_memory_equal(map, "\1\0\2\0", 4);
}

static void test_class_map(void **state)
{
    int64_t data[] = {0, 255, 7, 1};
    uint8_t map[4];
    struct scree_error err;

    (void)state;
    bench_init(SCREE_HEAD_CLASS_MAP, 0, 0);
    bench.head.h = 2, bench.head.w = 2;
    bench.head.outputs[SCREE_ROLE_MAIN] = 0;
    bench.outputs[0] = (struct scree_tensor){
        .type = SCREE_TYPE_INT64, .shape = {3, {1, 2, 2}}, .bytes = sizeof data, .data = data};
    assert_int_equal(scree_outputs_check(&bench.head, bench.outputs, 1, NULL), 0);
    assert_int_equal(scree_segment_decode(&bench.decoder, map, &err), 0);
    assert_memory_equal(map, "\0\377\7\1", 4);
    data[3] = 256;
    assert_int_equal(scree_segment_decode(&bench.decoder, map, &err), -EBADMSG);
    assert_string_equal(err.text, "class 256 in a mask");
    data[3] = INT64_MIN;
    assert_int_equal(scree_segment_decode(&bench.decoder, map, &err), -EBADMSG);
}

static void test_mask_of_the_picture(void **state)
{
    static const uint8_t map[] = {1, 2, 3, 4};
    static const struct scree_fit crop = {{1, 0, 4, 2}, {0, 0, 200, 100}};
    static const struct scree_fit letterbox = {{0, 0, 4, 4}, {50, 0, 100, 100}};
    uint8_t out[24];
    int32_t columns[6];

    (void)state;
    bench_init(SCREE_HEAD_CLASS_MAP, 0, 0);
    bench.head.h = 2, bench.head.w = 2;
    scree_segment_resize(&bench.head, map, NULL, 4, 2, columns, out);
    assert_memory_equal(out, "\1\1\2\2\3\3\4\4", 8);
    scree_segment_resize(&bench.head, map, &crop, 6, 2, columns, out);
    assert_memory_equal(out, "\377\1\1\2\2\377\377\3\3\4\4\377", 12);
    scree_segment_resize(&bench.head, map, &letterbox, 4, 4, columns, out);
    assert_memory_equal(out, "\1\1\2\2\1\1\2\2\3\3\4\4\3\3\4\4", 16);
    bench.head.input = -1;
    scree_segment_resize(&bench.head, map, NULL, 2, 2, columns, out);
    assert_memory_equal(out, map, 4);
}

static void test_segment_count(void **state)
{
    uint64_t counts[256] = {0};

    (void)state;
    scree_segment_count((const uint8_t *)"\0\5\5\377", 4, counts);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[5], 2);
    assert_int_equal(counts[255], 1);
}

/* ---- drawing -----------------------------------------------------------------------------------
 */

static uint8_t pixel(const struct scree_image *image, int32_t x, int32_t y)
{
    const uint8_t *p = &image->pixels[((size_t)y * (size_t)image->w + (size_t)x) * 3];

    return p[0] | p[1] | p[2];
}

static void test_show(void **state)
{
    static const struct scree_detection boxes[] = {{3, 0.75f, 50, 20, 90, 80},
                                                   {1, 0.5f, -9, -9, 2000, 2000}};
    static struct scree_pose pose;
    uint8_t classes[200 * 100] = {0};
    struct scree_image image;
    char text[12];

    (void)state;
    assert_int_equal(scree_image_new(200, 100, 3, &image, NULL), 0);
    scree_show_detections(&image, boxes, 2, NULL);
    assert_true(pixel(&image, 20, 70) && pixel(&image, 50, 89));
    assert_false(pixel(&image, 50, 70));
    scree_image_done(&image);

    assert_int_equal(scree_image_new(200, 100, 3, &image, NULL), 0);
    pose.keypoints[5] = (struct scree_keypoint){20, 20, 1};
    pose.keypoints[6] = (struct scree_keypoint){20, 120, 1};
    pose.keypoints[7] = (struct scree_keypoint){90, 20, 0.1f};
    scree_show_poses(&image, &pose, 1, 0.5f);
    assert_true(pixel(&image, 70, 20));
    assert_false(pixel(&image, 20, 60));
    scree_image_done(&image);

    assert_int_equal(scree_image_new(200, 100, 3, &image, NULL), 0);
    classes[60 * 200 + 100] = 2;
    classes[61 * 200 + 100] = SCREE_CLASS_NONE;
    scree_show_mask(&image, classes, 0, 0.01, NULL);
    assert_true(pixel(&image, 100, 60));
    assert_false(pixel(&image, 100, 61) || pixel(&image, 101, 60));
    scree_show_classes(&image, (struct scree_class[]){{5, 0.5f, 1}}, 1, NULL);
    scree_image_done(&image);
    assert_string_equal(scree_show_name(NULL, 1234567, text, sizeof text), "class 12345");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iou),
        cmocka_unit_test(test_ssd_drops_what_is_no_box),
        cmocka_unit_test(test_ssd_count),
        cmocka_unit_test(test_ssd_raw),
        cmocka_unit_test(test_ssd_raw_finds_logits),
        cmocka_unit_test(test_yolo_layouts),
        cmocka_unit_test(test_yolo_reads_whole_classes),
        cmocka_unit_test(test_yolo_units_by_range),
        cmocka_unit_test(test_yolo_end),
        cmocka_unit_test(test_yolo_survives_anything),
        cmocka_unit_test(test_suppression_keeps_order_and_count),
        cmocka_unit_test(test_any_class_suppresses),
        cmocka_unit_test(test_boxes_in_the_picture),
        cmocka_unit_test(test_fit_check),
        cmocka_unit_test(test_outputs_check),
        cmocka_unit_test(test_movenet),
        cmocka_unit_test(test_movenet_multi),
        cmocka_unit_test(test_posenet_one_person),
        cmocka_unit_test(test_posenet_two_persons),
        cmocka_unit_test(test_posenet_survives_anything),
        cmocka_unit_test(test_pose_edges),
        cmocka_unit_test(test_class_scores),
        cmocka_unit_test(test_class_map),
        cmocka_unit_test(test_mask_of_the_picture),
        cmocka_unit_test(test_segment_count),
        cmocka_unit_test(test_show),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
