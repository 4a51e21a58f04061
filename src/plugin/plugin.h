/* plugin/plugin.h - one node's NPUs, watched, and a front that tells the kubelet of them.
 *
 * What a device plugin and a DRA driver have in common: the loop, the looks at the NPUs, the CDI
 * specification, the kernel's log, the probe, metrics. They differ in struct scree_front, which is
 * called
 *
 *     start      when the NPUs have been looked at for the first time and the specification stands
 *     changed    when an NPU came, went, or changed its health, after the specification was written
 *     metrics    to add its own
 *     is_ready   whether the kubelet knows of us
 *     done       at the end
 *
 * Memory: the struct is the caller's; what it opens, scree_plugin_run() closes. Threads: one. */
#ifndef SCREE_PLUGIN_PLUGIN_H
#define SCREE_PLUGIN_PLUGIN_H

#include "plugin/answers.h"
#include "plugin/kmsg.h"
#include "plugin/metrics.h"
#include "plugin/options.h"
#include "plugin/pages.h"
#include "plugin/probe.h"

struct scree_plugin;

/* The functions of a front; `front` is what it allocated or embeds. */
struct scree_front {
    int (*start)(void *front, struct scree_plugin *plugin, struct scree_error *err);
    void (*changed)(void *front);
    void (*metrics)(void *front, struct scree_buffer *buffer);
    bool (*is_ready)(const void *front);
    void (*done)(void *front);
};

struct scree_plugin {
    const struct scree_plugin_options *options;
    const struct scree_front *front;
    void *front_state;
    struct scree_loop loop;
    struct scree_npus npus;
    struct scree_npus_rule rule;
    struct scree_offer offer;
    struct scree_source signals;
    struct scree_timer look, tend;
    struct scree_kmsg kmsg;
    struct scree_prober prober;
    struct scree_pages http;
    bool tree_failed, cdi_failed, condition_failed; /* so that it is logged once */
    uint64_t n_cdi_writes;
};

/* Watches and serves until SIGTERM or SIGINT. Returns 0, or a negative errno if it could not begin.
 */
int scree_plugin_run(struct scree_plugin *plugin, const struct scree_plugin_options *options,
                     const struct scree_front *front, void *front_state, struct scree_error *err);

#endif
