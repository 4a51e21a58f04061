#include "kernels/kernels.h"

void scree_kernels_init(struct scree_kernels *kernels, uint32_t cpu)
{
#define KERNEL(member, flags, variant)                  \
    if ((cpu & (uint32_t)(flags)) == (uint32_t)(flags)) \
        kernels->member = &variant;
#include "kernels/kernels.inc"
#undef KERNEL
}
