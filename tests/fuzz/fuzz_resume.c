/* Any bytes as what an interrupted download left on the disk, and as what servers then answer.
 *
 *     FLAGS STATE -- PART -- ANSWER -- ANSWER ...       "--" is a line of its own
 *
 * FLAGS is a byte: with its lowest bit set, the digest is known. In STATE "~" stands for this
 * kernel's boot id, which no corpus could know. The first fetch gets these answers, one a
 * connection; what it gives must be what it says that it is. The second one has a good server and
 * the digest: whatever is on the disk then, it must succeed, and at once. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "fuzz/fuzz.h"
#include "fuzz/pieces.h"
#include "pull/beneath.h"
#include "pull/fetch.h"
#include "pull/resume.h"

#define URL       "http://models/m"
#define GOOD_ETAG "\"good\""
#define MAX_BYTES 4096

static const char good[] = "The file as it is on the server, all sixty-odd bytes of its bulk.\n";

static struct web {
    pthread_mutex_t lock;
    int listener;
    const uint8_t *answers; /* what is left of them; NULL: the server is a good one */
    size_t n;
} web = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int folder;
static char in_memory[] = "/dev/shm/scree-fuzz-XXXXXX", on_disk[] = "/tmp/scree-fuzz-XXXXXX";
static const char *path;
static char digest[SCREE_SHA256_TEXT], boot[SCREE_RESUME_BOOT];

/* ---- what is on the disk ---- */

static void put(const char *name, const void *bytes, size_t n)
{
    if (scree_beneath_put(folder, name, bytes, n, 0600) < 0)
        abort();
}

/* The state with the boot id in it. What is printed of what is read says the same again. */
static void put_state(const uint8_t *bytes, size_t n)
{
    static char text[1 << 16], printed[SCREE_RESUME_TEXT];
    struct scree_resume resume, again;
    size_t length = 0;

    for (size_t i = 0; i < n && length + sizeof boot < sizeof text; i++)
        if (bytes[i] == '~')
            length += (size_t)snprintf(text + length, sizeof boot, "%s", boot);
        else
            text[length++] = (char)bytes[i];
    text[length] = '\0';
    put("m.state", text, length);
    if (!scree_resume_parse(text, &resume))
        return;
    if (scree_resume_print(&resume, printed) != strlen(printed) || strcmp(printed, text) != 0 ||
        !scree_resume_parse(printed, &again) || strcmp(again.etag, resume.etag) != 0)
        abort();
}

/* ---- the server ---- */

/* Reads a request to its empty line into text char[n]. */
static void read_request(int fd, char *text, size_t n)
{
    size_t length = 0;
    ssize_t got = 1;

    text[0] = '\0';
    while (got > 0 && length < n - 1 && !strstr(text, "\r\n\r\n")) {
        got = recv(fd, text + length, n - 1 - length, 0);
        length += got > 0 ? (size_t)got : 0;
        text[length] = '\0';
    }
}

/* As servers do that know their files. */
static void answer_well(int fd, const char *request)
{
    const char *range = strstr(request, "\r\nRange: bytes=");
    const char *same = strstr(request, "\r\nIf-Range: ");
    unsigned long long from = 0;
    char text[512];
    int n;

    if (range && (!same || strncmp(same + 12, GOOD_ETAG "\r\n", sizeof GOOD_ETAG + 1) == 0))
        from = strtoull(range + 15, NULL, 10);
    if (from >= sizeof good - 1)
        n = snprintf(text, sizeof text, "HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n");
    else
        n = snprintf(text, sizeof text,
                     "HTTP/1.1 %s\r\nETag: " GOOD_ETAG "\r\nContent-Length: %zu\r\n"
                     "Content-Range: bytes %llu-%zu/%zu\r\n\r\n%s",
                     from ? "206 Part" : "200 OK", sizeof good - 1 - (size_t)from, from,
                     sizeof good - 2, sizeof good - 1, good + from);
    (void)send(fd, text, (size_t)n, MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
    char request[8192];
    int fd;

    (void)arg;
    while ((fd = accept(web.listener, NULL, NULL)) >= 0) {
        read_request(fd, request, sizeof request);
        pthread_mutex_lock(&web.lock);
        if (web.answers) {
            size_t n;
            const uint8_t *answer = take_piece(&web.answers, &web.n, &n);

            (void)send(fd, answer, n, MSG_NOSIGNAL);
        } else {
            answer_well(fd, request);
        }
        pthread_mutex_unlock(&web.lock);
        (void)close(fd);
    }
    return NULL;
}

static void set_answers(const uint8_t *answers, size_t n)
{
    pthread_mutex_lock(&web.lock);
    web.answers = answers;
    web.n = n;
    pthread_mutex_unlock(&web.lock);
}

/* All connections go through this server as a proxy: no answer leads to another machine. */
static void start_web(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "all_proxy"};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    pthread_t thread;
    char text[64];

    web.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (web.listener < 0 || bind(web.listener, (struct sockaddr *)&at, n) < 0 ||
        listen(web.listener, 64) < 0 || getsockname(web.listener, (struct sockaddr *)&at, &n) < 0 ||
        pthread_create(&thread, NULL, serve, NULL) != 0 || pthread_detach(thread) != 0)
        abort();
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%u", ntohs(at.sin_port));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)setenv(names[i], text, 1);
    (void)unsetenv("no_proxy");
    (void)unsetenv("NO_PROXY");
}

static void end(void)
{
    scree_fetch_clear(folder, "m");
    (void)close(folder);
    (void)rmdir(path);
}

static void start(void)
{
    struct sha256_ctx sha;
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    /* Files are written to the disk with care, which takes a while where there is one. */
    path = mkdtemp(in_memory);
    path = path ? path : mkdtemp(on_disk);
    if (!path || !file || !fgets(boot, sizeof boot, file))
        abort();
    (void)fclose(file);
    boot[strcspn(boot, "\n")] = '\0';
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || atexit(end) != 0 || curl_global_init(CURL_GLOBAL_DEFAULT))
        abort();
    sha256_init(&sha);
    sha256_update(&sha, sizeof good - 1, (const uint8_t *)good);
    scree_sha256_text(&sha, digest);
    start_web();
}

/* ---- fetches ---- */

static int fetch(bool with_digest, struct scree_fetched *ret, struct scree_error *err)
{
    const struct scree_fetch_options options = {
        .url = URL,
        .sha256 = with_digest ? digest : NULL,
        .allow_http = true,
        .max_bytes = MAX_BYTES,
        .timeout_s = 60,
        .stall_s = 60,
        .min_rate = 1,
        .what = "m",
    };

    return scree_fetch(folder, &options, ret, err);
}

/* What was fetched is what was said, goes on where the part ended, and is the file itself if that
 * could be known. */
static void check_file(int fd, bool is_known, const struct scree_fetched *fetched,
                       const uint8_t *part, size_t n_part)
{
    static uint8_t bytes[MAX_BYTES + 1];
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    char sha_text[SCREE_SHA256_TEXT];
    struct sha256_ctx sha;

    if (n < 0 || (uint64_t)n != fetched->n_bytes || fetched->n_resumed > fetched->n_bytes)
        abort();
    sha256_init(&sha);
    sha256_update(&sha, (size_t)n, bytes);
    scree_sha256_text(&sha, sha_text);
    if (strcmp(sha_text, fetched->sha256) != 0)
        abort();
    if (part && fetched->n_resumed > 0 &&
        (fetched->n_resumed != n_part || memcmp(bytes, part, n_part) != 0))
        abort();
    if (is_known && ((size_t)n != sizeof good - 1 || memcmp(bytes, good, (size_t)n) != 0))
        abort();
}

static void check_failure(int rc, const struct scree_error *err)
{
    struct stat st;

    if (!err->text[0] || !scree_text_is_safe(err->text, strlen(err->text)))
        abort();
    if (rc != -EINVAL && rc != -ENOENT && rc != -EBADMSG && rc != -E2BIG && rc != -EIO)
        abort();
    if (rc == -EBADMSG && fstatat(folder, "m.part", &st, 0) == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_error err = {""};
    struct scree_fetched fetched;
    const uint8_t *state, *part;
    size_t n_state, n_part;
    bool is_known;
    int rc;

    if (!folder)
        start();
    if (n_bytes == 0)
        return 0;
    is_known = bytes[0] & 1;
    bytes++;
    n_bytes--;
    state = take_piece(&bytes, &n_bytes, &n_state);
    part = take_piece(&bytes, &n_bytes, &n_part);
    put_state(state, n_state);
    put("m.part", part, n_part);
    set_answers(bytes, n_bytes);
    rc = fetch(is_known, &fetched, &err);
    if (rc >= 0) {
        check_file(rc, is_known, &fetched, part, n_part);
        (void)close(rc);
    } else {
        check_failure(rc, &err);
    }
    set_answers(NULL, 0);
    rc = fetch(true, &fetched, &err);
    if (rc < 0)
        abort();
    check_file(rc, true, &fetched, NULL, 0);
    (void)close(rc);
    scree_fetch_clear(folder, "m");
    return 0;
}
