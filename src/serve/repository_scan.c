#include "serve/repository_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MODEL_FILE   "model.tflite"
#define LABELS_FILE  "labels.txt"
#define ONE_VERSION  "1"
#define NO_LABELS_OF ""

/* ---- what is there ---- */

/* Notes a version that is there. */
static void note(struct scree_repository *repository, const char *name, const char *version,
                 const char *path, const char *labels)
{
    struct scree_model_entry *entry = scree_model_entry_find(repository, name, version);

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
                          errno == ENOENT    ? ENOENT
                          : errno == EACCES  ? EACCES
                          : errno == ENOTDIR ? EINVAL
                                             : EIO,
                          "%s: %s", repository->folder, strerror(errno));
    while ((at = readdir(dir)))
        if (scree_model_name_is_valid(at->d_name))
            note_name(repository, at->d_name);
    closedir(dir);
    return 0;
}

/* ---- what follows ---- */

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
static void put_aside(struct scree_repository *repository, struct scree_model_entry *entry,
                      bool allowed)
{
    scree_model_entry_set(repository, entry, NULL,
                          !entry->found ? ""
                          : allowed     ? "a newer version is loaded"
                                        : "the policy for versions leaves it out");
    entry->tried = (struct scree_model_identity){0};
}

/* The versions of a name from `first`, its lowest one, on that may be loaded; the highest if there
 * are too many. */
static uint32_t list_versions(const struct scree_versions *policy, struct scree_model_entry *first,
                              struct scree_model_entry **versions)
{
    uint32_t n = 0;

    for (struct scree_model_entry *e = first; e && strcmp(e->name, first->name) == 0; e = e->next) {
        if (!e->found || !scree_versions_allow(policy, e->number))
            continue;
        if (n == SCREE_MAX_VERSIONS)
            memmove(versions, versions + 1, (--n) * sizeof versions[0]);
        versions[n++] = e;
    }
    return n;
}

/* A version in the folder that has just gone is passed over; a file that was named and has never
 * been there is told. */
static bool is_to_be_tried(const struct scree_repository *repository,
                           const struct scree_model_entry *entry)
{
    if (!scree_model_entry_was_tried(entry))
        return true;
    return repository->model && strcmp(entry->path, repository->model) == 0 && !entry->served &&
           !entry->reason[0];
}

int scree_repository_load_name(struct scree_repository *repository, struct scree_model_entry *first,
                               struct scree_error *err)
{
    const struct scree_versions policy = policy_of(repository, first->name);
    struct scree_model_entry *versions[SCREE_MAX_VERSIONS];
    uint32_t n = list_versions(&policy, first, versions), n_good = 0;
    unsigned long lowest = ULONG_MAX; /* of those that are wanted */
    int n_failed = 0;

    for (uint32_t i = n; i-- > 0 && n_good < policy.keep;) {
        struct scree_model_entry *entry = versions[i];

        lowest = entry->number;
        if (is_to_be_tried(repository, entry) &&
            scree_repository_load_entry(repository, entry, n_failed == 0 ? err : NULL) < 0)
            n_failed++;
        n_good += entry->served != NULL;
    }
    for (struct scree_model_entry *e = first; e && strcmp(e->name, first->name) == 0; e = e->next) {
        bool allowed = scree_versions_allow(&policy, e->number);

        if (!e->found || !allowed || e->number < lowest)
            put_aside(repository, e, allowed);
    }
    return n_failed;
}

/* Whether a name, whose lowest version is `first`, was unloaded: versions that came since are, too.
 */
static bool is_unloaded(struct scree_repository *repository, struct scree_model_entry *first)
{
    bool unloaded = false;

    for (struct scree_model_entry *e = first; e && strcmp(e->name, first->name) == 0; e = e->next)
        unloaded |= e->unloaded;
    for (struct scree_model_entry *e = first; e && strcmp(e->name, first->name) == 0; e = e->next)
        if (unloaded && !e->unloaded) {
            e->unloaded = true;
            scree_model_entry_set(repository, e, NULL, "unloaded");
        }
    return unloaded;
}

/* Loads and takes away, name by name, what the scan has found. */
static int settle(struct scree_repository *repository, struct scree_error *err)
{
    int n_failed = 0;

    for (struct scree_model_entry *entry = repository->entries; entry;) {
        struct scree_model_entry *name = entry;

        if (!is_unloaded(repository, entry))
            n_failed += scree_repository_load_name(repository, entry, n_failed == 0 ? err : NULL);
        while (entry && strcmp(entry->name, name->name) == 0)
            entry = entry->next;
    }
    for (struct scree_model_entry *entry = repository->entries, *next; entry; entry = next) {
        next = entry->next;
        if (!entry->found)
            scree_model_entry_remove(repository, entry);
    }
    return n_failed;
}

int scree_repository_look(struct scree_repository *repository, struct scree_error *err)
{
    int rc = 0;

    for (struct scree_model_entry *entry = repository->entries; entry; entry = entry->next)
        entry->found = false;
    if (repository->model)
        note(repository, repository->model_name, ONE_VERSION, repository->model,
             repository->labels ? repository->labels : NO_LABELS_OF);
    if (repository->folder)
        rc = note_folder(repository, err);
    return rc < 0 ? rc : settle(repository, err);
}
