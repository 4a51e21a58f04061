/* serve/batch.h - rows of several requests in one run of an instance.
 *
 * Each request is a member, on the stack of its thread, and waits in the model's line. Who is given
 * an instance takes others out of the line, as many as make a full batch of the sizes that there
 * are, and does for all of them what is to be done:
 *
 *     wait -> given an instance -> gather -> fill each row -> run -> read each row -> give back
 *          -> taken along ......................................................... done
 *
 * Nobody waits for rows to come unless the model's batch_delay says so; then one instance at a time
 * does. Deadlines and clients that have gone away are looked at before the run, of each by itself,
 * and so are failures: one member's are not another's. Rows of a batch that nobody has are zero. A
 * model without a batch has one member in each run.
 *
 * Memory: members are their threads'. Threads: any. */
#ifndef SCREE_SERVE_BATCH_H
#define SCREE_SERVE_BATCH_H

#include "serve/served.h"

/* A request for a run. */
struct scree_batch_member {
    struct scree_turn_waiter waiter; /* first: what the line has is the member */
    enum scree_priority priority;
    uint32_t n_rows;
    uint64_t deadline_ns;
    bool (*is_gone)(const void *context); /* NULL: nobody goes away */
    const void *gone_context;
    /* Fills a row of a session, and reads one. May be on another member's thread. */
    int (*fill)(void *context, uint32_t row, struct scree_session *session,
                struct scree_error *err);
    int (*take)(void *context, uint32_t row, struct scree_instance *instance,
                const struct scree_session *session, struct scree_error *err);
    void *context;
    /* What came of it: times of queue, preprocessing, run and reading are added. */
    struct scree_times *times;
    struct scree_error *err;
    int rc;
    uint64_t clock; /* of CLOCK_MONOTONIC, since when it waits */
};

/* Runs the model for a member, alone or with others. Errors: ETIMEDOUT, EAGAIN (nobody is there any
 * more, or shutting down), EBUSY (the line is full), and those of fill, take and
 * scree_session_run(). */
int scree_batch_run(struct scree_served *served, struct scree_batch_member *member);

#endif
