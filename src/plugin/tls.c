#include "plugin/tls.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct scree_tls {
    int fd;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt authorities;
};

static int fail_tls(int code, struct scree_error *err)
{
    char text[120] = "";

    mbedtls_strerror(code, text, sizeof text);
    return scree_fail(err, code == MBEDTLS_ERR_SSL_ALLOC_FAILED ? ENOMEM : EIO, "TLS: %s", text);
}

static int write_socket(void *context, const unsigned char *bytes, size_t n)
{
    const struct scree_tls *tls = context;
    ssize_t sent = send(tls->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent >= 0)
        return (int)sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOTCONN
               ? MBEDTLS_ERR_SSL_WANT_WRITE
               : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int read_socket(void *context, unsigned char *bytes, size_t n)
{
    const struct scree_tls *tls = context;
    ssize_t got = recv(tls->fd, bytes, n, MSG_DONTWAIT);

    if (got >= 0)
        return (int)got;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ
                                                                     : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int configure(struct scree_tls *tls, const char *name, const char *ca, size_t n_ca,
                     struct scree_error *err)
{
    int rc = mbedtls_x509_crt_parse(&tls->authorities, (const unsigned char *)ca, n_ca);

    if (rc < 0) /* else how many of them it does not understand: one of another kind, say */
        return scree_fail(err, EINVAL, "there is no certificate of an authority");
#if MBEDTLS_VERSION_MAJOR >= 3
    if (psa_crypto_init() != PSA_SUCCESS)
        return scree_fail(err, EIO, "TLS: no cryptography");
#endif
    rc = mbedtls_ctr_drbg_seed(&tls->random, mbedtls_entropy_func, &tls->entropy, NULL, 0);
    if (rc == 0)
        rc = mbedtls_ssl_config_defaults(&tls->config, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0)
        return fail_tls(rc, err);
    mbedtls_ssl_conf_authmode(&tls->config, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&tls->config, &tls->authorities, NULL);
    mbedtls_ssl_conf_rng(&tls->config, mbedtls_ctr_drbg_random, &tls->random);
#if MBEDTLS_VERSION_MAJOR < 3
    mbedtls_ssl_conf_min_version(&tls->config, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
#endif
    rc = mbedtls_ssl_setup(&tls->ssl, &tls->config);
    if (rc == 0)
        rc = mbedtls_ssl_set_hostname(&tls->ssl, name);
    if (rc != 0)
        return fail_tls(rc, err);
    mbedtls_ssl_set_bio(&tls->ssl, tls, write_socket, read_socket, NULL);
    return 0;
}

int scree_tls_new(int fd, const char *name, const char *ca, size_t n_ca, struct scree_tls **ret_tls,
                  struct scree_error *err)
{
    struct scree_tls *tls = calloc(1, sizeof *tls);
    int rc;

    if (!tls)
        return scree_fail_memory(err, sizeof *tls);
    tls->fd = fd;
    mbedtls_ssl_init(&tls->ssl);
    mbedtls_ssl_config_init(&tls->config);
    mbedtls_entropy_init(&tls->entropy);
    mbedtls_ctr_drbg_init(&tls->random);
    mbedtls_x509_crt_init(&tls->authorities);
    rc = configure(tls, name, ca, n_ca, err);
    if (rc < 0)
        scree_tls_free(tls);
    else
        *ret_tls = tls;
    return rc;
}

void scree_tls_free(struct scree_tls *tls)
{
    if (!tls)
        return;
    mbedtls_ssl_free(&tls->ssl);
    mbedtls_ssl_config_free(&tls->config);
    mbedtls_x509_crt_free(&tls->authorities);
    mbedtls_ctr_drbg_free(&tls->random);
    mbedtls_entropy_free(&tls->entropy);
    free(tls);
}

/* 0 or more, -EAGAIN or -EIO for what mbedTLS returned. A ticket for a later connection is no data.
 */
static int result(int rc, bool *ret_wants_write, struct scree_error *err)
{
    *ret_wants_write = rc == MBEDTLS_ERR_SSL_WANT_WRITE;
    if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return -EAGAIN;
#ifdef MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
    if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
        return -EAGAIN;
#endif
    if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || rc == MBEDTLS_ERR_SSL_CONN_EOF)
        return 0;
    return rc < 0 ? fail_tls(rc, err) : rc;
}

int scree_tls_send(struct scree_tls *tls, const void *bytes, size_t n, bool *ret_wants_write,
                   struct scree_error *err)
{
    int rc = result(mbedtls_ssl_write(&tls->ssl, bytes, n), ret_wants_write, err);

    return rc == 0 ? scree_fail(err, EIO, "TLS: the peer has closed the connection") : rc;
}

int scree_tls_receive(struct scree_tls *tls, void *bytes, size_t n, bool *ret_wants_write,
                      struct scree_error *err)
{
    return result(mbedtls_ssl_read(&tls->ssl, bytes, n), ret_wants_write, err);
}
