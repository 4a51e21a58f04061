/* device/emu/options.h - how the software NPU is to behave: one table of named settings.
 *
 *     scree_emu_options_init(&options);
 *     scree_emu_options_set(&options, "cores", "1", &err);
 *
 * The shim takes each setting from the environment, SCREE_EMU_CORES and so on; `scree emu` from its
 * command line. Memory: keeps pointers to the values of path settings. Threads: one. */
#ifndef SCREE_DEVICE_EMU_OPTIONS_H
#define SCREE_DEVICE_EMU_OPTIONS_H

#include "base/error.h"

/* How a job can go wrong. */
enum scree_emu_fault {
    SCREE_EMU_FAULT_NONE,
    SCREE_EMU_FAULT_TIMEOUT, /* never ends; the kernel resets the core, and nobody is told */
    SCREE_EMU_FAULT_LOST,    /* accepted and never queued */
    SCREE_EMU_FAULT_EIO,     /* the submit that holds it fails, nothing of it is queued */
    SCREE_EMU_FAULT_ENODEV,  /* the device is gone when it starts, for good */
    SCREE_EMU_FAULT_CORRUPT, /* its output has wrong bytes */
};

/* Jobs [first, last], counted from 1 in the order of submission, get the fault with a probability
 * of `percent`. */
struct scree_emu_fault_rule {
    enum scree_emu_fault fault;
    uint64_t first, last;
    double percent;
};

#define SCREE_EMU_MAX_RULES 16

struct scree_emu_options {
    int n_cores;         /* [1, 3] */
    int rounding;        /* enum scree_emu_rounding */
    unsigned clock_mhz;  /* [1, 4000] */
    unsigned timeout_ms; /* [1, 600000] */
    bool pace;           /* jobs take the time of the model, if they are done sooner */
    bool linux_6_18;     /* PREP_BO returns the time left */
    bool inline_jobs;    /* a child of fork() runs jobs within SUBMIT, without threads */
    uint32_t first_iova;
    bool reuse_iova;
    uint64_t seed;
    struct scree_emu_fault_rule rules[SCREE_EMU_MAX_RULES];
    int n_rules;
    const char *stats;  /* file of counters, or NULL */
    const char *record; /* folder for what is submitted, or NULL */
    const char *root;   /* folder whose /sys, /proc and /dev stand before the real ones, or NULL */
    const char *log;    /* file for what hardware would not forgive; NULL for standard error */
};

/* The defaults: three cores at 198 MHz with mainline Linux's timeout of 500 ms, no faults. */
void scree_emu_options_init(struct scree_emu_options *options);

/* One setting by its name ("cores", "faults", ...). An empty value leaves a path setting unset.
 * Errors: EINVAL (no such setting, or not such a value), with what would be right in the text. */
int scree_emu_options_set(struct scree_emu_options *options, const char *name, const char *value,
                          struct scree_error *err);

/* The name of setting i, or NULL behind the last. */
const char *scree_emu_options_name(size_t i);

#endif
