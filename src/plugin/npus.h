/* plugin/npus.h - the NPUs of this node and how each of them is.
 *
 * scree_npus_look() is called again and again. It reads the tree and gives each NPU's health one
 * look; what is not to be seen in files - the probe's result, the kernel's log - is told to it
 * before. An NPU that disappears stays in the list, unhealthy, because its containers do, until one
 * appears that was not there before: the same one, under another number.
 *
 * Memory: no more than the struct. Threads: none of its own. */
#ifndef SCREE_PLUGIN_NPUS_H
#define SCREE_PLUGIN_NPUS_H

#include "device/discover.h"
#include "plugin/health.h"

/* One NPU. */
struct scree_plugin_npu {
    struct scree_npu_node node;
    bool present;             /* at the last look */
    uint32_t n_cores, n_idle; /* cores bound; of them, those that are not at work */
    struct scree_health health;
    struct scree_npu_look probe; /* READY, or what the last probe found */
};

struct scree_npus {
    uint32_t n;
    struct scree_plugin_npu v[SCREE_NPU_MAX_NODES];
    struct scree_npu_look kernel; /* READY, or too many timeouts */
};

/* What a look asks for.
 *
 * dev    where the node's /dev is, or "" to take device nodes for there and openable
 * group  the group that a device node must have, or -1 */
struct scree_npus_rule {
    const char *dev;
    int64_t group;
    struct scree_health_rule health;
};

/* Looks at the NPUs in the tree. Returns true if an NPU came, was forgotten, or changed its health
 * or the reason for it. */
bool scree_npus_look(struct scree_npus *npus, const struct scree_tree *tree,
                     const struct scree_npus_rule *rule, uint64_t now_ns);

/* The NPU by its name, "accel0", char[n]; or NULL. */
const struct scree_plugin_npu *scree_npus_find(const struct scree_npus *npus, const char *name,
                                               size_t n);

#endif
