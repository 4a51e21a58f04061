/* Requests for tensors of several rows, of a model whose rows are large. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "serve/oip.h"

#include "oip_model.h"

static char model_path[] = "/tmp/scree-oip-XXXXXX";

static int write_model(void **state)
{
    int fd = mkstemp(model_path);

    (void)state;
    assert_true(fd >= 0 && oip_model_write(fd) && close(fd) == 0);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    return unlink(model_path);
}

/* A request of n_rows, and how it ends; the length of the answer. */
static int ask(struct scree_server *server, struct scree_served *served, uint32_t n_rows,
               size_t *ret_n)
{
    static const uint8_t ones[SCREE_OIP_MAX_ROWS] = {1, 1, 1};
    struct scree_oip_request *request = malloc(sizeof *request);
    struct scree_oip_response *response = malloc(sizeof *response);
    struct scree_error err;
    int rc;

    assert_true(request && response);
    scree_oip_request_init(request, n_rows);
    request->served = served;
    request->any_rows = true;
    request->timeout_ns = 600 * UINT64_C(1000000000);
    request->start_ns = scree_now_ns();
    request->n_inputs = 1;
    request->inputs[0] = (struct scree_oip_tensor){.name = "in",
                                                   .type = SCREE_OIP_UINT8,
                                                   .rank = 2,
                                                   .dims = {n_rows, 1},
                                                   .bytes = ones,
                                                   .n = n_rows};
    rc = scree_oip_infer(server, request, response, &err);
    if (rc >= 0) {
        *ret_n = response->outputs[0].tensor.n;
        scree_oip_response_done(response);
    }
    scree_oip_request_done(request);
    free(request);
    free(response);
    return rc;
}

static void test_answers_of_many_rows_are_bounded(void **state)
{
    struct scree_server *server = calloc(1, sizeof *server);
    struct scree_served_options wanted = {
        .name = "m",
        .version = "1",
        .path = model_path,
        .n_instances = 1,
        .batch = 1,
        .max_waiting = 1,
        .deadline_ms = 60000,
    };
    struct scree_served *served;
    struct scree_error err;
    size_t n = 0;

    (void)state;
    assert_non_null(server);
    assert_int_equal(scree_metrics_new(&server->metrics, &err), 0);
    scree_turns_init(&server->decoders, 1, 1);
    wanted.decoders = &server->decoders;
    wanted.n_at_work = &server->n_at_work;
    wanted.metrics = server->metrics;
    if (scree_served_new(&wanted, &served, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(ask(server, served, 32, &n), 0);
    assert_int_equal(n, 32 * OIP_MODEL_ROW_BYTES);
    assert_int_equal(ask(server, served, 33, &n), -E2BIG);
    /* That is known after the first row. */
    assert_int_equal(served->stats.n_rows, 32 + 1);
    scree_served_unref(served);
    scree_turns_done(&server->decoders);
    scree_metrics_free(server->metrics);
    free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_of_many_rows_are_bounded),
    };

    return cmocka_run_group_tests(tests, write_model, remove_model);
}
