#include "kernels/x86/vec256.h"
/* over these vectors */
#include "kernels/x86/depthwise_block.h"

const struct scree_depthwise_width scree_depthwise_width_avx512vl = WIDTH;
