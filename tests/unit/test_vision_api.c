/* The public functions on pictures and answers: on a model made here and, if there are any, on real
 * ones ($SCREE_SHARED/models, ../shared/models). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "media/image.h"
#include "support/tflite_writer.h"

/* ---- a model made here -------------------------------------------------------------------------
 */

/* Opens a session that copies its input, of this type and shape, to output 0. */
static struct scree_session *open_copy(enum scree_type type, struct scree_shape shape)
{
    struct tw *tw = tw_new();
    int32_t in = tw_tensor(tw, "in", type, shape);
    int32_t out = tw_tensor(tw, "out", type, shape);
    static uint8_t file[4096];
    const uint8_t *bytes;
    struct scree_model *model;
    struct scree_session *session = NULL;
    struct scree_error err;
    size_t n;

    if (type != SCREE_TYPE_FLOAT32) {
        tw_quantize(tw, in, 0.5f, 3);
        tw_quantize(tw, out, 0.5f, 3);
    }
    tw_node(tw, SCREE_OP_MAXIMUM, TW_LIST(in, in), TW_LIST(out), NULL);
    tw_ports(tw, TW_LIST(in), TW_LIST(out));
    bytes = tw_finish(tw, &n);
    assert_true(n <= sizeof file);
    memcpy(file, bytes, n);
    tw_free(tw);
    if (scree_model_open_memory(file, n, &model, &err) < 0 ||
        scree_session_new(model, NULL, &session, &err) < 0)
        fail_msg("%s", err.text);
    scree_model_unref(model);
    return session;
}

/* A picture of w x h: the left half black, the right half (200, 100, 50). */
static struct scree_image *open_halves(int32_t w, int32_t h)
{
    static uint8_t file[4096];
    struct scree_image *image;
    struct scree_error err;
    int n = snprintf((char *)file, sizeof file, "P6 %d %d 255\n", w, h);

    assert_true((size_t)n + (size_t)w * (size_t)h * 3 <= sizeof file);
    for (int32_t i = 0; i < w * h; i++)
        memcpy(&file[n + i * 3], i % w < w / 2 ? "\0\0\0" : "\310\144\62", 3);
    if (scree_image_open_memory(file, (size_t)n + (size_t)w * (size_t)h * 3, false, &image, &err) <
        0)
        fail_msg("%s", err.text);
    return image;
}

static void test_picture_of_the_api(void **state)
{
    struct scree_image *image = open_halves(4, 2);
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_image_width(image), 4);
    assert_int_equal(scree_image_height(image), 2);
    assert_memory_equal(scree_image_pixels(image) + 6, "\310\144\62", 3);
    scree_image_free(image);
    scree_image_free(NULL);
    assert_int_equal(scree_image_open("no such file", false, &image, &err), -ENOENT);
    assert_int_equal(scree_image_open_memory("P6 4 2 255\n", 11, false, &image, &err), -EBADMSG);
}

static void test_set_image_types(void **state)
{
    static const struct scree_shape rgb = {4, {1, 2, 4, 3}}, gray = {3, {2, 4, 1}};
    struct scree_picture_options affine = {.n_values = 1, .mean = {100}, .std = {50}};
    struct scree_image *image = open_halves(4, 2);
    struct scree_session *session;
    struct scree_tensor t;
    struct scree_fit fit;

    (void)state;
    session = open_copy(SCREE_TYPE_UINT8, rgb);
    assert_int_equal(scree_session_set_image(session, 0, image, NULL, &fit, NULL), 0);
    scree_session_input(session, 0, &t);
    assert_memory_equal(t.data, scree_image_pixels(image), 24);
    assert_memory_equal(&fit, &((struct scree_fit){{0, 0, 4, 2}, {0, 0, 4, 2}}), sizeof fit);
    scree_session_free(session);

    session = open_copy(SCREE_TYPE_INT8, gray);
    assert_int_equal(scree_session_set_image(session, 0, image, NULL, NULL, NULL), 0);
    scree_session_input(session, 0, &t);
    /* luma of (200, 100, 50) is 124 */
    assert_memory_equal(t.data, "\200\200\374\374\200\200\374\374", 8);
    scree_session_free(session);

    session = open_copy(SCREE_TYPE_FLOAT32, rgb);
    assert_int_equal(scree_session_set_image(session, 0, image, NULL, NULL, NULL), 0);
    scree_session_input(session, 0, &t);
    assert_true(((float *)t.data)[0] == 0 && fabsf(((float *)t.data)[6] - 200.0f / 255) < 1e-6f);
    assert_int_equal(scree_session_set_image(session, 0, image, &affine, NULL, NULL), 0);
    assert_true(((float *)t.data)[0] == -2 && ((float *)t.data)[6] == 2 &&
                ((float *)t.data)[8] == -1);
    scree_session_free(session);
    scree_image_free(image);
}

static void test_set_image_fits(void **state)
{
    static const struct scree_shape square = {4, {1, 4, 4, 3}};
    struct scree_picture_options options = {.fit = SCREE_FIT_LETTERBOX};
    struct scree_image *image = open_halves(8, 4);
    struct scree_session *session = open_copy(SCREE_TYPE_UINT8, square);
    struct scree_tensor t;
    struct scree_fit fit;

    (void)state;
    scree_session_input(session, 0, &t);
    assert_int_equal(scree_session_set_image(session, 0, image, &options, &fit, NULL), 0);
    assert_memory_equal(&fit, &((struct scree_fit){{0, 0, 8, 4}, {0, 1, 4, 2}}), sizeof fit);
    assert_memory_equal(t.data, "rrr", 3);
    assert_memory_equal((uint8_t *)t.data + 12, "\0\0\0", 3);
    options.fit = SCREE_FIT_CROP;
    assert_int_equal(scree_session_set_image(session, 0, image, &options, &fit, NULL), 0);
    assert_memory_equal(&fit, &((struct scree_fit){{2, 0, 4, 4}, {0, 0, 4, 4}}), sizeof fit);
    assert_memory_equal((uint8_t *)t.data + 6, "\310\144\62", 3);
    scree_session_free(session);
    scree_image_free(image);
}

static void test_set_image_refuses(void **state)
{
    static const struct scree_shape vector = {2, {1, 4}}, two = {4, {1, 2, 2, 2}},
                                    rgb = {4, {1, 2, 2, 3}};
    struct scree_picture_options bad = {.fit = (enum scree_fit_mode)9};
    struct scree_picture_options no_std = {.n_values = 3};
    struct scree_image *image = open_halves(4, 2);
    struct scree_session *session;

    (void)state;
    session = open_copy(SCREE_TYPE_UINT8, vector);
    assert_int_equal(scree_session_set_image(session, 0, image, NULL, NULL, NULL), -ENOTSUP);
    assert_int_equal(scree_session_set_image(session, 1, image, NULL, NULL, NULL), -EINVAL);
    scree_session_free(session);
    session = open_copy(SCREE_TYPE_UINT8, two);
    assert_int_equal(scree_session_set_image(session, 0, image, NULL, NULL, NULL), -ENOTSUP);
    scree_session_free(session);
    session = open_copy(SCREE_TYPE_UINT8, rgb);
    assert_int_equal(scree_session_set_image(session, 0, image, &bad, NULL, NULL), -EINVAL);
    assert_int_equal(scree_session_set_image(session, 0, image, &no_std, NULL, NULL), -EINVAL);
    scree_session_free(session);
    session = open_copy(SCREE_TYPE_INT32, rgb);
    assert_int_equal(scree_session_set_image(session, 0, image, NULL, NULL, NULL), -ENOTSUP);
    scree_session_free(session);
    scree_image_free(image);
}

static void test_vision_of_a_classifier(void **state)
{
    static const struct scree_shape vector = {2, {1, 5}};
    struct scree_session *session = open_copy(SCREE_TYPE_UINT8, vector);
    struct scree_vision_options options = {.task = SCREE_TASK_DETECT};
    struct scree_picture_options picture;
    struct scree_detection box;
    struct scree_class top[2];
    struct scree_vision *vision;
    struct scree_error err;
    struct scree_tensor t;
    uint8_t mask[4];
    uint32_t index;

    (void)state;
    assert_int_equal(scree_vision_new(session, &options, &vision, &err), -ENOTSUP);
    assert_string_equal(err.text, "the outputs are nothing known for the task 'detect'");
    assert_int_equal(scree_vision_new(session, NULL, &vision, &err), 0);
    assert_int_equal(scree_vision_task(vision), SCREE_TASK_CLASSIFY);
    assert_string_equal(scree_vision_head(vision), "class scores");
    assert_int_equal(scree_vision_n_classes(vision), 5);
    assert_int_equal(scree_vision_picture(vision, &index, &picture, &err), -ENOTSUP);

    scree_session_input(session, 0, &t);
    memcpy(t.data, "\1\7\11\7\3", 5);
    assert_int_equal(scree_session_run(session, &err), 0);
    assert_int_equal(scree_classify(vision, session, 2, top, &err), 2);
    assert_int_equal(top[0].class_id, 2);
    assert_true(top[0].score == 3 && top[0].raw == 9);
    assert_int_equal(top[1].class_id, 1);
    assert_int_equal(scree_detect(vision, session, NULL, NULL, 1, &box, &err), -EINVAL);
    assert_string_equal(err.text, "the model is for the task 'classify', not 'detect'");
    assert_int_equal(scree_detect(vision, session, NULL, NULL, 0, &box, &err), -EINVAL);
    assert_int_equal(scree_segment(vision, session, NULL, 2, 2, mask, &err), -EINVAL);
    scree_vision_free(vision);
    scree_vision_free(NULL);
    scree_session_free(session);
}

/* A session of other shapes is refused, not read beyond its end. */
static void test_vision_of_another_session(void **state)
{
    static const struct scree_shape five = {2, {1, 5}}, four = {2, {1, 4}};
    struct scree_session *a = open_copy(SCREE_TYPE_UINT8, five);
    struct scree_session *b = open_copy(SCREE_TYPE_UINT8, four);
    struct scree_vision *vision;
    struct scree_class top[1];
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_vision_new(a, NULL, &vision, &err), 0);
    assert_int_equal(scree_session_run(b, &err), 0);
    assert_int_equal(scree_classify(vision, b, 1, top, &err), -EINVAL);
    assert_string_equal(err.text, "output 0 has 4 elements, not 5 as before");
    scree_vision_free(vision);
    scree_session_free(a);
    scree_session_free(b);
}

/* ---- real models -------------------------------------------------------------------------------
 */

/* A real model after a run on a picture. */
struct real {
    struct scree_model *model;
    struct scree_session *session;
    struct scree_vision *vision;
    struct scree_labels *labels; /* NULL: none */
    struct scree_image *image;
    struct scree_fit fit;
};

static const char *shared_path(const char *name, char *path, size_t n)
{
    const char *shared = getenv("SCREE_SHARED");

    (void)snprintf(path, n, "%s/models/%s", shared ? shared : "../shared", name);
    return path;
}

/* Runs the model on the picture, or skips the test if the files are not there. */
static void real_open(const char *model, const char *picture, const char *side, struct real *ret)
{
    struct scree_vision_options options = {.side_file = side};
    struct scree_picture_options how;
    struct scree_error err = {""};
    char path[512];
    uint32_t index;

    memset(ret, 0, sizeof *ret);
    if (access(shared_path(model, path, sizeof path), R_OK) != 0) {
        print_message("no %s\n", path);
        skip();
    }
    if (scree_model_open(path, &ret->model, &err) < 0 ||
        scree_session_new(ret->model, NULL, &ret->session, &err) < 0 ||
        scree_vision_new(ret->session, &options, &ret->vision, &err) < 0 ||
        scree_vision_picture(ret->vision, &index, &how, &err) < 0 ||
        scree_image_open(shared_path(picture, path, sizeof path), false, &ret->image, &err) < 0 ||
        scree_session_set_image(ret->session, index, ret->image, &how, &ret->fit, &err) < 0 ||
        scree_session_run(ret->session, &err) < 0)
        fail_msg("%s", err.text);
    (void)scree_vision_labels(ret->vision, ret->model, &ret->labels, NULL);
}

static void real_done(struct real *real)
{
    scree_labels_free(real->labels);
    scree_image_free(real->image);
    scree_vision_free(real->vision);
    scree_session_free(real->session);
    scree_model_unref(real->model);
}

static void test_real_classifier(void **state)
{
    static const struct scree_class expected[] = {
        {286, 200.0f / 256, 200}, {283, 32.0f / 256, 32}, {282, 9.0f / 256, 9}};
    struct scree_class top[3];
    struct real real;

    (void)state;
    real_open("mobilenet_v1_1.0_224_quant.tflite", "images/cat_720p.jpg", NULL, &real);
    assert_int_equal(scree_vision_n_classes(real.vision), 1001);
    assert_int_equal(scree_classify(real.vision, real.session, 3, top, NULL), 3);
    assert_memory_equal(top, expected, sizeof expected);
    real_done(&real);
}

/* True if a box of this name lies where it was seen by eye, within 15 pixels. */
static bool has_box(const struct real *real, const struct scree_detection *d, int n,
                    const char *name, const float *box)
{
    for (int i = 0; i < n; i++)
        if (strcmp(scree_labels_get(real->labels, d[i].class_id), name) == 0 &&
            fabsf(d[i].ymin - box[0]) < 15 && fabsf(d[i].xmin - box[1]) < 15 &&
            fabsf(d[i].ymax - box[2]) < 15 && fabsf(d[i].xmax - box[3]) < 15)
            return true;
    return false;
}

/* Two dogs and nothing else, by two models that answer in different ways. */
static void test_real_detectors(void **state)
{
    static const char *const models[][2] = {
        {"ssdlite_mobiledet_coco_qat_nopostproc.tflite", "examples/ssdlite_mobiledet_320.json"},
        {"yolov8n_full_integer_quant.tflite", NULL},
    };
    static const float left[] = {20, 105, 298, 261}, right[] = {165, 343, 370, 495};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct scree_detection d[20];
        struct real real;
        int n;

        real_open(models[i][0], "images/pets.jpg", models[i][1], &real);
        assert_int_equal(scree_vision_task(real.vision), SCREE_TASK_DETECT);
        n = scree_detect(real.vision, real.session, &real.fit, NULL, 20, d, NULL);
        assert_int_equal(n, 2);
        assert_true(has_box(&real, d, n, "dog", left));
        assert_true(has_box(&real, d, n, "dog", right));
        real_done(&real);
    }
}

static void test_real_detector_of_small_things(void **state)
{
    static const float kite[] = {79, 597, 152, 669}, person[] = {687, 215, 845, 272};
    struct scree_detection d[50];
    struct real real;
    int n, n_kites = 0;

    (void)state;
    real_open("ssdlite_mobiledet_coco_qat_nopostproc.tflite", "images/kite_and_cold.jpg",
              "examples/ssdlite_mobiledet_320.json", &real);
    n = scree_detect(real.vision, real.session, &real.fit, NULL, 50, d, NULL);
    assert_true(has_box(&real, d, n, "kite", kite));
    assert_true(has_box(&real, d, n, "person", person));
    for (int i = 0; i < n; i++)
        n_kites += strcmp(scree_labels_get(real.labels, d[i].class_id), "kite") == 0;
    assert_int_equal(n, 12);
    assert_int_equal(n_kites, 6);
    real_done(&real);
}

static void test_raw_boxes_need_a_side_file(void **state)
{
    struct scree_session *session;
    struct scree_vision *vision;
    struct scree_model *model;
    struct scree_error err;
    char path[512];

    (void)state;
    shared_path("ssdlite_mobiledet_coco_qat_nopostproc.tflite", path, sizeof path);
    if (access(path, R_OK) != 0)
        skip();
    assert_int_equal(scree_model_open(path, &model, &err), 0);
    assert_int_equal(scree_session_new(model, NULL, &session, &err), 0);
    assert_int_equal(scree_vision_new(session, NULL, &vision, &err), -ENOTSUP);
    assert_string_equal(err.text,
                        "raw boxes: a side file must describe the anchors (model-json.md)");
    scree_session_free(session);
    scree_model_unref(model);
}

/* A man who squats: where his joints are was read off the picture, to within 45 of its 620 pixels,
 * which is what the weaker model reaches. */
static void test_real_poses(void **state)
{
    static const char *const models[] = {
        "movenet_single_pose_lightning_ptq.tflite",
        "posenet_mobilenet_v1_075_353_481_16_quant_nodecoder.tflite",
    };
    static const struct {
        int k;
        float y, x;
    } joints[] = {{0, 200, 288},  {6, 250, 215},  {8, 310, 255},  {12, 368, 145},
                  {14, 415, 210}, {16, 545, 162}, {13, 395, 295}, {15, 508, 262}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct scree_pose poses[5];
        struct real real;

        real_open(models[i], "images/squat.bmp", NULL, &real);
        assert_int_equal(scree_pose(real.vision, real.session, &real.fit, NULL, 5, poses, NULL), 1);
        for (size_t k = 0; k < sizeof joints / sizeof joints[0]; k++) {
            const struct scree_keypoint *p = &poses[0].keypoints[joints[k].k];

            if (fabsf(p->y - joints[k].y) > 45 || fabsf(p->x - joints[k].x) > 45)
                fail_msg("%s: key point %d at %g, %g", models[i], joints[k].k, (double)p->y,
                         (double)p->x);
        }
        real_done(&real);
    }
}

static void test_real_mask(void **state)
{
    static uint8_t classes[1 << 20];
    struct real real;
    size_t n = 0, n_dog = 0;
    int32_t w, h;

    (void)state;
    real_open("deeplabv3_mnv2_dm05_pascal_quant.tflite", "images/dog_segmentation.bmp", NULL,
              &real);
    w = scree_image_width(real.image), h = scree_image_height(real.image);
    assert_true((size_t)w * (size_t)h <= sizeof classes);
    assert_int_equal(scree_segment(real.vision, real.session, &real.fit, w, h, classes, NULL), 0);
    for (; n < (size_t)w * (size_t)h; n++)
        n_dog += classes[n] == 12;
    assert_true(n_dog * 100 > n * 45 && n_dog * 100 < n * 60);
    assert_int_equal(classes[(size_t)(h / 2) * (size_t)w + (size_t)(w / 2)], 12);
    assert_int_equal(classes[0], 0);
    real_done(&real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picture_of_the_api),
        cmocka_unit_test(test_set_image_types),
        cmocka_unit_test(test_set_image_fits),
        cmocka_unit_test(test_set_image_refuses),
        cmocka_unit_test(test_vision_of_a_classifier),
        cmocka_unit_test(test_vision_of_another_session),
        cmocka_unit_test(test_real_classifier),
        cmocka_unit_test(test_real_detectors),
        cmocka_unit_test(test_real_detector_of_small_things),
        cmocka_unit_test(test_raw_boxes_need_a_side_file),
        cmocka_unit_test(test_real_poses),
        cmocka_unit_test(test_real_mask),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
