#include "ops/matrix_hybrid.h"

#include <string.h>

#include "kernels/kernels.h"
#include "kernels/matmul.h"

static bool can_pack(const struct scree_call *call)
{
    const struct scree_operand *weights = call->inputs[1];

    return call->once && weights->constant && weights->data && weights->type == SCREE_TYPE_INT8;
}

/* Images of one pixel are the pixels of one image, since nothing lies outside of them. Others are
 * taken one by one, since what lies outside is the zero point of each. */
static struct scree_conv_shape shape_of_run(const struct scree_conv_shape *shape,
                                            struct scree_matrix_hybrid_packed *packed)
{
    struct scree_conv_shape run = *shape;

    packed->image_pixels = (size_t)shape->out_h * (size_t)shape->out_w;
    packed->n_runs = shape->n;
    if (shape->in_h == 1 && shape->in_w == 1 && shape->filter_h == 1 && shape->filter_w == 1 &&
        !shape->transposed) {
        run.in_w = run.out_w = shape->n;
        run.stride_w = 1;
        packed->n_runs = 1;
    }
    run.n = 1;
    return run;
}

int scree_matrix_hybrid_pack(struct scree_call *call, const struct scree_conv_shape *shape,
                             struct scree_matrix_hybrid_packed *packed, struct scree_error *err)
{
    const struct scree_operand *weights = call->inputs[1];
    size_t n = (size_t)shape->out_c, depth = n > 0 ? weights->n_elements / n : 0;
    struct scree_conv_shape run = shape_of_run(shape, packed);
    int32_t *sums;
    int rc;

    packed->gemm = NULL;
    if (!can_pack(call))
        return 0;
    rc = scree_gemm_new_sums(call->arena, call->kernels->gemm, &run, weights->data, &packed->gemm);
    if (rc < 0)
        return scree_fail_memory(err, weights->bytes);
    if (!packed->gemm)
        return 0;
    sums = scree_arena_new(call->arena, int32_t, n);
    if (!sums)
        return scree_fail_memory(err, n * sizeof *sums);
    scree_sum_rows_s8(sums, weights->data, n, depth);
    packed->weight_sums = sums;
    call->thread_scratch_bytes = packed->gemm->scratch_bytes;
    call->consumed = 1 << 1;
    if (!scree_matrix_take(call, scree_gemm_outside_bytes(packed->gemm), 1, &packed->outside))
        return scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
    return 0;
}

/* What the threads of a run share. */
struct hybrid_run {
    const struct scree_call *call;
    const struct scree_matrix_hybrid_packed *packed;
    const struct scree_conv_hybrid *hybrid;
    const float *bias;
    const int8_t *in, *outside;
    float *out;
    size_t first_image;
};

static void finish_row(void *arg, size_t pixel, int32_t o, int32_t n, void *sums)
{
    const struct hybrid_run *run = arg;
    const struct scree_conv_hybrid *hybrid = run->hybrid;
    size_t image = run->first_image + pixel / run->packed->image_pixels;
    const struct scree_hybrid_row row = {
        .hybrid = hybrid,
        .input_scale = hybrid->input_scales[image],
        .zero_point = hybrid->input_zps[image],
        .weight_sums = run->packed->weight_sums + o,
        .filter_scales = hybrid->filter_scales + (size_t)o * (size_t)hybrid->filter_scale_stride,
        .bias = run->bias ? run->bias + o : NULL,
    };

    run->call->kernels->hybrid->rescale(sums, sums, &row, (size_t)n);
}

static void run_tile(void *arg, size_t tile, int thread)
{
    const struct hybrid_run *run = arg;

    scree_gemm_run_sums(run->packed->gemm, run->in, run->outside, run->out, tile,
                        scree_call_thread_scratch(run->call, thread), finish_row, arg);
}

void scree_matrix_hybrid_run(const struct scree_call *call,
                             const struct scree_matrix_hybrid_packed *packed,
                             const struct scree_conv_hybrid *hybrid, const int8_t *in)
{
    const struct scree_gemm *gemm = packed->gemm;
    size_t n_runs = (size_t)packed->n_runs;
    int8_t *outside = (int8_t *)call->scratch + packed->outside;
    struct hybrid_run run = {
        .call = call,
        .packed = packed,
        .hybrid = hybrid,
        .bias = scree_matrix_bias(call),
        .outside = outside,
    };

    for (size_t i = 0; i < n_runs; i++) {
        run.first_image = i;
        run.in = in + i * (call->inputs[0]->n_elements / n_runs);
        run.out = (float *)call->outputs[0]->data + i * (call->outputs[0]->n_elements / n_runs);
        memset(outside, hybrid->input_zps[i], scree_gemm_outside_bytes(gemm));
        scree_pool_run(call->pool, gemm->n_tiles, run_tile, &run);
    }
}
