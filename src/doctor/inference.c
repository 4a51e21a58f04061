/* The check that computes: a small convolution on every core, whose result is known. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/checks.h"

/* In a tree that is a text, what became of the trials: a line each, "WRONG_BYTES MICROSECONDS", or
 * "-" if the device gave an error. */
#define RECORDED "/scree/inference"

static uint32_t recorded_trials(const struct scree_tree *tree, struct scree_trial *trials)
{
    char text[512], *line = text;
    uint32_t n = 0;

    if (scree_tree_read(tree, RECORDED, text, sizeof text) < 0)
        return 0;
    while (*line && n < SCREE_NPU_MAX_CORES) {
        struct scree_trial *trial = &trials[n++];

        *trial = (struct scree_trial){.rc = *line == '-' ? -EIO : 0};
        line += *line == '-';
        trial->n_wrong = (uint32_t)strtoul(line, &line, 10);
        trial->us = (uint32_t)strtoul(line, &line, 10);
        if (trial->rc < 0)
            (void)scree_fail(&trial->err, EIO, "%s", strerror(EIO));
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return n;
}

static void report_failure(struct scree_examination *x, const struct scree_trial *trial)
{
    if (trial->rc < 0)
        scree_found(x, SCREE_FINDING_ERROR, "The test convolution could not be run: %s.",
                    trial->err.text);
    else if (trial->lost)
        scree_found(x, SCREE_FINDING_ERROR,
                    "The NPU took the test convolution, but wrote no result: the job was lost, or "
                    "the kernel stopped it after half a second.");
    else
        scree_found(x, SCREE_FINDING_ERROR,
                    "The NPU computes wrongly: %u bytes of the test convolution's result are not "
                    "what they must be.",
                    trial->n_wrong);
    scree_see(x, "sudo dmesg | grep -i -e rocket -e iommu -e '\\.npu'");
}

/* The first trial that went wrong, or NULL. */
static const struct scree_trial *find_failure(const struct scree_trial *trials, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (trials[i].rc < 0 || trials[i].n_wrong > 0)
            return &trials[i];
    return NULL;
}

/* n_used: the cores that were seen at work; 0 if that cannot be seen. */
static void report_trials(struct scree_examination *x, const struct scree_trial *trials, uint32_t n,
                          uint32_t n_used)
{
    const struct scree_trial *failure = find_failure(trials, n);
    uint32_t slowest = 0;

    if (failure) {
        report_failure(x, failure);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        slowest = trials[i].us > slowest ? trials[i].us : slowest;
    scree_found(x, SCREE_FINDING_OK,
                n == 1 ? "A test convolution came out right%s, in %u.%u ms"
                       : "Test convolutions came out right%s, in %u.%u ms",
                n > 1 && n_used == n ? " on every core" : "", slowest / 1000, slowest / 100 % 10);
    if (n_used > 0 && n_used < n)
        scree_found_more(x, "; %u of %u cores took part", n_used, n);
    scree_found_more(x, ".");
}

/* The kernel chooses the core, so a round may leave one out: a few are made until each has been
 * seen. */
#define MAX_ROUNDS 8

static uint32_t try_all(struct scree_examination *x, const char *node, struct scree_trial *trials)
{
    uint64_t before[SCREE_NPU_MAX_CORES], after[SCREE_NPU_MAX_CORES];
    uint32_t n = x->npu.n_cores, n_used = 0;
    bool counts = scree_npu_interrupts(x->tree, &x->npu, before) == 0;

    for (int round = 0; round < MAX_ROUNDS && n_used < n; round++) {
        scree_try_cores(node, n, trials);
        if (!counts || find_failure(trials, n) || scree_npu_interrupts(x->tree, &x->npu, after) < 0)
            break;
        n_used = 0;
        for (uint32_t i = 0; i < n; i++)
            n_used += after[i] != before[i];
    }
    return n_used;
}

void scree_check_inference(struct scree_examination *x)
{
    struct scree_trial trials[SCREE_NPU_MAX_CORES];
    char node[SCREE_TREE_PATH];
    uint32_t n;

    if (scree_tree_path(x->tree, x->npu.node, node, sizeof node) == 0) {
        n = try_all(x, node, trials);
        report_trials(x, trials, x->npu.n_cores, n);
        return;
    }
    n = recorded_trials(x->tree, trials);
    if (n > 0)
        report_trials(x, trials, n, n);
}
