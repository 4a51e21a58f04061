#include "doctor/doctor.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "doctor/checks.h"

static const struct check {
    const char *title;
    unsigned needs;
    void (*run)(struct scree_examination *x);
} checks[] = {
#define CHECK(name, title, needs) {title, needs, scree_check_##name},
#include "doctor/checks.inc"
#undef CHECK
};

#define N_CHECKS (sizeof checks / sizeof checks[0])
static_assert(N_CHECKS <= SCREE_DOCTOR_MAX_CHECKS, "a report has room for every check");

const char *scree_finding_status_name(enum scree_finding_status status)
{
    static const char *const names[] = {"ok", "warning", "error"};

    return names[status];
}

uint32_t scree_report_count(const struct scree_report *report, enum scree_finding_status status)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < report->n_findings; i++)
        n += report->findings[i].status == status;
    return n;
}

/* ---- findings -------------------------------------------------------------------------------- */

static struct scree_finding *last(const struct scree_examination *x)
{
    assert(x->report->n_findings > 0);
    return &x->report->findings[x->report->n_findings - 1];
}

void scree_found(struct scree_examination *x, enum scree_finding_status status, const char *format,
                 ...)
{
    struct scree_finding *finding = &x->report->findings[x->report->n_findings++];
    va_list args;

    assert(format && x->report->n_findings <= SCREE_DOCTOR_MAX_CHECKS);
    *finding = (struct scree_finding){.status = status, .check = x->check, .command_kind = ""};
    va_start(args, format);
    (void)vsnprintf(finding->text, sizeof finding->text, format, args);
    va_end(args);
    scree_text_make_safe(finding->text, strlen(finding->text));
}

void scree_found_more(struct scree_examination *x, const char *format, ...)
{
    struct scree_finding *finding = last(x);
    size_t used = strlen(finding->text);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(finding->text + used, sizeof finding->text - used, format, args);
    va_end(args);
    scree_text_make_safe(finding->text, strlen(finding->text));
}

SCREE_PRINTF(3, 0)
static void set_command(struct scree_examination *x, const char *kind, const char *format,
                        va_list args)
{
    struct scree_finding *finding = last(x);

    (void)vsnprintf(finding->command, sizeof finding->command, format, args);
    scree_text_make_safe(finding->command, strlen(finding->command));
    finding->command_kind = kind;
}

void scree_fix(struct scree_examination *x, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_command(x, "fix", format, args);
    va_end(args);
}

void scree_see(struct scree_examination *x, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_command(x, "see", format, args);
    va_end(args);
}

/* ---- the examination ------------------------------------------------------------------------- */

static void find_distribution(struct scree_examination *x)
{
    char text[4096];

    if (scree_tree_read(x->tree, "/etc/os-release", text, sizeof text) < 0)
        text[0] = '\0';
    x->is_trixie = strstr(text, "VERSION_CODENAME=trixie") != NULL;
    if (scree_tree_has(x->tree, "/etc/armbian-release"))
        x->distribution = SCREE_DISTRIBUTION_ARMBIAN;
    else if (strstr(text, "ID=nixos"))
        x->distribution = SCREE_DISTRIBUTION_NIXOS;
    else if (strstr(text, "ID=debian"))
        x->distribution = SCREE_DISTRIBUTION_DEBIAN;
    else
        x->distribution = SCREE_DISTRIBUTION_OTHER;
}

/* The root of a container is an overlay for most engines, whatever else they leave to see; but so
 * it is for systems that keep their own root as it was, and these have an init. */
static bool root_is_overlay(const struct scree_tree *tree)
{
    char text[4096];

    if (scree_tree_text(tree, "/proc/1/comm", text, sizeof text) >= 0 &&
        (strcmp(text, "systemd") == 0 || strcmp(text, "init") == 0 || strcmp(text, "procd") == 0))
        return false;
    return scree_tree_read(tree, "/proc/mounts", text, sizeof text) >= 0 &&
           (strncmp(text, "overlay / ", 10) == 0 || strstr(text, "\noverlay / "));
}

static enum scree_container find_container(const struct scree_tree *tree)
{
    if (scree_tree_has(tree, "/run/secrets/kubernetes.io") ||
        scree_tree_has(tree, "/var/run/secrets/kubernetes.io"))
        return SCREE_CONTAINER_KUBERNETES;
    if (scree_tree_has(tree, "/run/.containerenv"))
        return SCREE_CONTAINER_PODMAN;
    if (scree_tree_has(tree, "/.dockerenv"))
        return SCREE_CONTAINER_DOCKER;
    if (scree_tree_has(tree, "/run/systemd/container") || root_is_overlay(tree))
        return SCREE_CONTAINER_OTHER;
    return SCREE_CONTAINER_NONE;
}

void scree_doctor_examine(const struct scree_tree *tree, const char *delegate,
                          struct scree_report *ret_report)
{
    struct scree_examination x = {.tree = tree,
                                  .report = ret_report,
                                  .delegate = delegate,
                                  .container = find_container(tree)};

    *ret_report = (struct scree_report){0};
    find_distribution(&x);
    if (scree_tree_text(tree, "/proc/sys/kernel/osrelease", x.release, sizeof x.release) < 0)
        x.release[0] = '\0';
    scree_npu_discover(tree, &x.npu);
    for (size_t i = 0; i < N_CHECKS; i++) {
        x.check = checks[i].title;
        if ((checks[i].needs & ~x.facts) == 0)
            checks[i].run(&x);
        else
            ret_report->skipped[ret_report->n_skipped++] = checks[i].title;
    }
}
