/* kernels/conv_f32.h - convolutions and matrix products of floats, cut into tiles for gemm_f32.h.
 *
 *     if (!scree_conv_f32_plan(&plan, &shape, kernels->gemm_f32, min, max))
 *         return too_large;
 *     scree_conv_f32_pack(&plan, filter, bias, packed);            plan.packed_bytes
 *     for (i = 0; i < plan.n_items; i++)                           by any thread
 *         scree_conv_f32_run(&plan, in, packed, out, scratch, i);  plan.scratch_bytes
 *
 * What kernels/conv.h says of shapes holds here; a sum is taken in the order ky, kx, i, of
 * transposed convolutions in the order of the input's pixels. Zeros outside the input are
 * multiplied too, which changes nothing where weights are finite.
 *
 * Output pixels are the rows of a matrix product, a pixel of the filter (or, of few channels, a
 * line of it) is a segment, read where it lies in the input. A pixel outside is a segment of zeros.
 * Only a line that is partly outside is copied. Of a transposed convolution with stride n only one
 * in n lines and columns of the filter meets a given output pixel: its pixels are taken in n * n
 * phases, each with its part of the filter.
 *
 * Weights are packed in panels of two vectors of output channels, k by k; the last one is a single
 * vector where that is enough. Each group's panels follow those of the group before, the bias (f32,
 * padded like them) comes first.
 *
 * Memory: the caller's. Threads: items may run at once, each with a scratch of its own. */
#ifndef SCREE_KERNELS_CONV_F32_H
#define SCREE_KERNELS_CONV_F32_H

#include "kernels/conv.h"
#include "kernels/gemm_f32.h"

/* How one convolution is cut up. The sizes below are for the caller, the rest is not. */
struct scree_conv_f32 {
    size_t packed_bytes;  /* of weights and bias; align to 64 */
    size_t scratch_bytes; /* of each thread; align to 64 */
    size_t n_items;

    struct scree_conv_shape shape;
    const struct scree_gemm_f32 *gemm;
    float min, max;
    int32_t span;                         /* pixels of the filter in a segment: 1 or filter_w */
    size_t n_segments, length;            /* the most segments of a row, floats in one */
    size_t depth;                         /* floats of one filter */
    int32_t phases_h, phases_w;           /* 1 unless transposed */
    size_t phase_rows;                    /* output pixels of the largest phase */
    size_t tile_rows;                     /* at most */
    size_t block_rows, n_blocks;          /* of a phase: rows of an item, items */
    size_t group_columns, padded_columns; /* output channels of a group */
    size_t column_step, n_column_blocks;  /* of an item, items */
};

/* Plans a convolution (transposed or not), whose output is clamped to [min, max]. False if a size
 * does not fit in a size_t. */
bool scree_conv_f32_plan(struct scree_conv_f32 *plan, const struct scree_conv_shape *shape,
                         const struct scree_gemm_f32 *gemm, float min, float max);

/* Packs the weights: element k of the filter of output channel o is
 * filter[o * column_step + k * depth_step], so that a transposed matrix packs as well. filter
 * f32[out_c][depth] has the steps (plan->depth, 1). bias f32[out_c] or NULL. */
void scree_conv_f32_pack(const struct scree_conv_f32 *plan, const float *filter, size_t column_step,
                         size_t depth_step, const float *bias, float *packed);

/* Computes one item of the output. in f32[n][in_h][in_w][in_c], out f32[n][out_h][out_w][out_c]. */
void scree_conv_f32_run(const struct scree_conv_f32 *plan, const float *in, const float *packed,
                        float *out, void *scratch, size_t item);

#endif
