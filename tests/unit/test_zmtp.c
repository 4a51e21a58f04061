/* ZeroMQ's protocol, byte by byte as RFC 23 has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/zmtp.h"

#define MAX_BYTES ((size_t)8192)

#define SIGNATURE "\xff\0\0\0\0\0\0\0\1\x7f"
#define NULL_REST "NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define ZEROS_32  "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define GREETING  SIGNATURE "\3\1" NULL_REST ZEROS_32
#define READY_REQ "\4\x19\5READY\13Socket-Type\0\0\0\3REQ"

/* A literal without the zero at its end. */
#define FEED(peer, text, used, err) \
    scree_zmtp_feed(peer, (const uint8_t *)(text), sizeof(text) - 1, used, err)

/* A peer that has said READY, its output taken away. */
static void start(struct scree_zmtp *peer)
{
    struct scree_error err;
    size_t used;

    scree_zmtp_init(peer, MAX_BYTES);
    assert_int_equal(FEED(peer, GREETING READY_REQ, &used, &err), 0);
    assert_int_equal(used, 64 + 27);
    assert_false(scree_zmtp_is_amid(peer));
    scree_buffer_drop(scree_zmtp_output(peer), scree_zmtp_output(peer)->n);
}

static void assert_frame(const struct scree_zmtp *peer, uint32_t i, const char *text)
{
    assert_true(scree_span_is(scree_zmtp_frame(peer, i, NULL), text));
}

static void assert_output(struct scree_zmtp *peer, const char *bytes, size_t n)
{
    struct scree_buffer *out = scree_zmtp_output(peer);

    assert_int_equal(out->n, n);
    assert_memory_equal(out->bytes, bytes, n);
    scree_buffer_drop(out, n);
}

#define ASSERT_OUTPUT(peer, text) assert_output(peer, text, sizeof(text) - 1)

static void test_handshake(void **state)
{
    struct scree_zmtp peer;
    struct scree_error err;
    size_t used;

    (void)state;
    scree_zmtp_init(&peer, MAX_BYTES);
    assert_int_equal(scree_zmtp_output(&peer)->n, 64);
    assert_memory_equal(scree_zmtp_output(&peer)->bytes, "\xff\0\0\0\0\0\0\0\0\x7f\3\0NULL", 17);
    scree_buffer_drop(scree_zmtp_output(&peer), 64);
    assert_true(scree_zmtp_is_amid(&peer));
    /* Its signature alone comes first, as ZeroMQ sends it. */
    assert_int_equal(FEED(&peer, SIGNATURE, &used, &err), 0);
    assert_int_equal(FEED(&peer, "\3\1" NULL_REST ZEROS_32, &used, &err), 0);
    ASSERT_OUTPUT(&peer, "\4\x19\5READY\13Socket-Type\0\0\0\3REP");
    assert_true(scree_zmtp_is_amid(&peer));
    assert_int_equal(FEED(&peer, READY_REQ, &used, &err), 0);
    assert_false(scree_zmtp_is_amid(&peer));
    scree_zmtp_done(&peer);
}

static void test_requests_in_turn(void **state)
{
    static const char two[] = "\1\0\0\5hello\1\0\1\1a\0\1b";
    const struct scree_span world = {(const uint8_t *)"world", 5}, none = {NULL, 0};
    const struct scree_span both[] = {world, none};
    struct scree_zmtp peer;
    struct scree_error err;
    size_t used;

    (void)state;
    start(&peer);
    assert_int_equal(FEED(&peer, two, &used, &err), 1);
    assert_int_equal(used, 9); /* the second waits */
    assert_int_equal(scree_zmtp_count(&peer), 1);
    assert_frame(&peer, 0, "hello");
    assert_int_equal(scree_zmtp_feed(&peer, (const uint8_t *)two, 1, &used, &err), 1);
    assert_int_equal(used, 0);
    scree_zmtp_reply(&peer, &world, 1);
    ASSERT_OUTPUT(&peer, "\1\0\0\5world");
    assert_int_equal(
        scree_zmtp_feed(&peer, (const uint8_t *)two + 9, sizeof two - 1 - 9, &used, &err), 1);
    assert_int_equal(scree_zmtp_count(&peer), 2);
    assert_frame(&peer, 0, "a");
    assert_frame(&peer, 1, "b");
    scree_zmtp_reply(&peer, both, 2);
    ASSERT_OUTPUT(&peer, "\1\0\1\5world\0\0");
    assert_false(scree_zmtp_is_amid(&peer));
    scree_zmtp_done(&peer);
}

static void test_byte_by_byte(void **state)
{
    static const char all[] = GREETING READY_REQ "\1\2id\1\0\1\1a\2\0\0\0\0\0\0\0\1b";
    const struct scree_span reply = {(const uint8_t *)"r", 1};
    struct scree_zmtp peer;
    struct scree_error err;
    size_t used;

    (void)state;
    scree_zmtp_init(&peer, MAX_BYTES);
    for (size_t i = 0; i < sizeof all - 1; i++) {
        assert_int_equal(scree_zmtp_feed(&peer, (const uint8_t *)all + i, 1, &used, &err),
                         i == sizeof all - 2);
        assert_int_equal(used, 1);
        assert_true(scree_zmtp_is_amid(&peer) || i == 64 + 27 - 1);
    }
    scree_buffer_drop(scree_zmtp_output(&peer), scree_zmtp_output(&peer)->n);
    assert_int_equal(scree_zmtp_count(&peer), 2);
    assert_frame(&peer, 1, "b");
    scree_zmtp_reply(&peer, &reply, 1);
    ASSERT_OUTPUT(&peer, "\1\2id\1\0\0\1r");
    scree_zmtp_done(&peer);
}

static void test_long_frames(void **state)
{
    uint8_t bytes[3 + 9 + 300] = {1, 0, 2, 0, 0, 0, 0, 0, 0, 1, 44};
    uint8_t reply[300];
    struct scree_zmtp peer;
    struct scree_error err;
    size_t used;

    (void)state;
    memset(bytes + 11, 'x', 300);
    memset(reply, 'y', sizeof reply);
    start(&peer);
    assert_int_equal(scree_zmtp_feed(&peer, bytes, 11 + 300, &used, &err), 1);
    assert_int_equal(scree_zmtp_frame(&peer, 0, NULL).n, 300);
    scree_zmtp_reply(&peer, &(struct scree_span){reply, sizeof reply}, 1);
    assert_int_equal(scree_zmtp_output(&peer)->n, 2 + 9 + 300);
    assert_memory_equal(scree_zmtp_output(&peer)->bytes, "\1\0\2\0\0\0\0\0\0\1\x2cyyy", 14);
    scree_zmtp_done(&peer);
}

static void test_room(void **state)
{
    static const char head[] = "\1\0\2\0\0\0\0\0\0\x18\0"; /* 6144 bytes */
    struct scree_zmtp peer;
    struct scree_error err;
    size_t used, n;
    uint8_t *room;

    (void)state;
    start(&peer);
    assert_null(scree_zmtp_room(&peer, &n));
    assert_int_equal(FEED(&peer, head, &used, &err), 0);
    room = scree_zmtp_room(&peer, &n);
    assert_non_null(room);
    assert_int_equal(n, 6144);
    memset(room, 'a', 1000);
    assert_int_equal(scree_zmtp_filled(&peer, 1000, &err), 0);
    room = scree_zmtp_room(&peer, &n);
    assert_int_equal(n, 5144);
    memset(room, 'b', 5143);
    assert_int_equal(scree_zmtp_filled(&peer, 5143, &err), 0);
    assert_null(scree_zmtp_room(&peer, &n)); /* one byte is not worth it */
    assert_int_equal(FEED(&peer, "c", &used, &err), 1);
    assert_int_equal(scree_zmtp_frame(&peer, 0, NULL).n, 6144);
    assert_memory_equal(scree_zmtp_frame(&peer, 0, NULL).bytes + 998, "aabb", 4);
    assert_memory_equal(scree_zmtp_frame(&peer, 0, NULL).bytes + 6142, "bc", 2);
    scree_zmtp_done(&peer);
}

static void test_a_frame_that_is_too_large_is_answered(void **state)
{
    static const char head[] = "\1\0\1\1m\3\0\0\0\0\0\1\0\0"; /* 65536 bytes, and more */
    const struct scree_span reply = {(const uint8_t *)"no", 2};
    static uint8_t body[65536];
    struct scree_zmtp peer;
    struct scree_error err;
    size_t used;
    bool is_cut;

    (void)state;
    start(&peer);
    assert_int_equal(FEED(&peer, head, &used, &err), 0);
    assert_int_equal(scree_zmtp_feed(&peer, body, sizeof body, &used, &err), 0);
    assert_true(peer.in.capacity <= MAX_BYTES + 1024);
    assert_int_equal(FEED(&peer, "\0\1z", &used, &err), 1);
    assert_int_equal(scree_zmtp_count(&peer), 3);
    assert_int_equal(scree_zmtp_frame(&peer, 1, &is_cut).n, 0);
    assert_true(is_cut);
    assert_frame(&peer, 0, "m");
    assert_frame(&peer, 2, "z");
    scree_zmtp_reply(&peer, &reply, 1);
    ASSERT_OUTPUT(&peer, "\1\0\0\2no");
    scree_zmtp_done(&peer);
}

static void test_what_has_no_envelope_is_dropped(void **state)
{
    struct scree_zmtp peer;
    struct scree_error err;
    size_t used;

    (void)state;
    start(&peer);
    assert_int_equal(FEED(&peer, "\1\1a\0\1b", &used, &err), 0);
    assert_false(scree_zmtp_is_amid(&peer));
    assert_int_equal(FEED(&peer, "\1\0\0\1c", &used, &err), 1);
    assert_frame(&peer, 0, "c");
    scree_zmtp_done(&peer);
}

static void test_ping(void **state)
{
    struct scree_zmtp peer;
    struct scree_error err;
    size_t used;

    (void)state;
    start(&peer);
    assert_int_equal(FEED(&peer, "\4\x0a\4PING\0\7abc", &used, &err), 0);
    ASSERT_OUTPUT(&peer, "\4\x08\4PONGabc");
    assert_int_equal(FEED(&peer, "\4\7\6WHATIS", &used, &err), 0);
    assert_int_equal(scree_zmtp_output(&peer)->n, 0);
    scree_zmtp_done(&peer);
}

static void test_refusals(void **state)
{
#define CASE(text, rc, why)             \
    {                                   \
        text, sizeof(text) - 1, rc, why \
    }
    static const struct {
        const char *bytes;
        size_t n;
        int rc;
        const char *why;
    } cases[] = {
        CASE("G", -EBADMSG, "this is not ZeroMQ"),
        CASE("\xff\0\0\0\0\0\0\0\1\0", -EBADMSG, "this is not ZeroMQ"),
        CASE(SIGNATURE "\1", -EBADMSG, "version 1 of ZMTP is not supported"),
        CASE(SIGNATURE "\3\0PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" ZEROS_32, -EBADMSG,
             "security other than NULL is not supported"),
        CASE(GREETING "\0\1x", -EBADMSG, "the peer does not say READY"),
        CASE(GREETING "\4\6\5ERROR", -EBADMSG, "the peer does not say READY"),
        CASE(GREETING "\4\0", -EBADMSG, "a command without a name"),
        CASE(GREETING "\4\2\5R", -EBADMSG, "a command without a name"),
        CASE(GREETING "\4\6\5READY", -EBADMSG, "the peer's socket is neither REQ nor DEALER"),
        CASE(GREETING "\4\x19\5READY\13Socket-Type\0\0\0\3PUB", -EBADMSG,
             "the peer's socket is neither REQ nor DEALER"),
        CASE(GREETING "\4\x19\5READY\13Socket-Type\0\0\0\4REQ", -EBADMSG,
             "the peer's socket is neither REQ nor DEALER"),
        CASE(GREETING READY_REQ "\x08\1x", -EBADMSG, "a frame that is none"),
        CASE(GREETING READY_REQ "\2\1\0\0\0\0\0\0\0", -EBADMSG, "a frame that is none"),
        CASE(GREETING READY_REQ "\1\0\4\5\4PING", -EBADMSG, "a command within a request"),
        CASE(GREETING READY_REQ "\6\0\0\0\0\0\0\x10\1", -E2BIG, "a command of 4097 bytes"),
        CASE(GREETING READY_REQ
             "\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\0\0",
             -E2BIG, "a request of over 16 frames"),
    };
#undef CASE

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_zmtp peer;
        struct scree_error err = {0};
        size_t used;

        scree_zmtp_init(&peer, MAX_BYTES);
        assert_int_equal(
            scree_zmtp_feed(&peer, (const uint8_t *)cases[i].bytes, cases[i].n, &used, &err),
            cases[i].rc);
        assert_string_equal(err.text, cases[i].why);
        scree_zmtp_done(&peer);
    }
}

static void test_an_envelope_that_is_too_long(void **state)
{
    uint8_t bytes[9 + 256 + 4] = {3, 0, 0, 0, 0, 0, 0, 1, 0};
    struct scree_zmtp peer;
    struct scree_error err;
    size_t used;

    (void)state;
    memset(bytes + 9, 'i', 256);
    memcpy(bytes + 9 + 256, "\1\0\0", 4);
    start(&peer);
    assert_int_equal(scree_zmtp_feed(&peer, bytes, sizeof bytes, &used, &err), -E2BIG);
    scree_zmtp_done(&peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_requests_in_turn),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_long_frames),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_a_frame_that_is_too_large_is_answered),
        cmocka_unit_test(test_what_has_no_envelope_is_dropped),
        cmocka_unit_test(test_ping),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_an_envelope_that_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
