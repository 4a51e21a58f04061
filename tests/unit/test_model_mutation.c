/* Broken models: every prefix, and files with flipped bits. Each ends in an error or in a graph
 * that keeps its invariants, whatever else was in the file. Under a sanitizer no read is out of
 * bounds.
 *
 * Beside a model made here, real ones are used if there is a folder of them: $SCREE_SHARED/models,
 * or ../shared/models beside the source tree, in whose root the test is run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "model/reader.h"
#include "support/graph_check.h"
#include "support/tflite_writer.h"
#include "support/zip_writer.h"

#define UNPACK_BYTES ((size_t)20 << 20)
#define N_FLIPS      100000

/* Real models, small ones first: truncation walks every prefix of those under SMALL_BYTES. */
static const char *const real_models[] = {
    "split_concat.tflite",
    "keras_lstm_mnist_ptq.tflite",
    "mlperftiny_kws_dscnn_int8.tflite",
    "mobilenet_v1_0.25_128_quant.tflite",
};

enum { N_REAL = sizeof real_models / sizeof real_models[0], SMALL_BYTES = 60000 };

struct model {
    char name[64];
    uint8_t *bytes; /* u8[n], of malloc */
    size_t n;
};

/* [0] is always there, the others have bytes NULL if there is no folder. */
static struct model models[1 + N_REAL];

static void keep(struct model *model, const char *name, const uint8_t *bytes, size_t n)
{
    (void)snprintf(model->name, sizeof model->name, "%s", name);
    model->bytes = malloc(n);
    assert_non_null(model->bytes);
    memcpy(model->bytes, bytes, n);
    model->n = n;
}

/* One of all that the reader reads. */
static void make_model(struct model *model)
{
    static const struct tw_option options[] = {{"a", TW_INT, 1}, {"b", TW_FLOAT, 2}};
    static const float scales[2] = {0.5f, 0.25f};
    static const int64_t zeros[2] = {1, -1};
    const struct zipw_member member = {
        .name = "labels.txt", .bytes = "cat\ndog\n", .n_bytes = 8, .deflate = true};
    union scree_options conv = {.conv2d = {.stride_w = 1, .stride_h = 1}};
    union scree_options squeeze = {.squeeze.squeeze_dims = TW_LIST(1, 2)};
    struct tw *tw = tw_new();
    struct fbw file = {0};
    const uint8_t *bytes;
    size_t n;

    tw_tensor(tw, "in", SCREE_TYPE_INT8, TW_SHAPE(1, 2, 2, 1));
    tw_constant(tw, "w", SCREE_TYPE_INT8, TW_SHAPE(2, 1, 1, 1), "ab", 2);
    tw_constant(tw, "b", SCREE_TYPE_INT32, TW_SHAPE(2), "01234567", 8);
    tw_tensor(tw, "mid", SCREE_TYPE_INT8, TW_SHAPE(1, 2, 2, 2));
    tw_tensor(tw, "out", SCREE_TYPE_INT8, TW_SHAPE(1, 2));
    tw_tensor(tw, "state", SCREE_TYPE_FLOAT32, TW_SHAPE(3));
    tw_constant(tw, "flags", SCREE_TYPE_BOOL, TW_SHAPE(2), "\0\1", 2);
    tw_constant(tw, "i4", SCREE_TYPE_INT4, TW_SHAPE(3), "ab", 2);
    tw_tensor_at(tw, 0)->signature_rank = 4;
    memcpy(tw_tensor_at(tw, 0)->signature, (int32_t[]){-1, 2, 2, 1}, 16);
    tw_tensor_at(tw, 5)->is_variable = true;
    tw_buffer_at(tw, 2)->outside = true;
    tw_quantize(tw, 0, 0.5f, 3);
    tw_quantize_axis(tw, 1, 0, 2, scales, zeros);
    tw_node(tw, SCREE_OP_CONV_2D, TW_LIST(0, 1, 2), TW_LIST(3), &conv);
    bytes = tw_flexmap(tw, options, 2, &n);
    tw_custom(tw, "Custom", TW_LIST(3, -1, 5), TW_EMPTY, bytes, n);
    tw_node(tw, SCREE_OP_SQUEEZE, TW_LIST(3), TW_LIST(4), &squeeze);
    tw_ports(tw, TW_LIST(0), TW_LIST(4));
    tw_signature(tw, "run", 0, &(struct tw_map){"x", 0}, 1, &(struct tw_map){"y", 4}, 1);
    tw_metadata(tw, "TFLITE_METADATA", "\4\0\0\0", 4);
    bytes = tw_finish(tw, &n);
    fbw_put(&file, bytes, n);
    zipw_write(&file, 0, &member, 1);
    keep(model, "synthetic", file.bytes, file.n);
    free(file.bytes);
    tw_free(tw);
}

static int load_models(void **state)
{
    const char *shared = getenv("SCREE_SHARED");

    (void)state;
    make_model(&models[0]);
    for (int i = 0; i < N_REAL; i++) {
        struct scree_mapped mapped;
        char path[4096];

        (void)snprintf(path, sizeof path, "%s/models/%s", shared ? shared : "../shared",
                       real_models[i]);
        if (scree_mapped_open(path, &mapped, NULL) < 0)
            continue;
        keep(&models[i + 1], real_models[i], mapped.bytes, mapped.n_bytes);
        scree_mapped_done(&mapped);
    }
    return 0;
}

static int free_models(void **state)
{
    (void)state;
    for (int i = 0; i <= N_REAL; i++)
        free(models[i].bytes);
    return 0;
}

/* Reads bytes u8[n]; true if they are a model. */
static bool try(const char *name, const uint8_t *bytes, size_t n, size_t where)
{
    struct scree_graph graph;
    struct scree_arena arena;
    const uint8_t *packed;
    size_t n_packed;
    const char *broken;
    struct scree_error err = {{0}};
    int rc = scree_graph_read(bytes, n, &graph, &err);

    if (rc < 0) {
        if ((rc != -EBADMSG && rc != -ENOTSUP && rc != -E2BIG) || !err.text[0])
            fail_msg("%s, at %zu: %d \"%s\"", name, where, rc, err.text);
        return false;
    }
    broken = graph_check(&graph);
    if (broken)
        fail_msg("%s, at %zu: %s", name, where, broken);
    scree_arena_init(&arena, UNPACK_BYTES);
    (void)scree_graph_file(&graph, NULL, &arena, &packed, &n_packed, NULL);
    scree_arena_done(&arena);
    scree_graph_done(&graph);
    return true;
}

/* A prefix ends at an allocation's end, where a sanitizer watches. */
static void try_prefix(const struct model *model, size_t n)
{
    uint8_t *prefix = malloc(n ? n : 1);

    assert_non_null(prefix);
    memcpy(prefix, model->bytes, n);
    (void)try(model->name, prefix, n, n);
    free(prefix);
}

static void test_every_prefix(void **state)
{
    (void)state;
    for (int i = 0; i <= N_REAL; i++) {
        const struct model *model = &models[i];
        size_t step = model->n < SMALL_BYTES ? 1 : model->n / 1499;

        if (!model->bytes)
            continue;
        for (size_t n = 0; n < model->n; n += step)
            try_prefix(model, n);
        assert_true(try(model->name, model->bytes, model->n, model->n));
        print_message("%s: every prefix, in steps of %zu\n", model->name, step);
    }
}

/* splitmix64, by Sebastiano Vigna. */
static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* A bit to flip. Most of a model is weights, which nobody checks: three of four flips go into what
 * lies at its ends, where the tables are. */
static size_t random_bit(size_t n, uint64_t *seed)
{
    size_t edge = n < 8192 ? n : 8192;
    uint64_t random = next_random(seed);
    size_t at = (size_t)(random >> 8);

    switch (random & 3) {
    case 0:
        at %= n;
        break;
    case 1:
        at %= edge;
        break;
    default:
        at = n - 1 - at % edge;
    }
    return 8 * at + (random >> 2 & 7);
}

/* One to four bits at a time, put back after. */
static int flip(const struct model *model, int n_flips, uint64_t *seed)
{
    int n_good = 0;

    while (n_flips > 0) {
        size_t bits[4];
        int n = 1 + (int)(next_random(seed) & 3);

        for (int k = 0; k < n; k++) {
            bits[k] = random_bit(model->n, seed);
            model->bytes[bits[k] / 8] ^= (uint8_t)(1u << bits[k] % 8);
        }
        n_good += try(model->name, model->bytes, model->n, bits[0]);
        for (int k = 0; k < n; k++)
            model->bytes[bits[k] / 8] ^= (uint8_t)(1u << bits[k] % 8);
        n_flips -= n;
    }
    return n_good;
}

static void test_flipped_bits(void **state)
{
    uint64_t seed = 20260801;
    int n_models = 0;

    (void)state;
    for (int i = 0; i <= N_REAL; i++)
        n_models += models[i].bytes != NULL;
    for (int i = 0; i <= N_REAL; i++) {
        int n_flips = N_FLIPS / n_models + 1;
        int n_good;

        if (!models[i].bytes)
            continue;
        n_good = flip(&models[i], n_flips, &seed);
        print_message("%s: %d flips, %d files still good\n", models[i].name, n_flips, n_good);
        assert_true(n_good > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_flipped_bits),
    };

    return cmocka_run_group_tests(tests, load_models, free_models);
}
