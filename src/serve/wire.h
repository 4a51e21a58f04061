/* serve/wire.h - a socket that was accepted, with TLS or without: bytes both ways, never waiting.
 *
 *     scree_wire_open(&wire, fd, tls, err);
 *     rc = scree_wire_shake(&wire);                    again whenever the socket is ready, until 1
 *     n = scree_wire_read(&wire, bytes, sizeof bytes);
 *     n = scree_wire_write(&wire, bytes, n_bytes);     EAGAIN: again, with the same bytes in front
 *
 * Memory: the wire owns the socket. Threads: one wire, one thread at a time. */
#ifndef SCREE_SERVE_WIRE_H
#define SCREE_SERVE_WIRE_H

#include <sys/types.h>

#include "serve/tls.h"

struct scree_wire {
    int fd;
    gnutls_session_t session; /* NULL: without TLS */
    bool is_shaken;           /* bytes may be read and written */
    bool is_cut;              /* a record was begun: what is written next is in it already */
};

/* Takes the socket over, even on failure; tls NULL: without. `protocol` is what ALPN must choose if
 * the peer offers anything. Errors: EIO, ENOMEM. */
int scree_wire_open(struct scree_wire *wire, int fd, struct scree_tls *tls, const char *protocol,
                    struct scree_error *err);

/* Goes on with the handshake. Returns 1 when it is over, 0 if it waits for the peer. Errors: EIO
 * (it failed: close the wire). */
int scree_wire_shake(struct scree_wire *wire);

/* True if the handshake waits until it can write, not read. */
bool scree_wire_wants_to_write(const struct scree_wire *wire);

/* Up to n bytes from the peer into `to` u8[n], n >= 16384: no less, so that none stay behind where
 * poll() does not see them. 0: the peer has ended. Errors: EAGAIN, EIO. */
ssize_t scree_wire_read(struct scree_wire *wire, void *to, size_t n);

/* Some of bytes u8[n], n > 0, to the peer; returns how many. Errors: EAGAIN, EIO. */
ssize_t scree_wire_write(struct scree_wire *wire, const void *bytes, size_t n);

/* Says so, and closes the socket. */
void scree_wire_close(struct scree_wire *wire);

#endif
