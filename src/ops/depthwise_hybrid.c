#include "ops/depthwise_hybrid.h"

#include "kernels/kernels.h"
#include "ops/matrix.h"

/* 512 * 255 * 128 < 2^24 */
#define MAX_TAPS 512

int scree_depthwise_hybrid_pack(struct scree_call *call, const struct scree_conv_shape *shape,
                                struct scree_depthwise_hybrid_packed *packed,
                                struct scree_error *err)
{
    const struct scree_operand *weights = call->inputs[1];
    const int8_t *from = weights->data;
    float *filter;

    packed->filter = NULL;
    if (!call->once || !weights->constant || !from || weights->type != SCREE_TYPE_INT8 ||
        (int64_t)shape->filter_h * shape->filter_w > MAX_TAPS)
        return 0;
    filter = scree_arena_new(call->arena, float, weights->n_elements);
    if (!filter)
        return scree_fail_memory(err, weights->n_elements * sizeof *filter);
    for (size_t i = 0; i < weights->n_elements; i++)
        filter[i] = from[i];
    packed->filter = filter;
    call->consumed = 1 << 1;
    call->scratch_bytes = 0;
    if (!scree_matrix_take(call, call->inputs[0]->n_elements, sizeof(float), &packed->input) ||
        !scree_matrix_take(call, (size_t)shape->n * (size_t)shape->out_c, sizeof(float),
                           &packed->scales))
        return scree_fail(err, E2BIG, "working memory of over 2^64 bytes");
    return 0;
}

/* What the threads of a run share. */
struct hybrid_run {
    const struct scree_call *call;
    const struct scree_conv_shape *shape;
    const struct scree_conv_hybrid *hybrid;
    const float *in, *filter, *scales, *bias;
};

static void run_row(void *arg, size_t row, int thread)
{
    const struct hybrid_run *run = arg;

    (void)thread;
    run->call->kernels->depthwise_f32(run->shape, run->scales, run->hybrid->min, run->hybrid->max,
                                      run->in, run->filter, run->bias, run->call->outputs[0]->data,
                                      row);
}

/* Quantizes an image; its scale goes into the scales of its channels. */
static void quantize_image(const struct scree_call *call, const struct scree_conv_hybrid *hybrid,
                           const float *in, size_t n, float *quantized, float *scales, size_t out_c)
{
    const struct scree_hybrid_kernel *kernel = call->kernels->hybrid;
    struct scree_hybrid_range range = scree_hybrid_find_range(kernel, in, n, true);

    scree_hybrid_quantize_f32(kernel, quantized, in, n, &range);
    for (size_t o = 0; o < out_c; o++)
        scales[o] = hybrid->filter_scales[o * (size_t)hybrid->filter_scale_stride] * range.scale;
}

void scree_depthwise_hybrid_run(const struct scree_call *call, const struct scree_conv_shape *shape,
                                const struct scree_depthwise_hybrid_packed *packed,
                                const struct scree_conv_hybrid *hybrid)
{
    char *scratch = call->scratch;
    float *quantized = (float *)(void *)(scratch + packed->input);
    float *scales = (float *)(void *)(scratch + packed->scales);
    size_t n_images = (size_t)shape->n, n = call->inputs[0]->n_elements / n_images;
    size_t out_c = (size_t)shape->out_c;
    struct hybrid_run run = {
        call, shape, hybrid, quantized, packed->filter, scales, scree_matrix_bias(call)};

    for (size_t i = 0; i < n_images && n > 0; i++)
        quantize_image(call, hybrid, (const float *)call->inputs[0]->data + i * n, n,
                       quantized + i * n, scales + i * out_c, out_c);
    scree_pool_run(call->pool, n_images * (size_t)shape->out_h, run_row, &run);
}
