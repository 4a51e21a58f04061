/* Any bytes as a file of tokens, and as what a request shows: who is let in has a token that is a
 * line of the file, or is on this machine where there is no file.
 *
 *     AUTHORIZATION -- KEY -- HOST -- ORIGIN -- PEER -- FILE        "--" is a line of its own
 *
 * Of the first five, an empty one is not there. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "fuzz/pieces.h"
#include "serve/access.h"

enum { AUTHORIZATION, KEY, HOST, ORIGIN, PEER, N_SHOWN };

/* Whether the text is a line, but for what is at its end and does not count. */
static bool is_line(const uint8_t *file, size_t n, const char *text)
{
    size_t n_text = strlen(text);

    for (size_t at = 0; n_text > 0 && at < n;) {
        const uint8_t *end = memchr(file + at, '\n', n - at);
        size_t length = end ? (size_t)(end - file) - at : n - at, used = length;

        while (used > 0 && (file[at + used - 1] == ' ' || file[at + used - 1] == '\r'))
            used--;
        if (used == n_text && memcmp(file + at, text, n_text) == 0)
            return true;
        at += length + 1;
    }
    return false;
}

/* A token is at least so long, and there was a right one among what was shown. */
static void check_tokens(const struct scree_credentials *who, const uint8_t *file, size_t n)
{
    const char *space = who->authorization ? strchr(who->authorization, ' ') : NULL;
    const char *token = space ? space + strspn(space, " ") : "";

    if (!is_line(file, n, token) && !(who->key && is_line(file, n, who->key)))
        abort();
}

static void check_local(const struct scree_credentials *who)
{
    if (!scree_address_is_loopback(who->peer) || who->is_forwarded)
        abort();
}

static void ask(struct scree_access *access, struct scree_credentials *who, const uint8_t *file,
                size_t n)
{
    bool has_file = file != NULL;
    int infer = scree_access_check(access, SCREE_SCOPE_INFER, who, NULL);
    int admin = scree_access_check(access, SCREE_SCOPE_ADMIN, who, NULL);

    if (scree_access_check(access, SCREE_SCOPE_OPEN, who, NULL) < 0)
        abort();
    if (!has_file) {
        if (infer < 0)
            abort();
        if (admin >= 0)
            check_local(who);
        return;
    }
    if (infer >= 0)
        check_tokens(who, file, n);
    if (admin >= 0)
        check_tokens(&(struct scree_credentials){.authorization = who->authorization}, file, n);
}

static int read_tokens(struct scree_access *access, const uint8_t *file, size_t n)
{
    int fd = memfd_create("tokens", MFD_CLOEXEC);
    char path[32];
    int rc;

    if (fd < 0 || write(fd, file, n) != (ssize_t)n)
        abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    rc = scree_access_read(access, SCREE_SCOPE_INFER, path, NULL);
    if (rc >= 0 && scree_access_read(access, SCREE_SCOPE_ADMIN, path, NULL) < 0)
        abort();
    (void)close(fd);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_access access;
    struct scree_credentials who;
    char *shown[N_SHOWN];

    for (int i = 0; i < N_SHOWN; i++) {
        size_t n;
        const uint8_t *piece = take_piece(&bytes, &n_bytes, &n);

        shown[i] = n > 0 ? strndup((const char *)piece, n) : NULL;
    }
    who = (struct scree_credentials){
        .peer = shown[PEER] ? shown[PEER] : "",
        .authorization = shown[AUTHORIZATION],
        .key = shown[KEY],
        .host = shown[HOST],
        .origin = shown[ORIGIN],
    };
    scree_access_init(&access);
    ask(&access, &who, NULL, 0);
    if (read_tokens(&access, bytes, n_bytes) >= 0)
        ask(&access, &who, bytes, n_bytes);
    scree_access_done(&access);
    for (int i = 0; i < N_SHOWN; i++)
        free(shown[i]);
    return 0;
}
