/* serve/http.h - HTTP/1.1 in front: requests in, answers out, and nobody can hold it up.
 *
 * libmicrohttpd reads and writes; what it lacks is here: absolute deadlines, a least rate for
 * bodies, a budget for the memory of all bodies, and handlers on threads of their own, so that one
 * event loop serves all connections while models run.
 *
 *            accepted             headers are there          body is there      answered
 *     idle ----------> reading headers ------> reading body ------> at work ------> sending
 *       ^                | 10 s                  | 20 s + rate        |               | 30 s
 *       |                v                       v                    | refused at    v
 *       |              closed                  closed                 | once: sending |
 *       +-----------------------------------------------------------------------------+
 *
 * A route says what may be asked and who answers. `admit` sees the headers alone and can refuse
 * before a byte of the body is read; `handle` has it all, and runs on a worker thread, or, if the
 * route is quick, on the event loop itself.
 *
 * Memory: a struct scree_request lives from its headers to its last byte sent; what it holds is
 * freed then. Threads: scree_http_new() to scree_http_free() and scree_http_run() belong to one
 * thread; handlers run on many. */
#ifndef SCREE_SERVE_HTTP_H
#define SCREE_SERVE_HTTP_H

#include <sys/types.h>

#include "base/error.h"
#include "net/buffer.h"
#include "serve/workers.h"

/* What a server takes; the defaults are in options.inc. Source: the proposals of Apache's and
 * nginx's hardening guides. */
struct scree_http_limits {
    uint32_t max_connections, max_connections_per_ip;
    size_t max_header_bytes; /* of the first line and the headers of a request */
    uint32_t max_headers;
    size_t max_body_bytes;   /* of one request */
    size_t max_bodies_bytes; /* of all that are being read or at work */
    uint32_t max_chunks;     /* pieces of a body, besides one for each KiB of it */
    uint32_t header_ms;      /* from the first byte of a request to the end of its headers */
    uint32_t body_ms;        /* for a body, besides its size at min_rate */
    uint32_t min_rate;       /* bytes a second */
    uint32_t idle_ms;        /* between requests */
    uint32_t send_ms;        /* for an answer */
    size_t max_unsent_bytes; /* of answers, that the kernel keeps for one client */
    uint32_t max_parts;      /* of a form */
    uint32_t max_json_depth; /* up to SCREE_JSON_MAX_DEPTH */
    uint32_t max_inflation;  /* how many times as long a compressed body may become */
    uint32_t max_calls;      /* of gRPC, on one connection */
    uint32_t retry_after_s;  /* what a client is told that is sent away */
};

struct scree_http;
struct scree_request;

/* What a route answers. Handlers call scree_reply() once. */
typedef void scree_handler_fn(void *context, struct scree_request *request);

enum scree_route_flag {
    SCREE_ROUTE_QUICK = 1, /* handled on the event loop: takes no time */
    SCREE_ROUTE_OPEN = 2,  /* for everybody, token or not: probes */
    SCREE_ROUTE_ADMIN = 4, /* changes the server: needs a token, or to come from this machine */
    SCREE_ROUTE_KEY = 8,   /* a camera's: the key is in the body, where the handler looks for it */
};

/* One row of the table of routes. A path is matched part by part; "*" takes any one part, which
 * scree_request_part() tells; the first row that fits counts. */
struct scree_route {
    const char *method; /* "GET" (HEAD too), "POST" */
    const char *path;
    uint32_t flags;
    scree_handler_fn *admit; /* NULL: all are admitted. Refuses by replying */
    scree_handler_fn *handle;
};

/* What the server tells of each answer; on the event loop. */
typedef void scree_answered_fn(void *context, const struct scree_request *request, int status);

struct scree_http_options {
    bool tls;                         /* with the certificate of tls.h */
    int listener;                     /* a socket that listens; taken over, on failure too */
    const struct scree_route *routes; /* end with a row of NULL; borrowed */
    scree_handler_fn *gate;           /* asked before a route's `admit`; may refuse by replying */
    scree_answered_fn *answered;
    void *context; /* of these functions and of handlers; borrowed */
    struct scree_http_limits limits;
    struct scree_workers *workers; /* borrowed; its jobs must have run before scree_http_free() */
};

/* Starts answering. Errors: EIO, ENOMEM. */
int scree_http_new(const struct scree_http_options *options, struct scree_http **ret_http,
                   struct scree_error *err);

/* A descriptor to poll for reading, and how long to wait at most, in ms; when it is ready, or the
 * time is over, call scree_http_run(). */
int scree_http_fd(const struct scree_http *http);
int scree_http_wait_ms(const struct scree_http *http);
void scree_http_run(struct scree_http *http);

/* Has all streams asked for more. From any thread. */
void scree_http_wake(struct scree_http *http);

/* Accepts no more connections; those that are open end with their next answer, and
 * streams at once. */
void scree_http_drain(struct scree_http *http);

/* True if no request is being read, at work or being sent. */
bool scree_http_is_idle(const struct scree_http *http);

/* The number of open connections and of requests in flight. */
void scree_http_count(const struct scree_http *http, uint32_t *ret_connections,
                      uint32_t *ret_requests);

/* Closes everything. Accepts NULL. */
void scree_http_free(struct scree_http *http);

/* ---- requests ---- */

/* Method, path (decoded) and body u8[*ret_n], never NULL, of a request. In `admit` there is no body
 * yet. */
const char *scree_request_method(const struct scree_request *request);
const char *scree_request_path(const struct scree_request *request);
const uint8_t *scree_request_body(const struct scree_request *request, size_t *ret_n);

/* What its server takes. */
const struct scree_http_limits *scree_request_limits(const struct scree_request *request);

/* The flags of its route. */
uint32_t scree_request_flags(const struct scree_request *request);

/* What the path had in the place of "*" number i, from 0; "" if there is none such. */
const char *scree_request_part(const struct scree_request *request, int i);

/* A header (any case) or a parameter of the query; NULL if it was not sent. */
const char *scree_request_header(const struct scree_request *request, const char *name);
const char *scree_request_query(const struct scree_request *request, const char *name);

/* The time when the headers were there, of CLOCK_MONOTONIC. */
uint64_t scree_request_start_ns(const struct scree_request *request);

/* The peer's address as text. */
const char *scree_request_peer(const struct scree_request *request);

/* What stands for the request in logs and answers: what its header X-Request-ID says, if that is up
 * to 64 of [A-Za-z0-9_.:-], else made here, different for every request. */
const char *scree_request_id(const struct scree_request *request);

/* The trace that the request belongs to by its header traceparent, 32 hexadecimal digits; NULL if
 * there is none. Source: W3C, "Trace Context". */
const char *scree_request_trace(const struct scree_request *request);

/* Notes which model answers, for the log and the metrics; model and version are copied. */
void scree_request_set_model(struct scree_request *request, const char *model, const char *version);

/* What was noted, "" if nothing was. */
const char *scree_request_model(const struct scree_request *request);
const char *scree_request_version(const struct scree_request *request);

/* How many bytes the answer's body has. */
size_t scree_request_n_answered(const struct scree_request *request);

/* Why its body was not taken: -E2BIG (too large, or in too many pieces), -ENOMEM (too many are
 * being read); 0 if it was. */
int scree_request_refusal(const struct scree_request *request);

/* True if the client has gone away, so that nobody would read an answer. */
bool scree_request_is_gone(const struct scree_request *request);

/* Adds a header to the answer, before scree_reply(). Both are copied. What is not printable ASCII
 * becomes "?". */
void scree_request_add_header(struct scree_request *request, const char *name, const char *value);

/* Adds Retry-After. */
void scree_request_add_retry(struct scree_request *request, uint32_t seconds);

/* The answer: takes body's bytes over (and empties it; NULL: no body). type is static. */
void scree_reply(struct scree_request *request, int status, const char *type,
                 struct scree_buffer *body);

/* The same with bytes that outlive the server. */
void scree_reply_static(struct scree_request *request, int status, const char *type,
                        const void *bytes, size_t n);

/* Writes what there is of an answer without an end, to `to` u8[max]; returns how much that is. 0:
 * nothing now; it is asked again after scree_http_wake(), and once a second. Below 0: it ends. On
 * the event loop. */
typedef ssize_t scree_stream_fn(void *stream, uint8_t *to, size_t max);

/* An answer of status 200 without an end: by a quick route only. `end` is called when the client
 * has gone, has not read for as long as an answer may take, or the server stops; and by a HEAD
 * request at once. type is static. */
void scree_reply_stream(struct scree_request *request, const char *type, scree_stream_fn *more,
                        void (*end)(void *stream), void *stream);

#endif
