#include "kernels/c/convert.h"
#include "kernels/kernels.h"

SCREE_DEFINE_CONVERSIONS(_avx2)
