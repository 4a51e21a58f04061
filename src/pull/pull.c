#include "pull/pull.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "serve/sha256.h"

#define MAX_REDIRECTS 5
#define CONNECT_S     20L
#define SLOW_S        30L /* with less than a byte a second */
#define TRIES         2   /* what was kept from before may not fit */

/* A pull at work. */
struct work {
    const struct scree_pull *pull;
    int folder, place; /* descriptors: of the models, of the version */
    int fd;            /* of the part */
    char part[64];
    uint64_t have; /* bytes of it */
    int write_error;
    bool is_too_large;
};

bool scree_digest_is_valid(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* ---- places ---- */

/* Opens below a folder; no link on the way leads anywhere. */
static int open_below(int folder, const char *path, uint64_t flags)
{
    const struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .mode = flags & O_CREAT ? 0644 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

static int fail_errno(const char *path, struct scree_error *err)
{
    int code = errno == ENOENT ? ENOENT : errno == EACCES || errno == EROFS ? EACCES : EIO;

    return scree_fail(err, code, "%s: %s", path, strerror(errno));
}

static int make_folder(int at, const char *name, struct scree_error *err)
{
    int fd;

    if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
        return fail_errno(name, err);
    fd = open_below(at, name, O_RDONLY | O_DIRECTORY);
    return fd < 0 ? fail_errno(name, err) : fd;
}

static int open_places(struct work *work, struct scree_error *err)
{
    const struct scree_pull *pull = work->pull;
    int name;

    work->folder = open(pull->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (work->folder < 0)
        return fail_errno(pull->folder, err);
    name = make_folder(work->folder, pull->name, err);
    if (name < 0)
        return name;
    work->place = make_folder(name, pull->version, err);
    (void)close(name);
    return work->place < 0 ? work->place : 0;
}

static int open_part(struct work *work, struct scree_error *err)
{
    struct stat st;

    (void)snprintf(work->part, sizeof work->part, ".%s.part", work->pull->file);
    work->fd = open_below(work->place, work->part, O_RDWR | O_CREAT);
    if (work->fd < 0 || fstat(work->fd, &st) < 0)
        return fail_errno(work->part, err);
    if (!S_ISREG(st.st_mode))
        return scree_fail(err, EIO, "%s is no regular file", work->part);
    if (flock(work->fd, LOCK_EX | LOCK_NB) < 0)
        return scree_fail(err, EBUSY, "another pull of %s %s is at work", work->pull->name,
                          work->pull->version);
    work->have = (uint64_t)st.st_size;
    return 0;
}

/* ---- digests ---- */

static int digest(int fd, char *text)
{
    struct sha256_ctx sha;
    char bytes[16384];
    off_t at = 0;
    ssize_t n;

    sha256_init(&sha);
    while ((n = pread(fd, bytes, sizeof bytes, at)) > 0) {
        sha256_update(&sha, (size_t)n, (const uint8_t *)bytes);
        at += n;
    }
    scree_sha256_text(&sha, text);
    return n < 0 ? -EIO : 0;
}

/* True if the file is in its place already and has the digest. */
static bool is_there(const struct work *work, char *text)
{
    int fd = open_below(work->place, work->pull->file, O_RDONLY);
    bool same = fd >= 0 && work->pull->sha256 && digest(fd, text) == 0 &&
                strcmp(text, work->pull->sha256) == 0;

    if (fd >= 0)
        (void)close(fd);
    return same;
}

/* ---- the net ---- */

static size_t on_bytes(char *bytes, size_t size, size_t n, void *context)
{
    struct work *work = context;
    size_t left = size * n;

    if (work->have + left > work->pull->max_bytes) {
        work->is_too_large = true;
        return 0;
    }
    while (left > 0) {
        ssize_t written = pwrite(work->fd, bytes, left, (off_t)work->have);

        if (written <= 0) {
            work->write_error = errno ? errno : EIO;
            return 0;
        }
        bytes += written;
        left -= (size_t)written;
        work->have += (uint64_t)written;
    }
    return size * n;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    const struct work *work = context;
    const struct scree_pull *pull = work->pull;

    (void)up_total, (void)up_now;
    if (pull->progress && total > 0 && now <= total)
        pull->progress(pull->context, work->have, work->have + (uint64_t)(total - now));
    return 0;
}

static void set_options(CURL *curl, struct work *work)
{
    const char *url = work->pull->url;
    bool is_plain = strncasecmp(url, "http:", 5) == 0;

    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, is_plain ? "http,https" : "https");
    (void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, is_plain ? "http,https" : "https");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)MAX_REDIRECTS);
    (void)curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SLOW_S);
    (void)curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)work->pull->max_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "scree/" SCREE_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, work);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, work);
    (void)curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)work->have);
}

static int fail_curl(const struct work *work, CURLcode code, long status, struct scree_error *err)
{
    const char *url = work->pull->url;

    if (work->write_error)
        return scree_fail(err, EIO, "%s: %s", work->part, strerror(work->write_error));
    if (work->is_too_large || code == CURLE_FILESIZE_EXCEEDED)
        return scree_fail(err, E2BIG, "%s: it is larger than %zu bytes", url,
                          work->pull->max_bytes);
    if (code == CURLE_HTTP_RETURNED_ERROR)
        return scree_fail(err, status == 401 || status == 403 ? EACCES : ENOENT,
                          "%s: the server says %ld", url, status);
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT)
        return scree_fail(err, EINVAL, "%s: no URL of https, or of http with a digest", url);
    return scree_fail(err, EAGAIN, "%s: %s", url, curl_easy_strerror(code));
}

/* Gets what is missing of the part. A server that does not know how to go on in the middle, or
 * that has nothing more, is asked for all, or is believed: the digest tells. */
static int download(struct work *work, struct scree_error *err)
{
    CURL *curl = curl_easy_init();
    long status = 0;
    CURLcode code;

    if (!curl)
        return scree_fail(err, ENOMEM, "no memory for a download");
    set_options(curl, work);
    code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_RANGE_ERROR && work->have > 0) {
        work->have = 0;
        (void)curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)0);
        code = ftruncate(work->fd, 0) == 0 ? curl_easy_perform(curl) : CURLE_WRITE_ERROR;
    }
    curl_easy_cleanup(curl);
    if (code == CURLE_OK || (code == CURLE_HTTP_RETURNED_ERROR && status == 416))
        return 0;
    return fail_curl(work, code, status, err);
}

/* ---- what came ---- */

static int check(const struct work *work, char *text, struct scree_error *err)
{
    char path[64];
    struct scree_model *model;
    int rc;

    if (digest(work->fd, text) < 0)
        return fail_errno(work->part, err);
    if (work->pull->sha256 && strcmp(text, work->pull->sha256) != 0)
        return scree_fail(err, EBADMSG, "%s: its SHA-256 is %s, and not %s", work->pull->url, text,
                          work->pull->sha256);
    if (!work->pull->is_model)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", work->fd);
    rc = scree_model_open(path, &model, err);
    if (rc >= 0)
        scree_model_unref(model);
    return rc < 0 ? scree_wrap(err, rc, "%s", work->pull->url) : 0;
}

/* Durable first, then in place. */
static int put_in_place(const struct work *work, struct scree_error *err)
{
    if (fsync(work->fd) < 0 ||
        renameat(work->place, work->part, work->place, work->pull->file) < 0 ||
        fsync(work->place) < 0)
        return fail_errno(work->pull->file, err);
    return 1;
}

static int get(struct work *work, char *text, struct scree_error *err)
{
    int rc = open_part(work, err);

    if (rc < 0)
        return rc;
    for (int i = 0; i < TRIES; i++) {
        bool goes_on = work->have > 0 && work->pull->sha256;

        if (!goes_on) {
            work->have = 0;
            if (ftruncate(work->fd, 0) < 0)
                return fail_errno(work->part, err);
        }
        rc = download(work, err);
        if (rc < 0)
            return rc;
        rc = check(work, text, err);
        if (rc >= 0)
            return put_in_place(work, err);
        work->have = 0;
        (void)!ftruncate(work->fd, 0);
        if (!goes_on || rc != -EBADMSG)
            break; /* else once more, from the beginning */
    }
    (void)unlinkat(work->place, work->part, 0);
    return rc;
}

int scree_pull(const struct scree_pull *pull, char *ret_sha256, struct scree_error *err)
{
    struct work work = {.pull = pull, .folder = -1, .place = -1, .fd = -1};
    int rc;

    if (pull->sha256 && !scree_digest_is_valid(pull->sha256))
        return scree_fail(err, EINVAL, "'%s' is no SHA-256 of 64 digits", pull->sha256);
    if (!pull->sha256 && strncasecmp(pull->url, "https:", 6) != 0)
        return scree_fail(err, EINVAL, "%s: without https a digest is needed", pull->url);
    rc = open_places(&work, err);
    if (rc >= 0 && !is_there(&work, ret_sha256))
        rc = get(&work, ret_sha256, err);
    if (work.fd >= 0)
        (void)close(work.fd);
    if (work.place >= 0)
        (void)close(work.place);
    if (work.folder >= 0)
        (void)close(work.folder);
    return rc;
}
