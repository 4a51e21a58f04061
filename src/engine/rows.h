/* engine/rows.h - sessions with a batch, seen row by row.
 *
 * A session whose inputs and outputs all have the same first dimension computes so many rows in one
 * run. With a view of one row it looks like a session with a batch of one: whatever fills inputs or
 * reads outputs does so with that row.
 *
 *     n = scree_session_n_rows(session);
 *     for (i = 0; i < n; i++)
 *         scree_session_view_row(session, i), scree_session_set_image(session, ...);
 *     scree_session_run(session, err);
 *
 * Memory, threads: those of sessions. */
#ifndef SCREE_ENGINE_ROWS_H
#define SCREE_ENGINE_ROWS_H

#include <scree/scree.h>

/* The first dimension that all inputs and outputs have in common; 0 if there is none, or if an
 * output's shape is known at run time only. */
int32_t scree_session_n_rows(const struct scree_session *session);

/* Has scree_session_input() and scree_session_output() show row `row` alone, in [0, n_rows): its
 * first dimension is 1. -1: all rows, as in a new session. */
void scree_session_view_row(struct scree_session *session, int32_t row);

/* A session that runs with the threads of `beside`, which lives longer and does not run at the same
 * time. Otherwise as scree_session_new(); options' n_threads does not count. */
int scree_session_new_beside(struct scree_session *beside,
                             const struct scree_session_options *options,
                             struct scree_session **ret_session, struct scree_error *err);

#endif
