/* serve/oip.h - one request for tensors of the Open Inference Protocol, whatever brought it.
 *
 * REST and gRPC say the same things in other bytes. Both are translated to a struct
 * scree_oip_request, scree_oip_infer() answers it, and the answer is translated back:
 *
 *     bytes -> scree_oip_read_json(), _read_pb() -> request
 *     request -> scree_oip_infer() -> response
 *     response -> scree_oip_write_json(), _write_pb() -> bytes
 *
 * Tensors are always as the binary tensor extension has them: row by row, little-endian, without
 * padding; of BYTES each element is a u32 length and so many bytes. A BYTES tensor for an input
 * that takes pictures holds encoded pictures, which are decoded here.
 *
 * Memory: a request points into the bytes it was read from and into its own arena; a response owns
 * its outputs. Threads: no shared state but the models'.
 * Source: github.com/kserve/open-inference-protocol; Triton's extensions (binary_data, parameters,
 * model_configuration, statistics, model_repository) in triton-inference-server/server/docs. */
#ifndef SCREE_SERVE_OIP_H
#define SCREE_SERVE_OIP_H

#include "base/arena.h"
#include "net/json.h"
#include "net/pb.h"
#include "serve/server.h"

/* Of a request. Outputs are as many as the model has at most; this bounds what is read before that
 * is known. */
#define SCREE_OIP_MAX_INPUTS  16
#define SCREE_OIP_MAX_OUTPUTS 64

/* Pictures, or rows of a model with one row at a time, in one request. */
#define SCREE_OIP_MAX_ROWS 64

enum scree_oip_type {
    SCREE_OIP_BOOL,
    SCREE_OIP_UINT8,
    SCREE_OIP_UINT16,
    SCREE_OIP_UINT32,
    SCREE_OIP_UINT64,
    SCREE_OIP_INT8,
    SCREE_OIP_INT16,
    SCREE_OIP_INT32,
    SCREE_OIP_INT64,
    SCREE_OIP_FP16,
    SCREE_OIP_FP32,
    SCREE_OIP_FP64,
    SCREE_OIP_BF16,
    SCREE_OIP_BYTES,
    SCREE_OIP_N_TYPES,
};

/* What is known of a datatype. */
struct scree_oip_type_info {
    const char *name;        /* "UINT8" */
    size_t n_bytes;          /* of an element; 0: BYTES */
    int json;                /* enum scree_json_number; -1: only binary */
    uint32_t config;         /* DataType of model_config.proto */
    const char *config_name; /* "TYPE_UINT8" */
};

extern const struct scree_oip_type_info scree_oip_types[SCREE_OIP_N_TYPES];

/* The datatype of a name, char[n]. Errors: EINVAL. */
int scree_oip_find_type(const char *name, size_t n, enum scree_oip_type *ret,
                        struct scree_error *err);

struct scree_oip_tensor {
    const char *name;
    enum scree_oip_type type;
    uint32_t rank;
    int64_t dims[SCREE_MAX_RANK]; /* none negative */
    const uint8_t *bytes;         /* u8[n] */
    size_t n;
};

/* Behind the bytes of a tensor, which may have none. */
static inline const uint8_t *scree_oip_end(const struct scree_oip_tensor *tensor)
{
    return tensor->n > 0 ? tensor->bytes + tensor->n : tensor->bytes;
}

/* An output that is asked for. */
struct scree_oip_wanted {
    const char *name;
    uint32_t n_classes; /* 0: the tensor; else the best so many, as text */
    bool is_binary;     /* REST: not as JSON */
};

struct scree_oip_request {
    struct scree_arena arena;
    const char *model, *version, *id; /* version, id: "" if not told */
    struct scree_served *served;      /* the model, where it was found before; borrowed */
    uint32_t n_inputs, n_wanted;      /* n_wanted 0: all outputs */
    struct scree_oip_tensor inputs[SCREE_OIP_MAX_INPUTS];
    struct scree_oip_wanted wanted[SCREE_OIP_MAX_OUTPUTS];
    bool all_binary; /* of outputs that do not say */
    bool is_raw;     /* one input without a name, type or shape: the model's */
    bool any_rows;   /* the first dimension may differ from the model's: it runs row by row */
    enum scree_priority priority;
    uint64_t timeout_ns; /* at most 10 min; UINT64_MAX: not told, the model's */
    uint64_t start_ns;   /* of CLOCK_MONOTONIC, when it came; set before scree_oip_infer() */
    /* Until when an answer is of use, besides; UINT64_MAX: not told. scree_oip_infer() puts it
     * where the timeout ends, if that is before. */
    uint64_t deadline_ns;
    uint32_t max_depth; /* of its JSON; SCREE_JSON_DEPTH if nobody says otherwise */
    bool (*is_gone)(const void *context);
    /* The model is found, whatever comes of it; for who notes it. */
    void (*found)(void *context, const struct scree_served *served);
    void *context; /* of both, which may be NULL */
};

struct scree_oip_output {
    struct scree_oip_tensor tensor;
    struct scree_buffer data; /* behind tensor.bytes */
    bool is_binary;
};

struct scree_oip_response {
    struct scree_served *served; /* a reference */
    const char *id;              /* the request's */
    uint32_t n_outputs;
    struct scree_oip_output outputs[SCREE_OIP_MAX_OUTPUTS];
    struct scree_times times; /* of all rows */
    uint32_t n_rows;
};

/* An empty request; is to be done with in any case. n_bytes: of what it is read from. */
void scree_oip_request_init(struct scree_oip_request *request, size_t n_bytes);
void scree_oip_request_done(struct scree_oip_request *request);

/* Runs the model. Errors: ENOENT (model, input, output), EINVAL (types, shapes, sizes, duplicates),
 * E2BIG (several rows with outputs of over 64 MiB),
 * those of scree_repository_get() and scree_served_run(), and those of
 * scree_image_open_memory(). ret_response is to be done with on success only. */
int scree_oip_infer(struct scree_server *server, struct scree_oip_request *request,
                    struct scree_oip_response *ret_response, struct scree_error *err);
void scree_oip_response_done(struct scree_oip_response *response);

/* The body of a request of REST, u8[*ret_n], as it was before it was compressed; `inflated` is to
 * be done with in any case. Errors: those of scree_inflate(). */
int scree_oip_body(const struct scree_server *server, const struct scree_request *request,
                   struct scree_buffer *inflated, const uint8_t **ret_body, size_t *ret_n,
                   struct scree_error *err);

/* ---- what both translations need ---- */

/* Product of dims int64_t[rank]: the number of elements. Errors: EINVAL (a negative dimension,
 * over 2^40 elements). */
int scree_oip_count(const int64_t *dims, uint32_t rank, size_t *ret, struct scree_error *err);

/* The next tensor of a request, or the next wanted output, with its name unset. Errors: EINVAL (one
 * more than there may be). */
int scree_oip_add_input(struct scree_oip_request *request, struct scree_oip_tensor **ret,
                        struct scree_error *err);
int scree_oip_add_wanted(struct scree_oip_request *request, struct scree_oip_wanted **ret,
                         struct scree_error *err);

/* Sets a priority as Triton counts them: 0 says nothing, 1 is the highest. */
void scree_oip_set_priority(struct scree_oip_request *request, uint64_t priority);

/* Sets a timeout in microseconds; 0 says nothing. */
void scree_oip_set_timeout(struct scree_oip_request *request, uint64_t timeout_us);

/* How long a stage took, by its name in an answer's parameters. */
struct scree_oip_stage {
    const char *name; /* "queue_us" */
    int64_t us;
};

#define SCREE_OIP_N_STAGES 5

/* All stages of an answer, scree_oip_stage[SCREE_OIP_N_STAGES]. Whole microseconds, as timeouts of
 * the protocol are: the KServe client knows no parameters that are fractions in gRPC. */
void scree_oip_stages(const struct scree_times *times, struct scree_oip_stage *ret_stages);

/* ---- translations ---- */

/* Reads the body of an infer request of REST: u8[n], the first n_json of which are JSON (SIZE_MAX:
 * all are). body is kept by the request. Errors: EINVAL, ENOMEM. */
int scree_oip_read_json(struct scree_oip_request *request, const uint8_t *body, size_t n,
                        size_t n_json, struct scree_error *err);

/* Writes the answer; *ret_n_json is how many of its bytes are JSON (all, if no output is binary).
 */
void scree_oip_write_json(const struct scree_oip_response *response, struct scree_buffer *body,
                          size_t *ret_n_json);

/* Reads a ModelInferRequest, u8[n], which is kept by the request. Errors: EINVAL, ENOMEM. */
int scree_oip_read_pb(struct scree_oip_request *request, const uint8_t *bytes, size_t n,
                      struct scree_error *err);

/* A text of a message into the request's arena. Errors: EINVAL (no text, or with a zero in it),
 * ENOMEM. */
int scree_oip_pb_text(struct scree_oip_request *request, const struct scree_pb_field *field,
                      const char **ret, struct scree_error *err);

/* Adds the fields of a ModelInferResponse. */
void scree_oip_write_pb(const struct scree_oip_response *response, struct scree_buffer *message);

/* ---- models ---- */

/* What a model's input or output is, for its metadata. */
struct scree_oip_description {
    const char *name;
    enum scree_oip_type type;
    uint32_t rank;
    int64_t dims[SCREE_MAX_RANK]; /* -1: open */
    bool is_picture;              /* takes pictures as BYTES, too */
};

/* Describes input (or output) `index`. Errors: ENOTSUP (a type that the protocol does not have). */
int scree_oip_describe(const struct scree_served *served, bool is_input, uint32_t index,
                       struct scree_oip_description *ret, struct scree_error *err);

/* The largest batch, as Triton's configuration has it: the first dimension of all inputs and
 * outputs; 0 if they have none in common. */
int32_t scree_oip_max_batch(const struct scree_served *served);

#endif
