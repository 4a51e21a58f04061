/* plugin/kmsg.h - counts what the kernel's log says of the NPU.
 *
 * The driver tells nobody but its log that it gave up on a job and reset a core. Where the log may
 * be read (root with CAP_SYSLOG, or kernel.dmesg_restrict 0), lines about it are counted from now
 * on.
 *
 * Memory: one descriptor. Source of the texts: drivers/accel/rocket/rocket_job.c of Linux 6.18. */
#ifndef SCREE_PLUGIN_KMSG_H
#define SCREE_PLUGIN_KMSG_H

#include "plugin/loop.h"

enum scree_kernel_event {
    SCREE_KERNEL_TIMEOUT, /* a job took longer than 500 ms */
    SCREE_KERNEL_RESET,   /* a core was reset */
    SCREE_KERNEL_ERROR,   /* anything else that went wrong */
    SCREE_KERNEL_EVENTS,  /* how many */
};

/* "timeout", "reset", "error". */
const char *scree_kernel_event_name(enum scree_kernel_event event);

/* What a line of the log, char[n], tells of the NPU; -1 if nothing. Timeouts and resets, which say
 * that it is not to be used, are of the driver's own lines alone: no pod can make one. Pure. */
int scree_kernel_event_of(const char *line, size_t n);

#define SCREE_KERNEL_REMEMBERED 64

struct scree_kmsg {
    struct scree_loop *loop;
    struct scree_source source;
    uint64_t n_events[SCREE_KERNEL_EVENTS];
    /* When the last timeouts and resets were: at_ns[i % SCREE_KERNEL_REMEMBERED]. */
    uint64_t at_ns[SCREE_KERNEL_REMEMBERED];
    uint64_t n_at;
};

/* Reads what is written to `path` from now on. Returns 0, or -1 with the reason logged: then
 * nothing is counted. */
int scree_kmsg_start(struct scree_kmsg *kmsg, struct scree_loop *loop, const char *path);

/* Accepts an all-zero one. */
void scree_kmsg_done(struct scree_kmsg *kmsg);

/* How many timeouts and resets there were in the minute before now_ns, up to
 * SCREE_KERNEL_REMEMBERED. */
uint32_t scree_kmsg_recent(const struct scree_kmsg *kmsg, uint64_t now_ns);

#endif
