/* Sessions that leave operators to a delegate: one that is right, and ones that are wrong in each
 * way that delegates are. The delegate is tests/delegate; its path is the macro TEST_DELEGATE. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "support/tflite_writer.h"

#define CLASSIFIER "models/shapes_classifier.tflite"

/* The test delegate rounds once, TFLite twice: a step a layer, which later layers make smaller or
 * larger. Found: 5 at most, in a thousand runs on noise. */
#define MAX_STEPS 6

static struct scree_model *open_model(const char *path)
{
    struct scree_model *model;
    struct scree_error err;

    if (scree_model_open(path, &model, &err) < 0)
        fail_msg("%s", err.text);
    return model;
}

/* ---- a graph with branches ---------------------------------------------------------------------
 */

struct branches {
    struct tw *tw;
    enum scree_type type;
    int32_t bias; /* added to each */
    struct scree_model *model;
};

static int32_t zero_point_of(const struct branches *b, int32_t zero_point)
{
    return b->type == SCREE_TYPE_INT8 ? zero_point - 128 : zero_point;
}

static int32_t activation(struct branches *b, const char *name, int32_t side, int32_t channels,
                          float scale, int32_t zero_point)
{
    int32_t tensor = tw_tensor(b->tw, name, b->type, TW_SHAPE(1, side, side, channels));

    tw_quantize(b->tw, tensor, scale, zero_point_of(b, zero_point));
    return tensor;
}

/* A convolution from in_c to out_c channels (0: depthwise), with weights and bias from a formula.
 */
static void conv(struct branches *b, int32_t in, int32_t in_c, int32_t out, int32_t out_c,
                 int32_t kernel, int32_t stride)
{
    uint8_t weights[8 * 3 * 3 * 8];
    int32_t bias[8], filter, added, n = kernel * kernel * in_c * (out_c ? out_c : 1);
    int32_t channels = out_c ? out_c : in_c;
    union scree_options options = {0};

    for (int32_t i = 0; i < n; i++)
        weights[i] = (uint8_t)(i * 37 + in * 11);
    for (int32_t i = 0; i < channels; i++)
        bias[i] = b->bias + (i * 977 + in) % 3001 - 1500;
    filter = tw_constant(b->tw, "weights", b->type,
                         out_c ? TW_SHAPE(out_c, kernel, kernel, in_c)
                               : TW_SHAPE(1, kernel, kernel, in_c),
                         weights, (size_t)n);
    tw_quantize(b->tw, filter, 0.01f, b->type == SCREE_TYPE_INT8 ? 0 : 128);
    added = tw_constant(b->tw, "bias", SCREE_TYPE_INT32, TW_SHAPE(channels), bias,
                        (size_t)channels * sizeof bias[0]);
    if (out_c)
        options.conv2d = (struct scree_conv2d_options){
            .stride_w = stride, .stride_h = stride, .dilation_w = 1, .dilation_h = 1};
    else
        options.depthwise_conv2d = (struct scree_depthwise_conv2d_options){.stride_w = stride,
                                                                           .stride_h = stride,
                                                                           .depth_multiplier = 1,
                                                                           .dilation_w = 1,
                                                                           .dilation_h = 1};
    tw_quantize(b->tw, added, 0.01f * tw_tensor_at(b->tw, in)->scales[0], 0);
    tw_node(b->tw, out_c ? SCREE_OP_CONV_2D : SCREE_OP_DEPTHWISE_CONV_2D,
            TW_LIST(in, filter, added), TW_LIST(out), &options);
}

/* Two outputs of one convolution, an addition that joins them, and more behind both: a graph whose
 * operators must change their order to be two parts. */
static void open_branches(struct branches *b, enum scree_type type)
{
    union scree_options add = {0};
    int32_t in, first, left, right, sum, low, last;
    const uint8_t *bytes;
    struct scree_error err;
    size_t n;

    *b = (struct branches){.tw = tw_new(), .type = type};
    in = activation(b, "in", 12, 4, 0.02f, 128);
    first = activation(b, "first", 12, 8, 0.05f, 0);
    left = activation(b, "left", 12, 8, 0.06f, 0);
    right = activation(b, "right", 12, 8, 0.04f, 128);
    sum = activation(b, "sum", 12, 8, 0.08f, 100);
    low = activation(b, "low", 6, 4, 0.1f, 140);
    last = activation(b, "last", 12, 5, 0.1f, 120);
    conv(b, in, 4, first, 8, 3, 1);
    conv(b, first, 8, left, 0, 3, 1);
    conv(b, first, 8, right, 8, 1, 1);
    tw_node(b->tw, SCREE_OP_ADD, TW_LIST(left, right), TW_LIST(sum), &add);
    conv(b, left, 8, low, 4, 3, 2);
    conv(b, sum, 8, last, 5, 1, 1);
    tw_ports(b->tw, TW_LIST(in), TW_LIST(last, low, first));
    bytes = tw_finish(b->tw, &n);
    if (scree_model_open_memory(bytes, n, &b->model, &err) < 0)
        fail_msg("%s", err.text);
}

/* A convolution whose outputs are all at the end of their range, whatever goes in. */
static void open_saturating(struct branches *b)
{
    const uint8_t *bytes;
    struct scree_error err;
    int32_t in, out;
    size_t n;

    *b = (struct branches){.tw = tw_new(), .type = SCREE_TYPE_UINT8, .bias = 10000000};
    in = activation(b, "in", 12, 4, 0.02f, 128);
    out = activation(b, "out", 12, 8, 0.05f, 0);
    conv(b, in, 4, out, 8, 3, 1);
    tw_ports(b->tw, TW_LIST(in), TW_LIST(out));
    bytes = tw_finish(b->tw, &n);
    if (scree_model_open_memory(bytes, n, &b->model, &err) < 0)
        fail_msg("%s", err.text);
}

static void close_branches(struct branches *b)
{
    scree_model_unref(b->model);
    tw_free(b->tw);
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

/* One run of so many is compared with the CPU's. */
static uint32_t check_every;

/* A session on the test delegate with up to two options; NULL ends them. */
static int try_session(struct scree_model *model, const char *option, const char *option2,
                       bool require_npu, struct scree_session **ret_session,
                       struct scree_error *err)
{
    const char *options[] = {option, option2};
    const struct scree_session_options wanted = {
        .n_threads = 1,
        .device = "teflon",
        .delegate = TEST_DELEGATE,
        .n_delegate_options = option2  ? 2
                              : option ? 1
                                       : 0,
        .delegate_options = options,
        .delegate_timeout_ms = 1500,
        .require_npu = require_npu,
        .check_every = check_every,
    };

    return scree_session_new(model, &wanted, ret_session, err);
}

static struct scree_session *open_session(struct scree_model *model, const char *option,
                                          const char *option2)
{
    struct scree_session *session;
    struct scree_error err;

    if (try_session(model, option, option2, false, &session, &err) < 0)
        fail_msg("%s: %s", option ? option : "", err.text);
    return session;
}

static struct scree_session *open_cpu(struct scree_model *model)
{
    const struct scree_session_options wanted = {.n_threads = 1, .device = "cpu"};
    struct scree_session *session;

    assert_int_equal(scree_session_new(model, &wanted, &session, NULL), 0);
    return session;
}

static void fill(struct scree_session *session, uint32_t seed)
{
    struct scree_tensor in;
    uint32_t state = seed * 2654435761u + 12345;

    scree_session_input(session, 0, &in);
    for (size_t i = 0; i < in.bytes; i++) {
        state = state * 1664525u + 1013904223u;
        ((uint8_t *)in.data)[i] = (uint8_t)(state >> 24);
    }
}

/* Runs both on the same input and returns by how many steps they differ, over all outputs. */
static int compare_run(struct scree_session *session, struct scree_session *cpu, uint32_t seed)
{
    struct scree_error err;
    int worst = 0;

    fill(session, seed);
    fill(cpu, seed);
    if (scree_session_run(session, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(scree_session_run(cpu, NULL), 0);
    for (uint32_t i = 0; i < scree_session_n_outputs(cpu); i++) {
        struct scree_tensor a, b;

        scree_session_output(session, i, &a);
        scree_session_output(cpu, i, &b);
        for (size_t k = 0; k < b.bytes; k++) {
            int steps = b.type == SCREE_TYPE_INT8
                            ? abs(((int8_t *)a.data)[k] - ((int8_t *)b.data)[k])
                            : abs(((uint8_t *)a.data)[k] - ((uint8_t *)b.data)[k]);

            worst = steps > worst ? steps : worst;
        }
    }
    return worst;
}

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' lacks '%s'", text, part);
}

/* ---- a good delegate ---------------------------------------------------------------------------
 */

static void check_good(struct scree_model *model, uint32_t n_nodes, uint32_t n_parts)
{
    struct scree_session *session = open_session(model, NULL, NULL), *cpu = open_cpu(model);
    struct scree_run_stats stats;

    for (uint32_t seed = 0; seed < 5; seed++)
        assert_in_range(compare_run(session, cpu, seed), 0, MAX_STEPS);
    scree_session_stats(session, &stats);
    assert_string_equal(stats.device, "delegate");
    assert_string_equal(stats.delegate, TEST_DELEGATE);
    assert_string_equal(stats.note, "");
    assert_int_equal(stats.n_nodes, n_nodes);
    assert_int_equal(stats.n_parts, n_parts);
    assert_int_equal(stats.runs, 5 * n_parts);
    assert_int_equal(stats.verified, stats.runs);
    scree_session_free(session);
    scree_session_free(cpu);
}

static void test_a_good_delegate_computes_its_parts(void **state)
{
    struct scree_model *classifier = open_model(CLASSIFIER);
    struct branches b;

    (void)state;
    check_good(classifier, 10, 1);
    scree_model_unref(classifier);
    open_branches(&b, SCREE_TYPE_UINT8);
    check_good(b.model, 5, 2);
    close_branches(&b);
    open_branches(&b, SCREE_TYPE_INT8);
    check_good(b.model, 5, 2);
    close_branches(&b);
}

static void test_the_report_tells_where_each_node_runs(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *session = open_session(model, NULL, NULL);
    struct scree_run_stats stats;
    uint32_t n_delegated = 0;

    (void)state;
    scree_session_stats(session, &stats);
    for (uint32_t i = 0; i < scree_session_n_nodes(session); i++) {
        struct scree_node_report report;

        scree_session_report(session, i, &report);
        if (strcmp(report.device, "delegate") == 0) {
            n_delegated++;
            assert_string_equal(report.reason, "");
        } else if (strcmp(report.device, "cpu") == 0) {
            assert_true(report.reason[0]);
        }
    }
    assert_int_equal(n_delegated, stats.n_nodes);
    scree_session_free(session);
    scree_model_unref(model);
}

/* Every other node: many small parts, and an order that is not the file's. */
static void test_many_parts(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *whole = open_session(model, NULL, NULL);
    struct scree_session *session = open_session(model, "claim=other", NULL);
    struct scree_session *cpu = open_cpu(model);
    struct scree_run_stats stats;
    struct scree_memory memory, cpu_memory;

    (void)state;
    for (uint32_t seed = 0; seed < 3; seed++)
        assert_in_range(compare_run(session, cpu, seed), 0, MAX_STEPS);
    scree_session_stats(session, &stats);
    assert_int_equal(stats.n_nodes, 5);
    assert_int_equal(stats.n_parts, 5);
    assert_int_equal(stats.verified, 3 * stats.n_parts);
    /* A part's inner tensors do not all live at once. */
    scree_session_memory(whole, &memory);
    scree_session_memory(cpu, &cpu_memory);
    assert_true(memory.arena_bytes <= 2 * cpu_memory.arena_bytes);
    scree_session_free(session);
    scree_session_free(whole);
    scree_session_free(cpu);
    scree_model_unref(model);
}

static void test_sessions_side_by_side(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *sessions[3], *cpu = open_cpu(model);

    (void)state;
    for (int i = 0; i < 3; i++)
        sessions[i] = open_session(model, NULL, NULL);
    for (uint32_t run = 0; run < 9; run++)
        assert_in_range(compare_run(sessions[run % 3], cpu, run), 0, MAX_STEPS);
    scree_session_free(sessions[1]);
    assert_in_range(compare_run(sessions[0], cpu, 1), 0, MAX_STEPS);
    scree_session_free(sessions[0]);
    scree_session_free(sessions[2]);
    scree_session_free(cpu);
    scree_model_unref(model);
}

/* ---- delegates that fail before the first run --------------------------------------------------
 */

static const struct {
    const char *fault, *note;
} early[] = {
    {"fault=no_device", "the delegate finds no device to run on: no accelerator found"},
    {"colour=red", "the delegate finds no device to run on: unknown option"},
    {"fault=opaque", "opaque interface"},
    {"fault=crash_create", "it crashed compiling the model (Segmentation fault): "
                           "test delegate: about to crash"},
    {"fault=crash_prepare", "it crashed compiling the model (Segmentation fault)"},
    {"fault=abort_prepare", "it crashed compiling the model (Aborted): free(): double free"},
    {"fault=exit_prepare", "it ended the process compiling the model (exit code 3)"},
    {"fault=hang_prepare", "it had not finished compiling the model after 1.5 s"},
    {"fault=fail_prepare", "fails to prepare the graph: no firmware for 3 nodes;"},
    {"fault=crash_init", "it crashed compiling the model"},
    {"fault=fail_init", "the delegate cannot compile part 1 of"},
    {"fault=fail_kernel", "the delegate cannot prepare what it compiled"},
    {"fault=nodes_null", "the delegate takes no list of nodes"},
    {"fault=nodes_negative", "the delegate takes no list of nodes"},
    {"fault=nodes_many", "the delegate takes 1073741824 nodes of"},
    {"fault=nodes_outside", "the delegate takes node 100000 of"},
    {"fault=nodes_double", "the delegate takes node 0 twice"},
    {"fault=nodes_twice", "the delegate takes nodes twice"},
    {"fault=no_invoke", "the delegate has no function to run with"},
    {"fault=ask_node", "the delegate asks for node"},
    {"fault=ask_all", "the delegate asks for another shape of a tensor"},
    {"fault=crash_invoke", "it crashed running the model (Segmentation fault)"},
    {"fault=abort_invoke", "it crashed running the model (Aborted): free(): double free"},
    {"fault=exit_invoke", "it ended the process running the model (exit code 3)"},
    {"fault=close_invoke", "it crashed running the model (Killed)"},
    {"fault=corrupt_invoke", ""},
    {"fault=hang_invoke", "it had not finished running the model after 1.5 s"},
    {"fault=fail_invoke", "the delegate said that it failed: job 7 of the test delegate"},
    {"fault=write_nothing", "the output was not written"},
    {"fault=write_half", "the output was not written"},
    {"fault=move_output", "the delegate said that it failed"},
    {"claim=none", "it takes none of the operators"},
};

static void test_a_bad_delegate_costs_a_message(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *cpu = open_cpu(model);

    (void)state;
    for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) {
        struct scree_session *session = open_session(model, early[i].fault, NULL);
        struct scree_run_stats stats;

        assert_int_equal(compare_run(session, cpu, 7), 0);
        scree_session_stats(session, &stats);
        assert_int_equal(stats.n_nodes, 0);
        assert_string_equal(stats.device, "cpu");
        assert_contains(stats.note, early[i].note);
        assert_contains(stats.note, TEST_DELEGATE ": " CLASSIFIER ": ");
        scree_session_free(session);
    }
    scree_session_free(cpu);
    scree_model_unref(model);
}

static void test_a_required_npu_makes_it_an_error(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *session;
    struct scree_error err;

    (void)state;
    for (size_t i = 0; i < sizeof early / sizeof early[0]; i++) {
        if (strstr(early[i].fault, "hang"))
            continue; /* a second and a half each */
        assert_int_equal(try_session(model, early[i].fault, NULL, true, &session, &err), -ENODEV);
        assert_contains(err.text, TEST_DELEGATE);
    }
    assert_int_equal(try_session(model, NULL, NULL, true, &session, &err), 0);
    scree_session_free(session);
    scree_model_unref(model);
}

static void test_what_a_delegate_prints_does_not_stop_it(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *session, *cpu = open_cpu(model);
    struct scree_run_stats stats;
    int terminal = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);

    (void)state;
    dup2(nowhere, STDERR_FILENO);
    session = open_session(model, "fault=chatter", NULL);
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    close(nowhere);
    assert_in_range(compare_run(session, cpu, 1), 0, MAX_STEPS);
    scree_session_stats(session, &stats);
    assert_string_equal(stats.note, "");
    assert_true(stats.n_nodes > 0);
    scree_session_free(session);
    scree_session_free(cpu);
    scree_model_unref(model);
}

/* ---- bad runs ----------------------------------------------------------------------------------
 */

static const struct {
    const char *fault, *note;
} late[] = {
    {"fault=fail_invoke", "the delegate said that it failed: job 7 of the test delegate"},
    {"fault=write_nothing", "the output was not written"},
    {"fault=write_half", "the output was not written"},
    {"fault=repeat", "the output was that of the run before"},
    {"fault=slow", "it took as long as a job that hangs and is reset"},
    {"fault=move_output", "the delegate said that it failed"},
};

static void test_a_bad_run_is_done_again_by_the_cpu(void **state)
{
    struct scree_session *cpu;
    struct branches b;

    (void)state;
    open_branches(&b, SCREE_TYPE_INT8);
    cpu = open_cpu(b.model);
    for (size_t i = 0; i < sizeof late / sizeof late[0]; i++) {
        struct scree_session *session = open_session(b.model, late[i].fault, "after=2");
        struct scree_run_stats stats;

        assert_in_range(compare_run(session, cpu, 1), 0, MAX_STEPS);
        scree_session_stats(session, &stats);
        assert_int_equal(stats.verified, stats.n_parts);
        assert_int_equal(compare_run(session, cpu, 2), 0);
        scree_session_stats(session, &stats);
        assert_int_equal(stats.repeated, stats.n_parts);
        assert_contains(stats.note, late[i].note);
        assert_contains(stats.note, TEST_DELEGATE ": a model in memory: ");
        scree_session_free(session);
    }
    scree_session_free(cpu);
    close_branches(&b);
}

/* Outputs that are the same for other inputs may be right; then they are no bad run, and no error
 * where the NPU is required. */
static void test_outputs_that_saturate_are_no_bad_runs(void **state)
{
    struct scree_session *session, *cpu;
    struct scree_run_stats stats;
    struct scree_error err;
    struct branches b;

    (void)state;
    open_saturating(&b);
    cpu = open_cpu(b.model);
    for (int required = 0; required < 2; required++) {
        assert_int_equal(try_session(b.model, NULL, NULL, required, &session, &err), 0);
        for (uint32_t run = 0; run < 20; run++)
            assert_int_equal(compare_run(session, cpu, run), 0);
        scree_session_stats(session, &stats);
        assert_int_equal(stats.verified, 20);
        assert_int_equal(stats.lost, 0);
        assert_string_equal(stats.note, "");
        scree_session_free(session);
    }
    scree_session_free(cpu);
    close_branches(&b);
}

/* ---- delegates that die in a run ---------------------------------------------------------------
 */

static const struct {
    const char *fault, *note;
} deaths[] = {
    {"fault=crash_invoke",
     "it crashed running the model (Segmentation fault): test delegate: about"},
    {"fault=abort_invoke", "it crashed running the model (Aborted): free(): double free detected"},
    {"fault=exit_invoke", "it ended the process running the model (exit code 3)"},
    {"fault=close_invoke", "it crashed running the model (Killed)"},
    {"fault=hang_invoke", "it had not finished running the model after "},
    {"fault=corrupt_invoke", ": a run was no good: "},
};

static int count_descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Nothing is left of workers: no process, dead or alive, and no descriptor. */
static void assert_nothing_left(int n_descriptors)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(count_descriptors(), n_descriptors);
}

static uint64_t verified(const struct scree_session *session)
{
    struct scree_run_stats stats;

    scree_session_stats(session, &stats);
    return stats.verified;
}

/* Runs, each of them right, until the delegate has done one again. */
static void await_another(struct scree_session *session, struct scree_session *cpu)
{
    uint64_t before = verified(session);

    for (uint32_t run = 0; run < 2000 && verified(session) == before; run++) {
        assert_in_range(compare_run(session, cpu, run), 0, MAX_STEPS);
        (void)usleep(5000);
    }
    assert_true(verified(session) > before);
}

static void test_a_delegate_that_dies_costs_a_run(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *cpu = open_cpu(model);
    int n_descriptors = count_descriptors();

    (void)state;
    for (size_t i = 0; i < sizeof deaths / sizeof deaths[0]; i++) {
        struct scree_session *session = open_session(model, deaths[i].fault, "after=3");
        struct scree_run_stats stats;

        assert_in_range(compare_run(session, cpu, 1), 0, MAX_STEPS);
        assert_in_range(compare_run(session, cpu, 2), 0, MAX_STEPS);
        assert_int_equal(verified(session), 2);
        assert_int_equal(compare_run(session, cpu, 3), 0);
        scree_session_stats(session, &stats);
        assert_int_equal(stats.verified, 2);
        assert_int_equal(stats.repeated, 1);
        assert_contains(stats.note, TEST_DELEGATE ": " CLASSIFIER ": ");
        assert_contains(stats.note, deaths[i].note);
        await_another(session, cpu);
        scree_session_free(session);
        assert_nothing_left(n_descriptors);
    }
    scree_session_free(cpu);
    scree_model_unref(model);
}

/* What crashes again and again is given up, in bounded time. */
static void test_a_delegate_that_keeps_dying_is_given_up(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *cpu = open_cpu(model);
    int n_descriptors = count_descriptors();
    struct scree_session *session = open_session(model, "fault=crash_invoke", "after=1");
    struct scree_run_stats stats = {0};
    uint64_t n_repeated = 0, n_killed = 0; /* of those: while they still ran */

    (void)state;
    for (uint32_t run = 0; run < 4000 && !strstr(stats.note, "from now on"); run++) {
        assert_in_range(compare_run(session, cpu, run), 0, MAX_STEPS);
        scree_session_stats(session, &stats);
        n_killed += stats.repeated > n_repeated && strstr(stats.note, "it had not finished");
        n_repeated = stats.repeated;
        (void)usleep(2000);
    }
    assert_contains(stats.note, "and does it all from now on");
    assert_int_equal(stats.died, 6);
    assert_int_equal(stats.repeated, 6 + stats.late);
    /* Each worker's first run but the first's, which is a trial. Where others keep the processors
     * busy one may take as long as a job that hangs. */
    assert_int_equal(stats.verified + stats.late + n_killed, 5);
    assert_int_equal(compare_run(session, cpu, 1), 0);
    scree_session_free(session);
    assert_nothing_left(n_descriptors);
    scree_session_free(cpu);
    scree_model_unref(model);
}

static void test_a_required_npu_makes_a_death_an_error(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *session;
    struct scree_error err;

    (void)state;
    assert_int_equal(try_session(model, "fault=crash_invoke", "after=2", true, &session, &err), 0);
    fill(session, 1);
    assert_int_equal(scree_session_run(session, &err), 0);
    assert_int_equal(scree_session_run(session, &err), -ENODEV);
    assert_contains(err.text, "it crashed running the model (Segmentation fault)");
    assert_int_equal(scree_session_run(session, &err), 0); /* on the next worker */
    scree_session_free(session);
    scree_model_unref(model);
}

/* One that crashes at its end, or as it is loaded, where nothing has been promised yet. */
static void test_loading_and_freeing_may_crash_too(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *cpu = open_cpu(model), *session;
    int n_descriptors = count_descriptors();
    struct scree_run_stats stats;

    (void)state;
    session = open_session(model, "fault=crash_free", NULL);
    assert_in_range(compare_run(session, cpu, 1), 0, MAX_STEPS);
    assert_int_equal(verified(session), 1);
    scree_session_free(session);
    setenv("TEST_DELEGATE_CRASH", "1", 1);
    session = open_session(model, NULL, NULL);
    unsetenv("TEST_DELEGATE_CRASH");
    scree_session_stats(session, &stats);
    assert_contains(stats.note, "it crashed loading for the model (Segmentation fault)");
    assert_int_equal(compare_run(session, cpu, 1), 0);
    scree_session_free(session);
    assert_nothing_left(n_descriptors);
    scree_session_free(cpu);
    scree_model_unref(model);
}

static atomic_int n_died;

/* A session in a thread of its own, on a delegate that dies now and then. */
static void *run_wildly(void *arg)
{
    struct scree_model *model = arg;
    struct scree_session *cpu = open_cpu(model);
    struct scree_session *session = open_session(model, "fault=wild", "after=2");
    struct scree_run_stats stats;
    int worst = 0;

    for (uint32_t run = 0; run < 350; run++) {
        int steps = compare_run(session, cpu, run);

        worst = steps > worst ? steps : worst;
        (void)usleep(1000);
    }
    scree_session_stats(session, &stats);
    print_message("%llu runs good, %llu repeated, %llu on the CPU at once; %s\n",
                  (unsigned long long)stats.verified, (unsigned long long)stats.repeated,
                  (unsigned long long)stats.fallbacks, stats.note);
    if (stats.runs != 350)
        worst = 1000;
    atomic_fetch_add(&n_died, (int)stats.repeated);
    scree_session_free(session);
    scree_session_free(cpu);
    return (void *)(intptr_t)worst;
}

static void test_a_thousand_runs_that_may_crash_in_three_threads(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    int n_descriptors = count_descriptors();
    pthread_t threads[3];
    void *worst;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_wildly, model), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], &worst), 0);
        assert_in_range((intptr_t)worst, 0, MAX_STEPS);
    }
    assert_true(n_died > 0);
    assert_nothing_left(n_descriptors);
    scree_model_unref(model);
}

/* ---- delegates that keep failing ---------------------------------------------------------------
 */

/* After bad runs in a row the delegate is left alone for a while, then tried again. */
static void test_a_delegate_that_keeps_failing_is_given_a_rest(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *cpu = open_cpu(model);
    struct scree_session *session = open_session(model, "fault=fail_invoke", "after=2");
    struct scree_run_stats stats;

    (void)state;
    for (uint32_t run = 0; run < 107; run++)
        assert_in_range(compare_run(session, cpu, run), 0, MAX_STEPS);
    scree_session_stats(session, &stats);
    assert_int_equal(stats.runs, stats.verified + stats.repeated + stats.fallbacks);
    assert_in_range(stats.fallbacks, 100, 104);
    /* A new worker was started meanwhile, whose first two runs are good. */
    assert_in_range(stats.repeated, 3, 4);
    assert_in_range(stats.verified, 1, 3);
    scree_session_free(session);
    scree_session_free(cpu);
    scree_model_unref(model);
}

static void test_a_required_npu_makes_a_bad_run_an_error(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *session;
    struct scree_error err;

    (void)state;
    assert_int_equal(try_session(model, "fault=fail_invoke", "after=2", true, &session, &err), 0);
    fill(session, 1);
    assert_int_equal(scree_session_run(session, &err), 0);
    assert_int_equal(scree_session_run(session, &err), -ENODEV);
    assert_contains(err.text, "job 7 of the test delegate");
    scree_session_free(session);
    scree_model_unref(model);
}

/* Bytes that are wrong, but were written, are found where the CPU does the run as well. */
static void test_wrong_bytes_are_found_where_runs_are_compared(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *cpu = open_cpu(model), *session;
    struct scree_run_stats stats;

    (void)state;
    session = open_session(model, "fault=wrong", NULL);
    assert_int_equal(compare_run(session, cpu, 1), 0); /* a first run is always compared */
    scree_session_stats(session, &stats);
    assert_int_equal(stats.repeated, 1);
    assert_contains(stats.note, "a run was no good: it is off the CPU's by up to ");
    scree_session_free(session);
    check_every = 3;
    session = open_session(model, "fault=wrong", "after=3");
    for (uint32_t run = 0; run < 3; run++)
        (void)compare_run(session, cpu, run);
    assert_int_equal(compare_run(session, cpu, 3), 0); /* the fourth is the next to be compared */
    assert_int_equal(compare_run(session, cpu, 4), 0); /* and after a bad one the next again */
    check_every = 0;
    scree_session_stats(session, &stats);
    assert_int_equal(stats.verified, 3);
    assert_int_equal(stats.repeated, 2);
    scree_session_free(session);
    scree_session_free(cpu);
    scree_model_unref(model);
}

static void test_a_thousand_runs_with_random_faults(void **state)
{
    struct scree_session *cpu;
    struct branches b;
    struct scree_session *session;
    struct scree_run_stats stats;

    (void)state;
    open_branches(&b, SCREE_TYPE_INT8);
    cpu = open_cpu(b.model);
    check_every = 1;
    session = open_session(b.model, "fault=random", "after=2");
    check_every = 0;
    for (uint32_t run = 0; run < 1000; run++)
        assert_in_range(compare_run(session, cpu, run), 0, MAX_STEPS);
    scree_session_stats(session, &stats);
    assert_int_equal(stats.runs, stats.verified + stats.repeated + stats.fallbacks);
    print_message("%u parts: %llu runs good, %llu repeated, %llu on the CPU at once\n",
                  stats.n_parts, (unsigned long long)stats.verified,
                  (unsigned long long)stats.repeated, (unsigned long long)stats.fallbacks);
    assert_true(stats.verified > 100 && stats.repeated > 10);
    scree_session_free(session);
    scree_session_free(cpu);
    close_branches(&b);
}

/* ---- options -----------------------------------------------------------------------------------
 */

static void test_devices_and_files_that_are_not_there(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session *session = NULL;
    struct scree_error err;
    const char *no_value = "key";
    struct scree_session_options wanted = {.device = "gpu"};

    (void)state;
    assert_int_equal(scree_session_new(model, &wanted, &session, &err), -EINVAL);
    assert_string_equal(err.text, "no device 'gpu': auto, cpu and teflon are there");
    wanted = (struct scree_session_options){.device = "cpu", .require_npu = true};
    assert_int_equal(scree_session_new(model, &wanted, &session, &err), -EINVAL);
    wanted = (struct scree_session_options){.delegate = "nothing/libteflon.so"};
    assert_int_equal(scree_session_new(model, &wanted, &session, &err), -ENODEV);
    assert_contains(err.text, "nothing/libteflon.so");
    wanted = (struct scree_session_options){.delegate = CLASSIFIER};
    assert_int_equal(scree_session_new(model, &wanted, &session, &err), -EBADMSG);
    assert_contains(err.text, CLASSIFIER);
    wanted = (struct scree_session_options){
        .delegate = TEST_DELEGATE, .n_delegate_options = 1, .delegate_options = &no_value};
    assert_int_equal(scree_session_new(model, &wanted, &session, &err), -EINVAL);
    wanted = (struct scree_session_options){.delegate_timeout_ms = -1};
    assert_int_equal(scree_session_new(model, &wanted, &session, &err), -EINVAL);
    assert_null(session);
    scree_model_unref(model);
}

/* The variable names the delegate where no path is given; "cpu" does not look at it. */
static void test_the_environment_names_a_delegate(void **state)
{
    struct scree_model *model = open_model(CLASSIFIER);
    struct scree_session_options wanted = {.n_threads = 1};
    struct scree_session *session;
    struct scree_run_stats stats;

    (void)state;
    setenv("SCREE_TEFLON", TEST_DELEGATE, 1);
    assert_int_equal(scree_session_new(model, &wanted, &session, NULL), 0);
    scree_session_stats(session, &stats);
    assert_true(stats.n_nodes > 0);
    scree_session_free(session);
    wanted.device = "cpu";
    assert_int_equal(scree_session_new(model, &wanted, &session, NULL), 0);
    scree_session_stats(session, &stats);
    assert_int_equal(stats.n_nodes, 0);
    assert_null(stats.delegate);
    scree_session_free(session);
    unsetenv("SCREE_TEFLON");
    scree_model_unref(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_delegate_computes_its_parts),
        cmocka_unit_test(test_the_report_tells_where_each_node_runs),
        cmocka_unit_test(test_many_parts),
        cmocka_unit_test(test_sessions_side_by_side),
        cmocka_unit_test(test_a_bad_delegate_costs_a_message),
        cmocka_unit_test(test_a_required_npu_makes_it_an_error),
        cmocka_unit_test(test_what_a_delegate_prints_does_not_stop_it),
        cmocka_unit_test(test_a_bad_run_is_done_again_by_the_cpu),
        cmocka_unit_test(test_outputs_that_saturate_are_no_bad_runs),
        cmocka_unit_test(test_a_delegate_that_dies_costs_a_run),
        cmocka_unit_test(test_a_delegate_that_keeps_dying_is_given_up),
        cmocka_unit_test(test_a_required_npu_makes_a_death_an_error),
        cmocka_unit_test(test_loading_and_freeing_may_crash_too),
        cmocka_unit_test(test_a_thousand_runs_that_may_crash_in_three_threads),
        cmocka_unit_test(test_a_delegate_that_keeps_failing_is_given_a_rest),
        cmocka_unit_test(test_a_required_npu_makes_a_bad_run_an_error),
        cmocka_unit_test(test_wrong_bytes_are_found_where_runs_are_compared),
        cmocka_unit_test(test_a_thousand_runs_with_random_faults),
        cmocka_unit_test(test_devices_and_files_that_are_not_there),
        cmocka_unit_test(test_the_environment_names_a_delegate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
