/* device/teflon.h - where Mesa's TFLite delegate is, and what it is, without loading it.
 *
 * Mesa's libteflon.so tells its version and its drivers only by the texts in it: the name of each
 * driver's debug variable, the folders that it opens, the version that the build gave it. Texts
 * that were looked for in libteflon.so 26.2.6 of Debian.
 *
 * Memory: none kept. Threads: no state. */
#ifndef SCREE_DEVICE_TEFLON_H
#define SCREE_DEVICE_TEFLON_H

#include "device/tree.h"

struct scree_teflon {
    char path[SCREE_TREE_PATH]; /* "" if there is none */
    bool dangling;              /* the path is a link to a file that is not there */
    char target[SCREE_TREE_PATH];
    unsigned major, minor, patch; /* of Mesa; all 0 if it does not tell */
    bool has_rocket;              /* it was built with the driver for this NPU */
    bool opens_accel;             /* it looks into /dev/accel; else only into /dev/dri */
};

/* Finds the first libteflon.so: `explicit` if not NULL, then the folders where distributions put it
 * (/usr/lib/teflon, NixOS's /run/opengl-driver/lib, ...), then the Nix store. A file is taken
 * before a dangling link. Returns 0, or -ENOENT with *ret_teflon telling of a dangling link if
 * there is one. */
int scree_teflon_find(const struct scree_tree *tree, const char *explicit,
                      struct scree_teflon *ret_teflon);

/* Fills version, has_rocket and opens_accel from the file bytes u8[n]. */
void scree_teflon_look(const uint8_t *bytes, size_t n, struct scree_teflon *teflon);

#endif
