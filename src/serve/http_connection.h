/* serve/http_connection.h - the connections of an HTTP server, and until when each may take.
 *
 * Each connection is in one stage, of those that http.h draws, with a deadline of its own that does
 * not move however slowly bytes trickle in. Who is late is shut down here; libmicrohttpd sees that
 * and closes the connection.
 *
 * Memory: a connection lives from scree_connection_add() to scree_connection_remove(). Threads: the
 * event loop's, but for scree_connection_is_at_end(). */
#ifndef SCREE_SERVE_HTTP_CONNECTION_H
#define SCREE_SERVE_HTTP_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often deadlines are looked at. */
#define SCREE_CONNECTION_CHECK_MS 100

enum scree_stage {
    SCREE_STAGE_IDLE,
    SCREE_STAGE_HEADERS,
    SCREE_STAGE_BODY,
    SCREE_STAGE_WORK,
    SCREE_STAGE_SENDING,
};

/* A connection, from accept to close. */
struct scree_connection {
    struct scree_connection *next, *prev;
    int fd;
    enum scree_stage stage;
    uint64_t deadline_ns; /* UINT64_MAX: none */
    /* The target of the request whose headers are being read, for http_head.c. */
    bool has_nul;       /* the path or a parameter, escaped: they end there for libmicrohttpd */
    const char *target; /* as it was sent, in libmicrohttpd's memory; NULL: it may not be read */
    size_t n_target;
};

/* All of them; zero is none. */
struct scree_connections {
    struct scree_connection *first;
    uint32_t n;
    uint64_t checked_ns; /* when deadlines were last looked at */
};

/* A new connection over the socket fd, which is borrowed, without a deadline. NULL: no memory. */
struct scree_connection *scree_connection_add(struct scree_connections *connections, int fd);

/* Forgets a connection and frees it. Accepts NULL. */
void scree_connection_remove(struct scree_connections *connections,
                             struct scree_connection *connection);

/* The connection is in this stage from now on, for at most ms (UINT64_MAX: without end). */
void scree_connection_enter(struct scree_connection *connection, enum scree_stage stage,
                            uint64_t ms);

/* True if the other side has sent all that it will, and all of it was read. Any thread. */
bool scree_connection_is_at_end(const struct scree_connection *connection);

/* Shuts down, every SCREE_CONNECTION_CHECK_MS, who is late, who has gone away in the middle of a
 * request, and if the server is draining who is idle. idle_ms: what scree_connection_enter() is
 * told for idle ones. */
void scree_connections_close_late(struct scree_connections *connections, uint32_t idle_ms,
                                  bool is_draining);

#endif
