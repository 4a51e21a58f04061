/* Requests for tensors in protocol buffers, and the answers. Numbers of fields are those of
 * open_inference_grpc.proto. */
#include <string.h>

#include "base/checked.h"
#include "net/pb.h"
#include "serve/oip.h"

static int fail(struct scree_error *err)
{
    return scree_fail(err, EINVAL, "a message that is none");
}

static bool is_text(const struct scree_pb_field *field)
{
    return field->wire == SCREE_PB_LEN && (field->n == 0 || !memchr(field->bytes, 0, field->n));
}

int scree_oip_pb_text(struct scree_oip_request *request, const struct scree_pb_field *field,
                      const char **ret, struct scree_error *err)
{
    const char *text =
        is_text(field) ? scree_arena_strndup(&request->arena, (const char *)field->bytes, field->n)
                       : NULL;

    if (!is_text(field))
        return fail(err);
    if (!text)
        return scree_fail_memory(err, field->n);
    *ret = text;
    return 0;
}

static struct scree_pb_reader reader_of(const struct scree_pb_field *field)
{
    return (struct scree_pb_reader){field->bytes,
                                    field->n > 0 ? field->bytes + field->n : field->bytes};
}

/* ---- parameters ---- */

/* An entry of map<string, InferParameter>. */
struct parameter {
    struct scree_span name;
    uint64_t number; /* of a bool or an integer */
    bool is_number;
};

static int read_value(const struct scree_pb_field *field, struct parameter *parameter)
{
    struct scree_pb_reader reader = reader_of(field);
    struct scree_pb_field inner;
    int rc;

    while ((rc = scree_pb_next(&reader, &inner)) > 0)
        if (inner.wire == SCREE_PB_VARINT &&
            (inner.number == 1 || inner.number == 2 || inner.number == 5)) {
            parameter->number = inner.value;
            parameter->is_number = true;
        }
    return rc;
}

static int read_parameter(const struct scree_pb_field *field, struct parameter *parameter,
                          struct scree_error *err)
{
    struct scree_pb_reader reader = reader_of(field);
    struct scree_pb_field inner;
    int rc;

    *parameter = (struct parameter){0};
    if (field->wire != SCREE_PB_LEN)
        return fail(err);
    while ((rc = scree_pb_next(&reader, &inner)) > 0) {
        if (inner.wire != SCREE_PB_LEN)
            continue;
        if (inner.number == 1)
            parameter->name = (struct scree_span){inner.bytes, inner.n};
        else if (inner.number == 2 && read_value(&inner, parameter) < 0)
            return fail(err);
    }
    return rc < 0 ? fail(err) : 0;
}

static bool is_named(const struct parameter *parameter, const char *name)
{
    return scree_span_is(parameter->name, name);
}

/* ---- inputs ---- */

/* The numbers of a repeated field of InferTensorContents, which are of the datatype's width or
 * wider, to bytes of the datatype. */
struct contents {
    uint32_t number; /* of the field in InferTensorContents */
    enum scree_pb_wire wire;
};

static bool find_contents(enum scree_oip_type type, struct contents *ret)
{
    static const struct contents table[SCREE_OIP_N_TYPES] = {
        [SCREE_OIP_BOOL] = {1, SCREE_PB_VARINT},   [SCREE_OIP_INT8] = {2, SCREE_PB_VARINT},
        [SCREE_OIP_INT16] = {2, SCREE_PB_VARINT},  [SCREE_OIP_INT32] = {2, SCREE_PB_VARINT},
        [SCREE_OIP_INT64] = {3, SCREE_PB_VARINT},  [SCREE_OIP_UINT8] = {4, SCREE_PB_VARINT},
        [SCREE_OIP_UINT16] = {4, SCREE_PB_VARINT}, [SCREE_OIP_UINT32] = {4, SCREE_PB_VARINT},
        [SCREE_OIP_UINT64] = {5, SCREE_PB_VARINT}, [SCREE_OIP_FP32] = {6, SCREE_PB_I32},
        [SCREE_OIP_FP64] = {7, SCREE_PB_I64},      [SCREE_OIP_BYTES] = {8, SCREE_PB_LEN},
    };

    *ret = table[type];
    return ret->number != 0;
}

/* True if a value of the field can be one of the datatype. */
static bool is_in_range(enum scree_oip_type type, uint64_t value)
{
    int64_t number = (int64_t)value;

    switch (type) {
    case SCREE_OIP_BOOL:
        return value <= 1;
    case SCREE_OIP_UINT8:
        return value <= UINT8_MAX;
    case SCREE_OIP_UINT16:
        return value <= UINT16_MAX;
    case SCREE_OIP_UINT32:
        return value <= UINT32_MAX;
    case SCREE_OIP_INT8:
        return number >= INT8_MIN && number <= INT8_MAX;
    case SCREE_OIP_INT16:
        return number >= INT16_MIN && number <= INT16_MAX;
    case SCREE_OIP_INT32:
        return number >= INT32_MIN && number <= INT32_MAX;
    default:
        return true;
    }
}

/* Adds the values of one field to bytes, which has room for n_room. */
static int add_values(struct scree_oip_tensor *tensor, uint8_t *bytes, size_t n_room,
                      const struct scree_pb_field *field, enum scree_pb_wire wire,
                      struct scree_error *err)
{
    struct scree_pb_values values = scree_pb_values(field, wire);
    size_t width = scree_oip_types[tensor->type].n_bytes;
    uint64_t value;
    int rc;

    while ((rc = scree_pb_next_value(&values, &value)) > 0) {
        if (n_room - tensor->n < width)
            return scree_fail(err, EINVAL, "contents have more elements than their shape");
        if (!is_in_range(tensor->type, value))
            return scree_fail(err, EINVAL, "a number does not fit its datatype");
        memcpy(bytes + tensor->n, &value, width);
        tensor->n += width;
    }
    return rc < 0 ? fail(err) : 0;
}

static int add_element(struct scree_oip_tensor *tensor, uint8_t *bytes, size_t n_room,
                       const struct scree_pb_field *field, struct scree_error *err)
{
    uint32_t n = (uint32_t)field->n;

    if (field->n > UINT32_MAX || n_room - tensor->n < sizeof n ||
        field->n > n_room - tensor->n - sizeof n)
        return scree_fail(err, EINVAL, "contents have more elements than their shape");
    memcpy(bytes + tensor->n, &n, sizeof n);
    if (n > 0)
        memcpy(bytes + tensor->n + sizeof n, field->bytes, n);
    tensor->n += sizeof n + n;
    return 0;
}

/* Contents as the binary extension has them. */
static int read_contents(struct scree_oip_request *request, const struct scree_pb_field *field,
                         struct scree_oip_tensor *tensor, struct scree_error *err)
{
    struct scree_pb_reader reader = reader_of(field);
    struct scree_pb_field inner;
    struct contents contents;
    size_t n = 0, n_room;
    uint8_t *bytes;
    int rc = scree_oip_count(tensor->dims, tensor->rank, &n, err);

    if (rc < 0)
        return rc;
    if (!find_contents(tensor->type, &contents))
        return scree_fail(err, EINVAL, "%s is sent as raw contents only",
                          scree_oip_types[tensor->type].name);
    if (n > field->n)
        return scree_fail(err, EINVAL, "contents have fewer elements than their shape");
    n_room = contents.wire == SCREE_PB_LEN ? sizeof(uint32_t) * n + field->n
                                           : n * scree_oip_types[tensor->type].n_bytes;
    bytes = scree_arena_calloc(&request->arena, n_room, 1);
    if (!bytes)
        return scree_fail_memory(err, n_room);
    while (rc >= 0 && (rc = scree_pb_next(&reader, &inner)) > 0) {
        if (inner.number != contents.number)
            return scree_fail(err, EINVAL, "contents of another datatype than %s",
                              scree_oip_types[tensor->type].name);
        if (contents.wire != SCREE_PB_LEN)
            rc = add_values(tensor, bytes, n_room, &inner, contents.wire, err);
        else
            rc = inner.wire == SCREE_PB_LEN ? add_element(tensor, bytes, n_room, &inner, err) : -1;
    }
    tensor->bytes = bytes;
    return rc < 0 ? (rc == -EINVAL ? rc : fail(err)) : 0;
}

static int add_dims(struct scree_oip_tensor *tensor, const struct scree_pb_field *field,
                    struct scree_error *err)
{
    struct scree_pb_values values = scree_pb_values(field, SCREE_PB_VARINT);
    uint64_t value;
    int rc;

    while ((rc = scree_pb_next_value(&values, &value)) > 0) {
        if (tensor->rank == SCREE_MAX_RANK)
            return scree_fail(err, EINVAL, "a shape of over %d dimensions", SCREE_MAX_RANK);
        tensor->dims[tensor->rank++] = (int64_t)value;
    }
    return rc < 0 ? fail(err) : 0;
}

static int read_input(struct scree_oip_request *request, const struct scree_pb_field *field,
                      struct scree_error *err)
{
    struct scree_pb_reader reader = reader_of(field);
    struct scree_pb_field inner, contents = {0}, type = {0};
    struct scree_oip_tensor *tensor;
    int rc = scree_oip_add_input(request, &tensor, err);

    if (rc < 0 || field->wire != SCREE_PB_LEN)
        return rc < 0 ? rc : fail(err);
    tensor->name = "";
    while (rc >= 0 && (rc = scree_pb_next(&reader, &inner)) > 0) {
        if (inner.number == 1)
            rc = scree_oip_pb_text(request, &inner, &tensor->name, err);
        else if (inner.number == 2 && inner.wire == SCREE_PB_LEN)
            type = inner;
        else if (inner.number == 3)
            rc = add_dims(tensor, &inner, err);
        else if (inner.number == 5 && inner.wire == SCREE_PB_LEN)
            contents = inner;
        if (rc < 0)
            return rc;
    }
    if (rc < 0)
        return fail(err);
    rc = scree_oip_find_type((const char *)type.bytes, type.n, &tensor->type, err);
    return rc < 0 || contents.number == 0 ? rc : read_contents(request, &contents, tensor, err);
}

/* ---- outputs ---- */

static int read_output(struct scree_oip_request *request, const struct scree_pb_field *field,
                       struct scree_error *err)
{
    struct scree_pb_reader reader = reader_of(field);
    struct scree_pb_field inner;
    struct scree_oip_wanted *wanted;
    struct parameter parameter;
    int rc = scree_oip_add_wanted(request, &wanted, err);

    if (rc < 0 || field->wire != SCREE_PB_LEN)
        return rc < 0 ? rc : fail(err);
    wanted->name = "";
    while ((rc = scree_pb_next(&reader, &inner)) > 0) {
        if (inner.number == 1)
            rc = scree_oip_pb_text(request, &inner, &wanted->name, err);
        else if (inner.number == 2)
            rc = read_parameter(&inner, &parameter, err);
        if (rc < 0)
            return rc;
        if (inner.number == 2 && parameter.is_number && is_named(&parameter, "classification"))
            wanted->n_classes = parameter.number > INT32_MAX ? INT32_MAX
                                                             : (uint32_t)parameter.number;
    }
    return rc < 0 ? fail(err) : 0;
}

/* ---- requests ---- */

/* The n-th raw content belongs to the n-th input. */
static int set_raw(struct scree_oip_request *request, uint32_t index,
                   const struct scree_pb_field *field, struct scree_error *err)
{
    struct scree_oip_tensor *tensor = &request->inputs[index];

    if (index >= request->n_inputs)
        return scree_fail(err, EINVAL, "more raw contents than inputs");
    if (field->wire != SCREE_PB_LEN)
        return fail(err);
    if (tensor->bytes)
        return scree_fail(err, EINVAL, "contents are raw for all inputs, or for none");
    tensor->bytes = field->bytes;
    tensor->n = field->n;
    return 0;
}

static int set_parameter(struct scree_oip_request *request, const struct scree_pb_field *field,
                         struct scree_error *err)
{
    struct parameter parameter;
    int rc = read_parameter(field, &parameter, err);

    if (rc < 0 || !parameter.is_number)
        return rc;
    if (is_named(&parameter, "priority"))
        scree_oip_set_priority(request, parameter.number);
    else if (is_named(&parameter, "timeout"))
        scree_oip_set_timeout(request, parameter.number);
    return 0;
}

static int read_field(struct scree_oip_request *request, const struct scree_pb_field *field,
                      struct scree_error *err)
{
    switch (field->number) {
    case 1:
        return scree_oip_pb_text(request, field, &request->model, err);
    case 2:
        return scree_oip_pb_text(request, field, &request->version, err);
    case 3:
        return scree_oip_pb_text(request, field, &request->id, err);
    case 4:
        return set_parameter(request, field, err);
    case 5:
        return read_input(request, field, err);
    case 6:
        return read_output(request, field, err);
    default:
        return 0;
    }
}

int scree_oip_read_pb(struct scree_oip_request *request, const uint8_t *bytes, size_t n,
                      struct scree_error *err)
{
    struct scree_pb_reader reader = {bytes, bytes + n};
    struct scree_pb_field field;
    uint32_t n_raw = 0;
    int rc;

    request->model = "";
    request->all_binary = true;
    while ((rc = scree_pb_next(&reader, &field)) > 0) {
        rc = read_field(request, &field, err);
        if (rc < 0)
            return rc;
    }
    /* Raw contents may come before the inputs that they belong to. */
    for (reader = (struct scree_pb_reader){bytes, bytes + n};
         rc >= 0 && (rc = scree_pb_next(&reader, &field)) > 0;)
        if (field.number == 7) {
            rc = set_raw(request, n_raw++, &field, err);
            if (rc < 0)
                return rc;
        }
    if (rc < 0)
        return fail(err);
    if (n_raw > 0 && n_raw < request->n_inputs)
        return scree_fail(err, EINVAL, "fewer raw contents than inputs");
    return 0;
}

/* ---- answers ---- */

/* An entry of map<string, InferParameter>, of a text, or else of a number. */
static void add_parameter(struct scree_buffer *message, const char *name, const char *text,
                          int64_t number)
{
    size_t parameter = scree_pb_begin(message, 4), value;

    scree_pb_add_text(message, 1, name);
    value = scree_pb_begin(message, 2);
    if (text) {
        scree_pb_add_text(message, 3, text);
    } else {
        /* Of a choice the value is there though it be 0. */
        scree_pb_put_varint(message, 2 << 3 | SCREE_PB_VARINT);
        scree_pb_put_varint(message, (uint64_t)number);
    }
    scree_pb_end(message, value);
    scree_pb_end(message, parameter);
}

/* Where it was computed, and how long that took. */
static void add_parameters(struct scree_buffer *message, const struct scree_times *times)
{
    struct scree_oip_stage stages[SCREE_OIP_N_STAGES];

    scree_oip_stages(times, stages);
    add_parameter(message, "device", scree_ran_name(times->ran), 0);
    for (int i = 0; i < SCREE_OIP_N_STAGES; i++)
        add_parameter(message, stages[i].name, NULL, stages[i].us);
}

void scree_oip_write_pb(const struct scree_oip_response *response, struct scree_buffer *message)
{
    scree_pb_add_text(message, 1, response->served->name);
    scree_pb_add_text(message, 2, response->served->version);
    if (*response->id)
        scree_pb_add_text(message, 3, response->id);
    add_parameters(message, &response->times);
    for (uint32_t i = 0; i < response->n_outputs; i++) {
        const struct scree_oip_tensor *tensor = &response->outputs[i].tensor;
        size_t output = scree_pb_begin(message, 5), dims;

        scree_pb_add_text(message, 1, tensor->name);
        scree_pb_add_text(message, 2, scree_oip_types[tensor->type].name);
        dims = scree_pb_begin(message, 3);
        for (uint32_t k = 0; k < tensor->rank; k++)
            scree_pb_put_varint(message, (uint64_t)tensor->dims[k]);
        scree_pb_end(message, dims);
        scree_pb_end(message, output);
    }
    for (uint32_t i = 0; i < response->n_outputs; i++)
        scree_pb_add_bytes(message, 6, response->outputs[i].tensor.bytes,
                           response->outputs[i].tensor.n);
}
