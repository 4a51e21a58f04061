/* The FlatBuffer layer on broken bytes, and what shared parts may cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/load.h"
#include "model/flatbuffer.h"
#include "model/reader.h"
#include "support/fb_writer.h"

#define PLENTY ((size_t)1 << 20)

/* A table with a number, a string, a vector of numbers, a table and a vector of tables. */
enum { NUMBER, STRING, NUMBERS, TABLE, TABLES, N_SLOTS };

static struct fbw sample(struct fbw_slot *slots)
{
    static const int32_t numbers[] = {5, -6, 7};
    const struct fbw_slot fresh[N_SLOTS] = {FBW_U32(42), FBW_REF, FBW_REF, FBW_REF, FBW_REF};
    struct fbw_slot child[] = {FBW_U8(9)};
    struct fbw out = {0};
    size_t first;

    memcpy(slots, fresh, sizeof fresh);
    fbw_number(&out, 0, 4);
    fbw_table(&out, 0, slots, N_SLOTS);
    fbw_table(&out, slots[TABLE].at, child, 1);
    first = fbw_references(&out, slots[TABLES].at, 2);
    fbw_table(&out, first, child, 1);
    fbw_table(&out, first + 4, child, 1);
    fbw_vector(&out, slots[NUMBERS].at, numbers, 3, 4, 4);
    fbw_string(&out, slots[STRING].at, "text");
    return out;
}

/* Reads everything; 0 or the first failure. */
static int read_all(const struct fbw *out, size_t work, struct scree_error *err)
{
    struct scree_fb fb;
    struct scree_fb_table root, child;
    struct scree_fb_vector vector;
    size_t n;

    scree_fb_init(&fb, out->bytes, out->n, work);
    root = scree_fb_root(&fb);
    (void)scree_fb_get_u32(&root, NUMBER, 0);
    (void)scree_fb_get_string(&root, STRING, &n);
    vector = scree_fb_get_vector(&root, NUMBERS, 4);
    for (uint32_t i = 0; i < vector.n; i++)
        (void)scree_fb_i32_at(&vector, i);
    child = scree_fb_get_table(&root, TABLE);
    (void)scree_fb_get_u8(&child, 0, 0);
    vector = scree_fb_get_vector(&root, TABLES, 4);
    for (uint32_t i = 0; i < vector.n; i++) {
        child = scree_fb_table_at(&vector, i);
        (void)scree_fb_get_u8(&child, 0, 0);
    }
    return scree_fb_status(&fb, err);
}

static void test_reads_a_good_buffer(void **state)
{
    struct fbw_slot slots[N_SLOTS];
    struct fbw out = sample(slots);
    struct scree_fb_vector vector;
    struct scree_fb_table root, child;
    struct scree_fb fb;
    size_t n;

    (void)state;
    scree_fb_init(&fb, out.bytes, out.n, PLENTY);
    root = scree_fb_root(&fb);
    assert_int_equal(scree_fb_get_u32(&root, NUMBER, 0), 42);
    assert_string_equal(scree_fb_get_string(&root, STRING, &n), "text");
    assert_int_equal(n, 4);
    vector = scree_fb_get_vector(&root, NUMBERS, 4);
    assert_int_equal(vector.n, 3);
    assert_int_equal(scree_fb_i32_at(&vector, 1), -6);
    vector = scree_fb_get_vector(&root, TABLES, 4);
    child = scree_fb_table_at(&vector, 1);
    assert_int_equal(scree_fb_get_u8(&child, 0, 0), 9);
    assert_int_equal(scree_fb_get_u8(&child, 1, 77), 77);
    assert_false(scree_fb_has(&root, N_SLOTS));
    assert_null(scree_fb_get_string(&root, N_SLOTS, &n));
    assert_int_equal(scree_fb_get_vector(&root, N_SLOTS, 4).n, 0);
    child = scree_fb_get_table(&root, N_SLOTS);
    assert_null(child.fb);
    assert_int_equal(scree_fb_get_i32(&child, 0, -5), -5);
    assert_int_equal(scree_fb_status(&fb, NULL), 0);
    free(out.bytes);
}

/* One reference of the file leads out of it. */
static void test_says_what_lies_outside(void **state)
{
    static const struct {
        int slot; /* -1: the root */
        const char *what;
    } rows[] = {
        {-1, "root"}, {STRING, "vector"}, {NUMBERS, "vector"}, {TABLE, "table"}, {TABLES, "vector"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fbw_slot slots[N_SLOTS];
        struct fbw out = sample(slots);
        size_t at = rows[i].slot < 0 ? 0 : slots[rows[i].slot].at;
        struct scree_error err;
        char text[128];

        fbw_set(&out, at, 0x7fffffff, 4);
        assert_int_equal(read_all(&out, PLENTY, &err), -EBADMSG);
        (void)snprintf(text, sizeof text, "the %s at byte %zu does not fit the file's %zu bytes",
                       rows[i].what, at, out.n);
        assert_string_equal(err.text, text);
        free(out.bytes);
    }
}

/* The string comes last, so without its last byte the buffer is broken, however long it is. */
static void test_refuses_every_prefix(void **state)
{
    struct fbw_slot slots[N_SLOTS];
    struct fbw out = sample(slots);

    (void)state;
    assert_int_equal(read_all(&out, PLENTY, NULL), 0);
    for (size_t n = 0; n < out.n; n++) {
        struct fbw prefix = {.bytes = malloc(n ? n : 1), .n = n};

        assert_non_null(prefix.bytes);
        memcpy(prefix.bytes, out.bytes, n);
        assert_int_equal(read_all(&prefix, PLENTY, NULL), -EBADMSG);
        free(prefix.bytes);
    }
    free(out.bytes);
}

/* Every byte with every value. A sanitizer sees what the return value does not. */
static void test_survives_every_byte(void **state)
{
    struct fbw_slot slots[N_SLOTS];
    struct fbw out = sample(slots);
    int n_good = 0, n_bad = 0;

    (void)state;
    for (size_t at = 0; at < out.n; at++) {
        uint8_t old = out.bytes[at];

        for (unsigned value = 0; value < 256; value++) {
            int rc;

            out.bytes[at] = (uint8_t)value;
            rc = read_all(&out, PLENTY, NULL);
            assert_true(rc == 0 || rc == -EBADMSG);
            n_good += rc == 0;
            n_bad += rc != 0;
        }
        out.bytes[at] = old;
    }
    assert_true(n_good > 0 && n_bad > 0);
    free(out.bytes);
}

/* 4 tables, 2 references, 3 numbers and 4 letters. */
static void test_counts_the_work(void **state)
{
    struct fbw_slot slots[N_SLOTS];
    struct fbw out = sample(slots);
    struct scree_error err;

    (void)state;
    assert_int_equal(read_all(&out, 4 + 2 + 3 + 4, NULL), 0);
    for (size_t work = 0; work < 4 + 2 + 3 + 4; work++) {
        assert_int_equal(read_all(&out, work, &err), -E2BIG);
        assert_memory_equal(err.text, "too much to read: its parts, at byte ", 37);
    }
    free(out.bytes);
}

/* ---- files whose parts are used over and over -------------------------------------------------*/

/* Makes n references from `first` on lead where the first one does. */
static void share(struct fbw *out, size_t first, size_t n)
{
    size_t target = first + scree_load_u32(out->bytes + first);

    for (size_t i = 1; i < n; i++)
        fbw_set(out, first + 4 * i, target - (first + 4 * i), 4);
}

/* A model of n_subgraphs times the same subgraph, of n_tensors times the same tensor. */
static struct fbw bomb(size_t n_subgraphs, size_t n_tensors, size_t n_name)
{
    struct fbw_slot model[] = {[0] = FBW_U32(3), [2] = FBW_REF};
    struct fbw_slot subgraph[] = {FBW_REF};
    struct fbw_slot tensor[] = {[3] = FBW_REF};
    struct fbw out = {0};
    size_t subgraphs, tensors;

    fbw_number(&out, 0, 4);
    fbw_put(&out, "TFL3", 4);
    fbw_table(&out, 0, model, 3);
    subgraphs = fbw_references(&out, model[2].at, n_subgraphs);
    fbw_table(&out, subgraphs, subgraph, 1);
    tensors = fbw_references(&out, subgraph[0].at, n_tensors);
    fbw_table(&out, tensors, tensor, 4);
    fbw_vector(&out, tensor[3].at, NULL, n_name, 1, 4);
    memset(out.bytes + out.n - n_name, 'a', n_name);
    fbw_put(&out, "", 1);
    share(&out, subgraphs, n_subgraphs);
    share(&out, tensors, n_tensors);
    return out;
}

static void test_bounds_what_sharing_costs(void **state)
{
    static const struct {
        size_t n_subgraphs, n_tensors, n_name;
        int rc;
        const char *text;
    } rows[] = {
        {1, 60000, 1, 0, NULL},
        {64, 100, 1, 0, NULL},
        {64, 60000, 1, -E2BIG, "subgraph 1: its description needs over "},
        {1, 60000, 60000, -E2BIG, ": too much to read: its parts, at byte "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fbw out = bomb(rows[i].n_subgraphs, rows[i].n_tensors, rows[i].n_name);
        struct scree_graph graph = {0};
        struct scree_error err = {{0}};
        int rc = scree_graph_read(out.bytes, out.n, &graph, &err);

        if (rc != rows[i].rc || (rows[i].text && !strstr(err.text, rows[i].text)))
            fail_msg("row %zu: %d %s", i, rc, err.text);
        scree_graph_done(&graph);
        free(out.bytes);
    }
}

/* 60,000 tensors of the same 60,000 bools. */
static void test_bounds_what_shared_data_costs(void **state)
{
    enum { N = 60000 };
    struct fbw_slot model[] = {[0] = FBW_U32(3), [2] = FBW_REF, [4] = FBW_REF};
    struct fbw_slot subgraph[] = {FBW_REF};
    struct fbw_slot tensor[] = {FBW_REF, FBW_U8(SCREE_TYPE_BOOL), FBW_U32(1)};
    struct fbw_slot empty[] = {{0}}, buffer[] = {FBW_REF};
    struct fbw out = {0};
    struct scree_graph graph;
    struct scree_error err;
    size_t tensors, buffers;

    (void)state;
    fbw_number(&out, 0, 4);
    fbw_put(&out, "TFL3", 4);
    fbw_table(&out, 0, model, 5);
    fbw_table(&out, fbw_references(&out, model[2].at, 1), subgraph, 1);
    tensors = fbw_references(&out, subgraph[0].at, N);
    fbw_table(&out, tensors, tensor, 3);
    share(&out, tensors, N);
    fbw_vector(&out, tensor[0].at, &(int32_t){N}, 1, 4, 4);
    buffers = fbw_references(&out, model[4].at, 2);
    fbw_table(&out, buffers, empty, 1);
    fbw_table(&out, buffers + 4, buffer, 1);
    fbw_vector(&out, buffer[0].at, NULL, N, 1, 16);
    assert_int_equal(scree_graph_read(out.bytes, out.n, &graph, &err), -E2BIG);
    assert_non_null(strstr(err.text, ": its data is used over and over"));
    free(out.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_good_buffer),
        cmocka_unit_test(test_says_what_lies_outside),
        cmocka_unit_test(test_refuses_every_prefix),
        cmocka_unit_test(test_survives_every_byte),
        cmocka_unit_test(test_counts_the_work),
        cmocka_unit_test(test_bounds_what_sharing_costs),
        cmocka_unit_test(test_bounds_what_shared_data_costs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
