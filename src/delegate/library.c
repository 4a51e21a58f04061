#include "delegate/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "device/teflon.h"

static int copy_options(struct scree_delegate *delegate, const char *const *options, uint32_t n,
                        struct scree_error *err)
{
    delegate->keys = calloc(n + 1, sizeof delegate->keys[0]);
    delegate->values = calloc(n + 1, sizeof delegate->values[0]);
    if (!delegate->keys || !delegate->values)
        return scree_fail_memory(err, n * 2 * sizeof delegate->keys[0]);
    for (uint32_t i = 0; i < n; i++) {
        const char *equals = strchr(options[i], '=');

        if (!equals || equals == options[i])
            return scree_fail(err, EINVAL, "delegate option '%s': key=value is wanted", options[i]);
        delegate->n_options = i + 1;
        delegate->keys[i] = strndup(options[i], (size_t)(equals - options[i]));
        delegate->values[i] = strdup(equals + 1);
        if (!delegate->keys[i] || !delegate->values[i])
            return scree_fail_memory(err, strlen(options[i]));
    }
    return 0;
}

/* Where Teflon is, and which Mesa it is of. */
static int find_teflon(const char *path, char *found, size_t n, uint32_t *ret_mesa)
{
    struct scree_teflon teflon;
    struct scree_tree *tree;
    int rc = scree_tree_open("/", &tree, NULL);

    if (rc < 0)
        return rc;
    rc = scree_teflon_find(tree, path, &teflon);
    scree_tree_free(tree);
    if (rc < 0 || teflon.dangling)
        return -ENOENT;
    (void)snprintf(found, n, "%s", teflon.path);
    *ret_mesa = SCREE_MESA(teflon.major, teflon.minor);
    return 0;
}

static bool is_teflon(const char *path)
{
    const char *slash = strrchr(path, '/');

    return strncmp(slash ? slash + 1 : path, "libteflon", strlen("libteflon")) == 0;
}

static int settle_path(struct scree_delegate *delegate, const char *path, struct scree_error *err)
{
    char found[SCREE_TREE_PATH];

    if (!path)
        path = getenv(SCREE_TEFLON_VARIABLE);
    delegate->device = !path || is_teflon(path) ? "teflon" : "delegate";
    if (!path || is_teflon(path)) {
        if (find_teflon(path, found, sizeof found, &delegate->mesa) < 0)
            return scree_fail(err, ENODEV, "%s%s",
                              path ? path : "no Teflon delegate (libteflon.so)",
                              path ? ": no such delegate" : " on this machine");
        path = found;
    }
    delegate->path = strdup(path);
    return delegate->path ? 0 : scree_fail_memory(err, strlen(path));
}

/* Whether the file can be read: that it is a delegate is for scree_delegate_load() to find out. */
static int check_file(const struct scree_delegate *delegate, struct scree_error *err)
{
    if (access(delegate->path, R_OK) == 0)
        return 0;
    return scree_fail(err, EBADMSG, "%s: cannot open shared object file: %s", delegate->path,
                      strerror(errno));
}

int scree_delegate_open(const char *path, const char *const *options, uint32_t n_options,
                        struct scree_delegate **ret_delegate, struct scree_error *err)
{
    struct scree_delegate *delegate = calloc(1, sizeof *delegate);
    int rc;

    if (!delegate)
        return scree_fail_memory(err, sizeof *delegate);
    rc = copy_options(delegate, options, n_options, err);
    if (rc >= 0)
        rc = settle_path(delegate, path, err);
    if (rc >= 0)
        rc = check_file(delegate, err);
    if (rc < 0) {
        scree_delegate_close(delegate);
        return rc;
    }
    *ret_delegate = delegate;
    return 0;
}

void scree_delegate_close(struct scree_delegate *delegate)
{
    if (!delegate)
        return;
    if (delegate->library)
        (void)dlclose(delegate->library);
    for (uint32_t i = 0; i < delegate->n_options; i++) {
        free(delegate->keys[i]);
        free(delegate->values[i]);
    }
    free(delegate->keys);
    free(delegate->values);
    free(delegate->path);
    free(delegate);
}

/* The loader's text names the file itself. */
static int fail_load(struct scree_error *err)
{
    const char *why = dlerror();
    int rc = scree_fail(err, EBADMSG, "%s", why ? why : "cannot load the delegate");

    if (err)
        scree_text_make_safe(err->text, strlen(err->text));
    return rc;
}

int scree_delegate_load(struct scree_delegate *delegate, struct scree_error *err)
{
    /* The path is never looked up in the loader's own folders. */
    const char *prefix = strchr(delegate->path, '/') ? "" : "./";
    char path[4096];
    void *create, *destroy;

    if ((size_t)snprintf(path, sizeof path, "%s%s", prefix, delegate->path) >= sizeof path)
        return scree_fail(err, EINVAL, "the delegate's path is too long");
    delegate->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!delegate->library)
        return fail_load(err);
    create = dlsym(delegate->library, "tflite_plugin_create_delegate");
    destroy = dlsym(delegate->library, "tflite_plugin_destroy_delegate");
    if (!create || !destroy)
        return scree_fail(
            err, EBADMSG, "%s: not a TensorFlow Lite delegate: it lacks %s", delegate->path,
            create ? "tflite_plugin_destroy_delegate" : "tflite_plugin_create_delegate");
    /* POSIX guarantees that a function's address survives in an object pointer. */
    memcpy(&delegate->create, &create, sizeof create);
    memcpy(&delegate->destroy, &destroy, sizeof destroy);
    return 0;
}
