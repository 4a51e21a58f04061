/* A TensorFlow Lite delegate for tests. It computes convolutions of uint8 in plain C - and, where
 * the option "fault" says so, does one thing wrong that delegates do.
 *
 *     fault=NAME    see the list of faults
 *     after=N       the faults of runs begin after N good ones (default 0); a host tries each part
 *                   once before it uses it
 *     via=npu       results go through the NPU on their way (default: they do not)
 *     claim=every   take every node (the default), `other` every other one, `none`
 *
 * It knows its host by the same header as the host itself: that this header is right is shown by
 * the test with Mesa's own delegate, tests/teflon. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "conv.h"
#include "npu.h"

#define EXPORT __attribute__((visibility("default")))

#define FAULTS                                                            \
    FAULT(none)                                                           \
    FAULT(no_device) /* creation finds nothing */                         \
    FAULT(opaque)    /* built on the opaque interface */                  \
    FAULT(crash_create)                                                   \
    FAULT(crash_prepare)                                                  \
    FAULT(abort_prepare)                                                  \
    FAULT(exit_prepare)                                                   \
    FAULT(hang_prepare)                                                   \
    FAULT(chatter) /* prints a lot */                                     \
    FAULT(fail_prepare)                                                   \
    FAULT(crash_init)                                                     \
    FAULT(fail_init)                                                      \
    FAULT(fail_kernel) /* the kernel's own prepare */                     \
    FAULT(crash_free)                                                     \
    FAULT(nodes_null)                                                     \
    FAULT(nodes_negative)                                                 \
    FAULT(nodes_many)                                                     \
    FAULT(nodes_outside)                                                  \
    FAULT(nodes_double)                                                   \
    FAULT(nodes_twice) /* names them in two calls */                      \
    FAULT(no_invoke)                                                      \
    FAULT(ask_node) /* one that is not there */                           \
    FAULT(ask_all)  /* every call of the context */                       \
    FAULT(crash_invoke)                                                   \
    FAULT(abort_invoke)                                                   \
    FAULT(exit_invoke)                                                    \
    FAULT(corrupt_invoke) /* writes over memory at large */               \
    FAULT(close_invoke)   /* closes all descriptors */                    \
    FAULT(hang_invoke)                                                    \
    FAULT(fail_invoke)                                                    \
    FAULT(write_nothing)                                                  \
    FAULT(write_half)                                                     \
    FAULT(repeat)      /* the outputs of the run before */                \
    FAULT(slow)        /* as a job that is reset */                       \
    FAULT(wrong)       /* every 61st byte of the output */                \
    FAULT(move_output) /* into a buffer of its own */                     \
    FAULT(random)      /* in one run of four, one of those that return */ \
    FAULT(wild)        /* in one run of 8, one of those that do not */

enum fault {
#define FAULT(name) FAULT_##name,
    FAULTS
#undef FAULT
        N_FAULTS
};

static const char *const fault_names[] = {
#define FAULT(name) #name,
    FAULTS
#undef FAULT
};

struct test_delegate {
    struct scree_tfl_delegate head; /* first */
    enum fault fault;
    long after;
    int step;        /* between claimed nodes; 0: none */
    struct npu *npu; /* NULL: without */
};

/* One part: its nodes in order, with memory for what they pass on. */
struct kernel {
    struct test_delegate *delegate;
    struct scree_tfl_delegate_params params;
    long n_runs;
    uint32_t random;
    uint8_t *before; /* the outputs of the last run */
};

static struct test_delegate *of(struct scree_tfl_delegate *delegate)
{
    return (struct test_delegate *)delegate;
}

static void crash(void)
{
    volatile int *nowhere = (volatile int *)(intptr_t)getpagesize();

    fprintf(stderr, "test delegate: about to crash\n");
    *nowhere = 1;
}

static void hang(void)
{
    for (;;)
        (void)sleep(1);
}

/* All that a host has shown, and much of the memory around it. */
static void corrupt(struct scree_tfl_context *context, struct scree_tfl_tensor *out)
{
    volatile size_t far_too_much = 1 << 16; /* no compiler sees it */
    uint8_t *block = malloc(64);

    memset(out->data, 0xa5, out->bytes);
    if (block)
        memset(block, 0x5a, far_too_much);
    memset(context->tensors, 0xa5, context->tensors_size * sizeof context->tensors[0]);
    free(block);
}

/* ---- the kernel --------------------------------------------------------------------------------
 */

static void *kernel_init(struct scree_tfl_context *context, const char *buffer, size_t length)
{
    struct scree_tfl_delegate_params params;
    struct kernel *kernel;

    (void)context;
    if (length != 0)
        return SCREE_TFL_INIT_FAILED;
    memcpy(&params, buffer, sizeof params);
    if (of(params.delegate)->fault == FAULT_crash_init)
        crash();
    if (of(params.delegate)->fault == FAULT_fail_init)
        return SCREE_TFL_INIT_FAILED;
    kernel = calloc(1, sizeof *kernel);
    if (!kernel)
        return SCREE_TFL_INIT_FAILED;
    kernel->delegate = of(params.delegate);
    kernel->params = params;
    return kernel;
}

static void kernel_free(struct scree_tfl_context *context, void *buffer)
{
    struct kernel *kernel = buffer;

    (void)context;
    if (kernel->delegate->fault == FAULT_crash_free)
        crash();
    free(kernel->before);
    free(kernel);
}

static int kernel_prepare(struct scree_tfl_context *context, struct scree_tfl_node *node)
{
    struct kernel *kernel = node->user_data;

    for (int i = 0; i < node->inputs->size; i++) {
        const struct scree_tfl_tensor *tensor = &context->tensors[node->inputs->data[i]];

        /* Constants are there, activations are not yet. */
        if ((tensor->allocation_type == SCREE_TFL_CONSTANT) != (tensor->data != NULL))
            return SCREE_TFL_ERROR;
    }
    return kernel->delegate->fault == FAULT_fail_kernel ? SCREE_TFL_ERROR : SCREE_TFL_OK;
}

static bool is_border(const struct kernel *kernel, int tensor)
{
    const struct scree_tfl_ints *outputs = kernel->params.output_tensors;

    for (int i = 0; i < outputs->size; i++)
        if (outputs->data[i] == tensor)
            return true;
    return false;
}

/* Runs the nodes; what stays inside gets memory for the time of the run. */
static int compute(const struct kernel *kernel, struct scree_tfl_context *context)
{
    const struct scree_tfl_ints *nodes = kernel->params.nodes_to_replace;
    int status = SCREE_TFL_OK;

    for (int i = 0; i < nodes->size && status == SCREE_TFL_OK; i++) {
        struct scree_tfl_registration *registration;
        struct scree_tfl_node *node;
        struct scree_tfl_tensor *out;

        status = context->get_node_and_registration(context, nodes->data[i], &node, &registration);
        if (status != SCREE_TFL_OK)
            return status;
        out = &context->tensors[node->outputs->data[0]];
        if (!is_border(kernel, node->outputs->data[0]))
            out->data = malloc(out->bytes);
        status = test_conv(context, node, registration);
    }
    for (int i = 0; i < nodes->size; i++) {
        struct scree_tfl_registration *registration;
        struct scree_tfl_node *node;

        if (context->get_node_and_registration(context, nodes->data[i], &node, &registration) ==
                0 &&
            !is_border(kernel, node->outputs->data[0])) {
            free(context->tensors[node->outputs->data[0]].data);
            context->tensors[node->outputs->data[0]].data = NULL;
        }
    }
    return status;
}

static struct scree_tfl_tensor *first_output(const struct kernel *kernel,
                                             struct scree_tfl_context *context)
{
    return &context->tensors[kernel->params.output_tensors->data[0]];
}

static int pass_outputs(const struct kernel *kernel, struct scree_tfl_context *context)
{
    const struct scree_tfl_ints *outputs = kernel->params.output_tensors;

    for (int i = 0; kernel->delegate->npu && i < outputs->size; i++) {
        struct scree_tfl_tensor *out = &context->tensors[outputs->data[i]];

        if (!npu_pass(kernel->delegate->npu, out->data, out->bytes)) {
            context->report_error(context, "the NPU: %s", strerror(errno));
            return SCREE_TFL_ERROR;
        }
    }
    return SCREE_TFL_OK;
}

/* The good run, and a copy of its first output for the fault that shows it again. */
static int run_well(struct kernel *kernel, struct scree_tfl_context *context)
{
    const struct scree_tfl_tensor *out = first_output(kernel, context);
    int status = compute(kernel, context);

    if (status == SCREE_TFL_OK)
        status = pass_outputs(kernel, context);
    if (!kernel->before)
        kernel->before = malloc(out->bytes);
    if (kernel->before && out->data)
        memcpy(kernel->before, out->data, out->bytes);
    return status;
}

static int run_faulty(struct kernel *kernel, struct scree_tfl_context *context, enum fault fault)
{
    static const struct timespec reset = {0, 520000000};
    struct scree_tfl_tensor *out = first_output(kernel, context);
    uint8_t *half;
    int status;

    switch (fault) {
    case FAULT_crash_invoke:
        crash();
        return SCREE_TFL_ERROR;
    case FAULT_abort_invoke:
        fprintf(stderr, "free(): double free detected\n");
        abort();
    case FAULT_exit_invoke:
        exit(3);
    case FAULT_hang_invoke:
        hang();
        return SCREE_TFL_ERROR;
    case FAULT_corrupt_invoke:
        corrupt(context, out);
        return SCREE_TFL_OK;
    case FAULT_close_invoke:
        for (int fd = 0; fd < 64; fd++)
            close(fd);
        return compute(kernel, context);
    case FAULT_fail_invoke:
        context->report_error(context, "job %d of %s was refused", 7, "the test delegate");
        return SCREE_TFL_ERROR;
    case FAULT_write_nothing:
        return SCREE_TFL_OK;
    case FAULT_write_half:
        half = malloc(out->bytes);
        if (!half)
            return SCREE_TFL_ERROR;
        memcpy(half, out->data, out->bytes);
        status = compute(kernel, context);
        memcpy((uint8_t *)out->data + out->bytes / 2, half + out->bytes / 2,
               out->bytes - out->bytes / 2);
        free(half);
        return status;
    case FAULT_repeat:
        memcpy(out->data, kernel->before, out->bytes);
        return SCREE_TFL_OK;
    case FAULT_slow:
        (void)nanosleep(&reset, NULL);
        return compute(kernel, context);
    case FAULT_wrong:
        status = compute(kernel, context);
        for (size_t i = (size_t)kernel->n_runs % 61 % out->bytes; i < out->bytes; i += 61)
            ((uint8_t *)out->data)[i] ^= 0x55;
        return status;
    case FAULT_move_output:
        out->data_is_stale = true;
        return compute(kernel, context);
    default:
        return run_well(kernel, context);
    }
}

static enum fault random_fault(struct kernel *kernel)
{
    static const enum fault faults[] = {FAULT_fail_invoke, FAULT_write_nothing, FAULT_write_half,
                                        FAULT_repeat,      FAULT_move_output,   FAULT_wrong};
    uint32_t pick;

    kernel->random = kernel->random * 1664525u + 1013904223u + (uint32_t)getpid();
    pick = (kernel->random >> 16) % 48;
    return pick < sizeof faults / sizeof faults[0] ? faults[pick] : FAULT_none;
}

static enum fault wild_fault(struct kernel *kernel)
{
    static const enum fault faults[] = {FAULT_crash_invoke, FAULT_abort_invoke, FAULT_exit_invoke,
                                        FAULT_close_invoke};

    kernel->random = kernel->random * 1664525u + 1013904223u + (uint32_t)getpid();
    return kernel->random >> 29 ? FAULT_none : faults[kernel->random >> 16 & 3];
}

static int kernel_invoke(struct scree_tfl_context *context, struct scree_tfl_node *node)
{
    struct kernel *kernel = node->user_data;

    if (kernel->n_runs++ < kernel->delegate->after)
        return run_well(kernel, context);
    if (kernel->delegate->fault == FAULT_random)
        return run_faulty(kernel, context, random_fault(kernel));
    if (kernel->delegate->fault == FAULT_wild)
        return run_faulty(kernel, context, wild_fault(kernel));
    return run_faulty(kernel, context, kernel->delegate->fault);
}

/* ---- naming nodes ------------------------------------------------------------------------------
 */

/* Every call that a host may have nothing for. None of them may crash, whatever they answer. */
static int ask_all(struct scree_tfl_context *context)
{
    struct scree_tfl_context *subgraph;
    struct scree_tfl_delegate_params *params;
    const char *data;
    void *buffer;
    size_t bytes;
    int first, n;

    n = context->resize_tensor(context, &context->tensors[0], calloc(1, 64));
    n += context->resize_tensor_explicit(context, &context->tensors[0], 0, NULL);
    n += context->add_tensors(context, 1, &first);
    n += context->get_external_context(context, 0) == NULL;
    context->set_external_context(context, 0, NULL);
    n += context->allocate_buffer_for_eval(context, 64, &buffer);
    n += context->request_scratch_buffer_in_arena(context, 64, &first);
    n += context->get_scratch_buffer(context, 0) == NULL;
    n += context->get_eval_tensor(context, 0) == NULL;
    n += context->get_model_metadata(context, "name", &data, &bytes);
    n += context->acquire_subgraph_context(context, 1, &subgraph);
    n += context->release_subgraph_context(context, 1);
    n += context->get_tensor(context, -1) == NULL;
    n += context->preview_delegate_partitioning(context, NULL, &params, &first);
    return n == 13 ? SCREE_TFL_OK : SCREE_TFL_ERROR;
}

/* What a delegate may well ask for has a right answer. */
static int ask_well(struct scree_tfl_context *context, const struct scree_tfl_ints *nodes)
{
    struct scree_tfl_delegate_params *params;
    int n, n_nodes = 0;

    if (context->preview_delegate_partitioning(context, nodes, &params, &n) != SCREE_TFL_OK)
        return SCREE_TFL_ERROR;
    for (int i = 0; i < n; i++)
        n_nodes += params[i].nodes_to_replace->size;
    if (n_nodes != nodes->size || context->get_tensor(context, 0) != &context->tensors[0])
        return SCREE_TFL_ERROR;
    return context->allocate_persistent_buffer(context, 100) ? SCREE_TFL_OK : SCREE_TFL_ERROR;
}

static int take(struct scree_tfl_context *context, struct test_delegate *delegate,
                const struct scree_tfl_ints *nodes)
{
    struct scree_tfl_registration registration = {
        .init = kernel_init,
        .free = kernel_free,
        .prepare = kernel_prepare,
        .invoke = delegate->fault == FAULT_no_invoke ? NULL : kernel_invoke,
        .builtin_code = SCREE_TFL_OP_DELEGATE,
        .custom_name = "Test Delegate",
        .version = 1,
    };

    return context->replace_node_subsets_with_delegate_kernels(context, registration, nodes,
                                                               &delegate->head);
}

/* Spoils the list of nodes. */
static const struct scree_tfl_ints *spoil(enum fault fault, struct scree_tfl_ints *nodes)
{
    switch (fault) {
    case FAULT_nodes_null:
        return NULL;
    case FAULT_nodes_negative:
        nodes->size = -5;
        return nodes;
    case FAULT_nodes_many:
        nodes->size = 1 << 30;
        return nodes;
    case FAULT_nodes_outside:
        nodes->data[0] = 100000;
        return nodes;
    case FAULT_nodes_double:
        nodes->data[1] = nodes->data[0];
        return nodes;
    default:
        return nodes;
    }
}

static int list_nodes(struct scree_tfl_context *context, const struct test_delegate *delegate,
                      struct scree_tfl_ints **ret_nodes)
{
    struct scree_tfl_ints *plan, *nodes;

    if (context->get_execution_plan(context, &plan) != SCREE_TFL_OK)
        return SCREE_TFL_ERROR;
    nodes = calloc(1, sizeof *nodes + ((size_t)plan->size + 2) * sizeof(int));
    if (!nodes)
        return SCREE_TFL_ERROR;
    for (int i = 0; delegate->step > 0 && i < plan->size; i += delegate->step)
        nodes->data[nodes->size++] = plan->data[i];
    *ret_nodes = nodes;
    return SCREE_TFL_OK;
}

static void fail_early(enum fault fault)
{
    switch (fault) {
    case FAULT_crash_prepare:
        crash();
        break;
    case FAULT_abort_prepare:
        fprintf(stderr, "free(): double free detected\n");
        abort();
    case FAULT_exit_prepare:
        _exit(3);
    case FAULT_hang_prepare:
        hang();
        break;
    case FAULT_chatter:
        for (int i = 0; i < 20000; i++)
            fprintf(stderr, "test delegate: line %d\n", i);
        break;
    default:
        break;
    }
}

static int prepare(struct scree_tfl_context *context, struct scree_tfl_delegate *head)
{
    struct test_delegate *delegate = of(head);
    struct scree_tfl_registration *registration;
    struct scree_tfl_ints *nodes;
    struct scree_tfl_node *node;
    int status;

    fail_early(delegate->fault);
    if (delegate->fault == FAULT_fail_prepare) {
        context->report_error(context, "no %s for %d nodes\nand more", "firmware", 3);
        return SCREE_TFL_ERROR;
    }
    if (list_nodes(context, delegate, &nodes) != SCREE_TFL_OK)
        return SCREE_TFL_ERROR;
    status = ask_well(context, nodes);
    if (delegate->fault == FAULT_ask_all)
        status = ask_all(context);
    if (delegate->fault == FAULT_ask_node)
        status = context->get_node_and_registration(context, nodes->size, &node, &registration);
    if (status == SCREE_TFL_OK && delegate->step > 0)
        status = take(context, delegate, spoil(delegate->fault, nodes));
    if (delegate->fault == FAULT_nodes_twice)
        status = take(context, delegate, nodes);
    free(nodes);
    return status;
}

/* Loading it is the first that can go wrong. */
__attribute__((constructor)) static void crash_at_load(void)
{
    if (getenv("TEST_DELEGATE_CRASH"))
        crash();
}

/* ---- the library -------------------------------------------------------------------------------
 */

static enum fault find_fault(const char *name)
{
    int fault = 0;

    while (fault < N_FAULTS && strcmp(fault_names[fault], name) != 0)
        fault++;
    return (enum fault)fault;
}

EXPORT scree_tfl_create_fn tflite_plugin_create_delegate;
EXPORT scree_tfl_destroy_fn tflite_plugin_destroy_delegate;

EXPORT struct scree_tfl_delegate *
tflite_plugin_create_delegate(char **keys, char **values, size_t n, void (*report)(const char *))
{
    struct test_delegate *delegate = calloc(1, sizeof *delegate);

    if (!delegate)
        return NULL;
    delegate->step = 1;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i], "fault") == 0)
            delegate->fault = find_fault(values[i]);
        else if (strcmp(keys[i], "after") == 0)
            delegate->after = strtol(values[i], NULL, 10);
        else if (strcmp(keys[i], "via") == 0 && !delegate->npu)
            delegate->fault = (delegate->npu = npu_open()) ? delegate->fault : FAULT_no_device;
        else if (strcmp(keys[i], "claim") == 0)
            delegate->step = strcmp(values[i], "none") == 0 ? 0
                             : strcmp(values[i], "other")   ? 1
                                                            : 2;
        else
            delegate->fault = N_FAULTS;
    }
    if (delegate->fault == FAULT_crash_create)
        crash();
    if (delegate->fault == FAULT_no_device || delegate->fault == N_FAULTS) {
        report(delegate->fault == N_FAULTS ? "unknown option" : "no accelerator found");
        npu_close(delegate->npu);
        free(delegate);
        return NULL;
    }
    delegate->head.prepare = delegate->fault == FAULT_opaque ? NULL : prepare;
    return &delegate->head;
}

EXPORT void tflite_plugin_destroy_delegate(struct scree_tfl_delegate *delegate)
{
    npu_close(of(delegate)->npu);
    free(of(delegate));
}
