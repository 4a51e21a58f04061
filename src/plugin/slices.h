/* plugin/slices.h - what a DRA driver writes to and reads from the API server, as JSON.
 *
 * Each share of a healthy NPU is a device of the one ResourceSlice of the node, named as its id. It
 * has the attributes npu, cores, driver, kernelVersion, and clockMHz and mesaVersion where they are
 * known.
 *
 * Pure. Memory: buffers and copies of the caller's. Source: resource.k8s.io/v1 of Kubernetes 1.34
 * to 1.37. */
#ifndef SCREE_PLUGIN_SLICES_H
#define SCREE_PLUGIN_SLICES_H

#include "net/buffer.h"
#include "plugin/answers.h"

/* The most devices of a slice. Source: ResourceSliceMaxDevices. */
#define SCREE_SLICE_DEVICES 128

/* What is known of the machine. Texts may be "", clock_mhz 0: then they are left out. */
struct scree_slice_facts {
    const char *driver, *node; /* of the DRA driver, of Kubernetes */
    char kernel[32];           /* "6.18.0" */
    char mesa[32];
    uint32_t clock_mhz;
};

/* Fills kernel and clock_mhz from the tree. */
void scree_slice_look(const struct scree_tree *tree, struct scree_slice_facts *facts);

/* The list of devices, a JSON array. */
void scree_slice_devices(const struct scree_offer *offer, const struct scree_slice_facts *facts,
                         struct scree_buffer *buffer);

/* What the API server has: the texts are "" if it does not say, devices is the list as compact
 * JSON. */
struct scree_slice_found {
    char resource_version[64];
    int64_t generation;
    struct scree_buffer devices;
};

/* Reads a ResourceSlice, char[n]. Errors: EBADMSG. The buffer is the caller's to free. */
int scree_slice_read(const char *json, size_t n, struct scree_slice_found *ret_found,
                     struct scree_error *err);

/* The whole ResourceSlice with the devices, a JSON array. resource_version "" for a new one;
 * node_uid "" for one without an owner. */
void scree_slice_write(const struct scree_slice_facts *facts, const struct scree_buffer *devices,
                       const char *resource_version, const char *node_uid, int64_t generation,
                       struct scree_buffer *buffer);

/* True if two lists of devices say the same, however they are written. */
bool scree_slice_same(const struct scree_buffer *a, const struct scree_buffer *b);

/* metadata.uid of any object, char[n], into uid[64]. Errors: EBADMSG. */
int scree_slice_uid(const char *json, size_t n, char *uid, struct scree_error *err);

/* A device that a claim was given. */
struct scree_allotted {
    char request[136], device[SCREE_SHARE_ID];
    char share_id[64]; /* "" for a device that is not shared by claims */
};

#define SCREE_ALLOTTED 32

/* Reads a ResourceClaim, char[n]: those of its devices that are the driver's on this node, which
 * are its pool. Returns how many. Errors: EBADMSG (none, or over SCREE_ALLOTTED), EINVAL (another
 * claim than that of `uid`, or not allocated). */
int scree_claim_read(const char *json, size_t n, const struct scree_slice_facts *facts,
                     const char *uid, struct scree_allotted *allotted, struct scree_error *err);

#endif
