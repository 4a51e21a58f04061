/* over those before */
#include "kernels/arm/vec128.h"

#include "kernels/pooling_block.h"

SCREE_DEFINE_POOLING(neon)
