/* Any bytes as what a delegate does in its process: answers nobody asked for, other answers, what
 * it prints, nodes that it takes, calls of its host, writes into the memory that both processes
 * see. Its own code is stood for by this file, by way of scree_delegate_load().
 *
 * The bytes are steps, a letter and its operands each; a ';' ends what is done in one call. All
 * processes of one case go on in them where the one before was. Whatever they do, the session is
 * made and its runs end, by the CPU where the delegate did not do them. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "delegate/library.h"
#include "fuzz/fuzz.h"
#include "support/tflite_writer.h"

#define SIDE      8
#define CHANNELS  4
#define BYTES     ((size_t)SIDE * SIDE * CHANNELS)
#define N_RUNS    3
#define MAX_BYTES 4096
/* The worker's socket, as delegate/worker.c has it. */
#define SOCKET_FD 3
/* What it sees of the memory that is shared. */
#define SHARED_BYTES 4096

/* Of one case. The place is shared by all its processes. */
static const uint8_t *steps;
static size_t n_steps;
static _Atomic size_t *place;

static uint8_t *shared; /* in the worker */

/* ---- the worker's side ---- */

/* Never a '(': what stands in these is not the delegate's to say, see check_note(). */
static bool take_byte(uint8_t *ret)
{
    size_t at = atomic_fetch_add(place, 1);

    *ret = at < n_steps ? steps[at] : 0;
    if (*ret == '(')
        *ret = '[';
    return at < n_steps;
}

static int take_int(void)
{
    uint8_t bytes[4];
    int number;

    for (size_t i = 0; i < sizeof bytes; i++)
        (void)take_byte(&bytes[i]);
    memcpy(&number, bytes, sizeof number);
    return number;
}

/* A length, and as many bytes. */
static size_t take_bytes(uint8_t *to)
{
    uint8_t n;

    (void)take_byte(&n);
    for (size_t i = 0; i < n; i++)
        (void)take_byte(&to[i]);
    return n;
}

static void scribble(void)
{
    uint8_t bytes[UINT8_MAX];
    size_t at = (size_t)(unsigned)take_int() % SHARED_BYTES, n = take_bytes(bytes);

    for (size_t i = 0; i < n && at + i < SHARED_BYTES; i++)
        shared[at + i] = bytes[i];
}

/* One of the calls that a host may have nothing for. */
static void call(struct scree_tfl_context *context)
{
    struct scree_tfl_registration *registration;
    struct scree_tfl_delegate_params *params;
    struct scree_tfl_node *node;
    struct scree_tfl_context *other;
    uint8_t which;
    void *buffer;
    int number, first;

    (void)take_byte(&which);
    number = take_int();
    switch (which % 8) {
    case 0:
        if (context->get_node_and_registration(context, number, &node, &registration) == 0 &&
            node->inputs->size < 1)
            abort();
        break;
    case 1:
        (void)context->get_tensor(context, number);
        break;
    case 2:
        (void)context->add_tensors(context, number, &first);
        break;
    case 3:
        buffer = context->allocate_persistent_buffer(context, (size_t)(unsigned)number % 100000);
        if (buffer)
            memset(buffer, 1, (size_t)(unsigned)number % 100000);
        break;
    case 4:
        (void)context->preview_delegate_partitioning(context, NULL, &params, &first);
        break;
    case 5:
        (void)context->request_scratch_buffer_in_arena(context, (size_t)(unsigned)number, &first);
        break;
    case 6:
        (void)context->acquire_subgraph_context(context, number, &other);
        break;
    default:
        context->report_error(context, "%.*s", number & 255, (const char *)shared + 600);
        break;
    }
}

static int invoke(struct scree_tfl_context *context, struct scree_tfl_node *node);

static void *init(struct scree_tfl_context *context, const char *buffer, size_t n)
{
    return (void *)(uintptr_t)buffer;
}

/* A list of nodes, right or wrong. */
static int name_nodes(struct scree_tfl_context *context)
{
    const struct scree_tfl_registration kernel = {.init = init, .invoke = invoke, .version = 1};
    uint8_t bytes[UINT8_MAX];
    size_t n = take_bytes(bytes);
    struct scree_tfl_ints *nodes = calloc(1, sizeof *nodes + UINT8_MAX * sizeof(int));
    int status;

    if (!nodes)
        abort();
    nodes->size = (int)n;
    for (size_t i = 0; i < n; i++)
        nodes->data[i] = (int8_t)bytes[i];
    status = context->replace_node_subsets_with_delegate_kernels(context, kernel, nodes, NULL);
    free(nodes);
    return status;
}

/* Fills the outputs with one byte. */
static void write_outputs(struct scree_tfl_context *context, const struct scree_tfl_node *node)
{
    uint8_t value;

    (void)take_byte(&value);
    for (int i = 0; node && i < node->outputs->size; i++) {
        const struct scree_tfl_tensor *tensor = &context->tensors[node->outputs->data[i]];

        memset(tensor->data, value, tensor->bytes);
    }
}

/* What is done in one call. Returns its status. */
static int act(struct scree_tfl_context *context, const struct scree_tfl_node *node)
{
    int number, status = SCREE_TFL_OK;
    uint8_t step, bytes[UINT8_MAX];
    size_t n;

    while (take_byte(&step) && step != ';') {
        switch (step) {
        case 'p':
            n = take_bytes(bytes);
            (void)!write(STDERR_FILENO, bytes, n);
            break;
        case 's':
            scribble();
            break;
        case 'a':
            number = take_int();
            (void)send(SOCKET_FD, &number, sizeof number, MSG_DONTWAIT | MSG_NOSIGNAL);
            break;
        case 'm':
            n = take_bytes(bytes);
            (void)send(SOCKET_FD, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
            break;
        case 'd':
            (void)close(SOCKET_FD);
            break;
        case 'x':
            _exit(7);
        case 'k':
            (void)kill(getpid(), SIGKILL);
            break;
        case 'n':
            if (context)
                (void)name_nodes(context);
            break;
        case 'c':
            if (context)
                call(context);
            break;
        case 'w':
            if (context)
                write_outputs(context, node);
            break;
        case 'f':
            status = SCREE_TFL_ERROR;
            break;
        default:
            break;
        }
    }
    return status;
}

static int invoke(struct scree_tfl_context *context, struct scree_tfl_node *node)
{
    return act(context, node);
}

static int prepare(struct scree_tfl_context *context, struct scree_tfl_delegate *delegate)
{
    return act(context, NULL);
}

static struct scree_tfl_delegate *create(char **keys, char **values, size_t n,
                                         void (*report)(const char *))
{
    static struct scree_tfl_delegate delegate = {.prepare = prepare};

    report("made");
    return act(NULL, NULL) == SCREE_TFL_OK ? &delegate : NULL;
}

static void destroy(struct scree_tfl_delegate *delegate)
{
    (void)act(NULL, NULL);
}

/* In the place of scree_delegate_load(): `err` is in the memory that both processes see. */
int __wrap_scree_delegate_load(struct scree_delegate *delegate, struct scree_error *err);

int __wrap_scree_delegate_load(struct scree_delegate *delegate, struct scree_error *err)
{
    shared = (uint8_t *)((uintptr_t)err & ~((uintptr_t)SHARED_BYTES - 1));
    delegate->create = create;
    delegate->destroy = destroy;
    return act(NULL, NULL) == SCREE_TFL_OK ? 0 : -EBADMSG;
}

/* ---- this side ---- */

static int32_t activation(struct tw *tw, const char *name)
{
    int32_t tensor = tw_tensor(tw, name, SCREE_TYPE_UINT8, TW_SHAPE(1, SIDE, SIDE, CHANNELS));

    tw_quantize(tw, tensor, 0.02f, 128);
    return tensor;
}

static void add_conv(struct tw *tw, int32_t in, int32_t out)
{
    union scree_options options = {
        .conv2d = {.stride_w = 1, .stride_h = 1, .dilation_w = 1, .dilation_h = 1}};
    uint8_t weights[CHANNELS * CHANNELS];
    int32_t bias[CHANNELS], filter, added;

    for (size_t i = 0; i < sizeof weights; i++)
        weights[i] = (uint8_t)(i * 37 + 11);
    for (size_t i = 0; i < CHANNELS; i++)
        bias[i] = 10000000;
    filter = tw_constant(tw, "weights", SCREE_TYPE_UINT8, TW_SHAPE(CHANNELS, 1, 1, CHANNELS),
                         weights, sizeof weights);
    tw_quantize(tw, filter, 0.01f, 128);
    added = tw_constant(tw, "bias", SCREE_TYPE_INT32, TW_SHAPE(CHANNELS), bias, sizeof bias);
    tw_quantize(tw, added, 0.01f * 0.02f, 0);
    tw_node(tw, SCREE_OP_CONV_2D, TW_LIST(in, filter, added), TW_LIST(out), &options);
}

/* Two convolutions in a row, and one beside them, whose outputs are all 255: a delegate that knows
 * that is right. */
static struct scree_model *make_model(void)
{
    static struct tw *tw; /* whose the file's bytes are: they stay */
    struct scree_model *model;
    int32_t in, middle, out, beside;
    const uint8_t *bytes;
    size_t n;

    tw = tw_new();
    in = activation(tw, "in");
    middle = activation(tw, "middle");
    out = activation(tw, "out");
    beside = activation(tw, "beside");
    add_conv(tw, in, middle);
    add_conv(tw, middle, out);
    add_conv(tw, in, beside);
    tw_ports(tw, TW_LIST(in), TW_LIST(out, beside));
    bytes = tw_finish(tw, &n);
    if (scree_model_open_memory(bytes, n, &model, NULL) < 0)
        abort();
    return model;
}

/* NULL if the delegate says that its file is none: the caller named it, so that is an error. */
static struct scree_session *open_session(struct scree_model *model, const char *device)
{
    const struct scree_session_options options = {
        .n_threads = 1,
        .device = device,
        .delegate = strcmp(device, "cpu") == 0 ? NULL : "/proc/self/exe",
    };
    struct scree_session *session;
    struct scree_error err = {""};
    int rc = scree_session_new(model, &options, &session, &err);

    if (rc < 0 && (rc != -EBADMSG || !scree_text_is_safe(err.text, strlen(err.text))))
        abort();
    return rc < 0 ? NULL : session;
}

static void run(struct scree_session *session, uint8_t seed, uint8_t (*ret)[BYTES])
{
    struct scree_tensor tensor;

    if (scree_session_input(session, 0, &tensor) < 0)
        abort();
    for (size_t i = 0; i < BYTES; i++)
        ((uint8_t *)tensor.data)[i] = (uint8_t)(i * 31 + seed);
    if (scree_session_run(session, NULL) < 0)
        abort();
    for (uint32_t i = 0; i < 2; i++) {
        (void)scree_session_output(session, i, &tensor);
        memcpy(ret[i], tensor.data, BYTES);
    }
}

/* Our own code in the worker neither crashed nor was stopped by a sanitizer: a worker ends as the
 * steps say or without a socket, is killed, or ends itself by its alarm. */
static void check_note(const struct scree_run_stats *stats)
{
    static const char *const ends[] = {"(exit code 7)", "(exit code 0)", "(Killed)",
                                       "(Alarm clock)"};
    const char *end = strchr(stats->note, '(');
    bool is_known = !end;

    for (size_t i = 0; end && i < sizeof ends / sizeof ends[0]; i++)
        is_known |= strncmp(end, ends[i], strlen(ends[i])) == 0;
    if (!is_known || !scree_text_is_safe(stats->note, strlen(stats->note)))
        abort();
}

static void work(struct scree_model *model, struct scree_session *plain)
{
    struct scree_session *session = open_session(model, "teflon");
    uint8_t got[2][BYTES], want[2][BYTES];
    struct scree_run_stats stats;

    if (!session)
        return;
    scree_session_stats(session, &stats);
    check_note(&stats);
    for (uint8_t i = 0; i < N_RUNS; i++) {
        run(session, (uint8_t)(7 * i), got);
        run(plain, (uint8_t)(7 * i), want);
        scree_session_stats(session, &stats);
        check_note(&stats);
        if (stats.verified == 0 && memcmp(got, want, sizeof got) != 0)
            abort();
    }
    scree_session_free(session);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    static struct scree_model *model;
    static struct scree_session *plain;

    if (!model) {
        model = make_model();
        plain = open_session(model, "cpu");
        if (!plain)
            abort();
        place =
            mmap(NULL, sizeof *place, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED)
            abort();
    }
    if (n_bytes > MAX_BYTES)
        return 0;
    steps = bytes;
    n_steps = n_bytes;
    atomic_store(place, 0);
    work(model, plain);
    return 0;
}
