/* plugin/pages.h - answers GET with a text, and nothing else of HTTP.
 *
 * For a scraper and the kubelet's probes: a request has at most 4 KiB and 5 seconds, an answer ends
 * the connection, and there are at most 8 connections; the oldest makes room for a new one.
 *
 * Memory: owns its descriptors and what it is sending. */
#ifndef SCREE_PLUGIN_PAGES_H
#define SCREE_PLUGIN_PAGES_H

#include <sys/types.h>

#include "net/buffer.h"
#include "plugin/loop.h"

#define SCREE_PAGES_CONNECTIONS   8
#define SCREE_PAGES_REQUEST_BYTES 4096
#define SCREE_PAGES_ANSWER_BYTES  ((size_t)128 << 10)

struct scree_pages;

/* A connection: its request until that is whole, then its answer. */
struct scree_pages_connection {
    struct scree_pages *http;
    struct scree_source source;
    uint64_t start_ns;
    struct scree_buffer request, answer;
    size_t n_sent;
};

/* page: writes the body for a path and returns the status, 200, 404 or 503. */
struct scree_pages {
    struct scree_loop *loop;
    unsigned (*page)(void *context, const char *path, struct scree_buffer *body);
    void *context;
    struct scree_source source;
    struct scree_timer timer;
    char socket[108]; /* the path of a unix socket, "" for TCP */
    dev_t device;     /* with the inode, which file there is ours */
    ino_t inode;
    struct scree_pages_connection connections[SCREE_PAGES_CONNECTIONS];
};

/* What was asked for in u8[n]: 1 and the path, without what follows '?', into path[n_path]; 0 if
 * more must come; -EBADMSG if it is no request; -ENOTSUP if its method is neither GET nor HEAD,
 * with *ret_head for the latter. Pure. */
int scree_pages_parse(const uint8_t *bytes, size_t n, char *path, size_t n_path, bool *ret_head);

/* Listens where `listen` says: "ADDRESS:PORT", "[ADDRESS]:PORT" or "unix:PATH".
 * Errors: EINVAL (it says nothing of the kind), EACCES, EBUSY (the port is taken), EIO. */
int scree_pages_start(struct scree_pages *http, struct scree_loop *loop, const char *listen,
                      unsigned (*page)(void *context, const char *path, struct scree_buffer *body),
                      void *context, struct scree_error *err);

/* Closes everything, and removes the socket if it is still ours. Accepts an all-zero one. */
void scree_pages_done(struct scree_pages *http);

#endif
