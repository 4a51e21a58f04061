/* Every allocation of the vision layer fails once: -ENOMEM each time, the result untouched, nothing
 * left behind (which a run under a sanitizer sees). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "support/tflite_writer.h"
#include "vision/side.h"

/* Allocations left before one fails; -1: none does. */
static int allowed = -1;

static bool may_allocate(void)
{
    return allowed < 0 || allowed-- > 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_malloc(size_t n)
{
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

static struct scree_model *model;
static struct scree_session *session;
static struct tw *writer;

/* A model that makes raw boxes [1, 2, 4] and scores [1, 2, 3] of its input and so needs anchors. */
static int open_model(void **state)
{
    static const uint8_t zeros[24];
    const uint8_t *bytes;
    int32_t in, out, begin, boxes, scores, size_boxes, size_scores;
    static const int32_t sizes[2][3] = {{1, 2, 4}, {1, 2, 3}};
    size_t n;

    (void)state;
    writer = tw_new();
    in = tw_tensor(writer, "in", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 2, 4, 1));
    out = tw_tensor(writer, "flat", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 2, 4));
    boxes = tw_tensor(writer, "boxes", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 2, 4));
    scores = tw_tensor(writer, "scores", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 2, 3));
    begin = tw_constant(writer, "begin", SCREE_TYPE_INT32, TW_SHAPE(3), zeros, 12);
    size_boxes = tw_constant(writer, "all", SCREE_TYPE_INT32, TW_SHAPE(3), sizes[0], 12);
    size_scores = tw_constant(writer, "some", SCREE_TYPE_INT32, TW_SHAPE(3), sizes[1], 12);
    tw_node(writer, SCREE_OP_RESHAPE, TW_LIST(in, size_boxes), TW_LIST(out), NULL);
    tw_node(writer, SCREE_OP_SLICE, TW_LIST(out, begin, size_boxes), TW_LIST(boxes), NULL);
    tw_node(writer, SCREE_OP_SLICE, TW_LIST(out, begin, size_scores), TW_LIST(scores), NULL);
    tw_ports(writer, TW_LIST(in), TW_LIST(boxes, scores));
    bytes = tw_finish(writer, &n);
    return scree_model_open_memory(bytes, n, &model, NULL) < 0 ||
           scree_session_new(model, NULL, &session, NULL) < 0;
}

static int close_model(void **state)
{
    (void)state;
    scree_session_free(session);
    scree_model_unref(model);
    tw_free(writer);
    return 0;
}

static int make_labels(void)
{
    static const char text[] = "cat\ndog\n";
    struct scree_labels *labels = NULL;
    int rc = scree_labels_open_memory(text, sizeof text - 1, &labels, NULL);

    assert_true((rc == 0) == (labels != NULL));
    scree_labels_free(labels);
    return rc;
}

static int make_builtin_labels(void)
{
    struct scree_labels *labels = NULL;
    int rc = scree_labels_builtin("coco-91", &labels, NULL);

    scree_labels_free(labels);
    return rc;
}

static int make_side(void)
{
    static const char json[] = "{\"labels\": [\"a\", \"b\"], \"anchors\": {\"list\": "
                               "[[0, 0, 1, 1], [1, 1, 1, 1]]}}";
    struct scree_side side = {.anchors.n_list = 77};
    int rc = scree_side_parse(json, sizeof json - 1, &side, NULL);

    if (rc < 0)
        assert_int_equal(side.anchors.n_list, 77);
    else
        scree_side_done(&side);
    return rc;
}

static int make_vision(void)
{
    struct scree_vision_options options = {.side_file = "tests/vision/two_anchors.json"};
    struct scree_vision *vision = NULL;
    struct scree_labels *labels = NULL;
    int rc = scree_vision_new(session, &options, &vision, NULL);

    assert_true((rc == 0) == (vision != NULL));
    if (rc == 0)
        rc = scree_vision_labels(vision, model, &labels, NULL);
    scree_labels_free(labels);
    scree_vision_free(vision);
    return rc;
}

static int make_picture(void)
{
    static const char file[] = "P6 2 1 255\n123456";
    struct scree_image *image = NULL;
    struct scree_tensor t;
    float before;
    int rc = scree_image_open_memory(file, sizeof file - 1, false, &image, NULL);

    assert_true((rc == 0) == (image != NULL));
    if (rc < 0)
        return rc;
    scree_session_input(session, 0, &t);
    before = *(float *)t.data = 7;
    rc = scree_session_set_image(session, 0, image, NULL, NULL, NULL);
    if (rc < 0)
        assert_true(*(float *)t.data == before);
    scree_image_free(image);
    return rc;
}

static void test_every_allocation_fails(void **state)
{
    static const struct {
        const char *name;
        int (*run)(void);
        int least; /* allocations of ours in it */
    } scenarios[] = {
        {"labels", make_labels, 3},   {"built-in labels", make_builtin_labels, 3},
        {"side file", make_side, 4},  {"vision", make_vision, 10},
        {"picture", make_picture, 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        int n = 0, rc;

        for (;; n++) {
            allowed = n;
            rc = scenarios[i].run();
            allowed = -1;
            if (rc == 0)
                break;
            if (rc != -ENOMEM)
                fail_msg("%s: allocation %d gives %d", scenarios[i].name, n, rc);
        }
        if (n < scenarios[i].least)
            fail_msg("%s: only %d allocations failed", scenarios[i].name, n);
    }
}

/* Decoding allocates nothing. */
static void test_answers_without_memory(void **state)
{
    struct scree_vision_options options = {.side_file = "tests/vision/two_anchors.json"};
    struct scree_vision *vision;
    struct scree_detection d[4];
    struct scree_tensor t;
    struct scree_error err;
    int n;

    (void)state;
    if (scree_vision_new(session, &options, &vision, &err) < 0)
        fail_msg("%s", err.text);
    scree_session_input(session, 0, &t);
    memcpy(t.data, (float[]){0, 0.6f, 0, 0, 0.7f, 0, 0, 0}, 32);
    allowed = 0;
    n = scree_session_run(session, &err);
    if (n == 0)
        n = scree_detect(vision, session, NULL, NULL, 4, d, &err);
    allowed = -1;
    assert_int_equal(n, 1);
    assert_int_equal(d[0].class_id, 0);
    assert_true(d[0].score == 0.6f);
    scree_vision_free(vision);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_answers_without_memory),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
