/* kernels/gemm_lanes.h - constants of a panel of 16 channels for kernels with 32-bit lanes.
 *
 * What kernels/lanes.h makes of multipliers, or factors in double precision as they are. Used by
 * the x86 variants of kernels/gemm.h. Memory: keeps nothing. Threads: pure functions. */
#ifndef SCREE_KERNELS_GEMM_LANES_H
#define SCREE_KERNELS_GEMM_LANES_H

#include "kernels/gemm.h"
#include "kernels/lanes.h"

/* The params of a panel; 0 for channels behind the last. */
struct scree_gemm_lanes {
    union {
        struct scree_lanes lanes;   /* for output_zp, of int8 output_zp + 128 */
        double factor[SCREE_LANES]; /* with layer->by_factor */
    };
    uint32_t bias[SCREE_LANES]; /* with the bounds of `lanes` added to them */
};

/* scree_gemm_kernel.pack_params for nr 16 and params of struct scree_gemm_lanes. False where
 * scree_lanes_set() is false. */
bool scree_gemm_lanes_pack(void *params, const struct scree_gemm_layer *layer,
                           const struct scree_gemm_channel *channels, int32_t n);

#endif
