/* What the server tells whoever runs it: logs, and what the chip says of itself. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sha256.h"
#include "serve/log.h"
#include "serve/measure.h"

static void check_line(enum scree_log_format format, const char *text, const char *const *pairs,
                       const char *expected)
{
    char line[SCREE_LOG_MAX_LINE];
    struct scree_log log;
    size_t n;

    scree_log_init(&log, -1, SCREE_LOG_INFO, format);
    n = scree_log_format(&log, SCREE_LOG_INFO, "T", text, pairs, line, sizeof line);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(line, expected, n);
}

static void test_lines(void **state)
{
    static const char *const pairs[] = {"a", "b", "c", "d e\"f\\", "g", "", "h", "\n\x9b", NULL};

    (void)state;
    check_line(SCREE_LOG_TEXT, "one\ntwo", pairs, "one?two\n");
    check_line(SCREE_LOG_LOGFMT, "  one", pairs,
               "time=T level=info msg=one a=b c=\"d e\\\"f\\\\\" g=\"\" h=\"?\?\"\n");
    check_line(SCREE_LOG_JSON, "one two", pairs,
               "{\"time\":\"T\",\"level\":\"info\",\"msg\":\"one two\",\"a\":\"b\","
               "\"c\":\"d e\\\"f\\\\\",\"g\":\"\",\"h\":\"?\?\"}\n");
}

static void test_long_values_are_left_out(void **state)
{
    static char value[2 * SCREE_LOG_MAX_LINE];
    const char *const pairs[] = {"a", value, "b", "c", NULL};

    (void)state;
    memset(value, '"', sizeof value - 1);
    check_line(SCREE_LOG_JSON, "m", pairs,
               "{\"time\":\"T\",\"level\":\"info\",\"msg\":\"m\",\"b\":\"c\"}\n");
}

static void test_nobody_reads(void **state)
{
    char text[200], back[65536];
    struct scree_log log;
    ssize_t n;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    scree_log_init(&log, fds[1], SCREE_LOG_INFO, SCREE_LOG_TEXT);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    scree_log(&log, SCREE_LOG_DEBUG, "not this", NULL);
    for (int i = 0; i < 1000; i++)
        scree_log(&log, SCREE_LOG_INFO, text, "a", "b", NULL);
    assert_true(log.n_dropped > 500);
    n = read(fds[0], back, sizeof back);
    assert_true(n > 200 && back[0] == 'x');
    scree_log(&log, SCREE_LOG_INFO, "again", NULL);
    while ((n = read(fds[0], back, sizeof back)) == (ssize_t)sizeof back)
        ;
    assert_true(n > 0);
    back[n - 1] = '\0';
    assert_non_null(strstr(back, " lines of this log were dropped\nagain"));
    (void)close(fds[0]);
    (void)close(fds[1]);
}

#define N_WRITERS 4
#define N_LINES   50000

static void *write_lines(void *arg)
{
    for (int i = 0; i < N_LINES; i++)
        scree_log(arg, SCREE_LOG_INFO, "line", NULL);
    return NULL;
}

/* Lets the pipe end when all lines are written or dropped. */
static void *write_all(void *arg)
{
    struct scree_log *log = arg;
    pthread_t threads[N_WRITERS];

    for (int i = 0; i < N_WRITERS; i++)
        if (pthread_create(&threads[i], NULL, write_lines, log))
            abort();
    for (int i = 0; i < N_WRITERS; i++)
        pthread_join(threads[i], NULL);
    (void)close(log->fd);
    return NULL;
}

/* Each line is read or counted as dropped, though many write to a pipe that is mostly full. */
static void test_all_lines_are_counted(void **state)
{
    static const char dropped[] = " lines of this log were dropped";
    unsigned long n_read = 0, n_told = 0;
    struct scree_log log;
    pthread_t writer;
    char line[256];
    FILE *from;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 8192), 8192);
    from = fdopen(fds[0], "r");
    assert_non_null(from);
    scree_log_init(&log, fds[1], SCREE_LOG_INFO, SCREE_LOG_TEXT);
    assert_int_equal(pthread_create(&writer, NULL, write_all, &log), 0);
    while (fgets(line, sizeof line, from)) {
        n_read += strcmp(line, "line\n") == 0;
        n_told += strstr(line, dropped) ? strtoul(line, NULL, 10) : 0;
    }
    pthread_join(writer, NULL);
    assert_int_equal(n_read + n_told + log.n_dropped, N_WRITERS * N_LINES);
    (void)fclose(from);
}

static void test_sha256(void **state)
{
    static const struct {
        const char *text, *digest;
    } cases[] = {
        /* FIPS 180-4's examples, and the empty text */
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    static uint8_t zeros[1000];
    struct sha256_ctx sha;
    char text[SCREE_SHA256_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sha256_init(&sha);
        for (const char *p = cases[i].text; *p; p++)
            sha256_update(&sha, 1, (const uint8_t *)p);
        scree_sha256_text(&sha, text);
        assert_string_equal(text, cases[i].digest);
    }
    sha256_init(&sha);
    for (size_t n = 0; n < 1000; n += 37)
        sha256_update(&sha, 37, zeros);
    scree_sha256_text(&sha, text); /* of 1036 zero bytes, as sha256sum has it */
    assert_string_equal(text, "693195cf289838146418e1bd05fd1a482c36ff75a77874609d615247285d5b99");
}

static void test_chip(void **state)
{
    static const char machine[] =
        "dir /sys/bus/platform/drivers/rocket\n"
        "link /sys/bus/platform/drivers/rocket/fdab0000.npu ../x\n"
        "link /sys/bus/platform/drivers/rocket/fdac0000.npu ../x\n"
        "file /sys/bus/platform/devices/fdab0000.npu/power/runtime_status\n| active\n"
        "file /sys/bus/platform/devices/fdab0000.npu/power/runtime_active_time\n| 12500\n"
        "file /sys/bus/platform/devices/fdac0000.npu/power/runtime_status\n| suspended\n"
        "link /sys/class/accel/accel0/device ../../../rknn\n"
        "file /sys/class/accel/accel0/dev\n| 261:0\n"
        "node /dev/accel/accel0 261:0 0666 0:0\n"
        "file /proc/interrupts\n"
        "|            CPU0       CPU1\n"
        "|  87:         40          2     GICv3 142 Level     fdab0000.npu\n"
        "|  88:          7          0     GICv3 143 Level     fdac0000.npu\n"
        "file /sys/class/thermal/thermal_zone0/type\n| npu-thermal\n"
        "file /sys/class/thermal/thermal_zone0/temp\n| 43461\n"
        "file /sys/class/thermal/thermal_zone1/type\n| lost\n"
        "file /sys/kernel/debug/clk/scmi_clk_npu/clk_rate\n| 198000000\n";
    struct scree_metrics *metrics;
    struct scree_tree *tree;
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_metrics_new(&metrics, &err), 0);
    assert_int_equal(scree_tree_open_text(machine, sizeof machine - 1, &tree, &err), 0);
    scree_measure_chip(tree, metrics);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_DEVICE_AVAILABLE, "") == 1);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_CORE_TASKS, "core=\"0\"") == 42);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_CORE_TASKS, "core=\"1\"") == 7);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_CORE_SECONDS, "core=\"0\"") == 12.5);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_CORE_POWERED, "core=\"0\"") == 1);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_CORE_POWERED, "core=\"1\"") == 0);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_CLOCK, "") == 198e6);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_TEMPERATURE, "zone=\"npu-thermal\"") >
                43.46);
    assert_true(scree_metrics_get(metrics, SCREE_METRIC_TEMPERATURE, "zone=\"lost\"") == 0);
    scree_tree_free(tree);
    scree_metrics_free(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),        cmocka_unit_test(test_long_values_are_left_out),
        cmocka_unit_test(test_nobody_reads), cmocka_unit_test(test_all_lines_are_counted),
        cmocka_unit_test(test_sha256),       cmocka_unit_test(test_chip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
