/* The parts of the device plugin that are pure: health, shares, options. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "plugin/health.h"
#include "plugin/journal.h"
#include "plugin/kmsg.h"
#include "plugin/options.h"
#include "plugin/peer.h"
#include "plugin/shares.h"

#define SECOND_NS UINT64_C(1000000000)

/* ---- health ---------------------------------------------------------------------------------- */

static const struct scree_health_rule rule = {.bad_looks = 2, .good_looks = 3};
static const struct scree_npu_look good = {.reason = SCREE_REASON_READY};
static const struct scree_npu_look bad = {.reason = SCREE_REASON_NODE_MISSING, .text = "gone"};

/* Takes looks, 'g' or 'b' each, a second apart; returns for each 'H' or 'U'. */
static const char *take(struct scree_health *health, const char *looks, uint64_t *now, char *states)
{
    size_t n = strlen(looks);

    for (size_t i = 0; i < n; i++) {
        *now += SECOND_NS;
        (void)scree_health_take(health, &rule, looks[i] == 'g' ? &good : &bad, *now);
        states[i] = health->healthy ? 'H' : 'U';
    }
    states[n] = '\0';
    return states;
}

static void test_health(void **state)
{
    static const struct {
        const char *looks, *states;
    } cases[] = {
        {"g", "H"},
        {"b", "U"},
        {"gbg", "HHH"},
        {"gbb", "HHU"},
        {"gbgbgb", "HHHHHH"},
        {"gbbgg", "HHUUU"},
        {"gbbggg", "HHUUUH"},
        {"gbbggbggg", "HHUUUUUUH"},
        {"bggg", "UUUH"},
        /* Lost again at once: six good looks, then twelve. */
        {"gbbgggbbgggggg", "HHUUUHHUUUUUUH"},
        {"gbbgggbbggggggbbgggggggggggg", "HHUUUHHUUUUUUHHUUUUUUUUUUUUH"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_health health = {0};
        uint64_t now = 1;
        char states[64];

        assert_string_equal(take(&health, cases[i].looks, &now, states), cases[i].states);
    }
}

static void test_health_is_trusted_again(void **state)
{
    struct scree_health health = {0};
    uint64_t now = 1;
    char states[64];

    (void)state;
    (void)take(&health, "gbbgggbbgggggg", &now, states);
    assert_int_equal(health.patience, 2);
    now += 400 * SECOND_NS;
    assert_string_equal(take(&health, "gbbggg", &now, states), "HHUUUH");
    assert_int_equal(health.n_lost, 3);
    assert_int_equal(health.n_regained, 3);
}

static void test_reason_changes(void **state)
{
    static const struct scree_npu_look other = {.reason = SCREE_REASON_PROBE_FAILED,
                                                .text = "wrong"};
    struct scree_health health = {0};

    (void)state;
    assert_true(scree_health_take(&health, &rule, &bad, 1));
    assert_false(scree_health_take(&health, &rule, &bad, 2));
    assert_true(scree_health_take(&health, &rule, &other, 3));
    assert_string_equal(health.why.text, "wrong");
    for (int reason = 0; reason < SCREE_REASONS; reason++)
        assert_true(strlen(scree_reason_name((enum scree_reason)reason)) > 4);
}

/* ---- shares ---------------------------------------------------------------------------------- */

static const struct scree_npus npus = {
    .n = 3, .v = {{.node.name = "accel0"}, {.node.name = "accel1"}, {.node.name = "accel-2"}}};

static void test_share_ids(void **state)
{
    static const struct {
        const char *id;
        int npu, share;
    } cases[] = {{"accel0-0", 0, 0},   {"accel1-11", 1, 11}, {"accel-2-3", 2, 3},
                 {"accel0-12", -1, 0}, {"accel0-", -1, 0},   {"accel0-01", -1, 0},
                 {"accel0", -1, 0},    {"", -1, 0},          {"-", -1, 0},
                 {"accel3-0", -1, 0},  {"accel0-0 ", -1, 0}};
    char text[SCREE_SHARE_ID];
    uint32_t share;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct scree_plugin_npu *npu =
            scree_share_find(&npus, 12, cases[i].id, strlen(cases[i].id), &share);

        if (cases[i].npu < 0) {
            assert_null(npu);
            continue;
        }
        assert_ptr_equal(npu, &npus.v[cases[i].npu]);
        assert_int_equal(share, cases[i].share);
        scree_share_id(npu, share, text);
        assert_string_equal(text, cases[i].id);
    }
}

static void test_preference(void **state)
{
    static const struct {
        struct scree_share_set available, needed;
        uint32_t n;
        struct scree_share_set preferred;
    } cases[] = {
        {{{7, 7, 7}}, {{0}}, 3, {{1, 1, 1}}},
        {{{7, 7, 7}}, {{0}}, 4, {{3, 1, 1}}},
        {{{4, 7, 0}}, {{0}}, 2, {{4, 1, 0}}},
        {{{1, 6, 0}}, {{0}}, 1, {{0, 2, 0}}}, /* where most is left */
        {{{7, 7, 0}}, {{3, 0, 0}}, 3, {{3, 1, 0}}},
        {{{1, 0, 0}}, {{0}}, 5, {{1, 0, 0}}},
        {{{7, 7, 7}}, {{0}}, 0, {{0, 0, 0}}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_share_set set;

        scree_share_prefer(&npus, &cases[i].available, &cases[i].needed, cases[i].n, &set);
        for (int k = 0; k < 3; k++)
            if (set.v[k] != cases[i].preferred.v[k])
                fail_msg("case %zu, NPU %d: %llx", i, k, (unsigned long long)set.v[k]);
    }
}

/* ---- options --------------------------------------------------------------------------------- */

static int parse(const char *const *arguments, struct scree_plugin_options *options,
                 struct scree_error *err)
{
    const char *argv[16] = {"scree-device-plugin"};
    enum scree_plugin_wish wish;
    int argc = 1;

    for (; *arguments; arguments++)
        argv[argc++] = *arguments;
    return scree_plugin_options_parse(argc, (char **)(uintptr_t)argv, options, &wish, err);
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_options(void **state)
{
    struct scree_plugin_options options;
    struct scree_error err;

    (void)state;
    assert_int_equal(setenv("SCREE_PLUGIN_SHARES", "5", 1), 0);
    assert_int_equal(setenv("SCREE_PLUGIN_EXCLUSIVE", "true", 1), 0);
    assert_int_equal(parse(ARGUMENTS("--check-ms=100", "--resource", "a.b/c"), &options, &err), 0);
    assert_int_equal(options.shares, 5);
    assert_int_equal(options.check_ms, 100);
    assert_true(options.exclusive);
    assert_string_equal(options.resource, "a.b/c");
    assert_int_equal(parse(ARGUMENTS("--shares", "2", "--exclusive=false"), &options, &err), 0);
    assert_int_equal(options.shares, 2);
    assert_false(options.exclusive);
    assert_int_equal(setenv("SCREE_PLUGIN_SHARES", "none", 1), 0);
    assert_int_equal(parse(ARGUMENTS(NULL), &options, &err), -EINVAL);
    assert_string_equal(err.text, "SCREE_PLUGIN_SHARES: a whole number from 1 to 64, not \"none\"");
    assert_int_equal(unsetenv("SCREE_PLUGIN_SHARES"), 0);
    assert_int_equal(unsetenv("SCREE_PLUGIN_EXCLUSIVE"), 0);
}

static void test_bad_options(void **state)
{
    static const char *const cases[][2] = {{"--shares", "0"},
                                           {"--shares", "65"},
                                           {"--shares", "-1"},
                                           {"--shares", ""},
                                           {"--shares", NULL},
                                           {"--nonsense", "1"},
                                           {"word", NULL},
                                           {"--route", "both"},
                                           {"--resource", "rk3588"},
                                           {"--resource", "a/b/c"},
                                           {"--log-level", "loud"},
                                           {"--log-format", "xml"},
                                           {"--require-group", "x"},
                                           {"--exclusive=2", NULL},
                                           {"--resource", "kubernetes.io/npu"},
                                           {"--resource", "a.b/3588"},
                                           {"--resource", "3.b/npu"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_plugin_options options;
        struct scree_error err = {""};

        if (parse(ARGUMENTS(cases[i][0], cases[i][1]), &options, &err) != -EINVAL || !err.text[0])
            fail_msg("%s %s was taken", cases[i][0], cases[i][1] ? cases[i][1] : "");
    }
}

static void test_resource_names(void **state)
{
    static const char *const good_names[] = {"npu.rockchip.com/rk3588", "a/b", "x-y.z/A_b.c-d"};
    static const char *const bad_names[] = {"",
                                            "/",
                                            "a/",
                                            "/b",
                                            "a.b",
                                            "a/b/c",
                                            "A.b/c",
                                            "a..b/c",
                                            "-a/b",
                                            "a-/b",
                                            "a/b-",
                                            "a/.b",
                                            "a b/c",
                                            "kubernetes.io/x",
                                            "my.kubernetes.io/x",
                                            "requests.a/b"};

    (void)state;
    for (size_t i = 0; i < sizeof good_names / sizeof good_names[0]; i++)
        assert_true(scree_plugin_is_resource(good_names[i]));
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++)
        if (scree_plugin_is_resource(bad_names[i]))
            fail_msg("\"%s\" was taken", bad_names[i]);
}

/* ---- the kernel's log ------------------------------------------------------------------------ */

static void test_kernel_events(void **state)
{
    static const struct {
        const char *line;
        int event;
    } cases[] = {
        {"3,412,5123456,-;rocket fdab0000.npu: NPU job timed out", SCREE_KERNEL_TIMEOUT},
        {"rocket fdac0000.npu: reset failed", SCREE_KERNEL_RESET},
        {"3,1,2,-;rk_iommu fdab9000.iommu: Page fault at 0x0 of type read", -1},
        {"3,1,2,-;rocket fdab0000.npu: probe with driver rocket failed", SCREE_KERNEL_ERROR},
        {"6,1,2,-;rocket fdab0000.npu: Rockchip NPU core 0 version: 1179210309", -1},
        {"3,1,2,-;mmc0: timed out", -1},
        /* What anybody can have the kernel say, by the name of a process. */
        {"6,1,2,-;rocket timeout[7]: segfault at 0 ip 0 sp 0 error 4", SCREE_KERNEL_ERROR},
        {"6,1,2,-;rocket a.npu: x[7]: segfault at 0 ip 0 sp 0 in reset[0+1]", SCREE_KERNEL_ERROR},
        {"3,1,2,-;Memory cgroup out of memory: Killed process 7 (rocket timeout)", -1},
        {"4,1,2,-;rocket ab.npu/7: potentially unexpected fatal signal, reset", -1},
        {"4,1,2,-;rocket ab.npu: page allocation failure: order:0 timeout", SCREE_KERNEL_ERROR},
        {"rocket", -1},
        {"rocket :                .npu: timeout", -1},
        {"", -1},
        {";", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(scree_kernel_event_of(cases[i].line, strlen(cases[i].line)),
                         cases[i].event);
}

/* ---- the log --------------------------------------------------------------------------------- */

/* Nobody reads it: who writes goes on, and is heard again when somebody does. */
static void test_journal_waits_for_nobody(void **state)
{
    int ends[2], before = dup(STDERR_FILENO);
    char bytes[4096], last = 0;
    ssize_t n;

    (void)state;
    assert_true(before >= 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)alarm(60);
    for (int i = 0; i < 20000; i++)
        SCREE_JOURNAL(ERROR, "a line", {"number", NULL, i});
    (void)alarm(0);
    while ((n = read(ends[0], bytes, sizeof bytes)) > 0)
        last = bytes[n - 1];
    assert_int_equal(last, '\n');
    SCREE_JOURNAL(ERROR, "the last line");
    n = read(ends[0], bytes, sizeof bytes);
    assert_true(n > 15);
    assert_memory_equal(bytes + n - 15, " the last line\n", 15);
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    (void)close(before);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- sockets --------------------------------------------------------------------------------- */

/* A socket takes the place of one before it, and of no other file. */
static void test_socket_takes_no_file(void **state)
{
    static const char *const names[] = {"/socket", "/.socket"};
    char folder[] = "/tmp/scree-plugin-XXXXXX", path[64], other[64];
    struct scree_error err;
    struct stat st;
    int first, second;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    for (size_t i = 0; i < 2; i++) {
        FILE *file;

        (void)snprintf(other, sizeof other, "%s%s", folder, names[i]);
        file = fopen(other, "we");
        assert_non_null(file);
        assert_int_equal(fputs("of somebody else", file) >= 0 && fclose(file) == 0, true);
        assert_int_equal(scree_unix_listen(path, &err), -EIO);
        assert_int_equal(stat(other, &st), 0);
        assert_int_equal(st.st_size, strlen("of somebody else"));
        assert_int_equal(unlink(other), 0);
    }
    first = scree_unix_listen(path, &err);
    second = scree_unix_listen(path, &err);
    assert_true(first >= 0 && second >= 0);
    (void)close(first);
    (void)close(second);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_health_is_trusted_again),
        cmocka_unit_test(test_reason_changes),
        cmocka_unit_test(test_share_ids),
        cmocka_unit_test(test_preference),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_resource_names),
        cmocka_unit_test(test_kernel_events),
        cmocka_unit_test(test_journal_waits_for_nobody),
        cmocka_unit_test(test_socket_takes_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
