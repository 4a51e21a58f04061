#include "cpu/cpu.h"

#include <string.h>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

/* Built with -Devex_vnni=true: the kernels of level avxvnni need AVX-512 VNNI instead. */
#ifdef SCREE_EVEX_VNNI
#define EVEX_VNNI     true
#define AVXVNNI_TITLE "avxvnni, EVEX encoded"
#else
#define EVEX_VNNI     false
#define AVXVNNI_TITLE "avxvnni"
#endif

static const struct {
    const char *name, *title;
    uint32_t flag;
} levels[] = {
    {"avx2", "avx2", SCREE_CPU_AVX2},
    {"avxvnni", AVXVNNI_TITLE, SCREE_CPU_AVXVNNI},
    {"avx512vnni", "avx512vnni", SCREE_CPU_AVX512VNNI},
    {"avx512vbmi", "avx512vbmi", SCREE_CPU_AVX512VBMI},
    {"neon", "neon", SCREE_CPU_NEON},
    {"dotprod", "dotprod", SCREE_CPU_DOTPROD},
    {"i8mm", "i8mm", SCREE_CPU_I8MM},
};

#define N_LEVELS (sizeof levels / sizeof levels[0])

#if defined(__x86_64__)

/* The words of CPUID and XCR0 that our levels ask about. Source: Intel SDM volume 2, CPUID. */
struct cpuid {
    uint32_t ecx1, ebx7, ecx7, eax7_1, xcr0;
};

static struct cpuid read_cpuid(void)
{
    struct cpuid id = {0};
    uint32_t a, b, c, d;

    if (__get_cpuid(1, &a, &b, &c, &d))
        id.ecx1 = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        id.ebx7 = b;
        id.ecx7 = c;
        if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
            id.eax7_1 = a;
    }
    if (id.ecx1 & bit_OSXSAVE)
        __asm__("xgetbv" : "=a"(id.xcr0), "=d"(d) : "c"(0));
    return id;
}

static bool has(uint32_t word, uint32_t bits)
{
    return (word & bits) == bits;
}

static uint32_t processor_flags(void)
{
    const uint32_t ymm_state = 0x6, zmm_state = 0xe6, avxvnni = 1u << 4;
    const uint32_t avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    struct cpuid id = read_cpuid();
    uint32_t flags = 0;

    if (!has(id.xcr0, ymm_state) || !has(id.ecx1, bit_AVX | bit_FMA | bit_F16C) ||
        !has(id.ebx7, bit_AVX2))
        return 0;
    flags |= SCREE_CPU_AVX2;
    if (has(id.eax7_1, avxvnni) && !EVEX_VNNI)
        flags |= SCREE_CPU_AVXVNNI;
    if (!has(id.xcr0, zmm_state) || !has(id.ebx7, avx512) || !has(id.ecx7, bit_AVX512VNNI))
        return flags;
    flags |= SCREE_CPU_AVX512VNNI;
    if (EVEX_VNNI)
        flags |= SCREE_CPU_AVXVNNI;
    if (has(id.ecx7, bit_AVX512VBMI | bit_AVX512VBMI2))
        flags |= SCREE_CPU_AVX512VBMI;
    return flags;
}

#elif defined(__aarch64__)

static uint32_t processor_flags(void)
{
    uint32_t flags = SCREE_CPU_NEON;

    if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
        flags |= SCREE_CPU_DOTPROD;
    if (getauxval(AT_HWCAP2) & HWCAP2_I8MM)
        flags |= SCREE_CPU_I8MM;
    return flags;
}

#else

static uint32_t processor_flags(void)
{
    return 0;
}

#endif

int scree_cpu_flags(const char *mask, uint32_t *ret_flags, struct scree_error *err)
{
    uint32_t keep = 0;

    if (!mask || !*mask) {
        *ret_flags = processor_flags();
        return 0;
    }
    if (strcmp(mask, "c") == 0) {
        *ret_flags = 0;
        return 0;
    }
    for (size_t i = 0; i < N_LEVELS; i++) {
        keep |= levels[i].flag;
        if (strcmp(mask, levels[i].name) == 0) {
            *ret_flags = processor_flags() & keep;
            return 0;
        }
    }
    return scree_fail(
        err, EINVAL,
        "SCREE_CPU is '%s'; it can be c, avx2, avxvnni, avx512vnni, avx512vbmi, neon, "
        "dotprod or i8mm",
        mask);
}

const char *scree_cpu_name(uint32_t flags)
{
    const char *name = "c";

    for (size_t i = 0; i < N_LEVELS; i++)
        if (flags & levels[i].flag)
            name = levels[i].title;
    return name;
}
