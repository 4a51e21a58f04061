/* serve/listen.h - sockets to listen on.
 *
 * Memory: the caller owns the descriptors. Threads: any. */
#ifndef SCREE_SERVE_LISTEN_H
#define SCREE_SERVE_LISTEN_H

#include <sys/socket.h>

#include "base/error.h"

/* Listens on address:port ("" or NULL: all addresses, of both families where both are; port 0: any
 * free one). No other process can listen there as well. Returns the descriptor. Errors: EINVAL
 * (address), EBUSY (the port is taken), EACCES, EIO. */
int scree_listen(const char *address, uint16_t port, struct scree_error *err);

/* Takes one connection that waits at a socket, from where ret_address [*n bytes] says. Returns a
 * descriptor that does not block, or negative errno: EAGAIN if nobody waits. Who left before being
 * taken is passed over. */
int scree_listen_accept(int fd, struct sockaddr_storage *ret_address, socklen_t *n);

/* True if the error of accepting is a lack of descriptors or memory. Whoever waits still does, and
 * the socket stays readable: to poll it at once again would be to spin. */
bool scree_listen_is_exhausted(int error);

/* As many descriptors as the process may have. Source: getrlimit(2), the soft limit is but a
 * default for programs that call select(). */
void scree_listen_raise_limit(void);

/* The port that a socket listens on, 0 if it is none of TCP's. */
uint16_t scree_listen_port(int fd);

/* Has the kernel ask connections that are silent, those accepted from now on, whether they are
 * still there. Who has nothing to send would wait for one that is gone for ever. */
void scree_listen_keep_alive(int fd);

/* Has the kernel keep at most so many bytes for each client that is accepted from now on and does
 * not read. Without that it lets one have megabytes, and the time to write them. */
void scree_listen_limit_unsent(int fd, size_t n);

#endif
