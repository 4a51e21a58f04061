/* The checks of the device node and of who may open it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/checks.h"

/* What hands the device to a container. */
static void fix_container(struct scree_examination *x)
{
    switch (x->container) {
    case SCREE_CONTAINER_KUBERNETES:
        scree_fix(x, "in the pod: resources: {limits: {npu.rockchip.com/rk3588: 1}}");
        break;
    case SCREE_CONTAINER_PODMAN:
        scree_fix(x, "podman run --device %s --group-add keep-groups ...", x->npu.node);
        break;
    default:
        scree_fix(x, "docker run --device %s ...", x->npu.node);
        break;
    }
}

/* ---- device ---------------------------------------------------------------------------------- */

static void no_node(struct scree_examination *x)
{
    if (x->container != SCREE_CONTAINER_NONE) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "The host has the NPU, but this container was not given %s.", x->npu.node);
        fix_container(x);
        return;
    }
    scree_found(x, SCREE_FINDING_ERROR, "The kernel has the device %u:%u, but %s is missing.",
                x->npu.major, x->npu.minor, x->npu.node);
    scree_fix(x, "sudo mkdir -p /dev/accel && sudo mknod -m 660 %s c %u %u && sudo chgrp render %s",
              x->npu.node, x->npu.major, x->npu.minor, x->npu.node);
}

void scree_check_device(struct scree_examination *x)
{
    struct scree_node node;
    char group[64];

    if (x->npu.node[0] == '\0') {
        scree_found(x, SCREE_FINDING_ERROR,
                    "rocket runs cores, but there is no accel device for them: the kernel may have "
                    "been built without CONFIG_DRM_ACCEL.");
        scree_see(x, "sudo dmesg | grep -i -e rocket -e accel");
        return;
    }
    if (scree_tree_stat(x->tree, x->npu.node, &node) < 0) {
        no_node(x);
        return;
    }
    if (!node.is_device || node.major != x->npu.major || node.minor != x->npu.minor) {
        scree_found(x, SCREE_FINDING_ERROR, "%s is not the kernel's device %u:%u, but %s.",
                    x->npu.node, x->npu.major, x->npu.minor,
                    node.is_device ? "another device" : "a plain file");
        scree_see(x, "ls -l %s", x->npu.node);
        return;
    }
    x->facts |= SCREE_FACT_DEVICE;
    scree_found(x, SCREE_FINDING_OK, "%s is there, with mode %04o and group %s.", x->npu.node,
                node.mode, scree_group_name(x, node.gid, group, sizeof group));
}

/* ---- access ---------------------------------------------------------------------------------- */

static bool in_group(const struct scree_user *user, uint32_t gid)
{
    for (uint32_t i = 0; i < user->n_groups; i++)
        if (user->groups[i] == gid)
            return true;
    return false;
}

/* EPERM comes from the rules for a container's devices; the mode has nothing to do with it. */
static void forbidden(struct scree_examination *x)
{
    scree_found(x, SCREE_FINDING_ERROR,
                "%s is in this container, but the container's device rules (cgroup) do not list "
                "%u:%u. Mounting the file is not enough: the device has to be granted.",
                x->npu.node, x->npu.major, x->npu.minor);
    fix_container(x);
}

static void not_a_member(struct scree_examination *x, const struct scree_node *node,
                         const struct scree_user *user, const char *group)
{
    if (scree_group_lists(x, node->gid, user->uid)) {
        scree_found(
            x, SCREE_FINDING_ERROR,
            "You were made a member of group %s after you logged in, which this session does "
            "not know yet. Log out and in again, or start a shell that does.",
            group);
        scree_fix(x, "newgrp %s", group);
        return;
    }
    scree_found(x, SCREE_FINDING_ERROR,
                "%s is for members of group %s, and you are none. Become one, then log out and in "
                "again.",
                x->npu.node, group);
    if (x->distribution == SCREE_DISTRIBUTION_NIXOS)
        scree_fix_by(x, SCREE_REMEDY_USERS);
    else
        scree_fix(x, "sudo usermod -aG %s \"$USER\"", group);
}

static void wrong_group(struct scree_examination *x, const struct scree_node *node)
{
    struct scree_user user;
    char group[64];

    scree_tree_user(x->tree, &user);
    scree_group_name(x, node->gid, group, sizeof group);
    if ((node->mode & 0060) != 0060 || node->gid == 0) {
        scree_found(x, SCREE_FINDING_ERROR, "Only root may open %s (mode %04o, group %s).",
                    x->npu.node, node->mode, group);
        scree_fix_by(x, SCREE_REMEDY_RULE);
    } else if (x->container == SCREE_CONTAINER_KUBERNETES) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "%s is for members of group %u, and user %u of this pod is none.", x->npu.node,
                    node->gid, user.uid);
        scree_fix(x, "in the pod: securityContext: {supplementalGroups: [%u]}", node->gid);
    } else if (x->container != SCREE_CONTAINER_NONE) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "%s is for members of group %u, and user %u of this container is none.",
                    x->npu.node, node->gid, user.uid);
        scree_fix(x, "docker run --device %s --group-add %u ...", x->npu.node, node->gid);
    } else {
        not_a_member(x, node, &user, group);
    }
}

void scree_check_access(struct scree_examination *x)
{
    struct scree_node node;
    struct scree_user user;
    char group[64];
    int rc = scree_tree_try(x->tree, x->npu.node);

    if (rc == 0)
        rc = scree_tree_stat(x->tree, x->npu.node, &node);
    if (rc == -EACCES && scree_tree_stat(x->tree, x->npu.node, &node) == 0) {
        wrong_group(x, &node);
        return;
    }
    if (rc == -EPERM) {
        forbidden(x);
        return;
    }
    if (rc < 0) {
        scree_found(x, SCREE_FINDING_ERROR, "Opening %s gives: %s.", x->npu.node, strerror(-rc));
        scree_see(x, "sudo dmesg | tail");
        return;
    }
    x->facts |= SCREE_FACT_ACCESS;
    scree_tree_user(x->tree, &user);
    if (node.mode & 0006) {
        scree_found(x, SCREE_FINDING_WARNING,
                    "You may open %s, but so may everybody on this machine (mode %04o). Members of "
                    "the group render would be enough.",
                    x->npu.node, node.mode);
        scree_fix_by(x, SCREE_REMEDY_RULE);
    } else if (in_group(&user, node.gid)) {
        scree_found(x, SCREE_FINDING_OK, "You may open %s, as a member of group %s.", x->npu.node,
                    scree_group_name(x, node.gid, group, sizeof group));
    } else {
        scree_found(x, SCREE_FINDING_OK, "You may open %s%s.", x->npu.node,
                    user.uid == 0 ? ", as root" : "");
    }
}
