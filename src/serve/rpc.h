/* serve/rpc.h - gRPC in front: calls in, messages out, and nobody can hold it up.
 *
 * The protocol is net/grpc.h's; here are sockets, deadlines, limits and the threads that do the
 * work. It runs on the event loop that serves HTTP:
 *
 *     poll(scree_rpc_fd(rpc)), at most scree_rpc_wait_ms(rpc); then scree_rpc_run(rpc)
 *
 *          opened              message(s), end           handler is through
 *     call ------> receiving ----------------> at work ---------------------> finished
 *                     | late, too much            |  ^  |
 *                     +-> refused                 +--+  +-> of a stream: the next message
 *
 * A method says who answers. Of a unary call the handler runs once, of a stream once for each
 * message, in their order; on a worker thread, or on the event loop if it is quick. A stream that
 * watches has no handler: it is told the state of things again when that changes.
 *
 * Messages may come compressed; they are decompressed on the worker, those of quick methods, which
 * are small, on the event loop.
 *
 * Hostile peers: connections (of one address), calls, bytes in flight, the time for a message, for
 * an answer to be taken and between calls are limited, and what one connection has at work stays
 * bounded however often it cancels. Answers that wait for their peer, but for the first of each
 * call, are bytes in flight as well. A connection that sends messages faster than they are answered
 * is not read from.
 *
 * Memory: the connection's; a call at work outlives its connection. Threads: all but handlers on
 * the event loop. */
#ifndef SCREE_SERVE_RPC_H
#define SCREE_SERVE_RPC_H

#include "net/grpc.h"
#include "serve/http.h"
#include "serve/workers.h"

struct scree_rpc;
struct scree_rpc_call;

/* Answers a message: writes scree_rpc_reply(), or calls scree_rpc_fail(). */
typedef void scree_rpc_handler_fn(void *context, struct scree_rpc_call *call);

enum scree_rpc_flag {
    SCREE_RPC_QUICK = 1,  /* handled on the event loop: takes no time */
    SCREE_RPC_STREAM = 2, /* any number of messages, each answered by one */
    SCREE_RPC_WATCH = 4,  /* one message; the handler is asked again and again, and an answer that
                             is another than before is sent */
    SCREE_RPC_OPEN = 8,   /* for everybody, token or not: probes */
    SCREE_RPC_ADMIN = 16, /* changes the server */
};

struct scree_rpc_method {
    const char *path; /* "/package.Service/Method" */
    uint32_t flags;
    scree_rpc_handler_fn *handle;
};

/* Whether the one who calls may; of a stream each further message is asked for as well.
 * is_forwarded: through a proxy, by the proxy's own word. Errors:
 * any; the call ends with scree_rpc_status() of it. */
typedef int scree_rpc_gate_fn(void *context, const struct scree_rpc_method *method,
                              const char *peer, const char *authorization, bool is_forwarded,
                              struct scree_error *err);

/* A call has ended, was refused perhaps; on the event loop. */
typedef void scree_rpc_ended_fn(void *context, const struct scree_rpc_call *call,
                                enum scree_grpc_status status);

struct scree_rpc_options {
    int listener;                           /* a socket that listens; taken over, even on failure */
    const struct scree_rpc_method *methods; /* end with a row of NULL; borrowed */
    scree_rpc_gate_fn *gate;
    scree_rpc_ended_fn *ended;
    void *context;                 /* of these functions; borrowed */
    struct scree_tls *tls;         /* borrowed; NULL: without TLS */
    struct scree_workers *workers; /* borrowed; its jobs must have run before scree_rpc_free() */
    struct scree_http_limits limits;
};

/* Errors: EIO, ENOMEM. */
int scree_rpc_new(const struct scree_rpc_options *options, struct scree_rpc **ret_rpc,
                  struct scree_error *err);

/* As scree_http_fd() and its like. */
int scree_rpc_fd(const struct scree_rpc *rpc);
int scree_rpc_wait_ms(const struct scree_rpc *rpc);
void scree_rpc_run(struct scree_rpc *rpc);

/* Accepts no more connections and calls; watching ends. */
void scree_rpc_drain(struct scree_rpc *rpc);

/* True if no call is open or at work. */
bool scree_rpc_is_idle(const struct scree_rpc *rpc);

/* Closes everything. Accepts NULL. */
void scree_rpc_free(struct scree_rpc *rpc);

/* ---- calls, as handlers see them ---- */

/* The message, u8[*ret_n], never NULL, while the handler runs. */
const uint8_t *scree_rpc_message(const struct scree_rpc_call *call, size_t *ret_n);

/* Notes which model answers, for the log and the metrics; both are copied, and cut. */
void scree_rpc_set_model(struct scree_rpc_call *call, const char *model, const char *version);

/* Where the answer is put; empty at first. */
struct scree_buffer *scree_rpc_reply(struct scree_rpc_call *call);

/* Ends the call with a status and a text. */
void scree_rpc_fail(struct scree_rpc_call *call, enum scree_grpc_status status, const char *text);

/* When the message was there, and until when an answer is of use (UINT64_MAX: not told), of
 * CLOCK_MONOTONIC. */
uint64_t scree_rpc_start_ns(const struct scree_rpc_call *call);
uint64_t scree_rpc_deadline_ns(const struct scree_rpc_call *call);

/* True if the call was cancelled; from any thread. */
bool scree_rpc_is_gone(const struct scree_rpc_call *call);

/* ---- calls, as those see them who are told of their end ---- */

/* What a call did: texts that live as long as it. */
struct scree_rpc_facts {
    const char *path, *peer, *id;
    const char *trace;           /* NULL: of no trace */
    const char *model, *version; /* what was noted last, "" if nothing was */
    uint32_t flags;              /* of the method; 0 for one that nobody knows */
    uint64_t start_ns;           /* when its headers were there */
    size_t n_answered;           /* bytes of messages */
};

void scree_rpc_tell(const struct scree_rpc_call *call, struct scree_rpc_facts *ret_facts);

/* The status for a negative errno. */
enum scree_grpc_status scree_rpc_status(int rc);

#endif
