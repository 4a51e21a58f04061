/* Our side of a delegate's calls. What TensorFlow Lite offers to kernels at large and has no
 * meaning here - growing the graph, scratch memory of its arena - is refused with an error that
 * names it. */
#include "delegate/host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static struct scree_guest *guest_of(const struct scree_tfl_context *context)
{
    return (struct scree_guest *)(uintptr_t)context;
}

int scree_host_fail(struct scree_guest *guest, int code, const char *format, ...)
{
    char text[sizeof guest->failure.text];
    va_list arguments;

    if (guest->failure_rc < 0)
        return SCREE_TFL_ERROR;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    guest->failure_rc = scree_fail(&guest->failure, code, "%s", text);
    return SCREE_TFL_ERROR;
}

void scree_host_hear(struct scree_guest *guest, const char *text)
{
    size_t n;

    if (!text)
        return;
    n = strcspn(text, "\r\n");
    if (n >= sizeof guest->said)
        n = sizeof guest->said - 1;
    memcpy(guest->said, text, n);
    guest->said[n] = '\0';
    scree_text_make_safe(guest->said, n);
}

static int refuse(struct scree_tfl_context *context, const char *what)
{
    return scree_host_fail(guest_of(context), ENOTSUP, "the delegate asks for %s", what);
}

static int get_execution_plan(struct scree_tfl_context *context, struct scree_tfl_ints **plan)
{
    *plan = guest_of(context)->view.plan;
    return SCREE_TFL_OK;
}

static int get_node(struct scree_tfl_context *context, int index, struct scree_tfl_node **node,
                    struct scree_tfl_registration **registration)
{
    struct scree_view *view = &guest_of(context)->view;

    if (index < 0 || (uint32_t)index >= view->n_nodes)
        return scree_host_fail(guest_of(context), EBADMSG, "the delegate asks for node %d of %u",
                               index, view->n_nodes);
    *node = &view->nodes[index];
    *registration = &view->registrations[index].head;
    return SCREE_TFL_OK;
}

static struct scree_tfl_tensor *get_tensor(const struct scree_tfl_context *context, int index)
{
    struct scree_view *view = &guest_of(context)->view;

    return index < 0 || (uint32_t)index >= view->n_tensors ? NULL : &view->tensors[index];
}

SCREE_PRINTF(2, 3)
static void report_error(struct scree_tfl_context *context, const char *format, ...)
{
    char text[sizeof guest_of(context)->said];
    va_list arguments;

    if (!format)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    scree_host_hear(guest_of(context), text);
}

static int resize_tensor(struct scree_tfl_context *context, struct scree_tfl_tensor *tensor,
                         struct scree_tfl_ints *size)
{
    (void)tensor;
    free(size); /* ours by the contract of this call, made by malloc() */
    return refuse(context, "another shape of a tensor");
}

static int resize_tensor_explicit(struct scree_tfl_context *context,
                                  struct scree_tfl_tensor *tensor, int n_dims, const int *dims)
{
    (void)tensor;
    (void)n_dims;
    (void)dims;
    return refuse(context, "another shape of a tensor");
}

static int add_tensors(struct scree_tfl_context *context, int n, int *first)
{
    (void)n;
    (void)first;
    return refuse(context, "more tensors");
}

static void *get_external_context(struct scree_tfl_context *context, int type)
{
    (void)context;
    (void)type;
    return NULL;
}

static void set_external_context(struct scree_tfl_context *context, int type, void *external)
{
    (void)type;
    (void)external;
    refuse(context, "an external context");
}

static void *allocate_persistent_buffer(struct scree_tfl_context *context, size_t bytes)
{
    void *buffer = scree_arena_calloc(&guest_of(context)->arena, 1, bytes);

    if (!buffer)
        scree_host_fail(guest_of(context), ENOMEM, "no memory for the delegate");
    return buffer;
}

static int allocate_buffer_for_eval(struct scree_tfl_context *context, size_t bytes, void **buffer)
{
    (void)bytes;
    *buffer = NULL;
    return refuse(context, "a buffer of TensorFlow Lite Micro");
}

static int request_scratch_buffer(struct scree_tfl_context *context, size_t bytes, int *index)
{
    (void)bytes;
    (void)index;
    return refuse(context, "a scratch buffer of TensorFlow Lite Micro");
}

static void *get_scratch_buffer(struct scree_tfl_context *context, int index)
{
    (void)index;
    refuse(context, "a scratch buffer of TensorFlow Lite Micro");
    return NULL;
}

static void *get_eval_tensor(const struct scree_tfl_context *context, int index)
{
    (void)index;
    refuse((struct scree_tfl_context *)(uintptr_t)context, "a tensor of TensorFlow Lite Micro");
    return NULL;
}

static int get_model_metadata(const struct scree_tfl_context *context, const char *name,
                              const char **data, size_t *bytes)
{
    (void)context;
    (void)name;
    *data = NULL;
    *bytes = 0;
    return SCREE_TFL_ERROR;
}

static int acquire_subgraph_context(struct scree_tfl_context *context, int index,
                                    struct scree_tfl_context **subgraph)
{
    (void)index;
    *subgraph = NULL;
    return refuse(context, "another subgraph");
}

static int release_subgraph_context(struct scree_tfl_context *context, int index)
{
    (void)index;
    return refuse(context, "another subgraph");
}

/* ---- the nodes that the delegate takes ---------------------------------------------------------
 */

/* Marks the named nodes in the graph's numbers: chosen bool[subgraph->n_nodes]. */
static int choose(struct scree_guest *guest, const struct scree_tfl_ints *nodes, bool *chosen)
{
    const struct scree_view *view = &guest->view;

    if (!nodes || nodes->size < 0)
        return scree_host_fail(guest, EBADMSG, "the delegate takes no list of nodes");
    if ((uint32_t)nodes->size > view->n_nodes)
        return scree_host_fail(guest, EBADMSG, "the delegate takes %d nodes of %u", nodes->size,
                               view->n_nodes);
    for (int i = 0; i < nodes->size; i++) {
        int node = nodes->data[i];

        if (node < 0 || (uint32_t)node >= view->n_nodes)
            return scree_host_fail(guest, EBADMSG, "the delegate takes node %d of %u", node,
                                   view->n_nodes);
        if (chosen[view->node_of[node]])
            return scree_host_fail(guest, EBADMSG, "the delegate takes node %d twice", node);
        chosen[view->node_of[node]] = true;
    }
    return SCREE_TFL_OK;
}

/* A node's number in the view. */
static int32_t shown_node(const struct scree_view *view, uint32_t node)
{
    uint32_t low = 0, high = view->n_nodes;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (view->node_of[middle] < node)
            low = middle + 1;
        else
            high = middle;
    }
    return (int32_t)low;
}

static int describe(struct scree_guest *guest, struct scree_guest_kernel *kernel)
{
    struct scree_arena *arena = &guest->arena;
    const struct scree_part *part = &kernel->part;
    struct scree_tfl_ints *nodes = scree_tfl_ints_new(arena, part->n_nodes, NULL);
    struct scree_tfl_ints *inputs = scree_tfl_ints_new(arena, part->n_inputs, NULL);
    struct scree_tfl_ints *outputs = scree_tfl_ints_new(arena, part->n_outputs, NULL);
    struct scree_tfl_ints *none = scree_tfl_ints_new(arena, 0, NULL);

    if (!nodes || !inputs || !outputs || !none)
        return scree_host_fail(guest, ENOMEM, "no memory for the delegate's parts");
    for (uint32_t i = 0; i < part->n_nodes; i++)
        nodes->data[i] = shown_node(&guest->view, part->nodes[i]);
    for (uint32_t i = 0; i < part->n_inputs; i++)
        inputs->data[i] = guest->view.index_of[part->inputs[i]];
    for (uint32_t i = 0; i < part->n_outputs; i++)
        outputs->data[i] = guest->view.index_of[part->outputs[i]];
    kernel->params = (struct scree_tfl_delegate_params){guest->handle, nodes, inputs, outputs};
    kernel->node = (struct scree_tfl_node){
        .inputs = inputs,
        .outputs = outputs,
        .intermediates = none,
        .temporaries = none,
        .builtin_data = &kernel->params,
        .delegate = guest->handle,
    };
    return SCREE_TFL_OK;
}

int scree_host_divide(struct scree_guest *guest, const struct scree_tfl_ints *nodes,
                      struct scree_parts *ret_parts, struct scree_guest_kernel **ret_kernels)
{
    const struct scree_subgraph *subgraph = guest->subgraph;
    bool *chosen = scree_arena_new(&guest->arena, bool, subgraph->n_nodes);
    struct scree_guest_kernel *kernels;
    struct scree_parts parts;
    int status;

    if (!chosen)
        return scree_host_fail(guest, ENOMEM, "no memory for the delegate's parts");
    status = choose(guest, nodes, chosen);
    if (status != SCREE_TFL_OK)
        return status;
    if (scree_partition(subgraph, chosen, &guest->arena, &parts, NULL) < 0)
        return scree_host_fail(guest, ENOMEM, "no memory for the delegate's parts");
    kernels = scree_arena_new(&guest->arena, struct scree_guest_kernel, parts.n_parts);
    for (uint32_t i = 0; i < parts.n_parts; i++) {
        if (!kernels ||
            scree_part_describe(subgraph, &parts, i, &guest->arena, &kernels[i].part, NULL) < 0)
            return scree_host_fail(guest, ENOMEM, "no memory for the delegate's parts");
        status = describe(guest, &kernels[i]);
        if (status != SCREE_TFL_OK)
            return status;
    }
    *ret_parts = parts;
    *ret_kernels = kernels;
    return SCREE_TFL_OK;
}

static int preview(struct scree_tfl_context *context, const struct scree_tfl_ints *nodes,
                   struct scree_tfl_delegate_params **params, int *n)
{
    struct scree_guest *guest = guest_of(context);
    struct scree_guest_kernel *kernels;
    struct scree_tfl_delegate_params *list;
    struct scree_parts parts;
    int status = guest->subgraph ? scree_host_divide(guest, nodes, &parts, &kernels)
                                 : refuse(context, "parts of a graph that is done");

    if (status != SCREE_TFL_OK)
        return status;
    list = scree_arena_new(&guest->arena, struct scree_tfl_delegate_params, parts.n_parts);
    if (!list)
        return scree_host_fail(guest, ENOMEM, "no memory for the delegate's parts");
    for (uint32_t i = 0; i < parts.n_parts; i++)
        list[i] = kernels[i].params;
    *params = list;
    *n = (int)parts.n_parts;
    return SCREE_TFL_OK;
}

/* As TensorFlow Lite does, the kernels are made inside of this call. */
static int make_kernels(struct scree_guest *guest)
{
    struct scree_tfl_registration *registration = &guest->registration;

    for (uint32_t i = 0; i < guest->parts.n_parts; i++) {
        struct scree_guest_kernel *kernel = &guest->kernels[i];
        const char *buffer = (const char *)&kernel->params;

        kernel->node.user_data = registration->init ? registration->init(&guest->context, buffer, 0)
                                                    : NULL;
        if (kernel->node.user_data == SCREE_TFL_INIT_FAILED)
            return scree_host_fail(guest, EIO, "the delegate cannot compile part %u of %u", i + 1,
                                   guest->parts.n_parts);
        kernel->is_made = true;
    }
    return SCREE_TFL_OK;
}

static int replace(struct scree_tfl_context *context, struct scree_tfl_registration registration,
                   const struct scree_tfl_ints *nodes, struct scree_tfl_delegate *delegate)
{
    struct scree_guest *guest = guest_of(context);
    int status;

    (void)delegate;
    if (guest->is_taken || !guest->subgraph)
        return scree_host_fail(guest, EBADMSG, "the delegate takes nodes twice");
    if (!registration.invoke)
        return scree_host_fail(guest, EBADMSG, "the delegate has no function to run with");
    guest->is_taken = true;
    guest->registration = registration;
    status = scree_host_divide(guest, nodes, &guest->parts, &guest->kernels);
    return status == SCREE_TFL_OK ? make_kernels(guest) : status;
}

void scree_host_init(struct scree_guest *guest)
{
    guest->context = (struct scree_tfl_context){
        .tensors_size = guest->view.n_tensors,
        .get_execution_plan = get_execution_plan,
        .tensors = guest->view.tensors,
        .impl = guest,
        .resize_tensor = resize_tensor,
        .report_error = report_error,
        .add_tensors = add_tensors,
        .get_node_and_registration = get_node,
        .replace_node_subsets_with_delegate_kernels = replace,
        .recommended_num_threads = 1,
        .get_external_context = get_external_context,
        .set_external_context = set_external_context,
        .allocate_persistent_buffer = allocate_persistent_buffer,
        .allocate_buffer_for_eval = allocate_buffer_for_eval,
        .request_scratch_buffer_in_arena = request_scratch_buffer,
        .get_scratch_buffer = get_scratch_buffer,
        .resize_tensor_explicit = resize_tensor_explicit,
        .preview_delegate_partitioning = preview,
        .get_tensor = get_tensor,
        .get_eval_tensor = get_eval_tensor,
        .get_model_metadata = get_model_metadata,
        .acquire_subgraph_context = acquire_subgraph_context,
        .release_subgraph_context = release_subgraph_context,
    };
}
