/* checkkern - every variant of every kernel against its definition in C.
 *
 * usage: checkkern [--seed N] [--bench] [--only MEMBER] [--cpu NAME]
 *
 * Rows whose instruction set this machine lacks are skipped and said so: run it under qemu for
 * those (qemu-x86_64 -cpu Haswell, qemu-aarch64 -cpu max). */
#include "checkkern.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "peak.h"

#define CANARY_BYTES 256
#define CANARY       0xa5
#define MAX_BLOCKS   4096

/* ---- random numbers: xorshift64* ---- */

uint64_t check_random(struct check *check)
{
    check->random ^= check->random >> 12;
    check->random ^= check->random << 25;
    check->random ^= check->random >> 27;
    return check->random * UINT64_C(2685821657736338717);
}

uint32_t check_below(struct check *check, uint32_t limit)
{
    return (uint32_t)((check_random(check) >> 32) % limit);
}

int32_t check_between(struct check *check, int32_t low, int32_t high)
{
    uint64_t range = (uint64_t)((int64_t)high - low) + 1;

    return (int32_t)(low + (int64_t)((check_random(check) >> 16) % range));
}

void check_fill_bytes(struct check *check, void *bytes, size_t n, enum check_fill fill)
{
    static const uint8_t values[] = {
        [CHECK_MIN] = 0x80, [CHECK_MAX] = 0x7f, [CHECK_ZERO] = 0, [CHECK_ONES] = 0xff};
    uint8_t *to = bytes;

    if (fill != CHECK_RANDOM)
        memset(to, values[fill], n);
    else
        for (size_t i = 0; i < n; i++)
            to[i] = (uint8_t)(check_random(check) >> 40);
}

/* ---- memory ---- */

static struct {
    void *base;
    size_t bytes;
} blocks[MAX_BLOCKS];
static size_t n_blocks;

static uint8_t *map(size_t bytes)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (base == MAP_FAILED || n_blocks == MAX_BLOCKS) {
        fprintf(stderr, "checkkern: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    blocks[n_blocks].base = base;
    blocks[n_blocks++].bytes = bytes;
    return base;
}

void *check_input(size_t n, size_t align)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = (n + page) / page * page + page;
    uint8_t *base = map(bytes), *end = base + bytes - page;

    mprotect(end, page, PROT_NONE);
    return (void *)(((uintptr_t)end - n) / align * align);
}

void *check_output(size_t n)
{
    uint8_t *base = map(n + 2 * CANARY_BYTES);

    memset(base, CANARY, n + 2 * CANARY_BYTES);
    return base + CANARY_BYTES;
}

bool check_canaries(const void *output, size_t n)
{
    const uint8_t *bytes = output;

    for (size_t i = 1; i <= CANARY_BYTES; i++)
        if (bytes[-(ptrdiff_t)i] != CANARY || bytes[n + i - 1] != CANARY)
            return false;
    return true;
}

void check_free_all(void)
{
    while (n_blocks > 0) {
        n_blocks--;
        munmap(blocks[n_blocks].base, blocks[n_blocks].bytes);
    }
}

/* ---- comparing ---- */

void check_equal(struct check *check, const void *definition, const void *variant, size_t n,
                 const char *what, ...)
{
    const uint8_t *a = definition, *b = variant;
    bool inside = check_canaries(variant, n);
    size_t at = 0;
    va_list args;

    check->n_compared++;
    while (at < n && a[at] == b[at])
        at++;
    if (at == n && inside)
        return;
    if (check->n_failed++ >= 10)
        return;
    printf("%s: ", check->variant);
    va_start(args, what);
    vprintf(what, args);
    va_end(args);
    if (at < n)
        printf(": byte %zu of %zu is %02x, the definition's %02x", at, n, b[at], a[at]);
    puts(inside ? "" : ": written outside the output");
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The median seconds of one run. */
static double median(void (*run)(void *arg, bool variant), void *arg, bool variant)
{
    enum { N = 21 };
    double times[N], start = now();
    int n_runs = 0;

    do {
        run(arg, variant);
        n_runs++;
    } while (now() - start < 2e-3);
    for (int i = 0; i < N; i++) {
        start = now();
        for (int k = 0; k < n_runs; k++)
            run(arg, variant);
        times[i] = (now() - start) / n_runs;
    }
    qsort(times, N, sizeof times[0], by_value);
    return times[N / 2];
}

void check_time(struct check *check, const char *what, double amount, const char *unit,
                void (*run)(void *arg, bool variant), void *arg)
{
    double definition, variant;

    if (!check->bench)
        return;
    definition = median(run, arg, false);
    variant = median(run, arg, true);
    printf("%-32s %-34s %9.2f us %8.2f G%s/s  %6.1f x of C", check->variant, what, variant * 1e6,
           amount / variant * 1e-9, unit, definition / variant);
    if (strcmp(unit, "MAC") == 0) {
        double peak = peak_macs(check->cpu, strstr(check->variant, "f32") != NULL);

        if (peak > 0)
            printf("  %5.1f %% of the peak of %.0f", amount / variant / peak * 100, peak * 1e-9);
    }
    printf("\n");
}

/* ---- the list ---- */

struct options {
    uint64_t seed;
    bool bench;
    const char *only;
    uint32_t cpu;
};

/* Checks one row; returns 1 if it failed. */
#define KERNEL(member, flags, symbol)                                                        \
    static int row_##member##_##symbol(const struct options *options, int *n_skipped)        \
    {                                                                                        \
        struct check check = {#member, #symbol, options->seed, options->bench, 0, 0, flags}; \
        struct scree_kernels definitions;                                                    \
                                                                                             \
        if ((flags) == 0 || (options->only && strcmp(options->only, #member) != 0))          \
            return 0;                                                                        \
        if ((options->cpu & (uint32_t)(flags)) != (uint32_t)(flags)) {                       \
            printf("%s: skipped, this processor lacks it\n", #symbol);                       \
            ++*n_skipped;                                                                    \
            return 0;                                                                        \
        }                                                                                    \
        scree_kernels_init(&definitions, 0);                                                 \
        check_##member(&check, definitions.member, &symbol);                                 \
        check_free_all();                                                                    \
        printf("%s: %s, %d comparisons\n", #symbol, check.n_failed ? "DIFFERS" : "ok",       \
               check.n_compared);                                                            \
        return check.n_failed > 0 || check.n_compared == 0;                                  \
    }
#include "kernels/kernels.inc"
#undef KERNEL

static int parse(int argc, char **argv, struct options *options)
{
    struct scree_error err;
    const char *cpu = getenv("SCREE_CPU");

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            options->bench = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            options->seed = strtoull(argv[++i], NULL, 10) | 1;
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            options->only = argv[++i];
        else if (strcmp(argv[i], "--cpu") == 0 && i + 1 < argc)
            cpu = argv[++i];
        else
            return fprintf(stderr, "usage: %s [--seed N] [--bench] [--only MEMBER] [--cpu NAME]\n",
                           argv[0]);
    }
    if (scree_cpu_flags(cpu, &options->cpu, &err) < 0)
        return fprintf(stderr, "checkkern: %s\n", err.text);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 88172645463325252u};
    int n_failed = 0, n_skipped = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (parse(argc, argv, &options) != 0)
        return 2;
    printf("seed %llu, processor %s\n", (unsigned long long)options.seed,
           scree_cpu_name(options.cpu));
#define KERNEL(member, cpu, symbol) n_failed += row_##member##_##symbol(&options, &n_skipped);
#include "kernels/kernels.inc"
#undef KERNEL
    printf("%d kernels differ, %d skipped\n", n_failed, n_skipped);
    return n_failed > 0;
}
