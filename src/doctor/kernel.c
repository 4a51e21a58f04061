/* The checks of chip, kernel and driver. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/checks.h"

#define DEVICE_TREE "/sys/firmware/devicetree/base"
#define CORE        "rockchip,rk3588-rknn-core"
#define VENDOR_CORE "rockchip,rk3588-rknpu"

/* ---- board ----------------------------------------------------------------------------------- */

/* True if the list of zero-ended texts in the file has one that begins with `wanted`. */
static bool list_has(const struct scree_tree *tree, const char *path, const char *wanted)
{
    char text[1024];
    int n = scree_tree_read(tree, path, text, sizeof text);

    for (int at = 0; at < n; at += (int)strlen(text + at) + 1)
        if (strncmp(text + at, wanted, strlen(wanted)) == 0)
            return true;
    return false;
}

/* True if the processor has the cores of an RK3588, Cortex-A76 and Cortex-A55: what can be told
 * where the device tree is hidden. */
static bool has_its_cores(const struct scree_tree *tree)
{
    char text[16384];

    return scree_tree_read(tree, "/proc/cpuinfo", text, sizeof text) >= 0 &&
           strstr(text, "CPU part\t: 0xd0b") && strstr(text, "CPU part\t: 0xd05");
}

void scree_check_board(struct scree_examination *x)
{
    char model[128];
    bool told = scree_tree_text(x->tree, DEVICE_TREE "/model", model, sizeof model) > 0;

    if (list_has(x->tree, DEVICE_TREE "/compatible", "rockchip,rk3588")) {
        x->facts |= SCREE_FACT_BOARD;
        scree_found(x, SCREE_FINDING_OK, "%s, with the chip RK3588.",
                    told ? model : "A board without a name");
    } else if (x->npu.has_driver || x->npu.node[0]) {
        x->facts |= SCREE_FACT_BOARD;
        scree_found(x, SCREE_FINDING_OK,
                    "Which board this is cannot be seen here, but its kernel has an NPU to offer.");
    } else if (!told && has_its_cores(x->tree)) {
        x->facts |= SCREE_FACT_BOARD;
        scree_found(
            x, SCREE_FINDING_OK,
            "Which board this is cannot be seen here, but its processor is like an RK3588's.");
    } else if (!told && !scree_tree_has(x->tree, "/proc/cpuinfo")) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "Neither /sys nor /proc tells which board this is: they are not mounted here.");
        scree_fix(x, "mount -t sysfs sysfs /sys && mount -t proc proc /proc");
    } else {
        scree_found(x, SCREE_FINDING_ERROR,
                    "%s is no RK3588 board: there is no NPU here that scree can use. Models run on "
                    "the CPU, and 'scree emu' runs a program on an NPU made of software.",
                    told ? model : "This machine");
        scree_see(x, "scree emu -- scree doctor");
    }
}

/* ---- kernel ---------------------------------------------------------------------------------- */

static bool has_vendor_driver(const struct scree_tree *tree)
{
    return scree_tree_has(tree, "/dev/rknpu") || scree_tree_has(tree, "/sys/module/rknpu") ||
           scree_tree_has(tree, "/sys/bus/platform/drivers/RKNPU");
}

void scree_check_kernel(struct scree_examination *x)
{
    char *after;
    unsigned long major = strtoul(x->release, &after, 10);
    unsigned long minor = *after == '.' ? strtoul(after + 1, NULL, 10) : 0;
    bool is_new = major > 6 || (major == 6 && minor >= 18);

    if (has_vendor_driver(x->tree) && !x->npu.has_driver) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "Linux %s is the board maker's kernel, with the driver rknpu. That one only "
                    "works with the maker's closed library and .rknn files; scree and Mesa need "
                    "the driver rocket of a mainline kernel, 6.18 or later.",
                    x->release);
        scree_fix_by(x, SCREE_REMEDY_KERNEL);
    } else if (!is_new && !x->npu.has_driver) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "Linux %s has no driver for the NPU: rocket came with Linux 6.18.",
                    x->release[0] ? x->release : "of an unknown version");
        scree_fix_by(x, SCREE_REMEDY_KERNEL);
    } else {
        x->facts |= SCREE_FACT_KERNEL;
        scree_found(x, SCREE_FINDING_OK, "Linux %s is new enough; the NPU needs 6.18.", x->release);
    }
}

/* ---- device tree ----------------------------------------------------------------------------- */

static void count_nodes(struct scree_examination *x, bool *ret_vendor)
{
    struct scree_names names;
    char path[SCREE_TREE_PATH], status[16];

    *ret_vendor = false;
    if (scree_tree_list(x->tree, DEVICE_TREE, "npu@", &names) < 0)
        return;
    for (uint32_t i = 0; i < names.n; i++) {
        (void)snprintf(path, sizeof path, DEVICE_TREE "/%s/compatible", names.name[i]);
        *ret_vendor = *ret_vendor || list_has(x->tree, path, VENDOR_CORE);
        if (!list_has(x->tree, path, CORE))
            continue;
        x->n_nodes++;
        (void)snprintf(path, sizeof path, DEVICE_TREE "/%s/status", names.name[i]);
        if (scree_tree_text(x->tree, path, status, sizeof status) < 0 ||
            strcmp(status, "okay") == 0 || strcmp(status, "ok") == 0)
            x->n_enabled++;
    }
}

static void no_nodes(struct scree_examination *x, bool vendor)
{
    scree_found(x, SCREE_FINDING_ERROR,
                vendor
                    ? "The device tree is the board maker's: it describes the NPU for the driver "
                      "rknpu, and rocket does not see it. A kernel must be started with the "
                      "device tree that comes with it."
                    : "The device tree does not mention the NPU: it is older than the kernel. A "
                      "kernel must be started with the device tree that comes with it.");
    scree_fix(x, "let the boot loader take the .dtb file of Linux %s for this board", x->release);
}

void scree_check_nodes(struct scree_examination *x)
{
    bool vendor;

    count_nodes(x, &vendor);
    if (x->n_enabled > 0 || !scree_tree_has(x->tree, DEVICE_TREE "/compatible"))
        x->facts |= SCREE_FACT_NODES;
    if (!scree_tree_has(x->tree, DEVICE_TREE "/compatible"))
        return;
    if (x->n_nodes == 0) {
        no_nodes(x, vendor);
    } else if (x->n_enabled == 0) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "The device tree has the NPU's %u cores, but leaves them off (status "
                    "\"disabled\") on this board. Newer kernels switch them on for more boards.",
                    x->n_nodes);
        scree_fix_by(x, SCREE_REMEDY_KERNEL);
    } else if (x->n_enabled < x->n_nodes) {
        scree_found(x, SCREE_FINDING_WARNING, "It has %u of the NPU's %u cores switched on.",
                    x->n_enabled, x->n_nodes);
        scree_see(x, "grep -H . /proc/device-tree/npu@*/status");
    } else {
        scree_found(x, SCREE_FINDING_OK, "It has the NPU's %u cores, switched on.", x->n_nodes);
    }
}

/* ---- driver ---------------------------------------------------------------------------------- */

enum module { MODULE_UNKNOWN, MODULE_THERE, MODULE_NOT_THERE };

/* Whether rocket is among the modules that were installed with this kernel. */
static enum module find_module(const struct scree_examination *x)
{
    static const char *const folders[] = {"/lib/modules", "/usr/lib/modules",
                                          "/run/booted-system/kernel-modules/lib/modules"};
    enum module module = MODULE_UNKNOWN;

    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char path[SCREE_TREE_PATH];
        uint8_t *bytes;
        size_t n;

        (void)snprintf(path, sizeof path, "%s/%s/modules.dep", folders[i], x->release);
        if (scree_tree_bytes(x->tree, path, (size_t)16 << 20, &bytes, &n) < 0)
            continue;
        module = memmem(bytes, n, "/rocket.ko", 10) ? MODULE_THERE : MODULE_NOT_THERE;
        free(bytes);
        if (module == MODULE_THERE)
            break;
    }
    return module;
}

void scree_check_driver(struct scree_examination *x)
{
    if (x->npu.has_driver) {
        x->facts |= SCREE_FACT_DRIVER;
        scree_found(x, SCREE_FINDING_OK, "rocket is %s.",
                    scree_tree_has(x->tree, "/sys/module/rocket/initstate")
                        ? "loaded as a module"
                        : "built into the kernel");
        return;
    }
    if (find_module(x) == MODULE_NOT_THERE) {
        scree_found(x, SCREE_FINDING_ERROR,
                    "Linux %s was built without the driver rocket (CONFIG_DRM_ACCEL_ROCKET).",
                    x->release);
        scree_fix_by(x, SCREE_REMEDY_KERNEL);
    } else if (x->container != SCREE_CONTAINER_NONE) {
        scree_found(x, SCREE_FINDING_ERROR, "The driver rocket is not loaded on the host.");
        scree_fix(x, "on the host: sudo modprobe rocket");
    } else {
        scree_found(x, SCREE_FINDING_ERROR, "The driver rocket is installed, but not loaded.");
        scree_fix(x, "sudo modprobe rocket");
    }
}

/* ---- cores ----------------------------------------------------------------------------------- */

/* In words that do not alarm: a core is suspended whenever there is nothing to do. */
static const char *state_word(const char *state)
{
    return strcmp(state, "active") == 0      ? "awake"
           : strcmp(state, "suspended") == 0 ? "asleep"
                                             : state;
}

static void list_cores(struct scree_examination *x)
{
    for (uint32_t i = 0; i < x->npu.n_cores; i++) {
        const struct scree_npu_core *core = &x->npu.cores[i];

        scree_found_more(x, "%s%s", i ? ", " : " ", core->name);
        if (core->state[0])
            scree_found_more(x, " (%s)", state_word(core->state));
    }
    scree_found_more(x, ".");
}

static void add_complaint(struct scree_examination *x)
{
    char line[200];

    if (scree_kernel_complaint(x, line, sizeof line))
        scree_found_more(x, " The kernel says: \"%s\".", line);
    scree_see(x, "sudo dmesg | grep -i -e rocket -e '\\.npu'");
}

void scree_check_cores(struct scree_examination *x)
{
    uint32_t wanted = x->n_enabled ? x->n_enabled : 3;
    uint32_t n = x->npu.n_cores;

    if (n == 0) {
        scree_found(x, SCREE_FINDING_ERROR, "rocket is loaded, but runs none of the %u cores.",
                    wanted);
        add_complaint(x);
        return;
    }
    x->facts |= SCREE_FACT_CORES;
    if (n < wanted) {
        scree_found(x, SCREE_FINDING_WARNING, "rocket runs %u of %u cores:", n, wanted);
        list_cores(x);
        add_complaint(x);
    } else {
        scree_found(x, SCREE_FINDING_OK, "rocket runs %s%u core%s:", n > 1 ? "all " : "the only ",
                    n, n > 1 ? "s" : "");
        list_cores(x);
    }
}

void scree_check_iommu(struct scree_examination *x)
{
    for (uint32_t i = 0; i < x->npu.n_cores; i++) {
        if (x->npu.cores[i].has_iommu)
            continue;
        scree_found(x, SCREE_FINDING_ERROR,
                    "The core %s has no IOMMU, without which it sees no memory.",
                    x->npu.cores[i].name);
        scree_see(x, "sudo dmesg | grep -i iommu");
        return;
    }
    scree_found(x, SCREE_FINDING_OK, "Every core has its own.");
}

/* ---- the kernel's log ------------------------------------------------------------------------ */

static bool contains_one(const char *line, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(line, *words))
            return true;
    return false;
}

bool scree_kernel_complaint(const struct scree_examination *x, char *text, size_t n)
{
    static const char *const about[] = {"rocket", ".npu", "vdd_npu", NULL};
    static const char *const trouble[] = {"fail", "error", "defer", "timed out", "cannot", NULL};
    const size_t size = (size_t)1 << 20;
    char *log = malloc(size), *next;
    bool found = false;

    if (!log || scree_tree_read(x->tree, "/dev/kmsg", log, size) < 0) {
        free(log);
        return false;
    }
    for (char *line = log; *line; line = next) {
        /* "3,412,5123456,-;text": what is before the semicolon is for programs. */
        const char *message;

        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        message = strchr(line, ';');
        message = message ? message + 1 : line;
        if (!contains_one(message, about) || !contains_one(message, trouble))
            continue;
        (void)snprintf(text, n, "%s", message);
        found = true;
    }
    free(log);
    return found;
}
