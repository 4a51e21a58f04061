/* kernels/f32/lanes.h - how float kernels are written: once, over vectors of any length.
 *
 * Each lanes_ISA.h defines the same vocabulary: a type `lanes`, a vector of LANES floats;
 * lanes_set(x), lanes_load(from), lanes_store(to, v), lanes_load_first(from, n) and
 * lanes_store_first(to, v, n) for the first n of them; lanes_add, lanes_mul; lanes_add_product(a,
 * b, sum); lanes_clamp(v, min, max).
 *
 * One file an instruction set (c/f32.c, x86/f32_avx2.c, ...) defines LANES_FUSED, whether
 * lanes_add_product() adds a product that has not been rounded, and LANES_NAME(x), the name of x
 * there, includes its vocabulary, and then the kernels: gemm.h, depthwise.h, hybrid.h. The order of
 * all operations on an element is thus the same everywhere. */
#ifndef SCREE_KERNELS_F32_LANES_H
#define SCREE_KERNELS_F32_LANES_H

#define LANES_INLINE static inline __attribute__((always_inline))

/* Before a loop of a constant number of steps, whose arrays are to become registers. */
#ifdef __clang__
#define LANES_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LANES_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
