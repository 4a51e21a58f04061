/* scree/scree.h - run quantized TensorFlow Lite models: models, sessions, tensors.
 *
 * A model is opened once and is immutable; any number of sessions run it. The usual call:
 *
 *     struct scree_error err;
 *     struct scree_model *model;
 *     struct scree_session *session;
 *     struct scree_tensor in, out;
 *     if (scree_model_open("m.tflite", NULL, &model, &err) < 0 ||
 *         scree_session_new(model, NULL, &session, &err) < 0)
 *         return fprintf(stderr, "%s\n", err.text), 1;
 *     scree_session_input(session, 0, &in);
 *     memcpy(in.data, pixels, in.bytes);
 *     if (scree_session_run(session, &err) < 0)
 *         return fprintf(stderr, "%s\n", err.text), 1;
 *     scree_session_output(session, 0, &out);
 *
 * Errors: every function that can fail returns 0 or a negative errno of this closed list and leaves
 * one line for people in `err` (which may be NULL): EINVAL (the caller's mistake), EBADMSG
 * (malformed model or data), ENOTSUP (valid, but not supported), E2BIG (over a stated limit),
 * ENOMEM, ENOENT and EACCES (files), EIO, ENODEV, EBUSY, ETIMEDOUT, EAGAIN. On failure, what a
 * `ret` argument points to is untouched.
 *
 * Threads: a model may be used by any number of threads; a session by one thread at a time.
 * Sessions of one model run in parallel. */
#ifndef SCREE_SCREE_H
#define SCREE_SCREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <scree/scree_version.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SCREE_API __attribute__((visibility("default")))
#else
#define SCREE_API
#endif

/* The most dimensions a tensor can have. TFLite's own kernels stop at 6 to 8. */
#define SCREE_MAX_RANK 8

/* One line of text for people; no newline at its end, never NULL, always terminated. */
struct scree_error {
    char text[192];
};

/* Element types, with the numbers of TFLite's schema (TensorType). */
enum scree_type {
    SCREE_TYPE_FLOAT32 = 0,
    SCREE_TYPE_FLOAT16 = 1,
    SCREE_TYPE_INT32 = 2,
    SCREE_TYPE_UINT8 = 3,
    SCREE_TYPE_INT64 = 4,
    SCREE_TYPE_STRING = 5,
    SCREE_TYPE_BOOL = 6,
    SCREE_TYPE_INT16 = 7,
    SCREE_TYPE_COMPLEX64 = 8,
    SCREE_TYPE_INT8 = 9,
    SCREE_TYPE_FLOAT64 = 10,
    SCREE_TYPE_COMPLEX128 = 11,
    SCREE_TYPE_UINT64 = 12,
    SCREE_TYPE_RESOURCE = 13,
    SCREE_TYPE_VARIANT = 14,
    SCREE_TYPE_UINT32 = 15,
    SCREE_TYPE_UINT16 = 16,
    SCREE_TYPE_INT4 = 17,
    SCREE_TYPE_BFLOAT16 = 18,
};

/* "float32", "uint8", ...; "type 77" for a number outside the list is never returned: that gives
 * "unknown". The text is static. Cannot fail. */
SCREE_API const char *scree_type_name(enum scree_type type);

/* Bytes of one element; 0 for types without a fixed whole number of bytes (string, int4, resource,
 * variant, unknown). Cannot fail. */
SCREE_API size_t scree_type_bytes(enum scree_type type);

/* A tensor's shape: dims[0..rank), slowest first (NHWC for pictures). Rank 0 is a scalar. */
struct scree_shape {
    int32_t rank;
    int32_t dims[SCREE_MAX_RANK];
};

/* A view of one tensor. `data` and `name` belong to the session (or model) and live as long as it
 * does.
 *
 * real value = scale * (quantized - zero_point), per tensor when n_scales is 1; per slice of
 * dimension `axis` when n_scales is more; not quantized when n_scales is 0 (scale 0, zero_point 0).
 */
struct scree_tensor {
    const char *name;
    enum scree_type type;
    struct scree_shape shape;
    size_t bytes;
    void *data; /* NULL where only a description is asked for */
    float scale;
    int32_t zero_point;
    uint32_t n_scales;
    const float *scales; /* f32[n_scales] */
    int32_t axis;
};

struct scree_model;
struct scree_session;

/* ---- models ------------------------------------------------------------------------------------
 */

/* Opens the .tflite file `path` and checks it whole. The file is mapped, not read: it must not be
 * written to in place while the model lives (replace files by rename).
 *
 * ret_model  one reference, given back with scree_model_unref()
 * Errors: ENOENT, EACCES, EIO (the file), EBADMSG (not a valid model; the text says what and
 * where), E2BIG (over a limit of docs/limits.md), ENOTSUP (schema version), ENOMEM. */
SCREE_API int scree_model_open(const char *path, struct scree_model **ret_model,
                               struct scree_error *err);

/* The same from memory. `bytes` u8[n_bytes], any alignment, is borrowed: it must outlive the model.
 */
SCREE_API int scree_model_open_memory(const void *bytes, size_t n_bytes,
                                      struct scree_model **ret_model, struct scree_error *err);

/* Takes one more reference and returns `model`. Cannot fail. */
SCREE_API struct scree_model *scree_model_ref(struct scree_model *model);

/* Gives a reference back; the last one frees the model. Accepts NULL. */
SCREE_API void scree_model_unref(struct scree_model *model);

/* The number of inputs and outputs of the model's main subgraph. Cannot fail. */
SCREE_API uint32_t scree_model_n_inputs(const struct scree_model *model);
SCREE_API uint32_t scree_model_n_outputs(const struct scree_model *model);

/* Describes input or output `index` as the file states it (data is NULL; a dimension that is open
 * is -1). Errors: EINVAL for an index out of range. */
SCREE_API int scree_model_input(const struct scree_model *model, uint32_t index,
                                struct scree_tensor *ret_tensor);
SCREE_API int scree_model_output(const struct scree_model *model, uint32_t index,
                                 struct scree_tensor *ret_tensor);

/* The description stored in the file, "" if there is none. Lives as long as the model. Cannot fail.
 */
SCREE_API const char *scree_model_description(const struct scree_model *model);

/* Finds a file packed in the model's metadata (label lists, vocabularies) by its name; with `name`
 * NULL the label file of the outputs, whatever its name. *ret_bytes u8[*ret_n_bytes] lives as long
 * as the model. Errors: ENOENT (none such), EBADMSG (damaged archive), ENOTSUP (compression
 * method), ENOMEM. */
SCREE_API int scree_model_file(struct scree_model *model, const char *name, const void **ret_bytes,
                               size_t *ret_n_bytes, struct scree_error *err);

/* ---- sessions ----------------------------------------------------------------------------------
 */

/* How to run. Zero means the default of each field, so `= {0}` is always a valid start. */
struct scree_session_options {
    int n_threads;                    /* 1 to 64; 0: one per processor this process may use */
    uint32_t n_input_shapes;          /* 0, or the model's number of inputs */
    const struct scree_shape *shapes; /* new input shapes; rank -1 keeps the model's */
};

/* Plans `model` for one shape of its inputs and allocates all that runs will need.
 *
 * options  NULL for the defaults; not kept
 * ret_session  owned by the caller, freed with scree_session_free(); holds a reference to the model
 * Errors: EINVAL (options; a shape the model cannot take), ENOTSUP (an operator, named with its
 * version and types), EBADMSG (an operator whose tensors do not fit together), E2BIG, ENOMEM. */
SCREE_API int scree_session_new(struct scree_model *model,
                                const struct scree_session_options *options,
                                struct scree_session **ret_session, struct scree_error *err);

/* Frees a session. Accepts NULL. */
SCREE_API void scree_session_free(struct scree_session *session);

/* The number of inputs and outputs, those of the model. Cannot fail. */
SCREE_API uint32_t scree_session_n_inputs(const struct scree_session *session);
SCREE_API uint32_t scree_session_n_outputs(const struct scree_session *session);

/* A view of input `index`, to be filled before each run: the memory may be reused by the run
 * itself. Errors: EINVAL for an index out of range. */
SCREE_API int scree_session_input(const struct scree_session *session, uint32_t index,
                                  struct scree_tensor *ret_tensor);

/* A view of output `index`, valid after a run until the next one. An output whose shape depends on
 * the input's values (NON_MAX_SUPPRESSION, WHERE ...) has its real shape after each run and, before
 * the first, rank -1 and data NULL. Errors: EINVAL for an index out of range. */
SCREE_API int scree_session_output(const struct scree_session *session, uint32_t index,
                                   struct scree_tensor *ret_tensor);

/* Runs the model once on the inputs' present bytes. Allocates nothing, unless a shape in the model
 * depends on the input's values. The same input gives the same bits whatever the number of threads.
 * Errors: EBADMSG (an index in the data out of the range of what it indexes), ENOTSUP, ENOMEM (only
 * for shapes known at run time). After an error the outputs are undefined and the session can run
 * again. */
SCREE_API int scree_session_run(struct scree_session *session, struct scree_error *err);

/* Sets the model's variable tensors (states of LSTM, SVDF) back to zero, as in a new session. */
SCREE_API void scree_session_reset(struct scree_session *session);

/* ---- what a session does -----------------------------------------------------------------------
 */

/* One node of the plan, in order of execution. */
struct scree_node_report {
    const char *op;           /* "CONV_2D", or a custom operator's name */
    uint32_t index;           /* the operator's number in the file */
    const char *device;       /* "cpu", or "none" for a node done at planning or folded away */
    const char *reason;       /* why there; "" if there is nothing to say */
    const char *output_name;  /* the name of its first output */
    enum scree_type type;     /* the type of its first output */
    struct scree_shape shape; /* the shape of its first output; rank -1 if known only at run time */
    uint64_t macs;    /* multiply-accumulates; 0 for operators that are not matrix products */
    uint64_t last_ns; /* its time in the last profiled run, 0 before one */
};

/* The number of nodes in the plan. Cannot fail. */
SCREE_API uint32_t scree_session_n_nodes(const struct scree_session *session);

/* Describes node `index`. Errors: EINVAL for an index out of range. */
SCREE_API int scree_session_report(const struct scree_session *session, uint32_t index,
                                   struct scree_node_report *ret_report);

/* Measures each node's time in the runs that follow (about 50 ns a node). Off in a new session. */
SCREE_API void scree_session_profile(struct scree_session *session, bool on);

/* Memory of a session, in bytes. */
struct scree_memory {
    size_t arena_bytes;     /* activations and scratch, one block, of this session */
    size_t constants_bytes; /* constants computed at planning, shared by sessions of one shape */
    size_t weights_bytes;   /* constants in the mapped file */
    size_t dynamic_bytes;   /* tensors whose shape is known at run time, as of now */
};

/* Tells how much memory the session uses. Cannot fail. */
SCREE_API void scree_session_memory(const struct scree_session *session,
                                    struct scree_memory *ret_memory);

#ifdef __cplusplus
}
#endif
#endif
