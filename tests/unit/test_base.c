/* Errors, checked sizes, the arena, files and text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/text.h"

static void test_error_text_and_code(void **state)
{
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_fail(&err, EBADMSG, "tensor %d: rank %d", 3, 9), -EBADMSG);
    assert_string_equal(err.text, "tensor 3: rank 9");
    assert_int_equal(scree_wrap(&err, -EBADMSG, "subgraph %d", 1), -EBADMSG);
    assert_string_equal(err.text, "subgraph 1: tensor 3: rank 9");
    assert_int_equal(scree_fail(NULL, EINVAL, "nobody listens"), -EINVAL);
    assert_int_equal(scree_wrap(NULL, -EINVAL, "nobody listens"), -EINVAL);
}

static void test_error_text_is_cut_not_overrun(void **state)
{
    struct scree_error err;

    (void)state;
    scree_fail(&err, EINVAL, "%0600d", 7);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    scree_wrap(&err, -EINVAL, "context");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "context: 000", 12);
}

static void test_checked_sizes(void **state)
{
    size_t n = 77;

    (void)state;
    assert_true(scree_mul_size(6, 7, &n) && n == 42);
    assert_false(scree_mul_size(SIZE_MAX / 2, 3, &n));
    assert_false(scree_add_size(SIZE_MAX, 1, &n));
    assert_false(scree_align_size(SIZE_MAX - 3, 64, &n));
    assert_int_equal(n, 42);
    assert_true(scree_align_size(65, 64, &n) && n == 128);
    assert_true(scree_range_fits(4, 4, 8));
    assert_false(scree_range_fits(4, 5, 8));
    assert_false(scree_range_fits(9, 0, 8));
    assert_false(scree_range_fits(4, SIZE_MAX, 8));
}

static void test_arena_zeroes_aligns_and_limits(void **state)
{
    struct scree_arena arena;
    char *text;

    (void)state;
    scree_arena_init(&arena, 20000);
    for (int i = 0; i < 100; i++) {
        uint8_t *bytes = scree_arena_calloc(&arena, 1, 33);

        assert_non_null(bytes);
        assert_int_equal((uintptr_t)bytes % 16, 0);
        for (int k = 0; k < 33; k++)
            assert_int_equal(bytes[k], 0);
        memset(bytes, 0xff, 33);
    }
    text = scree_arena_strndup(&arena, "picture", 3);
    assert_string_equal(text, "pic");
    assert_null(scree_arena_calloc(&arena, SIZE_MAX / 2, 3));
    assert_null(scree_arena_calloc(&arena, 1, 20000));
    assert_true(arena.total_bytes <= 20000);
    scree_arena_done(&arena);
    assert_int_equal(arena.total_bytes, 0);
    scree_arena_done(&arena);
}

static void test_mapped_refuses_what_is_no_file(void **state)
{
    struct scree_mapped mapped;
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_mapped_open("/nonexistent/model", &mapped, &err), -ENOENT);
    assert_string_equal(err.text, "/nonexistent/model: No such file or directory");
    assert_int_equal(scree_mapped_open("/", &mapped, &err), -EINVAL);
    assert_string_equal(err.text, "/: not a regular file");
}

/* Writes by way of a new name: what was there stays until the whole file is. */
static void test_file_is_replaced_whole(void **state)
{
    char directory[] = "/tmp/scree_base_XXXXXX", path[64], link[64], missing[64];
    struct scree_error err;
    struct stat st;
    uint8_t *bytes;
    size_t n_bytes;

    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/file", directory);
    (void)snprintf(link, sizeof link, "%s/link", directory);
    (void)snprintf(missing, sizeof missing, "%s/none/file", directory);

    assert_int_equal(scree_file_write(path, "first", 5, &err), 0);
    assert_int_equal(scree_file_write(path, "", 0, &err), 0);
    assert_int_equal(scree_file_read(path, 0, &bytes, &n_bytes, &err), 0);
    assert_int_equal(n_bytes, 0);
    free(bytes);

    /* Through a link, which stays one. */
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(scree_file_write(link, "second", 6, &err), 0);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(scree_file_read(path, 6, &bytes, &n_bytes, &err), 0);
    assert_int_equal(n_bytes, 6);
    assert_memory_equal(bytes, "second", 6);
    free(bytes);

    assert_int_equal(scree_file_read(path, 5, &bytes, &n_bytes, &err), -E2BIG);
    assert_non_null(strstr(err.text, "/file: 6 bytes are over the limit of 5"));
    assert_int_equal(scree_file_write(missing, "x", 1, &err), -ENOENT);
    assert_int_equal(scree_file_write(directory, "x", 1, &err), -EIO);
    assert_int_equal(scree_file_write("/dev/null", "x", 1, &err), 0);
    assert_int_equal(stat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));

    assert_int_equal(unlink(link), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0); /* so nothing else was left in it */
}

/* The pages of files that are in this process's memory: some hundreds more or less, as the kernel
 * counts for each processor by itself. */
static long file_pages(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long size, resident, shared;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld %ld", &size, &resident, &shared), 3);
    fclose(file);
    return shared;
}

static bool all_are(const uint8_t *bytes, size_t n, uint8_t value)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static void test_released_pages_are_read_again(void **state)
{
    enum { N = 32 << 20 };
    char path[] = "/tmp/test_base.XXXXXX";
    uint8_t *bytes = malloc(N), elsewhere[16] = {1};
    struct scree_mapped mapped;
    struct scree_error err;
    int fd = mkstemp(path);
    long before, least = N / sysconf(_SC_PAGESIZE) / 2;

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 7, N);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(scree_file_write(path, bytes, N, &err), 0);
    free(bytes);
    assert_int_equal(scree_mapped_open(path, &mapped, &err), 0);
    assert_int_equal(unlink(path), 0);

    for (int round = 0; round < 2; round++) {
        assert_true(all_are(mapped.bytes, N, 7));
        before = file_pages();
        scree_mapped_release(&mapped, mapped.bytes + 5, N - 10);
        assert_true(before - file_pages() >= least);
    }
    scree_mapped_release(&mapped, elsewhere, sizeof elsewhere);
    scree_mapped_release(&mapped, mapped.bytes + N, 0);
    scree_mapped_release(&mapped, mapped.bytes + 1, N);
    scree_mapped_release(&mapped, mapped.bytes + 1, SIZE_MAX);
    assert_int_equal(elsewhere[0], 1);
    assert_true(all_are(mapped.bytes, N, 7));
    scree_mapped_done(&mapped);
}

static void test_text_is_quoted_and_cut(void **state)
{
    static const struct {
        const char *text;
        size_t room;
        const char *quoted;
    } rows[] = {
        {"", 8, "\"\""},
        {"12345", 8, "\"12345\""},
        {"123456", 8, "\"12...\""},
        {"1\xc3\xa4"
         "456",
         8, "\"1...\""},
        {"\xe2\x82\xac"
         "45678",
         9, "\"\xe2\x82\xac...\""},
        {"\xf0\x9f\x90\xb1"
         "45678",
         9, "\"...\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char quoted[16];

        memset(quoted, 'x', sizeof quoted);
        assert_string_equal(scree_text_quote(rows[i].text, quoted, rows[i].room), rows[i].quoted);
        assert_int_equal(quoted[rows[i].room], 'x');
    }
}

static void test_text_is_copied_and_cut(void **state)
{
    static const char cat[] = "1\xc3\xa4\xf0\x9f\x90\xb1";
    static const size_t lengths[] = {0, 0, 1, 1, 3, 3, 3, 3, 7, 7};

    (void)state;
    for (size_t room = 1; room < sizeof lengths / sizeof lengths[0]; room++) {
        char copy[16];

        memset(copy, 'x', sizeof copy);
        assert_ptr_equal(scree_text_copy(cat, copy, room), copy);
        assert_int_equal(strlen(copy), lengths[room]);
        assert_memory_equal(copy, cat, lengths[room]);
        assert_int_equal(copy[room], 'x');
    }
}

/* What a stranger named, cut in a character, would make the whole answer none in UTF-8. */
static void test_error_text_is_safe(void **state)
{
    struct scree_error err;

    (void)state;
    assert_int_equal(scree_fail(&err, EINVAL, "no '%.4s'", "a\xc3\xa4\xc3\xa4"), -EINVAL);
    assert_string_equal(err.text, "no 'a\xc3\xa4?'");
    (void)scree_fail(&err, EINVAL, "\xff\x1b[2J");
    assert_int_equal(scree_wrap(&err, -EINVAL, "a\n%.1s", "\xc3\xa4"), -EINVAL);
    assert_string_equal(err.text, "a??: ??[2J");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_text_and_code),
        cmocka_unit_test(test_error_text_is_cut_not_overrun),
        cmocka_unit_test(test_checked_sizes),
        cmocka_unit_test(test_arena_zeroes_aligns_and_limits),
        cmocka_unit_test(test_mapped_refuses_what_is_no_file),
        cmocka_unit_test(test_file_is_replaced_whole),
        cmocka_unit_test(test_released_pages_are_read_again),
        cmocka_unit_test(test_text_is_quoted_and_cut),
        cmocka_unit_test(test_text_is_copied_and_cut),
        cmocka_unit_test(test_error_text_is_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
