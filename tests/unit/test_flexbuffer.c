/* FlexBuffers maps: every number kind and width, and broken bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/flexbuffer.h"
#include "support/tflite_writer.h"

static const struct tw_option detection[] = {
    {"max_detections", TW_INT, 10},
    {"max_classes_per_detection", TW_INT, 1},
    {"num_classes", TW_INT, 90},
    {"nms_score_threshold", TW_FLOAT, 0.25},
    {"nms_iou_threshold", TW_FLOAT, 0.5},
    {"use_regular_nms", TW_BOOL, 1},
    {"y_scale", TW_FLOAT, 10},
    {"offset", TW_INT, -3},
};

#define N_DETECTION (sizeof detection / sizeof detection[0])

static void test_reads_numbers(void **state)
{
    struct tw *tw = tw_new();
    struct scree_flexmap map;
    size_t n;
    const uint8_t *bytes = tw_flexmap(tw, detection, N_DETECTION, &n);

    (void)state;
    assert_int_equal(scree_flexmap_open(bytes, n, &map, NULL), 0);
    assert_int_equal(map.n, N_DETECTION);
    assert_int_equal(scree_flexmap_int(&map, "max_detections", 0), 10);
    assert_int_equal(scree_flexmap_int(&map, "offset", 0), -3);
    assert_int_equal(scree_flexmap_int(&map, "y_scale", 0), 10);
    assert_true(scree_flexmap_float(&map, "nms_iou_threshold", 0) == 0.5f);
    assert_true(scree_flexmap_float(&map, "num_classes", 0) == 90.0f);
    assert_true(scree_flexmap_bool(&map, "use_regular_nms", false));
    assert_true(scree_flexmap_bool(&map, "offset", false));
    assert_true(scree_flexmap_has(&map, "y_scale"));
    assert_false(scree_flexmap_has(&map, "y_scal"));
    assert_false(scree_flexmap_has(&map, "y_scale2"));
    assert_int_equal(scree_flexmap_int(&map, "missing", -7), -7);
    assert_true(scree_flexmap_float(&map, "missing", 1.5f) == 1.5f);
    assert_true(scree_flexmap_bool(&map, "missing", true));
    tw_free(tw);
}

/* Maps of one key "k", byte by byte: "k", 0; 1 key: its distance; keys' distance, keys' width, 1
 * value; the value; its type; the root. All of width 1 but where it says. */
static void test_reads_each_kind(void **state)
{
    static const struct {
        const char *what;
        uint8_t bytes[40];
        size_t n;
        int64_t i;
        float f;
    } rows[] = {
        {"int", {'k', 0, 1, 3, 1, 1, 1, 0xfb, 1 << 2, 2, 9 << 2, 1}, 12, -5, -5.0f},
        {"uint", {'k', 0, 1, 3, 1, 1, 1, 0xfb, 2 << 2, 2, 9 << 2, 1}, 12, 251, 251.0f},
        {"bool", {'k', 0, 1, 3, 1, 1, 1, 1, 26 << 2, 2, 9 << 2, 1}, 12, 1, 1.0f},
        {"indirect int of 2 bytes",
         {0x00, 0x80, 'k', 0, 1, 3, 1, 1, 1, 9, 6 << 2 | 1, 2, 9 << 2, 1},
         14,
         -32768,
         -32768.0f},
        {"indirect uint of 4 bytes",
         {0, 0, 0, 0x80, 'k', 0, 1, 3, 1, 1, 1, 11, 7 << 2 | 2, 2, 9 << 2, 1},
         16,
         INT64_C(0x80000000),
         0x1p31f},
        {"indirect double",
         {0, 0, 0, 0, 0, 0, 0xf8, 0xbf, 'k', 0, 1, 3, 1, 1, 1, 15, 8 << 2 | 3, 2, 9 << 2, 1},
         20,
         -1,
         -1.5f},
        {"indirect float",
         {0, 0, 0x20, 0x40, 'k', 0, 1, 3, 1, 1, 1, 11, 8 << 2 | 2, 2, 9 << 2, 1},
         16,
         2,
         2.5f},
        {"not a number: null", {'k', 0, 1, 3, 1, 1, 1, 0, 0, 2, 9 << 2, 1}, 12, 77, 77.0f},
        {"not a number: a string", {'k', 0, 1, 3, 1, 1, 1, 7, 5 << 2, 2, 9 << 2, 1}, 12, 77, 77.0f},
        {"a float of 1 byte", {'k', 0, 1, 3, 1, 1, 1, 7, 3 << 2, 2, 9 << 2, 1}, 12, 77, 77.0f},
        {"an offset before the start",
         {'k', 0, 1, 3, 1, 1, 1, 8, 6 << 2, 2, 9 << 2, 1},
         12,
         77,
         77.0f},
        {"a double over int64",
         {0, 0, 0, 0, 0, 0, 0xe0, 0x43, 'k', 0, 1, 3, 1, 1, 1, 15, 8 << 2 | 3, 2, 9 << 2, 1},
         20,
         77,
         0x1p63f},
        {"an uint over int64",
         {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,       0xff, 'k',    0,
          1,    3,    1,    1,    1,    15,   7 << 2 | 3, 2,    9 << 2, 1},
         20,
         77,
         77.0f},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scree_flexmap map;

        print_message("[ %s ]\n", rows[i].what);
        assert_int_equal(scree_flexmap_open(rows[i].bytes, rows[i].n, &map, NULL), 0);
        assert_true(scree_flexmap_has(&map, "k"));
        assert_int_equal(scree_flexmap_int(&map, "k", 77), rows[i].i);
        assert_true(scree_flexmap_float(&map, "k", 77.0f) == rows[i].f);
    }
}

static void test_refuses_what_is_no_map(void **state)
{
    static const struct {
        const char *what;
        uint8_t bytes[16];
        size_t n;
    } rows[] = {
        {"nothing", {0}, 0},
        {"two bytes", {9 << 2, 1}, 2},
        {"a number", {7, 1 << 2, 1}, 3},
        {"a width of 3", {'k', 0, 1, 3, 1, 1, 1, 5, 4, 2, 9 << 2, 3}, 12},
        {"a root of 8 bytes in 3", {2, 9 << 2, 8}, 3},
        {"values before the start", {0, 2, 9 << 2, 1}, 4},
        {"more values than bytes", {'k', 0, 1, 3, 1, 1, 200, 5, 4, 2, 9 << 2, 1}, 12},
        {"keys before the start", {'k', 0, 1, 3, 9, 1, 1, 5, 4, 2, 9 << 2, 1}, 12},
        {"keys of width 3", {'k', 0, 1, 3, 1, 3, 1, 5, 4, 2, 9 << 2, 1}, 12},
        {"two keys, one value", {'k', 0, 2, 3, 1, 1, 1, 5, 4, 2, 9 << 2, 1}, 12},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scree_flexmap map;
        struct scree_error err;

        print_message("[ %s ]\n", rows[i].what);
        assert_int_equal(scree_flexmap_open(rows[i].bytes, rows[i].n, &map, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "are not a FlexBuffers map"));
    }
}

/* Every byte with every value, in memory of the exact size. */
static void test_survives_every_byte(void **state)
{
    struct tw *tw = tw_new();
    size_t n;
    const uint8_t *good = tw_flexmap(tw, detection, N_DETECTION, &n);
    uint8_t *bytes = malloc(n);

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, good, n);
    for (size_t at = 0; at < n; at++) {
        for (unsigned value = 0; value < 256; value++) {
            struct scree_flexmap map;

            bytes[at] = (uint8_t)value;
            if (scree_flexmap_open(bytes, n, &map, NULL) < 0)
                continue;
            for (size_t i = 0; i < N_DETECTION; i++) {
                (void)scree_flexmap_int(&map, detection[i].key, 0);
                (void)scree_flexmap_float(&map, detection[i].key, 0);
            }
        }
        bytes[at] = good[at];
    }
    free(bytes);
    tw_free(tw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_numbers),
        cmocka_unit_test(test_reads_each_kind),
        cmocka_unit_test(test_refuses_what_is_no_map),
        cmocka_unit_test(test_survives_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
