/* Float kernels: AVX2, each product rounded as TFLite's reference kernels do. */
#define LANES_FUSED      0
#define LANES_NAME(name) name##_avx2

#include "kernels/f32/lanes_avx2.h"
#include "kernels/kernels.h"
/* the vocabulary comes first */
#include "kernels/f32/depthwise.h"
#include "kernels/f32/gemm.h"
#include "kernels/f32/hybrid.h"
#include "kernels/f32/rows.h"
