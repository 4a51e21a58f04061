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

/* The cores whose interrupt count rose. */
static uint32_t count_used(const struct scree_npu *npu, const uint64_t *before,
                           const uint64_t *after)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < npu->n_cores; i++)
        n += after[i] != before[i];
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

static void report_trials(struct scree_examination *x, const struct scree_trial *trials, uint32_t n,
                          uint32_t n_used)
{
    uint32_t slowest = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (trials[i].rc < 0 || trials[i].n_wrong > 0) {
            report_failure(x, &trials[i]);
            return;
        }
        slowest = trials[i].us > slowest ? trials[i].us : slowest;
    }
    if (n == 1)
        scree_found(x, SCREE_FINDING_OK, "A test convolution came out right, in %u.%u ms",
                    slowest / 1000, slowest / 100 % 10);
    else
        scree_found(x, SCREE_FINDING_OK, "%u test convolutions at once came out right, in %u.%u ms",
                    n, slowest / 1000, slowest / 100 % 10);
    if (n_used > 1)
        scree_found_more(x, ", on %u cores", n_used);
    scree_found_more(x, ".");
}

void scree_check_inference(struct scree_examination *x)
{
    uint64_t before[SCREE_NPU_MAX_CORES], after[SCREE_NPU_MAX_CORES];
    struct scree_trial trials[SCREE_NPU_MAX_CORES];
    uint32_t n = x->npu.n_cores, n_used = 0;
    char node[SCREE_TREE_PATH];
    bool counts;

    if (scree_tree_path(x->tree, x->npu.node, node, sizeof node) < 0) {
        n = recorded_trials(x->tree, trials);
        if (n > 0)
            report_trials(x, trials, n, n);
        return;
    }
    counts = scree_npu_interrupts(x->tree, &x->npu, before) == 0;
    scree_try_cores(node, n, trials);
    if (counts && scree_npu_interrupts(x->tree, &x->npu, after) == 0)
        n_used = count_used(&x->npu, before, after);
    report_trials(x, trials, n, n_used);
}
