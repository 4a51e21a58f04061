/* serve/rpc_internal.h - a gRPC server from inside, for its parts.
 *
 * Each part knows of those below it:
 *
 *     rpc.c               the event loop: who comes in, what takes too long
 *     rpc_connection.c    a socket, and what net/grpc.h tells of it
 *     rpc_work.c          whose turn it is, and what follows from an answer
 *     rpc_call.c          a call from its beginning to its end, and its messages
 *
 * Handlers see none of this, but rpc.h alone.
 *
 * Memory: a connection is freed with its socket, or later with the last call it has at work.
 * Threads: the event loop's; of a call at work the message, the plain one, the reply, the status
 * and the text are the worker's. */
#ifndef SCREE_SERVE_RPC_INTERNAL_H
#define SCREE_SERVE_RPC_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "serve/ids.h"
#include "serve/rpc.h"
#include "serve/wire.h"

#define SCREE_RPC_MAX_ANSWER_BYTES ((size_t)256 << 20)
#define SCREE_RPC_MAX_TEXT_BYTES   sizeof(struct scree_error)
#define SCREE_RPC_MAX_PATH_BYTES   128 /* of methods, as logs tell them */
#define SCREE_RPC_MAX_NAME_BYTES   65  /* of models and versions */
#define SCREE_RPC_NS_A_MS          UINT64_C(1000000)

struct scree_rpc {
    struct scree_rpc_options options;
    struct scree_grpc_limits limits;
    int epoll, event; /* event: a worker is through */
    struct scree_rpc_connection *connections;
    struct scree_rpc_call *calls;
    uint32_t n_connections, n_working; /* n_working: calls */
    size_t n_bytes;                    /* of messages, in flight */
    uint64_t run, next_id;             /* which start of the server, and the how many-th call */
    uint64_t checked_ns;               /* when what takes too long was last looked for */
    bool draining, is_deaf;            /* deaf: to who comes, until that is done again */
    pthread_mutex_t lock;              /* of done */
    struct scree_job *done;
};

/* A connection, alive as long as its socket or what it has at work. */
struct scree_rpc_connection {
    struct scree_rpc_connection *next, *prev;
    struct scree_rpc *rpc;
    struct scree_grpc *grpc; /* NULL: closed */
    struct scree_wire wire;
    uint32_t n_calls, n_working, n_queued; /* n_queued: messages of streams that wait */
    uint32_t events;                       /* epoll waits for */
    uint64_t idle_since_ns;                /* with no call open */
    uint64_t stuck_since_ns;               /* when the peer began not to read; 0: it does */
    bool has_spoken, is_leaving;
    char peer[INET6_ADDRSTRLEN];
};

/* A message that waits for its turn, or is at work. */
struct scree_rpc_message {
    struct scree_rpc_message *next;
    uint64_t start_ns;
    size_t n, n_reserved; /* n_reserved: of the budget for bytes in flight */
    bool is_packed;
    uint8_t bytes[];
};

struct scree_rpc_call {
    struct scree_job job;
    struct scree_rpc_call *next, *prev; /* of all calls */
    struct scree_rpc_connection *connection;
    struct scree_grpc_call *grpc; /* NULL: closed */
    const struct scree_rpc_method *method;
    struct scree_rpc_message *first, *last; /* that wait */
    struct scree_rpc_message *message;      /* at work, or watched with */
    uint64_t start_ns, deadline_ns;
    uint64_t awaited_until_ns; /* when the message that is due must be there; UINT64_MAX: none is */
    uint64_t unread_since_ns;  /* when the peer began not to take the answer; 0: it does */
    size_t n_unread;           /* then */
    size_t n_reserved;         /* of the budget, for messages that are not there yet */
    size_t n_held;             /* of the budget, for answers that wait behind another */
    size_t n_answered;
    bool is_working, has_message, has_ended; /* has_message: one came; ended: by the peer */
    atomic_bool is_gone;
    struct scree_buffer plain;       /* the message at work, if it came compressed */
    struct scree_buffer reply, told; /* told: what a watcher knows */
    enum scree_grpc_status status;   /* of the handler */
    enum scree_grpc_status end;      /* that the peer knows */
    char text[SCREE_RPC_MAX_TEXT_BYTES];
    char path[SCREE_RPC_MAX_PATH_BYTES], id[SCREE_ID_BYTES], trace[SCREE_TRACE_BYTES];
    char model[SCREE_RPC_MAX_NAME_BYTES], version[SCREE_RPC_MAX_NAME_BYTES];
};

/* ---- rpc_call.c ---- */

/* A call whose headers are there. Its method has no path if nobody knows it. NULL: no memory. */
struct scree_rpc_call *scree_rpc_call_new(struct scree_rpc_connection *connection,
                                          struct scree_grpc_call *grpc);

/* Ends the call for the peer, after what was sent. Does nothing if it is closed. */
void scree_rpc_call_finish(struct scree_rpc_call *call, enum scree_grpc_status status,
                           const char *text);

/* Tells of the end of a call that is closed and not at work, and frees it. */
void scree_rpc_call_end(struct scree_rpc_call *call);

/* Takes n bytes of the budget for bytes in flight; false: there are not so many. */
bool scree_rpc_reserve(struct scree_rpc *rpc, size_t n);

/* Takes what an answer of n bytes will need of the budget if another waits before it that the peer
 * has not taken; false: there is not so much. An answer alone needs none. */
bool scree_rpc_call_hold(struct scree_rpc_call *call, size_t n);

/* Gives back what answers that the peer has taken, or will not take any more, had of it. */
void scree_rpc_call_let_go(struct scree_rpc_call *call);

/* Adds a message, bytes u8[n], to those that wait; false: no memory. */
bool scree_rpc_call_push(struct scree_rpc_call *call, const uint8_t *bytes, size_t n,
                         bool is_packed);

/* Makes the message that waits longest the one at work. There is one. */
void scree_rpc_call_pop(struct scree_rpc_call *call);

/* The message at work, if there is one, is of no use any more. */
void scree_rpc_call_drop(struct scree_rpc_call *call);

/* The messages that wait, too. None is at work. */
void scree_rpc_call_forget(struct scree_rpc_call *call);

/* ---- rpc_work.c ---- */

/* Begins to work on the next message, if there is one and it is its turn. */
void scree_rpc_work_start(struct scree_rpc_call *call);

/* Asks the handler of a watcher again; tells what is new. */
void scree_rpc_work_watch(struct scree_rpc_call *call);

/* The jobs of the calls that workers are through with; NULL: there are none. */
struct scree_job *scree_rpc_work_take(struct scree_rpc *rpc);

/* What follows when the worker is through: an answer, the next message, or the end of the call,
 * which may be no more afterwards. */
void scree_rpc_work_complete(struct scree_rpc_call *call);

/* ---- rpc_connection.c ---- */

/* Takes a socket over, or closes it. */
void scree_rpc_connection_add(struct scree_rpc *rpc, int fd,
                              const struct sockaddr_storage *address);

/* Reads what there is, and answers. The connection may be no more afterwards. */
void scree_rpc_connection_serve(struct scree_rpc_connection *connection);

/* Closes a connection that is late or has nothing to do, and sends what there is on others. The
 * connection may be no more afterwards. */
void scree_rpc_connection_check(struct scree_rpc_connection *connection, uint64_t now);

/* Closes the socket; what is at work ends unheard. The connection is then gone, or will be. */
void scree_rpc_connection_close(struct scree_rpc_connection *connection);

/* What is left of the connection goes, if it is closed and has nothing at work. */
void scree_rpc_connection_release(struct scree_rpc_connection *connection);

#endif
