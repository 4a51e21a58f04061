#include "device/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "device/tree_text.h"

#define LIMIT_TEXT ((size_t)4 << 20)

struct scree_tree {
    char root[SCREE_TREE_PATH]; /* "" for "/"; of no meaning for a text */
    bool is_text;
    struct scree_text_tree text;
};

int scree_tree_path(const struct scree_tree *tree, const char *path, char *text, size_t n)
{
    if (tree->is_text)
        return -ENOENT;
    return (size_t)snprintf(text, n, "%s%s", tree->root, path) < n ? 0 : -ENAMETOOLONG;
}

/* ---- opening -------------------------------------------------------------------------------- */

static int open_folder(const char *root, struct scree_tree *tree, struct scree_error *err)
{
    size_t n = strlen(root);

    while (n > 0 && root[n - 1] == '/')
        n--;
    if (n >= sizeof tree->root)
        return scree_fail(err, EINVAL, "%s: too long a path", root);
    memcpy(tree->root, root, n);
    return 0;
}

int scree_tree_open_text(const char *text, size_t n, struct scree_tree **ret_tree,
                         struct scree_error *err)
{
    struct scree_tree *tree = calloc(1, sizeof *tree);
    int rc;

    if (!tree)
        return scree_fail_memory(err, sizeof *tree);
    tree->is_text = true;
    rc = scree_text_tree_init(&tree->text, text, n, err);
    if (rc < 0) {
        scree_tree_free(tree);
        return rc;
    }
    *ret_tree = tree;
    return 0;
}

static int open_file(const char *path, struct scree_tree **ret_tree, struct scree_error *err)
{
    uint8_t *bytes;
    size_t n;
    int rc = scree_file_read(path, LIMIT_TEXT, &bytes, &n, err);

    if (rc < 0)
        return rc;
    rc = scree_tree_open_text((const char *)bytes, n, ret_tree, err);
    free(bytes);
    return rc < 0 ? scree_wrap(err, rc, "%s", path) : 0;
}

int scree_tree_open(const char *root, struct scree_tree **ret_tree, struct scree_error *err)
{
    struct scree_tree *tree;
    struct stat st;
    int rc;

    if (stat(root, &st) < 0 || !S_ISDIR(st.st_mode))
        return open_file(root, ret_tree, err);
    tree = calloc(1, sizeof *tree);
    if (!tree)
        return scree_fail_memory(err, sizeof *tree);
    rc = open_folder(root, tree, err);
    if (rc < 0)
        scree_tree_free(tree);
    else
        *ret_tree = tree;
    return rc;
}

void scree_tree_free(struct scree_tree *tree)
{
    if (!tree)
        return;
    scree_text_tree_done(&tree->text);
    free(tree);
}

bool scree_tree_is_live(const struct scree_tree *tree)
{
    return !tree->is_text && tree->root[0] == '\0';
}

/* ---- reading -------------------------------------------------------------------------------- */

/* /dev/kmsg gives one record a read, /proc/interrupts a page: read until it ends or would wait. */
static int read_file(const char *path, char *text, size_t n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    size_t done = 0;
    int rc = 0;

    if (fd < 0)
        return -errno;
    while (done < n) {
        ssize_t got = read(fd, text + done, n - done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && done == 0)
            rc = -errno;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    close(fd);
    return rc < 0 ? rc : (int)done;
}

int scree_tree_read(const struct scree_tree *tree, const char *path, char *text, size_t n)
{
    char full[SCREE_TREE_PATH * 2];
    int length;

    if (tree->is_text) {
        const struct scree_entry *entry = scree_text_tree_follow(&tree->text, path);

        if (!entry || entry->kind != SCREE_ENTRY_FILE)
            return -ENOENT;
        length = (int)(entry->n_bytes < n - 1 ? entry->n_bytes : n - 1);
        memcpy(text, entry->bytes, (size_t)length);
    } else {
        length = scree_tree_path(tree, path, full, sizeof full);
        if (length == 0)
            length = read_file(full, text, n - 1);
        if (length < 0)
            return length;
    }
    text[length] = '\0';
    return length;
}

int scree_tree_text(const struct scree_tree *tree, const char *path, char *text, size_t n)
{
    int rc = scree_tree_read(tree, path, text, n);

    if (rc < 0)
        return rc;
    text[strcspn(text, "\n")] = '\0';
    return (int)strlen(text);
}

int scree_tree_bytes(const struct scree_tree *tree, const char *path, size_t limit,
                     uint8_t **ret_bytes, size_t *ret_n)
{
    const struct scree_entry *entry;
    char full[SCREE_TREE_PATH * 2];

    if (!tree->is_text) {
        int rc = scree_tree_path(tree, path, full, sizeof full);

        return rc < 0 ? rc : scree_file_read(full, limit, ret_bytes, ret_n, NULL);
    }
    entry = scree_text_tree_follow(&tree->text, path);
    if (!entry || entry->kind != SCREE_ENTRY_FILE)
        return -ENOENT;
    if (entry->n_bytes > limit)
        return -EFBIG;
    *ret_bytes = malloc(entry->n_bytes ? entry->n_bytes : 1);
    if (!*ret_bytes)
        return -ENOMEM;
    memcpy(*ret_bytes, entry->bytes, entry->n_bytes);
    *ret_n = entry->n_bytes;
    return 0;
}

int scree_tree_link(const struct scree_tree *tree, const char *path, char *target, size_t n)
{
    char full[SCREE_TREE_PATH * 2];
    ssize_t length;

    if (tree->is_text) {
        const struct scree_entry *entry = scree_text_tree_find(&tree->text, path);

        if (!entry || entry->kind != SCREE_ENTRY_LINK)
            return entry ? -EINVAL : -ENOENT;
        length = (ssize_t)(entry->n_bytes < n ? entry->n_bytes : n - 1);
        memcpy(target, entry->bytes, (size_t)length);
    } else {
        int rc = scree_tree_path(tree, path, full, sizeof full);

        if (rc < 0)
            return rc;
        length = readlink(full, target, n - 1);
        if (length < 0)
            return -errno;
    }
    target[length] = '\0';
    return (int)length;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int list_folder(const char *path, const char *part, struct scree_names *ret_names)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    if (!folder)
        return -errno;
    ret_names->n = 0;
    while (ret_names->n < SCREE_TREE_NAMES && (entry = readdir(folder))) {
        size_t n = strlen(entry->d_name);

        if (n >= sizeof ret_names->name[0] || (part && !strstr(entry->d_name, part)) ||
            strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        memcpy(ret_names->name[ret_names->n++], entry->d_name, n + 1);
    }
    closedir(folder);
    return 0;
}

int scree_tree_list(const struct scree_tree *tree, const char *path, const char *part,
                    struct scree_names *ret_names)
{
    char full[SCREE_TREE_PATH * 2];
    int rc;

    if (tree->is_text)
        rc = scree_text_tree_list(&tree->text, path, part, ret_names);
    else {
        rc = scree_tree_path(tree, path, full, sizeof full);
        if (rc == 0)
            rc = list_folder(full, part, ret_names);
    }
    if (rc == 0)
        qsort(ret_names->name, ret_names->n, sizeof ret_names->name[0], compare_names);
    return rc;
}

/* ---- what it is and who may ------------------------------------------------------------------ */

static int stat_text(const struct scree_text_tree *tree, const char *path,
                     struct scree_node *ret_node)
{
    const struct scree_entry *entry = scree_text_tree_follow(tree, path);
    struct scree_names names;

    if (entry) {
        *ret_node = entry->node;
        return 0;
    }
    *ret_node = (struct scree_node){.mode = 0755};
    return scree_text_tree_find(tree, path) ? -ENOENT
                                            : scree_text_tree_list(tree, path, NULL, &names);
}

int scree_tree_stat(const struct scree_tree *tree, const char *path, struct scree_node *ret_node)
{
    char full[SCREE_TREE_PATH * 2];
    struct stat st;
    int rc;

    if (tree->is_text)
        return stat_text(&tree->text, path, ret_node);
    rc = scree_tree_path(tree, path, full, sizeof full);
    if (rc < 0)
        return rc;
    if (stat(full, &st) < 0)
        return -errno;
    *ret_node = (struct scree_node){.is_device = S_ISCHR(st.st_mode),
                                    .major = major(st.st_rdev),
                                    .minor = minor(st.st_rdev),
                                    .mode = st.st_mode & 07777,
                                    .uid = st.st_uid,
                                    .gid = st.st_gid};
    return 0;
}

bool scree_tree_has(const struct scree_tree *tree, const char *path)
{
    struct scree_node node;

    return scree_tree_stat(tree, path, &node) == 0;
}

/* What the kernel would say by mode and owner. */
static bool may_open(const struct scree_node *node, const struct scree_user *user)
{
    uint32_t wanted = 06;

    if (user->uid == 0)
        return true;
    if (user->uid == node->uid)
        return (node->mode >> 6 & wanted) == wanted;
    for (uint32_t i = 0; i < user->n_groups; i++)
        if (user->groups[i] == node->gid)
            return (node->mode >> 3 & wanted) == wanted;
    return (node->mode & wanted) == wanted;
}

int scree_tree_try(const struct scree_tree *tree, const char *path)
{
    char full[SCREE_TREE_PATH * 2];
    int fd;

    if (tree->is_text) {
        const struct scree_entry *entry = scree_text_tree_find(&tree->text, path);

        if (!entry)
            return -ENOENT;
        return entry->open_rc                             ? entry->open_rc
               : may_open(&entry->node, &tree->text.user) ? 0
                                                          : -EACCES;
    }
    fd = scree_tree_path(tree, path, full, sizeof full);
    if (fd < 0)
        return fd;
    fd = open(full, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

void scree_tree_user(const struct scree_tree *tree, struct scree_user *ret_user)
{
    const uint32_t max = sizeof ret_user->groups / sizeof ret_user->groups[0];
    int n = tree->is_text ? 0 : getgroups(0, NULL);
    gid_t *groups = n > 0 ? calloc((size_t)n, sizeof *groups) : NULL;

    if (tree->is_text) {
        *ret_user = tree->text.user;
        return;
    }
    *ret_user = (struct scree_user){.uid = geteuid(), .groups = {getegid()}, .n_groups = 1};
    n = groups ? getgroups(n, groups) : 0;
    for (int i = 0; i < n && ret_user->n_groups < max; i++)
        ret_user->groups[ret_user->n_groups++] = groups[i];
    free(groups);
}
