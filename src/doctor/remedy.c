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
    [SCREE_REMEDY_USERS] = {NIXOS("hardware.scree.users = [ \"YOU\" ];") "switch"},
    [SCREE_REMEDY_TEFLON] =
        {"install Mesa 25.3 or later, built with -Dteflon=true -Dgallium-drivers=rocket",
         "sudo apt install -t trixie-backports mesa-teflon-delegate",
         "sudo apt install -t trixie-backports mesa-teflon-delegate",
         NIXOS("hardware.scree.enable = true;") "switch"},
};

static bool is_debian(const struct scree_examination *x)
{
    return x->distribution == SCREE_DISTRIBUTION_DEBIAN ||
           x->distribution == SCREE_DISTRIBUTION_ARMBIAN;
}

void scree_fix_by(struct scree_examination *x, enum scree_remedy remedy)
{
    const char *text = remedies[remedy][x->distribution];

    if (remedy == SCREE_REMEDY_TEFLON && is_debian(x) && !x->is_trixie)
        scree_fix(x, "upgrade to Debian 13, whose backports have it, then: %s", text);
    else
        scree_fix(x, "%s", text ? text : remedies[remedy][SCREE_DISTRIBUTION_OTHER]);
}

/* ---- users and groups ------------------------------------------------------------------------ */

#define FILE_BYTES 65536

/* The line of /etc/group or /etc/passwd, "NAME:x:NUMBER:...", with that number, as a text of its
 * own that is freed by the caller; NULL if there is none. */
static char *line_of(const struct scree_examination *x, const char *path, uint32_t number)
{
    char *text = calloc(1, FILE_BYTES);
    char *found = NULL, *next;

    if (!text || scree_tree_read(x->tree, path, text, FILE_BYTES) < 0) {
        free(text);
        return NULL;
    }
    for (char *line = text; *line && !found; line = next) {
        const char *at;
        char *after;

        next = line + strcspn(line, "\n");
        if (*next)
            *next++ = '\0';
        at = strchr(line, ':');
        at = at ? strchr(at + 1, ':') : NULL;
        if (at && at[1] >= '0' && at[1] <= '9' && strtoul(at + 1, &after, 10) == number &&
            *after == ':')
            found = strdup(line);
    }
    free(text);
    return found;
}

const char *scree_group_name(const struct scree_examination *x, uint32_t gid, char *text, size_t n)
{
    char *line = line_of(x, "/etc/group", gid);

    if (line)
        (void)snprintf(text, n, "%.*s", (int)strcspn(line, ":"), line);
    else
        (void)snprintf(text, n, "%u", gid);
    free(line);
    return text;
}

/* True if the list "a,b,c" has the name. */
static bool list_names(const char *list, const char *name, size_t n)
{
    for (; *list; list += strcspn(list, ",")) {
        list += *list == ',';
        if (strcspn(list, ",") == n && strncmp(list, name, n) == 0)
            return true;
    }
    return false;
}

bool scree_group_lists(const struct scree_examination *x, uint32_t gid, uint32_t uid)
{
    char *group = line_of(x, "/etc/group", gid);
    char *user = line_of(x, "/etc/passwd", uid);
    const char *members = group ? strrchr(group, ':') : NULL;
    size_t n = user ? strcspn(user, ":") : 0;
    bool found = members && n > 0 && list_names(members + 1, user, n);

    free(group);
    free(user);
    return found;
}
