/* checkkern.h - what the checks of kernels share.
 *
 * For each row of kernels.inc that is not a definition, checkkern calls the check of its member,
 * check_MEMBER(check, definition, variant), which calls both on the same inputs and compares.
 * Inputs end at an unmapped page, so that a read past the contract faults; outputs have canaries
 * around them. */
#ifndef CHECKKERN_H
#define CHECKKERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

struct check {
    const char *member, *variant; /* for messages */
    uint64_t random;              /* state of the generator */
    bool bench;                   /* time the variant and the definition too */
    int n_failed, n_compared;
    uint32_t cpu; /* the flags of the variant */
};

/* The next random number; below `limit`; in [low, high]. */
uint64_t check_random(struct check *check);
uint32_t check_below(struct check *check, uint32_t limit);
int32_t check_between(struct check *check, int32_t low, int32_t high);

/* How a buffer is filled. */
enum check_fill {
    CHECK_RANDOM,
    CHECK_MIN, /* all 0x80: the least int8; 128 of uint8 */
    CHECK_MAX, /* all 0x7f */
    CHECK_ZERO,
    CHECK_ONES, /* all 0xff */
    CHECK_N_FILLS,
};

void check_fill_bytes(struct check *check, void *bytes, size_t n, enum check_fill fill);

/* n bytes (0 too) that end right before an unmapped page and begin at a multiple of `align` (a
 * power of two that divides n, or 1 for any). Freed by check_free_all(). Never NULL: exits without
 * memory. */
void *check_input(size_t n, size_t align);

/* n bytes between canaries, filled with the same rubbish each time; check_canaries() tells whether
 * anything was written around them. Aligned to 64. */
void *check_output(size_t n);
bool check_canaries(const void *output, size_t n);

/* Frees all inputs and outputs. */
void check_free_all(void);

/* Compares n bytes of the variant's output with the definition's and counts; the first difference
 * is printed with `what`, a description of the case (printf). */
void check_equal(struct check *check, const void *definition, const void *variant, size_t n,
                 const char *what, ...) __attribute__((format(printf, 5, 6)));

/* With --bench: prints how long the definition and the variant take for one run, the median of
 * several, and the throughput in units of 10^9 `unit` a second; of "MAC" also what share that is of
 * the processor's peak. run(arg, variant) runs one. */
void check_time(struct check *check, const char *what, double amount, const char *unit,
                void (*run)(void *arg, bool variant), void *arg);

/* The check of each member of struct scree_kernels. */
#define KERNEL(member, cpu, function)                                               \
    void check_##member(struct check *check,                                        \
                        __typeof__(((struct scree_kernels *)0)->member) definition, \
                        __typeof__(((struct scree_kernels *)0)->member) variant);
#include "kernels/kernels.inc"
#undef KERNEL

#endif
