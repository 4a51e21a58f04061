/* The Open Inference Protocol over REST: health, models, inference, repository. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/inflate.h"
#include "serve/oip.h"
#include "serve/openapi.h"

#define MAX_ANSWER_BYTES ((size_t)256 << 20)

/* ---- the server ---- */

void scree_api_oip_server(void *context, struct scree_request *request)
{
    (void)context;
    scree_api_json(request, 200,
                   json_pack("{s:s, s:s, s:[s, s, s, s, s]}", "name", "scree", "version",
                             SCREE_VERSION, "extensions", "binary_tensor_data", "classification",
                             "model_configuration", "model_repository", "statistics"));
}

void scree_api_openapi(void *context, struct scree_request *request)
{
    (void)context;
    scree_reply_static(request, 200, "application/json", scree_openapi, scree_openapi_bytes);
}

/* ---- models ---- */

/* The model that the path names, and its version if it does. */
static int find(struct scree_server *server, const struct scree_request *request,
                struct scree_served **ret_served, struct scree_error *err)
{
    return scree_repository_get(server->repository, scree_request_part(request, 0),
                                scree_request_part(request, 1), ret_served, err);
}

static json_t *tensor_json(const struct scree_oip_description *about)
{
    json_t *shape = json_array();

    for (uint32_t i = 0; i < about->rank; i++)
        json_array_append_new(shape, json_integer(about->dims[i]));
    return json_pack("{s:s, s:s, s:o}", "name", about->name, "datatype",
                     scree_oip_types[about->type].name, "shape", shape);
}

/* All inputs or outputs; those of a type that cannot be sent are left out. */
static json_t *tensors_json(const struct scree_served *served, bool is_input,
                            json_t *(*make)(const struct scree_oip_description *))
{
    uint32_t n = is_input ? scree_model_n_inputs(served->model)
                          : scree_model_n_outputs(served->model);
    json_t *list = json_array();

    for (uint32_t i = 0; i < n; i++) {
        struct scree_oip_description about;

        if (scree_oip_describe(served, is_input, i, &about, NULL) >= 0)
            json_array_append_new(list, make(&about));
    }
    return list;
}

struct versions {
    const char *name;
    json_t *list;
};

static void add_version(void *context, const struct scree_repository_entry *entry)
{
    struct versions *versions = context;

    if (entry->served && strcmp(entry->name, versions->name) == 0)
        json_array_append_new(versions->list, json_string(entry->version));
}

void scree_api_oip_model(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served;
    struct versions versions;
    struct scree_error err;
    int rc = find(server, request, &served, &err);

    if (rc < 0) {
        scree_api_fail(server, request, rc, &err);
        return;
    }
    versions = (struct versions){served->name, json_array()};
    scree_repository_visit(server->repository, add_version, &versions);
    scree_api_json(request, 200,
                   json_pack("{s:s, s:o, s:s, s:o, s:o, s:{s:s}}", "name", served->name, "versions",
                             versions.list, "platform", "litert_tflite", "inputs",
                             tensors_json(served, true, tensor_json), "outputs",
                             tensors_json(served, false, tensor_json), "properties", "task",
                             scree_task_name(served->task)));
    scree_served_unref(served);
}

void scree_api_oip_model_ready(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served;
    struct scree_error err;
    int rc = find(server, request, &served, &err);

    if (rc < 0) {
        scree_api_fail(server, request, rc, &err);
        return;
    }
    scree_api_json(request, 200, json_pack("{s:s, s:b}", "name", served->name, "ready", 1));
    scree_served_unref(served);
}

/* A tensor as Triton's configuration has it: the batch is not one of its dimensions. */
static json_t *config_json(const struct scree_oip_description *about, bool has_batch,
                           const char *format)
{
    json_t *dims = json_array(), *json;

    for (uint32_t i = has_batch ? 1 : 0; i < about->rank; i++)
        json_array_append_new(dims, json_integer(about->dims[i]));
    json = json_pack("{s:s, s:s, s:o}", "name", about->name, "data_type",
                     scree_oip_types[about->type].config_name, "dims", dims);
    if (format)
        json_object_set_new(json, "format", json_string(format));
    return json;
}

static const char *format_of(const struct scree_oip_description *about)
{
    return about->is_picture && about->rank == 4 ? "FORMAT_NHWC" : "FORMAT_NONE";
}

static json_t *batched_input(const struct scree_oip_description *about)
{
    return config_json(about, true, format_of(about));
}

static json_t *whole_input(const struct scree_oip_description *about)
{
    return config_json(about, false, "FORMAT_NONE");
}

static json_t *batched_output(const struct scree_oip_description *about)
{
    return config_json(about, true, NULL);
}

static json_t *whole_output(const struct scree_oip_description *about)
{
    return config_json(about, false, NULL);
}

void scree_api_oip_config(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served;
    struct scree_error err;
    int rc = find(server, request, &served, &err);
    json_t *config;
    int32_t batch;

    if (rc < 0) {
        scree_api_fail(server, request, rc, &err);
        return;
    }
    batch = scree_oip_max_batch(served);
    config = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:[{s:s, s:s, s:i}]}", "name", served->name,
        "platform", "litert_tflite", "backend", "scree", "default_model_filename", "model.tflite",
        "max_batch_size", batch, "input",
        tensors_json(served, true, batch > 0 ? batched_input : whole_input), "output",
        tensors_json(served, false, batch > 0 ? batched_output : whole_output), "instance_group",
        "name", served->name, "kind", served->ran == SCREE_RAN_CPU ? "KIND_CPU" : "KIND_MODEL",
        "count", (int)served->n_instances);
    if (scree_served_batch(served) > 0)
        json_object_set_new(
            config, "dynamic_batching",
            json_pack("{s:[i], s:I}", "preferred_batch_size", (int)scree_served_batch(served),
                      "max_queue_delay_microseconds", (json_int_t)(served->batch_delay_ns / 1000)));
    scree_api_json(request, 200, config);
    scree_served_unref(served);
}

/* ---- statistics ---- */

static json_t *duration_json(uint64_t count, uint64_t ns)
{
    return json_pack("{s:I, s:I}", "count", (json_int_t)count, "ns", (json_int_t)ns);
}

/* Of runs, by the rows that they had. */
static json_t *batches_json(const struct scree_served *served)
{
    json_t *list = json_array();

    for (int rows = 1; rows <= SCREE_SERVED_MAX_BATCH; rows++) {
        const struct scree_batch_stats *stats = &served->stats.batches[rows];
        uint64_t n = stats->n;

        if (n > 0)
            json_array_append_new(list,
                                  json_pack("{s:i, s:o, s:o, s:o}", "batch_size", rows,
                                            "compute_input", duration_json(n, stats->input_ns),
                                            "compute_infer", duration_json(n, stats->compute_ns),
                                            "compute_output", duration_json(n, stats->output_ns)));
    }
    return list;
}

static json_t *stats_json(struct scree_served *served)
{
    const struct scree_served_stats *stats = &served->stats;
    uint64_t n = stats->n_ok, input_ns = stats->decode_ns + stats->preprocess_ns;

    return json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}, s:{}, s:o, "
        "s:[{s:s, s:i, s:I}]}",
        "name", served->name, "version", served->version, "last_inference",
        (json_int_t)stats->last_ms, "inference_count", (json_int_t)stats->n_rows, "execution_count",
        (json_int_t)stats->n_runs, "inference_stats", "success", duration_json(n, stats->ok_ns),
        "fail", duration_json(stats->n_failed, stats->failed_ns), "queue",
        duration_json(n, stats->queue_ns), "compute_input", duration_json(n, input_ns),
        "compute_infer", duration_json(n, stats->compute_ns), "compute_output",
        duration_json(n, stats->postprocess_ns), "cache_hit", duration_json(0, 0), "cache_miss",
        duration_json(0, 0), "response_stats", "batch_stats", batches_json(served), "memory_usage",
        "type", "CPU", "id", 0, "byte_size", (json_int_t)served->n_bytes);
}

static void add_stats(void *context, const struct scree_repository_entry *entry)
{
    if (entry->served)
        json_array_append_new(context, stats_json(entry->served));
}

void scree_api_oip_stats(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served;
    struct scree_error err;
    json_t *list = json_array();

    if (*scree_request_part(request, 0)) {
        int rc = find(server, request, &served, &err);

        if (rc < 0) {
            json_decref(list);
            scree_api_fail(server, request, rc, &err);
            return;
        }
        json_array_append_new(list, stats_json(served));
        scree_served_unref(served);
    } else {
        scree_repository_visit(server->repository, add_stats, list);
    }
    scree_api_json(request, 200, json_pack("{s:o}", "model_stats", list));
}

/* ---- inference ---- */

void scree_api_oip_admit(void *context, struct scree_request *request)
{
    const char *encoding = scree_request_header(request, "content-encoding");

    if (encoding && strcmp(encoding, "identity") != 0 && !scree_inflate_knows(encoding)) {
        scree_api_json(request, 415,
                       json_pack("{s:s}", "error", "the Content-Encoding is gzip or deflate"));
        return;
    }
    scree_api_admit_model(context, request, scree_request_part(request, 0),
                          scree_request_part(request, 1));
}

static bool is_gone(const void *context)
{
    return scree_request_is_gone(context);
}

static void note_model(void *context, const struct scree_served *served)
{
    scree_request_set_model(context, served->name, served->version);
}

/* The length of the JSON before binary data; SIZE_MAX if there are none. */
static int read_json_length(const struct scree_request *request, size_t *ret,
                            struct scree_error *err)
{
    const char *text = scree_request_header(request, "inference-header-content-length");
    unsigned long long n;
    char *end;

    *ret = SIZE_MAX;
    if (!text)
        return 0;
    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno || end == text || *end || *text < '0' || *text > '9' || n > SIZE_MAX / 2)
        return scree_fail(err, EINVAL, "Inference-Header-Content-Length is a number of bytes");
    *ret = (size_t)n;
    return 0;
}

static void reply(struct scree_server *server, struct scree_request *request,
                  const struct scree_oip_response *response)
{
    struct scree_buffer body = {.limit = MAX_ANSWER_BYTES};
    const char *type = "application/json";
    size_t n_json = 0;
    char text[24];

    scree_oip_write_json(response, &body, &n_json);
    if (n_json != body.n) {
        type = "application/octet-stream";
        (void)snprintf(text, sizeof text, "%zu", n_json);
        scree_request_add_header(request, "Inference-Header-Content-Length", text);
    }
    scree_api_add_headers(server, request, response->served, &response->times);
    scree_reply(request, 200, type, &body);
}

/* body u8[n] is as it was before it was compressed. */
static int infer(struct scree_server *server, struct scree_request *request, const uint8_t *body,
                 size_t n, struct scree_oip_request *oip, struct scree_error *err)
{
    struct scree_oip_response *response = malloc(sizeof *response);
    size_t n_json = 0;
    int rc = response ? read_json_length(request, &n_json, err)
                      : scree_fail_memory(err, sizeof *response);

    oip->max_depth = scree_request_limits(request)->max_json_depth;
    oip->model = scree_request_part(request, 0);
    oip->version = scree_request_part(request, 1);
    if (rc >= 0)
        rc = scree_oip_read_json(oip, body, n, n_json, err);
    oip->start_ns = scree_request_start_ns(request);
    oip->is_gone = is_gone;
    oip->found = note_model;
    oip->context = request;
    if (rc >= 0)
        rc = scree_oip_infer(server, oip, response, err);
    if (rc >= 0) {
        reply(server, request, response);
        scree_oip_response_done(response);
    }
    free(response);
    return rc;
}

int scree_oip_body(const struct scree_server *server, const struct scree_request *request,
                   struct scree_buffer *inflated, const uint8_t **ret_body, size_t *ret_n,
                   struct scree_error *err)
{
    const char *encoding = scree_request_header(request, "content-encoding");
    size_t n = 0;
    const uint8_t *body = scree_request_body(request, &n);
    int rc;

    *inflated = (struct scree_buffer){
        .limit = scree_inflate_bound(n, (uint32_t)server->options.max_inflation,
                                     server->options.max_body)};
    if (encoding && scree_inflate_knows(encoding)) {
        rc = scree_inflate(body, n, inflated, err);
        if (rc < 0)
            return rc;
        n = inflated->n;
        body = n > 0 ? inflated->bytes : body;
    }
    *ret_body = body;
    *ret_n = n;
    return 0;
}

void scree_api_oip_infer(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_oip_request *oip = malloc(sizeof *oip);
    struct scree_buffer inflated = {0};
    const uint8_t *body = NULL;
    struct scree_error err;
    size_t n = 0;
    int rc = oip ? scree_oip_body(server, request, &inflated, &body, &n, &err)
                 : scree_fail_memory(&err, sizeof *oip);

    if (rc >= 0) {
        scree_oip_request_init(oip, n);
        rc = infer(server, request, body, n, oip, &err);
        scree_oip_request_done(oip);
    }
    if (rc < 0)
        scree_api_fail(server, request, rc, &err);
    scree_buffer_done(&inflated);
    free(oip);
}

/* ---- the repository ---- */

struct index {
    bool ready_only;
    json_t *list;
};

static void add_entry(void *context, const struct scree_repository_entry *entry)
{
    struct index *index = context;

    if (!index->ready_only || entry->served)
        json_array_append_new(index->list, json_pack("{s:s, s:s, s:s, s:s}", "name", entry->name,
                                                     "version", entry->version, "state",
                                                     entry->state, "reason", entry->reason));
}

/* The object that is the body of a request; an empty one for no body. NULL if it is none. */
static json_t *body_json(const struct scree_request *request)
{
    size_t n = 0;
    const char *body = (const char *)scree_request_body(request, &n);
    json_t *json = n == 0 ? json_object()
                          : scree_api_load(scree_request_limits(request)->max_json_depth, body, n);

    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

static void refuse(struct scree_server *server, struct scree_request *request, const char *text)
{
    struct scree_error err;
    int rc = scree_fail(&err, EINVAL, "%s", text);

    scree_api_fail(server, request, rc, &err);
}

void scree_api_oip_index(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    json_t *body = body_json(request);
    struct index index;

    if (!body) {
        refuse(server, request, "the body is a JSON object, or empty");
        return;
    }
    index = (struct index){json_is_true(json_object_get(body, "ready")), json_array()};
    json_decref(body);
    scree_repository_visit(server->repository, add_entry, &index);
    scree_api_json(request, 200, index.list);
}

/* Models come from the folder that the server was given, never from a request. */
static bool wants_upload(const json_t *body)
{
    const char *key;
    json_t *value;

    json_object_foreach(json_object_get(body, "parameters"), key,
                        value) if (strcmp(key, "config") == 0 ||
                                   strncmp(key, "file:", 5) == 0) return true;
    return false;
}

void scree_api_oip_load(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    json_t *body = body_json(request);
    struct scree_error err;
    int rc;

    if (!body || wants_upload(body)) {
        refuse(server, request,
               body ? "a model's files and configuration come from the server's folder alone"
                    : "the body is a JSON object, or empty");
        json_decref(body);
        return;
    }
    json_decref(body);
    rc = scree_repository_load(server->repository, scree_request_part(request, 0), &err);
    if (rc < 0)
        scree_api_fail(server, request, rc, &err);
    else
        scree_reply(request, 200, "application/json", NULL);
}

void scree_api_oip_unload(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_error err;
    int rc = scree_repository_unload(server->repository, scree_request_part(request, 0), &err);

    if (rc < 0)
        scree_api_fail(server, request, rc, &err);
    else
        scree_reply(request, 200, "application/json", NULL);
}
