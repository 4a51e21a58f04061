/* serve/repository.h - the models of a server: found in a folder, loaded, replaced, taken away.
 *
 *     FOLDER/NAME/VERSION/model.tflite     besides it: labels.txt, model.tflite.json
 *
 * as TensorFlow Serving, OpenVINO and Triton lay them out. VERSION is a number; the highest one of
 * a name is what is asked for without a version; versions.h says which are loaded. Or one file,
 * which is version 1 of the name it has.
 *
 * A version is loaded and run once before anybody can ask for it; the old one answers until then,
 * and what it has begun it ends. A version that does not load changes nothing: it stands in the
 * index as UNAVAILABLE, with the reason.
 *
 * Memory: the repository holds a reference to each loaded version; who asks gets one more. Threads:
 * any may ask; loading and unloading take turns. */
#ifndef SCREE_SERVE_REPOSITORY_H
#define SCREE_SERVE_REPOSITORY_H

#include "base/name.h"
#include "serve/config.h"
#include "serve/log.h"
#include "serve/metrics.h"
#include "serve/served.h"

struct scree_repository;

struct scree_repository_options {
    const char *folder;                /* NULL: no folder */
    const char *model;                 /* one file beside it; NULL: none */
    const char *labels;                /* of that file; NULL: its own */
    const struct scree_config *config; /* what is said of each model; borrowed */
    struct scree_turns *decoders;
    struct scree_workers *crew;
    atomic_uint *n_at_work; /* as in struct scree_served_options; all are borrowed */
    uint32_t n_cores;
    struct scree_metrics *metrics; /* borrowed */
    struct scree_log *log;         /* the same */
};

/* An empty repository; scree_repository_scan() fills it. options' texts are copied.
 * Errors: ENOMEM. */
int scree_repository_new(const struct scree_repository_options *options,
                         struct scree_repository **ret_repository, struct scree_error *err);

/* Accepts NULL. Versions that are still in use live on until they are not. */
void scree_repository_free(struct scree_repository *repository);

/* Looks at the folder: loads what is new or has changed, takes away what is gone. Returns how many
 * versions failed to load; the first failure's text is in err. Errors: ENOENT, EACCES, EIO (the
 * folder itself). */
int scree_repository_scan(struct scree_repository *repository, struct scree_error *err);

/* The version of a name, with a reference. name NULL or "": the default, which is the one file, or
 * the first name in alphabetical order that is loaded. version NULL or "": the highest that is
 * loaded. Errors: ENOENT (no such model or version), EAGAIN (it is there but not loaded; the text
 * says why). */
int scree_repository_get(struct scree_repository *repository, const char *name, const char *version,
                         struct scree_served **ret_served, struct scree_error *err);

/* Loads the versions of a name again, or for the first time. Errors: ENOENT, and those of
 * scree_served_new(): what was loaded before stays then. */
int scree_repository_load(struct scree_repository *repository, const char *name,
                          struct scree_error *err);

/* Takes a name away; it stays in the index, and out of scans, until it is loaded again.
 * Errors: ENOENT. */
int scree_repository_unload(struct scree_repository *repository, const char *name,
                            struct scree_error *err);

/* Calls visit for each version, loaded (served not NULL) or not, in order of names and versions.
 * The repository is locked meanwhile. */
struct scree_repository_entry {
    const char *name, *version;
    const char *state;  /* "READY", "UNAVAILABLE" */
    const char *reason; /* "" or why not */
    struct scree_served *served;
};
void scree_repository_visit(struct scree_repository *repository,
                            void (*visit)(void *context,
                                          const struct scree_repository_entry *entry),
                            void *context);

#endif
