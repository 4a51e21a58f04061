#include "ops/matrix_f32.h"

#include "base/checked.h"
#include "kernels/kernels.h"
#include "ops/common.h"
#include "ops/matrix.h"

bool scree_matrix_f32_is_known(const struct scree_call *call, const struct scree_operand *operand)
{
    return call->once && (!operand || (operand->constant && operand->data));
}

float *scree_matrix_f32_allocate(struct scree_arena *arena, size_t n, size_t bytes)
{
    const size_t line = 64;
    char *memory = NULL;

    if (scree_mul_size(n, bytes, &bytes) && scree_add_size(bytes, line, &bytes))
        memory = scree_arena_calloc(arena, bytes, 1);

    return memory ? (float *)(void *)(memory + (line - (uintptr_t)memory % line) % line) : NULL;
}

const struct scree_gemm_f32 *scree_matrix_f32_kernel(const struct scree_call *call)
{
    return call->exact_floats ? call->kernels->gemm_f32 : call->kernels->gemm_f32_fused;
}

static int pack_once(struct scree_call *call, struct scree_matrix_f32 *matrix,
                     struct scree_error *err)
{
    float *packed = scree_matrix_f32_allocate(call->arena, 1, matrix->plan.packed_bytes);

    if (!packed)
        return scree_fail_memory(err, matrix->plan.packed_bytes);
    scree_conv_f32_pack(&matrix->plan, call->inputs[1]->data, matrix->plan.depth, 1,
                        scree_matrix_bias(call), packed);
    matrix->packed = packed;
    call->consumed = 1 << 1;
    return 0;
}

int scree_matrix_f32_prepare(struct scree_call *call, const struct scree_conv_shape *shape,
                             enum scree_activation activation, struct scree_matrix_f32 *matrix,
                             struct scree_error *err)
{
    float min, max;

    scree_activation_range_f32(activation, &min, &max);
    if (!scree_conv_f32_plan(&matrix->plan, shape, scree_matrix_f32_kernel(call), min, max))
        return scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
    call->thread_scratch_bytes = matrix->plan.scratch_bytes;
    if (scree_matrix_f32_is_known(call, call->inputs[1]) &&
        scree_matrix_f32_is_known(call, scree_call_input(call, 2)))
        return pack_once(call, matrix, err);
    if (!scree_matrix_take(call, matrix->plan.packed_bytes, 1, &matrix->offset))
        return scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
    return 0;
}

/* What the threads of a run share. */
struct f32_run {
    const struct scree_call *call;
    const struct scree_conv_f32 *plan;
    const float *packed;
};

static void run_item(void *arg, size_t item, int thread)
{
    const struct f32_run *run = arg;

    scree_conv_f32_run(run->plan, run->call->inputs[0]->data, run->packed,
                       run->call->outputs[0]->data, scree_call_thread_scratch(run->call, thread),
                       item);
}

void scree_matrix_f32_run(const struct scree_call *call, const struct scree_matrix_f32 *matrix)
{
    struct f32_run run = {call, &matrix->plan, matrix->packed};

    if (!run.packed) {
        float *packed = (float *)(void *)((char *)call->scratch + matrix->offset);

        scree_conv_f32_pack(&matrix->plan, call->inputs[1]->data, matrix->plan.depth, 1,
                            scree_matrix_bias(call), packed);
        run.packed = packed;
    }
    scree_pool_run(call->pool, matrix->plan.n_items, run_item, &run);
}
