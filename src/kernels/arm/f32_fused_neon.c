/* Float kernels: NEON with fused multiply-add. */
#define LANES_FUSED      1
#define LANES_NAME(name) name##_fused_neon

#include "kernels/f32/lanes_neon.h"
#include "kernels/kernels.h"
/* the vocabulary comes first */
#include "kernels/f32/gemm.h"
