/* serve/tls.h - the server's certificate, which can be renewed while it serves.
 *
 *     rc = scree_tls_new("cert.pem", "key.pem", &tls, err);
 *     MHD_OPTION_HTTPS_CERT_CALLBACK, scree_tls_choose          for HTTP
 *     rc = scree_tls_begin(tls, fd, "h2", &session, err);       for gRPC
 *     rc = scree_tls_reload(tls, err);             on SIGHUP
 *
 * Memory: certificates that were replaced are kept as long as a handshake that began with them may
 * last. There is one of these in a process: libmicrohttpd's callback has no context. Threads: all
 * of it belongs to the thread that serves. */
#ifndef SCREE_SERVE_TLS_H
#define SCREE_SERVE_TLS_H

#include <gnutls/abstract.h>

#include "base/error.h"

struct scree_tls;

/* Reads a chain of certificates and its key, both PEM. Errors: those of scree_file_read(), EBADMSG
 * (what is none; a key of another certificate), ENOMEM. */
int scree_tls_new(const char *certificate, const char *key, struct scree_tls **ret_tls,
                  struct scree_error *err);

/* Reads both files again; on failure what was read before stays. Errors: as above. */
int scree_tls_reload(struct scree_tls *tls, struct scree_error *err);

/* Accepts NULL. Nobody serves any more. */
void scree_tls_free(struct scree_tls *tls);

/* The protocols that are spoken, as GnuTLS writes them. */
#define SCREE_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* Makes a session of the server's side for a socket, which stays the caller's and does not block;
 * the handshake is the caller's, too. A peer that offers protocols by ALPN has to offer this one.
 * The session is gnutls_deinit()'s, before scree_tls_free(). Errors: EIO, ENOMEM. */
int scree_tls_begin(struct scree_tls *tls, int fd, const char *protocol,
                    gnutls_session_t *ret_session, struct scree_error *err);

/* The certificate of the handshakes that begin now. */
int scree_tls_choose(gnutls_session_t session, const gnutls_datum_t *names, int n_names,
                     const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
                     gnutls_pcert_st **ret_chain, unsigned int *ret_n, gnutls_privkey_t *ret_key);

#endif
