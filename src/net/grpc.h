/* net/grpc.h - gRPC over HTTP/2, both sides: bytes in, events out.
 *
 * A struct scree_grpc is one connection. It owns no socket and no clock: the caller feeds it what
 * the peer sent, and sends what it has to say:
 *
 *     rc = scree_grpc_feed(grpc, bytes, n, now_ns, err);     a negative rc: close the connection
 *     while ((bytes = scree_grpc_output(grpc, &n)))
 *         scree_grpc_sent(grpc, write(fd, bytes, n));
 *
 * A struct scree_grpc_call is one call on it. Events come while feeding, through struct
 * scree_grpc_events; within them, or later, the caller answers:
 *
 *     scree_grpc_send(call, message, n);                     as often as wanted
 *     scree_grpc_finish(call, SCREE_GRPC_OK, NULL);          once; the call ends
 *
 * so unary calls and streams in either direction are all the same to this file. What is sent is not
 * compressed; who takes compressed messages decompresses them itself, where it has the time.
 *
 * Hostile peers: messages, headers, streams and what waits to be sent are limited; a peer that
 * opens and resets streams without end is cut off (CVE-2023-44487). Memory: a connection owns its
 * calls; a call is valid until `closed` was called for it. Threads: one connection, one thread at a
 * time. Source: grpc/doc/PROTOCOL-HTTP2.md and compression.md; RFC 9113 by
 * libnghttp2. */
#ifndef SCREE_NET_GRPC_H
#define SCREE_NET_GRPC_H

#include "base/error.h"

/* Source: grpc/doc/statuscodes.md. */
enum scree_grpc_status {
    SCREE_GRPC_OK = 0,
    SCREE_GRPC_CANCELLED = 1,
    SCREE_GRPC_UNKNOWN = 2,
    SCREE_GRPC_INVALID_ARGUMENT = 3,
    SCREE_GRPC_DEADLINE_EXCEEDED = 4,
    SCREE_GRPC_NOT_FOUND = 5,
    SCREE_GRPC_PERMISSION_DENIED = 7,
    SCREE_GRPC_RESOURCE_EXHAUSTED = 8,
    SCREE_GRPC_FAILED_PRECONDITION = 9,
    SCREE_GRPC_UNIMPLEMENTED = 12,
    SCREE_GRPC_INTERNAL = 13,
    SCREE_GRPC_UNAVAILABLE = 14,
    SCREE_GRPC_UNAUTHENTICATED = 16,
};

struct scree_grpc;
struct scree_grpc_call;

struct scree_grpc_limits {
    size_t max_message_bytes;  /* of one message from the peer */
    size_t max_waiting_bytes;  /* of messages of one call that wait to be sent */
    uint32_t max_calls;        /* open at once, of a server */
    uint32_t max_header_bytes; /* names and values of one call */
};

/* What happens on a connection. `context` is the caller's. Any may be NULL but `message` and
 * `closed`. Within an event, calls may be answered and finished, not freed. */
struct scree_grpc_events {
    /* Server: the headers of a call are there. Returns SCREE_GRPC_OK to go on, or a status that
     * refuses the call. */
    enum scree_grpc_status (*opened)(void *context, struct scree_grpc_call *call);
    /* The peer announces a message of n bytes. Returns false if there is no memory for it: the call
     * ends with RESOURCE_EXHAUSTED. */
    bool (*admit)(void *context, struct scree_grpc_call *call, size_t n);
    /* A message, u8[n]; valid during the event. */
    void (*message)(void *context, struct scree_grpc_call *call, const uint8_t *bytes, size_t n);
    /* The peer sends no more messages on this call. */
    void (*ended)(void *context, struct scree_grpc_call *call);
    /* The call is over: finished, cancelled, or the connection ends. Client: status and text are
     * the server's; a call that ends without them has UNAVAILABLE. The call is freed after this. */
    void (*closed)(void *context, struct scree_grpc_call *call, enum scree_grpc_status status,
                   const char *text);
    /* Server: a message, u8[n], compressed by gzip or zlib; valid during the event. NULL: such
     * messages are refused, and nobody is told that they are understood. `admit` was asked for n.
     */
    void (*packed)(void *context, struct scree_grpc_call *call, const uint8_t *bytes, size_t n);
};

/* The limits of scree's own services: 16 MiB a message, 64 calls, 8 KiB of headers. */
extern const struct scree_grpc_limits scree_grpc_default_limits;

/* A connection that was accepted, or one that was made. events is borrowed, limits are copied.
 * Errors: ENOMEM. */
int scree_grpc_new_server(const struct scree_grpc_limits *limits,
                          const struct scree_grpc_events *events, void *context,
                          struct scree_grpc **ret_grpc, struct scree_error *err);
int scree_grpc_new_client(const struct scree_grpc_limits *limits,
                          const struct scree_grpc_events *events, void *context,
                          struct scree_grpc **ret_grpc, struct scree_error *err);

/* Ends all calls (their `closed` is called) and frees the connection. Accepts NULL. */
void scree_grpc_free(struct scree_grpc *grpc);

/* Takes bytes u8[n] from the peer at time now_ns (CLOCK_MONOTONIC). A peer that breaks the rules of
 * HTTP/2 is told so by the output, and scree_grpc_is_done() becomes true when that is sent. Errors,
 * after which only scree_grpc_free() makes sense: EBADMSG (not HTTP/2 at all), E2BIG (a flood),
 * ENOMEM. */
int scree_grpc_feed(struct scree_grpc *grpc, const uint8_t *bytes, size_t n, uint64_t now_ns,
                    struct scree_error *err);

/* What is to be sent to the peer: u8[*ret_n], valid until the next call on this connection; NULL
 * and 0 if nothing is. */
const uint8_t *scree_grpc_output(struct scree_grpc *grpc, size_t *ret_n);

/* The first n bytes of the output have been sent. */
void scree_grpc_sent(struct scree_grpc *grpc, size_t n);

/* Server: tells the peer to open no new calls. True from scree_grpc_is_idle() then means that the
 * connection can be closed. */
void scree_grpc_go_away(struct scree_grpc *grpc);

/* True if no call is open and nothing is to be sent. */
bool scree_grpc_is_idle(const struct scree_grpc *grpc);

/* True if nothing will be read or sent any more: close the connection. */
bool scree_grpc_is_done(const struct scree_grpc *grpc);

/* The path "/package.Service/Method" of a call. */
const char *scree_grpc_path(const struct scree_grpc_call *call);

/* The value of a header the client sent ("authorization", "traceparent", ...), or NULL. `name` in
 * lower case. */
const char *scree_grpc_header(const struct scree_grpc_call *call, const char *name);

/* Adds a header to the answer: with what comes first, so before anything is sent. Both are copied;
 * what does not fit into the limit for headers is left out. `name` in lower case, the value
 * printable ASCII. */
void scree_grpc_add_header(struct scree_grpc_call *call, const char *name, const char *value);

/* How long the client waits, from the time the headers came, by its grpc-timeout; UINT64_MAX if it
 * did not say. */
uint64_t scree_grpc_timeout_ns(const struct scree_grpc_call *call);

/* The caller's own pointer in a call; NULL at first. */
void scree_grpc_set_user(struct scree_grpc_call *call, void *user);
void *scree_grpc_user(const struct scree_grpc_call *call);

/* Client: begins a call. Its messages follow with scree_grpc_send(), their end with
 * scree_grpc_finish(call, SCREE_GRPC_OK, NULL). Errors: ENOMEM, EAGAIN (too many calls). */
int scree_grpc_call(struct scree_grpc *grpc, const char *authority, const char *path,
                    struct scree_grpc_call **ret_call, struct scree_error *err);

/* Queues a message u8[n] to the peer; drops it if the call is finished. Errors: E2BIG (over
 * max_waiting_bytes: the peer does not read), ENOMEM; the call is as before then. */
int scree_grpc_send(struct scree_grpc_call *call, const void *bytes, size_t n,
                    struct scree_error *err);

/* How many bytes of messages of this call wait to be sent. */
size_t scree_grpc_waiting(const struct scree_grpc_call *call);

/* Server: ends the call with a status after the messages queued; `text` says why, NULL for nothing.
 * Client: says that no more messages come; status and text are not sent. A second time does
 * nothing. */
void scree_grpc_finish(struct scree_grpc_call *call, enum scree_grpc_status status,
                       const char *text);

/* True from scree_grpc_finish() on. A server's call whose peer breaks the rules is finished by
 * itself, though it is not over while messages wait to be sent. */
bool scree_grpc_is_finished(const struct scree_grpc_call *call);

/* Ends the call at once, whatever is queued. `closed` is called later. */
void scree_grpc_cancel(struct scree_grpc_call *call);

#endif
