/* What a request for tensors is checked for, and how it runs. */
#include "serve/oip.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"

#define MAX_ELEMENTS      (INT64_C(1) << 40) /* far over any model, far below overflow in bytes */
#define MAX_TIMEOUT_NS    (UINT64_C(600) * 1000000000)
#define MAX_OUTPUT_BYTES  ((size_t)1 << 30)
#define MAX_CLASSES       1000 /* scree_topk()'s */
#define MAX_CLASS_BYTES   ((size_t)4 << 20)
#define BYTES_A_POINTER   4 /* of a request's arena for each byte it is read from, at most */
#define ARENA_SPARE_BYTES ((size_t)64 << 10)

/* Source: the protocol's "Tensor Data Types"; model_config.proto of Triton. */
const struct scree_oip_type_info scree_oip_types[SCREE_OIP_N_TYPES] = {
    [SCREE_OIP_BOOL] = {"BOOL", 1, SCREE_JSON_FLAG, 1, "TYPE_BOOL"},
    [SCREE_OIP_UINT8] = {"UINT8", 1, SCREE_JSON_U8, 2, "TYPE_UINT8"},
    [SCREE_OIP_UINT16] = {"UINT16", 2, SCREE_JSON_U16, 3, "TYPE_UINT16"},
    [SCREE_OIP_UINT32] = {"UINT32", 4, SCREE_JSON_U32, 4, "TYPE_UINT32"},
    [SCREE_OIP_UINT64] = {"UINT64", 8, SCREE_JSON_U64, 5, "TYPE_UINT64"},
    [SCREE_OIP_INT8] = {"INT8", 1, SCREE_JSON_S8, 6, "TYPE_INT8"},
    [SCREE_OIP_INT16] = {"INT16", 2, SCREE_JSON_S16, 7, "TYPE_INT16"},
    [SCREE_OIP_INT32] = {"INT32", 4, SCREE_JSON_S32, 8, "TYPE_INT32"},
    [SCREE_OIP_INT64] = {"INT64", 8, SCREE_JSON_S64, 9, "TYPE_INT64"},
    [SCREE_OIP_FP16] = {"FP16", 2, -1, 10, "TYPE_FP16"},
    [SCREE_OIP_FP32] = {"FP32", 4, SCREE_JSON_F32, 11, "TYPE_FP32"},
    [SCREE_OIP_FP64] = {"FP64", 8, SCREE_JSON_F64, 12, "TYPE_FP64"},
    [SCREE_OIP_BF16] = {"BF16", 2, -1, 14, "TYPE_BF16"},
    [SCREE_OIP_BYTES] = {"BYTES", 0, -1, 13, "TYPE_STRING"},
};

int scree_oip_find_type(const char *name, size_t n, enum scree_oip_type *ret,
                        struct scree_error *err)
{
    for (int i = 0; i < SCREE_OIP_N_TYPES; i++)
        if (strlen(scree_oip_types[i].name) == n && memcmp(scree_oip_types[i].name, name, n) == 0) {
            *ret = (enum scree_oip_type)i;
            return 0;
        }
    return scree_fail(err, EINVAL, "there is no such datatype");
}

/* ---- requests ---- */

void scree_oip_request_init(struct scree_oip_request *request, size_t n_bytes)
{
    size_t limit;

    memset(request, 0, offsetof(struct scree_oip_request, inputs));
    request->version = request->id = "";
    request->all_binary = request->is_raw = request->any_rows = request->inputs_are_raw = false;
    request->priority = SCREE_PRIORITY_NORMAL;
    request->timeout_ns = request->deadline_ns = UINT64_MAX;
    request->max_depth = SCREE_JSON_DEPTH;
    request->is_gone = NULL;
    request->found = NULL;
    request->context = NULL;
    if (!scree_mul_size(n_bytes, BYTES_A_POINTER, &limit) ||
        !scree_add_size(limit, ARENA_SPARE_BYTES, &limit))
        limit = SIZE_MAX;
    scree_arena_init(&request->arena, limit);
}

void scree_oip_request_done(struct scree_oip_request *request)
{
    scree_arena_done(&request->arena);
}

int scree_oip_count(const int64_t *dims, uint32_t rank, size_t *ret, struct scree_error *err)
{
    int64_t n = 1;

    for (uint32_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return scree_fail(err, EINVAL, "a dimension is negative");
        if (__builtin_mul_overflow(n, dims[i], &n) || n > MAX_ELEMENTS)
            return scree_fail(err, EINVAL, "a shape of too many elements");
    }
    *ret = (size_t)n;
    return 0;
}

int scree_oip_add_input(struct scree_oip_request *request, struct scree_oip_tensor **ret,
                        struct scree_error *err)
{
    if (request->n_inputs == SCREE_OIP_MAX_INPUTS)
        return scree_fail(err, EINVAL, "over %d inputs", SCREE_OIP_MAX_INPUTS);
    *ret = &request->inputs[request->n_inputs++];
    **ret = (struct scree_oip_tensor){0};
    return 0;
}

int scree_oip_add_wanted(struct scree_oip_request *request, struct scree_oip_wanted **ret,
                         struct scree_error *err)
{
    if (request->n_wanted == SCREE_OIP_MAX_OUTPUTS)
        return scree_fail(err, EINVAL, "over %d outputs are asked for", SCREE_OIP_MAX_OUTPUTS);
    *ret = &request->wanted[request->n_wanted++];
    **ret = (struct scree_oip_wanted){0};
    return 0;
}

void scree_oip_set_priority(struct scree_oip_request *request, uint64_t priority)
{
    if (priority > 0)
        request->priority = priority == 1   ? SCREE_PRIORITY_HIGH
                            : priority == 2 ? SCREE_PRIORITY_NORMAL
                                            : SCREE_PRIORITY_LOW;
}

void scree_oip_set_timeout(struct scree_oip_request *request, uint64_t timeout_us)
{
    if (timeout_us > 0 && timeout_us < UINT64_MAX / 1000)
        request->timeout_ns = timeout_us * 1000;
}

void scree_oip_stages(const struct scree_times *times, struct scree_oip_stage *ret_stages)
{
    static const char *const names[SCREE_OIP_N_STAGES] = {"queue_us", "decode_us", "preprocess_us",
                                                          "compute_us", "postprocess_us"};
    const uint64_t ns[SCREE_OIP_N_STAGES] = {times->queue_ns, times->decode_ns,
                                             times->preprocess_ns, times->compute_ns,
                                             times->postprocess_ns};

    for (int i = 0; i < SCREE_OIP_N_STAGES; i++)
        ret_stages[i] = (struct scree_oip_stage){names[i], (int64_t)(ns[i] / 1000)};
}

/* ---- models ---- */

static int type_of(enum scree_type type, enum scree_oip_type *ret)
{
    static const struct {
        enum scree_type ours;
        enum scree_oip_type theirs;
    } map[] = {
        {SCREE_TYPE_BOOL, SCREE_OIP_BOOL},     {SCREE_TYPE_UINT8, SCREE_OIP_UINT8},
        {SCREE_TYPE_UINT16, SCREE_OIP_UINT16}, {SCREE_TYPE_UINT32, SCREE_OIP_UINT32},
        {SCREE_TYPE_UINT64, SCREE_OIP_UINT64}, {SCREE_TYPE_INT8, SCREE_OIP_INT8},
        {SCREE_TYPE_INT16, SCREE_OIP_INT16},   {SCREE_TYPE_INT32, SCREE_OIP_INT32},
        {SCREE_TYPE_INT64, SCREE_OIP_INT64},   {SCREE_TYPE_FLOAT16, SCREE_OIP_FP16},
        {SCREE_TYPE_FLOAT32, SCREE_OIP_FP32},  {SCREE_TYPE_FLOAT64, SCREE_OIP_FP64},
        {SCREE_TYPE_BFLOAT16, SCREE_OIP_BF16},
    };

    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++)
        if (map[i].ours == type) {
            *ret = map[i].theirs;
            return 0;
        }
    return -ENOTSUP;
}

int scree_oip_describe(const struct scree_served *served, bool is_input, uint32_t index,
                       struct scree_oip_description *ret, struct scree_error *err)
{
    struct scree_tensor tensor;
    int rc = is_input ? scree_model_input(served->model, index, &tensor)
                      : scree_model_output(served->model, index, &tensor);

    assert(rc >= 0);
    *ret = (struct scree_oip_description){
        .name = tensor.name,
        .rank = tensor.shape.rank > 0 ? (uint32_t)tensor.shape.rank : 0,
        .is_picture = is_input && served->takes_pictures && index == served->picture_input,
    };
    for (uint32_t i = 0; i < ret->rank; i++)
        ret->dims[i] = tensor.shape.dims[i];
    if (scree_served_batch(served) > 0)
        ret->dims[0] = -1;
    rc = type_of(tensor.type, &ret->type);
    return rc < 0 ? scree_fail(err, ENOTSUP, "tensor %s is of type %s, which no request can have",
                               tensor.name, scree_type_name(tensor.type))
                  : 0;
}

static uint32_t n_tensors(const struct scree_served *served, bool is_input)
{
    return is_input ? scree_model_n_inputs(served->model) : scree_model_n_outputs(served->model);
}

/* The first dimension that all inputs and outputs have in common: -1 if it is open, 0 if there is
 * none. */
static int32_t common_rows(const struct scree_served *served)
{
    int32_t rows = 0;

    for (int side = 0; side < 2; side++)
        for (uint32_t i = 0; i < n_tensors(served, side == 0); i++) {
            struct scree_tensor tensor;
            int rc = side == 0 ? scree_model_input(served->model, i, &tensor)
                               : scree_model_output(served->model, i, &tensor);

            if (rc < 0 || tensor.shape.rank < 1 || (rows != 0 && tensor.shape.dims[0] != rows))
                return 0;
            rows = tensor.shape.dims[0];
        }
    return rows;
}

int32_t scree_oip_max_batch(const struct scree_served *served)
{
    int32_t rows = common_rows(served);

    if (rows < 0)
        return SCREE_OIP_MAX_ROWS;
    return scree_served_batch(served) > 0 ? (int32_t)scree_served_batch(served) : rows;
}

/* ---- a request on its way ---- */

/* An input of the model and what the request has for it. */
struct source {
    const struct scree_oip_tensor *tensor;
    uint8_t **pictures; /* [n_rows] if they are pictures: inputs made of them */
};

/* An output of the model that is asked for. */
struct sink {
    uint32_t index; /* of the model's outputs */
    uint32_t n_classes;
    struct scree_tensor first; /* as it was after the first row */
};

struct job {
    struct scree_served *served;
    struct scree_oip_request *request;
    struct scree_oip_response *response;
    int32_t model_rows;   /* common_rows() */
    uint32_t max_at_once; /* rows of one run */
    uint32_t n_inputs, n_rows, row;
    struct source sources[SCREE_OIP_MAX_INPUTS]; /* by the model's inputs */
    struct sink sinks[SCREE_OIP_MAX_OUTPUTS];    /* by the response's outputs */
};

/* True if a model runs one row at a time, so that more of them are more runs. */
static bool is_rowwise(const struct job *job, const struct scree_tensor *input)
{
    return job->model_rows != 0 && input->shape.rank > 0 && input->shape.dims[0] == 1;
}

/* ---- inputs ---- */

static const char *shape_text(const int64_t *dims, uint32_t rank, char *text, size_t n)
{
    size_t k = 0;

    text[0] = 0;
    for (uint32_t i = 0; i < rank && k < n; i++)
        k += (size_t)snprintf(text + k, n - k, "%s%lld", i ? "," : "", (long long)dims[i]);
    return text;
}

/* The shape of a tensor against the model's, from dimension `from` on; open ones take what they are
 * planned for. */
static bool shape_fits(const struct scree_oip_tensor *tensor, const struct scree_tensor *wanted,
                       uint32_t from)
{
    if (wanted->shape.rank < 0 || tensor->rank != (uint32_t)wanted->shape.rank)
        return false;
    for (uint32_t i = from; i < tensor->rank; i++)
        if (tensor->dims[i] != wanted->shape.dims[i])
            return false;
    return true;
}

/* All tensors of a request have the same number of rows. */
static int set_rows(struct job *job, int64_t n_rows, struct scree_error *err)
{
    if (n_rows < 1 || n_rows > SCREE_OIP_MAX_ROWS)
        return scree_fail(err, EINVAL, "a batch is 1 to %d", SCREE_OIP_MAX_ROWS);
    if (job->n_rows != 0 && job->n_rows != n_rows)
        return scree_fail(err, EINVAL, "inputs of different batches");
    job->n_rows = (uint32_t)n_rows;
    return 0;
}

static int fail_shape(const struct scree_oip_tensor *tensor, const struct scree_tensor *wanted,
                      struct scree_error *err)
{
    int64_t dims[SCREE_MAX_RANK];
    char has[64], needs[64];

    for (int32_t i = 0; i < wanted->shape.rank; i++)
        dims[i] = wanted->shape.dims[i];
    return scree_fail(err, EINVAL, "input %s has the shape [%s], the request [%s]", wanted->name,
                      shape_text(dims, (uint32_t)wanted->shape.rank, needs, sizeof needs),
                      shape_text(tensor->dims, tensor->rank, has, sizeof has));
}

/* Numbers for an input. */
static int check_numbers(struct job *job, const struct scree_oip_tensor *tensor,
                         const struct scree_tensor *wanted, struct scree_error *err)
{
    bool same = shape_fits(tensor, wanted, 0), any_rows;
    size_t n = 0;
    int rc = scree_oip_count(tensor->dims, tensor->rank, &n, err);

    if (rc < 0)
        return rc;
    any_rows = is_rowwise(job, wanted) && (job->request->any_rows || job->model_rows < 0 ||
                                           scree_served_batch(job->served) > 0);
    if (!same && !(any_rows && shape_fits(tensor, wanted, 1)))
        return fail_shape(tensor, wanted, err);
    if (tensor->n != n * scree_oip_types[tensor->type].n_bytes)
        return scree_fail(err, EINVAL, "input %s has %zu bytes of data, its shape %zu",
                          wanted->name, tensor->n, n * scree_oip_types[tensor->type].n_bytes);
    return set_rows(job, same ? 1 : tensor->dims[0], err);
}

/* The next element of a BYTES tensor, moved on; false if it is cut off. */
static bool next_element(const uint8_t **at, const uint8_t *end, const uint8_t **ret, size_t *ret_n)
{
    uint32_t n;

    if (end - *at < 4)
        return false;
    n = (uint32_t)(*at)[0] | (uint32_t)(*at)[1] << 8 | (uint32_t)(*at)[2] << 16 |
        (uint32_t)(*at)[3] << 24;
    if (n > (size_t)(end - *at) - 4)
        return false;
    *ret = *at + 4;
    *ret_n = n;
    *at += 4 + n;
    return true;
}

/* Pictures for an input: BYTES of shape [n] or [n, 1]. */
static int check_pictures(struct job *job, struct source *source,
                          const struct scree_oip_tensor *tensor, const struct scree_tensor *wanted,
                          struct scree_error *err)
{
    const uint8_t *at = tensor->bytes, *end = at + tensor->n, *element;
    size_t n = 0, size;
    int rc = scree_oip_count(tensor->dims, tensor->rank, &n, err);

    if (rc < 0)
        return rc;
    if (tensor->rank < 1 || n != (size_t)tensor->dims[0] || (n != 1 && !is_rowwise(job, wanted)))
        return scree_fail(err, EINVAL, "input %s takes pictures in the shape [%s]", wanted->name,
                          is_rowwise(job, wanted) ? "n" : "1");
    rc = set_rows(job, tensor->dims[0], err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        if (!next_element(&at, end, &element, &size))
            return scree_fail(err, EINVAL, "input %s: element %zu is cut off", wanted->name, i);
    if (at != end)
        return scree_fail(err, EINVAL, "input %s: more data than elements", wanted->name);
    source->pictures = calloc(n, sizeof *source->pictures);
    return source->pictures ? 0 : scree_fail_memory(err, n * sizeof *source->pictures);
}

static int check_input(struct job *job, struct source *source, const struct scree_tensor *wanted,
                       struct scree_error *err)
{
    const struct scree_oip_tensor *tensor = source->tensor;
    enum scree_oip_type type;
    uint32_t index = (uint32_t)(source - job->sources);

    if (type_of(wanted->type, &type) < 0)
        return scree_fail(err, ENOTSUP, "input %s is of type %s, which no request can have",
                          wanted->name, scree_type_name(wanted->type));
    if (tensor->type == SCREE_OIP_BYTES && job->served->takes_pictures &&
        index == job->served->picture_input)
        return check_pictures(job, source, tensor, wanted, err);
    if (tensor->type != type)
        return scree_fail(err, EINVAL, "input %s has the datatype %s, the request %s", wanted->name,
                          scree_oip_types[type].name, scree_oip_types[tensor->type].name);
    return check_numbers(job, tensor, wanted, err);
}

static int find_input(const struct job *job, const char *name, struct scree_error *err)
{
    struct scree_tensor tensor;

    for (uint32_t i = 0; i < job->n_inputs; i++)
        if (scree_model_input(job->served->model, i, &tensor) >= 0 &&
            strcmp(tensor.name, name) == 0)
            return (int)i;
    return scree_fail(err, EINVAL, "the model has no input of that name: '%.64s'", name);
}

static int assign_inputs(struct job *job, struct scree_error *err)
{
    const struct scree_oip_request *request = job->request;

    if (job->n_inputs > SCREE_OIP_MAX_INPUTS)
        return scree_fail(err, ENOTSUP, "a model of %u inputs", job->n_inputs);
    if (request->n_inputs != job->n_inputs)
        return scree_fail(err, EINVAL, "the model has %u inputs, the request %u", job->n_inputs,
                          request->n_inputs);
    for (uint32_t i = 0; i < request->n_inputs; i++) {
        int index = find_input(job, request->inputs[i].name, err);

        if (index < 0)
            return index;
        if (job->sources[index].tensor)
            return scree_fail(err, EINVAL, "input '%.64s' is there twice", request->inputs[i].name);
        job->sources[index].tensor = &request->inputs[i];
    }
    return 0;
}

static int check_inputs(struct job *job, struct scree_error *err)
{
    int rc = assign_inputs(job, err);

    for (uint32_t i = 0; rc >= 0 && i < job->n_inputs; i++) {
        struct scree_tensor wanted;

        rc = scree_served_input(job->served, i, &wanted);
        if (rc >= 0)
            rc = check_input(job, &job->sources[i], &wanted, err);
    }
    return rc;
}

/* ---- outputs ---- */

static int find_output(const struct job *job, const char *name, struct scree_error *err)
{
    struct scree_tensor tensor;

    for (uint32_t i = 0; i < scree_model_n_outputs(job->served->model); i++)
        if (scree_model_output(job->served->model, i, &tensor) >= 0 &&
            strcmp(tensor.name, name) == 0)
            return (int)i;
    return scree_fail(err, EINVAL, "the model has no output of that name: '%.64s'", name);
}

static int add_output(struct job *job, uint32_t index, const struct scree_oip_wanted *wanted,
                      struct scree_error *err)
{
    struct scree_oip_response *response = job->response;
    struct scree_oip_output *output = &response->outputs[response->n_outputs];
    struct scree_oip_description about;
    int rc = scree_oip_describe(job->served, false, index, &about, err);

    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < response->n_outputs; i++)
        if (job->sinks[i].index == index)
            return scree_fail(err, EINVAL, "output '%.64s' is asked for twice", about.name);
    *output = (struct scree_oip_output){
        .tensor = {.name = about.name, .type = about.type},
        .data.limit = MAX_OUTPUT_BYTES,
        .is_binary = wanted ? wanted->is_binary : job->request->all_binary,
    };
    job->sinks[response->n_outputs++] =
        (struct sink){.index = index, .n_classes = wanted ? wanted->n_classes : 0};
    return 0;
}

static int assign_outputs(struct job *job, struct scree_error *err)
{
    const struct scree_oip_request *request = job->request;
    uint32_t n = scree_model_n_outputs(job->served->model);
    int rc = 0;

    if (n > SCREE_OIP_MAX_OUTPUTS)
        return scree_fail(err, ENOTSUP, "a model of %u outputs", n);
    if (request->n_wanted > n)
        return scree_fail(err, EINVAL, "the model has %u outputs, %u are asked for", n,
                          request->n_wanted);
    for (uint32_t i = 0; rc >= 0 && request->n_wanted == 0 && i < n; i++)
        rc = add_output(job, i, NULL, err);
    for (uint32_t i = 0; rc >= 0 && i < request->n_wanted; i++) {
        int index = find_output(job, request->wanted[i].name, err);

        rc = index < 0 ? index : add_output(job, (uint32_t)index, &request->wanted[i], err);
    }
    return rc;
}

/* ---- a row ---- */

static int prepare_row(struct job *job, struct source *source, uint32_t row,
                       struct scree_times *times, struct scree_error *err)
{
    const struct scree_oip_request *request = job->request;
    const uint8_t *at = source->tensor->bytes, *end = at + source->tensor->n, *element = at;
    size_t n = 0;

    for (uint32_t i = 0; i <= row; i++)
        (void)next_element(&at, end, &element, &n);
    return scree_served_prepare(job->served, request->priority, request->deadline_ns, element, n,
                                times, &source->pictures[row], err);
}

/* Makes inputs of the pictures of the next n rows. */
static int prepare_pictures(struct job *job, uint32_t n, struct scree_times *times,
                            struct scree_error *err)
{
    int rc = 0;

    for (uint32_t i = 0; i < job->n_inputs; i++)
        for (uint32_t k = 0; rc >= 0 && job->sources[i].pictures && k < n; k++)
            rc = prepare_row(job, &job->sources[i], job->row + k, times, err);
    return rc;
}

/* Fills a session's inputs with row `row` of those that run now. */
static int fill(void *context, uint32_t row, struct scree_session *session, struct scree_error *err)
{
    struct job *job = context;
    int rc = 0;

    (void)err;
    row += job->row;
    for (uint32_t i = 0; rc >= 0 && i < job->n_inputs; i++) {
        const struct source *source = &job->sources[i];
        struct scree_tensor input;

        rc = scree_session_input(session, i, &input);
        if (rc < 0 || input.bytes == 0)
            continue;
        if (source->pictures) {
            memcpy(input.data, source->pictures[row], input.bytes);
            free(source->pictures[row]);
            source->pictures[row] = NULL;
        } else {
            memcpy(input.data, source->tensor->bytes + row * input.bytes, input.bytes);
        }
    }
    return rc;
}

/* The best classes of an output's row as elements of BYTES: "score:index:label". */
static int add_classes(struct job *job, struct scree_oip_output *output, uint32_t n_classes,
                       const struct scree_tensor *tensor, struct scree_error *err)
{
    struct scree_class classes[MAX_CLASSES];
    int n = scree_topk(tensor, n_classes < MAX_CLASSES ? n_classes : MAX_CLASSES, classes, err);

    if (n < 0)
        return n;
    for (int i = 0; i < n; i++) {
        const char *label = scree_labels_get(job->served->labels, classes[i].class_id);
        char text[256];
        uint32_t length;

        (void)snprintf(text, sizeof text, "%f:%d%s%.200s", (double)classes[i].raw,
                       classes[i].class_id, label ? ":" : "", label ? label : "");
        length = (uint32_t)strlen(text);
        scree_buffer_add(&output->data, &length, sizeof length);
        scree_buffer_add(&output->data, text, length);
    }
    return n;
}

static void set_shape(struct scree_oip_tensor *to, const struct scree_tensor *from)
{
    to->rank = (uint32_t)from->shape.rank;
    for (uint32_t i = 0; i < to->rank; i++)
        to->dims[i] = from->shape.dims[i];
}

/* The output as text of classes: [k], and of a model with a batch [rows, k]. */
static int take_classes(struct job *job, struct scree_oip_output *output, uint32_t n_classes,
                        const struct scree_tensor *tensor, struct scree_error *err)
{
    struct scree_oip_tensor *to = &output->tensor;
    uint32_t n_rows = job->model_rows != 0 ? (uint32_t)tensor->shape.dims[0] : 1;
    struct scree_tensor row = *tensor;
    int n = 0;

    if (n_rows > 1) {
        row.shape.dims[0] = 1;
        row.bytes /= n_rows;
    }
    for (uint32_t i = 0; n >= 0 && i < n_rows; i++) {
        row.data = (uint8_t *)tensor->data + i * row.bytes;
        n = add_classes(job, output, n_classes, &row, err);
    }
    if (n < 0)
        return n;
    to->type = SCREE_OIP_BYTES;
    to->rank = 0;
    if (job->model_rows != 0)
        to->dims[to->rank++] = job->n_rows * n_rows;
    to->dims[to->rank++] = n;
    return 0;
}

static int take_output(struct job *job, struct scree_oip_output *output, struct sink *sink,
                       uint32_t row, const struct scree_tensor *tensor, struct scree_error *err)
{
    if (tensor->shape.rank < 0 || (!tensor->data && tensor->bytes > 0))
        return scree_fail(err, EIO, "output %s has no data", tensor->name);
    if (sink->n_classes > 0)
        return take_classes(job, output, sink->n_classes, tensor, err);
    if (row == 0)
        sink->first = *tensor;
    else if (memcmp(&sink->first.shape, &tensor->shape, sizeof tensor->shape) != 0)
        return scree_fail(err, ENOTSUP, "output %s: rows of different shapes", tensor->name);
    set_shape(&output->tensor, tensor);
    if (job->n_rows > 1)
        output->tensor.dims[0] = job->n_rows;
    scree_buffer_add(&output->data, tensor->data, tensor->bytes);
    return 0;
}

/* Reads a session's outputs after row `row` of those that run now. */
static int take(void *context, uint32_t row, const struct scree_session *session,
                struct scree_error *err)
{
    struct job *job = context;
    struct scree_oip_response *response = job->response;
    int rc = 0;

    for (uint32_t i = 0; rc >= 0 && i < response->n_outputs; i++) {
        struct scree_oip_output *output = &response->outputs[i];
        struct scree_tensor tensor;

        rc = scree_session_output(session, job->sinks[i].index, &tensor);
        if (rc >= 0)
            rc = take_output(job, output, &job->sinks[i], job->row + row, &tensor, err);
        if (output->data.failed)
            rc = scree_fail(err, ENOMEM, "no memory for the outputs");
        output->tensor.bytes = output->data.bytes;
        output->tensor.n = output->data.n;
    }
    return rc;
}

static void add_times(struct scree_times *sum, const struct scree_times *times, bool is_first)
{
    sum->ran = is_first || sum->ran == times->ran ? times->ran : SCREE_RAN_MIXED;
    sum->queue_ns += times->queue_ns;
    sum->decode_ns += times->decode_ns;
    sum->preprocess_ns += times->preprocess_ns;
    sum->compute_ns += times->compute_ns;
    sum->postprocess_ns += times->postprocess_ns;
}

static bool is_gone(const void *context)
{
    const struct scree_oip_request *request = ((const struct job *)context)->request;

    return request->is_gone && request->is_gone(request->context);
}

/* Runs the next n rows. */
static int run_rows(struct job *job, uint32_t n, struct scree_error *err)
{
    const struct scree_oip_request *request = job->request;
    const struct scree_tensor_ask ask = {
        .priority = request->priority,
        .deadline_ns = request->deadline_ns,
        .n_rows = n,
        .fill = fill,
        .take = take,
        .is_gone = is_gone,
        .context = job,
    };
    struct scree_times times = {0};
    int rc = prepare_pictures(job, n, &job->response->times, err);

    if (rc >= 0)
        rc = scree_served_run(job->served, &ask, &times, err);
    add_times(&job->response->times, &times, job->row == 0);
    return rc;
}

/* ---- the request ---- */

/* The one input of a request that is nothing but its bytes. */
static int name_raw_input(struct job *job, struct scree_oip_tensor *ret, struct scree_error *err)
{
    struct scree_tensor input;
    int rc;

    if (job->n_inputs != 1)
        return scree_fail(err, EINVAL, "raw data are for models of one input, this one has %u",
                          job->n_inputs);
    rc = scree_served_input(job->served, 0, &input);
    if (rc < 0 || type_of(input.type, &ret->type) < 0)
        return scree_fail(err, ENOTSUP, "the input's type cannot be sent");
    ret->name = input.name;
    set_shape(ret, &input);
    if (scree_served_batch(job->served) > 0 && input.bytes > 0 && ret->n % input.bytes == 0)
        ret->dims[0] = (int64_t)(ret->n / input.bytes);
    return 0;
}

static int run_job(struct job *job, struct scree_error *err)
{
    int rc = job->request->is_raw ? name_raw_input(job, &job->request->inputs[0], err) : 0;

    if (rc >= 0)
        rc = check_inputs(job, err);
    if (rc >= 0)
        rc = assign_outputs(job, err);
    while (rc >= 0 && job->row < job->n_rows) {
        uint32_t left = job->n_rows - job->row,
                 n = left < job->max_at_once ? left : job->max_at_once;

        rc = run_rows(job, n, err);
        job->row += n;
    }
    return rc;
}

static void free_pictures(struct job *job)
{
    for (uint32_t i = 0; i < job->n_inputs && i < SCREE_OIP_MAX_INPUTS; i++) {
        uint8_t **pictures = job->sources[i].pictures;

        for (uint32_t k = 0; pictures && k < job->n_rows; k++)
            free(pictures[k]);
        free(pictures);
    }
}

int scree_oip_infer(struct scree_server *server, struct scree_oip_request *request,
                    struct scree_oip_response *ret_response, struct scree_error *err)
{
    struct scree_oip_response *response = ret_response;
    struct job *job = calloc(1, sizeof *job);
    struct scree_served *served;
    int rc;

    if (!job)
        return scree_fail_memory(err, sizeof *job);
    rc = scree_repository_get(server->repository, request->model, request->version, &served, err);
    if (rc < 0) {
        free(job);
        return rc;
    }
    if (request->found)
        request->found(request->context, served);
    memset(response, 0, offsetof(struct scree_oip_response, outputs));
    response->times = (struct scree_times){0};
    response->served = served;
    response->id = request->id;
    *job = (struct job){
        .served = served,
        .request = request,
        .response = response,
        .model_rows = common_rows(served),
        .max_at_once = scree_served_batch(served) > 0 ? scree_served_batch(served) : 1,
        .n_inputs = scree_model_n_inputs(served->model),
    };
    rc = run_job(job, err);
    response->n_rows = job->n_rows;
    free_pictures(job);
    free(job);
    if (rc < 0)
        scree_oip_response_done(response);
    else
        scree_api_observe(server, served, &response->times);
    return rc;
}

uint64_t scree_oip_deadline(const struct scree_server *server,
                            const struct scree_oip_request *request, uint64_t start_ns)
{
    uint64_t ns = (uint64_t)server->options.deadline_ms * 1000000;

    if (request->timeout_ns != UINT64_MAX)
        ns = request->timeout_ns < MAX_TIMEOUT_NS ? request->timeout_ns : MAX_TIMEOUT_NS;
    return start_ns + ns;
}

void scree_oip_response_done(struct scree_oip_response *response)
{
    for (uint32_t i = 0; i < response->n_outputs; i++)
        scree_buffer_done(&response->outputs[i].data);
    scree_served_unref(response->served);
    response->n_outputs = 0;
    response->served = NULL;
}
