/* net/grpc_internal.h - a connection of gRPC from inside, for its parts.
 *
 * A call is a stream of HTTP/2, which libnghttp2 keeps; here are messages, status and limits. Each
 * part knows of those below it:
 *
 *     grpc.c            a connection: what libnghttp2 tells and is told
 *     grpc_receive.c    what the peer says on a call
 *     grpc_send.c       what is said to the peer on a call
 *     grpc_call.c       a call, and its headers
 *
 *            opened                    finish()            stream closed
 *     (none) ------> open, sending ------------> finished -------------> closed(), freed
 *                      |   cancel(), reset by the peer, limit crossed        ^
 *                      +-----------------------------------------------------+
 *
 * Memory: a call is freed in one place, when its stream is closed, which happens only while
 * feeding, while output is made, and in scree_grpc_free(): never under the feet of a caller that
 * answers an event. Threads: one connection, one thread at a time. */
#ifndef SCREE_NET_GRPC_INTERNAL_H
#define SCREE_NET_GRPC_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "net/buffer.h"
#include "net/grpc.h"

/* Of a message: compressed or not, length in 4 bytes, the highest first. */
#define SCREE_GRPC_PREFIX_BYTES   5
#define SCREE_GRPC_MAX_TEXT_BYTES 256

struct scree_grpc {
    nghttp2_session *session;
    bool is_server;
    bool flooded; /* why a callback failed */
    struct scree_grpc_limits limits;
    const struct scree_grpc_events *events;
    void *context;
    struct scree_grpc_call *calls; /* newest first */
    uint32_t n_calls;
    struct scree_buffer output;
    uint64_t now_ns, resets_since_ns;
    uint32_t resets_left;
};

struct scree_grpc_call {
    struct scree_grpc *grpc;
    struct scree_grpc_call *next, *prev;
    int32_t stream;
    struct scree_buffer headers; /* "name\0value\0" ... */
    struct scree_buffer in;      /* the message that is arriving, with its prefix */
    struct scree_buffer out;     /* messages that wait, with their prefixes */
    size_t n_out_read;           /* of these, what nghttp2 has taken */
    struct scree_buffer added;   /* headers of the answer, as above */
    bool has_encoding;           /* messages may come compressed */
    bool opened;                 /* the event was sent */
    bool answered;               /* server: headers were submitted */
    bool finished;               /* by us */
    bool ended;                  /* by the peer */
    bool deferred;               /* nghttp2 waits to be told of more data */
    enum scree_grpc_status status;
    char text[SCREE_GRPC_MAX_TEXT_BYTES];
    uint64_t timeout_ns;
    void *user;
};

/* ---- grpc_call.c ---- */

/* A call on a stream; 0: on one that is yet to be known. NULL: no memory. */
struct scree_grpc_call *scree_grpc_call_new(struct scree_grpc *grpc, int32_t stream);

/* Tells that an opened call is closed, and frees it. */
void scree_grpc_call_free(struct scree_grpc_call *call);

/* Adds "name\0value\0", of char[n_name] and char[n_value] without zeros, to pairs; or nothing, so
 * that what is there is always whole. */
void scree_grpc_add_pair(struct scree_buffer *pairs, const void *name, size_t n_name,
                         const void *value, size_t n_value);

/* ---- grpc_send.c ---- */

/* An answer of HTTP to what is no gRPC; the call is finished. */
void scree_grpc_send_http(struct scree_grpc_call *call, const char *http_status);

/* ---- grpc_receive.c ---- */

/* The headers of a call are all there: of a server those of the request, of a client those of the
 * answer or those behind it. */
void scree_grpc_receive_headers(struct scree_grpc_call *call);

/* Bytes u8[n] of messages. */
void scree_grpc_receive_data(struct scree_grpc_call *call, const uint8_t *bytes, size_t n);

/* The peer sends no more. */
void scree_grpc_receive_end(struct scree_grpc_call *call);

#endif
