/* doctor/doctor.h - what this machine has for the NPU, and what it lacks.
 *
 * A row of checks, from the board up to an inference on every core. Each that can be made gives one
 * finding: a sentence, and if something is wrong, one command against it. Checks that rest on
 * something that is missing are not made: the finding is what is missing.
 *
 *     scree_tree_open("/", &tree, &err);
 *     scree_doctor_examine(tree, NULL, &report);
 *     for (uint32_t i = 0; i < report.n_findings; i++)
 *         puts(report.findings[i].text);
 *
 * Nothing is changed on the machine. The last check uses the NPU for about a millisecond.
 *
 * Memory: none kept. Threads: no state. */
#ifndef SCREE_DOCTOR_DOCTOR_H
#define SCREE_DOCTOR_DOCTOR_H

#include "device/tree.h"

enum scree_finding_status {
    SCREE_FINDING_OK,
    SCREE_FINDING_WARNING, /* the NPU can be used, but not at its best, or by too many */
    SCREE_FINDING_ERROR,   /* the NPU cannot be used */
};

/* "ok", "warning", "error". */
const char *scree_finding_status_name(enum scree_finding_status status);

/* What one check found.
 *
 * check         the name of the check, a word
 * text          a sentence or two, safe to print
 * command       what to type, or to do, about it; "" if there is nothing to do
 * command_kind  "fix", or "see" for a command that only shows more; "" without a command */
struct scree_finding {
    enum scree_finding_status status;
    const char *check;
    char text[512];
    char command[384];
    const char *command_kind;
};

#define SCREE_DOCTOR_MAX_CHECKS 16

/* n_findings in the order of the checks, and the names of the n_skipped checks that could not be
 * made. */
struct scree_report {
    uint32_t n_findings;
    struct scree_finding findings[SCREE_DOCTOR_MAX_CHECKS];
    uint32_t n_skipped;
    const char *skipped[SCREE_DOCTOR_MAX_CHECKS];
};

/* Makes all checks on the machine of the tree. `delegate` is the path of a delegate to look at in
 * place of those that are found, or NULL. */
void scree_doctor_examine(const struct scree_tree *tree, const char *delegate,
                          struct scree_report *ret_report);

/* How many findings have the status. */
uint32_t scree_report_count(const struct scree_report *report, enum scree_finding_status status);

#endif
