#include "serve/oip.h"

#include <string.h>

#include "base/checked.h"

#define MAX_ELEMENTS      (INT64_C(1) << 40) /* far over any model, far below overflow in bytes */
#define MAX_TIMEOUT_US    UINT64_C(600000000)
#define BYTES_A_BYTE      8 /* of the arena for one that is read: a varint is an INT64 */
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
    request->all_binary = request->is_raw = request->any_rows = false;
    request->priority = SCREE_PRIORITY_NORMAL;
    request->timeout_ns = request->deadline_ns = UINT64_MAX;
    request->max_depth = SCREE_JSON_DEPTH;
    request->is_gone = NULL;
    request->found = NULL;
    request->context = NULL;
    if (!scree_mul_size(n_bytes, BYTES_A_BYTE, &limit) ||
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
        request->timeout_ns = (timeout_us < MAX_TIMEOUT_US ? timeout_us : MAX_TIMEOUT_US) * 1000;
}

/* ---- responses ---- */

void scree_oip_response_done(struct scree_oip_response *response)
{
    for (uint32_t i = 0; i < response->n_outputs; i++)
        scree_buffer_done(&response->outputs[i].data);
    scree_served_unref(response->served);
    response->n_outputs = 0;
    response->served = NULL;
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
