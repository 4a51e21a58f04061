/* plugin/probe.h - the test convolution, run now and then in a child process.
 *
 * A child, because the kernel may keep whoever waits for a broken NPU: this program goes on. A
 * child that has not ended after 10 seconds is killed, and the NPU is taken for broken; until the
 * kernel lets go of it no other is started. The convolution is run only when a core is idle, so
 * that nobody waits for it.
 *
 * Memory: one descriptor while a child runs. */
#ifndef SCREE_PLUGIN_PROBE_H
#define SCREE_PLUGIN_PROBE_H

#include <sys/types.h>

#include "plugin/loop.h"
#include "plugin/npus.h"

/* Counts for metrics; last_us: how long the last good one took. */
struct scree_probe_stats {
    uint64_t n_good, n_bad, n_busy;
    uint64_t last_us;
};

struct scree_prober {
    struct scree_loop *loop;
    struct scree_npus *npus; /* whose `probe` it sets */
    uint64_t every_ns;
    struct scree_source source; /* the child's word */
    struct scree_timer timer, deadline;
    pid_t child;   /* 0 for none */
    uint32_t next; /* of the NPUs */
    char node[64]; /* being tried */
    bool doubted;  /* the last try of it failed, for the first time */
    struct scree_probe_stats stats;
};

/* Begins to try one NPU after the other, each every every_s > 0 seconds. */
void scree_prober_start(struct scree_prober *prober, struct scree_loop *loop,
                        struct scree_npus *npus, uint32_t every_s);

/* Kills a child that runs. Accepts an all-zero one. */
void scree_prober_done(struct scree_prober *prober);

#endif
