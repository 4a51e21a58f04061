/* plugin/health.h - whether an NPU can be used, told without haste.
 *
 *                  bad looks in a row
 *      HEALTHY -------------------------> UNHEALTHY
 *              <-------------------------
 *                  good looks in a row
 *
 * The first look counts at once. An NPU that is lost again soon after it came back must look good
 * for twice as long next time, up to 16 times; one that stays is trusted again. The reason is that
 * of the last bad look, and changes while the NPU is unhealthy.
 *
 * Pure: the caller says what time it is. */
#ifndef SCREE_PLUGIN_HEALTH_H
#define SCREE_PLUGIN_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* Why an NPU cannot be used. scree_reason_name() gives the word for each. */
enum scree_reason {
    SCREE_REASON_READY,             /* it can */
    SCREE_REASON_NO_DEVICE,         /* the kernel has no accel device for it any more */
    SCREE_REASON_DRIVER_NOT_BOUND,  /* the driver is gone, or is bound to no core */
    SCREE_REASON_NODE_MISSING,      /* nothing at its path in /dev */
    SCREE_REASON_NODE_WRONG,        /* something else there */
    SCREE_REASON_NODE_GROUP,        /* not of the group that is asked for */
    SCREE_REASON_NODE_NOT_OPENABLE, /* opening it fails */
    SCREE_REASON_PROBE_FAILED,      /* the test convolution was lost, wrong, or never ended */
    SCREE_REASON_KERNEL_TIMEOUTS,   /* too many timeouts and resets in the kernel's log */
    SCREE_REASONS,                  /* how many */
};

/* "NpuReady", "NoAccelDevice", ...: the words of a Node condition. */
const char *scree_reason_name(enum scree_reason reason);

/* What one look saw: READY or the reason against it, and a sentence. */
struct scree_npu_look {
    enum scree_reason reason;
    char text[160];
};

struct scree_health {
    bool known, healthy;
    struct scree_npu_look why;   /* of the present state */
    uint32_t against;            /* looks in a row that speak against the present state */
    uint32_t patience;           /* good looks are needed so many times over: a power of 2 */
    uint64_t since_ns;           /* when it became so */
    uint64_t n_lost, n_regained; /* changes */
};

struct scree_health_rule {
    uint32_t bad_looks, good_looks;
};

/* Takes a look at time now_ns into account. Returns true if `healthy` or the reason has changed, or
 * was not known before. */
bool scree_health_take(struct scree_health *health, const struct scree_health_rule *rule,
                       const struct scree_npu_look *look, uint64_t now_ns);

#endif
