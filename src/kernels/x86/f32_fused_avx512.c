/* Float kernels: AVX-512 with fused multiply-add. */
#define LANES_FUSED      1
#define LANES_NAME(name) name##_fused_avx512

#include "kernels/f32/lanes_avx512.h"
#include "kernels/kernels.h"
/* the vocabulary comes first */
#include "kernels/f32/gemm.h"
