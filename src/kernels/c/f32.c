/* Float kernels: the definitions. */
#define LANES_FUSED      0
#define LANES_NAME(name) name##_c

#include "kernels/f32/lanes_c.h"
#include "kernels/kernels.h"
/* the vocabulary comes first */
#include "kernels/f32/depthwise.h"
#include "kernels/f32/gemm.h"
#include "kernels/f32/hybrid.h"
#include "kernels/f32/rows.h"
