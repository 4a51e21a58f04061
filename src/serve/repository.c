#include "serve/repository.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/repository_internal.h"

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
    if (options->model)
        name_of_file(options->model, repository->model_name);
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
        struct scree_model_entry *next = repository->entries->next;

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

/* ---- loading, in turns ---- */

int scree_repository_scan(struct scree_repository *repository, struct scree_error *err)
{
    int rc;

    pthread_mutex_lock(&repository->loading);
    rc = scree_repository_look(repository, err);
    pthread_mutex_unlock(&repository->loading);
    return rc;
}

/* The lowest version of a name, or NULL. */
static struct scree_model_entry *find_name(struct scree_repository *repository, const char *name)
{
    struct scree_model_entry *entry = repository->entries;

    while (entry && strcmp(entry->name, name) != 0)
        entry = entry->next;
    return entry;
}

static int load_again(struct scree_repository *repository, const char *name,
                      struct scree_error *err)
{
    struct scree_model_entry *first;
    int rc = scree_repository_look(repository, NULL);

    if (rc < 0)
        return scree_fail(err, EIO, "the folder of models cannot be read");
    first = find_name(repository, name);
    if (!first)
        return scree_fail(err, ENOENT, "there is no such model");
    for (struct scree_model_entry *e = first; e && strcmp(e->name, name) == 0; e = e->next) {
        e->unloaded = false;
        e->tried = (struct scree_model_identity){0};
    }
    return scree_repository_load_name(repository, first, err) > 0 ? -EBADMSG : 0;
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
    struct scree_model_entry *first;

    pthread_mutex_lock(&repository->loading);
    first = find_name(repository, name);
    for (struct scree_model_entry *e = first; e && strcmp(e->name, name) == 0; e = e->next) {
        e->unloaded = true;
        scree_model_entry_set(repository, e, NULL, "unloaded");
    }
    pthread_mutex_unlock(&repository->loading);
    return first ? 0 : scree_fail(err, ENOENT, "there is no such model");
}

/* ---- asking ---- */

/* Who is meant where no name is given: the one of --model, else the first that is loaded, so that
 * one that cannot be does not stand in the way of the others. The lock is held. */
static const char *default_name(const struct scree_repository *repository)
{
    const struct scree_model_entry *e = repository->entries;

    if (repository->model)
        return repository->model_name;
    while (e && !e->served)
        e = e->next;
    if (!e)
        e = repository->entries;
    return e ? e->name : NULL;
}

/* The lock is held. */
static const struct scree_model_entry *choose(const struct scree_repository *repository,
                                              const char *name, const char *version)
{
    const struct scree_model_entry *best = NULL;

    if (!name)
        name = default_name(repository);
    for (const struct scree_model_entry *e = repository->entries; e; e = e->next) {
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
    const struct scree_model_entry *entry;
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

void scree_repository_visit(struct scree_repository *repository,
                            void (*visit)(void *context,
                                          const struct scree_repository_entry *entry),
                            void *context)
{
    pthread_mutex_lock(&repository->lock);
    for (const struct scree_model_entry *e = repository->entries; e; e = e->next) {
        const struct scree_repository_entry entry = {
            e->name, e->version, e->served ? "READY" : "UNAVAILABLE", e->reason, e->served};

        visit(context, &entry);
    }
    pthread_mutex_unlock(&repository->lock);
}
