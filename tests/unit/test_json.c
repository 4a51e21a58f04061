/* JSON that is read where it lies: ends of values, strings, numbers of tensors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/json.h"

static void test_values_end_where_they_end(void **state)
{
    static const struct {
        const char *text;
        int rc;
        enum scree_json_kind kind;
    } cases[] = {
        {"7", 0, SCREE_JSON_NUMBER},
        {" -1.5e3 ", 0, SCREE_JSON_NUMBER},
        {"true", 0, SCREE_JSON_BOOL},
        {"null", 0, SCREE_JSON_NULL},
        {"\"a]\\\"}\"", 0, SCREE_JSON_STRING},
        {"[[1,2],[\"]\"]]", 0, SCREE_JSON_ARRAY},
        {"{\"a\":[{}],\"b\":\"}\"}", 0, SCREE_JSON_OBJECT},
        {"", -EBADMSG, 0},
        {" ", -EBADMSG, 0},
        {"[", -EBADMSG, 0},
        {"[}", -EBADMSG, 0},
        {"[1]]", -EBADMSG, 0},
        {"\"a", -EBADMSG, 0},
        {"\"a\\\"", -EBADMSG, 0},
        {"1 2", -EBADMSG, 0},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", -EBADMSG, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_json value = {0};
        struct scree_error err;
        int rc = scree_json_open(cases[i].text, strlen(cases[i].text), &value, &err);

        if (rc != cases[i].rc || (rc == 0 && value.kind != cases[i].kind))
            fail_msg("%s: %d, kind %d", cases[i].text, rc, (int)value.kind);
    }
}

/* The number of elements, or a negative errno. */
static int count(const char *text)
{
    struct scree_json root, key, value;
    struct scree_json_walk walk;
    int n = 0, rc = scree_json_open(text, strlen(text), &root, NULL);

    if (rc >= 0)
        rc = scree_json_walk(&root, root.kind, &walk, NULL);
    while (rc >= 0 && (rc = scree_json_next(&walk, &key, &value, NULL)) > 0)
        n++;
    return rc < 0 ? rc : n;
}

static void test_walks(void **state)
{
    static const struct {
        const char *text;
        int n;
    } cases[] = {
        {"[]", 0},
        {"[ ]", 0},
        {"[1]", 1},
        {"[1, [2,3] ,\"4\"]", 3},
        {"{}", 0},
        {"{\"a\": 1}", 1},
        {"{\"a\":1,\"b\":{}}", 2},
        {"[1,]", -EBADMSG},
        {"[,1]", -EBADMSG},
        {"[1 2]", -EBADMSG},
        {"{\"a\"}", -EBADMSG},
        {"{\"a\":}", -EBADMSG},
        {"{a:1}", -EBADMSG},
        {"{\"a\":1,}", -EBADMSG},
        {"{1:2}", -EBADMSG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (count(cases[i].text) != cases[i].n)
            fail_msg("%s: %d", cases[i].text, count(cases[i].text));
}

/* Nothing of a string counts, and the nothing in an empty array does. */
static void test_values_are_counted(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } rows[] = {
        {"7", 1},
        {"\"a,[{\\\",\\\\\"", 1},
        {"[]", 2},
        {"[1,2, 3]", 4},
        {"{\"a,b\": [\"[\", {}], \"c\": null}", 6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scree_json value;

        assert_int_equal(scree_json_open(rows[i].text, strlen(rows[i].text), &value, NULL), 0);
        assert_int_equal(scree_json_count(&value), rows[i].n);
    }
}

static void test_strings(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: no string */
    } cases[] = {
        {"\"abc\"", "abc"},
        {"\"\\u00e4\\n\\/\\\"\"", "\xc3\xa4\n/\""},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
        {"\"\xc3\xa4\xe2\x82\xac\"", "\xc3\xa4\xe2\x82\xac"},
        {"\"\\ud83d\"", NULL},
        {"\"\\ude00\"", NULL},
        {"\"\\ud83dx\"", NULL},
        {"\"\\u12\"", NULL},
        {"\"\\x\"", NULL},
        {"\"\xc3\"", NULL},
        {"\"\xc0\x80\"", NULL},
        {"\"\xed\xa0\x80\"", NULL},
        {"\"\xf4\x90\x80\x80\"", NULL},
        {"\"a\nb\"", NULL},
        {"7", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_json value;
        char to[64];
        ssize_t n;

        assert_int_equal(scree_json_open(cases[i].text, strlen(cases[i].text), &value, NULL), 0);
        n = scree_json_text(&value, to, NULL);
        if (cases[i].want ? n < 0 || strcmp(to, cases[i].want) != 0 : n != -EBADMSG)
            fail_msg("%s: %zd", cases[i].text, n);
    }
}

static int read_numbers(const char *text, enum scree_json_number type, const int64_t *dims,
                        uint32_t rank, void *to)
{
    struct scree_json value;
    size_t n = 1;

    for (uint32_t i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    if (scree_json_open(text, strlen(text), &value, NULL) < 0)
        return -EBADMSG;
    return scree_json_numbers(&value, type, dims, rank, n, false, to, NULL);
}

static void test_numbers_fit_their_types(void **state)
{
    static const struct {
        const char *text;
        enum scree_json_number type;
        int rc;
        uint64_t bits;
    } cases[] = {
        {"[0]", SCREE_JSON_U8, 0, 0},
        {"[255]", SCREE_JSON_U8, 0, 255},
        {"[256]", SCREE_JSON_U8, -E2BIG, 0},
        {"[-1]", SCREE_JSON_U8, -E2BIG, 0},
        {"[-0]", SCREE_JSON_U8, 0, 0},
        {"[7.0]", SCREE_JSON_U8, 0, 7},
        {"[7e1]", SCREE_JSON_U8, 0, 70},
        {"[7.5]", SCREE_JSON_U8, -EBADMSG, 0},
        {"[1e300]", SCREE_JSON_U8, -EBADMSG, 0},
        {"[-128]", SCREE_JSON_S8, 0, 0x80},
        {"[-129]", SCREE_JSON_S8, -E2BIG, 0},
        {"[65535]", SCREE_JSON_U16, 0, 65535},
        {"[-32768]", SCREE_JSON_S16, 0, 0x8000},
        {"[4294967295]", SCREE_JSON_U32, 0, UINT32_MAX},
        {"[4294967296]", SCREE_JSON_U32, -E2BIG, 0},
        {"[-2147483648]", SCREE_JSON_S32, 0, 0x80000000},
        {"[9223372036854775807]", SCREE_JSON_S64, 0, INT64_MAX},
        {"[-9223372036854775808]", SCREE_JSON_S64, 0, (uint64_t)INT64_MIN},
        {"[9223372036854775808]", SCREE_JSON_S64, -E2BIG, 0},
        {"[18446744073709551615]", SCREE_JSON_U64, 0, UINT64_MAX},
        {"[18446744073709551616]", SCREE_JSON_U64, -E2BIG, 0},
        {"[1.5]", SCREE_JSON_F32, 0, 0x3fc00000},
        {"[-0.0]", SCREE_JSON_F32, 0, 0x80000000},
        {"[1e39]", SCREE_JSON_F32, -E2BIG, 0},
        {"[3.4028235e38]", SCREE_JSON_F32, 0, 0x7f7fffff},
        {"[0.1]", SCREE_JSON_F64, 0, 0x3fb999999999999a},
        {"[179769313486231570000000000000000000000]", SCREE_JSON_F32, 0, 0x7f073e4f},
        {"[1e400]", SCREE_JSON_F64, -E2BIG, 0},
        {"[4.9e-324]", SCREE_JSON_F64, 0, 1},
        {"[true]", SCREE_JSON_FLAG, 0, 1},
        {"[2]", SCREE_JSON_FLAG, -E2BIG, 0},
        {"[true]", SCREE_JSON_U8, -EBADMSG, 0},
        {"[NaN]", SCREE_JSON_F32, -EBADMSG, 0},
        {"[01]", SCREE_JSON_U8, -EBADMSG, 0},
        {"[.5]", SCREE_JSON_F32, -EBADMSG, 0},
        {"[1.]", SCREE_JSON_F32, -EBADMSG, 0},
        {"[1e]", SCREE_JSON_F32, -EBADMSG, 0},
        {"[+1]", SCREE_JSON_U8, -EBADMSG, 0},
        {"[null]", SCREE_JSON_U8, -EBADMSG, 0},
        {"[\"1\"]", SCREE_JSON_U8, -EBADMSG, 0},
        {"[1,2]", SCREE_JSON_U8, -EBADMSG, 0},
        {"[]", SCREE_JSON_U8, -EBADMSG, 0},
        {"7", SCREE_JSON_U8, -EBADMSG, 0},
    };
    static const int64_t one[] = {1};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bits = 0;
        int rc = read_numbers(cases[i].text, cases[i].type, one, 1, &bits);

        if (rc != cases[i].rc || (rc == 0 && bits != cases[i].bits))
            fail_msg("%s as %d: %d, %llx", cases[i].text, (int)cases[i].type, rc,
                     (unsigned long long)bits);
    }
}

static void test_arrays_are_nested_as_their_shape(void **state)
{
    static const int64_t dims[] = {2, 3};
    static const struct {
        const char *text;
        int rc;
    } cases[] = {
        {"[1,2,3,4,5,6]", 0},
        {"[[1,2,3],[4,5,6]]", 0},
        {" [ [ 1 , 2 , 3 ] , [ 4 , 5 , 6 ] ] ", 0},
        {"[[1,2],[3,4],[5,6]]", -EBADMSG},
        {"[[1,2,3,4,5,6]]", -EBADMSG},
        {"[[1,2,3],4,5,6]", -EBADMSG},
        {"[1,2,3,[4,5,6]]", -EBADMSG},
        {"[[[1,2,3],[4,5,6]]]", -EBADMSG},
        {"[[1,2,3],[4,5,6],[]]", -EBADMSG},
        {"[[1,2,3],[4,5,6],]", -EBADMSG},
        {"[1,2,3,4,5]", -EBADMSG},
        {"[1,2,3,4,5,6,7]", -EBADMSG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const uint8_t want[] = {1, 2, 3, 4, 5, 6};
        uint8_t to[6] = {0};
        int rc = read_numbers(cases[i].text, SCREE_JSON_U8, dims, 2, to);

        if (rc != cases[i].rc || (rc == 0 && memcmp(to, want, 6) != 0))
            fail_msg("%s: %d", cases[i].text, rc);
    }
}

/* What is read eight bytes at a time, against the long way: all lengths, signs and neighbours. */
static void test_short_numbers_are_read_as_long_ones(void **state)
{
    static const char *const separators[] = {",", ", ", " ,", ",\n"};
    char text[1 << 16];
    int32_t want[4096], got[4096];
    uint64_t seed = 1;

    (void)state;
    for (size_t round = 0; round < 64; round++) {
        size_t n = 0, k = 0;
        int64_t dims[1];

        text[k++] = '[';
        for (; n < 200 + round; n++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            want[n] = (int32_t)(seed >> 32) >> (seed >> 20 & 31);
            k += (size_t)snprintf(text + k, sizeof text - k, "%s%d",
                                  n ? separators[round % 4 ? round % 4 : seed >> 12 & 3] : "",
                                  want[n]);
        }
        text[k++] = ']';
        text[k] = 0;
        dims[0] = (int64_t)n;
        assert_int_equal(read_numbers(text, SCREE_JSON_S32, dims, 1, got), 0);
        assert_memory_equal(got, want, n * sizeof want[0]);
    }
}

static void test_numbers_are_written(void **state)
{
    static const float numbers[] = {0, -1.5f, 1e30f, __builtin_nanf(""), __builtin_inff()};
    static const int8_t integers[] = {-128, 0, 127};
    struct scree_buffer text = {.limit = 1024};

    (void)state;
    scree_json_add_numbers(&text, SCREE_JSON_F32, numbers, 5, false);
    scree_json_add_text(&text, "a\"\n\xff", 4);
    scree_json_add_numbers(&text, SCREE_JSON_S8, integers, 3, false);
    scree_json_add_numbers(&text, SCREE_JSON_F32, numbers + 3, 2, true);
    scree_buffer_add(&text, "", 1);
    assert_string_equal((char *)text.bytes, "0,-1.5,1.00000002e+30,null,null\"a\\\"\\u000a\xef\xbf"
                                            "\xbd\"-128,0,127NaN,Infinity");
    scree_buffer_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_end_where_they_end),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_values_are_counted),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers_fit_their_types),
        cmocka_unit_test(test_arrays_are_nested_as_their_shape),
        cmocka_unit_test(test_short_numbers_are_read_as_long_ones),
        cmocka_unit_test(test_numbers_are_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
