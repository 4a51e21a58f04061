/* plugin/dra.h - the front for Dynamic Resource Allocation.
 *
 * One socket in plugins_registry has the services by which the kubelet finds the driver, prepares
 * claims and asks for health. The node's ResourceSlice is kept in the API server: made when the
 * kubelet has registered the driver, which is when it deletes what was there; looked at again soon
 * after, and every minute; replaced when an NPU is lost or regained.
 *
 * A claim is prepared by reading what the scheduler gave it, and answering with names of the CDI
 * specification that stands already. Nothing is kept of it: preparing it again says the same,
 * however many pods share it, and there is nothing to undo.
 *
 *      LOOKING --404--> POST --+
 *         |  200, differs      |
 *         +------------> PUT --+--> KNOWN   (409: LOOKING again)
 *         |  200, the same     |
 *         +--------------------+
 *
 * Memory: embedded in its owner; scree_plugin_run() ends it. */
#ifndef SCREE_PLUGIN_DRA_H
#define SCREE_PLUGIN_DRA_H

#include "plugin/cluster.h"
#include "plugin/plugin.h"
#include "plugin/server.h"
#include "plugin/slices.h"
#include "plugin/streams.h"

/* Calls of NodePrepareResources at once, and claims in each. */
#define SCREE_DRA_CALLS  8
#define SCREE_DRA_CLAIMS 32

struct scree_dra_claim {
    char space[64], name[254], uid[64];
};

/* A call under way: claims[at] is being read. */
struct scree_dra_call {
    struct scree_dra *dra;
    struct scree_grpc_call *call; /* NULL: free */
    uint32_t n_claims, at;
    struct scree_dra_claim *claims;
    struct scree_buffer reply;
};

struct scree_dra {
    struct scree_plugin *plugin;
    struct scree_service service;
    struct scree_unix_server server;
    struct scree_cluster *api;
    struct scree_streams streams; /* NodeWatchResources */
    struct scree_slice_facts facts;
    struct scree_dra_call calls[SCREE_DRA_CALLS];
    struct scree_timer second, publish;
    bool registered, asking, again; /* a look is under way; another is wanted after it */
    char node_uid[64];
    bool knows_node;   /* by that uid, since the kubelet has registered the driver */
    uint64_t eager_ns; /* until then the slice is looked at every few seconds */
    uint32_t seconds;  /* since health was sent */
    uint64_t n_registered, n_published, n_publish_failed, n_prepared, n_prepare_failed;
};

/* Its functions; the state is a struct scree_dra, all zero at first. */
extern const struct scree_front scree_dra_front;

/* Reads the claims of NodePrepareResourcesRequest or NodeUnprepareResourcesRequest u8[n] into
 * claims[SCREE_DRA_CLAIMS]. Returns how many. Errors: EBADMSG, E2BIG, EINVAL (a name that cannot be
 * one). Pure. */
int scree_dra_read_claims(const uint8_t *request, size_t n, struct scree_dra_claim *claims,
                          struct scree_error *err);

#endif
