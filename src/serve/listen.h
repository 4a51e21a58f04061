/* serve/listen.h - sockets to listen on.
 *
 * Memory: the caller owns the descriptors. Threads: any. */
#ifndef SCREE_SERVE_LISTEN_H
#define SCREE_SERVE_LISTEN_H

#include "base/error.h"

/* Listens on address:port ("" or NULL: all addresses, of both families where both are; port 0: any
 * free one). No other process can listen there as well. Returns the descriptor. Errors: EINVAL
 * (address), EBUSY (the port is taken), EACCES, EIO. */
int scree_listen(const char *address, uint16_t port, struct scree_error *err);

/* The port that a socket listens on, 0 if it is none of TCP's. */
uint16_t scree_listen_port(int fd);

#endif
