/* serve/reload.h - the thread that loads models, so that nobody else waits for it.
 *
 *     rc = scree_reload_new(repository, folder, log, &reload, err);
 *     scree_reload_now(reload);                    on SIGHUP
 *     scree_reload_free(reload);
 *
 * It looks at the folder when told to and, by inotify, a moment after something in it has changed:
 * a file or folder that was renamed, made, removed, or written and closed.
 *
 * Memory: the owner's. Threads: one of its own. */
#ifndef SCREE_SERVE_RELOAD_H
#define SCREE_SERVE_RELOAD_H

#include "serve/log.h"
#include "serve/repository.h"

struct scree_reload;

/* Starts the thread. folder NULL: only when told to. Repository and log are borrowed. What cannot
 * be watched is logged. Errors: EIO, ENOMEM. */
int scree_reload_new(struct scree_repository *repository, const char *folder, struct scree_log *log,
                     struct scree_reload **ret_reload, struct scree_error *err);

/* Has the folder looked at soon. */
void scree_reload_now(struct scree_reload *reload);

/* Waits for a load that is going on, then ends the thread. Accepts NULL. */
void scree_reload_free(struct scree_reload *reload);

#endif
