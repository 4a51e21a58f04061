/* delegate/instance.h - a delegate at work on one graph.
 *
 * Making an instance is what TensorFlow Lite does when it modifies a graph with a delegate: the
 * delegate looks at the nodes it is shown, names those it takes, and these are gathered into parts
 * (plan/partition.h), each of which it then compiles. Every instance has a TfLiteDelegate of its
 * own, hence with Teflon a file descriptor of its own, hence an NPU core of its own.
 *
 * What a delegate may ask of its host and what is asked for once too often or wrongly is answered
 * with an error, never with a crash of ours. It runs in this process all the same and can crash it:
 * see delegate/trial.h.
 *
 * Memory: an instance borrows the library and the constants of the graph.
 * Threads: one at a time; instances are independent. */
#ifndef SCREE_DELEGATE_INSTANCE_H
#define SCREE_DELEGATE_INSTANCE_H

#include "delegate/library.h"
#include "plan/partition.h"

struct scree_delegate_instance;

/* Shows the delegate those nodes of `subgraph` that offered bool[n_nodes] names (delegate/view.h
 * says which these may be) and has it compile what it takes of them. All shapes are final.
 *
 * subgraph  borrowed; only its constants after this call
 * ret_instance  freed with scree_delegate_instance_free()
 * Errors: ENODEV (the delegate finds nothing to run on), ENOTSUP (it is built on another
 * interface), EIO (it fails; the text has its own words), EBADMSG (it asks for nodes that are not
 * there), ENOMEM. */
int scree_delegate_instance_new(struct scree_delegate *delegate,
                                const struct scree_subgraph *subgraph, const bool *offered,
                                struct scree_delegate_instance **ret_instance,
                                struct scree_error *err);

/* Has the delegate free what it made. Accepts NULL. */
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
    SCREE_DELEGATE_STALE,     /* other inputs, yet the same outputs as before */
    SCREE_DELEGATE_LATE,      /* it took as long as the kernel waits for a job that hangs */
    SCREE_DELEGATE_LOST,      /* the NPU has done fewer tasks than there are */
};

/* One sentence for people: "the delegate failed". Static. */
const char *scree_delegate_end_text(enum scree_delegate_end end);

/* What a run of a part is known to take: 0 where it is not known. */
struct scree_delegate_measure {
    uint64_t run_ns;
    uint64_t interrupts; /* of the NPU during the run */
};

/* What is expected of the runs of a part: they are judged by that. */
void scree_delegate_expect(struct scree_delegate_instance *instance, uint32_t part,
                           const struct scree_delegate_measure *measure);

/* Runs part `index` on the bound tensors and tells whether the result can be trusted. If it cannot,
 * the outputs are undefined and the inputs as they were. ret_measure may be NULL. */
enum scree_delegate_end scree_delegate_run(struct scree_delegate_instance *instance, uint32_t index,
                                           struct scree_delegate_measure *ret_measure);

/* What the delegate said last, "" if nothing. */
const char *scree_delegate_said(const struct scree_delegate_instance *instance);

#endif
