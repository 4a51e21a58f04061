#include "device/discover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name of the parent of the accel device. */
#define PARENT "rknn"

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static bool ends_in_npu(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && strcmp(name + n - 4, ".npu") == 0;
}

static void find_cores(const struct scree_tree *tree, struct scree_npu *npu)
{
    struct scree_names names;
    char path[SCREE_TREE_PATH], target[SCREE_TREE_PATH];

    if (scree_tree_list(tree, SCREE_NPU_DRIVER, NULL, &names) < 0)
        return;
    npu->has_driver = true;
    for (uint32_t i = 0; i < names.n && npu->n_cores < SCREE_NPU_MAX_CORES; i++) {
        struct scree_npu_core *core = &npu->cores[npu->n_cores];

        if (!ends_in_npu(names.name[i]))
            continue;
        npu->n_cores++;
        memcpy(core->name, names.name[i], sizeof core->name);
        (void)snprintf(path, sizeof path, "/sys/bus/platform/devices/%s/power/runtime_status",
                       core->name);
        if (scree_tree_text(tree, path, core->state, sizeof core->state) < 0)
            core->state[0] = '\0';
        (void)snprintf(path, sizeof path, "/sys/bus/platform/devices/%s/iommu_group", core->name);
        core->has_iommu = scree_tree_link(tree, path, target, sizeof target) >= 0;
    }
}

/* By the parent's name, or by its driver should a later kernel bind it. */
static bool is_rocket(const struct scree_tree *tree, const char *name)
{
    char path[SCREE_TREE_PATH], target[SCREE_TREE_PATH];

    (void)snprintf(path, sizeof path, SCREE_NPU_CLASS "/%s/device", name);
    if (scree_tree_link(tree, path, target, sizeof target) >= 0 &&
        strcmp(last_part(target), PARENT) == 0)
        return true;
    (void)snprintf(path, sizeof path, SCREE_NPU_CLASS "/%s/device/driver", name);
    return scree_tree_link(tree, path, target, sizeof target) >= 0 &&
           strcmp(last_part(target), "rocket") == 0;
}

static void fill_node(const struct scree_tree *tree, const char *name, struct scree_npu_node *node)
{
    char path[SCREE_TREE_PATH], text[32], *after;

    *node = (struct scree_npu_node){0};
    memcpy(node->name, name, strlen(name));
    (void)snprintf(node->path, sizeof node->path, "/dev/accel/%s", node->name);
    (void)snprintf(path, sizeof path, SCREE_NPU_CLASS "/%s/dev", name);
    if (scree_tree_text(tree, path, text, sizeof text) < 0)
        return;
    node->major = (uint32_t)strtoul(text, &after, 10);
    if (*after == ':')
        node->minor = (uint32_t)strtoul(after + 1, NULL, 10);
}

uint32_t scree_npu_nodes(const struct scree_tree *tree, struct scree_npu_node *nodes)
{
    struct scree_names names;
    uint32_t n = 0;

    if (scree_tree_list(tree, SCREE_NPU_CLASS, NULL, &names) < 0)
        return 0;
    for (uint32_t i = 0; i < names.n && n < SCREE_NPU_MAX_NODES; i++)
        if (strlen(names.name[i]) < sizeof nodes[0].name && is_rocket(tree, names.name[i]))
            fill_node(tree, names.name[i], &nodes[n++]);
    return n;
}

static void find_node(const struct scree_tree *tree, struct scree_npu *npu)
{
    struct scree_npu_node nodes[SCREE_NPU_MAX_NODES];

    if (scree_npu_nodes(tree, nodes) == 0)
        return;
    memcpy(npu->node, nodes[0].path, sizeof npu->node);
    npu->major = nodes[0].major;
    npu->minor = nodes[0].minor;
}

void scree_npu_discover(const struct scree_tree *tree, struct scree_npu *ret_npu)
{
    *ret_npu = (struct scree_npu){0};
    find_cores(tree, ret_npu);
    find_node(tree, ret_npu);
}

/* The sum of the counts in "123:  7  0  0  GICv3 142 Level  fdab0000.npu", one a processor. */
static uint64_t sum_counts(const char *line)
{
    const char *at = strchr(line, ':');
    uint64_t sum = 0;

    for (at = at ? at + 1 : line + strlen(line);;) {
        char *after;
        uint64_t count = strtoull(at, &after, 10);

        if (after == at || (*after != ' ' && *after != '\0'))
            return sum;
        sum += count;
        at = after;
    }
}

int scree_npu_interrupts_in(const struct scree_tree *tree, const struct scree_npu *npu, char *room,
                            uint64_t *counts)
{
    uint32_t found = 0;
    char *next;

    for (uint32_t i = 0; i < npu->n_cores; i++)
        counts[i] = 0;
    if (scree_tree_read(tree, "/proc/interrupts", room, SCREE_NPU_INTERRUPTS_ROOM) < 0)
        return -ENOENT;
    for (char *line = room; *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        for (uint32_t i = 0; i < npu->n_cores; i++) {
            if (!strstr(line, npu->cores[i].name))
                continue;
            counts[i] = sum_counts(line);
            found++;
        }
    }
    return found > 0 ? 0 : -ENOENT;
}

int scree_npu_interrupts(const struct scree_tree *tree, const struct scree_npu *npu,
                         uint64_t *counts)
{
    char *room = malloc(SCREE_NPU_INTERRUPTS_ROOM);
    int rc = room ? scree_npu_interrupts_in(tree, npu, room, counts) : -ENOENT;

    free(room);
    return rc;
}

uint32_t scree_npu_assigned_mhz(const struct scree_tree *tree)
{
    struct scree_names names;
    char path[SCREE_TREE_PATH];
    uint8_t rate[5];

    if (scree_tree_list(tree, "/sys/firmware/devicetree/base", "npu@", &names) < 0 || names.n == 0)
        return 0;
    (void)snprintf(path, sizeof path, "/sys/firmware/devicetree/base/%s/assigned-clock-rates",
                   names.name[0]);
    if (scree_tree_read(tree, path, (char *)rate, sizeof rate) != 4)
        return 0;
    return ((uint32_t)rate[0] << 24 | (uint32_t)rate[1] << 16 | (uint32_t)rate[2] << 8 | rate[3]) /
           1000000;
}
