/* The device plugin as a process, against a kubelet that plays every part of the contract: once and
 * again, restarted, slow, refusing, hostile; with NPUs that come and go. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "fake_kubelet.h"

#define METHOD(name) "/v1beta1.DevicePlugin/" name

/* ---- what is waited for ---------------------------------------------------------------------- */

static bool is_registered(struct fake_kubelet *fake)
{
    return fake->registration.n > 0;
}

static bool is_registered_twice(struct fake_kubelet *fake)
{
    return fake->registration.n > 1;
}

static bool is_listed(struct fake_kubelet *fake)
{
    return fake->n_devices > 0;
}

static bool is_healthy(struct fake_kubelet *fake)
{
    return fake->n_devices > 0 && fake_n_healthy(fake) == fake->n_devices;
}

static bool is_unhealthy(struct fake_kubelet *fake)
{
    return fake->n_devices > 0 && fake_n_healthy(fake) == 0;
}

/* ---- scenes ---------------------------------------------------------------------------------- */

/* A plugin with these arguments that a kubelet has registered and watches. */
static void begin(struct fake_kubelet *fake, const char *const *arguments)
{
    char path[FAKE_PATH];

    fake_start(fake);
    fake_kubelet_begin(fake);
    fake_start_plugin(fake, arguments);
    assert_true(fake_run(fake, is_registered, 10000));
    fake_watch(fake, fake_endpoint(fake, path));
    assert_true(fake_run(fake, is_listed, 5000));
}

static void add_ids(struct scree_buffer *buffer, uint32_t number, const char *const *ids)
{
    for (; *ids; ids++)
        scree_pb_add_text(buffer, number, *ids);
}

/* Allocate of one container with the ids up to NULL. */
static enum scree_grpc_status allocate(struct fake_kubelet *fake, struct fake_call *call,
                                       const char *const *ids)
{
    struct scree_buffer request = {.limit = 65536};
    size_t mark = scree_pb_begin(&request, 1);
    enum scree_grpc_status status;
    char path[FAKE_PATH];

    add_ids(&request, 1, ids);
    scree_pb_end(&request, mark);
    status = fake_call(fake, call, fake_endpoint(fake, path), METHOD("Allocate"), request.bytes,
                       request.n);
    scree_buffer_done(&request);
    return status;
}

#define IDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool has_text(const struct scree_buffer *buffer, const char *text)
{
    return memmem(buffer->bytes, buffer->n, text, strlen(text)) != NULL;
}

/* ---- the contract ---------------------------------------------------------------------------- */

static void test_registers(void **state)
{
    struct fake_kubelet fake;

    (void)state;
    begin(&fake, NULL);
    assert_string_equal(fake.registration.version, "v1beta1");
    assert_string_equal(fake.registration.resource, "npu.rockchip.com/rk3588");
    assert_null(strchr(fake.registration.endpoint, '/'));
    assert_true(fake.registration.preferred);
    assert_true(fake.registration.options_told);
    assert_true(fake.registration.cdi_was_there);
    assert_int_equal(fake.n_devices, 3);
    assert_int_equal(fake_n_healthy(&fake), 3);
    assert_string_equal(fake.devices[0].id, "accel0-0");
    assert_string_equal(fake.devices[2].id, "accel0-2");
    assert_true(fake_metric(&fake, "npu_plugin_registered") == 1);
    assert_true(fake_metric(&fake, "npu_plugin_healthy{npu=\"accel0\"}") == 1);
    fake_end(&fake);
}

static void test_allocates(void **state)
{
    struct fake_kubelet fake;
    struct fake_call call;

    (void)state;
    begin(&fake, NULL);
    assert_int_equal(allocate(&fake, &call, IDS("accel0-0", "accel0-2")), SCREE_GRPC_OK);
    assert_true(has_text(&call.reply, "/dev/accel/accel0"));
    assert_true(has_text(&call.reply, "rw"));
    assert_true(has_text(&call.reply, "npu.rockchip.com/rk3588=accel0"));
    assert_true(has_text(&call.reply, "\n\x0fSCREE_INSTANCES\x12\x01"
                                      "2"));
    assert_true(has_text(&call.reply, "\n\nSCREE_NPUS\x12\x06"
                                      "accel0"));
    fake_call_end(&call);
    assert_int_equal(allocate(&fake, &call, IDS("accel7-0")), SCREE_GRPC_INVALID_ARGUMENT);
    assert_string_equal(call.text, "there is no device \"accel7-0\"");
    fake_call_end(&call);
    assert_int_equal(allocate(&fake, &call, IDS("accel0-3")), SCREE_GRPC_INVALID_ARGUMENT);
    fake_call_end(&call);
    assert_int_equal(allocate(&fake, &call, IDS("accel0-00")), SCREE_GRPC_INVALID_ARGUMENT);
    fake_call_end(&call);
    assert_int_equal(allocate(&fake, &call, (const char *const[]){NULL}),
                     SCREE_GRPC_INVALID_ARGUMENT);
    fake_call_end(&call);
    fake_end(&fake);
}

static void test_prestart(void **state)
{
    struct fake_kubelet fake;
    struct fake_call call;
    char path[FAKE_PATH];

    (void)state;
    begin(&fake, NULL);
    assert_int_equal(fake_call(&fake, &call, fake_endpoint(&fake, path),
                               METHOD("PreStartContainer"),
                               "\n\x08"
                               "accel0-1",
                               10),
                     SCREE_GRPC_OK);
    assert_int_equal(call.reply.n, 0);
    fake_call_end(&call);
    assert_int_equal(fake_call(&fake, &call, fake_endpoint(&fake, path), METHOD("Nonsense"), "", 0),
                     SCREE_GRPC_UNIMPLEMENTED);
    fake_call_end(&call);
    fake_end(&fake);
}

static void test_prefers_to_spread(void **state)
{
    struct scree_buffer request = {.limit = 4096};
    struct fake_kubelet fake;
    struct fake_call call;
    char path[FAKE_PATH];
    size_t mark;

    (void)state;
    fake_start(&fake);
    fake_machine(&fake, 2, 3, 0, "");
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, NULL);
    assert_true(fake_run(&fake, is_registered, 10000));
    mark = scree_pb_begin(&request, 1);
    add_ids(&request, 1, IDS("accel0-0", "accel0-1", "accel0-2", "accel1-1", "accel1-2"));
    add_ids(&request, 2, IDS("accel0-2"));
    scree_pb_add_varint(&request, 3, 3);
    scree_pb_end(&request, mark);
    assert_int_equal(fake_call(&fake, &call, fake_endpoint(&fake, path),
                               METHOD("GetPreferredAllocation"), request.bytes, request.n),
                     SCREE_GRPC_OK);
    /* accel0-2 is needed; the second comes from the other NPU; then both have given one, and both
     * have two left: the first. */
    assert_memory_equal(call.reply.bytes,
                        "\n\x1e\n\x08"
                        "accel0-0\n\x08"
                        "accel0-2\n\x08"
                        "accel1-1",
                        32);
    fake_call_end(&call);
    scree_buffer_done(&request);
    fake_end(&fake);
}

static void test_exclusive(void **state)
{
    struct fake_kubelet fake;
    struct fake_call call;

    (void)state;
    begin(&fake, IDS("--exclusive"));
    assert_int_equal(fake.n_devices, 1);
    assert_int_equal(allocate(&fake, &call, IDS("accel0-0")), SCREE_GRPC_OK);
    assert_true(has_text(&call.reply, "SCREE_INSTANCES\x12\x01"
                                      "3"));
    fake_call_end(&call);
    fake_end(&fake);
}

static void read_cdi(const struct fake_kubelet *fake, char *text, size_t n)
{
    char path[FAKE_PATH * 2];
    uint8_t *bytes;
    size_t n_bytes;

    (void)snprintf(path, sizeof path, "%s/npu.rockchip.com-rk3588.json", fake->cdi);
    assert_int_equal(scree_file_read(path, n - 1, &bytes, &n_bytes, NULL), 0);
    memcpy(text, bytes, n_bytes);
    text[n_bytes] = '\0';
    free(bytes);
}

static void test_group(void **state)
{
    struct fake_kubelet fake;
    char text[4096];

    (void)state;
    begin(&fake, IDS("--require-group", "303"));
    assert_true(is_healthy(&fake));
    read_cdi(&fake, text, sizeof text);
    assert_non_null(strstr(text, "\"fileMode\":432,\"gid\":303,"));
    fake_end(&fake);
    begin(&fake, IDS("--require-group", "44"));
    assert_true(is_unhealthy(&fake));
    assert_true(fake_metric(&fake, "npu_plugin_unhealthy_reason{npu=\"accel0\","
                                   "reason=\"NodeGroup\"}") == 1);
    fake_end(&fake);
}

/* ---- CDI ------------------------------------------------------------------------------------- */

static void test_cdi(void **state)
{
    struct fake_kubelet fake;
    char text[4096];

    (void)state;
    begin(&fake, NULL);
    read_cdi(&fake, text, sizeof text);
    assert_string_equal(
        text,
        "{\"cdiVersion\":\"0.5.0\",\"kind\":\"npu.rockchip.com/rk3588\",\"devices\":["
        "{\"name\":\"accel0\",\"containerEdits\":{\"deviceNodes\":[{\"path\":"
        "\"/dev/accel/accel0\",\"hostPath\":\"/dev/accel/accel0\",\"type\":\"c\",\"major\":261,"
        "\"minor\":0,\"fileMode\":438,\"permissions\":\"rw\"}]}}]}\n");
    fake_end(&fake);
}

static void test_without_cdi(void **state)
{
    struct fake_kubelet fake;
    struct fake_call call;
    char below_a_file[FAKE_PATH + 8];

    (void)state;
    begin(&fake, IDS("--cdi-dir", ""));
    assert_false(fake.registration.cdi_was_there);
    assert_int_equal(allocate(&fake, &call, IDS("accel0-0")), SCREE_GRPC_OK);
    assert_false(has_text(&call.reply, "rk3588=accel0"));
    fake_call_end(&call);
    fake_end(&fake);

    fake_start(&fake);
    (void)snprintf(below_a_file, sizeof below_a_file, "%s/cdi", fake.machine);
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, IDS("--cdi-dir", below_a_file));
    assert_true(fake_run(&fake, is_registered, 10000));
    assert_int_equal(allocate(&fake, &call, IDS("accel0-0")), SCREE_GRPC_OK);
    assert_true(has_text(&call.reply, "/dev/accel/accel0"));
    assert_false(has_text(&call.reply, "rk3588=accel0"));
    fake_call_end(&call);
    fake_end(&fake);
}

/* ---- restarts -------------------------------------------------------------------------------- */

/* The kubelet comes back; returns how long it was until it was called. */
static double restart_ms(struct fake_kubelet *fake)
{
    char path[FAKE_PATH];
    uint64_t start;

    fake_kubelet_end(fake);
    (void)fake_run(fake, NULL, 100);
    fake_kubelet_begin(fake);
    start = scree_now_ns();
    assert_true(fake_run(fake, is_registered, 10000));
    start = fake->registration.at_ns - start;
    fake_watch(fake, fake_endpoint(fake, path));
    assert_true(fake_run(fake, is_healthy, 5000));
    return (double)start / 1e6;
}

static void test_kubelet_restarts(void **state)
{
    struct fake_kubelet fake;
    double slowest = 0;

    (void)state;
    begin(&fake, NULL);
    for (int i = 0; i < 5; i++) {
        double ms = restart_ms(&fake);

        slowest = ms > slowest ? ms : slowest;
    }
    print_message("registered again %.1f ms after the kubelet's socket, at most, of 5 times\n",
                  slowest);
    assert_true(slowest < 1000);
    assert_true(fake_metric(&fake, "npu_plugin_registrations_total{result=\"ok\"}") == 6);
    fake_end(&fake);
}

static bool has_endpoint(struct fake_kubelet *fake)
{
    char path[FAKE_PATH];

    return access(fake_endpoint(fake, path), F_OK) == 0;
}

static void test_own_socket_is_deleted(void **state)
{
    struct fake_kubelet fake;
    struct fake_call call;
    char path[FAKE_PATH];

    (void)state;
    begin(&fake, NULL);
    assert_int_equal(unlink(fake_endpoint(&fake, path)), 0);
    assert_true(fake_run(&fake, has_endpoint, 3000));
    assert_int_equal(allocate(&fake, &call, IDS("accel0-1")), SCREE_GRPC_OK);
    fake_call_end(&call);
    assert_true(is_healthy(&fake));
    fake_end(&fake);
}

static void test_folder_comes_later(void **state)
{
    struct fake_kubelet fake;

    (void)state;
    fake_start(&fake);
    assert_int_equal(rmdir(fake.plugins), 0);
    fake_start_plugin(&fake, IDS("--route", "kubelet"));
    (void)fake_run(&fake, NULL, 300);
    assert_int_equal(mkdir(fake.plugins, 0755), 0);
    fake_kubelet_begin(&fake);
    assert_true(fake_run(&fake, is_registered, 10000));
    assert_true(fake.registration.options_told);
    fake_end(&fake);
}

/* A kubelet that drops the stream but stays where it is must be told again. */
static void test_stream_is_dropped(void **state)
{
    struct fake_kubelet fake;

    (void)state;
    begin(&fake, NULL);
    fake_call_end(&fake.watch);
    assert_true(fake_run(&fake, is_registered_twice, 10000));
    fake_end(&fake);
}

static void test_kubelet_refuses(void **state)
{
    struct fake_kubelet fake;
    char text[16384];

    (void)state;
    fake_start(&fake);
    fake.mood = FAKE_REFUSES;
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, NULL);
    assert_true(fake_run(&fake, is_registered_twice, 10000));
    fake.mood = FAKE_ACCEPTS;
    fake.registration.n = 0;
    assert_true(fake_run(&fake, is_registered, 10000));
    fake_log(&fake, text, sizeof text);
    assert_non_null(strstr(text, "reason=\"the resource's name is not to my liking\""));
    fake_end(&fake);
}

static void test_kubelet_is_silent(void **state)
{
    struct fake_kubelet fake;
    struct fake_call call;

    (void)state;
    fake_start(&fake);
    fake.mood = FAKE_IS_SILENT;
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, NULL);
    assert_true(fake_run(&fake, is_registered, 10000));
    assert_int_equal(allocate(&fake, &call, IDS("accel0-1")), SCREE_GRPC_OK);
    fake_call_end(&call);
    fake.mood = FAKE_ACCEPTS;
    assert_true(restart_ms(&fake) < 1000);
    fake_end(&fake);
}

/* Two at once, as while one version takes over from another: the first one waits, and when it ends
 * takes nothing away that the second has made. */
static void test_two_instances(void **state)
{
    struct fake_kubelet fake;
    char path[FAKE_PATH];
    pid_t first, second;

    (void)state;
    begin(&fake, NULL);
    first = fake.plugin;
    fake_start_plugin(&fake, NULL);
    second = fake.plugin;
    assert_true(fake_run(&fake, is_registered_twice, 10000));
    fake_watch(&fake, fake_endpoint(&fake, path));
    assert_true(fake_run(&fake, is_healthy, 5000));
    (void)fake_run(&fake, NULL, 6000);
    assert_int_equal(fake.registration.n, 2);
    fake.plugin = first;
    assert_int_equal(fake_stop_plugin(&fake), 0);
    fake.plugin = second;
    assert_int_equal(access(path, F_OK), 0);
    assert_true(is_healthy(&fake));
    assert_true(fake_metric(&fake, "npu_plugin_streams") == 1);
    fake_end(&fake);
}

/* ---- health ---------------------------------------------------------------------------------- */

static double wait_ms(struct fake_kubelet *fake, bool (*is_so)(struct fake_kubelet *fake))
{
    uint64_t start = scree_now_ns();

    assert_true(fake_run(fake, is_so, 10000));
    return (double)(scree_now_ns() - start) / 1e6;
}

static void test_health_flips(void **state)
{
    static const struct {
        uint32_t n_npus, n_cores;
        const char *open_error, *reason;
    } cases[] = {{0, 0, "", "NoAccelDevice"},
                 {1, 0, "", "DriverNotBound"},
                 {1, 3, "ENXIO", "NodeNotOpenable"}};
    struct fake_kubelet fake;
    struct fake_call call;
    char name[96], log[16384];

    (void)state;
    begin(&fake, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double lost;

        fake_machine(&fake, cases[i].n_npus, cases[i].n_cores, 0, cases[i].open_error);
        lost = wait_ms(&fake, is_unhealthy);
        assert_int_equal(fake.n_devices, 3);
        (void)snprintf(name, sizeof name,
                       "npu_plugin_unhealthy_reason{npu=\"accel0\",reason=\"%s\"}",
                       cases[i].reason);
        assert_true(fake_metric(&fake, name) == 1);
        (void)snprintf(name, sizeof name, "NPU unhealthy npu=accel0 reason=%s", cases[i].reason);
        fake_log(&fake, log, sizeof log);
        assert_non_null(strstr(log, name));
        assert_int_equal(allocate(&fake, &call, IDS("accel0-0")), SCREE_GRPC_FAILED_PRECONDITION);
        fake_call_end(&call);
        fake_machine(&fake, 1, 3, 0, "");
        print_message("%s: lost after %.0f ms, regained after %.0f ms\n", cases[i].reason, lost,
                      wait_ms(&fake, is_healthy));
    }
    assert_true(fake_metric(&fake, "npu_plugin_health_changes_total{npu=\"accel0\","
                                   "to=\"healthy\"}") == 3);
    assert_int_equal(allocate(&fake, &call, IDS("accel0-0")), SCREE_GRPC_OK);
    fake_call_end(&call);
    fake_end(&fake);
}

static bool is_accel1(struct fake_kubelet *fake)
{
    return is_healthy(fake) && strcmp(fake->devices[0].id, "accel1-0") == 0;
}

/* The module is loaded again and the device has another number. */
static void test_device_is_renumbered(void **state)
{
    struct fake_kubelet fake;
    char text[4096];

    (void)state;
    begin(&fake, NULL);
    fake_machine(&fake, 0, 0, 0, "");
    assert_true(fake_run(&fake, is_unhealthy, 10000));
    fake_machine(&fake, 1, 3, 1, "");
    assert_true(fake_run(&fake, is_accel1, 10000));
    assert_int_equal(fake.n_devices, 3);
    read_cdi(&fake, text, sizeof text);
    assert_non_null(strstr(text, "\"name\":\"accel1\""));
    assert_null(strstr(text, "\"name\":\"accel0\""));
    fake_end(&fake);
}

static bool is_empty_list(struct fake_kubelet *fake)
{
    return fake->watch.n_messages > 0 && fake->n_devices == 0;
}

static void test_module_comes_later(void **state)
{
    struct fake_kubelet fake;
    char path[FAKE_PATH];

    (void)state;
    fake_start(&fake);
    fake_machine(&fake, 0, 0, 0, "");
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, NULL);
    assert_true(fake_run(&fake, is_registered, 10000));
    fake_watch(&fake, fake_endpoint(&fake, path));
    assert_true(fake_run(&fake, is_empty_list, 5000));
    fake_machine(&fake, 1, 3, 0, "");
    assert_true(fake_run(&fake, is_healthy, 5000));
    assert_int_equal(fake.n_devices, 3);
    fake_end(&fake);
}

static bool is_metric_3(struct fake_kubelet *fake)
{
    return fake_metric(fake, "npu_plugin_kernel_events_total{kind=\"timeout\"}") == 3;
}

static void test_kernel_log(void **state)
{
    static const char line[] = "3,412,5123456,-;rocket fdab0000.npu: NPU job timed out\n";
    static const char other[] = "6,413,5123457,-;usb 1-1: device descriptor read, timed out\n";
    struct fake_kubelet fake;
    char pipe[FAKE_PATH];
    int fd;

    (void)state;
    fake_start(&fake);
    (void)snprintf(pipe, sizeof pipe, "%s/kmsg", fake.dir);
    assert_int_equal(mkfifo(pipe, 0644), 0);
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, IDS("--kmsg", pipe, "--max-timeouts", "3"));
    assert_true(fake_run(&fake, is_registered, 10000));
    fake_watch(&fake, fake_endpoint(&fake, (char[FAKE_PATH]){0}));
    assert_true(fake_run(&fake, is_healthy, 5000));
    fd = open(pipe, O_WRONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(fd, other, sizeof other - 1), sizeof other - 1);
        assert_int_equal(write(fd, line, sizeof line - 1), sizeof line - 1);
    }
    assert_true(fake_run(&fake, is_metric_3, 5000));
    assert_true(fake_run(&fake, is_unhealthy, 5000));
    assert_true(fake_metric(&fake, "npu_plugin_unhealthy_reason{npu=\"accel0\","
                                   "reason=\"KernelTimeouts\"}") == 1);
    close(fd);
    fake_end(&fake);
}

static bool is_probed(struct fake_kubelet *fake)
{
    return fake_metric(fake, "npu_plugin_probes_total{result=\"good\"}") >= 2;
}

/* The test convolution, on the software NPU. */
static void test_probe(void **state)
{
    struct fake_kubelet fake;

    (void)state;
#ifndef WITH_EMU
    print_message("skipped: the software NPU cannot be preloaded here\n");
    skip();
#endif
    fake_start(&fake);
    fake.faults = "timeout@1000";
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, IDS("--probe-seconds", "1"));
    assert_true(fake_run(&fake, is_registered, 10000));
    assert_true(fake_run(&fake, is_probed, 20000));
    assert_true(fake_metric(&fake, "npu_plugin_probes_total{result=\"bad\"}") == 0);
    assert_true(fake_metric(&fake, "npu_plugin_healthy{npu=\"accel0\"}") == 1);
    fake_end(&fake);

    fake_start(&fake);
    fake.faults = "lost@1+";
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, IDS("--probe-seconds", "1"));
    assert_true(fake_run(&fake, is_registered, 10000));
    fake_watch(&fake, fake_endpoint(&fake, (char[FAKE_PATH]){0}));
    assert_true(fake_run(&fake, is_healthy, 5000));
    assert_true(fake_run(&fake, is_unhealthy, 20000));
    assert_true(fake_metric(&fake, "npu_plugin_probes_total{result=\"bad\"}") >= 2);
    assert_true(fake_metric(&fake, "npu_plugin_unhealthy_reason{npu=\"accel0\","
                                   "reason=\"ProbeFailed\"}") == 1);
    fake_end(&fake);
}

static void assert_condition(const char *path, const char *expected)
{
    uint8_t *bytes;
    size_t n;

    assert_int_equal(scree_file_read(path, 4096, &bytes, &n, NULL), 0);
    assert_non_null(memmem(bytes, n, expected, strlen(expected)));
    free(bytes);
}

static void test_condition_file(void **state)
{
    struct fake_kubelet fake;
    char path[FAKE_PATH];

    (void)state;
    fake_start(&fake);
    (void)snprintf(path, sizeof path, "%s/condition.json", fake.dir);
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, IDS("--condition-file", path));
    assert_true(fake_run(&fake, is_registered, 10000));
    assert_condition(path, "\"status\":\"True\",\"reason\":\"NpuReady\"");
    fake_watch(&fake, fake_endpoint(&fake, (char[FAKE_PATH]){0}));
    fake_machine(&fake, 1, 0, 0, "");
    assert_true(fake_run(&fake, is_unhealthy, 5000));
    assert_condition(path, "\"status\":\"False\",\"reason\":\"DriverNotBound\"");
    fake_machine(&fake, 1, 3, 0, "");
    assert_true(fake_run(&fake, is_healthy, 5000));
    assert_condition(path, "\"status\":\"True\",\"reason\":\"NpuReady\"");
    fake_end(&fake);
}

static bool has_condition(struct fake_kubelet *fake)
{
    char path[FAKE_PATH];

    (void)snprintf(path, sizeof path, "%s/later/condition.json", fake->dir);
    return access(path, R_OK) == 0;
}

/* Where it cannot be written it is tried again, though nothing changes. */
static void test_condition_file_comes_later(void **state)
{
    struct fake_kubelet fake;
    char path[FAKE_PATH];

    (void)state;
    fake_start(&fake);
    (void)snprintf(path, sizeof path, "%s/later/condition.json", fake.dir);
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, IDS("--condition-file", path));
    assert_true(fake_run(&fake, is_registered, 10000));
    (void)snprintf(path, sizeof path, "%s/later", fake.dir);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_true(fake_run(&fake, has_condition, 20000));
    fake_end(&fake);
}

/* ---- adversity ------------------------------------------------------------------------------- */

/* All processes stop for a while, as in suspend: no look was missed, nothing was lost. */
static void test_time_leaps(void **state)
{
    struct fake_kubelet fake;
    struct fake_call call;

    (void)state;
    begin(&fake, NULL);
    assert_int_equal(kill(fake.plugin, SIGSTOP), 0);
    (void)fake_run(&fake, NULL, 3000);
    assert_int_equal(kill(fake.plugin, SIGCONT), 0);
    (void)fake_run(&fake, NULL, 1000);
    assert_true(is_healthy(&fake));
    assert_int_equal(fake.registration.n, 1);
    assert_true(fake_metric(&fake, "npu_plugin_health_changes_total{npu=\"accel0\","
                                   "to=\"unhealthy\"}") == 0);
    assert_int_equal(allocate(&fake, &call, IDS("accel0-0")), SCREE_GRPC_OK);
    fake_call_end(&call);
    fake_end(&fake);
}

#ifdef WITH_EMU

/* The clock is wrong by that much from now on; the year that it shows is in year[8]. */
static void set_clock(const struct fake_kubelet *fake, long seconds, char *year)
{
    time_t then = time(NULL) + seconds;
    struct tm parts;
    char text[24];

    (void)snprintf(text, sizeof text, "%ld", seconds);
    assert_int_equal(scree_file_write(fake->clock, text, strlen(text), NULL), 0);
    assert_non_null(gmtime_r(&then, &parts));
    assert_int_not_equal(strftime(year, 8, "\n%Y-", &parts), 0);
}

/* Somebody sets the clock ten years ahead, and back to before it was: only the log shows it. */
static void test_clock_is_set(void **state)
{
    struct fake_kubelet fake;
    char path[FAKE_PATH], ahead[8], back[8], log[16384];

    (void)state;
    fake_start(&fake);
    (void)snprintf(path, sizeof path, "%s/clock", fake.dir);
    fake.clock = path;
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, NULL);
    assert_true(fake_run(&fake, is_registered, 10000));
    fake_watch(&fake, fake_endpoint(&fake, (char[FAKE_PATH]){0}));
    assert_true(fake_run(&fake, is_healthy, 5000));
    set_clock(&fake, 3653L * 86400, ahead);
    fake_machine(&fake, 1, 0, 0, "");
    assert_true(fake_run(&fake, is_unhealthy, 5000));
    set_clock(&fake, -3653L * 86400, back);
    fake_machine(&fake, 1, 3, 0, "");
    assert_true(fake_run(&fake, is_healthy, 5000));
    fake_log(&fake, log, sizeof log);
    assert_non_null(strstr(log, ahead));
    assert_non_null(strstr(log, back));
    assert_int_equal(fake.registration.n, 1);
    fake_end(&fake);
}

/* The kernel takes and gives five bytes at a time, or none for now. */
static void test_partial_writes(void **state)
{
    struct fake_kubelet fake;
    struct fake_call call;
    char text[32768], path[FAKE_PATH];

    (void)state;
    fake_start(&fake);
    fake.chop = "5";
    (void)snprintf(path, sizeof path, "%s/condition.json", fake.dir);
    fake_kubelet_begin(&fake);
    fake_start_plugin(&fake, IDS("--condition-file", path));
    assert_true(fake_run(&fake, is_registered, 10000));
    assert_true(fake.registration.options_told);
    assert_true(fake.registration.cdi_was_there);
    fake_watch(&fake, fake_endpoint(&fake, (char[FAKE_PATH]){0}));
    assert_true(fake_run(&fake, is_healthy, 5000));
    assert_int_equal(allocate(&fake, &call, IDS("accel0-0", "accel0-2")), SCREE_GRPC_OK);
    assert_true(has_text(&call.reply, "SCREE_INSTANCES"));
    fake_call_end(&call);
    fake_get(&fake, "/metrics", text, sizeof text);
    assert_non_null(strstr(text, "\nnpu_plugin_healthy{npu=\"accel0\"} 1\n"));
    assert_condition(path, "\"status\":\"True\",\"reason\":\"NpuReady\"");
    fake_machine(&fake, 1, 0, 0, "");
    assert_true(fake_run(&fake, is_unhealthy, 5000));
    read_cdi(&fake, text, sizeof text);
    assert_int_equal(text[strcspn(text, "\n")], '\n');
    fake_end(&fake);
}

/* Other programs have all that the kernel gives: a look every second is slower, and enough. */
static void test_without_inotify(void **state)
{
    struct fake_kubelet fake;

    (void)state;
    fake_start(&fake);
    fake.no_inotify = true;
    fake_start_plugin(&fake, NULL);
    (void)fake_run(&fake, NULL, 300);
    fake_kubelet_begin(&fake);
    assert_true(fake_run(&fake, is_registered, 10000));
    print_message("registered again after %.0f ms without inotify\n", restart_ms(&fake));
    fake_end(&fake);
}

#endif

/* ---- the watcher's route --------------------------------------------------------------------- */

static bool has_watcher_socket(struct fake_kubelet *fake)
{
    char path[FAKE_PATH * 2];

    (void)snprintf(path, sizeof path, "%s/npu.rockchip.com-rk3588.sock", fake->registry);
    return access(path, F_OK) == 0;
}

static void test_watcher(void **state)
{
    struct fake_kubelet fake;
    struct fake_call call;
    char path[FAKE_PATH * 2];

    (void)state;
    fake_start(&fake);
    fake_start_plugin(&fake, IDS("--route", "watcher"));
    assert_true(fake_run(&fake, has_watcher_socket, 5000));
    (void)snprintf(path, sizeof path, "%s/npu.rockchip.com-rk3588.sock", fake.registry);
    assert_int_equal(
        fake_call(&fake, &call, path, "/pluginregistration.Registration/GetInfo", "", 0),
        SCREE_GRPC_OK);
    assert_true(has_text(&call.reply, "\n\x0c"
                                      "DevicePlugin\x12\x17npu.rockchip.com/rk3588"));
    assert_true(has_text(&call.reply, path));
    assert_true(has_text(&call.reply, "v1beta1"));
    fake_call_end(&call);
    assert_int_equal(fake_call(&fake, &call, path,
                               "/pluginregistration.Registration/NotifyRegistrationStatus",
                               "\x08\x01", 2),
                     SCREE_GRPC_OK);
    fake_call_end(&call);
    fake_watch(&fake, path);
    assert_true(fake_run(&fake, is_healthy, 5000));
    assert_true(fake_metric(&fake, "npu_plugin_registered") == 1);
    /* The kubelet has deleted the socket. */
    assert_int_equal(unlink(path), 0);
    assert_true(fake_run(&fake, has_watcher_socket, 5000));
    fake_end(&fake);
}

/* ---- hostile peers --------------------------------------------------------------------------- */

static int connect_endpoint(struct fake_kubelet *fake)
{
    char path[FAKE_PATH];

    return fake_connect(fake, fake_endpoint(fake, path));
}

static void assert_answers(struct fake_kubelet *fake)
{
    struct fake_call call;

    assert_int_equal(allocate(fake, &call, IDS("accel0-0")), SCREE_GRPC_OK);
    fake_call_end(&call);
}

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

static void test_malformed_peers(void **state)
{
    static const char garbage[] = "GET / HTTP/1.1\r\nHost: kubelet\r\n\r\n";
    static const char frame[] = "\xff\xff\xff\x00\x00\x00\x00\x00\x01";
    struct fake_kubelet fake;
    struct fake_call call;
    uint8_t *large = calloc(1, 1 << 20);
    char path[FAKE_PATH];
    int fd;

    (void)state;
    begin(&fake, NULL);
    fd = connect_endpoint(&fake);
    (void)send(fd, garbage, sizeof garbage - 1, MSG_NOSIGNAL);
    (void)fake_run(&fake, NULL, 50);
    close(fd);
    fd = connect_endpoint(&fake); /* a frame of 16 MiB */
    (void)send(fd, preface, sizeof preface - 1, MSG_NOSIGNAL);
    (void)send(fd, frame, sizeof frame - 1, MSG_NOSIGNAL);
    (void)fake_run(&fake, NULL, 50);
    close(fd);
    assert_answers(&fake);
    /* Messages that are none, and one that is too long. */
    assert_int_equal(
        fake_call(&fake, &call, fake_endpoint(&fake, path), METHOD("Allocate"), "\n\xff", 2),
        SCREE_GRPC_INVALID_ARGUMENT);
    fake_call_end(&call);
    assert_int_equal(
        fake_call(&fake, &call, path, METHOD("GetPreferredAllocation"), "\n\2\x18\x09", 4),
        SCREE_GRPC_INVALID_ARGUMENT);
    fake_call_end(&call);
    assert_non_null(large);
    assert_int_equal(fake_call(&fake, &call, path, METHOD("Allocate"), large, 500000),
                     SCREE_GRPC_RESOURCE_EXHAUSTED);
    fake_call_end(&call);
    free(large);
    assert_answers(&fake);
    assert_true(is_healthy(&fake));
    fake_end(&fake);
}

/* Streams that are opened and reset without end (CVE-2023-44487): the connection is cut off. */
static void test_rapid_reset(void **state)
{
    struct fake_kubelet fake;
    bool cut = false;
    int fd;

    (void)state;
    begin(&fake, NULL);
    fd = connect_endpoint(&fake);
    (void)send(fd, preface, sizeof preface - 1, MSG_NOSIGNAL);
    for (uint32_t i = 0; i < 20000 && !cut; i++) {
        /* HEADERS :method POST (indexed), the stream left open; RST_STREAM CANCEL. */
        uint32_t id = 2 * i + 1;
        uint8_t frames[] = {
            0, 0, 1, 1, 4, 0, (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id, 0x83,
            0, 0, 4, 3, 0, 0, (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id, 0,
            0, 0, 8};

        if (send(fd, frames, sizeof frames, MSG_NOSIGNAL) < 0)
            cut = errno != EAGAIN || !fake_run(&fake, NULL, 2);
        if (i % 500 == 0)
            (void)fake_run(&fake, NULL, 2);
    }
    close(fd);
    assert_true(cut);
    assert_answers(&fake);
    assert_true(is_healthy(&fake));
    fake_end(&fake);
}

static void test_slow_and_many_peers(void **state)
{
    struct fake_kubelet fake;
    int fds[24];

    (void)state;
    begin(&fake, NULL);
    /* Byte by byte. */
    fds[0] = connect_endpoint(&fake);
    for (size_t i = 0; i < sizeof preface - 1; i++) {
        assert_int_equal(send(fds[0], preface + i, 1, MSG_NOSIGNAL), 1);
        (void)fake_run(&fake, NULL, 2);
    }
    assert_answers(&fake);
    close(fds[0]);
    /* More connections than there may be, all silent: those that are served go on. */
    for (int i = 0; i < 24; i++)
        fds[i] = connect_endpoint(&fake);
    (void)fake_run(&fake, NULL, 100);
    fake_machine(&fake, 1, 0, 0, "");
    assert_true(fake_run(&fake, is_unhealthy, 5000));
    /* And in ten seconds they have made room. */
    fake_machine(&fake, 1, 3, 0, "");
    (void)fake_run(&fake, NULL, 12000);
    assert_true(is_healthy(&fake));
    assert_answers(&fake);
    for (int i = 0; i < 24; i++)
        close(fds[i]);
    fake_end(&fake);
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

static void test_http(void **state)
{
    static const char *const bad[] = {"\r\n\r\n", "GET\r\n\r\n", "GET metrics HTTP/1.1\r\n\r\n",
                                      "GET /metrics\r\n\r\n", "\1\2\3\r\n\r\n"};
    struct fake_kubelet fake;
    char text[32768];
    int fds[20];

    (void)state;
    begin(&fake, NULL);
    fake_get(&fake, "/healthz", text, sizeof text);
    assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
    fake_get(&fake, "/readyz?verbose", text, sizeof text);
    assert_memory_equal(text, "HTTP/1.1 200 OK\r\n", 17);
    fake_get(&fake, "/x", text, sizeof text);
    assert_memory_equal(text, "HTTP/1.1 404 Not Found\r\n", 24);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int fd = fake_connect(&fake, fake.http);
        ssize_t n;

        (void)send(fd, bad[i], strlen(bad[i]), MSG_NOSIGNAL);
        (void)fcntl(fd, F_SETFL, 0);
        n = recv(fd, text, sizeof text, 0);
        assert_true(n > 20);
        assert_memory_equal(text, "HTTP/1.1 400 Bad Request\r\n", 26);
        close(fd);
    }
    /* Connections that say nothing do not keep others out. */
    for (int i = 0; i < 20; i++)
        fds[i] = fake_connect(&fake, fake.http);
    assert_true(fake_metric(&fake, "npu_plugin_streams") == 1);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    print_message("resident: %.0f KiB\n",
                  fake_metric(&fake, "process_resident_memory_bytes") / 1024);
    fake_kubelet_end(&fake);
    (void)fake_run(&fake, NULL, 100);
    fake_get(&fake, "/readyz", text, sizeof text);
    assert_memory_equal(text, "HTTP/1.1 503 Service Unavailable\r\n", 34);
    fake_end(&fake);
}

static void test_json_log(void **state)
{
    struct fake_kubelet fake;
    char text[16384];

    (void)state;
    begin(&fake, IDS("--log-format=json"));
    fake_log(&fake, text, sizeof text);
    assert_non_null(strstr(text, "\"level\":\"info\",\"message\":\"registered\",\"resource\":"
                                 "\"npu.rockchip.com/rk3588\",\"ms\":"));
    fake_end(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_allocates),
        cmocka_unit_test(test_prestart),
        cmocka_unit_test(test_prefers_to_spread),
        cmocka_unit_test(test_exclusive),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_cdi),
        cmocka_unit_test(test_without_cdi),
        cmocka_unit_test(test_kubelet_restarts),
        cmocka_unit_test(test_own_socket_is_deleted),
        cmocka_unit_test(test_folder_comes_later),
        cmocka_unit_test(test_stream_is_dropped),
        cmocka_unit_test(test_kubelet_refuses),
        cmocka_unit_test(test_kubelet_is_silent),
        cmocka_unit_test(test_two_instances),
        cmocka_unit_test(test_health_flips),
        cmocka_unit_test(test_device_is_renumbered),
        cmocka_unit_test(test_module_comes_later),
        cmocka_unit_test(test_kernel_log),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_condition_file),
        cmocka_unit_test(test_condition_file_comes_later),
        cmocka_unit_test(test_time_leaps),
#ifdef WITH_EMU
        cmocka_unit_test(test_clock_is_set),
        cmocka_unit_test(test_partial_writes),
        cmocka_unit_test(test_without_inotify),
#endif
        cmocka_unit_test(test_watcher),
        cmocka_unit_test(test_malformed_peers),
        cmocka_unit_test(test_rapid_reset),
        cmocka_unit_test(test_slow_and_many_peers),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_json_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
