/* serve/http_request.h - a request from inside, for the parts of the HTTP server.
 *
 * http.c moves a request along; each step is in a file of its own, in this order:
 *
 *     http_request.c    what it says is copied; http.h's functions that tell it
 *     http_head.c       is it to be read in one way only, and whose is it?
 *     http_body.c       its body, as far as there is memory for it
 *     http_reply.c      what is replied, at once or as a stream
 *
 * The steps know of the server only what struct scree_requests has. Handlers see none of this, but
 * http.h alone.
 *
 * Memory: a request lives from scree_request_new() to scree_request_free(). Threads: the event
 * loop's; while a request is at work on a worker, the worker's. */
#ifndef SCREE_SERVE_HTTP_REQUEST_H
#define SCREE_SERVE_HTTP_REQUEST_H

#include <microhttpd.h>
#include <netinet/in.h>

#include "base/arena.h"
#include "serve/http.h"
#include "serve/http_connection.h"
#include "serve/ids.h"

#define SCREE_REQUEST_MAX_PARTS 4
#define SCREE_REQUEST_MAX_ADDED 16 /* headers of an answer */

/* What the requests of one server have in common. */
struct scree_requests {
    struct scree_http_limits limits;
    uint32_t n;                    /* in flight */
    uint64_t run, next_id;         /* which start of the server, and the how many-th request */
    size_t n_bodies_bytes;         /* of the memory for bodies, taken */
    struct scree_request *streams; /* those with an answer without an end */
    bool is_draining;
};

struct scree_pair {
    const char *name, *value;
};

struct scree_request {
    struct scree_job job;    /* first: what a worker gets is the request */
    struct scree_http *http; /* for http.c */
    struct scree_requests *all;
    struct MHD_Connection *mhd;
    struct scree_connection *connection;
    const struct scree_route *route;
    struct scree_arena arena;
    const char *method, *path;
    const char *parts[SCREE_REQUEST_MAX_PARTS]; /* of the path, in the places of "*" */
    struct scree_pair *headers, *query;
    size_t n_headers, n_query;
    int64_t announced; /* the length of the body; -1: unknown */
    uint64_t start_ns;
    char peer[INET6_ADDRSTRLEN];
    const char *model, *version; /* that answer */
    char id[SCREE_ID_BYTES], trace[SCREE_TRACE_BYTES];
    /* the body */
    struct scree_buffer body;
    size_t n_reserved;  /* of the memory for bodies */
    size_t n_discarded; /* of a body that is too large */
    uint32_t n_pieces;  /* in which the body came */
    int refusal;        /* why it was not taken, a negative errno; 0: it was */
    /* the answer */
    int status; /* 0: none yet */
    const char *type;
    struct scree_buffer reply;
    const void *static_reply;
    size_t n_static, n_answered;
    struct scree_pair added[SCREE_REQUEST_MAX_ADDED];
    size_t n_added;
    /* or an answer without an end */
    scree_stream_fn *more;
    void (*end)(void *stream);
    void *stream;
    struct scree_request *next_stream;
    bool is_waiting; /* for more of it */
};

/* A request whose headers are there, of the method and path as libmicrohttpd gives them. NULL: no
 * memory. */
struct scree_request *scree_request_new(struct scree_requests *all, struct MHD_Connection *mhd,
                                        struct scree_connection *connection, const char *method,
                                        const char *path);

/* Frees it, and ends its stream if it has one. */
void scree_request_free(struct scree_request *request);

/* ---- http_head.c ---- */

/* The first line of a request: texts in libmicrohttpd's memory. */
struct scree_first_line {
    const char *method, *version;
};

/* The target of the next request is there. Notes in the connection what scree_head_check() asks. */
void scree_head_see_target(struct scree_connection *connection, const char *target);

/* Refuses headers that are too many or too long, and requests that another server, in front of this
 * one, may read in another way, so that what is a body to one is a request to the other. Source:
 * RFC 9112, sections 3.2, 6.1, 6.3 and 11.2. */
void scree_head_check(struct scree_request *request, const struct scree_first_line *line);

/* Sets the route, of routes that end with a row of NULL, or replies that there is none. */
void scree_head_find_route(struct scree_request *request, const struct scree_route *routes);

/* ---- http_body.c ---- */

/* Refuses, or makes ready for, the body that the headers announce. */
void scree_body_admit(struct scree_request *request);

/* Takes a piece of the body, bytes char[n]; false: end the connection. */
bool scree_body_take(struct scree_request *request, const char *bytes, size_t n);

/* The body is there. Refuses what is too large, before or after it is decompressed. */
void scree_body_end(struct scree_request *request);

/* Frees the body and gives its memory back to the others'. */
void scree_body_done(struct scree_request *request);

/* ---- http_reply.c ---- */

/* Replies {"error": text}; text has nothing that JSON would escape. */
void scree_reply_text(struct scree_request *request, int status, const char *text);

/* Makes what libmicrohttpd sends of the reply; NULL: no memory. From then on
 * scree_request_n_answered() tells its length. */
struct MHD_Response *scree_reply_make(struct scree_request *request);

/* Sends it, and takes it over. MHD_NO: the connection is to end. */
enum MHD_Result scree_reply_send(struct scree_request *request, struct MHD_Response *response);

/* Asks the streams that wait for more. */
void scree_reply_ask_streams(struct scree_requests *all);

/* Ends the stream and frees the reply. */
void scree_reply_done(struct scree_request *request);

#endif
