/* kernels/kernels.h - which kernels a machine uses.
 *
 *     struct scree_kernels kernels;
 *     scree_kernels_init(&kernels, flags);
 *     kernels.lut_8(out, in, steps, n, table);
 *
 * kernels.inc lists every kernel that has variants: first its definition in plain C, then the
 * variants in rising order of instruction sets. The last row whose flags the machine has wins. A
 * variant gives the same bits as the definition (float kernels: where their header says so), which
 * tests/kernels proves row by row from the same list. What has no row in the list has one version,
 * in kernels/c, and is called by its name.
 *
 * Memory: keeps nothing. Threads: a filled struct scree_kernels is constant. */
#ifndef SCREE_KERNELS_KERNELS_H
#define SCREE_KERNELS_KERNELS_H

#include "cpu/cpu.h"
#include "kernels/arg.h"
#include "kernels/binary.h"
#include "kernels/convert.h"
#include "kernels/depthwise.h"
#include "kernels/gemm.h"
#include "kernels/gemm_f32.h"
#include "kernels/hybrid.h"
#include "kernels/lut.h"
#include "kernels/move.h"
#include "kernels/pooling.h"
#include "kernels/reduce.h"
#include "kernels/resample.h"
#include "kernels/resize.h"
#include "kernels/rows_f32.h"
#include "kernels/softmax.h"
#include "kernels/split.h"

/* One member a kernel: a function, or a description with functions in it. */
struct scree_kernels {
    const struct scree_depthwise_kernel *depthwise_8;                  /* kernels/depthwise.h */
    scree_row_fn *lut_8;                                               /* kernels/lut.h */
    scree_row_fn *add_u8, *add_i8, *sub_u8, *sub_i8, *mul_u8, *mul_i8; /* kernels/binary.h */
    scree_row_fn *quantize_u8, *quantize_i8, *dequantize_u8, *dequantize_i8; /* kernels/convert.h */
    scree_arg_rows_fn *arg_rows;                                             /* kernels/arg.h */
    scree_softmax_8_fn *softmax_8;                                           /* kernels/softmax.h */
    scree_transpose_fn *transpose_8, *transpose_32;                          /* kernels/move.h */
    scree_pooling_row_fn *average_pool_u8, *average_pool_i8;                 /* kernels/pooling.h */
    scree_pooling_row_fn *max_pool_u8, *max_pool_i8;
    scree_sum_rows_fn *sum_rows_u8, *sum_rows_i8; /* kernels/reduce.h */
    scree_blend_fn *blend_u8, *blend_i8;          /* kernels/resize.h */
    scree_resample_rgb_fn *resample_rgb;          /* kernels/resample.h */
    scree_resample_rows_fn *resample_rows;        /* kernels/resample.h */
    const struct scree_gemm_kernel *gemm;         /* kernels/gemm.h */
    /* kernels/gemm_f32.h: products rounded, and perhaps not */
    const struct scree_gemm_f32 *gemm_f32, *gemm_f32_fused;
    const struct scree_hybrid_kernel *hybrid; /* kernels/hybrid.h */
    const struct scree_split_kernel *split;   /* kernels/split.h */
    const struct scree_rows_f32 *rows_f32;    /* kernels/rows_f32.h */
    scree_depthwise_f32_fn *depthwise_f32;    /* kernels/depthwise.h */
};

/* Fills the table for a machine with these enum scree_cpu_flag: a pure function. */
void scree_kernels_init(struct scree_kernels *kernels, uint32_t cpu);

/* The variants, each declared with its member's type. */
#define KERNEL(member, cpu, variant) \
    extern __typeof__(*((struct scree_kernels *)0)->member) variant;
#include "kernels/kernels.inc"
#undef KERNEL

#endif
