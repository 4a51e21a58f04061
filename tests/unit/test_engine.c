/* Models and sessions through the public API: results, threads, states, late shapes, and every
 * allocation failing in turn. Linked with --wrap, so that the allocator obeys `allowed`. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "support/tflite_writer.h"

/* How many allocations may still succeed; negative: all. */
static atomic_long allowed = -1;
static atomic_long n_allocations;

static bool may_allocate(void)
{
    n_allocations++;
    return allowed < 0 || allowed-- > 0;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);

void *__wrap_malloc(size_t n)
{
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
    return may_allocate() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t n)
{
    return may_allocate() ? __real_realloc(p, n) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return may_allocate() ? __real_aligned_alloc(alignment, n) : NULL;
}

/* ---- models ------------------------------------------------------------------------------------
 */

struct file {
    struct tw *tw;
    const uint8_t *bytes;
    size_t n_bytes;
};

static void finish(struct file *file)
{
    file->bytes = tw_finish(file->tw, &file->n_bytes);
}

/* A convolution 3x3 of 4 channels to 5, uint8, with bias and RELU6, then a reshape. */
static struct file conv_file(void)
{
    struct file file = {.tw = tw_new()};
    struct tw *tw = file.tw;
    uint8_t weights[5 * 3 * 3 * 4];
    static const int32_t bias[5] = {100, -100, 7, 0, 5000}, shape[] = {1, -1};
    union scree_options conv = {.conv2d = {.stride_w = 1,
                                           .stride_h = 1,
                                           .dilation_w = 1,
                                           .dilation_h = 1,
                                           .activation = SCREE_ACTIVATION_RELU6}};
    int32_t in, filter, b, mid, to, out;

    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (uint8_t)(i * 37);
    in = tw_tensor(tw, "in", SCREE_TYPE_UINT8, TW_SHAPE(1, 9, 11, 4));
    filter =
        tw_constant(tw, "filter", SCREE_TYPE_UINT8, TW_SHAPE(5, 3, 3, 4), weights, sizeof weights);
    b = tw_constant(tw, "bias", SCREE_TYPE_INT32, TW_SHAPE(5), bias, sizeof bias);
    mid = tw_tensor(tw, "mid", SCREE_TYPE_UINT8, TW_SHAPE(1, 9, 11, 5));
    to = tw_constant(tw, "to", SCREE_TYPE_INT32, TW_SHAPE(2), shape, sizeof shape);
    out = tw_tensor(tw, "out", SCREE_TYPE_UINT8, TW_SHAPE(1, 495));
    tw_quantize(tw, in, 0.02f, 120);
    tw_quantize(tw, filter, 0.01f, 131);
    tw_quantize(tw, b, 0.0002f, 0);
    tw_quantize(tw, mid, 0.05f, 3);
    tw_quantize(tw, out, 0.05f, 3);
    tw_node(tw, SCREE_OP_CONV_2D, TW_LIST(in, filter, b), TW_LIST(mid), &conv);
    tw_node(tw, SCREE_OP_RESHAPE, TW_LIST(mid, to), TW_LIST(out), NULL);
    tw_ports(tw, TW_LIST(in), TW_LIST(out));
    finish(&file);
    return file;
}

/* RESHAPE of 6 floats to a shape that comes in with them, then ADD. */
static struct file late_file(void)
{
    struct file file = {.tw = tw_new()};
    struct tw *tw = file.tw;
    int32_t in = tw_tensor(tw, "in", SCREE_TYPE_FLOAT32, TW_SHAPE(6));
    int32_t to = tw_tensor(tw, "to", SCREE_TYPE_INT32, TW_SHAPE(2));
    int32_t mid = tw_tensor(tw, "mid", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 1));
    int32_t out = tw_tensor(tw, "out", SCREE_TYPE_FLOAT32, TW_SHAPE(1, 1));

    tw_node(tw, SCREE_OP_RESHAPE, TW_LIST(in, to), TW_LIST(mid), NULL);
    tw_node(tw, SCREE_OP_ADD, TW_LIST(mid, mid), TW_LIST(out), NULL);
    tw_ports(tw, TW_LIST(in, to), TW_LIST(out));
    finish(&file);
    return file;
}

static void fill_input(struct scree_session *session)
{
    struct scree_tensor in;

    scree_session_input(session, 0, &in);
    for (size_t i = 0; i < in.bytes; i++)
        ((uint8_t *)in.data)[i] = (uint8_t)(i * 89 + 5);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

static void test_threads_do_not_change_bits(void **state)
{
    struct file file = conv_file();
    struct scree_model *model;
    uint8_t first[495];

    (void)state;
    assert_int_equal(scree_model_open_memory(file.bytes, file.n_bytes, &model, NULL), 0);
    for (int n_threads = 1; n_threads <= 4; n_threads++) {
        struct scree_session_options options = {.n_threads = n_threads};
        struct scree_session *session;
        struct scree_tensor out;

        assert_int_equal(scree_session_new(model, &options, &session, NULL), 0);
        fill_input(session);
        assert_int_equal(scree_session_run(session, NULL), 0);
        scree_session_output(session, 0, &out);
        assert_int_equal(out.bytes, sizeof first);
        if (n_threads == 1)
            memcpy(first, out.data, sizeof first);
        assert_memory_equal(first, out.data, sizeof first);
        scree_session_free(session);
    }
    scree_model_unref(model);
    tw_free(file.tw);
}

static void test_a_run_allocates_nothing(void **state)
{
    struct file file = conv_file();
    struct scree_session_options options = {.n_threads = 2};
    struct scree_model *model;
    struct scree_session *session;
    struct scree_error err;
    long before;

    (void)state;
    assert_int_equal(scree_model_open_memory(file.bytes, file.n_bytes, &model, NULL), 0);
    assert_int_equal(scree_session_new(model, &options, &session, NULL), 0);
    fill_input(session);
    before = n_allocations;
    allowed = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(scree_session_run(session, &err), 0);
    allowed = -1;
    assert_int_equal(n_allocations, before);
    scree_session_free(session);
    scree_model_unref(model);
    tw_free(file.tw);
}

static int open_and_run(const struct file *file, struct scree_error *err)
{
    struct scree_session_options options = {.n_threads = 2};
    struct scree_model *model = NULL;
    struct scree_session *session = NULL;
    struct scree_tensor to;
    int rc = scree_model_open_memory(file->bytes, file->n_bytes, &model, err);

    if (rc < 0)
        return rc;
    rc = scree_session_new(model, &options, &session, err);
    if (rc >= 0) {
        if (scree_session_input(session, 1, &to) >= 0)
            memcpy(to.data, (const int32_t[]){2, 3}, to.bytes);
        rc = scree_session_run(session, err);
    }
    scree_session_free(session);
    scree_model_unref(model);
    return rc;
}

static void test_every_allocation_may_fail(void **state)
{
    struct file files[] = {conv_file(), late_file()};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        long i = 0;
        int rc;

        do {
            struct scree_error err = {"untouched"};

            allowed = i++;
            rc = open_and_run(&files[k], &err);
            allowed = -1;
            assert_true(rc == 0 || rc == -ENOMEM || rc == -EAGAIN);
            if (rc < 0)
                assert_string_not_equal(err.text, "untouched");
        } while (rc < 0);
        assert_true(i > 10);
        tw_free(files[k].tw);
    }
}

static void test_shapes_known_late(void **state)
{
    static const int32_t shapes[][2] = {{2, 3}, {6, 1}, {3, -1}, {1, 6}};
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    struct file file = late_file();
    struct scree_model *model;
    struct scree_session *session;
    struct scree_tensor in, to, out;
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_model_open_memory(file.bytes, file.n_bytes, &model, NULL), 0);
    assert_int_equal(scree_session_new(model, NULL, &session, NULL), 0);
    scree_session_output(session, 0, &out);
    assert_int_equal(out.shape.rank, -1);
    assert_null(out.data);
    for (size_t i = 0; i < 4; i++) {
        scree_session_input(session, 0, &in);
        scree_session_input(session, 1, &to);
        memcpy(in.data, values, sizeof values);
        memcpy(to.data, shapes[i], sizeof shapes[i]);
        assert_int_equal(scree_session_run(session, &err), 0);
        scree_session_output(session, 0, &out);
        assert_int_equal(out.shape.rank, 2);
        assert_int_equal(out.shape.dims[0], shapes[i][0]);
        assert_int_equal(out.shape.dims[0] * out.shape.dims[1], 6);
        assert_float_equal(((const float *)out.data)[5], 12, 0);
    }
    memcpy(to.data, (const int32_t[]){4, 4}, to.bytes);
    assert_int_equal(scree_session_run(session, &err), -EBADMSG);
    assert_string_equal(err.text, "operator 0: RESHAPE: 6 elements of float32 into 16 of float32");
    memcpy(to.data, (const int32_t[]){2, 3}, to.bytes);
    assert_int_equal(scree_session_run(session, &err), 0);
    scree_session_free(session);
    scree_model_unref(model);
    tw_free(file.tw);
}

struct parallel {
    struct scree_model *model;
    uint8_t out[495];
};

static void *run_session(void *arg)
{
    struct parallel *parallel = arg;
    struct scree_session_options options = {.n_threads = 1};
    struct scree_session *session;
    struct scree_tensor out;

    if (scree_session_new(parallel->model, &options, &session, NULL) < 0)
        return NULL;
    fill_input(session);
    for (int i = 0; i < 20; i++)
        if (scree_session_run(session, NULL) < 0)
            return NULL;
    scree_session_output(session, 0, &out);
    memcpy(parallel->out, out.data, sizeof parallel->out);
    scree_session_free(session);
    return parallel;
}

static void test_sessions_of_a_model_run_in_parallel(void **state)
{
    struct file file = conv_file();
    struct parallel parallel[4];
    pthread_t threads[4];

    (void)state;
    assert_int_equal(scree_model_open_memory(file.bytes, file.n_bytes, &parallel[0].model, NULL),
                     0);
    for (int i = 0; i < 4; i++) {
        parallel[i].model = parallel[0].model;
        assert_int_equal(pthread_create(&threads[i], NULL, run_session, &parallel[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_ptr_equal(result, &parallel[i]);
        assert_memory_equal(parallel[i].out, parallel[0].out, sizeof parallel[0].out);
    }
    scree_model_unref(parallel[0].model);
    tw_free(file.tw);
}

static void test_wrong_use_is_told(void **state)
{
    struct file file = conv_file();
    const struct scree_shape shape = TW_SHAPE(1, 9, 11, 3);
    const struct scree_session_options threads = {.n_threads = 65},
                                       shapes = {.n_input_shapes = 2, .shapes = &shape},
                                       channels = {.n_input_shapes = 1, .shapes = &shape};
    struct scree_session *session = NULL;
    struct scree_model *model;
    struct scree_tensor tensor;
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_model_open_memory("x", 1, &model, &err), -EBADMSG);
    assert_int_equal(scree_model_open_memory(file.bytes, file.n_bytes, &model, NULL), 0);
    assert_int_equal(scree_session_new(model, &threads, &session, &err), -EINVAL);
    assert_string_equal(err.text, "65 threads: 1 to 64 are possible");
    assert_int_equal(scree_session_new(model, &shapes, &session, &err), -EINVAL);
    assert_string_equal(err.text, "2 input shapes for 1 inputs");
    assert_int_equal(scree_session_new(model, &channels, &session, &err), -EBADMSG);
    assert_string_equal(err.text, "operator 0: CONV_2D: input has 3 channels, filter 4");
    assert_null(session);
    assert_int_equal(scree_model_input(model, 1, &tensor), -EINVAL);
    assert_int_equal(scree_model_output(model, 1, &tensor), -EINVAL);
    scree_model_unref(model);
    scree_model_unref(NULL);
    scree_session_free(NULL);
    tw_free(file.tw);
}

static void test_the_report_tells_where_nodes_run(void **state)
{
    struct file file = conv_file();
    struct scree_model *model;
    struct scree_session *session;
    struct scree_node_report report;
    struct scree_memory memory;

    (void)state;
    assert_int_equal(scree_model_open_memory(file.bytes, file.n_bytes, &model, NULL), 0);
    assert_int_equal(scree_session_new(model, NULL, &session, NULL), 0);
    assert_int_equal(scree_session_n_nodes(session), 2);
    assert_int_equal(scree_session_report(session, 0, &report), 0);
    assert_string_equal(report.op, "CONV_2D");
    assert_string_equal(report.device, "cpu");
    assert_string_equal(report.output_name, "mid");
    assert_int_equal(report.macs, 9 * 11 * 5 * 36);
    assert_int_equal(scree_session_report(session, 1, &report), 0);
    assert_string_equal(report.device, "none");
    assert_int_equal(scree_session_report(session, 2, &report), -EINVAL);
    scree_session_memory(session, &memory);
    assert_int_equal(memory.weights_bytes, 180 + 20 + 8);
    assert_true(memory.arena_bytes >= 396 + 495 && memory.arena_bytes <= 448 + 512);
    scree_session_profile(session, true);
    fill_input(session);
    assert_int_equal(scree_session_run(session, NULL), 0);
    scree_session_report(session, 0, &report);
    assert_true(report.last_ns > 0);
    scree_session_free(session);
    scree_model_unref(model);
    tw_free(file.tw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_do_not_change_bits),
        cmocka_unit_test(test_a_run_allocates_nothing),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_shapes_known_late),
        cmocka_unit_test(test_sessions_of_a_model_run_in_parallel),
        cmocka_unit_test(test_wrong_use_is_told),
        cmocka_unit_test(test_the_report_tells_where_nodes_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
