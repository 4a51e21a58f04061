#include "serve/tls.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"

#define MAX_FILE_BYTES ((size_t)1 << 20)
#define MAX_CHAIN      16
#define KEEP_S         3600 /* longer than any handshake is let go on */

/* A chain and its key. */
struct credentials {
    struct credentials *next; /* older */
    gnutls_pcert_st chain[MAX_CHAIN];
    unsigned int n;
    gnutls_privkey_t key;
    time_t retired; /* when another took its place */
};

struct scree_tls {
    char *certificate, *key;
    struct credentials *credentials;           /* newest first */
    gnutls_certificate_credentials_t sessions; /* of scree_tls_begin(): who chooses from them */
};

static struct scree_tls *serving; /* what scree_tls_choose() chooses from */

static void free_credentials(struct credentials *credentials)
{
    for (unsigned int i = 0; i < credentials->n; i++)
        gnutls_pcert_deinit(&credentials->chain[i]);
    if (credentials->key)
        gnutls_privkey_deinit(credentials->key);
    free(credentials);
}

static int fail(const char *path, int code, struct scree_error *err)
{
    return scree_fail(err, code == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EBADMSG, "%s: %s", path,
                      gnutls_strerror(code));
}

static int read_chain(const char *path, struct credentials *credentials, struct scree_error *err)
{
    unsigned int n = MAX_CHAIN;
    gnutls_datum_t data;
    uint8_t *bytes;
    size_t n_bytes;
    int rc = scree_file_read(path, MAX_FILE_BYTES, &bytes, &n_bytes, err);

    if (rc < 0)
        return rc;
    data = (gnutls_datum_t){bytes, (unsigned int)n_bytes};
    rc = gnutls_pcert_list_import_x509_raw(credentials->chain, &n, &data, GNUTLS_X509_FMT_PEM,
                                           GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    free(bytes);
    if (rc < 0)
        return fail(path, rc, err);
    credentials->n = n;
    return n > 0 ? 0 : scree_fail(err, EBADMSG, "%s: there is no certificate in it", path);
}

static int read_key(const char *path, struct credentials *credentials, struct scree_error *err)
{
    gnutls_datum_t data;
    uint8_t *bytes;
    size_t n_bytes;
    int rc = scree_file_read(path, MAX_FILE_BYTES, &bytes, &n_bytes, err);

    if (rc < 0)
        return rc;
    data = (gnutls_datum_t){bytes, (unsigned int)n_bytes};
    rc = gnutls_privkey_init(&credentials->key);
    if (rc >= 0)
        rc = gnutls_privkey_import_x509_raw(credentials->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
    explicit_bzero(bytes, n_bytes);
    free(bytes);
    return rc < 0 ? fail(path, rc, err) : 0;
}

/* Whether the key is that of the first certificate. */
static int check_pair(const struct scree_tls *tls, const struct credentials *credentials,
                      struct scree_error *err)
{
    unsigned char ids[2][32];
    size_t n[2] = {sizeof ids[0], sizeof ids[1]};
    gnutls_pubkey_t key;
    int rc = gnutls_pubkey_init(&key);

    if (rc < 0)
        return fail(tls->key, rc, err);
    rc = gnutls_pubkey_import_privkey(key, credentials->key, 0, 0);
    if (rc >= 0)
        rc = gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, ids[0], &n[0]);
    gnutls_pubkey_deinit(key);
    if (rc >= 0)
        rc = gnutls_pubkey_get_key_id(credentials->chain[0].pubkey, GNUTLS_KEYID_USE_SHA256, ids[1],
                                      &n[1]);
    if (rc < 0)
        return fail(tls->key, rc, err);
    if (n[0] != n[1] || memcmp(ids[0], ids[1], n[0]) != 0)
        return scree_fail(err, EBADMSG, "%s is not the key of %s", tls->key, tls->certificate);
    return 0;
}

static void forget_old(struct scree_tls *tls, time_t now)
{
    struct credentials **at = &tls->credentials;

    while (*at) {
        struct credentials *old = *at;

        if (old->retired == 0 || now - old->retired < KEEP_S) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        free_credentials(old);
    }
}

int scree_tls_reload(struct scree_tls *tls, struct scree_error *err)
{
    struct credentials *credentials = calloc(1, sizeof *credentials);
    time_t now = time(NULL);
    int rc;

    if (!credentials)
        return scree_fail_memory(err, sizeof *credentials);
    rc = read_chain(tls->certificate, credentials, err);
    if (rc >= 0)
        rc = read_key(tls->key, credentials, err);
    if (rc >= 0)
        rc = check_pair(tls, credentials, err);
    if (rc < 0) {
        free_credentials(credentials);
        return rc;
    }
    if (tls->credentials)
        tls->credentials->retired = now;
    credentials->next = tls->credentials;
    tls->credentials = credentials;
    forget_old(tls, now);
    return 0;
}

int scree_tls_new(const char *certificate, const char *key, struct scree_tls **ret_tls,
                  struct scree_error *err)
{
    struct scree_tls *tls = calloc(1, sizeof *tls);
    int rc;

    if (!tls)
        return scree_fail_memory(err, sizeof *tls);
    tls->certificate = strdup(certificate);
    tls->key = strdup(key);
    rc = tls->certificate && tls->key ? scree_tls_reload(tls, err)
                                      : scree_fail_memory(err, strlen(certificate));
    if (rc >= 0 && gnutls_certificate_allocate_credentials(&tls->sessions) < 0)
        rc = scree_fail_memory(err, sizeof *tls);
    if (rc < 0) {
        scree_tls_free(tls);
        return rc;
    }
    gnutls_certificate_set_retrieve_function2(tls->sessions, scree_tls_choose);
    serving = tls;
    *ret_tls = tls;
    return 0;
}

void scree_tls_free(struct scree_tls *tls)
{
    if (!tls)
        return;
    if (serving == tls)
        serving = NULL;
    while (tls->credentials) {
        struct credentials *next = tls->credentials->next;

        free_credentials(tls->credentials);
        tls->credentials = next;
    }
    if (tls->sessions)
        gnutls_certificate_free_credentials(tls->sessions);
    free(tls->certificate);
    free(tls->key);
    free(tls);
}

/* What RFC 9113, appendix A, has nothing against: without forward secrecy or authenticated
 * encryption HTTP/2 is not spoken. */
#define H2_PRIORITIES \
    SCREE_TLS_PRIORITIES ":-RSA:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305"

int scree_tls_begin(struct scree_tls *tls, int fd, const char *protocol,
                    gnutls_session_t *ret_session, struct scree_error *err)
{
    gnutls_datum_t name = {(unsigned char *)(uintptr_t)protocol, (unsigned int)strlen(protocol)};
    gnutls_session_t session = NULL;
    int rc = gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);

    if (rc >= 0)
        rc = gnutls_priority_set_direct(session, H2_PRIORITIES, NULL);
    if (rc >= 0)
        rc = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, tls->sessions);
    if (rc >= 0)
        rc = gnutls_alpn_set_protocols(session, &name, 1, GNUTLS_ALPN_MANDATORY);
    if (rc < 0) {
        if (session)
            gnutls_deinit(session);
        return scree_fail(err, rc == GNUTLS_E_MEMORY_ERROR ? ENOMEM : EIO, "TLS: %s",
                          gnutls_strerror(rc));
    }
    gnutls_transport_set_int(session, fd);
    *ret_session = session;
    return 0;
}

int scree_tls_choose(gnutls_session_t session, const gnutls_datum_t *names, int n_names,
                     const gnutls_pk_algorithm_t *algorithms, int n_algorithms,
                     gnutls_pcert_st **ret_chain, unsigned int *ret_n, gnutls_privkey_t *ret_key)
{
    (void)session, (void)names, (void)n_names, (void)algorithms, (void)n_algorithms;
    *ret_chain = serving->credentials->chain;
    *ret_n = serving->credentials->n;
    *ret_key = serving->credentials->key;
    return 0;
}
