#include "pull/pull.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/name.h"
#include "pull/beneath.h"
#include "pull/fetch.h"
#include "pull/unpack.h"

#define STAGING     ".pull"
#define NEW         "new"
#define MODEL_FILE  "model.tflite"
#define LABELS_FILE "labels.txt"
#define SIDE_FILE   "model.tflite.json"
#define MAX_LABELS  (1u << 20)

_Static_assert(SCREE_PULL_DIGEST == SCREE_SHA256_TEXT, "the same digest");

/* What is open while a version is pulled; -1 what is not. */
struct pull {
    const struct scree_pull_options *options;
    struct scree_pulled *ret;
    struct scree_error *err;
    int folder;  /* FOLDER */
    int staging; /* FOLDER/.pull */
    int own;     /* FOLDER/.pull/NAME-VERSION */
    int fresh;   /* FOLDER/.pull/NAME-VERSION/new */
    int lock;
    char own_name[SCREE_MAX_NAME + SCREE_MAX_VERSION + 2];
    char lock_name[SCREE_MAX_NAME + SCREE_MAX_VERSION + 8];
};

static void close_one(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int fail_file(const struct pull *pull, const char *what)
{
    int code = errno;

    return scree_fail(pull->err, code == ENOENT || code == EACCES ? code : EIO, "%s: %s", what,
                      code == ELOOP ? "a symbolic link is not followed here" : strerror(code));
}

/* ---- what is there ---- */

static int map_file(const struct pull *pull, int fd, void **ret, size_t *ret_n)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return fail_file(pull, MODEL_FILE);
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return scree_fail(pull->err, EBADMSG, "%s is empty, or no file", MODEL_FILE);
    *ret_n = (size_t)st.st_size;
    *ret = mmap(NULL, *ret_n, PROT_READ, MAP_PRIVATE, fd, 0);
    return *ret == MAP_FAILED ? fail_file(pull, MODEL_FILE) : 0;
}

/* Opens the file as a model, and takes its digest. */
static int check_model(struct pull *pull, int fd)
{
    const struct scree_pull_options *options = pull->options;
    struct sha256_ctx sha;
    void *bytes = NULL;
    size_t n = 0;
    int rc = map_file(pull, fd, &bytes, &n);

    if (rc < 0)
        return rc;
    sha256_init(&sha);
    sha256_update(&sha, n, bytes);
    scree_sha256_text(&sha, pull->ret->model_sha256);
    pull->ret->n_bytes = n;
    rc = options->check(options->context, bytes, n, pull->err);
    munmap(bytes, n);
    return rc;
}

static int check_there(struct pull *pull, int version)
{
    const struct scree_pull_options *options = pull->options;
    const char *wanted = options->model.sha256;
    int fd = scree_beneath_open(version, MODEL_FILE, O_RDONLY | O_NONBLOCK, 0);
    int rc;

    if (fd < 0)
        return fail_file(pull, MODEL_FILE);
    rc = check_model(pull, fd);
    close(fd);
    if (rc < 0)
        return rc;
    /* The digest of an archive says nothing of what was in it. */
    if (wanted && !options->member && strcmp(wanted, pull->ret->model_sha256) != 0)
        return scree_fail(pull->err, EBUSY,
                          "its SHA-256 is %.16s..., not %.16s...; remove it, or take another "
                          "--version",
                          pull->ret->model_sha256, wanted);
    pull->ret->was_there = true;
    return 0;
}

/* Returns 1 if the version is there and good, 0 if it is not there. */
static int look(struct pull *pull)
{
    const struct scree_pull_options *options = pull->options;
    int name = scree_beneath_open(pull->folder, options->name, O_RDONLY | O_DIRECTORY, 0);
    int version, rc;

    if (name < 0)
        return errno == ENOENT ? 0 : fail_file(pull, options->name);
    version = scree_beneath_open(name, options->version, O_RDONLY | O_DIRECTORY, 0);
    rc = version < 0 && errno != ENOENT ? fail_file(pull, options->version) : 0;
    close(name);
    if (version < 0)
        return rc;
    rc = check_there(pull, version);
    close(version);
    return rc < 0 ? scree_wrap(pull->err, rc, "version %s is there", options->version) : 1;
}

/* ---- staging ---- */

static int open_folder(struct pull *pull)
{
    const char *path = pull->options->folder;

    pull->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return pull->folder < 0 ? fail_file(pull, path) : 0;
}

/* Opens FOLDER/.pull and takes the version's lock. Whoever ends the last pull removes the folder,
 * so it may be gone between the two. */
static int take_lock(struct pull *pull)
{
    bool wait = false;

    for (;;) {
        close_one(&pull->staging);
        pull->staging = scree_beneath_folder(pull->folder, STAGING);
        if (pull->staging < 0)
            return fail_file(pull, STAGING);
        pull->lock = scree_beneath_lock(pull->staging, pull->lock_name, wait);
        if (pull->lock >= 0)
            return 0;
        if (errno == EWOULDBLOCK) {
            pull->options->note(pull->options->context,
                                "another process pulls this version: waiting for it");
            wait = true;
        } else if (errno != ENOENT) {
            return fail_file(pull, pull->lock_name);
        }
    }
}

static int open_staging(struct pull *pull)
{
    pull->own = scree_beneath_folder(pull->staging, pull->own_name);
    if (pull->own < 0 || scree_beneath_remove(pull->own, NEW) < 0)
        return fail_file(pull, pull->own_name);
    pull->fresh = scree_beneath_folder(pull->own, NEW);
    return pull->fresh < 0 ? fail_file(pull, NEW) : 0;
}

/* Removes what an earlier pull, killed behind its last rename, left. */
static void tidy(struct pull *pull)
{
    pull->own = scree_beneath_open(pull->staging, pull->own_name, O_RDONLY | O_DIRECTORY, 0);
    if (pull->own < 0)
        return;
    (void)scree_beneath_remove(pull->own, NEW);
    scree_fetch_clear(pull->own, "model");
    scree_fetch_clear(pull->own, "labels");
}

/* Whether there is something to tidy up. */
static bool is_staged(const struct pull *pull)
{
    int staging = scree_beneath_open(pull->folder, STAGING, O_RDONLY | O_DIRECTORY, 0);
    struct stat st;
    bool found = staging >= 0 && (fstatat(staging, pull->own_name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
                                  fstatat(staging, pull->lock_name, &st, AT_SYMLINK_NOFOLLOW) == 0);

    if (staging >= 0)
        close(staging);
    return found;
}

static void close_all(struct pull *pull)
{
    close_one(&pull->fresh);
    close_one(&pull->own);
    if (pull->lock >= 0) {
        /* Folders that are not empty stay: what came is kept in them, or another pulls. */
        (void)unlinkat(pull->staging, pull->own_name, AT_REMOVEDIR);
        scree_beneath_unlock(pull->staging, pull->lock_name, pull->lock);
        (void)unlinkat(pull->folder, STAGING, AT_REMOVEDIR);
    }
    close_one(&pull->staging);
    close_one(&pull->folder);
}

/* ---- files ---- */

static int fetch(struct pull *pull, const struct scree_pull_file *file, const char *what,
                 uint64_t max_bytes, struct scree_fetched *ret)
{
    const struct scree_pull_options *options = pull->options;
    const struct scree_fetch_options wanted = {
        .url = file->url,
        .sha256 = file->sha256,
        .ca_file = options->ca_file,
        .allow_http = options->allow_http,
        .max_bytes = max_bytes,
        .timeout_s = options->timeout_s,
        .stall_s = options->stall_s,
        .min_rate = options->min_rate,
        .what = what,
        .progress = options->progress,
        .context = options->context,
    };

    return scree_fetch(pull->own, &wanted, ret, pull->err);
}

/* Makes WHAT.part a file of the new version as well: by another name, or, where there are no
 * such, by its only one. */
static int move_part(struct pull *pull, const char *part, const char *name)
{
    if (linkat(pull->own, part, pull->fresh, name, 0) < 0 &&
        renameat(pull->own, part, pull->fresh, name) < 0)
        return fail_file(pull, name);
    return 0;
}

static int unpack(struct pull *pull, int archive)
{
    const struct scree_pull_options *options = pull->options;
    int fd = scree_beneath_open(pull->fresh, MODEL_FILE, O_RDWR | O_CREAT | O_EXCL, 0666);
    int rc;

    if (fd < 0)
        return fail_file(pull, MODEL_FILE);
    rc = scree_unpack(archive, options->member, options->max_bytes, fd, pull->err);
    if (rc == 0 && fsync(fd) < 0)
        rc = fail_file(pull, MODEL_FILE);
    rc = rc < 0 ? rc : check_model(pull, fd);
    close(fd);
    return rc;
}

static int get_model(struct pull *pull)
{
    struct scree_fetched fetched;
    int fd = fetch(pull, &pull->options->model, "model", pull->options->max_bytes, &fetched), rc;

    if (fd < 0)
        return fd;
    memcpy(pull->ret->sha256, fetched.sha256, sizeof pull->ret->sha256);
    pull->ret->n_resumed = fetched.n_resumed;
    if (scree_is_archive(fd)) {
        rc = unpack(pull, fd);
    } else {
        rc = check_model(pull, fd);
        rc = rc < 0 ? rc : move_part(pull, "model.part", MODEL_FILE);
    }
    close(fd);
    /* What is whole and no model will not be one the next time. */
    if (rc == -EBADMSG || rc == -E2BIG || rc == -ENOTSUP)
        scree_fetch_clear(pull->own, "model");
    return rc;
}

static int get_labels(struct pull *pull)
{
    struct scree_fetched fetched;
    int fd;

    if (!pull->options->labels.url)
        return 0;
    fd = fetch(pull, &pull->options->labels, "labels", MAX_LABELS, &fetched);
    if (fd < 0)
        return scree_wrap(pull->err, fd, "labels");
    close(fd);
    return move_part(pull, "labels.part", LABELS_FILE);
}

static int put_side(struct pull *pull)
{
    const char *side = pull->options->side;

    if (side && scree_beneath_put(pull->fresh, SIDE_FILE, side, strlen(side), 0666) < 0)
        return fail_file(pull, SIDE_FILE);
    return 0;
}

/* ---- in place ---- */

/* One rename makes the version; before it there is none. */
static int place(struct pull *pull)
{
    const struct scree_pull_options *options = pull->options;
    int name, rc = 0;

    if (fsync(pull->fresh) < 0)
        return fail_file(pull, NEW);
    name = scree_beneath_folder(pull->folder, options->name);
    if (name < 0)
        return fail_file(pull, options->name);
    if (renameat(pull->own, NEW, name, options->version) < 0)
        rc = fail_file(pull, options->version);
    else if (fsync(name) < 0 || fsync(pull->folder) < 0)
        rc = fail_file(pull, options->name);
    close(name);
    if (rc < 0)
        return rc;
    scree_fetch_clear(pull->own, "model");
    scree_fetch_clear(pull->own, "labels");
    return 0;
}

static int get_all(struct pull *pull)
{
    int rc = take_lock(pull);

    rc = rc < 0 ? rc : look(pull); /* whoever had the lock may have been quicker */
    if (rc > 0)
        tidy(pull);
    if (rc != 0)
        return rc;
    rc = open_staging(pull);
    rc = rc < 0 ? rc : get_model(pull);
    rc = rc < 0 ? rc : get_labels(pull);
    rc = rc < 0 ? rc : put_side(pull);
    rc = rc < 0 ? rc : place(pull);
    if (rc < 0 && pull->own >= 0)
        (void)scree_beneath_remove(pull->own, NEW);
    return rc;
}

int scree_pull(const struct scree_pull_options *options, struct scree_pulled *ret,
               struct scree_error *err)
{
    struct pull pull = {options, ret, err, -1, -1, -1, -1, -1, "", ""};
    int rc;

    *ret = (struct scree_pulled){0};
    if (!scree_model_name_is_valid(options->name) ||
        !scree_model_version_is_valid(options->version))
        return scree_fail(err, EINVAL, "no such name or version is possible");
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return scree_fail(err, EIO, "libcurl does not start");
    (void)snprintf(pull.own_name, sizeof pull.own_name, "%s-%s", options->name, options->version);
    (void)snprintf(pull.lock_name, sizeof pull.lock_name, "%s.lock", pull.own_name);
    rc = open_folder(&pull);
    rc = rc < 0 ? rc : look(&pull);
    if (rc == 0 || (rc > 0 && is_staged(&pull)))
        rc = get_all(&pull);
    close_all(&pull);
    curl_global_cleanup();
    return rc < 0 ? rc : 0;
}
