/* Files packed behind a model: found by name or by what the metadata says of them; stored, deflated
 * and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/reader.h"
#include "support/tflite_writer.h"
#include "support/zip_writer.h"

#define UNPACK_BYTES ((size_t)20 << 20)

static const char labels[] = "cat\ndog\ncat\ndog\ncat\ndog\ncat\ndog\n";

/* ---- TFLITE_METADATA, by the slots of metadata_schema.fbs -------------------------------------*/

/* Where the file's name stands. */
enum place { AT_OUTPUT, AT_SUBGRAPH, AT_MODEL, N_PLACES };

static void put_file(struct fbw *out, size_t at, const char *name, uint8_t type)
{
    struct fbw_slot file[] = {[0] = FBW_REF, [2] = FBW_U8(type)};
    size_t first = fbw_references(out, at, 1);

    fbw_table(out, first, file, 3);
    fbw_string(out, file[0].at, name);
}

static struct fbw write_metadata(enum place place, const char *name, uint8_t type)
{
    struct fbw_slot model[] = {
        [0] = FBW_REF, [3] = FBW_REF, [6] = {.n_bytes = place == AT_MODEL ? 4 : 0}};
    struct fbw_slot subgraph[] = {[3] = FBW_REF, [4] = {.n_bytes = place == AT_SUBGRAPH ? 4 : 0}};
    struct fbw_slot tensor[] = {[0] = FBW_REF, [6] = {.n_bytes = place == AT_OUTPUT ? 4 : 0}};
    struct fbw out = {0};
    size_t first;

    fbw_number(&out, 0, 4);
    fbw_put(&out, "M001", 4);
    fbw_table(&out, 0, model, 7);
    first = fbw_references(&out, model[3].at, 1);
    fbw_table(&out, first, subgraph, 5);
    first = fbw_references(&out, subgraph[3].at, 1);
    fbw_table(&out, first, tensor, 7);
    if (place == AT_OUTPUT)
        put_file(&out, tensor[6].at, name, type);
    if (place == AT_SUBGRAPH)
        put_file(&out, subgraph[4].at, name, type);
    if (place == AT_MODEL)
        put_file(&out, model[6].at, name, type);
    fbw_string(&out, tensor[0].at, "probability");
    fbw_string(&out, model[0].at, "a classifier");
    return out;
}

/* ---- models with an archive -------------------------------------------------------------------*/

struct packed {
    struct fbw file;
    struct scree_graph graph;
    struct scree_arena arena;
};

/* A model with metadata (NULL: none) and an archive of members[n] behind it. Offsets count from the
 * file's start, or from the archive's. */
static void pack(struct packed *p, const struct fbw *metadata, bool from_archive,
                 const struct zipw_member *members, size_t n_members)
{
    struct tw *tw = tw_new();
    size_t n;
    const uint8_t *bytes;

    *p = (struct packed){0};
    if (metadata)
        tw_metadata(tw, "TFLITE_METADATA", metadata->bytes, metadata->n);
    bytes = tw_finish(tw, &n);
    fbw_put(&p->file, bytes, n);
    zipw_write(&p->file, from_archive ? n : 0, members, n_members);
    tw_free(tw);
    assert_int_equal(scree_graph_read(p->file.bytes, p->file.n, &p->graph, NULL), 0);
    scree_arena_init(&p->arena, UNPACK_BYTES);
}

static void unpack_done(struct packed *p)
{
    scree_graph_done(&p->graph);
    scree_arena_done(&p->arena);
    free(p->file.bytes);
}

static void expect_file(struct packed *p, const char *name, const char *text, size_t n)
{
    struct scree_error err;
    const uint8_t *bytes;
    size_t n_bytes;

    if (scree_graph_file(&p->graph, name, &p->arena, &bytes, &n_bytes, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(n_bytes, n);
    assert_memory_equal(bytes, text, n);
}

static void expect_error(struct packed *p, const char *name, int rc, const char *text)
{
    struct scree_error err;
    const uint8_t *bytes = (const uint8_t *)text;
    size_t n_bytes = 77;

    assert_int_equal(scree_graph_file(&p->graph, name, &p->arena, &bytes, &n_bytes, &err), rc);
    if (strcmp(err.text, text) != 0)
        fail_msg("\"%s\", not \"%s\"", err.text, text);
    assert_true(bytes == (const uint8_t *)text && n_bytes == 77);
}

static void test_finds_files_by_name(void **state)
{
    const struct zipw_member members[] = {
        {.name = "empty", .bytes = "", .n_bytes = 0},
        {.name = "stored.txt", .bytes = labels, .n_bytes = sizeof labels - 1},
        {.name = "deflated", .bytes = labels, .n_bytes = sizeof labels - 1, .deflate = true},
    };

    (void)state;
    for (int from_archive = 0; from_archive < 2; from_archive++) {
        struct packed p;

        pack(&p, NULL, from_archive != 0, members, 3);
        expect_file(&p, "stored.txt", labels, sizeof labels - 1);
        assert_int_equal(p.arena.total_bytes, 0);
        expect_file(&p, "deflated", labels, sizeof labels - 1);
        expect_file(&p, "empty", "", 0);
        expect_file(&p, NULL, labels, sizeof labels - 1);
        expect_error(&p, "stored.tx", -ENOENT, "no packed file \"stored.tx\"");
        expect_error(&p, "", -ENOENT, "no packed file \"\"");
        unpack_done(&p);
    }
}

static void test_finds_labels_by_metadata(void **state)
{
    const struct zipw_member members[] = {
        {.name = "a.txt", .bytes = "wrong", .n_bytes = 5},
        {.name = "classes", .bytes = labels, .n_bytes = sizeof labels - 1},
        {.name = "b.txt", .bytes = "wrong", .n_bytes = 5},
    };

    (void)state;
    for (enum place place = AT_OUTPUT; place < N_PLACES; place++) {
        for (uint8_t type = 2; type <= 3; type++) {
            struct fbw metadata = write_metadata(place, "classes", type);
            struct packed p;

            pack(&p, &metadata, false, members, 3);
            expect_file(&p, NULL, labels, sizeof labels - 1);
            unpack_done(&p);
            free(metadata.bytes);
        }
    }
}

static void test_guesses_without_metadata(void **state)
{
    const struct zipw_member members[] = {
        {.name = "vocabulary", .bytes = "wrong", .n_bytes = 5},
        {.name = "one.txt", .bytes = labels, .n_bytes = sizeof labels - 1},
        {.name = "two.txt", .bytes = "wrong", .n_bytes = 5},
    };
    static const struct {
        const char *name; /* in the metadata */
        uint8_t type;
    } rows[] = {{"missing", 2}, {"vocabulary", 5}, {"vocabulary", 0}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fbw metadata = write_metadata(AT_OUTPUT, rows[i].name, rows[i].type);
        struct packed p;

        pack(&p, &metadata, false, members, 2);
        expect_file(&p, NULL, labels, sizeof labels - 1);
        unpack_done(&p);
        pack(&p, &metadata, false, members, 3);
        expect_error(&p, NULL, -ENOENT, "no label file among the packed files");
        unpack_done(&p);
        free(metadata.bytes);
    }
}

static void test_refuses_broken_metadata(void **state)
{
    const struct zipw_member member = {.name = "x.txt", .bytes = "x", .n_bytes = 1};
    struct fbw metadata = write_metadata(AT_OUTPUT, "classes", 2);
    struct packed p;

    (void)state;
    fbw_set(&metadata, 0, 0x7fffffff, 4);
    pack(&p, &metadata, false, &member, 1);
    assert_int_equal(
        scree_graph_file(&p.graph, NULL, &p.arena, &(const uint8_t *){NULL}, &(size_t){0}, NULL),
        -EBADMSG);
    expect_file(&p, "x.txt", "x", 1);
    unpack_done(&p);
    free(metadata.bytes);
}

static void test_refuses_broken_members(void **state)
{
    const struct {
        struct zipw_member member;
        int rc;
        const char *text;
    } rows[] = {
        {{.flags = 1}, -ENOTSUP, "packed file \"f\": encrypted"},
        {{.method = 12}, -ENOTSUP, "packed file \"f\": compression method 12"},
        {{.crc_error = 1}, -EBADMSG, "packed file \"f\": its checksum is 1ac8f0b4, not 1ac8f0b5"},
        {{.crc_error = 1, .deflate = true},
         -EBADMSG,
         "packed file \"f\": its checksum is 1ac8f0b4, not 1ac8f0b5"},
        {{.more_bytes = 1},
         -EBADMSG,
         "packed file \"f\": stored, but of two sizes: 32 and 33 bytes"},
        {{.more_bytes = 1, .deflate = true},
         -EBADMSG,
         "packed file \"f\": its deflated data is damaged"},
        {{.more_bytes = 0xffffffff, .deflate = true},
         -EBADMSG,
         "packed file \"f\": its deflated data is damaged"},
        {{.method = 8}, -EBADMSG, "packed file \"f\": its deflated data is damaged"},
        {{.more_bytes = 16 << 20, .deflate = true},
         -E2BIG,
         "packed file \"f\": 16777248 bytes, the limit is 16777216"},
        {{.more_packed = 1000, .deflate = true}, -EBADMSG, NULL},
        {{.local_error = 1}, -EBADMSG, NULL},
        {{.local_error = 1u << 30}, -EBADMSG, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct zipw_member member = rows[i].member;
        struct scree_error err;
        const uint8_t *bytes;
        size_t n_bytes;
        struct packed p;
        int rc;

        member.name = "f";
        member.bytes = labels;
        member.n_bytes = sizeof labels - 1;
        pack(&p, NULL, false, &member, 1);
        rc = scree_graph_file(&p.graph, "f", &p.arena, &bytes, &n_bytes, &err);
        if (rc != rows[i].rc || (rows[i].text && strcmp(err.text, rows[i].text) != 0))
            fail_msg("row %zu: %d \"%s\"", i, rc, rc < 0 ? err.text : "");
        unpack_done(&p);
    }
}

static void test_names_are_safe_in_errors(void **state)
{
    const struct zipw_member member = {
        .name = "\x1b[2J.txt", .bytes = "x", .n_bytes = 1, .flags = 1};
    struct packed p;

    (void)state;
    pack(&p, NULL, false, &member, 1);
    expect_error(&p, NULL, -ENOTSUP, "packed file \"?[2J.txt\": encrypted");
    unpack_done(&p);
}

static void test_full_arena(void **state)
{
    const struct zipw_member member = {
        .name = "f", .bytes = labels, .n_bytes = sizeof labels - 1, .deflate = true};
    struct packed p;

    (void)state;
    pack(&p, NULL, false, &member, 1);
    scree_arena_init(&p.arena, 16);
    expect_error(&p, "f", -ENOMEM, "packed file \"f\": no memory for 32 bytes");
    unpack_done(&p);
}

/* The end record and the directory with each byte changed, and every prefix of the file. */
static void test_survives_broken_archives(void **state)
{
    const struct zipw_member members[] = {
        {.name = "a.txt", .bytes = labels, .n_bytes = sizeof labels - 1, .deflate = true},
        {.name = "b", .bytes = labels, .n_bytes = sizeof labels - 1},
    };
    struct packed p;
    size_t start;
    int n_good = 0;

    (void)state;
    pack(&p, NULL, false, members, 2);
    scree_arena_init(&p.arena, (size_t)1 << 16); /* a wrong size need not cost 16 MiB */
    start = p.file.n - 250;
    for (size_t at = start; at < p.file.n; at++) {
        uint8_t old = p.file.bytes[at];

        for (unsigned value = 0; value < 256; value++) {
            const uint8_t *bytes;
            size_t n_bytes;

            p.file.bytes[at] = (uint8_t)value;
            scree_arena_done(&p.arena);
            n_good += scree_graph_file(&p.graph, NULL, &p.arena, &bytes, &n_bytes, NULL) == 0;
        }
        p.file.bytes[at] = old;
    }
    assert_true(n_good > 0 && n_good < 250 * 256);
    for (size_t n = start; n < p.file.n; n++) {
        p.graph.n_file = n;
        expect_error(&p, NULL, -ENOENT, "no archive at the end of the file");
    }
    unpack_done(&p);
}

static void test_comment_and_zip64(void **state)
{
    const struct zipw_member member = {.name = "f", .bytes = "x", .n_bytes = 1};
    struct packed p;

    (void)state;
    pack(&p, NULL, false, &member, 1);
    fbw_set(&p.file, p.file.n - 2, 5, 2);
    fbw_put(&p.file, "hello", 5);
    p.graph.file = p.file.bytes;
    p.graph.n_file = p.file.n;
    expect_file(&p, "f", "x", 1);
    fbw_set(&p.file, p.file.n - 5 - 6, UINT32_MAX, 4);
    expect_error(&p, "f", -ENOTSUP, "the archive is in ZIP64 format");
    fbw_set(&p.file, p.file.n - 5 - 6, UINT32_MAX - 1, 4);
    expect_error(&p, "f", -EBADMSG, "the archive's directory is not in the file");
    unpack_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_files_by_name),
        cmocka_unit_test(test_finds_labels_by_metadata),
        cmocka_unit_test(test_guesses_without_metadata),
        cmocka_unit_test(test_refuses_broken_metadata),
        cmocka_unit_test(test_refuses_broken_members),
        cmocka_unit_test(test_names_are_safe_in_errors),
        cmocka_unit_test(test_full_arena),
        cmocka_unit_test(test_survives_broken_archives),
        cmocka_unit_test(test_comment_and_zip64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
