/* The REST API of TensorFlow Serving, version 1: status, metadata, predict.
 *
 * Source: tensorflow.org/tfx/serving/api_rest. A model has one signature, serving_default. */
#include <stdlib.h>
#include <string.h>

#include "net/base64.h"
#include "serve/oip.h"

#define MAX_ANSWER_BYTES ((size_t)256 << 20)
#define SIGNATURE        "serving_default"

/* ---- status and metadata ---- */

struct status {
    const char *name, *version;
    json_t *list;
};

static void add_status(void *context, const struct scree_repository_entry *entry)
{
    const struct status *status = context;

    if (strcmp(entry->name, status->name) != 0 ||
        (*status->version && strcmp(entry->version, status->version) != 0))
        return;
    json_array_append_new(status->list,
                          json_pack("{s:s, s:s, s:{s:s, s:s}}", "version", entry->version, "state",
                                    entry->served ? "AVAILABLE" : "END", "status", "error_code",
                                    entry->served ? "OK" : "UNAVAILABLE", "error_message",
                                    entry->reason));
}

void scree_api_tfs_status(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct status status = {scree_request_part(request, 0), scree_request_part(request, 1),
                            json_array()};
    struct scree_error err;

    scree_repository_visit(server->repository, add_status, &status);
    if (json_array_size(status.list) > 0) {
        scree_api_json(request, 200, json_pack("{s:o}", "model_version_status", status.list));
        return;
    }
    json_decref(status.list);
    scree_api_fail(server, request, scree_fail(&err, ENOENT, "there is no such model"), &err);
}

/* The name that TensorFlow has for a datatype. */
static const char *dtype_of(enum scree_oip_type type)
{
    static const char *const names[SCREE_OIP_N_TYPES] = {
        "DT_BOOL",  "DT_UINT8", "DT_UINT16", "DT_UINT32", "DT_UINT64", "DT_INT8",     "DT_INT16",
        "DT_INT32", "DT_INT64", "DT_HALF",   "DT_FLOAT",  "DT_DOUBLE", "DT_BFLOAT16", "DT_STRING",
    };

    return names[type];
}

static json_t *tensors_json(const struct scree_served *served, bool is_input)
{
    uint32_t n = is_input ? scree_model_n_inputs(served->model)
                          : scree_model_n_outputs(served->model);
    json_t *tensors = json_object();

    for (uint32_t i = 0; i < n; i++) {
        struct scree_oip_description about;
        json_t *dims = json_array();

        if (scree_oip_describe(served, is_input, i, &about, NULL) < 0) {
            json_decref(dims);
            continue;
        }
        for (uint32_t k = 0; k < about.rank; k++)
            json_array_append_new(dims, json_pack("{s:o, s:s}", "size",
                                                  json_sprintf("%lld", (long long)about.dims[k]),
                                                  "name", ""));
        json_object_set_new(tensors, about.name,
                            json_pack("{s:s, s:s, s:{s:o, s:b}}", "name", about.name, "dtype",
                                      dtype_of(about.type), "tensor_shape", "dim", dims,
                                      "unknown_rank", 0));
    }
    return tensors;
}

void scree_api_tfs_metadata(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_served *served;
    struct scree_error err;
    int rc = scree_repository_get(server->repository, scree_request_part(request, 0),
                                  scree_request_part(request, 1), &served, &err);

    if (rc < 0) {
        scree_api_fail(server, request, rc, &err);
        return;
    }
    scree_api_json(request, 200,
                   json_pack("{s:{s:s, s:s, s:s}, s:{s:{s:{s:{s:o, s:o, s:s}}}}}", "model_spec",
                             "name", served->name, "signature_name", "", "version", served->version,
                             "metadata", "signature_def", "signature_def", SIGNATURE, "inputs",
                             tensors_json(served, true), "outputs", tensors_json(served, false),
                             "method_name", "tensorflow/serving/predict"));
    scree_served_unref(served);
}

/* ---- predict: reading ---- */

/* A request, whose inputs are either rows ("instances") or columns ("inputs"). */
struct predict {
    struct scree_oip_request *oip;
    const struct scree_served *served;
    struct scree_json value;
    bool is_rows;
};

static int mistake(int rc, const char *what, struct scree_error *err)
{
    return scree_wrap(err, rc == -ENOMEM ? rc : -EINVAL, "%s", what);
}

/* Finds "instances" or "inputs" in the body. */
static int read_body(struct predict *predict, const uint8_t *body, size_t n,
                     struct scree_error *err)
{
    struct scree_json root, key, value;
    struct scree_json_walk walk;
    bool found = false;
    int rc = scree_json_open_within(body, n, predict->oip->max_depth, &root, err);

    if (rc >= 0)
        rc = scree_json_walk(&root, SCREE_JSON_OBJECT, &walk, err);
    while (rc >= 0 && (rc = scree_json_next(&walk, &key, &value, err)) > 0) {
        if (scree_json_is(&key, "signature_name") && !scree_json_is(&value, SIGNATURE) &&
            !scree_json_is(&value, ""))
            return scree_fail(err, EINVAL, "the one signature is " SIGNATURE);
        if (!scree_json_is(&key, "instances") && !scree_json_is(&key, "inputs"))
            continue;
        if (found)
            return scree_fail(err, EINVAL, "either \"instances\" or \"inputs\", once");
        found = true;
        predict->value = value;
        predict->is_rows = scree_json_is(&key, "instances");
    }
    if (rc < 0)
        return mistake(rc, "the body", err);
    return found ? 0 : scree_fail(err, EINVAL, "neither \"instances\" nor \"inputs\" is there");
}

/* The value of a name in an object. Returns 1, 0 if it has none, or a negative errno. */
static int find_member(const struct scree_json *object, const char *name, struct scree_json *ret,
                       struct scree_error *err)
{
    struct scree_json_walk walk;
    struct scree_json key;
    int rc = scree_json_walk(object, SCREE_JSON_OBJECT, &walk, err);

    while (rc >= 0 && (rc = scree_json_next(&walk, &key, ret, err)) > 0)
        if (scree_json_is(&key, name))
            return 1;
    return rc;
}

/* {"b64": "..."}, as an element of BYTES at `to`. */
static int read_base64(const struct scree_json *object, uint8_t *to, size_t *ret_n,
                       struct scree_error *err)
{
    char *text = (char *)to + sizeof(uint32_t);
    struct scree_json string;
    uint32_t length;
    ssize_t n = find_member(object, "b64", &string, err);

    if (n == 0)
        return scree_fail(err, EINVAL, "bytes are {\"b64\": \"...\"}");
    if (n > 0)
        n = scree_json_text(&string, text, err);
    if (n < 0)
        return mistake((int)n, "bytes", err);
    n = scree_base64_decode(text, (size_t)n, (uint8_t *)text);
    if (n < 0)
        return scree_fail(err, EINVAL, "bytes are not in base64");
    length = (uint32_t)n;
    memcpy(to, &length, sizeof length);
    *ret_n = sizeof length + (size_t)n;
    return 0;
}

/* The value of an input in a row, which is it, or an object that has it under its name. */
static int row_value(const struct scree_json *row, const char *name, struct scree_json *ret,
                     struct scree_error *err)
{
    struct scree_json b64;
    int rc;

    *ret = *row;
    if (row->kind != SCREE_JSON_OBJECT)
        return 0;
    rc = find_member(row, "b64", &b64, err);
    if (rc != 0)
        return rc < 0 ? mistake(rc, "a row", err) : 0;
    rc = find_member(row, name, ret, err);
    if (rc < 0)
        return mistake(rc, "a row", err);
    return rc > 0 ? 0 : scree_fail(err, EINVAL, "a row lacks input %s", name);
}

/* Adds a row of an input to its tensor, whose memory has room for the text. */
static int add_row(struct scree_oip_tensor *tensor, uint8_t *bytes, size_t n_room,
                   const struct scree_json *value, struct scree_error *err)
{
    const struct scree_oip_type_info *type = &scree_oip_types[tensor->type];
    size_t n = 0, n_bytes = 0;
    int rc;

    if (tensor->type == SCREE_OIP_BYTES) {
        rc = read_base64(value, bytes + tensor->n, &n_bytes, err);
        tensor->n += rc < 0 ? 0 : n_bytes;
        return rc;
    }
    rc = scree_oip_count(tensor->dims + 1, tensor->rank - 1, &n, err);
    if (rc < 0)
        return rc;
    if (type->json < 0 || n > value->n || n * type->n_bytes > n_room - tensor->n)
        return scree_fail(err, EINVAL, "input %s: a row has %zu numbers", tensor->name, n);
    if (tensor->rank == 1) {
        /* A row of one dimension less is a number. */
        struct scree_json array = {SCREE_JSON_ARRAY, value->text - 1, value->n + 2};
        char text[66];

        if (value->n > sizeof text - 2 || value->kind != SCREE_JSON_NUMBER)
            return scree_fail(err, EINVAL, "input %s: a row is a number", tensor->name);
        text[0] = '[';
        memcpy(text + 1, value->text, value->n);
        text[1 + value->n] = ']';
        array.text = text;
        rc = scree_json_numbers(&array, (enum scree_json_number)type->json, tensor->dims + 1, 0, 1,
                                true, bytes + tensor->n, err);
    } else {
        rc = scree_json_numbers(value, (enum scree_json_number)type->json, tensor->dims + 1,
                                tensor->rank - 1, n, true, bytes + tensor->n, err);
    }
    tensor->n += n * type->n_bytes;
    return rc < 0 ? mistake(rc, tensor->name, err) : 0;
}

/* Reads an input from the rows of `rows`, by its name in them if `is_named`. */
static int read_rows(struct predict *predict, struct scree_oip_tensor *tensor,
                     const struct scree_json *rows, bool is_named, struct scree_error *err)
{
    struct scree_json_walk walk;
    struct scree_json row, value;
    /* "0," becomes a number, {"b64":""} four bytes. */
    size_t n_room = (rows->n / 2 + 1) * scree_oip_types[tensor->type].n_bytes + rows->n;
    uint8_t *bytes = scree_arena_calloc(&predict->oip->arena, n_room, 1);
    int rc = bytes ? scree_json_walk(rows, SCREE_JSON_ARRAY, &walk, err)
                   : scree_fail_memory(err, n_room);

    tensor->dims[0] = 0;
    while (rc >= 0 && (rc = scree_json_next(&walk, NULL, &row, err)) > 0) {
        value = row;
        rc = is_named ? row_value(&row, tensor->name, &value, err) : 0;
        if (rc >= 0 && tensor->dims[0] == 0 && value.kind == SCREE_JSON_OBJECT) {
            tensor->type = SCREE_OIP_BYTES;
            tensor->rank = 1;
        }
        if (rc >= 0)
            rc = add_row(tensor, bytes, n_room, &value, err);
        if (rc < 0)
            return rc;
        tensor->dims[0]++;
    }
    tensor->bytes = bytes;
    return rc < 0 ? mistake(rc, tensor->name, err) : 0;
}

/* One input of the model from the request. */
static int read_input(struct predict *predict, uint32_t index, struct scree_error *err)
{
    bool is_only = scree_model_n_inputs(predict->served->model) == 1;
    struct scree_oip_description about;
    struct scree_oip_tensor *tensor;
    struct scree_json column = predict->value;
    struct scree_tensor planned;
    int rc = scree_oip_describe(predict->served, true, index, &about, err);

    if (rc >= 0)
        rc = scree_served_input(predict->served, index, &planned);
    if (rc >= 0)
        rc = scree_oip_add_input(predict->oip, &tensor, err);
    if (rc < 0)
        return rc;
    tensor->name = about.name;
    tensor->type = about.type;
    tensor->rank = planned.shape.rank > 0 ? (uint32_t)planned.shape.rank : 0;
    if (tensor->rank == 0)
        return scree_fail(err, ENOTSUP, "input %s has no rows", about.name);
    for (uint32_t i = 0; i < tensor->rank; i++)
        tensor->dims[i] = planned.shape.dims[i];
    if (predict->is_rows)
        return read_rows(predict, tensor, &predict->value, true, err);
    if (column.kind == SCREE_JSON_OBJECT) {
        rc = find_member(&predict->value, about.name, &column, err);
        if (rc <= 0)
            return rc < 0 ? mistake(rc, "\"inputs\"", err)
                          : scree_fail(err, EINVAL, "\"inputs\" lacks %s", about.name);
    } else if (!is_only) {
        return scree_fail(err, EINVAL, "\"inputs\" is an object with all inputs");
    }
    return read_rows(predict, tensor, &column, false, err);
}

/* ---- predict: writing ---- */

static void add(struct scree_buffer *body, const char *text)
{
    scree_buffer_add(body, text, strlen(text));
}

/* Numbers nested as dims int64_t[rank]; moves *at behind them. */
static void add_nested(struct scree_buffer *body, const struct scree_oip_type_info *type,
                       const int64_t *dims, uint32_t rank, const uint8_t **at)
{
    size_t n = rank == 0 ? 1 : (size_t)dims[0];

    if (rank > 0)
        add(body, "[");
    if (rank <= 1) {
        scree_json_add_numbers(body, (enum scree_json_number)type->json, *at, n, true);
        *at += n * type->n_bytes;
    }
    for (size_t i = 0; rank > 1 && i < n; i++) {
        add(body, i > 0 ? "," : "");
        add_nested(body, type, dims + 1, rank - 1, at);
    }
    if (rank > 0)
        add(body, "]");
}

/* Row `row` of an output, or, with row < 0, all of it. */
static void add_part(struct scree_buffer *body, const struct scree_oip_tensor *tensor, int64_t row)
{
    const struct scree_oip_type_info *type = &scree_oip_types[tensor->type];
    const uint8_t *at = tensor->bytes;

    if (row < 0) {
        add_nested(body, type, tensor->dims, tensor->rank, &at);
        return;
    }
    at += (size_t)row * (tensor->n / (size_t)tensor->dims[0]);
    add_nested(body, type, tensor->dims + 1, tensor->rank - 1, &at);
}

/* One output by itself, several by their names. */
static void add_outputs(struct scree_buffer *body, const struct scree_oip_response *response,
                        int64_t row)
{
    if (response->n_outputs == 1) {
        add_part(body, &response->outputs[0].tensor, row);
        return;
    }
    for (uint32_t i = 0; i < response->n_outputs; i++) {
        const struct scree_oip_tensor *tensor = &response->outputs[i].tensor;

        add(body, i > 0 ? "," : "{");
        scree_json_add_text(body, tensor->name, strlen(tensor->name));
        add(body, ":");
        add_part(body, tensor, row);
    }
    add(body, "}");
}

static int check_outputs(const struct predict *predict, const struct scree_oip_response *response,
                         struct scree_error *err)
{
    int64_t n_rows = predict->oip->inputs[0].dims[0];

    for (uint32_t i = 0; i < response->n_outputs; i++) {
        const struct scree_oip_tensor *tensor = &response->outputs[i].tensor;

        if (scree_oip_types[tensor->type].json < 0)
            return scree_fail(err, ENOTSUP, "output %s cannot be told in JSON", tensor->name);
        if (predict->is_rows && (tensor->rank == 0 || tensor->dims[0] != n_rows))
            return scree_fail(err, ENOTSUP, "output %s has no rows: ask with \"inputs\"",
                              tensor->name);
    }
    return 0;
}

/* Members that TensorFlow Serving's answers do not have, and its clients do not look at. */
static void add_times(struct scree_buffer *body, const struct scree_times *times)
{
    json_t *json = json_object();
    char *text;

    scree_api_add_times(json, times);
    text = json_dumps(json, JSON_COMPACT | JSON_EMBED | JSON_REAL_PRECISION(9));
    json_decref(json);
    if (text)
        add(body, text);
    else
        body->failed = true;
    free(text);
}

static void write_answer(const struct predict *predict, const struct scree_oip_response *response,
                         struct scree_buffer *body)
{
    int64_t n_rows = predict->oip->inputs[0].dims[0];

    add(body, predict->is_rows ? "{\"predictions\":[" : "{\"outputs\":");
    if (!predict->is_rows)
        add_outputs(body, response, -1);
    for (int64_t i = 0; predict->is_rows && i < n_rows; i++) {
        add(body, i > 0 ? "," : "");
        add_outputs(body, response, i);
    }
    add(body, predict->is_rows ? "]," : ",");
    add_times(body, &response->times);
    add(body, "}\n");
}

/* ---- predict ---- */

static bool is_gone(const void *context)
{
    return scree_request_is_gone(context);
}

/* bytes u8[n] is the body. */
static int predict_with(struct scree_server *server, struct scree_request *request,
                        const uint8_t *bytes, size_t n, struct predict *predict,
                        struct scree_oip_response *response, struct scree_error *err)
{
    struct scree_buffer body = {.limit = MAX_ANSWER_BYTES};
    int rc = read_body(predict, bytes, n, err);

    for (uint32_t i = 0; rc >= 0 && i < scree_model_n_inputs(predict->served->model); i++)
        rc = read_input(predict, i, err);
    if (rc < 0)
        return rc;
    predict->oip->start_ns = scree_request_start_ns(request);
    rc = scree_oip_infer(server, predict->oip, response, err);
    if (rc < 0)
        return rc;
    rc = check_outputs(predict, response, err);
    if (rc >= 0) {
        write_answer(predict, response, &body);
        scree_api_add_headers(server, request, response->served, &response->times);
        scree_reply(request, 200, "application/json", &body);
    }
    scree_oip_response_done(response);
    return rc;
}

void scree_api_tfs_predict(void *context, struct scree_request *request)
{
    struct scree_server *server = context;
    struct scree_oip_response *response = malloc(sizeof *response);
    struct scree_oip_request *oip = malloc(sizeof *oip);
    struct predict predict = {.oip = oip};
    struct scree_served *served = NULL;
    struct scree_buffer inflated = {0};
    const uint8_t *body = NULL;
    struct scree_error err;
    size_t n = 0;
    int rc = response && oip ? scree_oip_body(server, request, &inflated, &body, &n, &err)
                             : scree_fail_memory(&err, sizeof *response + sizeof *oip);

    if (rc >= 0)
        rc = scree_repository_get(server->repository, scree_request_part(request, 0),
                                  scree_request_part(request, 1), &served, &err);
    if (rc >= 0) {
        scree_oip_request_init(oip, n * scree_model_n_inputs(served->model));
        /* The version that is asked is the one whose inputs were read. */
        oip->served = served;
        oip->any_rows = true;
        oip->is_gone = is_gone;
        oip->context = request;
        predict.served = served;
        rc = predict_with(server, request, body, n, &predict, response, &err);
        scree_oip_request_done(oip);
    }
    if (rc < 0)
        scree_api_fail(server, request, rc, &err);
    scree_served_unref(served);
    scree_buffer_done(&inflated);
    free(response);
    free(oip);
}
