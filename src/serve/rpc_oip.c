/* The Open Inference Protocol and the health of gRPC, over gRPC. Numbers of fields are those of
 * Triton's grpc_service.proto and model_config.proto, and of grpc/doc/health-checking.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/pb.h"
#include "serve/oip.h"
#include "serve/rpc.h"

#define SERVICE      "/inference.GRPCInferenceService/"
#define SERVICE_NAME "inference.GRPCInferenceService"
#define MAX_NAME     128

static void fail(struct scree_server *server, struct scree_rpc_call *call, int rc,
                 const struct scree_error *err)
{
    scree_api_count_refusal(server, rc);
    scree_rpc_fail(call, scree_rpc_status(rc), err->text);
}

/* ---- what all of them read ---- */

/* Name and version of a model. */
struct which {
    char model[MAX_NAME], version[MAX_NAME];
};

/* A text into char[MAX_NAME]; what is longer is nobody's name. */
static bool copy_name(const struct scree_pb_field *field, char *to)
{
    if (field->wire != SCREE_PB_LEN || field->n >= MAX_NAME ||
        (field->n > 0 && memchr(field->bytes, 0, field->n)))
        return false;
    if (field->n > 0)
        memcpy(to, field->bytes, field->n);
    to[field->n] = 0;
    return true;
}

/* From the fields of these numbers; version 0: it has none. */
static bool read_which(struct scree_rpc_call *call, uint32_t model, uint32_t version,
                       struct which *ret)
{
    size_t n;
    const uint8_t *bytes = scree_rpc_message(call, &n);
    struct scree_pb_reader reader = {bytes, bytes + n};
    struct scree_pb_field field;
    bool is_good = true;
    int rc;

    *ret = (struct which){0};
    while ((rc = scree_pb_next(&reader, &field)) > 0)
        if (field.number == model || field.number == version)
            is_good &= copy_name(&field, field.number == model ? ret->model : ret->version);
    if (rc < 0 || !is_good)
        scree_rpc_fail(call, SCREE_GRPC_INVALID_ARGUMENT, "a message that is none");
    return rc >= 0 && is_good;
}

/* The model that a message names; NULL if the call has failed. */
static struct scree_served *find(struct scree_server *server, struct scree_rpc_call *call,
                                 const struct which *which)
{
    struct scree_served *served = NULL;
    struct scree_error err;
    int rc = scree_repository_get(server->repository, which->model, which->version, &served, &err);

    if (rc < 0)
        fail(server, call, rc, &err);
    else
        scree_rpc_set_model(call, served->name, served->version);
    return rc < 0 ? NULL : served;
}

static struct scree_served *read_model(struct scree_server *server, struct scree_rpc_call *call)
{
    struct which which;

    return read_which(call, 1, 2, &which) ? find(server, call, &which) : NULL;
}

/* ---- the server ---- */

static bool is_ready(struct scree_server *server)
{
    struct scree_served *served = NULL;

    if (server->stopping || scree_repository_get(server->repository, NULL, NULL, &served, NULL) < 0)
        return false;
    scree_served_unref(served);
    return true;
}

static void server_live(void *context, struct scree_rpc_call *call)
{
    (void)context;
    scree_pb_add_varint(scree_rpc_reply(call), 1, 1);
}

static void server_ready(void *context, struct scree_rpc_call *call)
{
    scree_pb_add_varint(scree_rpc_reply(call), 1, is_ready(context));
}

static void server_metadata(void *context, struct scree_rpc_call *call)
{
    struct scree_buffer *reply = scree_rpc_reply(call);

    (void)context;
    scree_pb_add_text(reply, 1, "scree");
    scree_pb_add_text(reply, 2, SCREE_VERSION);
    scree_pb_add_text(reply, 3, "classification");
    scree_pb_add_text(reply, 3, "model_configuration");
    scree_pb_add_text(reply, 3, "model_repository");
    scree_pb_add_text(reply, 3, "statistics");
}

/* ---- models ---- */

static void model_ready(void *context, struct scree_rpc_call *call)
{
    struct scree_server *server = context;
    struct scree_served *served = NULL;
    struct which which;

    if (!read_which(call, 1, 2, &which))
        return;
    (void)scree_repository_get(server->repository, which.model, which.version, &served, NULL);
    scree_pb_add_varint(scree_rpc_reply(call), 1, served != NULL);
    scree_served_unref(served);
}

static uint32_t n_tensors(const struct scree_served *served, bool is_input)
{
    return is_input ? scree_model_n_inputs(served->model) : scree_model_n_outputs(served->model);
}

static void add_dims(struct scree_buffer *reply, uint32_t number,
                     const struct scree_oip_description *about, uint32_t from)
{
    size_t dims = scree_pb_begin(reply, number);

    for (uint32_t i = from; i < about->rank; i++)
        scree_pb_put_varint(reply, (uint64_t)about->dims[i]);
    scree_pb_end(reply, dims);
}

/* What is told of a tensor. */
typedef void about_fn(struct scree_buffer *reply, const struct scree_oip_description *about,
                      bool is_input, bool has_batch);

/* Adds a field `number` for each input, or output. */
static void add_tensors(struct scree_buffer *reply, const struct scree_served *served,
                        bool is_input, uint32_t number, about_fn *tell, bool has_batch)
{
    struct scree_oip_description about;

    for (uint32_t i = 0; i < n_tensors(served, is_input); i++) {
        size_t tensor;

        if (scree_oip_describe(served, is_input, i, &about, NULL) < 0)
            continue;
        tensor = scree_pb_begin(reply, number);
        tell(reply, &about, is_input, has_batch);
        scree_pb_end(reply, tensor);
    }
}

/* TensorMetadata. */
static void tell_metadata(struct scree_buffer *reply, const struct scree_oip_description *about,
                          bool is_input, bool has_batch)
{
    (void)is_input, (void)has_batch;
    scree_pb_add_text(reply, 1, about->name);
    scree_pb_add_text(reply, 2, scree_oip_types[about->type].name);
    add_dims(reply, 3, about, 0);
}

struct versions {
    const char *name;
    struct scree_buffer *reply;
};

static void add_version(void *context, const struct scree_repository_entry *entry)
{
    struct versions *versions = context;

    if (entry->served && strcmp(entry->name, versions->name) == 0)
        scree_pb_add_text(versions->reply, 2, entry->version);
}

static void model_metadata(void *context, struct scree_rpc_call *call)
{
    struct scree_server *server = context;
    struct scree_served *served = read_model(server, call);
    struct scree_buffer *reply = scree_rpc_reply(call);
    struct versions versions;

    if (!served)
        return;
    versions = (struct versions){served->name, reply};
    scree_pb_add_text(reply, 1, served->name);
    scree_repository_visit(server->repository, add_version, &versions);
    scree_pb_add_text(reply, 3, "litert_tflite");
    add_tensors(reply, served, true, 4, tell_metadata, false);
    add_tensors(reply, served, false, 5, tell_metadata, false);
    scree_served_unref(served);
}

/* ModelInput and ModelOutput of model_config.proto. */
static void tell_config(struct scree_buffer *reply, const struct scree_oip_description *about,
                        bool is_input, bool has_batch)
{
    scree_pb_add_text(reply, 1, about->name);
    scree_pb_add_varint(reply, 2, scree_oip_types[about->type].config);
    if (is_input && has_batch && about->is_picture && about->rank == 4)
        scree_pb_add_varint(reply, 3, 1); /* FORMAT_NHWC */
    add_dims(reply, is_input ? 4 : 3, about, has_batch ? 1 : 0);
}

static void model_config(void *context, struct scree_rpc_call *call)
{
    struct scree_served *served = read_model(context, call);
    struct scree_buffer *reply = scree_rpc_reply(call);
    size_t config;
    int32_t batch;

    if (!served)
        return;
    batch = scree_oip_max_batch(served);
    config = scree_pb_begin(reply, 1);
    scree_pb_add_text(reply, 1, served->name);
    scree_pb_add_text(reply, 2, "litert_tflite");
    scree_pb_add_varint(reply, 4, (uint64_t)batch);
    add_tensors(reply, served, true, 5, tell_config, batch > 0);
    add_tensors(reply, served, false, 6, tell_config, batch > 0);
    scree_pb_add_text(reply, 8, "model.tflite");
    if (scree_served_batch(served) > 0) {
        size_t batching = scree_pb_begin(reply, 11);

        scree_pb_add_varint(reply, 1, scree_served_batch(served));
        scree_pb_add_varint(reply, 2, served->batch_delay_ns / 1000);
        scree_pb_end(reply, batching);
    }
    scree_pb_add_text(reply, 17, "scree");
    scree_pb_end(reply, config);
    scree_served_unref(served);
}

/* ---- statistics ---- */

static void add_duration(struct scree_buffer *reply, uint32_t number, uint64_t count, uint64_t ns)
{
    size_t duration = scree_pb_begin(reply, number);

    scree_pb_add_varint(reply, 1, count);
    scree_pb_add_varint(reply, 2, ns);
    scree_pb_end(reply, duration);
}

/* Of runs with so many rows, if there were any. */
static void add_batch(struct scree_buffer *reply, uint32_t rows,
                      const struct scree_batch_stats *stats)
{
    size_t batch;

    if (stats->n == 0)
        return;
    batch = scree_pb_begin(reply, 7);
    scree_pb_add_varint(reply, 1, rows);
    add_duration(reply, 2, stats->n, stats->input_ns);
    add_duration(reply, 3, stats->n, stats->compute_ns);
    add_duration(reply, 4, stats->n, stats->output_ns);
    scree_pb_end(reply, batch);
}

static void add_stats(struct scree_buffer *reply, struct scree_served *served)
{
    const struct scree_served_stats *stats = &served->stats;
    uint64_t n = stats->n_ok;
    size_t model = scree_pb_begin(reply, 1), inner;

    scree_pb_add_text(reply, 1, served->name);
    scree_pb_add_text(reply, 2, served->version);
    scree_pb_add_varint(reply, 3, stats->last_ms);
    scree_pb_add_varint(reply, 4, stats->n_rows);
    scree_pb_add_varint(reply, 5, stats->n_runs);
    inner = scree_pb_begin(reply, 6);
    add_duration(reply, 1, n, stats->ok_ns);
    add_duration(reply, 2, stats->n_failed, stats->failed_ns);
    add_duration(reply, 3, n, stats->queue_ns);
    add_duration(reply, 4, n, stats->decode_ns + stats->preprocess_ns);
    add_duration(reply, 5, n, stats->compute_ns);
    add_duration(reply, 6, n, stats->postprocess_ns);
    scree_pb_end(reply, inner);
    for (uint32_t rows = 1; rows <= SCREE_SERVED_MAX_BATCH; rows++)
        add_batch(reply, rows, &stats->batches[rows]);
    inner = scree_pb_begin(reply, 8);
    scree_pb_add_text(reply, 1, "CPU");
    scree_pb_add_varint(reply, 3, served->n_bytes);
    scree_pb_end(reply, inner);
    scree_pb_end(reply, model);
}

static void visit_stats(void *context, const struct scree_repository_entry *entry)
{
    if (entry->served)
        add_stats(context, entry->served);
}

static void model_statistics(void *context, struct scree_rpc_call *call)
{
    struct scree_server *server = context;
    struct scree_served *served;
    struct which which;

    if (!read_which(call, 1, 2, &which))
        return;
    if (!*which.model) {
        scree_repository_visit(server->repository, visit_stats, scree_rpc_reply(call));
        return;
    }
    served = find(server, call, &which);
    if (served)
        add_stats(scree_rpc_reply(call), served);
    scree_served_unref(served);
}

/* ---- the repository ---- */

struct index {
    struct scree_buffer *reply;
    bool ready_only;
};

static void add_entry(void *context, const struct scree_repository_entry *entry)
{
    const struct index *index = context;
    size_t model;

    if (index->ready_only && !entry->served)
        return;
    model = scree_pb_begin(index->reply, 1);
    scree_pb_add_text(index->reply, 1, entry->name);
    scree_pb_add_text(index->reply, 2, entry->version);
    scree_pb_add_text(index->reply, 3, entry->state);
    scree_pb_add_text(index->reply, 4, entry->reason);
    scree_pb_end(index->reply, model);
}

static void repository_index(void *context, struct scree_rpc_call *call)
{
    struct scree_server *server = context;
    size_t n;
    const uint8_t *bytes = scree_rpc_message(call, &n);
    struct scree_pb_reader reader = {bytes, bytes + n};
    struct index index = {scree_rpc_reply(call), false};
    struct scree_pb_field field;
    int rc;

    while ((rc = scree_pb_next(&reader, &field)) > 0)
        if (field.number == 2 && field.wire == SCREE_PB_VARINT)
            index.ready_only = field.value != 0;
    if (rc < 0)
        scree_rpc_fail(call, SCREE_GRPC_INVALID_ARGUMENT, "a message that is none");
    else
        scree_repository_visit(server->repository, add_entry, &index);
}

/* True if a RepositoryModelLoadRequest brings a model or its configuration. */
static bool wants_upload(struct scree_rpc_call *call)
{
    size_t n;
    const uint8_t *bytes = scree_rpc_message(call, &n);
    struct scree_pb_reader reader = {bytes, bytes + n};
    struct scree_pb_field field;

    while (scree_pb_next(&reader, &field) > 0)
        if (field.number == 3)
            return true;
    return false;
}

static void change(struct scree_server *server, struct scree_rpc_call *call,
                   int (*how)(struct scree_repository *, const char *, struct scree_error *))
{
    struct which which;
    struct scree_error err;
    int rc;

    if (!read_which(call, 2, 0, &which))
        return;
    rc = how(server->repository, which.model, &err);
    if (rc < 0)
        fail(server, call, rc, &err);
}

static void repository_load(void *context, struct scree_rpc_call *call)
{
    if (wants_upload(call))
        scree_rpc_fail(call, SCREE_GRPC_INVALID_ARGUMENT,
                       "a model's files and configuration come from the server's folder alone");
    else
        change(context, call, scree_repository_load);
}

static void repository_unload(void *context, struct scree_rpc_call *call)
{
    change(context, call, scree_repository_unload);
}

/* ---- inference ---- */

static bool is_gone(const void *context)
{
    return scree_rpc_is_gone(context);
}

static void note_model(void *context, const struct scree_served *served)
{
    scree_rpc_set_model(context, served->name, served->version);
}

/* Answers a ModelInferRequest with the fields of a ModelInferResponse in `reply`. */
static int infer(struct scree_server *server, struct scree_rpc_call *call,
                 struct scree_oip_request *request, struct scree_oip_response *response,
                 struct scree_buffer *reply, struct scree_error *err)
{
    size_t n;
    const uint8_t *bytes = scree_rpc_message(call, &n);
    int rc = scree_oip_read_pb(request, bytes, n, err);

    request->start_ns = scree_rpc_start_ns(call);
    request->deadline_ns = scree_rpc_deadline_ns(call);
    request->is_gone = is_gone;
    request->found = note_model;
    request->context = call;
    if (rc >= 0)
        rc = scree_oip_infer(server, request, response, err);
    if (rc < 0)
        return rc;
    scree_oip_write_pb(response, reply);
    scree_oip_response_done(response);
    return 0;
}

/* The same with what it takes. */
static int infer_with_memory(struct scree_server *server, struct scree_rpc_call *call,
                             struct scree_buffer *reply, struct scree_error *err)
{
    struct scree_oip_request *request = malloc(sizeof *request);
    struct scree_oip_response *response = malloc(sizeof *response);
    size_t n;
    int rc = request && response ? 0 : scree_fail_memory(err, sizeof *request + sizeof *response);

    (void)scree_rpc_message(call, &n);
    if (rc >= 0) {
        scree_oip_request_init(request, n);
        rc = infer(server, call, request, response, reply, err);
        scree_oip_request_done(request);
    }
    free(request);
    free(response);
    return rc;
}

static void model_infer(void *context, struct scree_rpc_call *call)
{
    struct scree_error err;
    int rc = infer_with_memory(context, call, scree_rpc_reply(call), &err);

    if (rc < 0)
        fail(context, call, rc, &err);
}

/* A stream goes on after a message that failed: the answer has its text. */
static void model_stream_infer(void *context, struct scree_rpc_call *call)
{
    struct scree_buffer *reply = scree_rpc_reply(call);
    size_t answer = scree_pb_begin(reply, 2);
    struct scree_error err;
    int rc = infer_with_memory(context, call, reply, &err);

    scree_pb_end(reply, answer);
    if (rc >= 0)
        return;
    scree_api_count_refusal(context, rc);
    scree_buffer_done(reply);
    scree_pb_add_text(reply, 1, err.text);
}

/* ---- health ---- */

enum health {
    HEALTH_SERVING = 1,
    HEALTH_NOT_SERVING = 2,
    HEALTH_SERVICE_UNKNOWN = 3,
};

/* The health of the server, of its service, or of a model by its name. */
static enum health find_health(struct scree_server *server, const char *service)
{
    struct scree_served *served = NULL;
    int rc;

    if (!*service || strcmp(service, SERVICE_NAME) == 0)
        return is_ready(server) ? HEALTH_SERVING : HEALTH_NOT_SERVING;
    rc = scree_repository_get(server->repository, service, NULL, &served, NULL);
    if (rc >= 0)
        scree_served_unref(served);
    return rc >= 0 ? HEALTH_SERVING : rc == -ENOENT ? HEALTH_SERVICE_UNKNOWN : HEALTH_NOT_SERVING;
}

static void health_check(void *context, struct scree_rpc_call *call)
{
    struct which which;
    enum health health;

    if (!read_which(call, 1, 0, &which))
        return;
    health = find_health(context, which.model);
    if (health == HEALTH_SERVICE_UNKNOWN)
        scree_rpc_fail(call, SCREE_GRPC_NOT_FOUND, "there is no such service");
    else
        scree_pb_add_varint(scree_rpc_reply(call), 1, health);
}

static void health_watch(void *context, struct scree_rpc_call *call)
{
    struct which which;

    if (read_which(call, 1, 0, &which))
        scree_pb_add_varint(scree_rpc_reply(call), 1, find_health(context, which.model));
}

const struct scree_rpc_method scree_rpc_methods[] = {
    {SERVICE "ServerLive", SCREE_RPC_QUICK | SCREE_RPC_OPEN, server_live},
    {SERVICE "ServerReady", SCREE_RPC_QUICK | SCREE_RPC_OPEN, server_ready},
    {SERVICE "ServerMetadata", SCREE_RPC_QUICK, server_metadata},
    {SERVICE "ModelReady", SCREE_RPC_QUICK, model_ready},
    {SERVICE "ModelMetadata", SCREE_RPC_QUICK, model_metadata},
    {SERVICE "ModelConfig", SCREE_RPC_QUICK, model_config},
    {SERVICE "ModelStatistics", SCREE_RPC_QUICK, model_statistics},
    {SERVICE "ModelInfer", 0, model_infer},
    {SERVICE "ModelStreamInfer", SCREE_RPC_STREAM, model_stream_infer},
    {SERVICE "RepositoryIndex", SCREE_RPC_QUICK, repository_index},
    {SERVICE "RepositoryModelLoad", SCREE_RPC_ADMIN, repository_load},
    {SERVICE "RepositoryModelUnload", SCREE_RPC_ADMIN, repository_unload},
    {"/grpc.health.v1.Health/Check", SCREE_RPC_QUICK | SCREE_RPC_OPEN, health_check},
    {"/grpc.health.v1.Health/Watch", SCREE_RPC_QUICK | SCREE_RPC_OPEN | SCREE_RPC_WATCH,
     health_watch},
    {0},
};
