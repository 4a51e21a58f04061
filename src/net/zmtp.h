/* net/zmtp.h - ZeroMQ's wire protocol, ZMTP 3.0: one peer of a REP socket, without security.
 *
 *     scree_zmtp_init(&peer, max_bytes);               its output has the greeting
 *     while ((rc = scree_zmtp_feed(&peer, bytes, n, &n_used, err)) >= 0) {
 *         bytes += n_used, n -= n_used;
 *         if (rc == 1)                                 a request is there
 *             scree_zmtp_reply(&peer, frames, n_frames);
 *         ... send scree_zmtp_output(&peer) ...
 *     }
 *
 *     wire        greeting ---> READY command ---> request ---> reply ---> request ...
 *
 * A request is a number of frames, of which the first ones, up to an empty one, are an envelope
 * that a reply carries back; feed() does not read beyond a request that has no reply yet. A frame
 * over the limit is read but not kept, so that a client which sends too much is answered, too.
 *
 * Memory: the peer owns what it has read, up to the limit, and what is to be sent. Threads: none.
 * Source: RFC 23/ZMTP 3.0, RFC 28/REQREP of rfc.zeromq.org; PING of RFC 37/ZMTP 3.1. */
#ifndef SCREE_NET_ZMTP_H
#define SCREE_NET_ZMTP_H

#include "base/error.h"
#include "net/buffer.h"
#include "net/span.h"

/* Frames of one request, with its envelope: a camera's has three. */
#define SCREE_ZMTP_MAX_FRAMES 16

/* What is expected next. */
enum scree_zmtp_stage {
    SCREE_ZMTP_GREETING,
    SCREE_ZMTP_HEADER, /* of a frame: flags and size */
    SCREE_ZMTP_BODY,
    SCREE_ZMTP_REQUEST, /* nothing: a request waits for its reply */
};

/* A frame of the request that is being read; in->bytes + at is its body. */
struct scree_zmtp_frame {
    size_t at, n;
    bool is_cut; /* it was too large: n is 0 */
};

struct scree_zmtp {
    enum scree_zmtp_stage stage;
    bool is_ready; /* the peer has said READY */
    uint8_t flags; /* of the frame that is being read */
    uint64_t size, n_read;
    bool skips; /* the frame is too large */
    struct scree_buffer in, out;
    struct scree_zmtp_frame frames[SCREE_ZMTP_MAX_FRAMES];
    uint32_t n_frames, n_envelope;
};

/* Starts with a peer that may send max_bytes in one request, at least 8192, besides its envelope.
 */
void scree_zmtp_init(struct scree_zmtp *peer, size_t max_bytes);

/* Frees what the peer holds. */
void scree_zmtp_done(struct scree_zmtp *peer);

/* Reads bytes u8[n], *ret_used of them. Returns 1 if a request is there (then, until the reply,
 * nothing more is read), else 0: all was used, and more is needed. Errors: EBADMSG (not ZMTP 3;
 * another mechanism than NULL; a peer that is neither REQ nor DEALER), E2BIG (over
 * SCREE_ZMTP_MAX_FRAMES; a command over 4 KiB; a frame of the envelope over 255 bytes), ENOMEM.
 * After an error the peer is of no more use.
 */
int scree_zmtp_feed(struct scree_zmtp *peer, const uint8_t *bytes, size_t n, size_t *ret_used,
                    struct scree_error *err);

/* Where the bytes that come next may be written to without a copy, u8[*ret_n], if they are to be
 * those of a large frame; NULL: feed() takes what comes. After n > 0 of them, filled() is called,
 * with feed()'s returns and errors. */
uint8_t *scree_zmtp_room(struct scree_zmtp *peer, size_t *ret_n);
int scree_zmtp_filled(struct scree_zmtp *peer, size_t n, struct scree_error *err);

/* True while a request has begun and is not complete, or the peer has not said READY: a time by
 * which it must have is then due. */
bool scree_zmtp_is_amid(const struct scree_zmtp *peer);

/* The number of frames of the request behind its envelope, and frame i of them; *ret_is_cut (may be
 * NULL) tells that it was too large, and the span is then empty. Valid until the reply. */
uint32_t scree_zmtp_count(const struct scree_zmtp *peer);
struct scree_span scree_zmtp_frame(const struct scree_zmtp *peer, uint32_t i, bool *ret_is_cut);

/* Answers the request with n >= 1 frames. Without memory, out.failed is set. */
void scree_zmtp_reply(struct scree_zmtp *peer, const struct scree_span *frames, uint32_t n);

/* The bytes to be sent: send some, then scree_buffer_drop() them. */
struct scree_buffer *scree_zmtp_output(struct scree_zmtp *peer);

#endif
