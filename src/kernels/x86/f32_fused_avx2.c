/* Float kernels: AVX2 with fused multiply-add. */
#define LANES_FUSED      1
#define LANES_NAME(name) name##_fused_avx2

#include "kernels/f32/lanes_avx2.h"
#include "kernels/kernels.h"
/* the vocabulary comes first */
#include "kernels/f32/gemm.h"
