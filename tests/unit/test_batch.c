/* Runs with rows of several requests, of a model whose work a delegate does, while that dies. The
 * delegate is tests/delegate; its path is the macro TEST_DELEGATE.
 *
 * Delegates are offered convolutions of one picture only, so this model makes its four rows one
 * picture, which a convolution of single pixels does not mind. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "serve/served.h"
#include "support/tflite_writer.h"

#define N_ROWS     4 /* of the file */
#define N_CLIENTS  3
#define N_PATTERNS 16
#define IN_BYTES   (8 * 8 * 4)
#define OUT_BYTES  (8 * 8 * 8)

static char model_path[] = "/tmp/scree-batch-XXXXXX";
static uint8_t patterns[N_PATTERNS][IN_BYTES];
/* What each pattern gives, on the CPU and by the delegate, which rounds otherwise. */
static uint8_t by_cpu[N_PATTERNS][OUT_BYTES], by_delegate[N_PATTERNS][OUT_BYTES];

/* ---- the model ---- */

static int32_t activation(struct tw *tw, const char *name, struct scree_shape shape, float scale)
{
    int32_t tensor = tw_tensor(tw, name, SCREE_TYPE_UINT8, shape);

    tw_quantize(tw, tensor, scale, 128);
    return tensor;
}

static void add_reshape(struct tw *tw, int32_t in, int32_t out, const int32_t *shape)
{
    union scree_options none = {0};
    int32_t wanted =
        tw_constant(tw, "shape", SCREE_TYPE_INT32, TW_SHAPE(4), shape, 4 * sizeof shape[0]);

    tw_node(tw, SCREE_OP_RESHAPE, TW_LIST(in, wanted), TW_LIST(out), &none);
}

static void add_conv(struct tw *tw, int32_t in, int32_t out)
{
    union scree_options options = {
        .conv2d = {.stride_w = 1, .stride_h = 1, .dilation_w = 1, .dilation_h = 1}};
    uint8_t weights[8 * 4];
    int32_t bias[8], filter, added;

    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (uint8_t)(i * 37 + 11);
    for (int32_t i = 0; i < 8; i++)
        bias[i] = i * 977 % 3001 - 1500;
    filter =
        tw_constant(tw, "weights", SCREE_TYPE_UINT8, TW_SHAPE(8, 1, 1, 4), weights, sizeof weights);
    tw_quantize(tw, filter, 0.01f, 128);
    added = tw_constant(tw, "bias", SCREE_TYPE_INT32, TW_SHAPE(8), bias, sizeof bias);
    tw_quantize(tw, added, 0.01f * 0.02f, 0);
    tw_node(tw, SCREE_OP_CONV_2D, TW_LIST(in, filter, added), TW_LIST(out), &options);
}

static int write_model(void **state)
{
    static const int32_t whole[] = {1, 16, 16, 4}, rows[] = {N_ROWS, 8, 8, 8};
    struct tw *tw = tw_new();
    int32_t in = activation(tw, "in", TW_SHAPE(N_ROWS, 8, 8, 4), 0.02f);
    int32_t wide = activation(tw, "wide", TW_SHAPE(1, 16, 16, 4), 0.02f);
    int32_t sums = activation(tw, "sums", TW_SHAPE(1, 16, 16, 8), 0.03f);
    int32_t out = activation(tw, "out", TW_SHAPE(N_ROWS, 8, 8, 8), 0.03f);
    const uint8_t *bytes;
    uint32_t random = 1;
    size_t n;
    int fd;

    add_reshape(tw, in, wide, whole);
    add_conv(tw, wide, sums);
    add_reshape(tw, sums, out, rows);
    tw_ports(tw, TW_LIST(in), TW_LIST(out));
    bytes = tw_finish(tw, &n);
    fd = mkstemp(model_path);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n && close(fd) == 0);
    tw_free(tw);
    for (size_t i = 0; i < sizeof patterns; i++) {
        random = random * 1664525u + 1013904223u;
        patterns[i / IN_BYTES][i % IN_BYTES] = (uint8_t)(random >> 24);
    }
    return 0;
}

static int remove_model(void **state)
{
    return unlink(model_path);
}

/* ---- the server's side ---- */

struct service {
    struct scree_metrics *metrics;
    struct scree_turns decoders;
    atomic_uint n_at_work;
    struct scree_served *served;
};

/* fault  NULL: without a delegate */
static void open_service(struct service *service, const char *fault, const char *after)
{
    const char *const options[] = {fault, after};
    struct scree_served_options wanted = {
        .name = "m",
        .version = "1",
        .path = model_path,
        .n_instances = 1,
        .batch_delay_us = 60000000, /* that every run has all its rows, however slow this machine */
        .max_waiting = 32,
        .deadline_ms = 120000,
        .session = {.n_threads = 1, .device = fault ? "teflon" : "cpu"},
    };
    struct scree_error err;

    *service = (struct service){0};
    if (scree_metrics_new(&service->metrics, &err) < 0)
        fail_msg("%s", err.text);
    scree_turns_init(&service->decoders, 1, 8);
    wanted.decoders = &service->decoders;
    wanted.n_at_work = &service->n_at_work;
    wanted.metrics = service->metrics;
    if (fault) {
        wanted.session.delegate = TEST_DELEGATE;
        wanted.session.n_delegate_options = 2;
        wanted.session.delegate_options = options;
    }
    if (scree_served_new(&wanted, &service->served, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(service->served->batch_note, "");
    assert_string_equal(service->served->note, "");
    assert_int_equal(scree_served_batch(service->served), N_ROWS);
    assert_int_equal(service->served->ran, fault ? SCREE_RAN_NPU : SCREE_RAN_CPU);
}

static void close_service(struct service *service)
{
    scree_served_unref(service->served);
    scree_turns_done(&service->decoders);
    scree_metrics_free(service->metrics);
}

/* ---- requests ---- */

struct request {
    uint32_t first, n; /* patterns */
    uint8_t out[N_ROWS][OUT_BYTES];
};

static int fill_row(void *context, uint32_t row, struct scree_session *session,
                    struct scree_error *err)
{
    const struct request *request = context;
    struct scree_tensor tensor;

    if (scree_session_input(session, 0, &tensor) < 0 || tensor.bytes != IN_BYTES)
        return scree_fail(err, EINVAL, "not one row");
    memcpy(tensor.data, patterns[(request->first + row) % N_PATTERNS], IN_BYTES);
    return 0;
}

static int take_row(void *context, uint32_t row, const struct scree_session *session,
                    struct scree_error *err)
{
    struct request *request = context;
    struct scree_tensor tensor;

    if (scree_session_output(session, 0, &tensor) < 0 || tensor.bytes != OUT_BYTES)
        return scree_fail(err, EINVAL, "not one row");
    memcpy(request->out[row], tensor.data, OUT_BYTES);
    return 0;
}

static int run(struct scree_served *served, struct request *request, struct scree_times *times,
               struct scree_error *err)
{
    struct timespec now;
    struct scree_tensor_ask ask = {
        .priority = SCREE_PRIORITY_NORMAL,
        .n_rows = request->n,
        .fill = fill_row,
        .take = take_row,
        .context = request,
    };

    clock_gettime(CLOCK_MONOTONIC, &now);
    ask.deadline_ns = ((uint64_t)now.tv_sec + 120) * 1000000000u;
    *times = (struct scree_times){0};
    return scree_served_run(served, &ask, times, err);
}

/* What all patterns give, in full runs of one request each. */
static void learn(const char *fault, uint8_t (*ret)[OUT_BYTES])
{
    struct service service;
    struct scree_times times;
    struct scree_error err;

    open_service(&service, fault, "after=0");
    for (uint32_t i = 0; i < N_PATTERNS; i += N_ROWS) {
        struct request request = {.first = i, .n = N_ROWS};

        if (run(service.served, &request, &times, &err) < 0)
            fail_msg("%s", err.text);
        memcpy(ret[i], request.out, sizeof request.out);
    }
    close_service(&service);
}

/* ---- clients ---- */

struct client {
    struct scree_served *served;
    uint32_t seed, n_rows, n_rounds;
    uint32_t n_lost, n_wrong, n_by_delegate; /* what came of it */
    struct scree_error err;
};

static bool is_right(const struct request *request, uint32_t row, enum scree_ran ran)
{
    uint32_t pattern = (request->first + row) % N_PATTERNS;

    return memcmp(request->out[row], by_cpu[pattern], OUT_BYTES) == 0 ||
           (ran != SCREE_RAN_CPU &&
            memcmp(request->out[row], by_delegate[pattern], OUT_BYTES) == 0);
}

static void *ask_again_and_again(void *arg)
{
    struct client *client = arg;

    for (uint32_t round = 0; round < client->n_rounds; round++) {
        struct request request = {.first = client->seed + round * 5, .n = client->n_rows};
        struct scree_times times;

        if (run(client->served, &request, &times, &client->err) < 0) {
            client->n_lost++;
            continue;
        }
        client->n_by_delegate += times.ran != SCREE_RAN_CPU;
        for (uint32_t row = 0; row < request.n; row++)
            client->n_wrong += !is_right(&request, row, times.ran);
    }
    return NULL;
}

/* Three clients, whose rows make each run a full one, so all of them are in every run that the
 * delegate dies in. */
static void share_runs(struct service *service, uint32_t n_rounds, struct client *clients)
{
    static const uint32_t n_rows[N_CLIENTS] = {2, 1, 1};
    pthread_t threads[N_CLIENTS];

    for (uint32_t i = 0; i < N_CLIENTS; i++) {
        clients[i] = (struct client){
            .served = service->served, .seed = 3 * i, .n_rows = n_rows[i], .n_rounds = n_rounds};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_again_and_again, &clients[i]), 0);
    }
    for (uint32_t i = 0; i < N_CLIENTS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < N_CLIENTS; i++) {
        if (clients[i].n_lost > 0)
            fail_msg("%u requests were lost: %s", clients[i].n_lost, clients[i].err.text);
        assert_int_equal(clients[i].n_wrong, 0);
        assert_int_equal(clients[i].n_by_delegate, clients[0].n_by_delegate);
    }
    assert_int_equal(service->served->stats.batches[N_ROWS].n, n_rounds);
    assert_int_equal(service->served->stats.n_rows, N_ROWS * n_rounds);
}

static void test_a_delegate_computes_batches(void **state)
{
    struct service service;
    struct client clients[N_CLIENTS];

    open_service(&service, "fault=none", "after=0");
    share_runs(&service, 20, clients);
    assert_int_equal(clients[0].n_by_delegate, 20);
    assert_int_equal(service.served->stats.n_repeated, 0);
    close_service(&service);
}

/* Each process of the delegate dies in its 13th run: the first one in that of one of the requests
 * here, behind those by which the model was tried. */
static void die_at_work(const char *fault, uint32_t n_rounds)
{
    struct service service;
    struct client clients[N_CLIENTS];

    open_service(&service, fault, "after=12");
    share_runs(&service, n_rounds, clients);
    assert_true(service.served->stats.n_died >= 1);
    assert_true(service.served->stats.n_repeated >= 1);
    assert_true(clients[0].n_by_delegate >= 1);
    assert_true(clients[0].n_by_delegate < n_rounds);
    close_service(&service);
}

static void test_it_crashes_in_a_batch(void **state)
{
    die_at_work("fault=crash_invoke", 40);
}

static void test_it_exits_in_a_batch(void **state)
{
    die_at_work("fault=exit_invoke", 40);
}

static void test_it_hangs_in_a_batch(void **state)
{
    die_at_work("fault=hang_invoke", 14);
}

/* It lives, but what it leaves is not to be used. */
static void test_it_writes_half_of_a_batch(void **state)
{
    struct service service;
    struct client clients[N_CLIENTS];

    open_service(&service, "fault=write_half", "after=12");
    share_runs(&service, 40, clients);
    assert_int_equal(service.served->stats.n_died, 0);
    assert_true(service.served->stats.n_lost >= 1);
    close_service(&service);
}

static int learn_all(void **state)
{
    int rc = write_model(state);

    learn(NULL, by_cpu);
    learn("fault=none", by_delegate);
    return rc;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_delegate_computes_batches),
        cmocka_unit_test(test_it_crashes_in_a_batch),
        cmocka_unit_test(test_it_exits_in_a_batch),
        cmocka_unit_test(test_it_hangs_in_a_batch),
        cmocka_unit_test(test_it_writes_half_of_a_batch),
    };

    return cmocka_run_group_tests(tests, learn_all, remove_model);
}
