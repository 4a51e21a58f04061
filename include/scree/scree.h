/* scree/scree.h - run quantized TensorFlow Lite models: models, sessions, tensors, pictures.
 *
 * A model is opened once and is immutable; any number of sessions run it. The usual call:
 *
 *     struct scree_error err;
 *     struct scree_model *model;
 *     struct scree_session *session;
 *     struct scree_tensor in, out;
 *     if (scree_model_open("m.tflite", &model, &err) < 0 ||
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

/* One line of text for people; no newline at its end, never NULL, always terminated. There is room
 * for the names of two files and what is wrong with them. */
struct scree_error {
    char text[512];
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
    int n_threads;                    /* 1 to 64; 0: one for each fast processor, see below */
    uint32_t n_input_shapes;          /* 0, or the model's number of inputs */
    const struct scree_shape *shapes; /* new input shapes; rank -1 keeps the model's */
    const char *device;               /* "auto" (NULL is the same), "cpu" or "teflon", see below */
    const char *delegate; /* the path of a TensorFlow Lite delegate; NULL: Mesa's Teflon */
    uint32_t n_delegate_options;
    const char *const *delegate_options; /* texts "key=value" */
    int delegate_timeout_ms; /* for a delegate to compile and run once; 0: 30000, at most 600000 */
    bool require_npu;        /* what would fall back to the CPU is an error instead */
    uint32_t check_every;    /* see below; 0: 1000, at most 1000000 */
};

/* Plans `model` for one shape of its inputs and allocates all that runs will need.
 *
 * With n_threads 0 there is one thread for each processor that the affinity mask and the CPU quota
 * of the control group let this thread use; of big and small cores, the big ones alone, to which
 * runs are then pinned (a run gives the calling thread its affinity mask back).
 *
 * With the device "teflon" the operators that Mesa's Teflon delegate computes right are left to it,
 * hence to the NPU; all others are the CPU's, as scree_session_report() tells one by one. The
 * library is the one that the environment variable SCREE_TEFLON names, else the first where
 * distributions put it. "auto" is the same where there is one, and the CPU where there is none.
 *
 * A delegate is not trusted: it works in a child process of the session's own, a fork of this one.
 * If it cannot compile the model and run it once, the CPU does all (scree_session_stats() has the
 * reason). Its runs are checked, and a bad one is done again on the CPU; so is one in which it
 * crashes or hangs, and it is started anew behind the scenes. With require_npu these are errors (a
 * run, if it is bad twice), and so is a model of which no operator can be offloaded. What a
 * delegate computes may differ from the CPU's bits by small steps: NPUs round in other ways. The
 * first run of each part, and then one of check_every, is done by the CPU as well; one that is far
 * off counts as bad. The program must not wait for children that are not its own, as wait(-1) does.
 *
 * options  NULL for the defaults; not kept
 * ret_session  owned by the caller, freed with scree_session_free(); holds a reference to the model
 * Errors: EINVAL (options; a shape the model cannot take), ENODEV (the device asked for cannot be
 * used), ENOTSUP (an operator, named with its
 * version and types), EBADMSG (an operator whose tensors do not fit together), E2BIG, ENOMEM. */
SCREE_API int scree_session_new(struct scree_model *model,
                                const struct scree_session_options *options,
                                struct scree_session **ret_session, struct scree_error *err);

/* The number of threads of a run, the calling one with them. Cannot fail. */
SCREE_API int scree_session_n_threads(const struct scree_session *session);

/* Lets the next runs use at most n_threads of them, for programs whose processors have other work
 * at the moment; values below 1 count as 1. Results are the same. Cannot fail. */
SCREE_API void scree_session_use_threads(struct scree_session *session, int n_threads);

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
 * for shapes known at run time), ENODEV (a bad run of the NPU, with require_npu). After an error
 * the outputs are undefined and the session can run again. */
SCREE_API int scree_session_run(struct scree_session *session, struct scree_error *err);

/* Sets the model's variable tensors (states of LSTM, SVDF) back to zero, as in a new session. */
SCREE_API void scree_session_reset(struct scree_session *session);

/* ---- what a session does -----------------------------------------------------------------------
 */

/* One node of the plan, in order of execution. */
struct scree_node_report {
    const char *op;          /* "CONV_2D", or a custom operator's name */
    uint32_t index;          /* the operator's number in the file */
    const char *device;      /* "cpu", "teflon" (or "delegate": another one's), or "none" for a node
                                done at planning or folded away */
    const char *reason;      /* why there; "" if there is nothing to say */
    const char *output_name; /* the name of its first output */
    enum scree_type type;    /* the type of its first output */
    struct scree_shape shape; /* the shape of its first output; rank -1 if known only at run time */
    uint64_t macs;    /* multiply-accumulates; 0 for operators that are not matrix products */
    uint64_t last_ns; /* its time in the last profiled run, 0 before one. Of nodes that a delegate
                         runs together, the first has the time of all */
};

/* The number of nodes in the plan. Cannot fail. */
SCREE_API uint32_t scree_session_n_nodes(const struct scree_session *session);

/* Describes node `index`. Errors: EINVAL for an index out of range. */
SCREE_API int scree_session_report(const struct scree_session *session, uint32_t index,
                                   struct scree_node_report *ret_report);

/* What a session has left to a delegate, and how that went. A part is a chain of nodes that the
 * delegate runs in one go; runs are counted part by part. */
struct scree_run_stats {
    const char *device;        /* "teflon", "delegate"; "cpu" if nothing is offloaded */
    const char *delegate;      /* the path of its library; NULL if none is loaded */
    uint32_t n_nodes, n_parts; /* offloaded */
    uint64_t runs;             /* of parts: verified + repeated + fallbacks */
    uint64_t verified;         /* done by the delegate, and checked */
    uint64_t repeated;         /* done by it, found bad, and done again by the CPU */
    uint64_t fallbacks; /* done by the CPU at once: after several bad ones, or one that crashed */
    /* Of the repeated ones: those that took as long as the kernel waits for a job that hangs; after
     * which outputs or finished tasks were missing; that the delegate itself gave up; in which its
     * process crashed or was killed. */
    uint64_t late, lost, failed, died;
    char note[384]; /* what went wrong last, for people; "" if nothing did */
};

/* Tells it as of now. Cannot fail. */
SCREE_API void scree_session_stats(const struct scree_session *session,
                                   struct scree_run_stats *ret_stats);

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

/* ---- pictures ----------------------------------------------------------------------------------
 */

/* A picture in memory: RGB, 8 bits a channel. */
struct scree_image;

/* Decodes the picture file `path`: JPEG, PNG, WebP, BMP, PPM or PGM, found from its bytes.
 *
 * upright  turn and mirror the picture as its EXIF orientation says; false keeps the pixels as they
 *          are stored, which is what Pillow and TensorFlow do
 * ret_image  owned by the caller, freed with scree_image_free()
 * Errors: ENOENT, EACCES, EIO (the file), EBADMSG (damaged), ENOTSUP (not a format of the list),
 * E2BIG (over 64 million pixels or 16384 on a side), ENOMEM. */
SCREE_API int scree_image_open(const char *path, bool upright, struct scree_image **ret_image,
                               struct scree_error *err);

/* The same from memory. `bytes` u8[n_bytes] is read by the call and not kept. */
SCREE_API int scree_image_open_memory(const void *bytes, size_t n_bytes, bool upright,
                                      struct scree_image **ret_image, struct scree_error *err);

/* Frees a picture. Accepts NULL. */
SCREE_API void scree_image_free(struct scree_image *image);

/* Its size in pixels, each in [1, 16384]. Cannot fail. */
SCREE_API int32_t scree_image_width(const struct scree_image *image);
SCREE_API int32_t scree_image_height(const struct scree_image *image);

/* Its pixels, u8[height][width][3], rows from the top without padding. They live as long as the
 * picture. Cannot fail. */
SCREE_API const uint8_t *scree_image_pixels(const struct scree_image *image);

/* A part of a picture, in pixels. */
struct scree_rect {
    int32_t x, y, w, h;
};

/* How a picture comes into an input of another shape. */
enum scree_fit_mode {
    SCREE_FIT_STRETCH,   /* all of the picture fills all of the target, whatever its shape */
    SCREE_FIT_LETTERBOX, /* all of the picture, its shape kept, in the middle; the rest is padding
                          */
    SCREE_FIT_CROP,      /* the largest middle part that has the target's shape fills the target */
};

/* Where a picture went: target pixels in `dst` show source pixels in `src`. */
struct scree_fit {
    struct scree_rect src, dst;
};

/* How a picture becomes numbers; all zero, or NULL, is the default.
 *
 *     real value = (pixel - mean[channel]) / std[channel]
 *
 * and quantized as the input is. With n_values 0: uint8 and int8 inputs take the pixel itself
 * (p, p - 128), because a quantized input's range is that of the training pictures; float32 and
 * int16 ones take p / 255. */
struct scree_picture_options {
    enum scree_fit_mode fit;
    int32_t n_values; /* 0: mean and std do not count; 1: [0] is for all channels; 3 */
    float mean[3];
    float std[3]; /* not 0 */
};

/* Fills input `index` with a picture: resized with Pillow's bilinear filter to the same bits,
 * normalized, and turned to gray for an input of one channel. A letterbox's padding is gray (114),
 * as the YOLO family is trained with.
 *
 * session  the input is uint8, int8, int16 or float32 of shape [1, h, w, c] or [h, w, c], c 1 or 3
 * options  NULL for the defaults; not kept
 * ret_fit  where the picture went, for scree_detect() and its like; may be NULL
 * Errors: EINVAL (index, options), ENOTSUP (an input that is no picture), E2BIG (sides over 16384),
 * ENOMEM. On failure the input is untouched. */
SCREE_API int scree_session_set_image(struct scree_session *session, uint32_t index,
                                      const struct scree_image *image,
                                      const struct scree_picture_options *options,
                                      struct scree_fit *ret_fit, struct scree_error *err);

/* ---- labels ------------------------------------------------------------------------------------
 */

/* The names of classes. */
struct scree_labels;

/* Reads a label file: one label a line, in the order of the classes, LF or CRLF; or lines "7 label"
 * or "7: label", where every line has a number, rising. The labels "???" and "n/a" and empty lines
 * are classes without a name. Control characters and what is not valid UTF-8 become "?".
 *
 * ret_labels  owned by the caller, freed with scree_labels_free()
 * Errors: ENOENT, EACCES, EIO (the file), EBADMSG (no label in it), E2BIG (over 16 MiB, over a
 * million classes), ENOMEM. */
SCREE_API int scree_labels_open(const char *path, struct scree_labels **ret_labels,
                                struct scree_error *err);

/* The same from memory. `bytes` u8[n_bytes] is read by the call and not kept. */
SCREE_API int scree_labels_open_memory(const void *bytes, size_t n_bytes,
                                       struct scree_labels **ret_labels, struct scree_error *err);

/* The labels packed in the model's metadata. Errors: as scree_model_file() (ENOENT: it has none)
 * and scree_labels_open_memory(). */
SCREE_API int scree_labels_of_model(struct scree_model *model, struct scree_labels **ret_labels,
                                    struct scree_error *err);

/* Lists that are built in: "coco-91" (the 80 classes of COCO as TensorFlow counts them: ids 1 to 90
 * with gaps, less 1), "coco-80" (the same without gaps, as YOLO counts them), "voc-21" (Pascal VOC,
 * background first), "keypoints-17" (the key points of MoveNet and PoseNet).
 * Errors: ENOENT (no such list), ENOMEM. */
SCREE_API int scree_labels_builtin(const char *name, struct scree_labels **ret_labels,
                                   struct scree_error *err);

/* Settles whether class 0 is the background, which lists and models disagree on. A model that
 * answers with n_classes classes is matched with a list of n labels thus:
 *
 *     n == n_classes - 1      class k has label k - 1; class 0 is "background"
 *     n == n_classes + 1 and the first label is "background" or has no name, as "???"
 *                             class k has label k + 1
 *     otherwise               class k has label k
 *
 * n_classes 0 stands for a detector that does not tell how many classes it knows: it does not count
 * the background, so the second row holds whatever n is. Lists with numbers in the file are left
 * as they are. Cannot fail. */
SCREE_API void scree_labels_align(struct scree_labels *labels, uint32_t n_classes);

/* The number of labels in the list, nameless ones included. Cannot fail. */
SCREE_API uint32_t scree_labels_count(const struct scree_labels *labels);

/* The name of a class in UTF-8, or NULL if the list has none for it. Lives as long as the list,
 * which may be NULL. Cannot fail. */
SCREE_API const char *scree_labels_get(const struct scree_labels *labels, int64_t class_id);

/* Frees a list. Accepts NULL. */
SCREE_API void scree_labels_free(struct scree_labels *labels);

/* ---- what outputs mean -------------------------------------------------------------------------
 */

/* One class and its score. */
struct scree_class {
    int32_t class_id;
    float score; /* the real value: scale * (raw - zero_point) */
    float raw;   /* the number as it stands in the tensor */
};

/* The k classes with the highest scores, best first; of equal scores the lower class first. NaN is
 * below every number.
 *
 * scores  uint8, int8, int16, int32, int64 or float32 of any shape; its elements are the classes
 * ret_classes  scree_class[min(k, elements)]
 * k  in [1, 1000]: the worst case takes time in proportion
 * Returns the number of classes written. Errors: EINVAL (k; a tensor without data), ENOTSUP
 * (another type; per-channel quantization). */
SCREE_API int scree_topk(const struct scree_tensor *scores, uint32_t k,
                         struct scree_class *ret_classes, struct scree_error *err);

/* What a model is for. */
enum scree_task {
    SCREE_TASK_ANY, /* asked for: find it from the outputs; answered: unknown */
    SCREE_TASK_CLASSIFY,
    SCREE_TASK_DETECT,
    SCREE_TASK_SEGMENT,
    SCREE_TASK_POSE,
};

/* "classify", "detect", "segment", "pose"; "any" for anything else. The text is static. */
SCREE_API const char *scree_task_name(enum scree_task task);

/* How the outputs of a session are to be read, found from their types and shapes and a side file.
 * It holds scratch memory: one thread at a time. */
struct scree_vision;

/* What scree_vision_new() cannot see; all zero, or NULL, is the default. */
struct scree_vision_options {
    enum scree_task task;  /* only this; SCREE_TASK_ANY: the first that fits */
    const char *side_file; /* path of a MODEL.json, see docs/model-json.md; NULL: none */
};

/* Finds out what the outputs of `session` mean and prepares to read them.
 *
 * The session is only looked at: the result serves every session of the same model and shapes.
 * ret_vision  owned by the caller, freed with scree_vision_free()
 * Errors: ENOTSUP (outputs that are nothing scree knows, or not of the task asked for; raw boxes
 * without anchors in a side file), EBADMSG (the side file), ENOENT, EACCES, EIO (the same), E2BIG
 * (over 200000 boxes, a mask over 4096 on a side), ENOMEM. */
SCREE_API int scree_vision_new(const struct scree_session *session,
                               const struct scree_vision_options *options,
                               struct scree_vision **ret_vision, struct scree_error *err);

/* Frees it. Accepts NULL. */
SCREE_API void scree_vision_free(struct scree_vision *vision);

/* What the model is for: never SCREE_TASK_ANY. Cannot fail. */
SCREE_API enum scree_task scree_vision_task(const struct scree_vision *vision);

/* What its outputs are, for people: "SSD with post-processing". The text is static. Cannot fail. */
SCREE_API const char *scree_vision_head(const struct scree_vision *vision);

/* The labels that belong to the model: the side file's, else the metadata's, else a built-in list
 * if the number of classes tells (a detector of 80 or 90 classes, masks of 21); aligned.
 * Errors: ENOENT (none), and as scree_labels_of_model(). */
SCREE_API int scree_vision_labels(const struct scree_vision *vision, struct scree_model *model,
                                  struct scree_labels **ret_labels, struct scree_error *err);

/* The number of classes, as scree_labels_align() wants it: 0 if the outputs do not tell.
 * Cannot fail. */
SCREE_API uint32_t scree_vision_n_classes(const struct scree_vision *vision);

/* Settles the background of a list for this model: scree_labels_align() with its number of classes;
 * for a map of classes the list stays as it is. Cannot fail. */
SCREE_API void scree_vision_align(const struct scree_vision *vision, struct scree_labels *labels);

/* The best options for pictures: the side file's; else a letterbox for YOLO and for poses,
 * stretching for all others. ret_index is the input that takes the picture. Errors: ENOTSUP (no
 * input is a picture).
 */
SCREE_API int scree_vision_picture(const struct scree_vision *vision, uint32_t *ret_index,
                                   struct scree_picture_options *ret_options,
                                   struct scree_error *err);

/* scree_topk() of the session's class scores, after a run. Errors: also EINVAL if the task is not
 * SCREE_TASK_CLASSIFY. */
SCREE_API int scree_classify(struct scree_vision *vision, const struct scree_session *session,
                             uint32_t k, struct scree_class *ret_classes, struct scree_error *err);

/* A box around a thing. With the fit of scree_session_set_image(): in pixels of the picture, cut
 * off at the edges of the part that the model saw. With fit NULL: in [0, 1] of the model's input.
 */
struct scree_detection {
    int32_t class_id; /* not counting the background */
    float score;
    float ymin, xmin, ymax, xmax; /* ymin <= ymax, xmin <= xmax */
};

/* Which answers count; all zero, or NULL, is the default. */
struct scree_detect_options {
    float threshold; /* the least score; 0: the default (0.5 for boxes, 0.2 for poses); below 0: all
                      */
    float iou;       /* a box that overlaps a better one of its class more is dropped; 0: 0.5 */
    bool any_class;  /* a better box of any class drops it */
};

/* Boxes found by the last run, best first (equal scores: lower class, then the model's order).
 *
 * fit  where the picture went; NULL: see struct scree_detection
 * ret_detections  scree_detection[max]; max in [1, 1000]: suppression takes time in proportion
 * Returns the number of boxes written. Boxes that are not finite, have no area inside the picture
 * or a class outside [0, 1000000) are left out.
 * Errors: EINVAL (not SCREE_TASK_DETECT, options, shapes other than at scree_vision_new()). */
SCREE_API int scree_detect(struct scree_vision *vision, const struct scree_session *session,
                           const struct scree_fit *fit, const struct scree_detect_options *options,
                           uint32_t max, struct scree_detection *ret_detections,
                           struct scree_error *err);

/* The number of key points of a person, in the order of scree_labels_builtin("keypoints-17"). */
#define SCREE_N_KEYPOINTS 17

/* One key point, in pixels of the picture, or in [0, 1] of the input without a fit. It may lie
 * outside of both. Never NaN. */
struct scree_keypoint {
    float y, x, score;
};

/* One person: the mean of the key points' scores, and the key points. */
struct scree_pose {
    float score;
    struct scree_keypoint keypoints[SCREE_N_KEYPOINTS];
};

/* Persons found by the last run, best first.
 *
 * options  only the threshold counts, against the person's score
 * ret_poses  scree_pose[max]; max in [1, 100]
 * Returns the number of poses written. Errors: EINVAL (not SCREE_TASK_POSE, options, shapes other
 * than at scree_vision_new()). */
SCREE_API int scree_pose(struct scree_vision *vision, const struct scree_session *session,
                         const struct scree_fit *fit, const struct scree_detect_options *options,
                         uint32_t max, struct scree_pose *ret_poses, struct scree_error *err);

/* The lines of a skeleton: *ret_pairs u8[n][2], numbers of key points. Returns n. Cannot fail. */
SCREE_API uint32_t scree_pose_edges(const uint8_t (**ret_pairs)[2]);

/* The value of a class map where the model did not look. Not a class. */
#define SCREE_CLASS_NONE 255

/* The class of every pixel after the last run, by nearest neighbour.
 *
 * fit  where the picture went: the map is then the whole picture's, w x h its size, and pixels that
 *      the model did not see are SCREE_CLASS_NONE. NULL: the map is the model's input's
 * w, h  the size of the map to write, in [1, 16384]
 * ret_classes  u8[h][w]
 * Errors: EINVAL (not SCREE_TASK_SEGMENT, w, h, fit, shapes other than at scree_vision_new()),
 * EBADMSG (a class over 255 or negative). */
SCREE_API int scree_segment(struct scree_vision *vision, const struct scree_session *session,
                            const struct scree_fit *fit, int32_t w, int32_t h, uint8_t *ret_classes,
                            struct scree_error *err);

#ifdef __cplusplus
}
#endif
#endif
