/* device/tree.h - the files by which a machine tells what it has.
 *
 * What the kernel and the system say in /sys, /proc, /dev, /etc and /lib is read through a tree:
 * this machine's own, one under a folder (a container's host mounted at /host), or one written down
 * in a text file, so that what is said about a machine can be looked at, and tested, anywhere.
 *
 *     scree_tree_open("/", &tree, &err);
 *     if (scree_tree_text(tree, "/proc/sys/kernel/osrelease", text, sizeof text) >= 0)
 *         ...
 *
 * A text file is made of these lines; entries stand in any order, folders need none of their own:
 *
 *     # a comment
 *     user 1000 1000 303              who looks: user id, then all group ids
 *     file /proc/sys/kernel/osrelease
 *     | 6.18.0                        a line of the file above; \0 is a zero byte, \\ a backslash
 *     x 0bebc200                      bytes of the file above
 *     link /sys/class/accel/accel0/device ../../../rknn
 *     dir /run/secrets/kubernetes.io  a folder that may be empty
 *     node /dev/accel/accel0 261:0 0660 0:303 EPERM
 *                                     a character device: numbers, mode, user:group, and what
 *                                     opening it says in spite of these (may be left out)
 *
 * There a link is followed if it ends a path and its target is absolute; else it only tells its
 * target, and what is behind it has entries of its own.
 *
 * Memory: a tree owns what it was read from. Threads: reading is safe from several. */
#ifndef SCREE_DEVICE_TREE_H
#define SCREE_DEVICE_TREE_H

#include <sys/types.h>

#include "base/error.h"

struct scree_tree;

/* The longest path and the most names in a folder that are looked at. */
#define SCREE_TREE_PATH  512
#define SCREE_TREE_NAMES 256

/* What a path names. */
struct scree_node {
    bool is_device; /* a character device */
    uint32_t major, minor;
    uint32_t mode; /* the permission bits */
    uint32_t uid, gid;
};

/* Who looks. */
struct scree_user {
    uint32_t uid;
    uint32_t n_groups;
    uint32_t groups[64];
};

/* The names in a folder, sorted. */
struct scree_names {
    uint32_t n;
    char name[SCREE_TREE_NAMES][64]; /* longer ones are left out */
};

/* Opens the folder `root` as a tree, or the text file `root`. Freed with scree_tree_free().
 * Errors: ENOENT, EACCES, E2BIG (a text file over 4 MiB), EBADMSG (a text file with a line that is
 * none of the above, its number in the text), ENOMEM, EIO. */
int scree_tree_open(const char *root, struct scree_tree **ret_tree, struct scree_error *err);

/* The tree that text char[n] describes; keeps no pointer into it. Errors: EBADMSG, ENOMEM. */
int scree_tree_open_text(const char *text, size_t n, struct scree_tree **ret_tree,
                         struct scree_error *err);

/* Accepts NULL. */
void scree_tree_free(struct scree_tree *tree);

/* True for the machine that this program runs on: opened as "/". */
bool scree_tree_is_live(const struct scree_tree *tree);

/* Reads the first n - 1 bytes of a file into text[n] and ends them with a zero byte. Returns how
 * many bytes, zero bytes among them counted, or a negative errno of open() or read(). Does not
 * wait: of a stream it reads what is there. */
int scree_tree_read(const struct scree_tree *tree, const char *path, char *text, size_t n);

/* The same, cut at the first line end or zero byte: the way of most files in /sys. Returns the
 * length. */
int scree_tree_text(const struct scree_tree *tree, const char *path, char *text, size_t n);

/* The whole of a regular file: *ret_bytes u8[*ret_n], freed by the caller. Returns 0 or a negative
 * errno, EFBIG for more than `limit` bytes. */
int scree_tree_bytes(const struct scree_tree *tree, const char *path, size_t limit,
                     uint8_t **ret_bytes, size_t *ret_n);

/* Where a symbolic link points, as it stands there. Returns the length or a negative errno. */
int scree_tree_link(const struct scree_tree *tree, const char *path, char *target, size_t n);

/* The names in the folder `path`, but "." and "..", that contain `part` (NULL: all). Returns 0 or a
 * negative errno. */
int scree_tree_list(const struct scree_tree *tree, const char *path, const char *part,
                    struct scree_names *ret_names);

/* What `path`, or what it links to, is. Returns 0 or a negative errno. */
int scree_tree_stat(const struct scree_tree *tree, const char *path, struct scree_node *ret_node);

/* True if there is something at `path`. */
bool scree_tree_has(const struct scree_tree *tree, const char *path);

/* Opens the device for reading and writing and closes it again. Returns 0 or a negative errno. */
int scree_tree_try(const struct scree_tree *tree, const char *path);

/* Who looks, cut to as many groups as fit. */
void scree_tree_user(const struct scree_tree *tree, struct scree_user *ret_user);

/* `path` with the folder of the tree before it, for what must be opened for good: text[n]. Returns
 * -ENOENT for a tree of a text file, -ENAMETOOLONG. */
int scree_tree_path(const struct scree_tree *tree, const char *path, char *text, size_t n);

#endif
