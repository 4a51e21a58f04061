#include "net/zmtp.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

#define GREETING_BYTES  64
#define MECHANISM_AT    12
#define MECHANISM_BYTES 20
#define LONGEST_HEADER  9
#define MAX_COMMAND     4096
#define MAX_ADDRESS     255  /* of a frame in an envelope, as ZeroMQ's routing ids */
#define MAX_ENVELOPE    1024 /* of a request, over the limit of its bytes */
#define MAX_OUT         ((size_t)1 << 20)
#define MAX_ROOM        ((size_t)256 << 10) /* of a frame at once: memory follows what has come */
#define LEAST_ROOM      4096                /* less is not worth a look */
#define MAX_FRAME       ((uint64_t)1 << 31) /* that is read, if not kept */

enum flag {
    FLAG_MORE = 1,
    FLAG_LONG = 2, /* the size has 8 bytes */
    FLAG_COMMAND = 4,
};

/* ---- writing ---- */

static void add_frame(struct scree_buffer *out, uint8_t flags, const uint8_t *bytes, size_t n)
{
    uint8_t header[LONGEST_HEADER] = {flags, (uint8_t)n};
    size_t n_header = 2;

    if (n > 255) {
        header[0] |= FLAG_LONG;
        for (int i = 0; i < 8; i++)
            header[1 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        n_header = LONGEST_HEADER;
    }
    scree_buffer_add(out, header, n_header);
    scree_buffer_add(out, bytes, n);
}

void scree_zmtp_init(struct scree_zmtp *peer, size_t max_bytes)
{
    static const uint8_t greeting[GREETING_BYTES] = {0xff, 0,    0, 0, 0,   0,   0,   0,
                                                     0,    0x7f, 3, 0, 'N', 'U', 'L', 'L'};

    assert(max_bytes >= 8192);
    *peer = (struct scree_zmtp){.in.limit = max_bytes + MAX_ENVELOPE, .out.limit = MAX_OUT};
    scree_buffer_add(&peer->out, greeting, sizeof greeting);
}

void scree_zmtp_done(struct scree_zmtp *peer)
{
    scree_buffer_done(&peer->in);
    scree_buffer_done(&peer->out);
}

/* ---- the handshake ---- */

/* What has come of the greeting; the signature is looked at as it comes, so that a stranger is
 * recognized by its first byte. */
static int check_greeting(struct scree_zmtp *peer, struct scree_error *err)
{
    static const char mechanism[MECHANISM_BYTES] = "NULL";
    static const char ready[] = "\5READY\13Socket-Type\0\0\0\3REP";
    const uint8_t *bytes = peer->in.bytes;

    if (bytes[0] != 0xff || (peer->in.n > 9 && !(bytes[9] & 1)))
        return scree_fail(err, EBADMSG, "this is not ZeroMQ");
    if (peer->in.n > 10 && bytes[10] < 3)
        return scree_fail(err, EBADMSG, "version %u of ZMTP is not supported", bytes[10]);
    if (peer->in.n < GREETING_BYTES)
        return 0;
    if (memcmp(bytes + MECHANISM_AT, mechanism, MECHANISM_BYTES) != 0)
        return scree_fail(err, EBADMSG, "security other than NULL is not supported");
    add_frame(&peer->out, FLAG_COMMAND, (const uint8_t *)ready, sizeof ready - 1);
    peer->in.n = 0;
    peer->stage = SCREE_ZMTP_HEADER;
    return 0;
}

/* Finds a property of READY's, each a name and a value with their lengths before them. */
static bool find_property(struct scree_span list, const char *name, struct scree_span *ret)
{
    while (list.n > 0) {
        size_t n_key = list.bytes[0], n_head = 1 + n_key + 4, n_value;
        const uint8_t *size;

        if (list.n < n_head)
            return false;
        size = list.bytes + 1 + n_key;
        n_value = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
        if (n_value > list.n - n_head)
            return false;
        *ret = (struct scree_span){size + 4, n_value};
        if (n_key == strlen(name) && strncasecmp((const char *)list.bytes + 1, name, n_key) == 0)
            return true;
        list.bytes += n_head + n_value;
        list.n -= n_head + n_value;
    }
    return false;
}

static int greet(struct scree_zmtp *peer, struct scree_span properties, struct scree_error *err)
{
    struct scree_span type;

    if (!find_property(properties, "Socket-Type", &type) ||
        !(scree_span_is(type, "REQ") || scree_span_is(type, "DEALER")))
        return scree_fail(err, EBADMSG, "the peer's socket is neither REQ nor DEALER");
    peer->is_ready = true;
    return 0;
}

/* A command is complete. After READY, all but PING are for sockets of other kinds. */
static int take_command(struct scree_zmtp *peer, struct scree_span body, struct scree_error *err)
{
    struct scree_span name = {body.bytes + 1, body.n > 0 ? body.bytes[0] : 0}, rest;

    if (body.n == 0 || name.n == 0 || name.n > body.n - 1)
        return scree_fail(err, EBADMSG, "a command without a name");
    rest = (struct scree_span){name.bytes + name.n, body.n - 1 - name.n};
    if (!peer->is_ready)
        return scree_span_is(name, "READY")
                   ? greet(peer, rest, err)
                   : scree_fail(err, EBADMSG, "the peer does not say READY");
    /* PING: time to live, u16, and up to 16 bytes that PONG returns. */
    if (scree_span_is(name, "PING") && rest.n >= 2 && rest.n <= 18) {
        uint8_t pong[5 + 16] = "\4PONG";

        memcpy(pong + 5, rest.bytes + 2, rest.n - 2);
        add_frame(&peer->out, FLAG_COMMAND, pong, 5 + rest.n - 2);
    }
    return 0;
}

/* ---- frames ---- */

/* The bytes of a frame's header, by its flags. */
static size_t header_bytes(uint8_t flags)
{
    return flags & FLAG_LONG ? LONGEST_HEADER : 2;
}

/* A frame's header is there, at the end of what was read. */
static int begin_frame(struct scree_zmtp *peer, size_t n_header, struct scree_error *err)
{
    const uint8_t *header = peer->in.bytes + peer->in.n - n_header;

    peer->flags = header[0];
    peer->size = 0;
    for (size_t i = 1; i < n_header; i++)
        peer->size = peer->size << 8 | header[i];
    peer->in.n -= n_header;
    if (peer->flags & ~(FLAG_MORE | FLAG_LONG | FLAG_COMMAND) || peer->size > MAX_FRAME)
        return scree_fail(err, EBADMSG, "a frame that is none");
    if (peer->flags & FLAG_COMMAND && (peer->flags & FLAG_MORE || peer->n_frames > 0))
        return scree_fail(err, EBADMSG, "a command within a request");
    if (peer->flags & FLAG_COMMAND && peer->size > MAX_COMMAND)
        return scree_fail(err, E2BIG, "a command of %llu bytes", (unsigned long long)peer->size);
    if (!(peer->flags & FLAG_COMMAND) && !peer->is_ready)
        return scree_fail(err, EBADMSG, "the peer does not say READY");
    if (peer->n_frames == SCREE_ZMTP_MAX_FRAMES)
        return scree_fail(err, E2BIG, "a request of over %d frames", SCREE_ZMTP_MAX_FRAMES);
    peer->n_read = 0;
    /* Room for the header of the next frame is left. */
    peer->skips = peer->size + LONGEST_HEADER > peer->in.limit - peer->in.n;
    peer->stage = SCREE_ZMTP_BODY;
    return 0;
}

/* All frames are there. A request without an envelope is nobody's: it is dropped, as ZeroMQ does.
 */
static int end_request(struct scree_zmtp *peer, struct scree_error *err)
{
    bool is_too_long = false;
    uint32_t i = 0;

    for (; i < peer->n_frames && (peer->frames[i].n > 0 || peer->frames[i].is_cut); i++)
        is_too_long = is_too_long || peer->frames[i].is_cut || peer->frames[i].n > MAX_ADDRESS;
    if (i == peer->n_frames) {
        peer->n_frames = 0;
        peer->in.n = 0;
        return 0;
    }
    if (is_too_long)
        return scree_fail(err, E2BIG, "an envelope of over %d bytes", MAX_ADDRESS);
    peer->n_envelope = i + 1;
    peer->stage = SCREE_ZMTP_REQUEST;
    return 0;
}

static int end_frame(struct scree_zmtp *peer, struct scree_error *err)
{
    size_t n = peer->skips ? 0 : (size_t)peer->size, at = peer->in.n - n;

    peer->stage = SCREE_ZMTP_HEADER;
    if (peer->flags & FLAG_COMMAND) {
        int rc = take_command(peer, (struct scree_span){peer->in.bytes + at, n}, err);

        peer->in.n = 0;
        return rc;
    }
    peer->frames[peer->n_frames++] = (struct scree_zmtp_frame){at, n, peer->skips};
    return peer->flags & FLAG_MORE ? 0 : end_request(peer, err);
}

/* ---- reading ---- */

/* How many bytes the stage needs before something can be done; of a header, its first byte tells.
 */
static uint64_t bytes_needed(const struct scree_zmtp *peer, const uint8_t *bytes)
{
    switch (peer->stage) {
    case SCREE_ZMTP_GREETING:
        return GREETING_BYTES - peer->in.n;
    case SCREE_ZMTP_HEADER:
        return header_bytes(peer->n_read > 0 ? peer->flags : bytes[0]) - peer->n_read;
    default:
        return peer->size - peer->n_read;
    }
}

/* Some bytes are there; has the stage what it needs? */
static int advance(struct scree_zmtp *peer, uint64_t n_missing, struct scree_error *err)
{
    switch (peer->stage) {
    case SCREE_ZMTP_GREETING:
        return check_greeting(peer, err);
    case SCREE_ZMTP_HEADER:
        return n_missing == 0 ? begin_frame(peer, (size_t)peer->n_read, err) : 0;
    default:
        return n_missing == 0 ? end_frame(peer, err) : 0;
    }
}

int scree_zmtp_feed(struct scree_zmtp *peer, const uint8_t *bytes, size_t n, size_t *ret_used,
                    struct scree_error *err)
{
    size_t used = 0;
    int rc = 0;

    while (rc >= 0 && peer->stage != SCREE_ZMTP_REQUEST && used < n) {
        enum scree_zmtp_stage stage = peer->stage;
        uint64_t needed = bytes_needed(peer, bytes + used);
        size_t piece = needed < n - used ? (size_t)needed : n - used;

        if (stage == SCREE_ZMTP_HEADER && peer->n_read == 0)
            peer->flags = bytes[used];
        if (stage != SCREE_ZMTP_BODY || !peer->skips)
            scree_buffer_add(&peer->in, bytes + used, piece);
        if (peer->in.failed) {
            *ret_used = used;
            return scree_fail_memory(err, peer->in.n + piece);
        }
        used += piece;
        peer->n_read += piece;
        rc = advance(peer, needed - piece, err);
        if (peer->stage != stage)
            peer->n_read = 0;
        /* A frame without a body is complete with its header. */
        if (rc >= 0 && peer->stage == SCREE_ZMTP_BODY && peer->size == 0)
            rc = end_frame(peer, err);
    }
    *ret_used = used;
    return rc < 0 ? rc : peer->stage == SCREE_ZMTP_REQUEST;
}

uint8_t *scree_zmtp_room(struct scree_zmtp *peer, size_t *ret_n)
{
    uint64_t missing = peer->size - peer->n_read;
    uint8_t *room;
    size_t n = missing < MAX_ROOM ? (size_t)missing : MAX_ROOM;

    if (peer->stage != SCREE_ZMTP_BODY || peer->skips || n < LEAST_ROOM)
        return NULL;
    room = scree_buffer_extend(&peer->in, n);
    if (!room)
        return NULL;
    peer->in.n -= n;
    *ret_n = n;
    return room;
}

int scree_zmtp_filled(struct scree_zmtp *peer, size_t n, struct scree_error *err)
{
    int rc;

    assert(peer->stage == SCREE_ZMTP_BODY && n <= peer->in.capacity - peer->in.n);
    peer->in.n += n;
    peer->n_read += n;
    rc = advance(peer, peer->size - peer->n_read, err);
    if (peer->stage != SCREE_ZMTP_BODY)
        peer->n_read = 0;
    return rc < 0 ? rc : peer->stage == SCREE_ZMTP_REQUEST;
}

bool scree_zmtp_is_amid(const struct scree_zmtp *peer)
{
    return !peer->is_ready || peer->n_frames > 0 || peer->n_read > 0 ||
           peer->stage == SCREE_ZMTP_BODY;
}

uint32_t scree_zmtp_count(const struct scree_zmtp *peer)
{
    return peer->n_frames - peer->n_envelope;
}

struct scree_span scree_zmtp_frame(const struct scree_zmtp *peer, uint32_t i, bool *ret_is_cut)
{
    const struct scree_zmtp_frame *frame = &peer->frames[peer->n_envelope + i];

    assert(peer->stage == SCREE_ZMTP_REQUEST && i < scree_zmtp_count(peer));
    if (ret_is_cut)
        *ret_is_cut = frame->is_cut;
    return (struct scree_span){frame->n > 0 ? peer->in.bytes + frame->at : NULL, frame->n};
}

void scree_zmtp_reply(struct scree_zmtp *peer, const struct scree_span *frames, uint32_t n)
{
    assert(peer->stage == SCREE_ZMTP_REQUEST && n > 0);
    for (uint32_t i = 0; i < peer->n_envelope; i++)
        add_frame(&peer->out, FLAG_MORE, peer->in.bytes + peer->frames[i].at, peer->frames[i].n);
    for (uint32_t i = 0; i < n; i++)
        add_frame(&peer->out, i + 1 < n ? FLAG_MORE : 0, frames[i].bytes, frames[i].n);
    peer->in.n = 0;
    peer->n_frames = peer->n_envelope = 0;
    peer->stage = SCREE_ZMTP_HEADER;
}

struct scree_buffer *scree_zmtp_output(struct scree_zmtp *peer)
{
    return &peer->out;
}
