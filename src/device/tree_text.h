/* device/tree_text.h - a tree written down as text: the other half of tree.h.
 *
 * Memory: a text tree owns copies of everything. Threads: reading is safe from several. */
#ifndef SCREE_DEVICE_TREE_TEXT_H
#define SCREE_DEVICE_TREE_TEXT_H

#include "base/arena.h"
#include "device/tree.h"

enum scree_entry_kind {
    SCREE_ENTRY_FILE,
    SCREE_ENTRY_LINK,
    SCREE_ENTRY_DIR,
    SCREE_ENTRY_NODE,
};

/* One path: bytes u8[n_bytes] of a file or the target of a link, `node` and what opening says. */
struct scree_entry {
    enum scree_entry_kind kind;
    const char *path;
    uint8_t *bytes;
    size_t n_bytes;
    struct scree_node node;
    int open_rc;
};

struct scree_text_tree {
    struct scree_arena arena;
    struct scree_user user;
    uint32_t n_entries;
    struct scree_entry *entries;
};

/* Reads text char[n] into *tree, given back with scree_text_tree_done() even on failure.
 * Errors: EBADMSG with the number of the line, ENOMEM. */
int scree_text_tree_init(struct scree_text_tree *tree, const char *text, size_t n,
                         struct scree_error *err);

/* Frees what the tree holds. */
void scree_text_tree_done(struct scree_text_tree *tree);

/* The entry of exactly this path, or NULL. */
const struct scree_entry *scree_text_tree_find(const struct scree_text_tree *tree,
                                               const char *path);

/* The same, and if that is a link with an absolute target, the entry of the target, or NULL. */
const struct scree_entry *scree_text_tree_follow(const struct scree_text_tree *tree,
                                                 const char *path);

/* The names below the folder `path` that contain `part` (NULL: all). Returns 0 or -ENOENT. */
int scree_text_tree_list(const struct scree_text_tree *tree, const char *path, const char *part,
                         struct scree_names *ret_names);

#endif
