/* doctor/checks.h - what the checks share.
 *
 * A check is a function that looks at the machine and adds one finding, or none if it has nothing
 * to say; what it learns for later checks it leaves in struct scree_examination. checks.inc lists
 * them in order, with what each rests on.
 *
 * Memory: an examination lives on the stack of scree_doctor_examine(). */
#ifndef SCREE_DOCTOR_CHECKS_H
#define SCREE_DOCTOR_CHECKS_H

#include "device/discover.h"
#include "device/teflon.h"
#include "doctor/doctor.h"

/* Whose packages and files: what a remedy says depends on it. */
enum scree_distribution {
    SCREE_DISTRIBUTION_OTHER,
    SCREE_DISTRIBUTION_DEBIAN,
    SCREE_DISTRIBUTION_ARMBIAN,
    SCREE_DISTRIBUTION_NIXOS,
    SCREE_DISTRIBUTIONS, /* how many */
};

enum scree_container {
    SCREE_CONTAINER_NONE,
    SCREE_CONTAINER_DOCKER,
    SCREE_CONTAINER_PODMAN,
    SCREE_CONTAINER_KUBERNETES,
    SCREE_CONTAINER_OTHER,
};

/* What a check may rest on, as bits. */
enum scree_fact {
    SCREE_FACT_BOARD = 1 << 0,  /* the chip has this NPU, as far as can be told */
    SCREE_FACT_KERNEL = 1 << 1, /* the kernel is one with rocket */
    SCREE_FACT_NODES = 1 << 2,  /* the device tree has a core switched on, as far as can be told */
    SCREE_FACT_DRIVER = 1 << 3, /* rocket is loaded */
    SCREE_FACT_CORES = 1 << 4,  /* at least one core is bound */
    SCREE_FACT_DEVICE = 1 << 5, /* the accel node is there */
    SCREE_FACT_ACCESS = 1 << 6, /* and can be opened */
    SCREE_FACT_DELEGATE = 1 << 7, /* there is a delegate with the driver in it */
};

/* One examination under way. */
struct scree_examination {
    const struct scree_tree *tree;
    struct scree_report *report;
    const char *check;    /* the one being made */
    const char *delegate; /* asked for, or NULL */
    unsigned facts;
    enum scree_distribution distribution;
    bool is_trixie; /* Debian 13 or made from it: its backports have what is needed */
    enum scree_container container;
    char release[96]; /* "6.18.0", of the kernel */
    struct scree_npu npu;
    uint32_t n_nodes, n_enabled; /* cores in the device tree */
    struct scree_teflon teflon;
};

/* Adds the finding of the current check. The text may hold names from the machine: what is not safe
 * to print is replaced. */
void scree_found(struct scree_examination *x, enum scree_finding_status status, const char *format,
                 ...) SCREE_PRINTF(3, 4);

/* Adds to the text of the last finding. */
void scree_found_more(struct scree_examination *x, const char *format, ...) SCREE_PRINTF(2, 3);

/* Gives the last finding its command: one that helps, or one that shows more. */
void scree_fix(struct scree_examination *x, const char *format, ...) SCREE_PRINTF(2, 3);
void scree_see(struct scree_examination *x, const char *format, ...) SCREE_PRINTF(2, 3);

/* Remedies that differ among distributions: remedy.c. */
enum scree_remedy {
    SCREE_REMEDY_KERNEL, /* one with rocket */
    SCREE_REMEDY_SUPPLY, /* do not switch off supplies without users */
    SCREE_REMEDY_RULE,   /* group render, mode 0660 */
    SCREE_REMEDY_LINK,   /* /dev/dri/renderD180 */
    SCREE_REMEDY_USERS,  /* this user into group render, where users are declared */
    SCREE_REMEDY_TEFLON,
    SCREE_REMEDIES, /* how many */
};

/* The remedy for this machine as the command of the last finding. */
void scree_fix_by(struct scree_examination *x, enum scree_remedy remedy);

/* The name of a group by its number, or the number as text, into text[n]; returns text. */
const char *scree_group_name(const struct scree_examination *x, uint32_t gid, char *text, size_t n);

/* True if /etc/group lists the user as a member: one who became it after logging in. */
bool scree_group_lists(const struct scree_examination *x, uint32_t gid, uint32_t uid);

/* The last line of the kernel's log that is about the NPU and tells of trouble, or a core whose
 * probing is deferred, into text[n]. Returns false if the log cannot be read or has none. */
bool scree_kernel_complaint(const struct scree_examination *x, char *text, size_t n);

/* What became of the test convolution on one file descriptor.
 *
 * rc       0: it was computed; else a negative errno and the text
 * n_wrong  bytes of the output that are not what they should be
 * lost     the output was not written at all
 * us       microseconds from submit to result */
struct scree_trial {
    int rc;
    uint32_t n_wrong;
    bool lost;
    uint32_t us;
    struct scree_error err;
};

/* Runs the test convolution on n <= SCREE_NPU_MAX_CORES descriptors of the node at once. */
void scree_try_cores(const char *node, uint32_t n, struct scree_trial *trials);

#define CHECK(name, title, needs) void scree_check_##name(struct scree_examination *x);
#include "doctor/checks.inc"
#undef CHECK

#endif
