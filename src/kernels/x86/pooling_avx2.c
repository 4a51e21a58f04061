/* over those before */
#include "kernels/x86/vec256.h"

#include "kernels/pooling_block.h"

SCREE_DEFINE_POOLING(avx2)
