/* delegate/instance.h - a delegate at work on one graph, in a process of its own.
 *
 * A delegate is somebody else's code beside a driver that can hang. It is loaded, compiles, and
 * runs in a worker (delegate/worker.h), so what it crashes, corrupts, or never comes back from is
 * not the program that asked. What both processes must see is in memory that they share: the bytes
 * of all tensors at borders of parts. Every instance has a worker of its own, hence with Teflon a
 * file descriptor of its own, hence an NPU core of its own.
 *
 *              new()                run()            dies, hangs
 *     (none) --------> compiles --> ready ---------------------------+
 *                         ^           ^                              v
 *                         |           +-- compiled --  starting <-- away --> gone
 *                                                                (after a while)
 *
 * A worker that dies or does not answer in time costs its run; another one is started behind the
 * scenes, at once and then after 1/4, 1/2, 1, and 2 seconds, and not again after six in a row.
 *
 * Whether what a run left in its outputs can be trusted is judged in this process
 * (delegate/check.h).
 *
 * Memory: an instance borrows the library, the graph with its constants, and the list of what is
 * offered. Threads: one at a time; instances are independent. */
#ifndef SCREE_DELEGATE_INSTANCE_H
#define SCREE_DELEGATE_INSTANCE_H

#include "delegate/library.h"
#include "plan/partition.h"

struct scree_delegate_instance;

/* Shows the delegate those nodes of `subgraph` that offered bool[n_nodes] names (delegate/view.h
 * says which these may be), has it compile what it takes of them, and runs each part once, on
 * zeros. All shapes are final.
 *
 * timeout_ms    above 0: for all of this
 * ret_instance  freed with scree_delegate_instance_free()
 * Errors: EBADMSG (the file is no delegate), ENODEV (the delegate finds nothing to run on), ENOTSUP
 * (it is built on another interface), EIO (it crashed, failed, or computed nothing; the text tells
 * how and has its own words), ETIMEDOUT (it hung), EAGAIN (no process for it), ENOMEM. */
int scree_delegate_instance_new(struct scree_delegate *delegate,
                                const struct scree_subgraph *subgraph, const bool *offered,
                                int timeout_ms, struct scree_delegate_instance **ret_instance,
                                struct scree_error *err);

/* Has the delegate free what it made and ends its process. Accepts NULL. */
void scree_delegate_instance_free(struct scree_delegate_instance *instance);

/* What it takes, as parts of the graph. */
const struct scree_parts *
scree_delegate_instance_parts(const struct scree_delegate_instance *instance);

/* Part `index`, its constants among the inputs. */
const struct scree_part *
scree_delegate_instance_part(const struct scree_delegate_instance *instance, uint32_t index);

/* Says where the bytes of a tensor at a part's border are in the runs that follow. Constants need
 * none of this. */
void scree_delegate_bind(struct scree_delegate_instance *instance, int32_t tensor, void *data);

/* How a run ended. */
enum scree_delegate_end {
    SCREE_DELEGATE_OK,
    SCREE_DELEGATE_FAILED,    /* the delegate says so */
    SCREE_DELEGATE_UNTOUCHED, /* a part of an output was not written */
    SCREE_DELEGATE_STALE,     /* other inputs, yet the same outputs as before: perhaps bad */
    SCREE_DELEGATE_LATE,      /* it took as long as the kernel waits for a job that hangs */
    SCREE_DELEGATE_LOST,      /* the NPU has done fewer tasks than there are */
    SCREE_DELEGATE_DIED,      /* its process crashed, or hung and was killed */
    SCREE_DELEGATE_AWAY,      /* it was not run: its process is being started again, or given up */
};

/* What a run of a part is known to take: 0 where it is not known. */
struct scree_delegate_measure {
    uint64_t run_ns;
    uint64_t interrupts; /* of the NPU during the run */
};

/* What the first run of a part took. */
struct scree_delegate_measure
scree_delegate_measured(const struct scree_delegate_instance *instance, uint32_t part);

/* What is expected of the runs of a part: they are judged by that. */
void scree_delegate_expect(struct scree_delegate_instance *instance, uint32_t part,
                           const struct scree_delegate_measure *measure);

/* Runs part `index` on the bound tensors and tells whether the result can be trusted. If it cannot,
 * the outputs are undefined and the inputs as they were. Takes at most 1.2 seconds more than eight
 * times what is expected. */
enum scree_delegate_end scree_delegate_run(struct scree_delegate_instance *instance,
                                           uint32_t index);

/* By how many quantization steps the outputs of part `index`'s last run, good or stale, differ at
 * most from what is now where they are bound, but for one byte in 256 of each. */
int scree_delegate_difference(const struct scree_delegate_instance *instance, uint32_t index);

/* Remembers part `index`'s last run, a stale one, as good. */
void scree_delegate_trust(struct scree_delegate_instance *instance, uint32_t index);

/* Puts these outputs where they are bound once more. */
void scree_delegate_restore(struct scree_delegate_instance *instance, uint32_t index);

/* Waits for a worker that is being started, as long as that may take. */
void scree_delegate_await(struct scree_delegate_instance *instance);

/* Ends a worker that fails again and again and has another one started: a driver's open file may be
 * of a device that is gone. */
void scree_delegate_renew(struct scree_delegate_instance *instance);

/* Why the last run ended as it did, in one line for people, with the delegate's own words. Lives
 * until the next run. */
const char *scree_delegate_why(const struct scree_delegate_instance *instance);

/* True once it is not started again any more. */
bool scree_delegate_is_gone(const struct scree_delegate_instance *instance);

#endif
