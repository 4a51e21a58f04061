#include "plugin/npus.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

SCREE_PRINTF(2, 3)
static struct scree_npu_look look_of(enum scree_reason reason, const char *format, ...)
{
    struct scree_npu_look look = {.reason = reason};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(look.text, sizeof look.text, format, args);
    va_end(args);
    return look;
}

/* ---- one NPU --------------------------------------------------------------------------------- */

static struct scree_npu_look look_at_group(const struct scree_plugin_npu *npu,
                                           const struct scree_node *node, int64_t group)
{
    if (group >= 0 && node->gid != group)
        return look_of(SCREE_REASON_NODE_GROUP, "%s belongs to group %u, not to %lld",
                       npu->node.path, node->gid, (long long)group);
    if (group >= 0 && ((node->mode & 060) != 060 || node->mode & 07))
        return look_of(SCREE_REASON_NODE_GROUP, "%s has mode 0%o, which is not for its group alone",
                       npu->node.path, node->mode);
    return look_of(SCREE_REASON_READY, "%s is ready", npu->node.path);
}

/* EPERM comes from the rules for this program's container after the device's own: no device has
 * been asked. */
static struct scree_npu_look look_at_node(const struct scree_plugin_npu *npu,
                                          const struct scree_tree *tree,
                                          const struct scree_npus_rule *rule)
{
    char path[SCREE_TREE_PATH];
    struct scree_node node;
    int rc;

    if (rule->dev[0] == '\0')
        return look_of(SCREE_REASON_READY, "%s is ready", npu->node.path);
    (void)snprintf(path, sizeof path, "%s%s", rule->dev, npu->node.path + strlen("/dev"));
    rc = scree_tree_stat(tree, path, &node);
    if (rc < 0)
        return look_of(SCREE_REASON_NODE_MISSING, "%s: %s", npu->node.path, strerror(-rc));
    if (!node.is_device || node.major != npu->node.major || node.minor != npu->node.minor)
        return look_of(SCREE_REASON_NODE_WRONG, "%s is not the device %u:%u", npu->node.path,
                       npu->node.major, npu->node.minor);
    rc = scree_tree_try(tree, path);
    if (rc < 0 && rc != -EPERM)
        return look_of(SCREE_REASON_NODE_NOT_OPENABLE, "%s cannot be opened: %s", npu->node.path,
                       strerror(-rc));
    return look_at_group(npu, &node, rule->group);
}

static struct scree_npu_look look_at(const struct scree_npus *npus,
                                     const struct scree_plugin_npu *npu,
                                     const struct scree_tree *tree,
                                     const struct scree_npus_rule *rule)
{
    struct scree_npu_look look;

    if (!npu->present)
        return look_of(SCREE_REASON_NO_DEVICE, "the kernel has no device %s", npu->node.name);
    if (npu->n_cores == 0)
        return look_of(SCREE_REASON_DRIVER_NOT_BOUND, "the driver rocket is bound to no core");
    look = look_at_node(npu, tree, rule);
    if (look.reason != SCREE_REASON_READY)
        return look;
    return npu->probe.reason != SCREE_REASON_READY     ? npu->probe
           : npus->kernel.reason != SCREE_REASON_READY ? npus->kernel
                                                       : look;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static struct scree_plugin_npu *find(struct scree_npus *npus, const char *name)
{
    for (uint32_t i = 0; i < npus->n; i++)
        if (strcmp(npus->v[i].node.name, name) == 0)
            return &npus->v[i];
    return NULL;
}

const struct scree_plugin_npu *scree_npus_find(const struct scree_npus *npus, const char *name,
                                               size_t n)
{
    for (uint32_t i = 0; i < npus->n; i++)
        if (strlen(npus->v[i].node.name) == n && memcmp(npus->v[i].node.name, name, n) == 0)
            return &npus->v[i];
    return NULL;
}

static void forget_absent(struct scree_npus *npus)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < npus->n; i++)
        if (npus->v[i].present)
            npus->v[n++] = npus->v[i];
    npus->n = n;
}

/* The NPUs that the kernel shows become present, those that it does not absent. */
static bool find_all(struct scree_npus *npus, const struct scree_tree *tree)
{
    struct scree_npu_node nodes[SCREE_NPU_MAX_NODES];
    uint32_t n = scree_npu_nodes(tree, nodes), n_new = 0;

    for (uint32_t i = 0; i < npus->n; i++)
        npus->v[i].present = false;
    for (uint32_t i = 0; i < n; i++) {
        struct scree_plugin_npu *npu = find(npus, nodes[i].name);

        n_new += !npu;
        if (npu) {
            npu->present = true;
            npu->node = nodes[i];
        }
    }
    if (n_new == 0)
        return false;
    forget_absent(npus);
    for (uint32_t i = 0; i < n; i++) {
        if (find(npus, nodes[i].name))
            continue;
        assert(npus->n < SCREE_NPU_MAX_NODES);
        npus->v[npus->n++] = (struct scree_plugin_npu){.node = nodes[i], .present = true};
    }
    return true;
}

static uint32_t count_idle(const struct scree_npu *npu)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < npu->n_cores; i++)
        n += strcmp(npu->cores[i].state, "active") != 0;
    return n;
}

bool scree_npus_look(struct scree_npus *npus, const struct scree_tree *tree,
                     const struct scree_npus_rule *rule, uint64_t now_ns)
{
    struct scree_npu cores;
    bool changed = find_all(npus, tree);

    scree_npu_discover(tree, &cores);
    for (uint32_t i = 0; i < npus->n; i++) {
        struct scree_plugin_npu *npu = &npus->v[i];
        struct scree_npu_look look;

        npu->n_cores = cores.n_cores;
        npu->n_idle = count_idle(&cores);
        look = look_at(npus, npu, tree, rule);
        changed = scree_health_take(&npu->health, &rule->health, &look, now_ns) || changed;
    }
    return changed;
}
