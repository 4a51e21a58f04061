/* engine/engine.h - what the files of the engine share: the insides of struct scree_model and
 * scree_session.
 *
 * A model owns the file's mapping, the graph and a plan for the shapes in the file, made when the
 * first session asks for it. A session owns its arena, its copies of the plan's operands (whose
 * data point into that arena) and its threads; it shares the plan.
 *
 * Threads: the model's reference count is atomic and its plan and unpacked files are made under its
 * lock; everything else in it is immutable. A session belongs to one thread at a time. */
#ifndef SCREE_ENGINE_ENGINE_H
#define SCREE_ENGINE_ENGINE_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/file.h"
#include "kernels/kernels.h"
#include "plan/plan.h"

/* A plan and how many hold it. */
struct scree_shared_plan {
    atomic_uint n_refs;
    struct scree_plan plan;
    struct scree_shared_plan *whole; /* a reference: the plan that this one is a division of */
};

struct scree_model {
    atomic_uint n_refs;
    char *name;                 /* for messages: the path, or "a model in memory" */
    struct scree_mapped mapped; /* all zero for a model from memory */
    struct scree_graph graph;
    struct scree_kernels kernels; /* of this machine, as SCREE_CPU allows */
    pthread_mutex_t lock;
    struct scree_shared_plan *plan; /* for the file's shapes, NULL until asked for; under lock */
    struct scree_arena files;       /* unpacked files of the metadata; under lock */
    struct scree_model_file *found; /* what scree_model_file() has found, in that arena */
};

/* A tensor whose shape is known at run time lives here; grows, never shrinks. */
struct scree_dynamic {
    void *data;
    size_t capacity_bytes;
};

struct scree_offload;

struct scree_session {
    struct scree_model *model;
    struct scree_offload *offload; /* NULL: everything is on the CPU */
    struct scree_shared_plan *shared;
    struct scree_pool *pool; /* NULL with one thread */
    bool is_guest;           /* the pool is another session's */
    int32_t n_rows, row;     /* see rows.h */
    bool is_long;            /* a run is worth waking the threads for as it begins */
    bool pins;               /* runs are on the processors of `pin` alone */
    cpu_set_t pin;
    void *arena_block;              /* as malloc gave it */
    uint8_t *arena;                 /* aligned to 64 */
    struct scree_operand *operands; /* one a tensor */
    struct scree_call *calls;       /* one a step */
    struct scree_dynamic *dynamic;  /* one a tensor; NULL if the plan defers nothing */
    struct scree_dynamic scratch;   /* of deferred steps */
    struct scree_dynamic thread_scratch;
    uint64_t *step_ns; /* one a step */
    bool has_run;
    bool profile;
    struct scree_arena tables;         /* operands, calls, ... */
    struct scree_arena dynamic_params; /* of deferred steps, for one run */
};

/* A reference to the model's plan for `shapes` (NULL: those of the file, shared by all who ask).
 * Errors: those of scree_plan_new(). */
int scree_model_plan(struct scree_model *model, const struct scree_shape *shapes,
                     struct scree_shared_plan **ret_plan, struct scree_error *err);

/* Gives the reference back. Accepts NULL. */
void scree_shared_plan_unref(struct scree_shared_plan *plan);

/* Fills a view from a definition and a shape; data NULL. */
void scree_tensor_describe(const struct scree_tensor_def *def, const struct scree_shape *shape,
                           struct scree_tensor *ret_tensor);

#endif
