#include "serve/repository.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/versions.h"

#define MODEL_FILE   "model.tflite"
#define LABELS_FILE  "labels.txt"
#define ONE_VERSION  "1"
#define NO_LABELS_OF ""

/* What tells that a file is another one than before; all 0: it is not there. */
struct identity {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

/* What a version is made of. */
struct identities {
    struct identity model, labels, side;
};

/* A version of a model, there or once there. */
struct entry {
    struct entry *next; /* by name, then version */
    char name[SCREE_MAX_NAME + 1];
    char version[SCREE_MAX_VERSION + 1];
    unsigned long number;
    char path[PATH_MAX], labels[PATH_MAX];
    struct identities tried; /* last */
    struct scree_served *served;
    char reason[sizeof((struct scree_error *)0)->text];
    bool found;    /* by the scan that is going on */
    bool unloaded; /* on demand */
};

struct scree_repository {
    struct scree_repository_options options;
    char *folder, *model, *labels;
    pthread_mutex_t loading; /* one load or scan at a time */
    pthread_mutex_t lock;    /* entries, for a moment */
    struct entry *entries;   /* changed with both locks held */
};

static char *copy_text(const char *text, bool *failed)
{
    char *copy = text ? strdup(text) : NULL;

    *failed |= text && !copy;
    return copy;
}

int scree_repository_new(const struct scree_repository_options *options,
                         struct scree_repository **ret_repository, struct scree_error *err)
{
    struct scree_repository *repository = calloc(1, sizeof *repository);
    bool failed = false;

    if (!repository)
        return scree_fail_memory(err, sizeof *repository);
    repository->options = *options;
    pthread_mutex_init(&repository->loading, NULL);
    pthread_mutex_init(&repository->lock, NULL);
    repository->folder = copy_text(options->folder, &failed);
    repository->model = copy_text(options->model, &failed);
    repository->labels = copy_text(options->labels, &failed);
    if (failed) {
        scree_repository_free(repository);
        return scree_fail(err, ENOMEM, "no memory for the repository");
    }
    *ret_repository = repository;
    return 0;
}

void scree_repository_free(struct scree_repository *repository)
{
    if (!repository)
        return;
    while (repository->entries) {
        struct entry *next = repository->entries->next;

        scree_served_unref(repository->entries->served);
        free(repository->entries);
        repository->entries = next;
    }
    pthread_mutex_destroy(&repository->lock);
    pthread_mutex_destroy(&repository->loading);
    free(repository->folder);
    free(repository->model);
    free(repository->labels);
    free(repository);
}

/* ---- entries ---- */

static int compare(const struct entry *entry, const char *name, unsigned long number)
{
    int order = strcmp(entry->name, name);

    return order ? order : (entry->number > number) - (entry->number < number);
}

/* The entry of a version, made if need be; NULL without memory. */
static struct entry *find_entry(struct scree_repository *repository, const char *name,
                                const char *version)
{
    unsigned long number = strtoul(version, NULL, 10);
    struct entry **at = &repository->entries, *entry;

    while (*at && compare(*at, name, number) < 0)
        at = &(*at)->next;
    if (*at && compare(*at, name, number) == 0)
        return *at;
    entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    (void)snprintf(entry->name, sizeof entry->name, "%s", name);
    (void)snprintf(entry->version, sizeof entry->version, "%s", version);
    entry->number = number;
    pthread_mutex_lock(&repository->lock);
    entry->next = *at;
    *at = entry;
    pthread_mutex_unlock(&repository->lock);
    return entry;
}

static void set_served(struct scree_repository *repository, struct entry *entry,
                       struct scree_served *served, const char *reason)
{
    struct scree_served *old;

    pthread_mutex_lock(&repository->lock);
    old = entry->served;
    entry->served = served;
    (void)snprintf(entry->reason, sizeof entry->reason, "%s", reason);
    pthread_mutex_unlock(&repository->lock);
    scree_served_unref(old);
}

/* Takes an entry out of the list and frees it. */
static void remove_entry(struct scree_repository *repository, struct entry *entry)
{
    struct entry **at = &repository->entries;

    pthread_mutex_lock(&repository->lock);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    pthread_mutex_unlock(&repository->lock);
    scree_served_unref(entry->served);
    free(entry);
}

/* ---- loading ---- */

static struct identity identify(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (struct identity){0};
    return (struct identity){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static struct identities identify_all(const struct entry *entry)
{
    char side[PATH_MAX + sizeof SCREE_SIDE_ENDING];

    (void)snprintf(side, sizeof side, "%s" SCREE_SIDE_ENDING, entry->path);
    return (struct identities){identify(entry->path), identify(entry->labels), identify(side)};
}

static bool is_same(const struct identity *a, const struct identity *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* True if nothing has changed since a version was tried, or it is not there any more. */
static bool was_tried(const struct entry *entry)
{
    struct identities now = identify_all(entry);

    return now.model.ino == 0 ||
           (is_same(&now.model, &entry->tried.model) &&
            is_same(&now.labels, &entry->tried.labels) && is_same(&now.side, &entry->tried.side));
}

static void count_load(struct scree_repository *repository, const struct entry *entry, bool ok)
{
    char labels[SCREE_MAX_NAME + 40];

    (void)snprintf(labels, sizeof labels, "model=\"%s\",result=\"%s\"", entry->name,
                   ok ? "ok" : "failed");
    scree_metrics_add(repository->options.metrics, SCREE_METRIC_RELOADS, labels, 1);
}

/* Whether there is room for one more version beside all that is loaded. */
static int check_memory(struct scree_repository *repository, const struct scree_served *served,
                        struct scree_error *err)
{
    size_t limit = repository->options.config->options.model_memory;
    uint64_t used = 0;

    for (const struct entry *e = repository->entries; e; e = e->next)
        used += e->served ? e->served->n_bytes : 0;
    if (limit == 0 || (used <= limit && served->n_bytes <= limit - used))
        return 0;
    return scree_fail(
        err, ENOMEM, "it takes %.1f MiB, and of the %.1f MiB for all models %.1f are taken",
        (double)served->n_bytes / 1048576, (double)limit / 1048576, (double)used / 1048576);
}

/* "1, 224, 224, 3" */
static void format_shape(const struct scree_tensor *tensor, char *text, size_t n)
{
    size_t at = 0;

    text[0] = '\0';
    for (int32_t i = 0; i < tensor->shape.rank && at + 16 < n; i++)
        at += (size_t)snprintf(text + at, n - at, "%s%d", i ? ", " : "", tensor->shape.dims[i]);
}

/* With the words of the service before scree, for those who look for them. */
static void log_loaded(struct scree_log *log, const struct entry *entry,
                       const struct scree_served *served)
{
    char text[PATH_MAX + 64], shape[128], nodes[2][16], ms[24];
    struct scree_tensor input;

    (void)snprintf(nodes[0], sizeof nodes[0], "%u", served->n_npu_nodes);
    (void)snprintf(nodes[1], sizeof nodes[1], "%u", served->n_cpu_nodes);
    (void)snprintf(ms, sizeof ms, "%.1f", (double)served->load_ns / 1e6);
    if (served->note[0])
        scree_log(log, SCREE_LOG_WARNING, served->note, "model", served->name, NULL);
    if (served->batch_note[0])
        scree_log(log, SCREE_LOG_WARNING, served->batch_note, "model", served->name, NULL);
    if (served->delegate[0] && served->ran != SCREE_RAN_CPU)
        scree_log(log, SCREE_LOG_INFO, "\u2713 Teflon delegate loaded successfully", "delegate",
                  served->delegate, "model", served->name, NULL);
    (void)snprintf(text, sizeof text, "\u2713 Model loaded: %s", entry->path);
    scree_log(log, SCREE_LOG_INFO, text, "model", served->name, "version", served->version,
              "sha256", served->sha256, "device", scree_ran_name(served->ran), "npu_nodes",
              nodes[0], "cpu_nodes", nodes[1], "load_ms", ms, NULL);
    if (scree_model_input(served->model, 0, &input) >= 0) {
        format_shape(&input, shape, sizeof shape);
        (void)snprintf(text, sizeof text, "  Input shape: [%s]", shape);
        scree_log(log, SCREE_LOG_INFO, text, "model", served->name, NULL);
    }
    if (served->labels) {
        (void)snprintf(text, sizeof text, "\u2713 Loaded %u labels",
                       scree_labels_count(served->labels));
        scree_log(log, SCREE_LOG_INFO, text, "model", served->name, NULL);
    }
}

static void log_failed(struct scree_log *log, const struct entry *entry,
                       const struct scree_error *why)
{
    char text[sizeof why->text + SCREE_MAX_NAME + 64];

    (void)snprintf(text, sizeof text, "\u2717 Failed to load model: %s %s: %s", entry->name,
                   entry->version, why->text);
    scree_log(log, SCREE_LOG_ERROR, text, "model", entry->name, "version", entry->version, NULL);
}

static struct scree_session_options session_options(const struct scree_server_options *server,
                                                    const struct scree_model_options *model)
{
    return (struct scree_session_options){
        .n_threads = model->threads,
        .device = model->device,
        .delegate = server->delegate,
        .n_delegate_options = (uint32_t)server->delegate_options.n,
        .delegate_options = server->delegate_options.v,
        .delegate_timeout_ms = server->delegate_timeout_s * 1000,
        .require_npu = server->require_npu,
    };
}

/* Takes the folders of `path` (NULL: none) out of a text wherever they stand: clients are told why
 * a model does not load, not where it lies. */
static void hide_folders(char *text, const char *path)
{
    const char *name = path ? strrchr(path, '/') : NULL;
    size_t n = name ? (size_t)(name - path) + 1 : 0;

    for (char *at = text; n > 0 && (at = strstr(at, path)) != NULL;) {
        memmove(at, at + n, strlen(at + n) + 1);
        at += strlen(name + 1);
    }
}

/* Loads the file of an entry; on failure what was loaded stays, and the reason is noted. */
static int load(struct scree_repository *repository, struct entry *entry, struct scree_error *err)
{
    const struct scree_repository_options *options = &repository->options;
    struct scree_model_options model;
    struct scree_served_options wanted = {
        .name = entry->name,
        .version = entry->version,
        .path = entry->path,
        .decoders = options->decoders,
        .crew = options->crew,
        .n_at_work = options->n_at_work,
        .n_cores = options->n_cores,
    };
    struct scree_served *served = NULL;
    struct scree_error why;
    int rc;

    scree_config_model(options->config, entry->name, &model);
    wanted.labels = model.labels ? model.labels : *entry->labels ? entry->labels : NULL;
    wanted.n_instances = (uint32_t)model.instances;
    wanted.batch = (uint32_t)model.batch;
    wanted.batch_delay_us = (uint32_t)model.batch_delay_us;
    wanted.metrics = options->metrics;
    wanted.session = session_options(&options->config->options, &model);
    wanted.max_waiting = (uint32_t)model.queue;
    wanted.deadline_ms = (uint32_t)model.deadline_ms;
    wanted.fast = model.resize == SCREE_RESIZE_FAST;
    wanted.image = (struct scree_image_options){
        .max_pixels = (uint64_t)(options->config->options.max_megapixels * 1e6),
        .max_side = options->config->options.max_side,
        .max_bytes = options->config->options.max_decoded,
    };
    entry->tried = identify_all(entry);
    rc = scree_served_new(&wanted, &served, &why);
    if (rc >= 0)
        rc = check_memory(repository, served, &why);
    count_load(repository, entry, rc >= 0);
    if (rc >= 0) {
        log_loaded(repository->options.log, entry, served);
        set_served(repository, entry, served, "");
        return 0;
    }
    scree_served_unref(served);
    log_failed(options->log, entry, &why);
    hide_folders(why.text, wanted.path);
    hide_folders(why.text, wanted.labels);
    hide_folders(why.text, wanted.session.delegate);
    pthread_mutex_lock(&repository->lock);
    (void)snprintf(entry->reason, sizeof entry->reason, "%s", why.text);
    pthread_mutex_unlock(&repository->lock);
    return scree_fail(err, -rc, "%s %s: %s", entry->name, entry->version, why.text);
}

/* ---- scanning ---- */

/* Notes a version that is there. */
static void note(struct scree_repository *repository, const char *name, const char *version,
                 const char *path, const char *labels)
{
    struct entry *entry = find_entry(repository, name, version);

    if (!entry)
        return;
    entry->found = true;
    (void)snprintf(entry->path, sizeof entry->path, "%s", path);
    (void)snprintf(entry->labels, sizeof entry->labels, "%s", labels);
}

static void note_version(struct scree_repository *repository, const char *name, const char *version)
{
    char path[PATH_MAX], labels[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s/%s/" MODEL_FILE, repository->folder, name, version);

    if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK) != 0)
        return;
    (void)snprintf(labels, sizeof labels, "%.*s" LABELS_FILE, n - (int)(sizeof MODEL_FILE - 1),
                   path);
    note(repository, name, version, path, access(labels, R_OK) == 0 ? labels : NO_LABELS_OF);
}

static void note_name(struct scree_repository *repository, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", repository->folder, name);
    DIR *dir = n > 0 && (size_t)n < sizeof path ? opendir(path) : NULL;
    const struct dirent *at;

    while (dir && (at = readdir(dir)))
        if (scree_model_version_is_valid(at->d_name))
            note_version(repository, name, at->d_name);
    if (dir)
        closedir(dir);
}

static int note_folder(struct scree_repository *repository, struct scree_error *err)
{
    DIR *dir = opendir(repository->folder);
    const struct dirent *at;

    if (!dir)
        return scree_fail(err,
                          errno == ENOENT   ? ENOENT
                          : errno == EACCES ? EACCES
                                            : EIO,
                          "%s: %s", repository->folder, strerror(errno));
    while ((at = readdir(dir)))
        if (scree_model_name_is_valid(at->d_name))
            note_name(repository, at->d_name);
    closedir(dir);
    return 0;
}

/* "/a/mobilenet_v1.tflite" is the model mobilenet_v1. */
static void name_of_file(const char *path, char *name)
{
    const char *slash = strrchr(path, '/');
    size_t k = 0;

    path = slash ? slash + 1 : path;
    for (; *path && strcmp(path, ".tflite") != 0 && k < SCREE_MAX_NAME; path++) {
        bool good = isalnum((unsigned char)*path) || (k > 0 && strchr("_-", *path)) ||
                    (k > 0 && path[0] == '.' && path[1] != '.');

        name[k] = good ? *path : '_';
        k++;
    }
    name[k] = 0;
    if (!scree_model_name_is_valid(name))
        (void)snprintf(name, SCREE_MAX_NAME + 1, "model");
}

/* Which versions of a name are wanted. */
static struct scree_versions policy_of(const struct scree_repository *repository, const char *name)
{
    struct scree_versions versions = {.keep = 1};
    struct scree_model_options model;

    scree_config_model(repository->options.config, name, &model);
    (void)scree_versions_parse(model.versions, &versions, NULL);
    return versions;
}

/* Takes an entry's model away: it is not there any more, or not wanted. */
static void put_aside(struct scree_repository *repository, struct entry *entry, bool allowed)
{
    set_served(repository, entry, NULL,
               !entry->found ? ""
               : allowed     ? "a newer version is loaded"
                             : "the policy for versions leaves it out");
    entry->tried = (struct identities){0};
}

/* The versions of a name from `first`, its lowest one, on; the highest if there are too many. */
static uint32_t list_versions(struct entry *first, struct entry **versions)
{
    uint32_t n = 0;

    for (struct entry *e = first; e && strcmp(e->name, first->name) == 0; e = e->next) {
        if (n == SCREE_MAX_VERSIONS)
            memmove(versions, versions + 1, (--n) * sizeof versions[0]);
        versions[n++] = e;
    }
    return n;
}

/* Loads the highest versions of a name that are wanted; `first` is its lowest one. What is not
 * wanted any more is taken away after that, so that there is always one to answer. Returns how many
 * failed. */
static int load_name(struct scree_repository *repository, struct entry *first,
                     struct scree_error *err)
{
    const struct scree_versions policy = policy_of(repository, first->name);
    struct entry *versions[SCREE_MAX_VERSIONS];
    bool is_wanted[SCREE_MAX_VERSIONS] = {false};
    uint32_t n = list_versions(first, versions), n_good = 0;
    int n_failed = 0;

    for (uint32_t i = n; i-- > 0 && n_good < policy.keep;) {
        struct entry *entry = versions[i];

        is_wanted[i] = entry->found && scree_versions_allow(&policy, entry->number);
        if (!is_wanted[i])
            continue;
        if (!was_tried(entry) && load(repository, entry, n_failed == 0 ? err : NULL) < 0)
            n_failed++;
        n_good += entry->served != NULL;
    }
    for (uint32_t i = 0; i < n; i++)
        if (!is_wanted[i])
            put_aside(repository, versions[i], scree_versions_allow(&policy, versions[i]->number));
    return n_failed;
}

/* Loads and takes away, name by name, what the scan has found. */
static int settle(struct scree_repository *repository, struct scree_error *err)
{
    int n_failed = 0;

    for (struct entry *entry = repository->entries; entry;) {
        struct entry *name = entry;

        if (!entry->unloaded)
            n_failed += load_name(repository, entry, n_failed == 0 ? err : NULL);
        while (entry && strcmp(entry->name, name->name) == 0)
            entry = entry->next;
    }
    for (struct entry *entry = repository->entries, *next; entry; entry = next) {
        next = entry->next;
        if (!entry->found)
            remove_entry(repository, entry);
    }
    return n_failed;
}

static int scan(struct scree_repository *repository, struct scree_error *err)
{
    int rc = 0;

    for (struct entry *entry = repository->entries; entry; entry = entry->next)
        entry->found = false;
    if (repository->model) {
        char name[SCREE_MAX_NAME + 1];

        name_of_file(repository->model, name);
        note(repository, name, ONE_VERSION, repository->model,
             repository->labels ? repository->labels : NO_LABELS_OF);
    }
    if (repository->folder)
        rc = note_folder(repository, err);
    return rc < 0 ? rc : settle(repository, err);
}

int scree_repository_scan(struct scree_repository *repository, struct scree_error *err)
{
    int rc;

    pthread_mutex_lock(&repository->loading);
    rc = scan(repository, err);
    pthread_mutex_unlock(&repository->loading);
    return rc;
}

/* ---- asking ---- */

/* The lock is held. */
static const struct entry *choose(const struct scree_repository *repository, const char *name,
                                  const char *version)
{
    const struct entry *best = NULL;
    char file_name[SCREE_MAX_NAME + 1];

    if (!name && repository->model) {
        name_of_file(repository->model, file_name);
        name = file_name;
    }
    for (const struct entry *e = repository->entries; e; e = e->next) {
        if (!name)
            name = e->name;
        if (strcmp(e->name, name) != 0 || (version && strcmp(e->version, version) != 0))
            continue;
        if (!best || e->served || !best->served)
            best = e;
    }
    return best;
}

int scree_repository_get(struct scree_repository *repository, const char *name, const char *version,
                         struct scree_served **ret_served, struct scree_error *err)
{
    const struct entry *entry;
    int rc = 0;

    name = name && *name ? name : NULL;
    version = version && *version ? version : NULL;
    pthread_mutex_lock(&repository->lock);
    entry = choose(repository, name, version);
    if (!entry)
        rc = scree_fail(err, ENOENT, name ? "there is no such model" : "there is no model");
    else if (!entry->served)
        rc = scree_fail(err, EAGAIN, "model %s %s is not loaded%s%s", entry->name, entry->version,
                        *entry->reason ? ": " : "", entry->reason);
    else
        *ret_served = scree_served_ref(entry->served);
    pthread_mutex_unlock(&repository->lock);
    return rc;
}

/* The lowest version of a name, or NULL. */
static struct entry *find_name(struct scree_repository *repository, const char *name)
{
    struct entry *entry = repository->entries;

    while (entry && strcmp(entry->name, name) != 0)
        entry = entry->next;
    return entry;
}

static int load_again(struct scree_repository *repository, const char *name,
                      struct scree_error *err)
{
    struct entry *first;
    int rc = scan(repository, NULL);

    if (rc < 0)
        return scree_fail(err, EIO, "the folder of models cannot be read");
    first = find_name(repository, name);
    if (!first)
        return scree_fail(err, ENOENT, "there is no such model");
    for (struct entry *e = first; e && strcmp(e->name, name) == 0; e = e->next) {
        e->unloaded = false;
        e->tried = (struct identities){0};
    }
    return load_name(repository, first, err) > 0 ? -EBADMSG : 0;
}

int scree_repository_load(struct scree_repository *repository, const char *name,
                          struct scree_error *err)
{
    int rc;

    pthread_mutex_lock(&repository->loading);
    rc = load_again(repository, name, err);
    pthread_mutex_unlock(&repository->loading);
    return rc;
}

int scree_repository_unload(struct scree_repository *repository, const char *name,
                            struct scree_error *err)
{
    struct entry *first;

    pthread_mutex_lock(&repository->loading);
    first = find_name(repository, name);
    for (struct entry *e = first; e && strcmp(e->name, name) == 0; e = e->next) {
        e->unloaded = true;
        set_served(repository, e, NULL, "unloaded");
    }
    pthread_mutex_unlock(&repository->loading);
    return first ? 0 : scree_fail(err, ENOENT, "there is no such model");
}

void scree_repository_visit(struct scree_repository *repository,
                            void (*visit)(void *context,
                                          const struct scree_repository_entry *entry),
                            void *context)
{
    pthread_mutex_lock(&repository->lock);
    for (const struct entry *e = repository->entries; e; e = e->next) {
        const struct scree_repository_entry entry = {
            e->name, e->version, e->served ? "READY" : "UNAVAILABLE", e->reason, e->served};

        visit(context, &entry);
    }
    pthread_mutex_unlock(&repository->lock);
}
