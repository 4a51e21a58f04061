/* The software NPU behind the kernel's calls, in this process: results, what is refused, the
 * kernel's quirks, faults. The stream is that of rocket/probe.h. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "device/emu/npu.h"
#include "rocket/probe.h"

/* Where things lie in the first buffer. */
enum { WORDS_AT = 0, WEIGHTS_AT = 0x1000, BIASES_AT = 0x2000, INPUT_AT = 0x3000, SIZE = 0x4000 };

#define STALE 0x5a

struct device {
    struct scree_emu_stats *stats;
    struct scree_emu_npu *npu;
};

static char log_path[64]; /* the settings keep a pointer to it */

/* A file with the probe's buffers: 1 constants and input, 2 output. */
struct probe {
    struct scree_emu_file *file;
    struct scree_rocket_create_bo constants, output;
    uint8_t *constant_bytes, *output_bytes;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- set up ------------------------------------------------------------------------------------
 */

/* settings: "name=value name=value ..." */
static struct device open_device(const char *settings)
{
    struct device device = {0};
    struct scree_emu_options options;
    char text[256], *rest = text, *word;

    scree_emu_options_init(&options);
    (void)snprintf(log_path, sizeof log_path, "/tmp/scree-test-emu-%d", (int)getpid());
    assert_int_equal(scree_emu_options_set(&options, "log", log_path, NULL), 0);
    (void)snprintf(text, sizeof text, "%s", settings);
    while ((word = strsep(&rest, " "))) {
        char *value = strchr(word, '=');

        if (!value)
            continue;
        *value++ = '\0';
        assert_int_equal(scree_emu_options_set(&options, word, value, NULL), 0);
    }
    assert_int_equal(scree_emu_stats_open(NULL, &device.stats, NULL), 0);
    assert_int_equal(scree_emu_npu_new(&options, device.stats, &device.npu, NULL), 0);
    return device;
}

static void close_device(struct device *device)
{
    scree_emu_npu_free(device->npu);
    scree_emu_stats_close(device->stats);
    (void)unlink(log_path);
}

static void *map(struct scree_emu_file *file, const struct scree_rocket_create_bo *bo)
{
    void *bytes = mmap(NULL, bo->size, PROT_READ | PROT_WRITE, MAP_SHARED, scree_emu_file_fd(file),
                       (off_t)bo->offset);

    assert_true(bytes != MAP_FAILED);
    return bytes;
}

static uint64_t *words_of(const struct probe *probe)
{
    return (uint64_t *)(void *)(probe->constant_bytes + WORDS_AT);
}

static struct probe open_probe(struct device *device)
{
    struct probe probe = {.constants = {.size = SIZE}, .output = {.size = SCREE_PROBE_OUTPUT_ROOM}};
    struct scree_probe_places places;
    uint32_t base;

    assert_int_equal(scree_emu_file_new(device->npu, &probe.file, NULL), 0);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_CREATE_BO, &probe.constants), 0);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_CREATE_BO, &probe.output), 0);
    probe.constant_bytes = map(probe.file, &probe.constants);
    probe.output_bytes = map(probe.file, &probe.output);
    base = (uint32_t)probe.constants.dma_address;
    places = (struct scree_probe_places){base + INPUT_AT, base + WEIGHTS_AT, base + BIASES_AT,
                                         (uint32_t)probe.output.dma_address};
    scree_probe_words(&places, words_of(&probe));
    scree_probe_weights((int8_t *)probe.constant_bytes + WEIGHTS_AT);
    scree_probe_biases((int32_t *)(void *)(probe.constant_bytes + BIASES_AT));
    scree_probe_input((int8_t *)probe.constant_bytes + INPUT_AT);
    memset(probe.output_bytes, STALE, probe.output.size);
    return probe;
}

static void close_probe(struct probe *probe)
{
    munmap(probe->constant_bytes, probe->constants.size);
    munmap(probe->output_bytes, probe->output.size);
    scree_emu_file_free(probe->file);
}

/* ---- calls -------------------------------------------------------------------------------------
 */

static int submit_handles(struct probe *probe, const uint32_t *in, uint32_t n_in,
                          const uint32_t *out, uint32_t n_out, uint32_t n_words)
{
    struct scree_rocket_task task = {(uint32_t)probe->constants.dma_address + WORDS_AT, n_words};
    struct scree_rocket_job job = {.tasks = (uint64_t)(uintptr_t)&task,
                                   .in_bo_handles = (uint64_t)(uintptr_t)in,
                                   .out_bo_handles = (uint64_t)(uintptr_t)out,
                                   .task_count = 1,
                                   .task_struct_size = sizeof task,
                                   .in_bo_handle_count = n_in,
                                   .out_bo_handle_count = n_out};
    struct scree_rocket_submit submit = {
        .jobs = (uint64_t)(uintptr_t)&job, .job_count = 1, .job_struct_size = sizeof job};

    return scree_emu_file_ioctl(probe->file, SCREE_ROCKET_SUBMIT, &submit);
}

static int submit(struct probe *probe)
{
    return submit_handles(probe, &probe->constants.handle, 1, &probe->output.handle, 1,
                          SCREE_PROBE_WORDS);
}

static int prep(struct probe *probe, int64_t timeout_ns)
{
    struct scree_rocket_prep_bo args = {.handle = probe->output.handle, .timeout_ns = timeout_ns};

    return scree_emu_file_ioctl(probe->file, SCREE_ROCKET_PREP_BO, &args);
}

static bool is_stale(const struct probe *probe)
{
    for (uint32_t i = 0; i < probe->output.size; i++)
        if (probe->output_bytes[i] != STALE)
            return false;
    return true;
}

static bool is_right(const struct probe *probe)
{
    int8_t expected[SCREE_PROBE_OUTPUT_BYTES];

    scree_probe_output(expected);
    return memcmp(probe->output_bytes, expected, sizeof expected) == 0;
}

/* Changes what the stream writes to a register, wherever it does. */
static void rewrite(struct probe *probe, uint32_t reg, uint32_t value)
{
    uint64_t *words = words_of(probe);
    int n = 0;

    for (int i = 0; i < SCREE_PROBE_WORDS - 4; i++)
        if (scree_word_offset(words[i]) == reg) {
            words[i] = (words[i] & UINT64_C(0xffff00000000ffff)) | (uint64_t)value << 16;
            n++;
        }
    assert_true(n > 0);
}

static void read_log(char *text, size_t n)
{
    FILE *in = fopen(log_path, "re");
    size_t length = in ? fread(text, 1, n - 1, in) : 0;

    text[length] = '\0';
    if (in)
        (void)fclose(in);
}

/* ---- results -----------------------------------------------------------------------------------
 */

static void test_probe(void **state)
{
    struct device device = open_device("");
    struct probe probe = open_probe(&device);

    for (int i = 0; i < 3; i++) {
        memset(probe.output_bytes, STALE, probe.output.size);
        assert_int_equal(submit(&probe), 0);
        assert_int_equal(prep(&probe, INT64_MAX), 0);
        assert_true(is_right(&probe));
    }
    assert_int_equal(device.stats->cores[0].tasks, 3);
    assert_int_equal(device.stats->cores[0].interrupts, 3);
    /* 14 * 14 * 9 products of 32 x 32, at 0.8 of the pace. */
    assert_int_equal(device.stats->cores[0].cycles, 3 * (14 * 14 * 9 * 5 / 4));
    assert_int_equal(device.stats->cores[0].bytes,
                     3 * (4096 + SCREE_PROBE_OUTPUT_BYTES + SCREE_PROBE_WEIGHT_BYTES + 64));
    close_probe(&probe);
    close_device(&device);
}

static void test_rounding(void **state)
{
    static const struct {
        int64_t value;
        unsigned shift;
        int64_t even, up, away;
    } rows[] = {
        {5, 0, 5, 5, 5},        {1, 1, 0, 1, 1},  {3, 1, 2, 2, 2},   {-1, 1, 0, 0, -1},
        {-3, 1, -2, -1, -2},    {6, 2, 2, 2, 2},  {10, 2, 2, 3, 3},  {-6, 2, -2, -1, -2},
        {-10, 2, -2, -2, -3},   {9, 2, 2, 2, 2},  {11, 2, 3, 3, 3},  {-9, 2, -2, -2, -2},
        {-11, 2, -3, -3, -3},   {1, 63, 0, 0, 0}, {-1, 63, 0, 0, 0}, {1 << 30, 31, 0, 1, 1},
        {3 << 29, 31, 1, 1, 1},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(scree_emu_shift(rows[i].value, rows[i].shift, SCREE_EMU_ROUND_EVEN),
                         rows[i].even);
        assert_int_equal(scree_emu_shift(rows[i].value, rows[i].shift, SCREE_EMU_ROUND_UP),
                         rows[i].up);
        assert_int_equal(scree_emu_shift(rows[i].value, rows[i].shift, SCREE_EMU_ROUND_AWAY),
                         rows[i].away);
    }
}

/* One tie in the output stage of a real stream: sums * 2^14 >> 15, half of each odd sum. */
static void test_rounding_setting(void **state)
{
    static const char *const settings[] = {"rounding=even", "rounding=up", "rounding=away"};
    int8_t whole[SCREE_PROBE_OUTPUT_BYTES];

    scree_probe_output(whole);
    for (int r = 0; r < 3; r++) {
        struct device device = open_device(settings[r]);
        struct probe probe = open_probe(&device);
        int n_ties = 0;

        rewrite(&probe, SCREE_REG_DPU_OUT_CVT_SCALE, 1 << 14);
        rewrite(&probe, SCREE_REG_DPU_OUT_CVT_SHIFT, 15);
        assert_int_equal(submit(&probe), 0);
        assert_int_equal(prep(&probe, INT64_MAX), 0);
        for (int i = 0; i < SCREE_PROBE_OUTPUT_BYTES; i++) {
            if (abs(whole[i]) > 126) /* may have been cut */
                continue;
            n_ties += whole[i] & 1;
            assert_int_equal((int8_t)probe.output_bytes[i],
                             scree_emu_shift(whole[i], 1, (enum scree_emu_rounding)r));
        }
        assert_true(n_ties > 100);
        close_probe(&probe);
        close_device(&device);
    }
}

/* ---- what is refused ---------------------------------------------------------------------------
 */

static void drop_barrier(struct probe *probe)
{
    words_of(probe)[SCREE_PROBE_WORDS - 2] = 0;
}

static void drop_enable(struct probe *probe)
{
    words_of(probe)[SCREE_PROBE_WORDS - 1] = 0;
}

static void drop_dpu_pointer(struct probe *probe)
{
    for (int i = 0; i < SCREE_PROBE_WORDS; i++)
        if (scree_word_offset(words_of(probe)[i]) == SCREE_REG_DPU_S_POINTER)
            words_of(probe)[i] = 0;
}

static void drop_strides(struct probe *probe)
{
    for (int i = 0; i < SCREE_PROBE_WORDS; i++)
        if (scree_word_offset(words_of(probe)[i]) == SCREE_REG_CNA_CONV_CON3)
            words_of(probe)[i] = 0;
}

static void aim_nowhere(struct probe *probe)
{
    words_of(probe)[7] = scree_word((enum scree_target)0x0301, 0x1010, 0);
}

static const struct {
    uint32_t reg, value;             /* one register of the stream, changed; */
    void (*change)(struct probe *p); /* or another change */
    const char *text;                /* of what is said */
} refusals[] = {
    {SCREE_REG_CNA_CBUF_CON0, 0xb2, NULL, "2 data and 11 weight banks, of 12"},
    {SCREE_REG_CNA_CBUF_CON0, 0xb0, NULL, "0 data and 11 weight banks, of 12"},
    {SCREE_REG_CNA_CBUF_CON0, 0x20b1, NULL, "WEIGHT_REUSE in a task with none before it"},
    {SCREE_REG_CNA_CBUF_CON1, 1, NULL, "DATA_ENTRIES 1: a line of 16 x 16 takes 2"},
    {SCREE_REG_CNA_DATA_SIZE0, 0x00100400, NULL, "1024 lines of 2 entries in 1 data banks"},
    {SCREE_REG_CNA_DATA_SIZE1, 0x00080009, NULL, "is not a multiple of 16"},
    {SCREE_REG_CNA_WEIGHT_SIZE0, 0x800, NULL, "WEIGHT_BYTES 2048 is not 16 kernels of 144"},
    {SCREE_REG_CNA_WEIGHT_SIZE1, 0x91, NULL, "WEIGHT_BYTES_PER_KERNEL 145 is not 3 * 3 * 16"},
    {SCREE_REG_CNA_WEIGHT_SIZE2, 0x3000010, NULL, "16 kernels of 0 x 3"},
    {SCREE_REG_CNA_CONV_CON3, 8, NULL, "strides 1 and 0"},
    {SCREE_REG_CNA_CONV_CON3, 9 | 1 << 16, NULL, "dilation is not modelled"},
    {SCREE_REG_CNA_CONV_CON1, 1 << 4, NULL, "a precision other than int8 is not modelled"},
    {SCREE_REG_CNA_CONV_CON1, 1 << 20, NULL, "reserved bits 0x00100000 are set"},
    {SCREE_REG_CNA_CONV_CON1, 3, NULL, "a depthwise convolution has one kernel, not 16"},
    {SCREE_REG_CNA_DATA_SIZE2, 13, NULL, "CNA.DATA_SIZE2 says 13 where DPU.DATA_CUBE_WIDTH"},
    {SCREE_REG_CNA_DATA_SIZE3, 195, NULL, "DATAOUT_ATOMICS 195 is not 14 * 14"},
    {SCREE_REG_CORE_DATAOUT_SIZE_1, 0x3f, NULL, "CORE.DATAOUT_SIZE_1 says 64 where"},
    {SCREE_REG_DPU_BS_OW_CFG, 0x36c, NULL, "SIZE_E_0 to 2 are not 1"},
    {SCREE_REG_DPU_FEATURE_MODE_CFG, 0x1fc, NULL, "do not agree whether it is depthwise"},
    {SCREE_REG_DPU_OUT_CVT_SCALE, 0x8000, NULL, "OUT_CVT_SCALE 0x8000: its sign is not known"},
    {SCREE_REG_DPU_UNKNOWN_40C4, 1, NULL, "DPU.UNKNOWN_40C4: reserved bits 0x00000001 are set"},
    {SCREE_REG_DPU_EW_CFG, 0x904102c0, NULL, "only addition of an operand from memory"},
    {SCREE_REG_DPU_S_POINTER, 0, NULL, "DPU.S_POINTER is not 0xe"},
    {SCREE_REG_RDMA_BRDMA_CFG, 0, NULL, "BS takes its operand from memory and RDMA reads not it"},
    {SCREE_REG_CNA_FEATURE_DATA_ADDR, 0x40000000, NULL,
     "features: [0x40000000, 0x40000100) is not mapped"},
    {SCREE_REG_CNA_FEATURE_DATA_ADDR, 0x3004, NULL, "is not a multiple of 16"},
    {SCREE_REG_CNA_DCOMP_ADDR0, 0x80000000, NULL, "weights: [0x80000000"},
    {SCREE_REG_RDMA_BS_BASE_ADDR, 0x80000000, NULL, "biases: [0x80000000"},
    {SCREE_REG_DPU_DST_BASE_ADDR, 0xfffffff0, NULL, "output: [0xfffffff0, 0x100000c30)"},
    {0, 0, drop_barrier, "enables without the barrier before it"},
    {0, 0, drop_enable, "130 words and none that enables"},
    {0, 0, drop_dpu_pointer, "the task does not write DPU.S_POINTER"},
    {0, 0, drop_strides, "the task does not write CNA.CONV_CON3"},
    {0, 0, aim_nowhere, "word 7: no block has target 0x0301"},
};

/* Each is said, and the job hangs until the kernel's timer; its program sees success. */
static void test_refusals(void **state)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct device device = open_device("timeout=1 clock=4000");
        struct probe probe = open_probe(&device);
        char log[512];

        if (refusals[i].change)
            refusals[i].change(&probe);
        else
            rewrite(&probe, refusals[i].reg, refusals[i].value);
        assert_int_equal(submit(&probe), 0);
        assert_int_equal(prep(&probe, INT64_MAX), 0);
        read_log(log, sizeof log);
        if (!strstr(log, refusals[i].text))
            fail_msg("row %zu: '%s' is not in '%s'", i, refusals[i].text, log);
        assert_true(is_stale(&probe));
        assert_int_equal(device.stats->cores[0].refused, 1);
        assert_int_equal(device.stats->cores[0].timeouts, 1);
        close_probe(&probe);
        close_device(&device);
    }
}

/* An odd count has the PC fetch one word more: here, one behind the end of the buffer's words. */
static void test_odd_count(void **state)
{
    struct device device = open_device("timeout=1 clock=4000");
    struct probe probe = open_probe(&device);
    char log[512];

    memmove(words_of(&probe) + 1, words_of(&probe), 8 * SCREE_PROBE_WORDS);
    words_of(&probe)[0] = 0;
    assert_int_equal(submit_handles(&probe, NULL, 0, &probe.output.handle, 1, 131), 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    assert_true(is_right(&probe));
    words_of(&probe)[131] = scree_word(SCREE_TARGET_CNA, SCREE_REG_CNA_CONV_CON3, 9);
    assert_int_equal(submit_handles(&probe, NULL, 0, &probe.output.handle, 1, 131), 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    read_log(log, sizeof log);
    assert_non_null(strstr(log, "word 131: follows the one that enables"));
    close_probe(&probe);
    close_device(&device);
}

/* ---- the kernel --------------------------------------------------------------------------------
 */

static void test_addresses(void **state)
{
    struct device device = open_device("");
    struct scree_emu_file *files[2];
    struct scree_rocket_create_bo bo[4] = {
        {.size = 5000}, {.size = 4096}, {.size = 20000}, {.size = 1}};
    struct scree_drm_gem_close gone = {.handle = 2};
    struct scree_rocket_create_bo huge = {.size = 0x90000000}, none = {.size = 0};

    for (int f = 0; f < 2; f++) {
        assert_int_equal(scree_emu_file_new(device.npu, &files[f], NULL), 0);
        for (int i = 0; i < 3; i++)
            assert_int_equal(scree_emu_file_ioctl(files[f], SCREE_ROCKET_CREATE_BO, &bo[i]), 0);
        assert_int_equal(bo[0].dma_address, 0);
        assert_int_equal(bo[1].dma_address, 8192);
        assert_int_equal(bo[2].dma_address, 12288);
        assert_int_equal(bo[2].handle, 3);
        /* The smallest range that fits, and the lowest handle. */
        assert_int_equal(scree_emu_file_ioctl(files[f], SCREE_DRM_GEM_CLOSE, &gone), 0);
        assert_int_equal(scree_emu_file_ioctl(files[f], SCREE_DRM_GEM_CLOSE, &gone), -EINVAL);
        assert_int_equal(scree_emu_file_ioctl(files[f], SCREE_ROCKET_CREATE_BO, &bo[3]), 0);
        assert_int_equal(bo[3].dma_address, 8192);
        assert_int_equal(bo[3].handle, 2);
        assert_int_equal(scree_emu_file_ioctl(files[f], SCREE_ROCKET_CREATE_BO, &none), -EINVAL);
    }
    /* One such fits into 4 GiB, with a window grown for it; two do not. */
    assert_int_equal(scree_emu_file_ioctl(files[0], SCREE_ROCKET_CREATE_BO, &huge), 0);
    assert_int_equal(scree_emu_file_ioctl(files[0], SCREE_ROCKET_CREATE_BO, &huge), -ENOMEM);
    for (int f = 0; f < 2; f++)
        scree_emu_file_free(files[f]);
    close_device(&device);
}

static void test_address_settings(void **state)
{
    struct device device = open_device("iova=0x10000000 reuse=0");
    struct scree_rocket_create_bo bo = {.size = 4096};
    struct scree_drm_gem_close gone = {.handle = 1};
    struct scree_emu_file *file;

    assert_int_equal(scree_emu_file_new(device.npu, &file, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(scree_emu_file_ioctl(file, SCREE_ROCKET_CREATE_BO, &bo), 0);
        assert_int_equal(bo.dma_address, 0x10000000 + i * 4096);
        assert_int_equal(scree_emu_file_ioctl(file, SCREE_DRM_GEM_CLOSE, &gone), 0);
    }
    scree_emu_file_free(file);
    close_device(&device);
}

static void test_prep(void **state)
{
    struct device device = open_device("faults=timeout@1 timeout=100");
    struct probe probe = open_probe(&device);
    struct scree_rocket_prep_bo odd = {.handle = 2, .reserved = 1}, unknown = {.handle = 9};
    struct scree_rocket_fini_bo fini = {.handle = 9};
    uint64_t start = now_ns();

    assert_int_equal(prep(&probe, 0), 0);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_PREP_BO, &odd), -EINVAL);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_PREP_BO, &unknown), -ENOENT);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_FINI_BO, &fini), -ENOENT);
    assert_int_equal(submit(&probe), 0);
    assert_int_equal(prep(&probe, 0), -EBUSY);
    assert_int_equal(prep(&probe, INT64_MIN), -EBUSY);
    assert_int_equal(prep(&probe, (int64_t)start + 20000000), -ETIMEDOUT);
    assert_true(now_ns() - start >= 20000000);
    /* After the timeout: success, and the old bytes. */
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    assert_true(now_ns() - start >= 100000000);
    assert_true(is_stale(&probe));
    assert_int_equal(submit(&probe), 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    assert_true(is_right(&probe));
    close_probe(&probe);
    close_device(&device);
}

static void test_linux_6_18(void **state)
{
    struct device device = open_device("kernel=6.18");
    struct probe probe = open_probe(&device);

    assert_int_equal(submit(&probe), 0);
    assert_true(prep(&probe, INT64_MAX) > 0);
    assert_true(is_right(&probe));
    close_probe(&probe);
    close_device(&device);
}

/* What is wrong with one job is not told: it is not there. */
static void test_vanishing(void **state)
{
    struct device device = open_device("");
    struct probe probe = open_probe(&device);
    const uint32_t twice[] = {1, 1}, unknown[] = {7}, out[] = {2};
    struct scree_rocket_submit bad = {.job_count = 1, .job_struct_size = 39};
    struct scree_rocket_submit empty = {.job_struct_size = 1, .reserved = 1};
    struct scree_rocket_submit fault = {.jobs = 16, .job_count = 1, .job_struct_size = 40};

    assert_int_equal(submit_handles(&probe, twice, 2, out, 1, SCREE_PROBE_WORDS), 0);
    assert_int_equal(submit_handles(&probe, out, 1, out, 1, SCREE_PROBE_WORDS), 0);
    assert_int_equal(submit_handles(&probe, unknown, 1, out, 1, SCREE_PROBE_WORDS), 0);
    assert_int_equal(submit_handles(&probe, NULL, 0, out, 1, 0), 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    assert_true(is_stale(&probe));
    assert_int_equal(device.stats->vanished, 4);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_SUBMIT, &bad), -EINVAL);
    bad.job_struct_size = 40;
    bad.reserved = 1;
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_SUBMIT, &bad), -EINVAL);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_SUBMIT, &empty), 0);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_SUBMIT, NULL), -EFAULT);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_SUBMIT, &fault), -EFAULT);
    assert_int_equal(scree_emu_file_ioctl(probe.file, 0xc0106499, &fault), -EINVAL);
    close_probe(&probe);
    close_device(&device);
}

/* A stream for the pooling blocks alone: the kernel waits for the DPU, in vain. */
static void test_pooling_never_ends(void **state)
{
    struct device device = open_device("timeout=50");
    struct probe probe = open_probe(&device);
    uint64_t start = now_ns();

    words_of(&probe)[0] = scree_word(SCREE_TARGET_BARRIER, 0, 0);
    words_of(&probe)[1] = scree_word(SCREE_TARGET_ENABLE, SCREE_REG_PC_OPERATION_ENABLE, 0x60);
    assert_int_equal(submit_handles(&probe, NULL, 0, &probe.output.handle, 1, 2), 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    assert_true(now_ns() - start >= 50000000);
    assert_int_equal(device.stats->cores[0].refused, 0);
    assert_int_equal(device.stats->cores[0].timeouts, 1);
    close_probe(&probe);
    close_device(&device);
}

/* The pointers of a chain, to words that would fail. */
static void test_chain_is_not_followed(void **state)
{
    struct device device = open_device("");
    struct probe probe = open_probe(&device);

    words_of(&probe)[SCREE_PROBE_WORDS - 4] =
        scree_word(SCREE_TARGET_PC, SCREE_REG_PC_BASE_ADDRESS, 0xdead0000);
    words_of(&probe)[SCREE_PROBE_WORDS - 3] =
        scree_word(SCREE_TARGET_PC, SCREE_REG_PC_REGISTER_AMOUNTS, 64);
    assert_int_equal(submit(&probe), 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    assert_true(is_right(&probe));
    assert_int_equal(device.stats->cores[0].tasks, 1);
    close_probe(&probe);
    close_device(&device);
}

/* Jobs of one file stay on one core; three files have three, at the same time. */
static void test_cores(void **state)
{
    struct device device = open_device("faults=timeout@1+ timeout=150");
    struct probe probes[3];
    uint64_t start;

    for (int i = 0; i < 3; i++)
        probes[i] = open_probe(&device);
    start = now_ns();
    assert_int_equal(submit(&probes[0]), 0);
    assert_int_equal(submit(&probes[0]), 0);
    assert_int_equal(prep(&probes[0], INT64_MAX), 0);
    assert_true(now_ns() - start >= 300000000);
    assert_int_equal(device.stats->cores[0].jobs, 2);
    start = now_ns();
    for (int i = 0; i < 3; i++)
        assert_int_equal(submit(&probes[i]), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(prep(&probes[i], INT64_MAX), 0);
    assert_true(now_ns() - start < 400000000);
    assert_int_equal(device.stats->cores[0].jobs, 3);
    assert_int_equal(device.stats->cores[1].jobs, 1);
    assert_int_equal(device.stats->cores[2].jobs, 1);
    for (int i = 0; i < 3; i++)
        close_probe(&probes[i]);
    close_device(&device);
}

static void test_prime_is_refused(void **state)
{
    struct device device = open_device("");
    struct probe probe = open_probe(&device);
    struct scree_drm_prime_handle prime = {.handle = 1};

    assert_true(scree_emu_file_ioctl(probe.file, SCREE_DRM_PRIME_HANDLE_TO_FD, &prime) < 0);
    assert_true(scree_emu_file_ioctl(probe.file, SCREE_DRM_PRIME_FD_TO_HANDLE, &prime) < 0);
    close_probe(&probe);
    close_device(&device);
}

/* A buffer closed while a job runs lives until the job is over; its addresses are then free. */
static void test_close_while_busy(void **state)
{
    struct device device = open_device("faults=timeout@1 timeout=30");
    struct probe probe = open_probe(&device);
    struct scree_drm_gem_close gone = {.handle = 1};
    struct scree_rocket_create_bo bo = {.size = SIZE};

    assert_int_equal(submit(&probe), 0);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_DRM_GEM_CLOSE, &gone), 0);
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_CREATE_BO, &bo), 0);
    assert_int_not_equal(bo.dma_address, 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    bo.size = SIZE;
    assert_int_equal(scree_emu_file_ioctl(probe.file, SCREE_ROCKET_CREATE_BO, &bo), 0);
    assert_int_equal(bo.dma_address, 0);
    close_probe(&probe);
    close_device(&device);
}

/* ---- faults ------------------------------------------------------------------------------------
 */

static void test_faults(void **state)
{
    struct device device = open_device("faults=lost@1,corrupt@2,eio@3,enodev@5 timeout=20");
    struct probe probe = open_probe(&device);
    struct scree_emu_file *file;

    assert_int_equal(submit(&probe), 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    assert_true(is_stale(&probe));
    assert_int_equal(submit(&probe), 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    assert_false(is_stale(&probe));
    assert_false(is_right(&probe));
    assert_int_equal(submit(&probe), -EIO);
    assert_int_equal(submit(&probe), 0);
    assert_int_equal(prep(&probe, INT64_MAX), 0);
    assert_true(is_right(&probe));
    assert_int_equal(submit(&probe), 0);
    assert_int_equal(prep(&probe, INT64_MAX), -ENODEV);
    assert_int_equal(submit(&probe), -ENODEV);
    assert_int_equal(scree_emu_file_new(device.npu, &file, NULL), -ENODEV);
    assert_int_equal(device.stats->injected, 4);
    close_probe(&probe);
    close_device(&device);
}

/* Random faults: the same for the same seed, about as many as asked for. */
static void test_random_faults(void **state)
{
    char first[1001], second[1001];

    for (int round = 0; round < 2; round++) {
        struct device device = open_device("faults=lost%10 seed=7");
        struct probe probe = open_probe(&device);
        char *pattern = round ? second : first;
        int n_lost = 0;

        for (int i = 0; i < 1000; i++) {
            memset(probe.output_bytes, STALE, probe.output.size);
            assert_int_equal(submit(&probe), 0);
            assert_int_equal(prep(&probe, INT64_MAX), 0);
            pattern[i] = is_stale(&probe) ? 'x' : '.';
            n_lost += pattern[i] == 'x';
            assert_true(pattern[i] == 'x' || is_right(&probe));
        }
        pattern[1000] = '\0';
        assert_in_range(n_lost, 60, 140);
        assert_int_equal(device.stats->injected, n_lost);
        close_probe(&probe);
        close_device(&device);
    }
    assert_string_equal(first, second);
}

static void test_settings(void **state)
{
    static const struct {
        const char *name, *value;
    } wrong[] = {
        {"cores", "4"},         {"cores", ""},        {"cores", "-1"},
        {"rounding", "down"},   {"clock", "0"},       {"clock", "1GHz"},
        {"timeout", "0"},       {"kernel", "5.10"},   {"faults", "melt@1"},
        {"faults", "lost"},     {"faults", "lost@0"}, {"faults", "lost@2x"},
        {"faults", "lost%101"}, {"faults", "lost%"},  {"faults", "eio@1,,lost"},
        {"seed", "x"},          {"pace", "yes"},      {"iova", "0xfffff000"},
        {"colour", "red"},
    };
    struct scree_emu_options options;

    scree_emu_options_init(&options);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct scree_error err = {""};

        if (scree_emu_options_set(&options, wrong[i].name, wrong[i].value, &err) != -EINVAL)
            fail_msg("%s=%s is taken", wrong[i].name, wrong[i].value);
        assert_true(strlen(err.text) > 0);
    }
    assert_int_equal(scree_emu_options_set(&options, "faults", "timeout%2.5@3+,eio@9", NULL), 0);
    assert_int_equal(options.n_rules, 2);
    assert_true(options.rules[0].percent == 2.5);
    assert_int_equal(options.rules[0].first, 3);
    assert_true(options.rules[0].last == UINT64_MAX);
    assert_int_equal(options.rules[1].last, 9);
}

/* Three threads, a file each, at once: no result is another's. */
static void *run_many(void *arg)
{
    struct probe probe = open_probe(arg);

    for (int i = 0; i < 50; i++) {
        memset(probe.output_bytes, STALE, probe.output.size);
        assert_int_equal(submit(&probe), 0);
        assert_int_equal(prep(&probe, INT64_MAX), 0);
        assert_true(is_right(&probe));
    }
    close_probe(&probe);
    return NULL;
}

static void test_threads(void **state)
{
    struct device device = open_device("");
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, &device), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(device.stats->cores[0].tasks + device.stats->cores[1].tasks +
                         device.stats->cores[2].tasks,
                     150);
    close_device(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_rounding_setting),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_odd_count),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_address_settings),
        cmocka_unit_test(test_prep),
        cmocka_unit_test(test_linux_6_18),
        cmocka_unit_test(test_vanishing),
        cmocka_unit_test(test_pooling_never_ends),
        cmocka_unit_test(test_chain_is_not_followed),
        cmocka_unit_test(test_cores),
        cmocka_unit_test(test_prime_is_refused),
        cmocka_unit_test(test_close_while_busy),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_random_faults),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
