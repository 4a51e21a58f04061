/* cpu/cpu.h - which instruction sets this processor has, as far as our kernels use them.
 *
 *     uint32_t flags;
 *     rc = scree_cpu_flags(getenv("SCREE_CPU"), &flags, err);
 *
 * A flag means a level of an instruction set: the processor has it and the operating system keeps
 * its registers. Levels of one architecture are in rising order; each stands for its own
 * instructions alone, and a kernel names every level that it needs.
 *
 * Memory: keeps nothing. Threads: pure but for the processor it runs on. */
#ifndef SCREE_CPU_CPU_H
#define SCREE_CPU_CPU_H

#include "base/error.h"

enum scree_cpu_flag {
    SCREE_CPU_AVX2 = 1 << 0,       /* AVX2, FMA and F16C: Haswell, Zen */
    SCREE_CPU_AVXVNNI = 1 << 1,    /* VPDPBUSD of 256 bits, VEX encoded: Alder Lake, Zen 5 */
    SCREE_CPU_AVX512VNNI = 1 << 2, /* AVX-512 F, BW, CD, DQ, VL and VNNI: Cascade Lake */
    SCREE_CPU_AVX512VBMI = 1 << 3, /* VBMI and VBMI2 too: Ice Lake, Zen 4 */
    SCREE_CPU_NEON = 1 << 8,       /* every AArch64 */
    SCREE_CPU_DOTPROD = 1 << 9,    /* SDOT, UDOT: Cortex-A76 */
    SCREE_CPU_I8MM = 1 << 10,      /* SMMLA, USDOT: Cortex-X2, Neoverse V1 */
};

/* The flags of this processor, without those that `mask` takes away (the environment variable
 * SCREE_CPU): NULL or "" takes none; "c" all; the name of a level all that are higher ("avx2",
 * "avxvnni", "avx512vnni", "avx512vbmi", "neon", "dotprod", "i8mm").
 * Errors: EINVAL (no such name); *ret_flags is untouched then. */
int scree_cpu_flags(const char *mask, uint32_t *ret_flags, struct scree_error *err);

/* The name of the highest level among the flags; "c" for none. Of a build with -Devex_vnni=true,
 * "avxvnni" says that it is EVEX encoded. Static. */
const char *scree_cpu_name(uint32_t flags);

#endif
