/* plugin/peer.h - one connection of gRPC on a unix socket: struct scree_grpc and its descriptor.
 *
 * The connection's events have the peer as their context. What is sent within an event goes out by
 * itself; who sends at another time calls scree_peer_flush() afterwards.
 *
 * A connection ends in one place: `closed` is called, from the loop or from scree_peer_flush(), and
 * frees it with scree_peer_free().
 *
 * Memory: a peer owns its descriptor and its connection. */
#ifndef SCREE_PLUGIN_PEER_H
#define SCREE_PLUGIN_PEER_H

#include "net/grpc.h"
#include "plugin/loop.h"

/* Limits of what the kubelet and this program say to each other. */
extern const struct scree_grpc_limits scree_peer_limits;

struct scree_peer {
    struct scree_source source;
    struct scree_loop *loop;
    struct scree_grpc *grpc;
    void (*closed)(struct scree_peer *peer);
    void *owner;
    bool answered;     /* a call of it was answered */
    uint64_t start_ns; /* when the connection was made */
    uint64_t stuck_ns; /* since when it has not read what waits for it; 0 if nothing waits */
    struct scree_peer *next;
};

/* Makes a peer of the connected descriptor fd, which is closed on failure too.
 * Errors: ENOMEM, EIO. */
int scree_peer_new(struct scree_loop *loop, int fd, bool is_server,
                   const struct scree_grpc_events *events, void *owner,
                   void (*closed)(struct scree_peer *peer), struct scree_peer **ret_peer,
                   struct scree_error *err);

/* Ends the calls of the connection and closes it; `closed` is not called. Accepts NULL. */
void scree_peer_free(struct scree_peer *peer);

/* Sends what waits to be sent, as far as that goes at once. The peer may be freed by it. */
void scree_peer_flush(struct scree_peer *peer);

/* Connects to a unix socket without waiting. Returns the descriptor or a negative errno. */
int scree_unix_connect(const char *path);

/* Listens on a unix socket `path`, which takes the place of a socket that was there only when
 * connections can be made. Returns the descriptor. Errors: EINVAL (too long a path), EACCES,
 * ENOENT, EIO (among them: another file than a socket is there). */
int scree_unix_listen(const char *path, struct scree_error *err);

#endif
