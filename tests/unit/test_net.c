/* Protocol framing: Protocol Buffers and gRPC, bytes in, events out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "net/grpc.h"
#include "net/grpc_text.h"
#include "net/inflate.h"
#include "net/pb.h"

/* ---- Protocol Buffers ---- */

static void test_pb_reads_what_it_writes(void **state)
{
    static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    struct scree_buffer buffer = {.limit = 1 << 16};
    struct scree_pb_reader reader;
    struct scree_pb_field field;

    (void)state;
    for (uint32_t i = 0; i < 7; i++) {
        scree_pb_add_varint(&buffer, i + 1, values[i]);
        scree_pb_add_i64(&buffer, i + 1, values[i]);
        scree_pb_add_i32(&buffer, i + 1, (uint32_t)values[i]);
    }
    scree_pb_add_text(&buffer, 0x1fffffff, "text");
    assert_false(buffer.failed);
    reader = (struct scree_pb_reader){buffer.bytes, buffer.bytes + buffer.n};
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(scree_pb_next(&reader, &field), 1);
        assert_true(field.number == i + 1 && field.wire == SCREE_PB_VARINT);
        assert_true(field.value == values[i]);
        assert_int_equal(scree_pb_next(&reader, &field), 1);
        assert_true(field.wire == SCREE_PB_I64 && field.value == values[i]);
        assert_int_equal(scree_pb_next(&reader, &field), 1);
        assert_true(field.wire == SCREE_PB_I32 && field.value == (uint32_t)values[i]);
    }
    assert_int_equal(scree_pb_next(&reader, &field), 1);
    assert_true(field.number == 0x1fffffff && field.wire == SCREE_PB_LEN && field.n == 4);
    assert_memory_equal(field.bytes, "text", 4);
    assert_int_equal(scree_pb_next(&reader, &field), 0);
    scree_buffer_done(&buffer);
}

/* The bytes of protobuf.dev, "Encoding". */
static void test_pb_bytes(void **state)
{
    static const uint8_t want[] = {0x08, 0x96, 0x01, 0x1a, 0x03, 0x08,
                                   0x96, 0x01, 0x12, 0x02, 'h',  'i'};
    struct scree_buffer buffer = {.limit = 64};
    size_t mark;

    (void)state;
    scree_pb_add_varint(&buffer, 1, 150);
    mark = scree_pb_begin(&buffer, 3);
    scree_pb_add_varint(&buffer, 1, 150);
    scree_pb_end(&buffer, mark);
    scree_pb_add_text(&buffer, 2, "hi");
    assert_int_equal(buffer.n, sizeof want);
    assert_memory_equal(buffer.bytes, want, sizeof want);
    scree_buffer_done(&buffer);
}

static void test_pb_long_embedded_message(void **state)
{
    struct scree_buffer buffer = {.limit = 1 << 20};
    struct scree_pb_reader reader;
    struct scree_pb_field field;
    size_t outer = scree_pb_begin(&buffer, 1), inner = scree_pb_begin(&buffer, 2);
    uint8_t *bytes = calloc(1, 100000);

    (void)state;
    scree_pb_add_bytes(&buffer, 3, bytes, 100000);
    scree_pb_end(&buffer, inner);
    scree_pb_end(&buffer, outer);
    free(bytes);
    reader = (struct scree_pb_reader){buffer.bytes, buffer.bytes + buffer.n};
    for (uint32_t number = 1; number <= 3; number++) {
        assert_int_equal(scree_pb_next(&reader, &field), 1);
        assert_int_equal(field.number, number);
        assert_ptr_equal(field.bytes + field.n, buffer.bytes + buffer.n);
        reader = (struct scree_pb_reader){field.bytes, field.bytes + field.n};
    }
    assert_int_equal(field.n, 100000);
    scree_buffer_done(&buffer);
}

static void test_pb_refuses(void **state)
{
    static const struct {
        uint8_t bytes[12];
        size_t n;
    } cases[] = {
        {{0x08}, 1},                            /* no value */
        {{0x00, 0x00}, 2},                      /* field number 0 */
        {{0x80}, 1},                            /* half a tag */
        {{0xf8, 0xff, 0xff, 0xff, 0x7f, 0}, 6}, /* field number over 2^29 - 1 */
        {{0x0b, 0x0c}, 2},                      /* a group */
        {{0x0e}, 1},                            /* wire type 6 */
        {{0x0a, 0x05, 1, 2}, 4},                /* cut off */
        {{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, 11}, /* 2^64 - 1 */
        {{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}, 11}, /* 65 bits */
        {{0x0d, 1, 2, 3}, 4},             /* half a fixed32 */
        {{0x09, 1, 2, 3, 4, 5, 6, 7}, 8}, /* half a fixed64 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct scree_pb_reader reader = {cases[i].bytes, cases[i].bytes + cases[i].n};
        struct scree_pb_field field;

        if (scree_pb_next(&reader, &field) != -EBADMSG)
            fail_msg("case %zu was read", i);
    }
}

static void test_pb_repeated(void **state)
{
    static const uint8_t packed[] = {0x0a, 0x04, 0x01, 0x96, 0x01, 0x02, 0x08, 0x03};
    static const uint64_t want[] = {1, 150, 2, 3};
    struct scree_pb_reader reader = {packed, packed + sizeof packed};
    struct scree_pb_field field;
    struct scree_pb_values values;
    uint64_t value;
    size_t n = 0;

    (void)state;
    while (scree_pb_next(&reader, &field) > 0)
        for (values = scree_pb_values(&field, SCREE_PB_VARINT);
             scree_pb_next_value(&values, &value) > 0;)
            assert_true(value == want[n++]);
    assert_int_equal(n, 4);
    values = scree_pb_values(&field, SCREE_PB_I32);
    assert_int_equal(scree_pb_next_value(&values, &value), -EBADMSG);
    field = (struct scree_pb_field){1, SCREE_PB_LEN, 0, packed, 6};
    values = scree_pb_values(&field, SCREE_PB_I32);
    assert_int_equal(scree_pb_next_value(&values, &value), 1);
    assert_int_equal(scree_pb_next_value(&values, &value), -EBADMSG);
}

static void test_buffer_keeps_its_limit(void **state)
{
    struct scree_buffer buffer = {.limit = 10};

    (void)state;
    scree_buffer_add(&buffer, "12345678", 8);
    assert_false(buffer.failed);
    scree_buffer_add(&buffer, "123", 3);
    assert_true(buffer.failed);
    scree_buffer_add(&buffer, "1", 1);
    assert_int_equal(buffer.n, 8);
    scree_buffer_done(&buffer);
    scree_buffer_add(&buffer, "1234567890", 10);
    assert_false(buffer.failed);
    scree_buffer_drop(&buffer, 4);
    assert_memory_equal(buffer.bytes, "567890", 6);
    scree_buffer_done(&buffer);
}

/* ---- gRPC: a client and a server, and what they say to each other ---- */

/* One side, and what happened to it. */
struct side {
    struct scree_grpc *grpc;
    struct scree_grpc_call *call; /* the last that was opened */
    int n_opened, n_messages, n_ended, n_closed;
    size_t n_bytes; /* of messages */
    uint8_t first;  /* byte of the last message */
    enum scree_grpc_status status;
    char text[256];
    /* what the server does */
    enum scree_grpc_status refuse;
    bool echo, no_memory;
};

static enum scree_grpc_status opened(void *context, struct scree_grpc_call *call)
{
    struct side *side = context;

    side->n_opened++;
    side->call = call;
    scree_grpc_set_user(call, side);
    return side->refuse;
}

static bool admit(void *context, struct scree_grpc_call *call, size_t n)
{
    const struct side *side = context;

    (void)call, (void)n;
    return !side->no_memory;
}

static void message(void *context, struct scree_grpc_call *call, const uint8_t *bytes, size_t n)
{
    struct side *side = context;

    side->n_messages++;
    side->n_bytes += n;
    side->first = n > 0 ? bytes[0] : 0;
    if (side->echo)
        assert_int_equal(scree_grpc_send(call, bytes, n, NULL), 0);
}

static void ended(void *context, struct scree_grpc_call *call)
{
    struct side *side = context;

    side->n_ended++;
    if (side->echo)
        scree_grpc_finish(call, SCREE_GRPC_OK, NULL);
}

static void closed(void *context, struct scree_grpc_call *call, enum scree_grpc_status status,
                   const char *text)
{
    struct side *side = context;

    if (side->call == call)
        side->call = NULL;
    side->n_closed++;
    side->status = status;
    (void)snprintf(side->text, sizeof side->text, "%s", text);
}

static const struct scree_grpc_events events = {opened, admit, message, ended, closed};

struct talk {
    struct side client, server;
    size_t chunk; /* how many bytes go at once */
};

static void start(struct talk *talk, const struct scree_grpc_limits *limits)
{
    struct scree_error err;

    *talk = (struct talk){.chunk = SIZE_MAX};
    assert_int_equal(
        scree_grpc_new_server(limits, &events, &talk->server, &talk->server.grpc, &err), 0);
    assert_int_equal(scree_grpc_new_client(&scree_grpc_default_limits, &events, &talk->client,
                                           &talk->client.grpc, &err),
                     0);
}

static void stop(struct talk *talk)
{
    scree_grpc_free(talk->client.grpc);
    scree_grpc_free(talk->server.grpc);
}

/* Returns true if anything was said. */
static bool carry(struct talk *talk, struct scree_grpc *from, struct scree_grpc *to)
{
    size_t n;
    const uint8_t *bytes = scree_grpc_output(from, &n);

    if (!bytes)
        return false;
    n = n < talk->chunk ? n : talk->chunk;
    assert_int_equal(scree_grpc_feed(to, bytes, n, 1, NULL), 0);
    scree_grpc_sent(from, n);
    return true;
}

static void speak(struct talk *talk)
{
    bool more = true;

    while (more) {
        more = carry(talk, talk->client.grpc, talk->server.grpc);
        more |= carry(talk, talk->server.grpc, talk->client.grpc);
    }
}

static struct scree_grpc_call *begin(struct talk *talk)
{
    struct scree_grpc_call *call = NULL;

    assert_int_equal(
        scree_grpc_call(talk->client.grpc, "localhost", "/package.Service/Method", &call, NULL), 0);
    return call;
}

static void test_grpc_unary(void **state)
{
    static const size_t chunks[] = {1, 7, SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct talk talk;
        struct scree_grpc_call *call;

        start(&talk, &scree_grpc_default_limits);
        talk.chunk = chunks[i];
        talk.server.echo = true;
        call = begin(&talk);
        assert_int_equal(scree_grpc_send(call, "hello", 5, NULL), 0);
        scree_grpc_finish(call, SCREE_GRPC_OK, NULL);
        speak(&talk);
        assert_int_equal(talk.server.n_opened, 1);
        assert_int_equal(talk.server.n_messages, 1);
        assert_int_equal(talk.server.n_ended, 1);
        assert_int_equal(talk.server.n_closed, 1);
        assert_int_equal(talk.client.n_messages, 1);
        assert_int_equal(talk.client.n_bytes, 5);
        assert_int_equal(talk.client.n_closed, 1);
        assert_int_equal(talk.client.status, SCREE_GRPC_OK);
        assert_true(scree_grpc_is_idle(talk.client.grpc) && scree_grpc_is_idle(talk.server.grpc));
        stop(&talk);
    }
}

/* Larger than any window, both ways; and an empty one. */
static void test_grpc_large_messages(void **state)
{
    size_t n = (size_t)5 << 20;
    uint8_t *bytes = malloc(n);
    struct talk talk;
    struct scree_grpc_call *call;

    (void)state;
    memset(bytes, 7, n);
    start(&talk, &scree_grpc_default_limits);
    talk.server.echo = true;
    call = begin(&talk);
    assert_int_equal(scree_grpc_send(call, NULL, 0, NULL), 0);
    assert_int_equal(scree_grpc_send(call, bytes, n, NULL), 0);
    scree_grpc_finish(call, SCREE_GRPC_OK, NULL);
    speak(&talk);
    assert_int_equal(talk.client.n_messages, 2);
    assert_int_equal(talk.client.n_bytes, n);
    assert_int_equal(talk.client.first, 7);
    assert_int_equal(talk.client.status, SCREE_GRPC_OK);
    free(bytes);
    stop(&talk);
}

/* The server sends what it likes, when it likes. */
static void test_grpc_server_streams(void **state)
{
    struct talk talk;
    struct scree_grpc_call *call;

    (void)state;
    start(&talk, &scree_grpc_default_limits);
    call = begin(&talk);
    scree_grpc_finish(call, SCREE_GRPC_OK, NULL);
    speak(&talk);
    assert_int_equal(talk.server.n_ended, 1);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(scree_grpc_send(talk.server.call, "x", 1, NULL), 0);
        speak(&talk);
        assert_int_equal(talk.client.n_messages, i + 1);
    }
    scree_grpc_finish(talk.server.call, SCREE_GRPC_NOT_FOUND, "100 % of \xc3\xa4\n");
    speak(&talk);
    assert_int_equal(talk.client.status, SCREE_GRPC_NOT_FOUND);
    assert_string_equal(talk.client.text, "100 % of \xc3\xa4\n");
    stop(&talk);
}

static void test_grpc_refused_calls(void **state)
{
    struct scree_grpc_limits small = scree_grpc_default_limits;
    struct talk talk;
    struct scree_grpc_call *call;

    (void)state;
    small.max_message_bytes = 10;
    start(&talk, &small);
    talk.server.refuse = SCREE_GRPC_UNIMPLEMENTED;
    call = begin(&talk);
    speak(&talk);
    assert_int_equal(talk.client.status, SCREE_GRPC_UNIMPLEMENTED);

    talk.server.refuse = SCREE_GRPC_OK;
    call = begin(&talk);
    assert_int_equal(scree_grpc_send(call, "12345678901", 11, NULL), 0);
    speak(&talk);
    assert_int_equal(talk.client.status, SCREE_GRPC_RESOURCE_EXHAUSTED);
    assert_string_equal(talk.client.text, "the message is too large");

    talk.server.no_memory = true;
    call = begin(&talk);
    assert_int_equal(scree_grpc_send(call, "1", 1, NULL), 0);
    speak(&talk);
    assert_int_equal(talk.client.status, SCREE_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(talk.client.n_closed, 3);
    assert_int_equal(talk.server.n_closed, 3);
    assert_int_equal(talk.server.n_messages, 0);
    stop(&talk);
}

static void test_grpc_a_peer_that_does_not_read(void **state)
{
    struct scree_grpc_limits small = scree_grpc_default_limits;
    struct talk talk;
    struct scree_error err;

    (void)state;
    small.max_waiting_bytes = 100;
    start(&talk, &small);
    (void)begin(&talk);
    speak(&talk);
    assert_int_equal(scree_grpc_send(talk.server.call, "12345", 5, &err), 0);
    for (int i = 0; i < 9; i++)
        assert_int_equal(scree_grpc_send(talk.server.call, "12345", 5, &err), 0);
    assert_int_equal(scree_grpc_waiting(talk.server.call), 100);
    assert_int_equal(scree_grpc_send(talk.server.call, "", 0, &err), -E2BIG);
    scree_grpc_finish(talk.server.call, SCREE_GRPC_OK, NULL);
    speak(&talk);
    assert_int_equal(talk.client.n_messages, 10);
    stop(&talk);
}

static void test_grpc_cancel(void **state)
{
    struct talk talk;
    struct scree_grpc_call *call;

    (void)state;
    start(&talk, &scree_grpc_default_limits);
    call = begin(&talk);
    speak(&talk);
    scree_grpc_cancel(call);
    speak(&talk);
    assert_int_equal(talk.server.n_closed, 1);
    assert_int_equal(talk.server.status, SCREE_GRPC_CANCELLED);
    assert_int_equal(talk.client.n_closed, 1);
    (void)begin(&talk);
    stop(&talk);
    assert_int_equal(talk.client.n_closed, 2);
    assert_int_equal(talk.client.status, SCREE_GRPC_UNAVAILABLE);
}

static void test_grpc_goes_away(void **state)
{
    struct talk talk;
    struct scree_grpc_call *call;

    (void)state;
    start(&talk, &scree_grpc_default_limits);
    talk.server.echo = true;
    call = begin(&talk);
    speak(&talk);
    scree_grpc_go_away(talk.server.grpc);
    speak(&talk);
    assert_false(scree_grpc_is_idle(talk.server.grpc));
    scree_grpc_finish(call, SCREE_GRPC_OK, NULL);
    speak(&talk);
    assert_int_equal(talk.client.status, SCREE_GRPC_OK);
    assert_true(scree_grpc_is_idle(talk.server.grpc));
    stop(&talk);
}

/* A client that opens and resets calls without end. */
static void test_grpc_rapid_reset(void **state)
{
    struct talk talk;
    struct scree_error err;
    int rc = 0, n = 0;

    (void)state;
    start(&talk, &scree_grpc_default_limits);
    for (; rc == 0 && n < 100000; n++) {
        const uint8_t *bytes;
        size_t n_bytes;

        struct scree_grpc_call *call = begin(&talk);

        bytes = scree_grpc_output(talk.client.grpc, &n_bytes);
        rc = scree_grpc_feed(talk.server.grpc, bytes, n_bytes, 1, &err);
        scree_grpc_sent(talk.client.grpc, n_bytes);
        scree_grpc_cancel(call);
        bytes = scree_grpc_output(talk.client.grpc, &n_bytes);
        if (rc == 0)
            rc = scree_grpc_feed(talk.server.grpc, bytes, n_bytes, 1, &err);
        scree_grpc_sent(talk.client.grpc, n_bytes);
        (void)scree_grpc_output(talk.server.grpc, &n_bytes);
        scree_grpc_sent(talk.server.grpc, n_bytes);
    }
    assert_int_equal(rc, -E2BIG);
    assert_in_range(n, 1000, 1002);
    stop(&talk);
}

/* A client that opens streams over the limit, which it does not acknowledge, and never reads what
 * it is told of them: that is not kept without end. */
static void test_grpc_refusals_that_are_not_read(void **state)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    const uint32_t max_calls = scree_grpc_default_limits.max_calls;
    struct side server = {0};
    struct scree_error err;
    uint32_t n = 0;
    int rc;

    (void)state;
    assert_int_equal(
        scree_grpc_new_server(&scree_grpc_default_limits, &events, &server, &server.grpc, &err), 0);
    rc = scree_grpc_feed(server.grpc, (const uint8_t *)preface, sizeof preface - 1, 1, &err);
    for (; rc == 0 && n < 100000; n++) {
        uint32_t stream = 2 * n + 1;
        /* HEADERS, all of them, with one that is in HPACK's table: ":method: POST". */
        const uint8_t open[] = {0,
                                0,
                                1,
                                1,
                                4,
                                (uint8_t)(stream >> 24),
                                (uint8_t)(stream >> 16),
                                (uint8_t)(stream >> 8),
                                (uint8_t)stream,
                                0x83};

        rc = scree_grpc_feed(server.grpc, open, sizeof open, 1, &err);
    }
    assert_int_equal(rc, -E2BIG);
    assert_in_range(n, 1000, 1000 + 6 * max_calls);
    scree_grpc_free(server.grpc);
}

/* A server that goes on with what its client does not want to hear more of. */
static void test_grpc_client_refuses(void **state)
{
    /* SETTINGS; HEADERS with HPACK's ":status: 200"; DATA with the prefix of a compressed message
     * of a byte, and DATA with that byte; the trailer "grpc-status: 0". */
    static const char answer[] = "\0\0\0\4\0\0\0\0\0\0\0\1\1\4\0\0\0\1\x88"
                                 "\0\0\5\0\0\0\0\0\1\1\0\0\0\1\0\0\1\0\0\0\0\0\1x"
                                 "\0\0\x0f\1\5\0\0\0\1\0\013grpc-status\0010";
    struct talk talk;
    size_t n;

    (void)state;
    start(&talk, &scree_grpc_default_limits);
    (void)begin(&talk);
    (void)scree_grpc_output(talk.client.grpc, &n);
    scree_grpc_sent(talk.client.grpc, n);
    assert_int_equal(
        scree_grpc_feed(talk.client.grpc, (const uint8_t *)answer, sizeof answer - 1, 1, NULL), 0);
    (void)scree_grpc_output(talk.client.grpc, &n);
    assert_int_equal(talk.client.n_messages, 0);
    assert_int_equal(talk.client.n_closed, 1);
    assert_int_equal(talk.client.status, SCREE_GRPC_UNIMPLEMENTED);
    assert_string_equal(talk.client.text, "compressed messages are not understood");
    stop(&talk);
}

static void test_grpc_timeouts(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {{"100m", 100000000},
                 {"0n", 0},
                 {"99999999n", 99999999},
                 {"1u", 1000},
                 {"2S", 2000000000},
                 {"1M", 60000000000},
                 {"5124095H", UINT64_C(18446742000000000000)},
                 {"5124096H", UINT64_MAX},
                 {"99999999H", UINT64_MAX},
                 {"100000000n", UINT64_MAX},
                 {"", UINT64_MAX},
                 {"m", UINT64_MAX},
                 {"-1S", UINT64_MAX},
                 {"1", UINT64_MAX},
                 {"1Sx", UINT64_MAX}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (scree_grpc_text_timeout(cases[i].text) != cases[i].ns)
            fail_msg("\"%s\" is another time", cases[i].text);
}

static void test_grpc_strangers(void **state)
{
    static const char *const strangers[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct talk talk;
        struct scree_error err;

        start(&talk, &scree_grpc_default_limits);
        assert_int_equal(scree_grpc_feed(talk.server.grpc, (const uint8_t *)strangers[i],
                                         strlen(strangers[i]), 1, &err),
                         -EBADMSG);
        stop(&talk);
    }
}

/* ---- compressed bodies ---- */

/* What fits exactly is taken, at the steps in which it is decompressed too; a byte more is not. */
static void test_inflate_up_to_the_limit(void **state)
{
    static const size_t lengths[] = {1, 2, 300, 65535, 65536, 65537, 131072, 200000};
    static uint8_t plain[200000], packed[210000];
    struct scree_buffer buffer;
    struct scree_error err;

    (void)state;
    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * i >> 7);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (int level = 0; level <= 9; level += 3) {
            uLongf n = sizeof packed;

            assert_int_equal(compress2(packed, &n, plain, lengths[i], level), Z_OK);
            buffer = (struct scree_buffer){.limit = lengths[i]};
            assert_int_equal(scree_inflate(packed, n, &buffer, &err), 0);
            assert_int_equal(buffer.n, lengths[i]);
            assert_memory_equal(buffer.bytes, plain, lengths[i]);
            scree_buffer_done(&buffer);
            buffer.limit = lengths[i] - 1;
            assert_int_equal(scree_inflate(packed, n, &buffer, &err), -E2BIG);
            scree_buffer_done(&buffer);
            buffer.limit = lengths[i];
            assert_int_equal(scree_inflate(packed, n - 1, &buffer, &err), -EINVAL);
            scree_buffer_done(&buffer);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pb_reads_what_it_writes),
        cmocka_unit_test(test_pb_bytes),
        cmocka_unit_test(test_pb_long_embedded_message),
        cmocka_unit_test(test_pb_refuses),
        cmocka_unit_test(test_pb_repeated),
        cmocka_unit_test(test_buffer_keeps_its_limit),
        cmocka_unit_test(test_grpc_unary),
        cmocka_unit_test(test_grpc_large_messages),
        cmocka_unit_test(test_grpc_server_streams),
        cmocka_unit_test(test_grpc_refused_calls),
        cmocka_unit_test(test_grpc_a_peer_that_does_not_read),
        cmocka_unit_test(test_grpc_cancel),
        cmocka_unit_test(test_grpc_goes_away),
        cmocka_unit_test(test_grpc_rapid_reset),
        cmocka_unit_test(test_grpc_refusals_that_are_not_read),
        cmocka_unit_test(test_grpc_client_refuses),
        cmocka_unit_test(test_grpc_timeouts),
        cmocka_unit_test(test_grpc_strangers),
        cmocka_unit_test(test_inflate_up_to_the_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
