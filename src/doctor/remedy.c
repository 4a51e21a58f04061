#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/checks.h"

#define RULE "SUBSYSTEM==\"accel\", KERNEL==\"accel[0-9]*\", GROUP=\"render\", MODE=\"0660\""

#define ADD_RULE(rule)                                                     \
    "echo '" rule "' | sudo tee /etc/udev/rules.d/60-scree.rules && sudo " \
    "udevadm control --reload && sudo udevadm trigger -s accel"

#define NIXOS(option) "put '" option "' into configuration.nix, then: sudo nixos-rebuild "

/* One row a remedy, one column a distribution, in the order of enum scree_distribution; an empty
 * place is as in the first column. */
static const char *const remedies[SCREE_REMEDIES][SCREE_DISTRIBUTIONS] = {
    [SCREE_REMEDY_KERNEL] =
        {"install a Linux of 6.18 or later, built with CONFIG_DRM_ACCEL_ROCKET, and its device "
         "trees",
         /* linux-config-7.3 7.3.4-1~bpo13+1: "CONFIG_DRM_ACCEL_ROCKET is not set" for arm64. */
         "install Armbian's linux-image-current-rockchip64 and linux-dtb-current-rockchip64: "
         "Debian's kernels, up to 7.3 at least, leave rocket out",
         "sudo apt install linux-image-current-rockchip64 linux-dtb-current-rockchip64",
         NIXOS("boot.kernelPackages = pkgs.linuxPackages_latest;") "boot"},
    [SCREE_REMEDY_SUPPLY] = {"add regulator_ignore_unused to the kernel's command line and reboot",
                             NULL,
                             "echo extraargs=regulator_ignore_unused | sudo tee -a "
                             "/boot/armbianEnv.txt && sudo reboot",
                             NIXOS("boot.kernelParams = [ \"regulator_ignore_unused\" ];") "boot"},
    [SCREE_REMEDY_RULE] = {ADD_RULE(RULE), NULL, NULL,
                           NIXOS("hardware.scree.enable = true;") "switch"},
    [SCREE_REMEDY_LINK] = {ADD_RULE(RULE ", SYMLINK+=\"dri/renderD180\""), NULL, NULL,
                           NIXOS("hardware.scree.renderLink = true;") "switch"},
    [SCREE_REMEDY_GROUP] = {"sudo usermod -aG render \"$USER\", then log out and in again", NULL,
                            NULL, NIXOS("hardware.scree.users = [ \"YOU\" ];") "switch"},
    [SCREE_REMEDY_TEFLON] =
        {"install Mesa 25.3 or later, built with -Dteflon=true -Dgallium-drivers=rocket",
         "on Debian 13: sudo apt install -t trixie-backports mesa-teflon-delegate",
         "on Debian 13: sudo apt install -t trixie-backports mesa-teflon-delegate",
         NIXOS("hardware.scree.enable = true;") "switch"},
};

void scree_fix_by(struct scree_examination *x, enum scree_remedy remedy)
{
    const char *text = remedies[remedy][x->distribution];

    scree_fix(x, "%s", text ? text : remedies[remedy][SCREE_DISTRIBUTION_OTHER]);
}

const char *scree_group_name(const struct scree_examination *x, uint32_t gid, char *text, size_t n)
{
    char *file = calloc(1, 65536);
    char *next;

    (void)snprintf(text, n, "%u", gid);
    if (!file || scree_tree_read(x->tree, "/etc/group", file, 65536) < 0) {
        free(file);
        return text;
    }
    for (char *line = file; *line; line = next) {
        size_t name = strcspn(line, ":\n");
        const char *number = line[name] == ':' ? strchr(line + name + 1, ':') : NULL;
        char *after;

        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        if (!number || number >= next || number[1] < '0' || number[1] > '9')
            continue;
        if (strtoul(number + 1, &after, 10) == gid && *after == ':') {
            (void)snprintf(text, n, "%.*s", (int)name, line);
            break;
        }
    }
    free(file);
    return text;
}
