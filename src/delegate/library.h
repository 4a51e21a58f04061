/* delegate/library.h - a delegate's shared library: found here, loaded where it may do harm.
 *
 * Memory: a struct scree_delegate owns the library's handle and copies of its options.
 * Threads: immutable once open; any number of instances (delegate/instance.h) may share it. */
#ifndef SCREE_DELEGATE_LIBRARY_H
#define SCREE_DELEGATE_LIBRARY_H

#include "base/error.h"
#include "delegate/abi.h"

/* The environment variable that names Teflon's library. */
#define SCREE_TEFLON_VARIABLE "SCREE_TEFLON"

/* A version of Mesa in one number that can be compared: 26.2 is MESA(26, 2). 0: not known. */
#define SCREE_MESA(major, minor) ((uint32_t)(major)*1000 + (minor))

struct scree_delegate {
    char *path;
    const char *device; /* what reports call it: "teflon", or "delegate" for any other */
    uint32_t mesa;      /* SCREE_MESA() of Teflon's version */
    uint32_t n_options;
    char **keys, **values;
    void *library; /* NULL until it is loaded, and the two below */
    scree_tfl_create_fn *create;
    scree_tfl_destroy_fn *destroy;
};

/* Finds the delegate at `path`; NULL: Teflon, from where the environment variable says, else from
 * where distributions put it (device/teflon.h). Nothing of it is run.
 *
 * options  n_options texts "key=value" for the delegate; copied
 * ret_delegate  closed with scree_delegate_close()
 * Errors: ENODEV (there is none), EINVAL (options), EBADMSG (the file cannot be read), ENOMEM. */
int scree_delegate_open(const char *path, const char *const *options, uint32_t n_options,
                        struct scree_delegate **ret_delegate, struct scree_error *err);

/* Loads it, which runs code of it. Errors: EBADMSG (the file is no delegate; the text says what the
 * loader says), EINVAL (a path of more than 4095 bytes). */
int scree_delegate_load(struct scree_delegate *delegate, struct scree_error *err);

/* Unloads it, if it is loaded. Every instance must be gone. Accepts NULL. */
void scree_delegate_close(struct scree_delegate *delegate);

#endif
