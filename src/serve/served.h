/* serve/served.h - a model at work: loaded, with instances that answer requests in parallel.
 *
 * One version of one model, from the moment it is ready to its last request. It holds N instances,
 * a session each (on an NPU: a core each), and a bounded line of requests for them.
 *
 *     rc = scree_served_look(served, &ask, &answer, err);
 *     ... answer.detections[0 .. answer.n) ...
 *     scree_answer_done(&answer);
 *
 * A picture waits in line as the file it came as: decoded, it is many times as large. As many as
 * there are instances, and a batch more, may be decoded and made inputs of at a time, so that the
 * next are there when an instance is free. While a request is alone, its run has all threads of the
 * session; with others at work, they share. Of models with a batch, requests that wait share runs:
 * see batch.h.
 *
 * Requests of models on the CPU, but for batches, are worked on from the file to the answer by a
 * crew of as many threads as there are processors, so that none takes turns with another.
 *
 * Nothing waits for ever: a request has a deadline, which is looked at before each stage, and a
 * client that has gone away is not computed for.
 *
 * Memory: shared by references; the last one frees it. Threads: any number may ask at once. */
#ifndef SCREE_SERVE_SERVED_H
#define SCREE_SERVE_SERVED_H

#include <stdatomic.h>

#include "base/sha256.h"
#include "media/image.h"
#include "serve/metrics.h"
#include "serve/turns.h"

/* PATH.json says more about the model PATH; it need not be there. */
#define SCREE_SIDE_ENDING ".json"

/* Where a model ran: on the NPU if all its matrix products did, whatever small operators were left
 * to the CPU beside it. */
enum scree_ran {
    SCREE_RAN_CPU,
    SCREE_RAN_NPU,
    SCREE_RAN_MIXED,
};

/* "cpu", "npu" or "mixed". */
const char *scree_ran_name(enum scree_ran ran);

/* How long the stages of an answer took, and where it was computed. A file's rows are decoded and
 * resized in turns: decode_ns and preprocess_ns are each the sum of its own. */
struct scree_times {
    uint64_t queue_ns, decode_ns, preprocess_ns, compute_ns, postprocess_ns;
    enum scree_ran ran;
};

struct scree_served_options {
    const char *name, *version;           /* copied */
    const char *path;                     /* the .tflite */
    const char *labels;                   /* a file or a built-in list; NULL: those of the model */
    uint32_t n_instances;                 /* 1 to SCREE_TURNS_MAX_THINGS - 1; 0: auto */
    uint32_t n_cores;                     /* auto: on an NPU one for each of these ... */
                                          /* ... else one for each thread, at most 4 */
    uint32_t batch;                       /* rows of a run; 0: as the file has it; 1: no batch */
    uint32_t batch_delay_us;              /* that a run waits for more rows */
    struct scree_session_options session; /* of each instance; borrowed */
    uint32_t max_waiting;                 /* requests in line */
    struct scree_turns *decoders;         /* who may decode a picture; borrowed */
    struct scree_workers *crew;       /* a thread a processor, for models on the CPU; borrowed */
    struct scree_image_options image; /* limits of pictures */
    bool fast;                        /* big JPEGs are decoded smaller where that is enough */
    uint32_t deadline_ms;             /* of a request that does not say */
    atomic_uint *n_at_work;           /* decoders and instances of all models; borrowed */
    struct scree_metrics *metrics;    /* the sizes of batches are counted there; borrowed */
};

/* The most rows in one run, and the most sessions of an instance: of 1, 2, 4 ... rows. */
#define SCREE_SERVED_MAX_BATCH 64
#define SCREE_SERVED_MAX_SIZES 7

/* Runs with so many rows. */
struct scree_batch_stats {
    atomic_uint_fast64_t n, input_ns, compute_ns, output_ns;
};

/* What was counted since it was loaded. */
struct scree_served_stats {
    atomic_uint_fast64_t n_ok, n_failed;
    atomic_uint_fast64_t n_rows, n_runs;   /* a run may have rows of several requests */
    atomic_uint_fast64_t ok_ns, failed_ns; /* whole requests */
    atomic_uint_fast64_t queue_ns, decode_ns, preprocess_ns, compute_ns, postprocess_ns;
    atomic_uint_fast64_t last_ms; /* of the last inference, since 1970 */
    /* Parts of the model that the CPU had to do in place of the NPU: a run that was not trusted,
     * and those after several such runs. */
    atomic_uint_fast64_t n_repeated, n_rested;
    /* The first by kind: see struct scree_run_stats. */
    atomic_uint_fast64_t n_late, n_lost, n_gave_up, n_died;
    struct scree_batch_stats batches[SCREE_SERVED_MAX_BATCH + 1]; /* by rows */
};

/* One of those that compute: a session, and with batches one for each size of them, which share
 * their threads. */
struct scree_instance {
    struct scree_session *sessions[SCREE_SERVED_MAX_SIZES];
    struct scree_vision *vision;  /* NULL without a task */
    enum scree_ran ran;           /* when nothing goes wrong */
    atomic_uint_fast64_t busy_ns; /* in runs */
};

struct scree_served {
    atomic_uint n_refs;
    char *name, *version;
    struct scree_model *model;
    struct scree_labels *labels; /* may be NULL */
    enum scree_task task;        /* SCREE_TASK_ANY: only tensors */
    const char *head;            /* for people; "" without a task */
    bool takes_pictures;
    uint32_t picture_input;
    struct scree_picture_options picture;
    struct scree_image_options image; /* how files become pictures */
    int32_t enough;                   /* pixels of a JPEG's sides; 0: it is decoded whole */
    uint32_t deadline_ms;
    struct scree_instance *instances;
    uint32_t n_instances;
    struct scree_tensor *inputs; /* of one row, without data */
    bool has_rows;               /* rows of several requests go into one run */
    uint32_t n_sizes;            /* of batches, hence sessions of an instance: at least 1 */
    uint32_t sizes[SCREE_SERVED_MAX_SIZES]; /* rising; 1 without has_rows */
    uint64_t batch_delay_ns;
    char batch_note[384];      /* why there are no batches although they were asked for */
    struct scree_turns stages; /* who may have a picture at work, or with a crew, any request */
    struct scree_turns turns;
    struct scree_workers *crew; /* who does all the work; NULL: each request's own thread */
    struct scree_turns *decoders;
    atomic_uint *n_at_work;
    struct scree_metrics *metrics;
    struct scree_served_stats stats;
    uint64_t load_ns;
    enum scree_ran ran; /* of all instances, when nothing goes wrong */
    uint32_t n_npu_nodes, n_cpu_nodes;
    char delegate[256]; /* the path of the library; "" without one */
    char note[384];     /* why the NPU is not used although it was looked for; "" if it is */
    char sha256[SCREE_SHA256_TEXT]; /* of the file */
    uint64_t n_bytes;               /* of memory that it takes: file, constants, sessions */
};

/* Loads a model, makes its instances and runs the first one and those on an NPU once, so that the
 * first request is as fast as the next. ret_served has one reference. Errors: those of
 * scree_model_open(), scree_session_new(), scree_labels_open(). */
int scree_served_new(const struct scree_served_options *options, struct scree_served **ret_served,
                     struct scree_error *err);

struct scree_served *scree_served_ref(struct scree_served *served);
void scree_served_unref(struct scree_served *served);

/* What a request wants of a picture. */
struct scree_ask {
    const uint8_t *bytes; /* a picture file, u8[n] */
    size_t n;
    const struct scree_image *image; /* or a picture without a file; NULL: bytes count */
    bool upright;                    /* turn as EXIF says */
    bool keep_image; /* leave the decoded picture in the answer, to draw into; bytes only */
    enum scree_priority priority;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC */
    uint32_t max;         /* classes, boxes, poses: at most so many, 1 to 1000 */
    float threshold;      /* the least score of boxes and poses; 0: default; below 0: all */
    float iou;            /* 0: default */
    /* Is anybody still there? NULL: always. */
    bool (*is_gone)(const void *context);
    const void *context;
};

struct scree_answer {
    enum scree_task task;
    int32_t w, h; /* of the picture */
    uint32_t n;
    struct scree_class *classes; /* by task: one of these, [n] */
    struct scree_detection *detections;
    struct scree_pose *poses;
    uint8_t *mask;             /* u8[h][w] */
    struct scree_image *image; /* if it was to be kept */
    struct scree_times times;
};

/* Looks at a picture. Errors: EBADMSG, ENOTSUP, E2BIG (the picture), EINVAL (the model is not for
 * pictures), EBUSY (the line is full), ETIMEDOUT (the deadline), EAGAIN (shutting down, or nobody
 * is there any more), ENOMEM. */
int scree_served_look(struct scree_served *served, const struct scree_ask *ask,
                      struct scree_answer *ret_answer, struct scree_error *err);

/* Frees what an answer holds. Accepts an all-zero one. */
void scree_answer_done(struct scree_answer *answer);

/* The rows that one run can have; 0 for a model without a batch, which has all that its inputs have
 * in each run. */
uint32_t scree_served_batch(const struct scree_served *served);

/* An input as the instances have it, of one row if there is a batch, without data. Errors: EINVAL
 * (index). */
int scree_served_input(const struct scree_served *served, uint32_t index,
                       struct scree_tensor *ret_tensor);

/* Decodes a picture u8[n] when it is its turn, and makes the model's input of it, u8[bytes of the
 * input], which is the caller's; adds to the times of queue, decoding and preprocessing. Errors:
 * those of scree_image_open_memory() and scree_turns_take(). */
int scree_served_prepare(struct scree_served *served, enum scree_priority priority,
                         uint64_t deadline_ns, const uint8_t *bytes, size_t n,
                         struct scree_times *times, uint8_t **ret_input, struct scree_error *err);

/* Counts a request that ended with rc, total_ns after it had come; its times if rc is good. */
void scree_served_note(struct scree_served *served, int rc, const struct scree_times *times,
                       uint64_t total_ns);

/* How many requests wait for the model, and how many instances are at work, at this moment. */
void scree_served_count(struct scree_served *served, uint32_t *ret_waiting, uint32_t *ret_busy);

/* A request for tensors: `fill` writes the inputs of a session, `take` reads its outputs, for each
 * of its rows; both run while the instance is held, perhaps on another request's thread. A negative
 * return ends the request. */
struct scree_tensor_ask {
    enum scree_priority priority;
    uint64_t deadline_ns;
    uint32_t n_rows; /* 1 to scree_served_batch(), at least 1 */
    int (*fill)(void *context, uint32_t row, struct scree_session *session,
                struct scree_error *err);
    int (*take)(void *context, uint32_t row, const struct scree_session *session,
                struct scree_error *err);
    bool (*is_gone)(const void *context);
    void *context;
};

/* Runs the model on tensors. Errors: those of fill and take, and of scree_served_look() but for
 * pictures. */
int scree_served_run(struct scree_served *served, const struct scree_tensor_ask *ask,
                     struct scree_times *ret_times, struct scree_error *err);

#endif
