/* kernels/f32/hybrid.h - floats to 8 bits and sums of products back, over any vocabulary of lanes
 * (kernels/f32/lanes.h). */
#ifndef SCREE_KERNELS_F32_HYBRID_H
#define SCREE_KERNELS_F32_HYBRID_H

#include "kernels/f32/lanes.h"
#include "kernels/hybrid.h"

/* Vectors of extremes that are kept at once. */
#define HYBRID_CHAINS 4

/* Every lane begins with x[0], so that NaN there stays and elsewhere is passed over, as if they
 * were compared one by one. */
static void hybrid_range(const float *x, size_t n, float *ret_min, float *ret_max)
{
    lanes min[HYBRID_CHAINS], max[HYBRID_CHAINS];
    float mins[LANES], maxs[LANES];
    size_t i = 0;

    LANES_UNROLL
    for (int k = 0; k < HYBRID_CHAINS; k++)
        min[k] = max[k] = lanes_set(x[0]);
    for (; i + HYBRID_CHAINS * LANES <= n; i += HYBRID_CHAINS * LANES)
        LANES_UNROLL
    for (int k = 0; k < HYBRID_CHAINS; k++) {
        lanes v = lanes_load(x + i + (size_t)k * LANES);

        min[k] = lanes_lesser(v, min[k]);
        max[k] = lanes_greater(v, max[k]);
    }
    LANES_UNROLL
    for (int k = 1; k < HYBRID_CHAINS; k++) {
        min[0] = lanes_lesser(min[k], min[0]);
        max[0] = lanes_greater(max[k], max[0]);
    }
    lanes_store(mins, min[0]);
    lanes_store(maxs, max[0]);
    for (int k = 1; k < LANES; k++) {
        mins[0] = mins[k] < mins[0] ? mins[k] : mins[0];
        maxs[0] = maxs[k] > maxs[0] ? maxs[k] : maxs[0];
    }
    for (; i < n; i++) {
        mins[0] = x[i] < mins[0] ? x[i] : mins[0];
        maxs[0] = x[i] > maxs[0] ? x[i] : maxs[0];
    }
    *ret_min = mins[0];
    *ret_max = maxs[0];
}

/* The constants of struct scree_hybrid_step in all lanes. */
struct hybrid_lanes {
    lanes inverse, zero_point, min, max;
};

LANES_INLINE struct hybrid_lanes hybrid_spread(const struct scree_hybrid_step *step)
{
    return (struct hybrid_lanes){lanes_set(step->inverse), lanes_set(step->zero_point),
                                 lanes_set(step->min), lanes_set(127)};
}

/* Clamping before rounding gives the same numbers, since the ends are whole; NaN becomes the lower
 * one. */
LANES_INLINE lanes hybrid_number(const struct hybrid_lanes step, lanes x)
{
    lanes v = lanes_add(lanes_mul(x, step.inverse), step.zero_point);

    return lanes_round(lanes_lesser(lanes_greater(v, step.min), step.max));
}

static void hybrid_quantize(int8_t *q, const float *x, size_t n,
                            const struct scree_hybrid_step *step)
{
    const struct hybrid_lanes spread = hybrid_spread(step);
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        lanes_store_s8(q + i, hybrid_number(spread, lanes_load(x + i)), LANES);
    if (i < n)
        lanes_store_s8(q + i, hybrid_number(spread, lanes_load_first(x + i, n - i)), n - i);
}

static void hybrid_quantize_f32(float *q, const float *x, size_t n,
                                const struct scree_hybrid_step *step)
{
    const struct hybrid_lanes spread = hybrid_spread(step);
    const lanes off = lanes_set(-step->zero_point);
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        lanes_store(q + i, lanes_add(hybrid_number(spread, lanes_load(x + i)), off));
    if (i < n)
        lanes_store_first(
            q + i, lanes_add(hybrid_number(spread, lanes_load_first(x + i, n - i)), off), n - i);
}

LANES_INLINE lanes hybrid_load(const float *from, size_t n)
{
    return n == LANES ? lanes_load(from) : lanes_load_first(from, n);
}

static void hybrid_rescale(float *out, const void *sums, const struct scree_hybrid_row *row,
                           size_t n)
{
    const struct scree_conv_hybrid *hybrid = row->hybrid;
    lanes input_scale = lanes_set(row->input_scale), min = lanes_set(hybrid->min);
    lanes max = lanes_set(hybrid->max), scale = lanes_set(*row->filter_scales);

    for (size_t i = 0, step; i < n; i += step) {
        lanes v;

        step = n - i < LANES ? n - i : LANES;
        v = lanes_from_sums((const int32_t *)sums + i, row->weight_sums + i, row->zero_point, step);
        if (hybrid->filter_scale_stride)
            scale = hybrid_load(row->filter_scales + i, step);
        if (hybrid->filter_first)
            v = lanes_mul(lanes_mul(v, scale), input_scale);
        else
            v = lanes_mul(v, lanes_mul(scale, input_scale));
        if (row->bias)
            v = lanes_add(v, hybrid_load(row->bias + i, step));
        v = lanes_clamp(v, min, max);
        if (step == LANES)
            lanes_store(out + i, v);
        else
            lanes_store_first(out + i, v, step);
    }
}

const struct scree_hybrid_kernel LANES_NAME(scree_hybrid) = {hybrid_range, hybrid_quantize,
                                                             hybrid_quantize_f32, hybrid_rescale};

#endif
