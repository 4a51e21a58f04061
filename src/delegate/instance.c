#include "delegate/instance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "delegate/host.h"

/* Parts and lists of a graph, and what delegates allocate: far above what any needs. */
#define MAX_INSTANCE_BYTES ((size_t)1 << 30)

/* What a delegate says while it is created has no instance to go with it. */
static _Thread_local char said_at_creation[128];

static void hear_at_creation(const char *text)
{
    if (text)
        (void)snprintf(said_at_creation, sizeof said_at_creation, "%s", text);
}

/* The failure that was noted during a call of the delegate, or one of our own. */
static int fail(struct scree_delegate_instance *instance, int code, const char *what,
                struct scree_error *err)
{
    const char *said = instance->said[0] ? instance->said : NULL;

    if (instance->failure_rc < 0)
        return scree_fail(err, -instance->failure_rc, "%s%s%s", instance->failure.text,
                          said ? ": " : "", said ? said : "");
    return scree_fail(err, code, "%s%s%s", what, said ? ": " : "", said ? said : "");
}

static int create(struct scree_delegate_instance *instance, struct scree_error *err)
{
    struct scree_delegate *delegate = instance->delegate;

    said_at_creation[0] = '\0';
    instance->handle =
        delegate->create(delegate->keys, delegate->values, delegate->n_options, hear_at_creation);
    scree_host_hear(instance, said_at_creation);
    if (!instance->handle)
        return fail(instance, ENODEV, "the delegate finds no device to run on", err);
    if (!instance->handle->prepare)
        return fail(instance, ENOTSUP,
                    "the delegate is built on TensorFlow Lite's opaque interface", err);
    return 0;
}

static int prepare_kernels(struct scree_delegate_instance *instance, struct scree_error *err)
{
    for (uint32_t i = 0; i < instance->parts.n_parts; i++) {
        struct scree_delegate_kernel *kernel = &instance->kernels[i];

        if (instance->registration.prepare &&
            instance->registration.prepare(&instance->context, &kernel->node) != SCREE_TFL_OK)
            return fail(instance, EIO, "the delegate cannot prepare what it compiled", err);
    }
    return instance->failure_rc < 0 ? fail(instance, EIO, "", err) : 0;
}

/* Without a call to name nodes the delegate takes none. */
static int take_nothing(struct scree_delegate_instance *instance, struct scree_error *err)
{
    int status = scree_host_divide(instance, scree_tfl_ints_new(&instance->arena, 0, NULL),
                                   &instance->parts, &instance->kernels);

    return status == SCREE_TFL_OK ? 0 : fail(instance, EIO, "", err);
}

static int compile(struct scree_delegate_instance *instance, struct scree_error *err)
{
    int status = instance->handle->prepare(&instance->context, instance->handle);

    if (status != SCREE_TFL_OK || instance->failure_rc < 0)
        return fail(instance, EIO, "the delegate fails to prepare the graph", err);
    if (!instance->is_taken)
        return take_nothing(instance, err);
    return prepare_kernels(instance, err);
}

/* Room for the bytes of each input that comes as int8. */
static int alloc_staged(struct scree_delegate_instance *instance)
{
    const struct scree_view *view = &instance->view;

    instance->bound = scree_arena_new(&instance->arena, void *, view->n_tensors);
    instance->staged = scree_arena_new(&instance->arena, uint8_t *, view->n_tensors);
    if (!instance->bound || !instance->staged)
        return -ENOMEM;
    for (uint32_t i = 0; i < instance->parts.n_parts; i++) {
        const struct scree_tfl_ints *inputs = instance->kernels[i].params.input_tensors;

        for (int k = 0; k < inputs->size; k++) {
            const struct scree_tfl_tensor *tensor = &view->tensors[inputs->data[k]];
            uint8_t **staged = &instance->staged[inputs->data[k]];

            if (!view->flipped[inputs->data[k]] || tensor->allocation_type == SCREE_TFL_CONSTANT ||
                *staged)
                continue;
            *staged = scree_arena_calloc(&instance->arena, 1, tensor->bytes);
            if (!*staged)
                return -ENOMEM;
        }
    }
    return 0;
}

static int make(struct scree_delegate_instance *instance, const bool *offered,
                struct scree_error *err)
{
    int rc = scree_view_new(instance->subgraph, offered, &instance->view, err);

    if (rc < 0)
        return rc;
    scree_host_init(instance);
    rc = create(instance, err);
    if (rc >= 0)
        rc = compile(instance, err);
    if (rc >= 0 && alloc_staged(instance) < 0)
        rc = scree_fail(err, ENOMEM, "no memory for the delegate's inputs");
    for (uint32_t i = 0; rc >= 0 && i < instance->parts.n_parts; i++)
        instance->kernels[i].check.counter = instance->counter;
    instance->subgraph = NULL;
    return rc;
}

int scree_delegate_instance_new(struct scree_delegate *delegate,
                                const struct scree_subgraph *subgraph, const bool *offered,
                                struct scree_delegate_instance **ret_instance,
                                struct scree_error *err)
{
    struct scree_delegate_instance *instance = calloc(1, sizeof *instance);
    int rc;

    if (!instance)
        return scree_fail_memory(err, sizeof *instance);
    instance->delegate = delegate;
    instance->subgraph = subgraph;
    instance->counter = scree_npu_counter_new();
    scree_arena_init(&instance->arena, MAX_INSTANCE_BYTES);
    rc = make(instance, offered, err);
    if (rc < 0) {
        scree_delegate_instance_free(instance);
        return rc;
    }
    *ret_instance = instance;
    return 0;
}

void scree_delegate_instance_free(struct scree_delegate_instance *instance)
{
    if (!instance)
        return;
    for (uint32_t i = 0; instance->kernels && i < instance->parts.n_parts; i++) {
        struct scree_delegate_kernel *kernel = &instance->kernels[i];

        if (kernel->is_made && instance->registration.free)
            instance->registration.free(&instance->context, kernel->node.user_data);
    }
    if (instance->handle)
        instance->delegate->destroy(instance->handle);
    scree_npu_counter_free(instance->counter);
    scree_view_done(&instance->view);
    scree_arena_done(&instance->arena);
    free(instance);
}

const struct scree_parts *
scree_delegate_instance_parts(const struct scree_delegate_instance *instance)
{
    return &instance->parts;
}

const struct scree_part *
scree_delegate_instance_part(const struct scree_delegate_instance *instance, uint32_t index)
{
    return &instance->kernels[index].part;
}

const char *scree_delegate_said(const struct scree_delegate_instance *instance)
{
    return instance->said;
}

/* ---- runs --------------------------------------------------------------------------------------
 */

static const char *const end_texts[] = {
    [SCREE_DELEGATE_OK] = "it was right",
    [SCREE_DELEGATE_FAILED] = "the delegate said that it failed",
    [SCREE_DELEGATE_UNTOUCHED] = "the output was not written",
    [SCREE_DELEGATE_STALE] = "the output was that of the run before",
    [SCREE_DELEGATE_LATE] = "it took as long as a job that hangs and is reset",
    [SCREE_DELEGATE_LOST] = "the NPU did fewer tasks than there are",
};

const char *scree_delegate_end_text(enum scree_delegate_end end)
{
    return end_texts[end];
}

void scree_delegate_bind(struct scree_delegate_instance *instance, int32_t tensor, void *data)
{
    instance->bound[instance->view.index_of[tensor]] = data;
}

void scree_delegate_expect(struct scree_delegate_instance *instance, uint32_t part,
                           const struct scree_delegate_measure *measure)
{
    instance->kernels[part].check.expected = *measure;
}

static void lay_inputs(struct scree_delegate_instance *instance,
                       struct scree_delegate_kernel *kernel)
{
    const struct scree_tfl_ints *inputs = kernel->params.input_tensors;

    for (int k = 0; k < inputs->size; k++) {
        struct scree_tfl_tensor *tensor = &instance->view.tensors[inputs->data[k]];
        uint8_t *staged = instance->staged[inputs->data[k]];

        if (tensor->allocation_type == SCREE_TFL_CONSTANT)
            continue;
        tensor->data = instance->bound[inputs->data[k]];
        scree_check_input(&kernel->check, tensor->data, tensor->bytes);
        if (staged) {
            scree_flip_bytes(tensor->data, staged, tensor->bytes);
            tensor->data = staged;
        }
    }
}

static void lay_outputs(struct scree_delegate_instance *instance,
                        struct scree_delegate_kernel *kernel)
{
    const struct scree_tfl_ints *outputs = kernel->params.output_tensors;

    for (int k = 0; k < outputs->size; k++) {
        struct scree_tfl_tensor *tensor = &instance->view.tensors[outputs->data[k]];

        tensor->data = instance->bound[outputs->data[k]];
        tensor->data_is_stale = false;
        scree_check_fill(&kernel->check, tensor->data, tensor->bytes);
    }
}

/* A delegate that leaves an output in a buffer of its own has not written it. */
static bool take_outputs(struct scree_delegate_instance *instance,
                         struct scree_delegate_kernel *kernel)
{
    const struct scree_tfl_ints *outputs = kernel->params.output_tensors;

    for (int k = 0; k < outputs->size; k++) {
        struct scree_tfl_tensor *tensor = &instance->view.tensors[outputs->data[k]];
        void *data = instance->bound[outputs->data[k]];

        if (tensor->data_is_stale || tensor->data != data)
            return false;
        scree_check_output(&kernel->check, data, tensor->bytes);
        if (instance->view.flipped[outputs->data[k]])
            scree_flip_bytes(data, data, tensor->bytes);
    }
    return true;
}

enum scree_delegate_end scree_delegate_run(struct scree_delegate_instance *instance, uint32_t index,
                                           struct scree_delegate_measure *ret_measure)
{
    struct scree_delegate_kernel *kernel = &instance->kernels[index];
    struct scree_delegate_measure measure;
    int status;

    instance->failure_rc = 0;
    instance->said[0] = '\0';
    scree_check_begin(&kernel->check);
    lay_inputs(instance, kernel);
    lay_outputs(instance, kernel);
    scree_check_start(&kernel->check);
    status = instance->registration.invoke(&instance->context, &kernel->node);
    scree_check_stop(&kernel->check, &measure);
    if (ret_measure)
        *ret_measure = measure;
    if (status != SCREE_TFL_OK || instance->failure_rc < 0 || !take_outputs(instance, kernel))
        return SCREE_DELEGATE_FAILED;
    return scree_check_end(&kernel->check, &measure);
}
