/* scree doctor: what this machine has for the NPU, what it lacks, and what to do about it. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "doctor/doctor.h"

/* Where a line of a finding begins and where it ends. */
#define INDENT 22
#define WIDTH  96

struct doctor_args {
    struct scree_common_args common;
    const char *root;
    const char *delegate;
};

/* clang-format off */
static const struct scree_option options[] = {
    {"root", 0, SCREE_OPTION_TEXT, "PATH",
     "look at the machine whose files are under PATH, or that the text PATH describes",
     offsetof(struct doctor_args, root), 0, 0},
    {"delegate", 0, SCREE_OPTION_TEXT, "FILE",
     "the delegate to look at (default: Mesa's, where distributions put it)",
     offsetof(struct doctor_args, delegate), 0, 0},
    {"json", 0, SCREE_OPTION_FLAG, NULL, "print JSON for programs instead of text",
     offsetof(struct doctor_args, common.json), 0, 0},
    {"help", 'h', SCREE_OPTION_FLAG, NULL, "print this help",
     offsetof(struct doctor_args, common.help), 0, 0},
    {0}};
/* clang-format on */

/* Prints text broken at spaces, so that lines end before WIDTH and begin at INDENT. */
static void print_wrapped(const char *text)
{
    size_t at = INDENT;

    while (*text) {
        size_t n = strcspn(text, " ");

        if (at > INDENT && at + n + 1 > WIDTH) {
            printf("\n%*s", INDENT, "");
            at = INDENT;
        } else if (at > INDENT) {
            putchar(' ');
            at++;
        }
        printf("%.*s", (int)n, text);
        at += n;
        text += n + (text[n] == ' ');
    }
    putchar('\n');
}

static void print_verdict(const struct scree_report *report)
{
    uint32_t n_errors = scree_report_count(report, SCREE_FINDING_ERROR);
    uint32_t n_warnings = scree_report_count(report, SCREE_FINDING_WARNING);

    if (report->n_skipped > 0) {
        printf("not checked: ");
        for (uint32_t i = 0; i < report->n_skipped; i++)
            printf("%s%s", i ? ", " : "", report->skipped[i]);
        printf("\n");
    }
    if (report->n_findings == 1)
        printf("There is no NPU to use.\n");
    else if (n_errors > 0)
        printf("The NPU cannot be used yet: %u problem%s.\n", n_errors, n_errors > 1 ? "s" : "");
    else if (n_warnings > 0)
        printf("The NPU can be used. %u thing%s could be better.\n", n_warnings,
               n_warnings > 1 ? "s" : "");
    else
        printf("The NPU can be used. All is well.\n");
}

static void print_report(const struct scree_report *report)
{
    for (uint32_t i = 0; i < report->n_findings; i++) {
        const struct scree_finding *finding = &report->findings[i];

        printf("%-8s %-12s ", scree_finding_status_name(finding->status), finding->check);
        print_wrapped(finding->text);
        if (finding->command[0])
            printf("%*s%s: %s\n", INDENT - 5, "", finding->command_kind, finding->command);
    }
    printf("\n");
    print_verdict(report);
}

static int print_json(const struct scree_report *report)
{
    json_t *findings = json_array(), *skipped = json_array();

    for (uint32_t i = 0; i < report->n_findings; i++) {
        const struct scree_finding *finding = &report->findings[i];
        json_t *item = json_pack("{s:s, s:s, s:s}", "check", finding->check, "status",
                                 scree_finding_status_name(finding->status), "text", finding->text);

        if (finding->command[0])
            json_object_set_new(item, finding->command_kind, json_string(finding->command));
        json_array_append_new(findings, item);
    }
    for (uint32_t i = 0; i < report->n_skipped; i++)
        json_array_append_new(skipped, json_string(report->skipped[i]));
    return scree_cli_print_json(json_pack(
        "{s:b, s:i, s:i, s:o, s:o}", "usable", scree_report_count(report, SCREE_FINDING_ERROR) == 0,
        "errors", (int)scree_report_count(report, SCREE_FINDING_ERROR), "warnings",
        (int)scree_report_count(report, SCREE_FINDING_WARNING), "findings", findings, "not_checked",
        skipped));
}

static int run(int argc, char **argv)
{
    struct doctor_args args = {.root = getenv("SCREE_ROOT"), .delegate = getenv("SCREE_TEFLON")};
    SCREE_LIST_CLEANUP struct scree_list positionals = {0};
    struct scree_report report;
    struct scree_tree *tree;
    struct scree_error err;
    int rc = scree_args_parse(&scree_verb_doctor, argc, argv, &args, &positionals);

    if (rc)
        return rc - 1;
    rc = scree_tree_open(args.root ? args.root : "/", &tree, &err);
    if (rc < 0)
        return scree_cli_fail(rc, &err);
    scree_doctor_examine(tree, args.delegate, &report);
    scree_tree_free(tree);
    if (!args.common.json)
        print_report(&report);
    else if (print_json(&report) != SCREE_EXIT_OK)
        return SCREE_EXIT_FAILED;
    return scree_report_count(&report, SCREE_FINDING_ERROR) > 0 ? SCREE_EXIT_NO_DEVICE
                                                                : SCREE_EXIT_OK;
}

const struct scree_verb scree_verb_doctor = {
    .name = "doctor",
    .positionals = "",
    .max_positionals = 0,
    .summary = "Tell whether this machine's NPU can be used, and what to do if not",
    .details = "Checks board, kernel, driver, cores, clock, permissions and Mesa's delegate, and "
               "runs a test\nconvolution on every core. Nothing on the machine is changed. Exit "
               "code 0 if the NPU can be\nused, 3 if not. Run it in a container to learn what the "
               "container lacks.",
    .options = options,
    .examples = "  scree doctor                      # this machine\n"
                "  scree doctor --root /host         # the host, seen from a container\n"
                "  sudo scree doctor --json          # with what only root may read",
    .run = run,
};
