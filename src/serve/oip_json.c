/* Requests for tensors in JSON, with binary data behind it or not, and the answers. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "net/base64.h"
#include "serve/oip.h"

/* ---- objects with known keys ---- */

struct field {
    const char *key;
    struct scree_json value;
    bool is_there;
};

/* What is malformed JSON for net/json.h is a mistake of the caller's here. */
static int as_mistake(int rc)
{
    return rc == -EBADMSG ? -EINVAL : rc;
}

static struct field *find_field(struct field *fields, size_t n, const struct scree_json *key)
{
    for (size_t i = 0; i < n; i++)
        if (scree_json_is(key, fields[i].key))
            return &fields[i];
    return NULL;
}

/* Finds the values of fields[n] in an object; other keys are left alone. */
static int read_fields(const struct scree_json *object, struct field *fields, size_t n,
                       struct scree_error *err)
{
    struct scree_json_walk walk;
    struct scree_json key, value;
    int rc = scree_json_walk(object, SCREE_JSON_OBJECT, &walk, err);

    while (rc >= 0 && (rc = scree_json_next(&walk, &key, &value, err)) > 0) {
        struct field *field = find_field(fields, n, &key);

        if (field && field->is_there)
            return scree_fail(err, EINVAL, "\"%s\" is there twice", field->key);
        if (field) {
            field->value = value;
            field->is_there = true;
        }
    }
    return as_mistake(rc);
}

static int require(const struct field *field, struct scree_error *err)
{
    return field->is_there ? 0 : scree_fail(err, EINVAL, "\"%s\" is missing", field->key);
}

/* A text of the request's own, without zeros. */
static int read_text(struct scree_oip_request *request, const struct field *field, const char **ret,
                     struct scree_error *err)
{
    char *text;
    ssize_t n;

    if (field->value.kind != SCREE_JSON_STRING)
        return scree_fail(err, EINVAL, "\"%s\" is a string", field->key);
    text = scree_arena_calloc(&request->arena, field->value.n, 1);
    if (!text)
        return scree_fail_memory(err, field->value.n);
    n = scree_json_text(&field->value, text, err);
    if (n < 0)
        return as_mistake((int)n);
    if (strlen(text) != (size_t)n)
        return scree_fail(err, EINVAL, "\"%s\" has a zero in it", field->key);
    *ret = text;
    return 0;
}

static int read_count(const struct field *field, int64_t max, int64_t *ret, struct scree_error *err)
{
    int rc = scree_json_integer(&field->value, 0, max, ret, err);

    return rc < 0 ? scree_wrap(err, -EINVAL, "\"%s\"", field->key) : 0;
}

static int read_flag(const struct field *field, bool *ret, struct scree_error *err)
{
    int rc = scree_json_bool(&field->value, ret, err);

    return rc < 0 ? scree_wrap(err, -EINVAL, "\"%s\"", field->key) : 0;
}

/* ---- inputs ---- */

static int read_shape(const struct field *field, struct scree_oip_tensor *tensor,
                      struct scree_error *err)
{
    struct scree_json_walk walk;
    struct scree_json value;
    int rc = scree_json_walk(&field->value, SCREE_JSON_ARRAY, &walk, err);

    while (rc >= 0 && (rc = scree_json_next(&walk, NULL, &value, err)) > 0) {
        if (tensor->rank == SCREE_MAX_RANK)
            return scree_fail(err, EINVAL, "a shape of over %d dimensions", SCREE_MAX_RANK);
        rc = scree_json_integer(&value, 0, INT64_MAX, &tensor->dims[tensor->rank++], err);
    }
    return rc < 0 ? scree_wrap(err, -EINVAL, "\"shape\"") : 0;
}

/* Adds a string, which is bytes in base64, to the elements of a BYTES tensor at `to`. */
static int add_element(const struct scree_json *string, uint8_t *to, size_t *ret_n,
                       struct scree_error *err)
{
    /* Decoded where it was unescaped: bytes are fewer than characters. */
    char *text = (char *)to + sizeof(uint32_t);
    ssize_t n = scree_json_text(string, text, err);
    uint32_t length;

    if (n < 0)
        return as_mistake((int)n);
    n = scree_base64_decode(text, (size_t)n, (uint8_t *)text);
    if (n < 0)
        return scree_fail(err, EINVAL, "an element of BYTES in JSON is a string in base64");
    length = (uint32_t)n;
    memcpy(to, &length, sizeof length);
    *ret_n = sizeof length + (size_t)n;
    return 0;
}

/* Strings in base64 as a BYTES tensor of n elements. */
static int read_strings(struct scree_oip_request *request, const struct scree_json *data, size_t n,
                        struct scree_oip_tensor *tensor, struct scree_error *err)
{
    struct scree_json_walk walk;
    struct scree_json value;
    size_t n_found = 0, used = 0, room;
    uint8_t *bytes;
    int rc;

    /* Each has two quotation marks and a comma, the last one a bracket in place of that. */
    if (n > data->n / 3)
        return scree_fail(err, EINVAL, "data have fewer elements than their shape");
    room = sizeof(uint32_t) * n + data->n;
    bytes = scree_arena_calloc(&request->arena, room, 1);
    rc = bytes ? scree_json_walk(data, SCREE_JSON_ARRAY, &walk, err) : scree_fail_memory(err, room);
    while (rc >= 0 && (rc = scree_json_next(&walk, NULL, &value, err)) > 0 && n_found++ < n) {
        size_t length = 0;

        rc = add_element(&value, bytes + used, &length, err);
        if (rc < 0)
            return rc;
        used += length;
    }
    if (rc < 0)
        return as_mistake(rc);
    if (n_found != n)
        return scree_fail(err, EINVAL, "data have %s elements than their shape",
                          n_found < n ? "fewer" : "more");
    tensor->bytes = bytes;
    tensor->n = used;
    return 0;
}

static int read_numbers(struct scree_oip_request *request, const struct scree_json *data, size_t n,
                        struct scree_oip_tensor *tensor, struct scree_error *err)
{
    const struct scree_oip_type_info *type = &scree_oip_types[tensor->type];
    uint8_t *bytes;
    int rc;

    if (type->json < 0)
        return scree_fail(err, EINVAL, "%s can be sent as binary data only", type->name);
    if (n > data->n)
        return scree_fail(err, EINVAL, "data have fewer elements than their shape");
    bytes = scree_arena_calloc(&request->arena, n, type->n_bytes);
    if (!bytes)
        return scree_fail_memory(err, n * type->n_bytes);
    rc = scree_json_numbers(data, (enum scree_json_number)type->json, tensor->dims, tensor->rank, n,
                            false, bytes, err);
    tensor->bytes = bytes;
    tensor->n = n * type->n_bytes;
    return rc < 0 ? scree_wrap(err, -EINVAL, "\"data\"") : 0;
}

/* Binary data that have not been given out. */
struct blobs {
    const uint8_t *at;
    size_t n;
};

static int take_blob(struct blobs *blobs, const struct field *size, struct scree_oip_tensor *tensor,
                     struct scree_error *err)
{
    int64_t n;
    int rc = read_count(size, INT64_MAX, &n, err);

    if (rc < 0)
        return rc;
    if ((uint64_t)n > blobs->n)
        return scree_fail(err, EINVAL, "\"binary_data_size\" is more than the body has");
    tensor->bytes = blobs->at;
    tensor->n = (size_t)n;
    blobs->at += n;
    blobs->n -= (size_t)n;
    return 0;
}

static int read_data(struct scree_oip_request *request, const struct field *data,
                     const struct field *size, struct blobs *blobs, struct scree_oip_tensor *tensor,
                     struct scree_error *err)
{
    size_t n = 0;
    int rc = scree_oip_count(tensor->dims, tensor->rank, &n, err);

    if (rc < 0)
        return rc;
    if (data->is_there == size->is_there)
        return scree_fail(err, EINVAL, "input '%.64s' has one of \"data\" and \"binary_data_size\"",
                          tensor->name);
    if (size->is_there)
        return take_blob(blobs, size, tensor, err);
    return tensor->type == SCREE_OIP_BYTES ? read_strings(request, &data->value, n, tensor, err)
                                           : read_numbers(request, &data->value, n, tensor, err);
}

static int read_type(const struct field *field, struct scree_oip_tensor *tensor,
                     struct scree_error *err)
{
    if (field->value.kind != SCREE_JSON_STRING)
        return scree_fail(err, EINVAL, "\"datatype\" is a string");
    return scree_oip_find_type(field->value.text + 1, field->value.n - 2, &tensor->type, err);
}

static int read_input(struct scree_oip_request *request, const struct scree_json *value,
                      struct blobs *blobs, struct scree_error *err)
{
    struct field fields[] = {{.key = "name"},
                             {.key = "shape"},
                             {.key = "datatype"},
                             {.key = "data"},
                             {.key = "parameters"}};
    struct field size = {.key = "binary_data_size"};
    struct scree_oip_tensor *tensor;
    int rc = scree_oip_add_input(request, &tensor, err);

    if (rc >= 0)
        rc = read_fields(value, fields, 5, err);
    for (int i = 0; rc >= 0 && i < 3; i++)
        rc = require(&fields[i], err);
    if (rc >= 0)
        rc = read_text(request, &fields[0], &tensor->name, err);
    if (rc >= 0)
        rc = read_shape(&fields[1], tensor, err);
    if (rc >= 0)
        rc = read_type(&fields[2], tensor, err);
    if (rc >= 0 && fields[4].is_there)
        rc = read_fields(&fields[4].value, &size, 1, err);
    return rc < 0 ? rc : read_data(request, &fields[3], &size, blobs, tensor, err);
}

static int read_inputs(struct scree_oip_request *request, const struct scree_json *value,
                       struct blobs *blobs, struct scree_error *err)
{
    struct scree_json_walk walk;
    struct scree_json input;
    int rc = scree_json_walk(value, SCREE_JSON_ARRAY, &walk, err);

    while (rc >= 0 && (rc = scree_json_next(&walk, NULL, &input, err)) > 0)
        rc = read_input(request, &input, blobs, err);
    if (rc >= 0 && blobs->n > 0)
        return scree_fail(err, EINVAL, "%zu bytes of the body belong to no input", blobs->n);
    return as_mistake(rc);
}

/* ---- outputs ---- */

static int read_output(struct scree_oip_request *request, const struct scree_json *value,
                       struct scree_error *err)
{
    struct field fields[] = {{.key = "name"}, {.key = "parameters"}};
    struct field parameters[] = {{.key = "classification"}, {.key = "binary_data"}};
    struct scree_oip_wanted *wanted;
    int64_t n_classes = 0;
    int rc = scree_oip_add_wanted(request, &wanted, err);

    if (rc >= 0)
        rc = read_fields(value, fields, 2, err);
    if (rc >= 0)
        rc = require(&fields[0], err);
    if (rc >= 0)
        rc = read_text(request, &fields[0], &wanted->name, err);
    if (rc >= 0 && fields[1].is_there)
        rc = read_fields(&fields[1].value, parameters, 2, err);
    if (rc >= 0 && parameters[0].is_there)
        rc = read_count(&parameters[0], INT32_MAX, &n_classes, err);
    if (rc < 0)
        return rc;
    wanted->n_classes = (uint32_t)n_classes;
    wanted->is_binary = request->all_binary;
    return parameters[1].is_there ? read_flag(&parameters[1], &wanted->is_binary, err) : 0;
}

static int read_outputs(struct scree_oip_request *request, const struct scree_json *value,
                        struct scree_error *err)
{
    struct scree_json_walk walk;
    struct scree_json output;
    int rc = scree_json_walk(value, SCREE_JSON_ARRAY, &walk, err);

    while (rc >= 0 && (rc = scree_json_next(&walk, NULL, &output, err)) > 0)
        rc = read_output(request, &output, err);
    return as_mistake(rc);
}

/* ---- requests ---- */

static int read_parameters(struct scree_oip_request *request, const struct scree_json *value,
                           struct scree_error *err)
{
    struct field fields[] = {
        {.key = "priority"}, {.key = "timeout"}, {.key = "binary_data_output"}};
    int64_t priority = 0, timeout_us = 0;
    int rc = read_fields(value, fields, 3, err);

    if (rc >= 0 && fields[0].is_there)
        rc = read_count(&fields[0], INT64_MAX, &priority, err);
    if (rc >= 0 && fields[1].is_there)
        rc = read_count(&fields[1], INT64_MAX, &timeout_us, err);
    if (rc >= 0 && fields[2].is_there)
        rc = read_flag(&fields[2], &request->all_binary, err);
    if (rc < 0)
        return rc;
    scree_oip_set_priority(request, (uint64_t)priority);
    scree_oip_set_timeout(request, (uint64_t)timeout_us);
    return 0;
}

static int read_request(struct scree_oip_request *request, const struct scree_json *root,
                        struct blobs *blobs, struct scree_error *err)
{
    struct field fields[] = {
        {.key = "inputs"}, {.key = "id"}, {.key = "parameters"}, {.key = "outputs"}};
    int rc = read_fields(root, fields, 4, err);

    if (rc >= 0)
        rc = require(&fields[0], err);
    if (rc >= 0 && fields[1].is_there)
        rc = read_text(request, &fields[1], &request->id, err);
    if (rc >= 0 && fields[2].is_there)
        rc = read_parameters(request, &fields[2].value, err);
    if (rc >= 0)
        rc = read_inputs(request, &fields[0].value, blobs, err);
    if (rc >= 0 && fields[3].is_there)
        rc = read_outputs(request, &fields[3].value, err);
    return rc;
}

int scree_oip_read_json(struct scree_oip_request *request, const uint8_t *body, size_t n,
                        size_t n_json, struct scree_error *err)
{
    struct scree_oip_tensor *raw;
    struct scree_json root;
    struct blobs blobs;
    int rc;

    if (n_json == 0) {
        rc = scree_oip_add_input(request, &raw, err);
        if (rc < 0)
            return rc;
        raw->bytes = body;
        raw->n = n;
        request->is_raw = request->all_binary = true;
        return 0;
    }
    n_json = n_json == SIZE_MAX ? n : n_json;
    if (n_json > n)
        return scree_fail(err, EINVAL, "Inference-Header-Content-Length is more than the body");
    rc = scree_json_open_within(body, n_json, request->max_depth, &root, err);
    if (rc < 0)
        return as_mistake(rc);
    blobs = (struct blobs){body + n_json, n - n_json};
    return read_request(request, &root, &blobs, err);
}

/* ---- answers ---- */

static void add(struct scree_buffer *body, const char *text)
{
    scree_buffer_add(body, text, strlen(text));
}

static void add_text(struct scree_buffer *body, const char *key, const char *value)
{
    add(body, key);
    scree_json_add_text(body, value, strlen(value));
}

static void add_strings(struct scree_buffer *body, const struct scree_oip_tensor *tensor)
{
    const uint8_t *at = tensor->bytes, *end = scree_oip_end(tensor);

    while (at < end) {
        uint32_t n;

        memcpy(&n, at, sizeof n);
        if (at > tensor->bytes)
            add(body, ",");
        scree_json_add_text(body, (const char *)at + sizeof n, n);
        at += sizeof n + n;
    }
}

static void add_shape(struct scree_buffer *body, const struct scree_oip_tensor *tensor)
{
    add(body, "\"shape\":[");
    scree_json_add_numbers(body, SCREE_JSON_S64, tensor->dims, tensor->rank, false);
    add(body, "]");
}

/* Types that JSON has no numbers for are always binary. */
static bool is_binary(const struct scree_oip_output *output)
{
    enum scree_oip_type type = output->tensor.type;

    return output->is_binary || (type != SCREE_OIP_BYTES && scree_oip_types[type].json < 0);
}

static void add_output(struct scree_buffer *body, const struct scree_oip_output *output)
{
    const struct scree_oip_tensor *tensor = &output->tensor;
    const struct scree_oip_type_info *type = &scree_oip_types[tensor->type];
    char text[64];

    add_text(body, "{\"name\":", tensor->name);
    add_text(body, ",\"datatype\":", type->name);
    add(body, ",");
    add_shape(body, tensor);
    if (is_binary(output)) {
        (void)snprintf(text, sizeof text, ",\"parameters\":{\"binary_data_size\":%zu}}", tensor->n);
        add(body, text);
        return;
    }
    add(body, ",\"data\":[");
    if (tensor->type == SCREE_OIP_BYTES)
        add_strings(body, tensor);
    else
        scree_json_add_numbers(body, (enum scree_json_number)type->json, tensor->bytes,
                               tensor->n / type->n_bytes, false);
    add(body, "]}");
}

/* Where it was computed, and how long that took. */
static void add_parameters(struct scree_buffer *body, const struct scree_times *times)
{
    struct scree_oip_stage stages[SCREE_OIP_N_STAGES];
    char text[64];

    scree_oip_stages(times, stages);
    add_text(body, ",\"parameters\":{\"device\":", scree_ran_name(times->ran));
    for (int i = 0; i < SCREE_OIP_N_STAGES; i++) {
        (void)snprintf(text, sizeof text, ",\"%s\":%lld", stages[i].name, (long long)stages[i].us);
        add(body, text);
    }
    add(body, "}");
}

void scree_oip_write_json(const struct scree_oip_response *response, struct scree_buffer *body,
                          size_t *ret_n_json)
{
    add_text(body, "{\"model_name\":", response->served->name);
    add_text(body, ",\"model_version\":", response->served->version);
    if (*response->id)
        add_text(body, ",\"id\":", response->id);
    add_parameters(body, &response->times);
    add(body, ",\"outputs\":[");
    for (uint32_t i = 0; i < response->n_outputs; i++) {
        add(body, i > 0 ? "," : "");
        add_output(body, &response->outputs[i]);
    }
    add(body, "]}");
    *ret_n_json = body->n;
    for (uint32_t i = 0; i < response->n_outputs; i++)
        if (is_binary(&response->outputs[i]))
            scree_buffer_add(body, response->outputs[i].tensor.bytes,
                             response->outputs[i].tensor.n);
}
