/* delegate/guest.h - a delegate at work on one graph, in the process where it may do harm.
 *
 * Making a guest is what TensorFlow Lite does when it modifies a graph with a delegate: the
 * delegate looks at the nodes it is shown, names those it takes, and these are gathered into parts
 * (plan/partition.h), each of which it then compiles. Every guest has a TfLiteDelegate of its own.
 *
 * What a delegate may ask of its host and what is asked for once too often or wrongly is answered
 * with an error, never with a crash of ours. Its own crashes take the process with it: this is what
 * delegate/instance.h has a process of its own for.
 *
 * Memory: a guest borrows the library and the graph. Threads: one at a time. */
#ifndef SCREE_DELEGATE_GUEST_H
#define SCREE_DELEGATE_GUEST_H

#include "delegate/library.h"
#include "plan/partition.h"

struct scree_guest;

/* Shows the delegate, whose library is loaded, those nodes of `subgraph` that offered bool[n_nodes]
 * names (delegate/view.h says which these may be) and has it compile what it takes of them. All
 * shapes are final.
 *
 * ret_guest  freed with scree_guest_free()
 * Errors: ENODEV (the delegate finds nothing to run on), ENOTSUP (it is built on another
 * interface), EIO (it fails; the text has its own words), EBADMSG (it asks for nodes that are not
 * there), ENOMEM. */
int scree_guest_new(struct scree_delegate *delegate, const struct scree_subgraph *subgraph,
                    const bool *offered, struct scree_guest **ret_guest, struct scree_error *err);

/* Has the delegate free what it made. Accepts NULL. */
void scree_guest_free(struct scree_guest *guest);

/* What it takes, as parts of the graph. */
const struct scree_parts *scree_guest_parts(const struct scree_guest *guest);

/* Says where the bytes of a tensor of the graph are, as the delegate is shown them. Tensors that it
 * is not shown, and constants, are none of this. */
void scree_guest_bind(struct scree_guest *guest, int32_t tensor, void *data);

/* Runs part `index` on the bound tensors. Errors: EIO (the delegate says that it fails, or does
 * what a delegate must not). */
int scree_guest_run(struct scree_guest *guest, uint32_t index);

/* What the delegate said in its last call, "" if nothing. */
const char *scree_guest_said(const struct scree_guest *guest);

#endif
