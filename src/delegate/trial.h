/* delegate/trial.h - a delegate tried out where it can do no harm.
 *
 * Everything an instance will do - create, compile, run once, free - is done first in a child of
 * this process, under a time limit. A delegate that crashes, aborts or hangs takes the child with
 * it; the parent says so and goes on without the delegate.
 *
 * The child is a fork of a process that may have other threads: it calls nothing but the delegate
 * and libc, and ends without running exit handlers.
 *
 * Memory: none kept. Threads: any. */
#ifndef SCREE_DELEGATE_TRIAL_H
#define SCREE_DELEGATE_TRIAL_H

#include "delegate/instance.h"

/* Parts beyond that many are run in the trial too, but not measured. */
#define SCREE_TRIAL_MAX_PARTS 64

struct scree_trial {
    struct scree_delegate_measure parts[SCREE_TRIAL_MAX_PARTS];
};

/* Tries the delegate on the graph, as for scree_delegate_instance_new(). The run is on inputs of
 * zeros.
 *
 * timeout_ms  above 0
 * ret_trial  what the parts took
 * Errors: EIO (it crashed: the text tells how and while doing what), ETIMEDOUT (it hung and was
 * killed), those of scree_delegate_instance_new(), EAGAIN and ENOMEM (no child could be made). */
int scree_delegate_try(struct scree_delegate *delegate, const struct scree_subgraph *subgraph,
                       const bool *offered, int timeout_ms, struct scree_trial *ret_trial,
                       struct scree_error *err);

#endif
