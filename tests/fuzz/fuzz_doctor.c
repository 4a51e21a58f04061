/* Any bytes as the description of a machine: whatever it has, the doctor's report is complete and
 * can be shown on a terminal. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "doctor/doctor.h"
#include "fuzz/fuzz.h"

static void check_text(const char *text, size_t room)
{
    size_t n = strnlen(text, room);

    if (n == room || !scree_text_is_safe(text, n))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n_bytes)
{
    struct scree_tree *tree;
    struct scree_report report;

    if (scree_tree_open_text((const char *)bytes, n_bytes, &tree, NULL) < 0)
        return 0;
    scree_doctor_examine(tree, NULL, &report);
    if (report.n_findings == 0 || report.n_findings + report.n_skipped > SCREE_DOCTOR_MAX_CHECKS)
        abort();
    for (uint32_t i = 0; i < report.n_findings; i++) {
        const struct scree_finding *finding = &report.findings[i];

        check_text(finding->text, sizeof finding->text);
        check_text(finding->command, sizeof finding->command);
        if (!finding->text[0] || (finding->command[0] == '\0') != (*finding->command_kind == '\0'))
            abort();
    }
    scree_tree_free(tree);
    return 0;
}
