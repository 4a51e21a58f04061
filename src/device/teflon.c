#include "device/teflon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_NAME   "libteflon.so"
#define LIMIT_BYTES ((size_t)256 << 20)

/* Folders to look into: `before`, or for every name in it that contains `part`, before/NAME`after`.
 */
static const struct {
    const char *before, *part, *after;
} places[] = {
    {"/usr/lib/teflon", NULL, NULL},
    {"/usr/lib/aarch64-linux-gnu/teflon", NULL, NULL},
    {"/run/opengl-driver/lib", NULL, NULL},
    {"/mesa-libs", NULL, NULL},
    {"/usr/lib", "-linux-", ""},
    {"/usr/local/lib", NULL, NULL},
    {"/usr/local/lib", "-linux-", ""},
    {"/nix/store", "-mesa-", "/lib"},
};

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* "25.3.4" or "26.2.6-1" as a text of its own. */
static bool read_version(const uint8_t *text, size_t n, struct scree_teflon *teflon)
{
    unsigned part[3] = {0};
    size_t i = 0;

    for (int k = 0; k < 3; k++) {
        size_t first = i;

        while (i < n && is_digit(text[i]) && i - first < 3)
            part[k] = part[k] * 10 + (unsigned)(text[i++] - '0');
        if (i == first || i == n || (k < 2 && text[i++] != '.'))
            return false;
    }
    if (text[i] != '\0' && text[i] != '-')
        return false;
    teflon->major = part[0];
    teflon->minor = part[1];
    teflon->patch = part[2];
    return part[0] >= 20 && part[0] < 100;
}

void scree_teflon_look(const uint8_t *bytes, size_t n, struct scree_teflon *teflon)
{
    static const char driver[] = "ROCKET_DEBUG", folder[] = "/dev/accel";
    const uint8_t *at = bytes, *end = bytes + n;

    teflon->has_rocket = memmem(bytes, n, driver, sizeof driver) != NULL;
    teflon->opens_accel = memmem(bytes, n, folder, sizeof folder) != NULL;
    teflon->major = teflon->minor = teflon->patch = 0;
    while ((at = memchr(at, '\0', (size_t)(end - at)))) {
        at++;
        if (at < end && is_digit(*at) && read_version(at, (size_t)(end - at), teflon))
            return;
    }
    teflon->major = teflon->minor = teflon->patch = 0;
}

/* Of a library without a version in it, Nix tells it in the folder: "...-mesa-25.3.4/lib". */
static void version_of_path(struct scree_teflon *teflon)
{
    const char *path = teflon->target[0] ? teflon->target : teflon->path;
    const char *at = strstr(path, "-mesa-");
    char text[16];

    if (teflon->major > 0 || !at)
        return;
    at += strlen("-mesa-");
    (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(at, "/"), at);
    if (!read_version((const uint8_t *)text, strlen(text) + 1, teflon))
        teflon->major = teflon->minor = teflon->patch = 0;
}

/* True if there is a library at `path`; a link to nowhere is noted, once. */
static bool try_path(const struct scree_tree *tree, const char *path, struct scree_teflon *teflon)
{
    struct scree_teflon found = {0};
    uint8_t *bytes;
    size_t n;

    if (scree_tree_link(tree, path, found.target, sizeof found.target) < 0)
        found.target[0] = '\0';
    (void)snprintf(found.path, sizeof found.path, "%s", path);
    if (scree_tree_bytes(tree, path, LIMIT_BYTES, &bytes, &n) == 0) {
        scree_teflon_look(bytes, n, &found);
        version_of_path(&found);
        free(bytes);
        *teflon = found;
        return true;
    }
    if (found.target[0] && !teflon->path[0] && !scree_tree_has(tree, path)) {
        found.dangling = true;
        *teflon = found;
    }
    return false;
}

static bool try_place(const struct scree_tree *tree, size_t i, struct scree_teflon *teflon)
{
    char path[SCREE_TREE_PATH];
    struct scree_names names;

    if (!places[i].part) {
        (void)snprintf(path, sizeof path, "%s/" FILE_NAME, places[i].before);
        return try_path(tree, path, teflon);
    }
    if (scree_tree_list(tree, places[i].before, places[i].part, &names) < 0)
        return false;
    /* The last in order is the newest of several in the Nix store, more often than not. */
    for (uint32_t k = names.n; k-- > 0;) {
        (void)snprintf(path, sizeof path, "%s/%s%s/" FILE_NAME, places[i].before, names.name[k],
                       places[i].after);
        if (try_path(tree, path, teflon))
            return true;
    }
    return false;
}

int scree_teflon_find(const struct scree_tree *tree, const char *explicit,
                      struct scree_teflon *ret_teflon)
{
    *ret_teflon = (struct scree_teflon){0};
    if (explicit)
        return try_path(tree, explicit, ret_teflon) ? 0 : -ENOENT;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (try_place(tree, i, ret_teflon))
            return 0;
    return -ENOENT;
}
