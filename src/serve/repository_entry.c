#include "serve/repository_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the list ---- */

static int compare(const struct scree_model_entry *entry, const char *name, unsigned long number)
{
    int order = strcmp(entry->name, name);

    return order ? order : (entry->number > number) - (entry->number < number);
}

struct scree_model_entry *scree_model_entry_find(struct scree_repository *repository,
                                                 const char *name, const char *version)
{
    unsigned long number = strtoul(version, NULL, 10);
    struct scree_model_entry **at = &repository->entries, *entry;

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

void scree_model_entry_set(struct scree_repository *repository, struct scree_model_entry *entry,
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

void scree_model_entry_blame(struct scree_repository *repository, struct scree_model_entry *entry,
                             const char *reason)
{
    pthread_mutex_lock(&repository->lock);
    (void)snprintf(entry->reason, sizeof entry->reason, "%s", reason);
    pthread_mutex_unlock(&repository->lock);
}

/* True if the labels are of a version that is not in the list. */
static bool is_of_none(void *context, const char *labels)
{
    const struct scree_repository *repository = context;
    char ours[SCREE_MAX_NAME + SCREE_MAX_VERSION + 32];

    if (strncmp(labels, "model=\"\",", 9) == 0)
        return false;
    for (const struct scree_model_entry *e = repository->entries; e; e = e->next) {
        int n = snprintf(ours, sizeof ours, "model=\"%s\",version=\"%s\",", e->name, e->version);

        if (strncmp(labels, ours, (size_t)n) == 0)
            return false;
    }
    return true;
}

void scree_model_entry_remove(struct scree_repository *repository, struct scree_model_entry *entry)
{
    struct scree_model_entry **at = &repository->entries;

    pthread_mutex_lock(&repository->lock);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    pthread_mutex_unlock(&repository->lock);
    /* Those of versions that went before as well: their last requests may have come after that. */
    scree_metrics_forget(repository->options.metrics, SCREE_METRIC_REQUESTS, is_of_none,
                         repository);
    scree_served_unref(entry->served);
    free(entry);
}

/* ---- what was tried ---- */

static struct scree_file_identity identify(const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return (struct scree_file_identity){0};
    return (struct scree_file_identity){st.st_dev, st.st_ino, st.st_size, st.st_mtim};
}

static struct scree_model_identity identify_all(const struct scree_model_entry *entry)
{
    char side[PATH_MAX + sizeof SCREE_SIDE_ENDING];

    (void)snprintf(side, sizeof side, "%s" SCREE_SIDE_ENDING, entry->path);
    return (struct scree_model_identity){identify(entry->path), identify(entry->labels),
                                         identify(side)};
}

static bool is_same(const struct scree_file_identity *a, const struct scree_file_identity *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
           a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

void scree_model_entry_try(struct scree_model_entry *entry)
{
    entry->tried = identify_all(entry);
}

bool scree_model_entry_was_tried(const struct scree_model_entry *entry)
{
    struct scree_model_identity now = identify_all(entry);

    return now.model.ino == 0 ||
           (is_same(&now.model, &entry->tried.model) &&
            is_same(&now.labels, &entry->tried.labels) && is_same(&now.side, &entry->tried.side));
}
