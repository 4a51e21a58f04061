#include "serve/wire.h"

#include <sys/socket.h>
#include <unistd.h>

int scree_wire_open(struct scree_wire *wire, int fd, struct scree_tls *tls, const char *protocol,
                    struct scree_error *err)
{
    int rc = 0;

    *wire = (struct scree_wire){.fd = fd, .is_shaken = !tls};
    if (tls)
        rc = scree_tls_begin(tls, fd, protocol, &wire->session, err);
    if (rc < 0)
        scree_wire_close(wire);
    return rc;
}

static bool is_later(ssize_t rc)
{
    return rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED;
}

int scree_wire_shake(struct scree_wire *wire)
{
    int rc = wire->is_shaken ? 0 : gnutls_handshake(wire->session);

    if (rc < 0 && !gnutls_error_is_fatal(rc))
        return 0; /* EAGAIN, or an alert that is a warning */
    if (rc < 0)
        (void)gnutls_alert_send_appropriate(wire->session, rc);
    wire->is_shaken = rc >= 0;
    return rc < 0 ? -EIO : 1;
}

bool scree_wire_wants_to_write(const struct scree_wire *wire)
{
    return !wire->is_shaken && gnutls_record_get_direction(wire->session) == 1;
}

ssize_t scree_wire_read(struct scree_wire *wire, void *to, size_t n)
{
    ssize_t rc;

    if (wire->session) {
        rc = gnutls_record_recv(wire->session, to, n);
        /* Whoever wants to shake hands once more is not served: HTTP/2 forbids it. */
        return rc >= 0 ? rc : is_later(rc) ? -EAGAIN : -EIO;
    }
    rc = recv(wire->fd, to, n, MSG_DONTWAIT);
    return rc >= 0 ? rc : errno == EAGAIN || errno == EINTR ? -EAGAIN : -EIO;
}

ssize_t scree_wire_write(struct scree_wire *wire, const void *bytes, size_t n)
{
    ssize_t rc;

    if (wire->session) {
        rc = wire->is_cut ? gnutls_record_send(wire->session, NULL, 0)
                          : gnutls_record_send(wire->session, bytes, n);
        wire->is_cut = is_later(rc);
        return rc >= 0 ? rc : wire->is_cut ? -EAGAIN : -EIO;
    }
    rc = send(wire->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    return rc >= 0 ? rc : errno == EAGAIN || errno == EINTR ? -EAGAIN : -EIO;
}

void scree_wire_close(struct scree_wire *wire)
{
    if (wire->session) {
        if (wire->is_shaken)
            (void)gnutls_bye(wire->session, GNUTLS_SHUT_WR);
        gnutls_deinit(wire->session);
    }
    (void)close(wire->fd);
    wire->session = NULL;
    wire->fd = -1;
}
