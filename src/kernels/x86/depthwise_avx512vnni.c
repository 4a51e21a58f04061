#include "kernels/x86/vec512.h"
/* in this order */
#include "kernels/x86/depthwise.h"

const struct scree_depthwise_kernel scree_depthwise_8_avx512vnni = {
    .packed_bytes = packed_bytes,
    .pack = pack,
    .n_tiles = n_tiles,
    .run = run,
};
