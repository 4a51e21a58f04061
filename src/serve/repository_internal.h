/* serve/repository_internal.h - the repository of models from inside, for its parts.
 *
 *     repository.c          what others ask for
 *     repository_scan.c     what is in the folder, and what follows from that
 *     repository_load.c     one version is loaded
 *     repository_entry.c    the list of versions
 *
 * each of which knows of those below it.
 *
 * Memory: the repository owns its entries. Threads: who holds `loading` may read entries, and
 * change what `found`, `unloaded`, the paths and `tried` say; the rest of them and the list are
 * read with `lock` held, or changed with both. */
#ifndef SCREE_SERVE_REPOSITORY_INTERNAL_H
#define SCREE_SERVE_REPOSITORY_INTERNAL_H

#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>

#include "serve/repository.h"
#include "serve/versions.h"

/* What tells that a file is another one than before; all 0: it is not there. */
struct scree_file_identity {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime;
};

/* What a version is made of. */
struct scree_model_identity {
    struct scree_file_identity model, labels, side;
};

/* A version of a model, there or once there. */
struct scree_model_entry {
    struct scree_model_entry *next; /* by name, then version */
    char name[SCREE_MAX_NAME + 1];
    char version[SCREE_MAX_VERSION + 1];
    unsigned long number;
    char path[PATH_MAX], labels[PATH_MAX];
    struct scree_model_identity tried; /* last */
    struct scree_served *served;
    char reason[sizeof((struct scree_error *)0)->text];
    bool found;    /* by the scan that is going on */
    bool unloaded; /* on demand */
};

struct scree_repository {
    struct scree_repository_options options;
    char *folder, *model, *labels;
    char model_name[SCREE_MAX_NAME + 1]; /* of `model` */
    pthread_mutex_t loading;             /* one load or scan at a time */
    pthread_mutex_t lock;                /* entries, for a moment */
    struct scree_model_entry *entries;
};

/* ---- repository_entry.c ---- */

/* The entry of a version, made if need be; NULL without memory. */
struct scree_model_entry *scree_model_entry_find(struct scree_repository *repository,
                                                 const char *name, const char *version);

/* Takes a model over (NULL: none) in the place of the one before; `reason` is why there is none. */
void scree_model_entry_set(struct scree_repository *repository, struct scree_model_entry *entry,
                           struct scree_served *served, const char *reason);

/* Notes why an entry's model could not be loaded; the one before stays. */
void scree_model_entry_blame(struct scree_repository *repository, struct scree_model_entry *entry,
                             const char *reason);

/* Takes an entry out of the list and frees it. */
void scree_model_entry_remove(struct scree_repository *repository, struct scree_model_entry *entry);

/* Notes that an entry is tried as its files are now. */
void scree_model_entry_try(struct scree_model_entry *entry);

/* True if nothing has changed since then, or the model's file is not there any more. */
bool scree_model_entry_was_tried(const struct scree_model_entry *entry);

/* ---- repository_load.c ---- */

/* Loads the file of an entry; on failure what was loaded stays, and the reason is noted. Errors:
 * those of scree_served_new(), ENOMEM (it takes more than is left for models). */
int scree_repository_load_entry(struct scree_repository *repository,
                                struct scree_model_entry *entry, struct scree_error *err);

/* ---- repository_scan.c ---- */

/* scree_repository_scan(), with `loading` held. */
int scree_repository_look(struct scree_repository *repository, struct scree_error *err);

/* Loads the highest versions of a name that are wanted; `first` is its lowest one. What is not
 * wanted any more is taken away after that, so that there is always one to answer. Returns how many
 * failed. */
int scree_repository_load_name(struct scree_repository *repository, struct scree_model_entry *first,
                               struct scree_error *err);

#endif
