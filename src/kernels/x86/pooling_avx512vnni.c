/* over those before */
#include "kernels/x86/vec512.h"

#include "kernels/pooling_block.h"

SCREE_DEFINE_POOLING(avx512vnni)
