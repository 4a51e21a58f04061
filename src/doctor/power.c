/* The checks of clock, supply and heat. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/checks.h"

/* Above this rate the board maker's table asks for more than the 0.70 to 0.80 V that boards start
 * with: 0.85 V at 1 GHz. Source: npu_opp_table of the vendor's rk3588s.dtsi. */
#define FAST_MHZ       900
#define FAST_MICROVOLT 850000

/* Room for the path of a folder in /sys/class. */
#define FOLDER 128

/* Above this rate the clock is not that of the mainline device tree, nominally 200 MHz. */
#define SLOW_MHZ 250

/* The regulator of the cores: "vdd_npu_s0" on all boards of mainline Linux, not its neighbour
 * "vdd_npu_mem_s0". Writes its folder into path[n]. */
static bool find_regulator(const struct scree_tree *tree, char *path, size_t n, char *name,
                           size_t n_name)
{
    struct scree_names names;

    if (scree_tree_list(tree, "/sys/class/regulator", "regulator.", &names) < 0)
        return false;
    for (uint32_t i = 0; i < names.n; i++) {
        (void)snprintf(path, n, "/sys/class/regulator/%s/name", names.name[i]);
        if (scree_tree_text(tree, path, name, n_name) < 0 || strncmp(name, "vdd_npu", 7) != 0 ||
            strstr(name, "mem"))
            continue;
        (void)snprintf(path, n, "/sys/class/regulator/%s", names.name[i]);
        return true;
    }
    return false;
}

static long read_number(const struct scree_tree *tree, const char *folder, const char *name)
{
    char path[SCREE_TREE_PATH], text[32];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (scree_tree_text(tree, path, text, sizeof text) < 0)
        return -1;
    return strtol(text, NULL, 10);
}

/* ---- clock ----------------------------------------------------------------------------------- */

/* What the clock runs at, which only root can read, else what the device tree asks for. */
static uint32_t clock_mhz(const struct scree_tree *tree, bool *ret_measured)
{
    long hz = read_number(tree, "/sys/kernel/debug/clk/scmi_clk_npu", "clk_rate");

    *ret_measured = hz > 0;
    if (hz > 0)
        return (uint32_t)(hz / 1000000);
    return scree_npu_assigned_mhz(tree);
}

void scree_check_clock(struct scree_examination *x)
{
    bool measured;
    uint32_t mhz = clock_mhz(x->tree, &measured);
    char folder[FOLDER], name[32];
    long microvolt = find_regulator(x->tree, folder, sizeof folder, name, sizeof name)
                         ? read_number(x->tree, folder, "microvolts")
                         : -1;

    if (mhz == 0)
        return;
    if (mhz <= SLOW_MHZ) {
        scree_found(x, SCREE_FINDING_WARNING,
                    "The NPU %s %u MHz, as mainline Linux has it; it could do 1000. By estimate "
                    "MobileNetV1 takes 9 ms now, and 3 ms at 1000 MHz. Raising the clock is not "
                    "safe yet: docs/npu.md tells why, under \"The clock\".",
                    measured ? "runs at" : "is set to", mhz);
        scree_see(x, "sudo cat /sys/kernel/debug/clk/scmi_clk_npu/clk_rate");
    } else if (mhz > FAST_MHZ && microvolt > 0 && microvolt < FAST_MICROVOLT) {
        scree_found(x, SCREE_FINDING_WARNING,
                    "The NPU %s %u MHz, with %s at %ld.%03ld V: the board maker's table asks for "
                    "0.850 V there. Expect wrong results or hangs.",
                    measured ? "runs at" : "is set to", mhz, name, microvolt / 1000000,
                    microvolt / 1000 % 1000);
        scree_see(x, "cat %s/microvolts", folder);
    } else {
        scree_found(x, SCREE_FINDING_OK, "The NPU %s %u MHz.", measured ? "runs at" : "is set to",
                    mhz);
    }
}

/* ---- supply ---------------------------------------------------------------------------------- */

static bool core_sleeps(const struct scree_npu *npu)
{
    for (uint32_t i = 0; i < npu->n_cores; i++)
        if (strcmp(npu->cores[i].state, "active") == 0)
            return false;
    return npu->n_cores > 0;
}

void scree_check_supply(struct scree_examination *x)
{
    char folder[FOLDER], path[SCREE_TREE_PATH], name[32], state[16];
    long microvolt;

    if (!find_regulator(x->tree, folder, sizeof folder, name, sizeof name))
        return;
    (void)snprintf(path, sizeof path, "%s/state", folder);
    if (scree_tree_text(x->tree, path, state, sizeof state) < 0)
        return;
    microvolt = read_number(x->tree, folder, "microvolts");
    if (strcmp(state, "disabled") != 0)
        scree_found(x, SCREE_FINDING_OK, "%s is on, at %ld.%03ld V.", name, microvolt / 1000000,
                    microvolt / 1000 % 1000);
    else if (core_sleeps(&x->npu))
        scree_found(x, SCREE_FINDING_OK, "%s is off while the cores sleep.", name);
    else {
        scree_found(x, SCREE_FINDING_ERROR,
                    "%s, the NPU's supply, is off: the cores have no power. Half a minute after "
                    "its start the "
                    "kernel switches off every supply that no driver has asked for; rocket, "
                    "loaded as a module, can be too late for that.",
                    name);
        scree_fix_by(x, SCREE_REMEDY_SUPPLY);
    }
}

/* ---- heat ------------------------------------------------------------------------------------ */

/* 30 degrees below the 115 at which the device tree has the machine switched off. */
#define HOT_MILLIDEGREES 85000

void scree_check_heat(struct scree_examination *x)
{
    struct scree_names names;
    char folder[FOLDER], path[SCREE_TREE_PATH], type[32];

    if (scree_tree_list(x->tree, "/sys/class/thermal", "thermal_zone", &names) < 0)
        return;
    for (uint32_t i = 0; i < names.n; i++) {
        long heat;

        (void)snprintf(folder, sizeof folder, "/sys/class/thermal/%s", names.name[i]);
        (void)snprintf(path, sizeof path, "%s/type", folder);
        if (scree_tree_text(x->tree, path, type, sizeof type) < 0 || !strstr(type, "npu"))
            continue;
        heat = read_number(x->tree, folder, "temp");
        scree_found(x, heat >= HOT_MILLIDEGREES ? SCREE_FINDING_WARNING : SCREE_FINDING_OK,
                    heat >= HOT_MILLIDEGREES ? "The NPU is at %ld degrees Celsius, too hot to last."
                                             : "The NPU is at %ld degrees Celsius.",
                    heat / 1000);
        if (heat >= HOT_MILLIDEGREES)
            scree_see(x, "watch cat %s/temp", folder);
        return;
    }
}
