/* delegate/host.h - the insides of a guest: what its files share.
 *
 * The context comes first: a delegate's calls bring its address, which is the guest's. */
#ifndef SCREE_DELEGATE_HOST_H
#define SCREE_DELEGATE_HOST_H

#include "delegate/guest.h"
#include "delegate/view.h"

/* One part as the delegate knows it: a node that stands for all of them. */
struct scree_guest_kernel {
    struct scree_part part; /* in numbers of the graph */
    struct scree_tfl_delegate_params params;
    struct scree_tfl_node node;
    bool is_made; /* init has been called, so free must be */
};

struct scree_guest {
    struct scree_tfl_context context;
    struct scree_delegate *delegate;
    struct scree_tfl_delegate *handle;
    const struct scree_subgraph *subgraph; /* until the guest is made */
    struct scree_view view;
    struct scree_tfl_registration registration; /* the delegate's kernel */
    bool is_taken;                              /* the delegate has named its nodes */
    struct scree_parts parts;
    struct scree_guest_kernel *kernels; /* one a part */
    void **bound;                       /* of each tensor that is shown */
    struct scree_arena arena;
    struct scree_error failure; /* what went wrong in a call of the delegate */
    int failure_rc;
    char said[128];
};

/* Fills the context with our side of every call. */
void scree_host_init(struct scree_guest *guest);

/* Notes the first failure; returns SCREE_TFL_ERROR. */
int scree_host_fail(struct scree_guest *guest, int code, const char *format, ...)
    SCREE_PRINTF(3, 4);

/* Notes what the delegate says, made safe to print. */
void scree_host_hear(struct scree_guest *guest, const char *text);

/* Divides the graph by the nodes that the delegate names and describes the parts in its numbers:
 * kernels[parts->n_parts]. Returns a status. */
int scree_host_divide(struct scree_guest *guest, const struct scree_tfl_ints *nodes,
                      struct scree_parts *ret_parts, struct scree_guest_kernel **ret_kernels);

#endif
