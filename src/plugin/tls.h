/* plugin/tls.h - the client's side of TLS on a descriptor that does not wait.
 *
 * The peer must show a certificate that the given authority has signed, for the given name; there
 * is no way to do without. By mbedTLS, whose part in a static program is small.
 *
 * Memory: a struct scree_tls owns its keys, not the descriptor. Threads: one. */
#ifndef SCREE_PLUGIN_TLS_H
#define SCREE_PLUGIN_TLS_H

#include "base/error.h"

struct scree_tls;

/* Prepares a connection on the connected descriptor fd to a peer that is `name` by a certificate of
 * the authorities in ca char[n_ca], PEM with its zero byte counted; those that cannot be read are
 * nobody's. Errors: EINVAL (no certificate), ENOMEM, EIO. */
int scree_tls_new(int fd, const char *name, const char *ca, size_t n_ca, struct scree_tls **ret_tls,
                  struct scree_error *err);

/* Accepts NULL. */
void scree_tls_free(struct scree_tls *tls);

/* Sends at most n bytes, after shaking hands, into which it goes by itself. Returns how many, or
 * -EAGAIN, with *ret_wants_write saying what must be waited for. Errors: EIO, with a text. */
int scree_tls_send(struct scree_tls *tls, const void *bytes, size_t n, bool *ret_wants_write,
                   struct scree_error *err);

/* Takes at most n > 0 bytes; 0 at the end. The rest as above. */
int scree_tls_receive(struct scree_tls *tls, void *bytes, size_t n, bool *ret_wants_write,
                      struct scree_error *err);

#endif
