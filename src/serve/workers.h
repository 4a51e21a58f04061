/* serve/workers.h - threads that do what takes time, so that event loops do not.
 *
 * Threads are started when a job comes and none is idle, up to a limit; beyond it jobs wait in
 * order of arrival. How many jobs there may be is for those to bound who hand them over.
 *
 * Memory: jobs are their owners', who hear of their end in their own way from run(). Threads: any
 * may submit. */
#ifndef SCREE_SERVE_WORKERS_H
#define SCREE_SERVE_WORKERS_H

#include "base/error.h"

/* A job, embedded in what it is about. */
struct scree_job {
    struct scree_job *next;
    void (*run)(struct scree_job *job); /* on a worker; may free the job */
};

struct scree_workers;

/* At most max >= 1 threads. Errors: ENOMEM. */
int scree_workers_new(uint32_t max, struct scree_workers **ret_workers, struct scree_error *err);

/* Hands a job over. False if not one thread can be started: it will not run. */
bool scree_workers_submit(struct scree_workers *workers, struct scree_job *job);

/* Takes the place of one of the threads for the one that asks, until it leaves: true if one is free
 * and no job waits for it. */
bool scree_workers_enter(struct scree_workers *workers);
void scree_workers_leave(struct scree_workers *workers);

/* Waits until all jobs have run, and ends the threads. Accepts NULL. */
void scree_workers_free(struct scree_workers *workers);

#endif
