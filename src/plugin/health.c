#include "plugin/health.h"

#include <string.h>

/* Lost again within this: not to be trusted. Kept for this: trusted again. */
#define SOON_NS      UINT64_C(30000000000)
#define TRUSTED_NS   UINT64_C(300000000000)
#define MAX_PATIENCE 16

const char *scree_reason_name(enum scree_reason reason)
{
    static const char *const names[SCREE_REASONS] = {
        "NpuReady",  "NoAccelDevice",   "DriverNotBound", "NodeMissing",   "NodeWrong",
        "NodeGroup", "NodeNotOpenable", "ProbeFailed",    "KernelTimeouts"};

    return names[reason];
}

static void change(struct scree_health *health, bool healthy, uint64_t now_ns)
{
    if (health->known && !healthy) {
        bool soon = health->n_regained > 0 && now_ns - health->since_ns < SOON_NS;

        health->n_lost++;
        if (soon && health->patience < MAX_PATIENCE)
            health->patience *= 2;
    }
    if (health->known && healthy)
        health->n_regained++;
    health->healthy = healthy;
    health->against = 0;
    health->since_ns = now_ns;
}

bool scree_health_take(struct scree_health *health, const struct scree_health_rule *rule,
                       const struct scree_npu_look *look, uint64_t now_ns)
{
    bool good = look->reason == SCREE_REASON_READY, changed;
    uint32_t needed;

    if (!health->known) {
        health->patience = 1;
        change(health, good, now_ns);
        health->known = true;
        health->why = *look;
        return true;
    }
    if (good == health->healthy) {
        changed = look->reason != health->why.reason;
        health->against = 0;
        health->why = *look;
        if (good && now_ns - health->since_ns > TRUSTED_NS)
            health->patience = 1;
        return changed;
    }
    needed = good ? rule->good_looks * health->patience : rule->bad_looks;
    if (++health->against < needed)
        return false;
    change(health, good, now_ns);
    health->why = *look;
    return true;
}
