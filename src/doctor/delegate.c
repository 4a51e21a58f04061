/* The checks of Mesa's delegate and of what it needs in /dev/dri. */
#include <stdio.h>
#include <string.h>

#include "doctor/checks.h"

/* ---- delegate -------------------------------------------------------------------------------- */

static void no_delegate(struct scree_examination *x)
{
    if (x->teflon.dangling && x->container != SCREE_CONTAINER_NONE) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "%s is a link to %s, which is not mounted in this container.", x->teflon.path,
                    x->teflon.target);
        scree_fix(x, "docker run -v /nix/store:/nix/store:ro ..., or an image with the library");
        return;
    }
    if (x->teflon.dangling)
        scree_found(x, SCREE_FINDING_ERROR, "%s is a link to %s, which is not there.",
                    x->teflon.path, x->teflon.target);
    else if (x->delegate)
        scree_found(x, SCREE_FINDING_ERROR, "There is no file %s.", x->delegate);
    else
        scree_found(x, SCREE_FINDING_ERROR,
                    "There is no libteflon.so, Mesa's TFLite delegate, which drives the NPU.");
    scree_fix_by(x, SCREE_REMEDY_TEFLON);
}

static const char *version_text(const struct scree_teflon *teflon, char *text, size_t n)
{
    if (teflon->major > 0)
        (void)snprintf(text, n, "Mesa %u.%u.%u", teflon->major, teflon->minor, teflon->patch);
    else
        (void)snprintf(text, n, "a library of unknown version");
    return text;
}

void scree_check_delegate(struct scree_examination *x)
{
    const struct scree_teflon *teflon = &x->teflon;
    char version[64];
    bool is_old;

    if (scree_teflon_find(x->tree, x->delegate, &x->teflon) < 0) {
        no_delegate(x);
        return;
    }
    version_text(teflon, version, sizeof version);
    is_old = teflon->major > 0 &&
             (teflon->major < 25 || (teflon->major == 25 && teflon->minor < 3));
    if (is_old) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "%s is %s, which knows no RK3588: its driver rocket came with Mesa 25.3.",
                    teflon->path, version);
        scree_fix_by(x, SCREE_REMEDY_TEFLON);
    } else if (!teflon->has_rocket) {
        scree_found(x, SCREE_FINDING_ERROR, "%s is %s, but was built without the driver rocket.",
                    teflon->path, version);
        scree_fix_by(x, SCREE_REMEDY_TEFLON);
    } else {
        x->facts |= SCREE_FACT_DELEGATE;
        scree_found(x, SCREE_FINDING_OK, "%s is %s, with the driver rocket.", teflon->path,
                    version);
    }
}

/* ---- render link ----------------------------------------------------------------------------- */

/* The first /dev/dri/renderD* that is a link to an accel node, into path[n]. */
static bool find_link(const struct scree_tree *tree, char *path, size_t n)
{
    struct scree_names names;
    char target[SCREE_TREE_PATH];

    if (scree_tree_list(tree, "/dev/dri", "renderD", &names) < 0)
        return false;
    for (uint32_t i = 0; i < names.n; i++) {
        (void)snprintf(path, n, "/dev/dri/%s", names.name[i]);
        if (scree_tree_link(tree, path, target, sizeof target) >= 0 && strstr(target, "accel"))
            return true;
    }
    return false;
}

void scree_check_link(struct scree_examination *x)
{
    char path[SCREE_TREE_PATH];
    bool has_link = find_link(x->tree, path, sizeof path);

    if (x->teflon.opens_accel && has_link) {
        scree_found(x, SCREE_FINDING_OK,
                    "%s leads to the NPU. This Mesa looks into /dev/accel by itself: the rule that "
                    "makes the link can go.",
                    path);
    } else if (!x->teflon.opens_accel && has_link) {
        scree_found(x, SCREE_FINDING_OK, "%s leads this older Mesa to the NPU.", path);
    } else if (!x->teflon.opens_accel) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "This Mesa looks for the NPU in /dev/dri only, and no link there leads to %s.",
                    x->npu.node);
        scree_fix_by(x, SCREE_REMEDY_LINK);
    }
}
