#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "cpu/fast.h"
#include "engine/offload.h"
#include "engine/rows.h"
#include "ops/ops.h"

#define ARENA_ALIGNMENT 64
/* Work of some 50 us: with less, a run may be over before a thread has woken up. */
#define LONG_MACS ((uint64_t)1 << 22)
/* Operands and calls: as large as the plan's own. */
#define MAX_TABLES_BYTES ((size_t)1 << 30)

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- creation ----------------------------------------------------------------------------------
 */

static int start_threads(struct scree_session *session, int n_threads, struct scree_error *err)
{
    struct scree_fast_processors fast = {0};

    if (n_threads < 0 || n_threads > SCREE_POOL_MAX_THREADS)
        return scree_fail(err, EINVAL, "%d threads: 1 to %d are possible", n_threads,
                          SCREE_POOL_MAX_THREADS);
    if (n_threads == 0) {
        scree_fast_processors(&fast);
        n_threads = scree_min_i32(fast.n, SCREE_POOL_MAX_THREADS);
    }
    session->pins = fast.uneven;
    session->pin = fast.set;
    if (n_threads == 1)
        return 0;
    return scree_pool_new(n_threads, session->pins ? &session->pin : NULL, &session->pool, err);
}

static int alloc_arena(struct scree_session *session, struct scree_error *err)
{
    size_t bytes = session->shared->plan.arena_bytes + ARENA_ALIGNMENT;

    /* Zeroed: states start at zero, and calloc gives large blocks as untouched pages. */
    session->arena_block = calloc(1, bytes);
    if (!session->arena_block)
        return scree_fail_memory(err, bytes);
    session->arena = session->arena_block;
    session->arena += -(uintptr_t)session->arena_block % ARENA_ALIGNMENT;
    return 0;
}

/* The list of operands of the plan, as pointers to the session's own. */
static struct scree_operand **own_list(struct scree_session *session, struct scree_operand **theirs,
                                       uint32_t n)
{
    struct scree_operand **list = scree_arena_new(&session->tables, struct scree_operand *, n);

    for (uint32_t i = 0; list && i < n; i++)
        list[i] = theirs[i] ? session->operands + (theirs[i] - session->shared->plan.operands)
                            : NULL;
    return list;
}

static int bind_calls(struct scree_session *session, struct scree_error *err)
{
    const struct scree_plan *plan = &session->shared->plan;

    for (uint32_t i = 0; i < plan->n_steps; i++) {
        const struct scree_step *step = &plan->steps[i];
        struct scree_call *call = &session->calls[i];

        *call = step->call;
        call->inputs = own_list(session, step->call.inputs, call->n_inputs);
        call->outputs = own_list(session, step->call.outputs, call->n_outputs);
        if (!call->inputs || !call->outputs)
            return scree_fail(err, ENOMEM, "no memory for the session");
        call->scratch = session->arena + step->scratch_offset;
        call->pool = session->pool;
        call->arena = &session->dynamic_params;
    }
    return 0;
}

static bool defers(const struct scree_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].kind == SCREE_STEP_DEFERRED)
            return true;
    return false;
}

static int grow(struct scree_dynamic *dynamic, size_t bytes, struct scree_error *err)
{
    size_t capacity;
    void *data;

    if (dynamic->data && bytes <= dynamic->capacity_bytes)
        return 0;
    if (bytes > SCREE_PLAN_MAX_ARENA_BYTES)
        return scree_fail(err, E2BIG, "a tensor of %zu bytes", bytes);
    capacity = (bytes + ARENA_ALIGNMENT) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    data = aligned_alloc(ARENA_ALIGNMENT, capacity);
    if (!data)
        return scree_fail_memory(err, capacity);
    free(dynamic->data);
    *dynamic = (struct scree_dynamic){data, capacity};
    return 0;
}

/* Working memory of `bytes` for each thread. */
static int grow_thread_scratch(struct scree_session *session, size_t bytes, struct scree_error *err)
{
    size_t n_threads = (size_t)scree_pool_n_threads(session->pool);

    if (bytes > SCREE_PLAN_MAX_ARENA_BYTES)
        return scree_fail(err, E2BIG, "%zu bytes of working memory a thread", bytes);
    bytes = (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    return grow(&session->thread_scratch, bytes * n_threads, err);
}

static bool is_long(const struct scree_plan *plan)
{
    uint64_t macs = 0;

    for (uint32_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].kind == SCREE_STEP_RUN)
            macs += plan->steps[i].call.macs;
    return macs >= LONG_MACS;
}

static int bind(struct scree_session *session, struct scree_error *err)
{
    const struct scree_plan *plan = &session->shared->plan;
    uint32_t n_tensors = plan->subgraph->n_tensors;

    session->operands = scree_arena_new(&session->tables, struct scree_operand, n_tensors);
    session->calls = scree_arena_new(&session->tables, struct scree_call, plan->n_steps);
    session->step_ns = scree_arena_new(&session->tables, uint64_t, plan->n_steps);
    if (defers(plan))
        session->dynamic = scree_arena_new(&session->tables, struct scree_dynamic, n_tensors);
    if (!session->operands || !session->calls || !session->step_ns ||
        (defers(plan) && !session->dynamic))
        return scree_fail(err, ENOMEM, "no memory for the session");
    for (uint32_t i = 0; i < n_tensors; i++) {
        session->operands[i] = plan->operands[i];
        if (plan->offsets[i] != SCREE_NOT_IN_ARENA)
            session->operands[i].data = session->arena + plan->offsets[i];
    }
    session->is_long = is_long(plan);
    return bind_calls(session, err);
}

/* The threads of another session. */
static void share_threads(struct scree_session *session, const struct scree_session *beside)
{
    session->is_guest = true;
    session->pins = beside->pins;
    session->pin = beside->pin;
    session->pool = beside->pool;
}

/* The first dimension of a tensor if it is that of the batch so far (0: any), else -1. */
static int32_t join_rows(const struct scree_session *session, int32_t index, int32_t n_rows)
{
    const struct scree_operand *operand = &session->operands[index];

    if (operand->dynamic || operand->shape.rank < 1 || operand->shape.dims[0] < 1 ||
        (n_rows != 0 && operand->shape.dims[0] != n_rows))
        return -1;
    return operand->shape.dims[0];
}

static int32_t count_rows(const struct scree_session *session)
{
    const struct scree_subgraph *subgraph = session->shared->plan.subgraph;
    int32_t n_rows = 0;

    for (uint32_t i = 0; n_rows >= 0 && i < scree_session_n_inputs(session); i++)
        n_rows = join_rows(session, subgraph->inputs[i], n_rows);
    for (uint32_t i = 0; n_rows >= 0 && i < scree_session_n_outputs(session); i++)
        n_rows = join_rows(session, subgraph->outputs[i], n_rows);
    return n_rows > 0 ? n_rows : 0;
}

static int init_session(struct scree_session *session, struct scree_model *model,
                        const struct scree_session_options *options,
                        const struct scree_session *beside, struct scree_error *err)
{
    uint32_t n_shapes = options->n_input_shapes;
    int rc;

    if (n_shapes > 0 && n_shapes != scree_model_n_inputs(model))
        return scree_fail(err, EINVAL, "%u input shapes for %u inputs", n_shapes,
                          scree_model_n_inputs(model));
    rc = scree_model_plan(model, n_shapes > 0 ? options->shapes : NULL, &session->shared, err);
    if (rc >= 0)
        rc = scree_offload_new(model, options, &session->shared, &session->offload, err);
    if (rc >= 0 && beside)
        share_threads(session, beside);
    else if (rc >= 0)
        rc = start_threads(session, options->n_threads, err);
    if (rc >= 0)
        rc = alloc_arena(session, err);
    if (rc >= 0)
        rc = grow_thread_scratch(session, session->shared->plan.thread_scratch_bytes, err);
    if (rc >= 0)
        rc = bind(session, err);
    if (rc >= 0 && session->offload)
        scree_offload_bind(session->offload, session);
    if (rc < 0)
        return rc;
    session->n_rows = count_rows(session);
    session->row = -1;
    scree_session_reset(session);
    return 0;
}

static int new_session(struct scree_model *model, const struct scree_session_options *options,
                       const struct scree_session *beside, struct scree_session **ret_session,
                       struct scree_error *err)
{
    static const struct scree_session_options defaults = {0};
    struct scree_session *session = calloc(1, sizeof *session);
    int rc;

    if (!session)
        return scree_fail_memory(err, sizeof *session);
    scree_arena_init(&session->tables, MAX_TABLES_BYTES);
    scree_arena_init(&session->dynamic_params, MAX_TABLES_BYTES);
    session->model = scree_model_ref(model);
    rc = init_session(session, model, options ? options : &defaults, beside, err);
    if (rc < 0) {
        scree_session_free(session);
        return rc;
    }
    *ret_session = session;
    return 0;
}

int scree_session_new(struct scree_model *model, const struct scree_session_options *options,
                      struct scree_session **ret_session, struct scree_error *err)
{
    return new_session(model, options, NULL, ret_session, err);
}

int scree_session_new_beside(struct scree_session *beside,
                             const struct scree_session_options *options,
                             struct scree_session **ret_session, struct scree_error *err)
{
    return new_session(beside->model, options, beside, ret_session, err);
}

void scree_session_free(struct scree_session *session)
{
    if (!session)
        return;
    if (!session->is_guest)
        scree_pool_free(session->pool);
    scree_offload_free(session->offload);
    for (uint32_t i = 0; session->dynamic && i < session->shared->plan.subgraph->n_tensors; i++)
        free(session->dynamic[i].data);
    free(session->scratch.data);
    free(session->thread_scratch.data);
    free(session->arena_block);
    scree_arena_done(&session->dynamic_params);
    scree_arena_done(&session->tables);
    scree_shared_plan_unref(session->shared);
    scree_model_unref(session->model);
    free(session);
}

/* ---- tensors -----------------------------------------------------------------------------------
 */

uint32_t scree_session_n_inputs(const struct scree_session *session)
{
    return scree_model_n_inputs(session->model);
}

uint32_t scree_session_n_outputs(const struct scree_session *session)
{
    return scree_model_n_outputs(session->model);
}

/* Makes a view of all rows one of a single row. */
static void narrow(struct scree_tensor *tensor, int32_t row)
{
    tensor->bytes /= (size_t)tensor->shape.dims[0];
    tensor->shape.dims[0] = 1;
    if (tensor->data)
        tensor->data = (uint8_t *)tensor->data + (size_t)row * tensor->bytes;
}

static void view(const struct scree_session *session, int32_t index,
                 struct scree_tensor *ret_tensor)
{
    static const struct scree_shape unknown = {.rank = -1};
    const struct scree_operand *operand = &session->operands[index];
    bool known = !operand->dynamic || session->has_run;

    scree_tensor_describe(&session->shared->plan.subgraph->tensors[index],
                          known ? &operand->shape : &unknown, ret_tensor);
    ret_tensor->bytes = known ? operand->bytes : 0;
    ret_tensor->data = known ? operand->data : NULL;
    if (session->row >= 0)
        narrow(ret_tensor, session->row);
}

int32_t scree_session_n_rows(const struct scree_session *session)
{
    return session->n_rows;
}

void scree_session_view_row(struct scree_session *session, int32_t row)
{
    assert(row >= -1 && row < session->n_rows);
    session->row = row;
}

int scree_session_input(const struct scree_session *session, uint32_t index,
                        struct scree_tensor *ret_tensor)
{
    if (index >= scree_session_n_inputs(session))
        return -EINVAL;
    view(session, session->shared->plan.subgraph->inputs[index], ret_tensor);
    return 0;
}

int scree_session_output(const struct scree_session *session, uint32_t index,
                         struct scree_tensor *ret_tensor)
{
    if (index >= scree_session_n_outputs(session))
        return -EINVAL;
    view(session, session->shared->plan.subgraph->outputs[index], ret_tensor);
    return 0;
}

void scree_session_reset(struct scree_session *session)
{
    const struct scree_plan *plan = &session->shared->plan;

    for (uint32_t i = 0; i < plan->subgraph->n_tensors; i++) {
        const struct scree_operand *operand = &session->operands[i];
        int zero = operand->type == SCREE_TYPE_INT8 && operand->quant->n > 0
                       ? operand->quant->zero_point[0]
                       : 0;

        /* As TFLite's ResetVariableTensor: real zero for int8, zero bytes for all other types. */
        if (operand->variable && operand->data && !operand->constant)
            memset(operand->data, zero, operand->bytes);
    }
}

/* ---- running -----------------------------------------------------------------------------------
 */

/* A deferred step may have made the threads' scratch grow, hence move. */
static int run_call(struct scree_session *session, struct scree_call *call, struct scree_error *err)
{
    call->thread_scratch = session->thread_scratch.data;
    return scree_op_run(call, err);
}

static int run_deferred(struct scree_session *session, struct scree_call *call,
                        struct scree_error *err)
{
    int rc;

    call->scratch_bytes = call->thread_scratch_bytes = 0;
    call->once = false;
    rc = scree_op_prepare(call, err);
    if (rc == SCREE_DEFER)
        return scree_fail(err, ENOTSUP, "the shape of %s's output cannot be known",
                          scree_node_name(call->node));
    for (uint32_t i = 0; rc >= 0 && i < call->n_outputs; i++) {
        struct scree_dynamic *dynamic = &session->dynamic[call->outputs[i] - session->operands];

        rc = grow(dynamic, call->outputs[i]->bytes, err);
        call->outputs[i]->data = dynamic->data;
    }
    if (rc >= 0)
        rc = grow(&session->scratch, call->scratch_bytes, err);
    if (rc >= 0)
        rc = grow_thread_scratch(session, call->thread_scratch_bytes, err);
    if (rc < 0)
        return rc;
    call->scratch = session->scratch.data;
    return run_call(session, call, err);
}

static int run_step(struct scree_session *session, uint32_t index, struct scree_error *err)
{
    switch (session->shared->plan.steps[index].kind) {
    case SCREE_STEP_RUN:
        return run_call(session, &session->calls[index], err);
    case SCREE_STEP_DEFERRED:
        return run_deferred(session, &session->calls[index], err);
    default:
        return 0;
    }
}

/* The steps of one part from `first` on: by the delegate, or one by one if that fails.
 * *ret_last is the last of them. */
static int run_part(struct scree_session *session, uint32_t first, uint32_t *ret_last,
                    struct scree_error *err)
{
    const struct scree_plan *plan = &session->shared->plan;
    int32_t part = plan->steps[first].part;
    int verdict = scree_offload_run(session->offload, (uint32_t)part, err), rc = 0;

    for (*ret_last = first; *ret_last + 1 < plan->n_steps; (*ret_last)++)
        if (plan->steps[*ret_last + 1].kind != SCREE_STEP_DELEGATE ||
            plan->steps[*ret_last + 1].part != part)
            break;
    if (verdict < 0 || verdict == SCREE_OFFLOAD_DONE)
        return verdict;
    for (uint32_t i = first; rc >= 0 && i <= *ret_last; i++)
        rc = run_call(session, &session->calls[i], err);
    if (rc >= 0 && verdict == SCREE_OFFLOAD_COMPARE)
        rc = scree_offload_compare(session->offload, (uint32_t)part, err);
    return rc;
}

static int run_steps(struct scree_session *session, struct scree_error *err)
{
    uint32_t n_steps = session->shared->plan.n_steps;

    for (uint32_t i = 0; i < n_steps; i++) {
        uint64_t start = session->profile ? now_ns() : 0;
        uint32_t last = i;
        int rc = session->shared->plan.steps[i].kind == SCREE_STEP_DELEGATE
                     ? run_part(session, i, &last, err)
                     : run_step(session, i, err);

        if (rc < 0)
            return scree_wrap(err, rc, "operator %u", session->shared->plan.steps[i].index);
        if (session->profile)
            session->step_ns[i] = now_ns() - start;
        i = last;
    }
    return 0;
}

/* The calling thread takes tiles like the pool's, so for a run it goes where they are; then it is
 * given its processors back. */
static bool pin_caller(const struct scree_session *session, cpu_set_t *ret_before)
{
    return session->pins && sched_getaffinity(0, sizeof *ret_before, ret_before) == 0 &&
           sched_setaffinity(0, sizeof session->pin, &session->pin) == 0;
}

int scree_session_n_threads(const struct scree_session *session)
{
    return scree_pool_n_threads(session->pool);
}

void scree_session_use_threads(struct scree_session *session, int n_threads)
{
    scree_pool_use(session->pool, scree_max_i32(n_threads, 1));
}

int scree_session_run(struct scree_session *session, struct scree_error *err)
{
    cpu_set_t before;
    bool pinned = pin_caller(session, &before);
    int rc;

    scree_arena_done(&session->dynamic_params);
    session->has_run = false;
    if (session->is_long)
        scree_pool_wake(session->pool);
    rc = run_steps(session, err);
    session->has_run = rc >= 0;
    if (pinned)
        (void)sched_setaffinity(0, sizeof before, &before);
    return rc;
}
