/* Inline assembly, because a compiler would see that nobody reads the sums. */
#include "peak.h"

#include <stddef.h>
#include <time.h>

#include "cpu/cpu.h"

/* Twelve accumulators: more than latency times throughput of any of these instructions. */
#define TWELVE(OP)     OP(4) OP(5) OP(6) OP(7) OP(8) OP(9) OP(10) OP(11) OP(12) OP(13) OP(14) OP(15)
#define N_ACCUMULATORS 12

typedef void peak_fn(uint64_t n);

#if defined(__x86_64__)

#define CLOBBERS                                                                              \
    "xmm0", "xmm1", "xmm2", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
        "xmm12", "xmm13", "xmm14", "xmm15", "cc"

/* n turns of twelve times OP on zeroed registers. */
#define DEFINE_PEAK(name, OP)                                                 \
    static void name(uint64_t n)                                              \
    {                                                                         \
        __asm__ volatile("vzeroall\n\t"                                       \
                         "1:\n\t" TWELVE(OP) "dec %0\n\tjnz 1b\n\tvzeroupper" \
                         : "+r"(n)                                            \
                         :                                                    \
                         : CLOBBERS);                                         \
    }

#define VPDPBUSD_512(i) "vpdpbusd %%zmm0, %%zmm1, %%zmm" #i "\n\t"
#define VPDPBUSD_256(i) "%{vex%} vpdpbusd %%ymm0, %%ymm1, %%ymm" #i "\n\t"
#define VPMADDWD_256(i)                   \
    "vpmaddwd %%ymm0, %%ymm1, %%ymm2\n\t" \
    "vpaddd %%ymm2, %%ymm" #i ", %%ymm" #i "\n\t"
#define VFMADD_512(i) "vfmadd231ps %%zmm0, %%zmm1, %%zmm" #i "\n\t"
#define VFMADD_256(i) "vfmadd231ps %%ymm0, %%ymm1, %%ymm" #i "\n\t"

DEFINE_PEAK(vpdpbusd_512, VPDPBUSD_512)
DEFINE_PEAK(vpdpbusd_256, VPDPBUSD_256)
DEFINE_PEAK(vpmaddwd_256, VPMADDWD_256)
DEFINE_PEAK(vfmadd_512, VFMADD_512)
DEFINE_PEAK(vfmadd_256, VFMADD_256)

#elif defined(__aarch64__)

#define CLOBBERS \
    "v0", "v1", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "cc"

#define DEFINE_PEAK(name, OP)                                             \
    static void name(uint64_t n)                                          \
    {                                                                     \
        __asm__ volatile(".arch armv8.2-a+dotprod+i8mm\n\t"               \
                         "movi v0.16b, #0\n\tmovi v1.16b, #0\n\t"         \
                         "1:\n\t" TWELVE(OP) "subs %0, %0, #1\n\tb.ne 1b" \
                         : "+r"(n)                                        \
                         :                                                \
                         : CLOBBERS);                                     \
    }

#define SMMLA(i) "smmla v" #i ".4s, v0.16b, v1.16b\n\t"
#define SDOT(i)  "sdot v" #i ".4s, v0.16b, v1.16b\n\t"
#define SMLAL(i) "smlal v" #i ".4s, v0.4h, v1.4h\n\t"
#define FMLA(i)  "fmla v" #i ".4s, v0.4s, v1.4s\n\t"

DEFINE_PEAK(smmla, SMMLA)
DEFINE_PEAK(sdot, SDOT)
DEFINE_PEAK(smlal, SMLAL)
DEFINE_PEAK(fmla, FMLA)

#endif

/* Highest first. */
static struct peak {
    uint32_t cpu;
    bool is_float;
    int macs; /* of one instruction */
    peak_fn *run;
    double macs_a_second; /* 0: not measured yet */
} peaks[] = {
#if defined(__x86_64__)
    {SCREE_CPU_AVX512VNNI, false, 64, vpdpbusd_512, 0},
    {SCREE_CPU_AVX512VNNI, true, 16, vfmadd_512, 0},
    {SCREE_CPU_AVXVNNI, false, 32, vpdpbusd_256, 0},
    {SCREE_CPU_AVX2, false, 16, vpmaddwd_256, 0},
    {SCREE_CPU_AVX2, true, 8, vfmadd_256, 0},
#elif defined(__aarch64__)
    {SCREE_CPU_I8MM, false, 32, smmla, 0},
    {SCREE_CPU_DOTPROD, false, 16, sdot, 0},
    {SCREE_CPU_NEON, false, 4, smlal, 0},
    {SCREE_CPU_NEON, true, 4, fmla, 0},
#endif
    {0, false, 0, NULL, 0},
};

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* The best of several: what disturbs only makes it slower. */
static double measure(const struct peak *peak)
{
    const uint64_t n = 200000;
    double best = 0;

    for (int i = 0; i < 30; i++) {
        double start = now(), speed;

        peak->run(n);
        speed = (double)n * N_ACCUMULATORS * peak->macs / (now() - start);
        best = speed > best ? speed : best;
    }
    return best;
}

double peak_macs(uint32_t cpu, bool is_float)
{
    for (struct peak *peak = peaks; peak->run; peak++) {
        if (!(cpu & peak->cpu) || is_float != peak->is_float)
            continue;
        if (peak->macs_a_second == 0)
            peak->macs_a_second = measure(peak);
        return peak->macs_a_second;
    }
    return 0;
}
