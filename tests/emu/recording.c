#include "emu/recording.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "support/tflite_writer.h"

static void require(bool condition, const char *what, const char *where)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", where, what);
    abort();
}

static void join(char *path, size_t n, const char *folder, const char *name)
{
    require((size_t)snprintf(path, n, "%s/%s", folder, name) < n, "path too long", folder);
}

uint8_t *recorded_file(const char *folder, const char *name, size_t *ret_n_bytes)
{
    uint8_t *bytes = NULL;
    char path[4096];

    join(path, sizeof path, folder, name);
    return scree_file_read(path, 1u << 30, &bytes, ret_n_bytes, NULL) < 0 ? NULL : bytes;
}

/* ---- submits -----------------------------------------------------------------------------------
 */

static void read_job(struct recording *recording, char *line, const char *folder)
{
    struct recorded_job *job = &recording->jobs[recording->n_jobs++];
    const char *in = strstr(line, " in "), *out = strstr(line, " out ");

    require(recording->n_jobs < sizeof recording->jobs / sizeof recording->jobs[0], "too many jobs",
            folder);
    *job = (struct recorded_job){.first_task = recording->n_tasks};
    if (in)
        job->in = (uint32_t)strtoul(in + 4, NULL, 10);
    for (; out; out = strchr(out + 1, ' '))
        if (out[1] >= '0' && out[1] <= '9')
            job->out = (uint32_t)strtoul(out, NULL, 10);
}

static void read_task(struct recording *recording, const char *line, const char *folder)
{
    struct scree_rocket_task *task = &recording->tasks[recording->n_tasks++];

    require(recording->n_jobs > 0 &&
                recording->n_tasks < sizeof recording->tasks / sizeof recording->tasks[0] &&
                sscanf(line, "TASK %*u.%*u regcmd %" SCNx32 " count %" SCNu32, &task->regcmd,
                       &task->regcmd_count) == 2,
            "no such task", folder);
    recording->jobs[recording->n_jobs - 1].n_tasks++;
}

static void read_bo(struct recording *recording, const char *line, const char *folder)
{
    struct recorded_bo *bo = &recording->bos[recording->n_bos++];
    char name[64];
    uint32_t iova = 0;

    require(recording->n_bos < sizeof recording->bos / sizeof recording->bos[0] &&
                sscanf(line, "BO %" SCNu32 " dma %" SCNx32 " size %" SCNu32 " file %63s",
                       &bo->handle, &bo->iova, &bo->size, name) == 4,
            "no such buffer", folder);
    if (recording->n_bos > 1)
        bo->offset = (bo[-1].offset + bo[-1].size + 0xffff) & ~UINT64_C(0xffff);
    require(ftruncate(recording->fd, (off_t)(bo->offset + bo->size)) == 0, "no memory", folder);
    /* Buffers are placed one behind the other: here, where they were. */
    recording->space.next = bo->iova;
    require(scree_emu_space_map(&recording->space, recording->fd, (off_t)bo->offset, bo->size,
                                &iova, NULL) == 0 &&
                iova == bo->iova,
            "cannot be placed", folder);
    if (name[0] != '(') {
        size_t n = 0;
        uint8_t *bytes = recorded_file(folder, name, &n);

        require(bytes && n == bo->size, name, folder);
        memcpy(recording_bytes(recording, bo->handle), bytes, n);
        free(bytes);
    }
}

bool recording_open(struct recording *recording, const char *folder, uint32_t number)
{
    char path[4096], name[64], line[65536];
    FILE *in;

    (void)snprintf(name, sizeof name, "submit%03" PRIu32 ".txt", number);
    join(path, sizeof path, folder, name);
    in = fopen(path, "re");
    if (!in)
        return false;
    memset(recording, 0, sizeof *recording);
    recording->fd = memfd_create("recording", MFD_CLOEXEC);
    require(recording->fd >= 0 && scree_emu_space_init(&recording->space, 0, NULL) == 0,
            "no memory", folder);
    recording->space.never_reuse = true;
    while (fgets(line, sizeof line, in)) {
        if (strncmp(line, "JOB ", 4) == 0)
            read_job(recording, line, folder);
        else if (strncmp(line, "TASK ", 5) == 0)
            read_task(recording, line, folder);
        else if (strncmp(line, "BO ", 3) == 0)
            read_bo(recording, line, folder);
    }
    (void)fclose(in);
    return true;
}

void recording_done(struct recording *recording)
{
    scree_emu_space_done(&recording->space);
    close(recording->fd);
}

uint8_t *recording_bytes(const struct recording *recording, uint32_t handle)
{
    for (uint32_t i = 0; i < recording->n_bos; i++)
        if (recording->bos[i].handle == handle)
            return scree_emu_space_at(&recording->space, recording->bos[i].iova,
                                      recording->bos[i].size);
    return NULL;
}

int recording_run_job(const struct recording *recording, uint32_t index,
                      enum scree_emu_rounding rounding, struct scree_emu_cost *cost)
{
    const struct recorded_job *job = &recording->jobs[index];
    struct scree_emu_task_state state = {.cycles_left = UINT64_MAX};

    for (uint32_t k = 0; k < job->n_tasks; k++) {
        struct scree_emu_task task;
        struct scree_error err;
        int rc = scree_emu_task_read(&recording->tasks[job->first_task + k], &recording->space,
                                     &state, &task, &err);

        if (rc == 0)
            rc = scree_emu_task_execute(&task, scree_emu_space_memory(&recording->space), rounding,
                                        &state, &err);
        if (rc < 0 || !task.interrupts) {
            fprintf(stderr, "task %u.%u: %s\n", index, k, rc < 0 ? err.text : "never ends");
            return -1;
        }
        cost->cycles += task.cost.cycles;
        cost->bytes += task.cost.bytes;
    }
    return (int)job->n_tasks;
}

int recording_run(const struct recording *recording, enum scree_emu_rounding rounding,
                  struct scree_emu_cost *cost)
{
    int n = 0;

    for (uint32_t j = 0; j < recording->n_jobs; j++) {
        int done = recording_run_job(recording, j, rounding, cost);

        if (done < 0)
            return -1;
        n += done;
    }
    return n;
}

/* ---- graphs ------------------------------------------------------------------------------------
 */

#define MAX_TENSORS 256

struct graph {
    struct tw *tw;
    const uint8_t *data; /* of constants */
    size_t n_data;
    char *at; /* in the line */
    const char *where;
    bool all;            /* each node's output is one of the graph's */
    int32_t outputs[64]; /* of the nodes so far */
    uint32_t n_outputs;
};

static const char *next_word(struct graph *graph)
{
    char *word;

    while (*graph->at == ' ' || *graph->at == '\n')
        graph->at++;
    word = graph->at;
    if (!*word)
        return NULL;
    graph->at += strcspn(graph->at, " \n");
    if (*graph->at)
        *graph->at++ = '\0';
    return word;
}

static int64_t next_number(struct graph *graph)
{
    const char *word = next_word(graph);

    require(word, "a number is missing", graph->where);
    return strtoll(word, NULL, 10);
}

/* Skips the name of a field. */
static void skip(struct graph *graph, const char *name)
{
    const char *word = next_word(graph);

    require(word && strcmp(word, name) == 0, name, graph->where);
}

static float next_float_bits(struct graph *graph)
{
    const char *word = next_word(graph);
    uint32_t bits;
    float value;

    require(word, "a scale is missing", graph->where);
    bits = (uint32_t)strtoul(word, NULL, 16);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void read_quantization(struct graph *graph, int32_t tensor)
{
    float scales[1024];
    int64_t zero_points[1024];
    int32_t axis = (int32_t)next_number(graph);
    uint32_t n, n_zero_points;

    skip(graph, "scales");
    n = (uint32_t)next_number(graph);
    require(n <= 1024, "too many scales", graph->where);
    for (uint32_t i = 0; i < n; i++)
        scales[i] = next_float_bits(graph);
    skip(graph, "zps");
    n_zero_points = (uint32_t)next_number(graph);
    require(n_zero_points == n, "zero points and scales differ in number", graph->where);
    for (uint32_t i = 0; i < n; i++)
        zero_points[i] = next_number(graph);
    tw_quantize_axis(graph->tw, tensor, axis, n, scales, zero_points);
}

/* tensor N type T alloc A bytes B dims R D... quant Q [qdim A scales N S... zps N Z...] [data O] */
static void read_tensor(struct graph *graph)
{
    struct scree_shape shape = {0};
    int32_t number = (int32_t)next_number(graph), tensor;
    enum scree_type type;
    const char *word;
    size_t n_bytes;
    char name[32];

    skip(graph, "type");
    type = (enum scree_type)next_number(graph);
    skip(graph, "alloc");
    (void)next_number(graph);
    skip(graph, "bytes");
    n_bytes = (size_t)next_number(graph);
    skip(graph, "dims");
    shape.rank = (int32_t)next_number(graph);
    require(shape.rank <= SCREE_MAX_RANK, "rank", graph->where);
    for (int32_t i = 0; i < shape.rank; i++)
        shape.dims[i] = (int32_t)next_number(graph);
    (void)snprintf(name, sizeof name, "t%d", number);
    tensor = tw_tensor(graph->tw, name, type, shape);
    require(tensor == number, "tensors are not in order", graph->where);
    skip(graph, "quant");
    (void)next_number(graph);
    while ((word = next_word(graph))) {
        if (strcmp(word, "qdim") == 0) {
            read_quantization(graph, tensor);
        } else if (strcmp(word, "data") == 0) {
            size_t offset = (size_t)next_number(graph);

            require(offset <= graph->n_data && n_bytes <= graph->n_data - offset, "data",
                    graph->where);
            tw_tensor_at(graph->tw, tensor)->buffer =
                tw_buffer(graph->tw, graph->data + offset, n_bytes);
        }
    }
}

static struct scree_i32s read_list(struct graph *graph)
{
    int32_t numbers[16];
    uint32_t n = (uint32_t)next_number(graph);

    require(n <= 16, "a long list", graph->where);
    for (uint32_t i = 0; i < n; i++)
        numbers[i] = (int32_t)next_number(graph);
    return tw_list(graph->tw, (struct scree_i32s){.n = n, .v = numbers});
}

/* conv|dwconv pad P stride W H act A dil W H [mult M] */
static void read_convolution(struct graph *graph, bool depthwise, union scree_options *options)
{
    /* TFLite's C interface counts paddings from 1: same, valid. */
    enum scree_padding pad;
    enum scree_activation act;
    int32_t stride_w, stride_h, dilation_w, dilation_h;

    skip(graph, "pad");
    pad = (enum scree_padding)(next_number(graph) - 1);
    skip(graph, "stride");
    stride_w = (int32_t)next_number(graph);
    stride_h = (int32_t)next_number(graph);
    skip(graph, "act");
    act = (enum scree_activation)next_number(graph);
    skip(graph, "dil");
    dilation_w = (int32_t)next_number(graph);
    dilation_h = (int32_t)next_number(graph);
    if (!depthwise) {
        options->conv2d = (struct scree_conv2d_options){.padding = pad,
                                                        .stride_w = stride_w,
                                                        .stride_h = stride_h,
                                                        .activation = act,
                                                        .dilation_w = dilation_w,
                                                        .dilation_h = dilation_h};
        return;
    }
    skip(graph, "mult");
    options->depthwise_conv2d =
        (struct scree_depthwise_conv2d_options){.padding = pad,
                                                .stride_w = stride_w,
                                                .stride_h = stride_h,
                                                .depth_multiplier = (int32_t)next_number(graph),
                                                .activation = act,
                                                .dilation_w = dilation_w,
                                                .dilation_h = dilation_h};
}

static void whole_pool(const struct graph *graph, int32_t input, union scree_options *options)
{
    const struct tw_tensor *tensor = tw_tensor_at(graph->tw, input);

    options->pool2d = (struct scree_pool2d_options){.padding = SCREE_PADDING_VALID,
                                                    .stride_w = 1,
                                                    .stride_h = 1,
                                                    .filter_h = tensor->dims[1],
                                                    .filter_w = tensor->dims[2]};
}

/* node N code C version V in N T... out N T... OPTIONS
 * Returns the node's outputs; n 0 if it is another operator. */
static struct scree_i32s read_node(struct graph *graph)
{
    union scree_options options = {0};
    struct scree_i32s inputs, outputs;
    const char *kind;
    int32_t code;

    (void)next_number(graph);
    skip(graph, "code");
    code = (int32_t)next_number(graph);
    skip(graph, "version");
    (void)next_number(graph);
    skip(graph, "in");
    inputs = read_list(graph);
    skip(graph, "out");
    outputs = read_list(graph);
    kind = next_word(graph);
    if (code == SCREE_OP_AVERAGE_POOL_2D)
        whole_pool(graph, inputs.v[0], &options);
    else if (kind && (code == SCREE_OP_CONV_2D || code == SCREE_OP_DEPTHWISE_CONV_2D))
        read_convolution(graph, code == SCREE_OP_DEPTHWISE_CONV_2D, &options);
    else
        return (struct scree_i32s){0};
    (void)tw_node(graph->tw, code, inputs, outputs, &options);
    return outputs;
}

/* Reads lines up to a node of another kind; false if there is none before it. */
static bool read_graph(struct graph *graph, FILE *in, uint32_t *ret_n_nodes)
{
    static char line[1 << 20];
    struct scree_i32s outputs = {0};
    int32_t input = 0;
    bool more = true;

    while (fgets(line, sizeof line, in)) {
        const char *word;

        graph->at = line;
        word = next_word(graph);
        if (word && strcmp(word, "tensor") == 0)
            read_tensor(graph);
        if (word && strcmp(word, "input") == 0)
            input = (int32_t)next_number(graph);
        if (word && strcmp(word, "node") == 0 && more) {
            struct scree_i32s last = read_node(graph);

            more = last.n > 0;
            if (!more)
                continue;
            outputs = last;
            *ret_n_nodes += 1;
            require(graph->n_outputs < sizeof graph->outputs / sizeof graph->outputs[0],
                    "too many nodes", graph->where);
            graph->outputs[graph->n_outputs++] = last.v[0];
        }
    }
    if (graph->all)
        outputs =
            tw_list(graph->tw, (struct scree_i32s){.n = graph->n_outputs, .v = graph->outputs});
    tw_ports(graph->tw, TW_LIST(input), outputs);
    return outputs.n > 0;
}

uint8_t *recorded_model(const char *folder, bool all, size_t *ret_n_bytes, uint32_t *ret_n_nodes)
{
    struct graph graph = {.where = folder, .all = all};
    uint8_t *data = recorded_file(folder, "model.graph.bin", &graph.n_data), *copy = NULL;
    char path[4096];
    FILE *in;

    *ret_n_nodes = 0;
    join(path, sizeof path, folder, "model.graph.txt");
    in = fopen(path, "re");
    if (in && data) {
        graph.data = data;
        graph.tw = tw_new();
        if (read_graph(&graph, in, ret_n_nodes)) {
            const uint8_t *bytes = tw_finish(graph.tw, ret_n_bytes);

            copy = malloc(*ret_n_bytes);
            require(copy, "no memory", folder);
            memcpy(copy, bytes, *ret_n_bytes);
        }
        tw_free(graph.tw);
    }
    if (in)
        (void)fclose(in);
    free(data);
    return copy;
}
