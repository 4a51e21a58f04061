#include "serve/oip_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define MAX_CLASSES 1000 /* scree_topk()'s */

/* Of the outputs of several rows, which a small picture each asks for. */
#define MAX_ROWS_BYTES ((size_t)64 << 20)

/* ---- rows in ---- */

static int prepare_row(struct scree_oip_job *job, struct scree_oip_source *source, uint32_t row,
                       struct scree_times *times, struct scree_error *err)
{
    const struct scree_oip_request *request = job->request;
    const uint8_t *at = source->tensor->bytes, *end = scree_oip_end(source->tensor), *element = at;
    size_t n = 0;

    for (uint32_t i = 0; i <= row; i++)
        (void)scree_oip_next_element(&at, end, &element, &n);
    return scree_served_prepare(job->served, request->priority, request->deadline_ns, element, n,
                                times, &source->pictures[row], err);
}

/* Makes inputs of the pictures of the next n rows. */
static int prepare_pictures(struct scree_oip_job *job, uint32_t n, struct scree_times *times,
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
    struct scree_oip_job *job = context;
    int rc = 0;

    (void)err;
    row += job->row;
    for (uint32_t i = 0; rc >= 0 && i < job->n_inputs; i++) {
        const struct scree_oip_source *source = &job->sources[i];
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

/* ---- rows out ---- */

/* The best classes of an output's row as elements of BYTES: "score:index:label". */
static int add_classes(struct scree_oip_job *job, struct scree_oip_output *output,
                       uint32_t n_classes, const struct scree_tensor *tensor,
                       struct scree_error *err)
{
    struct scree_class classes[MAX_CLASSES];
    int n = scree_topk(tensor, n_classes < MAX_CLASSES ? n_classes : MAX_CLASSES, classes, err);

    if (n < 0)
        return n;
    for (int i = 0; i < n; i++) {
        const char *label = scree_labels_get(job->served->labels, classes[i].class_id);
        char text[256], name[200];
        uint32_t length;

        (void)snprintf(text, sizeof text, "%f:%d%s%s", (double)classes[i].raw, classes[i].class_id,
                       label ? ":" : "", scree_text_copy(label ? label : "", name, sizeof name));
        length = (uint32_t)strlen(text);
        scree_buffer_add(&output->data, &length, sizeof length);
        scree_buffer_add(&output->data, text, length);
    }
    return n;
}

/* The output as text of classes: [k], and of a model with a batch [rows, k]. */
static int take_classes(struct scree_oip_job *job, struct scree_oip_output *output,
                        uint32_t n_classes, const struct scree_tensor *tensor,
                        struct scree_error *err)
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

static int take_output(struct scree_oip_job *job, struct scree_oip_output *output,
                       struct scree_oip_sink *sink, uint32_t row, const struct scree_tensor *tensor,
                       struct scree_error *err)
{
    if (tensor->shape.rank < 0 || (!tensor->data && tensor->bytes > 0))
        return scree_fail(err, EIO, "output %s has no data", tensor->name);
    if (sink->n_classes > 0)
        return take_classes(job, output, sink->n_classes, tensor, err);
    if (row == 0)
        sink->first = *tensor;
    else if (memcmp(&sink->first.shape, &tensor->shape, sizeof tensor->shape) != 0)
        return scree_fail(err, ENOTSUP, "output %s: rows of different shapes", tensor->name);
    scree_oip_set_shape(&output->tensor, tensor);
    if (job->n_rows > 1)
        output->tensor.dims[0] = job->n_rows;
    scree_buffer_add(&output->data, tensor->data, tensor->bytes);
    return 0;
}

/* After the first n_taken rows, n_bytes long, are all going to be too long? */
static int check_length(const struct scree_oip_job *job, uint32_t n_taken, size_t n_bytes,
                        struct scree_error *err)
{
    if (job->n_rows == 1 || n_bytes / n_taken <= MAX_ROWS_BYTES / job->n_rows)
        return 0;
    return scree_fail(err, E2BIG, "outputs of %zu bytes a row: at most %zu rows fit into an answer",
                      n_bytes / n_taken, MAX_ROWS_BYTES / (n_bytes / n_taken));
}

/* Reads a session's outputs after row `row` of those that run now. */
static int take(void *context, uint32_t row, const struct scree_session *session,
                struct scree_error *err)
{
    struct scree_oip_job *job = context;
    struct scree_oip_response *response = job->response;
    size_t n_bytes = 0;
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
        n_bytes += output->data.n;
    }
    return rc < 0 ? rc : check_length(job, job->row + row + 1, n_bytes, err);
}

/* ---- runs ---- */

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
    const struct scree_oip_request *request = ((const struct scree_oip_job *)context)->request;

    return request->is_gone && request->is_gone(request->context);
}

/* Runs the next n rows. */
static int run_rows(struct scree_oip_job *job, uint32_t n, struct scree_error *err)
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

static int run_job(struct scree_oip_job *job, struct scree_error *err)
{
    int rc = scree_oip_check(job, err);

    while (rc >= 0 && job->row < job->n_rows) {
        uint32_t left = job->n_rows - job->row,
                 n = left < job->max_at_once ? left : job->max_at_once;

        rc = run_rows(job, n, err);
        job->row += n;
    }
    return rc;
}

static void free_pictures(struct scree_oip_job *job)
{
    for (uint32_t i = 0; i < job->n_inputs && i < SCREE_OIP_MAX_INPUTS; i++) {
        uint8_t **pictures = job->sources[i].pictures;

        for (uint32_t k = 0; pictures && k < job->n_rows; k++)
            free(pictures[k]);
        free(pictures);
    }
}

/* A version that was found before may have been replaced since: it is not looked for again. */
static int find_model(const struct scree_server *server, const struct scree_oip_request *request,
                      struct scree_served **ret_served, struct scree_error *err)
{
    if (!request->served)
        return scree_repository_get(server->repository, request->model, request->version,
                                    ret_served, err);
    *ret_served = scree_served_ref(request->served);
    return 0;
}

static void set_deadline(struct scree_oip_request *request, const struct scree_served *served)
{
    uint64_t ns = request->timeout_ns != UINT64_MAX ? request->timeout_ns
                                                    : (uint64_t)served->deadline_ms * 1000000;

    if (request->start_ns + ns < request->deadline_ns)
        request->deadline_ns = request->start_ns + ns;
}

int scree_oip_infer(struct scree_server *server, struct scree_oip_request *request,
                    struct scree_oip_response *ret_response, struct scree_error *err)
{
    struct scree_oip_response *response = ret_response;
    struct scree_oip_job *job = calloc(1, sizeof *job);
    struct scree_served *served;
    int rc;

    if (!job)
        return scree_fail_memory(err, sizeof *job);
    rc = find_model(server, request, &served, err);
    if (rc < 0) {
        free(job);
        return rc;
    }
    if (request->found)
        request->found(request->context, served);
    set_deadline(request, served);
    memset(response, 0, offsetof(struct scree_oip_response, outputs));
    response->times = (struct scree_times){0};
    response->served = served;
    response->id = request->id;
    *job = (struct scree_oip_job){
        .served = served,
        .request = request,
        .response = response,
        .model_rows = scree_oip_common_rows(served),
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
