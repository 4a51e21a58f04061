/* plan/op.h - what the planner and the engine know of an operator: check and shapes first, then
 * bytes.
 *
 * An operator is a row of a table (ops/ops.inc): two functions over a struct scree_call.
 *
 *   prepare  looks at the inputs' types, shapes, quantization and, where they are constant, values;
 * sets the outputs' shapes; leaves in call->params what run will need (allocated with
 *            scree_call_params) and in call->scratch_bytes how much scratch it wants. It is pure
 * but for that. run      computes the outputs' bytes from the inputs' bytes. Allocates nothing,
 * keeps nothing.
 *
 * A shape that depends on an input's values (RESHAPE's second input, RANGE, WHERE ...) is known at
 * planning when these are constant. Otherwise prepare returns SCREE_DEFER and is called again at
 * each run, when the values are there; everything behind it is deferred too and lives outside the
 * arena.
 *
 * Before prepare is called, the types of inputs and outputs have been checked against the row's
 * list, the number of inputs against its bounds, and what an operand's quantization must be against
 * its type (ops/check.c): so prepare only looks at what is particular to the operator. */
#ifndef SCREE_PLAN_OP_H
#define SCREE_PLAN_OP_H

#include "base/arena.h"
#include "base/pool.h"
#include "model/graph.h"

/* A tensor as an operator sees it. */
struct scree_operand {
    enum scree_type type;
    bool constant;                   /* data does not change between runs */
    bool dynamic;                    /* shape known at run time only */
    bool variable;                   /* kept between runs */
    struct scree_shape shape;        /* of an output: set by prepare */
    const struct scree_quant *quant; /* never NULL; n 0 if not quantized */
    size_t n_elements;               /* of the shape */
    size_t bytes;
    void *data; /* aligned to its type at least. In prepare: NULL unless constant (or dynamic and at
                   run time) */
    const char *name;
    /* If not NULL: element i is table[byte i of source]; table u8[256], or f32[256] for a float32
     * operand. Set by prepare at planning, for the operators behind it (ops/table.h). */
    struct scree_operand *source;
    const void *table;
};

struct scree_kernels;

/* Rows and columns of real zeros around the input of a convolution, which a PAD before it had put
 * there: less than the (dilated) filter is large. */
struct scree_margin {
    int32_t top, bottom, left, right;
};

/* What prepare finds out of an operator that only moves bytes. The planner may then give both the
 * same memory, and run has nothing to do for those that are in place. */
enum scree_alias {
    SCREE_ALIAS_NONE,
    SCREE_ALIAS_OUTPUTS, /* the outputs are parts of input alias_input, one behind the other, the
                            first at byte alias_start */
    SCREE_ALIAS_INPUTS,  /* the inputs, one behind the other, are the bytes of output 0 */
};

/* One node on its operands. */
struct scree_call {
    const struct scree_node *node;
    const struct scree_op *op;
    uint32_t n_inputs, n_outputs;
    struct scree_operand **inputs; /* NULL where an optional input is left out */
    struct scree_operand **outputs;
    uint32_t n_intermediates;
    struct scree_operand **intermediates; /* of LSTM: only their quantization means something */
    void *params;                /* prepare's message to run; NULL until prepare asks for it */
    size_t scratch_bytes;        /* set by prepare, 0 by default */
    void *scratch;               /* run: scratch_bytes, aligned to 64, contents undefined */
    size_t thread_scratch_bytes; /* set by prepare: as much for each thread of the pool */
    void *thread_scratch;        /* run: see scree_call_thread_scratch() */
    struct scree_arena *arena;   /* prepare: where params live; not for run */
    const struct scree_kernels *kernels; /* what this machine computes with: kernels/kernels.h */
    bool once; /* prepare is at planning, for many runs: work done ahead pays. Else for one run */
    bool exact_floats;       /* floats must have the reference's bits: plan/exact.h */
    struct scree_pool *pool; /* run: may be NULL (one thread) */
    uint64_t macs;           /* set by prepare of matrix products: multiply-accumulates of a run */
    const struct scree_margin *margin; /* of CONV_2D, DEPTHWISE_CONV_2D; NULL: none */
    enum scree_alias alias;            /* set by prepare, with the next two; none by default */
    uint32_t alias_input;
    size_t alias_start;
    uint32_t consumed; /* set by prepare, 0 by default: bit i: run does not read constant input i,
                          since params hold it in another form; its memory may be taken away */
};

/* What prepare returns when it needs values that are not known yet. */
#define SCREE_DEFER 1

typedef int scree_prepare_fn(struct scree_call *call, struct scree_error *err);
typedef int scree_run_fn(const struct scree_call *call, struct scree_error *err);

enum scree_op_flag {
    /* Element i of output 0 is computed from element i of each input that has its shape, after
     * which nobody reads that: the planner may give both the same memory. */
    SCREE_OP_IN_PLACE = 1,
    /* Never folded at planning, though its inputs be constant. */
    SCREE_OP_NO_FOLD = 2,
    /* run reads or writes an input that is a variable. */
    SCREE_OP_STATEFUL = 4,
    /* run looks at its inputs' shapes alone: it can be folded as soon as these are known. */
    SCREE_OP_OF_SHAPES = 8,
};

/* A row of the operator table. */
struct scree_op {
    int32_t opcode;          /* enum scree_opcode */
    const char *custom_name; /* for SCREE_OP_CUSTOM, else NULL */
    int max_version;         /* the newest version of the operator whose meaning is implemented */
    const char *types;       /* which types go together: ops/types.h */
    uint32_t flags;          /* enum scree_op_flag */
    scree_prepare_fn *prepare;
    scree_run_fn *run;
};

/* The scratch of thread `thread` of the pool in run: thread_scratch_bytes, aligned to 64,
 * undefined. */
static inline void *scree_call_thread_scratch(const struct scree_call *call, int thread)
{
    size_t stride = (call->thread_scratch_bytes + 63) / 64 * 64;

    return (char *)call->thread_scratch + (size_t)thread * stride;
}

/* n zeroed bytes for run, which become call->params. NULL if memory is out (return
 * scree_fail_memory). */
void *scree_call_params(struct scree_call *call, size_t n);

/* Sets the shape, element count and bytes of output `index`.
 * Errors: EBADMSG (a negative dimension, rank over SCREE_MAX_RANK), E2BIG (over 2^31 - 1 elements).
 */
int scree_call_set_shape(struct scree_call *call, uint32_t index, const struct scree_shape *shape,
                         struct scree_error *err);

/* Input `index`, or NULL if it was left out or the node has fewer inputs. */
static inline struct scree_operand *scree_call_input(const struct scree_call *call, uint32_t index)
{
    return index < call->n_inputs ? call->inputs[index] : NULL;
}

/* The outputs are parts of input `index`, one behind the other, the first at byte `start`. */
static inline void scree_call_alias_outputs(struct scree_call *call, uint32_t index, size_t start)
{
    call->alias = SCREE_ALIAS_OUTPUTS;
    call->alias_input = index;
    call->alias_start = start;
}

/* The same for an operand by itself; the operand is untouched on failure. */
int scree_operand_set_shape(struct scree_operand *operand, const struct scree_shape *shape,
                            struct scree_error *err);

/* The values of an int32 or int64 operand as s64[n]: reads element i. data must not be NULL. */
int64_t scree_operand_int(const struct scree_operand *operand, size_t i);

#endif
