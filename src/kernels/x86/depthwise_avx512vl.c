/* each over those before */
#include "kernels/x86/vec256.h"

#include "kernels/x86/requantize.h"

#include "kernels/depthwise_block.h"

const struct scree_depthwise_width scree_depthwise_width_avx512vl = WIDTH;
