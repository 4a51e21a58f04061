/* The device layer: trees, discovery, and the rocket driver's calls, with a driver made here.
 *
 * ioctl() is wrapped: the "device" is a file that buffers are mapped from, and each call can be
 * told to fail. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/device.h"
#include "device/discover.h"
#include "device/rocket_accel.h"
#include "device/teflon.h"
#include "doctor/checks.h"
#include "rocket/probe.h"

/* ---- a driver -------------------------------------------------------------------------------- */

#define BUFFER_ROOM 65536

static struct driver {
    const char *name;
    int fail_at, fail_code; /* the call that fails, from 0; -1 for none */
    int n_calls, n_alive, n_interrupted;
    uint32_t next_handle;
    uint64_t iova_base;
    int prep_rc; /* what PREP_BO returns */
    int64_t prep_timeout_ns;
    bool computes;
    int wrong_byte; /* of the output; -1 for none */
    uint32_t output_handle;
    struct scree_rocket_submit submit;
    struct scree_rocket_job job;
} driver;

static char device_path[] = "/tmp/scree_test_device_XXXXXX";

static int answer_version(struct scree_drm_version *version)
{
    size_t n = strlen(driver.name);

    memcpy(version->name, driver.name, n < version->name_len ? n : version->name_len);
    version->name_len = n;
    return 0;
}

static int answer_create(struct scree_rocket_create_bo *bo)
{
    bo->handle = ++driver.next_handle;
    bo->offset = (uint64_t)(bo->handle - 1) * BUFFER_ROOM;
    bo->dma_address = driver.iova_base + bo->offset;
    driver.n_alive++;
    return 0;
}

/* Puts the right result into the output buffer, by way of the file. */
static int answer_submit(int fd, const struct scree_rocket_submit *submit)
{
    int8_t output[SCREE_PROBE_OUTPUT_BYTES];
    const uint32_t *handles;

    driver.submit = *submit;
    memcpy(&driver.job, (const void *)(uintptr_t)submit->jobs, sizeof driver.job);
    handles = (const uint32_t *)(uintptr_t)driver.job.out_bo_handles;
    if (!driver.computes)
        return 0;
    scree_probe_output(output);
    if (driver.wrong_byte >= 0)
        output[driver.wrong_byte] ^= 1;
    assert_int_equal(pwrite(fd, output, sizeof output, (off_t)(handles[0] - 1) * BUFFER_ROOM),
                     sizeof output);
    return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *argument);

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
    if (driver.n_interrupted > 0) {
        driver.n_interrupted--;
        errno = EINTR;
        return -1;
    }
    if (request == SCREE_DRM_GEM_CLOSE) {
        driver.n_alive--;
        return 0;
    }
    if (driver.n_calls++ == driver.fail_at) {
        errno = driver.fail_code;
        return -1;
    }
    switch (request) {
    case SCREE_DRM_VERSION:
        return answer_version(argument);
    case SCREE_ROCKET_CREATE_BO:
        return answer_create(argument);
    case SCREE_ROCKET_SUBMIT:
        return answer_submit(fd, argument);
    case SCREE_ROCKET_PREP_BO:
        driver.prep_timeout_ns = ((struct scree_rocket_prep_bo *)argument)->timeout_ns;
        return driver.prep_rc;
    default:
        assert_int_equal(request, SCREE_ROCKET_FINI_BO);
        return 0;
    }
}

static void reset_driver(void)
{
    driver = (struct driver){
        .name = "rocket", .fail_at = -1, .fail_code = EIO, .computes = true, .wrong_byte = -1};
}

static int make_device(void **state)
{
    int fd = mkstemp(device_path);

    (void)state;
    if (fd < 0 || ftruncate(fd, 64 * BUFFER_ROOM) < 0)
        return -1;
    close(fd);
    return 0;
}

static int remove_device(void **state)
{
    (void)state;
    return unlink(device_path);
}

static int before_each(void **state)
{
    (void)state;
    reset_driver();
    return 0;
}

/* ---- the device ------------------------------------------------------------------------------ */

static void test_open_wants_the_rocket_driver(void **state)
{
    struct scree_device *device;
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_device_open(device_path, &device, &err), 0);
    scree_device_close(device);
    driver.name = "panthor";
    assert_int_equal(scree_device_open(device_path, &device, &err), -ENODEV);
    assert_non_null(strstr(err.text, "another driver"));
    reset_driver();
    driver.name = "rocket-of-a-longer-name-than-the-room-for-it";
    assert_int_equal(scree_device_open(device_path, &device, &err), -ENODEV);
    driver.fail_at = driver.n_calls;
    driver.fail_code = ENOTTY;
    assert_int_equal(scree_device_open(device_path, &device, &err), -ENODEV);
    assert_int_equal(scree_device_open("/nowhere/accel0", &device, &err), -ENODEV);
    assert_string_equal(err.text, "/nowhere/accel0: No such file or directory");
    scree_device_close(NULL);
}

static void test_buffers(void **state)
{
    struct scree_device *device;
    struct scree_npu_buffer a, b;
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_device_open(device_path, &device, &err), 0);
    driver.iova_base = 0x10000;
    assert_int_equal(scree_npu_buffer_new(device, 4096, &a, &err), 0);
    assert_int_equal(scree_npu_buffer_new(device, 100, &b, &err), 0);
    assert_int_equal(a.iova, 0x10000);
    assert_int_equal(b.iova, 0x10000 + BUFFER_ROOM);
    memset(a.bytes, 1, a.n_bytes);
    assert_int_equal(b.bytes[0], 0);
    scree_npu_buffer_done(device, &a);
    scree_npu_buffer_done(device, &a);
    scree_npu_buffer_done(device, &b);
    assert_int_equal(driver.n_alive, 0);

    assert_int_equal(scree_npu_buffer_new(device, 0, &a, &err), -EINVAL);
    assert_int_equal(scree_npu_buffer_new(device, ((size_t)1 << 31) + 1, &a, &err), -EINVAL);
    driver.fail_at = driver.n_calls;
    driver.fail_code = ENOMEM;
    assert_int_equal(scree_npu_buffer_new(device, 4096, &a, &err), -ENOMEM);
    driver.iova_base = UINT64_C(1) << 32;
    assert_int_equal(scree_npu_buffer_new(device, 4096, &a, &err), -EIO);
    assert_int_equal(driver.n_alive, 0);
    scree_device_close(device);
}

static void test_waiting(void **state)
{
    static const struct {
        int code, rc;
    } cases[] = {{ETIMEDOUT, -ETIMEDOUT}, {EBUSY, -ETIMEDOUT}, {ENODEV, -ENODEV}, {EINVAL, -EIO}};
    struct scree_device *device;
    struct scree_npu_buffer buffer;
    struct scree_error err;
    struct timespec now;

    (void)state;
    assert_int_equal(scree_device_open(device_path, &device, &err), 0);
    assert_int_equal(scree_npu_buffer_new(device, 4096, &buffer, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        driver.fail_at = driver.n_calls;
        driver.fail_code = cases[i].code;
        assert_int_equal(scree_npu_buffer_take(device, &buffer, 0, &err), cases[i].rc);
    }
    /* Linux 6.18 returns what was left of the time. */
    driver.prep_rc = 123;
    driver.n_interrupted = 3;
    assert_int_equal(scree_npu_buffer_take(device, &buffer, 5000000000, &err), 0);
    clock_gettime(CLOCK_MONOTONIC, &now);
    assert_true(driver.prep_timeout_ns > ((int64_t)now.tv_sec + 3) * 1000000000);
    assert_true(driver.prep_timeout_ns < ((int64_t)now.tv_sec + 7) * 1000000000);
    assert_int_equal(scree_npu_buffer_take(device, &buffer, INT64_MAX, &err), 0);
    assert_true(driver.prep_timeout_ns == INT64_MAX);
    scree_npu_buffer_done(device, &buffer);
    scree_device_close(device);
}

static void test_submit(void **state)
{
    struct scree_device *device;
    struct scree_npu_buffer a, b;
    const struct scree_npu_buffer *reads[] = {&a}, *writes[] = {&b}, *twice[] = {&a, &a};
    const struct scree_npu_task tasks[] = {{0x1000, 130}, {0x2000, 0}};
    struct scree_npu_job job = {.tasks = tasks,
                                .n_tasks = 1,
                                .reads = reads,
                                .n_reads = 1,
                                .writes = writes,
                                .n_writes = 1};
    struct scree_error err;

    (void)state;
    driver.computes = false;
    assert_int_equal(scree_device_open(device_path, &device, &err), 0);
    assert_int_equal(scree_npu_buffer_new(device, 64, &a, &err), 0);
    assert_int_equal(scree_npu_buffer_new(device, 64, &b, &err), 0);
    assert_int_equal(scree_device_submit(device, &job, 1, &err), 0);
    assert_int_equal(driver.submit.job_count, 1);
    assert_int_equal(driver.submit.job_struct_size, 40);
    assert_int_equal(driver.job.task_count, 1);
    assert_int_equal(driver.job.in_bo_handle_count, 1);
    assert_int_equal(driver.job.out_bo_handle_count, 1);

    assert_int_equal(scree_device_submit(device, &job, 0, &err), -EINVAL);
    assert_int_equal(scree_device_submit(device, &job, SCREE_DEVICE_MAX_JOBS + 1, &err), -E2BIG);
    job.n_tasks = 2;
    assert_int_equal(scree_device_submit(device, &job, 1, &err), -EINVAL);
    assert_string_equal(err.text, "job 0: task 1 is empty");
    job.n_tasks = 0;
    assert_int_equal(scree_device_submit(device, &job, 1, &err), -EINVAL);
    job.n_tasks = 1;
    job.reads = twice;
    job.n_reads = 2;
    assert_int_equal(scree_device_submit(device, &job, 1, &err), -EINVAL);
    job.n_reads = 1;
    job.writes = reads;
    assert_int_equal(scree_device_submit(device, &job, 1, &err), -EINVAL);
    assert_string_equal(err.text, "job 0: a buffer is named twice");
    job.n_writes = SCREE_DEVICE_MAX_BUFFERS + 1;
    assert_int_equal(scree_device_submit(device, &job, 1, &err), -E2BIG);
    scree_npu_buffer_done(device, &a);
    scree_npu_buffer_done(device, &b);
    scree_device_close(device);
}

/* ---- the test convolution -------------------------------------------------------------------- */

static void test_trial_results(void **state)
{
    struct scree_trial trials[3];

    (void)state;
    scree_try_cores(device_path, 3, trials);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(trials[i].rc, 0);
        assert_int_equal(trials[i].n_wrong, 0);
        assert_false(trials[i].lost);
    }
    assert_int_equal(driver.n_alive, 0);
    reset_driver();
    driver.wrong_byte = 3000;
    scree_try_cores(device_path, 1, trials);
    assert_int_equal(trials[0].n_wrong, 1);
    assert_false(trials[0].lost);
    reset_driver();
    driver.computes = false;
    scree_try_cores(device_path, 1, trials);
    assert_true(trials[0].n_wrong > 0 && trials[0].lost);
}

/* Every call fails once: one error, and nothing is left behind. */
static void test_trial_with_each_call_failing(void **state)
{
    struct scree_trial trials[2];
    int n_failed = 0;

    (void)state;
    for (int call = 0;; call++) {
        reset_driver();
        driver.fail_at = call;
        scree_try_cores(device_path, 2, trials);
        assert_int_equal(driver.n_alive, 0);
        if (trials[0].rc == 0 && trials[1].rc == 0)
            break;
        assert_true((trials[0].rc < 0) != (trials[1].rc < 0));
        n_failed++;
    }
    /* Of each descriptor: version, three buffers, taken and given, submit, the result. */
    assert_int_equal(n_failed, 2 * (1 + 3 + 3 + 3 + 1 + 1));
}

/* The weights are not a pattern of which a part would do: each tap and channel of the input
 * matters, and no two filters give the same. */
static void test_probe_sees_every_byte(void **state)
{
    int8_t output[SCREE_PROBE_OUTPUT_BYTES], weights[SCREE_PROBE_WEIGHT_BYTES];
    int counts[256] = {0}, n_values = 0;

    (void)state;
    scree_probe_output(output);
    scree_probe_weights(weights);
    for (int i = 0; i < SCREE_PROBE_OUTPUT_BYTES; i++)
        n_values += counts[(uint8_t)output[i]]++ == 0;
    assert_true(n_values > 60);
    for (int f = 0; f < 16; f++)
        for (int g = 0; g < f; g++) {
            int n_same = 0;

            for (int i = 0; i < SCREE_PROBE_OUTPUT_BYTES; i += 16)
                n_same += output[i + f] == output[i + g];
            assert_true(n_same < 100);
        }
    for (int tap = 0; tap < 9; tap++)
        for (int k = 0; k < 16; k++) {
            int used = 0;

            for (int f = 0; f < 16; f++)
                used += weights[(tap * 16 + f) * 16 + k] != 0;
            assert_true(used > 0);
        }
}

/* ---- trees ----------------------------------------------------------------------------------- */

static struct scree_tree *tree_of(const char *text)
{
    struct scree_tree *tree;
    struct scree_error err;
    int rc = scree_tree_open_text(text, strlen(text), &tree, &err);

    if (rc < 0)
        fail_msg("%s", err.text);
    return tree;
}

static void test_tree_of_text(void **state)
{
    struct scree_tree *tree =
        tree_of("# a machine\nuser 7 8 9\nfile /a/b\n| one\\0two\\\\\n|\nx 00ff\n"
                "link /l /a/b\nlink /r ../b\nlink /gone /nowhere\n"
                "dir /e\nnode /n 261:3 0640 7:9 EPERM\n\nnode /m 1:2 0600 7:1");
    struct scree_names names;
    struct scree_user user;
    struct scree_node node;
    char text[64];
    uint8_t *bytes;
    size_t n;

    (void)state;
    assert_false(scree_tree_is_live(tree));
    assert_int_equal(scree_tree_read(tree, "/a/b", text, sizeof text), 12);
    assert_memory_equal(text, "one\0two\\\n\n\0\377", 12);
    assert_int_equal(scree_tree_read(tree, "/a/b", text, 3), 2);
    assert_int_equal(scree_tree_text(tree, "/l", text, sizeof text), 3);
    assert_int_equal(scree_tree_bytes(tree, "/l", 12, &bytes, &n), 0);
    assert_int_equal(n, 12);
    free(bytes);
    assert_int_equal(scree_tree_bytes(tree, "/l", 11, &bytes, &n), -EFBIG);
    assert_int_equal(scree_tree_read(tree, "/a", text, sizeof text), -ENOENT);
    assert_int_equal(scree_tree_link(tree, "/r", text, sizeof text), 4);
    assert_string_equal(text, "../b");
    assert_int_equal(scree_tree_link(tree, "/a/b", text, sizeof text), -EINVAL);
    assert_false(scree_tree_has(tree, "/gone"));
    assert_true(scree_tree_has(tree, "/e") && scree_tree_has(tree, "/a"));
    assert_int_equal(scree_tree_list(tree, "/a", NULL, &names), 0);
    assert_int_equal(names.n, 1);
    assert_string_equal(names.name[0], "b");
    assert_int_equal(scree_tree_list(tree, "/a", "c", &names), 0);
    assert_int_equal(names.n, 0);
    assert_int_equal(scree_tree_list(tree, "/z", NULL, &names), -ENOENT);
    assert_int_equal(scree_tree_stat(tree, "/n", &node), 0);
    assert_true(node.is_device && node.major == 261 && node.minor == 3 && node.mode == 0640);
    assert_int_equal(scree_tree_try(tree, "/n"), -EPERM);
    assert_int_equal(scree_tree_try(tree, "/m"), 0);
    scree_tree_user(tree, &user);
    assert_true(user.uid == 7 && user.n_groups == 2 && user.groups[1] == 9);
    assert_int_equal(scree_tree_path(tree, "/n", text, sizeof text), -ENOENT);
    scree_tree_free(tree);
}

static void test_bad_texts_of_trees(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"file", "line 1: an absolute path is wanted"},
        {"file a", "line 1: an absolute path is wanted"},
        {"\n| x", "line 2: content of no file"},
        {"dir /a\n| x", "line 2: content of no file"},
        {"file /a b", "line 1: neither user, file, link, dir nor node"},
        {"pipe /a", "line 1: neither user, file, link, dir nor node"},
        {"link /a", "line 1: 'link' wants PATH TARGET"},
        {"user", "line 1: 'user' wants the numbers of the user and the groups"},
        {"user 1 -2", "line 1: 'user' wants the numbers of the user and the groups"},
        {"node /a 1 0600 0:0", "line 1: 'node' wants PATH MAJOR:MINOR MODE USER:GROUP [ERROR]"},
        {"node /a 1:2 0900 0:0", "line 1: 'node' wants PATH MAJOR:MINOR MODE USER:GROUP [ERROR]"},
        {"node /a 1:2 0600 0:0 OK",
         "line 1: 'node' wants PATH MAJOR:MINOR MODE USER:GROUP [ERROR]"},
        {"file /a\n| \\n", "line 2: only \\0 and \\\\ are known"},
        {"file /a\nx 0", "line 2: 'x' wants pairs of the digits 0-9 and a-f"},
        {"file /a\nx 0G", "line 2: 'x' wants pairs of the digits 0-9 and a-f"},
    };
    struct scree_tree *tree;
    struct scree_error err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(scree_tree_open_text(cases[i].text, strlen(cases[i].text), &tree, &err),
                         -EBADMSG);
        assert_string_equal(err.text, cases[i].error);
    }
    assert_int_equal(scree_tree_open_text("file /a\n| b\0c", 13, &tree, &err), -EBADMSG);
    assert_string_equal(err.text, "line 2: a zero byte");
}

static void test_tree_of_a_folder(void **state)
{
    char folder[] = "/tmp/scree_test_tree_XXXXXX", path[64], text[64];
    struct scree_tree *tree;
    struct scree_names names;
    struct scree_user user;
    struct scree_error err;
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/name", folder);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("vdd_npu_s0\n", file);
    fclose(file);
    assert_int_equal(scree_tree_open(folder, &tree, &err), 0);
    assert_int_equal(scree_tree_text(tree, "/name", text, sizeof text), 10);
    assert_int_equal(scree_tree_list(tree, "/", NULL, &names), 0);
    assert_int_equal(names.n, 1);
    assert_int_equal(scree_tree_try(tree, "/name"), 0);
    assert_int_equal(scree_tree_try(tree, "/other"), -ENOENT);
    assert_int_equal(scree_tree_link(tree, "/name", text, sizeof text), -EINVAL);
    scree_tree_user(tree, &user);
    assert_int_equal(user.uid, geteuid());
    assert_true(user.n_groups > 0);
    scree_tree_free(tree);
    unlink(path);
    rmdir(folder);
    assert_int_equal(scree_tree_open(folder, &tree, &err), -ENOENT);
    assert_int_equal(scree_tree_open("/", &tree, &err), 0);
    assert_true(scree_tree_is_live(tree));
    scree_tree_free(tree);
}

static void test_discovery(void **state)
{
    struct scree_tree *tree =
        tree_of("link /sys/bus/platform/drivers/rocket/fdac0000.npu x\n"
                "link /sys/bus/platform/drivers/rocket/fdab0000.npu x\n"
                "file /sys/bus/platform/drivers/rocket/bind\n"
                "file /sys/bus/platform/devices/fdac0000.npu/power/runtime_status\n| active\n"
                "link /sys/bus/platform/devices/fdab0000.npu/iommu_group ../7\n"
                "link /sys/class/accel/accel0/device ../../../0000:00:0b.0\n"
                "link /sys/class/accel/accel0/device/driver ../../bus/pci/drivers/intel_vpu\n"
                "link /sys/class/accel/accel1/device ../../../rknn\n"
                "file /sys/class/accel/accel1/dev\n| 261:1\n"
                "file /proc/interrupts\n|            CPU0       CPU1\n"
                "|  30:         5          7     GICv3 142 Level     fdab0000.npu\n"
                "|  31:         1          0     GICv3 143 Level     fdac0000.npu\n"
                "|  32:         9          9     GICv3 144 Level     fdab9000.iommu\n");
    uint64_t counts[SCREE_NPU_MAX_CORES];
    struct scree_npu npu;

    (void)state;
    scree_npu_discover(tree, &npu);
    assert_true(npu.has_driver);
    assert_int_equal(npu.n_cores, 2);
    assert_string_equal(npu.cores[0].name, "fdab0000.npu");
    assert_true(npu.cores[0].has_iommu && !npu.cores[1].has_iommu);
    assert_string_equal(npu.cores[0].state, "");
    assert_string_equal(npu.cores[1].state, "active");
    assert_string_equal(npu.node, "/dev/accel/accel1");
    assert_true(npu.major == 261 && npu.minor == 1);
    assert_int_equal(scree_npu_interrupts(tree, &npu, counts), 0);
    assert_true(counts[0] == 12 && counts[1] == 1);
    scree_tree_free(tree);

    tree = tree_of("link /sys/class/accel/accel0/device/driver ../bus/platform/drivers/rocket");
    scree_npu_discover(tree, &npu);
    assert_false(npu.has_driver);
    assert_string_equal(npu.node, "/dev/accel/accel0");
    assert_int_equal(scree_npu_interrupts(tree, &npu, counts), -ENOENT);
    scree_tree_free(tree);
}

static void test_finding_teflon(void **state)
{
    struct scree_tree *tree =
        tree_of("link /usr/lib/teflon/libteflon.so /gone/libteflon.so\n"
                "file /usr/lib/aarch64-linux-gnu/libteflon.so\n| ROCKET_DEBUG\\0"
                "25.3.0-devel\\0\n"
                "file /nix/store/aaaa-mesa-25.3.4/lib/libteflon.so\n| /dev/accel\\0\n");
    struct scree_teflon teflon;

    (void)state;
    assert_int_equal(scree_teflon_find(tree, NULL, &teflon), 0);
    assert_string_equal(teflon.path, "/usr/lib/aarch64-linux-gnu/libteflon.so");
    assert_true(teflon.has_rocket && !teflon.opens_accel && !teflon.dangling);
    assert_true(teflon.major == 25 && teflon.minor == 3 && teflon.patch == 0);
    assert_int_equal(
        scree_teflon_find(tree, "/nix/store/aaaa-mesa-25.3.4/lib/libteflon.so", &teflon), 0);
    assert_true(!teflon.has_rocket && teflon.opens_accel);
    assert_true(teflon.major == 25 && teflon.minor == 3 && teflon.patch == 4);
    assert_int_equal(scree_teflon_find(tree, "/usr/lib/teflon/libteflon.so", &teflon), -ENOENT);
    assert_true(teflon.dangling);
    assert_string_equal(teflon.target, "/gone/libteflon.so");
    scree_tree_free(tree);
}

static void test_versions_of_teflon(void **state)
{
    static const struct {
        char text[16];
        unsigned major, minor, patch;
    } cases[] = {
        {"x\00026.2.6-1", 26, 2, 6},
        {"x\00025.3.11", 25, 3, 11},
        {"x\0001.0.0\00026.0.1", 26, 0, 1},
        {"x\00026.2", 0, 0, 0},
        {"x\00026.2.", 0, 0, 0},
        {"x\00026.2.6.1", 0, 0, 0},
        {"x\0009999.1.1", 0, 0, 0},
        {"26.2.6", 0, 0, 0},
        {"x\0000x26.2.6", 0, 0, 0},
    };
    struct scree_teflon teflon = {0};
    char text[16];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(text, cases[i].text, sizeof text);
        scree_teflon_look((const uint8_t *)text, sizeof text, &teflon);
        if (teflon.major != cases[i].major || teflon.minor != cases[i].minor ||
            teflon.patch != cases[i].patch)
            fail_msg("case %zu: %u.%u.%u", i, teflon.major, teflon.minor, teflon.patch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_open_wants_the_rocket_driver, before_each),
        cmocka_unit_test_setup(test_buffers, before_each),
        cmocka_unit_test_setup(test_waiting, before_each),
        cmocka_unit_test_setup(test_submit, before_each),
        cmocka_unit_test_setup(test_trial_results, before_each),
        cmocka_unit_test_setup(test_trial_with_each_call_failing, before_each),
        cmocka_unit_test(test_probe_sees_every_byte),
        cmocka_unit_test(test_tree_of_text),
        cmocka_unit_test(test_bad_texts_of_trees),
        cmocka_unit_test(test_tree_of_a_folder),
        cmocka_unit_test(test_discovery),
        cmocka_unit_test(test_finding_teflon),
        cmocka_unit_test(test_versions_of_teflon),
    };

    return cmocka_run_group_tests(tests, make_device, remove_device);
}
