#include "serve/access.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"

#define MAX_FILE_BYTES ((size_t)64 << 10)
#define MIN_TOKEN      8

void scree_access_init(struct scree_access *access)
{
    *access = (struct scree_access){0};
    pthread_mutex_init(&access->lock, NULL);
}

static void forget(struct scree_tokens *tokens)
{
    if (tokens->text)
        explicit_bzero(tokens->text, tokens->n);
    free(tokens->text);
    *tokens = (struct scree_tokens){0};
}

void scree_access_done(struct scree_access *access)
{
    for (int i = 0; i < SCREE_N_SCOPES; i++)
        forget(&access->tokens[i]);
    pthread_mutex_destroy(&access->lock);
}

/* ---- files ---- */

/* The next line of text char[*n] that is not empty, and moves behind it; length 0 at the end. */
static size_t next_line(const char **text, size_t *n, const char **ret_line)
{
    while (*n > 0) {
        const char *end = memchr(*text, '\n', *n);
        size_t length = end ? (size_t)(end - *text) : *n, whole = length + (end != NULL);

        *ret_line = *text;
        *text += whole;
        *n -= whole;
        while (length > 0 && ((*ret_line)[length - 1] == '\r' || (*ret_line)[length - 1] == ' '))
            length--;
        if (length > 0)
            return length;
    }
    return 0;
}

static int check_tokens(const char *text, size_t n, struct scree_error *err)
{
    const char *line;
    size_t length, count = 0;

    for (; (length = next_line(&text, &n, &line)) > 0; count++) {
        if (length < MIN_TOKEN)
            return scree_fail(err, EBADMSG, "a token has at least %d characters", MIN_TOKEN);
        for (size_t i = 0; i < length; i++)
            if (line[i] <= ' ' || line[i] > '~')
                return scree_fail(err, EBADMSG, "a token is printable ASCII without spaces");
    }
    return count > 0 ? 0 : scree_fail(err, EBADMSG, "there is no token in it");
}

int scree_access_read(struct scree_access *access, enum scree_scope scope, const char *path,
                      struct scree_error *err)
{
    struct scree_tokens tokens = {0}, old;
    uint8_t *bytes = NULL;
    int rc;

    if (path) {
        rc = scree_file_read(path, MAX_FILE_BYTES, &bytes, &tokens.n, err);
        if (rc < 0)
            return rc;
        tokens.text = (char *)bytes;
        rc = check_tokens(tokens.text, tokens.n, err);
        if (rc < 0) {
            forget(&tokens);
            return scree_wrap(err, rc, "%s", path);
        }
    }
    pthread_mutex_lock(&access->lock);
    old = access->tokens[scope];
    access->tokens[scope] = tokens;
    pthread_mutex_unlock(&access->lock);
    forget(&old);
    return 0;
}

/* ---- asking ---- */

/* Takes as long for a token that is right from its first byte on as for one that is wrong: the time
 * tells only how long what was given is. */
static bool is_equal(const char *given, size_t n_given, const char *token, size_t n)
{
    size_t difference = n_given ^ n;

    for (size_t i = 0; i < n_given; i++)
        difference |= (size_t)((unsigned char)given[i] ^ (unsigned char)token[i % n]);
    return difference == 0;
}

/* True if `given` is one of the tokens; all are looked at. */
static bool is_token(const struct scree_tokens *tokens, const char *given)
{
    const char *text = tokens->text, *line;
    size_t n = tokens->n, length, n_given = given ? strlen(given) : 0;
    bool found = false;

    while (text && (length = next_line(&text, &n, &line)) > 0)
        found |= n_given > 0 && is_equal(given, n_given, line, length);
    return found;
}

static const char *bearer(const char *authorization)
{
    static const char scheme[] = "Bearer ";

    if (!authorization || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return NULL;
    authorization += sizeof scheme - 1;
    return authorization + strspn(authorization, " ");
}

bool scree_address_is_loopback(const char *address)
{
    struct in_addr v4;

    if (strncasecmp(address, "::ffff:", 7) == 0)
        address += 7;
    /* All of it is an address: "127.0.0.1.example.org" is a name, whoever's it may be. */
    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
    return strcmp(address, "::1") == 0;
}

/* "localhost:8080", "127.0.0.1", "[::1]:8080": what a page of this server itself would say. A name
 * of somebody else's that leads to this machine is none of these. */
static bool host_is_local(const char *host)
{
    char name[64];
    bool is_v6 = host[0] == '[';
    size_t n = strcspn(host += is_v6, is_v6 ? "]" : ":");

    if (n >= sizeof name)
        return false;
    memcpy(name, host, n);
    name[n] = '\0';
    return strcasecmp(name, "localhost") == 0 || scree_address_is_loopback(name);
}

/* True for a request of a person or a program on this machine. */
static bool is_local(const struct scree_credentials *who)
{
    const char *site = who->origin ? strstr(who->origin, "://") : NULL;

    if (!scree_address_is_loopback(who->peer) || who->is_forwarded)
        return false;
    if (who->host && !host_is_local(who->host))
        return false;
    return !who->origin || (site && who->host && strcasecmp(site + 3, who->host) == 0);
}

static int check(const struct scree_access *access, enum scree_scope scope,
                 const struct scree_credentials *who, struct scree_error *err)
{
    const struct scree_tokens *tokens = access->tokens;
    const char *token = bearer(who->authorization);
    bool is_admin = is_token(&tokens[SCREE_SCOPE_ADMIN], token);
    bool by_token = is_token(&tokens[SCREE_SCOPE_INFER], token);
    bool by_key = is_token(&tokens[SCREE_SCOPE_INFER], who->key); /* looked at in any case */
    bool is_user = by_token || by_key;

    if (scope == SCREE_SCOPE_OPEN || is_admin)
        return 0;
    if (scope == SCREE_SCOPE_INFER)
        return is_user || !tokens[SCREE_SCOPE_INFER].text
                   ? 0
                   : scree_fail(err, EACCES, "a token is needed, and a right one");
    if (tokens[SCREE_SCOPE_ADMIN].text)
        return scree_fail(err, EACCES, "a token for changes is needed, and a right one");
    return is_local(who) ? 0
                         : scree_fail(err, EACCES,
                                      "changes can be asked for from this machine only: the server "
                                      "has no token for them");
}

int scree_access_check(struct scree_access *access, enum scree_scope scope,
                       const struct scree_credentials *credentials, struct scree_error *err)
{
    int rc;

    pthread_mutex_lock(&access->lock);
    rc = check(access, scope, credentials, err);
    pthread_mutex_unlock(&access->lock);
    return rc;
}
