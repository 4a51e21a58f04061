/* Labels, top-k, what a model is, side files, anchors. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vision/labels.h"
#include "vision/side.h"
#include "vision/tensor.h"

/* ---- labels ------------------------------------------------------------------------------------
 */

static void test_label_files(void **state)
{
    static const struct {
        const char *file;
        int rc;
        uint32_t n;
        int64_t k;
        const char *label; /* of class k */
    } cases[] = {
        {"cat\ndog\n", 0, 2, 1, "dog"},
        {"cat\r\ndog", 0, 2, 0, "cat"},
        {"cat\n\nbird\n\n\n", 0, 3, 1, NULL},
        {"cat\n\nbird\n\n\n", 0, 3, 2, "bird"},
        {"???\nperson\nn/a\n", 0, 3, 0, NULL},
        {"???\nperson\nn/a\n", 0, 3, 2, NULL},
        {"  cat \t\n", 0, 1, 0, "cat"},
        {"0  person\n1  bicycle\n89  tooth brush\n", 0, 90, 89, "tooth brush"},
        {"0  person\n1  bicycle\n89  tooth brush\n", 0, 90, 2, NULL},
        {"0: cat\r\n1: dog\r\n", 0, 2, 1, "dog"},
        {"5\tcat\n", 0, 6, 5, "cat"},
        /* Not rising, a line without a number, numbers alone: no numbered list. */
        {"2 b\n1 a\n", 0, 2, 0, "2 b"},
        {"1 a\nb\n", 0, 2, 0, "1 a"},
        {"7\n8\n", 0, 2, 1, "8"},
        {"12345678901 a\n", 0, 1, 0, "12345678901 a"},
        {"\xef\xbb\xbfone\n", 0, 1, 0, "one"},
        {"a\x1b[31m\xff\n", 0, 1, 0, "a?[31m?"},
        {"caf\xc3\xa9\n", 0, 1, 0, "caf\xc3\xa9"},
        {"cat\n", 0, 1, 1, NULL},
        {"cat\n", 0, 1, -1, NULL},
        {"cat\n", 0, 1, INT64_MAX, NULL},
        {"", -EBADMSG, 0, 0, NULL},
        {"\n \n\r\n", -EBADMSG, 0, 0, NULL},
        {"1000000 x\n", -E2BIG, 0, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_labels *labels = NULL;
        const char *label;
        int rc = scree_labels_open_memory(cases[i].file, strlen(cases[i].file), &labels, NULL);

        if (rc != cases[i].rc)
            fail_msg("row %zu: rc %d", i, rc);
        if (rc < 0)
            continue;
        label = scree_labels_get(labels, cases[i].k);
        if (scree_labels_count(labels) != cases[i].n || !label != !cases[i].label ||
            (label && strcmp(label, cases[i].label) != 0))
            fail_msg("row %zu: %u labels, '%s'", i, scree_labels_count(labels),
                     label ? label : "(none)");
        scree_labels_free(labels);
    }
    assert_null(scree_labels_get(NULL, 0));
    scree_labels_free(NULL);
}

static void test_label_limits(void **state)
{
    size_t n = SCREE_LABELS_MAX_BYTES + 1;
    char *bytes = malloc(n);
    struct scree_labels *labels;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'a', n);
    assert_int_equal(scree_labels_open_memory(bytes, n, &labels, NULL), -E2BIG);
    assert_int_equal(scree_labels_open_memory(bytes, n - 1, &labels, NULL), 0);
    assert_int_equal(strlen(scree_labels_get(labels, 0)), n - 1);
    scree_labels_free(labels);
    for (size_t i = 1; i < n; i += 2)
        bytes[i] = '\n';
    assert_int_equal(scree_labels_open_memory(bytes, n - 1, &labels, NULL), -E2BIG);
    assert_int_equal(scree_labels_open_memory(bytes, 2 * SCREE_LABELS_MAX, &labels, NULL), 0);
    assert_int_equal(scree_labels_count(labels), SCREE_LABELS_MAX);
    scree_labels_free(labels);
    free(bytes);
}

static void test_labels_align(void **state)
{
    static const struct {
        const char *file;
        uint32_t n_classes;
        const char *first, *second; /* classes 0 and 1 */
    } cases[] = {
        {"background\ncat\ndog\n", 3, "background", "cat"},
        {"background\ncat\ndog\n", 2, "cat", "dog"},
        {"???\ncat\ndog\n", 2, "cat", "dog"},
        {"bird\ncat\ndog\n", 2, "bird", "cat"},
        {"cat\ndog\n", 3, "background", "cat"},
        {"cat\ndog\n", 7, "cat", "dog"},
        {"???\ncat\ndog\n", 0, "cat", "dog"},
        {"cat\ndog\n", 0, "cat", "dog"},
        {"0 cat\n1 dog\n", 3, "cat", "dog"},
        {"background\n", 0, "background", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_labels *labels = NULL;
        const char *second;

        assert_int_equal(
            scree_labels_open_memory(cases[i].file, strlen(cases[i].file), &labels, NULL), 0);
        scree_labels_align(labels, cases[i].n_classes);
        second = scree_labels_get(labels, 1);
        if (strcmp(scree_labels_get(labels, 0), cases[i].first) != 0 ||
            !second != !cases[i].second || (second && strcmp(second, cases[i].second) != 0))
            fail_msg("row %zu: '%s'", i, scree_labels_get(labels, 0));
        scree_labels_free(labels);
    }
}

static void test_builtin_labels(void **state)
{
    static const struct {
        const char *name;
        uint32_t n;
        int64_t k;
        const char *label;
    } cases[] = {
        {"coco-91", 90, 0, "person"},
        {"coco-91", 90, 37, "kite"},
        {"coco-91", 90, 89, "toothbrush"},
        {"coco-80", 80, 33, "kite"},
        {"coco-80", 80, 79, "toothbrush"},
        {"voc-21", 21, 12, "dog"},
        {"keypoints-17", 17, 16, "right ankle"},
    };
    struct scree_labels *labels;
    struct scree_error err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(scree_labels_builtin(cases[i].name, &labels, NULL), 0);
        assert_int_equal(scree_labels_count(labels), cases[i].n);
        assert_string_equal(scree_labels_get(labels, cases[i].k), cases[i].label);
        scree_labels_free(labels);
    }
    assert_int_equal(scree_labels_builtin("coco", &labels, &err), -ENOENT);
    assert_string_equal(err.text, "no built-in labels are called \"coco\"");
    assert_string_equal(scree_label_table_name(3), "keypoints-17");
    assert_null(scree_label_table_name(4));
}

/* COCO leaves out 10 of its 90 ids; without them both lists are the same. */
static void test_coco_lists_agree(void **state)
{
    struct scree_labels *all, *dense;
    int64_t n = 0;

    (void)state;
    assert_int_equal(scree_labels_builtin("coco-91", &all, NULL), 0);
    assert_int_equal(scree_labels_builtin("coco-80", &dense, NULL), 0);
    for (int64_t k = 0; k < 90; k++)
        if (scree_labels_get(all, k))
            assert_string_equal(scree_labels_get(all, k), scree_labels_get(dense, n++));
    assert_int_equal(n, 80);
    scree_labels_free(all);
    scree_labels_free(dense);
}

/* ---- top-k -------------------------------------------------------------------------------------
 */

static struct scree_tensor vector(enum scree_type type, int32_t n, void *data, float scale,
                                  int32_t zero_point)
{
    return (struct scree_tensor){
        .name = "",
        .type = type,
        .shape = {2, {1, n}},
        .bytes = (size_t)n * scree_type_bytes(type),
        .data = data,
        .scale = scale,
        .zero_point = zero_point,
        .n_scales = scale != 0,
    };
}

static void check_topk(const struct scree_tensor *t, uint32_t k, const struct scree_class *expected,
                       int n)
{
    struct scree_class top[8];

    assert_int_equal(scree_topk(t, k, top, NULL), n);
    for (int i = 0; i < n; i++) {
        assert_int_equal(top[i].class_id, expected[i].class_id);
        assert_true(top[i].raw == expected[i].raw && top[i].score == expected[i].score);
    }
}

static void test_topk(void **state)
{
    uint8_t u8[] = {3, 9, 9, 0, 200};
    int8_t i8[] = {-128, 127, -1, 127};
    int16_t i16[] = {-30000, 30000};
    float f32[] = {0.25f, -INFINITY, 4, 0.25f};
    struct scree_tensor t;

    (void)state;
    t = vector(SCREE_TYPE_UINT8, 5, u8, 0.5f, 2);
    check_topk(&t, 3, (struct scree_class[]){{4, 99, 200}, {1, 3.5f, 9}, {2, 3.5f, 9}}, 3);
    t = vector(SCREE_TYPE_INT8, 4, i8, 0.25f, -128);
    check_topk(
        &t, 4,
        (struct scree_class[]){{1, 63.75f, 127}, {3, 63.75f, 127}, {2, 31.75f, -1}, {0, 0, -128}},
        4);
    t = vector(SCREE_TYPE_INT16, 2, i16, 0, 0);
    check_topk(&t, 8, (struct scree_class[]){{1, 30000, 30000}, {0, -30000, -30000}}, 2);
    t = vector(SCREE_TYPE_FLOAT32, 4, f32, 0, 0);
    check_topk(&t, 4,
               (struct scree_class[]){
                   {2, 4, 4}, {0, 0.25f, 0.25f}, {3, 0.25f, 0.25f}, {1, -INFINITY, -INFINITY}},
               4);
    check_topk(&t, 1, (struct scree_class[]){{2, 4, 4}}, 1);
}

static void test_topk_puts_nan_last(void **state)
{
    float f32[] = {NAN, -INFINITY, NAN, 1};
    struct scree_tensor t = vector(SCREE_TYPE_FLOAT32, 4, f32, 0, 0);
    struct scree_class top[4];

    (void)state;
    assert_int_equal(scree_topk(&t, 4, top, NULL), 4);
    assert_int_equal(top[0].class_id, 3);
    assert_int_equal(top[1].class_id, 1);
    assert_int_equal(top[2].class_id, 0);
    assert_int_equal(top[3].class_id, 2);
}

/* Longer than one block of the reader, and against a sort by hand. */
static void test_topk_of_many(void **state)
{
    static uint8_t u8[1001];
    struct scree_tensor t = vector(SCREE_TYPE_UINT8, 1001, u8, 1, 0);
    static struct scree_class top[1000];
    uint32_t seed = 7;

    (void)state;
    for (size_t i = 0; i < 1001; i++) {
        seed = seed * 1664525 + 1013904223;
        u8[i] = (uint8_t)(seed >> 24);
    }
    assert_int_equal(scree_topk(&t, 1000, top, NULL), 1000);
    for (int i = 1; i < 1000; i++) {
        assert_true(top[i - 1].score >= top[i].score);
        if (top[i - 1].score == top[i].score)
            assert_true(top[i - 1].class_id < top[i].class_id);
    }
    for (int i = 0; i < 1000; i++)
        assert_true(top[i].raw == (float)u8[top[i].class_id]);
}

static void test_topk_refuses(void **state)
{
    uint8_t u8[4] = {0};
    struct scree_tensor t = vector(SCREE_TYPE_UINT8, 4, u8, 0.5f, 0);
    struct scree_class top[1];
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_topk(&t, 0, top, NULL), -EINVAL);
    assert_int_equal(scree_topk(&t, 1001, top, NULL), -EINVAL);
    t.bytes = 3;
    assert_int_equal(scree_topk(&t, 1, top, NULL), -EINVAL);
    t.bytes = 4, t.n_scales = 2;
    assert_int_equal(scree_topk(&t, 1, top, NULL), -ENOTSUP);
    t.n_scales = 0, t.type = SCREE_TYPE_STRING;
    assert_int_equal(scree_topk(&t, 1, top, &err), -ENOTSUP);
    assert_string_equal(err.text, "output of type string cannot be read as numbers");
    t.type = SCREE_TYPE_UINT8, t.data = NULL;
    assert_int_equal(scree_topk(&t, 1, top, NULL), -EINVAL);
    t.shape.dims[1] = -1;
    assert_int_equal(scree_topk(&t, 1, top, NULL), -EINVAL);
    t.shape = (struct scree_shape){-1, {0}};
    assert_int_equal(scree_topk(&t, 1, top, NULL), -EINVAL);
    t = vector(SCREE_TYPE_UINT8, 0, NULL, 0, 0);
    assert_int_equal(scree_topk(&t, 1, top, NULL), 0);
}

/* ---- heads -------------------------------------------------------------------------------------
 */

#define F32   SCREE_TYPE_FLOAT32
#define U8    SCREE_TYPE_UINT8
#define I8    SCREE_TYPE_INT8
#define I64   SCREE_TYPE_INT64
#define MAX_O 6

/* One output: type, whether it is quantized, rank and dims. */
struct output {
    enum scree_type type;
    bool quantized;
    int32_t rank, dims[4];
    const char *name;
};

static int find(const struct output *outputs, uint32_t n, int32_t in_side, enum scree_task task,
                const char *json, struct scree_head *ret)
{
    struct scree_tensor input = {.name = "in", .type = U8, .shape = {4, {1, in_side, in_side, 3}}};
    struct scree_tensor tensors[MAX_O] = {0};
    struct scree_side side;
    int rc;

    for (uint32_t i = 0; i < n; i++) {
        tensors[i].name = outputs[i].name ? outputs[i].name : "Identity";
        tensors[i].type = outputs[i].type;
        tensors[i].n_scales = outputs[i].quantized;
        tensors[i].scale = outputs[i].quantized ? 0.01f : 0;
        tensors[i].shape.rank = outputs[i].rank;
        memcpy(tensors[i].shape.dims, outputs[i].dims, sizeof outputs[i].dims);
    }
    assert_int_equal(scree_side_parse(json ? json : "{}", strlen(json ? json : "{}"), &side, NULL),
                     0);
    rc = scree_head_find(&(struct scree_ports){&input, tensors, 1, n}, task, &side, ret, NULL);
    scree_side_done(&side);
    return rc;
}

static void test_heads(void **state)
{
    static const struct {
        const char *what;
        struct output outputs[MAX_O];
        int32_t in_side; /* of the picture; 0: the input is none */
        const char *json;
        enum scree_task task;
        enum scree_head_kind kind;
        int32_t n_boxes, n_classes;
    } cases[] = {
        {"ImageNet", {{U8, 1, 2, {1, 1001}}}, 224, NULL, 0, SCREE_HEAD_CLASSES, 0, 1001},
        {"1x1 cells", {{F32, 0, 4, {1, 1, 1, 10}}}, 32, NULL, 0, SCREE_HEAD_CLASSES, 0, 10},
        {"no picture", {{I8, 1, 2, {1, 12}}}, 0, NULL, 0, SCREE_HEAD_CLASSES, 0, 12},
        {"one number", {{F32, 0, 2, {1, 1}}}, 32, NULL, 0, SCREE_HEAD_NONE, 0, 0},
        {"SSD",
         {{F32, 0, 3, {1, 10, 4}}, {F32, 0, 2, {1, 10}}, {F32, 0, 2, {1, 10}}, {F32, 0, 1, {1}}},
         300,
         NULL,
         0,
         SCREE_HEAD_SSD,
         10,
         0},
        {"SSD of one box",
         {{F32, 0, 3, {1, 1, 4}}, {F32, 0, 2, {1, 1}}, {F32, 0, 2, {1, 1}}, {F32, 0, 1, {1}}},
         300,
         NULL,
         0,
         SCREE_HEAD_SSD,
         1,
         0},
        {"raw SSD",
         {{U8, 1, 3, {1, 2034, 4}}, {U8, 1, 3, {1, 2034, 91}}},
         320,
         NULL,
         0,
         SCREE_HEAD_SSD_RAW,
         2034,
         90},
        {"raw SSD, no background",
         {{U8, 1, 3, {1, 2034, 91}}, {U8, 1, 3, {1, 2034, 4}}},
         320,
         "{\"background\": false}",
         0,
         SCREE_HEAD_SSD_RAW,
         2034,
         91},
        {"raw SSD of 4",
         {{F32, 0, 3, {1, 9, 4}}, {F32, 0, 3, {1, 9, 4}}},
         320,
         "{\"outputs\": {\"boxes\": 1}}",
         0,
         SCREE_HEAD_SSD_RAW,
         9,
         3},
        {"YOLOv8", {{I8, 1, 3, {1, 84, 8400}}}, 640, NULL, 0, SCREE_HEAD_YOLO_V8, 8400, 80},
        {"YOLOv8, turned",
         {{F32, 0, 3, {1, 8400, 84}}},
         640,
         NULL,
         0,
         SCREE_HEAD_YOLO_V8,
         8400,
         80},
        {"YOLOv8, many classes",
         {{F32, 0, 3, {1, 604, 21}}},
         32,
         NULL,
         0,
         SCREE_HEAD_YOLO_V8,
         21,
         600},
        {"YOLOv8, odd maps",
         {{F32, 0, 3, {1, 84, 9000}}},
         640,
         NULL,
         0,
         SCREE_HEAD_YOLO_V8,
         9000,
         80},
        {"YOLOv5", {{U8, 1, 3, {1, 25200, 85}}}, 640, NULL, 0, SCREE_HEAD_YOLO_V5, 25200, 80},
        {"YOLOv5, one class",
         {{U8, 1, 3, {1, 25200, 6}}},
         640,
         NULL,
         0,
         SCREE_HEAD_YOLO_V5,
         25200,
         1},
        {"YOLO with suppression",
         {{F32, 0, 3, {1, 300, 6}}},
         640,
         NULL,
         0,
         SCREE_HEAD_YOLO_END,
         300,
         0},
        {"told by the side file",
         {{F32, 0, 3, {1, 700, 85}}},
         640,
         "{\"head\": \"yolov8\"}",
         0,
         SCREE_HEAD_YOLO_V8,
         700,
         81},
        {"MoveNet", {{F32, 0, 4, {1, 1, 17, 3}}}, 192, NULL, 0, SCREE_HEAD_MOVENET, 1, 0},
        {"MoveNet, several",
         {{F32, 0, 3, {1, 6, 56}}},
         256,
         NULL,
         0,
         SCREE_HEAD_MOVENET_MULTI,
         6,
         0},
        {"PoseNet",
         {{U8, 1, 4, {1, 23, 31, 17}}, {U8, 1, 4, {1, 23, 31, 34}}, {U8, 1, 4, {1, 23, 31, 64}}},
         353,
         NULL,
         0,
         SCREE_HEAD_POSENET,
         0,
         0},
        {"class map", {{I64, 0, 3, {1, 513, 513}}}, 513, NULL, 0, SCREE_HEAD_CLASS_MAP, 0, 0},
        {"class map, rank 4",
         {{U8, 0, 4, {1, 65, 65, 1}}},
         513,
         NULL,
         0,
         SCREE_HEAD_CLASS_MAP,
         0,
         0},
        {"class scores",
         {{F32, 0, 4, {1, 65, 65, 21}}},
         513,
         NULL,
         0,
         SCREE_HEAD_CLASS_SCORES,
         0,
         21},
        {"not of this task",
         {{F32, 0, 4, {1, 65, 65, 21}}},
         513,
         NULL,
         SCREE_TASK_POSE,
         SCREE_HEAD_NONE,
         0,
         0},
        {"classify by force",
         {{F32, 0, 4, {1, 2, 2, 5}}},
         513,
         NULL,
         SCREE_TASK_CLASSIFY,
         SCREE_HEAD_CLASSES,
         0,
         20},
        {"not of the head named",
         {{F32, 0, 2, {1, 10}}},
         32,
         "{\"head\": \"movenet\"}",
         0,
         SCREE_HEAD_NONE,
         0,
         0},
        {"open dimension", {{F32, 0, 2, {1, -1}}}, 32, NULL, 0, SCREE_HEAD_NONE, 0, 0},
        {"known at run time", {{F32, 0, -1, {0}}}, 32, NULL, 0, SCREE_HEAD_NONE, 0, 0},
        {"an empty side", {{F32, 0, 3, {1, 0, 85}}}, 32, NULL, 0, SCREE_HEAD_NONE, 0, 0},
        {"batch of two", {{F32, 0, 2, {2, 10}}}, 32, NULL, 0, SCREE_HEAD_NONE, 0, 0},
        {"text", {{SCREE_TYPE_STRING, 0, 2, {1, 10}}}, 32, NULL, 0, SCREE_HEAD_NONE, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_head head = {0};
        uint32_t n = 0;
        int rc;

        while (n < MAX_O && cases[i].outputs[n].rank != 0)
            n++;
        rc = find(cases[i].outputs, n, cases[i].in_side, cases[i].task, cases[i].json, &head);
        if (rc != (cases[i].kind == SCREE_HEAD_NONE ? -ENOTSUP : 0) || head.kind != cases[i].kind ||
            head.n_boxes != cases[i].n_boxes || head.n_classes != cases[i].n_classes)
            fail_msg("%s: rc %d, %s, %d boxes, %d classes", cases[i].what, rc,
                     scree_head_name(head.kind), head.n_boxes, head.n_classes);
    }
}

/* The orders in which exporters put the four outputs of an SSD. */
static void test_ssd_roles(void **state)
{
    static const struct output boxes = {F32, 0, 3, {1, 10, 4}}, list = {F32, 0, 2, {1, 10}},
                               count = {F32, 0, 1, {1}};
    struct output scores = list, classes = list;
    struct scree_head head;

    (void)state;
    assert_int_equal(find((struct output[]){boxes, list, list, count}, 4, 300, 0, NULL, &head), 0);
    assert_int_equal(head.outputs[SCREE_ROLE_CLASSES], 1);
    assert_int_equal(head.outputs[SCREE_ROLE_SCORES], 2);
    assert_int_equal(head.outputs[SCREE_ROLE_COUNT], 3);

    assert_int_equal(find((struct output[]){list, boxes, count, list}, 4, 300, 0, NULL, &head), 0);
    assert_int_equal(head.outputs[SCREE_ROLE_SCORES], 0);
    assert_int_equal(head.outputs[SCREE_ROLE_BOXES], 1);
    assert_int_equal(head.outputs[SCREE_ROLE_COUNT], 2);
    assert_int_equal(head.outputs[SCREE_ROLE_CLASSES], 3);

    scores.name = "Detection_Scores", classes.name = "category";
    assert_int_equal(find((struct output[]){boxes, scores, classes, count}, 4, 300, 0, NULL, &head),
                     0);
    assert_int_equal(head.outputs[SCREE_ROLE_SCORES], 1);

    assert_int_equal(find((struct output[]){boxes, list, list, count}, 4, 300, 0,
                          "{\"outputs\": {\"scores\": 1}}", &head),
                     0);
    assert_int_equal(head.outputs[SCREE_ROLE_SCORES], 1);
    assert_int_equal(head.outputs[SCREE_ROLE_CLASSES], 2);
}

static void test_posenet_displacements(void **state)
{
    static const struct output heat = {F32, 0, 4, {1, 5, 5, 17}}, off = {F32, 0, 4, {1, 5, 5, 34}},
                               a = {F32, 0, 4, {1, 5, 5, 32}, "displacement_bwd"},
                               b = {F32, 0, 4, {1, 5, 5, 32}, "displacement_fwd"};
    struct scree_head head;

    (void)state;
    assert_int_equal(find((struct output[]){heat, off, a, b}, 4, 65, 0, NULL, &head), 0);
    assert_int_equal(head.outputs[SCREE_ROLE_FORWARD], 3);
    assert_int_equal(head.outputs[SCREE_ROLE_BACKWARD], 2);
    assert_int_equal(find((struct output[]){heat, off, a, b}, 4, 65, 0,
                          "{\"outputs\": {\"forward\": 2, \"backward\": 3}}", &head),
                     0);
    assert_int_equal(head.outputs[SCREE_ROLE_FORWARD], 2);
    assert_int_equal(find((struct output[]){heat, off}, 2, 65, 0, NULL, &head), 0);
    assert_int_equal(head.outputs[SCREE_ROLE_FORWARD], -1);
}

static void test_head_limits(void **state)
{
    static const struct output wide = {I64, 0, 3, {1, 4097, 2}},
                               boxes = {F32, 0, 3, {1, 84, 200001}},
                               pose = {F32, 0, 4, {1, 200, 200, 17}},
                               offsets = {F32, 0, 4, {1, 200, 200, 34}};
    struct scree_head head;

    (void)state;
    assert_int_equal(find(&wide, 1, 65, 0, NULL, &head), -E2BIG);
    assert_int_equal(find(&boxes, 1, 640, 0, NULL, &head), -E2BIG);
    assert_int_equal(find((struct output[]){pose, offsets}, 2, 65, 0, NULL, &head), -E2BIG);
    assert_int_equal(find(NULL, 0, 65, 0, NULL, &head), -ENOTSUP);
}

/* ---- side files and anchors --------------------------------------------------------------------
 */

static void test_side_errors(void **state)
{
    static const struct {
        const char *json;
        const char *text; /* what the error says */
    } cases[] = {
        {"", "line 1, column 0: '[' or '{' expected near end of file"},
        {"[]", "not an object"},
        {"{\"task\": \"pose\", \"task\": \"pose\"}",
         "line 1, column 23: duplicate object key near '\"task\"'"},
        {"{\"tsak\": 1}", "the key \"tsak\" is not known"},
        {"{\"task\": \"fly\"}", "task: not 'classify', 'detect', 'segment' or 'pose'"},
        {"{\"task\": 7}", "task: not 'classify', 'detect', 'segment' or 'pose'"},
        {"{\"head\": \"none\"}", "head: not the name of a head"},
        {"{\"outputs\": []}", "outputs: not an object"},
        {"{\"outputs\": {\"boxes\": -1}}", "outputs: boxes: -1 is not in [0, 2147483647]"},
        {"{\"outputs\": {\"boxes\": 1.5}}", "outputs: boxes: not an integer"},
        {"{\"outputs\": {\"hats\": 1}}", "outputs: the key \"hats\" is not known"},
        {"{\"labels\": []}", "labels: not an array of 1 to 1000000 texts"},
        {"{\"labels\": [\"a\", 1]}", "labels: [1]: not a text"},
        {"{\"labels\": \"dogs\"}", "labels: no built-in labels are called \"dogs\""},
        {"{\"input\": {\"fit\": \"fill\"}}", "input: fit: \"fill\" is not a value of this key"},
        {"{\"input\": {\"mean\": [1]}}", "input: 'mean' and 'std' come together"},
        {"{\"input\": {\"mean\": [1, 2], \"std\": [1]}}",
         "input: mean: 2 numbers for 1 or 3 channels"},
        {"{\"input\": {\"mean\": [0], \"std\": [0]}}",
         "input: std: [0]: 0 is not in [1e-06, 1e+06]"},
        {"{\"box_coder\": [1, 1, 1]}", "box_coder: not an array of 4 to 4 numbers"},
        {"{\"box_coder\": [1, 1, 1, 0]}", "box_coder: [3]: 0 is not in [1e-06, 1e+06]"},
        {"{\"background\": 1}", "background: not true or false"},
        {"{\"box_units\": null}", "box_units: what is no text is not a value of this key"},
        {"{\"anchors\": {}}", "anchors: one of 'feature_maps' and 'strides' is needed"},
        {"{\"anchors\": {\"feature_maps\": [2], \"strides\": [2], \"aspect_ratios\": [1]}}",
         "anchors: one of 'feature_maps' and 'strides' is needed"},
        {"{\"anchors\": {\"feature_maps\": [0]}}",
         "anchors: feature_maps: [0]: 0 is not in [1, 4096]"},
        {"{\"anchors\": {\"feature_maps\": [[1, 2, 3]]}}",
         "anchors: feature_maps: [0]: not [height, width]"},
        {"{\"anchors\": {\"feature_maps\": []}}",
         "anchors: feature_maps: not an array of 1 to 16 maps"},
        {"{\"anchors\": {\"strides\": [8]}}", "anchors: 'aspect_ratios' is needed"},
        {"{\"anchors\": {\"strides\": [8], \"aspect_ratios\": [1]}}",
         "anchors: min_scale: not a number"},
        {"{\"anchors\": {\"strides\": [8], \"aspect_ratios\": [1], \"scales\": [1]}}",
         "anchors: scales: not an array of 2 to 2 numbers"},
        {"{\"anchors\": {\"list\": [[0, 0, 1]]}}",
         "anchors: list: [0]: not an array of 4 to 4 numbers"},
        {"{\"anchors\": {\"list\": [[0, 0, 1, 0]]}}", "anchors: list: [0]: no area"},
        {"{\"anchors\": {\"list\": [[0, 0, 1, 1]], \"strides\": [1]}}",
         "anchors: 'list' stands for all other keys"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_side side;
        struct scree_error err = {""};
        int rc = scree_side_parse(cases[i].json, strlen(cases[i].json), &side, &err);

        if (rc != -EBADMSG || strcmp(err.text, cases[i].text) != 0)
            fail_msg("%s: rc %d, '%s'", cases[i].json, rc, err.text);
    }
}

static void test_side_says_all(void **state)
{
    static const char json[] =
        "{\"task\": \"detect\", \"head\": \"yolov5\", \"outputs\": {\"main\": 2},"
        " \"labels\": [\"a\", \"???\"], \"scores\": \"logits\", \"box_units\": \"pixels\","
        " \"background\": false, \"box_coder\": [1, 2, 3, 4],"
        " \"input\": {\"fit\": \"crop\", \"mean\": [1, 2, 3], \"std\": [4]}}";
    struct scree_side side;

    (void)state;
    assert_int_equal(scree_side_parse(json, sizeof json - 1, &side, NULL), 0);
    assert_int_equal(side.task, SCREE_TASK_DETECT);
    assert_int_equal(side.head, SCREE_HEAD_YOLO_V5);
    assert_int_equal(side.outputs[SCREE_ROLE_MAIN], 2);
    assert_int_equal(side.outputs[SCREE_ROLE_BOXES], -1);
    assert_string_equal(scree_labels_get(side.labels, 0), "a");
    assert_null(scree_labels_get(side.labels, 1));
    assert_int_equal(side.scores, SCREE_SCORE_LOGITS);
    assert_int_equal(side.units, SCREE_BOX_PIXELS);
    assert_false(side.background);
    assert_true(side.box_coder[3] == 4);
    assert_true(side.has_fit && side.picture.fit == SCREE_FIT_CROP);
    assert_int_equal(side.picture.n_values, 3);
    assert_true(side.picture.mean[2] == 3 && side.picture.std[2] == 4);
    scree_side_done(&side);
    assert_null(side.labels);
    scree_side_done(&side);
}

static void check_anchor(const struct scree_anchor *anchor, float cy, float cx, float h, float w)
{
    if (fabsf(anchor->cy - cy) > 1e-6f || fabsf(anchor->cx - cx) > 1e-6f ||
        fabsf(anchor->h - h) > 1e-5f || fabsf(anchor->w - w) > 1e-5f)
        fail_msg("%g %g %g %g instead of %g %g %g %g", (double)anchor->cy, (double)anchor->cx,
                 (double)anchor->h, (double)anchor->w, (double)cy, (double)cx, (double)h,
                 (double)w);
}

/* The example of docs/model-json.md; numbers from the formula, worked out with numpy. */
static void test_anchors_of_the_example(void **state)
{
    struct scree_anchor *anchors;
    struct scree_side side;
    struct scree_error err;
    uint32_t n;

    (void)state;
    if (scree_side_open("examples/ssdlite_mobiledet_320.json", &side, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(scree_anchors_new(&side.anchors, 320, 320, &anchors, &n, NULL), 0);
    assert_int_equal(n, 2034);
    check_anchor(&anchors[0], 0.025f, 0.025f, 0.1f, 0.1f);
    check_anchor(&anchors[1], 0.025f, 0.025f, 0.1414214f, 0.2828427f);
    check_anchor(&anchors[5], 0.025f, 0.075f, 0.2828427f, 0.1414214f);
    check_anchor(&anchors[1200], 0.05f, 0.05f, 0.35f, 0.35f);
    check_anchor(&anchors[1203], 0.05f, 0.05f, 0.2020726f, 0.6062178f);
    check_anchor(&anchors[1205], 0.05f, 0.05f, 0.4183300f, 0.4183300f);
    check_anchor(&anchors[2033], 0.5f, 0.5f, 0.9746794f, 0.9746794f);
    free(anchors);
    scree_side_done(&side);
}

static void test_anchors_from_strides_and_lists(void **state)
{
    static const char strides[] =
        "{\"anchors\": {\"strides\": [32, 300], \"scales\": [0.1, 0.2, 3],"
        " \"aspect_ratios\": [1], \"interpolated_scale_aspect_ratio\": 0,"
        " \"base_anchor_size\": [1, 0.5]}}";
    static const char list[] = "{\"anchors\": {\"list\": [[0.5, 0.25, 0.1, 0.2]]}}";
    static const char many[] = "{\"anchors\": {\"feature_maps\": [4096, 4096], \"min_scale\": 0.1,"
                               " \"max_scale\": 1, \"aspect_ratios\": [1]}}";
    struct scree_anchor *anchors;
    struct scree_side side;
    uint32_t n;

    (void)state;
    assert_int_equal(scree_side_parse(strides, sizeof strides - 1, &side, NULL), 0);
    assert_int_equal(scree_anchors_new(&side.anchors, 320, 330, &anchors, &n, NULL), 0);
    assert_int_equal(n, 10 * 11 + 2 * 2);
    check_anchor(&anchors[1], 0.05f, 1.5f / 11, 0.1f, 0.05f);
    check_anchor(&anchors[113], 0.75f, 0.75f, 0.2f, 0.1f);
    free(anchors);
    scree_side_done(&side);

    assert_int_equal(scree_side_parse(list, sizeof list - 1, &side, NULL), 0);
    assert_int_equal(scree_anchors_new(&side.anchors, 1, 1, &anchors, &n, NULL), 0);
    assert_int_equal(n, 1);
    check_anchor(&anchors[0], 0.5f, 0.25f, 0.1f, 0.2f);
    free(anchors);
    scree_side_done(&side);

    assert_int_equal(scree_side_parse(many, sizeof many - 1, &side, NULL), 0);
    assert_int_equal(scree_anchors_new(&side.anchors, 1, 1, &anchors, &n, NULL), -E2BIG);
    scree_side_done(&side);
    scree_side_init(&side);
    assert_int_equal(scree_anchors_new(&side.anchors, 1, 1, &anchors, &n, NULL), -EBADMSG);
}

static void test_names(void **state)
{
    (void)state;
    for (int i = SCREE_TASK_CLASSIFY; i <= SCREE_TASK_POSE; i++)
        assert_int_equal(scree_task_parse(scree_task_name((enum scree_task)i)), i);
    assert_string_equal(scree_task_name((enum scree_task)99), "any");
    assert_int_equal(scree_task_parse("any"), SCREE_TASK_ANY);
    for (int i = SCREE_HEAD_SSD; i <= SCREE_HEAD_CLASSES; i++) {
        assert_int_equal(scree_head_parse(scree_head_name((enum scree_head_kind)i)), i);
        assert_string_not_equal(scree_head_text((enum scree_head_kind)i), "nothing known");
    }
    assert_int_equal(scree_role_parse("backward"), SCREE_ROLE_BACKWARD);
    assert_int_equal(scree_role_parse(""), SCREE_N_ROLES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label_files),
        cmocka_unit_test(test_label_limits),
        cmocka_unit_test(test_labels_align),
        cmocka_unit_test(test_builtin_labels),
        cmocka_unit_test(test_coco_lists_agree),
        cmocka_unit_test(test_topk),
        cmocka_unit_test(test_topk_puts_nan_last),
        cmocka_unit_test(test_topk_of_many),
        cmocka_unit_test(test_topk_refuses),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_ssd_roles),
        cmocka_unit_test(test_posenet_displacements),
        cmocka_unit_test(test_head_limits),
        cmocka_unit_test(test_side_errors),
        cmocka_unit_test(test_side_says_all),
        cmocka_unit_test(test_anchors_of_the_example),
        cmocka_unit_test(test_anchors_from_strides_and_lists),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
