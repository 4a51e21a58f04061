#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delegate/host.h"

/* Parts and lists of a graph, and what delegates allocate: far above what any needs. */
#define MAX_GUEST_BYTES ((size_t)1 << 30)

/* What a delegate says while it is created has no guest to go with it. */
static _Thread_local char said_at_creation[128];

static void hear_at_creation(const char *text)
{
    if (text)
        (void)snprintf(said_at_creation, sizeof said_at_creation, "%s", text);
}

/* The failure that was noted during a call of the delegate, or one of our own. */
static int fail(struct scree_guest *guest, int code, const char *what, struct scree_error *err)
{
    const char *said = guest->said[0] ? guest->said : NULL;

    if (guest->failure_rc < 0)
        return scree_fail(err, -guest->failure_rc, "%s%s%s", guest->failure.text, said ? ": " : "",
                          said ? said : "");
    return scree_fail(err, code, "%s%s%s", what, said ? ": " : "", said ? said : "");
}

static int create(struct scree_guest *guest, struct scree_error *err)
{
    struct scree_delegate *delegate = guest->delegate;

    said_at_creation[0] = '\0';
    guest->handle =
        delegate->create(delegate->keys, delegate->values, delegate->n_options, hear_at_creation);
    scree_host_hear(guest, said_at_creation);
    if (!guest->handle)
        return fail(guest, ENODEV, "the delegate finds no device to run on", err);
    if (!guest->handle->prepare)
        return fail(guest, ENOTSUP, "the delegate is built on TensorFlow Lite's opaque interface",
                    err);
    return 0;
}

static int prepare_kernels(struct scree_guest *guest, struct scree_error *err)
{
    for (uint32_t i = 0; i < guest->parts.n_parts; i++) {
        struct scree_guest_kernel *kernel = &guest->kernels[i];

        if (guest->registration.prepare &&
            guest->registration.prepare(&guest->context, &kernel->node) != SCREE_TFL_OK)
            return fail(guest, EIO, "the delegate cannot prepare what it compiled", err);
    }
    return guest->failure_rc < 0 ? fail(guest, EIO, "", err) : 0;
}

/* Without a call to name nodes the delegate takes none. */
static int take_nothing(struct scree_guest *guest, struct scree_error *err)
{
    int status = scree_host_divide(guest, scree_tfl_ints_new(&guest->arena, 0, NULL), &guest->parts,
                                   &guest->kernels);

    return status == SCREE_TFL_OK ? 0 : fail(guest, EIO, "", err);
}

static int compile(struct scree_guest *guest, struct scree_error *err)
{
    int status = guest->handle->prepare(&guest->context, guest->handle);

    if (status != SCREE_TFL_OK || guest->failure_rc < 0)
        return fail(guest, EIO, "the delegate fails to prepare the graph", err);
    if (!guest->is_taken)
        return take_nothing(guest, err);
    return prepare_kernels(guest, err);
}

static int make(struct scree_guest *guest, const bool *offered, struct scree_error *err)
{
    int rc = scree_view_new(guest->subgraph, offered, &guest->view, err);

    if (rc < 0)
        return rc;
    scree_host_init(guest);
    rc = create(guest, err);
    if (rc >= 0)
        rc = compile(guest, err);
    guest->bound = scree_arena_new(&guest->arena, void *, guest->view.n_tensors);
    if (rc >= 0 && !guest->bound)
        rc = scree_fail(err, ENOMEM, "no memory for the delegate's tensors");
    guest->subgraph = NULL;
    return rc;
}

int scree_guest_new(struct scree_delegate *delegate, const struct scree_subgraph *subgraph,
                    const bool *offered, struct scree_guest **ret_guest, struct scree_error *err)
{
    struct scree_guest *guest = calloc(1, sizeof *guest);
    int rc;

    if (!guest)
        return scree_fail_memory(err, sizeof *guest);
    guest->delegate = delegate;
    guest->subgraph = subgraph;
    scree_arena_init(&guest->arena, MAX_GUEST_BYTES);
    rc = make(guest, offered, err);
    if (rc < 0) {
        scree_guest_free(guest);
        return rc;
    }
    *ret_guest = guest;
    return 0;
}

void scree_guest_free(struct scree_guest *guest)
{
    if (!guest)
        return;
    for (uint32_t i = 0; guest->kernels && i < guest->parts.n_parts; i++) {
        struct scree_guest_kernel *kernel = &guest->kernels[i];

        if (kernel->is_made && guest->registration.free)
            guest->registration.free(&guest->context, kernel->node.user_data);
    }
    if (guest->handle)
        guest->delegate->destroy(guest->handle);
    scree_view_done(&guest->view);
    scree_arena_done(&guest->arena);
    free(guest);
}

const struct scree_parts *scree_guest_parts(const struct scree_guest *guest)
{
    return &guest->parts;
}

const char *scree_guest_said(const struct scree_guest *guest)
{
    return guest->said;
}

/* ---- runs --------------------------------------------------------------------------------------
 */

void scree_guest_bind(struct scree_guest *guest, int32_t tensor, void *data)
{
    if (guest->view.index_of[tensor] >= 0)
        guest->bound[guest->view.index_of[tensor]] = data;
}

/* Points the tensors of a list that are no constants to their bytes. */
static void lay(struct scree_guest *guest, const struct scree_tfl_ints *list)
{
    for (int k = 0; k < list->size; k++) {
        struct scree_tfl_tensor *tensor = &guest->view.tensors[list->data[k]];

        if (tensor->allocation_type == SCREE_TFL_CONSTANT)
            continue;
        tensor->data = guest->bound[list->data[k]];
        tensor->data_is_stale = false;
    }
}

/* A delegate that leaves an output in a buffer of its own has not written it. */
static bool is_moved(const struct scree_guest *guest, const struct scree_tfl_ints *outputs)
{
    for (int k = 0; k < outputs->size; k++) {
        const struct scree_tfl_tensor *tensor = &guest->view.tensors[outputs->data[k]];

        if (tensor->data_is_stale || tensor->data != guest->bound[outputs->data[k]])
            return true;
    }
    return false;
}

int scree_guest_run(struct scree_guest *guest, uint32_t index)
{
    struct scree_guest_kernel *kernel = &guest->kernels[index];
    int status;

    guest->failure_rc = 0;
    guest->said[0] = '\0';
    lay(guest, kernel->params.input_tensors);
    lay(guest, kernel->params.output_tensors);
    status = guest->registration.invoke(&guest->context, &kernel->node);
    if (status != SCREE_TFL_OK || guest->failure_rc < 0 ||
        is_moved(guest, kernel->params.output_tensors))
        return -EIO;
    return 0;
}
