/* kernels/f32/depthwise.h - a depthwise convolution of floats, over any vocabulary of lanes
 * (kernels/f32/lanes.h).
 *
 * A few pixels of the output at a time, two vectors of their channels at a time: each weight is
 * loaded once for the pixels, sums stay in registers. Each sum is taken tap by tap, in the order
 * ky, kx, whatever the lanes. */
#ifndef SCREE_KERNELS_F32_DEPTHWISE_H
#define SCREE_KERNELS_F32_DEPTHWISE_H

#include "kernels/depthwise.h"
#include "kernels/f32/lanes.h"

/* Pixels at a time: their sums and two vectors of weights fit into 16 registers. */
#define DEPTHWISE_PIXELS 4

/* What a row of the output is computed from. */
struct depthwise_row {
    const struct scree_conv_shape *shape;
    const float *in, *filter, *bias, *scales; /* in: the image; scales: f32[out_c] or NULL */
    float *out;                               /* the row */
    int64_t top;                              /* the input's row under ky 0; may be outside */
    int32_t ky_begin, ky_end;                 /* what of the filter is over the input */
    lanes min, max;
};

/* A few pixels of it that see the same columns of the filter, and some of their channels. */
struct depthwise_block {
    int32_t ox, kx_begin, kx_end;
    size_t c, n_last; /* channels [c, c + ...), n_last of the last vector */
};

/* The input of n channels from c on; each channel of a pixel serves `multiplier` of them. */
static inline lanes depthwise_load(const float *pixel, size_t c, size_t n, size_t multiplier)
{
    float x[LANES] = {0};

    if (multiplier == 1)
        return n == LANES ? lanes_load(pixel + c) : lanes_load_first(pixel + c, n);
    for (size_t i = 0; i < n; i++)
        x[i] = pixel[(c + i) / multiplier];
    return lanes_load(x);
}

static inline lanes depthwise_load_weights(const float *w, size_t n)
{
    return n == LANES ? lanes_load(w) : lanes_load_first(w, n);
}

/* The scale, the bias and the clamp. */
static inline lanes depthwise_finish(const struct depthwise_row *row, lanes sum, size_t c, size_t n)
{
    if (row->scales)
        sum = lanes_mul(sum, depthwise_load_weights(row->scales + c, n));
    if (row->bias)
        sum = lanes_add(sum, depthwise_load_weights(row->bias + c, n));
    return lanes_clamp(sum, row->min, row->max);
}

/* n_pixels and n_vectors are constants wherever this is used, so that the sums are registers;
 * `whole` says that the last vector has all its lanes, `plain` that the multiplier is 1. */
LANES_INLINE void depthwise_sum(const struct depthwise_row *row,
                                const struct depthwise_block *block, const int n_pixels,
                                const int n_vectors, const bool whole, const bool plain)
{
    const struct scree_conv_shape *s = row->shape;
    size_t in_c = (size_t)s->in_c, out_c = (size_t)s->out_c, c = block->c;
    size_t multiplier = plain ? 1 : out_c / in_c, step = (size_t)s->stride_w * in_c;
    size_t n_last = whole ? LANES : block->n_last;
    int64_t left = (int64_t)block->ox * s->stride_w - s->pad_left;
    lanes sum[DEPTHWISE_PIXELS][2];

    LANES_UNROLL
    for (int p = 0; p < n_pixels; p++)
        sum[p][0] = sum[p][1] = lanes_set(0);
    for (int32_t ky = row->ky_begin; ky < row->ky_end; ky++) {
        int64_t y = row->top + (int64_t)ky * s->dilation_h;
        const float *line = row->in + (size_t)y * (size_t)s->in_w * in_c;
        const float *w = row->filter +
                         ((size_t)ky * (size_t)s->filter_w + (size_t)block->kx_begin) * out_c + c;

        for (int32_t kx = block->kx_begin; kx < block->kx_end; kx++, w += out_c) {
            const float *x = line + (size_t)(left + (int64_t)kx * s->dilation_w) * in_c;

            LANES_UNROLL
            for (int v = 0; v < n_vectors; v++) {
                size_t n = v == n_vectors - 1 ? n_last : LANES, at = (size_t)v * LANES;
                lanes weights = depthwise_load_weights(w + at, n);

                LANES_UNROLL
                for (int p = 0; p < n_pixels; p++)
                    sum[p][v] = lanes_add_product(
                        depthwise_load(x + (size_t)p * step, c + at, n, multiplier), weights,
                        sum[p][v]);
            }
        }
    }
    LANES_UNROLL
    for (int p = 0; p < n_pixels; p++) {
        float *to = row->out + ((size_t)block->ox + (size_t)p) * out_c + c;

        LANES_UNROLL
        for (int v = 0; v < n_vectors; v++) {
            size_t n = v == n_vectors - 1 ? n_last : LANES, at = (size_t)v * LANES;
            lanes result = depthwise_finish(row, sum[p][v], c + at, n);

            if (n == LANES)
                lanes_store(to + at, result);
            else
                lanes_store_first(to + at, result, n);
        }
    }
}

/* All channels of n_pixels pixels, a constant wherever this is used. */
LANES_INLINE void depthwise_channels(const struct depthwise_row *row, struct depthwise_block block,
                                     const int n_pixels)
{
    size_t out_c = (size_t)row->shape->out_c, in_c = (size_t)row->shape->in_c;

    block.n_last = LANES;
    for (; out_c == in_c && block.c + 2 * LANES <= out_c; block.c += 2 * LANES)
        depthwise_sum(row, &block, n_pixels, 2, true, true);
    for (; out_c == in_c && block.c + LANES <= out_c; block.c += LANES)
        depthwise_sum(row, &block, n_pixels, 1, true, true);
    for (; block.c < out_c; block.c += LANES) {
        block.n_last = out_c - block.c < LANES ? out_c - block.c : LANES;
        depthwise_sum(row, &block, n_pixels, 1, false, false);
    }
}

/* ceil((limit - begin) / step), at least 0 and at most n: how many k in [0, n) have
 * begin + k * step < limit. */
static inline int32_t depthwise_count(int64_t begin, int64_t limit, int64_t step, int32_t n)
{
    int64_t count = limit > begin ? (limit - begin + step - 1) / step : 0;

    return (int32_t)(count < n ? count : n);
}

/* The block at column ox: which columns of the filter are over the input there. */
static inline struct depthwise_block depthwise_at(const struct scree_conv_shape *s, int32_t ox)
{
    int64_t left = (int64_t)ox * s->stride_w - s->pad_left;

    return (struct depthwise_block){
        .ox = ox,
        .kx_begin = depthwise_count(left, 0, s->dilation_w, s->filter_w),
        .kx_end = depthwise_count(left, s->in_w, s->dilation_w, s->filter_w),
    };
}

/* True if the whole filter is over the input at columns [ox, ox + DEPTHWISE_PIXELS). */
static inline bool depthwise_inside(const struct scree_conv_shape *s, int32_t ox)
{
    int64_t left = (int64_t)ox * s->stride_w - s->pad_left;
    int64_t right = left + (int64_t)(DEPTHWISE_PIXELS - 1) * s->stride_w +
                    (int64_t)(s->filter_w - 1) * s->dilation_w;

    return ox + DEPTHWISE_PIXELS <= s->out_w && left >= 0 && right < s->in_w;
}

void LANES_NAME(scree_depthwise_f32)(const struct scree_conv_shape *s, const float *scales,
                                     float min, float max, const float *in, const float *filter,
                                     const float *bias, float *out, size_t index)
{
    size_t image = index / (size_t)s->out_h;
    int64_t top = (int64_t)(index % (size_t)s->out_h) * s->stride_h - s->pad_top;
    struct depthwise_row row = {
        .shape = s,
        .in = in + image * (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c,
        .filter = filter,
        .bias = bias,
        .scales = scales ? scales + image * (size_t)s->out_c : NULL,
        .out = out + index * (size_t)s->out_w * (size_t)s->out_c,
        .top = top,
        .ky_begin = depthwise_count(top, 0, s->dilation_h, s->filter_h),
        .ky_end = depthwise_count(top, s->in_h, s->dilation_h, s->filter_h),
        .min = lanes_set(min),
        .max = lanes_set(max),
    };

    for (int32_t ox = 0; ox < s->out_w;) {
        struct depthwise_block block = depthwise_at(s, ox);

        if (depthwise_inside(s, ox)) {
            depthwise_channels(&row, block, DEPTHWISE_PIXELS);
            ox += DEPTHWISE_PIXELS;
        } else {
            depthwise_channels(&row, block, 1);
            ox++;
        }
    }
}

#endif
