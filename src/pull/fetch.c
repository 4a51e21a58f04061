#include "pull/fetch.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"
#include "pull/beneath.h"
#include "pull/resume.h"

#define MAX_REDIRECTS 5L
#define CONNECT_S     20L

struct fetch {
    const struct scree_fetch_options *options;
    int folder, fd;
    CURL *curl;
    char part[80], name[80], shown[SCREE_URL_SHOWN];
    bool local;                   /* plain HTTP to this machine only */
    struct scree_resume state;    /* what NAME.state says */
    uint64_t n;                   /* bytes in the file */
    uint64_t from;                /* of these, before this request */
    uint64_t range_from;          /* what the answer's Content-Range begins with */
    uint64_t range_total;         /* and what it says of the whole; 0: nothing */
    char etag[SCREE_RESUME_ETAG]; /* the answer's */
    bool begun, has_range;
    struct sha256_ctx sha;
    char message[CURL_ERROR_SIZE];
    struct scree_error *err;
    int rc; /* of a callback */
};

/* ---- the URL ---- */

/* scheme://host:port/path into shown; refuses what is not to be fetched. */
static int check_parts(struct fetch *fetch, CURLU *url)
{
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL, *user = NULL;
    struct scree_error *err = fetch->err;
    int rc = 0;

    if (curl_url_set(url, CURLUPART_URL, fetch->options->url, CURLU_NON_SUPPORT_SCHEME) ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0))
        rc = scree_fail(err, EINVAL, "this is no URL that could be fetched");
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        rc = scree_fail(err, EINVAL, "URLs are https://..., not %.16s:", scheme);
    else if (curl_url_get(url, CURLUPART_HOST, &host, 0) ||
             curl_url_get(url, CURLUPART_PATH, &path, 0))
        rc = scree_fail(err, EINVAL, "the URL has no host");
    else if (curl_url_get(url, CURLUPART_USER, &user, 0) == 0)
        rc = scree_fail(err, EINVAL, "a name or password in the URL is not taken");
    else {
        (void)curl_url_get(url, CURLUPART_PORT, &port, 0); /* there may be none */
        (void)snprintf(fetch->shown, sizeof fetch->shown, "%s://%s%s%s%s", scheme, host,
                       port ? ":" : "", port ? port : "", path);
        scree_text_make_safe(fetch->shown, strlen(fetch->shown));
        fetch->local = strcmp(scheme, "http") == 0 && !fetch->options->allow_http;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(user);
    return rc;
}

static int check_url(struct fetch *fetch)
{
    CURLU *url;
    int rc;

    if (strlen(fetch->options->url) >= SCREE_RESUME_URL || strchr(fetch->options->url, '\n'))
        return scree_fail(fetch->err, EINVAL, "the URL is too long, or has an end of line in it");
    url = curl_url();
    if (!url)
        return scree_fail(fetch->err, ENOMEM, "no memory for the URL");
    rc = check_parts(fetch, url);
    curl_url_cleanup(url);
    return rc;
}

static bool is_loopback(const char *address)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Called between the connection and the request. */
static int on_connected(void *context, char *address, char *own, int port, int own_port)
{
    struct fetch *fetch = context;

    if (!fetch->local || is_loopback(address))
        return CURL_PREREQFUNC_OK;
    fetch->rc = scree_fail(fetch->err, EINVAL, "%s: plain http to another machine (--allow-http)",
                           fetch->shown);
    return CURL_PREREQFUNC_ABORT;
}

/* ---- what is there ---- */

static void read_boot_id(char *text)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    size_t n = file ? fread(text, 1, SCREE_RESUME_BOOT - 1, file) : 0;

    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    if (file)
        (void)fclose(file);
}

static bool read_state(const struct fetch *fetch, struct scree_resume *ret)
{
    char text[SCREE_RESUME_TEXT];

    scree_beneath_get(fetch->folder, fetch->name, text, sizeof text);
    return scree_resume_parse(text, ret);
}

/* For the owner's eyes: a URL may hold what admits to it. */
static int write_state(struct fetch *fetch)
{
    char text[SCREE_RESUME_TEXT];
    size_t n = scree_resume_print(&fetch->state, text);

    return scree_beneath_put(fetch->folder, fetch->name, text, n, 0600);
}

static int fail_disk(struct fetch *fetch, int code)
{
    const char *text = code == EFBIG ? "the file may not grow further (a limit of this process)"
                                     : strerror(code);

    return scree_fail(fetch->err, EIO, "%s after %llu bytes; they are kept, pull again to go on",
                      text, (unsigned long long)fetch->n);
}

static void forget(struct fetch *fetch)
{
    (void)ftruncate(fetch->fd, 0);
    (void)lseek(fetch->fd, 0, SEEK_SET);
    sha256_init(&fetch->sha);
    fetch->n = fetch->from = 0;
    fetch->state.etag[0] = '\0';
    fetch->state.total = 0;
}

/* Adds what is in the file to the digest, and leaves the position at its end. */
static int digest_part(struct fetch *fetch)
{
    uint8_t block[65536];
    ssize_t n;

    while ((n = read(fetch->fd, block, sizeof block)) > 0) {
        sha256_update(&fetch->sha, (size_t)n, block);
        fetch->n += (uint64_t)n;
    }
    fetch->from = fetch->n;
    return n < 0 ? fail_disk(fetch, errno) : 0;
}

/* Opens NAME.part. If it has another name as well it may be in use by that one: a new file, then.
 */
static int open_own_file(const struct fetch *fetch)
{
    int fd = scree_beneath_open(fetch->folder, fetch->part, O_RDWR | O_CREAT | O_NONBLOCK, 0666);
    struct stat st;

    if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1))
        return fd;
    close(fd);
    if (scree_beneath_remove(fetch->folder, fetch->part) < 0)
        return -1;
    return scree_beneath_open(fetch->folder, fetch->part, O_RDWR | O_CREAT | O_EXCL, 0666);
}

/* Opens what came before, if it is of this URL and can be trusted; else an empty file. */
static int open_part(struct fetch *fetch)
{
    struct scree_resume before, *state = &fetch->state;
    bool good;

    fetch->fd = open_own_file(fetch);
    if (fetch->fd < 0)
        return scree_fail(fetch->err, EIO, "%s: %s", fetch->part, strerror(errno));
    (void)snprintf(state->url, sizeof state->url, "%s", fetch->options->url);
    read_boot_id(state->boot);
    good = read_state(fetch, &before) && strcmp(before.url, state->url) == 0 &&
           (fetch->options->sha256 || (*before.etag && strcmp(before.boot, state->boot) == 0));
    sha256_init(&fetch->sha);
    if (!good) {
        forget(fetch);
        return 0;
    }
    *state = before;
    read_boot_id(state->boot);
    if (digest_part(fetch) < 0)
        return -EIO;
    if (fetch->n > fetch->options->max_bytes)
        forget(fetch);
    return 0;
}

/* ---- the answer ---- */

/* The value of a header line char[n] if its name is `name`, with blanks cut, into to char[size]. */
static bool header_is(const char *line, size_t n, const char *name, char *to, size_t size)
{
    size_t length = strlen(name);

    if (n <= length || strncasecmp(line, name, length) != 0)
        return false;
    for (line += length, n -= length; n > 0 && (*line == ' ' || *line == '\t'); n--)
        line++;
    while (n > 0 && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' '))
        n--;
    if (n >= size || memchr(line, '\n', n) || memchr(line, '\0', n))
        return false;
    memcpy(to, line, n);
    to[n] = '\0';
    return true;
}

/* A number of digits alone at *at, and behind it the character `end`, which *at is moved behind. */
static bool take_number(const char **at, char end, uint64_t *ret)
{
    char *behind;

    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    *ret = strtoull(*at, &behind, 10);
    *at = behind + 1;
    return errno == 0 && *behind == end;
}

/* The part that "bytes FIRST-LAST/TOTAL" tells of; the total may be "*", which is 0 here. */
static bool read_range(const char *value, uint64_t *ret_from, uint64_t *ret_total)
{
    uint64_t last;

    if (strncasecmp(value, "bytes ", 6) != 0)
        return false;
    value += 6;
    if (!take_number(&value, '-', ret_from) || !take_number(&value, '/', &last) || last < *ret_from)
        return false;
    *ret_total = 0;
    return strcmp(value, "*") == 0 || (take_number(&value, '\0', ret_total) && last < *ret_total);
}

static size_t on_header(char *line, size_t size, size_t n, void *context)
{
    struct fetch *fetch = context;
    char value[SCREE_RESUME_ETAG];

    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* one more answer, behind a redirect */
        fetch->has_range = false;
        fetch->etag[0] = '\0';
    } else if (header_is(line, n, "Content-Range:", value, sizeof value)) {
        fetch->has_range = read_range(value, &fetch->range_from, &fetch->range_total);
    } else if (header_is(line, n, "ETag:", value, sizeof value) && scree_etag_is_valid(value)) {
        (void)snprintf(fetch->etag, sizeof fetch->etag, "%s", value);
    }
    return size * n;
}

static int fail_size(struct fetch *fetch)
{
    return scree_fail(fetch->err, E2BIG, "%s: it is over the limit of %llu bytes (--max-size)",
                      fetch->shown, (unsigned long long)fetch->options->max_bytes);
}

static int check_size(struct fetch *fetch, uint64_t total)
{
    struct statvfs room;
    uint64_t left;

    if (total > fetch->options->max_bytes)
        return fail_size(fetch);
    if (fstatvfs(fetch->fd, &room) < 0)
        return 0;
    left = (uint64_t)room.f_bavail * room.f_frsize;
    if (total > fetch->n && total - fetch->n > left)
        return scree_fail(fetch->err, EIO,
                          "there is no room for it: %llu bytes are to come, %llu are free",
                          (unsigned long long)(total - fetch->n), (unsigned long long)left);
    return 0;
}

/* A part of a file that is not the one that was begun, by their ETags: of a server that does not
 * know If-Range. */
static bool is_another(const struct fetch *fetch)
{
    return *fetch->etag && *fetch->state.etag && strcmp(fetch->etag, fetch->state.etag) != 0;
}

/* The body begins: behind what is there, or in its place. */
static int begin_body(struct fetch *fetch, long status)
{
    curl_off_t length = -1;

    fetch->begun = true;
    if (status == 206 &&
        (!fetch->from || !fetch->has_range || fetch->range_from != fetch->n || is_another(fetch)))
        return scree_fail(fetch->err, EBADMSG,
                          "%s: the server sent another part than was asked for", fetch->shown);
    if (status == 200) {
        forget(fetch);
        (void)snprintf(fetch->state.etag, sizeof fetch->state.etag, "%s", fetch->etag);
    }
    (void)curl_easy_getinfo(fetch->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    fetch->state.total = length > 0 ? fetch->n + (uint64_t)length : 0;
    if (status == 206 && fetch->range_total > 0)
        fetch->state.total = fetch->range_total;
    fetch->rc = check_size(fetch, fetch->state.total);
    if (fetch->rc == 0 && write_state(fetch) < 0)
        fetch->rc = fail_disk(fetch, errno);
    return fetch->rc;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct fetch *fetch = context;
    long status = 0;

    assert(size == 1);
    (void)curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200 && status != 206)
        return 0; /* nobody reads what an error page says */
    if (!fetch->begun && (fetch->rc = begin_body(fetch, status)) < 0)
        return 0;
    if (n > fetch->options->max_bytes - fetch->n) {
        fetch->rc = fail_size(fetch);
        return 0;
    }
    if (scree_beneath_write(fetch->fd, bytes, n) < 0) {
        fetch->rc = fail_disk(fetch, errno);
        return 0;
    }
    sha256_update(&fetch->sha, n, (const uint8_t *)bytes);
    fetch->n += n;
    return n;
}

static int on_progress(void *context, curl_off_t total, curl_off_t done, curl_off_t up_total,
                       curl_off_t up)
{
    const struct fetch *fetch = context;

    fetch->options->progress(fetch->options->context, fetch->options->what, fetch->n,
                             fetch->state.total);
    return 0;
}

/* ---- the request ---- */

static CURLcode set_limits(struct fetch *fetch)
{
    const struct scree_fetch_options *options = fetch->options;
    const char *schemes = fetch->local || options->allow_http ? "http,https" : "https";
    CURL *curl = fetch->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, schemes);

    code = code ? code : curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_MAXREDIRS, MAX_REDIRECTS);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    code = code ? code
                : curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)options->max_bytes);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_TIMEOUT, options->timeout_s);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, options->stall_s);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, options->min_rate);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_connected);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_PREREQDATA, fetch);
    if (!code && fetch->local)
        code = curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (!code && options->ca_file)
        code = curl_easy_setopt(curl, CURLOPT_CAINFO, options->ca_file);
    return code;
}

static CURLcode set_callbacks(struct fetch *fetch)
{
    CURL *curl = fetch->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, fetch->options->url);

    code = code ? code : curl_easy_setopt(curl, CURLOPT_USERAGENT, "scree");
    code = code ? code : curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fetch->message);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_HEADERDATA, fetch);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    code = code ? code : curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
    if (!code && fetch->options->progress) {
        code = curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        code = code ? code : curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetch);
        code = code ? code : curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    }
    return code;
}

/* Asks for the rest only, if the server still has the same file. */
static CURLcode set_range(struct fetch *fetch, struct curl_slist **headers)
{
    char text[SCREE_RESUME_ETAG + 16];

    if (!fetch->from)
        return CURLE_OK;
    (void)snprintf(text, sizeof text, "Range: bytes=%llu-", (unsigned long long)fetch->from);
    *headers = curl_slist_append(NULL, text);
    if (*headers && *fetch->state.etag) {
        struct curl_slist *more;

        (void)snprintf(text, sizeof text, "If-Range: %s", fetch->state.etag);
        more = curl_slist_append(*headers, text);
        if (!more)
            return CURLE_OUT_OF_MEMORY;
    }
    return *headers ? curl_easy_setopt(fetch->curl, CURLOPT_HTTPHEADER, *headers)
                    : CURLE_OUT_OF_MEMORY;
}

/* What went wrong, if anything, as one line. */
static int judge(struct fetch *fetch, CURLcode code)
{
    long status = 0;

    if (fetch->rc < 0)
        return fetch->rc;
    (void)curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &status);
    if ((code == CURLE_OK || code == CURLE_WRITE_ERROR) && status != 200 && status != 206)
        return scree_fail(fetch->err, status == 404 || status == 410 ? ENOENT : EIO,
                          "%s: the server answers %ld", fetch->shown, status);
    if (code == CURLE_OK)
        return 0;
    if (code == CURLE_FILESIZE_EXCEEDED)
        return fail_size(fetch);
    scree_text_make_safe(fetch->message, strlen(fetch->message));
    return scree_fail(fetch->err, EIO, "%s: %s%s", fetch->shown,
                      fetch->message[0] ? fetch->message : curl_easy_strerror(code),
                      fetch->n ? "; what came is kept" : "");
}

/* Servers may send less of a range than they are asked for. */
static int fail_part(struct fetch *fetch)
{
    return scree_fail(fetch->err, EIO,
                      "%s: the server sent %llu of %llu bytes; they are kept, pull again to go on",
                      fetch->shown, (unsigned long long)fetch->n,
                      (unsigned long long)fetch->state.total);
}

static int request(struct fetch *fetch)
{
    struct curl_slist *headers = NULL;
    CURLcode code;
    long status = 0;
    int rc;

    fetch->begun = false;
    fetch->rc = 0;
    fetch->curl = curl_easy_init();
    if (!fetch->curl)
        return scree_fail(fetch->err, ENOMEM, "no memory for a connection");
    code = set_limits(fetch);
    code = code ? code : set_callbacks(fetch);
    code = code ? code : set_range(fetch, &headers);
    code = code ? code : curl_easy_perform(fetch->curl);
    (void)curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &status);
    rc = judge(fetch, code);
    if (rc == 0 && !fetch->begun) /* an empty body */
        rc = begin_body(fetch, status);
    if (rc == 0 && fetch->state.total > 0 && fetch->n != fetch->state.total)
        rc = fail_part(fetch);
    curl_easy_cleanup(fetch->curl);
    curl_slist_free_all(headers);
    /* The rest of a file that is no longer so long: from the beginning, then. */
    if (status == 416 && fetch->from) {
        forget(fetch);
        return request(fetch);
    }
    return rc;
}

/* ---- all of it ---- */

static int finish(struct fetch *fetch, struct scree_fetched *ret)
{
    const char *wanted = fetch->options->sha256;

    scree_sha256_text(&fetch->sha, ret->sha256);
    ret->n_bytes = fetch->n;
    ret->n_resumed = fetch->from;
    if (!wanted || strcmp(wanted, ret->sha256) == 0)
        return fdatasync(fetch->fd) < 0 ? fail_disk(fetch, errno) : 0;
    return scree_fail(fetch->err, EBADMSG, "%s: its SHA-256 is %.16s..., not %.16s...: refused",
                      fetch->shown, ret->sha256, wanted);
}

static int fetch_all(struct fetch *fetch, struct scree_fetched *ret)
{
    int rc = open_part(fetch);

    if (rc < 0)
        return rc;
    if (fetch->n == 0 || fetch->n != fetch->state.total)
        rc = request(fetch);
    rc = rc < 0 ? rc : finish(fetch, ret);
    /* The part from before may have been another file's: once more, from the beginning. */
    if (rc == -EBADMSG && fetch->from) {
        forget(fetch);
        rc = request(fetch);
        rc = rc < 0 ? rc : finish(fetch, ret);
    }
    if (rc < 0 && (fetch->n == 0 || rc == -EBADMSG || rc == -E2BIG))
        scree_fetch_clear(fetch->folder, fetch->options->what);
    return rc;
}

int scree_fetch(int folder, const struct scree_fetch_options *options, struct scree_fetched *ret,
                struct scree_error *err)
{
    struct fetch fetch = {.options = options, .folder = folder, .fd = -1, .err = err};
    int rc;

    (void)snprintf(fetch.part, sizeof fetch.part, "%s.part", options->what);
    (void)snprintf(fetch.name, sizeof fetch.name, "%s.state", options->what);
    rc = check_url(&fetch);
    if (rc == 0)
        rc = fetch_all(&fetch, ret);
    if (rc == 0)
        return fetch.fd;
    if (fetch.fd >= 0)
        close(fetch.fd);
    return rc;
}

void scree_fetch_clear(int folder, const char *what)
{
    char name[80];

    (void)snprintf(name, sizeof name, "%s.part", what);
    (void)scree_beneath_remove(folder, name);
    (void)snprintf(name, sizeof name, "%s.state", what);
    (void)scree_beneath_remove(folder, name);
}
