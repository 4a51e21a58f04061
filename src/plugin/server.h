/* plugin/server.h - a unix socket on which methods of gRPC are answered.
 *
 * A struct scree_service is a list of methods. A unary method answers with
 * scree_unix_server_answer(), at once or later; one that streams keeps the call and sends on it. A
 * call is valid until the service's `closed`.
 *
 * A peer that does not call for 10 seconds, or does not read for 30, is cut off, so that the 16
 * connections that there may be are for those that use them.
 *
 * Somebody may delete the socket's file: scree_unix_server_check() makes it anew. If another file
 * is in its place, another instance has taken over, and this one waits until that is gone.
 *
 * Memory: a server owns its socket, its file and its connections. */
#ifndef SCREE_PLUGIN_SERVER_H
#define SCREE_PLUGIN_SERVER_H

#include <sys/stat.h>

#include "net/buffer.h"
#include "plugin/peer.h"

/* A method by its path "/package.Service/Method". request u8[n] is valid during the call of run. */
struct scree_method {
    const char *path;
    void (*run)(void *context, struct scree_grpc_call *call, const uint8_t *request, size_t n);
};

/* methods[n_methods]; closed and ended may be NULL; both are told of every call that is over,
 * closed by the call itself, ended by its path and status. context is given to all. */
struct scree_service {
    const struct scree_method *methods;
    size_t n_methods;
    void (*closed)(void *context, struct scree_grpc_call *call);
    void (*ended)(void *context, const char *path, enum scree_grpc_status status);
    void *context;
};

struct scree_unix_server {
    struct scree_loop *loop;
    const struct scree_service *service;
    struct scree_source source;
    char path[108]; /* the longest that a socket may have */
    dev_t device;   /* with the inode, which file is ours */
    ino_t inode;
    bool displaced; /* by another instance */
    struct scree_peer *peers;
    uint32_t n_peers;
};

/* Listens on dir/name. loop and service are borrowed.
 * Errors: EINVAL, ENOENT (no such folder: scree_unix_server_check() tries again), EACCES, EIO. */
int scree_unix_server_start(struct scree_unix_server *server, struct scree_loop *loop,
                            const struct scree_service *service, const char *dir, const char *name,
                            struct scree_error *err);

/* Makes the socket anew if its file is gone, and cuts off peers that do nothing. To be called every
 * second or so, and when the folder has changed. Returns 1 if it made the socket. */
int scree_unix_server_check(struct scree_unix_server *server);

/* Sends what waits on all connections. */
void scree_unix_server_flush(struct scree_unix_server *server);

/* Closes everything and removes the file if it is ours. Accepts an all-zero server. */
void scree_unix_server_done(struct scree_unix_server *server);

/* Ends a call: with the message in reply if rc is 0, else with the status for rc, which is a
 * negative errno, and err's text. Frees the reply. */
void scree_unix_server_answer(struct scree_grpc_call *call, int rc, struct scree_buffer *reply,
                              const struct scree_error *err);

/* The most that an answer may have. */
#define SCREE_ANSWER_BYTES ((size_t)128 << 10)

#endif
